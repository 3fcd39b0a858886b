"""Red noise: the recursion against SciPy's filter, and its variance and correlation against theory."""

import numpy as np
import pytest
from scipy.signal import lfilter

from gwsa_qgis.science.red_noise import autoregressive, red_series


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_the_recursion_is_that_of_a_filter(axis):
    steps = np.random.default_rng(1).normal(size=(40, 50, 3))
    before = steps.copy()
    found = autoregressive(steps, 0.7, axis=axis)
    np.testing.assert_allclose(found, lfilter([1], [1, -0.7], steps, axis=axis), rtol=0, atol=1e-13)
    np.testing.assert_array_equal(steps, before)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.95, -0.6])
def test_stationary_series_vary_alike_from_the_first_month_on(correlation):
    steps = np.random.default_rng(2).normal(size=(20_000, 30))
    series = autoregressive(steps, correlation, stationary=True)
    np.testing.assert_allclose(series.var(axis=0), 1 / (1 - correlation**2), rtol=0.06)
    for lag in (1, 3):
        pairs = (series[:, lag:] * series[:, :-lag]).mean() / (series**2).mean()
        assert pairs == pytest.approx(correlation**lag, abs=0.02)
    grown = autoregressive(steps, correlation).var(axis=0)
    assert grown[0] == pytest.approx(1, rel=0.06) and grown[1] == pytest.approx(1 + correlation**2, rel=0.06)


def test_red_series_have_unit_variance_along_time():
    series = red_series(np.random.default_rng(3), (30, 20_000), 0.9)
    np.testing.assert_allclose(series.var(axis=1), 1, rtol=0.06)
    assert (series[1:] * series[:-1]).mean() == pytest.approx(0.9, abs=0.01)

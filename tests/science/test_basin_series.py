"""Sums, annual means and trends of basins against loops and the usual packages."""

import numpy as np
import pytest

from gwsa_qgis.months import month_range
from gwsa_qgis.science.basin_series import PIXELS_AT_ONCE, annual_means, basin_trends, weighted_sums
from gwsa_qgis.science.error_budget import left_of_within
from gwsa_qgis.science.red_noise import autoregressive


@pytest.mark.parametrize("holes", [0.0, 0.3])
def test_weighted_sums(holes):
    random = np.random.default_rng(0)
    values = random.normal(size=(7, 5000)).astype(np.float32)
    values[random.uniform(size=values.shape) < holes] = np.nan
    pixels = random.permutation(5000)[: 2 * PIXELS_AT_ONCE + 17]
    areas = random.uniform(size=pixels.size)
    weighted, area = weighted_sums(values, pixels, areas)
    for month in range(7):
        chosen = values[month, pixels].astype(float)
        known = np.isfinite(chosen)
        assert weighted[month] == pytest.approx((chosen[known] * areas[known]).sum(), rel=1e-12)
        assert area[month] == pytest.approx(areas[known].sum(), rel=1e-12)


def test_no_pixel_has_no_sum():
    weighted, area = weighted_sums(np.ones((3, 4), np.float32), np.zeros(0, int), np.zeros(0))
    assert not weighted.any() and not area.any()


def test_annual_means():
    months = month_range("2003-11", "2006-02")
    series = np.arange(months.size, dtype=float)[None].repeat(2, 0)
    series[1, 2:14] = np.nan  # all of 2004
    series[1, 14] = np.nan
    years, means, counts = annual_means(series, months)
    assert years.tolist() == [2003, 2004, 2005, 2006]
    assert counts.tolist() == [[2, 12, 12, 2], [2, 0, 11, 2]]
    np.testing.assert_allclose(means[0], [0.5, 7.5, 19.5, 26.5])
    np.testing.assert_allclose(means[1], [0.5, np.nan, 20.0, 26.5])


def series(count, months, seed):
    random = np.random.default_rng(seed)
    noise = autoregressive(random.normal(size=(count, months)), 0.6)
    time = np.arange(months)
    return noise + 4 * np.sin(2 * np.pi * time / 12) + np.linspace(-0.1, 0.1, count)[:, None] * time


def test_trends_are_those_of_the_usual_packages():
    stl = pytest.importorskip("statsmodels.tsa.seasonal").STL
    mk = pytest.importorskip("pymannkendall")
    given = series(5, 225, 1)
    found = basin_trends(given)
    for number, one in enumerate(given):
        adjusted = one - stl(one, period=12).fit().seasonal
        expected = mk.original_test(adjusted)
        assert found.slope[number] == pytest.approx(12 * expected.slope, rel=1e-9)
        assert found.intercept[number] == pytest.approx(expected.intercept, rel=1e-9)
        assert found.p_plain[number] == pytest.approx(expected.p, rel=1e-9, abs=1e-15)
        assert found.p[number] >= found.p_plain[number]
        assert found.lower[number] < found.slope[number] < found.upper[number]


def test_limits_without_correlation_are_those_of_scipy_and_wider_with_it():
    stats = pytest.importorskip("scipy.stats")
    white = np.random.default_rng(2).normal(size=(1, 20))  # shorter than two years: the season stays
    found = basin_trends(white)
    slope, _, lower, upper = stats.theilslopes(white[0], alpha=0.95)
    assert found.slope[0] == pytest.approx(12 * slope)
    assert found.lower[0] <= 12 * lower + 1e-9 and found.upper[0] >= 12 * upper - 1e-9
    narrow, wide = basin_trends(series(1, 225, 3), 0.5), basin_trends(series(1, 225, 3), 0.99)
    assert wide.lower[0] < narrow.lower[0] < narrow.upper[0] < wide.upper[0]


def test_limits_of_trendless_correlated_series_hold_what_they_promise():
    """95 % limits contain zero in about 95 of 100 trendless AR(1) series; without the factor in 70."""
    random = np.random.default_rng(4)
    noise = autoregressive(random.normal(size=(400, 225)), 0.7, stationary=True)
    found = basin_trends(noise)
    held = ((found.lower <= 0) & (found.upper >= 0)).mean()
    assert 0.92 < held < 0.99


def test_too_few_months_give_no_trend():
    given = series(2, 60, 5)
    given[1, 20:] = np.nan
    found = basin_trends(given)
    assert np.isfinite(found.slope[0]) and np.isnan(found.slope[1]) and np.isnan(found.p[1])


def test_what_is_left_of_departures_in_a_part():
    share = np.array([0.01, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(left_of_within(share), [1, 1, 1 / 3, 0], atol=1e-12)


@pytest.mark.parametrize("width", [1, 5, 30])
def test_departures_that_add_up_to_nothing_leave_no_more_than_that(width):
    """The mean over a part errs no more than its pixels, nor than the rest's pixels times (1 - f) / f."""
    random = np.random.default_rng(6)
    size = 60
    around = np.minimum(np.arange(size), size - np.arange(size))  # in a circle: as wide everywhere
    kernel = np.exp(-0.5 * (around[(np.arange(size)[:, None] - np.arange(size)) % size] / width) ** 2)
    values, vectors = np.linalg.eigh(kernel)
    fields = random.normal(size=(4000, size)) @ (vectors * np.sqrt(np.maximum(values, 0))).T
    fields -= fields.mean(1, keepdims=True)
    spread = fields.std(0)
    for part in (3, 20, 30, 45, 57):
        error = fields[:, :part].mean(1).std()
        left = left_of_within(np.array(part / size))
        assert error <= spread.max() * left + 1e-12
        assert error > 0.05 * spread.max() * left  # a bound, not a wall

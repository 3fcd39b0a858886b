"""Spread between models against numpy's own standard deviation."""

import numpy as np

from gwsa_qgis.science.model_spread import RunningMean, model_mean, model_spread


def test_spread_is_numpy_s_standard_deviation_of_anomalies():
    rng = np.random.default_rng(0)
    values, references = rng.normal(size=(3, 5, 4)) * 20 + 100, rng.normal(size=(3, 5, 4)) * 50
    assert np.allclose(model_spread(values, references), np.std(values - references, axis=0, ddof=1))
    values[0, 0, 0] = np.nan
    references[1:, 1, 1] = np.nan
    found = model_spread(values, references)
    assert np.isclose(found[0, 0], np.std((values - references)[1:, 0, 0], ddof=1))
    assert np.isnan(found[1, 1]) and np.isfinite(found).sum() == 19


def test_spread_feels_no_constant():
    rng = np.random.default_rng(1)
    values, references = rng.normal(size=(3, 6)), rng.normal(size=(3, 6))
    shift = np.array([[0.0], [500.0], [-80.0]])
    assert np.allclose(model_spread(values, references), model_spread(values + shift, references + shift))


def test_means():
    assert np.allclose(model_mean([np.array([1.0, np.nan]), np.array([3.0, 5.0])]), [2.0, np.nan], equal_nan=True)
    mean = RunningMean((3,))
    for month in ([1.0, np.nan, np.nan], [4.0, 2.0, np.nan]):
        mean.add(np.array(month))
    assert np.allclose(mean.mean(), [2.5, 2.0, np.nan], equal_nan=True)

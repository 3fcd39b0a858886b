"""Scores against numpy's own definitions."""

import numpy as np
import pytest

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.science.scores import score


def test_known_values():
    result = score(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 5.0]))
    assert result.n == 3
    assert result.r2 == pytest.approx(1 - 4 / 2)  # worse than the mean
    assert result.rmse == pytest.approx(np.sqrt(4 / 3))
    assert result.cc == pytest.approx(np.corrcoef([1, 2, 3], [1, 2, 5])[0, 1])


def test_biased_estimates_keep_correlation_and_lose_r2():
    actual = np.random.default_rng(0).normal(size=500)
    result = score(actual, 2 * actual + 5)
    assert result.cc == pytest.approx(1)
    assert result.r2 < -20


def test_pairs_with_nan_are_left_out():
    actual, estimate = np.array([[1.0, np.nan], [2.0, 4.0]]), np.array([[1.5, 1.0], [np.nan, 4.0]])
    result = score(actual, estimate)
    assert result.n == 2
    assert result.rmse == pytest.approx(np.sqrt(0.125))


def test_weights_repeat_pairs():
    actual, estimate = np.array([1.0, 2.0, 4.0]), np.array([1.5, 1.0, 4.5])
    weighted = score(actual, estimate, np.array([1, 2, 3]))
    repeated = score(np.repeat(actual, [1, 2, 3]), np.repeat(estimate, [1, 2, 3]))
    assert (weighted.r2, weighted.cc, weighted.rmse) == pytest.approx((repeated.r2, repeated.cc, repeated.rmse))


def test_undefined_scores_are_nan():
    constant = score(np.ones(4), np.arange(4.0))
    assert np.isnan(constant.r2)
    assert np.isnan(constant.cc)
    assert constant.rmse == pytest.approx(np.sqrt((1 + 0 + 1 + 4) / 4))
    assert score(np.array([np.nan]), np.array([1.0])).n == 0


def test_shapes_must_agree():
    with pytest.raises(InvalidParameter, match="shape"):
        score(np.zeros(3), np.zeros(4))

"""Errors by source, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.science.error_budget import (
    carry_over,
    error_sums,
    gap_error,
    half_width,
    mean_error,
    normal_factor,
    quadrature,
)


def test_quadrature_by_hand():
    assert quadrature([3.0, 4.0]) == 5.0
    np.testing.assert_allclose(quadrature([np.array([2.0, 1.0]), None, 3.0, np.array([6.0, np.nan])]), [7.0, np.nan])


def test_half_width_by_hand():
    # 90 % of a normal distribution lie within 1.6449 standard errors.
    assert normal_factor(0.9) == pytest.approx(1.644854, abs=1e-6)
    assert half_width(np.array(2.0), np.array(3.0), 0.9) == pytest.approx(np.sqrt((2 * 1.644854) ** 2 + 9), abs=1e-5)
    with pytest.raises(InvalidParameter, match="level is 1"):
        normal_factor(1.0)


def test_mean_of_supports_by_hand():
    cell, areas = np.array([[3.0, 4.0], [3.0, np.nan], [np.nan, np.nan]]), np.array([1.0, 3.0])
    independent, together = mean_error(error_sums(cell, areas))
    np.testing.assert_allclose(independent, [np.sqrt(9 + 144) / 4, 3.0, np.nan])
    np.testing.assert_allclose(together, [15 / 4, 3.0, np.nan])


def test_mean_errors_of_parts_add_up_to_that_of_the_whole():
    random = np.random.default_rng(3)
    cell, areas = random.uniform(1, 3, (4, 9)), random.uniform(1, 2, 9)
    cell[1, 2:7] = np.nan
    parts = sum(error_sums(cell[:, part], areas[part]) for part in (slice(0, 2), slice(2, 7), slice(7, 9)))
    for found, expected in zip(mean_error(parts), mean_error(error_sums(cell, areas)), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_mean_error_is_that_of_a_simulated_mean():
    random, areas, cell = np.random.default_rng(1), np.array([1.0, 2, 3, 4]), np.array([1.0, 0.5, 2, 1.5])
    weights = areas / areas.sum()
    independent, together = mean_error(error_sums(cell, areas))
    draws = random.normal(size=(200_000, 4)) * cell
    assert (draws @ weights).std() == pytest.approx(float(independent), rel=0.01)
    draws = random.normal(size=(200_000, 1)) * cell
    assert (draws @ weights).std() == pytest.approx(float(together), rel=0.01)


def test_gap_errors_apply_in_their_own_months():
    flags = np.array([0, 1, 2, np.nan])[:, None, None] * np.ones((1, 1, 2))
    short, long = np.array([[1.0, np.nan]]), np.array([[3.0, 5.0]])
    np.testing.assert_array_equal(gap_error(flags, short, long)[:, 0], [[0, 0], [1, 5], [3, 5], [0, 0]])
    np.testing.assert_array_equal(gap_error(flags, None, long)[:, 0], [[0, 0], [3, 5], [3, 5], [0, 0]])


def test_variances_carry_over_by_importance():
    assert carry_over(np.array([4.0, 1.0]), np.array([1.0, 1.0]), np.array([1.0, 1.0])) == pytest.approx(2.0)
    assert carry_over(np.array([4.0, 1.0]), np.array([1.0, 1.0]), np.array([1.0, 0.0])) == pytest.approx(4.0)
    # Predictors that do not vary, and importances that are not known, leave the rest.
    assert carry_over(np.array([4.0, 9.0]), np.array([1.0, 0.0]), np.zeros(2)) == pytest.approx(4.0)
    assert carry_over(np.zeros(2), np.ones(2), np.ones(2)) == 1.0

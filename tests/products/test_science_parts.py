"""Block means and majorities, overlaps, hole filling and running sums, against plain loops and hand-made figures."""

import numpy as np
import pytest

from gwsa_qgis.months import month_range
from gwsa_qgis.science.accumulation import running_sum
from gwsa_qgis.science.aggregation import area_share, block_majority, block_means, overlap_matrix
from gwsa_qgis.science.idw import fill_holes


def test_block_means_weigh_valid_cells_only():
    values = np.array([[1.0, np.nan], [3.0, 5.0]])
    means = block_means(values, 2, np.array([1.0, 0.5]))
    assert means.shape == (1, 1)
    assert means[0, 0] == pytest.approx((1 * 1 + 0.5 * 3 + 0.5 * 5) / 2.0)
    assert np.isnan(block_means(np.full((2, 2), np.nan), 2, np.ones(2))).all()


def test_majority_by_area_not_by_count():
    classes = np.array([[11, 11, 0], [22, 22, 22], [0, 0, 0]], np.int16)
    assert block_majority(classes, 3, np.array([1.0, 1.0, 1.0]))[0, 0] == 22
    assert block_majority(classes, 3, np.array([1.0, 0.5, 0.1]))[0, 0] == 11
    tie = np.array([[33, 11], [11, 33]], np.int16)
    assert block_majority(tie, 2, np.ones(2))[0, 0] == 11
    assert block_majority(np.zeros((2, 2), np.int16), 2, np.ones(2))[0, 0] == 0


@pytest.mark.parametrize(("sources", "step", "edge", "cells", "size"), [(100, 0.3, 1.7, 7, 2.5), (4, 5.0, 2.0, 9, 1.0)])
def test_overlaps_equal_a_fine_count(sources, step, edge, cells, size):
    found = overlap_matrix(0.0, step, sources, edge, size, cells).toarray()
    centres = (np.arange(cells * 1000) + 0.5) / 1000 * size + edge
    owner = np.floor(centres / step).astype(int)
    counted = np.zeros((cells, sources))
    for cell in range(cells):
        here = owner[cell * 1000 : (cell + 1) * 1000]
        for source in here[(here >= 0) & (here < sources)]:
            counted[cell, source] += 1 / 1000
    assert np.abs(found - counted).max() < 2e-3


def test_area_share_of_a_half_covered_cell():
    flags = np.zeros((4, 4), bool)
    flags[:, :2] = True
    matrix = overlap_matrix(0, 1, 4, 1, 2, 1)  # the middle two cells
    assert area_share(flags, matrix, matrix)[0, 0] == pytest.approx(0.5)


def test_hole_is_the_inverse_distance_mean():
    values = np.array([[[1.0, np.nan, 4.0], [np.nan, np.nan, np.nan], [7.0, np.nan, np.nan]]])
    wanted = np.zeros((3, 3), bool)
    wanted[1, 1] = True
    filled, done, left = fill_holes(values, wanted, 2)
    # three donors at the square root of 2
    assert filled[0, 1, 1] == pytest.approx((1 + 4 + 7) / 3)
    assert (done, left) == (1, 0)
    assert np.isnan(filled[0, 0, 1])
    scaled, _, _ = fill_holes(values, wanted, 2, 0.5)
    assert scaled[0, 1, 1] == pytest.approx(4.0)  # all still equally far


def test_holes_against_a_plain_loop_and_in_any_window():
    rng = np.random.default_rng(3)
    values = rng.normal(size=(3, 30, 40)).astype(np.float32)
    values[:2, rng.random((30, 40)) < 0.4] = np.nan
    values[2, 5:25, 5:30] = np.nan
    scale = np.linspace(0.5, 0.7, 30)
    reach = 3
    filled, done, left = fill_holes(values, np.ones((30, 40), bool), reach, scale)
    holes = np.argwhere(np.isnan(values))
    for layer, row, column in holes[:: max(len(holes) // 200, 1)]:
        total = weight = 0.0
        for r in range(max(row - reach, 0), min(row + reach + 1, 30)):
            for c in range(max(column - reach, 0), min(column + reach + 1, 40)):
                squared = (r - row) ** 2 + ((c - column) * scale[row]) ** 2
                if np.isfinite(values[layer, r, c]) and squared <= reach**2:
                    total += values[layer, r, c] / squared
                    weight += 1 / squared
        expected = total / weight if weight else np.nan
        assert filled[layer, row, column] == pytest.approx(expected, abs=1e-6, nan_ok=True)
    assert done + left == len(holes) and left > 0
    assert np.isnan(filled[2, 15, 17])  # the inside of a large hole stays
    part, _, _ = fill_holes(values[:, 7:23, 7:33], np.ones((16, 26), bool), reach, scale[7:23])
    assert np.array_equal(part[:, 3:-3, 3:-3], filled[:, 10:20, 10:30], equal_nan=True)


def test_running_sums_and_gaps():
    months = month_range("2002-04", "2004-03")
    values = np.tile(np.arange(1.0, 13.0), 2)[:, None].repeat(2, axis=1)
    values[13, 0] = np.nan  # May 2003: the other May has 2
    values[:, 1] = np.nan
    total, missing = running_sum(values, months)
    assert missing == 1
    assert total[-1, 0] == pytest.approx(2 * 78.0)
    assert np.isnan(total[:, 1]).all()
    assert running_sum(values, months, "zero")[0][-1, 0] == pytest.approx(2 * 78.0 - 2)
    ended = running_sum(values, months, "propagate")[0][:, 0]
    assert np.isfinite(ended[:13]).all() and np.isnan(ended[13:]).all()

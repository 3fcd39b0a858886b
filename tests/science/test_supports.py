"""Supports: found in repeated series, averaged over, grouped and dealt into folds."""

import numpy as np
import pytest

from gwsa_qgis.errors import InvalidParameter, NoUsableData
from gwsa_qgis.science import supports
from gwsa_qgis.science.supports import (
    block_groups,
    blocked_folds,
    compact_labels,
    group_labels,
    group_means,
    group_supports,
    identical_series_labels,
    support_means,
    support_positions,
    support_sums,
)


def test_identical_series_find_the_mascons_they_were_made_from():
    rng = np.random.default_rng(0)
    centres = rng.uniform(0, 30, (25, 2))
    y, x = np.mgrid[:30, :30]
    mascon = np.argmin((y[..., None] - centres[:, 0]) ** 2 + (x[..., None] - centres[:, 1]) ** 2, axis=-1)
    series = rng.normal(size=(5, 25)).astype(np.float32)[:, mascon]
    series[2] = np.nan
    series[:, :3, :4] = np.nan
    labels = identical_series_labels(series)
    assert labels.dtype == np.int32 and (labels[:3, :4] == 0).all()
    inside = labels > 0
    pairs = np.unique(np.stack([labels[inside], mascon[inside]]), axis=1)
    assert labels.max() == np.unique(mascon[inside]).size == pairs.shape[1]
    # reading order of first cells
    first = [np.flatnonzero(labels == n)[0] for n in range(1, labels.max() + 1)]
    assert first == sorted(first)


def test_series_that_differ_in_one_month_or_do_not_touch_are_apart():
    series = np.zeros((3, 1, 5))
    series[1, 0, 2] = 1e-7
    np.testing.assert_array_equal(identical_series_labels(series), [[1, 1, 2, 3, 3]])
    series[2, 0, 0] = np.nan
    np.testing.assert_array_equal(identical_series_labels(series), [[1, 2, 3, 4, 4]])


@pytest.mark.parametrize("cells", [1, 17, 40, 10_000])
def test_identical_series_in_strips_as_by_hand(monkeypatch, cells):
    """Mazes of two values, whose parts meet again further down, whatever the rows that are looked at together."""
    monkeypatch.setattr(supports, "CELLS_AT_ONCE", cells)
    random = np.random.default_rng(8)
    for share in (0.1, 0.35, 0.5):
        series = (random.random((2, 23, 17)) < share).astype(np.float32)
        series[:, random.random((23, 17)) < 0.1] = np.nan
        series[1, random.random((23, 17)) < 0.03] = np.nan
        found = identical_series_labels(series)
        assert found.dtype == np.int32
        np.testing.assert_array_equal(found, flooded(series))


def flooded(series):
    """Labels by filling from each cell in reading order over its eight neighbours."""
    labels, count = np.zeros(series.shape[1:], int), 0
    for start in np.ndindex(labels.shape):
        if labels[start] or np.isnan(series[:, *start]).all():
            continue
        count += 1
        waiting = [start]
        while waiting:
            row, column = waiting.pop()
            labels[row, column] = count
            for place in np.ndindex(3, 3):
                r, c = row + place[0] - 1, column + place[1] - 1
                inside = 0 <= r < labels.shape[0] and 0 <= c < labels.shape[1] and not labels[r, c]
                if inside and np.array_equal(series[:, r, c], series[:, row, column], equal_nan=True):
                    waiting.append((r, c))
    return labels


def test_compact_labels_do_not_depend_on_the_parts(monkeypatch):
    ids = np.random.default_rng(9).integers(-2, 60, (31, 14)).astype(float)
    ids[3, 4:9] = np.nan
    whole = compact_labels(ids)
    monkeypatch.setattr(supports, "CELLS_AT_ONCE", 10)
    for ours, theirs in zip(compact_labels(ids), whole, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def test_compact_labels_renumber_and_leave_out_the_outside():
    labels, names = compact_labels(np.array([[np.nan, 7.0, 7.0], [-1.0, 300.0, 0.0]]))
    np.testing.assert_array_equal(labels, [[0, 1, 1], [0, 2, 0]])
    np.testing.assert_array_equal(names, [7, 300])


def test_support_means_and_window_sums():
    rng = np.random.default_rng(1)
    labels = rng.integers(-1, 5, (20, 30))
    labels[labels == 3] = 0
    weights = rng.uniform(0, 1, (20, 30)) * (rng.random((20, 30)) > 0.2)
    values = rng.normal(size=(2, 20, 30))
    values[1, 4:9] = np.nan
    means = support_means(values, labels, weights, 4)
    for month in range(2):
        for label in (1, 2, 4):
            at = (labels == label) & (weights > 0) & np.isfinite(values[month])
            assert means[month, label - 1] == pytest.approx(np.average(values[month][at], weights=weights[at]))
    assert np.isnan(means[:, 2]).all()
    windows = [support_sums(values[:, part], labels[part], weights[part], 4) for part in (slice(0, 7), slice(7, 20))]
    sums, total = (sum(pair) for pair in zip(*windows, strict=True))
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(sums / total, means, rtol=1e-12)


def test_groups_are_compact_even_and_repeatable():
    rng = np.random.default_rng(2)
    positions = rng.uniform(0, 100, (163, 2))
    positions[5] = np.nan
    groups = group_supports(positions, 6)
    np.testing.assert_array_equal(groups, group_supports(positions, 6))
    sizes = np.bincount(groups)
    assert groups[5] == 0 and sizes[0] == 1
    assert groups.max() == 27 and sizes[1:].min() >= 2 and sizes[1:].max() <= 12
    within = [np.ptp(positions[groups == n], axis=0).max() for n in range(1, 28)]
    assert np.median(within) < 35  # the pitch of 27 groups on 100 x 100 is 19
    centre = np.stack([positions[groups == n].mean(0) for n in range(1, 28)])
    used = np.isfinite(positions[:, 0])
    nearest = np.argmin(((positions[used, None] - centre) ** 2).sum(-1), axis=1) + 1
    assert (nearest == groups[used]).mean() > 0.9


def test_positions_narrow_with_latitude():
    labels = np.array([[1, 1, 2, 2], [1, 1, 2, 2]])
    np.testing.assert_allclose(support_positions(labels, np.ones((2, 4))), [[0.5, -1], [0.5, 1]])
    at_sixty = support_positions(labels, np.ones((2, 4)), np.array([60.0, 60.0]))
    np.testing.assert_allclose(at_sixty, [[0.5, -0.5], [0.5, 0.5]])


def test_block_groups_and_their_means():
    groups = block_groups(4, 6, 3)
    expected = np.array([[1, 1, 1, 2, 2, 2]] * 3 + [[3, 3, 3, 4, 4, 4]])
    np.testing.assert_array_equal(groups.reshape(4, 6), expected)
    np.testing.assert_array_equal(block_groups(3, 5, 2).reshape(3, 5)[1:, 3:], [[2, 3], [5, 6]])  # cut at the border
    areas = np.arange(1, 25.0)
    values = np.random.default_rng(3).normal(size=(2, 24))
    values[1, 0] = np.nan
    means = group_means(values, areas, groups)
    at = (groups == 1) & np.isfinite(values[1])
    assert means[1, 0] == pytest.approx(np.average(values[1, at], weights=areas[at]))
    fine = group_labels(np.array([[1, 4, 0], [-1, 22, 24]]), groups)
    np.testing.assert_array_equal(fine, [[1, 2, 0], [0, 4, 4]])


def test_folds_hold_whole_groups_of_even_load():
    groups = np.repeat(np.arange(0, 31), 6)
    folds = blocked_folds(groups, 5, seed=4)
    assert (folds[groups == 0] == -1).all()
    assert all(np.unique(folds[groups == n]).size == 1 for n in range(31))
    assert (np.bincount(folds[groups > 0]) == 36).all()
    np.testing.assert_array_equal(folds, blocked_folds(groups, 5, seed=4))
    assert not np.array_equal(folds, blocked_folds(groups, 5, seed=5))
    assert set(blocked_folds(np.array([1, 1, 2]), 5)) == {0, 1}


def test_bad_input_is_told():
    with pytest.raises(InvalidParameter, match="size of a group"):
        group_supports(np.zeros((4, 2)), 1)
    with pytest.raises(NoUsableData):
        group_supports(np.full((4, 2), np.nan))
    with pytest.raises(InvalidParameter, match="ratio"):
        block_groups(4, 4, 1)
    with pytest.raises(InvalidParameter, match="folds"):
        blocked_folds(np.array([1, 2]), 1)
    with pytest.raises(NoUsableData, match="1 group"):
        blocked_folds(np.array([1, 1]))

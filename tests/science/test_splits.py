"""Folds, climatology and shares: known answers, and what may not leak."""

import numpy as np
import pytest

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.science.splits import (
    NEVER,
    class_folds,
    degree_blocks,
    group_folds,
    held_out_climatology,
    random_fold,
    share_and_error,
    share_per_place,
    year_folds,
)


def test_a_random_fold_holds_the_share_and_follows_the_seed():
    folds = random_fold(1000, 0.3, [4, 2])
    assert (folds == 0).sum() == 300
    assert set(np.unique(folds)) == {NEVER, 0}
    np.testing.assert_array_equal(folds, random_fold(1000, 0.3, [4, 2]))
    assert (folds != random_fold(1000, 0.3, [5, 2])).any()
    assert (random_fold(1, 0.3, 0) == 0).all()


def test_groups_and_classes_stay_whole():
    groups = np.random.default_rng(0).integers(0, 8, 400)
    folds = group_folds(groups, 3, 1)
    for group in range(1, 8):
        assert np.unique(folds[groups == group]).size == 1
    assert (folds[groups == 0] == NEVER).all()
    assert set(np.unique(folds[groups > 0])) == {0, 1, 2}
    assert (group_folds(np.array([0, 5, 5]), 3, 0) == NEVER).all()
    np.testing.assert_array_equal(class_folds(np.array([34, 0, 11, 34, 23])), [2, NEVER, 0, 2, 1])
    assert (class_folds(np.array([11, 11, 0])) == NEVER).all()
    assert (class_folds(np.zeros(4, int)) == NEVER).all()


def test_years_are_consecutive_and_balanced():
    years = np.repeat(np.arange(2002, 2021), 12)
    folds = year_folds(years, 5)
    assert np.unique(folds).size == 5
    assert (np.diff(folds) >= 0).all()
    assert (np.diff(folds)[np.diff(years) == 0] == 0).all()  # no year is in two folds
    assert np.bincount(folds).max() <= 5 * 12
    np.testing.assert_array_equal(year_folds(np.array([2004, 2005, 2004])), [0, 1, 0])
    # One year with nearly all samples leaves no room for five folds, but folds are numbered without holes.
    uneven = year_folds(np.repeat([2001, 2002, 2003], [2, 500, 2]), 5)
    assert set(np.unique(uneven)) == set(range(uneven.max() + 1))
    assert (year_folds(np.full(5, 2004)) == NEVER).all()


def test_degree_blocks_know_the_date_line_and_missing_places():
    longitudes = np.array([0.1, 9.9, 10.1, -179.9, 180.1, np.nan])
    blocks = degree_blocks(longitudes, np.array([5, 5, 5, 5, 5, 5.0]), 10)
    assert blocks[0] == blocks[1] != blocks[2]
    assert blocks[3] == blocks[4]
    assert blocks[5] == 0
    assert degree_blocks(np.zeros(2), np.array([4.9, 5.1]), 5).tolist() == [1, 2]
    with pytest.raises(InvalidParameter):
        degree_blocks(longitudes, longitudes, 0)


def plain_climatology(y, classes, calendar, folds):
    result = np.full(y.size, np.nan)
    for i in np.flatnonzero(folds != NEVER):
        train = folds != folds[i]
        for chosen in (
            train & (classes == classes[i]) & (calendar == calendar[i]),
            train & (calendar == calendar[i]),
            train,
        ):
            if chosen.any():
                result[i] = y[chosen].mean()
                break
    return result


def test_climatology_is_the_mean_of_what_is_not_held_out():
    random = np.random.default_rng(3)
    y, classes, calendar = random.normal(size=300), random.integers(1, 4, 300), random.integers(0, 12, 300)
    folds = random.integers(-1, 3, 300)
    expected = plain_climatology(y, classes, calendar, folds)
    np.testing.assert_allclose(held_out_climatology(y, classes, calendar, folds), expected, rtol=1e-12, atol=1e-12)
    # A class that is left out is told by the same calendar month of the others.
    folds = class_folds(classes)
    expected = plain_climatology(y, classes, calendar, folds)
    np.testing.assert_allclose(held_out_climatology(y, classes, calendar, folds), expected, rtol=1e-12, atol=1e-12)


def test_climatology_knows_nothing_of_its_own_fold():
    random = np.random.default_rng(4)
    y, classes, calendar = random.normal(size=200), np.ones(200, int), random.integers(0, 12, 200)
    folds = random.integers(0, 4, 200)
    changed = y.copy()
    changed[folds == 2] += 100
    before, after = (held_out_climatology(values, classes, calendar, folds) for values in (y, changed))
    np.testing.assert_allclose(before[folds == 2], after[folds == 2], atol=1e-11)
    assert (np.abs(before - after)[folds != 2] > 1).any()


def test_share_and_its_error():
    squares, blocks = np.array([4.0, 4, 2, 2, 1, 1]), np.array([1, 1, 2, 2, 3, 3])
    share, error = share_and_error(squares, squares / 4, blocks)
    assert (share, error) == (pytest.approx(0.75), pytest.approx(0, abs=1e-12))
    left = np.array([0.0, 0, 2, 2, 1, 1])
    share, error = share_and_error(squares, left, blocks)
    without = np.array([0, 1 - 2 / 10, 1 - 4 / 12])  # without blocks 1, 2 and 3
    assert share == pytest.approx(8 / 14)
    assert error == pytest.approx(np.sqrt(2 / 3 * ((without - without.mean()) ** 2).sum()))
    assert np.isnan(share_and_error(squares, left, np.array([1, 1, 1, 2, 2, 2]))[1])
    assert np.isnan(share_and_error(np.zeros(3), np.zeros(3), np.arange(3))[0])


def test_the_share_of_places_leans_on_neighbours_and_class():
    places = np.repeat([0, 1, 2], [6, 3, 3])  # place 3 has no sample
    squares = np.array([4.0] * 6 + [4.0] * 3 + [1.0] * 3)
    left = np.array([1.0] * 6 + [3.0] * 3 + [1.0] * 3)
    neighbours, classes = np.array([1, 1, 2, 2]), np.array([7, 7, 7, 7])
    share = share_per_place(squares, left, places, neighbours, classes, 4)
    # Means of squares: 4, 4, 1; left: 1, 3, 1; of neighbours (4, 2) and (1, 1); of the class 3 and 5/3.
    expected = [1 - (1 + 2 + 5 / 3) / (4 + 4 + 3), 1 - (3 + 2 + 5 / 3) / (4 + 4 + 3), 1 - (1 + 1 + 5 / 3) / (1 + 1 + 3)]
    np.testing.assert_allclose(share[:3], expected)
    assert np.isnan(share[3])
    worse = share_per_place(squares, 9 * squares, places, neighbours, classes, 4)
    np.testing.assert_array_equal(worse[:3], -1)

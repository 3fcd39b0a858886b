"""The area of applicability, against a plain implementation of the paper's definition."""

from __future__ import annotations

import numpy as np
import pytest

from gwsa_qgis.errors import NoUsableData
from gwsa_qgis.science.applicability import find_applicability, mean_distance, upper_whisker


def brute_force(train: np.ndarray, new: np.ndarray, importances: np.ndarray, folds: np.ndarray):
    """Equations of Meyer and Pebesma (2021), section 2, one after the other."""
    centre, width = train.mean(0), train.std(0)
    weights = importances / importances.sum()
    a, b = ((part - centre) / width * weights for part in (train, new))
    between = np.sqrt(((a[:, None] - a[None]) ** 2).sum(-1))
    mean = between[~np.eye(len(a), dtype=bool)].mean()
    index = np.sqrt(((b[:, None] - a[None]) ** 2).sum(-1)).min(1) / mean
    own = np.array([between[i][folds != folds[i]].min() for i in range(len(a))]) / mean
    low, high = np.percentile(own, [25, 75])
    return index, own[own <= high + 1.5 * (high - low)].max(), mean


@pytest.fixture
def samples() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    train = random.normal(size=(300, 4)) * [1, 10, 0.1, 3] + [0, 280, 5, -2]
    new = random.normal(size=(200, 4)) * [2, 20, 0.2, 6] + [0, 280, 5, -2]
    return train, new, np.array([0.5, 0.3, 0.2, 0.0]), np.arange(300) // 60


def test_agrees_with_brute_force(samples):
    train, new, importances, folds = samples
    index, threshold, mean = brute_force(train, new, importances, folds)
    area = find_applicability(train, importances, folds)
    assert area.mean_distance == pytest.approx(mean, rel=1e-5)
    assert area.threshold == pytest.approx(threshold, rel=1e-4)
    np.testing.assert_allclose(area.index()(new), index, rtol=1e-4, atol=1e-5)


def test_a_training_sample_is_like_itself_and_a_far_one_is_outside(samples):
    train, _, importances, folds = samples
    area = find_applicability(train, importances, folds)
    index = area.index()
    np.testing.assert_allclose(index(train), 0, atol=1e-5)
    far = train[:1] + 30 * train.std(0)
    assert index(far)[0] > area.threshold


def test_an_input_without_importance_does_not_matter(samples):
    train, new, importances, folds = samples
    index = find_applicability(train, importances, folds).index()
    elsewhere = new.copy()
    elsewhere[:, 3] += 1e6
    np.testing.assert_array_equal(index(elsewhere), index(new))


def test_missing_inputs_have_no_index(samples):
    train, new, importances, folds = samples
    new[5, 1] = np.nan
    found = find_applicability(train, importances, folds).index()(new)
    assert np.isnan(found[5]) and np.isfinite(np.delete(found, 5)).all()


def test_an_input_that_never_varied_tells_when_it_does(samples):
    train, _, importances, folds = samples
    train[:, 2] = 7.0
    index = find_applicability(train, importances, folds).index()
    changed = train[:1].copy()
    assert index(changed)[0] == pytest.approx(0, abs=1e-5)
    changed[0, 2] = 14.0
    assert index(changed)[0] > 0.1


def test_kept_points_are_the_same_for_the_same_seed(samples):
    train, _, importances, folds = samples
    first, again, other = (find_applicability(train, importances, folds, seed=s, most=100) for s in (1, 1, 2))
    assert len(first.points) == 100
    np.testing.assert_array_equal(first.points, again.points)
    assert (first.points != other.points).any()


def test_mean_distance_and_whisker_by_hand():
    assert mean_distance(np.array([[0.0, 0], [3, 4], [6, 8]])) == pytest.approx((5 + 10 + 5) / 3)
    # Quartiles 2 and 4, whisker up to 7: the 20 is beyond it.
    assert upper_whisker(np.array([1.0, 2, 3, 4, 20])) == 4.0


def test_too_few_samples_say_so():
    with pytest.raises(NoUsableData, match="5 samples are too few"):
        find_applicability(np.eye(5), np.ones(5), np.zeros(5))

"""Randomised search and held-out estimates."""

import numpy as np
import pytest

from gwsa_qgis.errors import Cancelled
from gwsa_qgis.science.cross_validation import detail_weights, held_out_estimates
from gwsa_qgis.science.search import search_parameters

pytest.importorskip("xgboost")
pytest.importorskip("sklearn")


@pytest.fixture(scope="module")
def samples():
    random = np.random.default_rng(2)
    x = random.normal(size=(900, 4)).astype(np.float32)
    return x, (x[:, 0] * x[:, 1]).astype(np.float32), random.integers(0, 3, 900)


def test_search_is_repeatable_and_tells_progress(samples):
    told = []
    first = search_parameters("xgboost", *samples, iterations=2, seed=3, threads=1, progress=told.append)
    assert first == search_parameters("xgboost", *samples, iterations=2, seed=3, threads=1)
    assert set(first[0]) == {"n_estimators", "learning_rate", "max_depth", "min_child_weight"}
    assert 0.3 < first[1] < 1
    assert told == sorted(told)
    assert told[-1] == 1


def test_no_iterations_mean_defaults(samples):
    assert search_parameters("xgboost", *samples, iterations=0)[0] == {}


def test_search_can_be_cancelled(samples):
    def cancel(share):
        raise Cancelled

    with pytest.raises(Cancelled):
        search_parameters("xgboost", *samples, iterations=2, threads=1, progress=cancel)


class MeanOfFold:
    """A learner that says the mean of what it was fitted on."""

    def fit(self, x, y):
        self.mean = y.mean()
        return self

    def predict(self, x):
        return np.full(len(x), self.mean)


def test_held_out_estimates_have_not_seen_their_fold():
    y, folds = np.array([1.0, 1.0, 4.0, 10.0]), np.array([0, 0, 1, -1])
    result = held_out_estimates(MeanOfFold, np.zeros((4, 1)), y, folds)
    np.testing.assert_allclose(result, [7, 7, 4, np.nan])


def weights_of(estimate_of, n=4000, groups=40):
    random = np.random.default_rng(0)
    actual = random.normal(size=n)
    classes, group = np.repeat([13, 23], n // 2), np.arange(n) * groups // n
    return detail_weights(actual, estimate_of(actual, random), classes, group)


def test_weight_is_the_slope_and_lies_between_0_and_1():
    assert weights_of(lambda actual, _: actual).pooled == pytest.approx(1)
    assert weights_of(lambda actual, _: 0.5 * actual).pooled == 1  # never above 1
    assert weights_of(lambda actual, _: 4 * actual).pooled == pytest.approx(0.25)


def test_weight_is_zero_without_skill():
    result = weights_of(lambda actual, random: random.normal(size=actual.size))
    assert result.pooled < 0.03
    assert weights_of(lambda actual, random: -actual).of_class == {13: 0.0, 23: 0.0}


def test_class_weights_differ_and_are_drawn_together():
    def estimate(actual, random):
        half = actual.size // 2
        return np.concatenate([actual[:half], random.normal(size=half)])

    result = weights_of(estimate)
    assert result.of_class[13] > result.pooled > result.of_class[23] > 0

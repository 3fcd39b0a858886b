"""Randomised search."""

import numpy as np
import pytest

from gwsa_qgis.errors import Cancelled
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

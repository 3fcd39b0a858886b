"""Search over parameters: repeatable, judged on the folds that are given, cancelled and gone on with."""

import numpy as np
import pytest

from gwsa_qgis.errors import Cancelled, InvalidParameter, MissingPackage
from gwsa_qgis.science import search
from gwsa_qgis.science.learners import DEFAULTS, LEARNERS, make_learner
from gwsa_qgis.science.linear_floor import PENALTIES
from gwsa_qgis.science.search import search_parameters

pytest.importorskip("xgboost")
pytest.importorskip("sklearn")
NAMES = {
    "xgboost": {"n_estimators", "learning_rate", "max_depth", "min_child_weight"},
    "random_forest": {"n_estimators", "learning_rate", "max_depth", "min_child_weight"},
    "dnn": {"layers", "units", "learning_rate", "alpha"},
    "linear": {"penalty"},
}


@pytest.fixture(scope="module")
def samples():
    random = np.random.default_rng(2)
    x = random.normal(size=(900, 4)).astype(np.float32)
    return x, (x[:, 0] * x[:, 1] + 2 * x[:, 2]).astype(np.float32), random.integers(0, 3, 900)


@pytest.fixture
def quick(monkeypatch):
    """Networks that are trained for an epoch or two."""
    pytest.importorskip("optuna")
    monkeypatch.setitem(DEFAULTS["dnn"], "epochs", 2)


def r2(actual, estimate):
    return 1 - ((actual - estimate) ** 2).sum() / ((actual - actual.mean()) ** 2).sum()


@pytest.mark.parametrize("kind", LEARNERS)
def test_search_is_repeatable_and_tells_progress(samples, quick, kind):
    told = []
    options = {"iterations": 2, "seed": 3, "threads": 1, "shallow": kind == "dnn"}
    parameters, best = search_parameters(kind, *samples, progress=told.append, **options)
    assert (parameters, best) == search_parameters(kind, *samples, **options)
    assert set(parameters) == NAMES[kind]
    assert told == sorted(told)
    assert told[-1] == 1
    # The score is the mean R2 of models fitted without the fold that they are judged on.
    x, y, folds = samples
    scores = []
    for fold in range(3):
        learner = make_learner(kind, parameters, 3, 1).fit(x[folds != fold], y[folds != fold])
        scores.append(r2(y[folds == fold], learner.predict(x[folds == fold])))
    assert best == pytest.approx(np.mean(scores), abs=1e-6)


def test_samples_without_a_fold_are_always_trained_on(samples):
    x, y, folds = samples
    some = np.where(folds == 2, -1, folds)
    parameters, best = search_parameters("xgboost", x, y, some, iterations=1, threads=1)
    scores = []
    for fold in range(2):
        learner = make_learner("xgboost", parameters, 0, 1).fit(x[some != fold], y[some != fold])
        scores.append(r2(y[some == fold], learner.predict(x[some == fold])))
    assert best == pytest.approx(np.mean(scores), abs=1e-6)


def test_blocks_choose_another_penalty_than_random_folds():
    """Inputs that only tell places apart: random folds like them, whole places do not."""
    random = np.random.default_rng(0)
    place = np.repeat(np.arange(30), 40)
    x = random.normal(size=(30, 25)).astype(np.float32)[place]
    y = (random.normal(size=30)[place] + 0.3 * random.normal(size=1200)).astype(np.float32)
    by_chance = search_parameters("linear", x, y, random.integers(0, 5, 1200))
    by_place = search_parameters("linear", x, y, place % 5)
    assert by_chance[1] > 0.5 > 0.1 > by_place[1]
    assert by_place[0]["penalty"] > by_chance[0]["penalty"]
    assert by_place[0]["penalty"] in PENALTIES


def test_no_iterations_mean_defaults(samples):
    assert search_parameters("xgboost", *samples, iterations=0)[0] == {}
    assert search_parameters("xgboost", *samples[:2], np.full(900, -1))[0] == {}


@pytest.mark.parametrize("kind", LEARNERS)
def test_search_can_be_cancelled(samples, quick, kind):
    def cancel(share):
        raise Cancelled

    with pytest.raises(Cancelled):
        search_parameters(kind, *samples, iterations=2, threads=1, progress=cancel)


@pytest.mark.parametrize("kind", ["xgboost", "dnn"])
def test_a_search_that_was_stopped_goes_on(samples, quick, kind):
    kept, made = {}, []

    def remember(key, make):
        if key not in kept:
            if len(made) == 4:
                raise Cancelled
            made.append(key)
            kept[key] = make()
        return kept[key]

    options = {"iterations": 2, "seed": 3, "threads": 1, "shallow": True}
    with pytest.raises(Cancelled):
        search_parameters(kind, *samples, remember=remember, **options)
    assert len(kept) == 4
    made.clear()
    again = search_parameters(kind, *samples, remember=remember, **options)
    assert len(made) == 2  # of two candidates in three folds
    assert again == search_parameters(kind, *samples, **options)
    # Other samples, seeds or folds are other searches.
    for changed in ((samples[0] + 1, *samples[1:]), (*samples[:2], (samples[2] + 1) % 3)):
        made.clear()
        search_parameters(kind, *changed, remember=lambda key, make: made.append(key) or 0.5, **options)
        assert not set(made) & set(kept)


def test_networks_that_lag_behind_are_not_fitted_in_every_fold(samples, quick, monkeypatch):
    tried = []

    class Trial(search._Trial):
        def score(self, parameters, fold):
            # The learning rate decides: candidates below the median need not be tried further.
            tried.append((parameters["learning_rate"], int(fold)))
            return parameters["learning_rate"]

    monkeypatch.setattr(search, "_Trial", Trial)
    told = []
    parameters, best = search_parameters("dnn", *samples, iterations=20, seed=1, progress=told.append)
    assert told[-1] == 1
    assert best == pytest.approx(parameters["learning_rate"])
    assert best == pytest.approx(max(rate for rate, _ in tried))
    folds = {rate: sum(other == rate for other, _ in tried) for rate, _ in tried}
    assert set(folds.values()) == {1, 3}
    assert len(tried) < 60


def test_missing_optuna_is_named(samples, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingPackage, match="pip install optuna"):
        search_parameters("dnn", *samples, iterations=1)


def test_unknown_learners(samples):
    with pytest.raises(InvalidParameter, match="'svm' is unknown"):
        search_parameters("svm", *samples)

"""Learners: they learn, they are the same for any number of threads, and their bytes are their own."""

import numpy as np
import pytest

from gwsa_qgis.errors import Cancelled, InvalidModelFile, InvalidParameter, NoUsableData
from gwsa_qgis.science.booster_check import check_booster
from gwsa_qgis.science.learners import LEARNERS, TreeEnsemble, check_learner
from gwsa_qgis.science.scores import score
from gwsa_qgis.science.ubjson import parse_ubjson

pytest.importorskip("xgboost")


@pytest.fixture(scope="module")
def samples():
    random = np.random.default_rng(1)
    x = random.normal(size=(6000, 6)).astype(np.float32)
    y = (2 * x[:, 0] + np.sin(3 * x[:, 1]) + 0.1 * random.normal(size=6000)).astype(np.float32)
    return x, y


@pytest.mark.parametrize("kind", LEARNERS)
def test_learns_what_is_there(samples, kind):
    x, y = samples
    learner = TreeEnsemble(kind, {"n_estimators": 60}, threads=1).fit(x[:4000], y[:4000])
    assert score(y[4000:], learner.predict(x[4000:])).r2 > 0.85
    importances = learner.importances(list("abcdef"))
    assert set(list(importances)[:2]) == {"a", "b"}
    assert sum(importances.values()) == pytest.approx(1)


@pytest.mark.parametrize("kind", LEARNERS)
def test_same_bytes_for_any_number_of_threads(samples, kind):
    x, y = samples
    fitted = [TreeEnsemble(kind, {"n_estimators": 12}, seed=4, threads=t).fit(x, y).to_bytes() for t in (1, 2, 3)]
    assert fitted[0] == fitted[1] == fitted[2]
    other = TreeEnsemble(kind, {"n_estimators": 12}, seed=5, threads=1).fit(x, y).to_bytes()
    assert other != fitted[0]


def test_bytes_give_the_same_estimates(samples):
    x, y = samples
    learner = TreeEnsemble("xgboost", {"n_estimators": 20}, threads=1).fit(x, y)
    again = TreeEnsemble.from_bytes(learner.to_bytes(), learner.describe(), threads=1)
    np.testing.assert_array_equal(again.predict(x), learner.predict(x))
    assert again.describe()["parameters"] == learner.describe()["parameters"]


def test_a_row_does_not_depend_on_the_others(samples):
    x, y = samples
    learner = TreeEnsemble("xgboost", {"n_estimators": 20}, threads=1).fit(x, y)
    whole = learner.predict(x)
    np.testing.assert_array_equal(np.concatenate([learner.predict(part) for part in np.split(x, [1, 70, 4111])]), whole)
    assert learner.predict(x[:0]).shape == (0,)


def test_intercept_is_the_mean_of_a_constant_target(samples):
    x, _ = samples
    learner = TreeEnsemble("xgboost", {"n_estimators": 5}, threads=1).fit(x, np.full(len(x), 7.25, np.float32))
    np.testing.assert_allclose(learner.predict(x[:5]), 7.25, rtol=1e-6)


@pytest.mark.parametrize("data", [b"", b"not a booster", b"{}", b"\x00" * 200])
def test_damaged_bytes_are_refused(data):
    with pytest.raises(InvalidModelFile):
        TreeEnsemble.from_bytes(data, {"kind": "xgboost", "parameters": {}})


def test_truncated_bytes_are_refused(samples):
    learner = TreeEnsemble("xgboost", {"n_estimators": 5}, threads=1).fit(*samples)
    data = learner.to_bytes()
    for end in (1, 10, len(data) // 3, len(data) - 200, len(data) - 1):
        with pytest.raises(InvalidModelFile):
            TreeEnsemble.from_bytes(data[:end], learner.describe())
    with pytest.raises(InvalidModelFile, match="too many"):
        TreeEnsemble.from_bytes(data + b"}", learner.describe())


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("left_children", 10_000, "not in its tree"),
        ("right_children", 0, "not in its tree"),  # a circle
        ("split_indices", 77, "input that is not there"),
    ],
)
def test_trees_that_would_lead_astray_are_refused(samples, name, value, match):
    learner = TreeEnsemble("xgboost", {"n_estimators": 3}, threads=1).fit(*samples)
    data = bytearray(learner.to_bytes())
    start = data.index(name.encode() + b"[$l#L") + len(name) + 5 + 8
    data[start : start + 4] = value.to_bytes(4, "big")
    with pytest.raises(InvalidModelFile, match=match):
        TreeEnsemble.from_bytes(bytes(data), learner.describe())


def test_checked_bytes_are_what_xgboost_reads(samples):
    learner = TreeEnsemble("random_forest", {"n_estimators": 4}, threads=1).fit(*samples)
    assert check_booster(learner.to_bytes()) == 6
    trees = parse_ubjson(learner.to_bytes())["learner"]["gradient_booster"]["model"]["trees"]
    table = learner._booster.trees_to_dataframe()
    assert [len(tree["parents"]) for tree in trees] == table.groupby("Tree").size().tolist()


def test_number_of_inputs_is_checked(samples):
    x, y = samples
    learner = TreeEnsemble("xgboost", {"n_estimators": 5}, threads=1).fit(x, y)
    with pytest.raises(InvalidParameter, match="5 inputs were given to a model of 6"):
        learner.predict(x[:, :5])
    with pytest.raises(InvalidModelFile, match="takes 6 inputs"):
        TreeEnsemble.from_bytes(learner.to_bytes(), learner.describe() | {"inputs": 9})


def test_too_few_samples(samples):
    with pytest.raises(NoUsableData, match="needs at least"):
        TreeEnsemble().fit(samples[0][:5], samples[1][:5])


def test_unknown_learners_are_named():
    with pytest.raises(InvalidParameter, match="'dnn' is not built yet"):
        check_learner("dnn")
    with pytest.raises(InvalidParameter, match="'forest' is unknown"):
        check_learner("forest")


def test_cancel_while_fitting(samples):
    def cancel(share):
        if share > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        TreeEnsemble("xgboost", {"n_estimators": 50}, threads=1).fit(*samples, progress=cancel)

"""Trees: bytes that could lead XGBoost astray are refused, forests are forests, contributions add up."""

import numpy as np
import pytest

from gwsa_qgis.errors import InvalidModelFile, InvalidParameter
from gwsa_qgis.science.booster_check import check_booster
from gwsa_qgis.science.learners import TreeEnsemble
from gwsa_qgis.science.scores import score
from gwsa_qgis.science.ubjson import parse_ubjson

xgboost = pytest.importorskip("xgboost")


@pytest.fixture(scope="module")
def samples():
    random = np.random.default_rng(1)
    x = random.normal(size=(6000, 6)).astype(np.float32)
    y = (2 * x[:, 0] + np.sin(3 * x[:, 1]) + 0.1 * random.normal(size=6000)).astype(np.float32)
    return x, y


def test_bytes_give_the_same_estimates(samples):
    x, y = samples
    learner = TreeEnsemble("xgboost", {"n_estimators": 20}, seed=3, threads=1).fit(x, y)
    again = TreeEnsemble.from_bytes(learner.to_bytes(), learner.describe(), threads=1)
    np.testing.assert_array_equal(again.predict(x), learner.predict(x))
    assert again.describe() == learner.describe()


def test_only_trees_are_taken():
    with pytest.raises(InvalidParameter, match="'dnn' are unknown"):
        TreeEnsemble("dnn")


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
    with pytest.raises(InvalidModelFile, match="takes 6 inputs"):
        TreeEnsemble.from_bytes(data, learner.describe() | {"inputs": 9})


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("left_children", 10_000, "not in its tree"),
        ("right_children", 0, "not in its tree"),  # a circle
        ("split_indices", 77, "input that is not there"),
        ("parents", 7, "another parent"),
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


def test_a_forest_grown_tree_by_tree_is_as_good_as_xgboosts_own(samples):
    x, y = samples
    ours = TreeEnsemble("random_forest", {"n_estimators": 40, "max_depth": 8}, threads=1).fit(x[:4000], y[:4000])
    one_round = {"n_estimators": 1, "num_parallel_tree": 40, "learning_rate": 1.0}
    own = xgboost.XGBRegressor(
        **one_round, max_depth=8, min_child_weight=5, subsample=0.8, colsample_bynode=0.5, reg_lambda=1e-5, n_jobs=1
    ).fit(x[:4000], y[:4000])
    errors = [score(y[4000:], estimate).rmse for estimate in (ours.predict(x[4000:]), own.predict(x[4000:]))]
    assert errors[0] == pytest.approx(errors[1], rel=0.05)
    # Trees of a forest know nothing of each other: a half of them estimates the same, on average.
    half = ours._booster[:20].inplace_predict(x[4000:]) - y.mean()
    whole = ours.predict(x[4000:]) - y.mean()
    assert np.polyfit(whole, half, 1)[0] == pytest.approx(0.5, abs=0.03)


def test_boosted_trees_are_those_of_xgboosts_own_objective(samples):
    """But for the rounding of gradients, which keeps sums the same for any number of threads."""
    x, y = samples
    ours = TreeEnsemble("xgboost", {"n_estimators": 15}, seed=2, threads=1).fit(x, y)
    options = {"seed": 2, "nthread": 1, "max_depth": 5, "learning_rate": 0.12, "min_child_weight": 30}
    options |= {"subsample": 0.8, "colsample_bytree": 0.7, "base_score": float(y.mean())}
    own = xgboost.train(options, xgboost.QuantileDMatrix(x, label=y), 15)
    np.testing.assert_allclose(ours.predict(x), own.inplace_predict(x), atol=0.02)


def test_contributions_are_shapley_values(samples):
    x, y = samples
    learner = TreeEnsemble("xgboost", {"n_estimators": 20}, threads=1).fit(x, y)
    shares = learner.contributions(x[:500], list("abcdef"))
    assert list(shares)[:2] == ["a", "b"]
    assert sum(shares.values()) == pytest.approx(1)
    values = learner._booster.predict(xgboost.DMatrix(x[:500]), pred_contribs=True)
    np.testing.assert_allclose(values.sum(1), learner.predict(x[:500]), rtol=1e-3, atol=1e-3)

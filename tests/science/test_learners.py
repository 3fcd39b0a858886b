"""Learners: they learn, they are the same for any number of threads and however samples come, and files hold them whole."""

import json
import sys

import numpy as np
import pytest

from gwsa_qgis.errors import Cancelled, InvalidModelFile, InvalidParameter, MissingPackage, NoUsableData
from gwsa_qgis.science import boosters, learning
from gwsa_qgis.science.learners import (
    LEARNERS,
    TREES,
    Parts,
    check_learner,
    load_learner,
    make_learner,
    package_versions,
    require_packages,
)
from gwsa_qgis.science.learning import batches
from gwsa_qgis.science.scores import score

pytest.importorskip("xgboost")
pytest.importorskip("sklearn")

SMALL = {
    "xgboost": {"n_estimators": 12},
    "random_forest": {"n_estimators": 12},
    "dnn": {"layers": 2, "units": 24, "learning_rate": 0.005, "epochs": 8},
    "linear": {},
}
# Least R2 on new samples of a target that is linear but for a sine.
LEARNED = {"xgboost": 0.9, "random_forest": 0.85, "dnn": 0.95, "linear": 0.85}


@pytest.fixture(scope="module")
def samples():
    random = np.random.default_rng(1)
    x = random.normal(size=(6000, 6)).astype(np.float32)
    y = (2 * x[:, 0] + np.sin(3 * x[:, 1]) + 0.1 * random.normal(size=6000)).astype(np.float32)
    return x, y


@pytest.fixture(scope="module")
def fitted(samples):
    """One small learner of each kind."""
    return {kind: make_learner(kind, SMALL[kind], 4, 1).fit(*samples) for kind in LEARNERS}


def same(left, right):
    a, b = left.save(), right.save()
    assert a.booster == b.booster
    assert set(a.arrays) == set(b.arrays)
    return all(np.array_equal(a.arrays[name], b.arrays[name]) for name in a.arrays)


@pytest.mark.parametrize("kind", LEARNERS)
def test_learns_what_is_there(samples, kind):
    x, y = samples
    parameters = SMALL[kind] | ({"n_estimators": 60} if kind in TREES else {})
    learner = make_learner(kind, parameters, 0, 1).fit(x[:4000], y[:4000])
    assert score(y[4000:], learner.predict(x[4000:])).r2 > LEARNED[kind]
    importances = learner.importances(list("abcdef"))
    assert set(list(importances)[:2]) == {"a", "b"} if kind != "linear" else list(importances)[0] == "a"
    assert sum(importances.values()) == pytest.approx(1)
    assert list(importances.values()) == sorted(importances.values(), reverse=True)


@pytest.mark.parametrize("kind", LEARNERS)
def test_same_bytes_for_any_number_of_threads(samples, fitted, kind):
    for threads in (2, 3):
        assert same(make_learner(kind, SMALL[kind], 4, threads).fit(*samples), fitted[kind])
    if kind != "linear":  # which draws nothing
        other = make_learner(kind, SMALL[kind], 5, 1).fit(*samples)
        assert not np.array_equal(other.predict(samples[0]), fitted[kind].predict(samples[0]))


@pytest.mark.parametrize("kind", LEARNERS)
def test_streamed_samples_give_the_same_bytes(samples, fitted, kind, monkeypatch):
    x, y = samples
    passes = []

    def source():
        passes.append(0)
        for start in range(0, 6000, 437):
            yield x[start : start + 437], y[start : start + 437]

    assert same(make_learner(kind, SMALL[kind], 4, 1).fit(source), fitted[kind])
    assert passes
    # Samples of several batches: the sketch of the bins, the sums and the shuffling see them one after the other.
    monkeypatch.setattr(learning.batches, "__defaults__", (None, 1000))
    monkeypatch.setattr("gwsa_qgis.science.network_fit.ROWS_SHUFFLED", 1000)
    whole = make_learner(kind, SMALL[kind], 4, 1).fit(x, y)
    assert same(make_learner(kind, SMALL[kind], 4, 2).fit(source), whole)
    assert abs(score(y, whole.predict(x)).r2 - score(y, fitted[kind].predict(x)).r2) < 0.05


@pytest.mark.parametrize("kind", TREES)
def test_bins_on_disk_give_the_same_bytes(samples, fitted, kind, tmp_path):
    learner = make_learner(kind, SMALL[kind], 4, 1, cache=tmp_path).fit(*samples)
    assert same(learner, fitted[kind])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", LEARNERS)
def test_files_give_the_same_estimates(samples, fitted, kind):
    learner = fitted[kind]
    description = json.loads(json.dumps(learner.describe()))
    parts = learner.save()
    assert all(array.dtype.kind == "f" for array in parts.arrays.values())
    again = load_learner(Parts(parts.booster, {k: a.copy() for k, a in parts.arrays.items()}), description, 1)
    np.testing.assert_array_equal(again.predict(samples[0]), learner.predict(samples[0]))
    assert again.describe() == learner.describe()
    assert again.importances(list("abcdef")) == learner.importances(list("abcdef"))


@pytest.mark.parametrize("kind", LEARNERS)
def test_a_row_does_not_depend_on_the_others(samples, fitted, kind):
    x, learner = np.tile(samples[0], (3, 1)), fitted[kind]
    whole = learner.predict(x)
    np.testing.assert_array_equal(np.concatenate([learner.predict(part) for part in np.split(x, [1, 70, 4111])]), whole)
    np.testing.assert_array_equal(learner.predict(x[::-1], threads=2)[::-1], whole)
    assert whole.dtype == np.float32
    assert learner.predict(x[:0]).shape == (0,)


@pytest.mark.parametrize("kind", LEARNERS)
def test_a_constant_target(samples, kind):
    learner = make_learner(kind, SMALL[kind], 0, 1).fit(samples[0], np.full(6000, 7.25, np.float32))
    np.testing.assert_allclose(learner.predict(samples[0][:5]), 7.25, rtol=1e-6 if kind != "dnn" else 0.05)


@pytest.mark.parametrize("kind", LEARNERS)
def test_an_input_that_never_changes(samples, kind):
    x = np.column_stack([samples[0], np.full(6000, 3.5, np.float32)])
    learner = make_learner(kind, SMALL[kind], 0, 1).fit(x, samples[1])
    assert np.isfinite(learner.predict(x)).all()
    assert learner.importances(list("abcdefg"))["g"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("kind", LEARNERS)
def test_number_of_inputs_is_checked(samples, fitted, kind):
    with pytest.raises(InvalidParameter, match="5 inputs were given to a model of 6"):
        fitted[kind].predict(samples[0][:, :5])
    with pytest.raises(InvalidParameter, match="not been fitted"):
        make_learner(kind).predict(samples[0])
    with pytest.raises(InvalidModelFile):
        load_learner(fitted[kind].save(), fitted[kind].describe() | {"inputs": 9})


@pytest.mark.parametrize("kind", LEARNERS)
def test_too_few_samples(samples, kind):
    with pytest.raises(NoUsableData, match="has 5 samples and needs at least"):
        make_learner(kind).fit(samples[0][:5], samples[1][:5])
    with pytest.raises(NoUsableData, match="has 0 samples"):
        make_learner(kind).fit(lambda: iter([]))


@pytest.mark.parametrize("kind", LEARNERS)
def test_values_that_are_not_finite(samples, kind):
    y = samples[1].copy()
    y[7] = np.nan
    with pytest.raises(NoUsableData, match="not finite"):
        make_learner(kind, SMALL[kind]).fit(samples[0], y)
    x = samples[0].copy()
    x[11, 3] = np.inf
    with pytest.raises(NoUsableData, match="not finite"):
        make_learner(kind, SMALL[kind]).fit(x, samples[1])


@pytest.mark.parametrize("kind", LEARNERS)
def test_cancel_while_fitting(samples, kind):
    told = []

    def cancel(share):
        told.append(share)
        if share > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        make_learner(kind, SMALL[kind], 0, 1).fit(*samples, progress=cancel)
    assert told == sorted(told)


@pytest.mark.parametrize("kind", LEARNERS)
def test_cancel_while_samples_are_read(samples, kind):
    def source():
        yield samples
        raise Cancelled

    with pytest.raises(Cancelled):
        make_learner(kind, SMALL[kind], 0, 1).fit(source)


def test_batches_have_one_size(samples):
    x, y = samples
    sizes = [1, 999, 1, 4000, 0, 999]

    def source():
        buffer = np.empty((4000, 6), np.float32)  # used again, as a reader may
        start = 0
        for size in sizes:
            buffer[:size] = x[start : start + size]
            yield buffer[:size], y[start : start + size]
            start += size

    found = [(a.copy(), b.copy()) for a, b in batches(source, rows=1000)]
    assert [b.size for _, b in found] == [1000] * 6
    np.testing.assert_array_equal(np.concatenate([a for a, _ in found]), x)
    np.testing.assert_array_equal(np.concatenate([b for _, b in found]), y)
    with pytest.raises(InvalidParameter, match="samples of shape"):
        list(batches(x, y[:-1]))
    with pytest.raises(InvalidParameter, match="tables of 6 inputs"):
        list(batches(lambda: [(x, y), (x[:, :4], y)]))


def test_unknown_learners_and_devices_are_named():
    with pytest.raises(InvalidParameter, match="'forest' is unknown"):
        check_learner("forest")
    with pytest.raises(InvalidParameter, match="device 'tpu' is unknown"):
        make_learner("xgboost", device="tpu")
    for kind in ("dnn", "linear"):
        with pytest.raises(InvalidParameter, match=f"learner {kind} is fitted on the CPU"):
            make_learner(kind, device="cuda")


def test_a_gpu_that_is_not_there(samples, monkeypatch):
    monkeypatch.setattr(boosters, "_why_no_gpu", lambda: "xgboost finds no GPU")
    with pytest.raises(InvalidParameter, match=r"cuda was asked for and xgboost finds no GPU; choose auto or cpu"):
        make_learner("xgboost", device="cuda")
    assert boosters.resolve_device("auto") == "cpu"
    make_learner("random_forest", SMALL["random_forest"], device="auto").fit(*samples)


def test_a_gpu_is_told_by_what_xgboost_takes(monkeypatch):
    xgb, why = boosters.import_xgboost(), boosters._why_no_gpu.__wrapped__
    if xgb.build_info().get("USE_CUDA"):
        pytest.skip("this xgboost was built with CUDA")
    assert why() == "the installed xgboost was built without it"
    monkeypatch.setattr(xgb, "build_info", lambda: {"USE_CUDA": True})
    assert why() in ("xgboost finds no GPU", "no GPU works with the installed xgboost")


@pytest.mark.parametrize(
    ("package", "call", "install"),
    [
        ("xgboost", lambda: require_packages("xgboost"), "xgboost-cpu"),
        ("sklearn", lambda: require_packages("random_forest", search=True), "scikit-learn"),
        ("sklearn", lambda: require_packages("dnn"), "scikit-learn"),
        ("optuna", lambda: require_packages("dnn", search=True), "optuna"),
    ],
)
def test_missing_packages_are_named(package, call, install, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackage, match=f"pip install {install}"):
        call()


def test_networks_and_linear_models_need_no_package_to_predict(samples, fitted, monkeypatch):
    for package in ("xgboost", "sklearn", "sklearn.neural_network", "optuna"):
        monkeypatch.setitem(sys.modules, package, None)
    require_packages("linear", search=True)
    assert package_versions("linear") == {}
    for kind in ("dnn", "linear"):
        again = load_learner(fitted[kind].save(), fitted[kind].describe(), 1)
        np.testing.assert_array_equal(again.predict(samples[0]), fitted[kind].predict(samples[0]))


@pytest.mark.parametrize("kind", LEARNERS)
@pytest.mark.parametrize(
    "lie",
    [
        {"kind": "svm"},
        {"kind": None},
        {"parameters": "many"},
        {"parameters": None},
        {"seed": "x"},
        {"inputs": -1},
        {"inputs": "six"},
        {"inputs": 7},
    ],
)
def test_descriptions_that_lie_are_refused(fitted, kind, lie):
    with pytest.raises(InvalidModelFile):
        load_learner(fitted[kind].save(), fitted[kind].describe() | lie)


@pytest.mark.parametrize("kind", LEARNERS)
def test_parts_of_another_learner_are_refused(fitted, kind):
    for other in LEARNERS:
        if other != kind and not {other, kind} <= set(TREES):
            with pytest.raises(InvalidModelFile):
                load_learner(fitted[other].save(), fitted[kind].describe())
    with pytest.raises(InvalidModelFile):
        load_learner(Parts(), fitted[kind].describe())


@pytest.mark.parametrize("kind", ["dnn", "linear"])
def test_damaged_arrays_are_refused(fitted, kind):
    parts, description = fitted[kind].save(), fitted[kind].describe()
    for name, array in parts.arrays.items():
        wrong = {
            "shape": array[..., :-1],
            "dimensions": array[None],
            "integers": array.astype(int),
            "text": np.full(array.shape, "a"),
            "nan": np.where(np.arange(array.size).reshape(array.shape) == 0, np.nan, array),
            "infinite": array + np.inf,
            "huge": np.full(array.shape, 1e39),
        }
        for what, changed in wrong.items():
            with pytest.raises(InvalidModelFile):
                pytest.fail(f"{name} {what}: {load_learner(Parts(None, parts.arrays | {name: changed}), description)}")
        with pytest.raises(InvalidModelFile):
            load_learner(Parts(None, {k: a for k, a in parts.arrays.items() if k != name}), description)
    for name in {"scale", "width", "tops"} & set(parts.arrays):
        with pytest.raises(InvalidModelFile):
            load_learner(Parts(None, parts.arrays | {name: parts.arrays[name] * 0}), description)

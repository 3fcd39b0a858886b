"""Every kind of learner goes through training, its file and prediction, with both presets; lying files are refused."""

import json
import zipfile

import numpy as np
import pytest

from gwsa_qgis.errors import InvalidModelFile, InvalidParameter, MissingPackage
from gwsa_qgis.rasters.stack import MonthlyStack, write_stack
from gwsa_qgis.science.learners import DEFAULTS
from gwsa_qgis.steps.model_file import read_model
from gwsa_qgis.steps.predict import predict
from gwsa_qgis.steps.trained_model import TrainedModel
from gwsa_qgis.steps.trainmodels import trainmodels

pytest.importorskip("xgboost")
pytest.importorskip("sklearn")
SMALL = {
    "dnn": {"layers": 3, "units": 16, "epochs": 6, "learning_rate": 0.005},
    "random_forest": {"n_estimators": 8},
    "linear": {},
}
CASES = [(kind, preset) for kind in SMALL for preset in ("recommended", "published")]


@pytest.fixture(scope="module")
def small_learners():
    with pytest.MonkeyPatch.context() as patch:
        for kind, parameters in SMALL.items():
            for name, value in parameters.items():
                patch.setitem(DEFAULTS[kind], name, value)
        yield


@pytest.fixture(scope="module")
def models(small_learners, downscaling_region, tmp_path_factory):
    """A model file of each kind and preset."""
    folder, region = tmp_path_factory.mktemp("kinds"), downscaling_region
    for kind, preset in CASES:
        trainmodels(
            region.target,
            region.coarse,
            folder / f"{kind}_{preset}.gwsa",
            aquifers=region.classes_coarse,
            preset=preset,
            mascons=region.mascons,
            learner=kind,
            splits=("blocks",),
            samples=1500,
            search_iterations=0,
            seed=2,
            threads=1,
        )
    return folder


@pytest.mark.parametrize(("kind", "preset"), CASES)
def test_from_training_to_prediction(models, downscaling_region, tmp_path, kind, preset):
    region, path = downscaling_region, models / f"{kind}_{preset}.gwsa"
    manifest = read_model(path).manifest
    for entry in manifest["models"].values():
        assert entry["learner"]["kind"] == kind
        assert entry["learner"]["seed"] == 2
        assert SMALL[kind].items() <= entry["learner"]["parameters"].items()
        assert sum(entry["importances"].values()) == pytest.approx(1)
        assert set(entry["importances"]) == set(manifest["inputs"])
    assert ("xgboost" in manifest["versions"]) == (kind == "random_forest")
    # Members: boosters for trees, arrays of numbers for the others.
    with zipfile.ZipFile(path) as archive:
        assert any(name.endswith(".ubj") for name in archive.namelist()) == (kind == "random_forest")
    values = []
    for number, options in enumerate(({"threads": 1}, {"threads": 2, "memory_mb": 1.0})):
        output = tmp_path / f"{number}.tif"
        predict(path, region.fine, output, aquifers=region.classes, mask=region.mask, **options)
        with MonthlyStack(output) as stack:
            values.append(stack.read())
    np.testing.assert_array_equal(np.isfinite(values[0]), np.isfinite(region.truth))
    np.testing.assert_array_equal(values[0], values[1])
    if preset == "published":
        months = np.arange(len(region.truth)) != 5  # that month was not observed
        valid = np.isfinite(values[0][months])
        assert np.corrcoef(values[0][months][valid], region.truth[months][valid])[0, 1] > 0.5


@pytest.mark.parametrize("kind", ["dnn", "linear"])
@pytest.mark.parametrize("preset", ["recommended", "published"])
def test_same_seed_same_bytes_for_any_number_of_threads(small_learners, downscaling_region, tmp_path, kind, preset):
    region, files = downscaling_region, []
    with MonthlyStack(region.target) as stack:
        write_stack(tmp_path / "short.tif", stack.grid, stack.months[:3], stack.read(bands=[0, 1, 2]))
    for threads in (1, 2):
        path = tmp_path / f"{threads}.gwsa"
        options = {"preset": preset, "mascons": region.mascons, "search_iterations": 0, "samples": 400, "seed": 7}
        trainmodels(tmp_path / "short.tif", region.coarse, path, threads=threads, learner=kind, **options)
        files.append(path.read_bytes())
    assert files[0] == files[1]


def test_networks_are_searched_on_groups(downscaling_region, tmp_path, monkeypatch):
    pytest.importorskip("optuna")
    monkeypatch.setitem(DEFAULTS["dnn"], "epochs", 1)
    region = downscaling_region
    with MonthlyStack(region.target) as stack:
        write_stack(tmp_path / "short.tif", stack.grid, stack.months[:3], stack.read(bands=[0, 1, 2]))
    path, options = tmp_path / "m.gwsa", {"search_iterations": 1, "samples": 150, "threads": 1, "learner": "dnn"}
    trainmodels(tmp_path / "short.tif", region.coarse, path, mascons=region.mascons, splits=("blocks",), **options)
    found = read_model(path).manifest["models"]["pooled"]["learner"]["parameters"]
    assert found["units"] in range(128, 257, 64)
    assert found["learning_rate"] != DEFAULTS["dnn"]["learning_rate"]


def test_a_lacking_package_is_named_before_any_work(downscaling_region, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "optuna", None)
    region = downscaling_region
    with pytest.raises(MissingPackage, match="pip install optuna"):
        trainmodels(region.target, region.coarse, tmp_path / "m.gwsa", learner="dnn", search_iterations=1)
    assert not list(tmp_path.iterdir())


def test_unknown_learners(downscaling_region, tmp_path):
    region = downscaling_region
    with pytest.raises(InvalidParameter, match="learner 'forest' is unknown; choose xgboost or random_forest or dnn"):
        trainmodels(region.target, region.coarse, tmp_path / "m.gwsa", learner="forest")


def changed_file(path, target, name, change):
    """A copy of a model file with one array, or the manifest, changed."""
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(target, "w") as written:
        for member in archive.namelist():
            data = archive.read(member)
            if member == name:
                data = change(data)
            if data is not None:
                written.writestr(member, data)
    return target


def with_array(change):
    """Change an array's bytes through its values."""
    import io

    def apply(data):
        stream = io.BytesIO()
        np.save(stream, change(np.load(io.BytesIO(data))))
        return stream.getvalue()

    return apply


ARRAYS = {"dnn": ("weights_1", "biases_0", "width", "tops", "low"), "linear": ("coefficients", "centre", "intercept")}
FAULTS = {
    "absent": lambda data: None,
    "cut": lambda data: data[:-3],
    "nan": with_array(lambda a: a * np.float32(np.nan)),
    "infinite": with_array(lambda a: a + np.float32(np.inf)),
    "shorter": with_array(lambda a: a[:-1]),
    "turned": with_array(lambda a: a[None]),
    "integers": with_array(lambda a: a.astype(np.int32)),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("kind", "array"), [(kind, array) for kind, names in ARRAYS.items() for array in names])
def test_damaged_arrays_are_refused(models, tmp_path, kind, array, fault):
    name = f"arrays/pooled__{array}.npy"
    path = changed_file(models / f"{kind}_recommended.gwsa", tmp_path / "m.gwsa", name, FAULTS[fault])
    with pytest.raises(InvalidModelFile):
        TrainedModel.from_file(read_model(path))


LIES = {
    "every kind": [{"kind": "xgb"}, {"kind": None}, {"inputs": 3}, {"parameters": [1]}, {"seed": {}}],
    "dnn": [
        {"kind": "linear"},
        {"kind": "random_forest"},
        {"inputs": None},
        {"parameters": {"layers": 5000, "units": 16}},
        {"parameters": {"layers": 3, "units": 10**9}},
        {"parameters": {"layers": 2, "units": 16}},
    ],
    "linear": [{"kind": "dnn"}, {"kind": "xgboost"}, {"inputs": None}],
    "random_forest": [{"kind": "dnn"}, {"kind": "linear"}],
}


@pytest.mark.parametrize(("kind", "lie"), [(kind, lie) for kind in SMALL for lie in LIES["every kind"] + LIES[kind]])
def test_manifests_that_lie_are_refused(models, tmp_path, kind, lie):
    def change(data):
        manifest = json.loads(data)
        manifest["models"]["pooled"]["learner"] |= lie
        return json.dumps(manifest).encode()

    path = changed_file(models / f"{kind}_recommended.gwsa", tmp_path / "m.gwsa", "manifest.json", change)
    with pytest.raises(InvalidModelFile):
        TrainedModel.from_file(read_model(path))

"""Bad input gives one sentence that says what was wrong, what was given and what to do, and no output file."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

# Inputs of each step (an argument by itself is the small input of that name), and its outputs.
STEPS = {
    "accumulate": ({"input": "gwsa"}, {"output": ".tif"}),
    "applymask": ({"input": "corrected", "mask": "mask"}, {"output": ".tif"}),
    "aquiferclasses": (
        {"input": "aquifers", "template": "template", "factor": 2},
        {"output": ".tif", "coarse": ".tif"},
    ),
    "basemask": ({"inputs": ["mask", "classes"]}, {"output": ".tif"}),
    "consistency": (
        {"fine": "corrected", "coarse": "gwsa", "aquifers": "classes_coarse", "mascons": "mascons"},
        {"metrics": ".csv", "report": ".html"},
    ),
    "correctresiduals": (
        {"prediction": "corrected", "target": "gwsa", "mascons": "mascons"},
        {"output": ".tif", "closure": ".csv"},
    ),
    "fillgaps": (
        {"input": "twsa", "mascons": "mascons", "long_modes": 2, "short_modes": 2},
        {"output": ".tif", "error_short": ".tif", "error_long": ".tif", "flags": ".tif"},
    ),
    "glaciermask": ({"glaciers": "aquifers", "template": "template"}, {"output": ".tif"}),
    "importgldas": (
        {"inputs": None, "folder": "bare", "template": "gwsa"},
        {"sms": ".tif", "swe": ".tif", "cws": ".tif"},
    ),
    "importgrace": ({"input": "text"}, {"output": ".tif", "land_mask": ".tif", "mascons": ".tif"}),
    "monthlystack": ({"inputs": ["gwsa"]}, {"output": ".tif"}),
    "predict": (
        {"model": "model", "predictors": "fine", "aquifers": "classes", "mask": "mask"},
        {"output": ".tif"},
    ),
    "preparepredictors": (
        {"inputs": ["corrected"], "template": "template", "factor": 2, "mask": "mask"},
        {"fine": "", "coarse": ""},
    ),
    "sampleregion": ({"size": 2, "factor": 2, "start": "2004-01", "end": "2004-06"}, {"folder": ""}),
    "trainmodels": (
        {"target": "gwsa", "predictors": "coarse", "aquifers": "classes_coarse", "search_iterations": 0},
        {"model": ".gwsa", "metrics": ".csv", "report": ".html"},
    ),
    "trend": (
        {"input": "corrected"},
        {"slope": ".tif", "p_value": ".tif", "p_plain": ".tif", "classes": ".tif", "report": ".html"},
    ),
    "validatewells": (
        {"gwsa": "corrected", "wells": "well_points", "levels": "levels", "coarse": "gwsa"},
        {"metrics": ".csv", "report": ".html", "output": ".gpkg"},
    ),
    "waterbalance": ({"twsa": "twsa", "sms": "sms", "swe": "swe", "cws": "cws"}, {"output": ".tif"}),
    "watermask": ({"inputs": ["jrc"], "template": "template"}, {"output": ".tif"}),
}
STACKS = [
    *[("accumulate", "input"), ("consistency", "fine"), ("consistency", "coarse"), ("correctresiduals", "prediction")],
    *[("correctresiduals", "target"), ("fillgaps", "input"), ("trainmodels", "target"), ("trend", "input")],
    *[("validatewells", "gwsa"), ("validatewells", "coarse"), ("waterbalance", "twsa"), ("waterbalance", "sms")],
    *[("waterbalance", "swe"), ("waterbalance", "cws"), ("waterbalance", "observed")],
]
RASTERS = [
    *[("applymask", "input"), ("applymask", "mask"), ("aquiferclasses", "template"), ("glaciermask", "template")],
    *[("basemask", "inputs"), ("consistency", "aquifers"), ("consistency", "mascons"), ("correctresiduals", "mascons")],
    *[("correctresiduals", "mask"), ("fillgaps", "mascons"), ("importgldas", "template"), ("monthlystack", "inputs")],
    *[("predict", "aquifers"), ("predict", "mask"), ("preparepredictors", "inputs"), ("preparepredictors", "mask")],
    *[("preparepredictors", "template"), ("trainmodels", "aquifers"), ("trainmodels", "mascons")],
    *[("watermask", "inputs"), ("watermask", "template"), ("glaciermask", "ice_sheet"), *STACKS],
]
ALIGNED = [
    *[("applymask", "mask"), ("basemask", "inputs"), ("consistency", "coarse"), ("consistency", "aquifers")],
    *[("consistency", "mascons"), ("correctresiduals", "target"), ("correctresiduals", "mascons")],
    *[("correctresiduals", "mask"), ("fillgaps", "mascons"), ("predict", "aquifers"), ("predict", "mask")],
    *[("preparepredictors", "mask"), ("trainmodels", "target"), ("trainmodels", "aquifers")],
    *[("trainmodels", "mascons"), ("waterbalance", "sms"), ("waterbalance", "observed"), ("waterbalance", "cws")],
]


def require_one_sentence(text: str) -> None:
    """One line, one sentence: the fault and what was given, a semicolon, and what to do."""
    assert text == text.strip() and "\n" not in text, text
    assert text.endswith(".") and not text.endswith(".."), text
    assert not re.search(r"[.!?]\)? +[A-Z]", text), text
    assert "Traceback" not in text and "<class" not in text, text
    problem, _, remedy = text.rpartition("; ")
    assert problem and re.match(r"[a-z]+ ", remedy), text
    assert 30 < len(text) < 900, text


@pytest.fixture(scope="session")
def inputs(small_inputs, tmp_path_factory) -> dict[str, str]:
    """The small inputs, and a model trained on them."""
    pytest.importorskip("xgboost")
    from gwsa_qgis.steps.trainmodels import trainmodels

    path = tmp_path_factory.mktemp("model") / "model.gwsa"
    trainmodels(
        small_inputs["gwsa"],
        small_inputs["coarse"],
        path,
        aquifers=small_inputs["classes_coarse"],
        search_iterations=0,
        threads=1,
    )
    return small_inputs | {"model": str(path)}


class Step:
    """Calls a step with small inputs, some of them changed."""

    def __init__(self, inputs: dict[str, str], folder: Path) -> None:
        self.inputs, self.folder = inputs, folder

    def arguments(self, name: str, changes: dict) -> dict:
        given, outputs = STEPS[name]

        def path(value):
            if isinstance(value, list):
                return [path(one) for one in value]
            return self.inputs.get(value, value) if isinstance(value, str) else value

        arguments = {key: path(value) for key, value in (given | changes).items()}
        made = {key: self.folder / f"{key}{suffix}" for key, suffix in outputs.items()}
        return made | arguments

    def run(self, name: str, **changes) -> object:
        return getattr(import_module(f"gwsa_qgis.steps.{name}"), name)(**self.arguments(name, changes))

    def fails(self, name: str, match: str = "", error: str = "GwsaError", **changes) -> str:
        """Run a step that must refuse, and return its one sentence."""
        from gwsa_qgis import errors

        before = set(self.folder.rglob("*"))
        with pytest.raises(getattr(errors, error)) as caught:
            self.run(name, **changes)
        text = str(caught.value)
        require_one_sentence(text)
        assert re.search(match, text), text
        left = set(self.folder.rglob("*")) - before
        assert not left, left
        return text


@pytest.fixture
def step(inputs, tmp_path) -> Step:
    return Step(inputs, tmp_path)


def bad(argument: str, kind: str) -> dict:
    """The bad input as a step takes it: lists keep a good companion where one is needed to compare with."""
    return {argument: ["mask", kind] if argument == "inputs" else kind}


@pytest.mark.parametrize("name", sorted(set(STEPS) - {"importgldas", "importgrace", "sampleregion"}))
def test_good_input_is_taken(step, name):
    """Else the tests below would pass for another reason than the fault that they put in."""
    step.run(name)
    assert not [path for path in step.folder.rglob(".*")]


@pytest.mark.parametrize(("name", "argument"), STACKS)
@pytest.mark.parametrize(
    ("kind", "match"),
    [
        ("undated", r"undated\.tif has no month on band 1 of 72.*gwsa:monthlystack"),
        ("disordered", r"disordered\.tif has out of order months \(2004-02 is followed by 2004-01\)"),
        ("doubled", r"doubled\.tif has doubled months \(2004-01 is followed by 2004-01\)"),
        ("jumping", r"jumping\.tif jumps from 2004-01 to 2004-06"),
    ],
)
def test_months_of_stacks(step, name, argument, kind, match):
    step.fails(name, match, "InvalidMonths", **bad(argument, kind))


def test_stack_of_files_without_dates(step, tmp_path):
    step.fails("monthlystack", "has no month on band 1.*START", "InvalidMonths", inputs=["undated"])
    step.fails("monthlystack", "2004-01.* is there twice", "InvalidMonths", inputs=["gwsa", "twsa"])
    step.fails("monthlystack", "START is '2004-13'", "InvalidMonths", inputs=["undated"], start="2004-13")
    step.fails("preparepredictors", "has no month on band 1", "InvalidMonths", inputs=["undated"])


@pytest.mark.parametrize(("name", "argument"), RASTERS)
@pytest.mark.parametrize("kind", ["absent", "text", "nothing"])
def test_files_that_are_no_rasters(step, name, argument, kind):
    if name == "importgldas":
        pytest.skip("its folder is asked first; see the tests of the reader")
    match = r"absent\.tif is not there" if kind == "absent" else rf"{kind}\.tif is not a raster that can be read"
    step.fails(name, match, "UnreadableInput", **bad(argument, kind))


@pytest.mark.parametrize("name", ["accumulate", "trend", "applymask", "monthlystack", "fillgaps"])
@pytest.mark.parametrize("share", [0.2, 0.6])
def test_files_cut_off(step, tmp_path, name, share):
    """One that lost its tags, and one that lost a part of its values."""
    data = Path(step.inputs["gwsa"]).read_bytes()
    cut = tmp_path / "cut.tif"
    cut.write_bytes(data[: int(share * len(data))])
    changes = {"mask": "classes_coarse"} if name == "applymask" else {}
    argument = {"inputs": [str(cut)]} if name == "monthlystack" else {"input": str(cut)}
    step.fails(name, r"cut\.tif is (damaged|not a raster)", "UnreadableInput", **argument, **changes)


@pytest.mark.parametrize(("name", "argument"), ALIGNED)
@pytest.mark.parametrize(
    ("kind", "match"),
    [
        ("shifted", r"west 10\.3.* on one grid|west 10\.3.*common edges"),
        ("projected", "different coordinate reference"),
    ],
)
def test_grids_that_do_not_align(step, name, argument, kind, match):
    step.fails(name, match, "GridMismatch", **bad(argument, kind))


def test_factor_that_does_not_divide(step):
    for name in ("aquiferclasses", "preparepredictors"):
        step.fails(name, "cannot be grouped by 5 x 5", "GridMismatch", factor=5)


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        *[("consistency", "fine"), ("consistency", "coarse"), ("correctresiduals", "target")],
        *[("trainmodels", "target"), ("validatewells", "coarse"), ("waterbalance", "sms")],
    ],
)
def test_stacks_without_a_common_month(step, name, argument):
    changes = {"coarse": "corrected"} if (name, argument) == ("consistency", "fine") else {}
    step.fails(name, "2044-01.*no month in common|no month in common.*2044-01", **{argument: "later"}, **changes)


def test_too_few_months(step):
    step.fails("trend", "short.tif has 6 months and removing the season needs 24", input="short")
    step.fails("waterbalance", "2005-01 to 2009-12", twsa="short", baseline_start="2005-01")
    step.fails("validatewells", "no well is left", gwsa="short", coarse=None)
    step.fails("fillgaps", "short|6 months", input="short", mascons=None)


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        *[("accumulate", "input"), ("consistency", "fine"), ("consistency", "coarse"), ("correctresiduals", "target")],
        *[("fillgaps", "input"), ("trainmodels", "target"), ("trend", "input"), ("monthlystack", "inputs")],
        *[
            ("validatewells", "gwsa"),
            ("waterbalance", "twsa"),
            ("waterbalance", "swe"),
            ("correctresiduals", "mascons"),
        ],
        *[("fillgaps", "mascons"), ("trainmodels", "mascons"), ("trainmodels", "aquifers")],
    ],
)
def test_all_nodata(step, name, argument):
    changes = {argument: ["empty"] if argument == "inputs" else "empty"}
    if (name, argument) == ("consistency", "fine"):
        changes |= {"mascons": None}
    if name == "validatewells":
        changes |= {"coarse": None}
    step.fails(name, "", "NoUsableData", **changes)


def test_masks_that_leave_nothing(step):
    step.fails("applymask", "has no value left under the mask", "NoUsableData", mask="hollow")
    step.fails("basemask", "leave no cell", "NoUsableData", inputs=["mask", "hollow"])
    step.fails("predict", "no (fine )?pixel", "NoUsableData", mask="hollow")
    step.fails("preparepredictors", "all is NoData", "NoUsableData", mask="hollow")
    step.fails("correctresiduals", "no coarse value", "NoUsableData", mask="hollow")


@pytest.mark.parametrize(("name", "where"), [("trainmodels", "coarse"), ("predict", "fine")])
def test_predictors_of_nodata_alone(step, tmp_path, name, where):
    folder = copy_of(step.inputs[where], tmp_path / "predictors")
    rewrite(folder / "slope.tif", np.nan)
    step.fails(name, "predictor", "NoUsableData", predictors=str(folder))


def test_predictors_that_lack_a_name(step, tmp_path):
    folder = copy_of(step.inputs["fine"], tmp_path / "predictors")
    (folder / "slope.tif").unlink()
    step.fails("predict", r"lacks slope; it has rain", "MissingPredictor", predictors=str(folder))


def test_predictors_on_two_grids(step, tmp_path):
    folder = copy_of(step.inputs["fine"], tmp_path / "predictors")
    (folder / "slope.tif").write_bytes(Path(step.inputs["coarse"], "slope.tif").read_bytes())
    step.fails("predict", "slope.tif", "GridMismatch", predictors=str(folder))


@pytest.mark.parametrize("name", ["trainmodels", "predict"])
@pytest.mark.parametrize(
    ("kind", "match"), [("bare", "holds no GeoTIFF"), ("absent", "is not a folder"), ("mask", "is not a folder")]
)
def test_folders_without_predictors(step, name, kind, match):
    step.fails(name, match, "UnreadableInput", predictors=kind)


def test_predictors_of_other_months(step, tmp_path):
    folder = tmp_path / "predictors"
    folder.mkdir()
    (folder / "rain.tif").write_bytes(Path(step.inputs["later"]).read_bytes())
    step.fails("trainmodels", "no month in common", "InvalidMonths", predictors=str(folder))


def test_class_without_samples(step, tmp_path):
    from gwsa_qgis.rasters.raster import read_single, write_single

    values, grid = read_single(step.inputs["classes_coarse"])
    values[0, 0] = 33
    write_single(tmp_path / "classes.tif", grid, values.astype(np.uint8), dtype="uint8", nodata=0)
    folder = copy_of(step.inputs["coarse"], tmp_path / "predictors")
    rewrite(folder / "slope.tif", np.nan, slice(0, 1), slice(0, 1))
    changes = {"aquifers": str(tmp_path / "classes.tif"), "predictors": str(folder)}
    step.fails("trainmodels", "class 33 has no samples", "NoUsableData", **changes)


def test_prediction_without_the_classes_of_the_model(step):
    step.fails("predict", "13, 23.*AQUIFERS", "NoUsableData", aquifers=None)


def zip_of(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def broken_models(good: Path, folder: Path) -> dict[str, Path]:
    """Files that are no model files, each for one reason."""
    with zipfile.ZipFile(good) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(members["manifest.json"])
    data = good.read_bytes()

    def with_manifest(name: str, **changes) -> Path:
        return zip_of(folder / name, members | {"manifest.json": json.dumps(manifest | changes).encode()})

    header = b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
    huge = header.ljust(127) + b"\n"
    found = {
        "text": folder / "text.gwsa",
        "truncated": folder / "truncated.gwsa",
        "raster": folder / "raster.gwsa",
        "traversal": zip_of(folder / "traversal.gwsa", members | {"../x": b"x"}),
        "no manifest": zip_of(folder / "bare.gwsa", {"boosters/pooled.ubj": b"x"}),
        "not json": zip_of(folder / "json.gwsa", members | {"manifest.json": b"{"}),
        "other format": with_manifest("format.gwsa", format="other"),
        "other version": with_manifest("version.gwsa", format_version=99),
        "other preset": with_manifest("preset.gwsa", preset="best"),
        "no classes": with_manifest("classes.gwsa", classes=None),
        "wrong classes": with_manifest("wrong.gwsa", classes=[{"class": "x"}]),
        "wrong support": with_manifest("support.gwsa", support={"kind": "mascons", "grid": {}}),
        "wrong weight": with_manifest("weight.gwsa", pooled_weight="much"),
        "other inputs": with_manifest("inputs.gwsa", predictors=["rain"]),
        "wrong models": with_manifest("models.gwsa", models={"pooled": {"learner": {}}}),
        "huge array": zip_of(folder / "huge.gwsa", members | {"arrays/support_labels.npy": huge}),
        "broken booster": zip_of(folder / "booster.gwsa", members | {"boosters/pooled.ubj": b"{" * 400}),
    }
    found["text"].write_text("a model, honestly\n")
    found["truncated"].write_bytes(data[: len(data) // 2])
    found["raster"].write_bytes(b"II*\x00" + bytes(100))
    return found


MODEL_FAULTS = (
    *("text", "truncated", "raster", "traversal", "no manifest", "not json", "other format", "other version"),
    *("other preset", "no classes", "wrong classes", "wrong support", "wrong weight", "other inputs", "wrong models"),
    *("huge array", "broken booster"),
)


@pytest.mark.parametrize("fault", MODEL_FAULTS)
def test_files_that_are_no_models(step, tmp_path, fault):
    folder = tmp_path / "models"
    folder.mkdir()
    path = broken_models(Path(step.inputs["model"]), folder)[fault]
    step.fails("predict", "model", "InvalidModelFile", model=str(path))
    assert not (tmp_path / "x").exists()


def test_absent_model(step):
    step.fails("predict", "absent.gwsa is not there", "UnreadableInput", model="absent.gwsa")


@pytest.mark.parametrize(
    ("match", "changes"),
    [
        ("x 70.*y 4|no well lies", {"wells": "far_points"}),
        ("no well lies|x 7", {"wells": "far_wells"}),
        ("columnless.csv", {"wells": "columnless"}),
        ("columnless.csv", {"levels": "columnless"}),
        ("strangers.csv has no reading", {"levels": "strangers"}),
        ("absent.tif", {"wells": "absent"}),
        ("absent.tif", {"levels": "absent"}),
        ("nothing.tif", {"levels": "nothing"}),
        ("station", {"id_field": "station"}),
        ("depthh", {"value_field": "depthh"}),
        ("2030-01", {"start": "2030-01"}),
        ("soon", {"start": "soon"}),
        ("1 bins", {"bins": 1}),
        ("specific yield", {"specific_yield": [["here", 1, 2, 3, 4, -0.1]]}),
        ("specific yield", {"specific_yield": [["here", 1, 2]]}),
        ("'furlong'", {"level_unit": "furlong"}),
        ("'up'", {"level_kind": "up"}),
    ],
)
def test_wells(step, match, changes):
    step.fails("validatewells", match, **changes)


@pytest.mark.parametrize(
    ("name", "match", "changes"),
    [
        ("aquiferclasses", "has no field 'HYGEO3'; it has HYGEO2, NAME", {"field": "HYGEO3"}),
        ("aquiferclasses", "'rock', which is no class number", {"field": "NAME"}),
        ("aquiferclasses", "is not there", {"input": "absent"}),
        ("aquiferclasses", "cannot be read", {"input": "text"}),
        ("aquiferclasses", "no polygon of", {"template": "elsewhere"}),
        ("glaciermask", "is not there", {"glaciers": "absent"}),
        ("glaciermask", "Point", {"glaciers": "well_points"}),
        ("watermask", "region|template", {"template": "elsewhere"}),
        ("preparepredictors", "does not meet the template", {"inputs": ["elsewhere"]}),
        ("preparepredictors", "one name for each input", {"names": ["a", "b"]}),
        ("preparepredictors", "cannot be the name", {"names": ["a b/c"]}),
        ("monthlystack", "bare holds no file", {"inputs": None, "folder": "bare"}),
        ("monthlystack", "absent.tif is not a folder", {"inputs": None, "folder": "absent"}),
        ("monthlystack", "no input", {"inputs": []}),
        ("basemask", "no mask", {"inputs": []}),
        ("preparepredictors", "no input", {"inputs": []}),
        ("watermask", "no ", {"inputs": []}),
        ("importgldas", "bare holds no GLDAS file", {}),
        ("importgldas", "absent.tif is not a folder", {"folder": "absent"}),
        ("importgldas", "no name of a GLDAS file", {"inputs": ["text"], "folder": None}),
        ("importgrace", "text.tif is not a NetCDF file", {}),
        ("importgrace", "absent.tif is not there", {"input": "absent"}),
        ("importgrace", "gwsa.tif", {"input": "gwsa"}),
    ],
)
def test_other_inputs(step, name, match, changes):
    step.fails(name, match, **changes)


@pytest.mark.parametrize(
    ("name", "match", "changes"),
    [
        ("aquiferclasses", "FACTOR", {"factor": 0}),
        ("aquiferclasses", "FACTOR", {"factor": -3}),
        ("preparepredictors", "FACTOR", {"factor": 0}),
        ("preparepredictors", "HOLE_DISTANCE is -1", {"max_hole_distance": -1}),
        ("watermask", "THRESHOLD is 0", {"threshold": 0}),
        ("watermask", "THRESHOLD is 2", {"threshold": 2}),
        ("glaciermask", "THRESHOLD is -1", {"threshold": -1}),
        ("fillgaps", "0", {"short_modes": 0}),
        ("fillgaps", "modes", {"long_modes": 0}),
        ("fillgaps", "-1", {"short_window": -1}),
        ("fillgaps", "0", {"long_window": 0}),
        ("fillgaps", "'best'", {"preset": "best"}),
        ("trainmodels", "SAMPLES is 0", {"samples": 0}),
        ("trainmodels", "SEARCH_ITERATIONS is -1", {"search_iterations": -1}),
        ("trainmodels", "SEED is -1", {"seed": -1}),
        ("trainmodels", "THREADS is -1", {"threads": -1}),
        ("trainmodels", "'best'", {"preset": "best"}),
        ("trainmodels", "'forest'", {"learner": "forest"}),
        ("predict", "THREADS is -1", {"threads": -1}),
        ("correctresiduals", "'cubic'", {"method": "cubic"}),
        ("trend", "'week'", {"unit": "week"}),
        ("trend", "'ar9'", {"correction": "ar9"}),
        ("waterbalance", "soon", {"baseline_start": "soon"}),
        ("waterbalance", "2009-12 to 2004-01", {"baseline_start": "2009-12", "baseline_end": "2004-01"}),
        ("waterbalance", "1990-01", {"baseline_start": "1990-01", "baseline_end": "1991-01"}),
        ("sampleregion", "-1|size", {"size": -1}),
        ("sampleregion", "99", {"size": 99}),
        ("sampleregion", "0", {"factor": 0}),
        ("sampleregion", "soon", {"start": "soon"}),
        ("sampleregion", "2004-06", {"start": "2005-01", "end": "2004-06"}),
        ("sampleregion", "-1", {"seed": -1}),
        ("accumulate", "memory", {"memory_mb": 0}),
        ("trend", "memory", {"memory_mb": -5}),
    ],
)
def test_numbers_and_choices_that_make_no_sense(step, name, match, changes):
    step.fails(name, match, **changes)


@pytest.mark.parametrize("name", sorted(set(STEPS) - {"importgldas", "importgrace"}))
def test_unwritable_folder(step, tmp_path, name):
    """A folder cannot be made below a file, not even by root."""
    (tmp_path / "file").write_text("a file\n")
    for key, suffix in STEPS[name][1].items():
        path = tmp_path / "file" / f"{key}{suffix}"
        step.fails(name, "cannot be written", "OutputNotWritable", **{key: path})


ON_A_FULL_DISK = """
import resource, signal, sys
from importlib import import_module
from pathlib import Path
from gwsa_qgis.errors import OutputNotWritable

name, limit, arguments = sys.argv[1], int(sys.argv[2]), eval(sys.argv[3])
function = getattr(import_module(f"gwsa_qgis.steps.{name}"), name)
import_module("matplotlib.pyplot")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    function(**arguments)
except OutputNotWritable as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        *[("accumulate", 4000), ("applymask", 300), ("correctresiduals", 12_000), ("preparepredictors", 4000)],
        # the first outputs fit, the last does not
        *[("fillgaps", 12_000), ("trend", 3000), ("trainmodels", 4000), ("validatewells", 12_000)],
    ],
)
def test_disk_that_fills_up(step, tmp_path, name, limit):
    """Files may grow to a few kB, then writing fails as it does on a full disk."""
    arguments = {key: str(v) if isinstance(v, Path) else v for key, v in step.arguments(name, {}).items()}
    command = [sys.executable, "-c", ON_A_FULL_DISK, name, str(limit), repr(arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    require_one_sentence(done.stdout.rstrip("\n"))
    assert "cannot be written" in done.stdout, done.stdout
    assert not list(tmp_path.iterdir())


def copy_of(folder: str, target: Path) -> Path:
    target.mkdir()
    for path in Path(folder).iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


def rewrite(path: Path, value: float, *window: slice) -> None:
    """Put one value into a window, or everywhere."""
    from osgeo import gdal

    dataset = gdal.OpenEx(str(path), gdal.OF_UPDATE)
    values = dataset.ReadAsArray()
    values[(Ellipsis, *window)] = value
    dataset.WriteArray(values)
    dataset.FlushCache()


def test_outputs_appear_together_or_not_at_all(tmp_path):
    from gwsa_qgis.rasters.writing import replacing, replacing_folder, together

    (tmp_path / "old").write_text("old")
    with together() as outputs:
        outputs.enter_context(replacing(tmp_path / "old")).write_text("new")
        folder = outputs.enter_context(replacing_folder(tmp_path / "folder"))
        with replacing(folder / "inner") as inner:
            inner.write_text("inner")
        assert (tmp_path / "old").read_text() == "old"
    assert (tmp_path / "old").read_text() == "new"
    assert (tmp_path / "folder" / "inner").read_text() == "inner"
    with pytest.raises(KeyError), together() as outputs:
        with replacing(tmp_path / "first") as first:
            first.write_text("whole")
        outputs.enter_context(replacing(tmp_path / "old")).write_text("newer")
        raise KeyError
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "old"]
    assert (tmp_path / "old").read_text() == "new"


def test_sample_region_asks_for_space_before_work(tmp_path, monkeypatch):
    from gwsa_qgis.errors import OutputNotWritable
    from gwsa_qgis.rasters import writing
    from gwsa_qgis.steps.sampleregion import sampleregion

    usage = type("Usage", (), {"free": 1_000_000})
    monkeypatch.setattr(writing.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(OutputNotWritable, match="needs about .* MB and 1 MB are free") as caught:
        sampleregion(tmp_path / "region")
    require_one_sentence(str(caught.value))
    assert not list(tmp_path.iterdir())

"""Bad rasters, months and grids give one sentence that says what is wrong and what to do, and no output file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

STACKS = [
    *[("accumulate", "input"), ("consistency", "fine"), ("consistency", "coarse"), ("correctresiduals", "prediction")],
    *[("correctresiduals", "target"), ("fillgaps", "input"), ("trainmodels", "target"), ("trend", "input")],
    *[
        ("basinseries", "input"),
        ("validatewells", "gwsa"),
        ("validatewells", "coarse"),
        ("waterbalance", "twsa"),
        ("waterbalance", "sms"),
    ],
    *[("waterbalance", "swe"), ("waterbalance", "cws"), ("waterbalance", "observed"), ("seasonality", "input")],
    *[("droughtindex", "input"), ("latitudeprofile", "input")],
    *[("attribution", "gwsa"), ("attribution", "background")],
    ("trendbreak", "input"),
    ("basinreport", "input"),
]
RASTERS = [
    *[("applymask", "input"), ("applymask", "mask"), ("aquiferclasses", "template"), ("glaciermask", "template")],
    *[("basemask", "inputs"), ("consistency", "aquifers"), ("consistency", "mascons"), ("correctresiduals", "mascons")],
    *[("correctresiduals", "mask"), ("fillgaps", "mascons"), ("importgldas", "template"), ("monthlystack", "inputs")],
    *[("predict", "aquifers"), ("predict", "mask"), ("preparepredictors", "inputs"), ("preparepredictors", "mask")],
    *[("preparepredictors", "template"), ("trainmodels", "aquifers"), ("trainmodels", "mascons")],
    *[
        ("trendbreak", "aquifers"),
        ("trend", "aquifers"),
        ("watermask", "inputs"),
        ("watermask", "template"),
        ("glaciermask", "ice_sheet"),
        ("hotspots", "slope"),
        ("hotspots", "p_value"),
        *STACKS,
    ],
]
ALIGNED = [
    *[("applymask", "mask"), ("basemask", "inputs"), ("consistency", "coarse"), ("consistency", "aquifers")],
    *[("consistency", "mascons"), ("correctresiduals", "target"), ("correctresiduals", "mascons")],
    *[("correctresiduals", "mask"), ("fillgaps", "mascons"), ("predict", "aquifers"), ("predict", "mask")],
    *[("preparepredictors", "mask"), ("trainmodels", "target"), ("trainmodels", "aquifers")],
    *[
        ("trainmodels", "mascons"),
        ("trend", "aquifers"),
        ("waterbalance", "sms"),
        ("waterbalance", "observed"),
        *[("waterbalance", "cws"), ("trendbreak", "aquifers"), ("hotspots", "p_value")],
    ],
]


NAMES = (
    "accumulate",
    "applymask",
    "aquiferclasses",
    "attribution",
    "basemask",
    "basinreport",
    "basinseries",
    "consistency",
    "correctresiduals",
    "droughtindex",
    "fillgaps",
    "glaciermask",
    "hotspots",
    "latitudeprofile",
    "trendbreak",
    "monthlystack",
    "predict",
    "preparepredictors",
    "projectreport",
    "seasonality",
    "trainmodels",
    "trend",
    "validatewells",
    "waterbalance",
    "watermask",
)


def bad(argument: str, kind: str) -> dict:
    """The bad input as a step takes it: lists keep a good companion where one is needed to compare with."""
    return {argument: ["mask", kind] if argument == "inputs" else kind}


@pytest.mark.parametrize("name", NAMES)
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
    changes = {"inputs": ["gwsa", kind]} if name == "monthlystack" else bad(argument, kind)
    step.fails(name, match, "UnreadableInput", **changes)


@pytest.mark.parametrize(
    "name",
    [
        "accumulate",
        "trend",
        "applymask",
        "monthlystack",
        "fillgaps",
        "seasonality",
        "droughtindex",
        "latitudeprofile",
        "trendbreak",
    ],
)
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


def test_backgrounds_elsewhere_or_in_other_coordinates(step):
    step.fails("attribution", "different coordinate reference", "GridMismatch", background="projected")
    step.fails("attribution", r"elsewhere\.tif .* does not meet", "NoUsableData", background="elsewhere")
    step.run("attribution", background="shifted")  # interpolated


def test_factor_that_does_not_divide(step):
    for name in ("aquiferclasses", "preparepredictors"):
        step.fails(name, "cannot be grouped by 5 x 5", "GridMismatch", factor=5)


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        *[("consistency", "fine"), ("consistency", "coarse"), ("correctresiduals", "target")],
        *[("trainmodels", "target"), ("validatewells", "coarse"), ("waterbalance", "sms")],
        *[("attribution", "background"), ("attribution", "gwsa")],
    ],
)
def test_stacks_without_a_common_month(step, name, argument):
    changes = {"coarse": "corrected"} if (name, argument) == ("consistency", "fine") else {}
    step.fails(name, "2044-01.*no month in common|no month in common.*2044-01", **{argument: "later"}, **changes)


def test_too_few_months(step):
    step.fails("trend", "short.tif has 6 months and removing the season needs 24", input="short")
    step.fails("attribution", "6 common months, .* removing the season needs 24", background="short")
    step.fails("trendbreak", "short.tif has 6 months and removing the season needs 24", input="short")
    step.fails("trendbreak", "12 months with values are after the break", break_month="2009-01")
    step.fails("droughtindex", "more than 1 years in the reference period, and 5 are wanted", input="short")
    step.fails("seasonality", "short.tif has 6 months, .* and no two calendar years with 12", input="short")
    step.fails("waterbalance", "2005-01 to 2009-12", twsa="short", baseline_start="2005-01")
    step.fails("validatewells", "no well is left", gwsa="short", coarse=None)
    step.fails("fillgaps", "short|6 months", input="short", mascons=None)


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        *[("accumulate", "input"), ("consistency", "fine"), ("consistency", "coarse"), ("correctresiduals", "target")],
        *[("fillgaps", "input"), ("trainmodels", "target"), ("trend", "input"), ("monthlystack", "inputs")],
        *[("seasonality", "input"), ("droughtindex", "input"), ("latitudeprofile", "input")],
        *[("attribution", "gwsa"), ("attribution", "background")],
        ("trendbreak", "input"),
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
    step.fails("hotspots", "no cell has a value in both", "NoUsableData", p_value="hollow")
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

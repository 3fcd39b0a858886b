"""Bad model files, wells and numbers give one sentence that says what is wrong and what to do, and no output file."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest


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
        ("aquiferclasses", "is not there", {"input": "absent"}),
        ("aquiferclasses", "cannot be read", {"input": "text"}),
        ("aquiferclasses", "no polygon of", {"template": "elsewhere"}),
        ("basinseries", "has no field 'HYGEO3'; it has HYGEO2, NAME", {"field": "HYGEO3"}),
        ("basinseries", "is not there", {"basins": "absent"}),
        ("basinseries", "Point", {"basins": "well_points"}),
        ("basinreport", "has no field 'HYGEO3'; it has HYGEO2, NAME", {"field": "HYGEO3"}),
        ("basinreport", "Point", {"basins": "well_points"}),
        ("basinreport", "no basin has a value", {"input": "elsewhere"}),
        ("basinreport", "has 2 basins and FOLDER is not given", {"folder": None}),
        ("basinseries", "no basin has a value", {"input": "elsewhere"}),
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
        ("trendbreak", "BREAK is 'soon'", {"break_month": "soon"}),
        ("trendbreak", "BREAK is 1999 and the months are 2004-01 to 2009-12", {"break_month": "1999"}),
        ("trendbreak", "significance is 0", {"significance": 0}),
        ("trendbreak", "share of months is 2", {"minimum_share": 2}),
        ("trendbreak", "'week'", {"unit": "week"}),
        ("seasonality", "MINIMUM_MONTHS is 13", {"minimum_months": 13}),
        ("droughtindex", "METHOD is 'spi'", {"method": "spi"}),
        ("droughtindex", "MINIMUM_YEARS is 2", {"minimum_years": 2}),
        ("droughtindex", "soon", {"baseline_start": "soon"}),
        ("attribution", "'week'", {"unit": "week"}),
        ("attribution", "'ar9'", {"correction": "ar9"}),
        ("attribution", "soon", {"baseline_start": "soon"}),
        ("latitudeprofile", "BAND_HEIGHT is -1", {"band_height": -1}),
        ("latitudeprofile", "MINIMUM_SHARE is 7", {"minimum_share": 7}),
        ("latitudeprofile", "'soon' is no period", {"periods": "2004, soon"}),
        ("latitudeprofile", "no month of the period 1990-01", {"periods": "1990/1991"}),
        ("basinreport", "LEVEL is 1", {"level": 1}),
        ("basinreport", "MINIMUM_YEARS is 2", {"minimum_years": 2}),
        ("basinreport", "BREAK is 'soon'", {"break_month": "soon"}),
        ("basinreport", "SLOPE and P_VALUE were not given together", {"p_value": "rates_p"}),
        ("hotspots", "KIND is 'loss'", {"kind": "loss"}),
        ("hotspots", "P is 0", {"p": 0}),
        ("hotspots", "LEAST_SLOPE is -1", {"least_slope": -1}),
        ("hotspots", "MINIMUM_AREA is -1", {"minimum_area": -1}),
        ("hotspots", "CONNECTIVITY is 6", {"connectivity": 6}),
        ("hotspots", "one limit of the slope", {"lower": "rates"}),
        ("hotspots", "names no unit", {"slope": "rates_p"}),
        ("seasonality", "memory", {"memory_mb": 0}),
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

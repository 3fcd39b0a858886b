"""Bad input in QGIS gives one sentence that says what was wrong, what was given and what to do, and no output file."""

from __future__ import annotations

import re
import resource
import shutil
import signal
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from qgis.core import QgsProcessingException, QgsProcessingFeedback

# Inputs and outputs of each algorithm; an input by itself is the small input of that name.
ALGORITHMS = {
    "accumulate": ({"INPUT": "gwsa"}, {"OUTPUT": ".tif"}),
    "applymask": ({"INPUT": "corrected", "MASK": "mask"}, {"OUTPUT": ".tif"}),
    "aquiferclasses": (
        {"INPUT": "aquifers", "FIELD": "HYGEO2", "TEMPLATE": "template", "FACTOR": 2},
        {"OUTPUT": ".tif", "COARSE": ".tif"},
    ),
    "attribution": (
        {"GWSA": "corrected", "BACKGROUND": "sms"},
        {
            "RESIDUAL": ".tif",
            "SLOPE": ".tif",
            "P_VALUE": ".tif",
            "CLASSES": ".tif",
            "STIPPLES": ".gpkg",
            "REPORT": ".html",
        },
    ),
    "basinseries": (
        {"INPUT": "corrected", "BASINS": "aquifers", "FIELD": "HYGEO2"},
        {"OUTPUT": ".csv", "REPORT": ".html", "LAYER": ".gpkg"},
    ),
    "basinreport": (
        {"INPUT": "corrected", "BASINS": "aquifers", "FIELD": "HYGEO2"},
        {"REPORT": ".html", "FOLDER": "", "SUMMARY": ".csv"},
    ),
    "basemask": ({"INPUTS": ["mask", "classes"]}, {"OUTPUT": ".tif"}),
    "consistency": (
        {"FINE": "corrected", "COARSE": "gwsa", "AQUIFERS": "classes_coarse"},
        {"METRICS": ".csv", "REPORT": ".html", "DIFFERENCE": ".tif"},
    ),
    "correctresiduals": ({"PREDICTION": "corrected", "TARGET": "gwsa"}, {"OUTPUT": ".tif", "CLOSURE": ".csv"}),
    "droughtindex": (
        {"INPUT": "corrected", "MINIMUM_YEARS": 5},
        {"OUTPUT": ".tif", "CLASSES": ".tif", "SPELLS": ".tif", "AREAS": ".csv", "REPORT": ".html"},
    ),
    "fillgaps": (
        {"INPUT": "twsa", "MASCONS": "mascons", "LONG_MODES": 2, "SHORT_MODES": 2},
        {"OUTPUT": ".tif", "ERROR_SHORT": ".tif", "ERROR_LONG": ".tif", "FLAGS": ".tif"},
    ),
    "glaciermask": ({"GLACIERS": "aquifers", "TEMPLATE": "template"}, {"OUTPUT": ".tif"}),
    "hotspots": ({"SLOPE": "rates", "P_VALUE": "rates_p"}, {"OUTPUT": ".gpkg", "REPORT": ".html"}),
    "importgldas": ({"FOLDER": "bare", "TEMPLATE": "gwsa"}, {"SMS": ".tif", "SWE": ".tif", "CWS": ".tif"}),
    "importgrace": ({"INPUT": "text.nc"}, {"OUTPUT": ".tif", "LAND_MASK": ".tif", "MASCONS": ".tif"}),
    "trendbreak": (
        {"INPUT": "corrected", "BREAK": "2007"},
        {"SLOPE_BEFORE": ".tif", "SLOPE_AFTER": ".tif", "CHANGE": ".tif", "P_VALUE": ".tif", "P_BEFORE": ".tif"}
        | {"P_AFTER": ".tif", "CLASSES": ".tif", "TABLE": ".csv", "REPORT": ".html"},
    ),
    "latitudeprofile": ({"INPUT": "corrected"}, {"MEAN": ".tif", "PROFILE": ".csv", "REPORT": ".html"}),
    "monthlystack": ({"INPUTS": ["gwsa"]}, {"OUTPUT": ".tif"}),
    "predict": (
        {"MODEL": "model", "PREDICTORS": "fine", "AQUIFERS": "classes", "MASK": "mask"},
        {"OUTPUT": ".tif"},
    ),
    "preparepredictors": (
        {"INPUTS": ["corrected"], "TEMPLATE": "template", "FACTOR": 2, "MASK": "mask"},
        {"FINE": "", "COARSE": ""},
    ),
    "projectreport": ({"GWSA": "corrected", "MODEL": "model"}, {"REPORT": ".html", "JSON": ".json"}),
    "sampleregion": ({"SIZE": 2, "FACTOR": 2, "START": "2004-01", "END": "2004-06"}, {"FOLDER": ""}),
    "seasonality": ({"INPUT": "corrected"}, {"OUTPUT": ".tif", "MAXIMUM": ".tif", "REPORT": ".html"}),
    "trainmodels": (
        {"TARGET": "gwsa", "PREDICTORS": "coarse", "AQUIFERS": "classes_coarse", "SEARCH_ITERATIONS": 1},
        {"MODEL": ".gwsa", "METRICS": ".csv", "REPORT": ".html"},
    ),
    "trend": (
        {"INPUT": "corrected"},
        {"SLOPE": ".tif", "P_VALUE": ".tif", "P_PLAIN": ".tif", "LOWER": ".tif", "UPPER": ".tif", "CLASSES": ".tif"}
        | {"STIPPLES": ".gpkg", "TABLE": ".csv", "REPORT": ".html"},
    ),
    "validatewells": (
        {
            "GWSA": "corrected",
            "WELLS": "well_points",
            "LEVELS": "levels",
            "COARSE": "gwsa",
            "START": "2004-01",
            "BINS": 3,
        },
        {"METRICS": ".csv", "REPORT": ".html", "OUTPUT": ".gpkg"},
    ),
    "waterbalance": ({"TWSA": "twsa", "SMS": "sms", "SWE": "swe", "CWS": "cws"}, {"OUTPUT": ".tif"}),
    "watermask": ({"INPUTS": ["jrc"], "TEMPLATE": "template"}, {"OUTPUT": ".tif"}),
}
# One input that is a monthly stack, of each algorithm that takes one.
STACKS = dict(
    accumulate="INPUT",
    attribution="BACKGROUND",
    basinreport="INPUT",
    basinseries="INPUT",
    consistency="FINE",
    correctresiduals="PREDICTION",
    droughtindex="INPUT",
    fillgaps="INPUT",
    latitudeprofile="INPUT",
    monthlystack="INPUTS",
    preparepredictors="INPUTS",
    projectreport="GWSA",
    seasonality="INPUT",
    trainmodels="TARGET",
    trend="INPUT",
    trendbreak="INPUT",
    validatewells="GWSA",
    waterbalance="SMS",
)
# Wrong inputs by kind: algorithm, what is changed, and what the sentence must say. All of them run in qgis_process too.
KINDS = {
    "no dates": ("accumulate", {"INPUT": "undated"}, r"undated\.tif has no month on band 1 of 72.*gwsa:monthlystack"),
    "out of order": ("trend", {"INPUT": "disordered"}, r"disordered\.tif has out of order months \(2004-02"),
    "doubled": ("fillgaps", {"INPUT": "doubled"}, r"doubled\.tif has doubled months \(2004-01 is followed"),
    "not aligned": ("waterbalance", {"SWE": "shifted"}, r"shifted\.tif .*west 10\.3.* are not on one grid"),
    "other CRS": ("applymask", {"MASK": "projected"}, r"different coordinate reference systems .*EPSG:32633"),
    "other bands": ("waterbalance", {"SMS": "later"}, r"no month in common .*later\.tif: 2044-01 to 2049-12"),
    "all NoData": ("accumulate", {"INPUT": "empty"}, r"empty\.tif has no valid value: all is NoData"),
    "no model": ("predict", {"MODEL": "broken"}, r"broken\.gwsa is not a model file.*gwsa:trainmodels"),
    "lacking predictor": ("predict", {"PREDICTORS": "lacking"}, r"lacking lacks slope; it has rain"),
    "empty class": ("trainmodels", {"AQUIFERS": "strange_classes"}, r"class 33 has no samples"),
    "wells outside": ("validatewells", {"WELLS": "far_points"}, r"no well lies on|x 7\d"),
    "unwritable": ("accumulate", {"OUTPUT": "below"}, r"cannot be written .*give"),
    "absent": ("trend", {"INPUT": "absent"}, r"INPUT: .*absent\.tif is not a raster that can be read"),
    "not a raster": ("basemask", {"INPUTS": ["mask", "text"]}, r"INPUTS: .*text\.tif is not a raster that can be read"),
    "not positive": ("accumulate", {"MEMORY": -3}, r"MEMORY is -3; give a whole number of at least 16"),
    "wrong field": ("aquiferclasses", {"FIELD": "HYGEO3"}, r"has no field 'HYGEO3'; it has HYGEO2, NAME"),
    "empty folder": ("importgldas", {}, r"bare holds no GLDAS file"),
    "wrong columns": ("validatewells", {"LEVELS": "columnless"}, r"columnless\.csv"),
}


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
    """The small inputs, a model trained on them, and inputs that do not fit it."""
    from gwsa_qgis.rasters.raster import read_single, write_single
    from gwsa_qgis.steps.trainmodels import trainmodels

    folder = tmp_path_factory.mktemp("model")
    files = {"aquifers": small_inputs["classes_coarse"], "search_iterations": 0, "threads": 1}
    trainmodels(small_inputs["gwsa"], small_inputs["coarse"], folder / "model.gwsa", **files)
    shutil.copytree(small_inputs["fine"], folder / "lacking")
    (folder / "lacking" / "slope.tif").unlink()
    classes, grid = read_single(small_inputs["classes_coarse"])
    classes[0, 0] = 33
    write_single(folder / "strange.tif", grid, classes.astype(np.uint8), dtype="uint8", nodata=0)
    shutil.copytree(small_inputs["coarse"], folder / "holes")
    slope, grid = read_single(folder / "holes" / "slope.tif")
    slope[0, 0] = np.nan
    write_single(folder / "holes" / "slope.tif", grid, slope)
    with zipfile.ZipFile(folder / "traversal.gwsa", "w") as archive:
        archive.writestr("manifest.json", "{}")
        archive.writestr("../x", "x")
    (folder / "file").write_text("a file\n")
    made = {"model": "model.gwsa", "lacking": "lacking", "strange_classes": "strange.tif", "holes": "holes"}
    (folder / "broken.gwsa").write_bytes(Path(folder / "model.gwsa").read_bytes()[:3000])
    (folder / "text.nc").write_text("no NetCDF\n")
    made |= {"broken": "broken.gwsa", "text.nc": "text.nc"}
    made |= {"traversal": "traversal.gwsa", "below": "file/output.tif"}
    return small_inputs | {name: str(folder / path) for name, path in made.items()}


# Lines that are not the plugin's: of QGIS before a sentence on a refused parameter, and on what it needs and on other kinds
# of layers that a file is not; of GDAL when QGIS itself tries to open the layer (GDAL 3.6 is silent once its exceptions
# are on); of libtiff on a full disk.
OTHERS = re.compile(
    r"""ERROR:\tAn\ error\ was\ encountered | ERROR:\ Status | QStandardPaths | _tiffWriteProc:\ File\ too\ large
    | ERROR\ 1:\ .*:\ Failed\ to\ compute\ statistics,\ no\ valid\ pixels\ found\ in\ sampling\.$
    | ERROR\ 4:\ .*\ not\ recognized\ as\ being\ in\ a\ supported\ file\ format\.$""",
    re.VERBOSE,
)


class Refusals:
    """Runs algorithms on small inputs, some of them wrong."""

    def __init__(self, inputs: dict[str, str], folder: Path, run_qgis_process: Callable) -> None:
        self.inputs, self.folder, self.run_qgis_process = inputs, folder, run_qgis_process

    def parameters(self, name: str, changes: dict) -> dict:
        given, outputs = ALGORITHMS[name]
        if changes.get("AQUIFERS") == "strange_classes":
            changes = changes | {"PREDICTORS": "holes"}

        def path(value):
            if isinstance(value, list):
                return [path(one) for one in value]
            return self.inputs.get(value, value) if isinstance(value, str) else value

        made = {key: str(self.folder / f"{key.lower()}{suffix}") for key, suffix in outputs.items()}
        return made | {key: path(value) for key, value in (given | changes).items()}

    def check(self, text: str, match: str) -> None:
        require_one_sentence(text)
        assert re.search(match, text), text
        left = list(self.folder.rglob("*"))
        assert not left, left

    def processing_run(self, name: str, changes: dict, match: str) -> None:
        """processing.run raises it."""
        import processing

        with pytest.raises(QgsProcessingException) as caught:
            processing.run(f"gwsa:{name}", self.parameters(name, changes), feedback=QgsProcessingFeedback(False))
        # Their frames would hold layers until QGIS is gone, and these cannot be closed without it.
        traceback.clear_frames(caught.tb)
        # QGIS puts a line of its own before the sentence on a refused parameter.
        self.check(str(caught.value).removeprefix("Unable to execute algorithm\n"), match)

    def qgis_process(self, name: str, changes: dict, match: str, **options) -> None:
        """qgis_process ends with 1 and says it on standard error."""
        done = self.run_qgis_process(name, self.parameters(name, changes), **options)
        assert done.returncode == 1, done.stdout + done.stderr
        assert not done.stdout.strip(), done.stdout
        assert "Traceback" not in done.stderr, done.stderr
        # A newer Python warns of QGIS's own code: a line, and the line of code.
        stderr = re.sub(r"(?m)^.*DeprecationWarning: .*\n(  .*\n)?", "", done.stderr)
        lines = [line.strip() for line in stderr.splitlines() if line.strip()]
        said = {line for line in lines if not OTHERS.match(line)}
        assert len(said) == 1, done.stderr
        self.check(said.pop(), match)


@pytest.fixture
def refusals(run_qgis_process, inputs, tmp_path) -> Refusals:
    return Refusals(inputs, tmp_path, run_qgis_process)


@pytest.mark.parametrize("kind", KINDS)
def test_processing_run(refusals, kind):
    refusals.processing_run(*KINDS[kind])


# A program of its own each: what differs from `processing.run` is how it tells of an error, whatever the error.
FROM_THE_SHELL = ("absent", "not a raster", "no dates", "no model", "unwritable")


@pytest.mark.parametrize(
    "kind", [kind if kind in FROM_THE_SHELL else pytest.param(kind, marks=pytest.mark.long) for kind in KINDS]
)
def test_qgis_process(refusals, kind):
    refusals.qgis_process(*KINDS[kind])


@pytest.mark.parametrize("name", sorted(set(ALGORITHMS) - {"importgldas", "importgrace", "sampleregion"}))
def test_good_input_is_taken(refusals, name):
    """Else the tests here would pass for another reason than the fault that they put in."""
    import processing

    parameters = refusals.parameters(name, {})
    processing.run(f"gwsa:{name}", parameters)
    assert all(Path(parameters[output]).exists() for output in ALGORITHMS[name][1])


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("kind", ["undated", "absent", "text"])
def test_every_algorithm_that_takes_a_stack(refusals, name, kind):
    argument = STACKS[name]
    changes = {argument: [kind] if argument == "INPUTS" else kind}
    refusals.processing_run(name, changes, rf"{kind}\.tif")


@pytest.mark.parametrize(
    ("name", "changes", "match"),
    [
        ("predict", {"MODEL": "traversal"}, r"holds '\.\./x', which no model file has"),
        ("predict", {"MODEL": "/nowhere/m.gwsa"}, "m.gwsa is not there"),
        ("predict", {"PREDICTORS": "bare"}, "bare holds no GeoTIFF"),
        ("predict", {"AQUIFERS": None}, "AQUIFERS"),
        ("trainmodels", {"PREDICTORS": "/nowhere"}, "/nowhere is not a folder"),
        ("trainmodels", {"SAMPLES": 0}, "SAMPLES is 0; give a whole number of at least 100"),
        ("trainmodels", {"PRESET": "best"}, "PRESET is 'best'; give one of recommended, published"),
        ("sampleregion", {"SIZE": 99}, "SIZE is 99; give a whole number from 2 to 30"),
        ("sampleregion", {"START": "soon"}, "soon"),
        ("aquiferclasses", {"INPUT": "absent"}, "INPUT: .*absent.tif is not a vector layer"),
        ("aquiferclasses", {"FACTOR": 0}, "FACTOR is 0; give a whole number of at least 1"),
        ("aquiferclasses", {"FACTOR": 5}, "cannot be grouped by 5 x 5 cells"),
        ("watermask", {"THRESHOLD": 0}, "THRESHOLD is 0; give"),
        ("watermask", {"THRESHOLD": -1}, r"THRESHOLD is -1; give a number from 0 to 1"),
        ("watermask", {"INPUTS": []}, "no tile was given"),
        ("watermask", {"INPUTS": ["absent"]}, "INPUTS: .*absent.tif"),
        ("importgrace", {}, r"text\.nc is not a NetCDF file"),
        ("importgrace", {"INPUT": "/nowhere.nc"}, r"/nowhere\.nc is not there"),
        ("importgrace", {"INPUT": "gwsa"}, r"INPUT is .*gwsa\.tif; give a file of the kind NetCDF"),
        ("predict", {"MODEL": "text"}, r"MODEL is .*text\.tif; give a file of the kind GWSA model \(\*\.gwsa\)"),
        ("importgldas", {"FOLDER": "/nowhere"}, "/nowhere is not a folder"),
        ("monthlystack", {"INPUTS": [], "FOLDER": "bare"}, "bare holds no file"),
        ("monthlystack", {"INPUTS": []}, "no input was given"),
        ("validatewells", {"WELLS": "absent"}, "WELLS: .*absent.tif is not a vector layer"),
        ("validatewells", {"LEVELS": "absent"}, "absent.tif"),
        ("validatewells", {"STATION_FIELD": "station"}, "'station'"),
        ("validatewells", {"SPECIFIC_YIELD": ["here", 1, 2, 3, 4, 5]}, "'here'"),
        ("waterbalance", {"BASELINE_START": "soon"}, "soon"),
        ("basinseries", {"BASINS": "absent"}, "BASINS: .*absent.tif is not a vector layer"),
        ("basinseries", {"FIELD": "HYGEO3"}, "has no field 'HYGEO3'; it has HYGEO2, NAME"),
        ("basinseries", {"BASIN": "14"}, r"has no basin '14' \(it has 13, 23\)"),
        ("basinseries", {"INPUT": "elsewhere"}, r"no basin has a value of .*elsewhere\.tif"),
        ("basinseries", {"LEVEL": 1}, "LEVEL is 1; give a number from 0.5 to 0.99"),
        ("basinseries", {"UNCERTAINTY": "gwsa"}, "does not say whose errors it holds"),
        ("basinreport", {"BASIN": "14"}, r"has no basin '14' \(it has 13, 23\)"),
        ("basinreport", {"BREAK": "soon"}, "BREAK is 'soon'; give a month as YYYY-MM"),
        ("basinreport", {"BREAK": "1999"}, "BREAK is 1999 and the months are 2004-01 to 2009-12"),
        ("basinreport", {"SLOPE": "rates"}, "SLOPE and P_VALUE were not given together"),
        ("basinreport", {"SLOPE": "shifted", "P_VALUE": "rates_p"}, "are not on one grid"),
        ("basinreport", {"FOLDER": None}, "has 2 basins and FOLDER is not given"),
        ("basinreport", {"INPUT": "elsewhere"}, r"no basin has a value of .*elsewhere\.tif"),
        ("hotspots", {"SLOPE": "rates_p"}, "the slope .* names no unit; give a slope made by gwsa:trend"),
        ("hotspots", {"P_VALUE": "rates"}, "holds -2, which is no p value; give P_VALUE of gwsa:trend"),
        ("hotspots", {"P_VALUE": "corrected"}, "no p value"),
        ("hotspots", {"P_VALUE": "shifted"}, "are not on one grid"),
        ("hotspots", {"LOWER": "rates"}, "one limit of the slope was given without the other"),
        ("hotspots", {"KIND": "loss"}, "KIND is 'loss'; give one of depletion, gain, both"),
        ("hotspots", {"MINIMUM_AREA": -1}, "MINIMUM_AREA is -1; give a number of at least 0"),
        ("trend", {"CORRECTION": "ar9"}, "CORRECTION is 'ar9'; give one of ar1, none"),
        ("droughtindex", {"METHOD": "spi"}, "METHOD is 'spi'; give one of grace_dsi, ggdi"),
        ("droughtindex", {"MINIMUM_YEARS": 10}, "no calendar month has more than 6 years"),
        ("attribution", {"BASELINE_END": "soon"}, "soon"),
        ("attribution", {"BACKGROUND": "elsewhere"}, r"elsewhere\.tif .* does not meet"),
        ("latitudeprofile", {"BAND_HEIGHT": 0}, "BAND_HEIGHT is 0; give a number from 0.001 to 180"),
        ("latitudeprofile", {"PERIODS": "soon"}, "'soon' is no period"),
        ("trendbreak", {"BREAK": ""}, "BREAK .*was not given; give a value for it"),
        ("trendbreak", {"BREAK": "soon"}, "BREAK is 'soon'; give a month as YYYY-MM"),
        (
            "trendbreak",
            {"BREAK": "2009-06"},
            "7 months with values are after the break; give a break that leaves at least 24",
        ),
        ("trendbreak", {"AQUIFERS": "classes_coarse"}, "are not on one grid"),
        ("trend", {"START": "soon"}, "START is 'soon'; give a month as YYYY-MM"),
        ("trend", {"END": "1999-12"}, "has no month from 2004-01 to 1999-12"),
        ("trend", {"START": "2009-01"}, "has 12 months and removing the season needs 24"),
        ("trend", {"AQUIFERS": "absent"}, "AQUIFERS: .*absent.tif is not a raster"),
        ("trend", {"AQUIFERS": "classes_coarse"}, "are not on one grid"),
        ("trend", {"CONFIDENCE": 1}, "CONFIDENCE is 1; give a number from 0.5 to 0.999"),
        ("trend", {"MINIMUM_SHARE": 1.5}, "MINIMUM_SHARE is 1.5; give a number from 0 to 1"),
        ("seasonality", {"MINIMUM_MONTHS": 13}, "MINIMUM_MONTHS is 13; give a whole number from 1 to 12"),
        ("preparepredictors", {"NAMES": "a,b"}, "2 names were given for 1 input"),
    ],
)
def test_other_faults(refusals, name, changes, match):
    refusals.processing_run(name, changes, match)


@pytest.mark.parametrize("name", sorted(set(ALGORITHMS) - {"importgldas", "importgrace"}))
def test_unwritable_folder(refusals, inputs, name):
    """A folder cannot be made below a file, not even by root; the last output fails when the others are written."""
    output, suffix = list(ALGORITHMS[name][1].items())[-1]
    below = str(Path(inputs["below"]).with_name(f"output{suffix}"))
    refusals.processing_run(name, {output: below}, "cannot be written")


def small_files() -> None:
    """Let files of this process grow to a few kB, then fail, as they do on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16_000, 16_000))


@pytest.mark.parametrize("name", ["accumulate", "trend", "preparepredictors"])
def test_disk_that_fills_up(refusals, name):
    changes = {"INPUT": "corrected"} if name == "accumulate" else {}
    refusals.qgis_process(name, changes, "cannot be written", preexec_fn=small_files)

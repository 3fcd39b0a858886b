"""A QGIS with the provider, and small inputs for its algorithms."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def provider(qgis_app, qgis_processing):
    """Register the provider as the plugin does."""
    from qgis.core import QgsApplication

    from gwsa_qgis.plugin import GwsaPlugin

    plugin = GwsaPlugin(None)
    plugin.initProcessing()
    yield QgsApplication.processingRegistry().providerById("gwsa")
    plugin.unload()


@pytest.fixture(scope="session")
def qgis_process(provider, tmp_path_factory) -> Callable[..., subprocess.CompletedProcess]:
    """Call qgis_process, in a copy of the profile in which the plugin was built: other tests may run beside these."""
    command = shutil.which("qgis_process")
    profile = tmp_path_factory.mktemp("profile")
    shutil.copytree(ROOT / "build" / "profile", profile, dirs_exist_ok=True)
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")} | {
        "QGIS_PLUGINPATH": str(ROOT / "build" / "plugins"),
        "QGIS_CUSTOM_CONFIG_PATH": str(profile),
        "QT_QPA_PLATFORM": "offscreen",
    }
    subprocess.run([command, "plugins", "enable", "gwsa_qgis"], env=environment, capture_output=True)

    def call(*arguments: str, **options) -> subprocess.CompletedProcess:
        return subprocess.run([command, *arguments], capture_output=True, text=True, env=environment, **options)

    return call


@pytest.fixture(scope="session")
def run_qgis_process(qgis_process) -> Callable[..., subprocess.CompletedProcess]:
    """Run an algorithm (name, parameters) with qgis_process."""

    def run(name: str, parameters: dict, **options) -> subprocess.CompletedProcess:
        return qgis_process("run", f"gwsa:{name}", "-", input=json.dumps({"inputs": parameters}), **options)

    return run


@pytest.fixture
def run_in_batch(provider, monkeypatch) -> Callable[[str, list[dict]], None]:
    """Run an algorithm through the batch dialog's own machinery, once for each row of values."""
    import processing.gui.Postprocessing
    from processing.gui.BatchAlgorithmDialog import BatchAlgorithmDialog
    from qgis.PyQt import sip
    from qgis.PyQt.QtCore import QCoreApplication

    # QGIS 3.40.6 lists HTML results of a batch with an argument too few, whatever the algorithm (its own bug).
    monkeypatch.setattr(BatchAlgorithmDialog, "loadHtmlResults", lambda *_: None)
    monkeypatch.setattr(processing.gui.Postprocessing, "iface", None)  # there is no main window here

    def run(algorithm: str, rows: list[dict]) -> None:
        dialog = BatchAlgorithmDialog(provider.algorithm(algorithm).create())  # takes it over
        dialog.execute(rows)
        # A dialog that is not shown takes itself away when its runs are done.
        while not sip.isdeleted(dialog) and not dialog.wasExecuted():
            QCoreApplication.processEvents()

    return run


@pytest.fixture(scope="session")
def chain_inputs(region) -> dict:
    """Inputs of the complete chain in the small region, as the demonstration gives them."""
    path = ROOT / "scripts" / "sample_inputs.py"
    specification = importlib.util.spec_from_file_location("sample_inputs", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.chain_inputs(region) | {"SEARCH_ITERATIONS": 1}


@pytest.fixture(scope="session")
def region(tmp_path_factory) -> Path:
    """A small sample region with the whole record and its gaps."""
    from gwsa_qgis.steps.sampleregion import sampleregion

    folder = tmp_path_factory.mktemp("sample") / "region"
    sampleregion(folder, size=3, factor=3)
    return folder


@pytest.fixture(scope="session")
def work(region, tmp_path_factory) -> dict[str, str]:
    """What each step's input would be in the chain, made by the library from the region."""
    from gwsa_qgis.steps.accumulate import accumulate
    from gwsa_qgis.steps.aquiferclasses import aquiferclasses
    from gwsa_qgis.steps.basemask import basemask
    from gwsa_qgis.steps.correctresiduals import correctresiduals
    from gwsa_qgis.steps.fillgaps import fillgaps
    from gwsa_qgis.steps.glaciermask import glaciermask
    from gwsa_qgis.steps.importgldas import importgldas
    from gwsa_qgis.steps.importgrace import importgrace
    from gwsa_qgis.steps.monthlystack import monthlystack
    from gwsa_qgis.steps.predict import predict
    from gwsa_qgis.steps.preparepredictors import preparepredictors
    from gwsa_qgis.steps.trainmodels import trainmodels
    from gwsa_qgis.steps.trend import trend
    from gwsa_qgis.steps.waterbalance import waterbalance
    from gwsa_qgis.steps.watermask import watermask

    folder = tmp_path_factory.mktemp("chain")
    at = {name: str(folder / f"{name}.tif") for name in RASTERS} | {"fine": str(folder / "fine")}
    at |= {"coarse": str(folder / "coarse"), "model": str(folder / "m.gwsa"), "template": str(template(region))}
    grace = region / "grace"
    importgrace(
        next(grace.glob("*all-corrections.nc")),
        at["twsa"],
        mascons=at["mascons"],
        mascon_map=next(grace.glob("*mapping_file.nc")),
        land_mask=at["land"],
        land_mask_file=next(grace.glob("*LandMask.nc")),
    )
    importgldas(None, at["sms"], at["swe"], at["cws"], folder=region / "gldas", template=at["twsa"])
    fillgaps(at["twsa"], at["filled"], mascons=at["mascons"])
    storages = {name: at[name] for name in ("sms", "swe", "cws")}
    waterbalance(at["filled"], at["gwsa"], observed=at["twsa"], **storages)
    watermask(sorted((region / "jrc_gsw").glob("*.tif")), at["template"], at["water"])
    glaciermask(next((region / "rgi").glob("*.shp")), at["template"], at["ice"])
    basemask([at["water"], at["ice"]], at["mask"])
    aquiferclasses(next((region / "whymap").glob("*.shp")), at["template"], 3, at["classes"], at["classes_coarse"])
    monthlystack(None, at["pre"], folder=region / "chelsa", pattern="CHELSA_pr_*.tif")
    monthlystack(None, at["ndvi"], folder=region / "mod13a1")
    accumulate(at["pre"], at["acc"])
    predictors = {
        "PRE": at["pre"],
        "NDVI": at["ndvi"],
        "PRE_ACC": at["acc"],
        "DEM": next((region / "gmted").glob("*.tif")),
    }
    preparepredictors(predictors, at["template"], 3, at["fine"], at["coarse"], mask=at["mask"])
    trainmodels(
        at["gwsa"], at["coarse"], at["model"], aquifers=at["classes_coarse"], mascons=at["mascons"], search_iterations=1
    )
    predict(at["model"], at["fine"], at["prediction"], aquifers=at["classes"], mask=at["mask"])
    correctresiduals(at["prediction"], at["gwsa"], at["corrected"], mascons=at["mascons"])
    trend(at["corrected"], at["slope"], at["p_value"], unit="year")
    return at


RASTERS = (
    *("twsa", "mascons", "land", "sms", "swe", "cws", "filled", "gwsa", "water", "ice", "mask", "classes"),
    *("classes_coarse", "pre", "ndvi", "acc", "prediction", "corrected", "slope", "p_value"),
)


def template(region: Path) -> Path:
    """The region's fine template."""
    return region / "templates" / "template_fine.tif"


@pytest.fixture(scope="session")
def cases(region, work) -> dict[str, dict]:
    """Parameters of every algorithm but its outputs."""
    grace = region / "grace"
    well_files = {"WELLS": str(region / "wells" / "wells.gpkg"), "LEVELS": str(region / "wells" / "levels.csv")}
    jrc = [str(path) for path in sorted((region / "jrc_gsw").glob("*.tif"))]
    storages = {name.upper(): work[name] for name in ("sms", "swe", "cws")}
    dem = str(next((region / "gmted").glob("*.tif")))
    return {
        "importgrace": {
            "INPUT": str(next(grace.glob("*all-corrections.nc"))),
            "MASCON_MAP": str(next(grace.glob("*mapping_file.nc"))),
        },
        "importgldas": {"FOLDER": str(region / "gldas"), "TEMPLATE": work["twsa"]},
        "monthlystack": {"INPUTS": [str(p) for p in sorted((region / "chelsa").glob("CHELSA_pr_*_2010_*.tif"))]},
        "accumulate": {"INPUT": work["pre"]},
        "watermask": {"INPUTS": jrc, "TEMPLATE": work["template"]},
        "glaciermask": {"GLACIERS": str(next((region / "rgi").glob("*.shp"))), "TEMPLATE": work["template"]},
        "basemask": {"INPUTS": [work["water"], work["ice"]]},
        "applymask": {"INPUT": work["pre"], "MASK": work["mask"]},
        "aquiferclasses": {
            "INPUT": str(next((region / "whymap").glob("*.shp"))),
            "FIELD": "HYGEO2",
            "TEMPLATE": work["template"],
            "FACTOR": 3,
        },
        "preparepredictors": {
            "INPUTS": [work["pre"], work["acc"], dem],
            "NAMES": "PRE,PRE_ACC,DEM",
            "TEMPLATE": work["template"],
            "FACTOR": 3,
            "MASK": work["mask"],
        },
        "fillgaps": {"INPUT": work["twsa"], "MASCONS": work["mascons"], "LONG_MODES": 3},
        "waterbalance": {"TWSA": work["filled"], "OBSERVED": work["twsa"], **storages},
        "trainmodels": {
            "TARGET": work["gwsa"],
            "PREDICTORS": work["coarse"],
            "AQUIFERS": work["classes_coarse"],
            "MASCONS": work["mascons"],
            "SEARCH_ITERATIONS": 1,
        },
        "predict": {
            "MODEL": work["model"],
            "PREDICTORS": work["fine"],
            "AQUIFERS": work["classes"],
            "MASK": work["mask"],
        },
        "correctresiduals": {"PREDICTION": work["prediction"], "TARGET": work["gwsa"], "MASCONS": work["mascons"]},
        "uncertainty": {
            "GWSA": work["corrected"],
            "MODEL": work["model"],
            "PREDICTORS": work["fine"],
            "AQUIFERS": work["classes"],
            "MASK": work["mask"],
        },
        "consistency": {"FINE": work["corrected"], "COARSE": work["gwsa"], "AQUIFERS": work["classes_coarse"]},
        "validatewells": {"GWSA": work["corrected"], "COARSE": work["gwsa"], **well_files, "BINS": 3},
        "projectreport": {"GWSA": work["corrected"], "COARSE": work["gwsa"], "MODEL": work["model"]},
        "trend": {"INPUT": work["corrected"], "AQUIFERS": work["classes"]},
        "basinseries": {
            "INPUT": work["corrected"],
            "BASINS": str(next((region / "whymap").glob("*.shp"))),
            "FIELD": "HYGEO2",
            "SAME_NAME": "join",
            "CHARTS": 2,
        },
        "basinreport": {
            "INPUT": work["corrected"],
            "BASINS": str(next((region / "whymap").glob("*.shp"))),
            "FIELD": "HYGEO2",
            "SAME_NAME": "join",
            "SLOPE": work["slope"],
            "P_VALUE": work["p_value"],
        },
        "hotspots": {"SLOPE": work["slope"], "P_VALUE": work["p_value"], "KIND": "both"},
        "seasonality": {"INPUT": work["corrected"]},
        "droughtindex": {"INPUT": work["corrected"]},
        "attribution": {"GWSA": work["corrected"], "BACKGROUND": work["sms"]},
        "trendbreak": {"INPUT": work["corrected"], "BREAK": "2012", "AQUIFERS": work["classes"]},
        "latitudeprofile": {"INPUT": work["corrected"], "PERIODS": "2003/2010, 2011/2020", "BAND_HEIGHT": 0.5},
        "sampleregion": {"SIZE": 2, "FACTOR": 2, "START": "2004-01", "END": "2005-12"},
        "sampleproject": {"SIZE": 2, "FACTOR": 2},
        "checkenvironment": {},
    }

"""The complete chain: from the agencies' files to a closed fine map, how sure it is, its trend and a report."""

from __future__ import annotations

from pathlib import Path

from model_builder import Builder, Input, Output, choice, folder
from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterField,
    QgsProcessingParameterFile,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterVectorLayer,
)

SOIL = ("clay", "silt", "sand", "cfvo", "cec", "phh2o", "soc", "nitrogen")


def complete_chain(target: Path) -> Path:
    """GRACE to corrected fine stack."""
    b = Builder(
        "complete_chain",
        "Complete chain",
        "Models",
        {
            "ALG_DESC": "From agencies' files to monthly fine maps of groundwater storage anomaly (cm): imports GRACE and "
            "GLDAS, fills gaps, takes land-surface storages off, masks water and ice, prepares predictors, trains, "
            "predicts and closes the map on the data, says how sure it is, maps its trend, and writes a report of it all. "
            "PRESET and METHOD choose between the recommended chain and the "
            "published one (published with spline).",
            "OUTPUT": "Monthly stack of groundwater storage anomaly on the fine grid, cm.",
        },
    )
    inputs = _complete_inputs(b)
    _storage_steps(b, inputs)
    _mask_steps(b, inputs)
    _predictor_steps(b, inputs)
    _downscale_steps(b, inputs)
    return b.save(target, ("corrected:OUTPUT", "trend:STIPPLES", "trend:SLOPE"))


def _complete_inputs(b: Builder) -> dict[str, Input]:
    file, raster = QgsProcessingParameterFile, QgsProcessingParameterRasterLayer
    polygons = [QgsProcessing.SourceType.TypeVectorPolygon]
    kind = QgsProcessing.SourceType.TypeRaster
    added = [
        b.input(file("GRACE", "GRACE mascon file"), "NetCDF file of CSR or JPL."),
        b.input(file("MASCON_MAP", "Mascon mapping file", optional=True), "NetCDF file with mascon_id. Optional."),
        b.input(file("LAND_MASK_FILE", "Land mask file", optional=True), "NetCDF file of the land mask. Optional."),
        b.input(folder("GLDAS", "GLDAS folder"), "Folder of GLDAS_NOAH025_M files."),
        b.input(folder("CHELSA", "CHELSA folder"), "Folder of CHELSA_tas_*.tif and CHELSA_pr_*.tif files."),
        b.input(folder("SOIL_MOISTURE", "Soil moisture folder"), "Folder of monthly surface soil moisture."),
        b.input(folder("EVAPOTRANSPIRATION", "Evapotranspiration folder"), "Folder of PML_V2 files."),
        b.input(folder("NDVI", "NDVI folder"), "Folder of MOD13A1 files."),
        b.input(folder("LST", "Land surface temperature folder"), "Folder of MOD11A2 files."),
        b.input(folder("SOIL", "SoilGrids folder"), "Folder of SoilGrids files, three depths of eight properties."),
        b.input(raster("ELEVATION", "Elevation"), "GMTED2010 mean or another elevation raster."),
        b.input(QgsProcessingParameterMultipleLayers("WATER", "JRC yearly classes", kind), "Tiles of all years."),
        b.input(QgsProcessingParameterVectorLayer("GLACIERS", "Glacier outlines", polygons), "RGI polygons."),
        b.input(QgsProcessingParameterVectorLayer("AQUIFERS", "Aquifer polygons", polygons), "WHYMAP polygons."),
        b.input(
            QgsProcessingParameterField("AQUIFER_FIELD", "Class field", "HYGEO2", "AQUIFERS"), "Class of the polygons."
        ),
        b.input(raster("TEMPLATE", "Template"), "A raster on the fine grid; its extent is the map's."),
        b.input(
            QgsProcessingParameterNumber("FACTOR", "Fine cells per coarse cell", defaultValue=30, minValue=1),
            "Along one side; 30 for 0.25 deg and 1 km.",
        ),
        b.input(choice("PRESET", "Preset", ["recommended", "published"]), "How models are trained.", True),
        b.input(choice("METHOD", "Correction", ["exact", "spline"]), "How the map is closed on the data.", True),
        b.input(
            QgsProcessingParameterNumber("SEARCH_ITERATIONS", "Search iterations", defaultValue=10, minValue=1),
            "Settings tried when training.",
            True,
        ),
        b.input(QgsProcessingParameterNumber("SEED", "Seed", defaultValue=0, minValue=0), "Same seed, same map.", True),
        b.input(
            QgsProcessingParameterNumber(
                "GRACE_ERROR", "Error of GRACE (cm)", QgsProcessingParameterNumber.Type.Double, 2.0, minValue=0
            ),
            "Standard error of a mascon's value.",
            True,
        ),
    ]
    return {str(name): name for name in added}


def _storage_steps(b: Builder, i: dict[str, Input]) -> None:
    b.step(
        "grace",
        1,
        "importgrace",
        {
            "INPUT": i["GRACE"],
            "MASCON_MAP": i["MASCON_MAP"],
            "LAND_MASK_FILE": i["LAND_MASK_FILE"],
            "EXTENT": i["TEMPLATE"],
        },
        {"MASCONS": "Native mascons"},
    )
    b.step("gldas", 2, "importgldas", {"FOLDER": i["GLDAS"], "TEMPLATE": Output("grace")})
    b.step(
        "filled",
        2,
        "fillgaps",
        {"INPUT": Output("grace"), "MASCONS": Output("grace", "MASCONS"), "PRESET": i["PRESET"]},
        {"OUTPUT": "TWSA, filled"},
    )
    storages = {name: Output("gldas", name) for name in ("SMS", "SWE", "CWS")}
    b.step(
        "balance",
        3,
        "waterbalance",
        {"TWSA": Output("filled"), "OBSERVED": Output("grace"), **storages},
        {"OUTPUT": "GWSA, coarse"},
    )


def _mask_steps(b: Builder, i: dict[str, Input]) -> None:
    b.step("water", 3, "watermask", {"INPUTS": i["WATER"], "TEMPLATE": i["TEMPLATE"]})
    b.step("glaciers", 3, "glaciermask", {"GLACIERS": i["GLACIERS"], "TEMPLATE": i["TEMPLATE"]})
    b.step(
        "mask",
        4,
        "basemask",
        {"INPUTS": [Output("water"), Output("glaciers")]},
        {"OUTPUT": "Baseline mask"},
    )
    b.step(
        "classes",
        4,
        "aquiferclasses",
        {"INPUT": i["AQUIFERS"], "FIELD": i["AQUIFER_FIELD"], "TEMPLATE": i["TEMPLATE"], "FACTOR": i["FACTOR"]},
        {"OUTPUT": "Aquifer classes", "COARSE": "Aquifer classes, coarse"},
    )


def _predictor_steps(b: Builder, i: dict[str, Input]) -> None:
    # name of the predictor, folder, file pattern, product
    products = [
        ("TAS", "CHELSA", "CHELSA_tas_*.tif", "chelsa"),
        ("PRE", "CHELSA", "CHELSA_pr_*.tif", "chelsa"),
        ("SM", "SOIL_MOISTURE", "*.tif", "generic"),
        ("ET", "EVAPOTRANSPIRATION", "*.tif", "pml"),
        ("NDVI", "NDVI", "*.tif", "mod13a1"),
        ("LST", "LST", "*.tif", "mod11a2"),
        *((name, "SOIL", f"{name}_*.tif", "soilgrids") for name in SOIL),
    ]
    for name, place, pattern, product in products:
        values = {"FOLDER": i[place], "PATTERN": pattern, "PRODUCT": product}
        b.step(name, 4, "monthlystack", values, label=f"{name}: monthly stack")
    for name in ("PRE", "ET"):
        b.step(f"{name}_ACC", 5, "accumulate", {"INPUT": Output(name)}, label=f"{name}: accumulate")
    names = [name for name, *_ in products] + ["PRE_ACC", "ET_ACC"]
    b.step(
        "predictors",
        6,
        "preparepredictors",
        {
            "INPUTS": [*(Output(name) for name in names), i["ELEVATION"]],
            "NAMES": ",".join([*names, "DEM"]),
            "TEMPLATE": i["TEMPLATE"],
            "FACTOR": i["FACTOR"],
            "MASK": Output("mask"),
        },
        {"FINE": "Fine predictors", "COARSE": "Coarse predictors"},
    )


def _downscale_steps(b: Builder, i: dict[str, Input]) -> None:
    b.step(
        "models",
        7,
        "trainmodels",
        {
            "TARGET": Output("balance"),
            "PREDICTORS": Output("predictors", "COARSE"),
            "AQUIFERS": Output("classes", "COARSE"),
            "PRESET": i["PRESET"],
            "MASCONS": Output("grace", "MASCONS"),
            "SEARCH_ITERATIONS": i["SEARCH_ITERATIONS"],
            "SEED": i["SEED"],
        },
        {
            "MODEL": "Trained models",
            "METRICS": "Training scores",
            "REPORT": "Training report",
        },
    )
    b.step(
        "prediction",
        8,
        "predict",
        {
            "MODEL": Output("models", "MODEL"),
            "PREDICTORS": Output("predictors", "FINE"),
            "AQUIFERS": Output("classes"),
            "MASK": Output("mask"),
        },
    )
    b.step(
        "corrected",
        9,
        "correctresiduals",
        {
            "PREDICTION": Output("prediction"),
            "TARGET": Output("balance"),
            "METHOD": i["METHOD"],
            "MASCONS": Output("grace", "MASCONS"),
        },
        {"OUTPUT": "GWSA, fine", "CLOSURE": "Closure table"},
    )
    b.step(
        "consistency",
        10,
        "consistency",
        {"FINE": Output("corrected"), "COARSE": Output("balance"), "MASCONS": Output("grace", "MASCONS")},
    )
    b.step(
        "uncertainty",
        10,
        "uncertainty",
        {
            "GWSA": Output("corrected"),
            "MODEL": Output("models", "MODEL"),
            "PREDICTORS": Output("predictors", "FINE"),
            "AQUIFERS": Output("classes"),
            "MASK": Output("mask"),
            "MASCONS": Output("grace", "MASCONS"),
            "PREDICTION": Output("prediction"),
            "GRACE_ERROR": i["GRACE_ERROR"],
            "ERROR_SHORT": Output("filled", "ERROR_SHORT"),
            "ERROR_LONG": Output("filled", "ERROR_LONG"),
            "FLAGS": Output("filled", "FLAGS"),
        },
        {"OUTPUT": "Uncertainty of GWSA, fine"},
    )
    b.step(
        "trend",
        10,
        "trend",
        {"INPUT": Output("corrected"), "UNIT": "year"},
        {
            "SLOPE": "Trend",
            "P_VALUE": "Significance (p)",
            "STIPPLES": "Significant trends",
        },
    )
    b.step(
        "project",
        11,
        "projectreport",
        {
            "GWSA": Output("corrected"),
            "COARSE": Output("balance"),
            "MODEL": Output("models", "MODEL"),
            "CLOSURE": Output("corrected", "CLOSURE"),
            "CONSISTENCY": Output("consistency", "METRICS"),
            "SLOPE": Output("trend", "SLOPE"),
            "P_VALUE": Output("trend", "P_VALUE"),
            "UNCERTAINTY": Output("uncertainty"),
        },
        {"REPORT": "Project report", "JSON": "Project figures"},
    )

"""Build the bundled models with PyQGIS; run by ``make models``, checked by a test that rebuilds and compares."""

from __future__ import annotations

import sys
from pathlib import Path

from model_builder import Builder, Input, Output
from qgis.core import (
    QgsApplication,
    QgsProcessing,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterFile,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorLayer,
)

HERE = Path(__file__).parent
REAL = QgsProcessingParameterNumber.Type.Double
SOIL = ("clay", "silt", "sand", "cfvo", "cec", "phh2o", "soc", "nitrogen")


def folder(name: str, label: str) -> QgsProcessingParameterFile:
    """Parameter for a folder."""
    return QgsProcessingParameterFile(name, label, QgsProcessingParameterFile.Behavior.Folder)


def choice(name: str, label: str, options: list[str]) -> QgsProcessingParameterEnum:
    """Parameter for a fixed text; the first is the default."""
    return QgsProcessingParameterEnum(name, label, options, False, options[0], False, True)


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
            "ALG_CREATOR": "gwsa_qgis",
            "ALG_VERSION": "1",
            "OUTPUT": "Monthly stack of groundwater storage anomaly on the fine grid, cm.",
        },
    )
    inputs = _complete_inputs(b)
    _storage_steps(b, inputs)
    _mask_steps(b, inputs)
    _predictor_steps(b, inputs)
    _downscale_steps(b, inputs)
    return b.save(target)


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
        {"MASCONS": ("MASCONS", "Native mascons")},
    )
    b.step("gldas", 2, "importgldas", {"FOLDER": i["GLDAS"], "TEMPLATE": Output("grace")})
    b.step(
        "filled",
        2,
        "fillgaps",
        {"INPUT": Output("grace"), "MASCONS": Output("grace", "MASCONS"), "PRESET": i["PRESET"]},
        {"OUTPUT": ("TWSA", "TWSA, filled")},
    )
    storages = {name: Output("gldas", name) for name in ("SMS", "SWE", "CWS")}
    b.step(
        "balance",
        3,
        "waterbalance",
        {"TWSA": Output("filled"), "OBSERVED": Output("grace"), **storages},
        {"OUTPUT": ("GWSA_COARSE", "GWSA, coarse")},
    )


def _mask_steps(b: Builder, i: dict[str, Input]) -> None:
    b.step("water", 3, "watermask", {"INPUTS": i["WATER"], "TEMPLATE": i["TEMPLATE"]})
    b.step("glaciers", 3, "glaciermask", {"GLACIERS": i["GLACIERS"], "TEMPLATE": i["TEMPLATE"]})
    b.step(
        "mask",
        4,
        "basemask",
        {"INPUTS": [Output("water"), Output("glaciers")]},
        {"OUTPUT": ("MASK", "Baseline mask")},
    )
    b.step(
        "classes",
        4,
        "aquiferclasses",
        {"INPUT": i["AQUIFERS"], "FIELD": i["AQUIFER_FIELD"], "TEMPLATE": i["TEMPLATE"], "FACTOR": i["FACTOR"]},
        {"OUTPUT": ("CLASSES", "Aquifer classes"), "COARSE": ("CLASSES_COARSE", "Aquifer classes, coarse")},
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
        {"FINE": ("PREDICTORS_FINE", "Fine predictors"), "COARSE": ("PREDICTORS_COARSE", "Coarse predictors")},
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
            "MODEL": ("MODEL", "Trained models"),
            "METRICS": ("TRAINING_SCORES", "Training scores"),
            "REPORT": ("TRAINING_REPORT", "Training report"),
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
        {"OUTPUT": ("OUTPUT", "GWSA, fine"), "CLOSURE": ("CLOSURE", "Closure table")},
        always=("CLOSURE",),
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
        {"OUTPUT": ("UNCERTAINTY", "Uncertainty of GWSA, fine")},
    )
    b.step(
        "trend",
        10,
        "trend",
        {"INPUT": Output("corrected"), "UNIT": "year"},
        {
            "SLOPE": ("SLOPE", "Trend"),
            "P_VALUE": ("P_VALUE", "Significance (p)"),
            "STIPPLES": ("STIPPLES", "Significant trends"),
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
        {"REPORT": ("PROJECT_REPORT", "Project report"), "JSON": ("PROJECT_FIGURES", "Project figures")},
    )


def trend_and_classes(target: Path) -> Path:
    """Monthly stack to trend, significance and classes."""
    b = Builder(
        "trend_and_classes",
        "Trend and classes",
        "Models",
        {
            "ALG_DESC": "Masks a monthly stack and maps its Theil-Sen trend (cm per year), the significance corrected for "
            "autocorrelation, the plain significance and the seven trend classes, with dots where trends are significant "
            "and a report of area shares.",
            "ALG_CREATOR": "gwsa_qgis",
            "ALG_VERSION": "1",
        },
    )
    stack = b.input(QgsProcessingParameterRasterLayer("INPUT", "Monthly stack"), "For example the fine GWSA, cm.")
    mask = b.input(QgsProcessingParameterRasterLayer("MASK", "Mask"), "Cells to use, on the same grid.")
    unit = b.input(choice("UNIT", "Slope per", ["year", "month"]), "Time unit of the slope.")
    correction = b.input(
        choice("CORRECTION", "Correction for autocorrelation", ["ar1", "none"]), "none is the published test.", True
    )
    b.step("masked", 1, "applymask", {"INPUT": stack, "MASK": mask})
    b.step(
        "trend",
        2,
        "trend",
        {"INPUT": Output("masked"), "UNIT": unit, "CORRECTION": correction},
        {
            "SLOPE": ("SLOPE", "Trend"),
            "P_VALUE": ("P_VALUE", "Significance (p)"),
            "P_PLAIN": ("P_PLAIN", "Significance, plain test (p)"),
            "CLASSES": ("CLASSES", "Trend classes"),
            "STIPPLES": ("STIPPLES", "Significant trends"),
            "REPORT": ("REPORT", "Trend report"),
        },
    )
    return b.save(target)


def validation(target: Path) -> Path:
    """Fine map against the coarse data and against wells."""
    b = Builder(
        "validation",
        "Validation",
        "Models",
        {
            "ALG_DESC": "Compares a fine map of groundwater storage anomaly with the coarse data that it was made from, and "
            "with groundwater levels in wells, and gathers what was found in one report.",
            "ALG_CREATOR": "gwsa_qgis",
            "ALG_VERSION": "1",
        },
    )
    raster = QgsProcessingParameterRasterLayer
    points = [QgsProcessing.SourceType.TypeVectorPoint]
    fine = b.input(raster("FINE", "GWSA, fine"), "Monthly stack, cm.")
    coarse = b.input(raster("COARSE", "GWSA, coarse"), "Monthly stack, cm.")
    classes = b.input(raster("CLASSES_COARSE", "Aquifer classes, coarse", optional=True), "Figures for each class.")
    mascons = b.input(raster("MASCONS", "Native mascons", optional=True), "Compare on these.")
    model = b.input(
        QgsProcessingParameterFile("MODEL", "Trained models", extension="gwsa", optional=True),
        "Of the complete chain, for its scores in the project report. Optional.",
    )
    wells = b.input(QgsProcessingParameterVectorLayer("WELLS", "Wells", points), "Points with a station identifier.")
    levels = b.input(QgsProcessingParameterFile("LEVELS", "Levels"), "Table of levels (CSV).")
    start = b.input(QgsProcessingParameterString("START", "First month", "2006-01"), "YYYY-MM", True)
    end = b.input(QgsProcessingParameterString("END", "Last month", "2020-12"), "YYYY-MM, included", True)
    b.step(
        "consistency",
        1,
        "consistency",
        {"FINE": fine, "COARSE": coarse, "AQUIFERS": classes, "MASCONS": mascons},
        {
            "METRICS": ("CONSISTENCY", "Consistency figures"),
            "REPORT": ("CONSISTENCY_REPORT", "Consistency report"),
        },
        always=("METRICS",),
    )
    b.step(
        "wells",
        1,
        "validatewells",
        {
            "GWSA": fine,
            "COARSE": coarse,
            "WELLS": wells,
            "LEVELS": levels,
            "AQUIFERS": classes,
            "START": start,
            "END": end,
        },
        {
            "OUTPUT": ("OUTPUT", "Wells with figures"),
            "METRICS": ("WELL_FIGURES", "Well figures"),
            "REPORT": ("WELL_REPORT", "Well report"),
        },
        always=("METRICS",),
    )
    b.step(
        "project",
        2,
        "projectreport",
        {
            "GWSA": fine,
            "COARSE": coarse,
            "MODEL": model,
            "CONSISTENCY": Output("consistency", "METRICS"),
            "WELLS": Output("wells", "METRICS"),
        },
        {"REPORT": ("PROJECT_REPORT", "Project report"), "JSON": ("PROJECT_FIGURES", "Project figures")},
    )
    return b.save(target)


def pumping_fingerprint(target: Path) -> Path:
    """GWSA less a natural background: residual trend, its hot spots, and its latitude profile."""
    b = Builder(
        "pumping_fingerprint",
        "Pumping fingerprint",
        "Models",
        {
            "ALG_DESC": "Takes a hydrological model's natural groundwater from GWSA, maps the trend of what is left with limits "
            "and dots where it is significant, outlines the hot spots of depletion with their volume a year, and averages "
            "the residual by latitude. A residual that falls does not prove pumping: use several backgrounds.",
            "ALG_CREATOR": "gwsa_qgis",
            "ALG_VERSION": "1",
        },
    )
    raster = QgsProcessingParameterRasterLayer
    gwsa = b.input(raster("GWSA", "GWSA, fine"), "Monthly stack, cm.")
    background = b.input(
        raster("BACKGROUND", "Natural groundwater storage"),
        "Monthly stack of a hydrological model without human water use, made with product background.",
    )
    kind = b.input(choice("KIND", "Hot spots of", ["depletion", "gain", "both"]), "Of the residual.")
    area = b.input(
        QgsProcessingParameterNumber("MINIMUM_AREA", "Least area of hot spots (km2)", REAL, 0.0, minValue=0),
        "Smaller ones are left out.",
    )
    band = b.input(
        QgsProcessingParameterNumber(
            "BAND_HEIGHT", "Height of latitude bands", REAL, 1.0, minValue=0.001, maxValue=180
        ),
        "Degrees, for the profile.",
        True,
    )
    b.step(
        "fingerprint",
        1,
        "attribution",
        {"GWSA": gwsa, "BACKGROUND": background},
        {
            "RESIDUAL": ("RESIDUAL", "Residual GWSA"),
            "SLOPE": ("SLOPE", "Trend of the residual"),
            "P_VALUE": ("P_VALUE", "Significance of the residual's trend (p)"),
            "CLASSES": ("CLASSES", "Trend classes of the residual"),
            "STIPPLES": ("STIPPLES", "Significant residual trends"),
            "REPORT": ("REPORT", "Fingerprint report"),
        },
        note="What a natural background leaves of GWSA, and its trend per year",
    )
    b.step(
        "spots",
        3,
        "hotspots",
        {
            "SLOPE": Output("fingerprint", "SLOPE"),
            "P_VALUE": Output("fingerprint", "P_VALUE"),
            "LOWER": Output("fingerprint", "LOWER"),
            "UPPER": Output("fingerprint", "UPPER"),
            "KIND": kind,
            "MINIMUM_AREA": area,
        },
        {"OUTPUT": ("HOT_SPOTS", "Hot spots of the residual"), "REPORT": ("HOT_SPOT_REPORT", "Hot spot report")},
        note="Where the residual's trend is significant: area and km3 per year",
    )
    b.step(
        "profile",
        3,
        "latitudeprofile",
        {"INPUT": Output("fingerprint", "RESIDUAL"), "BAND_HEIGHT": band},
        {"PROFILE": ("PROFILE", "Latitude profile"), "REPORT": ("PROFILE_REPORT", "Latitude profile report")},
        note="Mean residual by latitude",
    )
    return b.save(target)


def basin_reports(target: Path) -> Path:
    """Trend and hot spots of a stack, and a page for each basin."""
    b = Builder(
        "basin_reports",
        "Basin reports",
        "Models",
        {
            "ALG_DESC": "Maps trend and hot spots of a monthly stack once, averages the stack over basins, and writes a "
            "self-contained page for each basin: series, trend with limits, break, season, droughts, hot spots. All basins of "
            "the layer in one run, or one by its name (BASIN): a row of the batch dialog for each.",
            "ALG_CREATOR": "gwsa_qgis",
            "ALG_VERSION": "1",
        },
    )
    raster, polygons = QgsProcessingParameterRasterLayer, [QgsProcessing.SourceType.TypeVectorPolygon]
    stack = b.input(raster("INPUT", "Monthly stack"), "For example the fine GWSA, cm.")
    basins = b.input(QgsProcessingParameterFeatureSource("BASINS", "Basins", polygons), "Polygons in any CRS.")
    field = b.input(
        QgsProcessingParameterField("FIELD", "Name field", parentLayerParameterName="BASINS", optional=True),
        "Names of the basins; features are numbered without it.",
    )
    text = QgsProcessingParameterString
    basin = b.input(text("BASIN", "Only this basin", optional=True), "Its name; all basins when empty.")
    month = b.input(text("BREAK", "Break", optional=True), "YYYY-MM or a year; the middle of the record when empty.")
    errors = b.input(
        raster("UNCERTAINTY", "Uncertainty", optional=True), "CELL of the Uncertainty algorithm. Optional."
    )
    mascons = b.input(raster("MASCONS", "Native mascons", optional=True), "Needed with errors of mascons.")
    b.step(
        "trend",
        1,
        "trend",
        {"INPUT": stack, "UNIT": "year"},
        {"SLOPE": ("SLOPE", "Trend"), "P_VALUE": ("P_VALUE", "Significance (p)")},
        note="Trend of every cell with its limits, once for all basins",
    )
    maps = {name: Output("trend", name) for name in ("SLOPE", "P_VALUE", "LOWER", "UPPER")}
    b.step(
        "spots",
        3,
        "hotspots",
        {**maps, "KIND": "both"},
        {"OUTPUT": ("HOT_SPOTS", "Hot spots")},
        note="Connected areas of significant trend",
    )
    named = {"BASINS": basins, "FIELD": field, "BASIN": basin, "UNCERTAINTY": errors, "MASCONS": mascons}
    b.step(
        "series",
        3,
        "basinseries",
        {"INPUT": stack, **named},
        {"OUTPUT": ("SERIES", "Monthly table"), "LAYER": ("BASIN_LAYER", "Basins with trends")},
        note="Months, volumes and trends as tables and layer",
    )
    b.step(
        "pages",
        5,
        "basinreport",
        {"INPUT": stack, **named, **maps, "BREAK": month},
        {
            "REPORT": ("REPORT", "Basin report"),
            "FOLDER": ("PAGES", "Folder of pages"),
            "SUMMARY": ("SUMMARY", "Table of basins"),
        },
        note="A page for each basin",
    )
    return b.save(target)


MODELS = (complete_chain, trend_and_classes, pumping_fingerprint, basin_reports, validation)


def main() -> None:
    """Build all models into this folder, or into the one given."""
    application = QgsApplication([], False)
    application.initQgis()
    from gwsa_qgis.plugin import GwsaPlugin

    plugin = GwsaPlugin(None)
    plugin.initProcessing()
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    for build in MODELS:
        print(build(target))
    plugin.unload()
    application.exitQgis()


if __name__ == "__main__":
    main()

"""What is made of a fine map: trends and classes, the pumping fingerprint, pages for basins."""

from __future__ import annotations

from pathlib import Path

from model_builder import Builder, Output, choice
from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)

REAL = QgsProcessingParameterNumber.Type.Double


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
            "SLOPE": "Trend",
            "P_VALUE": "Significance (p)",
            "P_PLAIN": "Significance, plain test (p)",
            "CLASSES": "Trend classes",
            "STIPPLES": "Significant trends",
            "REPORT": "Trend report",
        },
    )
    return b.save(target, ("trend:STIPPLES", "trend:SLOPE"))


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
            "RESIDUAL": "Residual GWSA",
            "SLOPE": "Trend of the residual",
            "P_VALUE": "Significance of the residual's trend (p)",
            "CLASSES": "Trend classes of the residual",
            "STIPPLES": "Significant residual trends",
            "REPORT": "Fingerprint report",
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
        {"OUTPUT": "Hot spots of the residual", "REPORT": "Hot spot report"},
        note="Where the residual's trend is significant: area and km3 per year",
    )
    b.step(
        "profile",
        3,
        "latitudeprofile",
        {"INPUT": Output("fingerprint", "RESIDUAL"), "BAND_HEIGHT": band},
        {"PROFILE": "Latitude profile", "REPORT": "Latitude profile report"},
        note="Mean residual by latitude",
    )
    return b.save(target, ("spots:OUTPUT", "fingerprint:STIPPLES", "fingerprint:SLOPE"))


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
        {"SLOPE": "Trend", "P_VALUE": "Significance (p)"},
        note="Trend of every cell with its limits, once for all basins",
    )
    maps = {name: Output("trend", name) for name in ("SLOPE", "P_VALUE", "LOWER", "UPPER")}
    b.step(
        "spots",
        3,
        "hotspots",
        {**maps, "KIND": "both"},
        {"OUTPUT": "Hot spots"},
        note="Connected areas of significant trend",
    )
    named = {"BASINS": basins, "FIELD": field, "BASIN": basin, "UNCERTAINTY": errors, "MASCONS": mascons}
    b.step(
        "series",
        3,
        "basinseries",
        {"INPUT": stack, **named},
        {"OUTPUT": "Monthly table", "LAYER": "Basins with trends"},
        note="Months, volumes and trends as tables and layer",
    )
    b.step(
        "pages",
        5,
        "basinreport",
        {"INPUT": stack, **named, **maps, "BREAK": month},
        {
            "REPORT": "Basin report",
            "FOLDER": "Folder of pages",
            "SUMMARY": "Table of basins",
        },
        note="A page for each basin",
    )
    return b.save(target, ("spots:OUTPUT", "series:LAYER", "trend:SLOPE"))

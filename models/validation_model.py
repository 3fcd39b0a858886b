"""The fine map against the coarse data and against wells."""

from __future__ import annotations

from pathlib import Path

from model_builder import Builder, Output
from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterFile,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorLayer,
)


def validation(target: Path) -> Path:
    """Fine map against the coarse data and against wells."""
    b = Builder(
        "validation",
        "Validation",
        "Models",
        {
            "ALG_DESC": "Compares a fine map of groundwater storage anomaly with the coarse data that it was made from, and "
            "with groundwater levels in wells, and gathers what was found in one report.",
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
            "METRICS": "Consistency figures",
            "REPORT": "Consistency report",
        },
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
            "OUTPUT": "Wells with figures",
            "METRICS": "Well figures",
            "REPORT": "Well report",
        },
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
        {"REPORT": "Project report", "JSON": "Project figures"},
    )
    return b.save(target)

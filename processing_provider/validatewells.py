"""gwsa:validatewells."""

from __future__ import annotations

from typing import Any

from gwsa_qgis.processing_provider.base import PAPER, GwsaAlgorithm
from gwsa_qgis.processing_provider.translation import tr
from gwsa_qgis.processing_provider.values import Values
from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterMatrix,
    QgsProcessingParameterVectorDestination,
    QgsProcessingParameterVectorLayer,
)

COLUMNS = ("region", "south", "north", "west", "east", "specific_yield")
# Table 2 of the paper; the first region that holds a well wins, 0.15 elsewhere.
TABLE_2 = [
    *("Asia", 10, 80, 60, 150, 0.11),
    *("Europe and Middle East", 35, 75, -25, 60, 0.14),
    *("North America", 15, 75, -170, -50, 0.16),
    *("South America", -60, 15, -90, -30, 0.18),
    *("Africa", -35, 35, -20, 55, 0.08),
    *("Australia and Oceania", -50, 0, 110, 180, 0.09),
]


class ValidateWells(GwsaAlgorithm):
    """Compare the fine map with groundwater levels in wells."""

    ID = "validatewells"
    NAME = "Validate with wells"
    GROUP = "validate"
    TAGS = ("wells", "groundwater level", "specific yield", "validation", "trend")
    REFERENCE = f"Trends: Sen (1968), doi:10.1080/01621459.1968.10480934. {PAPER}"
    SUMMARY = "Compares the map with groundwater levels in wells: trends and monthly anomalies, binned and unbinned."
    HELP = """<p>Levels become storage by dGWS = dGWL x Sy (eq. 19) with the specific yield Sy of the table's first region
    that holds the well. Wells in one coarse cell are averaged, as published; figures for single wells stand beside. The
    trends (Theil-Sen, cm per year) of wells and map are compared by R2, correlation, Spearman's rho, slope and RMSE; the
    paper's figure of 15 quantile bins is given too, labelled as bin means: unrelated data can reach a binned R2 near
    0.45. Sy is perturbed by +-20 % to show what it alone can change, and the Sy that the map
    would ask for is given by region. 95 % intervals come from drawing whole blocks of wells.</p>"""
    FORMULA = "dGWS = dGWL x S<sub>y</sub> (eq. 19)."
    UNITS = "Levels m or as LEVEL_UNIT says, storages cm, trends cm per year; specific yield has no unit."

    def declare(self) -> None:
        self.add_raster("GWSA", "GWSA, fine", "Monthly stack, cm.")
        self.add(
            QgsProcessingParameterVectorLayer("WELLS", tr("Wells"), [QgsProcessing.SourceType.TypeVectorPoint]),
            "Points with a station identifier.",
        )
        self.add_file(
            "LEVELS",
            "Levels",
            "Table (CSV) with station, date and level; long (a row for each reading) or wide (a column for each station).",
            "CSV (*.csv *.txt)",
        )
        self.add_text("STATION_FIELD", "Station field", "Field of the points that names the station; found when empty.")
        self.add_choice(
            "LEVEL_KIND",
            "Levels are",
            "depth: below ground, positive down; head: above a datum, positive up; anomaly: change, positive up.",
            ["depth", "head", "anomaly"],
            "depth",
        )
        self.add_choice("LEVEL_UNIT", "Unit of the levels", "Of the levels' values.", ["m", "cm", "mm", "ft"], "m")
        self.add(
            QgsProcessingParameterMatrix(
                "SPECIFIC_YIELD", tr("Specific yield"), headers=list(COLUMNS), defaultValue=TABLE_2
            ),
            "Specific yield by region (degrees); the first region that holds a well wins, 0.15 elsewhere.",
            advanced=True,
        )
        self.add_text(
            "YIELD_FIELD",
            "Field with specific yields",
            "Field of the points with a specific yield of their own (0 to 1), which comes before raster and table.",
            advanced=True,
        )
        self.add_raster(
            "YIELD_RASTER", "Specific yield, raster", "Shares of 0 to 1; comes before the table.", optional=True
        )
        self.add_number(
            "MINIMUM_YEARS", "Shortest record (years)", "Wells with a shorter one are left out.", 5, 0, whole=False
        )
        self.add_number(
            "MINIMUM_SHARE",
            "Least share of months",
            "Wells with readings in a smaller share of their months are left out.",
            0.25,
            0,
            1,
            whole=False,
        )
        self.add_number(
            "BLOCK_DEGREES",
            "Blocks for intervals (degrees)",
            "Wells in one square of this size are drawn together, since neighbours are not independent.",
            2,
            0.01,
            whole=False,
        )
        self.add_number("SEED", "Seed", "Of the random draws.", 0)
        self.add_text("START", "First month", "YYYY-MM", "2006-01", advanced=True)
        self.add_text("END", "Last month", "YYYY-MM, included", "2020-12", advanced=True)
        self.add_number("BINS", "Bins", "Quantile bins of the published figure.", 15, 3)
        self.add_raster(
            "COARSE",
            "GWSA, coarse",
            "The field before downscaling, to show what the fine map gains. Optional.",
            optional=True,
        )
        self.add_raster(
            "AQUIFERS", "Aquifer classes", "Made by Aquifer classes: figures for each class. Optional.", optional=True
        )
        self.add_file_output("METRICS", "Figures", "Table.", tr("CSV files (*.csv)"), optional=True)
        self.add_report()
        self.add(
            QgsProcessingParameterVectorDestination(
                "OUTPUT", tr("Wells with figures"), QgsProcessing.SourceType.TypeVectorPoint, optional=True
            ),
            "The wells that were used, with trends and correlation.",
        )
        self._styles["OUTPUT"] = ("wells", "Wells with figures")
        for name, label in (("N", "Wells compared"), ("R2", "R2 of trends"), ("SPEARMAN", "Spearman's rho of trends")):
            self.add_figure(name, label)
        self.add_figure("BINNED_R2", "R2 of bin means")
        self.add_figure("SHARE_IMPROVED", "Share of wells that the fine map meets better")

    def run_step(self, values: Values, progress: Any) -> dict[str, Any]:
        from gwsa_qgis.steps.validatewells import validatewells

        result = validatewells(
            values.raster("GWSA"),
            values.vector("WELLS"),
            values.file("LEVELS"),
            specific_yield=[tuple(row) for row in values.matrix("SPECIFIC_YIELD", len(COLUMNS))],
            start=values.text("START"),
            end=values.text("END"),
            bins=values.integer("BINS"),
            coarse=values.raster("COARSE"),
            id_field=values.text("STATION_FIELD") or "",
            yield_field=values.text("YIELD_FIELD") or "",
            yield_raster=values.raster("YIELD_RASTER"),
            aquifers=values.raster("AQUIFERS"),
            level_kind=values.choice("LEVEL_KIND"),
            level_unit=values.choice("LEVEL_UNIT"),
            minimum_years=values.number("MINIMUM_YEARS"),
            minimum_share=values.number("MINIMUM_SHARE"),
            block_degrees=values.number("BLOCK_DEGREES"),
            seed=values.integer("SEED"),
            metrics=values.output_file("METRICS"),
            report=values.output_file("REPORT"),
            output=values.output("OUTPUT"),
            progress=progress,
        )
        trends = next(scores for (support, _), scores in result.comparison.trend.items() if support == "well")
        figures = {"N": trends.n, "R2": trends.r2, "SPEARMAN": trends.spearman}
        binned = next(iter(result.comparison.binned.values()), None)
        figures |= {"BINNED_R2": binned.r2} if binned else {}
        share = result.comparison.share_improved
        return figures | ({"SHARE_IMPROVED": share} if share == share else {})

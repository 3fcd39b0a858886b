"""gwsa:basinreport."""

from __future__ import annotations

from typing import Any

from gwsa_qgis.processing_provider.base import GwsaAlgorithm, tr
from gwsa_qgis.processing_provider.basin_inputs import add_basins, add_counts, add_errors, basin_options
from gwsa_qgis.processing_provider.values import Values
from qgis.core import (
    QgsProcessingParameterFolderDestination,
)


class BasinReport(GwsaAlgorithm):
    """Write a report of each basin."""

    ID = "basinreport"
    NAME = "Basin report"
    GROUP = "analyse"
    TAGS = ("basin", "catchment", "report", "html", "trend", "break", "season", "drought", "hot spots", "batch")
    REFERENCE = (
        "Parts: Basin series, Break in trend, Seasonal contribution, Drought index (Zhao et al. 2017, "
        "doi:10.1175/JHM-D-16-0182.1) and Hot spots of depletion."
    )
    SUMMARY = (
        "Writes a self-contained page for each basin: series, trend with limits, break, season, droughts and hot spots; "
        "and a table of all basins."
    )
    HELP = """<p><b>Series.</b> The mean of a basin is weighted by area, exactly to its borders, as <i>Basin series</i> has it.
    Of this series the page gives the Theil-Sen trend with limits at LEVEL (cm and km<sup>3</sup> per year; AR(1)), the slopes
    before and from BREAK and whether they differ, the seasonal contribution (Eq. 20) with the course of the year, and the
    drought index GRACE-DSI with its longest spells.</p>
    <p><b>Map.</b> Trend and hot spots (p below 0.05) of the cells that the basin covers by at least half. They are computed
    from the stack cut to the basin; give SLOPE and P_VALUE (and LOWER, UPPER) of <i>Trend and significance</i>, on the grid
    of the stack, where these are there already: much quicker for many basins of a large stack.</p>
    <p><b>One basin or all.</b> With BASIN, REPORT is the page of this basin: one run a basin in the batch dialog. Without it
    all basins are done in one run: FOLDER holds a page for each, REPORT is an overview with links, SUMMARY the table: the
    columns of Basin series, then <i>break</i>, <i>slope_before</i>, <i>slope_after</i> (cm per year), <i>p_change</i>,
    <i>change</i>, <i>seasonal_pct</i>, <i>maximum</i>, <i>drought_pct</i> and <i>drought_spell</i> (share of months, and the
    longest run of them, in D1 or worse), <i>driest</i>, and number, area and km<sup>3</sup> per year of hot spots.</p>
    <p>Choose BREAK without looking at the series: a test of the month that looks best finds breaks in noise.</p>"""
    FORMULA = (
        "mean = sum(a<sub>i</sub> v<sub>i</sub>) / sum(a<sub>i</sub>); slope = median of (X<sub>j</sub> - "
        "X<sub>i</sub>) / (j - i) (eq. 22); C = s / (s + d) (eq. 20); DSI = (S - mean<sub>m</sub>) / sd<sub>m</sub>."
    )
    UNITS = (
        "cm, cm per year, km<sup>2</sup>, km<sup>3</sup> and km<sup>3</sup> per year; the drought index in standard "
        "deviations."
    )

    def declare(self) -> None:
        add_basins(self)
        self.add_text("BREAK", "Break", "First month of the later part, YYYY-MM, or a year; the middle when empty.")
        for name, label in (("SLOPE", "Trend"), ("P_VALUE", "Significance (p)")):
            self.add_raster(name, label, f"{name} of the stack's trend. Optional.", optional=True)
        for name, label in (("LOWER", "Lower limit of the trend"), ("UPPER", "Upper limit of the trend")):
            self.add_raster(name, label, f"{name} of the same trend. Optional.", optional=True)
        add_errors(self)
        help = "A calendar month has a drought index where it has so many years."
        self.add_number("MINIMUM_YEARS", "Least years of the drought index", help, 10, 3)
        self.add_report("The page of the basin, or an overview of several with links to FOLDER.")
        self.add(
            QgsProcessingParameterFolderDestination("FOLDER", tr("Folder of pages"), optional=True),
            "A page (HTML) for each basin, called by its name; needed for several basins.",
        )
        csv = tr("CSV files (*.csv)")
        self.add_file_output("SUMMARY", "Table of basins", "A row for each basin.", csv, optional=True)
        add_counts(self)
        self.add_memory()
        self.add_threads()

    def run_step(self, values: Values, progress: Any) -> dict[str, Any]:
        from gwsa_qgis.steps.basinreport import basinreport

        maps = ("SLOPE", "P_VALUE", "LOWER", "UPPER")
        result = basinreport(
            values.raster("INPUT"),
            values.features("BASINS"),
            values.output_file("REPORT"),
            folder=values.output_folder("FOLDER"),
            summary=values.output_file("SUMMARY"),
            **basin_options(values),
            **{name.lower(): values.raster(name) for name in maps},
            break_month=values.text("BREAK") or "",
            minimum_years=values.integer("MINIMUM_YEARS"),
            memory_mb=values.integer("MEMORY"),
            workers=values.threads(),
            progress=progress,
        )
        return {"BASINS_READ": len(result.figures.basins), "BASINS_WITHOUT_VALUES": result.without_values}

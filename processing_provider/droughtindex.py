"""gwsa:droughtindex."""

from __future__ import annotations

from typing import Any

from gwsa_qgis.processing_provider.base import GwsaAlgorithm
from gwsa_qgis.processing_provider.translation import tr
from gwsa_qgis.processing_provider.values import Values


class DroughtIndex(GwsaAlgorithm):
    """Map drought month by month."""

    ID = "droughtindex"
    NAME = "Drought index"
    GROUP = "analyse"
    TAGS = ("drought", "GRACE-DSI", "GGDI", "standardised anomaly", "wetness")
    REFERENCE = (
        "GRACE-DSI and its classes: Zhao et al. (2017), doi:10.1175/JHM-D-16-0182.1; GGDI: Thomas et al. (2017), "
        "doi:10.1016/j.rse.2017.06.026. Not part of the paper."
    )
    SUMMARY = (
        "Writes how dry or wet each month is, in standard deviations of its calendar month, with classes and spells."
    )
    HELP = """<p>METHOD <i>grace_dsi</i>: DSI(y, m) = (S(y, m) - mean of month m) / standard deviation of month m, where S is the
    storage in month m of year y: GRACE-DSI on TWSA, the same on GWSA. <i>ggdi</i>: deviations from the means of the calendar
    months, less their mean and over the standard deviation of all of them: months with large spread then have more
    droughts. The index has no unit; standard deviations divide by n - 1.</p>
    <p>Means and standard deviations are taken over the reference period, the whole record where it is empty, from at least
    MINIMUM_YEARS values of a calendar month; with fewer than 6 the index cannot reach 2. Missing months stay NoData;
    filled months are marked as such in the output.</p>
    <p>Trends are left in, as published: where storage falls year after year, late droughts are depletion. DETREND takes each
    pixel's linear trend out first, and shows droughts about it.</p>
    <p>Classes: D0 from -0.5, D1 -0.8, D2 -1.3, D3 -1.6, D4 -2.0, and W0 to W4 on the other side. Drought means D1 or worse.
    Areas are true areas.</p>"""
    FORMULA = "DSI(y, m) = (S(y, m) - mean<sub>m</sub>) / sd<sub>m</sub>, y the year and m the calendar month."
    UNITS = "Standard deviations (no unit); areas km<sup>2</sup> and percent; spells months."

    def declare(self) -> None:
        self.add_raster("INPUT", "Monthly stack", "GWSA or TWSA, cm; ten years or more.")
        self.add_choice(
            "METHOD",
            "Index",
            "grace_dsi: by the standard deviation of each calendar month; ggdi: by that of all deviations.",
            ["grace_dsi", "ggdi"],
            "grace_dsi",
        )
        self.add_flag("DETREND", "Take out linear trends first", "Shows droughts about the trend of each pixel.", False)
        help = "YYYY-MM. The whole record where empty."
        self.add_text("BASELINE_START", "Reference period starts", help, advanced=True)
        self.add_text("BASELINE_END", "Reference period ends", "YYYY-MM, included.", advanced=True)
        self.add_number(
            "MINIMUM_YEARS",
            "Fewest years",
            "Values of a calendar month that a pixel must have in the reference period.",
            default=10,
            minimum=3,
        )
        self.add_raster_output("OUTPUT", "Drought index", "Monthly stack, standard deviations.", "drought_index")
        self.add_raster_output(
            "CLASSES",
            "Drought classes",
            "Monthly stack: 1 (D4) over 6 (normal) to 11 (W4), 0 = NoData. Optional.",
            "drought_classes",
            optional=True,
        )
        self.add_raster_output(
            "SPELLS",
            "Drought spells",
            "Band 1: percent of the months in D1 or worse; band 2: the longest spell of it, months. Optional.",
            "sequential",
            optional=True,
        )
        csv = tr("CSV files (*.csv)")
        self.add_file_output("AREAS", "Area in each class", "Percent, month by month. Optional.", csv, optional=True)
        self.add_report("Page with the area in each class through time and maps of the spells.")
        self.add_figure("DROUGHT_SHARE", "Area and time in moderate drought or worse (%)")
        self.add_figure("WORST_SHARE", "Largest area in moderate drought or worse in a month (%)")
        self.add_memory()
        self.add_threads()

    def run_step(self, values: Values, progress: Any) -> dict[str, Any]:
        from gwsa_qgis.steps.droughtindex import droughtindex

        result = droughtindex(
            values.raster("INPUT"),
            values.output("OUTPUT"),
            classes=values.output("CLASSES"),
            spells=values.output("SPELLS"),
            areas=values.output_file("AREAS"),
            report=values.output_file("REPORT"),
            method=values.choice("METHOD"),
            baseline_start=values.text("BASELINE_START"),
            baseline_end=values.text("BASELINE_END"),
            minimum_years=values.integer("MINIMUM_YEARS"),
            detrend=values.flag("DETREND"),
            memory_mb=values.integer("MEMORY"),
            workers=values.threads(),
            progress=progress,
        )
        return {"DROUGHT_SHARE": result.drought_share, "WORST_SHARE": result.worst_share}

"""gwsa:trendbreak."""

from __future__ import annotations

from typing import Any

from gwsa_qgis.processing_provider.base import GwsaAlgorithm
from gwsa_qgis.processing_provider.translation import tr
from gwsa_qgis.processing_provider.values import Values
from qgis.core import QgsProcessingParameterString


class TrendBreak(GwsaAlgorithm):
    """Compare the trend before a month with the trend after it."""

    ID = "trendbreak"
    NAME = "Break in trend"
    GROUP = "analyse"
    TAGS = ("break", "change of trend", "before and after", "Theil-Sen", "significance", "intervention", "policy")
    REFERENCE = (
        "Slopes: Sen (1968), doi:10.1080/01621459.1968.10480934; correlation in standard errors and degrees of freedom: after "
        "Santer et al. (2000), doi:10.1029/1999JD901105. Not in the paper."
    )
    SUMMARY = (
        "Maps the trend before and after a month, their difference and its significance, and what became of each trend: "
        "slowed, stopped, reversed, accelerated or not significantly changed."
    )
    HELP = """<p>The months before BREAK and those from BREAK on get a Theil-Sen slope each, after the season was taken out
    of the whole period by STL; the level may jump at the break. CHANGE is the later slope less the earlier one, in the
    stack's unit (cm) per month or year: negative is worse.</p>
    <p>P_VALUE is that of the difference. Its variance is that of least-squares slopes (times pi/3 for Theil-Sen) under
    first-order autoregressive noise with the correlation that is left beside both lines, exactly for the months at hand and
    for what STL took out, averaged over the correlations that could have given what was found. On simulated series without a
    change, trendless or with one constant trend, it calls 3 to 6 % changed at p &lt; 0.05, for month-to-month correlations
    from 0 to 0.9. Noise with a longer memory than that is called changed too often.</p>
    <p><b>Classes</b> of a significant change. Downwards: 1 decline accelerated, 2 decline began, 3 rise turned into decline,
    4 rise stopped, 5 rise slowed, 6 downward, neither slope certain. 7 no significant change. Upwards: 8 upward, neither slope
    certain, 9 decline slowed, 10 decline stopped, 11 decline turned into rise, 12 rise began, 13 rise accelerated. "Slowed"
    leaves a slope that is significant still, "stopped" one that does not differ from zero, "turned into" one that is
    significant with the other sign.</p>
    <p>Choose the break for a reason outside the data. Of many breaks tried, one in twenty is significant by chance. Both parts
    need 24 months at least, and ten years each to tell anything but drastic changes.</p>"""
    FORMULA = (
        "CHANGE = slope from BREAK on - slope before BREAK, each as eq. 22: median of (X<sub>j</sub> - X<sub>i</sub>) "
        "/ (j - i)."
    )
    UNITS = "The stack's unit (cm) per month or year; p has no unit."

    def declare(self) -> None:
        self.add_raster("INPUT", "Monthly stack", "For example GWSA, cm.")
        self.add(
            QgsProcessingParameterString("BREAK", tr("Break (first month of the later part)")),
            "YYYY-MM; a year alone, such as 2012, is its January.",
        )
        self.add_choice("UNIT", "Slope per", "Time unit of the slopes.", ["month", "year"], "year")
        self.add_text("START", "First month", "YYYY-MM. The stack's first where empty.")
        self.add_text("END", "Last month", "YYYY-MM, included. The stack's last where empty.")
        self.add_raster(
            "AQUIFERS",
            "Aquifer classes",
            "Class raster on the same grid: the report and the table give areas for each class. Optional.",
            optional=True,
        )
        self._declare_advanced()
        self.add_raster_output("SLOPE_BEFORE", "Trend before", "Theil-Sen slope.", "slope", optional=True)
        self.add_raster_output("SLOPE_AFTER", "Trend after", "Theil-Sen slope.", "slope", optional=True)
        self.add_raster_output("CHANGE", "Change of trend", "Slope after less slope before.", "slope")
        self.add_raster_output(
            "P_VALUE", "Significance of the change (p)", "Of the difference of both slopes.", "p_value"
        )
        self.add_raster_output(
            "P_BEFORE", "Significance before (p)", "Of the slope before, against zero.", "p_value", optional=True
        )
        self.add_raster_output(
            "P_AFTER", "Significance after (p)", "Of the slope after, against zero.", "p_value", optional=True
        )
        self.add_raster_output("CLASSES", "Change classes", "Thirteen classes, 0 = NoData.", "change_classes")
        self.add_file_output(
            "TABLE",
            "Areas of the classes",
            "Table: km2 and percent by class, for the map, for aquifer classes and for latitude bands.",
            tr("CSV files (*.csv)"),
            optional=True,
        )
        self.add_report("Maps before and after, what became of the trend, its area shares, and what they mean.")
        self.add_figure("WORSE_SHARE", "Area with a significant downward change (%)")
        self.add_figure("BETTER_SHARE", "Area with a significant upward change (%)")
        self.add_figure("MEAN_BEFORE", "Mean slope before, weighted by area")
        self.add_figure("MEAN_AFTER", "Mean slope after, weighted by area")
        self.add_figure("FIELD_SHARE", "Area whose change has field significance (%)")
        self.add_memory()

    def _declare_advanced(self) -> None:
        self.add_number(
            "SIGNIFICANCE",
            "Significance",
            "p value below which slopes and changes are significant for the classes.",
            0.05,
            0.0001,
            0.5,
            whole=False,
        )
        self.add_flag("DESEASONALISE", "Deseasonalise (STL)", "Take the seasonal part out first.", True, advanced=True)
        self.add_flag(
            "ROBUST",
            "Robust STL",
            "Gives outliers little weight in the season. Needs statsmodels, and takes much longer.",
            False,
            advanced=True,
        )
        self.add_flag(
            "USE_FILLED",
            "Use filled months",
            "Off: months that gap filling made count as missing.",
            True,
            advanced=True,
        )
        self.add_number(
            "MINIMUM_SHARE",
            "Smallest share of valid months",
            "Of each part; pixels with fewer have no trend.",
            0.5,
            0,
            1,
            whole=False,
        )
        self.add_threads()

    def run_step(self, values: Values, progress: Any) -> dict[str, Any]:
        from gwsa_qgis.steps.trendbreak import trendbreak

        rasters = ("SLOPE_BEFORE", "SLOPE_AFTER", "CHANGE", "P_VALUE", "P_BEFORE", "P_AFTER", "CLASSES")
        flags = ("DESEASONALISE", "ROBUST", "USE_FILLED")
        result = trendbreak(
            values.raster("INPUT"),
            values.text("BREAK") or "",
            **{name.lower(): values.output(name) for name in rasters},
            table=values.output_file("TABLE"),
            report=values.output_file("REPORT"),
            unit=values.choice("UNIT"),
            significance=values.number("SIGNIFICANCE"),
            start=values.text("START"),
            end=values.text("END"),
            aquifers=values.raster("AQUIFERS"),
            **{name.lower(): values.flag(name) for name in flags},
            minimum_share=values.number("MINIMUM_SHARE"),
            memory_mb=values.integer("MEMORY"),
            workers=values.threads(),
            progress=progress,
        )
        shares = result.area_shares
        return {
            "WORSE_SHARE": sum(shares[number] for number in range(1, 7)),
            "BETTER_SHARE": sum(shares[number] for number in range(8, 14)),
            "MEAN_BEFORE": result.mean_before,
            "MEAN_AFTER": result.mean_after,
            "FIELD_SHARE": result.field_share,
        }

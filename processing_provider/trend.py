"""gwsa:trend."""

from __future__ import annotations

from typing import Any

from gwsa_qgis.processing_provider.base import GwsaAlgorithm
from gwsa_qgis.processing_provider.values import Values


class Trend(GwsaAlgorithm):
    """Map trends and their significance."""

    ID = "trend"
    NAME = "Trend and significance"
    GROUP = "analyse"
    TAGS = ("Theil-Sen", "Mann-Kendall", "STL", "significance", "depletion")
    REFERENCE = (
        "STL: Cleveland et al. (1990); slope: Sen (1968), doi:10.1080/01621459.1968.10480934; test: Mann (1945), Kendall "
        "(1975); serial correlation: after Hamed and Rao (1998), doi:10.1016/S0022-1694(97)00125-X; eqs 21, 22 of the paper."
    )
    SUMMARY = "Maps the Theil-Sen slope of deseasonalised series and its Mann-Kendall significance, in seven classes."
    HELP = """<p>Each series is deseasonalised by STL (period 12), its slope is the median of all pairwise slopes, and its
    significance that of the Mann-Kendall test. Monthly storage is strongly autocorrelated: the plain test (P_PLAIN) calls
    half of trendless series significant. P_VALUE widens the variance by the AR(1) factor of the detrended series
    (CORRECTION = ar1, recommended); <i>none</i> is the published test.</p>
    <p>Classes: 1 highly significant decrease (p &lt; 0.01), 2 significant decrease (p &lt; 0.05), 3 decrease that is not
    significant, 4 no change, 5 to 7 the same for increase.</p>"""

    def declare(self) -> None:
        self.add_raster("INPUT", "Monthly stack", "For example GWSA, cm.")
        self.add_choice("UNIT", "Slope per", "Time unit of the slope.", ["month", "year"], "year")
        self.add_choice(
            "CORRECTION",
            "Correction for autocorrelation",
            "ar1: honest on autocorrelated series (recommended); none: the plain test (published).",
            ["ar1", "none"],
            "ar1",
        )
        self.add_flag("DESEASONALISE", "Deseasonalise (STL)", "Take the seasonal part out first.", True)
        self.add_raster_output("SLOPE", "Trend", "Theil-Sen slope.", "slope")
        self.add_raster_output("P_VALUE", "Significance (p)", "Of the chosen test.", "p_value")
        self.add_raster_output(
            "P_PLAIN", "Significance, plain test (p)", "Without correction.", "p_value", optional=True
        )
        self.add_raster_output("CLASSES", "Trend classes", "Seven classes, 0 = NoData.", "trend_classes")
        self.add_report("Page with area shares of the classes.")
        self.add_figure("DECREASING_SHARE", "Area with significant decrease (%)")
        self.add_figure("INCREASING_SHARE", "Area with significant increase (%)")
        self.add_memory()

    def run_step(self, values: Values, progress: Any) -> dict[str, Any]:
        from gwsa_qgis.steps.trend import trend

        result = trend(
            values.raster("INPUT"),
            slope=values.output("SLOPE"),
            p_value=values.output("P_VALUE"),
            p_plain=values.output("P_PLAIN"),
            classes=values.output("CLASSES"),
            report=values.output_file("REPORT"),
            unit=values.choice("UNIT"),
            correction=values.choice("CORRECTION"),
            deseasonalise=values.flag("DESEASONALISE"),
            memory_mb=values.integer("MEMORY"),
            progress=progress,
        )
        shares = result.area_shares
        return {"DECREASING_SHARE": shares[1] + shares[2], "INCREASING_SHARE": shares[6] + shares[7]}

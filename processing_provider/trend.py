"""gwsa:trend."""

from __future__ import annotations

from typing import Any

from gwsa_qgis.processing_provider.base import GwsaAlgorithm
from gwsa_qgis.processing_provider.translation import tr
from gwsa_qgis.processing_provider.values import Values
from qgis.core import QgsProcessing, QgsProcessingParameterVectorDestination

LIMITS_HELP = (
    "Two-sided, for LOWER and UPPER. With none, trend_free_prewhitening and seasonal these ignore serial correlation."
)
CORRECTIONS = ["ar1", "none", "hamed_rao", "yue_wang", "trend_free_prewhitening", "seasonal"]


class Trend(GwsaAlgorithm):
    """Map trends and their significance."""

    ID = "trend"
    NAME = "Trend and significance"
    GROUP = "analyse"
    TAGS = (
        "Theil-Sen",
        "Mann-Kendall",
        "STL",
        "significance",
        "depletion",
        "stippling",
        "Benjamini-Hochberg",
        "Sen slope",
    )
    REFERENCE = (
        "STL: Cleveland et al. (1990); slope: Sen (1968), doi:10.1080/01621459.1968.10480934; limits: Gilbert (1987); test: "
        "Mann (1945), Kendall (1975); serial correlation: after Hamed and Rao (1998), doi:10.1016/S0022-1694(97)00125-X; "
        "field significance: Benjamini and Hochberg (1995), doi:10.1111/j.2517-6161.1995.tb02031.x; eqs 21, 22, Figs 8, 9 "
        "of the paper essd-2026-409."
    )
    SUMMARY = (
        "Maps the Theil-Sen slope of deseasonalised series and its Mann-Kendall significance, in seven classes with their "
        "areas, with dots where trends are significant."
    )
    HELP = """<p>Each series is deseasonalised by STL (period 12, eq. 21). SLOPE is the median of the slopes of all pairs
    of months (eq. 22), in the stack's unit (cm) per month or year: -1 cm/year is 10,000 m<sup>3</sup> less a year below
    each square kilometre. P_VALUE and P_PLAIN are two-sided p values of the Mann-Kendall test.</p>
    <p><b>CORRECTION.</b> Monthly storage remembers the months before, and the plain test takes them as independent: of
    trendless series with a month-to-month correlation of 0.8 it calls half significant at p &lt; 0.05. <i>ar1</i>, the
    recommended one and the only safe one, widens the variance as first-order autoregressive noise demands, and for what
    STL takes out of that noise. <i>none</i> is the test as published. The others equal those of the package
    pymannkendall and are there for comparison with published work; at a correlation of 0.8 they call 20 %
    (<i>hamed_rao</i>), 47 % (<i>yue_wang</i>) and 63 % (<i>trend_free_prewhitening</i>) of trendless series significant;
    <i>seasonal</i> is safe against the season and not against that correlation, and maps its own slope, the median over pairs of
    the same calendar month. P_PLAIN is always the plain test.</p>
    <p><b>Classes</b>: 1 highly significant decrease (p &lt; 0.01), 2 significant decrease (p &lt; 0.05), 3 decrease that
    is not significant, 4 no change, 5 to 7 the same for increase. Their areas are true areas, whatever the CRS.</p>
    <p><b>Field significance.</b> At p &lt; 0.05 one pixel in twenty is significant where nothing happens. Benjamini and
    Hochberg's threshold for the whole map is always reported; with FIELD_SIGNIFICANCE the classes go by it, which the
    published ones do not.</p>
    <p><b>STIPPLES</b>: a dot where more than half of the valid cells around are significant.</p>
    <p>Months that gap filling made are used as published, or left out with USE_FILLED off. Not significant does not mean
    that there is no trend.</p>"""
    FORMULA = (
        "X<sub>t</sub> = Y<sub>t</sub> - S<sub>t</sub> (eq. 21); slope = median of (X<sub>j</sub> - X<sub>i</sub>) / "
        "(j - i) over all j &gt; i (eq. 22)."
    )
    UNITS = (
        "SLOPE, LOWER and UPPER: the stack's unit (cm) per month or year; areas km<sup>2</sup> and percent; p has no "
        "unit."
    )

    def declare(self) -> None:
        self.add_raster("INPUT", "Monthly stack", "For example GWSA, cm.")
        self.add_choice("UNIT", "Slope per", "Time unit of the slope and its limits.", ["month", "year"], "year")
        self.add_choice(
            "CORRECTION",
            "Correction for autocorrelation",
            "ar1: honest on autocorrelated series (recommended); none: the plain test (published, unsafe); the others: for "
            "comparison with published work (unsafe).",
            CORRECTIONS,
            "ar1",
        )
        self.add_flag("DESEASONALISE", "Deseasonalise (STL)", "Take the seasonal part out first.", True)
        self.add_text("START", "First month", "YYYY-MM. The stack's first where empty.")
        self.add_text("END", "Last month", "YYYY-MM, included. The stack's last where empty.")
        self.add_raster(
            "AQUIFERS",
            "Aquifer classes",
            "Class raster on the same grid: the report and the table give areas for each class. Optional.",
            optional=True,
        )
        self._declare_advanced()
        self.add_raster_output("SLOPE", "Trend", "Theil-Sen slope.", "slope")
        self.add_raster_output("P_VALUE", "Significance (p)", "Of the test with the chosen correction.", "p_value")
        self.add_raster_output(
            "P_PLAIN", "Significance, plain test (p)", "Without correction.", "p_value", optional=True
        )
        self.add_raster_output(
            "LOWER",
            "Lower limit of the trend",
            "Of the slope, at CONFIDENCE, with the correction.",
            "slope",
            optional=True,
        )
        self.add_raster_output(
            "UPPER",
            "Upper limit of the trend",
            "Of the slope, at CONFIDENCE, with the correction.",
            "slope",
            optional=True,
        )
        self.add_raster_output("CLASSES", "Trend classes", "Seven classes, 0 = NoData.", "trend_classes")
        self.add(
            QgsProcessingParameterVectorDestination(
                "STIPPLES",
                tr("Significant trends (dots)"),
                QgsProcessing.SourceType.TypeVectorPoint,
                optional=True,
                createByDefault=False,
            ),
            "Points (GeoPackage) to lie over the trend, with the mean slope and the share of significant cells around.",
        )
        self._styles["STIPPLES"] = ("stipples", "Significant trends (dots)")
        self.add_file_output(
            "TABLE",
            "Areas of the classes",
            "Table: km2 and percent by class, for the map, for aquifer classes and for latitude bands.",
            tr("CSV files (*.csv)"),
            optional=True,
        )
        self.add_report("Map with dots, area shares of the classes, and what they mean.")
        self.add_figure("DECREASING_SHARE", "Area with significant decrease (%)")
        self.add_figure("INCREASING_SHARE", "Area with significant increase (%)")
        self.add_figure("DECREASING_SHARE_PLAIN", "Area with significant decrease by the plain test (%)")
        self.add_figure("INCREASING_SHARE_PLAIN", "Area with significant increase by the plain test (%)")
        self.add_figure("MEAN_SLOPE", "Mean slope, weighted by area")
        self.add_figure("FIELD_SHARE", "Area with field significance at 5 % (%)")
        self.add_figure("FIELD_P", "Largest p value with field significance at 5 % (0 where none has)")
        self.add_memory()

    def _declare_advanced(self) -> None:
        self.add_flag(
            "USE_FILLED",
            "Use filled months",
            "Off: months that gap filling made count as missing.",
            True,
            advanced=True,
        )
        self.add_flag(
            "ROBUST",
            "Robust STL",
            "Gives outliers little weight in the season. Needs statsmodels, and takes much longer.",
            False,
            advanced=True,
        )
        self.add_flag(
            "SEASON_ALLOWANCE",
            "Allow for the deseasonalising",
            "With ar1: allow in the variance for what STL takes out of the noise. Off, the bare AR(1) factor calls 10 % of "
            "uncorrelated trendless series significant at 5 % after STL, and too few of strongly correlated ones.",
            True,
            advanced=True,
        )
        self.add_number(
            "MINIMUM_SHARE",
            "Smallest share of valid months",
            "Pixels with fewer have no trend.",
            0.5,
            0,
            1,
            whole=False,
        )
        self.add_number(
            "CONFIDENCE",
            "Confidence of the limits",
            LIMITS_HELP,
            0.95,
            0.5,
            0.999,
            whole=False,
        )
        self.add_flag(
            "FIELD_SIGNIFICANCE",
            "Classes by field significance",
            "On: trends are classed as significant only where they pass Benjamini and Hochberg's procedure for the whole "
            "map (5 %, highly 1 %). Off, as published: by each pixel's own p value.",
            False,
            advanced=True,
        )
        self.add_number(
            "STIPPLE_SPACING",
            "Spacing of the dots (cells)",
            "0: by itself, about a hundred dots along the map's longer side.",
            0,
        )
        self.add_number(
            "STIPPLE_P",
            "p value of the dots",
            "Cells below it count as significant; the paper's figures have 0.01.",
            0.05,
            0.0001,
            0.5,
            whole=False,
        )
        self.add_flag(
            "STIPPLE_FIELD",
            "Dots by field significance",
            "On: STIPPLE_P is the false discovery rate of the whole map.",
            False,
            advanced=True,
        )
        self.add_threads()

    def run_step(self, values: Values, progress: Any) -> dict[str, Any]:
        from gwsa_qgis.steps.trend import trend

        rasters = ("P_PLAIN", "LOWER", "UPPER", "CLASSES", "STIPPLES")
        flags = ("DESEASONALISE", "ROBUST", "SEASON_ALLOWANCE", "USE_FILLED", "FIELD_SIGNIFICANCE", "STIPPLE_FIELD")
        numbers = ("MINIMUM_SHARE", "CONFIDENCE", "STIPPLE_P")
        result = trend(
            values.raster("INPUT"),
            slope=values.output("SLOPE"),
            p_value=values.output("P_VALUE"),
            **{name.lower(): values.output(name) for name in rasters},
            table=values.output_file("TABLE"),
            report=values.output_file("REPORT"),
            unit=values.choice("UNIT"),
            correction=values.choice("CORRECTION"),
            start=values.text("START"),
            end=values.text("END"),
            aquifers=values.raster("AQUIFERS"),
            **{name.lower(): values.flag(name) for name in flags},
            **{name.lower(): values.number(name) for name in numbers},
            stipple_spacing=values.integer("STIPPLE_SPACING"),
            memory_mb=values.integer("MEMORY"),
            workers=values.threads(),
            progress=progress,
        )
        found = {}
        for ending, shares in (("", result.area_shares), ("_PLAIN", result.area_shares_plain)):
            found[f"DECREASING_SHARE{ending}"] = shares[1] + shares[2]
            found[f"INCREASING_SHARE{ending}"] = shares[6] + shares[7]
        field_p = result.field.threshold if result.field.significant else 0.0
        return found | {"MEAN_SLOPE": result.mean_slope, "FIELD_SHARE": result.field_share, "FIELD_P": field_p}

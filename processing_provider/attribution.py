"""gwsa:attribution."""

from __future__ import annotations

from typing import Any

from gwsa_qgis.processing_provider.base import PAPER, GwsaAlgorithm
from gwsa_qgis.processing_provider.translation import tr
from gwsa_qgis.processing_provider.values import Values
from qgis.core import QgsProcessing, QgsProcessingParameterVectorDestination


class Attribution(GwsaAlgorithm):
    """Map the trend that a model's natural groundwater leaves."""

    ID = "attribution"
    NAME = "Pumping fingerprint (attribution)"
    GROUP = "analyse"
    TAGS = ("pumping", "depletion", "residual", "human", "natural background", "ISIMIP", "WaterGAP")
    REFERENCE = (
        f"WaterGAP as a background: Mueller Schmied et al. (2021), doi:10.5194/gmd-14-1037-2021. {PAPER} Section "
        "3.5, Fig. 10; limits of the method: section 4."
    )
    SUMMARY = "Takes a hydrological model's natural groundwater from GWSA and maps the trend of what is left."
    HELP = """<p>RESIDUAL = (GWSA - its mean) - (background - its mean), cm; the means of a pixel are over the same months: those
    of the baseline in which both are there and GWSA is no gap filling. BACKGROUND is interpolated bilinearly to the cells of
    GWSA (averaged where its cells are finer), in its own CRS: nothing is reprojected. Only common months are used.</p>
    <p>SLOPE, P_VALUE and CLASSES are what <i>Trend and significance</i> gives for RESIDUAL: STL, Theil-Sen, Mann-Kendall.</p>
    <p>Make BACKGROUND with <i>Make monthly stack</i>, product background, from a run <b>without</b> human water use (nosoc or
    1901soc in the name). A run with it (histsoc), or one that assimilates GRACE, has the pumping inside: subtracting it
    removes the signal that is searched for, and a warning says so.</p>
    <p>A negative residual says that storage falls faster than this model's natural groundwater. It does not prove pumping:
    errors of the model, of the soil moisture taken out before, lakes, reservoirs and ice look the same. Use several
    models.</p>"""
    FORMULA = "RESIDUAL = (GWSA - mean GWSA) - (BACKGROUND - mean BACKGROUND); its slope as eqs 21 and 22."
    UNITS = "cm of equivalent water height; slopes cm per month or year; areas percent."

    def declare(self) -> None:
        self.add_raster("GWSA", "GWSA, fine", "Monthly stack, cm.")
        self.add_raster(
            "BACKGROUND",
            "Natural groundwater storage",
            "Monthly stack of a hydrological model without human water use, level or anomaly, any unit of water height.",
        )
        self.add_text("BASELINE_START", "Baseline starts", "YYYY-MM", "2004-01", optional=False, advanced=True)
        self.add_text("BASELINE_END", "Baseline ends", "YYYY-MM, included", "2009-12", optional=False, advanced=True)
        self.add_choice("UNIT", "Slope per", "Time unit of the slope.", ["month", "year"], "year")
        self.add_choice(
            "CORRECTION",
            "Correction for autocorrelation",
            "ar1: honest on autocorrelated series (recommended); none: the plain test (published).",
            ["ar1", "none"],
            "ar1",
            advanced=True,
        )
        self.add_flag("DESEASONALISE", "Deseasonalise (STL)", "Take the seasonal part out first.", True, advanced=True)
        self.add_raster_output("RESIDUAL", "Residual GWSA", "Monthly stack, cm.", "anomaly")
        self.add_raster_output("SLOPE", "Trend of the residual", "Theil-Sen slope.", "slope")
        self.add_raster_output("P_VALUE", "Significance of the residual's trend (p)", "Mann-Kendall test.", "p_value")
        self.add_raster_output(
            "CLASSES", "Trend classes of the residual", "Seven classes, 0 = NoData.", "trend_classes"
        )
        for name, label in (("LOWER", "Lower limit"), ("UPPER", "Upper limit")):
            help = "95 % limit of the slope."
            self.add_raster_output(name, f"{label} of the residual's trend", help, "slope", optional=True)
        self.add(
            QgsProcessingParameterVectorDestination(
                "STIPPLES",
                tr("Significant residual trends (dots)"),
                QgsProcessing.SourceType.TypeVectorPoint,
                optional=True,
                createByDefault=False,
            ),
            "Points (GeoPackage) where more than half of the cells around have p below 0.01, as in the paper's Fig. 10.",
        )
        self._styles["STIPPLES"] = ("stipples", "Significant residual trends (dots)")
        self.add_report("Page with the trends of GWSA, background and residual, and what the residual proves.")
        self.add_figure("TREND_GWSA", "Trend of the mean GWSA (cm per unit of time)")
        self.add_figure("TREND_BACKGROUND", "Trend of the mean background (cm per unit of time)")
        self.add_figure("TREND_RESIDUAL", "Trend of the mean residual (cm per unit of time)")
        self.add_figure("DECREASING_SHARE", "Area with significant decrease of the residual (%)")
        self.add_figure("INCREASING_SHARE", "Area with significant increase of the residual (%)")
        self.add_memory()
        self.add_threads()

    def run_step(self, values: Values, progress: Any) -> dict[str, Any]:
        from gwsa_qgis.steps.attribution import attribution

        result = attribution(
            values.raster("GWSA"),
            values.raster("BACKGROUND"),
            values.output("RESIDUAL"),
            slope=values.output("SLOPE"),
            p_value=values.output("P_VALUE"),
            classes=values.output("CLASSES"),
            stipples=values.output("STIPPLES"),
            lower=values.output("LOWER"),
            upper=values.output("UPPER"),
            report=values.output_file("REPORT"),
            baseline_start=values.text("BASELINE_START"),
            baseline_end=values.text("BASELINE_END"),
            unit=values.choice("UNIT"),
            correction=values.choice("CORRECTION"),
            deseasonalise=values.flag("DESEASONALISE"),
            memory_mb=values.integer("MEMORY"),
            workers=values.threads(),
            progress=progress,
        )
        shares = result.area_shares
        return {
            "TREND_GWSA": result.gwsa_trend.slope,
            "TREND_BACKGROUND": result.background_trend.slope,
            "TREND_RESIDUAL": result.residual_trend.slope,
            "DECREASING_SHARE": shares[1] + shares[2],
            "INCREASING_SHARE": shares[6] + shares[7],
        }

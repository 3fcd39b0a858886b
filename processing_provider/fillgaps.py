"""gwsa:fillgaps."""

from __future__ import annotations

from typing import Any

from gwsa_qgis.processing_provider.base import GwsaAlgorithm
from gwsa_qgis.processing_provider.translation import tr
from gwsa_qgis.processing_provider.values import Values
from qgis.core import QgsProcessing, QgsProcessingParameterVectorLayer


class FillGaps(GwsaAlgorithm):
    """Fill missing months by singular spectrum analysis."""

    ID = "fillgaps"
    NAME = "Fill gaps (SSA)"
    GROUP = "storage"
    TAGS = ("SSA", "singular spectrum analysis", "gap", "interpolation", "autoregressive", "harmonics", "time series")
    REFERENCE = (
        "Yi and Sneeuw (2021), Filling the data gaps within GRACE missions using singular spectrum analysis, "
        "doi:10.1029/2020JB021227; equations 1-14 of the paper essd-2026-409. Autoregressive interpolation: Janssen, "
        "Veldhuis and Vries (1986), doi:10.1109/TASSP.1986.1164824."
    )
    SUMMARY = (
        "Fills the missing months of a TWSA stack by singular spectrum analysis or a plain method, with error maps and "
        "a report of what each method is worth where months were hidden."
    )
    HELP = """<p>Stage a fills the scattered gaps of the GRACE years with a fixed window M and number of modes K; stage b
    fills the gap between the missions and what follows it, with K chosen by masking whole years (cross-validation).
    Starting from zero, the gap values are replaced by the reconstruction from the first K' modes of the trajectory
    matrix until they change by less than 1 %, for K' = 1 .. K. Observed months never change. Which months are missing
    is read from the stack: seven in a row make a long gap. A record with two long gaps is tested on its first stretch
    of five whole years between them. Months missing at the ends are extrapolated, with a warning.</p>
    <p><b>METHOD.</b> <i>ssa</i>: as above. <i>harmonic</i>: a line with an annual and a semi-annual cycle.
    <i>autoregressive</i>: the same, and the expected departure from it given all observations before and after the
    gap. <i>best</i>: w x SSA + (1 - w) x autoregressive, w found for each cell and kind of gap from hidden months; on
    17 reference series its error in hidden years is 17 % below that of SSA, in short gaps 22 %.</p>
    <p><b>Errors.</b> With <i>ssa</i>, ERROR_SHORT is the standard deviation of observed months about their
    reconstruction (eq. 12), and the true error of a short fill is about 1.7 times it; ERROR_LONG is the root mean
    square error of the masked years (eqs 13, 14). With the other methods both are errors in hidden months. REPORT and
    HIDDEN_ERRORS give the errors in hidden months for all methods; they take about half as much time again.</p>
    <p>Series that are identical (cells of one native mascon) are solved once.</p>
    <p><b>PRESET.</b> <i>published</i> follows the paper's text; <i>recommended</i> is the same fill. Where the paper
    and its authors' program differ, both take the reading that is more right: twelve masked years, every whole year
    inside 2003-2016, not four; years scored on their observed months, not on fills as well; eps1 over the years that
    have short gaps; eps1 from the modes that pass the program's low-frequency test, which is the more cautious
    figure.</p>"""
    FORMULA = (
        "Y = U S V<sup>T</sup> (eq. 5), X' = g<sub>1</sub> + ... + g<sub>K'</sub> (eq. 11), eps1 = sd(X<sub>obs</sub> "
        "- X') (eq. 12), eps2 = sqrt(mean of the squared errors of the masked years) (eqs 13, 14)."
    )
    UNITS = "cm of equivalent water height, errors too; windows are months."

    def declare(self) -> None:
        self.add_raster("INPUT", "TWSA stack", "Monthly stack with missing months as NoData.")
        self.add_choice(
            "PRESET",
            "Preset",
            "published: the paper's definitions; recommended: the same fill, see the help.",
            ["recommended", "published"],
            "recommended",
        )
        self.add_choice(
            "METHOD",
            "Method",
            "ssa: as published; harmonic and autoregressive: plain methods; best: SSA and autoregressive in the shares "
            "that hidden months favour.",
            ["ssa", "harmonic", "autoregressive", "best"],
            "ssa",
        )
        self.add_number("SHORT_WINDOW", "Window of short gaps (months)", "M of stage a.", 24, 2)
        self.add_number("SHORT_MODES", "Modes of short gaps", "K of stage a.", 12, 1)
        self.add_number("LONG_WINDOW", "Window of the long gap (months)", "M of stage b.", 48, 2)
        self.add_number(
            "LONG_MODES", "Largest number of modes of the long gap", "K of stage b is chosen from 1 to this.", 12, 1
        )
        self.add_raster(
            "MASCONS",
            "Native mascons",
            "Cells of one mascon are solved once. Found from the data when empty.",
            optional=True,
        )
        self.add_raster(
            "CLASSES", "Classes", "Class raster on the same grid: the report gives errors by class.", optional=True
        )
        self.add(
            QgsProcessingParameterVectorLayer(
                "POINTS", tr("Places"), [QgsProcessing.SourceType.TypeVectorPoint], optional=True
            ),
            "Points whose cells the report shows as series (six at most).",
        )
        self.add_raster_output("OUTPUT", "TWSA, filled", "Monthly stack without gaps, cm.", "anomaly")
        self.add_raster_output("ERROR_SHORT", "Error of short gaps", "Eq. 12, cm.", "sequential", optional=True)
        self.add_raster_output("ERROR_LONG", "Error of the long gap", "Eq. 13, cm.", "sequential", optional=True)
        self.add_raster_output(
            "FLAGS", "Filled months", "Stack: 0 observed, 1 short gap, 2 long gap.", "flags", optional=True
        )
        self.add_raster_output(
            "CHOICE", "Window, modes and share of SSA", "Four bands: M, K, shares of SSA.", "sequential", optional=True
        )
        self.add_raster_output(
            "HIDDEN_ERRORS",
            "Errors in hidden months",
            "Eight bands, cm: the four methods in short gaps, then in years.",
            "sequential",
            optional=True,
        )
        self.add_report("Errors in hidden months by method, map and class; series of chosen and of the worst cells.")
        self.add_threads()
        self.add_figure("DISTINCT_SERIES", "Distinct series that were solved")
        self.add_figure("TOO_SHORT", "Cells with too few observed months")
        self.add_memory()

    def run_step(self, values: Values, progress: Any) -> dict[str, Any]:
        from gwsa_qgis.steps.fillgaps import fillgaps

        result = fillgaps(
            values.raster("INPUT"),
            values.output("OUTPUT"),
            error_short=values.output("ERROR_SHORT"),
            error_long=values.output("ERROR_LONG"),
            flags=values.output("FLAGS"),
            choice=values.output("CHOICE"),
            hidden_errors=values.output("HIDDEN_ERRORS"),
            report=values.output_file("REPORT"),
            preset=values.choice("PRESET"),
            method=values.choice("METHOD"),
            short_window=values.integer("SHORT_WINDOW"),
            short_modes=values.integer("SHORT_MODES"),
            long_window=values.integer("LONG_WINDOW"),
            long_modes=values.integer("LONG_MODES"),
            mascons=values.raster("MASCONS"),
            classes=values.raster("CLASSES"),
            points=values.vector("POINTS"),
            memory_mb=values.integer("MEMORY"),
            workers=values.threads(),
            progress=progress,
        )
        return {"DISTINCT_SERIES": result.distinct, "TOO_SHORT": result.too_short}

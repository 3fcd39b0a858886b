"""gwsa:fillgaps."""

from __future__ import annotations

import os
from typing import Any

from gwsa_qgis.processing_provider.base import GwsaAlgorithm
from gwsa_qgis.processing_provider.values import Values


class FillGaps(GwsaAlgorithm):
    """Fill missing months by singular spectrum analysis."""

    ID = "fillgaps"
    NAME = "Fill gaps (SSA)"
    GROUP = "storage"
    TAGS = ("SSA", "singular spectrum analysis", "gap", "interpolation", "time series")
    REFERENCE = (
        "Yi and Sneeuw (2021), Filling the data gaps within GRACE missions using singular spectrum analysis, "
        "doi:10.1029/2020JB021227; equations 1-14 of the paper essd-2026-409."
    )
    SUMMARY = "Fills the missing months of a TWSA stack by singular spectrum analysis, in two stages, with error maps."
    HELP = """<p>Stage a fills the scattered gaps of the GRACE years with a fixed window M and number of modes K; stage b
    fills the gap between the missions and what follows it, with K chosen by masking whole years (cross-validation).
    Starting from zero, the gap values are replaced by the reconstruction from the first K' modes of the trajectory
    matrix until they change by less than 1 %, for K' = 1 .. K. Observed months never change. Which months are missing
    is read from the stack.</p>
    <p>ERROR_SHORT is the standard deviation of observed months about their reconstruction (eq. 12); the true error of a
    short fill is about 1.7 times it. ERROR_LONG is the root mean square error of the masked years (eqs 13, 14).
    Series that are identical (cells of one native mascon) are solved once.</p>
    <p><b>PRESET.</b> <i>published</i> follows the paper's text (masked years 2004-2015, observed months);
    <i>recommended</i> is the same fill at present.</p>"""

    def declare(self) -> None:
        self.add_raster("INPUT", "TWSA stack", "Monthly stack with missing months as NoData.")
        self.add_choice(
            "PRESET",
            "Preset",
            "published: the paper's definitions; recommended: the same, with choices that are more right where they differ.",
            ["recommended", "published"],
            "recommended",
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
        self.add_raster_output("OUTPUT", "TWSA, filled", "Monthly stack without gaps, cm.", "anomaly")
        self.add_raster_output("ERROR_SHORT", "Error of short gaps", "Eq. 12, cm.", "sequential", optional=True)
        self.add_raster_output("ERROR_LONG", "Error of the long gap", "Eq. 13, cm.", "sequential", optional=True)
        self.add_raster_output(
            "FLAGS", "Filled months", "Stack: 0 observed, 1 short gap, 2 long gap.", "flags", optional=True
        )
        self.add_number("THREADS", "Threads", "0 takes all cores; the result is the same.", 0, 0)
        self.add_figure("DISTINCT_SERIES", "Distinct series that were solved")
        self.add_memory()

    def run_step(self, values: Values, progress: Any) -> dict[str, Any]:
        from gwsa_qgis.steps.fillgaps import fillgaps

        result = fillgaps(
            values.raster("INPUT"),
            values.output("OUTPUT"),
            error_short=values.output("ERROR_SHORT"),
            error_long=values.output("ERROR_LONG"),
            flags=values.output("FLAGS"),
            preset=values.choice("PRESET"),
            short_window=values.integer("SHORT_WINDOW"),
            short_modes=values.integer("SHORT_MODES"),
            long_window=values.integer("LONG_WINDOW"),
            long_modes=values.integer("LONG_MODES"),
            mascons=values.raster("MASCONS"),
            memory_mb=values.integer("MEMORY"),
            workers=values.integer("THREADS") or os.cpu_count() or 1,
            progress=progress,
        )
        return {"DISTINCT_SERIES": result.distinct}

"""gwsa:correctresiduals."""

from __future__ import annotations

from typing import Any

from gwsa_qgis.processing_provider.base import GwsaAlgorithm
from gwsa_qgis.processing_provider.translation import tr
from gwsa_qgis.processing_provider.values import Values


class CorrectResiduals(GwsaAlgorithm):
    """Close the fine map on the coarse data."""

    ID = "correctresiduals"
    NAME = "Correct residuals"
    GROUP = "downscale"
    TAGS = ("residual", "closure", "histospline", "mass conservation", "downscaling")
    SUMMARY = "Adds a smooth correction so that the fine map's means equal the coarse data."
    HELP = """<p>The residual is the coarse value minus the area-weighted mean of the fine prediction. <i>exact</i>
    (recommended) spreads it by a B-spline histopolation: the smoothest field whose means over every native mascon (or
    coarse cell) equal the residual, so that the corrected map's means are the data's to 0.0001 cm, without steps at cell
    edges. <i>spline</i> (published) interpolates residuals through cell centres by cubic splines; the paper's product
    made so misses its own input by 2 cm. <i>none</i> leaves the prediction as it is, and tells how far off it is.</p>
    <p>A TOLERANCE suits noisy coarse data: means then stay within it, and the correction is the smoothest possible. COAST
    <i>bounded</i> keeps cells of which less than 30 % is valid from forcing a steep field at the coast: what they lack
    is added as a constant over each, so means stay exact and there is a step around them.</p>
    <p>With MASCONS the means close on native mascons, which is what GRACE measured; below a mascon the 0.25 deg values
    hold no measured detail.</p>"""
    FORMULA = (
        "r = coarse GWSA - sum(a<sub>i</sub> y<sub>i</sub>) / sum(a<sub>i</sub>); OUTPUT = y + s, where with "
        "<i>exact</i> the means of s are r: sum(a<sub>i</sub> s<sub>i</sub>) / sum(a<sub>i</sub>) = r."
    )
    UNITS = "cm of equivalent water height."

    def declare(self) -> None:
        self.add_raster("PREDICTION", "Prediction", "Monthly stack on the fine grid, cm.")
        self.add_raster("TARGET", "GWSA, coarse", "Monthly stack, cm.")
        self.add_choice(
            "METHOD",
            "Method",
            "exact: means are preserved (recommended); spline: cubic spline of residuals (published); none.",
            ["exact", "spline", "none"],
            "exact",
        )
        self.add_choice(
            "COAST",
            "Coast",
            "bounded: cells with less than 30 % valid pixels are kept from forcing a steep field (method exact).",
            ["smooth", "bounded"],
            "smooth",
            advanced=True,
        )
        self.add_number(
            "TOLERANCE",
            "Tolerance (cm)",
            "How far means may stay from noisy coarse data; 0 is exact (method exact).",
            default=0.0,
            whole=False,
        )
        self.add_raster("MASCONS", "Native mascons", "Close on these; on coarse cells when empty.", optional=True)
        self.add_raster_output("OUTPUT", "GWSA, fine", "Monthly stack, cm.", "anomaly")
        self.add_file_output(
            "CLOSURE",
            "Closure table",
            "Root mean square difference of each month.",
            tr("CSV files (*.csv)"),
            optional=True,
        )
        self.add_figure("CLOSURE_RMSE_BEFORE", "Closure RMSE before (cm)")
        self.add_figure("CLOSURE_RMSE_AFTER", "Closure RMSE after (cm)")
        self.add_figure("CLOSURE_MAX_AFTER", "Largest closure difference after (cm)")
        self.add_memory()
        self.add_threads()

    def run_step(self, values: Values, progress: Any) -> dict[str, Any]:
        from gwsa_qgis.steps.correctresiduals import correctresiduals

        result = correctresiduals(
            values.raster("PREDICTION"),
            values.raster("TARGET"),
            values.output("OUTPUT"),
            closure=values.output_file("CLOSURE"),
            method=values.choice("METHOD"),
            coast=values.choice("COAST"),
            tolerance=values.number("TOLERANCE"),
            mascons=values.raster("MASCONS"),
            memory_mb=values.integer("MEMORY"),
            workers=values.threads(),
            progress=progress,
        )
        return {
            "CLOSURE_RMSE_BEFORE": result.closure_rmse_before,
            "CLOSURE_RMSE_AFTER": result.closure_rmse_after,
            "CLOSURE_MAX_AFTER": result.closure_max_after,
        }

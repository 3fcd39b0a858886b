"""gwsa:consistency."""

from __future__ import annotations

from typing import Any

from gwsa_qgis.processing_provider.base import GwsaAlgorithm
from gwsa_qgis.processing_provider.translation import tr
from gwsa_qgis.processing_provider.values import Values


class Consistency(GwsaAlgorithm):
    """Compare the fine map's cell means with the coarse data."""

    ID = "consistency"
    NAME = "Consistency across scales"
    GROUP = "validate"
    TAGS = ("validation", "R2", "RMSE", "scale")
    SUMMARY = "Compares the fine map's means with the coarse data: R2, correlation and RMSE, per class and overall."
    HELP = """<p>R2 = 1 - SSE/SST (eq. 16), CC the linear correlation (eq. 17), RMSE in cm (eq. 18), for all months and for
    the mean over months, which is what the paper's Fig. 3 shows. With MASCONS the comparison is on native mascons.
    Agreement below a mascon is no virtue: there, the 0.25 deg GWSA is the land model's soil moisture with its sign
    turned.</p>"""
    FORMULA = (
        "R<sup>2</sup> = 1 - sum((y - o)<sup>2</sup>) / sum((o - mean o)<sup>2</sup>) (eq. 16), CC = the linear "
        "correlation (eq. 17), RMSE = sqrt(sum((o - y)<sup>2</sup>) / n) (eq. 18); o is coarse, y the mean of the "
        "fine map."
    )
    UNITS = "RMSE and DIFFERENCE in cm; R<sup>2</sup> and CC have no unit."

    def declare(self) -> None:
        self.add_raster("FINE", "GWSA, fine", "Monthly stack, cm.")
        self.add_raster("COARSE", "GWSA, coarse", "Monthly stack, cm.")
        self.add_raster("AQUIFERS", "Aquifer classes, coarse", "Figures for each class. Optional.", optional=True)
        self.add_raster("MASCONS", "Native mascons", "Compare on these; on coarse cells when empty.", optional=True)
        self.add_file_output("METRICS", "Figures", "Table.", tr("CSV files (*.csv)"), optional=True)
        self.add_raster_output(
            "DIFFERENCE",
            "Difference of means",
            "Fine less coarse, multi-year mean of each coarse cell, cm.",
            "anomaly",
            optional=True,
        )
        self.add_report()
        self.add_figure("R2", "R2, all months")
        self.add_figure("CC", "Correlation, all months")
        self.add_figure("RMSE", "RMSE, all months (cm)")
        self.add_memory()
        self.add_threads()

    def run_step(self, values: Values, progress: Any) -> dict[str, Any]:
        from gwsa_qgis.steps.consistency import consistency

        result = consistency(
            values.raster("FINE"),
            values.raster("COARSE"),
            aquifers=values.raster("AQUIFERS"),
            mascons=values.raster("MASCONS"),
            metrics=values.output_file("METRICS"),
            report=values.output_file("REPORT"),
            difference=values.output("DIFFERENCE"),
            memory_mb=values.integer("MEMORY"),
            workers=values.threads(),
            progress=progress,
        )
        scores = result.mascon_monthly or result.monthly
        return {"R2": scores.r2, "CC": scores.cc, "RMSE": scores.rmse}

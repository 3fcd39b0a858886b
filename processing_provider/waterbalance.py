"""gwsa:waterbalance."""

from __future__ import annotations

from typing import Any

from gwsa_qgis.processing_provider.base import PAPER, GwsaAlgorithm
from gwsa_qgis.processing_provider.values import Values


class WaterBalance(GwsaAlgorithm):
    """Take land-surface storages from TWSA."""

    ID = "waterbalance"
    NAME = "Water balance (GWSA)"
    GROUP = "storage"
    TAGS = ("GWSA", "TWSA", "soil moisture", "snow", "anomaly", "baseline")
    REFERENCE = f"Storage as a residual: Rodell and Famiglietti (2001), doi:10.1029/2000WR900306. {PAPER}"
    SUMMARY = "Takes soil moisture, snow and canopy water from TWSA; what is left is the groundwater storage anomaly."
    HELP = """<p>dGWS = dTWS - (dSMS + dSWE + dCWS) (eq. 15), cm. Each component is an anomaly to its own mean over the same
    months of the baseline. Where OBSERVED is given, its months keep their observed values and only missing months take
    the filled TWSA.</p>
    <p>Surface water in rivers, lakes and wetlands stays in the result; where it matters (large tropical rivers,
    reservoirs), GWSA is not groundwater alone.</p>"""
    FORMULA = "dGWS = dTWS - (dSMS + dSWE + dCWS) (eq. 15)."
    UNITS = "cm of equivalent water height, anomalies to the baseline's mean."

    def declare(self) -> None:
        self.add_raster("TWSA", "TWSA, filled", "Monthly stack, cm.")
        self.add_raster(
            "OBSERVED",
            "TWSA, observed",
            "The stack before gap filling; its values win where present. Optional.",
            optional=True,
        )
        self.add_raster("SMS", "Soil moisture storage", "Monthly stack on the same grid, cm.")
        self.add_raster("SWE", "Snow water equivalent", "Monthly stack on the same grid, cm.")
        self.add_raster("CWS", "Canopy water storage", "Monthly stack on the same grid, cm.")
        self.add_text("BASELINE_START", "Baseline starts", "YYYY-MM", "2004-01", optional=False, advanced=True)
        self.add_text("BASELINE_END", "Baseline ends", "YYYY-MM, included", "2009-12", optional=False, advanced=True)
        self.add_raster_output("OUTPUT", "GWSA, coarse", "Monthly stack, cm.", "anomaly")
        self.add_memory()
        self.add_threads()

    def run_step(self, values: Values, progress: Any) -> dict[str, Any]:
        from gwsa_qgis.steps.waterbalance import waterbalance

        waterbalance(
            values.raster("TWSA"),
            values.output("OUTPUT"),
            observed=values.raster("OBSERVED"),
            sms=values.raster("SMS"),
            swe=values.raster("SWE"),
            cws=values.raster("CWS"),
            baseline_start=values.text("BASELINE_START"),
            baseline_end=values.text("BASELINE_END"),
            memory_mb=values.integer("MEMORY"),
            workers=values.threads(),
            progress=progress,
        )
        return {}

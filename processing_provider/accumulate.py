"""gwsa:accumulate."""

from __future__ import annotations

from typing import Any

from gwsa_qgis.processing_provider.base import GwsaAlgorithm
from gwsa_qgis.processing_provider.values import Values


class Accumulate(GwsaAlgorithm):
    """Sum a monthly stack since its first month."""

    ID = "accumulate"
    NAME = "Accumulate months"
    GROUP = "prepare"
    TAGS = ("cumulative", "precipitation", "evapotranspiration", "sum")
    SUMMARY = "Sums a monthly stack since its first month, as for accumulated precipitation and evapotranspiration."
    HELP = """<p>Band <i>n</i> of the output is the sum of bands 1 to <i>n</i> of the input, in the input's unit. Storage
    integrates fluxes: accumulated precipitation and evapotranspiration are two of the method's predictors.</p>"""
    FORMULA = "A<sub>n</sub> = x<sub>1</sub> + x<sub>2</sub> + ... + x<sub>n</sub>, n the month."
    UNITS = "As the input's: mm stay mm."

    def declare(self) -> None:
        self.add_raster("INPUT", "Monthly stack", "Monthly sums, for example precipitation in mm.")
        self.add_raster_output("OUTPUT", "Accumulated", "Sum since the first month.", "sequential")
        self.add_memory()
        self.add_threads()

    def run_step(self, values: Values, progress: Any) -> dict[str, Any]:
        from gwsa_qgis.steps.accumulate import accumulate

        accumulate(
            values.raster("INPUT"),
            values.output("OUTPUT"),
            memory_mb=values.integer("MEMORY"),
            workers=values.threads(),
            progress=progress,
        )
        return {}

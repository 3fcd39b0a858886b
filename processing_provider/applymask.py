"""gwsa:applymask."""

from __future__ import annotations

from typing import Any

from gwsa_qgis.processing_provider.base import GwsaAlgorithm
from gwsa_qgis.processing_provider.values import Values


class ApplyMask(GwsaAlgorithm):
    """Set masked cells to NoData."""

    ID = "applymask"
    NAME = "Apply mask"
    GROUP = "prepare"
    TAGS = ("mask", "clip")
    SUMMARY = "Sets the masked cells of a raster or monthly stack to NoData."
    HELP = """<p>Months, units and other metadata of the input stay. Raster and mask must lie on one grid.</p>"""
    FORMULA = "OUTPUT = INPUT where MASK differs from 0, else NoData."
    UNITS = "As the input's."

    def declare(self) -> None:
        self.add_raster("INPUT", "Raster or monthly stack", "What is masked.")
        self.add_raster("MASK", "Mask", "Cells with a value other than 0 are kept.")
        self.add_raster_output("OUTPUT", "Masked", "The input, NoData where masked.", "sequential")
        self.add_memory()

    def run_step(self, values: Values, progress: Any) -> dict[str, Any]:
        from gwsa_qgis.steps.applymask import applymask

        applymask(
            values.raster("INPUT"),
            values.raster("MASK"),
            values.output("OUTPUT"),
            memory_mb=values.integer("MEMORY"),
            progress=progress,
        )
        return {}

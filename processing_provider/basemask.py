"""gwsa:basemask."""

from __future__ import annotations

from typing import Any

from gwsa_qgis.processing_provider.base import GwsaAlgorithm
from gwsa_qgis.processing_provider.translation import tr
from gwsa_qgis.processing_provider.values import Values
from qgis.core import QgsProcessing, QgsProcessingParameterMultipleLayers


class BaseMask(GwsaAlgorithm):
    """Combine masks into the baseline mask."""

    ID = "basemask"
    NAME = "Baseline mask"
    GROUP = "prepare"
    TAGS = ("mask", "combine", "land")
    SUMMARY = "Combines masks: a cell is used only where all of them use it."
    HELP = """<p>Takes the water mask, the glacier mask and any further one on the same grid; each means use where it has a
    value other than 0.</p><p>Output: 1 = use, NoData = masked.</p>"""
    FORMULA = "OUTPUT = 1 where m<sub>1</sub>, m<sub>2</sub>, ... all differ from 0, else NoData."
    UNITS = "None: 1 or NoData."

    def declare(self) -> None:
        self.add(
            QgsProcessingParameterMultipleLayers("INPUTS", tr("Masks"), QgsProcessing.SourceType.TypeRaster),
            "Masks on one grid.",
        )
        self.add_raster_output("OUTPUT", "Baseline mask", "1 = use, NoData = masked.", "mask")
        self.add_memory()

    def run_step(self, values: Values, progress: Any) -> dict[str, Any]:
        from gwsa_qgis.steps.basemask import basemask

        basemask(
            values.layers("INPUTS"), values.output("OUTPUT"), memory_mb=values.integer("MEMORY"), progress=progress
        )
        return {}

"""gwsa:glaciermask."""

from __future__ import annotations

from typing import Any

from gwsa_qgis.processing_provider.base import PAPER, GwsaAlgorithm
from gwsa_qgis.processing_provider.translation import tr
from gwsa_qgis.processing_provider.values import Values
from qgis.core import QgsProcessing, QgsProcessingParameterVectorLayer


class GlacierMask(GwsaAlgorithm):
    """Mask glaciers and ice sheets."""

    ID = "glaciermask"
    NAME = "Glacier mask"
    GROUP = "prepare"
    TAGS = ("RGI", "glacier", "ice sheet", "GIMP", "mask")
    REFERENCE = f"Randolph Glacier Inventory 7.0: RGI Consortium (2023), doi:10.5067/f6jmovy5navz. {PAPER}"
    SUMMARY = "Masks fine cells that glaciers or an ice sheet cover, where GRACE sees ice and not groundwater."
    HELP = """<p>Outlines are taken as the Randolph Glacier Inventory publishes them: 3-D polygons are flattened and
    invalid ones mended, which is said in the log. A cell is masked when half of it or more is covered. An ice-sheet
    raster (GIMP: 1 = ice) may be added.</p><p>Output: 1 = use, NoData = ice.</p>"""
    FORMULA = "Masked where (area of ice in the cell) / (area of the cell) is 0.5 or more."
    UNITS = "None: 1 or NoData."

    def declare(self) -> None:
        self.add(
            QgsProcessingParameterVectorLayer(
                "GLACIERS", tr("Glacier outlines"), [QgsProcessing.SourceType.TypeVectorPolygon]
            ),
            "Polygons, for example of RGI 7.",
        )
        self.add_raster("ICE_SHEET", "Ice-sheet mask", "Raster in which 1 is ice. Optional.", optional=True)
        self.add_raster("TEMPLATE", "Template", "A raster on the fine grid.")
        self.add_raster_output("OUTPUT", "Glacier mask", "1 = use, NoData = ice.", "mask")
        self.add_memory()

    def run_step(self, values: Values, progress: Any) -> dict[str, Any]:
        from gwsa_qgis.steps.glaciermask import glaciermask

        glaciermask(
            values.vector("GLACIERS"),
            values.raster("TEMPLATE"),
            values.output("OUTPUT"),
            ice_sheet=values.raster("ICE_SHEET"),
            memory_mb=values.integer("MEMORY"),
            progress=progress,
        )
        return {}

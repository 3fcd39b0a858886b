"""gwsa:watermask."""

from __future__ import annotations

from typing import Any

from gwsa_qgis.processing_provider.base import PAPER, GwsaAlgorithm
from gwsa_qgis.processing_provider.translation import tr
from gwsa_qgis.processing_provider.values import Values
from qgis.core import QgsProcessing, QgsProcessingParameterMultipleLayers


class WaterMask(GwsaAlgorithm):
    """Mask permanent water from JRC yearly classes."""

    ID = "watermask"
    NAME = "Water mask"
    GROUP = "prepare"
    TAGS = ("JRC", "surface water", "lake", "reservoir", "mask")
    REFERENCE = f"JRC Global Surface Water: Pekel et al. (2016), doi:10.1038/nature20584. {PAPER}"
    SUMMARY = "Masks fine cells that permanent water covers, from JRC Global Surface Water yearly classes."
    HELP = """<p>A pixel is water when any of the given years has class 3 (permanent). A cell of the template is masked when
    the covered share of its area reaches the threshold. Tiles of several places and years may be mixed. Places outside
    all tiles are unknown, and are masked: cells that lie between tiles are counted, and so are years that a place lacks.</p>
    <p>Output: 1 = use, NoData = masked.</p>"""
    FORMULA = (
        "Masked where sum(a of permanent water) / sum(a) is THRESHOLD or more, a being the area of a pixel in the cell."
    )
    UNITS = "THRESHOLD is a share of the cell's area, 0 to 1; the mask has no unit."

    def declare(self) -> None:
        self.add(
            QgsProcessingParameterMultipleLayers("INPUTS", tr("Yearly classes"), QgsProcessing.SourceType.TypeRaster),
            "JRC yearlyClassification tiles: 0 no data, 1 not water, 2 seasonal, 3 permanent.",
        )
        self.add_raster("TEMPLATE", "Template", "A raster on the fine grid.")
        self.add_number(
            "THRESHOLD", "Covered share", "Share of a cell from which it is masked.", 0.5, 0.0, 1.0, whole=False
        )
        self.add_number("START_YEAR", "First year", "Years before are left out; all when empty.", None, optional=True)
        self.add_number("END_YEAR", "Last year", "Years after are left out; all when empty.", None, optional=True)
        self.add_raster_output("OUTPUT", "Water mask", "1 = use, NoData = permanent water or unknown.", "mask")
        self.add_memory()

    def run_step(self, values: Values, progress: Any) -> dict[str, Any]:
        from gwsa_qgis.steps.watermask import watermask

        watermask(
            values.layers("INPUTS"),
            values.raster("TEMPLATE"),
            values.output("OUTPUT"),
            threshold=values.number("THRESHOLD"),
            start_year=values.integer("START_YEAR"),
            end_year=values.integer("END_YEAR"),
            memory_mb=values.integer("MEMORY"),
            progress=progress,
        )
        return {}

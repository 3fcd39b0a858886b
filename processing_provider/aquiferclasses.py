"""gwsa:aquiferclasses."""

from __future__ import annotations

from typing import Any

from gwsa_qgis.processing_provider.base import GwsaAlgorithm
from gwsa_qgis.processing_provider.translation import tr
from gwsa_qgis.processing_provider.values import Values
from qgis.core import QgsProcessing, QgsProcessingParameterField, QgsProcessingParameterVectorLayer


class AquiferClasses(GwsaAlgorithm):
    """Turn aquifer polygons into class rasters on both grids."""

    ID = "aquiferclasses"
    NAME = "Aquifer classes"
    GROUP = "prepare"
    TAGS = ("WHYMAP", "HYGEO2", "aquifer", "rasterize")
    SUMMARY = "Turns aquifer polygons (WHYMAP) into class rasters on the fine and the coarse grid."
    HELP = """<p>WHYMAP's HYGEO2 joins structure and recharge: 11-15 major groundwater basin with recharge below 2, 2-20,
    20-100, 100-300 and above 300 mm per year; 22-25 complex structure with recharge below 20, 20-100, 100-300 and above
    300; 33 and 34 local and shallow aquifers with recharge below and above 100. Class 88 (ice sheet) is dropped. A
    class is not one connected aquifer. Any other field of whole numbers or of texts may be used; texts are numbered in
    the order of the alphabet, as the log and the raster's metadata (GWSA_CLASSES) say.</p>
    <p>A coarse cell has the class that most of its area has.</p>"""
    FORMULA = (
        "Coarse class = the class c with the largest sum of a<sub>i</sub> over fine cells i of class c; a<sub>i</sub> "
        "is a cell's area."
    )
    UNITS = "None: numbers of classes. Recharge in the classes' meaning is mm per year."

    def declare(self) -> None:
        self.add(
            QgsProcessingParameterVectorLayer(
                "INPUT", tr("Aquifer polygons"), [QgsProcessing.SourceType.TypeVectorPolygon]
            ),
            "Polygons with a class field.",
        )
        self.add(
            QgsProcessingParameterField("FIELD", tr("Class field"), "HYGEO2", "INPUT"),
            "Field with the class, as a whole number or as a text.",
        )
        self.add_raster("TEMPLATE", "Template", "A raster on the fine grid.")
        self.add_number(
            "FACTOR", "Fine cells per coarse cell", "Along one side; 30 for 0.25 deg and 1 km.", 30, 1, advanced=False
        )
        self.add_raster(
            "MASK", "Mask", "Only used cells count for the class of a coarse cell. Optional.", optional=True
        )
        self.add_raster_output("OUTPUT", "Aquifer classes", "Class of each fine cell.", "aquifers")
        self.add_raster_output("COARSE", "Aquifer classes, coarse", "Class of each coarse cell.", "aquifers")

    def run_step(self, values: Values, progress: Any) -> dict[str, Any]:
        from gwsa_qgis.steps.aquiferclasses import aquiferclasses

        aquiferclasses(
            values.vector("INPUT"),
            values.raster("TEMPLATE"),
            values.integer("FACTOR"),
            values.output("OUTPUT"),
            values.output("COARSE"),
            field=values.text("FIELD"),
            mask=values.raster("MASK"),
            progress=progress,
        )
        return {}

"""gwsa:importgldas."""

from __future__ import annotations

from typing import Any

from gwsa_qgis.processing_provider.base import GwsaAlgorithm, tr
from gwsa_qgis.processing_provider.values import Values
from qgis.core import QgsProcessing, QgsProcessingParameterMultipleLayers


class ImportGldas(GwsaAlgorithm):
    """Read GLDAS Noah monthly files into three monthly stacks."""

    ID = "importgldas"
    NAME = "Import GLDAS storages"
    GROUP = "import"
    TAGS = ("GLDAS", "Noah", "soil moisture", "snow", "canopy")
    SUMMARY = "Reads GLDAS Noah 2.1 monthly files into stacks of soil moisture, snow and canopy water storage in cm."
    HELP = """<p>SMS is the sum of the four soil layers (0-200 cm), SWE the snow water equivalent, CWS the canopy water
    storage. The files' kg m<sup>-2</sup> (mm) become cm. Months come from the files themselves; a month without a file
    is a band of NoData. Give either the files or the folder that holds them.</p>"""

    def declare(self) -> None:
        self.add(
            QgsProcessingParameterMultipleLayers(
                "INPUTS", tr("Monthly files"), QgsProcessing.SourceType.TypeFile, optional=True
            ),
            "GLDAS_NOAH025_M.AYYYYMM.021.nc4 files, in any order.",
        )
        self.add_folder("FOLDER", "Folder of monthly files", "Used when no files are given.", optional=True)
        self.add_raster(
            "TEMPLATE",
            "Template",
            "A raster on the same 0.25 deg grid (the TWSA stack) whose extent is taken; the whole file when empty.",
            optional=True,
        )
        self.add_raster_output("SMS", "Soil moisture storage", "Monthly stack, cm.", "sequential")
        self.add_raster_output("SWE", "Snow water equivalent", "Monthly stack, cm.", "sequential")
        self.add_raster_output("CWS", "Canopy water storage", "Monthly stack, cm.", "sequential")
        self.add_memory()

    def run_step(self, values: Values, progress: Any) -> dict[str, Any]:
        from gwsa_qgis.steps.importgldas import importgldas

        importgldas(
            values.files("INPUTS"),
            values.output("SMS"),
            values.output("SWE"),
            values.output("CWS"),
            folder=values.file("FOLDER"),
            template=values.raster("TEMPLATE"),
            memory_mb=values.integer("MEMORY"),
            progress=progress,
        )
        return {}

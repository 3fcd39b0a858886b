"""gwsa:importgldas."""

from __future__ import annotations

from typing import Any

from gwsa_qgis.processing_provider.base import PAPER, GwsaAlgorithm
from gwsa_qgis.processing_provider.translation import tr
from gwsa_qgis.processing_provider.values import Values
from qgis.core import QgsProcessing, QgsProcessingParameterMultipleLayers

MODELS = ("auto", "noah", "clsm", "vic", "mean")


class ImportGldas(GwsaAlgorithm):
    """Read monthly GLDAS files into monthly stacks, with the spread between models."""

    ID = "importgldas"
    NAME = "Import GLDAS storages"
    GROUP = "import"
    TAGS = ("GLDAS", "Noah", "CLSM", "VIC", "soil moisture", "snow", "canopy", "uncertainty")
    REFERENCE = f"GLDAS: Rodell et al. (2004), doi:10.1175/BAMS-85-3-381. {PAPER}"
    SUMMARY = "Reads monthly GLDAS files (Noah, CLSM, VIC) into stacks of soil moisture, snow and canopy water in cm."
    HELP = """<p>SMS is the soil moisture of all layers (Noah: four, 0-200 cm; VIC: three; CLSM: the one variable of the
    whole profile, which reaches down to bedrock and so holds water that other models leave to groundwater), SWE the
    snow water equivalent, CWS the canopy water storage. The files' kg m<sup>-2</sup> (mm) become cm. Each file's month
    is in its name and must agree with its time axis; a month without a file is a band of NoData, a month twice, mixed
    versions and mixed resolutions of one model are refused. Give either the files or the folder that holds them.</p>
    <p>Files of several models may be given together. <i>Model</i> says whose storages are written: auto takes Noah
    where it is there; mean averages the models where all have a value. SPREAD is the standard deviation (n - 1)
    between the models of the anomaly of SMS + SWE + CWS to the mean of the baseline months that all of them have: the
    uncertainty that the choice of a land-surface model brings to groundwater. Models on coarser cells (VIC and CLSM, 1
    degree) are interpolated bilinearly to the cells written, where the coast takes the values of the nearest land
    cells.</p>"""
    FORMULA = "SMS = sum over the layers / 10, SWE = SWE / 10, CWS = CWS / 10 (kg m<sup>-2</sup> to cm)."
    UNITS = "cm of equivalent water height."

    def declare(self) -> None:
        self.add(
            QgsProcessingParameterMultipleLayers(
                "INPUTS", tr("Monthly files"), QgsProcessing.SourceType.TypeFile, optional=True
            ),
            "GLDAS_NOAH025_M.AYYYYMM.021.nc4 and the like, in any order.",
        )
        self.add_folder(
            "FOLDER",
            "Folder of monthly files",
            "Used when no files are given; its sub-folders when it has none itself.",
            optional=True,
        )
        self.add_raster(
            "TEMPLATE",
            "Template",
            "A raster on the same 0.25 deg grid (the TWSA stack) whose extent is taken; the whole file when empty.",
            optional=True,
        )
        self.add_choice("MODEL", "Model", "Whose storages are written.", list(MODELS), MODELS[0])
        self.add_text("BASELINE_START", "Baseline starts", "YYYY-MM, for SPREAD", "2004-01", False, advanced=True)
        self.add_text("BASELINE_END", "Baseline ends", "YYYY-MM, included", "2009-12", False, advanced=True)
        self.add_raster_output("SMS", "Soil moisture storage", "Monthly stack, cm.", "sequential")
        self.add_raster_output("SWE", "Snow water equivalent", "Monthly stack, cm.", "sequential")
        self.add_raster_output("CWS", "Canopy water storage", "Monthly stack, cm.", "sequential")
        self.add_raster_output(
            "SPREAD",
            "Spread between models",
            "Monthly stack, cm: standard deviation between the models. Needs files of at least two.",
            "sequential",
            optional=True,
        )
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
            model=values.choice("MODEL"),
            spread=values.output("SPREAD"),
            baseline_start=values.text("BASELINE_START"),
            baseline_end=values.text("BASELINE_END"),
            memory_mb=values.integer("MEMORY"),
            progress=progress,
        )
        return {}

"""gwsa:predict."""

from __future__ import annotations

from typing import Any

from gwsa_qgis.processing_provider.base import GwsaAlgorithm
from gwsa_qgis.processing_provider.values import Values


class Predict(GwsaAlgorithm):
    """Apply trained models to the fine predictors."""

    ID = "predict"
    NAME = "Predict fine GWSA"
    GROUP = "downscale"
    TAGS = ("downscaling", "prediction", "1 km")
    NEEDS = ("xgboost",)
    SUMMARY = "Applies trained models to the fine predictors, month by month."
    HELP = """<p>The result is not yet a map of GWSA: it must be closed on the coarse data by <i>Correct residuals</i>. Models
    of the recommended preset give the fine detail about each mascon's mean (weighted by what cross-validation
    confirmed), models of the published preset give levels; the model file knows which.</p>
    <p>Predictors are read, pieces predicted and the map written at the same time, within the memory. Finished parts wait
    in a hidden folder beside the output: after a cancelled or broken run the same call goes on after them and ends with
    the same bytes, and a changed input or setting starts afresh.</p>"""
    FORMULA = (
        "Published: y = f<sub>c</sub>(x<sub>1</sub>, x<sub>2</sub>, ...) of each fine cell, c its aquifer class. "
        "Recommended: y = w<sub>c</sub> g(x - their neighbourhood)."
    )
    UNITS = "cm of equivalent water height."

    def declare(self) -> None:
        self.add_file("MODEL", "Model", "Model file made by Train models.", "GWSA model (*.gwsa)")
        self.add_folder("PREDICTORS", "Fine predictors", "Folder made by Prepare predictors.")
        self.add_raster("AQUIFERS", "Aquifer classes, fine", "Needed when the model has classes.", optional=True)
        self.add_raster("MASK", "Mask", "Cells to use, on the fine grid. Optional.", optional=True)
        self.add_raster(
            "MASCONS", "Native mascons", "Only for another region than the model's own: its mascons.", optional=True
        )
        self.add_raster_output("OUTPUT", "Prediction", "Monthly stack on the fine grid, cm.", "anomaly")
        self.add_number("THREADS", "Threads", "0 takes all cores; the map is the same.", 0, 0)
        self.add_memory()

    def run_step(self, values: Values, progress: Any) -> dict[str, Any]:
        from gwsa_qgis.steps.predict import predict

        predict(
            values.file("MODEL"),
            values.file("PREDICTORS"),
            values.output("OUTPUT"),
            aquifers=values.raster("AQUIFERS"),
            mask=values.raster("MASK"),
            mascons=values.raster("MASCONS"),
            threads=values.integer("THREADS"),
            memory_mb=values.integer("MEMORY"),
            progress=progress,
        )
        return {}

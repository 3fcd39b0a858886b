"""gwsa:preparepredictors."""

from __future__ import annotations

from typing import Any

from gwsa_qgis.processing_provider.base import GwsaAlgorithm
from gwsa_qgis.processing_provider.translation import tr
from gwsa_qgis.processing_provider.values import Values
from qgis.core import QgsProcessing, QgsProcessingParameterMultipleLayers


class PreparePredictors(GwsaAlgorithm):
    """Bring predictors onto the fine and the coarse grid."""

    ID = "preparepredictors"
    NAME = "Prepare predictors"
    GROUP = "prepare"
    TAGS = ("predictors", "covariates", "align", "resample", "fill holes")
    SUMMARY = "Aligns predictors to the fine grid, masks them, fills small holes and averages them to the coarse grid."
    HELP = """<p>Each input becomes one GeoTIFF in the folder FINE, on the template's grid, and one in COARSE, whose cells
    are FACTOR times larger (means of valid fine cells, weighted by area). A raster with months is dynamic, a single band
    static; months are cut to those that all dynamic inputs have. Scattered holes are filled by inverse distance
    weighting; holes farther than the limit from any value stay holes and are counted. Months without any value stay
    NoData; a month that an input's bands leave out is refused.</p>
    <p>TABLE and REPORT say what came in and what went out, and what looks physically odd: precipitation 100 times too
    large, kelvin, an index without its scale, feet, seasons six months out, rows upside down. Nothing is repaired
    silently.</p>
    <p>Finished predictors wait in a hidden folder beside FINE: after a cancelled or broken run the same call goes on
    after them, and a changed input or setting starts afresh.</p>
    <p>The predictor's name is the input's file or layer name, unless NAMES lists others in the same order. Models need
    the same names in training and prediction.</p>"""
    FORMULA = (
        "Coarse = sum(a<sub>i</sub> x<sub>i</sub>) / sum(a<sub>i</sub>) over the valid fine cells i, a<sub>i</sub> "
        "their areas. A hole = sum(x<sub>j</sub> / d<sub>j</sub><sup>2</sup>) / sum(1 / d<sub>j</sub><sup>2</sup>), "
        "d<sub>j</sub> the distances to cells with values."
    )
    UNITS = "As each input's, unchanged."

    def declare(self) -> None:
        self.add(
            QgsProcessingParameterMultipleLayers("INPUTS", tr("Predictors"), QgsProcessing.SourceType.TypeRaster),
            "Monthly stacks and single-band rasters.",
        )
        self.add_raster("TEMPLATE", "Template", "A raster on the fine grid.")
        self.add_number(
            "FACTOR", "Fine cells per coarse cell", "Along one side; 30 for 0.25 deg and 1 km.", 30, 1, advanced=False
        )
        self.add_raster("MASK", "Mask", "Cells to use, on the fine grid. Optional.", optional=True)
        self.add_text("NAMES", "Names", "Names of the predictors, separated by commas, in the order of the inputs.")
        self.add_number(
            "HOLE_DISTANCE",
            "Largest distance of a filled hole (fine cells)",
            "Holes farther than this from any value are not filled.",
            10,
            0,
        )
        self.add_threads()
        self.add_folder_output("FINE", "Fine predictors", "Folder with one GeoTIFF a predictor on the fine grid.")
        self.add_folder_output("COARSE", "Coarse predictors", "The same on the coarse grid.")
        self.add_file_output(
            "TABLE",
            "Table",
            "What came in and what went out, one line a predictor.",
            tr("CSV files (*.csv)"),
            optional=True,
        )
        self.add_report("The table, and a map of each predictor's mean.")
        self.add_memory()

    def run_step(self, values: Values, progress: Any) -> dict[str, Any]:
        from gwsa_qgis.steps.preparepredictors import preparepredictors

        names = values.text("NAMES")
        preparepredictors(
            values.layers("INPUTS"),
            values.raster("TEMPLATE"),
            values.integer("FACTOR"),
            values.output_folder("FINE"),
            values.output_folder("COARSE"),
            mask=values.raster("MASK"),
            names=[name.strip() for name in names.split(",")] if names else None,
            max_hole_distance=values.integer("HOLE_DISTANCE"),
            table=values.output_file("TABLE"),
            report=values.output_file("REPORT"),
            workers=values.threads(),
            memory_mb=values.integer("MEMORY"),
            progress=progress,
        )
        return {}

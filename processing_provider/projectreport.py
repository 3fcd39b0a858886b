"""gwsa:projectreport."""

from __future__ import annotations

from typing import Any

from gwsa_qgis.processing_provider.base import GwsaAlgorithm
from gwsa_qgis.processing_provider.translation import tr
from gwsa_qgis.processing_provider.values import Values


class ProjectReport(GwsaAlgorithm):
    """Gather what a project found into one page."""

    ID = "projectreport"
    NAME = "Project report"
    GROUP = "validate"
    TAGS = ("report", "methods", "limits", "summary", "JSON")
    SUMMARY = (
        "Gathers inputs, settings, scores, closure, validation, uncertainty and limits of a project into one page."
    )
    HELP = """<p>Give the fine map and whatever else the steps wrote: the model file, the tables of closure, consistency and
    wells, the trend, the uncertainty. The page says in plain words what was done, how good it is on places that were left
    out, and what not to believe; it has a paragraph of methods to paste, with citations. It needs no network, and prints.
    JSON holds the same figures for other programs.</p>
    <p>Storages are in cm of equivalent water height, trends in the unit of their raster.</p>"""
    UNITS = "Storages in cm of equivalent water height, trends in the unit of their raster."

    def declare(self) -> None:
        csv = tr("CSV files (*.csv)")
        self.add_raster("GWSA", "GWSA, fine", "The map to report on, a monthly stack in cm.")
        self.add_text("TITLE", "Title", "Heading of the page, for example the basin's name.")
        self.add_raster("COARSE", "GWSA, coarse", "The field before downscaling, drawn beside the map.", optional=True)
        self.add_file("MODEL", "Model file", "Of Train models.", tr("Model files (*.gwsa *.gwsamodel)"), optional=True)
        self.add_file("CLOSURE", "Closure table", "Of Correct residuals.", csv, optional=True)
        self.add_file("CONSISTENCY", "Consistency table", "METRICS of Consistency across scales.", csv, optional=True)
        self.add_file("WELLS", "Table of wells", "METRICS of Validate with wells.", csv, optional=True)
        self.add_raster("SLOPE", "Trend", "SLOPE of Trend and significance.", optional=True)
        self.add_raster("P_VALUE", "Significance (p)", "P_VALUE of Trend and significance.", optional=True)
        self.add_raster(
            "UNCERTAINTY", "Uncertainty", "Half-widths of Uncertainty, a monthly stack in cm.", optional=True
        )
        self.add_report("The page.", optional=False)
        self.add_file_output(
            "JSON", "Figures (JSON)", "The same figures for programs.", tr("JSON files (*.json)"), optional=True
        )
        self.add_memory()

    def run_step(self, values: Values, progress: Any) -> dict[str, Any]:
        from gwsa_qgis.steps.projectreport import projectreport

        projectreport(
            values.raster("GWSA"),
            report=values.output_file("REPORT"),
            json_file=values.output_file("JSON"),
            title=values.text("TITLE") or "",
            model=values.file("MODEL"),
            coarse=values.raster("COARSE"),
            closure=values.file("CLOSURE"),
            consistency=values.file("CONSISTENCY"),
            wells=values.file("WELLS"),
            slope=values.raster("SLOPE"),
            p_value=values.raster("P_VALUE"),
            uncertainty=values.raster("UNCERTAINTY"),
            memory_mb=values.integer("MEMORY"),
            progress=progress,
        )
        return {}

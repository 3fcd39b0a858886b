"""gwsa:sampleproject."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gwsa_qgis.processing_provider.base import GwsaAlgorithm
from gwsa_qgis.processing_provider.translation import tr
from gwsa_qgis.processing_provider.values import Values
from qgis.core import QgsProcessingContext, QgsProcessingFeedback, QgsProcessingOutputFile

PROJECT_NAME = "sample_region.qgz"


class SampleProject(GwsaAlgorithm):
    """Make the sample region and a QGIS project of it."""

    ID = "sampleproject"
    NAME = "Make sample project"
    GROUP = "tools"
    TAGS = ("sample", "demo", "tutorial", "project", "temporal controller", "first steps")
    REFERENCE = "Made by this plugin; not real data."
    SUMMARY = (
        "Makes the sample region and a ready QGIS project: styled layers in groups, months in the temporal controller."
    )
    HELP = """<p>In FOLDER it writes <i>region</i> (the files of <i>Make sample region</i>, in the products' own formats),
    <i>imported</i> (the GRACE file as a monthly stack and its native mascons) and <i>sample_region.qgz</i>. A folder
    <i>results</i> waits for what you make. Made again, region and project are replaced, results stay.</p>
    <p>Open the project with <i>Project &gt; Open</i>; the menu entry <i>Plugins &gt; Groundwater storage &gt; Make and open the
    sample project</i> does both. Play the months in the temporal controller (the clock in the toolbar), then run the model
    <i>Complete chain</i> on the region and compare its map with the truth, cm of water relative to 2004-2009.</p>"""
    UNITS = "cm relative to 2004-2009; SIZE degrees."

    def declare(self) -> None:
        self.add_number("SEED", "Seed", "Another seed, another region.", 42, 0)
        self.add_number("SIZE", "Size (degrees)", "Degrees along each side.", 12, 2, 30)
        self.add_number("FACTOR", "Fine cells per coarse cell", "Along one side of a 0.25 deg cell.", 5, 2, 30)
        self.add_folder_output("FOLDER", "Sample project", "Folder for project and files.")
        self.addOutput(QgsProcessingOutputFile("PROJECT", tr("Project file")))

    def run_step(self, values: Values, progress: Any) -> dict[str, Any]:
        from gwsa_qgis.progress import Reporter
        from gwsa_qgis.steps.importgrace import importgrace
        from gwsa_qgis.steps.sampleregion import sampleregion

        folder, report = Path(values.output_folder("FOLDER")), Reporter(progress)
        region = sampleregion(
            folder / "region",
            seed=values.integer("SEED"),
            size=values.integer("SIZE"),
            factor=values.integer("FACTOR"),
            progress=report.part(0, 0.9),
        )
        for name in ("imported", "results"):
            (folder / name).mkdir(exist_ok=True)
        importgrace(
            region.twsa,
            _twsa(folder),
            mascons=_mascons(folder),
            mascon_map=region.mascon_map,
            progress=report.part(0.9, 1),
        )
        self._folder = folder
        return {"PROJECT": str(folder / PROJECT_NAME)}

    def postProcessAlgorithm(self, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> dict[str, Any]:
        """Write the project: layers belong to the main thread, where QGIS calls this."""
        from gwsa_qgis.processing_provider.project import write_sample_project

        folder = self._folder
        path = write_sample_project(folder / PROJECT_NAME, folder / "region", _twsa(folder), _mascons(folder))
        feedback.pushInfo(tr("Open it with Project > Open: {path}").format(path=path))
        return {}


def _twsa(folder: Path) -> Path:
    return folder / "imported" / "twsa.tif"


def _mascons(folder: Path) -> Path:
    return folder / "imported" / "mascons.tif"

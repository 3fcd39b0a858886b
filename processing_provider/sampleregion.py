"""gwsa:sampleregion."""

from __future__ import annotations

from typing import Any

from gwsa_qgis.processing_provider.base import GwsaAlgorithm
from gwsa_qgis.processing_provider.values import Values


class SampleRegion(GwsaAlgorithm):
    """Make a synthetic region whose fine truth is known."""

    ID = "sampleregion"
    NAME = "Make sample region"
    GROUP = "tools"
    TAGS = ("sample", "demo", "synthetic", "tutorial", "truth")
    REFERENCE = "Made by this plugin; not real data."
    SUMMARY = (
        "Makes the files of a synthetic region, in the products' own formats, whose fine groundwater truth is known."
    )
    HELP = """<p>For learning, testing and judging: GRACE mascons with their real gaps, GLDAS months, JRC water classes,
    glacier outlines, aquifer polygons, climate and soil products, wells with levels, and the truth that a map made from
    them should find. An irrigated zone is depleted with sharp edges, topography gives texture, a part of the signal
    follows the predictors and a part does not. The same seed gives the same region.</p>"""
    UNITS = (
        "As the products have them: GRACE cm, GLDAS kg m<sup>-2</sup>; the truth cm relative to 2004-2009; SIZE "
        "degrees."
    )

    def declare(self) -> None:
        self.add_number("SEED", "Seed", "Another seed, another region.", 42, 0, advanced=False)
        self.add_number("SIZE", "Size (degrees)", "Degrees along each side.", 12, 2, 30, advanced=False)
        self.add_number("FACTOR", "Fine cells per coarse cell", "Along one side of a 0.25 deg cell.", 5, 2, 30)
        self.add_text("START", "First month", "YYYY-MM", "2002-04", optional=False, advanced=True)
        self.add_text("END", "Last month", "YYYY-MM, included", "2020-12", optional=False, advanced=True)
        self.add_folder_output("FOLDER", "Sample region", "Folder for the files.")

    def run_step(self, values: Values, progress: Any) -> dict[str, Any]:
        from gwsa_qgis.steps.sampleregion import sampleregion

        sampleregion(
            values.output_folder("FOLDER"),
            seed=values.integer("SEED"),
            size=values.integer("SIZE"),
            factor=values.integer("FACTOR"),
            start=values.text("START"),
            end=values.text("END"),
            progress=progress,
        )
        return {}

"""What the dialogs of basin series and basin report have in common: the basins, and the errors of their means."""

from __future__ import annotations

from typing import Any

from gwsa_qgis.processing_provider.base import GwsaAlgorithm, tr
from gwsa_qgis.processing_provider.values import Values
from qgis.core import QgsProcessing, QgsProcessingParameterFeatureSource, QgsProcessingParameterField

ERRORS = ("UNCERTAINTY", "WITHIN", "MASCONS", "FLAGS")


def add_basins(algorithm: GwsaAlgorithm) -> None:
    """Add the stack, and which polygons are its basins."""
    algorithm.add_raster("INPUT", "Monthly stack", "For example GWSA, cm.")
    algorithm.add(
        QgsProcessingParameterFeatureSource("BASINS", tr("Basins"), [QgsProcessing.SourceType.TypeVectorPolygon]),
        "Polygons in any CRS; they are reprojected to the stack's, invalid ones mended, as the log says.",
    )
    algorithm.add(
        QgsProcessingParameterField("FIELD", tr("Name field"), "", "BASINS", optional=True),
        "Field of the basins' names; features are numbered without it.",
    )
    algorithm.add_text("BASIN", "Only this basin", "Its name; all basins when empty.")
    help = "apart: each is a basin, and numbered; join: they are one basin."
    algorithm.add_choice("SAME_NAME", "Features of one name", help, ["apart", "join"], "apart", advanced=True)


def add_errors(algorithm: GwsaAlgorithm) -> None:
    """Add what the uncertainty of a basin's mean is made of."""
    help = "CELL (best) or OUTPUT of the Uncertainty algorithm. Optional."
    algorithm.add_raster("UNCERTAINTY", "Uncertainty", help, optional=True)
    help = "WITHIN of the Uncertainty algorithm, beside CELL. Optional."
    algorithm.add_raster("WITHIN", "Uncertainty within", help, optional=True)
    algorithm.add_raster("MASCONS", "Native mascons", "Mascon map; needed with errors of mascons.", optional=True)
    help = "FLAGS of Fill gaps; what the stack says itself counts too."
    algorithm.add_raster("FLAGS", "Filled months", help, optional=True)
    help = "Probability of the uncertainty's interval and of the limits of trends."
    algorithm.add_number("LEVEL", "Level", help, 0.95, 0.5, 0.99, whole=False)


def add_counts(algorithm: GwsaAlgorithm) -> None:
    """Add the numbers that both return."""
    algorithm.add_figure("BASINS_READ", "Basins")
    algorithm.add_figure("BASINS_WITHOUT_VALUES", "Basins without values")


def basin_options(values: Values) -> dict[str, Any]:
    """Options of the step, from these parameters."""
    return {
        "field": values.text("FIELD") or "",
        "basin": values.text("BASIN") or "",
        "same_name": values.choice("SAME_NAME"),
        "level": values.number("LEVEL"),
        **{name.lower(): values.raster(name) for name in ERRORS},
    }

"""Units of the storage stacks that steps take."""

from __future__ import annotations

from gwsa_qgis.products.units import centimetres_per
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.stack import MonthlyStack


def to_centimetres(stack: MonthlyStack, report: Reporter) -> float:
    """Factor that turns a stack's values into cm of water height; one without a unit is taken to be in cm.

    Raises
    ------
    InvalidParameter
        If its unit is none of water height.
    """
    unit = stack.unit().strip()
    if not unit:
        report.warn(f"{stack.path} does not name its unit and is taken to be in cm")
        return 1.0
    factor = centimetres_per(unit, "", stack.path)
    if factor != 1.0:
        report.warn(f"{stack.path} is in {unit} and is converted to cm")
    return factor

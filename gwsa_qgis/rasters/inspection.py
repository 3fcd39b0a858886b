"""What a stack holds: the months that have values, and its unit of water height."""

from __future__ import annotations

import numpy as np

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.rasters.windows import DEFAULT_MEMORY_MB, plan_windows

# Centimetres of water height in one unit; 1 kg of water on 1 m2 stands 1 mm high.
CENTIMETRES = {
    "cm": 1.0,
    "mm": 0.1,
    "m": 100.0,
    "kg m-2": 0.1,
    "kg/m2": 0.1,
    "kg/m^2": 0.1,
    "kg m**-2": 0.1,
    "cm ewh": 1.0,
    "mm ewh": 0.1,
}


def months_with_values(stack: MonthlyStack, memory_mb: float = DEFAULT_MEMORY_MB) -> np.ndarray:
    """Which months have a valid value anywhere, shape (n_months,) bool."""
    present = np.zeros(stack.bands, bool)
    for window in plan_windows(stack.grid, 8 * stack.bands, memory_mb=memory_mb):
        present |= np.isfinite(stack.read(*window.slices)).any(axis=(1, 2))
        if present.all():
            break
    return present


def to_centimetres(stack: MonthlyStack, progress: Reporter | None = None) -> float:
    """Factor that turns a stack's values into cm of water height; a stack without a unit is taken to be in cm.

    Raises
    ------
    InvalidParameter
        If the unit is none of water height.
    """
    unit = stack.unit().strip()
    progress = progress or Reporter()
    if not unit:
        progress.warn(f"{stack.path} says no unit and is taken to be in cm")
        return 1.0
    factor = CENTIMETRES.get(unit.lower())
    if factor is None:
        raise InvalidParameter(
            f"{stack.path} is in {unit!r}, which is no water height",
            "give a stack in cm, mm, m or kg m-2",
        )
    if factor != 1.0:
        progress.warn(f"{stack.path} is in {unit} and is converted to cm")
    return factor


def describe_months(months: np.ndarray) -> str:
    """A span and its length, such as ``2002-04 to 2020-12 (225 months)``."""
    return f"{months[0]} to {months[-1]} ({months.size} month{'s' if months.size > 1 else ''})"


def list_months(months: np.ndarray, most: int = 6) -> str:
    """Months as a list that stays short."""
    names = [str(month) for month in months]
    return ", ".join(names if len(names) <= most else [*names[: most - 1], f"... {names[-1]}"])

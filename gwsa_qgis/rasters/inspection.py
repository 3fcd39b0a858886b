"""What a stack holds: the months that have values, and how to tell them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.raster import Raster
from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.rasters.windows import DEFAULT_MEMORY_MB, plan_windows


def months_with_values(stack: MonthlyStack, memory_mb: float = DEFAULT_MEMORY_MB) -> np.ndarray:
    """Which months have a valid value anywhere, shape (n_months,) bool."""
    present = np.zeros(stack.bands, bool)
    for window in plan_windows(stack.grid, 8 * stack.bands, memory_mb=memory_mb, tile=stack.tile):
        present |= np.isfinite(stack.read(*window.slices)).any(axis=(1, 2))
        if present.all():
            break
    return present


def describe_months(months: np.ndarray) -> str:
    """A span and its length, such as ``2002-04 to 2020-12 (225 months)``."""
    return f"{months[0]} to {months[-1]} ({months.size} month{'s' if months.size > 1 else ''})"


def list_months(months: np.ndarray, most: int = 6) -> str:
    """Months as a list that stays short."""
    names = [str(month) for month in months]
    return ", ".join(names if len(names) <= most else [*names[: most - 1], f"... {names[-1]}"])


def read_thinned(path: str | Path, most: int) -> tuple[np.ndarray, Grid]:
    """First band with at most `most` pixels along a side, every so many rows and columns, and the grid of these.

    Returns
    -------
    values : (rows, columns) float32, NaN as NoData
    grid : Grid
    """
    with Raster(path) as raster:
        grid = raster.grid
        thin = max(1, -(-max(grid.shape) // most))
        rows = [raster.read(slice(row, row + 1), bands=[0])[0, 0, ::thin] for row in range(0, grid.rows, thin)]
    small = Grid(grid.west, grid.north, grid.dx * thin, grid.dy * thin, rows[0].size, len(rows), grid.crs)
    return np.stack(rows), small

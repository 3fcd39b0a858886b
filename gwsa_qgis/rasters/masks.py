"""Masks: rasters in which a value other than 0 means use, and NoData or 0 masked."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.raster import EVERYTHING, Raster, write_single

MASK_OPTIONS = {"dtype": "uint8", "nodata": 0}


def read_mask(
    path: str | Path, grid: Grid, rows: slice = EVERYTHING, columns: slice = EVERYTHING, name: str = "the mask"
) -> np.ndarray:
    """Cells to use, (rows, columns) bool; the mask must lie on `grid`.

    Raises
    ------
    GridMismatch
        If the mask is on another grid.
    """
    with Raster(path) as raster:
        grid.require_match(raster.grid, "the template", f"{name} {path}")
        return is_used(raster.read(rows, columns, [0])[0])


def is_used(values: np.ndarray) -> np.ndarray:
    """Cells to use of a mask's values."""
    return np.isfinite(values) & (values != 0)


def write_mask(path: str | Path, grid: Grid, used: np.ndarray, **options: object) -> Path:
    """Write a mask: 1 = use, NoData (0) = masked."""
    return write_single(path, grid, used.astype(np.uint8), **(MASK_OPTIONS | options))

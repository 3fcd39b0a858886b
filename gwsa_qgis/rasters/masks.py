"""Masks: rasters in which a value other than 0 means use, and NoData or 0 masked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.raster import EVERYTHING, TILE, Raster, write_single

MASK_OPTIONS = {"dtype": "uint8", "nodata": 0}
# A mask in memory takes at most this part of a step's budget.
BITS_SHARE = 20


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


def mask_reader(
    path: str | Path, grid: Grid, memory_mb: float, name: str = "the mask"
) -> Callable[[slice, slice], np.ndarray]:
    """Function that gives the cells to use of rows and columns, (rows, columns) bool, again and again.

    The mask is held as one bit a cell where that is a small part of the budget, and read from the file otherwise.

    Raises
    ------
    GridMismatch
        If the mask is on another grid.
    """
    if grid.rows * grid.columns / 8 > memory_mb * 1e6 / BITS_SHARE:
        read_mask(path, grid, slice(0, 1), slice(0, 1), name)
        return lambda rows, columns: read_mask(path, grid, rows, columns, name)
    with Raster(path) as raster:
        grid.require_match(raster.grid, "the template", f"{name} {path}")
        strips = (slice(row, row + TILE) for row in range(0, grid.rows, TILE))
        bits = np.concatenate([np.packbits(is_used(raster.read(rows, bands=[0])[0]), axis=1) for rows in strips])

    def cut(rows: slice, columns: slice) -> np.ndarray:
        first = columns.start // 8
        cells = np.unpackbits(bits[rows, first : -(-columns.stop // 8)], axis=1)
        return cells[:, columns.start - 8 * first : columns.stop - 8 * first].astype(bool)

    return cut


def is_used(values: np.ndarray) -> np.ndarray:
    """Cells to use of a mask's values."""
    return np.isfinite(values) & (values != 0)


def write_mask(path: str | Path, grid: Grid, used: np.ndarray, **options: object) -> Path:
    """Write a mask: 1 = use, NoData (0) = masked."""
    return write_single(path, grid, used.astype(np.uint8), **(MASK_OPTIONS | options))

"""Values of rasters and series of monthly stacks at points, each tile read once however many points it holds."""

from __future__ import annotations

import numpy as np

from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.raster import TILE, Raster
from gwsa_qgis.rasters.stack import MonthlyStack

MONTHS_AT_ONCE = 64


def cells_of_points(grid: Grid, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and whether inside, for points in the CRS of `grid`.

    On geographic grids longitudes may differ by full turns.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    if grid.is_geographic:
        x = grid.west + (x - grid.west) % 360.0
    column, row = np.floor((x - grid.west) / grid.dx), np.floor((grid.north - y) / grid.dy)
    inside = (row >= 0) & (row < grid.rows) & (column >= 0) & (column < grid.columns)
    return np.where(inside, row, 0).astype(int), np.where(inside, column, 0).astype(int), inside


def read_points(
    stack: MonthlyStack,
    months: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    progress: Reporter | None = None,
) -> np.ndarray:
    """Values of cells in given months, shape (n_points, n_months) float64; NaN as NoData."""
    progress = progress or Reporter()
    values = np.full((rows.size, months.size), np.nan)
    groups = _by_tile(stack.grid, rows, columns)
    for number, (chosen, window) in enumerate(groups, start=1):
        places = rows[chosen] - window[0].start, columns[chosen] - window[1].start
        for first in range(0, months.size, MONTHS_AT_ONCE):
            part = slice(first, first + MONTHS_AT_ONCE)
            values[chosen, part] = stack.read_months(months[part], *window)[:, places[0], places[1]].T
        progress(number / len(groups))
    return values


def read_cells(raster: Raster, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Values of cells of the first band, shape (n_points,) float64; NaN as NoData."""
    values = np.full(rows.size, np.nan)
    for chosen, window in _by_tile(raster.grid, rows, columns):
        values[chosen] = raster.read(*window, [0])[0, rows[chosen] - window[0].start, columns[chosen] - window[1].start]
    return values


def _by_tile(grid: Grid, rows: np.ndarray, columns: np.ndarray) -> list[tuple[np.ndarray, tuple[slice, slice]]]:
    """Positions of the cells that lie in one tile, and the window that holds them, tile by tile."""
    tiles, place = np.unique(rows // TILE * (grid.columns // TILE + 1) + columns // TILE, return_inverse=True)
    found = []
    for number in range(tiles.size):
        chosen = np.flatnonzero(place.ravel() == number)
        row, column = rows[chosen], columns[chosen]
        found.append((chosen, (slice(row.min(), row.max() + 1), slice(column.min(), column.max() + 1))))
    return found


def read_points_bilinear(stack: MonthlyStack, months: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Values at points by bilinear interpolation between cell centres, NoData corners left out, (n_points, n_months)."""
    grid = stack.grid
    x = grid.west + (np.asarray(x, float) - grid.west) % 360.0 if grid.is_geographic else np.asarray(x, float)
    u = np.clip((x - grid.west) / grid.dx - 0.5, 0, grid.columns - 1)
    v = np.clip((grid.north - np.asarray(y, float)) / grid.dy - 0.5, 0, grid.rows - 1)
    left, top = np.floor(u).astype(int), np.floor(v).astype(int)
    total = weight = 0.0
    for down in (0, 1):
        for right in (0, 1):
            row, column = np.minimum(top + down, grid.rows - 1), np.minimum(left + right, grid.columns - 1)
            share = (v - top if down else 1 - (v - top)) * (u - left if right else 1 - (u - left))
            corner = read_points(stack, months, row, column)
            valid = np.isfinite(corner) & (share > 0)[:, None]
            total = total + np.where(valid, corner, 0.0) * share[:, None]
            weight = weight + valid * share[:, None]
    return np.divide(total, weight, out=np.full(total.shape, np.nan), where=weight > 0)

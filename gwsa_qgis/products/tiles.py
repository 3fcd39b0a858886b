"""The common grid of a product's files: all on one grid, or tiles that are put together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from gwsa_qgis.errors import GridMismatch, UnreadableInput
from gwsa_qgis.products.cube import Cube
from gwsa_qgis.products.selection import tile_of
from gwsa_qgis.products.source import open_source
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.grid import ALIGNMENT_TOLERANCE, Grid, same_crs
from gwsa_qgis.rasters.raster import Raster


@dataclass(frozen=True)
class TileSet:
    """Files on one lattice of cells.

    Attributes
    ----------
    grid : Grid
        Extent of all of them together.
    places : dict of str to (row, column, rows, columns)
        Where each file's cells lie in it.
    unit : str
        Unit that the files name.
    """

    grid: Grid
    places: dict[str, tuple[int, int, int, int]]
    unit: str

    def covers_all(self, path: str) -> bool:
        """Whether a file has all cells of the common grid."""
        return self.places[path] == (0, 0, self.grid.rows, self.grid.columns)


def survey(paths: Iterable[str], report: Reporter, cells_per_degree: int = 0) -> TileSet:
    """Open every file once and find their common grid.

    Raises
    ------
    GridMismatch
        If grids differ and the files are no tiles of one lattice.
    UnreadableInput
        If a file is unreadable, or units differ.
    """
    grids: dict[str, Grid] = {}
    units: dict[str, str] = {}
    repairs: dict[str, list[str]] = {}
    for path in dict.fromkeys(paths):
        with open_source(path) as source:
            grids[path] = source.grid
            units.setdefault(source.unit if isinstance(source, Cube) else source.unit(), path)
            for repair in _repairs(source):
                repairs.setdefault(repair, []).append(path)
    for repair, found in repairs.items():
        report.warn(f"{found[0]}{f' and {len(found) - 1} more' if len(found) > 1 else ''}: {repair}.")
    named = {unit: path for unit, path in units.items() if unit}
    if len(named) > 1:
        listing = ", ".join(f"{unit} ({path})" for unit, path in named.items())
        raise UnreadableInput(f"the files are in several units: {listing}", "give files of one unit")
    tiles = _put_together(grids, report)
    grid = _snapped(tiles, cells_per_degree, report) if cells_per_degree else tiles
    return TileSet(grid, {path: _place(one, tiles) for path, one in grids.items()}, next(iter(named), ""))


def _repairs(source: Raster | Cube) -> list[str]:
    """What is unusual about a file and how it is taken."""
    if isinstance(source, Cube):
        return source.repairs
    found = []
    if not source.grid.crs:
        found.append(
            "it names no coordinate reference system and neither will the stack: assign one with gdal:assignprojection"
        )
    elif _counts_from_zero(source.grid):
        found.append("its longitudes run from 0 to 360 and are kept: most templates run from -180 to 180")
    if source.dataset.GetGeoTransform()[5] > 0:
        found.append("its rows run from south to north and are turned round")
    return found


def _counts_from_zero(grid: Grid) -> bool:
    return grid.is_geographic and grid.east > 180 + grid.dx and grid.west > -grid.dx


def _put_together(grids: dict[str, Grid], report: Reporter) -> Grid:
    """Grid of all files: the first's when all are on it, else the extent of the tiles."""
    (first, grid), *others = grids.items()
    strange = [(path, other) for path, other in others if not grid.matches(other)]
    if not strange:
        return grid
    for path, other in strange:
        if same_crs(grid.crs, other.crs) and _counts_from_zero(grid) != _counts_from_zero(other) and grid.is_geographic:
            raise GridMismatch(
                f"{first} (west {grid.west:g}, east {grid.east:g}) and {path} (west {other.west:g}, east {other.east:g}) "
                "count longitudes differently, from 0 to 360 and from -180 to 180",
                "bring both to -180 to 180 with gdal:warpreproject",
            )
        if not (tile_of(first) and tile_of(path) and _aligned(other, grid)):
            grid.require_match(other, first, path)
    distinct = list({_place(one, grid): one for one in grids.values()}.values())
    west, north = min(one.west for one in distinct), max(one.north for one in distinct)
    columns = round((max(one.east for one in distinct) - west) / grid.dx)
    rows = round((north - min(one.south for one in distinct)) / grid.dy)
    whole = replace(grid, west=west, north=north, columns=columns, rows=rows)
    report.say(f"{len(distinct)} tiles are put together.")
    uncovered = _uncovered([_place(one, whole) for one in distinct], rows, columns)
    if uncovered:
        report.warn(
            f"The tiles leave a hole: {uncovered} of {rows * columns} cells ({uncovered / rows / columns:.1%}) of their "
            "common extent lie in no tile and become NoData."
        )
    return whole


def _aligned(tile: Grid, grid: Grid) -> bool:
    if not same_crs(tile.crs, grid.crs) or max(abs(tile.dx / grid.dx - 1), abs(tile.dy / grid.dy - 1)) > 1e-6:
        return False
    offsets = (tile.west - grid.west) / grid.dx, (grid.north - tile.north) / grid.dy
    return all(abs(offset - round(offset)) <= ALIGNMENT_TOLERANCE for offset in offsets)


def _place(tile: Grid, whole: Grid) -> tuple[int, int, int, int]:
    row, column = (whole.north - tile.north) / whole.dy, (tile.west - whole.west) / whole.dx
    return round(row), round(column), tile.rows, tile.columns


def _uncovered(places: list[tuple[int, int, int, int]], rows: int, columns: int) -> int:
    """Cells of the extent that lie in no tile, counted between the tiles' edges."""
    down = np.unique([0, rows, *(p[0] for p in places), *(p[0] + p[2] for p in places)])
    across = np.unique([0, columns, *(p[1] for p in places), *(p[1] + p[3] for p in places)])
    covered = np.zeros((down.size - 1, across.size - 1), bool)
    for row, column, height, width in places:
        inside_rows = (down[:-1] >= row) & (down[:-1] < row + height)
        covered |= inside_rows[:, None] & (across[:-1] >= column) & (across[:-1] < column + width)
    areas = np.diff(down)[:, None] * np.diff(across)
    return int(areas[~covered].sum())


def _snapped(grid: Grid, cells_per_degree: int, report: Reporter) -> Grid:
    """Grid whose edges lie on multiples of its cells, when rounding in the header alone keeps them off."""
    step = 1 / cells_per_degree
    if not grid.is_geographic or max(abs(grid.dx / step - 1), abs(grid.dy / step - 1)) > 1e-4:
        return grid
    column, row = grid.west * cells_per_degree, grid.north * cells_per_degree
    off = max(abs(column - round(column)), abs(row - round(row)))
    if off > ALIGNMENT_TOLERANCE:
        report.warn(
            f"The edges lie {off:.2f} cells off the multiples of 1/{cells_per_degree} deg on which this product's grid is "
            "built, and are kept: check that its origin is a corner and not a cell's centre."
        )
        return grid
    if off > 1e-6 or abs(grid.dx - step) > 1e-12:
        report.say(f"The edges were {off:.4f} cells off the multiples of 1/{cells_per_degree} deg and are put on them.")
    return replace(grid, west=round(column) * step, north=round(row) * step, dx=step, dy=step)

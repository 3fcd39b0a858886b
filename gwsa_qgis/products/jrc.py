"""JRC Global Surface Water yearly classes: 0 no data, 1 not water, 2 seasonal, 3 permanent; tiles of 30 m."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import GridMismatch, UnreadableInput
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.grid import Grid, same_crs
from gwsa_qgis.rasters.raster import Raster
from gwsa_qgis.science.aggregation import area_share, overlap_matrix

PERMANENT = 3
CLASSES = (1, 2, 3)
# 0 is no observation, 255 the fill of tiles that carry no NoData tag
UNKNOWN = (0, 255)
OTHER_LAYERS = re.compile(r"occurrence|seasonality|recurrence|transitions?|(?<![a-z])change|max_?extent", re.IGNORECASE)
# Tiles are of one lattice when their corners are off each other's by less than this share of a pixel.
SAME_PIXEL = 0.01
YEAR = re.compile(r"(?:yearlyClassification|v\d_|(?<!\d))((?:19|20)\d\d)(?!\d)")


def recognise(path: str | Path) -> bool:
    """Whether a file is a tile of yearly classes by its name."""
    return "yearlyclassification" in Path(path).name.lower()


def year_of(path: str | Path) -> int | None:
    """Year of a tile by its name."""
    found = YEAR.search(Path(path).name)
    return int(found[1]) if found else None


@dataclass(frozen=True)
class Tile:
    """One file."""

    path: str
    grid: Grid
    year: int | None


@dataclass(frozen=True)
class Lattice:
    """Tiles whose pixels coincide where they overlap: years of one place, and neighbours.

    Attributes
    ----------
    grid : Grid
        Extent of all of them.
    tiles : tuple of Tile
    """

    grid: Grid
    tiles: tuple[Tile, ...]


def open_tiles(paths: Sequence[str], template: Grid, report: Reporter) -> list[Lattice]:
    """Read the grids of tiles and group those of one lattice.

    Raises
    ------
    GridMismatch
        If a tile has another CRS than the template.
    UnreadableInput
        If a tile is unreadable, or another layer of the Global Surface Water set by its name.
    """
    tiles, unplaced = [], []
    for path in paths:
        other = OTHER_LAYERS.search(Path(path).name)
        if other and not recognise(path):
            raise UnreadableInput(
                f"{path} is the {other[0]} layer by its name, not the yearly classes",
                "give yearly classification tiles",
            )
        with Raster(path) as raster:
            grid = raster.grid
        if not same_crs(grid.crs, template.crs):
            raise GridMismatch(
                f"{path} ({grid.describe()}) has another coordinate reference system than the template "
                f"({template.describe()})",
                "warp the classes to the template's by nearest neighbour with gdal:warpreproject",
            )
        if not grid.crs:
            unplaced.append(path)
        tiles.append(Tile(path, grid, year_of(path)))
    if unplaced:
        report.warn(
            f"{len(unplaced)} tiles name no coordinate reference system ({unplaced[0]}): the template's is taken."
        )
    return _group(tiles)


def _group(tiles: Sequence[Tile]) -> list[Lattice]:
    groups: list[list[Tile]] = []
    for tile in tiles:
        group = next((group for group in groups if _coincide(group[0].grid, tile.grid)), None)
        if group is None:
            groups.append([tile])
        else:
            group.append(tile)
    return [Lattice(_extent(group), tuple(group)) for group in groups]


def _coincide(first: Grid, other: Grid) -> bool:
    steps = abs(first.dx / other.dx - 1), abs(first.dy / other.dy - 1)
    offsets = (other.west - first.west) / first.dx, (first.north - other.north) / first.dy
    return max(steps) < 1e-6 and all(abs(offset - round(offset)) < SAME_PIXEL for offset in offsets)


def _extent(tiles: Sequence[Tile]) -> Grid:
    grids = [tile.grid for tile in tiles]
    first = grids[0]
    west, north = min(grid.west for grid in grids), max(grid.north for grid in grids)
    columns = round((max(grid.east for grid in grids) - west) / first.dx)
    rows = round((north - min(grid.south for grid in grids)) / first.dy)
    return replace(first, west=west, north=north, columns=columns, rows=rows)


def tell_years(lattices: Sequence[Lattice], report: Reporter) -> None:
    """Warn of places that lack years which others have, and of years that a place has twice."""
    places: dict[tuple, list[Tile]] = {}
    for tile in (tile for lattice in lattices for tile in lattice.tiles):
        places.setdefault(tuple(round(edge, 6) for edge in tile.grid.extent), []).append(tile)
    years = {tile.year for members in places.values() for tile in members} - {None}
    for members in places.values():
        own = [tile.year for tile in members if tile.year is not None]
        lacking = sorted(years - set(own))
        if lacking and own:
            report.warn(
                f"The place of {members[0].path} has no tile of {', '.join(map(str, lacking))}, which others have."
            )
        twice = sorted({year for year in own if own.count(year) > 1})
        if twice:
            report.warn(f"{', '.join(map(str, twice))} is there twice at the place of {members[0].path}.")


def cells_in_tiles(lattices: Sequence[Lattice], target: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Cells of a target whose centre lies in a tile, and in the extent of all tiles, (rows, columns) bool."""
    latitudes, longitudes = target.latitudes(), target.longitudes()
    covered = np.zeros(target.shape, bool)
    extents = [tile.grid.extent for lattice in lattices for tile in lattice.tiles]
    for west, south, east, north in set(extents):
        covered |= _inside(latitudes, south, north)[:, None] & _inside(longitudes, west, east)
    edges = np.array(extents)
    within = _inside(latitudes, edges[:, 1].min(), edges[:, 3].max())[:, None]
    return covered, within & _inside(longitudes, edges[:, 0].min(), edges[:, 2].max())


def _inside(centres: np.ndarray, low: float, high: float) -> np.ndarray:
    return (centres > low) & (centres < high)


def water_and_known(lattice: Lattice, target: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Shares of each target cell's area that were permanent water in any year, and that were classified in any year.

    Returns
    -------
    water, known : (rows, columns) float32
        Zero where the tiles do not reach.

    Raises
    ------
    UnreadableInput
        If a tile holds values that are no yearly classes.
    """
    grid = lattice.grid
    first = max(int((target.west - grid.west) / grid.dx) - 1, 0)
    last = min(int(np.ceil((target.east - grid.west) / grid.dx)) + 1, grid.columns)
    top = max(int((grid.north - target.north) / grid.dy) - 1, 0)
    bottom = min(int(np.ceil((grid.north - target.south) / grid.dy)) + 1, grid.rows)
    if last <= first or bottom <= top:
        zero = np.zeros(target.shape, np.float32)
        return zero, zero
    part = grid.window(top, first, bottom - top, last - first)
    water = np.zeros(part.shape, bool)
    known = np.zeros(part.shape, bool)
    for place, classes in _classes(lattice, part):
        water[place] |= classes == PERMANENT
        known[place] |= np.isin(classes, CLASSES)
    # rows run southwards in both: count them from the north, downwards
    down = overlap_matrix(-part.north, part.dy, part.rows, -target.north, target.dy, target.rows)
    across = overlap_matrix(part.west, part.dx, part.columns, target.west, target.dx, target.columns)
    return area_share(water, down, across), area_share(known, down, across)


def _classes(lattice: Lattice, part: Grid) -> Iterator[tuple[tuple[slice, slice], np.ndarray]]:
    """Where in a part of the lattice each tile lies, and its classes there."""
    for tile in lattice.tiles:
        row = round((part.north - tile.grid.north) / part.dy)
        column = round((tile.grid.west - part.west) / part.dx)
        top, left = max(row, 0), max(column, 0)
        bottom, right = min(row + tile.grid.rows, part.rows), min(column + tile.grid.columns, part.columns)
        if bottom <= top or right <= left:
            continue
        with Raster(tile.path) as raster:
            classes = raster.read(slice(top - row, bottom - row), slice(left - column, right - column), [0])[0]
        strange = classes[np.isfinite(classes) & ~np.isin(classes, CLASSES + UNKNOWN)]
        if strange.size:
            raise UnreadableInput(
                f"{tile.path} holds the value {strange[0]:g}, which is no yearly class (0 to 3)",
                "give yearly classification tiles, not occurrence, seasonality or resampled ones",
            )
        yield (slice(top, bottom), slice(left, right)), classes

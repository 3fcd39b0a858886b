"""JRC Global Surface Water yearly classes: 0 no data, 1 not water, 2 seasonal, 3 permanent; tiles of 30 m."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import GridMismatch
from gwsa_qgis.rasters.grid import Grid, same_crs
from gwsa_qgis.rasters.raster import Raster
from gwsa_qgis.science.aggregation import area_share, overlap_matrix

PERMANENT = 3
CLASSES = (1, 2, 3)
YEAR = re.compile(r"(?:yearlyClassification|v\d_|(?<!\d))((?:19|20)\d\d)(?!\d)")


def recognise(path: str | Path) -> bool:
    """Whether a file is a tile of yearly classes by its name."""
    return "yearlyclassification" in Path(path).name.lower()


def year_of(path: str | Path) -> int | None:
    """Year of a tile by its name."""
    found = YEAR.search(Path(path).name)
    return int(found[1]) if found else None


@dataclass(frozen=True)
class Place:
    """Tiles of one place: the same grid in several years."""

    grid: Grid
    paths: tuple[str, ...]


def group_places(paths: Sequence[str], template: Grid) -> list[Place]:
    """Group tiles by their grid.

    Raises
    ------
    GridMismatch
        If a tile has another CRS than the template.
    """
    places: dict[tuple, tuple[Grid, list[str]]] = {}
    for path in paths:
        with Raster(path) as raster:
            grid = raster.grid
        if not same_crs(grid.crs, template.crs):
            raise GridMismatch(
                f"{path} ({grid.describe()}) has another coordinate reference system than the template "
                f"({template.describe()})",
                "warp the classes to the template's by nearest neighbour with gdal:warpreproject",
            )
        key = (round(grid.west / grid.dx), round(grid.north / grid.dy), grid.columns, grid.rows, round(grid.dx, 9))
        places.setdefault(key, (grid, []))[1].append(str(path))
    return [Place(grid, tuple(members)) for grid, members in places.values()]


def water_and_known(place: Place, target: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Shares of each target cell's area that were permanent water in any year, and that were classified in any year.

    Returns
    -------
    water, known : (rows, columns) float32
        Zero where the place's tiles do not reach.
    """
    grid = place.grid
    first = max(int((target.west - grid.west) / grid.dx) - 1, 0)
    last = min(int(np.ceil((target.east - grid.west) / grid.dx)) + 1, grid.columns)
    top = max(int((grid.north - target.north) / grid.dy) - 1, 0)
    bottom = min(int(np.ceil((grid.north - target.south) / grid.dy)) + 1, grid.rows)
    zero = np.zeros(target.shape, np.float32)
    if last <= first or bottom <= top:
        return zero, zero
    part = grid.window(top, first, bottom - top, last - first)
    water = np.zeros(part.shape, bool)
    known = np.zeros(part.shape, bool)
    for path in place.paths:
        with Raster(path) as raster:
            classes = raster.read(slice(top, bottom), slice(first, last), [0])[0]
        water |= classes == PERMANENT
        known |= np.isin(classes, CLASSES)
    # rows run southwards in both: count them from the north, downwards
    down = overlap_matrix(-part.north, part.dy, part.rows, -target.north, target.dy, target.rows)
    across = overlap_matrix(part.west, part.dx, part.columns, target.west, target.dx, target.columns)
    return area_share(water, down, across), area_share(known, down, across)

"""Bringing rasters onto a template: exact cut-outs where cells agree, GDAL's warper where they do not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from osgeo import gdal_array

from gwsa_qgis.errors import GridMismatch, NoUsableData
from gwsa_qgis.rasters.gdal_setup import gdal, osr
from gwsa_qgis.rasters.grid import ALIGNMENT_TOLERANCE, Grid, same_crs
from gwsa_qgis.rasters.raster import Raster
from gwsa_qgis.rasters.windows import Window

# Cells this much finer than the template are averaged; others are interpolated.
AVERAGE_FROM = 1.5
# Cells of margin round a source window: enough for bilinear interpolation.
MARGIN = 3
# Parts of a source cell to which positions are rounded, so that sums of them are exact.
PARTS_OF_CELL = 2.0**34


class Source(Protocol):
    """What can be read in windows: `Raster`, `MonthlyStack`, `products.cube.Cube`."""

    path: str
    grid: Grid
    bands: int

    def read(self, rows: slice, columns: slice, bands: Sequence[int] | None) -> np.ndarray:
        """Read (bands, rows, columns) float32, NaN as NoData."""


@dataclass(frozen=True)
class Alignment:
    """How a source is brought to a template.

    Attributes
    ----------
    method : str
        ``cut`` (the cells are the template's), ``bilinear`` or ``average``.
    reprojected : bool
        Whether the CRS differs.
    ratio : float
        Template cells a source cell, along a side.
    """

    method: str
    reprojected: bool
    ratio: float

    def describe(self) -> str:
        """What is done, for the log."""
        if self.method == "cut":
            return "same cells as the template: cut out"
        how = {"bilinear": "interpolated bilinearly", "average": "averaged over the template's cells"}[self.method]
        return f"{'reprojected and ' if self.reprojected else ''}{how} (cells {self.ratio:.3g} x the template's)"


def cell_offset(source: Grid, target: Grid) -> tuple[int, int] | None:
    """Row and column of `target`'s first cell in `source`; None when their cells do not coincide."""
    tolerance = ALIGNMENT_TOLERANCE
    if not same_crs(source.crs, target.crs):
        return None
    column, row = (target.west - source.west) / source.dx, (source.north - target.north) / source.dy
    drift_x = abs(source.dx - target.dx) * target.columns / source.dx
    drift_y = abs(source.dy - target.dy) * target.rows / source.dy
    aligned = max(abs(column - round(column)), abs(row - round(row)), drift_x, drift_y) <= tolerance
    return (round(row), round(column)) if aligned else None


def read_cut(source: Source, target: Grid, bands: Sequence[int] | None = None) -> np.ndarray:
    """Read the cells of `target` from a source whose cells coincide; NaN outside the source.

    Raises
    ------
    GridMismatch
        If the cells do not coincide.
    """
    offset = cell_offset(source.grid, target)
    if offset is None:
        raise GridMismatch(
            f"{source.path} ({source.grid.describe()}) has other cells than the grid wanted ({target.describe()})",
            "bring it to that grid with gdal:warpreproject",
        )
    count = source.bands if bands is None else len(bands)
    row, column = offset
    rows = slice(max(row, 0), min(row + target.rows, source.grid.rows))
    columns = slice(max(column, 0), min(column + target.columns, source.grid.columns))
    if (rows.start, rows.stop, columns.start, columns.stop) == (
        row,
        row + target.rows,
        column,
        column + target.columns,
    ):
        return source.read(rows, columns, bands)
    out = np.full((count, *target.shape), np.nan, np.float32)
    if rows.stop > rows.start and columns.stop > columns.start:
        part = source.read(rows, columns, bands)
        out[:, rows.start - row : rows.stop - row, columns.start - column : columns.stop - column] = part
    return out


def crop_to_extent(grid: Grid, extent: Sequence[float], what: str) -> Grid:
    """Cells of `grid` that an extent (west, south, east, north) touches: its edges snap outward.

    Raises
    ------
    NoUsableData
        If the extent does not meet the grid.
    """
    west, south, east, north = (float(value) for value in extent)
    slack = ALIGNMENT_TOLERANCE
    first = math.floor((west - grid.west) / grid.dx + slack)
    last = math.ceil((east - grid.west) / grid.dx - slack)
    top = math.floor((grid.north - north) / grid.dy + slack)
    bottom = math.ceil((grid.north - south) / grid.dy - slack)
    first, top, last, bottom = max(first, 0), max(top, 0), min(last, grid.columns), min(bottom, grid.rows)
    if last <= first or bottom <= top:
        raise NoUsableData(
            f"the extent {west:g}, {south:g}, {east:g}, {north:g} (west, south, east, north) does not meet {what} "
            f"({grid.describe()})",
            "give an extent inside the data, in the data's own coordinates",
        )
    return grid.window(top, first, bottom - top, last - first)


def require_overlap(source: Source, target: Grid) -> None:
    """Raise `NoUsableData` unless a source and a template meet."""
    west, south, east, north = _extent_in(target, source.grid.crs)
    mine = source.grid
    if east <= mine.west or west >= mine.east or north <= mine.south or south >= mine.north:
        raise NoUsableData(
            f"{source.path} ({mine.describe()}) does not meet the template ({target.describe()})",
            "give files of the same region",
        )


def plan_alignment(source: Grid, target: Grid) -> Alignment:
    """Choose how a source is brought to a template."""
    if cell_offset(source, target) is not None:
        return Alignment("cut", False, 1.0)
    reprojected = not same_crs(source.crs, target.crs)
    ratio = source.dx / target.dx
    if reprojected:
        ratio = math.sqrt(source.dx * source.dy / _cell_area_in(target, source.crs))
    return Alignment("average" if ratio * AVERAGE_FROM <= 1 else "bilinear", reprojected, ratio)


def read_aligned(source: Source, target: Grid, plan: Alignment, bands: Sequence[int] | None = None) -> np.ndarray:
    """Read a source on the cells of `target` (a window of the template), (bands, rows, columns) float32."""
    if plan.method == "cut":
        return read_cut(source, target, bands)
    count = source.bands if bands is None else len(bands)
    window = _source_window(source.grid, target)
    if window is None:
        return np.full((count, *target.shape), np.nan, np.float32)
    part = source.grid.window(*window)
    values = source.read(slice(window[0], window[0] + window[2]), slice(window[1], window[1] + window[3]), bands)
    return warp_array(values, part, target, plan.method)


def read_window_aligned(
    source: Source, template: Grid, window: Window, plan: Alignment, bands: Sequence[int] | None = None
) -> np.ndarray:
    """As `read_aligned` for a window of a template in the source's own CRS; interpolated values do not depend on windows.

    Positions are counted in source cells and rounded to 2**-34 of one, so that the warper's sums of them are exact. In
    degrees they are not, and one value in some thousands would depend on the window in its last digit. (Averages may.)

    Raises
    ------
    GridMismatch
        If the CRS differs.
    """
    mine = source.grid
    if not same_crs(mine.crs, template.crs):
        mine.require_match(template, source.path, "the template")
    if plan.method == "cut":
        return read_cut(source, template.window(window.row, window.column, window.rows, window.columns), bands)
    left, top = _rounded((template.west - mine.west) / mine.dx), _rounded((mine.north - template.north) / mine.dy)
    across, down = _rounded(template.dx / mine.dx), _rounded(template.dy / mine.dy)
    cells = Grid(left + window.column * across, -(top + window.row * down), across, down, window.columns, window.rows)
    whole = Grid(0.0, 0.0, 1.0, 1.0, mine.columns, mine.rows)
    place = _source_window(whole, cells)
    if place is None:
        count = source.bands if bands is None else len(bands)
        return np.full((count, window.rows, window.columns), np.nan, np.float32)
    row, column, rows, columns = place
    values = source.read(slice(row, row + rows), slice(column, column + columns), bands)
    return warp_array(values, whole.window(*place), cells, plan.method)


def _rounded(position: float) -> float:
    return round(position * PARTS_OF_CELL) / PARTS_OF_CELL


def source_cells(source: Grid, target: Grid, plan: Alignment) -> int:
    """Source cells that `read_aligned` reads for a window of the template, each band."""
    if plan.method == "cut":
        return target.rows * target.columns
    window = _source_window(source, target)
    return window[2] * window[3] if window else 0


def warp_array(values: np.ndarray, grid: Grid, target: Grid, method: str) -> np.ndarray:
    """Warp (bands, rows, columns) from one grid to another; NaN is NoData on both sides, in each band for itself.

    A cell gets the mean of the valid cells that it is interpolated from or averaged over, by their weights.
    """
    if len(values) == 1 and method == "bilinear" and not np.isfinite(values).all():
        # of a single band GDAL asks that the nearest cell be valid: holes would depend on the months read at once
        return warp_array(np.repeat(values, 2, axis=0), grid, target, method)[:1]
    result = np.full((values.shape[0], *target.shape), np.nan, np.float32)
    source = _array_dataset(np.ascontiguousarray(values, np.float32), replace(grid, crs=grid.crs or target.crs))
    out = _array_dataset(result, target)
    gdal.Warp(
        out,
        source,
        resampleAlg=method,
        errorThreshold=0,
        srcNodata="nan",
        dstNodata="nan",
        # else a value counts as NoData only where all months have none, and a hole in one spoils its neighbours
        warpOptions=["UNIFIED_SRC_NODATA=NO"],
        multithread=False,
    )
    out.FlushCache()
    return result


def _array_dataset(values: np.ndarray, grid: Grid) -> gdal.Dataset:
    """Dataset over (bands, rows, columns) in memory, without a copy; changes of one are changes of the other."""
    dataset = gdal_array.OpenArray(values)
    dataset.SetGeoTransform(grid.transform)
    if grid.crs:
        dataset.SetProjection(grid.crs)
    return dataset


def read_template(path: str | Path) -> Grid:
    """Grid of a template raster."""
    with Raster(path) as raster:
        return raster.grid


def _source_window(source: Grid, target: Grid) -> tuple[int, int, int, int] | None:
    """Row, column, rows, columns of the source that a target needs; None when they do not meet."""
    west, south, east, north = _extent_in(target, source.crs)
    # source cells may be much smaller or larger than the target's
    margin_x = MARGIN + math.ceil(MARGIN * (east - west) / target.columns / source.dx)
    margin_y = MARGIN + math.ceil(MARGIN * (north - south) / target.rows / source.dy)
    first = max(math.floor((west - source.west) / source.dx) - margin_x, 0)
    last = min(math.ceil((east - source.west) / source.dx) + margin_x, source.columns)
    top = max(math.floor((source.north - north) / source.dy) - margin_y, 0)
    bottom = min(math.ceil((source.north - south) / source.dy) + margin_y, source.rows)
    return (top, first, bottom - top, last - first) if last > first and bottom > top else None


def _extent_in(grid: Grid, crs: str) -> tuple[float, float, float, float]:
    """Extent of a grid in another CRS."""
    if same_crs(grid.crs, crs):
        return grid.extent
    transform = osr.CoordinateTransformation(spatial_reference(grid.crs), spatial_reference(crs))
    return transform.TransformBounds(*grid.extent, 41)


def _cell_area_in(grid: Grid, crs: str) -> float:
    """Area of the grid's middle cell in another CRS, in which its sides may be oblique."""
    transform = osr.CoordinateTransformation(spatial_reference(grid.crs), spatial_reference(crs))
    x, y = grid.west + (grid.columns // 2) * grid.dx, grid.north - (grid.rows // 2) * grid.dy
    corners = np.array([transform.TransformPoint(*place)[:2] for place in ((x, y), (x + grid.dx, y), (x, y - grid.dy))])
    (right_x, right_y), (down_x, down_y) = corners[1:] - corners[0]
    area = abs(right_x * down_y - right_y * down_x)
    return area if np.isfinite(area) and area > 0 else grid.dx * grid.dy


def spatial_reference(wkt: str) -> osr.SpatialReference:
    """Spatial reference with x before y, as rasters have it."""
    reference = osr.SpatialReference(wkt)
    reference.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    return reference

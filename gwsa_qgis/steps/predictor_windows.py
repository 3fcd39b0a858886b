"""Predictors piece by piece: months and windows within the memory budget, aligned, masked, filled and averaged."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock

import numpy as np

from gwsa_qgis.products.predictor_input import PredictorInput, open_input
from gwsa_qgis.products.sanity import Figures
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.masks import mask_reader
from gwsa_qgis.rasters.raster import TILE
from gwsa_qgis.rasters.warping import read_aligned, source_cells
from gwsa_qgis.rasters.windows import Window, plan_windows
from gwsa_qgis.science.aggregation import block_means
from gwsa_qgis.science.idw import fill_holes

# A piece takes this share of the budget whatever the number of threads, which so does not show in the files. It is
# small, so that grids of any size fill it, and what the allocator keeps between pieces of several sizes stays small too.
PIECES = 20
# Threads whose pieces, with those that wait to be written, fit beside GDAL's cache and the libraries.
THREADS_WITHIN_BUDGET = 8
MONTHS_CHOICES = (24, 12, 8, 6, 4, 3, 2, 1)
# Bytes held for a value on the template: as read, NaN flags, a copy to fill; warped ones also inside GDAL's warper.
CUT_BYTES, WARPED_BYTES, SOURCE_BYTES = 18, 26, 10
# What finding the source of a cell costs beside warping one month of it; it is shared by the months of a piece.
TRANSFORM_COST = {"cut": 0.0, "same": 1.0, "reprojected": 4.0}
LARGEST_TILE = 1024


@dataclass(frozen=True)
class Target:
    """What all predictors of a run are brought to.

    Attributes
    ----------
    grid, coarse : Grid
    factor : int
        Fine cells along a coarse cell's side.
    mask : str or None
        Path of the mask on `grid`.
    reach : int
        Distance of filled holes, cells.
    memory_mb : float
    """

    grid: Grid
    coarse: Grid
    factor: int
    mask: str | None
    reach: int
    memory_mb: float

    @cached_property
    def used(self) -> Callable[[slice, slice], np.ndarray]:
        """Gives the cells of rows and columns that the mask lets be used, (rows, columns) bool."""
        if self.mask:
            return mask_reader(self.mask, self.grid, self.memory_mb)
        return lambda rows, columns: np.ones((rows.stop - rows.start, columns.stop - columns.start), bool)

    @property
    def tile(self) -> int:
        """Side of the fine files' tiles: whole blocks of coarse cells where that is not too large."""
        side = math.lcm(16, self.factor)
        return max(TILE // side, 1) * side if side <= LARGEST_TILE else TILE

    @property
    def is_aligned(self) -> bool:
        """Whether windows can be made of whole tiles."""
        return self.tile % self.factor == 0


@dataclass(frozen=True)
class Plan:
    """Pieces of one predictor: for each run of months, all windows."""

    windows: list[Window]
    chunks: list[slice]
    whole_tiles: bool

    def pieces(self) -> list[tuple[slice, Window]]:
        """All pieces in the order in which they are written."""
        return [(chunk, window) for chunk in self.chunks for window in self.windows]


@dataclass(frozen=True)
class Piece:
    """What was made of a piece: values on the fine grid, means on the coarse one, and what there is to count."""

    values: np.ndarray
    means: np.ndarray
    figures: Figures
    filled: int
    left: int
    used: int
    valid: np.ndarray = field(repr=False)


def plan_pieces(source: PredictorInput, months: int, target: Target) -> Plan:
    """Choose months and windows of a predictor, within the budget and with little work done twice.

    Few months at once make large windows, whose margins are a small part; many share the search for the source cells.
    """
    chosen: Plan | None = None
    least = math.inf
    bands = max(months, 1)
    for at_once in MONTHS_CHOICES:
        if at_once > bands and at_once != MONTHS_CHOICES[-1]:
            continue
        try:
            windows, whole_tiles = _windows(source, at_once, target, last_resort=at_once == 1 and chosen is None)
        except _TooSmall:
            continue
        cost = _margins(windows, target) * (1 + _transform_cost(source) / at_once)
        if cost < least * 0.999:
            least = cost
            chunks = [slice(k, min(k + at_once, bands)) for k in range(0, bands, at_once)]
            chosen = Plan(windows, chunks, whole_tiles)
    return chosen


class _TooSmall(Exception):
    """The budget does not hold whole tiles of so many months."""


def _transform_cost(source: PredictorInput) -> float:
    plan = source.plan
    return TRANSFORM_COST["cut" if plan.method == "cut" else "reprojected" if plan.reprojected else "same"]


def _windows(source: PredictorInput, at_once: int, target: Target, last_resort: bool) -> tuple[list[Window], bool]:
    grid, factor = target.grid, target.factor
    budget = target.memory_mb * 1e6 / PIECES
    typical = _bytes_per_cell(source, target, Window(0, 0, grid.rows, grid.columns)) * at_once
    multiple = target.tile if target.is_aligned else factor
    side_rows, side_columns = min(multiple, grid.rows), min(multiple, grid.columns)
    whole_tiles = target.is_aligned
    if side_rows * side_columns * typical > budget:
        if not last_resort:
            raise _TooSmall
        multiple, whole_tiles = factor, False
    windows = [Window(0, 0, grid.rows, grid.columns)]
    if grid.rows * grid.columns * typical > budget and (multiple**2 * typical <= budget or not whole_tiles):
        # plan_windows speaks of the whole budget in its complaint
        windows = plan_windows(grid, typical * PIECES, memory_mb=target.memory_mb, multiple=multiple)
    # where the source is reprojected, some windows need more of it than others
    parts = [part for window in windows for part in _split(source, window, at_once, target, multiple, budget)]
    return parts, whole_tiles


def _split(
    source: PredictorInput, window: Window, at_once: int, target: Target, multiple: int, budget: float
) -> list[Window]:
    if window.rows * window.columns * _bytes_per_cell(source, target, window) * at_once <= 1.25 * budget:
        return [window]
    rows, columns = window.rows, window.columns
    down = rows >= columns and rows > multiple
    if not down and columns <= multiple:
        if rows <= multiple:
            return [window]  # it cannot be smaller; the warper works through it in parts
        down = True
    length = rows if down else columns
    half = max(length // 2 // multiple, 1) * multiple
    if down:
        parts = [
            Window(window.row, window.column, half, columns),
            Window(window.row + half, window.column, rows - half, columns),
        ]
    else:
        parts = [
            Window(window.row, window.column, rows, half),
            Window(window.row, window.column + half, rows, columns - half),
        ]
    return [small for part in parts for small in _split(source, part, at_once, target, multiple, budget)]


def _bytes_per_cell(source: PredictorInput, target: Target, window: Window) -> float:
    """Memory for one month of one cell of a window, its share of the margin's and of the source's cells included."""
    part, _ = _with_margin(window, target)
    cells = part.rows * part.columns / (window.rows * window.columns)
    if source.plan.method == "cut":
        return CUT_BYTES * cells
    needed = source_cells(source.source.grid, part, source.plan) / (window.rows * window.columns)
    return WARPED_BYTES * cells + SOURCE_BYTES * needed


def _margins(windows: Sequence[Window], target: Target) -> float:
    parts = [_with_margin(window, target)[0] for window in windows]
    return sum(part.rows * part.columns for part in parts) / (target.grid.rows * target.grid.columns)


def _with_margin(window: Window, target: Target) -> tuple[Grid, tuple[slice, slice]]:
    """Grid of a window with the margin that filling needs, and the window's place in it."""
    reach, grid = target.reach, target.grid
    top, first = max(window.row - reach, 0), max(window.column - reach, 0)
    bottom = min(window.row + window.rows + reach, grid.rows)
    last = min(window.column + window.columns + reach, grid.columns)
    part = grid.window(top, first, bottom - top, last - first)
    rows = slice(window.row - top, window.row - top + window.rows)
    return part, (rows, slice(window.column - first, window.column - first + window.columns))


class Handles:
    """Opened inputs for several threads: each works with one of its own.

    Parameters
    ----------
    first : PredictorInput
        The one that is open already, and stays so.
    """

    def __init__(self, first: PredictorInput, template: Grid) -> None:
        self._first, self._template = first, template
        self._free: list[PredictorInput] = [first]
        self._more: list[PredictorInput] = []
        self._lock = Lock()

    @contextmanager
    def borrow(self) -> Iterator[PredictorInput]:
        """Give an opened input that no other thread uses."""
        with self._lock:
            handle = self._free.pop() if self._free else None
        if handle is None:
            handle = open_input(self._first.name, self._first.path, self._template)
            with self._lock:
                self._more.append(handle)
        try:
            yield handle
        finally:
            with self._lock:
                self._free.append(handle)

    def close(self) -> None:
        """Close those that were opened here."""
        for handle in self._more:
            handle.source.close()


def make_piece(handles: Handles, bands: np.ndarray, window: Window, target: Target) -> Piece:
    """Read, align, mask, fill and average one piece."""
    used = target.used(*window.slices)
    n_used = int(np.count_nonzero(used)) * bands.size
    own = target.grid.window(window.row, window.column, window.rows, window.columns)
    values, filled, left = np.full((bands.size, *own.shape), np.nan, np.float32), 0, 0
    if n_used:
        with handles.borrow() as source:
            values = _read_used(source, own, bands, used)
            left = n_used - int(np.count_nonzero(np.isfinite(values)))
            if left and target.reach:
                values, filled, left = _fill(source, values, bands, window, used, target)
    means = block_means(values, target.factor, own.row_weights()).astype(np.float32)
    figures, valid = Figures(), np.zeros(bands.size, np.int64)
    for number, layer in enumerate(values):
        before = figures.count
        figures.add(layer)
        valid[number] = figures.count - before
    return Piece(values, means, figures, filled, left, n_used, valid)


def _read_used(source: PredictorInput, grid: Grid, bands: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Values on a window of the template, NaN where the mask does not let cells be used."""
    values = read_aligned(source.source, grid, source.plan, bands)
    if not used.all():
        np.copyto(values, np.nan, where=~used)
    return values


def _fill(
    source: PredictorInput, values: np.ndarray, bands: np.ndarray, window: Window, used: np.ndarray, target: Target
) -> tuple[np.ndarray, int, int]:
    """Fill the holes of a window; what lies round it is read for that, and only then, since most windows have none."""
    part, (rows, columns) = _with_margin(window, target)
    around = np.full((bands.size, *part.shape), np.nan, np.float32)
    around[:, rows, columns] = values
    top, first = window.row - rows.start, window.column - columns.start
    sides = (
        (slice(0, rows.start), slice(0, part.columns)),
        (slice(rows.stop, part.rows), slice(0, part.columns)),
        (rows, slice(0, columns.start)),
        (rows, slice(columns.stop, part.columns)),
    )
    for down, across in sides:
        height, width = down.stop - down.start, across.stop - across.start
        if not height or not width:
            continue
        row, column = top + down.start, first + across.start
        cells = target.used(slice(row, row + height), slice(column, column + width))
        if cells.any():
            grid = target.grid.window(row, column, height, width)
            around[:, down, across] = _read_used(source, grid, bands, cells)
    wanted = np.zeros(part.shape, bool)
    wanted[rows, columns] = used
    scale = part.row_weights() if part.is_geographic else 1.0
    around, filled, left = fill_holes(around, wanted, target.reach, scale)
    return around[:, rows, columns], filled, left

"""Windows within a memory budget, and the one place that turns windows into work."""

from __future__ import annotations

import math
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TypeVar

import numpy as np

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.heap import give_back
from gwsa_qgis.rasters.processes import end_with
from gwsa_qgis.rasters.raster import TILE
from gwsa_qgis.threads import map_ordered

Item = TypeVar("Item")
Result = TypeVar("Result")
DEFAULT_MEMORY_MB = 512
# Windows in flight that a step's memory is shared by, whatever the workers: windows are then the same, and with them all
# bytes. More workers than these need more memory.
LANES = 4
# Times that worker processes may die before the work is given up: what kills them may be the work.
MOST_LOST = 3


@dataclass(frozen=True)
class Window:
    """A rectangle of cells."""

    row: int
    column: int
    rows: int
    columns: int

    @property
    def row_slice(self) -> slice:
        """Rows of the window."""
        return slice(self.row, self.row + self.rows)

    @property
    def column_slice(self) -> slice:
        """Columns of the window."""
        return slice(self.column, self.column + self.columns)

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, as numpy indexes them."""
        return self.row_slice, self.column_slice

    def coarsened(self, factor: int) -> Window:
        """The same rectangle counted in cells `factor` times larger, of which it must be made."""
        return Window(self.row // factor, self.column // factor, self.rows // factor, self.columns // factor)


@dataclass(frozen=True)
class MonthsOfWindow(Window):
    """Some months of a rectangle of cells: from `first`, up to and without `stop`."""

    first: int
    stop: int

    @property
    def months(self) -> slice:
        """Places of the months."""
        return slice(self.first, self.stop)


def square_windows(grid: Grid, side: int) -> list[Window]:
    """Windows of `side` x `side` cells, less at the edges, row by row."""
    return [
        Window(row, column, min(side, grid.rows - row), min(side, grid.columns - column))
        for row in range(0, grid.rows, side)
        for column in range(0, grid.columns, side)
    ]


def plan_windows(
    grid: Grid,
    bytes_per_cell: float,
    *,
    memory_mb: float = DEFAULT_MEMORY_MB,
    multiple: int = 1,
    tile: int = TILE,
) -> list[Window]:
    """Cut a grid into windows, each within the memory budget.

    Parameters
    ----------
    bytes_per_cell : float
        Memory that a step holds for one cell at once, all months and copies included.
    memory_mb : float
        Budget in MB.
    multiple : int
        Window edges fall on multiples of this (the factor between fine and coarse cells).
    tile : int
        Side of the tiles of what is read or written.

    Notes
    -----
    Edges fall on the tiles of the files where the budget allows, so that no tile is read or compressed twice. Windows
    smaller than a tile are blocks, which cut each tile into few parts (thin strips would cut it into hundreds), and come
    tile after tile, so that each tile is written whole before the next is begun.

    Raises
    ------
    InvalidParameter
        If the budget does not hold a single block of `multiple` x `multiple` cells.
    """
    budget = memory_mb * 1e6 / max(bytes_per_cell, 1e-9)
    if budget < multiple * multiple:
        needed = math.ceil(multiple * multiple * bytes_per_cell / 1e6)
        raise InvalidParameter(
            f"the memory budget of {memory_mb:g} MB does not hold one block of {multiple} x {multiple} cells",
            f"give at least {needed} MB",
        )
    rows, columns = _window_size(grid, budget, multiple, tile)
    windows = [
        Window(row, column, min(rows, grid.rows - row), min(columns, grid.columns - column))
        for row in range(0, grid.rows, rows)
        for column in range(0, grid.columns, columns)
    ]
    return sorted(windows, key=lambda one: (one.row // tile, one.column // tile, one.row, one.column))


def tile_taken_over(tile: int, grid: Grid, bytes_per_cell: float, memory_mb: float) -> int:
    """Side of the tiles that windows, and what is written of them, are made of where a file is read whose tiles have `tile`.

    It is the file's, unless that is larger than usual and the budget does not hold one: what is written of its parts would
    wait in GDAL's cache until there are all.
    """
    cells = min(tile, grid.rows) * min(tile, grid.columns)
    return tile if tile <= TILE or cells * bytes_per_cell <= 1e6 * memory_mb else TILE


def _window_size(grid: Grid, budget: float, multiple: int, tile: int) -> tuple[int, int]:
    """Rows and columns of the largest window: whole strips where they fit, tiles, or blocks of tiles otherwise."""
    side = math.lcm(tile, multiple)
    step = side if side * side <= budget else multiple
    strip_columns = math.ceil(grid.columns / step) * step
    rows = int(budget // strip_columns) // step * step
    if rows >= min(tile, grid.rows):
        return rows, strip_columns
    if step == side:
        return step, int(budget // step) // step * step
    return _block_size(grid, budget, multiple, tile)


def _block_size(grid: Grid, budget: float, multiple: int, tile: int) -> tuple[int, int]:
    """Rows and columns of a block that is nearly a square, and an even share of a tile where `multiple` allows."""
    if tile % multiple == 0:
        sides = [side for side in range(multiple, tile + 1, multiple) if tile % side == 0]
        fitting = [(rows, columns) for columns in sides for rows in sides if rows <= columns]
        return max((one for one in fitting if one[0] * one[1] <= budget), key=lambda one: (one[0] * one[1], one[0]))
    columns = int(math.sqrt(budget)) // multiple * multiple
    columns = min(columns, math.ceil(grid.columns / multiple) * multiple)
    return int(budget // columns) // multiple * multiple, columns


def map_windows(
    function: Callable[[Window], Result],
    windows: Sequence[Window],
    *,
    workers: int = 1,
    progress: Reporter | None = None,
    message: str = "",
) -> Iterator[tuple[Window, Result]]:
    """Run `function` on every window and give (window, result) in the windows' order.

    Parameters
    ----------
    workers : int
        Threads at once; an active ``joblib.parallel_config`` (a Dask cluster, processes) takes precedence.
        `function` must then open its own files.

    Notes
    -----
    Results do not depend on the number of workers: each window is computed alone, in the same way.
    """
    progress = progress or Reporter()
    progress(0.0, message)
    for done, (window, result) in enumerate(zip(windows, _results(function, windows, workers), strict=True), start=1):
        yield window, result
        give_back()
        progress(done / len(windows))


def _results(function: Callable[[Window], Result], windows: Sequence[Window], workers: int) -> Iterable[Result]:
    if workers == 1 or len(windows) == 1:
        return map(function, windows)
    # No more threads than the memory is shared by: one window is written while the others are computed.
    return map_spread(function, windows, workers, min(workers, LANES - 1))


def on_cluster() -> bool:
    """Whether a ``joblib.parallel_config`` asks for processes or a cluster; none can where joblib was not imported."""
    joblib = sys.modules.get("joblib")
    if joblib is None:
        return False
    return not getattr(joblib.parallel.get_active_backend(prefer="threads")[0], "supports_sharedmem", False)


def map_on_cluster(function: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """Run `function` on items in the processes, or on the cluster, that joblib was told of; results in their order.

    The function and the items travel to the workers: they are to be small, and the function opens its own files there.
    The items of a worker that is lost are given to others, a few times. Workers that this process has started end with it.
    """
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    following, begun, lost = iter(items), deque(), 0
    work = partial(_work_for, os.getpid(), function)

    def task(item: Item) -> tuple:
        begun.append(item)
        return delayed(work)(item)

    while True:
        again = list(begun)
        begun.clear()
        try:
            for result in Parallel(n_jobs=workers, return_as="generator")(map(task, chain(again, following))):
                begun.popleft()
                yield result
            return
        except TerminatedWorkerError:  # Dask sees to it by itself
            lost += 1
            if lost > MOST_LOST:
                raise


def _work_for(pid: int, function: Callable[[Item], Result], item: Item) -> Result:
    """Result of an item, in a worker of the process `pid`."""
    end_with(pid)
    return function(item)


def map_spread(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int, threads: int | None = None
) -> Iterator[Result]:
    """Run `function` on items on the cluster where there is one, in threads otherwise, and give the results in their order.

    Parameters
    ----------
    workers : int
        Of the cluster; 1 works here.
    threads : int, optional
        Of this process, where they are to be fewer than the workers.

    Notes
    -----
    See `map_on_cluster` and `map_ordered` for what is asked of the function.
    """
    if workers > 1 and on_cluster():
        return map_on_cluster(function, items, workers)
    return map_ordered(function, items, workers if threads is None else threads)


def thinned(values: np.ndarray, window: Window, thin: int) -> np.ndarray:
    """Every `thin`-th pixel of the map in a window's layers (..., rows, columns)."""
    return values[..., -window.row % thin :: thin, -window.column % thin :: thin]


def place_of_thinned(window: Window, thin: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Where the `thinned` pixels of a window, (..., rows, columns), lie in a thinned map."""
    row, column = -(-window.row // thin), -(-window.column // thin)
    return slice(row, row + shape[-2]), slice(column, column + shape[-1])


def put_thinned(maps: np.ndarray, values: np.ndarray, window: Window, thin: int) -> None:
    """Put every `thin`-th pixel of a window's layers into thinned maps."""
    part = thinned(values, window, thin)
    maps[(slice(None), *place_of_thinned(window, thin, part.shape))] = part

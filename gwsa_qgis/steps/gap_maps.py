"""What is known of each cell of a filled record, kept in a file, and the figures that a report makes of it, strip by strip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.raster import Raster
from gwsa_qgis.rasters.scratch import ScratchArray
from gwsa_qgis.rasters.windows import Window
from gwsa_qgis.report.maps import MOST_PIXELS
from gwsa_qgis.science.hidden_months import METHODS
from gwsa_qgis.science.streamed_medians import streamed_medians

HIDDEN_KINDS = ("hidden_short", "hidden_long")
# The combination is made of two of the others: it is not counted among those that can win.
RIVALS = 3
WORST = 3
# Bytes held for a cell of a strip: its errors, as read and of the cells that have some, their keys and their groups.
BYTES_PER_CELL = 80
STRIP_SHARE = 0.25  # of the memory budget


@dataclass
class KindFigures:
    """Figures of one kind of hidden months.

    Attributes
    ----------
    any : bool
        Whether any cell has an error of any method.
    known : int
        Cells that have those of all methods.
    medians : dict of (int or None) to (4,) float32
        Median over such cells of each method: of all (None) and of each class (0 without one).
    best : (3,) float64
        Share of their area where each of the plain methods and SSA has the smallest error.
    """

    any: bool = False
    known: int = 0
    medians: dict[int | None, np.ndarray] = field(default_factory=dict)
    best: np.ndarray = field(default_factory=lambda: np.full(RIVALS, np.nan))


class GapMaps:
    """Columns of `gap_solver.COLUMNS` of every cell, in a file.

    Parameters
    ----------
    path : Path
        Scratch file.
    grid : Grid
    columns : sequence of str
        Those that are kept.
    memory_mb : float
        Budget, of which a strip of the map takes a share.
    """

    def __init__(self, path: Path, grid: Grid, columns: Sequence[str], memory_mb: float) -> None:
        self.grid, self.columns = grid, list(columns)
        self._values = ScratchArray(path, (len(columns), *grid.shape), np.float32)
        height = int(STRIP_SHARE * memory_mb * 1e6 / (BYTES_PER_CELL * grid.columns))
        edges = [*range(0, grid.rows, max(height, 1)), grid.rows]
        self._strips = [slice(first, last) for first, last in zip(edges, edges[1:], strict=False)]

    def put(self, window: Window, table: np.ndarray, valid: np.ndarray) -> None:
        """Put down the columns (n_valid, n_columns) of the valid cells of a window, valid (n_cells,) bool."""
        layer = np.full((len(self.columns), valid.size), np.nan, np.float32)
        layer[:, valid] = table.T[: len(self.columns)]
        self._values[(slice(None), *window.slices)] = layer.reshape(-1, window.rows, window.columns)

    def read(self, names: Sequence[str], rows: slice, columns: slice = slice(None)) -> np.ndarray:
        """Some columns of a part of the map, (n_names, rows, columns)."""
        return self._values[(np.array([self.columns.index(name) for name in names]), rows, columns)]

    def strips(self, names: Sequence[str]) -> Iterator[tuple[slice, np.ndarray]]:
        """Rows and their columns of the whole map, from north to south."""
        for rows in self._strips:
            yield rows, self.read(names, rows)

    def medians(self, names: Sequence[str]) -> np.ndarray:
        """Median over all cells of each column, NaN where none has a value."""

        def parts() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            for _, values in self.strips(names):
                yield np.zeros(values[0].size, np.uint8), values.reshape(len(names), -1)

        return streamed_medians(parts, 1, len(names))[0]

    def thinned(self, names: Sequence[str]) -> tuple[Grid, np.ndarray]:
        """Every so many cells, as many as a report's picture has, and their grid."""
        grid, step = self.grid, max(1, -(-max(self.grid.shape) // MOST_PIXELS))
        rows = range(0, grid.rows, step)
        small = Grid(
            grid.west, grid.north, grid.dx * step, grid.dy * step, -(-grid.columns // step), len(rows), grid.crs
        )
        return small, np.concatenate([self.read(names, slice(row, row + 1))[:, :, ::step] for row in rows], axis=1)

    def choices(self, name: str) -> dict[int, int]:
        """How many cells have each positive whole number of a column."""
        counts: dict[int, int] = {}
        for _, values in self.strips([name]):
            for number, count in zip(*np.unique(values[values > 0].astype(int), return_counts=True), strict=True):
                counts[int(number)] = counts.get(int(number), 0) + int(count)
        return dict(sorted(counts.items()))

    def count(self, name: str) -> tuple[int, float]:
        """Cells that have a value in a column, and their sum."""
        number, total = 0, 0.0
        for _, values in self.strips([name]):
            number, total = number + int(np.isfinite(values).sum()), total + float(np.nansum(values))
        return number, total

    def worst(self, name: str) -> list[tuple[float, int, int]]:
        """Value, row and column of the first cells with the largest values of a column, each value once."""
        found: dict[float, int] = {}
        for rows, values in self.strips([name]):
            known = np.flatnonzero(np.isfinite(values))
            largest, first = np.unique(-values.ravel()[known], return_index=True)
            for value, place in zip(-largest[:WORST], known[first[:WORST]], strict=True):
                found.setdefault(float(value), int(place) + rows.start * self.grid.columns)
            found = {value: found[value] for value in sorted(found, reverse=True)[:WORST]}
        return [(value, *divmod(place, self.grid.columns)) for value, place in found.items()]

    def kind(self, kind: str, classes: Raster | None) -> KindFigures:
        """Figures of one of `HIDDEN_KINDS`, by the classes of a raster on the same grid."""
        figures, area = KindFigures(), np.zeros(RIVALS)
        weights, names = self.grid.row_weights(), set()
        for rows, errors, own in self._hidden(kind, classes):
            known = np.isfinite(errors).all(0)
            figures.any |= bool(np.isfinite(errors).any())
            figures.known += int(known.sum())
            names |= set(np.unique(own[known]).tolist()) if classes is not None else set()
            winner = errors[:RIVALS][:, known].argmin(0)
            where = np.nonzero(known.reshape(-1, self.grid.columns))[0] + rows.start
            area += np.bincount(winner, weights[where], RIVALS)
        if not figures.known:
            return figures
        figures.best = area / area.sum()
        order = sorted(names)

        def parts() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            for _, errors, own in self._hidden(kind, classes):
                known = np.isfinite(errors).all(0)
                some = errors[:, known]
                yield np.zeros(some.shape[1], np.uint8), some
                if order:
                    yield np.searchsorted(order, own[known]) + 1, some

        medians = streamed_medians(parts, 1 + len(order), len(METHODS))
        figures.medians = dict(zip([None, *order], medians, strict=True))
        return figures

    def _hidden(self, kind: str, classes: Raster | None) -> Iterator[tuple[slice, np.ndarray, np.ndarray | None]]:
        """Rows, errors of all methods (4, n_cells), and classes (n_cells,) of each strip."""
        for rows, values in self.strips([f"{kind} {method}" for method in METHODS]):
            own = None if classes is None else np.nan_to_num(classes.read(rows, bands=[0])[0]).astype(int).ravel()
            yield rows, values.reshape(len(METHODS), -1), own

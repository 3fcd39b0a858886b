"""What predictors deviate from at a fine pixel: the histosplines of their own means over supports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import GridMismatch, NoUsableData
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.journal import Journal
from gwsa_qgis.rasters.scratch import ScratchArray
from gwsa_qgis.rasters.windows import Window, map_ordered, plan_windows
from gwsa_qgis.science.bsplines import SplineBasis, SplineSums, uniform_basis
from gwsa_qgis.science.closure import Closure
from gwsa_qgis.steps.predict_inputs import FineFiles, Readers
from gwsa_qgis.steps.support_map import (
    SupportMap,
    cell_map,
    read_support,
    solve_closing,
    support_means_of_cells,
)
from gwsa_qgis.steps.trained_model import TrainedModel

# Windows in which the splines are averaged; always the same, so that sums are too, whatever the memory and the workers.
AVERAGING_MB = 32
AVERAGING_BYTES = 100
# Supports whose system is factorised whole, in some 150 MB; above, in windows, of which so much is kept.
MOST_DIRECT = 10_000
KEPT_MB = 100
# Values of cells that are solved for at once, in some 100 bytes each.
SOLVED_VALUES = 3e5
FEWEST_SOLVED = 8
DONE = "surroundings"
SUMS, AREAS, USED, FIELDS = "sums.raw", "areas.raw", "used.raw", "fields.raw"


def support_of(trained: TrainedModel, mascons: str | Path | None, grid: Grid) -> tuple[SupportMap, int]:
    """Support on the coarse grid under the fine one, and the factor between them.

    Raises
    ------
    GridMismatch
        If the model's coarse cells or mascons do not fit the fine grid.
    """
    kept = trained.support_grid()
    factor = max(round(kept.dx / grid.dx), 1)
    if grid.columns % factor or grid.rows % factor:
        kept_name = f"the model's coarse cells ({kept.dx:.8g} x {kept.dy:.8g})"
        raise GridMismatch(
            f"{kept_name} do not divide the predictors' grid ({grid.describe()})",
            "prepare fine predictors whose edges lie on coarse cells",
        )
    coarse = grid.coarsen(factor)
    if mascons is not None:
        return read_support(mascons, coarse), factor
    if trained.manifest["support"]["kind"] == "cells":
        return cell_map(coarse), factor
    row, column = round((kept.north - coarse.north) / kept.dy), round((coarse.west - kept.west) / kept.dx)
    inside = row >= 0 and column >= 0 and row + coarse.rows <= kept.rows and column + coarse.columns <= kept.columns
    if not inside or not kept.window(row, column, *coarse.shape).matches(coarse):
        raise GridMismatch(
            f"the model's mascons lie on {kept.describe()} and the predictors on {grid.describe()}",
            "give the mascon map of this region as MASCONS",
        )
    labels = trained.support_labels()[row : row + coarse.rows, column : column + coarse.columns]
    names, labels = np.unique(labels, return_inverse=True)
    labels = labels.reshape(coarse.shape) + (0 if names[0] == 0 else 1)
    return SupportMap("mascons", coarse, labels.astype(np.int32), names[names > 0].astype(np.int64)), factor


class Surrounding:
    """Histosplines of each predictor's support means, by month.

    The means and the coefficients lie in files of the journal's folder, and pass through memory in parts: that of all
    monthly ones would be 16 bytes a coarse cell, month and predictor. The supports themselves are in memory, with
    their system's factors: at most some 250 MB up to 10,000 of them, then 0.1 GB and 2 kB for each.

    Fields are numbered: the static predictors first, then month by month the others.
    """

    def __init__(self, files: FineFiles, support: SupportMap, factor: int, folder: Path) -> None:
        self.files, self.support, self.factor, self.folder = files, support, factor, folder
        moving, still = [], []
        for number, moves in enumerate(files.dynamic):
            (moving if moves else still).append(number)
        self._place = {p: (n, moves) for moves, group in ((False, still), (True, moving)) for n, p in enumerate(group)}
        self.n_static, self.n_dynamic = len(still), len(moving)
        self.n_fields = self.n_static + files.months.size * self.n_dynamic
        self._basis_y: SplineBasis | None = None
        self._basis_x: SplineBasis | None = None
        self._fields: ScratchArray | None = None

    def prepare(
        self, readers: Readers, windows: list[Window], months: int, threads: int, journal: Journal, report: Reporter
    ) -> None:
        """Average the predictors over the supports, in one pass over the map, and solve for the histosplines.

        Parameters
        ----------
        windows : list of Window
            Made of whole coarse cells.
        months : int
            That are read at once.
        """
        if DONE not in journal.finished:
            found = self._average(readers, windows, months, threads, report.part(0.0, 0.8))
            spacing = self._solve(*found, threads, report.part(0.8, 1.0))
            journal.finish(DONE, [self.folder / FIELDS], {"spacing": spacing})
        self._open(float(journal.facts(DONE)["spacing"]))

    def evaluate(self, predictor: int, chunk: slice, window: Window) -> np.ndarray:
        """Histosplines of a predictor in a window, (n_months, rows, columns) float32; of a static one the only one.

        The same to the bit in whatever window and run of months.
        """
        number, moves = self._place[predictor]
        fields = number
        if moves:
            fields = slice(self._field(number, chunk.start), self._field(number, chunk.stop), self.n_dynamic)
        rows, columns = window.slices
        first_y, local_y = self._basis_y.first[rows], self._basis_y.local[rows]
        order = local_y.shape[1]
        knots = slice(int(first_y[0]), int(first_y[-1]) + order)
        spline = self._fields[fields, knots]
        spline = spline.reshape(-1, *spline.shape[-2:])
        # A single column would be added up in another order.
        wide = columns if window.columns > 1 else slice(max(columns.start - 1, 0), columns.start + 1)
        along_x = self._basis_x.matrix(wide) @ spline.reshape(-1, spline.shape[-1]).T
        along_x = np.ascontiguousarray(along_x.T, np.float32).reshape(*spline.shape[:2], -1)
        local_y = local_y.astype(np.float32)
        out = np.empty((len(spline), len(first_y), along_x.shape[-1]), np.float32)
        starts = np.flatnonzero(np.diff(first_y, prepend=first_y[0] - 1))
        for start, stop in zip(starts, [*starts[1:], len(first_y)], strict=True):
            here = slice(first_y[start] - knots.start, first_y[start] - knots.start + order)
            for month, coefficients in zip(out, along_x, strict=True):
                np.einsum("ik,kj->ij", local_y[start:stop], coefficients[here], out=month[start:stop])
        return out[:, :, -window.columns :]

    def _field(self, number: int, month: int) -> int:
        """Number of a monthly predictor's field."""
        return self.n_static + month * self.n_dynamic + number

    def _of_cells(self, layers: np.ndarray, valid: np.ndarray, row_weights: np.ndarray) -> np.ndarray:
        pairs = zip(layers, valid, strict=True)
        return np.stack([sums_of_cells(layer, used, self.factor, row_weights) for layer, used in pairs])

    def _open(self, spacing: float) -> None:
        self._basis_y, self._basis_x = (uniform_basis(length, spacing) for length in self.files.grid.shape)
        shape = (self.n_fields, self._basis_y.n_splines, self._basis_x.n_splines)
        self._fields = ScratchArray(self.folder / FIELDS, shape)

    def _average(
        self, readers: Readers, windows: list[Window], months: int, threads: int, report: Reporter
    ) -> tuple[ScratchArray, ScratchArray, ScratchArray]:
        """Sums of all predictors over coarse cells, the areas of months and of all of them, and the pixels used."""
        files, cells = self.files, self.support.grid.shape
        sums = ScratchArray(self.folder / SUMS, (self.n_fields, *cells))
        areas = ScratchArray(self.folder / AREAS, (files.months.size + 1, *cells))
        used = ScratchArray(self.folder / USED, files.grid.shape, np.bool_)
        row_weights = files.grid.row_weights()
        some = False

        def gather(window: Window) -> np.ndarray:
            weights, place = row_weights[window.row_slice], window.coarsened(self.factor).slices
            ever = np.zeros((window.rows, window.columns), bool)
            with readers.borrow() as opened:
                static = opened.static(window)
                for first in range(0, files.months.size if static.used.any() else 0, months):
                    chunk = slice(first, min(first + months, files.months.size))
                    layers, valid = opened.dynamic(window, chunk)
                    valid &= static.used
                    ever |= valid.any(0)
                    areas[(chunk, *place)] = self._of_cells(valid, valid, weights)
                    found = [self._of_cells(layer, valid, weights) for layer in layers]
                    fields = slice(self._field(0, chunk.start), self._field(0, chunk.stop))
                    sums[(fields, *place)] = np.stack(found, axis=1).reshape(-1, *found[0].shape[1:])
            areas[(slice(-1, None), *place)] = self._of_cells(ever[None], ever[None], weights)
            for number, layer in enumerate(layer for layer in static.layers if layer is not None):
                sums[(slice(number, number + 1), *place)] = self._of_cells(layer[None], ever[None], weights)
            used[window.slices] = ever
            return ever.any()

        report(0.0, "Averaging the predictors")
        for done, found in enumerate(map_ordered(gather, windows, threads), start=1):
            some |= bool(found)
            report(done / len(windows))
        if not some:
            raise NoUsableData(
                "no fine pixel has all predictors", "check that predictors, classes and mask cover the same area"
            )
        return sums, areas, used

    def _solve(
        self, sums: ScratchArray, areas: ScratchArray, used: ScratchArray, threads: int, report: Reporter
    ) -> float:
        """Write the coefficients of all fields; give the knot spacing."""
        report(0.0, "Interpolating the predictors' means")
        closing, spacing = None, self.support.knot_spacing(self.factor)
        built: dict[float, Closure] = {}
        step = max(int(SOLVED_VALUES / self.support.labels.size), FEWEST_SOLVED)
        for start in range(0, self.n_fields, step):
            fields = np.arange(start, min(start + step, self.n_fields))
            month_of = np.where(fields < self.n_static, -1, (fields - self.n_static) // max(self.n_dynamic, 1))
            distinct, which = np.unique(month_of, return_inverse=True)
            area = np.stack([areas[int(month)] for month in distinct])[which]
            means = support_means_of_cells(sums[start : fields[-1] + 1], area, self.support)
            if closing is None:
                closing, field = solve_closing(self._maker(used, threads, built), spacing, means)
                spacing = next(key for key, value in built.items() if value is closing)
                self._open(spacing)
            else:
                field = closing.solve(means)
            self._fields[start : fields[-1] + 1] = field.spline
            report((fields[-1] + 1) / self.n_fields)
        for scratch in (sums, areas, used):
            scratch.remove()
        return spacing

    def _maker(self, used: ScratchArray, threads: int, built: dict[float, Closure]) -> Callable[[float], Closure]:
        """Gives the closure for a knot spacing, from the pixels used."""
        grid, row_weights = self.files.grid, self.files.grid.row_weights()
        windows = plan_windows(grid, AVERAGING_BYTES, memory_mb=AVERAGING_MB, multiple=self.factor)
        solver = "direct" if self.support.count <= MOST_DIRECT else "windows"

        def make(spacing: float) -> Closure:
            sums = SplineSums(*(uniform_basis(length, spacing) for length in grid.shape), self.support.count)

            def part(window: Window) -> tuple:
                labels = self.support.fine_labels(self.factor, window)
                weights = used[window.slices] * row_weights[window.row_slice][:, None]
                return sums.part(labels, weights, window.row, window.column)

            for found in map_ordered(part, windows, threads):
                sums.add_part(found)
            built.clear()  # the factors of the one before are not needed
            built[spacing] = Closure.from_sums(sums, solver=solver, kept_mb=KEPT_MB)
            return built[spacing]

        return make


def sums_of_cells(layer: np.ndarray, valid: np.ndarray, factor: int, row_weights: np.ndarray) -> np.ndarray:
    """Area-weighted sums of the valid pixels of coarse cells, (rows / factor, columns / factor) float64.

    Pixels are added in one order, so that a cell's sum is the same to the bit in whatever window it is read.
    """
    rows, columns = layer.shape
    values = np.where(valid, layer, 0).reshape(-1, factor, columns)
    weights = row_weights.reshape(-1, factor, 1)
    along = np.zeros((len(values), columns))
    for k in range(factor):
        along += values[:, k] * weights[:, k]
    total = np.zeros((rows // factor, columns // factor))
    for k in range(factor):
        total += along[:, k::factor]
    return total

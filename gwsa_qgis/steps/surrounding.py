"""What predictors deviate from at a fine pixel: the histosplines of their own means over supports."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from gwsa_qgis.errors import GridMismatch
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.heap import give_back
from gwsa_qgis.rasters.journal import Journal
from gwsa_qgis.rasters.scratch import ScratchArray
from gwsa_qgis.rasters.windows import Window, plan_windows
from gwsa_qgis.science.bsplines import SplineBasis, SplineSums, uniform_basis
from gwsa_qgis.science.closure import Closure
from gwsa_qgis.steps.fine_sums import FinePass, FineSums
from gwsa_qgis.steps.predict_inputs import FineFiles, Readers
from gwsa_qgis.steps.support_map import (
    SupportMap,
    cell_map,
    read_support,
    solve_closing,
    support_means_of_cells,
)
from gwsa_qgis.steps.trained_model import TrainedModel
from gwsa_qgis.threads import map_ordered

# Windows in which the splines are averaged; always the same, so that sums are too, whatever the memory and the workers.
AVERAGING_MB = 32
AVERAGING_BYTES = 100
# Share of the memory that the factors of the supports' system may take.
FACTORS_SHARE = 0.2
# Values of cells that are solved for at once, in some 100 bytes each.
SOLVED_VALUES = 3e5
FEWEST_SOLVED = 8
DONE = "surroundings"
FIELDS = "fields.raw"


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
    monthly ones would be 16 bytes a coarse cell, month and predictor. The supports themselves are in memory, some 2 kB for
    each, with their system's factors, as many as fit in a fifth of the memory.

    Fields are numbered: the predictors that stay first, then month by month the others.

    Parameters
    ----------
    support : SupportMap or None
        None for one that is prepared elsewhere.
    span : (first, last) of str
        Months of the training.
    """

    def __init__(
        self, files: FineFiles, support: SupportMap | None, factor: int, folder: Path, span: Sequence[str]
    ) -> None:
        self.files, self.support, self.factor, self.folder, self.span = files, support, factor, folder, span
        self.n_dynamic = sum(files.dynamic)
        self.n_static = len(files.dynamic) - self.n_dynamic
        self.n_fields = self.n_static + files.months.size * self.n_dynamic
        self._basis_y: SplineBasis | None = None
        self._basis_x: SplineBasis | None = None
        self._along_x: dict[tuple[int, int], sp.csr_matrix] = {}  # of each run of columns that was asked for
        self._fields: ScratchArray | None = None
        self.spacing = float("nan")

    def prepare(
        self,
        readers: Readers,
        windows: list[Window],
        months: int,
        threads: int,
        memory_mb: float,
        journal: Journal,
        report: Reporter,
    ) -> None:
        """Make signatures and averages over the supports, in one pass over the map, and solve for the histosplines.

        Parameters
        ----------
        windows : list of Window
            Made of whole coarse cells.
        months : int
            That are read at once.
        memory_mb : float
            Of the step, a share of which is for factors.
        """
        if DONE not in journal.finished:
            work = FinePass(self.files, self.span, self.support.grid.shape, self.factor, self.folder)
            found = work.run(readers, windows, months, threads, report.part(0.0, 0.9))
            spacing = self._solve(found, threads, memory_mb, report.part(0.9, 1.0))
            made = [self.folder / FIELDS] + ([self.files.signatures.path] if self.files.monthly else [])
            journal.finish(DONE, made, {"spacing": spacing})
        self.open(float(journal.facts(DONE)["spacing"]), made=True)

    def lasting(self, window: Window) -> Iterator[np.ndarray]:
        """Histosplines of the predictors that stay, in a window, one after the other: (rows, columns) float32."""
        for field in range(self.n_static):
            yield self._evaluate(slice(field, field + 1), window)[0]

    def monthly(self, chunk: slice, window: Window) -> np.ndarray:
        """Histosplines of the others in some months, (n_months, n_dynamic, rows, columns) float32."""
        start, stop = (self.n_static + month * self.n_dynamic for month in (chunk.start, chunk.stop))
        found = self._evaluate(slice(start, stop), window)
        return found.reshape(-1, self.n_dynamic, *found.shape[1:])

    def _evaluate(self, fields: slice, window: Window) -> np.ndarray:
        """Fields in a window, the same to the bit in whatever window and with whatever others."""
        rows, columns = window.slices
        first_y, local_y = self._basis_y.first[rows], self._basis_y.local[rows]
        order = local_y.shape[1]
        knots = slice(int(first_y[0]), int(first_y[-1]) + order)
        spline = self._fields[fields, knots]
        # A single column would be added up in another order.
        wide = columns if window.columns > 1 else slice(max(columns.start - 1, 0), columns.start + 1)
        if (wide.start, wide.stop) not in self._along_x:
            self._along_x[wide.start, wide.stop] = self._basis_x.matrix(wide)
        along_x = self._along_x[wide.start, wide.stop] @ spline.reshape(-1, spline.shape[-1]).T
        along_x = np.ascontiguousarray(along_x.T, np.float32).reshape(*spline.shape[:2], -1)
        local_y = local_y.astype(np.float32)
        out = np.empty((len(spline), len(first_y), along_x.shape[-1]), np.float32)
        starts = np.flatnonzero(np.diff(first_y, prepend=first_y[0] - 1))
        for start, stop in zip(starts, [*starts[1:], len(first_y)], strict=True):
            here = slice(first_y[start] - knots.start, first_y[start] - knots.start + order)
            for field, coefficients in zip(out, along_x, strict=True):
                np.einsum("ik,kj->ij", local_y[start:stop], coefficients[here], out=field[start:stop])
        return out[:, :, -window.columns :]

    def open(self, spacing: float, *, made: bool = False) -> None:
        """Open the coefficients of the histosplines of a knot spacing; `made` says that they are there."""
        self.spacing, self._along_x = spacing, {}
        self._basis_y, self._basis_x = (uniform_basis(length, spacing) for length in self.files.grid.shape)
        shape = (self.n_fields, self._basis_y.n_splines, self._basis_x.n_splines)
        self._fields = ScratchArray(self.folder / FIELDS, shape, made=made)

    def _solve(self, found: FineSums, threads: int, memory_mb: float, report: Reporter) -> float:
        """Write the coefficients of all fields; give the knot spacing."""
        report(0.0, "Interpolating the predictors' means")
        give_back()  # what reading the predictors has left
        closing, spacing = None, self.support.knot_spacing(self.factor)
        built: dict[float, Closure] = {}
        step = max(int(SOLVED_VALUES / self.support.labels.size), FEWEST_SOLVED)
        for start in range(0, self.n_fields, step):
            fields = np.arange(start, min(start + step, self.n_fields))
            means = self._means(found, fields)
            if closing is None:
                closing, field = solve_closing(self._maker(found.used, threads, memory_mb, built), spacing, means)
                spacing = next(key for key, value in built.items() if value is closing)
                self.open(spacing)
            else:
                field = closing.solve(means)
            self._fields[start : fields[-1] + 1] = field.spline
            report((fields[-1] + 1) / self.n_fields)
        found.remove()
        return spacing

    def _means(self, found: FineSums, fields: np.ndarray) -> np.ndarray:
        """Means of successive fields over supports, (n_fields, n_supports)."""
        month_of = np.where(fields < self.n_static, -1, (fields - self.n_static) // max(self.n_dynamic, 1))
        distinct, which = np.unique(month_of, return_inverse=True)
        area = np.stack([found.areas[int(month)] for month in distinct])[which]
        return support_means_of_cells(found.sums[fields[0] : fields[-1] + 1], area, self.support)

    def _maker(
        self, used: ScratchArray, threads: int, memory_mb: float, built: dict[float, Closure]
    ) -> Callable[[float], Closure]:
        """Gives the closure for a knot spacing, from the pixels used."""
        grid, row_weights = self.files.grid, self.files.grid.row_weights()
        windows = plan_windows(grid, AVERAGING_BYTES, memory_mb=AVERAGING_MB, multiple=self.factor)

        def make(spacing: float) -> Closure:
            sums = SplineSums(*(uniform_basis(length, spacing) for length in grid.shape), self.support.count)

            def part(window: Window) -> tuple:
                labels = self.support.fine_labels(self.factor, window)
                weights = used[window.slices] * row_weights[window.row_slice][:, None]
                return sums.part(labels, weights, window.row, window.column)

            for found in map_ordered(part, windows, threads):
                sums.add_part(found)
            give_back()
            built.clear()  # the factors of the one before are not needed
            built[spacing] = Closure.from_sums(sums, kept_mb=FACTORS_SHARE * memory_mb)
            return built[spacing]

        return make

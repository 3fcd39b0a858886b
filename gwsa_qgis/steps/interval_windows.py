"""Intervals of the pixels of a window in some months, and what they add to the map's sums of errors."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from gwsa_qgis.months import calendar_month
from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.rasters.windows import LANES, MonthsOfWindow, plan_windows, square_windows, thinned
from gwsa_qgis.science.error_budget import normal_factor, quadrature
from gwsa_qgis.steps.cell_errors import CellErrors
from gwsa_qgis.steps.error_sums import ErrorFigures
from gwsa_qgis.steps.fine_sums import sums_of_cells
from gwsa_qgis.steps.uncertainty_inputs import UncertaintyJob

# Bytes of a pixel in a month: the map, its detail, four outputs, and where it has values; and what one month at a time
# needs beside them.
BYTES_PER_VALUE, BYTES_PER_PIXEL = 28, 32


def plan_intervals(job: UncertaintyJob, memory_mb: float) -> list[MonthsOfWindow]:
    """Windows of whole coarse cells, which are tiles of the map where these are, and months that fit in the memory.

    A tile is packed whole: windows that cut it would have all of it unpacked, each of them.
    """
    side = max(job.tile // job.factor, 1) * job.factor
    budget = 1e6 * memory_mb / LANES
    months = int((budget / side**2 - BYTES_PER_PIXEL) // BYTES_PER_VALUE)
    if months >= 1:
        windows = square_windows(job.grid, side)
    else:
        per_pixel, months = LANES * (BYTES_PER_VALUE + BYTES_PER_PIXEL), 1
        windows = plan_windows(job.grid, per_pixel, memory_mb=memory_mb, multiple=job.factor)
    starts = range(0, job.months.size, months)
    return [
        MonthsOfWindow(one.row, one.column, one.rows, one.columns, first, min(first + months, job.months.size))
        for one in windows
        for first in starts
    ]


class IntervalWindows:
    """Makes the intervals of one window after the other; travels to worker processes, so that it holds no open file.

    Errors of a support's mean are one number for all its pixels: they are squared and added up by coarse cells, and what
    is computed pixel by pixel is the within part and the whole, in float32 as they are written.

    Parameters
    ----------
    names : collection of str
        What is wanted: "output", and some of "within", "lower" and "upper".
    carry : float
        Factor from the residual variance of supports to that of pixels.
    thin : int
        Every so many pixels are on the maps of the report.
    """

    def __init__(
        self, job: UncertaintyJob, errors: CellErrors, names: Collection[str], carry: float, thin: int
    ) -> None:
        self._job, self._errors, self._names, self._thin = job, errors, frozenset(names), thin
        self._scale, self._normal = job.calibration.conformal.scale, normal_factor(job.level)
        self._calendar, self._row_weights = calendar_month(job.months), job.grid.row_weights()
        # variance of a pixel's departure, as a multiple of its class's factor: a floor, and what comes with the detail
        self._floor, self._slope = carry * self._scale.base, self._scale.slope
        if job.detail is None:  # its usual size
            self._floor += carry * self._slope * job.calibration.detail_variance
        self._widening = job.calibration.conformal.factor(job.level) ** 2 * self._scale.of_month

    def __call__(self, window: MonthsOfWindow) -> tuple[dict[str, np.ndarray], ErrorFigures]:
        """Stacks (n_months, rows, columns) float32 by name, and sums of errors."""
        job, names = self._job, self._names
        values, detail = self._read(window)
        of_class = self._scale.of_classes(job.classes(window)).astype(np.float32)
        valid, weights = np.isfinite(values), self._row_weights[window.row_slice]
        sources = self._errors.window(window.coarsened(job.factor))
        parts = [errors[window.months] for errors in sources.values()]
        cells = _CellParts(parts, valid, job.factor, weights, self._normal)
        stacks = {name: np.empty(values.shape, np.float32) for name in ("output", "within") if name in names}
        thin_shape = thinned(of_class, window, self._thin).shape
        totals, counts = np.zeros((2, *thin_shape)), np.zeros((2, *thin_shape), np.int32)
        for month, there in enumerate(valid):
            within = self._within(window.first + month, of_class, None if detail is None else detail[month])
            within *= there
            cells.add_pixels(month, within)
            for place, square in enumerate((cells.with_cells(month, within), within)):
                half = np.sqrt(square, out=square)
                np.copyto(half, np.nan, where=~there)
                few = thinned(half, window, self._thin)
                known = np.isfinite(few)
                totals[place] += np.where(known, few, 0)
                counts[place] += known
                name = ("output", "within")[place]
                if name in stacks:
                    stacks[name][month] = half
        if "lower" in names:
            stacks["lower"] = values - stacks["output"]
        if "upper" in names:
            stacks["upper"] = values + stacks["output"]
        return stacks, ErrorFigures(*cells.figures(), totals, counts)

    def _read(self, window: MonthsOfWindow) -> tuple[np.ndarray, np.ndarray | None]:
        """The map, cm, and its detail where that counts, (n_months, rows, columns) each."""
        job, detail = self._job, None
        months = job.months[window.months]
        with MonthlyStack(job.gwsa) as stack:
            values = stack.read_months(months, *window.slices)
        if job.to_cm != 1:
            values *= np.float32(job.to_cm)
        if job.detail is not None:
            with MonthlyStack(job.detail) as stack:
                detail = stack.read_months(months, *window.slices)
        return values, detail

    def _within(self, month: int, of_class: np.ndarray, detail: np.ndarray | None) -> np.ndarray:
        """Square of the half-width of the departure from the support's mean, in a new array."""
        widening = float(self._widening[self._calendar[month] - 1])
        if detail is None:
            return of_class * np.float32(widening * self._floor)
        square = np.nan_to_num(detail)
        square *= square
        square *= np.float32(widening * self._slope)
        square += np.float32(widening * self._floor)
        square *= of_class
        return square


class _CellParts:
    """Errors of the cells of a window, each the same for all its pixels, and the sums over it.

    Parameters
    ----------
    sources : list of (n_months, rows, columns) float32
        Standard errors; NaN where not known.
    valid : (n_months, fine rows, fine columns) bool
    weights : (fine rows,)
        Area of a pixel.
    normal : float
        Half-width of an interval in standard errors.
    """

    def __init__(
        self, sources: list[np.ndarray], valid: np.ndarray, factor: int, weights: np.ndarray, normal: float
    ) -> None:
        self._factor, self._sources, self._weights, self._normal = factor, sources, weights, normal
        self._whole = quadrature(sources)
        self._known, self._areas = np.isfinite(self._whole), sums_of_cells(valid, factor, weights)
        self._all_known = (self._known | (self._areas == 0)).all(axis=(1, 2))
        self._most = int(valid.sum(axis=(1, 2)).max(initial=0))
        self._of_within, self._of_known = np.zeros((2, len(valid)))

    def with_cells(self, month: int, square: np.ndarray) -> np.ndarray:
        """Squares of half-widths of pixels (fine rows, fine columns) and of their cells added, in a new array."""
        cell = np.square(self._normal * self._whole[month]).astype(np.float32)
        return (self._by_cells(square) + self._lines(cell)).reshape(square.shape)

    def add_pixels(self, month: int, square: np.ndarray) -> None:
        """Add up a month's squares of pixels, (fine rows, fine columns), 0 where there is no value."""
        self._of_within[month] = self._of_known[month] = self._sum(square)
        if not self._all_known[month]:
            known = np.where(self._lines(self._known[month]), self._by_cells(square), 0)
            self._of_known[month] = self._sum(known.reshape(square.shape))

    def figures(self) -> tuple[np.ndarray, np.ndarray, float, int]:
        """Squares, areas, area of all values, and most pixels in a month, as `ErrorFigures` has them."""
        squares, areas = [], []
        for part in (*self._sources, self._whole):
            known = np.isfinite(part)
            squares.append((np.where(known, part, 0).astype(np.float64) ** 2 * self._areas).sum(axis=(1, 2)))
            areas.append((known * self._areas).sum(axis=(1, 2)))
        whole = self._areas.sum(axis=(1, 2))
        squares += [self._of_within, self._of_known + self._normal**2 * squares[-1]]
        areas += [whole, areas[-1]]
        return np.stack(squares), np.stack(areas), float(whole.sum()), self._most

    def _by_cells(self, values: np.ndarray) -> np.ndarray:
        """Rows of pixels by rows of cells, (rows, factor, fine columns)."""
        return values.reshape(-1, self._factor, values.shape[1])

    def _lines(self, cells: np.ndarray) -> np.ndarray:
        """Cells (rows, columns) as `_by_cells`, for all rows of pixels of a cell."""
        return np.repeat(cells, self._factor, axis=1)[:, None]

    def _sum(self, values: np.ndarray) -> float:
        return float(values.sum(axis=1, dtype=np.float64) @ self._weights)

"""Copying solutions into the bands of a monthly stack, and what their values say of their unit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from gwsa_qgis.products.grace_months import Solutions
from gwsa_qgis.products.grace_product import MonthlySource
from gwsa_qgis.products.sanity import Figures
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.heap import give_back
from gwsa_qgis.rasters.raster import TILE, RasterWriter, span
from gwsa_qgis.rasters.warping import cell_offset
from gwsa_qgis.rasters.windows import plan_windows
from gwsa_qgis.science.supports import identical_series_labels

# cm. Greenland's margins have lost up to 20 m of water since 2002, the mean over land and all months is some 10 cm.
LARGEST_STORAGE, LARGEST_MEAN = 5000, 1000
HIGH_MEAN, LOW_MEAN = 60, 0.05
# Values read, turned about, put by months, and multiplied by gain factors.
BYTES_PER_VALUE = 16


@dataclass
class StorageFigures:
    """Range of storage anomalies and mean of their sizes, in cm."""

    values: Figures = field(default_factory=Figures)
    sizes: Figures = field(default_factory=Figures)

    def add(self, values: np.ndarray) -> None:
        """Take the finite ones of `values`, shape (n_months, rows, columns), into account."""
        for month in values:  # copies of one month, not of all
            self.values.add(month)
            self.sizes.add(np.abs(month))

    def impossible(self) -> str:
        """Say why these cannot be cm; empty when they can."""
        if self.values.count and (self.sizes.high > LARGEST_STORAGE or self.sizes.mean > LARGEST_MEAN):
            return (
                f"reach from {self.values.low:.6g} to {self.values.high:.6g} cm, {self.sizes.mean:.4g} cm in the mean, "
                "more than anywhere on Earth: the unit contradicts the values"
            )
        return ""

    def odd(self) -> str:
        """Say what is odd about them as anomalies in cm; empty when nothing is."""
        mean = self.sizes.mean
        if mean > HIGH_MEAN:
            return f"are {mean:.4g} cm in size in the mean, as only on ice sheets: they may be in mm"
        if 0 < mean < LOW_MEAN:
            return f"are only {mean:.2g} cm in size in the mean: they may be in m"
        if self.values.count and self.values.low >= 0:
            return "are nowhere negative: they are no anomalies"
        return ""


@dataclass(frozen=True)
class Cut:
    """Which solutions go where.

    Attributes
    ----------
    grid : Grid
        Of the output, a part of the source's.
    months : (n_months,) datetime64[M]
        Bands of the output.
    solutions : Solutions
        Which times of the source stand for them.
    memory_mb : float
    """

    grid: Grid
    months: np.ndarray
    solutions: Solutions
    memory_mb: float


def copy_months(
    source: MonthlySource,
    writer: RasterWriter,
    cut: Cut,
    factor: float,
    report: Reporter,
    gain: np.ndarray | None = None,
) -> tuple[np.ndarray, StorageFigures]:
    """Write all months, NaN where a month has no solution, the mean where it has several.

    Parameters
    ----------
    factor : float
        From the source's unit to cm.
    gain : (rows, columns) array, optional
        Factors on top.

    Returns
    -------
    present : (rows, columns) bool
        Cells that have a value in any month.
    figures : StorageFigures
        Of the values without gain.
    """
    present, figures = np.zeros(cut.grid.shape, bool), StorageFigures()
    row, column = cell_offset(source.grid, cut.grid)
    groups = _months_together(cut, source.whole_bands)
    windows = plan_windows(cut.grid, BYTES_PER_VALUE * len(groups[0]), memory_mb=cut.memory_mb)
    done, total = 0, len(groups) * len(windows)
    for group in groups:
        times = [cut.solutions.of(cut.months[m]) for m in group]
        for window in windows:
            rows = slice(row + window.row, row + window.row + window.rows)
            columns = slice(column + window.column, column + window.column + window.columns)
            values = _mean_of_solutions(source, times, rows, columns)
            values *= np.float32(factor)
            figures.add(values)
            present[window.slices] |= np.isfinite(values).any(axis=0)
            writer.write(values if gain is None else values * gain[window.slices], window.row, window.column, group[0])
            give_back()
            done += 1
            report(done / total)
    return present, figures


def _months_together(cut: Cut, whole_bands: bool) -> list[list[int]]:
    """Months that are read at once: one where the file holds each in one piece, otherwise as many as fit with a tile.

    A tile of the output is packed whole: windows that cut it would have it unpacked and packed again, each of them.
    """
    tile = min(TILE, cut.grid.rows) * min(TILE, cut.grid.columns)
    fitting = 1 if whole_bands else max(int(1e6 * cut.memory_mb / (BYTES_PER_VALUE * tile)), 1)
    starts = range(0, cut.months.size, fitting)
    return [list(range(first, min(first + fitting, cut.months.size))) for first in starts]


def _mean_of_solutions(source: MonthlySource, times: list[np.ndarray], rows: slice, columns: slice) -> np.ndarray:
    """Values of each month: NaN without a solution, the mean of several."""
    needed = np.unique(np.concatenate(times)) if times else np.array([], int)
    shape = (len(times), rows.stop - rows.start, columns.stop - columns.start)
    out = np.full(shape, np.nan, np.float32)
    if needed.size:
        # an uncertainty that is one for all months has a single band
        values = source.read(rows, columns, needed if source.times() is not None else np.zeros(needed.size, int))
        for layer, chosen in zip(out, times, strict=True):
            if chosen.size:
                parts = values[np.searchsorted(needed, chosen)]
                layer[...] = parts[0] if chosen.size == 1 else parts.mean(axis=0)
    return out


class _Months:
    """The months of a stack that is being written, one at a time, for some of its rows."""

    def __init__(self, writer: RasterWriter, months: int, grid: Grid) -> None:
        self._writer, self.shape = writer, (months, *grid.shape)

    def __getitem__(self, part: tuple[slice, slice]) -> Iterator[np.ndarray]:
        row, rows = span(part[1], self.shape[1])
        return (self._writer.read(row, 0, rows, self.shape[2], month) for month in range(self.shape[0]))


def find_mascons(writer: RasterWriter, months: int, grid: Grid, report: Reporter) -> np.ndarray:
    """Label cells whose whole series, in a stack that is being written, are identical: (rows, columns) int32."""
    labels = identical_series_labels(_Months(writer, months, grid))
    cells, count = int((labels > 0).sum()), int(labels.max())
    report.say(f"Found {count} groups of identical series in {cells} cells: taken as the native mascons.")
    if count == cells:
        report.warn("no two neighbouring cells share a series: the file has no mascons, each cell stands for itself.")
    return labels

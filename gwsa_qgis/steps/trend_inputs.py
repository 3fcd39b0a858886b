"""The monthly stack as trends take it: a period, with or without its filled months, read window by window."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidMonths, InvalidParameter, NoUsableData
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.inspection import describe_months
from gwsa_qgis.rasters.pixel_stream import WINDOWS_AT_ONCE
from gwsa_qgis.rasters.raster import Raster
from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.rasters.windows import Window, plan_windows, tile_taken_over

PERIOD = 12
FEWEST = 5  # what ar1 needs
MONTHS_IN = {"month": 1, "year": 12}
# Places in which the months with values are looked for, along each side, and their size in cells.
PROBES, PROBE_SIZE = 3, 64
# The rest of the budget is for the series that are computed at once, GDAL's cache and the libraries themselves.
SHARE_OF_WINDOWS = 0.6
BYTES_OF_LAYERS = 96
SERIES_AT_ONCE, ROBUST_SERIES_AT_ONCE = 2304, 32

# Months from which on a trend says more of lasting change than of single wet and dry years.
LONG_ENOUGH = 10 * 12


@dataclass(frozen=True)
class TrendInput:
    """A stack, and what of it is used.

    Attributes
    ----------
    path : str
    grid : Grid
    tile : int
        Side of the file's tiles.
    months : (n_months,) datetime64[M]
        Months of the period.
    used : (n_months,) bool
        Those that are not left out for being filled.
    filled : (n_months,) bool
        Those whose values come from gap filling.
    quantity, unit, baseline : str
        What the values are, their unit, and the period to whose mean they are anomalies.
    """

    path: str
    grid: Grid
    tile: int
    months: np.ndarray
    used: np.ndarray
    filled: np.ndarray
    quantity: str
    unit: str
    baseline: str

    def read(self, window: Window) -> np.ndarray:
        """Values of a window, (n_months, rows, columns) float32; NaN in months that are not used."""
        with MonthlyStack(self.path) as stack:
            values = stack.read_months(self.months, *window.slices)
        values[~self.used] = np.nan
        return values

    def present(self) -> np.ndarray:
        """Which of the months used have values, (n_months,) bool: looked for in a few places of the map."""
        found = np.zeros(self.months.size, bool)
        for window in _probes(self.grid):
            found |= np.isfinite(self.read(window)).any(axis=(1, 2))
            if found[self.used].all():
                break
        return found if found.any() else self.used

    def windows(self, memory_mb: float) -> list[Window]:
        """Windows within the budget."""
        share, tile = SHARE_OF_WINDOWS * memory_mb, self.tile_written(memory_mb)
        return plan_windows(self.grid, self._bytes_per_cell(), memory_mb=share, tile=tile)

    def tile_written(self, memory_mb: float) -> int:
        """Side of the tiles that windows and results are made of."""
        return tile_taken_over(self.tile, self.grid, self._bytes_per_cell(), SHARE_OF_WINDOWS * memory_mb)

    def _bytes_per_cell(self) -> int:
        return 4 * self.months.size * WINDOWS_AT_ONCE + BYTES_OF_LAYERS

    def describe(self) -> str:
        """Period, filled months and grid in one line."""
        count = int(self.filled.sum())
        filled = f", {count} of them filled" if count else ""
        left_out = " and left out" if count and not self.used[self.filled].any() else ""
        return f"{describe_months(self.months)}{filled}{left_out}; {self.grid.describe()}"


def open_input(
    path: str | Path, start: str | None, end: str | None, use_filled: bool, without_season: bool, say: Reporter
) -> TrendInput:
    """Look at a stack and choose its months; tells what was found.

    Raises
    ------
    InvalidMonths
        If the period is no pair of months, or the stack has none of its months.
    NoUsableData
        If there are too few months for taking the season out.
    """
    with MonthlyStack(path) as stack:
        chosen = _chosen(stack, start, end)
        months, filled = stack.months[chosen], stack.filled[chosen]
        used = np.ones(months.size, bool) if use_filled else ~filled
        data = TrendInput(
            str(path),
            stack.grid,
            stack.tile,
            months,
            used,
            filled,
            stack.quantity,
            stack.unit() or "cm",
            stack.baseline,
        )
    fewest = 2 * PERIOD if without_season else FEWEST
    if used.sum() < fewest:
        why = f"removing the season needs {fewest}" if without_season else f"a trend needs {fewest}"
        raise NoUsableData(
            f"{path} has {used.sum()} months and {why}",
            "give a longer stack or period, or do not deseasonalise" if without_season else "give a longer stack",
        )
    say.say(data.describe())
    if months.size < LONG_ENOUGH:
        say.warn(
            f"the period has {months.size} months: a trend of storage over less than {LONG_ENOUGH // PERIOD} years is mostly "
            "weather, and one wet or dry year at its end turns it"
        )
    return data


def fewest_months(data: TrendInput, minimum_share: float, without_season: bool) -> int:
    """Valid months that a series must have."""
    return max(math.ceil(minimum_share * int(data.used.sum()) - 1e-9), 2 * PERIOD if without_season else FEWEST)


def check_aquifers(path: str | Path | None, data: TrendInput) -> None:
    """Raise `GridMismatch` unless a class raster, where one is given, lies on the stack's grid."""
    if path:
        with Raster(path) as raster:
            data.grid.require_match(raster.grid, f"the stack {data.path}", f"the aquifer classes {path}")


def read_aquifers(path: str | Path | None, window: Window) -> np.ndarray | None:
    """Aquifer classes of a window, NaN where there is none; None where no raster is given."""
    if not path:
        return None
    with Raster(path) as raster:
        values = raster.read(*window.slices, bands=[0])[0]
    return np.where(values == 0, np.nan, values)


def check_unit(unit: str) -> None:
    """Raise `InvalidParameter` unless a slope can be per this unit of time."""
    if unit not in MONTHS_IN:
        raise InvalidParameter(f"the unit is {unit!r}", f"give one of {', '.join(MONTHS_IN)}")


def read_month(text: str, name: str) -> np.datetime64:
    """A month ``YYYY-MM``; a year is its January.

    Raises
    ------
    InvalidMonths
        If it is no month.
    """
    try:
        month = np.datetime64(str(text).strip(), "M")
    except ValueError:
        month = np.datetime64("NaT", "M")
    if np.isnat(month):
        raise InvalidMonths(f"{name} is {text!r}", "give a month as YYYY-MM, such as 2002-04")
    return month


def _chosen(stack: MonthlyStack, start: str | None, end: str | None) -> np.ndarray:
    first = read_month(start, "START") if start else stack.months[0]
    last = read_month(end, "END") if end else stack.months[-1]
    chosen = (stack.months >= first) & (stack.months <= last)
    if not chosen.any():
        raise InvalidMonths(
            f"{stack.path} ({stack.months[0]} to {stack.months[-1]}) has no month from {first} to {last}",
            "give a period that the stack has",
        )
    return chosen


def _probes(grid: Grid) -> list[Window]:
    """Small windows spread over the grid."""
    height, width = min(grid.rows, PROBE_SIZE), min(grid.columns, PROBE_SIZE)
    rows, columns = (
        sorted({int((length - size) * (2 * k + 1) / (2 * PROBES)) for k in range(PROBES)})
        for length, size in ((grid.rows, height), (grid.columns, width))
    )
    return [Window(row, column, height, width) for row in rows for column in columns]

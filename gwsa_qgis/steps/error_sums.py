"""Errors of a map added up while it is written: by source and month, and as thinned maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gwsa_qgis.errors import NoUsableData
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.windows import MonthsOfWindow, place_of_thinned

CELL, WITHIN, TOTAL = "cell", "within", "total"


class ErrorFigures(NamedTuple):
    """What some months of a window add.

    Attributes
    ----------
    squares, areas : (n_sources + 3, n_months) float64
        Squares of errors times area, and the area on which they are known: of the sources, of the cell part, of the
        within part and of the whole.
    valid : float
        Area of all values.
    pixels : int
        Most of them in a month.
    totals, counts : (2, ...) float64, int32
        Half-widths of thinned pixels, total and within, added up over the months, and how many of these have one.
    """

    squares: np.ndarray
    areas: np.ndarray
    valid: float
    pixels: int
    totals: np.ndarray
    counts: np.ndarray


class ErrorSums:
    """Squares of errors added up over pixels, month by month, and thinned maps of their means.

    Parameters
    ----------
    months : (n_months,) datetime64[M]
    grid : Grid
        Of the map.
    thin : int
        Every so many pixels are on the maps.
    sources : sequence of str
        Sources of the cell part.
    """

    def __init__(self, months: np.ndarray, grid: Grid, thin: int, sources: Sequence[str]) -> None:
        self.months, self.sources, self.thin = months, list(sources), thin
        self._names = [*self.sources, CELL, WITHIN, TOTAL]
        self._squares, self._areas = np.zeros((2, len(self._names), months.size))
        shape = tuple(-(-side // thin) for side in grid.shape)
        self._totals, self._counts = np.zeros((2, *shape)), np.zeros((2, *shape), np.int32)
        self._valid, self._pixels = 0.0, {}

    def add(self, window: MonthsOfWindow, figures: ErrorFigures) -> None:
        """Add the figures of some months of a window."""
        self._squares[:, window.months] += figures.squares
        self._areas[:, window.months] += figures.areas
        self._valid += figures.valid
        place = (slice(None), *place_of_thinned(window, self.thin, figures.totals.shape))
        self._totals[place] += figures.totals
        self._counts[place] += figures.counts
        corner = window.row, window.column
        self._pixels[corner] = max(self._pixels.get(corner, 0), int(figures.pixels))

    @property
    def maps(self) -> np.ndarray:
        """Mean half-width, total and within, of every `thin`-th pixel, (2, rows, columns) float32; NaN where none is known."""
        means = np.full(self._totals.shape, np.nan)
        return np.divide(self._totals, self._counts, out=means, where=self._counts > 0).astype(np.float32)

    @property
    def pixels(self) -> int:
        """Pixels with a value: the most that each window has in a month."""
        return sum(self._pixels.values())

    def require(self, path: object) -> None:
        """Raise `NoUsableData` when the map had no value."""
        if not self._valid:
            raise NoUsableData(f"{path} has no value in the months of all inputs", "check its months and its mask")

    @property
    def unknown_share(self) -> float:
        """Share of the values that have no total."""
        return float(1 - self._areas[-1].sum() / self._valid) if self._valid else 0.0

    def rms(self, name: str) -> float:
        """Root mean square over area and months, cm."""
        number = self._names.index(name)
        area = self._areas[number].sum()
        return float(np.sqrt(self._squares[number].sum() / area)) if area else np.nan

    def monthly(self, name: str) -> np.ndarray:
        """Root mean square over area of each month, cm."""
        number = self._names.index(name)
        squares, area = self._squares[number], self._areas[number]
        return np.sqrt(np.divide(squares, area, out=np.full(area.shape, np.nan), where=area > 0))

"""Errors of a map added up while it is written: by source and month, and as thinned maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gwsa_qgis.errors import NoUsableData
from gwsa_qgis.rasters.grid import Grid

CELL, WITHIN, TOTAL = "cell", "within", "total"


class ErrorSums:
    """Squares of errors added up over pixels, month by month, and thinned maps of their means.

    Attributes
    ----------
    sources : list of str
        Sources of the cell part.
    maps : (2, rows, columns) float32
        Mean half-width, total and within, of every `thin`-th pixel.
    """

    def __init__(self, months: np.ndarray, sources: Sequence[str], maps: np.ndarray, thin: int) -> None:
        self.months, self.sources, self.maps, self.thin = months, list(sources), maps, thin
        self._names = [*self.sources, CELL, WITHIN, TOTAL]
        self._squares, self._areas = np.zeros((2, len(self._names), months.size))
        self._valid = 0.0
        self.pixels = 0

    @classmethod
    def empty(cls, months: np.ndarray, grid: Grid, thin: int, sources: Sequence[str]) -> ErrorSums:
        """Nothing added yet."""
        shape = tuple(-(-side // thin) for side in grid.shape)
        return cls(months, sources, np.full((2, *shape), np.nan, np.float32), thin)

    def like(self) -> ErrorSums:
        """An empty one for a window, without maps."""
        return ErrorSums(self.months, self.sources, self.maps[:, :0], self.thin)

    def add_month(
        self,
        month: int,
        weight: np.ndarray,
        valid: np.ndarray,
        parts: dict[str, np.ndarray],
        cell: np.ndarray,
        within: np.ndarray,
        total: np.ndarray,
    ) -> None:
        """Add the errors (rows, columns) of a month's valid pixels, of area `weight`."""
        for number, values in enumerate([*(parts[name] for name in self.sources), cell, within, total]):
            known = valid & np.isfinite(values)
            area = known * weight
            self._squares[number, month] += (np.where(known, values, 0).astype(np.float64) ** 2 * area).sum()
            self._areas[number, month] += area.sum()
        self._valid += (valid * weight).sum()
        self.pixels = max(self.pixels, int(valid.sum()))

    def figures(self) -> tuple[np.ndarray, np.ndarray, float, int]:
        """What was added up, as `add` takes it."""
        return self._squares, self._areas, self._valid, self.pixels

    def add(self, squares: np.ndarray, areas: np.ndarray, valid: float, pixels: int) -> None:
        """Add the figures of a window."""
        self._squares += squares
        self._areas += areas
        self._valid += valid
        self.pixels += int(pixels)

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

"""Dots on a regular lattice where a trend is significant, gathered window by window (the stippling of Fig. 8)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.windows import Window

# Dots along the longer side where no spacing is given: about one every eight pixels of a screen.
DOTS_ALONG_SIDE = 100
MOST_DOTS = 1_000_000


@dataclass(frozen=True)
class Dots:
    """Dots of a map.

    Attributes
    ----------
    x, y : (n,) float
        Coordinates in the grid's CRS.
    slope : (n,) float
        Mean slope of the significant cells around.
    share : (n,) float
        Percent of the valid cells around that are significant, above 50.
    cells : (n,) int
        Valid cells around.
    """

    x: np.ndarray
    y: np.ndarray
    slope: np.ndarray
    share: np.ndarray
    cells: np.ndarray


class Stipples:
    """Counts significant cells in the squares of a lattice; a dot stands where they are more than half of the valid ones.

    Parameters
    ----------
    grid : Grid
    spacing : int
        Cells along a square's side; 0 for about a hundred squares along the longer side of the map.

    Raises
    ------
    InvalidParameter
        If the lattice has more squares than a map can show.
    """

    def __init__(self, grid: Grid, spacing: int = 0) -> None:
        if spacing < 0:
            raise InvalidParameter(f"the spacing of the dots is {spacing} cells", "give 0 (by itself) or more")
        self.grid = grid
        self.spacing = spacing or max(1, round(max(grid.shape) / DOTS_ALONG_SIDE))
        rows, self._columns = (-(-length // self.spacing) for length in grid.shape)
        if rows * self._columns > MOST_DOTS:
            least = int(np.ceil(np.sqrt(grid.rows * grid.columns / MOST_DOTS)))
            raise InvalidParameter(
                f"dots every {self.spacing} cells would be {rows * self._columns} on this map",
                f"give a spacing of at least {least}",
            )
        # valid cells, their rows and columns, significant cells, their slopes
        self._sums = np.zeros((5, rows * self._columns))

    def add(self, window: Window, slope: np.ndarray, significant: np.ndarray) -> None:
        """Take in the slopes of a window (NaN outside), and which of them are significant."""
        row, column = np.nonzero(np.isfinite(slope))
        marked = significant[row, column]
        values = slope[row, column].astype(np.float64)
        row, column = row + window.row, column + window.column
        square = row // self.spacing * self._columns + column // self.spacing
        weights = (None, row + 0.5, column + 0.5, marked.astype(np.float64), np.where(marked, values, 0.0))
        # Only the squares that the window touches, not those of the whole map.
        touched, place = np.unique(square, return_inverse=True)
        for total, weight in zip(self._sums, weights, strict=True):
            total[touched] += np.bincount(place, weight, touched.size)

    def dots(self) -> Dots:
        """The dots, at the mean place of the valid cells of their squares: along coasts they stay on land."""
        valid, rows, columns, significant, slopes = self._sums[:, self._sums[3] > self._sums[0] / 2]
        x = self.grid.west + columns / valid * self.grid.dx
        y = self.grid.north - rows / valid * self.grid.dy
        return Dots(x, y, slopes / significant, 100 * significant / valid, valid.astype(np.int64))

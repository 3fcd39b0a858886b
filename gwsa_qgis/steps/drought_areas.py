"""True areas in each drought class, month by month, added up over windows."""

from __future__ import annotations

import csv
import io

import numpy as np

from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.windows import Window, put_thinned
from gwsa_qgis.report.maps import MOST_PIXELS
from gwsa_qgis.science.drought import CLASS_NAMES, MILDEST_CLASS, NODATA_CLASS


class DroughtAreas:
    """Areas by month and class, the mean index, and thinned maps of the spells.

    Attributes
    ----------
    months : (n_months,) datetime64[M]
    areas : (n_months, 11) float64
        km2, D4 to W4.
    maps : (2, rows, columns) float32
        Every `thin`-th pixel of the share of months in drought (percent) and the longest drought (months).
    grid : Grid
        Of the maps.
    pixels : int
        Pixels with an index in some month.
    """

    def __init__(self, grid: Grid, months: np.ndarray) -> None:
        self.months = months
        self.areas = np.zeros((months.size, len(CLASS_NAMES)))
        self.pixels = 0
        self._index = np.zeros(months.size)
        self._row_areas = grid.row_areas_km2()
        self._thin = thin = max(1, -(-max(grid.shape) // MOST_PIXELS))
        shape = -(-grid.rows // thin), -(-grid.columns // thin)
        self.grid = Grid(grid.west, grid.north, grid.dx * thin, grid.dy * thin, shape[1], shape[0], grid.crs)
        self.maps = np.full((2, *shape), np.nan, np.float32)

    def add(self, window: Window, index: np.ndarray, classes: np.ndarray, spells: np.ndarray) -> None:
        """Take in a window: index and classes (n_months, rows, columns), share and longest spell (2, rows, columns)."""
        put_thinned(self.maps, spells, window, self._thin)
        self.pixels += int(np.isfinite(spells[0]).sum())
        row_areas, rows = self._row_areas[window.row_slice], np.arange(window.rows)[:, None]
        size = len(CLASS_NAMES) + 1
        for month, (values, graded) in enumerate(zip(index, classes, strict=True)):
            # Pixels of a row are of one area: they are counted, which is exact whatever the windows.
            count = np.bincount((graded + rows * size).ravel(), minlength=window.rows * size).reshape(-1, size)
            self.areas[month] += row_areas @ count[:, NODATA_CLASS + 1 :]
            self._index[month] += row_areas @ np.nansum(values, axis=1, dtype=np.float64)

    def shares(self) -> np.ndarray:
        """Percent of the area that has an index, (n_months, 11); NaN in months without one."""
        return 100.0 * _over(self.areas, self.areas.sum(axis=1, keepdims=True))

    def mean_index(self) -> np.ndarray:
        """Area-weighted mean index, (n_months,)."""
        return _over(self._index, self.areas.sum(axis=1))

    def in_drought(self) -> np.ndarray:
        """Percent of the area in moderate drought or worse, (n_months,)."""
        return self.shares()[:, :MILDEST_CLASS].sum(axis=1)

    def drought_share(self) -> float:
        """Percent of area and time in moderate drought or worse."""
        return float(100.0 * self.areas[:, :MILDEST_CLASS].sum() / self.areas.sum())

    def worst(self) -> tuple[np.datetime64, float]:
        """Month with most area in moderate drought or worse, and its percent."""
        shares = self.in_drought()
        place = int(np.nanargmax(shares))
        return self.months[place], float(shares[place])


def areas_as_csv(found: DroughtAreas, filled: np.ndarray) -> str:
    """Table of the areas: month, whether it is filled, area with an index, mean index, percent of each class."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    classes = [f"{name.split()[0]}_percent" for name in CLASS_NAMES.values()]
    writer.writerow(["month", "filled", "area_km2", "mean_index", *classes])
    area, index = found.areas.sum(axis=1), found.mean_index()
    for place, (month, shares) in enumerate(zip(found.months, found.shares(), strict=True)):
        numbers = (area[place], index[place], *shares)
        cells = [f"{number:.10g}" if np.isfinite(number) else "" for number in numbers]
        writer.writerow([str(month), int(filled[place]), *cells])
    return buffer.getvalue()


def _over(values: np.ndarray, total: np.ndarray) -> np.ndarray:
    return np.divide(values, total, out=np.full(values.shape, np.nan), where=np.broadcast_to(total, values.shape) > 0)

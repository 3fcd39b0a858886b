"""From slopes and p values to classes, their areas, field significance and dots, window by window."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.windows import Window, put_thinned
from gwsa_qgis.science.trend import CLASS_NAMES, FieldSignificance, PValueTally, trend_classes

SIGNIFICANT, HIGHLY_SIGNIFICANT = 0.05, 0.01
CORRECTED, PLAIN = 0, 1
# Latitude bands are drawn where the map spans enough of them to differ.
BAND_WIDTHS, MOST_BANDS, SMALLEST_SPAN = (1, 2, 5, 10), 18, 5.0
PREVIEW_PIXELS = 500


@dataclass(frozen=True)
class RegionShares:
    """Areas of the classes in one region.

    Attributes
    ----------
    kind, name : str
        For example ``aquifer class`` and ``13``.
    areas : (n_kinds, n_classes) float
        km2 by class; of trends by the corrected and by the plain p value.
    """

    kind: str
    name: str
    areas: np.ndarray

    def shares(self, number: int) -> dict[int, float]:
        """Percent of each class, of trends by the corrected (0) or the plain (1) p value."""
        areas = self.areas[number]
        with np.errstate(invalid="ignore"):
            return {place: float(share) for place, share in enumerate(100.0 * areas / areas.sum(), start=1)}


class ClassAreas:
    """True areas of classes by row and by aquifer class; of trends by the corrected and by the plain p value.

    Parameters
    ----------
    n_classes : int
        Classes count from 1; 0 is NoData.
    n_kinds : int
        Ways of classing.
    """

    def __init__(self, grid: Grid, n_classes: int = len(CLASS_NAMES), n_kinds: int = 2) -> None:
        self.grid = grid
        self._row_areas = grid.row_areas_km2()
        self._cells = np.zeros((n_kinds, grid.rows, n_classes + 1), np.int64)
        self._aquifers: dict[int, np.ndarray] = {}

    def add(self, number: int, window: Window, classes: np.ndarray, aquifers: np.ndarray | None = None) -> None:
        """Take in the classes of a window, of the kind `number` (of trends corrected 0, plain 1)."""
        size = self._cells.shape[2]
        rows = np.arange(window.rows)[:, None] * size
        counts = np.bincount((rows + classes).ravel(), minlength=window.rows * size).reshape(window.rows, size)
        self._cells[number, window.row_slice] += counts
        if aquifers is None:
            return
        area = np.broadcast_to(self._row_areas[window.row_slice, None], classes.shape)
        for value in np.unique(aquifers[np.isfinite(aquifers)]):
            here = aquifers == value
            found = np.bincount(classes[here], area[here], minlength=size)[1:]
            self._aquifers.setdefault(int(value), np.zeros((len(self._cells), size - 1)))[number] += found

    def whole(self) -> RegionShares:
        """The whole map."""
        return RegionShares("map", "all", self._over(slice(None)))

    def aquifers(self) -> list[RegionShares]:
        """Aquifer classes with a trend, in order."""
        found = (RegionShares("aquifer class", str(value), areas) for value, areas in sorted(self._aquifers.items()))
        return [region for region in found if region.areas[CORRECTED].sum() > 0]

    def latitudes(self) -> list[RegionShares]:
        """Latitude bands, north to south; none on maps of a few degrees or of projected coordinates."""
        if not self.grid.is_geographic or self.grid.north - self.grid.south < SMALLEST_SPAN:
            return []
        span = self.grid.north - self.grid.south
        width = next((width for width in BAND_WIDTHS if span / width <= MOST_BANDS), BAND_WIDTHS[-1])
        bands = np.floor(self.grid.latitudes() / width).astype(int)
        regions = (
            RegionShares("latitude", _band_name(band * width, width), self._over(bands == band))
            for band in np.unique(bands)[::-1]
        )
        return [region for region in regions if region.areas[CORRECTED].sum() > 0]

    def _over(self, rows: slice | np.ndarray) -> np.ndarray:
        return np.einsum("nrc,r->nc", self._cells[:, rows, 1:], self._row_areas[rows])


def _band_name(south: int, width: int) -> str:
    ends = [
        f"{abs(edge)}\N{DEGREE SIGN}{'N' if edge > 0 else 'S' if edge < 0 else ''}" for edge in (south, south + width)
    ]
    return " to ".join(ends)


class FieldTests:
    """Thresholds of Benjamini and Hochberg for the p values of a map."""

    def __init__(self) -> None:
        self._tally = PValueTally()

    def add(self, p_values: np.ndarray) -> None:
        """Count the p values of a window, float32 as written."""
        self._tally.add(p_values)

    def at(self, alphas: Iterable[float], again: Callable[[], Iterator[np.ndarray]]) -> dict[float, FieldSignificance]:
        """Threshold for each false discovery rate; `again` gives the p values of all windows once more."""
        return {alpha: self._tally.threshold(alpha, again) for alpha in set(alphas)}


def classes_by(
    slope: np.ndarray, p_value: np.ndarray, field: dict[float, FieldSignificance] | None = None
) -> np.ndarray:
    """Seven classes by the p values, or by their thresholds of field significance where `field` is given."""
    if field is None:
        return trend_classes(slope, p_value, SIGNIFICANT, HIGHLY_SIGNIFICANT).astype(np.uint8)
    limits = (_above(field[alpha].threshold) for alpha in (SIGNIFICANT, HIGHLY_SIGNIFICANT))
    return trend_classes(slope, p_value.astype(np.float64), *limits).astype(np.uint8)


def _above(threshold: float) -> float:
    """Next number above a threshold that belongs to the significant ones; above 0 where none is significant."""
    return float(np.nextafter(np.nan_to_num(threshold), 1.0))


class SlopeSums:
    """Area-weighted mean slope, pixels, area after field significance, and a thinned map, over windows."""

    def __init__(self, grid: Grid) -> None:
        self._row_areas = grid.row_areas_km2()
        self.pixels, self.area, self.significant_area, self._weighted = 0, 0.0, 0.0, 0.0
        self.thin = max(1, -(-max(grid.shape) // PREVIEW_PIXELS))
        self.preview = np.full((1, *(-(-length // self.thin) for length in grid.shape)), np.nan, np.float32)

    def add(self, window: Window, slope: np.ndarray) -> None:
        """Take in a window's slopes."""
        area = np.broadcast_to(self._row_areas[window.row_slice, None], slope.shape)
        valid = np.isfinite(slope)
        self.pixels += int(valid.sum())
        self.area += float(area[valid].sum())
        self._weighted += float((slope[valid].astype(np.float64) * area[valid]).sum())
        put_thinned(self.preview, slope[None], window, self.thin)

    def add_significant(self, window: Window, significant: np.ndarray) -> None:
        """Take in which of a window's pixels are significant in the field."""
        self.significant_area += float(significant.sum(axis=1) @ self._row_areas[window.row_slice])

    def mean_slope(self) -> float:
        """Area-weighted mean slope."""
        return self._weighted / self.area

    def field_share(self) -> float:
        """Percent of the area that is significant in the field."""
        return 100.0 * self.significant_area / self.area

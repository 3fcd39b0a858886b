"""Area-weighted means of GWSA, background and residual, added up over parts of the map."""

from __future__ import annotations

import numpy as np

from gwsa_qgis.errors import NoUsableData


class AttributionSums:
    """Means of three anomalies, month by month, and the area without a background.

    Parameters
    ----------
    row_areas : (rows,) float
        km2 of a pixel, by row of the map.
    n_months : int
    minimum_share : float
        Share of the months that a pixel must have for a trend.

    Attributes
    ----------
    area : float
        km2 with a residual.
    pixels : int
        Pixels with enough months for a trend.
    """

    def __init__(self, row_areas: np.ndarray, n_months: int, minimum_share: float) -> None:
        self._row_areas, self._share = row_areas, minimum_share
        self._totals, self._areas = np.zeros((3, n_months)), np.zeros(n_months)
        self.area, self._lost, self.pixels = 0.0, 0.0, 0

    def empty(self) -> AttributionSums:
        """The same with nothing in it, for a part of the map."""
        return AttributionSums(self._row_areas, self._areas.size, self._share)

    def add(self, rows: slice, total: np.ndarray, natural: np.ndarray, residual: np.ndarray, lost: np.ndarray) -> None:
        """Take in some rows: three anomalies (n_months, rows, columns), and the pixels without a background."""
        area, valid = self._row_areas[rows], np.isfinite(residual)
        count = valid.sum(axis=2)
        self._areas += count @ area
        # All three are NaN in the same places.
        gaps = ~valid if count.sum() < valid.size else None
        for number, values in enumerate((total, natural, residual)):
            if gaps is not None:
                values[gaps] = 0.0
            self._totals[number] += values.sum(axis=2) @ area
        self.area += float(valid.any(axis=0).sum(axis=1) @ area)
        self.pixels += int((valid.sum(axis=0) >= max(self._share * self._areas.size, 1)).sum())
        self._lost += float(lost.sum(axis=1) @ area)

    def figures(self) -> tuple[np.ndarray, np.ndarray, float, float, int]:
        """What was added up, as `merge` takes it."""
        return self._totals, self._areas, self.area, self._lost, self.pixels

    def merge(self, totals: np.ndarray, areas: np.ndarray, area: float, lost: float, pixels: int) -> None:
        """Add the figures of another part."""
        self._totals += totals
        self._areas += areas
        self.area, self._lost, self.pixels = self.area + area, self._lost + lost, self.pixels + int(pixels)

    def require(self, background: str, baseline: tuple[str, str]) -> None:
        """Raise `NoUsableData` unless some pixel has a residual that a trend can be had of."""
        if not self.area:
            raise NoUsableData(
                f"no pixel has both GWSA and the background {background} in a month of the baseline "
                f"{' to '.join(baseline)}",
                "give another baseline, or a background of the same region",
            )
        if not self.pixels:
            raise NoUsableData(
                f"no pixel has GWSA and background in {self._share:.0%} of the {self._areas.size} common months",
                "give stacks with fewer gaps, or lower the minimum share",
            )

    def series(self) -> np.ndarray:
        """Means of GWSA, background and residual (3, n_months); NaN in months without a residual."""
        known = self._areas > 0
        return np.divide(self._totals, self._areas, out=np.full(self._totals.shape, np.nan), where=known)

    def uncovered_share(self) -> float:
        """Percent of the area of GWSA that has no background."""
        return 100.0 * self._lost / (self._lost + self.area) if self._lost else 0.0

"""What is known of each basin: series, trend, annual means, and how they are named in tables and layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gwsa_qgis.products.basins import Basins
from gwsa_qgis.science.basin_series import BasinTrends, annual_means, basin_trends
from gwsa_qgis.science.error_budget import normal_factor
from gwsa_qgis.science.trend import CLASS_NAMES, trend_classes
from gwsa_qgis.steps.basin_errors import BasinErrors
from gwsa_qgis.steps.basin_sums import BasinSums

KM3_PER_CM_KM2 = 1e-5
GAPS = ("", "short", "long")
FOUND, OUTSIDE, EMPTY = "ok", "outside the raster", "no value"
MONTHLY_HEADER = (
    *("basin", "month", "mean_cm", "volume_km3", "share", "area_km2", "filled", "gap"),
    *("uncertainty_cm", "uncertainty_km3", "uncertainty_independent_cm"),
)
ANNUAL_HEADER = ("basin", "year", "mean_cm", "volume_km3", "months", "filled_months")


@dataclass(frozen=True)
class BasinFigures:
    """Series and trends of basins.

    Attributes
    ----------
    basins : Basins
    months : (n_months,) datetime64[M]
    sums : BasinSums
    means : (n_basins, n_months) float64
        Area-weighted mean, cm; NaN where there is none.
    filled : (n_basins, n_months) bool
        Months whose values come from gap filling.
    together, independent : (n_basins, n_months) float64
        Half-widths at `level`: errors of supports as one error throughout a basin, and independent; NaN if not known.
    trends : BasinTrends
    level : float
        Of half-widths and of the trends' limits.
    """

    basins: Basins
    months: np.ndarray
    sums: BasinSums
    means: np.ndarray
    filled: np.ndarray
    together: np.ndarray
    independent: np.ndarray
    trends: BasinTrends
    level: float

    @property
    def volumes(self) -> np.ndarray:
        """Mean times the area that has values, km3."""
        return self.means * self.sums.area * KM3_PER_CM_KM2

    @property
    def areas(self) -> np.ndarray:
        """Whole areas of the basins, km2."""
        return np.array([basin.area_km2 for basin in self.basins.basins])

    @property
    def usual_area(self) -> np.ndarray:
        """Area with values, mean over the months that have a mean, km2; NaN without any."""
        known = np.isfinite(self.means)
        count = known.sum(1)
        total = np.where(known, self.sums.area, 0.0).sum(1)
        return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)

    @property
    def status(self) -> list[str]:
        """Whether each basin has values, and why not."""
        return [
            FOUND if mapped > 0 else EMPTY if covered > 0 else OUTSIDE
            for mapped, covered in zip(self.sums.mapped, self.sums.covered, strict=True)
        ]

    @property
    def has_values(self) -> np.ndarray:
        """Which basins have a mean in any month, (n_basins,) bool."""
        return np.isfinite(self.means).any(1)

    @property
    def trend_names(self) -> list[str]:
        """Class of each basin's trend in words, by the corrected p value; empty without a trend."""
        classes = trend_classes(self.trends.slope, self.trends.p)
        return [CLASS_NAMES.get(number, "") for number in classes.tolist()]

    def km3_per_year(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Trend and its limits times the usual area."""
        factor = self.usual_area * KM3_PER_CM_KM2
        return self.trends.slope * factor, self.trends.lower * factor, self.trends.upper * factor

    def annual(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Years, means (cm) and numbers of months, as `science.basin_series.annual_means` gives them."""
        return annual_means(self.means, self.months)

    def by_change(self) -> np.ndarray:
        """Basins with a trend, the largest loss of volume first."""
        rate = self.km3_per_year()[0]
        order = np.argsort(rate, kind="stable")
        return order[np.isfinite(rate[order])]

    def fields(self) -> dict[str, np.ndarray | list]:
        """Figures of each basin by name."""
        rate, lower, upper = self.km3_per_year()
        known = np.isfinite(self.means)
        count = known.sum(1)
        trends = self.trends
        return {
            "basin": self.basins.names,
            "feature": np.array([basin.feature for basin in self.basins.basins]),
            "status": self.status,
            "area_km2": self.areas,
            "value_km2": np.nan_to_num(self.usual_area),
            "value_share": np.nan_to_num(self.usual_area) / self.areas,
            "pixels": self.sums.pixels,
            "months": count,
            "filled": (self.filled & known).sum(1),
            "slope_cm": trends.slope,
            "slope_cm_lo": trends.lower,
            "slope_cm_hi": trends.upper,
            "rate_km3": rate,
            "rate_km3_lo": lower,
            "rate_km3_hi": upper,
            "p": trends.p,
            "p_plain": trends.p_plain,
            "trend": self.trend_names,
            "error_cm": _rms(self.together),
        }


def make_figures(
    basins: Basins,
    months: np.ndarray,
    filled: np.ndarray,
    sums: BasinSums,
    errors: BasinErrors | None,
    level: float,
    minimum_share: float,
) -> BasinFigures:
    """Series, half-widths and trends from the sums of the pass over the stack."""
    means = sums.means(minimum_share)
    known = np.isfinite(means)
    together = independent = np.full(means.shape, np.nan)
    if errors is not None:
        factor = normal_factor(level)
        together, independent = (np.where(known, factor * part, np.nan) for part in errors.standard_errors())
    is_filled = filled[None] | (sums.flags > 0)
    return BasinFigures(
        basins, months, sums, means, is_filled, together, independent, basin_trends(means, level), level
    )


def monthly_rows(figures: BasinFigures) -> Iterator[tuple]:
    """Rows of `MONTHLY_HEADER`: each basin that has values, month by month."""
    names, months = figures.basins.names, [str(month) for month in figures.months]
    areas, volumes, sums = figures.areas, figures.volumes, figures.sums
    for basin in np.flatnonzero(figures.has_values):
        share = sums.area[basin] / areas[basin]
        volume_error = figures.together[basin] * sums.area[basin] * KM3_PER_CM_KM2
        columns = (
            figures.means[basin].tolist(),
            volumes[basin].tolist(),
            share.tolist(),
            sums.area[basin].tolist(),
            figures.filled[basin].astype(int).tolist(),
            [GAPS[flag] if flag < len(GAPS) else "" for flag in sums.flags[basin].tolist()],
            figures.together[basin].tolist(),
            volume_error.tolist(),
            figures.independent[basin].tolist(),
        )
        for row in zip(months, *columns, strict=True):
            yield names[basin], *row


def annual_rows(figures: BasinFigures) -> Iterator[tuple]:
    """Rows of `ANNUAL_HEADER`."""
    years, means, counts = figures.annual()
    _, filled, _ = annual_means(np.where(np.isfinite(figures.means), figures.filled, np.nan), figures.months)
    factor = figures.usual_area * KM3_PER_CM_KM2
    for basin in np.flatnonzero(figures.has_values):
        name = figures.basins.names[basin]
        for year, mean, count, share in zip(years, means[basin], counts[basin], filled[basin], strict=True):
            if count:
                yield name, int(year), mean, mean * factor[basin], int(count), int(round(share * count))


def _rms(values: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    count = known.sum(1)
    squares = np.where(known, values, 0.0) ** 2
    return np.sqrt(np.divide(squares.sum(1), count, out=np.full(count.shape, np.nan), where=count > 0))

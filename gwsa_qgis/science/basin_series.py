"""Series of basins: area-weighted sums of pixels, annual means, and trends with their limits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gwsa_qgis.months import calendar_year
from gwsa_qgis.science.pixel_trend import TrendSettings, pixel_trends, take_season_out

# Pixels taken at once: their float64 copies stay in the cache.
PIXELS_AT_ONCE = 1024
PERIOD = 12


@dataclass(frozen=True)
class BasinTrends:
    """Trends of basins, all of shape (n_basins,); NaN where there is none.

    Attributes
    ----------
    slope, lower, upper : ndarray
        Theil-Sen slope per year and its confidence limits, widened for serial correlation.
    intercept : ndarray
        Value of the line in the first month.
    p, p_plain : ndarray
        Mann-Kendall p value with the AR(1) correction, which allows for what STL takes out of the noise, and without.
    """

    slope: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    intercept: np.ndarray
    p: np.ndarray
    p_plain: np.ndarray


def weighted_sums(values: np.ndarray, pixels: np.ndarray, areas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of area times value over pixels, month by month.

    Parameters
    ----------
    values : (n_months, n_all) float
        NaN pixels count for nothing.
    pixels : (n,) int
        Which of them.
    areas : (n,) float64
        Area of each.

    Returns
    -------
    weighted, area : (n_months,) float64
        Sum of area times value, and of the areas that have a value.
    """
    weighted, area = np.zeros((2, len(values)))
    for start in range(0, pixels.size, PIXELS_AT_ONCE):
        part = slice(start, start + PIXELS_AT_ONCE)
        chosen, weight = np.take(values, pixels[part], axis=1), areas[part]
        valid = np.isfinite(chosen)
        if valid.all():
            weighted += chosen.astype(np.float64) @ weight
            area += weight.sum()
            continue
        weighted += np.where(valid, chosen, 0).astype(np.float64) @ weight
        area += valid @ weight
    return weighted, area


def annual_means(series: np.ndarray, months: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means over the months of each calendar year that have a value.

    Parameters
    ----------
    series : (n_series, n_months)
        NaN is missing.
    months : (n_months,) datetime64[M]

    Returns
    -------
    years : (n_years,) int
    means : (n_series, n_years)
        NaN for a year without a value.
    counts : (n_series, n_years) int
        Months that went into each; a mean of fewer than 12 holds a part of the season.
    """
    years, place = np.unique(calendar_year(months), return_inverse=True)
    member = (place[:, None] == np.arange(years.size)).astype(np.float64)
    valid = np.isfinite(series)
    counts = (valid @ member).round().astype(int)
    totals = np.where(valid, series, 0.0) @ member
    return years, np.divide(totals, counts, out=np.full(totals.shape, np.nan), where=counts > 0), counts


def basin_trends(series: np.ndarray, level: float = 0.95, minimum_share: float = 0.5) -> BasinTrends:
    """Trend of each series, as the map of trends has it: without its season (STL), with limits and both p values.

    Parameters
    ----------
    series : (n_series, n_months)
        NaN is missing. Series of less than two years keep their season.
    level : float
        Of the confidence limits.
    minimum_share : float
        Series with a smaller share of valid months have no trend.

    References
    ----------
    As `science.pixel_trend`.
    """
    months = series.shape[1]
    valid = np.isfinite(series)
    series = np.where((valid.sum(1) >= max(minimum_share * months, 1))[:, None], series, np.nan)
    settings = TrendSettings(without_season=months >= 2 * PERIOD, confidence=level)
    slope, p, p_plain, lower, upper = pixel_trends(series, settings, valid.any(0))
    adjusted = take_season_out(series, False) if settings.without_season else series
    middle = np.full((2, len(series)), np.nan)
    for row in np.flatnonzero(np.isfinite(slope)):
        times = np.flatnonzero(np.isfinite(adjusted[row]))
        middle[:, row] = np.median(adjusted[row, times]), np.median(times)
    intercept = middle[0] - slope * middle[1]
    return BasinTrends(PERIOD * slope, PERIOD * lower, PERIOD * upper, intercept, p, p_plain)

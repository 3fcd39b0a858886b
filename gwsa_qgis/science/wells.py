"""Observation wells against storage maps: specific yield, averages, bins, perturbation, gains (section 2.5.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gwsa_qgis.errors import InvalidParameter, NoUsableData


@dataclass(frozen=True)
class YieldRegion:
    """A box of longitude and latitude (degrees) with its specific yield (no unit)."""

    name: str
    south: float
    north: float
    west: float
    east: float
    specific_yield: float


# Table 2 of the paper; the first region that holds a well counts.
SPECIFIC_YIELD_TABLE = (
    YieldRegion("Asia", 10, 80, 60, 150, 0.11),
    YieldRegion("Europe and Middle East", 35, 75, -25, 60, 0.14),
    YieldRegion("North America", 15, 75, -170, -50, 0.16),
    YieldRegion("South America", -60, 15, -90, -30, 0.18),
    YieldRegion("Africa", -35, 35, -20, 55, 0.08),
    YieldRegion("Australia and Oceania", -50, 0, 110, 180, 0.09),
)
DEFAULT_SPECIFIC_YIELD = 0.15
OTHER_REGIONS = "Other regions"


def specific_yield(
    longitude: np.ndarray,
    latitude: np.ndarray,
    table: Sequence[YieldRegion] = SPECIFIC_YIELD_TABLE,
    default: float = DEFAULT_SPECIFIC_YIELD,
) -> tuple[np.ndarray, list[str]]:
    """Specific yield of places by region (Table 2), and the regions' names.

    Parameters
    ----------
    longitude, latitude : ndarray, shape (n,)
        Degrees; longitudes may run from 0 to 360.
    table : sequence of YieldRegion
        The first region that holds a place counts; limits belong to a region.
    default : float
        Specific yield elsewhere.
    """
    longitude = (np.asarray(longitude, float) + 180.0) % 360.0 - 180.0
    latitude = np.asarray(latitude, float)
    values = np.full(longitude.shape, float(default))
    names = np.full(longitude.shape, OTHER_REGIONS, dtype=object)
    for region in reversed(table):
        inside = (latitude >= region.south) & (latitude <= region.north)
        inside &= (longitude >= region.west) & (longitude <= region.east)
        values[inside], names[inside] = region.specific_yield, region.name
    return values, names.tolist()


def monthly_means(
    wells: np.ndarray, months: np.ndarray, values: np.ndarray, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the readings of each well and month.

    Parameters
    ----------
    wells, months : ndarray of int, shape (n_readings,)
        Positions of the well and of the month.
    values : ndarray, shape (n_readings,)
    shape : (n_wells, n_months)

    Returns
    -------
    means : ndarray, shape (n_wells, n_months)
        NaN without a reading.
    counts : ndarray of int, same shape
    """
    size = shape[0] * shape[1]
    flat = wells * shape[1] + months
    counts = np.bincount(flat, minlength=size)
    sums = np.bincount(flat, values, minlength=size)
    means = np.divide(sums, counts, out=np.full(size, np.nan), where=counts > 0)
    return means.reshape(shape), counts.reshape(shape)


def anomalies(series: np.ndarray, over: np.ndarray | None = None) -> np.ndarray:
    """Series (n_series, n_months) less their means over their valid months, or over the months `over` (same shape)."""
    usable = np.isfinite(series) if over is None else np.isfinite(series) & over
    count = usable.sum(axis=1, keepdims=True)
    total = np.where(usable, series, 0.0).sum(axis=1, keepdims=True)
    return series - np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)


def storage_change(level_anomaly: np.ndarray, yields: np.ndarray) -> np.ndarray:
    """Storage anomaly of level anomalies, dGWS = dGWL x Sy (Eq. 19), shape (n_wells, n_months), unit of the levels."""
    return level_anomaly * np.asarray(yields, float)[:, None]


def long_enough(levels: np.ndarray, minimum_span: int, minimum_share: float) -> np.ndarray:
    """Which series have values over `minimum_span` steps, first to last, and in `minimum_share` of those steps."""
    valid = np.isfinite(levels)
    any_valid = valid.any(axis=1)
    first = np.argmax(valid, axis=1)
    last = levels.shape[1] - 1 - np.argmax(valid[:, ::-1], axis=1)
    span = np.where(any_valid, last - first + 1, 0)
    return (span >= minimum_span) & (valid.sum(axis=1) >= minimum_share * span) & any_valid


def count_outliers(series: np.ndarray, threshold: float = 6.0) -> np.ndarray:
    """Values farther from their series' median than `threshold` robust standard deviations, shape (n_series,)."""
    present = np.isfinite(series).any(axis=1)
    counts = np.zeros(len(series), int)
    if present.any():
        some = series[present]
        distance = np.abs(some - np.nanmedian(some, axis=1, keepdims=True))
        scale = 1.4826 * np.nanmedian(distance, axis=1, keepdims=True)
        counts[present] = ((distance > threshold * scale) & (scale > 0)).sum(axis=1)
    return counts


def group_means(series: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Arithmetic mean of the valid series of each group (wells of a cell), month by month.

    Parameters
    ----------
    series : ndarray, shape (n_series, n_months)
        Anomalies: levels would jump where a well begins or ends.
    groups : ndarray of int, shape (n_series,)

    Returns
    -------
    means : ndarray, shape (n_groups, n_months)
    names : ndarray, shape (n_groups,)
        The groups' numbers, sorted.
    sizes : ndarray of int, shape (n_groups,)
    """
    names, place, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    row, month = np.nonzero(np.isfinite(series))
    means, _ = monthly_means(place.ravel()[row], month, series[row, month], (names.size, series.shape[1]))
    return means, names, sizes


@dataclass(frozen=True)
class Bins:
    """Means of quantile bins; all arrays of shape (n_bins,)."""

    x: np.ndarray
    y: np.ndarray
    sem: np.ndarray
    count: np.ndarray


def quantile_bins(x: np.ndarray, y: np.ndarray, bins: int = 15) -> Bins:
    """Means of `x` and `y` in bins of equal count of `x`, and the standard error of the mean of `y` (Fig. 4).

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Trends of the map and of the wells; pairs with a NaN are left out.

    Raises
    ------
    InvalidParameter
        If fewer than two bins are asked for.
    NoUsableData
        If there are fewer than two pairs in a bin.
    """
    if bins < 2:
        raise InvalidParameter(f"{bins} bins were asked for", "give at least 2")
    both = np.isfinite(x) & np.isfinite(y)
    x, y = np.asarray(x, float)[both], np.asarray(y, float)[both]
    if x.size < 2 * bins:
        raise NoUsableData(f"{x.size} pairs do not fill {bins} bins with two each", "give fewer bins or more wells")
    order = np.argsort(x, kind="stable")
    place = np.empty(x.size, int)
    place[order] = np.arange(x.size) * bins // x.size
    count = np.bincount(place, minlength=bins)
    mean_x, mean_y = (np.bincount(place, values, bins) / count for values in (x, y))
    variance = np.bincount(place, (y - mean_y[place]) ** 2, bins) / (count - 1)
    return Bins(mean_x, mean_y, np.sqrt(variance / count), count)


def fit_band(x: np.ndarray, y: np.ndarray, points: int = 100) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Least-squares line through (x, y) with the 95 % confidence band of its mean: places, line, lower, upper."""
    from scipy.special import stdtrit

    slope, intercept = np.polyfit(x, y, 1)
    residual = y - intercept - slope * x
    freedom = x.size - 2
    deviation = np.sqrt((residual**2).sum() / freedom)
    at = np.linspace(x.min(), x.max(), points)
    half = deviation * np.sqrt(1 / x.size + (at - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum())
    half *= stdtrit(freedom, 0.975)
    line = intercept + slope * at
    return at, line, line - half, line + half

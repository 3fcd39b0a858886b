"""Seasonal Kendall test and slope (Hirsch and Slack, 1984): each calendar month is compared with itself only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gwsa_qgis.science.ranks import kendall_variance, tie_sums

BLOCK_BYTES = 8 * 2**20


@dataclass(frozen=True)
class SeasonalKendall:
    """Sums over the calendar months, all of shape (n_series,); NaN where no calendar month has two values.

    Attributes
    ----------
    s : ndarray
        Sum of Kendall's S.
    var_s : ndarray
        Sum of its variances, corrected for ties.
    pairs : ndarray
        Number of pairs.
    slope : ndarray
        Median of the slopes of all pairs within calendar months, unit of the series per month.
    lower, upper : ndarray
        Confidence limits of the slope; NaN where none were asked for.
    """

    s: np.ndarray
    var_s: np.ndarray
    pairs: np.ndarray
    slope: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def seasonal_kendall(series: np.ndarray, period: int = 12, confidence: float | None = None) -> SeasonalKendall:
    """Kendall's S, its variance and the slope of each series over its calendar months.

    Parameters
    ----------
    series : ndarray, shape (n_series, n_months)
        Monthly values; NaN or infinite values are missing.
    period : int
        Months in a cycle.
    confidence : float, optional
        Two-sided, of the limits of the slope; None leaves them out.

    Returns
    -------
    SeasonalKendall

    References
    ----------
    Hirsch, R. M., Slack, J. R. (1984), doi:10.1029/WR020i006p00727; slope: Hipel and McLeod (1994). As in
    ``pymannkendall.seasonal_test`` and ``seasonal_sens_slope``, whose slope is per period instead of per month.
    Limits: Gilbert (1987), section 17.3, at the ranks (N - C)/2 and (N + C)/2 + 1 rounded of the N pairs, C the normal quantile
    times the standard deviation of S, for independent months.
    """
    n_series, n_months = series.shape
    cycles = -(-n_months // period)
    result = np.full((6, n_series), np.nan)
    n_pairs = period * cycles * (cycles - 1) // 2
    step = max(1, BLOCK_BYTES // (8 * max(n_pairs, n_months)))
    for start in range(0, n_series, step):
        block = np.asarray(series[start : start + step], np.float64)
        cycle = np.full((block.shape[0], cycles * period), np.nan)
        cycle[:, :n_months] = np.where(np.isfinite(block), block, np.nan)
        result[:, start : start + step] = _of_block(cycle.reshape(-1, cycles, period), confidence)
    result[3:] /= period
    return SeasonalKendall(*result)


def _of_block(cycle: np.ndarray, confidence: float | None) -> np.ndarray:
    """S, variance, pairs, slope per period and its limits of series cut in cycles, shape (n_block, cycles, period)."""
    n_block, cycles, _ = cycle.shape
    slopes = []
    s = np.zeros(n_block)
    for lag in range(1, cycles):
        later, earlier = cycle[:, lag:], cycle[:, :-lag]
        s += (later > earlier).sum(axis=(1, 2)) - (later < earlier).sum(axis=(1, 2))
        slopes.append(((later - earlier) / lag).reshape(n_block, -1))
    by_season = cycle.transpose(0, 2, 1)
    ties = tie_sums(np.sort(by_season.reshape(-1, cycles), axis=1))[1].reshape(n_block, -1)
    var_s = kendall_variance(np.isfinite(by_season).sum(axis=2), ties).sum(axis=1)
    slopes = np.concatenate(slopes, axis=1) if slopes else np.empty((n_block, 0))
    pairs = np.isfinite(slopes).sum(axis=1)
    limits = np.full((2, n_block), np.nan)
    if confidence is not None and slopes.shape[1]:
        limits = _limits(slopes, pairs, var_s, confidence)
    result = np.array([s, var_s, pairs, _median_of_first(slopes, pairs), *limits])
    result[:, pairs == 0] = np.nan
    return result


def _limits(slopes: np.ndarray, counts: np.ndarray, var_s: np.ndarray, confidence: float) -> np.ndarray:
    """Gilbert's limits of the median of each row's values that are not NaN, (2, n_block)."""
    from scipy.special import ndtri

    half_range = ndtri(0.5 + confidence / 2.0) * np.sqrt(var_s)
    ranks = np.stack([np.round((counts - half_range) / 2.0) - 1, np.round((counts + half_range) / 2.0)])
    ranks = np.clip(ranks, 0, np.maximum(counts - 1, 0)).astype(np.int64)
    return np.take_along_axis(np.sort(slopes, axis=1), ranks.T, axis=1).T


def _median_of_first(slopes: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Median of each row's values that are not NaN, of which there are `counts`."""
    median = np.full(counts.shape, np.nan)
    # Rows with as many values share the places of their middle: a partition is enough, which puts NaN last.
    for count in np.unique(counts[counts > 0]):
        rows = counts == count
        low, high = (count - 1) // 2, count // 2
        ordered = np.partition(slopes[rows], [low, high], axis=1)
        median[rows] = (ordered[:, low] + ordered[:, high]) / 2.0
    return median

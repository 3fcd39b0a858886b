"""Theil-Sen slope: the exact median of the slopes of all pairs of months, with Gilbert's confidence limits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.science.pair_slopes import select_pair_slopes
from gwsa_qgis.science.ranks import kendall_variance, tie_sums, usable_blocks


@dataclass(frozen=True)
class TheilSen:
    """Theil-Sen lines of many series; NaN where a series has too few months.

    Attributes
    ----------
    slope : ndarray, shape (n_series,)
        Median pair slope (Eq. 22 of the paper), unit of the series per month.
    intercept : ndarray, shape (n_series,)
        Median of the values minus slope times median of the months, which count from 0.
    lower, upper : ndarray, shape (n_series,)
        Confidence limits of the slope; NaN where none were asked for.
    """

    slope: np.ndarray
    intercept: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def theil_sen(
    series: np.ndarray,
    *,
    confidence: float | None = 0.95,
    variance_factor: np.ndarray | float = 1.0,
    minimum_share: float = 0.0,
) -> TheilSen:
    """Theil-Sen slope and intercept of each series, with confidence limits of the slope.

    Parameters
    ----------
    series : ndarray, shape (n_series, n_months)
        Monthly values, any unit; NaN or infinite values are missing. Pairs with a missing month are left out.
    confidence : float, optional
        Two-sided confidence of the limits. None leaves them out, which is several times faster.
    variance_factor : float or ndarray, shape (n_series,)
        What serial correlation multiplies the variance of Kendall's S with (`MannKendall.variance_factor`).
    minimum_share : float
        Series with a smaller share of valid months give NaN, and so do those with fewer than 4.

    Returns
    -------
    TheilSen

    Raises
    ------
    InvalidParameter
        If the series are not two-dimensional, or the confidence or the share is out of range.

    References
    ----------
    Sen, P. K. (1968), doi:10.1080/01621459.1968.10480934; Eq. 22 of the paper. Limits: Gilbert, R. O. (1987),
    Statistical Methods for Environmental Pollution Monitoring, section 16.5, at the ranks (N - C)/2 and (N + C)/2 + 1
    rounded, C the normal quantile times the tie-corrected standard deviation of S.
    """
    if confidence is not None and not 0.0 < confidence < 1.0:
        raise InvalidParameter(f"the confidence is {confidence}", "give a number between 0 and 1, such as 0.95")
    series = np.asarray(series)
    n_series = series.shape[0] if series.ndim else 0
    factor = np.broadcast_to(np.asarray(variance_factor, np.float64), (n_series,))
    slope, intercept, lower, upper = (np.full(n_series, np.nan) for _ in range(4))
    for rows, values, times in usable_blocks(series, minimum_share):
        n_pairs = values.shape[1] * (values.shape[1] - 1) // 2
        middle = np.full((rows.size, 1), (n_pairs - 1) // 2)
        ranks = middle if confidence is None else np.hstack([middle, limit_ranks(values, confidence, factor[rows])])
        spans = [n_pairs // 2 - (n_pairs - 1) // 2] + [0] * (ranks.shape[1] - 1)
        selected = select_pair_slopes(values, times, ranks, spans)
        slope[rows] = selected[:, 0]
        intercept[rows] = np.median(values, axis=1) - np.median(times, axis=1) * selected[:, 0]
        if confidence is not None:
            known = np.isfinite(factor[rows])
            lower[rows] = np.where(known, selected[:, 1], np.nan)
            upper[rows] = np.where(known, selected[:, 2], np.nan)
    return TheilSen(slope, intercept, lower, upper)


def limit_ranks(values: np.ndarray, confidence: float, variance_factor: np.ndarray) -> np.ndarray:
    """Ranks from 0, shape (n_block, 2), of the pair slopes that are Gilbert's lower and upper limit."""
    from scipy.special import ndtri

    n_values = values.shape[1]
    n_pairs = n_values * (n_values - 1) // 2
    variance = kendall_variance(n_values, tie_sums(np.sort(values, axis=1))[1]) * np.nan_to_num(
        variance_factor, nan=1.0
    )
    half_range = ndtri(0.5 + confidence / 2.0) * np.sqrt(variance)
    lower = np.round((n_pairs - half_range) / 2.0).astype(np.int64) - 1
    upper = np.round((n_pairs + half_range) / 2.0).astype(np.int64)
    return np.column_stack([np.maximum(lower, 0), np.minimum(upper, n_pairs - 1)])

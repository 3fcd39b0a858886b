"""Mann-Kendall test for a monotonic trend, plain and safe against serial correlation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.science.ranks import count_inversions, kendall_variance, ordinal_ranks, tie_sums, usable_blocks
from gwsa_qgis.science.theil_sen import theil_sen

LARGEST_CORRELATION = 0.98


@dataclass(frozen=True)
class MannKendall:
    """Mann-Kendall tests of many series; all arrays of shape (n_series,), NaN where a series has too few months.

    Attributes
    ----------
    s : ndarray
        Kendall's S: rising minus falling pairs.
    var_s : ndarray
        Variance of S without trend, corrected for ties and, by the correction asked for, for serial correlation.
    z : ndarray
        Standardised statistic (S -+ 1) / sqrt(var_s), 0 for S = 0.
    p : ndarray
        Two-sided p value of z.
    tau : ndarray
        S over the number of pairs.
    variance_factor : ndarray
        What the correction multiplied the variance with; 1 without correction.
    p_plain : ndarray
        Two-sided p value without correction.
    """

    s: np.ndarray
    var_s: np.ndarray
    z: np.ndarray
    p: np.ndarray
    tau: np.ndarray
    variance_factor: np.ndarray
    p_plain: np.ndarray


def mann_kendall(
    series: np.ndarray,
    correction: str = "ar1",
    *,
    slope: np.ndarray | None = None,
    minimum_share: float = 0.0,
) -> MannKendall:
    """Test each series for a monotonic trend.

    Parameters
    ----------
    series : ndarray, shape (n_series, n_months)
        Monthly values; NaN or infinite values are missing and left out.
    correction : {"ar1", "none"}
        "none" is the test as published, which calls half of trendless series significant at a month-to-month
        correlation of 0.8. "ar1" multiplies the variance with the factor of a first-order autoregressive process
        whose correlation is that of the series without its Theil-Sen trend, corrected for bias.
    slope : ndarray, shape (n_series,), optional
        Theil-Sen slopes per month, where they are known; "ar1" computes them otherwise.
    minimum_share : float
        Series with a smaller share of valid months give NaN, and so do those with fewer than 4 (5 for "ar1").

    Returns
    -------
    MannKendall

    Raises
    ------
    InvalidParameter
        If the correction is unknown, the series are not two-dimensional, or the share is out of range.

    References
    ----------
    Mann (1945), doi:10.2307/1907187; Kendall (1975), Rank Correlation Methods; section 2.7 of the paper. Variance
    factor: Hamed and Rao (1998), doi:10.1016/S0022-1694(97)00125-X, Yue and Wang (2004),
    doi:10.1023/B:WARM.0000043140.61082.60, with analytic autocorrelations.
    """
    if correction not in CORRECTIONS:
        raise InvalidParameter(f"the correction is {correction!r}", f"give one of {', '.join(CORRECTIONS)}")
    series = np.asarray(series)
    n_series = series.shape[0] if series.ndim else 0
    s, var_plain, pairs, factor = (np.full(n_series, np.nan) for _ in range(4))
    factor_of = CORRECTIONS[correction]
    if factor_of is not None and slope is None:
        slope = theil_sen(series, confidence=None, minimum_share=minimum_share).slope
    for rows, values, times in usable_blocks(series, minimum_share):
        n_values = values.shape[1]
        tied_pairs, tie_term = tie_sums(values)
        n_pairs = n_values * (n_values - 1) / 2
        s[rows] = n_pairs - tied_pairs - 2.0 * count_inversions(ordinal_ranks(values))
        var_plain[rows] = kendall_variance(n_values, tie_term)
        pairs[rows] = n_pairs
        factor[rows] = 1.0 if factor_of is None else factor_of(detrend(values, times, slope[rows]), times)
    z, p = standardise(s, var_plain * factor)
    p_plain = p if factor_of is None else standardise(s, var_plain)[1]
    return MannKendall(s, var_plain * factor, z, p, s / pairs, factor, p_plain)


def detrend(values: np.ndarray, times: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Subtract the trend and the mean; what is left of a series that is a line but for rounding becomes 0."""
    rest = values - slope[:, None] * times
    rest -= rest.mean(axis=1, keepdims=True)
    rounding = 16 * np.finfo(np.float64).eps * (np.abs(values).max(axis=1) + np.abs(slope) * times[:, -1])
    rest[np.abs(rest).max(axis=1) <= rounding] = 0.0
    return rest


def standardise(s: np.ndarray, var_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Z with continuity correction, and its two-sided p value; a series of one value only has z = 0 and p = 1."""
    from scipy.special import ndtr

    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(s == 0, 0.0 * var_s, (s - np.sign(s)) / np.sqrt(var_s))
    return z, 2.0 * ndtr(-np.abs(z))


def ar1_variance_factor(detrended: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Factor 1 + 2 sum_k (1 - k/n) r^k on the variance of S for series with AR(1) correlation.

    Parameters
    ----------
    detrended : ndarray, shape (n_block, n_valid)
        Series without their trend.
    times : ndarray, shape (n_block, n_valid)
        Their months; only pairs of consecutive months tell the correlation.

    Returns
    -------
    ndarray, shape (n_block,)
        NaN where fewer than 5 values or no two consecutive months are left.
    """
    n_values = detrended.shape[1]
    if n_values < 5:
        return np.full(detrended.shape[0], np.nan)
    correlation = lag_one_correlation(detrended, times)
    # r1 of a short detrended series is biased low by about (2 + 4 r1) / n.
    unbiased = np.clip((n_values * correlation + 2.0) / (n_values - 4.0), 0.0, LARGEST_CORRELATION)
    # The sum over the lags in closed form.
    tail = (1.0 - unbiased**n_values) / (n_values * (1.0 - unbiased))
    return 1.0 + 2.0 * unbiased / (1.0 - unbiased) * (1.0 - tail)


def lag_one_correlation(detrended: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Correlation of consecutive months; 0 for a constant series, NaN where no two months are consecutive."""
    n_values = detrended.shape[1]
    deviation = detrended - detrended.mean(axis=1, keepdims=True)
    consecutive = np.diff(times, axis=1) == 1
    products = (deviation[:, 1:] * deviation[:, :-1] * consecutive).sum(axis=1)
    power = (deviation**2).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = products / power * ((n_values - 1) / consecutive.sum(axis=1))
    return np.where(power == 0, 0.0, correlation)


# Further corrections take the detrended values and their months, and return the factor on the variance.
CORRECTIONS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray] | None] = {
    "none": None,
    "ar1": ar1_variance_factor,
}

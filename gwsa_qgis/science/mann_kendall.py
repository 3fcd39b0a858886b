"""Mann-Kendall test for a monotonic trend, plain and with the published corrections for serial correlation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.science.ranks import count_pairs, kendall_variance, usable_blocks
from gwsa_qgis.science.seasonal_kendall import seasonal_kendall
from gwsa_qgis.science.serial_correlation import (
    ar1_variance_factor,
    hamed_rao_variance_factor,
    prewhitened,
    yue_wang_variance_factor,
)
from gwsa_qgis.science.theil_sen import theil_sen

CORRECTIONS = ("ar1", "none", "hamed_rao", "yue_wang", "trend_free_prewhitening", "seasonal")
# The safe one: the others call far more than 5 % of trendless but correlated series significant at 5 %.
SAFE_CORRECTIONS = ("ar1",)
VARIANCE_FACTORS = {
    "ar1": ar1_variance_factor,
    "hamed_rao": hamed_rao_variance_factor,
    "yue_wang": yue_wang_variance_factor,
}


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
        What the correction multiplied the variance with; 1 without correction. NaN for
        "trend_free_prewhitening" and "seasonal", which change the pairs instead.
    p_plain : ndarray
        Two-sided p value without correction.
    slope : ndarray
        The slope that belongs to the test, per month: for "seasonal" the median slope of pairs of the same calendar
        month, otherwise the Theil-Sen slope.
    """

    s: np.ndarray
    var_s: np.ndarray
    z: np.ndarray
    p: np.ndarray
    tau: np.ndarray
    variance_factor: np.ndarray
    p_plain: np.ndarray
    slope: np.ndarray


def mann_kendall(
    series: np.ndarray,
    correction: str = "ar1",
    *,
    slope: np.ndarray | None = None,
    minimum_share: float = 0.0,
    period: int = 12,
) -> MannKendall:
    """Test each series for a monotonic trend.

    Parameters
    ----------
    series : ndarray, shape (n_series, n_months)
        Monthly values; NaN or infinite values are missing and left out.
    correction : str, one of `CORRECTIONS`
        See the notes: only "ar1" is safe on monthly groundwater storage.
    slope : ndarray, shape (n_series,), optional
        Theil-Sen slopes per month, where they are known; computed otherwise.
    minimum_share : float
        Series with a smaller share of valid months give NaN, and so do those with fewer than 4 (5 for "ar1").
    period : int
        Months in a cycle, for "seasonal".

    Returns
    -------
    MannKendall

    Raises
    ------
    InvalidParameter
        If the correction is unknown, the series are not two-dimensional, or the share or the period is out of range.

    Notes
    -----
    Share of trendless series of 225 months that a correction calls significant at 5 %, by their month-to-month
    correlation. Monthly groundwater storage is mostly at 0.8 and above.

    =======================  ====  ====  ====  ====
    correction                  0   0.5   0.8  0.95
    =======================  ====  ====  ====  ====
    ar1                       .05   .04   .05   .07
    none                      .06   .22   .50   .74
    hamed_rao                 .09   .12   .24   .35
    yue_wang                  .48   .47   .51   .56
    trend_free_prewhitening   .06   .29   .69   .91
    seasonal                  .05   .22   .48   .73
    =======================  ====  ====  ====  ====

    - "ar1" multiplies the variance with the factor of a first-order autoregressive process, whose correlation is
      that of the series without its Theil-Sen trend, corrected for bias. It takes the series as they are: where STL has
      taken the season out, `pixel_trends` allows for that too.
    - "none" is the test as published. Unsafe.
    - "hamed_rao", "yue_wang", "trend_free_prewhitening" and "seasonal" equal the tests of pymannkendall with its
      defaults, and are here for comparison with published work. All are unsafe on monthly groundwater storage.
      As there, holes are closed up before correlations are taken; a series that is constant without its trend has no
      p value by the first two (but 1 where S is 0), and p = 1 by the third.
    - "seasonal" compares each calendar month with itself only: safe against the season, not against the
      correlation between years or months.

    References
    ----------
    Mann (1945), doi:10.2307/1907187; Kendall (1975), Rank Correlation Methods; section 2.7 of the paper. Factors:
    Hamed and Rao (1998), doi:10.1016/S0022-1694(97)00125-X, Yue and Wang (2004),
    doi:10.1023/B:WARM.0000043140.61082.60, "ar1" with analytic autocorrelations. Pre-whitening: Yue et al. (2002),
    doi:10.1002/hyp.1095. Seasonal: Hirsch and Slack (1984), doi:10.1029/WR020i006p00727.
    """
    if correction not in CORRECTIONS:
        raise InvalidParameter(f"the correction is {correction!r}", f"give one of {', '.join(CORRECTIONS)}")
    if period < 1:
        raise InvalidParameter(f"the period is {period} months", "give a period of at least 1 month")
    series = np.asarray(series)
    n_series = series.shape[0] if series.ndim else 0
    if slope is None:
        slope = theil_sen(series, confidence=None, minimum_share=minimum_share).slope
    slope = np.array(slope, np.float64)
    tested, plain = np.full((2, 3, n_series), np.nan)
    factor = np.full(n_series, 1.0 if correction == "none" else np.nan)
    for rows, values, times in usable_blocks(series, minimum_share):
        plain[:, rows] = kendall_sums(values)
        if correction == "trend_free_prewhitening":
            tested[:, rows] = kendall_sums(prewhitened(values, slope[rows]))
        elif correction == "seasonal":
            sums = seasonal_kendall(series[rows], period)
            tested[:, rows] = sums.s, sums.var_s, sums.pairs
            slope[rows] = sums.slope
        else:
            tested[:, rows] = plain[:, rows]
            if correction in VARIANCE_FACTORS:
                factor[rows] = VARIANCE_FACTORS[correction](values, times, slope[rows])
                tested[1, rows] *= factor[rows]
    s, var_s, pairs = tested
    z, p = standardise(s, var_s)
    p_plain = p if correction == "none" else standardise(*plain[:2])[1]
    return MannKendall(s, var_s, z, p, s / pairs, factor, p_plain, slope)


def kendall_sums(values: np.ndarray) -> np.ndarray:
    """Kendall's S, its tie-corrected variance and the number of pairs of each row, (3, n_block); S = 0 for all NaN."""
    n_values = values.shape[1]
    n_pairs = n_values * (n_values - 1) / 2
    falling, tied, tie_term = count_pairs(values)
    s = n_pairs - tied - 2.0 * falling
    s[np.isnan(values).all(axis=1)] = 0.0
    return np.stack([s, kendall_variance(n_values, tie_term), np.full(s.shape, n_pairs)])


def standardise(s: np.ndarray, var_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Z with continuity correction, and its two-sided p value; S = 0 has z = 0 and p = 1 whatever its variance."""
    from scipy.special import ndtr

    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(s == 0, 0.0, (s - np.sign(s)) / np.sqrt(var_s))
    return z, 2.0 * ndtr(-np.abs(z))

"""What month-to-month correlation does to the Mann-Kendall test, and the published ways to allow for it."""

from __future__ import annotations

import numpy as np

from gwsa_qgis.science.ranks import average_ranks

LARGEST_CORRELATION = 0.98
# Hamed and Rao leave out the autocorrelations that are not significant at this level.
LAG_SIGNIFICANCE = 0.05


def detrend(values: np.ndarray, times: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Subtract the trend and the mean; what is left of a series that is a line but for rounding becomes 0."""
    rest = values - slope[:, None] * times
    rest -= rest.mean(axis=1, keepdims=True)
    rounding = 16 * np.finfo(np.float64).eps * (np.abs(values).max(axis=1) + np.abs(slope) * times[:, -1])
    rest[np.abs(rest).max(axis=1) <= rounding] = 0.0
    return rest


def ar1_variance_factor(values: np.ndarray, times: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Factor 1 + 2 sum_k (1 - k/n) r^k on the variance of S for series with AR(1) correlation.

    Parameters
    ----------
    values : ndarray, shape (n_block, n_valid)
        Series without holes.
    times : ndarray, shape (n_block, n_valid)
        Their months; only pairs of consecutive months tell the correlation.
    slope : ndarray, shape (n_block,)
        Their Theil-Sen slopes per month.

    Returns
    -------
    ndarray, shape (n_block,)
        NaN where fewer than 5 values or no two consecutive months are left.
    """
    n_values = values.shape[1]
    if n_values < 5:
        return np.full(values.shape[0], np.nan)
    correlation = lag_one_correlation(detrend(values, times, slope), times)
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


def hamed_rao_variance_factor(values: np.ndarray, times: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Factor of Hamed and Rao (1998): from the significant autocorrelations of the ranks, at all lags.

    Holes are closed up, as pymannkendall does: `times` is not used, and a lag counts valid months.

    Returns
    -------
    ndarray, shape (n_block,)
        May be negative, where the test is impossible; NaN where the detrended series is constant.

    References
    ----------
    doi:10.1016/S0022-1694(97)00125-X; Eq. 18 there, as in ``pymannkendall.hamed_rao_modification_test``.
    """
    from scipy.special import ndtri

    n = values.shape[1]
    ranks = average_ranks(_detrended_by_position(values, slope))
    correlation = _autocorrelation(ranks)[:, 1:]
    bound = ndtri(1.0 - LAG_SIGNIFICANCE / 2.0) / np.sqrt(n)
    # Written so that NaN, from a constant series, counts and is handed on.
    kept = ~(np.abs(correlation) <= bound)
    lag = np.arange(1.0, n)
    weight = (n - lag) * (n - lag - 1.0) * (n - lag - 2.0)
    return 1.0 + 2.0 / (n * (n - 1.0) * (n - 2.0)) * np.where(kept, correlation * weight, 0.0).sum(axis=1)


def yue_wang_variance_factor(values: np.ndarray, times: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Factor of Yue and Wang (2004) from the autocorrelations at all lags, as pymannkendall has it by default.

    Holes are closed up, as pymannkendall does: `times` is not used, and a lag counts valid months.

    Returns
    -------
    ndarray, shape (n_block,)
        NaN where the detrended series is constant.

    References
    ----------
    doi:10.1023/B:WARM.0000043140.61082.60, as in ``pymannkendall.yue_wang_modification_test``.
    """
    n = values.shape[1]
    deviation = _centred(_detrended_by_position(values, slope))
    power = (deviation**2).sum(axis=1)
    # The sum over lags k of (1 - k/n) times the products at that lag, with partial sums instead of all products.
    partial = deviation.cumsum(axis=1)
    total = partial[:, -1:]
    products = (total[:, 0] ** 2 - power) / 2.0
    weighted_by_lag = (partial * (total - partial)).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return 1.0 + 2.0 * (products - weighted_by_lag / n) / power


def prewhitened(values: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Series without trend and without lag-one correlation, with the trend put back (Yue and Wang 2002).

    Holes are closed up, as pymannkendall does.

    Parameters
    ----------
    values : ndarray, shape (n_block, n_valid)
        Series without holes.
    slope : ndarray, shape (n_block,)
        Their Theil-Sen slopes per month.

    Returns
    -------
    ndarray, shape (n_block, n_valid - 1)
        NaN throughout where the detrended series is constant.

    References
    ----------
    doi:10.1002/hyp.1095, as in ``pymannkendall.trend_free_pre_whitening_modification_test``.
    """
    rest = _detrended_by_position(values, slope)
    n = values.shape[1]
    # In series with ties, rounding decides which values stay tied: the products are summed by the same routine as in
    # numpy.correlate, so that they are the ties of pymannkendall.
    products = [(np.dot(row[1:], row[:-1]) / n, np.dot(row, row) / n) for row in _centred(rest)]
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = np.divide(*np.array(products).T)
    white = rest[:, 1:] - rest[:, :-1] * correlation[:, None]
    return white + np.arange(1, white.shape[1] + 1) * slope[:, None]


def _detrended_by_position(values: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Subtract slope times position, from 1: the operations of pymannkendall, so that ties are the same ones."""
    return values - np.arange(1, values.shape[1] + 1) * slope[:, None]


def _centred(values: np.ndarray) -> np.ndarray:
    return values - values.mean(axis=1, keepdims=True)


def _autocorrelation(values: np.ndarray) -> np.ndarray:
    """Autocorrelation at lags 0 to n - 1, by the Fourier transform; NaN for constant series."""
    n = values.shape[1]
    deviation = _centred(values)
    length = 1 << (2 * n - 1).bit_length()
    spectrum = np.fft.rfft(deviation, length, axis=1)
    covariance = np.fft.irfft(spectrum.real**2 + spectrum.imag**2, length, axis=1)[:, :n]
    power = (deviation**2).sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(power > 0, covariance / power, np.nan)

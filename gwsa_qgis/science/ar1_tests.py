"""Tests of slopes under AR(1) noise that know what taking the season out does to the noise.

What is left of a series beside its trend is taken as a first-order autoregressive process whose correlation phi is
told by its lag-one correlation r. Taking the season out by STL, and bridging missing months for it, is linear: all that
a test needs follows exactly from phi and that operator - the expectation of r, and the variance of a slope over the
mean square of what is left. This matters: STL takes a quarter of the power of white noise away, but nothing at low
frequencies, so that a test that does not know of it calls 10 % of trendless white series significant at 5 %.

r tells phi with an error, and the variance rises steeply towards phi = 1. Two ways are offered: the phi whose expected r
is the one found, which suits the bounded statistic of Mann and Kendall; and, for slopes themselves, tail probabilities
averaged over all phi, each weighted by how well it explains r and by Jeffreys' prior.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from gwsa_qgis.science.stl import deseasonalise

CORRELATIONS = np.concatenate([np.linspace(0.0, 0.9, 31), np.linspace(0.91, 0.99, 9), [0.995]])
LAG_ONE = np.linspace(-0.3, 0.995, 130)
# Where the averaged tail and that of Student's t are made equal: the bounds of the trend classes.
MATCHED = (0.05, 0.01)


@dataclass(frozen=True)
class SlopeTests:
    """How to test slopes of least squares in one or two parts of a series, by the lag-one correlation found.

    Attributes
    ----------
    expected : ndarray, shape (n_phi,)
        Expected lag-one correlation for each phi (`CORRELATIONS`).
    at_phi : ndarray, shape (n_contrasts, n_phi)
        Variance of each slope, per month, over the mean square of what is left beside the lines, for each phi.
    correlation : ndarray, shape (130,)
        Mean phi for each of `LAG_ONE`.
    variance : ndarray, shape (n_contrasts, 130)
        The same, averaged, for each of `LAG_ONE`. With two parts there is a third contrast, the second slope less the
        first.
    freedom : ndarray, shape (n_contrasts, 130)
        Degrees of freedom of Student's t.
    """

    expected: np.ndarray
    at_phi: np.ndarray
    correlation: np.ndarray
    variance: np.ndarray
    freedom: np.ndarray

    def variance_by_phi(self, number: int, lag_one: np.ndarray) -> np.ndarray:
        """Variance of a contrast over the mean square, at the phi that is expected to give these lag-one correlations."""
        return np.interp(lag_one, self.expected, self.at_phi[number])

    def mean_correlation(self, lag_one: np.ndarray) -> np.ndarray:
        """Mean of the phi that could have given these lag-one correlations."""
        return np.interp(lag_one, LAG_ONE, self.correlation)

    def of_contrast(self, number: int, lag_one: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Variance over the mean square, and degrees of freedom, of a contrast at these lag-one correlations."""
        found = (np.interp(lag_one, LAG_ONE, table[number]) for table in (self.variance, self.freedom))
        return tuple(found)


def slope_tests(present: np.ndarray, parts: tuple[int, ...], without_season: bool) -> SlopeTests:
    """Tests for series with values in given months.

    Parameters
    ----------
    present : ndarray of bool, shape (n_months,)
        Months with values.
    parts : tuple of int
        Lengths in months of the one or two parts, each with a line of its own; they sum to n_months.
    without_season : bool
        Whether the season was taken out, by non-robust STL with a period of 12.

    Returns
    -------
    SlopeTests

    References
    ----------
    Expectation and variance of ratios of quadratic forms: from their traces. Allowing for the
    correlation in the standard error and in the degrees of freedom: Santer et al. (2000), doi:10.1029/1999JD901105.
    """
    return _slope_tests(np.asarray(present, bool).tobytes(), tuple(parts), without_season)


@lru_cache(maxsize=16)
def _slope_tests(present: bytes, parts: tuple[int, ...], without_season: bool) -> SlopeTests:
    expected, spread, freedom, variances = _moments(np.frombuffer(present, bool), parts, without_season)
    prior = np.gradient(CORRELATIONS) / np.sqrt(1.0 - CORRELATIONS**2)
    weight = np.exp(-0.5 * (LAG_ONE[:, None] - expected) ** 2 / spread) / np.sqrt(spread) * prior
    weight /= weight.sum(axis=1, keepdims=True)
    matched = [_matched_t(weight, freedom, variance) for variance in variances]
    return SlopeTests(
        expected, variances, weight @ CORRELATIONS, *(np.stack(part) for part in zip(*matched, strict=True))
    )


def _moments(
    present: np.ndarray, parts: tuple[int, ...], without_season: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """For each phi: expectation and variance of r, degrees of freedom, and variances of the contrasts.

    With e = K y left beside the lines of the series y, A the matrix that joins consecutive months and R that of the
    correlations phi^k, r is e'Ae / e'e, of which the expectations are tr(K'AKR) and tr(K'KR), and the mean square has
    tr(K'KR)^2 / tr(K'KRK'KR) degrees of freedom.
    """
    times = np.flatnonzero(present)
    n_values = times.size
    adjust = _season_remover(present) if without_season else np.eye(n_values)
    bounds = np.searchsorted(times, np.cumsum((0, *parts)))
    contrasts, residual = [], adjust.copy()
    for start, stop in zip(bounds[:-1], bounds[1:], strict=True):
        centred = np.zeros(n_values)
        centred[start:stop] = times[start:stop] - times[start:stop].mean()
        contrasts.append(centred @ adjust / (centred**2).sum())
        residual -= np.outer(centred, contrasts[-1])
        residual[start:stop] -= adjust[start:stop].mean(axis=0)
    if len(contrasts) == 2:
        contrasts.append(contrasts[1] - contrasts[0])
    power = residual.T @ residual
    consecutive = np.flatnonzero(np.diff(times) == 1)
    joined = residual[consecutive].T @ residual[consecutive + 1] * (n_values / consecutive.size)
    joined = (joined + joined.T) / 2.0
    lags = np.abs(times[:, None] - times)
    found = []
    for phi in CORRELATIONS:
        correlations = phi**lags if phi else np.eye(n_values)
        left = power @ correlations
        total = np.trace(left)
        expected = (joined * correlations).sum() / total
        ratio = (joined - expected * power) @ correlations
        # The expectation of the ratio is not the ratio of the expectations: to second order.
        mean = expected - 2.0 * (ratio * left.T).sum() / total**2
        variance = [contrast @ correlations @ contrast * n_values / total for contrast in contrasts]
        found.append((mean, 2.0 * (ratio * ratio.T).sum() / total**2, total**2 / (left * left.T).sum(), *variance))
    expected, spread, freedom, *variances = np.array(found).T
    return expected, spread, freedom, np.stack(variances)


def _season_remover(present: np.ndarray) -> np.ndarray:
    """The matrix that takes the season out of a series with these months, found from its effect on single months."""
    times = np.flatnonzero(present)
    series = np.full((times.size, present.size), np.nan)
    series[:, times] = np.eye(times.size)
    return deseasonalise(series)[:, times].T


def _matched_t(weight: np.ndarray, freedom: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variance and degrees of freedom of Student's t with the averaged quantiles at `MATCHED`, for each row of weights."""
    from scipy.special import stdtr, stdtrit

    scale = np.sqrt(variance)
    quantiles = []
    for level in MATCHED:
        low, high = np.full(len(weight), scale.min()), np.full(len(weight), 100.0 * scale.max())
        for _ in range(40):
            middle = np.sqrt(low * high)
            above = (weight * 2.0 * stdtr(freedom, -middle[:, None] / scale)).sum(axis=1) > level
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        quantiles.append(np.sqrt(low * high))
    choices = np.geomspace(2.0, 1e4, 400)
    ratios = stdtrit(choices, 1 - MATCHED[1] / 2) / stdtrit(choices, 1 - MATCHED[0] / 2)
    matched = np.interp(-quantiles[1] / quantiles[0], -ratios, choices)
    return (quantiles[0] / stdtrit(matched, 1 - MATCHED[0] / 2)) ** 2, matched

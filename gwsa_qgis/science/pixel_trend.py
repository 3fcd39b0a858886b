"""The trend of series from end to end: season taken out, slope, both p values, confidence limits of the slope."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.science.ar1_tests import slope_tests
from gwsa_qgis.science.mann_kendall import CORRECTIONS, mann_kendall, standardise
from gwsa_qgis.science.ranks import usable_blocks
from gwsa_qgis.science.seasonal_kendall import seasonal_kendall
from gwsa_qgis.science.serial_correlation import detrend, lag_one_correlation
from gwsa_qgis.science.stl import deseasonalise
from gwsa_qgis.science.theil_sen import theil_sen

LAYERS = ("slope", "p_value", "p_plain", "lower", "upper")
# Without a factor on the variance, limits of the slope belong to the plain test.
FACTORLESS = ("trend_free_prewhitening", "seasonal")
# Corrections whose limits ignore serial correlation, and are too narrow on monthly storage.
LIMITS_OF_INDEPENDENT_MONTHS = ("none", *FACTORLESS)


@dataclass(frozen=True)
class TrendSettings:
    """How trends are computed.

    Attributes
    ----------
    correction : str
        One of `CORRECTIONS`.
    without_season : bool
        Take the season out first, by STL.
    robust : bool
        Robust weights in STL.
    season_allowance : bool
        With "ar1": allow in the variance for what STL takes out of the noise. Off, the factor is the analytic one of a
        series that nothing was done to.
    confidence : float, optional
        Two-sided confidence of the limits; None leaves them out.
    """

    correction: str = "ar1"
    without_season: bool = True
    robust: bool = False
    season_allowance: bool = True
    confidence: float | None = None

    def __post_init__(self) -> None:
        if self.correction not in CORRECTIONS:
            raise InvalidParameter(f"the correction is {self.correction!r}", f"give one of {', '.join(CORRECTIONS)}")
        if self.confidence is not None and not 0 < self.confidence < 1:
            raise InvalidParameter(
                f"the confidence is {self.confidence}", "give a number between 0 and 1, such as 0.95"
            )

    @property
    def allows_for_season(self) -> bool:
        """Whether the variance allows for what taking the season out does to the noise."""
        return self.correction == "ar1" and self.without_season and self.season_allowance


def pixel_trends(series: np.ndarray, settings: TrendSettings, present: np.ndarray | None = None) -> np.ndarray:
    """Slope, p value, plain p value, and lower and upper limit of the slope, of each series.

    Parameters
    ----------
    series : ndarray, shape (n_series, n_months)
        Monthly values; NaN or infinite values are missing.
    settings : TrendSettings
    present : ndarray of bool, shape (n_months,), optional
        Months in which series of the same map have values; all where not given. Used by the allowance for the season.

    Returns
    -------
    ndarray, shape (5, n_series)
        As `LAYERS`; slopes (Theil-Sen, but for "seasonal") and limits per month. NaN where a series has too few months,
        and in both limits where none are asked for.

    Notes
    -----
    The limits are those of Gilbert (1987), with the factor that the correction puts on the variance. "seasonal" has its own
    slope, the median over pairs of the same calendar month, with Gilbert's limits for it. Its limits and those of
    "trend_free_prewhitening" and "none" take months as independent (`LIMITS_OF_INDEPENDENT_MONTHS`).
    """
    adjusted = take_season_out(series, settings.robust) if settings.without_season else np.asarray(series)
    lines = theil_sen(adjusted, confidence=None)
    correction = "none" if settings.allows_for_season else settings.correction
    test = mann_kendall(adjusted, correction, slope=lines.slope)
    p_value, factor = test.p, test.variance_factor
    if settings.allows_for_season:
        factor = _season_factor(adjusted, lines.slope, present)
        p_value = standardise(test.s, test.var_s * factor)[1]
    elif correction in FACTORLESS:
        factor = np.where(np.isfinite(lines.slope), 1.0, np.nan)
    lower = upper = np.full(lines.slope.shape, np.nan)
    if settings.confidence is not None and correction == "seasonal":
        seasonal = seasonal_kendall(adjusted, confidence=settings.confidence)
        known = np.isfinite(test.slope)
        lower, upper = np.where(known, seasonal.lower, np.nan), np.where(known, seasonal.upper, np.nan)
    elif settings.confidence is not None:
        limits = theil_sen(adjusted, confidence=settings.confidence, variance_factor=np.maximum(factor, 0.0))
        lower, upper = limits.lower, limits.upper
    return np.stack([test.slope, p_value, test.p_plain, lower, upper])


def take_season_out(series: np.ndarray, robust: bool) -> np.ndarray:
    """Deseasonalise; what is left of a series that is constant but for rounding becomes exactly so, and has no trend."""
    adjusted = deseasonalise(series, robust=robust)
    size = np.fmax.reduce(np.where(np.isfinite(series), np.abs(series), np.nan), axis=1)
    spread = np.fmax.reduce(adjusted, axis=1) - np.fmin.reduce(adjusted, axis=1)
    for row in np.flatnonzero(spread <= 64 * np.finfo(np.float64).eps * size):
        adjusted[row, np.isfinite(adjusted[row])] = np.nanmean(adjusted[row])
    return adjusted


def _season_factor(adjusted: np.ndarray, slope: np.ndarray, present: np.ndarray | None) -> np.ndarray:
    """Factor on the variance of S for AR(1) noise whose season was taken out, by what STL makes of its correlation."""
    n_months = adjusted.shape[1]
    present = np.ones(n_months, bool) if present is None else np.asarray(present, bool)
    lag_one = np.full(adjusted.shape[0], np.nan)
    for rows, values, times in usable_blocks(adjusted):
        lag_one[rows] = lag_one_correlation(detrend(values, times, slope[rows]), times)
    variance = slope_tests(present, (n_months,), True).variance_by_phi(0, lag_one)
    months = np.flatnonzero(present)
    # Over that of a slope of uncorrelated values, whose S has the plain variance.
    return variance * ((months - months.mean()) ** 2).sum() * (months.size - 2) / months.size

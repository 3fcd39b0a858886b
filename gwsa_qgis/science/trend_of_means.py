"""Trend of one series with its confidence limits and both p values: the chain of the maps, for means over areas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gwsa_qgis.science.pixel_trend import TrendSettings, pixel_trends


@dataclass(frozen=True)
class MeanTrend:
    """Theil-Sen slope of a series; all NaN where it has too few months.

    Attributes
    ----------
    slope, lower, upper : float
        Slope and its 95 % confidence limits, which allow for serial correlation as the test does.
    p, p_plain : float
        Mann-Kendall p values with the correction asked for and without.
    """

    slope: float
    lower: float
    upper: float
    p: float
    p_plain: float


def mean_trend(
    values: np.ndarray, correction: str = "ar1", *, deseasonalise: bool = True, months_in_unit: int = 1
) -> MeanTrend:
    """Trend of a series, as `steps.trend` finds it in a pixel.

    Parameters
    ----------
    values : ndarray, shape (n_months,)
        Monthly values; NaN is missing.
    correction : str
        Of `science.trend.mann_kendall`.
    deseasonalise : bool
        Take the seasonal part of STL out first.
    months_in_unit : int
        12 gives slopes a year.

    Raises
    ------
    InvalidParameter
        If the correction is unknown.
    """
    series = np.asarray(values, np.float64)
    settings = TrendSettings(correction, deseasonalise, confidence=0.95)
    slope, p, p_plain, lower, upper = pixel_trends(series[None], settings, np.isfinite(series))[:, 0].tolist()
    return MeanTrend(slope * months_in_unit, lower * months_in_unit, upper * months_in_unit, p, p_plain)

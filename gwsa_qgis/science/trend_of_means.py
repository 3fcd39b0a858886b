"""Trend of one series with its confidence limits and both p values: the chain of the maps, for means over areas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gwsa_qgis.science.trend import deseasonalise as take_season_out
from gwsa_qgis.science.trend import mann_kendall, theil_sen


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
    series = np.asarray(values, np.float64)[None]
    if deseasonalise:
        series = take_season_out(series)
    test = mann_kendall(series, correction)
    lines = theil_sen(series, variance_factor=test.variance_factor)
    slopes = (float(part[0]) * months_in_unit for part in (lines.slope, lines.lower, lines.upper))
    return MeanTrend(*slopes, float(test.p[0]), float(test.p_plain[0]))

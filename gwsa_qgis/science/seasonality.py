"""Seasonal contribution to groundwater dynamics (section 2.6 of the paper)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gwsa_qgis.errors import InvalidMonths, NoUsableData
from gwsa_qgis.months import calendar_year


def seasonality(series: np.ndarray, months: np.ndarray, minimum_months: int = 12, ddof: int = 0) -> np.ndarray:
    """Seasonal contribution C = s / (s + d) in percent (Eq. 20 of the paper).

    s is the standard deviation of the months of a year, averaged over the years; d is the standard deviation of the
    annual means. Above 50 % the seasons dominate.

    Parameters
    ----------
    series : ndarray, shape (n_series, n_months)
        Monthly values, any unit; what is not finite is missing.
    months : ndarray of datetime64[M], shape (n_months,)
        Their months.
    minimum_months : int
        A year counts, series by series, if it has at least so many values. Years with fewer than 12 put a part of
        the season into their annual mean.
    ddof : int
        0 divides the variances by the number of values, 1 by one less.

    Returns
    -------
    ndarray, shape (n_series,)
        Percent; NaN where fewer than two years count or nothing varies.

    Raises
    ------
    InvalidMonths
        If there are not as many months as values in a series.
    """
    series = np.asarray(series)
    months = np.asarray(months)
    if series.ndim != 2 or months.shape != series.shape[1:]:
        raise InvalidMonths(
            f"the series have shape {series.shape} and there are {months.size} months",
            "give an array (n_series, n_months) and one month per column",
        )
    years = calendar_year(months)
    within, means = [], []
    for year in np.unique(years):
        values = np.asarray(series[:, years == year], np.float64)
        valid = np.isfinite(values)
        count = valid.sum(axis=1)
        counts_as_year = count >= max(minimum_months, ddof + 1)
        divisor = np.where(counts_as_year, count, np.nan)
        mean = np.where(valid, values, 0.0).sum(axis=1) / divisor
        squares = np.where(valid, (values - mean[:, None]) ** 2, 0.0).sum(axis=1)
        within.append(np.sqrt(squares / (divisor - ddof)))
        means.append(mean)
    return _contribution(np.array(within), np.array(means), ddof)


def _contribution(within: np.ndarray, means: np.ndarray, ddof: int) -> np.ndarray:
    """Eq. 20 from standard deviations within years and annual means, (n_years, n_series), NaN in uncounted years."""
    counted = np.isfinite(means)
    n_years = counted.sum(axis=0).astype(np.float64)
    n_years[n_years < 2] = np.nan
    seasonal = np.where(counted, within, 0.0).sum(axis=0) / n_years
    overall = np.where(counted, means, 0.0).sum(axis=0) / n_years
    deviations = np.where(counted, (means - overall) ** 2, 0.0).sum(axis=0)
    interannual = np.sqrt(deviations / (n_years - ddof))
    total = seasonal + interannual
    return 100.0 * np.divide(seasonal, total, out=np.full_like(total, np.nan), where=total > 0)


def shares_above(
    contribution: np.ndarray, weights: np.ndarray, thresholds: Sequence[float] = (50.0, 66.0)
) -> dict[float, float]:
    """Share of the area with a seasonal contribution above each threshold, in percent (Fig. 7 of the paper).

    Parameters
    ----------
    contribution : ndarray
        Percent, as `seasonality` gives it; NaN is left out.
    weights : ndarray
        Area of each pixel, any unit, of a shape that broadcasts to that of the contributions.
    thresholds : sequence of float
        Percent.

    Returns
    -------
    dict of float to float
        Percent of the area by threshold.

    Raises
    ------
    NoUsableData
        If no pixel has a value and an area.
    """
    contribution = np.asarray(contribution, np.float64)
    area = np.where(np.isfinite(contribution), np.broadcast_to(weights, contribution.shape), 0.0)
    total = area.sum()
    if not total > 0:
        raise NoUsableData(
            "no pixel has a seasonal contribution", "give a stack of at least two complete years with values"
        )
    return {threshold: float(100.0 * area[contribution > threshold].sum() / total) for threshold in thresholds}

"""Seasonal contribution to groundwater dynamics (section 2.6 of the paper)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gwsa_qgis.errors import InvalidMonths, InvalidParameter, NoUsableData
from gwsa_qgis.months import calendar_year

THRESHOLDS = (50.0, 66.0)
# Series whose year is worked on at once: their values stay in the processor's cache.
SERIES_AT_ONCE = 8192


@dataclass(frozen=True)
class SeasonalParts:
    """What the seasonal contribution is made of; all arrays of shape (n_series,), NaN where fewer than two years count.

    Attributes
    ----------
    contribution : ndarray
        C = s / (s + d) in percent; NaN too where nothing varies.
    within : ndarray
        s, the standard deviation of the months of a year, averaged over the years; unit of the series.
    between : ndarray
        d, the standard deviation of the annual means; unit of the series.
    years : ndarray of int
        Years that count.
    """

    contribution: np.ndarray
    within: np.ndarray
    between: np.ndarray
    years: np.ndarray


def seasonality(series: np.ndarray, months: np.ndarray, minimum_months: int = 12, ddof: int = 0) -> np.ndarray:
    """Seasonal contribution C = s / (s + d) in percent (Eq. 20 of the paper), shape (n_series,).

    As `seasonal_parts`, of which it is the first.
    """
    return seasonal_parts(series, months, minimum_months, ddof).contribution


def seasonal_parts(series: np.ndarray, months: np.ndarray, minimum_months: int = 12, ddof: int = 0) -> SeasonalParts:
    """Seasonal contribution C = s / (s + d) (Eq. 20 of the paper), and its parts.

    s is the standard deviation of the months of a year, averaged over the years; d is the standard deviation of the
    annual means. Above 50 % the seasons dominate.

    Parameters
    ----------
    series : ndarray, shape (n_series, n_months)
        Monthly values, any unit; what is not finite is missing.
    months : ndarray of datetime64[M], shape (n_months,)
        Their months, in order.
    minimum_months : int
        A year counts, series by series, if it has at least so many values. Years with fewer than 12 put a part of
        the season into their annual mean.
    ddof : int
        0 divides the variances by the number of values, 1 by one less.

    Returns
    -------
    SeasonalParts

    Raises
    ------
    InvalidMonths
        If there are not as many months as values in a series.
    InvalidParameter
        If the least number of months is not 1 to 12.
    """
    series, months = np.asarray(series), np.asarray(months)
    if series.ndim != 2 or months.shape != series.shape[1:]:
        raise InvalidMonths(
            f"the series have shape {series.shape} and there are {months.size} months",
            "give an array (n_series, n_months) and one month per column",
        )
    if not 1 <= minimum_months <= 12:
        raise InvalidParameter(f"the least number of months of a year is {minimum_months}", "give 1 to 12")
    spans = year_spans(months)
    parts = [np.empty(len(series)) for _ in range(3)]
    counted = np.empty(len(series), int)
    for start in range(0, len(series), SERIES_AT_ONCE):
        here = slice(start, start + SERIES_AT_ONCE)
        within, means = _years(series[here].T, spans, max(minimum_months, ddof + 1), ddof)
        *found, counted[here] = _contribution(within, means, ddof)
        for part, values in zip(parts, found, strict=True):
            part[here] = values
    return SeasonalParts(*parts, counted)


def year_spans(months: np.ndarray) -> list[slice]:
    """Positions of each calendar year's months, which are in order."""
    edges = np.flatnonzero(np.diff(calendar_year(months))) + 1
    return [slice(first, last) for first, last in zip([0, *edges], [*edges, months.size], strict=True)]


def _years(
    by_month: np.ndarray, spans: Sequence[slice], minimum_months: int, ddof: int
) -> tuple[np.ndarray, np.ndarray]:
    """Standard deviations within years and annual means, (n_years, n_series) each; NaN in years that do not count."""
    within, means = (np.full((len(spans), by_month.shape[1]), np.nan) for _ in range(2))
    for year, span in enumerate(spans):
        values = np.array(by_month[span], np.float64)
        if len(values) < minimum_months:
            continue
        valid = np.isfinite(values)
        count: np.ndarray | int = len(values)
        if not valid.all():
            count = valid.sum(axis=0)
            values[~valid] = 0.0
        # A divisor that is NaN leaves years with too few months out.
        divisor = np.where(count >= minimum_months, count, np.nan)
        means[year] = values.sum(axis=0) / divisor
        values -= means[year]
        if not np.isscalar(count):
            values[~valid] = 0.0
        within[year] = np.sqrt(np.einsum("ij,ij->j", values, values) / (divisor - ddof))
    return within, means


def _contribution(within: np.ndarray, means: np.ndarray, ddof: int) -> tuple[np.ndarray, ...]:
    """Eq. 20 from standard deviations within years and annual means, (n_years, n_series), NaN in uncounted years."""
    counted = np.isfinite(means)
    n_years = counted.sum(axis=0)
    divisor = np.where(n_years >= 2, n_years, np.nan)
    seasonal = np.where(counted, within, 0.0).sum(axis=0) / divisor
    overall = np.where(counted, means, 0.0).sum(axis=0) / divisor
    deviations = np.where(counted, (means - overall) ** 2, 0.0).sum(axis=0)
    between = np.sqrt(deviations / (divisor - ddof))
    total = seasonal + between
    share = 100.0 * np.divide(seasonal, total, out=np.full_like(total, np.nan), where=total > 0)
    return share, seasonal, between, n_years


def shares_above(
    contribution: np.ndarray, weights: np.ndarray, thresholds: Sequence[float] = THRESHOLDS
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

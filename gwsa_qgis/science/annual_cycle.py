"""The month in which a year's course is highest, where such a course returns from year to year."""

from __future__ import annotations

import numpy as np

from gwsa_qgis.errors import InvalidMonths, InvalidParameter
from gwsa_qgis.months import calendar_month
from gwsa_qgis.science.seasonality import SERIES_AT_ONCE, year_spans

NO_MONTH = 0
LEVEL = 0.05
# Fewer years tell nothing of what returns.
FEWEST_YEARS = 5
MONTHS = 12
# What is rounding: courses relative to the values, and the scatter of yearly courses relative to their mean squared.
ROUNDING, SAME = 1e-11, 1e-24
ANGLES = 2 * np.pi * np.arange(MONTHS) / MONTHS
# Coefficients of the annual harmonic of twelve values.
HARMONIC = np.stack([np.cos(ANGLES), np.sin(ANGLES)]) / (MONTHS / 2)
# Months from the middle of the year.
ALONG = np.arange(MONTHS) - (MONTHS - 1) / 2


def maximum_month(series: np.ndarray, months: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """Calendar month of the maximum of the mean annual course, where an annual course is significant.

    Parameters
    ----------
    series : ndarray, shape (n_series, n_months)
        Monthly values, any unit; what is not finite is missing.
    months : ndarray of datetime64[M], shape (n_months,)
        Their months, contiguous and in order.
    level : float
        p value below which an annual course is taken for real.

    Returns
    -------
    ndarray of uint8, shape (n_series,)
        1 to 12; 0 where fewer than 5 calendar years are complete, or no annual course returns.

    Raises
    ------
    InvalidMonths
        If there are not as many months as values in a series.
    InvalidParameter
        If the level is not between 0 and 1.

    Notes
    -----
    Only calendar years with all twelve values count. Each is taken relative to its own mean, and the linear trend of the
    annual means is taken out, which would otherwise make January or December the highest month of every falling or
    rising series. Whether a course returns is Hotelling's T-squared test of the yearly annual harmonics (two
    coefficients a year) against zero: years are nearly independent where months are not, so that slow wandering of
    the storage is not taken for a season. A regime with two equal maxima half a year apart has no annual harmonic.
    """
    series, months = np.asarray(series), np.asarray(months)
    if series.ndim != 2 or months.shape != series.shape[1:]:
        raise InvalidMonths(
            f"the series have shape {series.shape} and there are {months.size} months",
            "give an array (n_series, n_months) and one month per column",
        )
    if (np.diff(months.astype("datetime64[M]")).astype(int) != 1).any():
        raise InvalidMonths("the months are not contiguous", "give every month once, in order")
    if not 0 < level < 1:
        raise InvalidParameter(f"the level of the test is {level}", "give a number between 0 and 1, such as 0.05")
    found = np.zeros(len(series), np.uint8)
    spans = [span for span in year_spans(months) if span.stop - span.start == MONTHS]
    if len(spans) < FEWEST_YEARS or (calendar_month(months[spans[0]]) != np.arange(1, MONTHS + 1)).any():
        return found
    complete = slice(spans[0].start, spans[-1].stop)
    for start in range(0, len(series), SERIES_AT_ONCE):
        here = slice(start, start + SERIES_AT_ONCE)
        years = np.array(series[here, complete].T, np.float64).reshape(len(spans), MONTHS, -1)
        found[here] = _maximum(years, level)
    return found


def _maximum(years: np.ndarray, level: float) -> np.ndarray:
    """Month of the maximum, from values of shape (n_years, 12, n_series)."""
    means = years.mean(axis=1)
    counted = np.isfinite(means)
    n_years = counted.sum(axis=0)
    means[~counted] = 0.0
    departures = years - means[:, None]
    np.copyto(departures, 0.0, where=~counted[:, None])
    number = np.maximum(n_years, 1)
    rise = _yearly_rise(means, counted, number) / MONTHS
    course = departures.sum(axis=0) / number - rise * ALONG[:, None]
    # (n_years, 2, n_series), the trend's own part taken out
    harmonics = np.matmul(HARMONIC, departures) - (HARMONIC @ ALONG)[:, None] * rise
    harmonics[np.abs(harmonics) <= ROUNDING * np.abs(departures).max(axis=(0, 1))] = 0.0
    harmonics *= counted[:, None]
    returns = (_no_course(harmonics, counted, number) < level) & (n_years >= FEWEST_YEARS)
    return np.where(returns, course.argmax(axis=0) + 1, NO_MONTH).astype(np.uint8)


def _yearly_rise(means: np.ndarray, counted: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Least-squares slope of annual means (n_years, n_series) a year, over the years that count."""
    along = np.arange(len(means), dtype=float)[:, None] * counted
    centred = (along - along.sum(axis=0) / number) * counted
    spread = (centred**2).sum(axis=0)
    return (centred * means).sum(axis=0) / np.where(spread > 0, spread, np.inf)


def _no_course(harmonics: np.ndarray, counted: np.ndarray, number: np.ndarray) -> np.ndarray:
    """P values of Hotelling's T-squared test that yearly harmonics (n_years, 2, n_series) are zero on average.

    T-squared of n pairs is (n - 1) (|W + n m m'| / |W| - 1), W being their scatter about the mean m; the upper tail of
    F with 2 and n - 2 degrees of freedom is then (|W| / |W + n m m'|) to the power of (n - 2) / 2.
    """
    mean = harmonics.sum(axis=0) / number
    centred = (harmonics - mean) * counted[:, None]
    (xx, yy), xy = (centred**2).sum(axis=0), (centred[:, 0] * centred[:, 1]).sum(axis=0)
    scatter = np.maximum(xx * yy - xy**2, 0.0)
    between = number * (mean[0] ** 2 * yy - 2 * mean[0] * mean[1] * xy + mean[1] ** 2 * xx)
    about_zero = scatter + np.maximum(between, 0.0)
    share = np.divide(scatter, about_zero, out=np.ones_like(scatter), where=about_zero > 0)
    # The same course in every year, to rounding.
    share[xx + yy <= SAME * number * (mean**2).sum(axis=0)] = 0.0
    share[(harmonics == 0).all(axis=(0, 1))] = 1.0
    return share ** (np.maximum(number - 2, 0) / 2)

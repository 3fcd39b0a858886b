"""Drought index: storage as a standardised anomaly of its calendar month, its classes, and spells of drought."""

from __future__ import annotations

import numpy as np

from gwsa_qgis.errors import InvalidMonths, InvalidParameter, NoUsableData
from gwsa_qgis.months import calendar_month

METHODS = ("grace_dsi", "ggdi")
# Zhao et al. (2017), Table 1: a value at a limit is of the severer class.
THRESHOLDS = (0.5, 0.8, 1.3, 1.6, 2.0)
NORMAL, NODATA_CLASS = 6, 0
CLASS_NAMES = {
    1: "D4 exceptional drought",
    2: "D3 extreme drought",
    3: "D2 severe drought",
    4: "D1 moderate drought",
    5: "D0 abnormally dry",
    6: "normal",
    7: "W0 slightly wet",
    8: "W1 moderately wet",
    9: "W2 very wet",
    10: "W3 extremely wet",
    11: "W4 exceptionally wet",
}
# Moderate drought or worse; D0 is dryness, not drought.
WORST_CLASS, MILDEST_CLASS = 1, 4
# A standard deviation cannot be had from fewer.
FEWEST_YEARS = 3
SERIES_AT_ONCE, VALUES_AT_ONCE = 2048, 2**18
YEAR = 12
# Spread of float32 values, relative to the largest of them, that is rounding.
ROUNDING = 1e-6


def drought_index(
    values: np.ndarray,
    months: np.ndarray,
    method: str = "grace_dsi",
    *,
    reference: np.ndarray | None = None,
    minimum_years: int = 10,
    detrend: bool = False,
) -> np.ndarray:
    """Standardised anomaly of storage, calendar month by calendar month.

    Parameters
    ----------
    values : ndarray, shape (n_months, n_series)
        Storage or its anomaly, any unit; what is not finite is missing.
    months : ndarray of datetime64[M], shape (n_months,)
        Contiguous calendar months.
    method : {"grace_dsi", "ggdi"}
        ``grace_dsi``: (value - mean of its calendar month) / standard deviation of its calendar month. ``ggdi``:
        deviations from the means of the calendar months, less their own mean and over their own standard deviation.
    reference : ndarray of bool, shape (n_months,), optional
        Months that means and standard deviations are taken over; all where not given.
    minimum_years : int
        A calendar month has an index only where at least so many of its values are among the reference.
    detrend : bool
        Take out the linear trend of each series first: the least-squares slope common to all calendar months, each
        about its own mean, so that neither the season nor an incomplete year leans on it.

    Returns
    -------
    ndarray of float32, shape (n_months, n_series)
        NaN where missing, where too few years are there, and where nothing varies.

    Raises
    ------
    InvalidParameter
        If the method is unknown, or fewer than 3 years are asked for.
    InvalidMonths
        If months are not contiguous or not as many as values.
    NoUsableData
        If no calendar month has that many years in the reference.

    Notes
    -----
    Standard deviations divide by n - 1. The largest deviation that n values can have is (n - 1) / sqrt(n) of them, so
    that D4 and W4 (2.0) need at least 6 years.

    References
    ----------
    GRACE-DSI: Zhao, A, Velicogna and Kimball (2017), doi:10.1175/JHM-D-16-0182.1. GGDI: Thomas, Famiglietti, Landerer,
    Wiese, Molotch and Argus (2017), doi:10.1016/j.rse.2017.06.026.
    """
    values, months = np.asarray(values), np.asarray(months, "datetime64[M]")
    used = np.ones(months.size, bool) if reference is None else np.asarray(reference, bool)
    _check(values, months, method, used, minimum_years)
    index = np.empty(values.shape, np.float32)
    for start in range(0, values.shape[1], SERIES_AT_ONCE):
        here = slice(start, start + SERIES_AT_ONCE)
        block = np.array(values[:, here], np.float64)
        block[~np.isfinite(block)] = np.nan
        index[:, here] = _index(block, months, method, used, minimum_years, detrend)
    return index


def _check(values: np.ndarray, months: np.ndarray, method: str, used: np.ndarray, minimum_years: int) -> None:
    if method not in METHODS:
        raise InvalidParameter(f"the method is {method!r}", f"give one of {', '.join(METHODS)}")
    if minimum_years < FEWEST_YEARS:
        raise InvalidParameter(
            f"the least number of years is {minimum_years}", f"give {FEWEST_YEARS} or more, such as 10"
        )
    if values.ndim != 2 or months.shape != values.shape[:1] or used.shape != months.shape:
        raise InvalidMonths(
            f"the values have shape {values.shape}, there are {months.size} months and {used.size} marks of reference",
            "give an array (n_months, n_series), and a month and a mark for each of its rows",
        )
    if (np.diff(months).astype(int) != 1).any():
        raise InvalidMonths("the months are not contiguous", "give every month once, in order")
    most = np.bincount(calendar_month(months[used]), minlength=YEAR + 1).max()
    if most < minimum_years:
        raise NoUsableData(
            f"no calendar month has more than {most} years in the reference period, and {minimum_years} are wanted",
            "give a longer stack or reference period, or fewer years",
        )


def _index(
    block: np.ndarray, months: np.ndarray, method: str, used: np.ndarray, minimum_years: int, detrend: bool
) -> np.ndarray:
    """Index of a block of series (n_months, n_series), which is changed."""
    valid = np.isfinite(block)
    complete = bool(valid.all())
    if not complete:
        block[~valid] = 0.0
    rounding = ROUNDING * np.maximum(block.max(axis=0), -block.min(axis=0))
    places = [slice(k, None, YEAR) for k in range(min(YEAR, len(block)))]
    if detrend:
        block -= _slope(block, valid, places) * np.arange(len(block))[:, None]
    # 1 where a value counts; a column where all series have all months, and so a fraction of the work
    known = used[:, None].astype(float) if complete else (valid & used[:, None]).astype(float)
    spread = np.empty((len(places), block.shape[1]))
    for number, place in enumerate(places):
        part, weight = block[place], known[place]
        count = weight.sum(axis=0)
        part -= np.einsum("ij,ij->j", part, weight) / np.where(count >= minimum_years, count, np.nan)
        spread[number] = _deviation(part, weight, count)
    if method == "ggdi":
        block -= _whole(block, known, spread)
    for number, place in enumerate(places):
        deviation = spread[number]
        block[place] /= np.where(deviation > rounding, deviation, np.nan)
    if not complete:
        block[~valid] = np.nan
    return block


def _deviation(centred: np.ndarray, weight: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Standard deviation of centred values (n, n_series) with weights of 0 and 1."""
    squares = np.einsum("ij,ij,ij->j", centred, centred, np.broadcast_to(weight, centred.shape))
    return np.sqrt(squares / np.maximum(count - 1, 1))


def _slope(block: np.ndarray, valid: np.ndarray, places: list[slice]) -> np.ndarray:
    """Least-squares slope per month of each series about the means of its calendar months, (n_series,)."""
    time = np.arange(len(block), dtype=float)[:, None]
    products, squares = np.zeros(block.shape[1]), np.zeros(block.shape[1])
    for place in places:
        known = valid[place].astype(float)
        times = time[place] * known
        times -= times.sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        times *= known
        products += np.einsum("ij,ij->j", times, block[place])
        squares += np.einsum("ij,ij->j", times, times)
    return products / np.where(squares > 0, squares, np.inf)


def _whole(block: np.ndarray, known: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Mean of the deviations over the reference, (n_series,); puts their standard deviation into `spread`."""
    # Calendar months with too few years have no deviations.
    known = np.where(np.isfinite(block), known, 0.0)
    count = known.sum(axis=0)
    values = np.nan_to_num(block)
    mean = np.einsum("ij,ij->j", values, known) / np.maximum(count, 1)
    spread[:] = _deviation(values - mean, known, count)
    return mean


def drought_classes(index: np.ndarray) -> np.ndarray:
    """Classes of the index, D4 (1) to W4 (11), by the limits of Zhao et al. (2017); 0 where it is NaN.

    Parameters
    ----------
    index : ndarray
        Of any shape.

    Returns
    -------
    ndarray of uint8
    """
    index = np.asarray(index)
    flat = index.ravel()
    classes = np.empty(flat.size, np.uint8)
    for start in range(0, flat.size, VALUES_AT_ONCE):
        part = flat[start : start + VALUES_AT_ONCE]
        size, grade = np.abs(part), np.zeros(part.size, np.int8)
        for limit in THRESHOLDS:
            grade += size >= limit
        np.negative(grade, out=grade, where=part < 0)
        grade += NORMAL
        grade[np.isnan(part)] = NODATA_CLASS
        classes[start : start + VALUES_AT_ONCE] = grade
    return classes.reshape(index.shape)


def drought_spells(classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How often, and for how long at a stretch, there was moderate drought or worse (D1 to D4).

    Parameters
    ----------
    classes : ndarray of uint8, shape (n_months, n_series)
        As `drought_classes` gives them; a month without a class ends a spell.

    Returns
    -------
    share : (n_series,) float64
        Percent of the months that have a class; NaN where none has.
    longest : (n_series,) float64
        Months of the longest spell; NaN where no month has a class.
    """
    classes = np.asarray(classes)
    known = (classes != NODATA_CLASS).sum(axis=0)
    dry = (classes >= WORST_CLASS) & (classes <= MILDEST_CLASS)
    run, longest = (np.zeros(classes.shape[1], np.int32) for _ in range(2))
    for month in dry:
        run += 1
        run *= month
        np.maximum(longest, run, out=longest)
    number = np.where(known > 0, known, np.nan)
    return 100.0 * dry.sum(axis=0) / number, np.where(known > 0, longest, np.nan)

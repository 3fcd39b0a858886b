"""Plain ways to fill gaps, for comparison with SSA: harmonics, and autoregression about them.

Both work on many series that miss the same months at once. Harmonics are the least-squares line with an annual and a
semi-annual cycle; the autoregressive filling adds what the neighbouring observations say of the departure from it, as
the expectation of the missing values of a Gaussian autoregressive process given all observed ones.
"""

from __future__ import annotations

import numpy as np

from gwsa_qgis.errors import NoUsableData

HARMONIC_TERMS = 6
"""Unknowns of the harmonic model: level, line, two of the annual and two of the semi-annual cycle."""

LARGEST_ORDER = 6
"""Largest order of the autoregression; AIC chooses one from 1 up to it, series by series."""

REFINEMENTS = 3
"""Times that the autoregression is estimated anew from the series as filled by its predecessor (Janssen et al. 1986)."""


def harmonic_model(months: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Matrix that turns the observed values of a series into its harmonic model at every month.

    Parameters
    ----------
    months : ndarray of datetime64[M], shape (n,)
        The calendar months.
    observed : ndarray of bool, shape (n,)
        Months with a value.

    Returns
    -------
    ndarray, shape (n, n_observed)
        Least squares of level, line, annual and semi-annual cycle.

    Raises
    ------
    NoUsableData
        If the observed months do not determine the six unknowns.
    """
    years = months.astype("datetime64[M]").astype(np.int64) / 12.0
    design = np.column_stack(
        [np.ones(years.size), years - years[observed].mean() if observed.any() else years]
        + [wave(2 * np.pi * cycles * years) for cycles in (1, 2) for wave in (np.cos, np.sin)]
    )
    if np.count_nonzero(observed) < HARMONIC_TERMS or np.linalg.matrix_rank(design[observed]) < HARMONIC_TERMS:
        raise NoUsableData(
            f"{np.count_nonzero(observed)} observed months do not determine a line and two yearly cycles",
            "give a longer record",
        )
    return design @ np.linalg.pinv(design[observed])


def fill_harmonic(series: np.ndarray, months: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Fill unobserved months with line, annual and semi-annual cycle fitted to the observed ones.

    Parameters
    ----------
    series : ndarray, shape (b, n)
        Values; those of unobserved months are not looked at.
    months : ndarray of datetime64[M], shape (n,)
        The calendar months.
    observed : ndarray of bool, shape (n,)
        Months with a value, the same in all series.

    Returns
    -------
    ndarray, shape (b, n)
        Observed values as given, the model elsewhere.

    Raises
    ------
    NoUsableData
        If the observed months do not determine the model.
    """
    model = series[:, observed] @ harmonic_model(months, observed).T
    return np.where(observed, series, model)


def fill_autoregressive(series: np.ndarray, months: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Fill unobserved months with the harmonic model and the autoregressive expectation of the departure from it.

    The coefficients are those of the Yule-Walker equations, of the order up to `LARGEST_ORDER` with the least AIC,
    estimated from departures whose gaps are filled with the expectation under the previous estimate (Janssen,
    Veldhuis & Vries 1986, doi:10.1109/TASSP.1986.1164824).

    Parameters, return value and errors are those of `fill_harmonic`.
    """
    model = series[:, observed] @ harmonic_model(months, observed).T
    departure = np.where(observed, series - model, 0.0)
    if observed.all():
        return np.array(series, dtype=float)
    largest = min(LARGEST_ORDER, observed.size // 2)
    for _ in range(REFINEMENTS):
        departure = expected_missing(departure, ~observed, yule_walker(departure, largest))
    return np.where(observed, series, model + departure)


def yule_walker(series: np.ndarray, largest_order: int) -> np.ndarray:
    """Prediction-error filters 1, a_1, ..., a_p of autoregressions whose order is chosen by AIC.

    Parameters
    ----------
    series : ndarray, shape (b, n)
        Complete series about zero.
    largest_order : int
        p, smaller than n. Coefficients beyond the chosen order are zero.

    Returns
    -------
    ndarray, shape (b, p + 1)
        x_t + a_1 x_(t-1) + ... + a_p x_(t-p) is white. The biased autocovariances make every filter stable. Series
        of zeros get 1, 0, ..., 0.
    """
    b, n = series.shape
    lags = range(largest_order + 1)
    covariance = np.stack([np.einsum("bt,bt->b", series[:, lag:], series[:, : n - lag]) for lag in lags], axis=1) / n
    error = covariance[:, 0].copy()
    filters = np.zeros((b, largest_order + 1))
    filters[:, 0] = 1.0
    best, best_criterion = filters.copy(), np.full(b, np.inf)
    for order in range(1, largest_order + 1):  # Levinson's recursion
        numerator = np.einsum("bk,bk->b", filters[:, :order], covariance[:, order:0:-1])
        reflection = np.divide(-numerator, error, out=np.zeros(b), where=error > 0)
        filters[:, : order + 1] += reflection[:, None] * filters[:, order::-1]
        error = error * (1 - reflection**2)
        criterion = n * np.log(np.maximum(error, np.finfo(float).tiny)) + 2 * order
        better = criterion < best_criterion
        best[better], best_criterion[better] = filters[better], criterion[better]
    return best


def expected_missing(series: np.ndarray, missing: np.ndarray, filters: np.ndarray) -> np.ndarray:
    """Expectation of missing values of a stationary Gaussian autoregression, given all the others.

    Parameters
    ----------
    series : ndarray, shape (b, n)
        Series about zero; missing values are not looked at.
    missing : ndarray of bool, shape (n,)
        Which they are, the same in all series.
    filters : ndarray, shape (b, p + 1)
        Prediction-error filters, the first coefficient 1; p is at most n / 2.

    Returns
    -------
    ndarray, shape (b, n)

    Notes
    -----
    With the inverse covariance Q, the expectation solves Q_mm x_m = -Q_mo x_o. Q is banded: up to a factor, element
    (i, j) with l = |i - j| <= p is the sum of a_k a_(k + l) over k from 0 to p - l, cut off at the distances of i and
    j from the ends of the series (what remains of the formula of Gohberg and Semencul).
    """
    n, p = series.shape[1], filters.shape[1] - 1
    places = np.flatnonzero(missing)
    filled = np.where(missing, 0.0, series)
    partial = np.zeros((len(series), p + 1, p + 1))  # (lag, last k of the sum)
    for lag in range(p + 1):
        partial[:, lag, : p + 1 - lag] = np.cumsum(filters[:, : p + 1 - lag] * filters[:, lag:], axis=1)

    def precision(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        lag = np.abs(i - j)
        last = np.minimum(np.minimum(np.minimum(i, j), n - 1 - np.maximum(i, j)), p - lag)
        inside = last >= 0
        return partial[:, np.where(inside, lag, 0), np.where(inside, last, 0)] * inside

    rows = places[:, None]
    near = np.clip(rows + np.arange(-p, p + 1), 0, n - 1)
    # Beyond the ends the clipped neighbour would count twice.
    inside = (rows + np.arange(-p, p + 1) == near) & ~missing[near]
    right = np.einsum("bml,bml->bm", precision(rows, near), filled[:, near] * inside)
    filled[:, places] = np.linalg.solve(precision(rows, places[None, :]), -right[..., None])[..., 0]
    return filled

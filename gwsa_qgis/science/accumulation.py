"""Running sums of monthly amounts."""

from __future__ import annotations

import numpy as np

from gwsa_qgis.months import calendar_month

GAP_RULES = ("climatology", "zero", "propagate")


def running_sum(values: np.ndarray, months: np.ndarray, gaps: str = "climatology") -> tuple[np.ndarray, int]:
    """Sum since the first month.

    Parameters
    ----------
    values : (n_months, ...) array
        Amounts of each month, NaN where missing.
    months : (n_months,) datetime64[M]
    gaps : {"climatology", "zero", "propagate"}
        What a missing amount adds: the mean of the same calendar month (of all months where that has none), nothing,
        or NaN from there on.

    Returns
    -------
    total : (n_months, ...) float64
        NaN where a series has no value at all.
    missing : int
        Missing amounts in series that have others.
    """
    absent = np.isnan(values)
    has_any = ~absent.all(axis=0)
    missing = int((absent & has_any).sum())
    amounts = values.astype(float)
    if missing and gaps != "propagate":
        amounts = np.where(absent, 0.0, amounts)
        if gaps == "climatology":
            amounts += _climatology(amounts, absent, calendar_month(months))
    total = np.cumsum(amounts, axis=0)
    total[:, ~has_any] = np.nan
    return total, missing


def _climatology(amounts: np.ndarray, absent: np.ndarray, calendar: np.ndarray) -> np.ndarray:
    """Amounts for the absent values, zero elsewhere."""
    with np.errstate(invalid="ignore", divide="ignore"):
        overall = amounts.sum(axis=0) / (~absent).sum(axis=0)
        out = np.zeros_like(amounts)
        for month in np.unique(calendar):
            at = calendar == month
            count = (~absent[at]).sum(axis=0)
            mean = np.where(count > 0, amounts[at].sum(axis=0) / count, overall)
            out[at] = np.where(absent[at], mean, 0.0)
    return out

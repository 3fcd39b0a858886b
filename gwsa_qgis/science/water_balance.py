"""The water balance that leaves groundwater: Eq. 15 of the data set's paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gwsa_qgis.errors import InvalidMonths, InvalidParameter

DEFAULT_BASELINE = ("2004-01", "2009-12")


@dataclass(frozen=True)
class Balance:
    """Groundwater storage anomalies and what they rest on.

    Attributes
    ----------
    groundwater : ndarray, shape (n_months, ...)
        GWSA in the unit of the inputs; NaN where a component is missing or a cell has no month of the baseline.
    baseline_months : ndarray of int, shape (...)
        Months of the baseline that every component of a cell has, over which all of its means were taken.
    """

    groundwater: np.ndarray
    baseline_months: np.ndarray


def groundwater_anomaly(
    total: np.ndarray,
    storages: Sequence[np.ndarray],
    months: np.ndarray,
    *,
    observed: np.ndarray | None = None,
    filled: np.ndarray | None = None,
    baseline: tuple[str, str] = DEFAULT_BASELINE,
) -> Balance:
    """Groundwater storage anomaly as what other storages leave of total water storage.

    GWSA = dTWS - (dSMS + dSWE + dCWS), Eq. 15, d being the anomaly to the mean over the baseline.

    Parameters
    ----------
    total : ndarray, shape (n_months, ...)
        Total water storage (anomaly), gaps filled or not; NaN where missing.
    storages : sequence of ndarray, shape (n_months, ...)
        The storages to take away, as levels or anomalies to any reference, in the unit of `total`.
    months : ndarray of datetime64[M], shape (n_months,)
        Calendar months.
    observed : ndarray, shape (n_months, ...), optional
        Total water storage with its gaps as NaN. Months that it has give GWSA_obs and stay as observed; the others
        are taken from `total` (GWSA_SSA).
    filled : ndarray of bool, shape (n_months,), optional
        Months of `total` that come from gap filling, where that is known.
    baseline : (str, str)
        First and last month, both included.

    Returns
    -------
    Balance

    Notes
    -----
    The means of all components of a cell are taken over the same months: those of the baseline in which the cell has
    an observed total (in `observed` where given, else in `total` and not among `filled`) and every storage. So a
    month that one component lacks shifts none against the others, and the reference does not depend on how gaps were
    filled. GRACE lacks no month of 2004 to 2009, so there this choice changes nothing.

    Raises
    ------
    InvalidMonths
        If no month lies in the baseline.
    InvalidParameter
        If the shapes of the components differ.
    """
    total = np.asarray(total, float)
    parts = [np.asarray(storage, float) for storage in storages]
    for part in [*parts, *([observed] if observed is not None else [])]:
        if part.shape != total.shape:
            raise InvalidParameter(
                f"a component has the shape {part.shape} and the total water storage {total.shape}",
                "give all components for the same months and cells",
            )
    inside = baseline_mask(months, baseline)
    usable = np.isfinite(total)
    if observed is not None:
        usable &= np.isfinite(observed)
    elif filled is not None:
        usable &= ~np.asarray(filled, bool).reshape(-1, *[1] * (total.ndim - 1))
    for part in parts:
        usable &= np.isfinite(part)
    usable = usable[inside]
    anomaly = total - _mean(total[inside], usable)
    if observed is not None:
        from_observed = observed - _mean(np.asarray(observed, float)[inside], usable)
        anomaly = np.where(np.isfinite(from_observed), from_observed, anomaly)
    for part in parts:
        anomaly -= part - _mean(part[inside], usable)
    return Balance(anomaly, np.count_nonzero(usable, axis=0))


def baseline_mask(months: np.ndarray, baseline: tuple[str, str]) -> np.ndarray:
    """Which months lie in the baseline.

    Raises
    ------
    InvalidMonths
        If the limits are no months, or no month lies between them.
    """
    try:
        first, last = (np.datetime64(limit, "M") for limit in baseline)
    except ValueError:
        raise InvalidMonths(f"the baseline {' to '.join(baseline)} is not a pair of months", "give YYYY-MM") from None
    inside = (months >= first) & (months <= last)
    if not inside.any():
        raise InvalidMonths(
            f"the baseline {first} to {last} has no month in common with the data ({months[0]} to {months[-1]})",
            "give a baseline inside the data, the first month before the last",
        )
    return inside


def propagated_error(*errors: np.ndarray) -> np.ndarray:
    """Error of a sum or difference of independent components: the root of the sum of their squares."""
    return np.sqrt(sum(np.square(np.asarray(error, float)) for error in errors))


def _mean(values: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Mean over the usable months of each cell; NaN where there is none."""
    count = np.count_nonzero(usable, axis=0)
    total = np.where(usable, values, 0.0).sum(axis=0)
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)

"""Scores of estimates against actual values (Eqs. 16-18)."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from gwsa_qgis.errors import InvalidParameter


@dataclass(frozen=True)
class Scores:
    """How well estimates meet actual values.

    Attributes
    ----------
    n : int
        Pairs in which both are valid.
    r2 : float
        Coefficient of determination, 1 - SSE / SST (Eq. 16): negative when the mean would do better.
    cc : float
        Pearson's correlation coefficient (Eq. 17).
    rmse : float
        Root mean square error, in the unit of the values (Eq. 18).
    """

    n: int
    r2: float
    cc: float
    rmse: float

    def as_dict(self) -> dict[str, float]:
        """Scores by name."""
        return asdict(self)


def score(actual: np.ndarray, estimate: np.ndarray, weights: np.ndarray | None = None) -> Scores:
    """Compare estimates with actual values; pairs with a NaN are left out.

    Parameters
    ----------
    actual, estimate : ndarray of one shape
    weights : ndarray, broadcastable to that shape, optional
        Areas; equal when not given.

    Returns
    -------
    Scores
        NaN where a score is not defined: all without pairs, R2 and CC without variance.

    Raises
    ------
    InvalidParameter
        If the shapes differ.
    """
    actual, estimate = np.asarray(actual, np.float64), np.asarray(estimate, np.float64)
    if actual.shape != estimate.shape:
        raise InvalidParameter(
            f"actual values of shape {actual.shape} were given with estimates of shape {estimate.shape}",
            "give one estimate for each actual value",
        )
    weight = np.ones(actual.shape) if weights is None else np.broadcast_to(weights, actual.shape)
    both = np.isfinite(actual) & np.isfinite(estimate) & (weight > 0)
    a, e, w = actual[both], estimate[both], np.asarray(weight[both], np.float64)
    if not a.size:
        return Scores(0, np.nan, np.nan, np.nan)
    w = w / w.sum()
    sse = float(w @ (a - e) ** 2)
    a0, e0 = a - w @ a, e - w @ e
    sst, spread = float(w @ a0**2), float(w @ e0**2)
    r2 = 1 - sse / sst if sst > 0 else np.nan
    cc = float(w @ (a0 * e0)) / np.sqrt(sst * spread) if sst > 0 and spread > 0 else np.nan
    return Scores(a.size, r2, cc, float(np.sqrt(sse)))

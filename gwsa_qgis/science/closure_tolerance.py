"""Means within a tolerance of noisy values: the smoothest field that no value contradicts by more than it may be wrong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp

# Of the squared distance from means, beside the energy; between the stiffness of broad fields (1) and of coasts (500).
PENALTY = 30.0
RELAXED = 1.6
STEPS = 200
ENOUGH = 1e-3  # of the tolerance


def smoothest_within(
    draw: Callable[[np.ndarray], np.ndarray], rows: sp.csr_matrix, values: np.ndarray, tolerance: float
) -> np.ndarray:
    """Means, within a tolerance of given values, of the smoothest field there is.

    Minimises q'Rq subject to ``|M q - r| <= tolerance`` by alternating directions (Boyd et al. 2011, 10.1561/2200000016).
    The result lies within the tolerance whatever the number of steps; a field that meets it exactly is then asked for.

    Parameters
    ----------
    draw : callable
        Coefficients (n_splines, n_months) drawn to means v (n_supports, n_months): the minimum of
        ``q'Rq + PENALTY |M q - v|^2``.
    rows : csr_matrix, shape (n_supports, n_splines)
        Means of the splines, M.
    values : ndarray, shape (n_supports, n_months)
        r.
    tolerance : float
        In the values' unit.

    Returns
    -------
    ndarray, shape (n_supports, n_months)
    """
    lowest, highest = values - tolerance, values + tolerance
    found, force = values.copy(), np.zeros_like(values)
    going = np.arange(values.shape[1])
    for _ in range(STEPS):
        means = rows @ draw(found[:, going] - force[:, going])
        drawn = RELAXED * means + (1 - RELAXED) * found[:, going]
        moved = np.clip(drawn + force[:, going], lowest[:, going], highest[:, going])
        force[:, going] += drawn - moved
        change = np.maximum(np.abs(moved - found[:, going]), np.abs(means - moved)).max(axis=0)
        found[:, going] = moved
        going = going[change > ENOUGH * tolerance]
        if not going.size:
            break
    return found

"""Factors of the histospline's system [R M'; M -C] [q; mu] = [0; r], whole or of a part of it.

R is the energy of the coefficients q, each row of M the mean of the splines over one support, and C a diagonal, zero but
where a support's mean is relaxed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spl

MONTHS_AT_ONCE = 8
# A system with a small positive and negative diagonal added is quasi-definite: it has factors for any ordering, without
# pivoting (Vanderbei 1995, 10.1137/0805005), which are half as full. Refinement takes the addition out again.
ADDED_DIAGONAL = 1e-10
SOLVED = 1e-9
BYTES_PER_ENTRY = 12


def whole_system(
    energy: sp.spmatrix, rows: sp.spmatrix, relaxed: np.ndarray | None, added: float = 0.0
) -> sp.csc_matrix:
    """The system of energy R, means M and diagonal C (None for zero), with `added` on its diagonal, negative for means."""
    corner = np.full(rows.shape[0], -added) - (0.0 if relaxed is None else relaxed)
    return sp.bmat([[energy + added * sp.identity(energy.shape[0]), rows.T], [rows, sp.diags(corner)]], format="csc")


def quick_factors(energy: sp.spmatrix, rows: sp.spmatrix, relaxed: np.ndarray | None) -> spl.SuperLU:
    """Factors of the system with `ADDED_DIAGONAL`, without pivoting.

    Raises
    ------
    RuntimeError
        When a pivot is exactly zero.
    """
    return spl.splu(
        whole_system(energy, rows, relaxed, ADDED_DIAGONAL),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )


def in_batches(function: Callable[[np.ndarray], np.ndarray], right: np.ndarray) -> np.ndarray:
    """Solve for several months at a time, always as many: products of other shapes would round otherwise."""
    out = np.empty(right.shape)
    for first in range(0, right.shape[1], MONTHS_AT_ONCE):
        part = right[:, first : first + MONTHS_AT_ONCE]
        padded = np.zeros((len(right), MONTHS_AT_ONCE))
        padded[:, : part.shape[1]] = part
        out[:, first : first + MONTHS_AT_ONCE] = function(padded)[:, : part.shape[1]]
    return out


def definite_factors(system: sp.csc_matrix) -> spl.SuperLU | None:
    """Factors of a symmetric system with nothing to pivot; None where it is empty."""
    if not system.shape[0]:
        return None
    added = ADDED_DIAGONAL * float(system.diagonal().max(initial=1.0)) * sp.identity(system.shape[0], format="csc")
    options = {"SymmetricMode": True}
    return spl.splu((system + added).tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)

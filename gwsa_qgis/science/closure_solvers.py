"""Solvers of the histospline's system (`closure_factors`): factorised whole, or in overlapping windows."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spl

from gwsa_qgis.errors import InvalidParameter, NoUsableData
from gwsa_qgis.science.bsplines import Roughness
from gwsa_qgis.science.closure_factors import BYTES_PER_ENTRY, SOLVED, in_batches, quick_factors, whole_system
from gwsa_qgis.science.closure_windows import WindowedSolver, reach

SOLVERS = ("auto", "direct", "windows")
DIRECT_LIMIT = 50_000  # supports, where nothing but whole factors is quick enough
GOOD_START = 1e-6  # a first correction this small leaves an error of its square
MOST_REFINEMENTS = 8
KEPT_BYTES = 4e8
WORTH_KEEPING = 5
WIDEST_REACH = 32  # knots


class Solver(Protocol):
    """What gives coefficients for support means."""

    claimed_bytes: float

    def solve(self, values: np.ndarray) -> np.ndarray:
        """Coefficients (n_splines, n_months) for values (n_supports, n_months)."""


def expected_bytes(n_splines: int, n_supports: int) -> float:
    """About what the factors of a whole system take.

    As measured with one knot a cell, on maps full of supports and on such with one cell in sixteen, of 64 to 256 cells
    along a side: within a tenth of it.
    """
    of_spline = 1500 + 370 * np.log2(max(n_splines, 500) / 4600)
    of_support = 5000 + 1000 * np.log2(max(n_supports, 500) / 4096)
    return float(of_spline * n_splines + of_support * n_supports)


def make_solver(
    energy: Roughness,
    rows: sp.csr_matrix,
    relaxed: np.ndarray | None,
    kind: str = "auto",
    kept_bytes: float = KEPT_BYTES,
) -> Solver:
    """Solver of a system.

    Parameters
    ----------
    energy : Roughness
        Of the coefficients.
    rows : csr_matrix, shape (n_supports, n_splines)
        Means of the splines over supports that have a value.
    relaxed : ndarray, shape (n_supports,), or None
        Diagonal C.
    kind : {"auto", "direct", "windows"}
        "auto": direct where the factors are expected to fit in `kept_bytes`, or supports are too wide for windows.
    kept_bytes : float
        Factors that are kept in memory; none of those of windows where it is less than a fifth of all.

    Raises
    ------
    InvalidParameter
        When there is no such kind.
    """
    if kind not in SOLVERS:
        raise InvalidParameter(f"the solver is {kind!r}", f"give one of {', '.join(SOLVERS)}")
    expected = expected_bytes(energy.n_splines, rows.shape[0])
    in_windows = kind == "auto" and expected > kept_bytes and reach(rows, energy.shape) <= WIDEST_REACH
    if kind == "windows" or in_windows:
        # a small part of the factors would save less time than it takes memory
        return WindowedSolver(
            energy, rows, relaxed, kept_bytes=kept_bytes if expected <= WORTH_KEEPING * kept_bytes else 0
        )
    return DirectSolver(energy, rows, relaxed)


class DirectSolver:
    """The whole system, factorised once.

    Raises
    ------
    NoUsableData
        On solving, when no coefficients meet the values.
    """

    def __init__(self, energy: Roughness, rows: sp.csr_matrix, relaxed: np.ndarray | None = None) -> None:
        self.n_splines = energy.n_splines
        matrix = energy.matrix()
        self.system = whole_system(matrix, rows, relaxed)
        self.quick: spl.SuperLU | None = None
        self.pivoted: spl.SuperLU | None = None
        try:
            self.quick = quick_factors(matrix, rows, relaxed)
        except RuntimeError:
            self._pivot()

    @property
    def claimed_bytes(self) -> float:
        """Memory of the factors."""
        return BYTES_PER_ENTRY * sum(factors.nnz for factors in (self.quick, self.pivoted) if factors is not None)

    def solve(self, values: np.ndarray) -> np.ndarray:
        """Coefficients (n_splines, n_months) for values (n_supports, n_months)."""
        right = np.zeros((self.system.shape[0], values.shape[1]))
        right[self.n_splines :] = values
        if self.quick is not None:
            solution, good = self._refined(right)
            if good.all():
                return solution
        if self.pivoted is None:
            self._pivot()
        # SuperLU tells of a singular system only where a pivot is exactly zero: rounding mostly hides one.
        solution = self.pivoted.solve(right)
        for _ in range(MOST_REFINEMENTS):
            solution += self.pivoted.solve(right - self.system @ solution)
            if self._met(solution, right).all():
                return solution[: self.n_splines]
        raise self._too_coarse()

    def _refined(self, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Solution by refinement, and which months it converged for; each month by itself, whatever the others do."""
        solution = in_batches(self.quick.solve, right)
        going = np.arange(right.shape[1])
        previous, good = np.full(right.shape[1], np.inf), np.zeros(right.shape[1], bool)
        for _ in range(MOST_REFINEMENTS):
            step = in_batches(self.quick.solve, right[:, going] - self.system @ solution[:, going])
            solution[:, going] += step
            size = np.abs(solution[: self.n_splines, going]).max(axis=0)
            change = np.abs(step[: self.n_splines]).max(axis=0) / np.where(size > 0, size, 1)
            good[going] = change <= GOOD_START
            # slow but sure: what is left after this step is at most about this step
            going_on = ~good[going] & (change < 0.5 * previous[going])
            previous[going] = change
            going = going[going_on]
            if not going.size:
                break
        # a system without a solution converges to something else
        return solution[: self.n_splines], good & self._met(solution, right)

    def _met(self, solution: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Which months' support means a solution meets; not where it is NaN."""
        left = right[self.n_splines :] - self.system[self.n_splines :] @ solution
        size = np.maximum(np.abs(right).max(axis=0), 1e-300)
        return np.abs(left).max(axis=0) <= SOLVED * size

    def _pivot(self) -> None:
        self.quick = None
        try:
            self.pivoted = spl.splu(self.system, permc_spec="COLAMD")
        except RuntimeError:
            raise self._too_coarse() from None

    def _too_coarse(self) -> NoUsableData:
        return NoUsableData(
            f"{self.system.shape[0] - self.n_splines} supports cannot all be met by splines this coarse",
            "give a smaller knot spacing, or drop supports with only a few pixels",
        )

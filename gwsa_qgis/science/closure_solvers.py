"""Solvers of the histospline's system [R M'; M -C] [q; mu] = [0; r]: factorised whole, or in overlapping windows.

R is the energy of the coefficients q, each row of M the mean of the splines over one support, and C a diagonal, zero but
where a support's mean is relaxed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spl

from gwsa_qgis.errors import InvalidParameter, NoUsableData
from gwsa_qgis.science.bsplines import Roughness

SOLVERS = ("auto", "direct", "windows")
DIRECT_LIMIT = 50_000  # supports, where nothing but whole factors is quick enough
MONTHS_AT_ONCE = 8
LEFT_AT_ONCE = 2
# A system with a small positive and negative diagonal added is quasi-definite: it has factors for any ordering, without
# pivoting (Vanderbei 1995, 10.1137/0805005), which are half as full. Refinement takes the addition out again.
ADDED_DIAGONAL = 1e-10
GOOD_START = 1e-6  # a first correction this small leaves an error of its square
SOLVED = 1e-9
MOST_REFINEMENTS = 8
MOST_SWEEPS = 60
BYTES_PER_ENTRY = 12
KEPT_BYTES = 4e8
WORTH_KEEPING = 5
WIDEST_REACH = 32  # knots
ROWS_AT_ONCE = 24  # of splines, whose energy is written out
COARSE_STEP = 12  # knots between the nodes that carry a solution over seas


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
    in_windows = kind == "auto" and expected > kept_bytes and _reach(rows, energy.shape) <= WIDEST_REACH
    if kind == "windows" or in_windows:
        # a small part of the factors would save less time than it takes memory
        return WindowedSolver(
            energy, rows, relaxed, kept_bytes=kept_bytes if expected <= WORTH_KEEPING * kept_bytes else 0
        )
    return DirectSolver(energy, rows, relaxed)


def _system(energy: sp.spmatrix, rows: sp.spmatrix, relaxed: np.ndarray | None, added: float = 0.0) -> sp.csc_matrix:
    corner = np.full(rows.shape[0], -added) - (0.0 if relaxed is None else relaxed)
    return sp.bmat([[energy + added * sp.identity(energy.shape[0]), rows.T], [rows, sp.diags(corner)]], format="csc")


def _quick_factors(energy: sp.spmatrix, rows: sp.spmatrix, relaxed: np.ndarray | None) -> spl.SuperLU:
    return spl.splu(
        _system(energy, rows, relaxed, ADDED_DIAGONAL),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )


def _in_batches(function: Callable[[np.ndarray], np.ndarray], right: np.ndarray) -> np.ndarray:
    """Solve for several months at a time, always as many: products of other shapes would round otherwise."""
    out = np.empty(right.shape)
    for first in range(0, right.shape[1], MONTHS_AT_ONCE):
        part = right[:, first : first + MONTHS_AT_ONCE]
        padded = np.zeros((len(right), MONTHS_AT_ONCE))
        padded[:, : part.shape[1]] = part
        out[:, first : first + MONTHS_AT_ONCE] = function(padded)[:, : part.shape[1]]
    return out


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
        self.system = _system(matrix, rows, relaxed)
        self.quick: spl.SuperLU | None = None
        self.pivoted: spl.SuperLU | None = None
        try:
            self.quick = _quick_factors(matrix, rows, relaxed)
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
        solution = _in_batches(self.quick.solve, right)
        going = np.arange(right.shape[1])
        previous, good = np.full(right.shape[1], np.inf), np.zeros(right.shape[1], bool)
        for _ in range(MOST_REFINEMENTS):
            step = _in_batches(self.quick.solve, right[:, going] - self.system @ solution[:, going])
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


class WindowedSolver:
    """The same system, solved in overlapping windows again and again until they agree.

    Every window's system is factorised and solved for what the present solution leaves; the cores of the windows, which
    do not overlap, are taken over (restricted Schwarz method: Cai & Sarkis 1999, 10.1137/S106482759732678X), in four
    colours like a chessboard's, each with the solution that the one before has left. What happens at a distance hardly
    matters to a histospline where there are supports. Over wide seas it does: there a coarse system of bilinear functions
    carries what the windows leave from coast to coast in one step (two-level method: Dryja & Widlund 1994,
    10.1137/0915040). A sweep so leaves about a tenth of the error, and the solution is that of the whole system. All factors
    take 10 to 15 kB a support.

    Parameters
    ----------
    core, overlap : int
        Side of a core, and how far a window reaches beyond it, in knots; at least as far as half of the widest support.
    kept_bytes : float
        Factors that are kept from sweep to sweep; the others are made again.

    Attributes
    ----------
    claimed_bytes : float
        What its factors may come to take.
    held_bytes : float
        What they take.
    """

    def __init__(
        self,
        energy: Roughness,
        rows: sp.csr_matrix,
        relaxed: np.ndarray | None,
        *,
        core: int = 24,
        overlap: int = 8,
        kept_bytes: float = KEPT_BYTES,
    ) -> None:
        self.energy, self.rows, self.relaxed = energy, rows, relaxed
        self.n_splines, self.kept_bytes, self.held_bytes = energy.n_splines, kept_bytes, 0.0
        self.claimed_bytes = kept_bytes
        self._kept: dict[int, spl.SuperLU] = {}
        boxes, overlap = _boxes(rows, energy.shape), max(overlap, _reach(rows, energy.shape))
        self.windows = sorted(_windows(energy.shape, boxes, core, overlap), key=lambda one: one.colour)
        is_sea = np.ones(self.n_splines, bool)
        is_sea[rows.indices] = False
        self._hats = _sea_functions(energy.shape, is_sea)
        self._coarse = _definite_factors(_of_functions(energy, self._hats))

    def solve(self, values: np.ndarray) -> np.ndarray:
        """Coefficients (n_splines, n_months) for values (n_supports, n_months)."""
        solution = np.zeros((self.n_splines + len(values), values.shape[1]))
        size = np.maximum(np.abs(values).max(axis=0), 1e-300)
        going = np.arange(values.shape[1])
        for _ in range(MOST_SWEEPS):
            change = np.zeros(going.size)
            for number, window in enumerate(self.windows):
                if number == 0 or window.colour != self.windows[number - 1].colour:
                    left = self._left(values, solution, going)
                    if number == 0:
                        unmet = np.abs(left[self.n_splines :]).max(axis=0)
                inside = window.unknowns(self.energy.shape)
                step = _in_batches(self._factors(number).solve, left[inside])[window.core]
                solution[inside[window.core][:, None], going] += step
                change = np.maximum(change, np.abs(step[: window.core_splines]).max(axis=0, initial=0.0))
            if self._coarse is not None:
                left = self._left(values, solution, going)[: self.n_splines]
                solution[: self.n_splines, going] += self._hats @ _in_batches(self._coarse.solve, self._hats.T @ left)
            # the step after this one is several times smaller
            going = going[(change > SOLVED * size[going]) | (unmet > SOLVED * size[going])]
            if not going.size:
                return solution[: self.n_splines]
        raise NoUsableData(
            f"the windows of {self.rows.shape[0]} supports do not come to agree in {MOST_SWEEPS} sweeps",
            "give more memory, mask wide seas within the map, or cut it into regions",
        )

    def _left(self, values: np.ndarray, solution: np.ndarray, going: np.ndarray) -> np.ndarray:
        """What the solutions of some months leave of the right-hand side, a few months at a time."""
        n = self.n_splines
        left = np.empty((len(solution), going.size))
        for first in range(0, going.size, LEFT_AT_ONCE):
            some = slice(first, first + LEFT_AT_ONCE)
            splines, forces = solution[:n, going[some]], solution[n:, going[some]]
            left[:n, some] = -(self.energy @ splines + self.rows.T @ forces)
            left[n:, some] = values[:, going[some]] - self.rows @ splines
            if self.relaxed is not None:
                left[n:, some] += self.relaxed[:, None] * forces
        return left

    def _factors(self, number: int) -> spl.SuperLU:
        if number in self._kept:
            return self._kept[number]
        window = self.windows[number]
        splines = window.unknowns(self.energy.shape)[: -window.supports.size or None]
        factors = _quick_factors(
            self.energy.matrix(window.rows, window.columns),
            self.rows[window.supports][:, splines],
            None if self.relaxed is None else self.relaxed[window.supports],
        )
        if self.held_bytes + BYTES_PER_ENTRY * factors.nnz <= self.kept_bytes:
            self._kept[number] = factors
            self.held_bytes += BYTES_PER_ENTRY * factors.nnz
        return factors


@dataclass(frozen=True)
class _Window:
    """A window of the system: its splines, then the supports whose splines all lie in it.

    Attributes
    ----------
    colour : int
        Of four, as on a chessboard of cores.
    rows, columns : slice
        Of splines.
    supports : ndarray of int
    core : ndarray of int
        Places of the core's unknowns among those of the window.
    core_splines : int
        How many of these are splines.
    """

    colour: int
    rows: slice
    columns: slice
    supports: np.ndarray
    core: np.ndarray
    core_splines: int

    def unknowns(self, shape: tuple[int, int]) -> np.ndarray:
        """Places of the window's unknowns in the whole system."""
        rows, columns = (np.arange(part.start, part.stop) for part in (self.rows, self.columns))
        return np.concatenate([(rows[:, None] * shape[1] + columns).ravel(), shape[0] * shape[1] + self.supports])


def _sea_functions(shape: tuple[int, int], is_sea: np.ndarray) -> sp.csr_matrix:
    """Bilinear functions of a coarse grid over the splines that no support has, (n_splines, n_functions)."""
    along = [_hats(length) for length in shape]
    functions = sp.diags(is_sea.astype(np.float64)) @ sp.kron(*along, format="csr")
    return functions[:, np.flatnonzero(np.bincount(functions.nonzero()[1], minlength=functions.shape[1]))].tocsr()


def _hats(length: int) -> sp.csr_matrix:
    """Linear interpolation from nodes COARSE_STEP apart, (length, n_nodes)."""
    node, share = np.divmod(np.arange(length) / COARSE_STEP, 1.0)
    row = np.arange(length)
    entries = np.concatenate([1 - share, share]), (np.tile(row, 2), np.concatenate([node, node + 1]).astype(int))
    return sp.csr_matrix(entries, shape=(length, int(node[-1]) + 2))


def _definite_factors(system: sp.csc_matrix) -> spl.SuperLU | None:
    """Factors of a symmetric system with nothing to pivot; None where it is empty."""
    if not system.shape[0]:
        return None
    added = ADDED_DIAGONAL * float(system.diagonal().max(initial=1.0)) * sp.identity(system.shape[0], format="csc")
    options = {"SymmetricMode": True}
    return spl.splu((system + added).tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)


def _of_functions(energy: Roughness, functions: sp.csr_matrix) -> sp.csc_matrix:
    """Energy of functions of the splines (n_splines, n_functions), a strip of splines at a time."""
    rows, columns = energy.shape
    found = sp.csr_matrix((functions.shape[1],) * 2)
    for top in range(0, rows, ROWS_AT_ONCE):
        strip, near = (
            slice(top, min(top + ROWS_AT_ONCE, rows)),
            slice(max(top - 2, 0), min(top + ROWS_AT_ONCE + 2, rows)),
        )
        own, others = (functions[part.start * columns : part.stop * columns] for part in (strip, near))
        found = found + own.T @ (energy.matrix(strip, near=near) @ others)
    return found.tocsc()


def _boxes(rows: sp.csr_matrix, shape: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """First and last row and column of the splines of each support."""
    found = []
    for axis in (rows.indices // shape[1], rows.indices % shape[1]):
        found += [edge.reduceat(axis, rows.indptr[:-1]) for edge in (np.minimum, np.maximum)]
    return tuple(found)


def _reach(rows: sp.csr_matrix, shape: tuple[int, int]) -> int:
    """Half of the splines that the widest support has in a row or column."""
    top, bottom, left, right = _boxes(rows, shape)
    return int(max((bottom - top).max(), (right - left).max()) + 2) // 2


def _windows(shape: tuple[int, int], boxes: tuple[np.ndarray, ...], core: int, overlap: int) -> Iterator[_Window]:
    top, bottom, left, right = boxes
    middle_y, middle_x = (top + bottom) // 2 // core, (left + right) // 2 // core
    for y in range(0, shape[0], core):
        for x in range(0, shape[1], core):
            rows = np.arange(max(y - overlap, 0), min(y + core + overlap, shape[0]))
            columns = np.arange(max(x - overlap, 0), min(x + core + overlap, shape[1]))
            # only supports whose splines all lie in the window can be met in it
            within = (top >= rows[0]) & (bottom <= rows[-1]) & (left >= columns[0]) & (right <= columns[-1])
            supports = np.flatnonzero(within)
            own_rows, own_columns = (rows >= y) & (rows < y + core), (columns >= x) & (columns < x + core)
            own_splines = (own_rows[:, None] & own_columns).ravel()
            own_supports = (middle_y[supports] == y // core) & (middle_x[supports] == x // core)
            taken = np.flatnonzero(np.concatenate([own_splines, own_supports]))
            yield _Window(
                2 * (y // core % 2) + x // core % 2,
                slice(int(rows[0]), int(rows[-1]) + 1),
                slice(int(columns[0]), int(columns[-1]) + 1),
                supports.astype(np.int32),
                taken.astype(np.int32),
                int(own_splines.sum()),
            )

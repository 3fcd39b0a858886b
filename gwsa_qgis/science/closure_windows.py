"""The histospline's system solved in overlapping windows that come to agree: for maps whose factors would be too large."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spl

from gwsa_qgis.errors import NoUsableData
from gwsa_qgis.science.bsplines import Roughness
from gwsa_qgis.science.closure_factors import BYTES_PER_ENTRY, SOLVED, definite_factors, in_batches, quick_factors

LEFT_AT_ONCE = 2
MOST_SWEEPS = 60
ROWS_AT_ONCE = 24  # of splines, whose energy is written out
COARSE_STEP = 12  # knots between the nodes that carry a solution over seas


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
        kept_bytes: float,
    ) -> None:
        self.energy, self.rows, self.relaxed = energy, rows, relaxed
        self.n_splines, self.kept_bytes, self.held_bytes = energy.n_splines, kept_bytes, 0.0
        self.claimed_bytes = kept_bytes
        self._kept: dict[int, spl.SuperLU] = {}
        boxes, overlap = _boxes(rows, energy.shape), max(overlap, reach(rows, energy.shape))
        self.windows = sorted(_windows(energy.shape, boxes, core, overlap), key=lambda one: one.colour)
        is_sea = np.ones(self.n_splines, bool)
        is_sea[rows.indices] = False
        self._hats = _sea_functions(energy.shape, is_sea)
        self._coarse = definite_factors(_of_functions(energy, self._hats))

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
                step = in_batches(self._factors(number).solve, left[inside])[window.core]
                solution[inside[window.core][:, None], going] += step
                change = np.maximum(change, np.abs(step[: window.core_splines]).max(axis=0, initial=0.0))
            if self._coarse is not None:
                left = self._left(values, solution, going)[: self.n_splines]
                solution[: self.n_splines, going] += self._hats @ in_batches(self._coarse.solve, self._hats.T @ left)
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
        factors = quick_factors(
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


def reach(rows: sp.csr_matrix, shape: tuple[int, int]) -> int:
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

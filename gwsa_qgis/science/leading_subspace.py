"""Leading invariant subspaces of symmetric matrices that change little from step to step, followed for many at once.

The sum of the leading K components of a singular spectrum analysis depends on the space that the leading K eigenvectors
span, not on the single vectors. Where a sequence of matrices changes slowly, as between two passes of an iterative
filling, that space follows from the one before with a few products of small matrices, for a fraction of the work of a
full eigendecomposition. For a symmetric matrix C, and orthonormal columns V that once were its eigenvectors:

1. A = V'CV is nearly diagonal.
2. Rayleigh-Ritz: an eigendecomposition of the leading p = K + `GUARD` rows and columns of A rotates the first p columns
   of V. Close eigenvalues around the K-th, an annual pair cut in two for example, are parted here exactly. It leaves

       A = [ D    A12 ]    D = diag(theta_1 ... theta_K),
           [ A21  A22 ]    A21 zero but for rows beyond p.

3. Bounds: by the minimax principle (Courant-Fischer) lambda_K >= theta_K, and lambda_(K+1) <= the largest eigenvalue
   of A22 <= beta, which norms of the blocks of A22 give. Only theta_K > beta is worked on.
4. The leading K-dimensional invariant subspace is then spanned by V [I; X], where X solves the Riccati equation

       A21 + A22 X - X D - X A12 X = 0

   and is its only solution with a norm below one (tan 2 Theta theorem, Davis & Kahan 1970, doi:10.1137/0707001). It
   is found by a fixed-point iteration with the diagonals (Stewart 1973, doi:10.1137/1015095; Demmel 1987,
   doi:10.1007/BF02242192, compare such iterations).
5. The residual R of that equation bounds the error: the sine of the largest angle between V [I; X] and the true space
   is at most ||R|| / (theta_K - beta) (sine theorem of the same paper).

A matrix whose bounds do not part, or whose iteration is slow, gets its full eigendecomposition; V is then set to the
eigenvectors. The matrices do not know of each other: what is found for one does not depend on the others of a batch.
"""

from __future__ import annotations

import numpy as np

GUARD = 8
"""Columns beyond the wanted ones that take part in the Rayleigh-Ritz step; those couple strongest to the wanted."""

TOLERANCE = 1e-11
"""Largest accepted sine of the angle between the subspace and the true one, by the residual bound."""

MOST_ITERATIONS = 16
"""Products of about 4 us each after which a decomposition of 48 x 48 (200 us and more) is the better choice."""

BLOCK = 128
"""Matrices worked on at once: enough that numpy's overhead is small, few enough to stay in the processor's cache."""

WIDTH_STEP = 4
"""Matrices are worked on together whose numbers of wanted vectors are equal when rounded up to a multiple of this:
fewer and larger products, which matters most where threads share the interpreter. Columns not in use are zero."""

_FIRST_CHECK = 3  # no iteration has converged before


def is_tracked(size: int, wanted: int) -> bool:
    """Whether following `wanted` eigenvectors of a matrix of `size` rows costs less than decomposing it."""
    return size >= 40 and 2 * (wanted + GUARD) <= size


def padded(wanted: np.ndarray, size: int) -> np.ndarray:
    """The numbers rounded up to a multiple of `WIDTH_STEP`, at most `size`."""
    return np.minimum(-(-wanted // WIDTH_STEP) * WIDTH_STEP, size)


class SubspaceTracker:
    """Orthonormal bases of the leading eigenvectors of a set of symmetric matrices that change from call to call.

    Parameters
    ----------
    count : int
        Number of matrices.
    size : int
        Rows and columns of each.
    width : int
        Columns of the bases to give back, at least the most vectors that will be wanted. A fixed number, so that
        later products and sums have the same rounding whatever else is in a batch.

    Attributes
    ----------
    decomposed, tracked : int
        How many matrices were decomposed in full and how many were followed.
    """

    def __init__(self, count: int, size: int, width: int) -> None:
        self.size, self.width = size, width
        self.vectors = np.empty((count, size, size) if is_tracked(size, 1) else 0)
        self.known = np.zeros(count, dtype=bool)
        self.decomposed = self.tracked = 0

    def __call__(self, members: np.ndarray, matrices: np.ndarray, wanted: np.ndarray, calm: np.ndarray) -> np.ndarray:
        """Bases of the leading subspaces.

        Parameters
        ----------
        members : ndarray of int, shape (b,)
            Which of the tracker's matrices are asked for, each at most once.
        matrices : ndarray, shape (b, M, M)
            Their present values, both triangles. Cheapest in order of `wanted`.
        wanted : ndarray of int, shape (b,)
            Dimension of each subspace.
        calm : ndarray of bool, shape (b,)
            Which matrices have changed little since the last call; the others are decomposed without a trial.

        Returns
        -------
        bases : ndarray, shape (b, M, width)
            Orthonormal columns, those beyond `wanted` zero. Only the space that they span is determined.
        """
        bases = np.zeros((members.size, self.size, self.width))
        trial = calm & self.known[members]
        widths = padded(wanted, self.size)
        for width in np.unique(widths).tolist():
            rows = np.flatnonzero(widths == width)
            for block in np.split(rows, range(BLOCK, rows.size, BLOCK)):
                adjacent = block[-1] - block[0] == block.size - 1
                values = matrices[block[0] : block[-1] + 1] if adjacent else matrices[block]
                found = self._leading(members[block], values, wanted[block], width, trial[block])
                bases[block, :, :width] = found[:, :, : self.width]
        return bases

    def _leading(
        self, members: np.ndarray, matrices: np.ndarray, wanted: np.ndarray, width: int, trial: np.ndarray
    ) -> np.ndarray:
        """Bases (b, M, width) for matrices of one width."""
        bases = np.empty((members.size, self.size, width))
        worthwhile = is_tracked(self.size, width)
        left = np.ones(members.size, dtype=bool)
        tried = np.flatnonzero(trial & worthwhile)
        if tried.size:
            nearby = matrices if tried.size == members.size else matrices[tried]
            found, bases[tried], ritz_vectors = follow(self.vectors[members[tried]], nearby, wanted[tried], width)
            self.vectors[members[tried], :, : width + GUARD] = ritz_vectors
            left[tried] = ~found
        if left.any():
            vectors = np.linalg.eigh(matrices[left])[1][:, :, ::-1]
            bases[left] = vectors[:, :, :width] * (np.arange(width) < wanted[left, None])[:, None, :]
            if worthwhile:
                self.vectors[members[left]] = vectors
                self.known[members[left]] = True
        decomposed = np.count_nonzero(left)
        self.decomposed += decomposed
        self.tracked += left.size - decomposed
        return bases


def follow(
    vectors: np.ndarray, matrices: np.ndarray, wanted: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Try to find the leading invariant subspaces from nearby eigenvectors.

    Parameters
    ----------
    vectors : ndarray, shape (b, M, M)
        Orthonormal columns, about the eigenvectors, strongest first.
    matrices : ndarray, shape (b, M, M)
        Symmetric matrices.
    wanted : ndarray of int, shape (b,)
        Dimensions of the subspaces.
    width : int
        Columns of the bases, at least max(wanted).

    Returns
    -------
    found : ndarray of bool, shape (b,)
        The matrices for which the subspace was found within `TOLERANCE`.
    bases : ndarray, shape (b, M, width)
        Orthonormal bases of the subspaces found, columns beyond `wanted` zero; of no meaning for the others.
    ritz_vectors : ndarray, shape (b, M, width + GUARD)
        The leading columns of `vectors` after the Rayleigh-Ritz step.
    """
    near = width + GUARD
    ritz, rotation, coupling, trailing = _rayleigh_ritz(vectors, matrices, near)
    beyond = np.arange(near) >= wanted[:, None]
    each = np.arange(len(ritz))
    gap = ritz[each, wanted - 1] - _upper_bound(ritz[each, wanted], coupling, trailing, beyond)
    # An iteration that runs away is given up; its overflow is no news.
    with np.errstate(over="ignore", invalid="ignore"):
        found, graph = _solve_riccati(ritz, coupling, trailing, gap, beyond, width)
    # (V [I; X])'(V [I; X]) = I + X'X = LL', so that V [I; X] L'^-1 has orthonormal columns.
    lower = np.linalg.cholesky(np.eye(width) + graph.transpose(0, 2, 1) @ graph)
    np.einsum("bii->bi", graph[:, :width])[:] += ~beyond[:, :width]
    ritz_vectors = vectors[:, :, :near] @ rotation
    basis = ritz_vectors @ graph[:, :near]
    basis += vectors[:, :, near:] @ graph[:, near:]
    return found, basis @ np.linalg.inv(lower).transpose(0, 2, 1), ritz_vectors


def _rayleigh_ritz(
    vectors: np.ndarray, matrices: np.ndarray, near: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """V'CV with its leading `near` rows and columns diagonal.

    Returns
    -------
    ritz : ndarray, shape (b, near)
        The leading diagonal, largest first.
    rotation : ndarray, shape (b, near, near)
        What the leading columns of V are to be multiplied by.
    coupling, trailing : ndarray, shapes (b, near, M - near) and (b, M - near, M - near)
        The two other blocks.
    """
    projected = vectors.transpose(0, 2, 1) @ (matrices @ vectors)
    ritz, rotation = np.linalg.eigh(projected[:, :near, :near])
    rotation = np.ascontiguousarray(rotation[:, :, ::-1])
    coupling = rotation.transpose(0, 2, 1) @ projected[:, :near, near:]
    return ritz[:, ::-1], rotation, coupling, projected[:, near:, near:]


def _upper_bound(largest: np.ndarray, coupling: np.ndarray, trailing: np.ndarray, beyond: np.ndarray) -> np.ndarray:
    """Upper bound (b,) of the eigenvalues of [[diag(largest, smaller ...), coupling], [coupling', trailing]].

    Only the rows of `coupling` that are `beyond` (b, near) count. The largest eigenvalue is at most that of the 2 x 2
    matrix of the blocks' norms; that of the trailing block is at most its largest diagonal element plus the Frobenius
    norm of its off-diagonal part.
    """
    diagonal = np.einsum("bii->bi", trailing)
    squares = np.einsum("bij,bij->b", trailing, trailing) - np.einsum("bi,bi->b", diagonal, diagonal)
    far = diagonal.max(axis=1) + np.sqrt(np.maximum(squares, 0))
    coupled = np.einsum("bi,bi->b", np.einsum("bij,bij->bi", coupling, coupling), beyond)
    return (largest + far) / 2 + np.sqrt(((largest - far) / 2) ** 2 + coupled)


def _solve_riccati(
    ritz: np.ndarray, coupling: np.ndarray, trailing: np.ndarray, gap: np.ndarray, beyond: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Which matrices (b,) have a solution X within the tolerance, and X (b, M, width), zero for the others.

    X has all M rows here, and zeros where a row or a column does not belong to it. Its rows within the Rayleigh-Ritz
    block (`near`) and those after it (`far`) are renewed in turn (Gauss-Seidel): A22 is diagonal in the former, so
    that they follow from the latter.
    """
    split = ritz.shape[1]
    rows = np.flatnonzero(gap > 0)
    trailing, coupling, limit = trailing[rows], coupling[rows], TOLERANCE * gap[rows]
    diagonal = np.concatenate([ritz[rows], np.einsum("bii->bi", trailing)], axis=1)
    np.einsum("bii->bi", trailing)[:] = 0
    apart = diagonal[:, None, :width] - diagonal[:, :, None]
    belongs = np.repeat(~beyond[rows, None, :width], diagonal.shape[1], axis=1)
    belongs[:, :split] &= beyond[rows, :, None]
    inverse = np.divide(1.0, apart, out=np.zeros_like(apart), where=belongs)
    apart = apart[:, split:]
    a12 = coupling[:, :width] * ~beyond[rows, :width, None]
    far_all = np.concatenate([coupling.transpose(0, 2, 1), trailing], axis=2)

    solution, solved = np.zeros((len(ritz), *inverse.shape[1:])), np.zeros(len(ritz), dtype=bool)
    graph = np.zeros_like(inverse)
    near, far, a21 = graph[:, :split], graph[:, split:], a12.transpose(0, 2, 1)
    np.multiply(a21, inverse[:, split:], out=far)
    before, going = np.full(rows.size, np.inf), np.ones(rows.size, dtype=bool)
    for iteration in range(1, MOST_ITERATIONS + 1):
        quadratic = a12 @ far
        near_change = coupling @ far
        near_change -= near @ quadratic
        near_change *= inverse[:, :split]
        near_change -= near
        near += near_change
        far_change = far_all @ graph
        far_change -= far @ quadratic
        far_change += a21
        far_change *= inverse[:, split:]
        far_change -= far
        far += far_change
        if iteration < _FIRST_CHECK:
            continue
        # Bound of the residual that the new near rows had together with the far rows before their change.
        residual = _norm(far_change * apart) + _norm(near_change) * _norm(quadratic)
        done = going & (residual <= limit)
        solution[rows[done]], solved[rows[done]] = graph[done], True
        # What the present rate of decrease does not bring below the limit in time is given up.
        going &= ~done & (residual * (residual / before) ** (MOST_ITERATIONS - iteration) <= limit)
        before = residual
        left = np.count_nonzero(going)
        if left == 0:
            break
        if left < 0.7 * going.size:
            rows, limit, before, apart, inverse = (each[going] for each in (rows, limit, before, apart, inverse))
            a12, coupling, far_all, graph = (each[going] for each in (a12, coupling, far_all, graph))
            near, far, a21 = graph[:, :split], graph[:, split:], a12.transpose(0, 2, 1)
            going = np.ones(left, dtype=bool)
    solved &= _norm(solution) < 1
    return solved, solution


def _norm(matrices: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("bij,bij->b", matrices, matrices))

"""Uniform B-splines sampled at the centres of a fine grid's pixels, and their roughness penalties."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from gwsa_qgis.errors import InvalidParameter


@dataclass(frozen=True)
class SplineBasis:
    """Values of one axis's B-splines at its pixel centres.

    Attributes
    ----------
    first : ndarray of int, shape (n_pixels,)
        Index of the first of the ``degree + 1`` splines that are not zero at a pixel.
    local : ndarray of float, shape (n_pixels, degree + 1)
        Values of those splines; each row sums to 1.
    n_splines : int
        Number of splines, hence of coefficients, along this axis.
    """

    first: np.ndarray
    local: np.ndarray
    n_splines: int

    def matrix(self, pixels: slice = slice(None)) -> sp.csr_matrix:
        """Sparse matrix (n_pixels, n_splines) of the chosen pixels."""
        first, local = self.first[pixels], self.local[pixels]
        order = local.shape[1]
        columns = first[:, None] + np.arange(order)
        starts = np.arange(0, first.size * order + 1, order)
        return sp.csr_matrix((local.ravel(), columns.ravel(), starts), shape=(first.size, self.n_splines))


def uniform_basis(n_pixels: int, spacing: float, degree: int = 3) -> SplineBasis:
    """B-splines on equally spaced knots, at the centres of a row of pixels.

    Knots of odd degree lie half a spacing from the grid's edge, so that with one knot interval per coarse cell they
    fall on cell centres; knots of even degree lie on the edge. Cox-de Boor recursion (de Boor 1978,
    10.1007/978-1-4612-6333-3).

    Parameters
    ----------
    n_pixels : int
        Pixels along the axis.
    spacing : float
        Distance between knots, in pixels.
    degree : int
        0 (steps) to 5.

    Raises
    ------
    InvalidParameter
        When the spacing is not positive or the degree is outside 0..5.
    """
    if n_pixels < 1 or not spacing > 0:
        raise InvalidParameter(
            f"a spline basis was asked for {n_pixels} pixels with knots every {spacing} pixels",
            "give at least one pixel and a positive knot spacing",
        )
    if degree not in range(6):
        raise InvalidParameter(f"the spline degree is {degree}", "give a whole number from 0 to 5")
    position = (np.arange(n_pixels) + 0.5) / spacing - (0.5 if degree % 2 else 0.0)
    interval = np.floor(position).astype(np.int64)
    fraction = position - interval
    local = np.ones((1, n_pixels))
    for d in range(1, degree + 1):
        raised = np.zeros((d + 1, n_pixels))
        for r in range(d + 1):
            if r >= 1:
                raised[r] += local[r - 1] * (fraction + d - r) / d
            if r < d:
                raised[r] += local[r] * (r + 1 - fraction) / d
        local = raised
    first = interval - interval[0]
    return SplineBasis(first, np.ascontiguousarray(local.T), int(first[-1]) + degree + 1)


def _difference_energy(n: int, order: int) -> sp.csr_matrix:
    if n <= order:
        return sp.csr_matrix((n, n))
    difference = sp.identity(n, format="csr")
    for _ in range(order):
        difference = difference[1:] - difference[:-1]
    return (difference.T @ difference).tocsr()


class Roughness:
    """Quadratic form q'Rq that measures how rough a coefficient grid is, R being a sum of products of banded matrices.

    Written out, R takes some 250 bytes a coefficient; only what is asked for is.

    Parameters
    ----------
    n_rows, n_columns : int
        Shape of the coefficient grid (flattened row by row).
    membrane, bending : float
        Weights of the squared first and second differences (P-splines: Eilers & Marx 1996, 10.1214/ss/1038425655).
    """

    def __init__(self, n_rows: int, n_columns: int, membrane: float = 1.0, bending: float = 0.0) -> None:
        self.shape = n_rows, n_columns
        first, second = ([_difference_energy(n, order) for n in self.shape] for order in (1, 2))
        self._along = [membrane * one + bending * two for one, two in zip(first, second, strict=True)]
        self._cross = (2 * bending * first[0], first[1]) if bending > 0 else None

    @property
    def n_splines(self) -> int:
        """Number of coefficients."""
        return self.shape[0] * self.shape[1]

    def __matmul__(self, coefficients: np.ndarray) -> np.ndarray:
        """R q for (n_splines, n_fields) coefficients."""
        (rows, columns), fields = self.shape, coefficients.shape[1]
        by_row = coefficients.reshape(rows, columns * fields)
        by_column = np.ascontiguousarray(coefficients.reshape(rows, columns, fields).swapaxes(0, 1))
        by_column = by_column.reshape(columns, rows * fields)
        found = (self._along[1] @ by_column).reshape(columns, rows, fields).swapaxes(0, 1)
        found = found + (self._along[0] @ by_row).reshape(rows, columns, fields)
        if self._cross is not None:
            across = (self._cross[1] @ by_column).reshape(columns, rows, fields).swapaxes(0, 1)
            across = np.ascontiguousarray(across).reshape(rows, columns * fields)
            found += (self._cross[0] @ across).reshape(rows, columns, fields)
        return found.reshape(coefficients.shape)

    def matrix(
        self, rows: slice = slice(None), columns: slice = slice(None), near: slice | None = None
    ) -> sp.csc_matrix:
        """R between the coefficients of a window, or of these with those in other rows, `near`, of the same columns."""
        near = rows if near is None else near
        eyes = [sp.identity(n, format="csr") for n in self.shape]
        form = sp.kron(self._along[0][rows, near], eyes[1][columns, columns])
        form = form + sp.kron(eyes[0][rows, near], self._along[1][columns, columns])
        if self._cross is not None:
            form = form + sp.kron(self._cross[0][rows, near], self._cross[1][columns, columns])
        return form.tocsc()


def evaluate_splines(
    coefficients: np.ndarray,
    basis_y: SplineBasis,
    basis_x: SplineBasis,
    rows: slice = slice(None),
    columns: slice = slice(None),
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Values of a tensor-product spline at the pixels of a window; the same to the bit in whatever window.

    Parameters
    ----------
    coefficients : ndarray, shape (basis_y.n_splines, basis_x.n_splines)
    rows, columns : slice
        Window of the fine grid.
    out : ndarray, shape (n_rows, n_columns), optional
        Where to put the values; its type is that of the last product.

    Returns
    -------
    ndarray, shape (n_rows, n_columns)
    """
    along_x = np.ascontiguousarray((basis_x.matrix(columns) @ coefficients.T).T)
    first, local = basis_y.first[rows], basis_y.local[rows]
    if out is None:
        out = np.empty((first.size, along_x.shape[1]))
    # einsum and no BLAS, whose sums depend on the window's shape
    along_x, local = along_x.astype(out.dtype, copy=False), local.astype(out.dtype, copy=False)
    starts = _starts(np.diff(first) != 0)
    for start, stop in zip(starts, [*starts[1:], first.size], strict=True):
        knots = slice(first[start], first[start] + local.shape[1])
        np.einsum("ik,kj->ij", local[start:stop], along_x[knots], out=out[start:stop])
    return out


def _starts(changes: np.ndarray) -> np.ndarray:
    """Positions at which runs start, from where a row differs from the one before it."""
    return np.concatenate([[0], np.flatnonzero(changes) + 1])


def basis_means(
    support: np.ndarray, weights: np.ndarray, basis_y: SplineBasis, basis_x: SplineBasis, n_supports: int
) -> tuple[sp.csr_matrix, np.ndarray]:
    """Weighted means of every tensor-product spline over every support.

    Parameters
    ----------
    support : ndarray of int, shape (rows, columns)
        Labels 1..n_supports; 0 or less outside.
    weights : ndarray of float, broadcastable to (rows, columns)
        Pixel areas; 0 where a pixel does not count.
    basis_y, basis_x : SplineBasis
        Splines along rows and columns.
    n_supports : int
        Number of labels.

    Returns
    -------
    means : csr_matrix, shape (n_supports, basis_y.n_splines * basis_x.n_splines)
        Rows of supports without weight are empty.
    total : ndarray, shape (n_supports,)
        Sum of weights of each support.
    """
    sums = SplineSums(basis_y, basis_x, n_supports)
    sums.add(support, weights)
    return sums.means()


class SplineSums:
    """Weighted sums of tensor-product splines over supports, added up window by window.

    Rows of one knot interval and of equal labels are summed first, then runs of one label within one knot interval, so
    that labels which come from a coarse grid cost little more than reading them, and any others a few passes.
    """

    PIXELS_AT_ONCE = 2_000_000

    def __init__(self, basis_y: SplineBasis, basis_x: SplineBasis, n_supports: int) -> None:
        self.basis_y, self.basis_x, self.n_supports = basis_y, basis_x, n_supports
        self._parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, support: np.ndarray, weights: np.ndarray, row: int = 0, column: int = 0) -> None:
        """Add the labels and weights of a window whose first pixel is at `row` and `column`."""
        self.add_part(self.part(support, weights, row, column))

    def part(
        self, support: np.ndarray, weights: np.ndarray, row: int = 0, column: int = 0
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sums of one window: supports, splines and values, to be handed to `add_part`; threads may work at several."""
        rows, columns = support.shape
        weights = np.broadcast_to(weights, support.shape)
        strip = max(1, self.PIXELS_AT_ONCE // columns)
        found = []
        for top in range(0, rows, strip):
            inner = slice(top, min(top + strip, rows))
            found.append(self._strip(support[inner], weights[inner], row + top, column))
        return _compressed(*(np.concatenate(pieces) for pieces in zip(*found, strict=True)))

    def add_part(self, part: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
        """Take in what `part` gave; the order of calls decides about the last bits."""
        self._parts.append(part)

    def means(self) -> tuple[sp.csr_matrix, np.ndarray]:
        """Means and total weights, as `basis_means` gives them."""
        shape = (self.n_supports, self.basis_y.n_splines * self.basis_x.n_splines)
        if not self._parts:
            return sp.csr_matrix(shape), np.zeros(self.n_supports)
        index, spline, value = _compressed(*(np.concatenate(pieces) for pieces in zip(*self._parts, strict=True)))
        self._parts = [(index, spline, value)]
        # splines add up to 1 at every pixel, and their sums to the weights
        total = np.bincount(index, value, self.n_supports)
        ends = np.concatenate([[0], np.cumsum(np.bincount(index, minlength=self.n_supports))])
        return sp.csr_matrix((value / total[index], spline, ends), shape=shape), total

    def _strip(self, support, weights, row, column):
        first_y = self.basis_y.first[row : row + len(support)]
        local_y = self.basis_y.local[row : row + len(support)]
        pixels = slice(column, column + support.shape[1])
        first_x, local_x = self.basis_x.first[pixels], self.basis_x.local[pixels]
        changes = (first_y[1:] != first_y[:-1]) | (support[1:] != support[:-1]).any(axis=1)
        starts = _starts(changes)
        along_y = np.empty((local_y.shape[1], starts.size, support.shape[1]))
        for group, (start, stop) in enumerate(zip(starts, [*starts[1:], len(support)], strict=True)):
            np.einsum("ik,ij->kj", local_y[start:stop], weights[start:stop], out=along_y[:, group])
        labels = support[starts]
        edge = np.ones(labels.shape, bool)
        edge[:, 1:] = (labels[:, 1:] != labels[:, :-1]) | (first_x[1:] != first_x[:-1])
        runs = np.flatnonzero(edge)
        run_label = labels.ravel()[runs]
        chosen = run_label > 0
        sums = np.empty((along_y.shape[0], local_x.shape[1], int(chosen.sum())))
        for k, values in enumerate(along_y):
            for m in range(local_x.shape[1]):
                sums[k, m] = np.add.reduceat((values * local_x[:, m]).ravel(), runs)[chosen] if runs.size else 0
        group, start = np.divmod(runs[chosen], support.shape[1])
        y = first_y[starts][group] + np.arange(sums.shape[0])[:, None, None]
        x = first_x[start] + np.arange(sums.shape[1])[:, None]
        spline = y * self.basis_x.n_splines + x
        index = np.broadcast_to(run_label[chosen].astype(np.int64) - 1, sums.shape)
        return index.ravel(), spline.ravel(), sums.ravel()


def _compressed(index: np.ndarray, spline: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sums of equal (support, spline), in their order and without zeros; added in the order in which they came."""
    kept = value != 0
    index, spline, value = index[kept], spline[kept], value[kept]
    if not index.size:
        return index, spline, value
    order = np.lexsort((spline, index))
    index, spline, value = index[order], spline[order], value[order]
    starts = _starts((index[1:] != index[:-1]) | (spline[1:] != spline[:-1]))
    return index[starts], spline[starts], np.add.reduceat(value, starts)

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


def _difference_energy(n: int, order: int) -> sp.csc_matrix:
    if n <= order:
        return sp.csc_matrix((n, n))
    difference = sp.identity(n, format="csr")
    for _ in range(order):
        difference = difference[1:] - difference[:-1]
    return (difference.T @ difference).tocsc()


def roughness(n_rows: int, n_columns: int, membrane: float = 1.0, bending: float = 0.0) -> sp.csc_matrix:
    """Quadratic form q'Rq that measures how rough a coefficient grid is.

    Parameters
    ----------
    n_rows, n_columns : int
        Shape of the coefficient grid (flattened row by row).
    membrane, bending : float
        Weights of the squared first and second differences (P-splines: Eilers & Marx 1996, 10.1214/ss/1038425655).

    Returns
    -------
    csc_matrix, shape (n_rows * n_columns, n_rows * n_columns)
    """
    eye_y, eye_x = sp.identity(n_rows, format="csc"), sp.identity(n_columns, format="csc")
    first_y, first_x = _difference_energy(n_rows, 1), _difference_energy(n_columns, 1)
    form = membrane * (sp.kron(first_y, eye_x) + sp.kron(eye_y, first_x))
    if bending > 0:
        second_y, second_x = _difference_energy(n_rows, 2), _difference_energy(n_columns, 2)
        form = form + bending * (sp.kron(second_y, eye_x) + 2 * sp.kron(first_y, first_x) + sp.kron(eye_y, second_x))
    return form.tocsc()


def basis_means(
    support: np.ndarray, weights: np.ndarray, basis_y: SplineBasis, basis_x: SplineBasis, n_supports: int
) -> tuple[sp.csr_matrix, np.ndarray]:
    """Weighted means of every tensor-product spline over every support.

    Pixels are first summed along runs of one label within one knot interval of a row, then over the rows of one knot
    interval, so the cost is a few passes over the grid whatever the shape of the supports.

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
    rows, columns = support.shape
    weights = np.broadcast_to(weights, support.shape)
    n_splines = basis_y.n_splines * basis_x.n_splines
    sums = sp.csr_matrix((n_supports, n_splines))
    total = np.zeros(n_supports)
    window = max(1, 2_000_000 // columns)
    for top in range(0, rows, window):
        part = slice(top, min(top + window, rows))
        part_sums, part_total = _window_sums(support[part], weights[part], part, basis_y, basis_x, n_supports)
        sums, total = sums + part_sums, total + part_total
    inverse = np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)
    return (sp.diags(inverse) @ sums).tocsr(), total


def _window_sums(support, weights, part, basis_y, basis_x, n_supports):
    columns = support.shape[1]
    labels = np.where(weights > 0, support, 0).astype(np.int64)
    first_x, first_y = basis_x.first, basis_y.first[part]
    edge = np.ones(labels.shape, bool)
    edge[:, 1:] = (labels[:, 1:] != labels[:, :-1]) | (first_x[1:] != first_x[:-1])
    starts = np.flatnonzero(edge)
    run_label = labels.ravel()[starts]
    along_x = np.stack(
        [np.add.reduceat((weights * basis_x.local[:, k]).ravel(), starts) for k in range(basis_x.local.shape[1])], -1
    )
    inside = run_label > 0
    starts, run_label, along_x = starts[inside], run_label[inside], along_x[inside]
    total = np.bincount(run_label - 1, np.add.reduce(along_x, 1), n_supports)
    if not run_label.size:
        return sp.csr_matrix((n_supports, basis_y.n_splines * basis_x.n_splines)), total
    row, column = starts // columns, starts % columns
    key = ((run_label - 1) * basis_y.n_splines + first_y[row]) * basis_x.n_splines + first_x[column]
    order = np.argsort(key, kind="stable")
    tiles = np.flatnonzero(np.r_[True, np.diff(key[order]) != 0])
    products = basis_y.local[part][row[order], :, None] * along_x[order, None, :]
    blocks = np.add.reduceat(products, tiles, axis=0)
    tile = order[tiles]
    y = first_y[row[tile]][:, None, None] + np.arange(blocks.shape[1])[:, None]
    x = first_x[column[tile]][:, None, None] + np.arange(blocks.shape[2])
    index = np.broadcast_to((run_label[tile] - 1)[:, None, None], blocks.shape)
    shape = (n_supports, basis_y.n_splines * basis_x.n_splines)
    flat = np.broadcast_to(y * basis_x.n_splines + x, blocks.shape)
    return sp.csr_matrix((blocks.ravel(), (index.ravel(), flat.ravel())), shape=shape), total

"""Means and majorities of fine cells over coarse ones, and shares of area of cells that do not nest."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix


def block_means(values: np.ndarray, factor: int, row_weights: np.ndarray) -> np.ndarray:
    """Area-weighted means of the valid cells of each block.

    Parameters
    ----------
    values : (..., rows, columns) array
        NaN is NoData; rows and columns are multiples of `factor`.
    factor : int
        Cells along a block's side.
    row_weights : (rows,) array
        Relative cell area of each row, cos(latitude) on geographic grids.

    Returns
    -------
    (..., rows / factor, columns / factor) float64
        NaN where a block has no valid cell.
    """
    *rest, rows, columns = values.shape
    layers = values.reshape(-1, rows, columns)
    weights = np.asarray(row_weights, float)[:, None]
    result = np.empty((layers.shape[0], rows // factor, columns // factor))
    # A row of blocks at a time: small enough to stay in the processor's cache, where copies cost little.
    for block in range(rows // factor):
        part = slice(block * factor, (block + 1) * factor)
        known, weight = None, None
        for number, layer in enumerate(layers):
            strip = layer[part]
            valid = np.isfinite(strip)
            if known is None or not (valid == known).all():  # months mostly share their valid cells
                known, weight = valid, _strip_sums(valid * weights[part], factor)
                whole = valid.all()
            cells = strip if whole else np.where(valid, strip, strip.dtype.type(0))
            total = _strip_sums(cells * weights[part], factor)
            with np.errstate(invalid="ignore", divide="ignore"):
                result[number, block] = np.where(weight > 0, total / weight, np.nan)
    return result.reshape(*rest, rows // factor, columns // factor)


def _strip_sums(strip: np.ndarray, factor: int) -> np.ndarray:
    """Sums of the blocks along one row of blocks (factor, columns)."""
    return np.add.reduce(strip, axis=0).reshape(-1, factor).sum(axis=-1)


def block_majority(classes: np.ndarray, factor: int, row_weights: np.ndarray) -> np.ndarray:
    """Class with the largest area in each block; 0 means no class and does not count, ties go to the smaller class.

    Parameters
    ----------
    classes : (rows, columns) int array
    factor : int
    row_weights : (rows,) array

    Returns
    -------
    (rows / factor, columns / factor) array of the same type
    """
    best = np.zeros((classes.shape[0] // factor, classes.shape[1] // factor))
    result = np.zeros(best.shape, classes.dtype)
    weights = np.asarray(row_weights, float)[:, None]
    for value in np.unique(classes[classes != 0]):
        area = _block_sums((classes == value) * weights, factor)
        # rounding must not decide between classes of equal area
        larger = area > best * (1 + 1e-12)
        best[larger], result[larger] = area[larger], value
    return result


def overlap_matrix(
    source_edge: float, source_step: float, sources: int, edge: float, step: float, cells: int
) -> csr_matrix:
    """Length of each target cell that each source cell covers, as shares of the target cell, along one axis.

    Parameters
    ----------
    source_edge, source_step, sources
        First edge, step (its sign is the direction) and number of the source cells.
    edge, step, cells
        The same of the target cells; both axes run in the same direction.

    Returns
    -------
    (cells, sources) sparse matrix
        Rows sum to 1 where the sources cover a target cell whole.
    """
    lower = (edge + step * np.arange(cells) - source_edge) / source_step
    upper = lower + step / source_step
    length = step / source_step
    first = np.clip(np.floor(lower).astype(int), 0, sources)
    last = np.clip(np.ceil(upper).astype(int), 0, sources)
    rows, columns, shares = [], [], []
    for offset in range(int((last - first).max(initial=0))):
        column = first + offset
        inside = np.flatnonzero(column < last)
        covered = np.minimum(upper[inside], column[inside] + 1) - np.maximum(lower[inside], column[inside])
        rows.append(inside)
        columns.append(column[inside])
        shares.append(np.maximum(covered, 0) / length)
    if not rows:
        return csr_matrix((cells, sources))
    triplet = (np.concatenate(shares), (np.concatenate(rows), np.concatenate(columns)))
    return csr_matrix(triplet, shape=(cells, sources))


def area_share(flags: np.ndarray, down: csr_matrix, across: csr_matrix) -> np.ndarray:
    """Share of each target cell's area where `flags` is true.

    Parameters
    ----------
    flags : (source rows, source columns) bool
    down, across : sparse matrices
        `overlap_matrix` of rows and of columns.
    """
    partial = down.astype(np.float32) @ flags.astype(np.float32)
    return np.asarray((across.astype(np.float32) @ partial.T).T)


def _block_sums(values: np.ndarray, factor: int) -> np.ndarray:
    *rest, rows, columns = values.shape
    return values.reshape(*rest, rows // factor, factor, columns // factor, factor).sum(axis=(-3, -1))

"""Inverse distance weighting for scattered holes."""

from __future__ import annotations

import numpy as np

# Donors looked up at once: bounds the memory of large holes.
DONORS_AT_ONCE = 600_000
# From this many holes on, those out of reach of any value are sorted out first.
MANY_HOLES = 2_000


def fill_holes(
    values: np.ndarray, wanted: np.ndarray, reach: int, column_scale: np.ndarray | float = 1.0
) -> tuple[np.ndarray, int, int]:
    """Fill cells without a value from all valid cells within `reach`, weighted by 1 / distance squared.

    Parameters
    ----------
    values : (n, rows, columns) array
        Layers, each filled for itself; NaN is a hole.
    wanted : (rows, columns) bool
        Cells to fill; others stay as they are.
    reach : int
        Largest distance to a valid cell, in rows; holes further inside stay holes.
    column_scale : float or (rows,) array
        Width of a cell over its height on the ground: cos(latitude) on geographic grids.

    Returns
    -------
    filled : (n, rows, columns) array
    n_filled, n_left : int
        Holes filled and left, over all layers.

    Notes
    -----
    Shepard (1968), doi:10.1145/800186.810616, with a limited neighbourhood. All valid cells in reach take part, so
    that a window with a margin of `reach` gives what the whole map gives.
    """
    absent = np.isnan(values)
    n_holes = np.count_nonzero(absent & wanted)
    if reach < 1 or not n_holes:
        return values, 0, n_holes
    filled = values.copy()
    scale = np.broadcast_to(np.asarray(column_scale, float), values.shape[1:2])
    row_weights = _square_weights(reach, scale)
    groups: dict[bytes, list[int]] = {}
    for number, layer in enumerate(absent):
        groups.setdefault(np.packbits(layer).tobytes(), []).append(number)
    done = 0
    for layers in groups.values():
        missing = absent[layers[0]]
        holes = missing & wanted
        count = np.count_nonzero(holes)
        if not count or missing.all():
            continue
        if count > MANY_HOLES:
            holes &= _near_values(missing, reach)
        rows, columns = np.divmod(np.flatnonzero(holes), holes.shape[1])
        estimate = _weighted(values[layers], rows, columns, reach, row_weights)
        filled[np.array(layers)[:, None], rows, columns] = estimate
        done += np.count_nonzero(np.isfinite(estimate))
    return filled, done, n_holes - done


def _near_values(missing: np.ndarray, reach: int) -> np.ndarray:
    """Whether the square of `reach` round each cell (rows, columns) holds a value."""
    counts = np.pad(~missing, ((reach + 1, reach), (reach + 1, reach))).astype(np.int32)
    for axis in (0, 1):
        np.cumsum(counts, axis=axis, out=counts)
    side = 2 * reach + 1
    return counts[side:, side:] - counts[:-side, side:] - counts[side:, :-side] + counts[:-side, :-side] > 0


def _square_weights(reach: int, scale: np.ndarray) -> np.ndarray:
    """1 / distance squared of the cells of the square of `reach` round a cell of each row, (rows, cells)."""
    down, right = (part.ravel() for part in np.mgrid[-reach : reach + 1, -reach : reach + 1])
    squared = down**2 + (right * scale[:, None]) ** 2
    return np.divide(1.0, squared, out=np.zeros(squared.shape), where=(squared > 0) & (squared <= reach**2))


def _weighted(
    values: np.ndarray, rows: np.ndarray, columns: np.ndarray, reach: int, row_weights: np.ndarray
) -> np.ndarray:
    """Weighted means at (rows, columns) of layers with the same holes, (layers, n_holes) float64."""
    padded = np.pad(values, ((0, 0), (reach, reach), (reach, reach)), constant_values=np.nan)
    height, width = padded.shape[1:]
    layers = padded.reshape(len(values), height * width)
    down, right = (part.ravel() for part in np.mgrid[-reach : reach + 1, -reach : reach + 1])
    result = np.full((len(values), rows.size), np.nan)
    step = max(DONORS_AT_ONCE // down.size, 1)
    for start in range(0, rows.size, step):
        part = slice(start, start + step)
        # always the whole square of `reach`, so that sums round alike whatever window a hole is met in
        donors = ((rows[part] + reach) * width + columns[part] + reach)[:, None] + (down * width + right)
        valid = np.isfinite(layers[0].take(donors))
        weights = row_weights[rows[part]] * valid
        total = weights.sum(axis=1)
        for number, layer in enumerate(layers):
            found = np.where(valid, layer.take(donors), np.float32(0))
            np.divide((found * weights).sum(axis=1), total, out=result[number, part], where=total > 0)
    return result

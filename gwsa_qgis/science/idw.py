"""Inverse distance weighting for scattered holes."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt

# Donors looked up at once: bounds the memory of large holes.
DONORS_AT_ONCE = 2_000_000
# From this many holes on, those out of reach of any value are sorted out first.
MANY_HOLES = 20_000


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
    n_holes = int((absent & wanted).sum())
    if reach < 1 or not n_holes:
        return values, 0, n_holes
    filled = values.copy()
    scale = np.broadcast_to(np.asarray(column_scale, float), values.shape[1:2])
    groups: dict[bytes, list[int]] = {}
    for number, layer in enumerate(absent):
        groups.setdefault(np.packbits(layer).tobytes(), []).append(number)
    done = 0
    for layers in groups.values():
        missing = absent[layers[0]]
        holes = missing & wanted
        count = int(holes.sum())
        if not count or missing.all():
            continue
        if count > MANY_HOLES:
            holes &= distance_transform_edt(missing) <= reach * np.sqrt(2)
        rows, columns = np.nonzero(holes)
        estimate = _weighted(values[layers], rows, columns, reach, scale)
        filled[np.array(layers)[:, None], rows, columns] = estimate
        done += int(np.isfinite(estimate).sum())
    return filled, done, n_holes - done


def _weighted(values: np.ndarray, rows: np.ndarray, columns: np.ndarray, reach: int, scale: np.ndarray) -> np.ndarray:
    """Weighted means at (rows, columns) of layers with the same holes, (layers, n_holes) float64."""
    margins = ((0, 0), (reach, reach), (reach, reach))
    padded = np.pad(values, margins, constant_values=np.nan)
    valid = np.isfinite(padded[0]).ravel()
    layers = np.nan_to_num(padded.reshape(len(values), -1))
    width = padded.shape[2]
    # always the whole square of `reach`, so that sums round alike whatever window a hole is met in
    down, right = (part.ravel() for part in np.mgrid[-reach : reach + 1, -reach : reach + 1])
    others = (down != 0) | (right != 0)
    down, right = down[others], right[others]
    result = np.full((len(values), rows.size), np.nan)
    step = max(DONORS_AT_ONCE // down.size, 1)
    for start in range(0, rows.size, step):
        part = slice(start, start + step)
        squared = down**2 + (right * scale[rows[part], None]) ** 2
        donors = (rows[part, None] + reach + down) * width + columns[part, None] + reach + right
        weights = np.where(valid[donors] & (squared <= reach**2), 1 / squared, 0.0)
        total = weights.sum(axis=1)
        has_donor = total > 0
        for number, layer in enumerate(layers):
            sums = (layer[donors] * weights).sum(axis=1)
            result[number, part][has_donor] = sums[has_donor] / total[has_donor]
    return result

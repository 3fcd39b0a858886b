"""Inverse distance weighting for scattered holes."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt

POWER = 2


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
    holes = np.isnan(values) & wanted
    if reach < 1 or not holes.any():
        return values, 0, int(holes.sum())
    filled = values.copy()
    scale = np.broadcast_to(np.asarray(column_scale, float), values.shape[1:2])
    _, pattern = np.unique(np.packbits(np.isnan(values).reshape(len(values), -1), axis=1), axis=0, return_inverse=True)
    pattern = pattern.ravel()
    done = 0
    for number in np.unique(pattern):
        layers = np.flatnonzero(pattern == number)
        missing = np.isnan(values[layers[0]])
        if not holes[layers[0]].any() or missing.all():
            continue
        near = distance_transform_edt(missing) <= reach * np.sqrt(2)
        rows, columns = np.nonzero(holes[layers[0]] & near)
        estimate = _weighted(values[layers], rows, columns, reach, scale)
        filled[layers[:, None], rows, columns] = estimate
        done += int(np.isfinite(estimate).sum())
    return filled, done, int(holes.sum()) - done


def _weighted(values: np.ndarray, rows: np.ndarray, columns: np.ndarray, reach: int, scale: np.ndarray) -> np.ndarray:
    """Weighted means at (rows, columns) of layers with the same holes, (layers, n_holes)."""
    padded = np.pad(values, ((0, 0), (reach, reach), (reach, reach)), constant_values=np.nan)
    total = np.zeros((len(values), rows.size))
    weight = np.zeros(rows.size)
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            squared = down**2 + (right * scale[rows]) ** 2
            donor = padded[:, rows + reach + down, columns + reach + right]
            part = np.where(np.isfinite(donor[0]) & (squared <= reach**2) & (squared > 0), 1 / np.maximum(squared, 1e-12), 0)
            total += np.where(part > 0, donor, 0) * part
            weight += part
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(weight > 0, total / weight, np.nan)

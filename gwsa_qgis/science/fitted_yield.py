"""The specific yield that would bring the wells' amplitudes to the map's, group by group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gwsa_qgis.science.well_bootstrap import FEWEST_BLOCKS, QUANTILES


@dataclass(frozen=True)
class FittedYield:
    """Specific yield of a group of wells.

    Attributes
    ----------
    wells : int
    value, low, high : float
        Slope of the map's anomaly (as a height of water) on the level's, and its 95 % interval; NaN with fewer than
        five blocks for the interval.
    """

    wells: int
    value: float
    low: float
    high: float


def fitted_yields(
    levels: np.ndarray,
    storage: np.ndarray,
    groups: Sequence[str],
    blocks: np.ndarray,
    *,
    draws: int = 1000,
    seed: int = 0,
) -> dict[str, FittedYield]:
    """Fit dGWS = Sy x dGWL (Eq. 19) by least squares through the origin, for each group of wells.

    It is fitted to the map and must not be used to judge it. Noise of the levels draws it towards 0.

    Parameters
    ----------
    levels : ndarray, shape (n_wells, n_steps)
        Anomalies of groundwater level, cm, positive up.
    storage : ndarray, shape (n_wells, n_steps)
        Anomalies of the map at the wells, cm.
    groups : sequence of str, length n_wells
        Region or class of each well.
    blocks : ndarray of int, shape (n_wells,)
        Drawn whole for the interval.
    draws, seed : int
        Of the bootstrap.
    """
    both = np.isfinite(levels) & np.isfinite(storage)
    x, y = np.where(both, levels, 0.0), np.where(both, storage, 0.0)
    products, squares = (x * y).sum(axis=1), (x * x).sum(axis=1)
    names, result = np.asarray(groups, dtype=object), {}
    for name in dict.fromkeys(groups):
        own = (names == name) & (squares > 0)
        if not own.any():
            continue
        low = high = np.nan
        found, place = np.unique(np.asarray(blocks)[own], return_inverse=True)
        if found.size >= FEWEST_BLOCKS:
            sums = np.stack([np.bincount(place.ravel(), part[own]) for part in (products, squares)])
            drawn = np.random.default_rng(seed).integers(0, found.size, (draws, found.size))
            over, under = sums[:, drawn].sum(axis=2)
            low, high = np.quantile(over / under, QUANTILES)
        value = products[own].sum() / squares[own].sum()
        result[name] = FittedYield(int(own.sum()), float(value), float(low), float(high))
    return result

"""How the slope of actual on predicted detail changes from scale to scale, and what it is likely to be at the fine one.

Detail is judged between groups of supports and supports, and written within supports: at a scale at which nothing was
seen. Where relations hold at several coarser scales alike they can be trusted to go on; where they fall from scale to
scale, or where there is one scale only, they cannot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Standard deviation, over regions, of what the slope changes by from one scale to the next of half the size (an octave),
# from the coarser scales of the regions in docs/downscaling.md.
DRIFT_SPREAD = 0.3
# The fine scale lies so many octaves below that of the smallest groups: supports within groups of two by two are to
# those what pixels of half their size are to supports.
OCTAVES_TO_FINE = 1.0
FEWEST_BLOCKS = 3


@dataclass(frozen=True)
class ScaleDrift:
    """What a slope found at the smallest coarser scale becomes at the fine one.

    Attributes
    ----------
    slopes : tuple of float
        Slope at each coarser scale, the smallest first.
    change : float
        What is likely to be added to the slope on the way from the smallest coarser scale to the fine one.
    error : float
        Standard error of that change.
    """

    slopes: tuple[float, ...] = ()
    change: float = 0.0
    error: float = OCTAVES_TO_FINE * DRIFT_SPREAD


def scale_drift(
    actual: np.ndarray, detail: np.ndarray, blocks: np.ndarray, scale: np.ndarray, octaves: Sequence[float]
) -> ScaleDrift:
    """Follow the slope from scale to scale.

    The drift, slope per octave, is a straight line's through the scales, with its error from leaving out one block at a
    time (jackknife: Tukey 1958, 10.1214/aoms/1177706647). It is shrunk towards no drift by what drifts of other regions
    spread (empirical Bayes: Morris 1983, 10.1080/01621459.1983.10477920).

    Parameters
    ----------
    actual, detail : (n_samples,)
        Actual and held-out predicted deviations of all scales.
    blocks, scale : (n_samples,) int
        Block that was held out, and the number of the scale, 0 the smallest.
    octaves : sequence of float
        Binary logarithm of the size of each scale; only differences matter.

    Returns
    -------
    ScaleDrift
        With one scale, or few blocks, no change, and the spread of other regions as its error.
    """
    size = np.asarray(octaves, np.float64)
    block, at = np.unique(blocks, return_inverse=True)
    at = at.ravel() + block.size * np.asarray(scale, np.int64)  # numbers of scales may be of one byte
    products, squares = (
        np.bincount(at, term, size.size * block.size).reshape(size.size, block.size)
        for term in (actual * detail, detail**2)
    )
    seen = (squares.sum(1, keepdims=True) > squares).all(1)  # at a scale that one block alone has, nothing is known
    slopes = np.full(size.size, np.nan)
    slopes[seen] = products[seen].sum(1) / squares[seen].sum(1)
    apart = size[seen] - size[seen].mean() if seen.any() else np.zeros(0)
    if block.size < FEWEST_BLOCKS or not apart.any():
        return ScaleDrift(tuple(slopes))
    line = apart / (apart**2).sum()
    without = (products[seen].sum(1, keepdims=True) - products[seen]) / (
        squares[seen].sum(1, keepdims=True) - squares[seen]
    )
    drifts = line @ without
    variance = (block.size - 1) / block.size * ((drifts - drifts.mean()) ** 2).sum()
    kept = DRIFT_SPREAD**2 / (DRIFT_SPREAD**2 + variance)
    drift = kept * float(line @ slopes[seen])
    return ScaleDrift(
        tuple(slopes), -drift * OCTAVES_TO_FINE, float(OCTAVES_TO_FINE * DRIFT_SPREAD * np.sqrt(1 - kept))
    )

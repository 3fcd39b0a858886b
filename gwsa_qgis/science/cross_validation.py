"""Held-out estimates, and the weight that predicted detail has earned on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gwsa_qgis.science.learners import TreeEnsemble

# A class's own evidence counts as much as the pooled one when it has this many groups of supports.
SHARED_GROUPS = 10.0


def held_out_estimates(
    make: Callable[[], TreeEnsemble],
    x: np.ndarray,
    y: np.ndarray,
    folds: np.ndarray,
    progress: Callable[[float], None] | None = None,
) -> np.ndarray:
    """Estimate each sample by a learner that was fitted without its fold.

    Parameters
    ----------
    make : callable
        Gives a new learner.
    x, y : ndarray
        Samples, (n_samples, n_inputs) and (n_samples,).
    folds : (n_samples,) int
        Fold of each sample, from 0; -1 is never held out, always used.

    Returns
    -------
    (n_samples,) float32
        NaN where the fold is -1.
    """
    estimates = np.full(y.size, np.nan, np.float32)
    names = np.unique(folds[folds >= 0])
    for done, fold in enumerate(names):
        out = folds == fold
        estimates[out] = make().fit(x[~out], y[~out]).predict(x[out])
        if progress:
            progress((done + 1) / names.size)
    return estimates


@dataclass(frozen=True)
class DetailWeights:
    """How much of the predicted detail to believe.

    Attributes
    ----------
    pooled : float
        Weight in [0, 1] over all classes.
    of_class : dict of int to float
        Weight of each class, drawn towards the pooled one where the class has few groups.
    """

    pooled: float
    of_class: dict[int, float]


def detail_weights(actual: np.ndarray, held_out: np.ndarray, classes: np.ndarray, groups: np.ndarray) -> DetailWeights:
    """Slope of actual on held-out deviations, cut to [0, 1]; 0 where the gain is not above its standard error.

    Parameters
    ----------
    actual, held_out : (n_samples,)
        Deviations, and their estimates from models that had not seen the sample's group.
    classes, groups : (n_samples,) int
        Class and group of supports of each sample. The standard error is taken over groups, which is what was left out.
    """
    both = np.isfinite(actual) & np.isfinite(held_out)
    a, h = actual[both].astype(np.float64), held_out[both].astype(np.float64)
    c, g = classes[both], groups[both]
    product, square = a @ h, h @ h
    pooled = _weight(product, square)
    pooled = pooled if _earned(a, h, g, pooled) else 0.0
    n_groups = max(np.unique(g).size, 1)
    of_class = {}
    for name in np.unique(c):
        own = c == name
        share = SHARED_GROUPS / n_groups
        weight = _weight(a[own] @ h[own] + share * pooled * square, h[own] @ h[own] + share * square)
        of_class[int(name)] = weight if pooled > 0 else 0.0
    return DetailWeights(pooled, of_class)


def _weight(product: float, square: float) -> float:
    return float(np.clip(product / square, 0.0, 1.0)) if square > 0 else 0.0


def _earned(actual: np.ndarray, held_out: np.ndarray, groups: np.ndarray, weight: float) -> bool:
    """Whether the squared error saved, summed by group, is larger than its standard error."""
    saved = actual**2 - (actual - weight * held_out) ** 2
    _, index = np.unique(groups, return_inverse=True)
    of_group = np.bincount(index.ravel(), saved)
    return bool(of_group.sum() > of_group.std() * np.sqrt(of_group.size))

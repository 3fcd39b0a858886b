"""Held-out estimates, and the weight that predicted detail has earned on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.optimize import nnls
from scipy.stats import norm
from scipy.stats import t as student_t

from gwsa_qgis.science.scale_drift import ScaleDrift, scale_drift

# Standard errors that a slope must have: that over all classes, to be believed at all; and those taken off each class's.
POOLED_CAUTION, CLASS_CAUTION = 2.5, 1.0
# Standard deviation of the slopes of classes around the pooled one, before their samples are seen.
CLASS_SPREAD = 0.25
FEWEST_BLOCKS = 3
SMALLEST_SHARE = 0.01
NO_DRIFT = ScaleDrift(error=0.0)


def held_out_estimates(
    estimate: Callable[[np.ndarray, np.ndarray], np.ndarray],
    folds: np.ndarray,
    progress: Callable[[float], None] | None = None,
) -> np.ndarray:
    """Estimate each sample by a model that was fitted without its fold.

    Parameters
    ----------
    estimate : callable
        ``estimate(train, test)`` with two boolean masks over samples fits on the first and gives estimates
        (n_test, n_parts) or (n_test,) of the second.
    folds : (n_samples,) int
        Fold of each sample, from 0; -1 is never held out, always used.

    Returns
    -------
    (n_samples, n_parts) or (n_samples,) float64
        NaN where the fold is -1.
    """
    result = np.full(folds.shape, np.nan)
    names = np.unique(folds[folds >= 0])
    for done, fold in enumerate(names):
        out = folds == fold
        values = estimate(~out, out)
        if done == 0:
            result = np.full((folds.size, *values.shape[1:]), np.nan)
        result[out] = values
        if progress:
            progress((done + 1) / names.size)
    return result


@dataclass(frozen=True)
class DetailWeights:
    """How much of the predicted detail to believe.

    Attributes
    ----------
    shares : (n_parts,) ndarray
        In [0, 1]: multiply the parts by these and add them up.
    pooled : float
        Weight in [0, 1] of that sum over all classes.
    of_class : dict of int to float
        Weight of each class.
    slope, error : float
        Slope of actual deviations on the sum of held-out parts, and its standard error over blocks.
    drift : ScaleDrift
        What becomes of that slope on the way to the fine scale.
    """

    shares: np.ndarray
    pooled: float = 0.0
    of_class: dict[int, float] = field(default_factory=dict)
    slope: float = np.nan
    error: float = np.nan
    drift: ScaleDrift = NO_DRIFT


def detail_weights(
    actual: np.ndarray,
    parts: np.ndarray,
    classes: np.ndarray,
    blocks: np.ndarray,
    scales: np.ndarray | None = None,
    octaves: Sequence[float] = (),
) -> DetailWeights:
    """Weights of predicted detail from blocked cross-validation.

    Parts are combined by non-negative least squares on held-out samples (stacking: Breiman 1996, 10.1007/BF00117832).
    Nothing is believed unless the slope of actual on predicted detail is two and a half standard errors above 0 over all
    classes, and of what is just above them only a little (non-negative garrote: Breiman 1995,
    10.1080/00401706.1995.10484371): where predictors know nothing, one sample in forty has a slope of two standard errors
    by chance. A class's slope is then the mean of its own and the pooled one, each weighted by the inverse of its variance
    (empirical Bayes: Morris 1983, 10.1080/01621459.1983.10477920), less one standard error of that mean: the pool speaks
    for a class only as far as the class's own errors leave room; it gets as much of that as all classes together are
    believed, or it alone as one of several. Months and neighbours are not independent but blocks
    nearly are, so errors come from leaving out one block at a time (jackknife: Tukey 1958, 10.1214/aoms/1177706647).
    What is seen between supports is written within them: where scales are given, the slope is followed from scale to scale
    to the fine one, and what is not known of that (`scale_drift`) counts with the errors.

    Parameters
    ----------
    actual : (n_samples,)
        Deviations from the smallest coarser scale: the width nearest to the fine scale.
    parts : (n_samples, n_parts)
        Held-out estimates; samples with a NaN are passed over.
    classes, blocks : (n_samples,) int
        Class and group of supports of each sample.
    scales : (n_samples,) int, optional
        Number of each sample's coarser scale; only those of the smallest, 0, tell of weights.
    octaves : sequence of float
        Binary logarithm of the size of each scale.
    """
    valid = np.isfinite(parts).all(1) & np.isfinite(actual)
    parts, actual = np.asarray(parts[valid], np.float64), np.asarray(actual[valid], np.float64)
    classes, blocks = classes[valid], blocks[valid]
    every = (actual, parts, blocks, np.zeros(actual.size, int) if scales is None else scales[valid])
    first = every[-1] == 0
    actual, parts, classes, blocks = actual[first], parts[first], classes[first], blocks[first]
    nothing = DetailWeights(np.zeros(parts.shape[1]), 0.0, {int(name): 0.0 for name in np.unique(classes)})
    if np.unique(blocks).size < FEWEST_BLOCKS:
        return nothing
    triangle = np.linalg.qr(np.column_stack([parts, actual]), mode="r")
    shares = np.minimum(nnls(triangle[:, :-1], triangle[:, -1])[0], 1.0)
    shares[shares < SMALLEST_SHARE] = 0.0
    detail = parts @ shares
    slope, error = slope_and_error(actual, detail, blocks)
    drift = NO_DRIFT if scales is None else scale_drift(every[0], every[1] @ shares, *every[2:], octaves)
    belief = _belief(actual, detail, blocks, POOLED_CAUTION, drift)
    if not belief > 0:
        return replace(nothing, slope=slope, error=error, drift=drift)
    pooled = min(belief * (slope + drift.change), 1.0)
    names = np.unique(classes)
    if names.size == 1:
        return DetailWeights(shares, pooled, {int(names[0]): pooled}, slope, error, drift)
    of_class = {}
    # A class that agrees by chance is easily found among several (Bonferroni).
    caution = norm.isf(norm.sf(POOLED_CAUTION) / names.size)
    for name in names:
        own = classes == name
        found, own_error = slope_and_error(actual[own], detail[own], blocks[own])
        weight = _cautious(found + drift.change, own_error, slope + drift.change, error)
        of_class[int(name)] = weight * max(belief, _belief(actual[own], detail[own], blocks[own], caution, drift))
    return DetailWeights(shares, pooled, of_class, slope, error, drift)


def _belief(actual: np.ndarray, detail: np.ndarray, blocks: np.ndarray, caution: float, drift: ScaleDrift) -> float:
    """How far a slope at the fine scale is to be believed: 0 where it is not so many errors above 0, then rising to 1."""
    slope, error = slope_and_error(actual, detail, blocks, caution)
    slope, error = slope + drift.change, np.hypot(error, caution * drift.error)
    return float(1 - (error / slope) ** 2) if slope > error else 0.0


def slope_and_error(
    actual: np.ndarray, detail: np.ndarray, blocks: np.ndarray, number_of_errors: float = 1.0
) -> tuple[float, float]:
    """Slope through the origin of actual on detail, and so many standard errors of it, infinite with too few blocks.

    The error is the jackknife's, widened to the quantile of Student's distribution that these standard errors stand for
    with as many blocks: few blocks say little of their own spread.
    """
    block = np.unique(blocks, return_inverse=True)[1].ravel()
    products, squares = np.bincount(block, actual * detail), np.bincount(block, detail**2)
    number = squares.size
    if number < FEWEST_BLOCKS or not (squares.sum() > squares).all():
        return 0.0, np.inf
    without = (products.sum() - products) / (squares.sum() - squares)
    error = np.sqrt((number - 1) / number * ((without - without.mean()) ** 2).sum())
    return float(products.sum() / squares.sum()), float(error * student_t.ppf(norm.cdf(number_of_errors), number - 1))


def _cautious(own: float, own_error: float, pooled: float, pooled_error: float) -> float:
    prior = CLASS_SPREAD**2 + pooled_error**2
    # An error of 0 would come from blocks that agree by chance: then the class speaks for itself.
    evidence = 1 / max(own_error**2, 1e-12)
    variance = 1 / (evidence + 1 / prior)
    mean = variance * (own * evidence + pooled / prior)
    return float(np.clip(mean - CLASS_CAUTION * np.sqrt(variance), 0, 1))

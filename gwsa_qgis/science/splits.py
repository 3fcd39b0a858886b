"""Samples held out in folds, and what needs no predictors to estimate them.

A score depends on what stands on both sides of a split: a random split leaves neighbours in space and time on the training
side, blocks of places, of years and of classes do not (Roberts et al. 2017, 10.1111/ecog.02881).
"""

from __future__ import annotations

import numpy as np

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.science.supports import blocked_folds

NEVER = -1  # a sample of this fold is never held out, always trained on


def random_fold(size: int, share: float, seed: object) -> np.ndarray:
    """One fold (0) of a random share of the samples, the others `NEVER`: (size,) int32."""
    folds = np.full(size, NEVER, np.int32)
    chosen = np.random.default_rng(seed).permutation(size)[: max(1, round(share * size))]
    folds[chosen] = 0
    return folds


def group_folds(groups: np.ndarray, n_folds: int, seed: int) -> np.ndarray:
    """Fold of each sample, whole groups together; all `NEVER` when there are not two groups.

    Parameters
    ----------
    groups : (n_samples,) int
        Labels from 1, 0 for none.
    """
    counts = np.bincount(groups)  # np.unique would sort all samples
    names = np.flatnonzero(counts)
    if (names > 0).sum() < 2:
        return np.full(groups.shape, NEVER, np.int32)
    fold_of = np.zeros(counts.size, np.int32)
    fold_of[names] = blocked_folds(names, n_folds, seed)
    return fold_of[groups]


def year_folds(years: np.ndarray, n_folds: int = 5) -> np.ndarray:
    """Fold of each sample, whole calendar years together and consecutive ones in one fold.

    Storage remembers the year before; consecutive years leave the fewest borders at which a year is told by its
    neighbours.

    Parameters
    ----------
    years : (n_samples,) int
    n_folds : int
        At most the number of years are made.

    Returns
    -------
    (n_samples,) int32
        Folds of nearly equal numbers of samples, in the order of years; all `NEVER` when there are not two years.
    """
    names, index, counts = np.unique(years, return_inverse=True, return_counts=True)
    if names.size < 2:
        return np.full(np.shape(years), NEVER, np.int32)
    middle = np.cumsum(counts) - counts / 2
    fold = np.floor(middle / counts.sum() * min(n_folds, names.size))
    return np.unique(fold, return_inverse=True)[1].ravel().astype(np.int32)[index.ravel()]


def class_folds(classes: np.ndarray) -> np.ndarray:
    """One fold for each class (labels from 1); `NEVER` without a class, and when there are not two of them."""
    names, index = np.unique(classes, return_inverse=True)
    inside = names > 0
    if inside.sum() < 2:
        return np.full(np.shape(classes), NEVER, np.int32)
    return np.where(inside, np.cumsum(inside) - 1, NEVER).astype(np.int32)[index.ravel()]


def degree_blocks(longitudes: np.ndarray, latitudes: np.ndarray, degrees: float) -> np.ndarray:
    """Blocks of degrees x degrees, counted from 180 W and 90 S.

    Parameters
    ----------
    longitudes, latitudes : (n,) float
        Positions; NaN gets block 0.
    degrees : float
        Side of a block.

    Returns
    -------
    (n,) int32
        Labels 1..n_blocks.
    """
    if not degrees > 0:
        raise InvalidParameter(f"blocks of {degrees} degrees were asked for", "give a side above 0")
    known = np.isfinite(longitudes) & np.isfinite(latitudes)
    blocks = np.zeros(known.shape, np.int32)
    column = np.floor(((longitudes[known] + 180) % 360) / degrees).astype(np.int64)
    row = np.floor((latitudes[known] + 90) / degrees).astype(np.int64)
    blocks[known] = np.unique(row * (int(360 / degrees) + 2) + column, return_inverse=True)[1].ravel() + 1
    return blocks


def held_out_climatology(y: np.ndarray, classes: np.ndarray, calendar: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Mean of the training samples of the same class and calendar month, for each sample that is held out.

    Where the class has no training sample in that calendar month, the calendar month of all classes speaks for it, and
    where that has none either, the mean of all training samples.

    Parameters
    ----------
    y : (n_samples,)
    classes : (n_samples,) int
    calendar : (n_samples,) int
        Calendar month.
    folds : (n_samples,) int
        From 0; `NEVER` is always trained on.

    Returns
    -------
    (n_samples,) float64
        NaN where a sample is never held out.
    """
    fold = np.asarray(folds) - NEVER
    kind, month = (np.unique(values, return_inverse=True)[1].ravel() for values in (classes, calendar))
    shape = (int(fold.max(initial=0)) + 1, int(kind.max(initial=0)) + 1, int(month.max(initial=0)) + 1)
    place = np.ravel_multi_index((fold, kind, month), shape)
    size = int(np.prod(shape))
    sums = np.bincount(place, np.asarray(y, np.float64), size).reshape(shape)
    counts = np.bincount(place, minlength=size).reshape(shape)
    # What is left when a fold is taken out of all.
    sums, counts = sums.sum(0) - sums, counts.sum(0) - counts
    levels = [(sums, counts)]
    for axes in ((1,), (1, 2)):
        levels.append((sums.sum(axes, keepdims=True), counts.sum(axes, keepdims=True)))
    means = np.full(shape, np.nan)
    for total, number in levels:
        found = np.divide(total, number, out=np.full(total.shape, np.nan), where=number > 0)
        means = np.where(np.isfinite(means), means, found)
    return np.where(fold > 0, means[fold, kind, month], np.nan)


def share_and_error(squares: np.ndarray, left: np.ndarray, blocks: np.ndarray) -> tuple[float, float]:
    """Share of squares that is taken away, and its standard error over blocks.

    Parameters
    ----------
    squares, left : (n_samples,)
        Squared errors without the estimates and with them.
    blocks : (n_samples,) int

    Returns
    -------
    share : float
        1 - sum of `left` / sum of `squares`; NaN where there is nothing to explain.
    error : float
        Jackknife over blocks (Tukey 1958, 10.1214/aoms/1177706647); NaN with fewer than three of them.
    """
    block = np.unique(blocks, return_inverse=True)[1].ravel()
    before, after = np.bincount(block, squares), np.bincount(block, left)
    if not before.sum() > 0:
        return np.nan, np.nan
    share = 1 - after.sum() / before.sum()
    number = before.size
    if number < 3 or not (before.sum() > before).all():
        return float(share), np.nan
    without = 1 - (after.sum() - after) / (before.sum() - before)
    return float(share), float(np.sqrt((number - 1) / number * ((without - without.mean()) ** 2).sum()))


def share_per_place(
    squares: np.ndarray, left: np.ndarray, places: np.ndarray, neighbours: np.ndarray, classes: np.ndarray, size: int
) -> np.ndarray:
    """Share of squares that is taken away at each place, smoothed: months of one place are few and alike.

    Sums of a place are taken together with the mean of its neighbours' and with the mean of its class's places, each
    counting as one place more, so that a place with little to explain says what its surroundings say.

    Parameters
    ----------
    squares, left : (n_samples,)
        Squared errors without the estimates and with them.
    places : (n_samples,) int
        From 0 to size - 1.
    neighbours, classes : (size,) int
        Group of neighbours and class of each place, 0 for none.

    Returns
    -------
    (size,) float64
        In [-1, 1]; NaN where a place has no sample.
    """
    counts = np.bincount(places, minlength=size)
    there = counts > 0
    result = np.full(size, np.nan)
    total = np.zeros((2, size))
    for row, values in zip(total, (squares, left), strict=True):
        # Mean squares, so that a place with many months does not drown its neighbours.
        own = np.bincount(places, values, size)[there] / counts[there]
        row[there] = own + _mean_of(own, neighbours[there]) + _mean_of(own, classes[there])
    known = there & (total[0] > 0)
    result[known] = np.clip(1 - total[1][known] / total[0][known], -1, 1)
    return result


def _mean_of(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    index = np.unique(groups, return_inverse=True)[1].ravel()
    return (np.bincount(index, values) / np.bincount(index))[index]

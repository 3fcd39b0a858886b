"""The penalty of the linear part, chosen on held-out blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gwsa_qgis.science.linear_detail import RIDGE, LinearDetail
from gwsa_qgis.science.table_rows import TableRows

RIDGES = (0.03, 0.1, 0.3, 1.0, 3.0)


def choose_ridge(
    n_predictors: int,
    class_names: Sequence[int],
    x: np.ndarray | TableRows,
    y: np.ndarray,
    classes: np.ndarray,
    blocks: np.ndarray,
    folds: np.ndarray,
    judged: int,
    progress: Callable[[float], None] | None = None,
    *,
    threads: int = 0,
) -> float:
    """The strongest penalty whose error on held-out blocks is within one standard error of the least.

    Among penalties that cannot be told apart the strongest one carries the least noise to the fine scale (the rule of one
    standard error: Breiman et al. 1984, Classification and Regression Trees, section 3.4.3).

    Parameters
    ----------
    n_predictors, class_names
        As `LinearDetail` takes them.
    x, y, classes : ndarray
        Samples, as `LinearDetail.fit` takes them.
    blocks, folds : (n_samples,) int
        Block of each sample, and the fold in which it is held out, negative for never.
    judged : int
        So many of the first samples are judged.
    progress : callable, optional
        Called with the share that is done; may raise to cancel.
    threads : int
        As `LinearDetail` takes them.

    Returns
    -------
    float
        `RIDGE` where nothing can be held out.
    """
    names = np.unique(folds[:judged][folds[:judged] >= 0])
    if names.size < 2:
        return RIDGE
    squares = np.zeros((len(RIDGES), judged))
    tell = progress or (lambda share: None)
    for done, fold in enumerate(names):
        train, test = folds != fold, np.flatnonzero(folds[:judged] == fold)
        models = LinearDetail(n_predictors, class_names, threads=threads).path(
            TableRows(x, train),
            y[train],
            classes[train],
            RIDGES,
            lambda share, done=done: tell((done + share) / names.size),
        )
        held = TableRows(x, test)
        for row, model in zip(squares, models, strict=True):
            tell((done + 1) / names.size)
            row[test] = (model.predict(held, classes[test]) - y[test]) ** 2
    block = np.unique(blocks[:judged], return_inverse=True)[1].ravel()
    sums = np.stack([np.bincount(block, row) for row in squares])
    least = sums[sums.sum(1).argmin()]
    # what a penalty loses to the best one varies from block to block
    excess = sums - least
    error = np.sqrt(sums.shape[1]) * excess.std(1)
    good = excess.sum(1) <= error
    return float(max(ridge for ridge, is_good in zip(RIDGES, good, strict=True) if is_good))

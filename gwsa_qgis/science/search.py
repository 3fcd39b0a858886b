"""Randomised search over a learner's parameters, judged on the folds that the caller gives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gwsa_qgis.errors import MissingPackage
from gwsa_qgis.science.learners import TreeEnsemble


def search_parameters(
    kind: str,
    x: np.ndarray,
    y: np.ndarray,
    folds: np.ndarray,
    *,
    iterations: int = 20,
    seed: int = 0,
    threads: int = 0,
    shallow: bool = False,
    progress: Callable[[float], None] | None = None,
) -> tuple[dict, float]:
    """Find the parameters whose squared error on held-out folds is least (sklearn's RandomizedSearchCV).

    Parameters
    ----------
    kind : str
        A learner of `learners.LEARNERS`.
    x, y : ndarray
        Samples, (n_samples, n_inputs) and (n_samples,).
    folds : (n_samples,) int
        Fold in which a sample is held out, -1 for never.
    iterations : int
        Candidates to try; with 0 the defaults are returned untried.
    shallow : bool
        Try few and shallow trees only, for a learner that stands beside another model.
    progress : callable, optional
        Called with the share of fits that are done; may raise to cancel.

    Returns
    -------
    parameters : dict
        Of the best candidate; empty when `iterations` is 0.
    r2 : float
        Its mean R2 on the held-out folds; NaN when nothing was tried.
    """
    if iterations < 1:
        return {}, np.nan
    try:
        from sklearn.base import BaseEstimator, RegressorMixin
        from sklearn.metrics import r2_score
        from sklearn.model_selection import PredefinedSplit, RandomizedSearchCV
    except ImportError:
        raise MissingPackage(
            "the Python package scikit-learn is not installed", "run: python -m pip install scikit-learn"
        ) from None

    class Estimator(RegressorMixin, BaseEstimator):
        """The learner, as sklearn wants to see it."""

        def __init__(self, n_estimators=1, learning_rate=1.0, max_depth=1, min_child_weight=1):
            self.n_estimators, self.learning_rate = n_estimators, learning_rate
            self.max_depth, self.min_child_weight = max_depth, min_child_weight

        def fit(self, x, y):
            self.learner_ = TreeEnsemble(kind, self.get_params(), seed=seed, threads=threads).fit(x, y)
            return self

        def predict(self, x):
            return self.learner_.predict(x)

    split = PredefinedSplit(folds)
    total, done = iterations * split.get_n_splits(), 0

    def judge(estimator: Estimator, x: np.ndarray, y: np.ndarray) -> float:
        nonlocal done
        done += 1
        if progress:
            progress(min(done / total, 1.0))
        return r2_score(y, estimator.predict(x))

    search = RandomizedSearchCV(
        Estimator(),
        _distributions(kind, shallow),
        n_iter=iterations,
        scoring=judge,
        cv=split,
        refit=False,
        random_state=seed,
        error_score="raise",
    )
    search.fit(x, y)
    best = {name: value.item() if hasattr(value, "item") else value for name, value in search.best_params_.items()}
    return best, float(search.best_score_)


def _distributions(kind: str, shallow: bool) -> dict:
    from scipy.stats import loguniform, randint

    if kind == "random_forest":
        return {
            "n_estimators": randint(50, 151) if shallow else randint(80, 301),
            "learning_rate": [1.0],
            "max_depth": randint(4, 9) if shallow else randint(6, 15),
            "min_child_weight": randint(1, 31),
        }
    return {
        "n_estimators": randint(60, 161) if shallow else randint(80, 401),
        "learning_rate": loguniform(0.03, 0.2),
        "max_depth": randint(2, 6) if shallow else randint(3, 9),
        "min_child_weight": randint(1, 101),
    }

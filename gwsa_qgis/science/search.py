"""Search over a learner's parameters, judged on the folds that the caller gives."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import numpy as np

from gwsa_qgis.science.learners import TREES, check_learner, make_learner
from gwsa_qgis.science.learning import Progress, import_package
from gwsa_qgis.science.linear_floor import PENALTIES, Moments
from gwsa_qgis.science.scores import score

# ``remember(key, make)`` gives the score that was kept under a key, or makes and keeps it.
Remember = Callable[[str, Callable[[], float]], float]
# Networks that are tried on all folds before the median of their scores may end others early.
UNPRUNED = 5


def search_parameters(
    kind: str,
    x: np.ndarray,
    y: np.ndarray,
    folds: np.ndarray,
    *,
    iterations: int = 20,
    seed: int = 0,
    threads: int = 0,
    device: str = "auto",
    shallow: bool = False,
    progress: Progress | None = None,
    remember: Remember | None = None,
) -> tuple[dict, float]:
    """Find the parameters whose squared error on held-out folds is least.

    Trees are searched at random (sklearn's RandomizedSearchCV), networks by a tree of Parzen estimators (Optuna: Akiba et
    al. 2019, 10.1145/3292500.3330701), the penalty of the linear learner on a grid.

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
    device : {"auto", "cpu", "cuda"}
        Where trees are fitted.
    shallow : bool
        Try small learners only, that are to stand beside another model.
    progress : callable, optional
        Called with the share of fits that are done; may raise to cancel.
    remember : callable, optional
        ``remember(key, make)`` returns the score kept under a key, or calls `make` and keeps what it returns: so a search
        that was stopped goes on where it was. Keys stand for learner, parameters, seed, samples and fold.

    Returns
    -------
    parameters : dict
        Of the best candidate; empty when `iterations` is 0.
    r2 : float
        Its mean R2 on the held-out folds; NaN when nothing was tried.

    Raises
    ------
    MissingPackage
        If scikit-learn, or Optuna for networks, is not installed.
    """
    check_learner(kind, device)
    if iterations < 1 or not (folds >= 0).any():
        return {}, np.nan
    if kind == "linear":
        return _search_penalty(x, y, folds, progress)
    names = np.unique(folds[folds >= 0])
    trial = _Trial(kind, x, y, folds, seed, threads, device, remember, progress, iterations * names.size)
    if kind in TREES:
        return _search_at_random(trial, _distributions(kind, shallow), iterations)
    return _search_by_optuna(trial, names, iterations, shallow)


class _Trial:
    """Fits a candidate without a fold and scores it there; counts what is done and remembers."""

    def __init__(
        self,
        kind: str,
        x: np.ndarray,
        y: np.ndarray,
        folds: np.ndarray,
        seed: int,
        threads: int,
        device: str,
        remember: Remember | None,
        progress: Progress | None,
        total: int,
    ) -> None:
        self.kind, self.x, self.y, self.folds, self.seed = kind, x, y, folds, seed
        self._options = (seed, threads, device)
        self._remember = remember or (lambda key, make: make())
        self._progress, self._share = progress, 0.0
        self._total, self._done = total, 0
        parts = hashlib.sha256()
        for array in (x, y, folds):
            parts.update(f"{array.dtype} {array.shape}".encode())
            parts.update(np.ascontiguousarray(array))
        self._digest = parts.hexdigest()

    def score(self, parameters: dict, fold: int) -> float:
        """R2 of a candidate on one fold."""
        plain = {name: value.item() if hasattr(value, "item") else value for name, value in parameters.items()}
        text = json.dumps([self.kind, plain, self.seed, int(fold), self._digest], sort_keys=True)
        result = self._remember(hashlib.sha256(text.encode()).hexdigest()[:32], lambda: self._fitted(plain, fold))
        self._done += 1
        self._tell(0.0)
        return float(result)

    def _fitted(self, parameters: dict, fold: int) -> float:
        out = self.folds == fold
        learner = make_learner(self.kind, parameters, *self._options)
        learner.fit(self.x[~out], self.y[~out], self._tell)
        return score(self.y[out], learner.predict(self.x[out])).r2

    def finish(self) -> None:
        """All fits are done that had to be."""
        self._done = self._total
        self._tell(0.0)

    def _tell(self, share: float) -> None:
        """Tell the share of all fits that is done, given that of the one at work."""
        self._share = min(max(self._share, (self._done + share) / self._total), 1.0)
        if self._progress:
            self._progress(self._share)


def _search_at_random(trial: _Trial, distributions: dict, iterations: int) -> tuple[dict, float]:
    selection = import_package("sklearn.model_selection", "scikit-learn")
    base = import_package("sklearn.base", "scikit-learn")

    class Candidate(base.RegressorMixin, base.BaseEstimator):
        """The learner, as sklearn wants to see it; it is fitted where it is scored."""

        def __init__(self, n_estimators=1, learning_rate=1.0, max_depth=1, min_child_weight=1):
            self.n_estimators, self.learning_rate = n_estimators, learning_rate
            self.max_depth, self.min_child_weight = max_depth, min_child_weight

        def fit(self, rows, y):
            return self

    # Rows go by their number, so that a fold is known by them.
    rows = np.arange(trial.y.size)[:, None]
    search = selection.RandomizedSearchCV(
        Candidate(),
        distributions,
        n_iter=iterations,
        scoring=lambda candidate, held, y: trial.score(candidate.get_params(), trial.folds[held[0, 0]]),
        cv=selection.PredefinedSplit(trial.folds),
        refit=False,
        random_state=trial.seed,
        error_score="raise",
    )
    search.fit(rows, trial.y)
    best = {name: value.item() if hasattr(value, "item") else value for name, value in search.best_params_.items()}
    return best, float(search.best_score_)


def _search_by_optuna(trial: _Trial, names: np.ndarray, iterations: int, shallow: bool) -> tuple[dict, float]:
    optuna = import_package("optuna", "optuna")
    import_package("sklearn", "scikit-learn")

    def judge(suggested) -> float:
        parameters = {
            "layers": suggested.suggest_int("layers", 3, 3 if shallow else 6),
            "units": suggested.suggest_int("units", 128, 256 if shallow else 768, step=64),
            "learning_rate": suggested.suggest_float("learning_rate", 3e-4, 3e-3, log=True),
            "alpha": suggested.suggest_float("alpha", 1e-6, 1e-1, log=True),
        }
        scores = []
        for step, fold in enumerate(names):
            scores.append(trial.score(parameters, fold))
            suggested.report(float(np.mean(scores)), step)
            # Networks are slow: one that lags behind after a fold need not be fitted for the others.
            if step < names.size - 1 and suggested.should_prune():
                raise optuna.TrialPruned
        return float(np.mean(scores))

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(
            direction="maximize",
            sampler=optuna.samplers.TPESampler(seed=trial.seed),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED),
        )
        study.optimize(judge, n_trials=iterations)
    finally:
        optuna.logging.set_verbosity(before)
    trial.finish()
    return dict(study.best_params), float(study.best_value)


def _search_penalty(x: np.ndarray, y: np.ndarray, folds: np.ndarray, progress: Progress | None) -> tuple[dict, float]:
    """Penalty of the linear learner, from the sums over each fold's samples alone."""
    names = np.unique(folds)
    held = {int(name): Moments.about(x, y) for name in names}
    whole = Moments.about(x, y)
    for number, (name, moments) in enumerate(held.items()):
        own = folds == name
        moments.add(x[own], y[own])
        whole.add(x[own], y[own])
        if progress:
            progress((number + 1) / names.size)
    scores = np.zeros(len(PENALTIES))
    for name in names[names >= 0]:
        without = whole.without(held[int(name)])
        for number, penalty in enumerate(PENALTIES):
            centre, scale, coefficients = without.ridge(penalty)
            scores[number] += held[int(name)].r2(centre, coefficients / scale) / (names >= 0).sum()
    best = int(np.argmax(scores))
    return {"penalty": PENALTIES[best]}, float(scores[best])


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

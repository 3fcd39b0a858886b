"""Learners behind one small interface: fit, predict, to_bytes, from_bytes, describe, importances.

Whatever the learner, x is (n_samples, n_inputs) and y (n_samples,), both float32. What is fitted is a booster of XGBoost
(Chen & Guestrin 2016, 10.1145/2939672.2939785): gradient-boosted trees, or one round of many trees, a random forest
(Breiman 2001, 10.1023/A:1010933404324). Its bytes hold trees and nothing that could run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gwsa_qgis.errors import InvalidModelFile, InvalidParameter, MissingPackage, NoUsableData
from gwsa_qgis.science.booster_check import check_booster

LEARNERS = ("xgboost", "random_forest")
LATER = ("dnn",)
FEWEST_SAMPLES = 20
DEFAULTS = {
    "xgboost": {"n_estimators": 120, "learning_rate": 0.12, "max_depth": 5, "min_child_weight": 30},
    "random_forest": {"n_estimators": 150, "learning_rate": 1.0, "max_depth": 10, "min_child_weight": 5},
}
FIXED = {
    "xgboost": {"subsample": 0.8, "colsample_bytree": 0.7, "reg_lambda": 1.0},
    "random_forest": {"subsample": 0.8, "colsample_bynode": 0.5, "reg_lambda": 1e-5},
}
# Bits of a gradient: sums of up to 2^29 of them are exact in float64, in any order.
GRADIENT_BITS = 22


def check_learner(kind: str) -> None:
    """Raise `InvalidParameter` unless `kind` is a learner that is there."""
    if kind in LATER:
        raise InvalidParameter(
            f"the learner {kind!r} is not built yet",
            f"choose {' or '.join(LEARNERS)}; {kind} comes with a later version",
        )
    if kind not in LEARNERS:
        raise InvalidParameter(f"the learner {kind!r} is unknown", f"choose {' or '.join(LEARNERS)}")


class TreeEnsemble:
    """Boosted trees or a random forest.

    Parameters
    ----------
    kind : {"xgboost", "random_forest"}
    parameters : dict, optional
        n_estimators, learning_rate, max_depth, min_child_weight; `DEFAULTS` where not given.
    seed : int
    threads : int
        0 for all cores. The result does not depend on it.

    Notes
    -----
    Gradients are rounded to a fixed step, so that sums over samples are exact whatever their order: the same seed gives
    the same bytes for any number of threads.
    """

    def __init__(
        self, kind: str = "xgboost", parameters: dict | None = None, *, seed: int = 0, threads: int = 0
    ) -> None:
        check_learner(kind)
        self.kind = kind
        self.parameters = DEFAULTS[kind] | (parameters or {})
        self.seed, self.threads = int(seed), int(threads)
        self._booster = None

    def fit(self, x: np.ndarray, y: np.ndarray, progress: Callable[[float], None] | None = None) -> TreeEnsemble:
        """Fit on samples.

        Parameters
        ----------
        x : (n_samples, n_inputs) float32
        y : (n_samples,) float32
        progress : callable, optional
            Called with the share of rounds that are done; may raise to cancel.

        Raises
        ------
        NoUsableData
            If there are fewer than 20 samples.
        """
        require_samples(y.size)
        xgb = import_xgboost()
        options = _tree_options(self.kind, self.parameters, y, self.seed, self.threads)
        rounds, objective = options.pop("rounds"), options.pop("objective")
        matrix = xgb.QuantileDMatrix(x, label=y, nthread=self.threads or None)
        callbacks = [_progress_callback(xgb, progress, rounds)] if progress else None
        self._booster = xgb.train(options, matrix, rounds, obj=objective, callbacks=callbacks)
        return self

    def predict(self, x: np.ndarray, threads: int | None = None) -> np.ndarray:
        """Estimates (n_samples,) float32; a row's value does not depend on the other rows."""
        if self._booster is None:
            raise InvalidParameter("the learner has not been fitted", "call fit first")
        if x.shape[1] != self._booster.num_features():
            raise InvalidParameter(
                f"{x.shape[1]} inputs were given to a model of {self._booster.num_features()}",
                "give the inputs that the model was fitted with",
            )
        if not len(x):
            return np.empty(0, np.float32)
        if threads is not None and threads != self.threads:
            self.threads = threads
            self._booster.set_param({"nthread": threads})
        return self._booster.inplace_predict(np.ascontiguousarray(x, np.float32))

    def to_bytes(self) -> bytes:
        """The fitted booster in UBJSON."""
        return bytes(self._booster.save_raw("ubj"))

    @classmethod
    def from_bytes(cls, data: bytes, description: dict, threads: int = 0) -> TreeEnsemble:
        """Make a learner from what `to_bytes` and `describe` gave.

        Raises
        ------
        InvalidModelFile
            If the bytes are no booster.
        """
        xgb = import_xgboost()
        kind = str(description.get("kind"))
        if kind not in LEARNERS:
            raise InvalidModelFile(f"the model file names the learner {kind!r}", f"give one of {', '.join(LEARNERS)}")
        learner = cls(kind, dict(description.get("parameters", {})), threads=threads)
        inputs = check_booster(data)
        try:
            learner._booster = xgb.Booster({"nthread": threads} if threads else {}, model_file=bytearray(data))
        except (xgb.core.XGBoostError, ValueError, TypeError) as error:
            reason = str(error).strip().splitlines()[-1][:120] if str(error).strip() else "no reason is given"
            raise InvalidModelFile(
                f"a booster in the model file is damaged ({reason})", "train the model again or fetch the file again"
            ) from error
        if inputs != description.get("inputs", inputs):
            raise InvalidModelFile(
                f"a booster in the model file takes {inputs} inputs and its manifest says {description['inputs']}",
                "train the model again",
            )
        return learner

    def describe(self) -> dict:
        """Kind, parameters, seed and number of inputs, fit for JSON."""
        inputs = self._booster.num_features() if self._booster is not None else None
        return {"kind": self.kind, "parameters": self.parameters, "seed": self.seed, "inputs": inputs}

    def importances(self, names: Sequence[str]) -> dict[str, float]:
        """Share of each input in the total gain of all splits, largest first."""
        gains = self._booster.get_score(importance_type="total_gain")
        shares = np.array([gains.get(f"f{i}", 0.0) for i in range(len(names))])
        shares = shares / shares.sum() if shares.sum() > 0 else shares
        order = np.argsort(-shares, kind="stable")
        return {names[i]: float(shares[i]) for i in order}


def import_xgboost():
    """The package xgboost, or `MissingPackage`."""
    try:
        import xgboost
    except ImportError:
        raise MissingPackage(
            "the Python package xgboost is not installed", "run: python -m pip install xgboost-cpu"
        ) from None
    return xgboost


def require_samples(n: int, what: str = "a model") -> None:
    """Raise `NoUsableData` when a model would be fitted on next to nothing."""
    if n < FEWEST_SAMPLES:
        raise NoUsableData(
            f"{what} has {n} samples and needs at least {FEWEST_SAMPLES}",
            "give more months or a larger area, or merge it with another class",
        )


def gradient_step(y: np.ndarray) -> float:
    """Power of two that gradients of targets `y` are rounded to."""
    largest = float(np.abs(y).max(initial=0.0))
    return 2.0 ** (np.ceil(np.log2(largest)) - GRADIENT_BITS) if largest > 0 else 2.0**-GRADIENT_BITS


def _tree_options(kind: str, parameters: dict, y: np.ndarray, seed: int, threads: int) -> dict:
    step = gradient_step(y)

    def objective(margin: np.ndarray, matrix: object) -> tuple[np.ndarray, np.ndarray]:
        gradient = np.rint((margin.ravel() - matrix.get_label()) / step) * step
        return gradient.astype(np.float32), np.ones(gradient.size, np.float32)

    options = {"tree_method": "hist", "seed": seed, "max_bin": 256, **FIXED[kind]}
    # The intercept is rounded too, so that estimates of the first round are exact numbers.
    options["base_score"] = float(np.rint(np.mean(y, dtype=np.float64) / step) * step)
    for name in ("max_depth", "min_child_weight", "learning_rate"):
        options[name] = parameters[name]
    if threads:
        options["nthread"] = threads
    trees = int(parameters["n_estimators"])
    options["rounds"] = trees if kind == "xgboost" else 1
    if kind == "random_forest":
        options["num_parallel_tree"] = trees
    options["objective"] = objective
    return options


def _progress_callback(xgb, progress: Callable[[float], None], rounds: int):
    class Tell(xgb.callback.TrainingCallback):
        def after_iteration(self, model: object, epoch: int, evals_log: dict) -> bool:
            progress((epoch + 1) / rounds)
            return False

    return Tell()

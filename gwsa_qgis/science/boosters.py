"""Boosted trees and random forests: a booster of XGBoost, whose bytes hold trees and nothing that could run.

XGBoost: Chen & Guestrin 2016, 10.1145/2939672.2939785. Random forest: Breiman 2001, 10.1023/A:1010933404324.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidModelFile, InvalidParameter, MissingPackage, NoUsableData
from gwsa_qgis.science.booster_check import check_booster
from gwsa_qgis.science.learning import (
    DEFAULTS,
    REMEDY,
    TREES,
    BatchSource,
    Parts,
    Progress,
    batches,
    described,
    import_package,
    require_inputs,
    require_samples,
    shares_by_name,
)

DEVICES = ("auto", "cpu", "cuda")
FIXED = {
    "xgboost": {"subsample": 0.8, "colsample_bytree": 0.7, "reg_lambda": 1.0},
    "random_forest": {"subsample": 0.8, "colsample_bynode": 0.5, "reg_lambda": 1e-5},
}
# Bits of a gradient: sums of up to 2^29 of them are exact in float64, in any order.
GRADIENT_BITS = 22
# Share of a fit that reading and binning the samples is taken for.
READING = 0.1


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
    device : {"auto", "cpu", "cuda"}
        Where trees are fitted; "auto" takes a GPU where there is one. Sums on a GPU are rounded in another order, so that
        its trees may differ from those of a CPU.
    cache : path, optional
        Folder in which binned samples are kept while trees are fitted, when memory does not even hold those (1 byte for
        each value). Emptied again.

    Notes
    -----
    Gradients are rounded to a fixed step, so that sums over samples are exact whatever their order: the same seed gives
    the same bytes for any number of threads, and for samples in memory, streamed or cached.
    """

    def __init__(
        self,
        kind: str = "xgboost",
        parameters: dict | None = None,
        *,
        seed: int = 0,
        threads: int = 0,
        device: str = "cpu",
        cache: str | Path | None = None,
    ) -> None:
        if kind not in TREES:
            raise InvalidParameter(f"trees of the kind {kind!r} are unknown", f"choose {' or '.join(TREES)}")
        self.kind = kind
        self.parameters = DEFAULTS[kind] | (parameters or {})
        self.seed, self.threads, self.device, self.cache = int(seed), int(threads), device, cache
        self._booster = None

    def fit(
        self, x: np.ndarray | BatchSource, y: np.ndarray | None = None, progress: Progress | None = None
    ) -> TreeEnsemble:
        """Fit on samples or on a source of batches (see `learning.Learner.fit`)."""
        xgb = import_xgboost()
        device = resolve_device(self.device)
        tell = progress or (lambda share: None)
        prefix = None if self.cache is None else str(Path(self.cache) / f"bins-{id(self):x}")
        try:
            matrix = _binned(xgb, x, y, self.threads, prefix, tell)
            labels = matrix.get_label()
            require_samples(labels.size)
            options, rounds, objective = _tree_options(self.kind, self.parameters, labels)
            options |= {"seed": self.seed, "device": device} | ({"nthread": self.threads} if self.threads else {})
            callback = _progress_callback(xgb, tell, rounds)
            self._booster = xgb.train(options, matrix, rounds, obj=objective, callbacks=[callback])
            if device != "cpu":
                self._booster.set_param({"device": "cpu"})  # estimates are made of arrays in main memory
        finally:
            matrix = None  # lets go of the cached bins
            if prefix is not None:
                for file in Path(prefix).parent.glob(f"{Path(prefix).name}*"):
                    with suppress(OSError):  # XGBoost itself removes them when it lets go
                        file.unlink()
        return self

    def predict(self, x: np.ndarray, threads: int | None = None) -> np.ndarray:
        """Estimates (n_samples,) float32; a row's value does not depend on the other rows."""
        require_inputs(x.shape[1], None if self._booster is None else self._booster.num_features())
        if not len(x):
            return np.empty(0, np.float32)
        if threads is not None and threads != self.threads:
            self.threads = threads
            self._booster.set_param({"nthread": threads})
        return self._booster.inplace_predict(np.asarray(x, np.float32))  # in whatever order it lies

    def save(self) -> Parts:
        """The fitted booster in UBJSON."""
        return Parts(self.to_bytes())

    def to_bytes(self) -> bytes:
        """The fitted booster in UBJSON."""
        return bytes(self._booster.save_raw("ubj"))

    @classmethod
    def load(cls, parts: Parts, description: dict, threads: int = 0) -> TreeEnsemble:
        """Make a learner from what `save` and `describe` gave (see `from_bytes`)."""
        if parts.booster is None:
            raise InvalidModelFile("the model file lacks a booster", REMEDY)
        return cls.from_bytes(parts.booster, description, threads)

    @classmethod
    def from_bytes(cls, data: bytes, description: dict, threads: int = 0) -> TreeEnsemble:
        """Make a learner from what `to_bytes` and `describe` gave.

        Raises
        ------
        InvalidModelFile
            If the bytes are no booster, or not the one that is described.
        """
        xgb = import_xgboost()
        kind = str(description.get("kind"))
        if kind not in TREES:
            raise InvalidModelFile(f"the model file names the learner {kind!r}", f"give one of {', '.join(TREES)}")
        parameters, seed = described(description)
        learner = cls(kind, parameters, seed=seed, threads=threads)
        inputs = check_booster(data)
        try:
            learner._booster = xgb.Booster({"nthread": threads} if threads else {}, model_file=bytearray(data))
        except (xgb.core.XGBoostError, ValueError, TypeError) as error:
            reason = str(error).strip().splitlines()[-1][:120] if str(error).strip() else "no reason is given"
            raise InvalidModelFile(f"a booster in the model file is damaged ({reason})", REMEDY) from error
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
        return shares_by_name(np.array([gains.get(f"f{i}", 0.0) for i in range(len(names))]), names)

    def contributions(self, x: np.ndarray, names: Sequence[str]) -> dict[str, float]:
        """Share of each input in the mean absolute contribution to the estimates of samples, largest first.

        Contributions are Shapley values of the trees (Lundberg et al. 2020, 10.1038/s42256-019-0138-9): for each sample
        they add up to its estimate less the mean of all.
        """
        matrix = import_xgboost().DMatrix(np.ascontiguousarray(x, np.float32), nthread=self.threads or None)
        values = self._booster.predict(matrix, pred_contribs=True)[:, :-1]  # the last one is the mean
        return shares_by_name(np.abs(values, dtype=np.float64).mean(0), names)


def import_xgboost():
    """The package xgboost, or `MissingPackage`."""
    return import_package("xgboost", "xgboost-cpu")


def resolve_device(device: str) -> str:
    """Where trees are fitted: "cpu" or "cuda".

    Raises
    ------
    InvalidParameter
        If there is no such device, or "cuda" is asked for and XGBoost cannot use a GPU here.
    """
    if device not in DEVICES:
        raise InvalidParameter(f"the device {device!r} is unknown", f"choose {', '.join(DEVICES)}")
    if device == "cpu":
        return "cpu"
    reason = _why_no_gpu()
    if reason and device == "cuda":
        raise InvalidParameter(f"the device cuda was asked for and {reason}", "choose auto or cpu")
    return "cpu" if reason else "cuda"


@cache
def _why_no_gpu() -> str:
    xgb = import_xgboost()
    if not xgb.build_info().get("USE_CUDA"):
        return "the installed xgboost was built without it"
    x = np.arange(40, dtype=np.float32)[:, None]
    # XGBoost names no devices; asked for a GPU that is not there, it warns and takes the CPU.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            booster = xgb.train({"device": "cuda", "tree_method": "hist"}, xgb.DMatrix(x, label=x[:, 0]), 1)
        except xgb.core.XGBoostError:
            return "no GPU works with the installed xgboost"
    used = json.loads(booster.save_config())["learner"]["generic_param"]["device"]
    return "" if str(used).startswith("cuda") else "xgboost finds no GPU"


def gradient_step(y: np.ndarray) -> float:
    """Power of two that gradients of targets `y` are rounded to."""
    largest = float(np.abs(y).max(initial=0.0))
    return 2.0 ** (np.ceil(np.log2(largest)) - GRADIENT_BITS) if largest > 0 else 2.0**-GRADIENT_BITS


def _tree_options(kind: str, parameters: dict, y: np.ndarray) -> tuple[dict, int, object]:
    """XGBoost's options, its number of rounds, and the gradients."""
    step = gradient_step(y)
    # The intercept is rounded too, so that estimates of the first round are exact numbers.
    intercept = float(np.rint(np.mean(y, dtype=np.float64) / step) * step)

    def boosting(margin: np.ndarray, matrix: object) -> tuple[np.ndarray, np.ndarray]:
        gradient = np.rint((margin.ravel() - matrix.get_label()) / step) * step
        return gradient.astype(np.float32), np.ones(gradient.size, np.float32)

    once: list = []

    def forest(margin: np.ndarray, matrix: object) -> tuple[np.ndarray, np.ndarray]:
        # Each tree of a forest is fitted to the target itself, not to what the others have left.
        if not once:
            once.append(boosting(np.full(1, intercept, np.float32), matrix))
        return once[0]

    trees = int(parameters["n_estimators"])
    options = {"tree_method": "hist", "max_bin": 256, "base_score": intercept, **FIXED[kind]}
    for name in ("max_depth", "min_child_weight", "learning_rate"):
        options[name] = parameters[name]
    if kind == "random_forest":
        # One tree a round, so that a round may be cancelled; their mean is what many trees in one round would give.
        options["learning_rate"] = parameters["learning_rate"] / trees
    return options, trees, boosting if kind == "xgboost" else forest


def _binned(
    xgb, x: np.ndarray | BatchSource, y: np.ndarray | None, threads: int, prefix: str | None, tell: Progress
) -> object:
    """Samples in bins of each input's values, fed batch by batch."""
    if next(batches(x, y), None) is None:
        require_samples(0)

    class Feed(xgb.DataIter):
        """Batches as XGBoost wants to see them: it passes over them several times."""

        def __init__(self) -> None:
            self.feed = None
            super().__init__(cache_prefix=prefix, release_data=True)

        def next(self, input_data) -> bool:
            tell(0.0)
            batch = next(self.feed, None)
            if batch is not None:
                if np.isinf(batch[0]).any() or not np.isfinite(batch[1]).all():
                    raise NoUsableData("the samples hold values that are not finite", "leave those samples out")
                input_data(data=batch[0], label=batch[1])
            return batch is not None

        def reset(self) -> None:
            self.feed = batches(x, y)

    if prefix is not None:
        if not hasattr(xgb, "ExtMemQuantileDMatrix"):
            raise MissingPackage(
                f"samples cannot be kept on disk with xgboost {xgb.__version__}",
                'run: python -m pip install "xgboost-cpu>=3"',
            )
        return xgb.ExtMemQuantileDMatrix(Feed(), nthread=threads or None)
    return xgb.QuantileDMatrix(Feed(), nthread=threads or None)


def _progress_callback(xgb, tell: Progress, rounds: int):
    class Tell(xgb.callback.TrainingCallback):
        """Tells the share of rounds that are done."""

        def after_iteration(self, model: object, epoch: int, evals_log: dict) -> bool:
            tell(READING + (1 - READING) * (epoch + 1) / rounds)
            return False

    return Tell()

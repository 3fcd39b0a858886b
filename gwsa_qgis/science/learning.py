"""What all learners share: their interface, their defaults, and samples in batches of one size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from gwsa_qgis.errors import InvalidModelFile, InvalidParameter, MissingPackage, NoUsableData
from gwsa_qgis.science.table_rows import TableRows

Batch = tuple[np.ndarray, np.ndarray]
# Called once for every pass over the samples; each call gives the same batches (x, y) in the same order.
BatchSource = Callable[[], Iterable[Batch]]
Progress = Callable[[float], None]

FEWEST_SAMPLES = 20
# Samples are taken in batches of so many rows wherever they come from, so that streamed ones give the same bytes.
ROWS_AT_ONCE = 2**18
DEFAULTS = {
    "xgboost": {"n_estimators": 120, "learning_rate": 0.12, "max_depth": 5, "min_child_weight": 30},
    "random_forest": {"n_estimators": 150, "learning_rate": 1.0, "max_depth": 10, "min_child_weight": 5},
    "dnn": {"layers": 3, "units": 128, "learning_rate": 1e-3, "alpha": 1e-4, "epochs": 100, "patience": 8},
    "linear": {"penalty": 1e-3},
}
LEARNERS = tuple(DEFAULTS)
TREES = ("xgboost", "random_forest")
REMEDY = "train the model again or fetch the file again"


@dataclass(frozen=True)
class Parts:
    """A fitted learner, to be kept in a file: bytes of a booster, or plain arrays by name, or both."""

    booster: bytes | None = None
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


class Learner(Protocol):
    """A model of one target; x is (n_samples, n_inputs), y (n_samples,), both float32."""

    kind: str

    def fit(
        self, x: np.ndarray | BatchSource, y: np.ndarray | None = None, progress: Progress | None = None
    ) -> Learner:
        """Fit on samples.

        Parameters
        ----------
        x : (n_samples, n_inputs) float32, or callable
            Array or `TableRows`. A callable is a source of batches, for samples that memory does not hold.
        y : (n_samples,) float32
            Not given with a source.
        progress : callable, optional
            Called with the share that is done; may raise to cancel.

        Raises
        ------
        NoUsableData
            If there are fewer than 20 samples.
        """

    def predict(self, x: np.ndarray, threads: int | None = None) -> np.ndarray:
        """Estimates (n_samples,) float32; a row's value does not depend on the other rows."""

    def save(self) -> Parts:
        """What a file has to keep, beside `describe`."""

    def describe(self) -> dict:
        """Kind, parameters, seed and number of inputs, fit for JSON."""

    def importances(self, names: Sequence[str]) -> dict[str, float]:
        """Share of each input in what the model explains, largest first."""


def batches(
    x: np.ndarray | TableRows | BatchSource, y: np.ndarray | None = None, rows: int = ROWS_AT_ONCE
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Give the samples in batches of exactly `rows` rows, float32; only the last one may have fewer.

    Raises
    ------
    InvalidParameter
        If x and y of a batch do not fit together, or one has another number of inputs than those before it.
    """
    if isinstance(x, TableRows):
        for start in range(0, len(x), rows):
            yield np.asarray(x[start : start + rows], np.float32), np.asarray(y[start : start + rows], np.float32)
        return
    inputs, kept, held = None, [], 0
    for own_x, own_y in x() if callable(x) else [(x, y)]:
        own_x, own_y = np.asarray(own_x, np.float32), np.asarray(own_y, np.float32)
        inputs = own_x.shape[-1] if inputs is None else inputs
        if own_x.ndim != 2 or own_y.shape != own_x.shape[:1] or own_x.shape[1] != inputs:
            raise InvalidParameter(
                f"samples of shape {own_x.shape} came with targets of shape {own_y.shape}",
                f"give tables of {inputs} inputs with one target a row",
            )
        start = 0
        while own_y.size - start >= rows - held:
            stop = start + rows - held
            kept.append((own_x[start:stop], own_y[start:stop]))
            yield _joined(kept)
            kept, held, start = [], 0, stop
        if start < own_y.size:
            # A copy, because a source may use its array again.
            kept.append((own_x[start:].copy(), own_y[start:].copy()) if callable(x) else (own_x[start:], own_y[start:]))
            held += own_y.size - start
    if held:
        yield _joined(kept)


def _joined(kept: list[Batch]) -> Batch:
    if len(kept) == 1:
        return kept[0]
    return np.concatenate([part for part, _ in kept]), np.concatenate([part for _, part in kept])


def require_samples(n: int, what: str = "a model") -> None:
    """Raise `NoUsableData` when a model would be fitted on next to nothing."""
    if n < FEWEST_SAMPLES:
        raise NoUsableData(
            f"{what} has {n} samples and needs at least {FEWEST_SAMPLES}",
            "give more months or a larger area, or merge it with another class",
        )


def require_finite(x: np.ndarray, y: np.ndarray) -> None:
    """Raise `NoUsableData` when samples hold NaN or infinity, which only trees can take."""
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise NoUsableData("the samples hold values that are not finite", "leave out samples without all predictors")


def require_inputs(given: int, wanted: int | None) -> None:
    """Raise `InvalidParameter` unless a fitted model is given the inputs it knows."""
    if wanted is None:
        raise InvalidParameter("the learner has not been fitted", "call fit first")
    if given != wanted:
        raise InvalidParameter(
            f"{given} inputs were given to a model of {wanted}", "give the inputs that the model was fitted with"
        )


def checked_array(
    arrays: dict[str, np.ndarray], name: str, shape: tuple[int, ...], dtype: type, largest: float = np.inf
) -> np.ndarray:
    """Give an array of a model file.

    Raises
    ------
    InvalidModelFile
        If it is not there, has another shape, or holds anything but finite numbers of at most `largest`.
    """
    array = arrays.get(name)
    if array is None or array.shape != shape or array.dtype.kind != "f":
        raise InvalidModelFile(f"the {name} in the model file are not {' x '.join(map(str, shape))} numbers", REMEDY)
    with np.errstate(over="ignore"):
        result = np.ascontiguousarray(array, dtype)
    if not np.isfinite(result).all() or np.abs(result).max(initial=0.0) > largest:
        raise InvalidModelFile(f"the {name} in the model file are not finite, or far too large", REMEDY)
    return result


def described(description: dict) -> tuple[dict, int]:
    """Parameters and seed of a description, which may come from a damaged file."""
    parameters, seed = description.get("parameters", {}), description.get("seed", 0)
    if not isinstance(parameters, dict) or not isinstance(seed, int):
        raise InvalidModelFile("the model file describes a learner without parameters or seed", REMEDY)
    return dict(parameters), seed


def described_inputs(description: dict) -> int:
    """Number of inputs of a description, which may come from a damaged file."""
    inputs = description.get("inputs")
    if not isinstance(inputs, int) or isinstance(inputs, bool) or not 0 < inputs < 100_000:
        raise InvalidModelFile(f"the model file describes a learner of {inputs!r} inputs", REMEDY)
    return inputs


def shares_by_name(values: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    """Values as shares of their sum, by name, largest first."""
    shares = values / values.sum() if values.sum() > 0 else values
    return {names[i]: float(shares[i]) for i in np.argsort(-shares, kind="stable")}


def import_package(name: str, install: str):
    """Import a package, or raise `MissingPackage` that says how to install it."""
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError:
        raise MissingPackage(
            f"the Python package {install.removesuffix('-cpu')} is not installed",
            f"run: python -m pip install {install}",
        ) from None

"""Learners behind one small interface (`learning.Learner`): fit, predict, save, load, describe, importances."""

from __future__ import annotations

from pathlib import Path

from gwsa_qgis.errors import InvalidModelFile, InvalidParameter
from gwsa_qgis.science.boosters import DEVICES, FIXED, TreeEnsemble, gradient_step, import_xgboost, resolve_device
from gwsa_qgis.science.learning import (
    DEFAULTS,
    FEWEST_SAMPLES,
    LEARNERS,
    REMEDY,
    TREES,
    BatchSource,
    Learner,
    Parts,
    import_package,
    require_samples,
)
from gwsa_qgis.science.linear_floor import LinearFloor
from gwsa_qgis.science.network import NeuralNetwork

__all__ = [
    "DEFAULTS",
    "DEVICES",
    "FEWEST_SAMPLES",
    "FIXED",
    "LEARNERS",
    "TREES",
    "BatchSource",
    "Learner",
    "LinearFloor",
    "NeuralNetwork",
    "Parts",
    "TreeEnsemble",
    "check_learner",
    "gradient_step",
    "import_xgboost",
    "load_learner",
    "make_learner",
    "package_versions",
    "require_packages",
    "require_samples",
    "resolve_device",
]


def check_learner(kind: str, device: str = "auto") -> None:
    """Raise `InvalidParameter` unless `kind` is a learner that is there, and can use the device."""
    if kind not in LEARNERS:
        raise InvalidParameter(f"the learner {kind!r} is unknown", f"choose {' or '.join(LEARNERS)}")
    if device not in DEVICES:
        raise InvalidParameter(f"the device {device!r} is unknown", f"choose {', '.join(DEVICES)}")
    if device == "cuda" and kind in TREES:
        resolve_device(device)
    elif device == "cuda":
        raise InvalidParameter(
            f"the device cuda was asked for and the learner {kind} is fitted on the CPU", "choose auto or cpu"
        )


def require_packages(kind: str, *, search: bool = False) -> None:
    """Raise `MissingPackage` unless what a learner, and its search, needs to be trained is installed."""
    if kind in TREES:
        import_xgboost()
    if kind == "dnn" or (search and kind in TREES):
        import_package("sklearn", "scikit-learn")
    if kind == "dnn" and search:
        import_package("optuna", "optuna")


def package_versions(kind: str) -> dict[str, str]:
    """Version of the package that fits a learner, by its name; none where there is no such package."""
    if kind in TREES:
        return {"xgboost": import_xgboost().__version__}
    return {"scikit-learn": import_package("sklearn", "scikit-learn").__version__} if kind == "dnn" else {}


def make_learner(
    kind: str,
    parameters: dict | None = None,
    seed: int = 0,
    threads: int = 0,
    device: str = "auto",
    *,
    cache: str | Path | None = None,
) -> Learner:
    """Make an unfitted learner.

    Parameters
    ----------
    kind : {"xgboost", "random_forest", "dnn", "linear"}
    parameters : dict, optional
        `DEFAULTS` of the kind where not given.
    seed : int
    threads : int
        0 for all cores; the result does not depend on it.
    device : {"auto", "cpu", "cuda"}
        Where trees are fitted; "auto" takes a GPU where XGBoost finds one. All others are fitted on the CPU.
    cache : path, optional
        Folder for what trees are fitted on, when memory does not hold 1 byte for each input of each sample.

    Raises
    ------
    InvalidParameter
        If there is no such learner or device, or a parameter is outside its range.
    """
    check_learner(kind, device)
    if kind == "dnn":
        return NeuralNetwork(parameters, seed=seed, threads=threads)
    if kind == "linear":
        return LinearFloor(parameters, seed=seed)
    return TreeEnsemble(kind, parameters, seed=seed, threads=threads, device=device, cache=cache)


def load_learner(parts: Parts, description: dict, threads: int = 0) -> Learner:
    """Make a fitted learner from what its `save` and `describe` gave.

    Raises
    ------
    InvalidModelFile
        If the parts are damaged, or not those of the description.
    MissingPackage
        If the package that the learner's estimates need is not installed: xgboost for trees, none for the others.
    """
    kind = description.get("kind")
    if kind not in LEARNERS:
        raise InvalidModelFile(f"the model file names the learner {str(kind)[:40]!r}", REMEDY)
    if kind == "dnn":
        return NeuralNetwork.load(parts, description, threads)
    if kind == "linear":
        return LinearFloor.load(parts, description)
    return TreeEnsemble.load(parts, description, threads)

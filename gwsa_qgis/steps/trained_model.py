"""A trained model as `predict` uses it: learners, weights and support of a model file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gwsa_qgis.errors import InvalidModelFile
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.science.detail_model import PARTS, DetailModel
from gwsa_qgis.science.learners import Learner, load_learner
from gwsa_qgis.science.linear_detail import LinearDetail
from gwsa_qgis.science.model_inputs import PRESETS, detail_names, input_names
from gwsa_qgis.steps.model_file import REMEDY, ModelFile

POOLED = "pooled"
LABELS = "support_labels"
LINEAR = "linear_"  # names of the linear part's arrays begin so


def grid_entry(grid: Grid) -> dict:
    """A grid as the manifest has it."""
    names = ("west", "north", "dx", "dy", "columns", "rows", "crs")
    return {name: getattr(grid, name) for name in names}


def _linear_part(model: ModelFile) -> LinearDetail | None:
    manifest = model.manifest
    if manifest["preset"] != "recommended":
        return None
    entry = manifest.get("linear")
    classes = entry.get("classes") if isinstance(entry, dict) else None
    if not isinstance(classes, list) or not all(isinstance(name, int) for name in classes):
        raise InvalidModelFile("the model file lacks the linear part of the detail", REMEDY)
    arrays = {name.removeprefix(LINEAR): array for name, array in model.arrays.items() if name.startswith(LINEAR)}
    return LinearDetail.from_arrays(arrays, len(detail_names(manifest["predictors"], _monthly(manifest))), classes)


def _monthly(manifest: dict) -> list[str]:
    """Predictors that have signatures; a model file of before these has none."""
    names = manifest.get("signatures", [])
    if not isinstance(names, list) or not all(name in manifest["predictors"] for name in names):
        raise InvalidModelFile("the model file has signatures of predictors that it does not have", REMEDY)
    return names


@dataclass(frozen=True)
class TrainedModel:
    """Learners by name, and for each class which of them predicts it and with which weight.

    Attributes
    ----------
    manifest : dict
    learners : dict of str to Learner
    arrays : dict of str to ndarray
    linear : LinearDetail or None
        Linear part of the recommended preset's detail.
    """

    manifest: dict
    learners: dict[str, Learner]
    arrays: dict[str, np.ndarray]
    linear: LinearDetail | None = None

    @classmethod
    def from_file(cls, model: ModelFile, threads: int = 0) -> TrainedModel:
        """Make learners of a model file's boosters and arrays.

        Raises
        ------
        InvalidModelFile
            If the manifest does not fit together.
        """
        manifest = model.manifest
        if manifest["preset"] not in PRESETS:
            raise InvalidModelFile(f"the model file has the preset {manifest['preset']!r}", REMEDY)
        if manifest["inputs"] != input_names(manifest["preset"], manifest["predictors"], _monthly(manifest)):
            raise InvalidModelFile("the model file's inputs do not follow from its predictors", REMEDY)
        learners = {
            name: load_learner(model.parts(name), entry["learner"], threads)
            for name, entry in manifest["models"].items()
        }
        result = cls(manifest, learners, model.arrays, _linear_part(model))
        result._check()
        return result

    def _check(self) -> None:
        try:
            for entry in self.manifest["classes"]:
                known = entry["model"] in self.learners
                if not known or not isinstance(entry["class"], int) or not 0 <= float(entry["weight"]) <= 1:
                    raise InvalidModelFile(f"the model file's class {entry['class']} does not fit together", REMEDY)
            if self.preset == "recommended":
                weights = [float(self.manifest["pooled_weight"]), *self.shares]
                if not all(0 <= weight <= 1 for weight in weights) or POOLED not in self.learners:
                    raise InvalidModelFile("the model file lacks the pooled model", REMEDY)
                grid, kind = self.support_grid(), self.manifest["support"]["kind"]
                if kind != "cells" and self.support_labels().shape != grid.shape:
                    raise InvalidModelFile("the model file's mascon map does not fit its grid", REMEDY)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidModelFile(f"the model file's manifest lacks something ({error!r})", REMEDY) from error
        wanted = len(self.inputs)
        if any(learner.describe()["inputs"] != wanted for learner in self.learners.values()):
            raise InvalidModelFile(f"a learner of the model file does not take its {wanted} inputs", REMEDY)

    @property
    def preset(self) -> str:
        """Preset that the model was trained with."""
        return self.manifest["preset"]

    @property
    def predictors(self) -> list[str]:
        """Names of the predictors in their order."""
        return self.manifest["predictors"]

    @property
    def signatures(self) -> list[str]:
        """Monthly predictors whose signatures are inputs too."""
        return _monthly(self.manifest)

    @property
    def inputs(self) -> list[str]:
        """Names of the inputs in their order."""
        return self.manifest["inputs"]

    @property
    def classes(self) -> list[int]:
        """Classes that the model knows; empty when it was trained without."""
        return [entry["class"] for entry in self.manifest["classes"] if entry["class"] > 0]

    @property
    def shares(self) -> list[float]:
        """Share of each part of the detail, in the order of `detail_model.PARTS`."""
        return [float(self.manifest["shares"][part]) for part in PARTS]

    def support_grid(self) -> Grid:
        """Coarse grid that the model was trained on."""
        return Grid(**self.manifest["support"]["grid"])

    def support_labels(self) -> np.ndarray:
        """Mascon labels on that grid."""
        return self.arrays[LABELS]

    def predict(self, table: np.ndarray, classes: np.ndarray, linear: np.ndarray | None = None) -> np.ndarray:
        """Weighted detail or levels of samples, (n_samples,) float32; NaN where no model knows the class.

        Parameters
        ----------
        linear : (n_samples,) array, optional
            Detail of the linear part, where it has been computed apart.
        """
        known = {entry["class"]: entry for entry in self.manifest["classes"]}
        if self.linear is not None:
            detail = DetailModel(self.linear, self.learners[POOLED]).predict(table, classes, self.shares, linear)
            for name, rows in _rows_of_classes(classes):
                detail[rows] *= float(known[name]["weight"] if name in known else self.manifest["pooled_weight"])
            return detail.astype(np.float32)
        result = np.full(len(table), np.nan, np.float32)
        for name, rows in _rows_of_classes(classes):
            if name in known:
                result[rows] = self.learners[known[name]["model"]].predict(table[rows])
        return result


def _rows_of_classes(classes: np.ndarray) -> Iterator[tuple[int, slice | np.ndarray]]:
    """Classes and their rows, which are not copied out of a table when they lie together."""
    if not classes.size:
        return
    starts = np.flatnonzero(classes[1:] != classes[:-1]) + 1
    if (classes[starts] > classes[starts - 1]).all():
        starts = [0, *starts.tolist()]
        for start, stop in zip(starts, [*starts[1:], classes.size], strict=True):
            yield int(classes[start]), slice(start, stop)
    else:
        for name in np.unique(classes):
            yield int(name), classes == name

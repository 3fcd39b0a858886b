"""Estimates of held-out samples: fold after fold here, or several at once by worker processes or on a cluster."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.heap import give_back
from gwsa_qgis.rasters.windows import map_on_cluster, on_cluster
from gwsa_qgis.rasters.writing import telling
from gwsa_qgis.science.detail_model import DetailModel
from gwsa_qgis.science.linear_detail import LinearDetail
from gwsa_qgis.steps.sample_choice import ROWS_AT_ONCE
from gwsa_qgis.steps.sample_table import Samples
from gwsa_qgis.steps.training_journal import Kept
from gwsa_qgis.steps.training_settings import Settings

# Models that judge the detail are fitted on so many samples at most, and the last one on all of the table: of more,
# neighbours in space and time say little that is new, and five such fits would take the time of five last ones.
MOST_CROSS_VALIDATED = 1_000_000
JUDGED_AT_ONCE = 2**16


class Estimate(Protocol):
    """Gives estimates of the samples `out` (bool), by a model that knows nothing of the fold; it may travel to a worker."""

    settings: Settings

    def __call__(self, data: Samples, folds: np.ndarray, fold: int, out: np.ndarray, report: Reporter) -> np.ndarray:
        """(n_out,) or (n_out, columns); `folds` are those by which samples are left out of the fit."""


@dataclass(frozen=True)
class DetailOfFold:
    """Both parts of the detail, (n_out, 2): a model of the recommended preset without the fold.

    Attributes
    ----------
    n_predictors : int
        Inputs of the linear part.
    classes : sequence of int
        That it knows.
    ridge : float
        Its penalty.
    parameters : dict
        Of the trees.
    """

    n_predictors: int
    classes: Sequence[int]
    ridge: float
    parameters: dict
    settings: Settings

    def fit(self, rows: Samples, report: Reporter | None = None) -> DetailModel:
        """A model of some samples."""
        linear = LinearDetail(self.n_predictors, self.classes, self.ridge, threads=self.settings.threads)
        return DetailModel(linear, self.settings.make(self.parameters)).fit(rows.x, rows.y, rows.classes, report)

    def __call__(self, data: Samples, folds: np.ndarray, fold: int, out: np.ndarray, report: Reporter) -> np.ndarray:
        """Fit on samples of other folds, and estimate."""
        train = at_most(np.flatnonzero(folds != fold), [self.settings.seed, 6, fold])
        model = self.fit(data.take(train), report.part(0.0, 0.8))
        return _judge(model, data, np.flatnonzero(out), report.part(0.8, 1.0))


@dataclass(frozen=True)
class LevelsOfFold:
    """Levels, (n_out,): a model of the published preset, of at most `samples` others.

    Attributes
    ----------
    parameters : dict of int to dict
        Those of each class.
    """

    parameters: dict[int, dict]
    settings: Settings

    def __call__(self, data: Samples, folds: np.ndarray, fold: int, out: np.ndarray, report: Reporter) -> np.ndarray:
        """Fit on samples that are not held out, and estimate."""
        train, test = self.settings.draw(data.take(~out)), data.take(out)
        learner = self.settings.make(self.parameters[int(test.classes[0])])
        return learner.fit(train.x, train.y, report).predict(np.asarray(test.x))


def held_out(
    data: Samples,
    folds: np.ndarray,
    judged: np.ndarray,
    label: str,
    estimate: Estimate,
    kept: Kept,
    report: Reporter,
    *,
    columns: int = 0,
    workers: int = 1,
) -> np.ndarray:
    """Estimate each sample by a model that was fitted without its fold.

    Parameters
    ----------
    folds : (n_samples,) int
        By which samples are left out of the fit.
    judged : (n_judged,) int
        Folds of the first samples, from 0; negative is never held out.
    label : str
        Name of the split, under which finished folds are kept.
    columns : int
        Numbers that it gives for each sample; 0 for one alone.
    workers : int
        Of a ``joblib.parallel_config``, which fit the models of several folds at once; without one they are fitted here.

    Returns
    -------
    (n_judged,) or (n_judged, columns) float64
        NaN where not held out.
    """
    result = np.full((judged.size, columns) if columns else judged.size, np.nan)
    numbers = np.unique(judged[judged >= 0])
    names = [f"{label}, {done + 1} of {numbers.size}" for done in range(numbers.size)]
    todo = [int(fold) for fold, name in zip(numbers, names, strict=True) if not kept.has(name)]
    with ExitStack() as stack:
        found = None
        if workers > 1 and len(todo) > 1 and kept.folder is not None and on_cluster():
            found = stack.enter_context(_by_workers(data, folds, judged, todo, estimate, kept.folder, workers))
        for done, (fold, name) in enumerate(zip(numbers, names, strict=True)):
            out = judged == fold
            told = report.part(done / numbers.size, (done + 1) / numbers.size)
            make = partial(estimate, data, folds, int(fold), out, told) if found is None else partial(next, found)
            result[out] = kept.array(name, make)
            report((done + 1) / numbers.size)
            give_back()
        if found is not None:
            next(found, None)  # lets it end by itself
    return result


@dataclass(frozen=True)
class _Stored:
    """Arrays in files of a folder, which a worker maps: what it takes of them is read, and all workers share that.

    Attributes
    ----------
    kinds : dict of str to (dtype, shape)
    """

    folder: Path
    kinds: dict[str, tuple[str, tuple[int, ...]]]

    @classmethod
    def of(cls, folder: Path, arrays: dict[str, object]) -> _Stored:
        """Put arrays, or rows of one, into the folder."""
        with telling(folder):
            folder.mkdir()
            for name, values in arrays.items():
                with (folder / name).open("wb") as file:
                    for start in range(0, len(values), ROWS_AT_ONCE):
                        file.write(np.ascontiguousarray(values[start : start + ROWS_AT_ONCE]).data)
        return cls(folder, {name: (str(values.dtype), tuple(values.shape)) for name, values in arrays.items()})

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays, mapped."""
        return {
            name: np.asarray(np.memmap(self.folder / name, kind, "r", shape=shape))
            for name, (kind, shape) in self.kinds.items()
        }


@contextmanager
def _by_workers(
    data: Samples,
    folds: np.ndarray,
    judged: np.ndarray,
    todo: list[int],
    estimate: Estimate,
    folder: Path,
    workers: int,
) -> Iterator[Iterator[np.ndarray]]:
    """Give the estimates of folds in their order, made by workers, who find the samples in files of the journal's folder."""
    place = folder.absolute() / f"samples.{uuid.uuid4().hex}"
    threads = max(estimate.settings.threads, 1)  # beside those of the other workers
    estimate = replace(estimate, settings=replace(estimate.settings, threads=threads))
    try:
        arrays = {part.name: getattr(data, part.name) for part in fields(Samples)}
        stored = _Stored.of(place, arrays | {"folds": folds, "judged": judged})
        with closing(map_on_cluster(partial(_estimate, stored, estimate), todo, workers)) as found:
            yield found
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _estimate(stored: _Stored, estimate: Estimate, fold: int) -> np.ndarray:
    """Estimates of a fold, in a worker."""
    arrays = stored.arrays()
    folds, judged = arrays.pop("folds"), arrays.pop("judged")
    return estimate(Samples(**arrays), folds, fold, judged == fold, Reporter())


def at_most(rows: np.ndarray, seed: list[int]) -> np.ndarray:
    """These rows, or as many random ones as models that judge are fitted on, in their order."""
    if rows.size <= MOST_CROSS_VALIDATED:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, MOST_CROSS_VALIDATED, replace=False))


def _judge(model: DetailModel, data: Samples, rows: np.ndarray, report: Reporter) -> np.ndarray:
    """Both parts of the detail of some rows, (n_rows, 2)."""
    result = np.empty((rows.size, 2))
    for start in range(0, rows.size, JUDGED_AT_ONCE):
        report(start / rows.size)
        part = slice(start, start + JUDGED_AT_ONCE)
        result[part] = model.parts(data.x[rows[part]], data.classes[rows[part]])
    return result

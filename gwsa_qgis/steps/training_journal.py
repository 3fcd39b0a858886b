"""What a training has finished, kept beside its model file until all of it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import OutputNotWritable, UnreadableInput
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.journal import Journal, describe_file, journalled
from gwsa_qgis.science.learners import Learner, Parts, load_learner

BOOSTER = "booster"


class Kept:
    """Results by name: made once, and taken from the journal by a run that goes on.

    Parameters
    ----------
    journal : Journal, optional
        Nothing is kept without one.
    changed : callable, optional
        Says whether an input changed.
    """

    def __init__(self, journal: Journal | None = None, changed: Callable[[], bool] = lambda: False) -> None:
        self._journal, self._changed = journal, changed

    @property
    def folder(self) -> Path | None:
        """Where other files of the work may lie; None without a journal."""
        return None if self._journal is None else self._journal.folder

    def has(self, name: str) -> bool:
        """Whether a result is there."""
        return self._journal is not None and name in self._journal.finished

    def require_unchanged(self) -> None:
        """Raise `UnreadableInput` when an input changed since the work began."""
        if self._changed():
            raise UnreadableInput("an input changed while it was read", "run the step again when it is whole")

    def array(self, name: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        """An array of numbers."""
        if self._journal is None:
            return make()
        path = self._file(name)
        if name in self._journal.finished:
            return np.load(path, allow_pickle=False)
        values = make()
        _save(path, values)
        self._journal.finish(name, [path], {})
        return values

    def facts(self, name: str, make: Callable[[], dict]) -> dict:
        """Numbers and texts by name."""
        if self._journal is None:
            return make()
        if name not in self._journal.finished:
            self._journal.finish(name, [], make())
        return self._journal.facts(name)

    def numbers(self, name: str) -> Callable[[str, Callable[[], float]], float]:
        """Give ``remember(key, make)``, which keeps one number after the other under this name."""
        found = dict(self._journal.facts(name)) if self._journal and name in self._journal.finished else {}

        def remember(key: str, make: Callable[[], float]) -> float:
            if key not in found:
                found[key] = float(make())
                if self._journal:
                    self._journal.finish(name, [], found)
            return found[key]

        return remember

    def learner(self, name: str, threads: int, make: Callable[[], Learner]) -> Learner:
        """A fitted learner."""
        if self._journal is None:
            return make()
        if name in self._journal.finished:
            facts = self._journal.facts(name)
            arrays = {key: np.load(self._file(f"{name} {key}"), allow_pickle=False) for key in facts["arrays"]}
            booster = arrays.pop(BOOSTER).tobytes() if BOOSTER in arrays else None
            return load_learner(Parts(booster, arrays), facts["description"], threads)
        learner = make()
        parts = learner.save()
        arrays = dict(parts.arrays)
        if parts.booster is not None:
            arrays[BOOSTER] = np.frombuffer(parts.booster, np.uint8)
        for key, values in arrays.items():
            _save(self._file(f"{name} {key}"), values)
        files = [self._file(f"{name} {key}") for key in arrays]
        self._journal.finish(name, files, {"description": learner.describe(), "arrays": list(arrays)})
        return learner

    def _file(self, name: str) -> Path:
        return self._journal.folder / (re.sub(r"\W+", "_", name) + ".npy")


@contextmanager
def kept_beside(
    model: str | Path, inputs: Mapping[str, object], options: Mapping[str, object], report: Reporter
) -> Iterator[Kept]:
    """Give what an earlier, interrupted run with the same inputs and options finished, and keep what this one finishes.

    Parameters
    ----------
    inputs : mapping
        Paths of files and folders (None where not given). A folder stands for the files in it.
    options : mapping
        All else that the model depends on; texts and numbers.
    """
    from gwsa_qgis import __version__

    def fingerprint() -> dict[str, object]:
        found = {name: _describe(path) for name, path in inputs.items() if path is not None}
        return {"version": __version__, "inputs": found, "options": dict(options)}

    begun = fingerprint()
    with journalled(model, begun, report) as journal:
        try:
            yield Kept(journal, lambda: fingerprint() != begun)
        except OutputNotWritable:
            journal.forget()  # so little is not worth a part of a full disk
            raise


def _save(path: Path, values: np.ndarray) -> None:
    try:
        np.save(path, values, allow_pickle=False)
    except OSError as error:  # that of a full disk has no number here
        raise OutputNotWritable(
            f"{path} cannot be written ({error.strerror or error})",
            "free some space, or write the model to another disk",
        ) from error


def _describe(path: str | Path) -> object:
    path = Path(path)
    if path.is_dir():
        return [describe_file(file) for file in sorted(path.iterdir()) if file.is_file()]
    return describe_file(path)

"""Pieces of predictors made by worker processes or on a cluster, which leave them in files of the journal's folder."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from gwsa_qgis.products.cube import split_source
from gwsa_qgis.products.predictor_input import PredictorInput, open_input
from gwsa_qgis.rasters.journal import describe_file
from gwsa_qgis.rasters.scratch import read_months_of
from gwsa_qgis.rasters.windows import Window, map_on_cluster
from gwsa_qgis.rasters.writing import telling
from gwsa_qgis.steps.predictor_windows import Handles, Piece, Target, make_piece

# Values that a worker makes at once, some seconds of work: it opens the input for each.
VALUES_AT_ONCE = 2**20
# What may lie in the folder and wait to be written, MB, beside the predictors that are finished.
WAITING_MB = 4096
NOTHING = np.empty(0, np.float32)
# One piece of a predictor: its name, months and window.
Task = tuple[str, slice, Window]


@dataclass(frozen=True)
class PieceJob:
    """What a worker process needs to make pieces; it opens all files itself.

    Attributes
    ----------
    paths : dict of str to str
        Inputs by the names of their predictors.
    months : (n_months,) datetime64[M] or None
    folder : Path
        In which all workers leave what they made.
    mask : str
        By which a worker sees whether the mask is still the one that it knows.
    """

    paths: dict[str, str]
    target: Target
    months: np.ndarray | None
    folder: Path
    mask: str

    @classmethod
    def of(cls, opened: Sequence[PredictorInput], months: np.ndarray | None, target: Target, folder: Path) -> PieceJob:
        """That of some inputs, whose paths are made independent of the folder that a process works in."""
        mask = target.mask and str(Path(target.mask).absolute())
        paths = {one.name: _absolute(one.path) for one in opened}
        # a copy, without the cells of the mask that it may hold
        return cls(paths, replace(target, mask=mask), months, folder.absolute(), str(mask and describe_file(mask)))

    def run(self, tasks: list[Task]) -> tuple[str, list[Piece]]:
        """Put pieces of one predictor into a file of the folder with a name of its own; give it, and the pieces without values.

        A worker that is believed lost, and goes on all the same, so writes into no file that counts; when the run has
        ended, or another has taken over, the folder is gone, and nothing is begun.
        """
        name, pieces = tasks[0][0], []
        path, target = self.folder / uuid.uuid4().hex, _target(self.target, self.mask)
        with path.open("wb") as file:
            one = open_input(name, self.paths[name], target.grid)
            handles = Handles(one, target.grid)
            try:
                for _, chunk, window in tasks:
                    piece = make_piece(handles, one.bands(self.months)[chunk], window, target)
                    for values in (piece.values, piece.means):
                        file.write(np.ascontiguousarray(values, np.float32).data)
                    pieces.append(replace(piece, values=NOTHING, means=NOTHING))
            finally:
                handles.close()
                one.source.close()
        return path.name, pieces


@lru_cache(maxsize=1)
def _target(target: Target, mask: str) -> Target:
    """The target of a worker process, which keeps the cells of its mask from one call to the next."""
    return target


def _absolute(path: str) -> str:
    """A path, or the name of a variable of a file, that does not depend on the folder that a process works in."""
    file, _ = split_source(path)
    place = Path(file).absolute()
    if not place.exists():  # a name that GDAL alone understands
        return path
    before, _, after = path.rpartition(file)
    return f"{before}{place}{after}"


def make_by_workers(job: PieceJob, tasks: Sequence[Task], workers: int) -> Iterator[Piece]:
    """Pieces in the order of the tasks, made by the processes, or on the cluster, that joblib was told of.

    Notes
    -----
    Workers may be quicker than the one who writes: work is handed out in rounds, so that what waits has an end.
    """
    target = job.target
    with telling(job.folder):
        job.folder.mkdir()
    try:
        for runs in _rounds(_runs(tasks), 2 * workers):
            with closing(map_on_cluster(job.run, runs, workers)) as found:
                for run, (name, pieces) in zip(runs, found, strict=True):
                    with (job.folder / name).open("rb") as file:
                        for (_, chunk, window), piece in zip(run, pieces, strict=True):
                            values = read_months_of(file, chunk, window)
                            means = read_months_of(file, chunk, window.coarsened(target.factor))
                            yield replace(piece, values=values, means=means)
                    (job.folder / name).unlink()
    finally:
        shutil.rmtree(job.folder, ignore_errors=True)


def _runs(tasks: Iterable[Task]) -> Iterator[list[Task]]:
    """Neighbouring tasks of one predictor that a worker does at once."""
    run: list[Task] = []
    for task in tasks:
        if run and (task[0] != run[0][0] or sum(map(_values, run)) >= VALUES_AT_ONCE):
            yield run
            run = []
        run.append(task)
    if run:
        yield run


def _rounds(runs: Iterable[list[Task]], fewest: int) -> Iterator[list[list[Task]]]:
    """Work that is handed out together: `fewest` runs at least, and others within `WAITING_MB`."""
    these: list[list[Task]] = []
    waiting = 0.0
    for run in runs:
        size = 4e-6 * sum(map(_values, run))
        if len(these) >= fewest and waiting + size > WAITING_MB:
            yield these
            these, waiting = [], 0.0
        these.append(run)
        waiting += size
    if these:
        yield these


def _values(task: Task) -> int:
    _, chunk, window = task
    return (chunk.stop - chunk.start) * window.rows * window.columns

"""Predicting in threads or on a cluster, and writing the pieces in their order so that an interrupted run can go on."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.journal import Journal, describe_file
from gwsa_qgis.rasters.raster import RasterWriter
from gwsa_qgis.rasters.scratch import read_months_of
from gwsa_qgis.rasters.windows import Window, map_on_cluster
from gwsa_qgis.steps.model_file import read_model
from gwsa_qgis.steps.predict_inputs import FineFiles, Readers
from gwsa_qgis.steps.predict_pieces import Prediction
from gwsa_qgis.steps.predict_plan import Part, PredictPlan
from gwsa_qgis.steps.surrounding import Surrounding
from gwsa_qgis.steps.trained_model import TrainedModel
from gwsa_qgis.threads import map_ordered

# Values that a worker of a cluster predicts at once, some seconds of work: its windows' static inputs are read for each.
ROWS_AT_ONCE = 2**20
Piece = tuple[Window, slice]


@dataclass(frozen=True)
class PixelCounts:
    """Pixels with a value in some month, and pixels of classes that the model does not know."""

    predicted: int = 0
    unknown: int = 0


@dataclass(frozen=True)
class PartJob:
    """What a worker process needs to predict pieces of the map; it opens all files itself.

    Attributes
    ----------
    folder : Path
        Of the journal, which all workers see.
    plan : PredictPlan
        One piece at a time is predicted; of its parts the first alone, whose first window is the largest.
    span : (first, last) of str
        Months of the training.
    spacing : float or None
        Knot spacing of the histosplines that wait in the folder; None for models of levels alone.
    stamp : str
        By which a worker sees whether the model is still the one that it knows.
    """

    model: Path
    files: FineFiles
    folder: Path
    plan: PredictPlan
    span: tuple[str, ...]
    spacing: float | None
    stamp: str

    @classmethod
    def of(cls, model: str | Path, threads: int, prediction: Prediction, folder: Path) -> PartJob:
        """That of a prediction whose surroundings are prepared."""
        plan, around, folder = prediction.plan, prediction.surrounding, folder.absolute()
        first = replace(plan.parts[0], windows=plan.parts[0].windows[:1])
        plan = replace(plan, parts=[first], lanes=1, threads=max(threads, 1))
        files = prediction.files.absolute().with_place(folder, plan.tile)
        span = tuple(prediction.trained.manifest["months"])
        spacing, stamp = None if around is None else around.spacing, str(describe_file(model))
        return cls(Path(model).absolute(), files, folder, plan, span, spacing, stamp)

    def run(self, pieces: list[Piece]) -> tuple[str, list[int]]:
        """Put the values of pieces into a file of the folder with a name of its own; give it, and pixels of unknown classes.

        A worker that is believed lost, and goes on all the same, so writes into no file that counts.
        """
        trained, unknown = _model(str(self.model), self.plan.threads, self.stamp), []
        path = self.folder / f"pieces.{uuid.uuid4().hex}"
        with Readers(self.files) as readers:
            surrounding = None
            if self.spacing is not None:
                surrounding = Surrounding(self.files, None, 1, self.folder, self.span)
                surrounding.open(self.spacing, made=True)
            prediction = Prediction(trained, readers, surrounding, self.plan)
            with closing(_predicted(prediction, pieces, self.plan)) as results, path.open("wb") as file:
                for values, strange in results:
                    file.write(values.data)
                    unknown.append(strange)
        return path.name, unknown


@lru_cache(maxsize=1)
def _model(path: str, threads: int, stamp: str) -> TrainedModel:
    """The model of a worker process, read once; again where its file is another one."""
    return TrainedModel.from_file(read_model(path), threads)


def write_prediction(
    prediction: Prediction,
    plan: PredictPlan,
    writer: RasterWriter,
    journal: Journal,
    report: Reporter,
    job: PartJob | None = None,
    workers: int = 1,
) -> PixelCounts:
    """Predict all pieces, and write them in their order.

    The values of each part are kept in a file of the journal until all is written, and are read from there when an
    interrupted run goes on: the map is then written in the same order, and has the same bytes.

    Parameters
    ----------
    job : PartJob or None
        Where workers of a cluster predict.
    """
    todo = [part for part in plan.parts if part.name not in journal.finished]
    report(0.0, "Predicting")
    predicted = unknown = done = 0
    with ExitStack() as stack:
        pieces = _pieces(todo, plan)
        results = _predicted(prediction, pieces, plan) if job is None else _fetched(job, pieces, workers)
        stack.enter_context(closing(results))
        for part in plan.parts:
            path, last = journal.folder / f"{part.name}.raw", done + len(part.windows)
            share = report.part(done / len(plan.windows), last / len(plan.windows))
            if part.name in journal.finished:
                for window, chunk, values in _stored(part, path, plan):
                    writer.write_tiles(values, window.row, window.column, chunk.start)
                counts = PixelCounts(**journal.facts(part.name))
                share(1.0)
            else:
                counts = _write_part(part, path, plan, results, writer, share)
                journal.finish(part.name, [path], asdict(counts))
            predicted, unknown, done = predicted + counts.predicted, unknown + counts.unknown, last
    return PixelCounts(predicted, unknown)


def _pieces(parts: list[Part], plan: PredictPlan) -> Iterator[Piece]:
    """Pieces in the order in which they are written."""
    return ((window, chunk) for part in parts for window in part.windows for chunk in plan.chunks)


def _fetched(job: PartJob, pieces: Iterable[Piece], workers: int) -> Iterator[tuple[np.ndarray, int]]:
    """Values that workers of a cluster predict, from the files that they leave."""
    runs: list[list[Piece]] = []
    rows = ROWS_AT_ONCE
    for window, chunk in pieces:
        if rows >= ROWS_AT_ONCE:
            runs.append([])
            rows = 0
        runs[-1].append((window, chunk))
        rows += window.rows * window.columns * (chunk.stop - chunk.start)
    with closing(map_on_cluster(job.run, runs, workers)) as found:
        for run, (name, unknown) in zip(runs, found, strict=True):
            with (job.folder / name).open("rb") as file:
                for (window, chunk), strange in zip(run, unknown, strict=True):
                    yield read_months_of(file, chunk, window), strange
            (job.folder / name).unlink()


def _predicted(prediction: Prediction, pieces: Iterable[Piece], plan: PredictPlan) -> Iterator[tuple[np.ndarray, int]]:
    """Their values; two more than are predicted are at work: while one is written, the next is read."""
    return map_ordered(lambda piece: prediction.piece(*piece), pieces, plan.lanes + 2)


def _write_part(
    part: Part,
    path: Path,
    plan: PredictPlan,
    results: Iterator[tuple[np.ndarray, int]],
    writer: RasterWriter,
    report: Reporter,
) -> PixelCounts:
    """Write the next results to the map and to the part's file."""
    predicted = unknown = done = 0
    with path.open("wb") as file:
        for window in part.windows:
            ever = np.zeros((window.rows, window.columns), bool)
            for chunk in plan.chunks:
                values, strange = next(results)
                writer.write_tiles(values, window.row, window.column, chunk.start)
                file.write(values.data)
                ever |= np.isfinite(values).any(0)
                done += 1
                report(done / (len(part.windows) * len(plan.chunks)))
            predicted += int(ever.sum())
            unknown += strange
    return PixelCounts(predicted, unknown)


def _stored(part: Part, path: Path, plan: PredictPlan) -> Iterator[tuple[Window, slice, np.ndarray]]:
    """Pieces of a part as its file has them."""
    with path.open("rb") as file:
        for window in part.windows:
            for chunk in plan.chunks:
                yield window, chunk, read_months_of(file, chunk, window)

"""Predicting in threads, and writing the pieces in their order so that an interrupted run can go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.journal import Journal
from gwsa_qgis.rasters.raster import RasterWriter
from gwsa_qgis.rasters.windows import Window, map_ordered
from gwsa_qgis.steps.predict_pieces import Prediction
from gwsa_qgis.steps.predict_plan import Part, PredictPlan


@dataclass(frozen=True)
class PixelCounts:
    """Pixels with a value in some month, and pixels of classes that the model does not know."""

    predicted: int = 0
    unknown: int = 0


def write_prediction(
    prediction: Prediction, plan: PredictPlan, writer: RasterWriter, journal: Journal, report: Reporter
) -> PixelCounts:
    """Predict all pieces, and write them in their order.

    The values of each part are kept in a file of the journal until all is written, and are read from there when an
    interrupted run goes on: the map is then written in the same order, and has the same bytes.
    """
    todo = [part for part in plan.parts if part.name not in journal.finished]
    tasks = ((window, chunk) for part in todo for window in part.windows for chunk in plan.chunks)
    report(0.0, "Predicting")
    predicted = unknown = done = 0
    with ExitStack() as stack:
        # two more than are predicted: while one is written, the next is read
        results = map_ordered(lambda task: prediction.piece(*task), tasks, plan.lanes + 2)
        stack.callback(results.close)
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
                shape = (chunk.stop - chunk.start, window.rows, window.columns)
                yield window, chunk, np.fromfile(file, np.float32, int(np.prod(shape))).reshape(shape)

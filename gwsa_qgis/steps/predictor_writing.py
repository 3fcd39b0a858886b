"""Writing predictors one after the other, while threads make the pieces of the next."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np

from gwsa_qgis.products.predictor_input import PredictorInput
from gwsa_qgis.products.sanity import Figures
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.heap import give_back
from gwsa_qgis.rasters.journal import Journal
from gwsa_qgis.rasters.raster import RasterWriter, create_raster
from gwsa_qgis.rasters.stack import create_stack, require_values
from gwsa_qgis.rasters.windows import on_cluster
from gwsa_qgis.steps.predictor_pieces import PieceJob, Task, make_by_workers
from gwsa_qgis.steps.predictor_windows import (
    THREADS_WITHIN_BUDGET,
    Handles,
    Piece,
    Plan,
    Target,
    make_piece,
    plan_pieces,
)
from gwsa_qgis.threads import map_ordered

STEP = "preparepredictors"
FINE, COARSE, PIECES = "fine", "coarse", "pieces"
# Share of the work that is aligning, the rest being checks and moving.
ALIGNING = 0.98


def make_predictors(
    opened: list[PredictorInput],
    months: np.ndarray | None,
    target: Target,
    journal: Journal,
    workers: int,
    report: Reporter,
) -> None:
    """Make the predictors that are not finished, in the journal's folder.

    Pieces of the next one are begun while one is being written. They are made by threads, or by the workers of a
    ``joblib.parallel_config``.
    """
    todo = [one for one in opened if one.name not in journal.finished]
    plans = {one.name: plan_pieces(one, months.size if one.months is not None else 0, target) for one in todo}
    handles = {one.name: Handles(one, target.grid) for one in todo}
    tasks = [(one.name, chunk, window) for one in todo for chunk, window in plans[one.name].pieces()]
    bands = {one.name: one.bands(months) for one in todo}

    def make(task: Task) -> Piece:
        name, chunk, window = task
        return make_piece(handles[name], bands[name][chunk], window, target)

    with ExitStack() as stack:
        for one in todo:
            stack.callback(handles[one.name].close)
        threads = min(workers, THREADS_WITHIN_BUDGET)
        if workers > 1 and on_cluster():
            job = PieceJob.of(todo, months, target, journal.folder / f"{PIECES}.{uuid.uuid4().hex}")
            results = make_by_workers(job, tasks, workers)
        else:
            results = map_ordered(make, tasks, threads)
        stack.callback(results.close)
        done = 0
        for one in todo:
            plan = plans[one.name]
            share = len(plan.chunks) * len(plan.windows)
            part = report.part(ALIGNING * done / len(tasks), ALIGNING * (done + share) / len(tasks))
            _write_one(one, plan, results, months, target, journal, threads, part)
            done += share


def _write_one(
    one: PredictorInput,
    plan: Plan,
    results: Iterator[Piece],
    months: np.ndarray | None,
    target: Target,
    journal: Journal,
    threads: int,
    report: Reporter,
) -> None:
    """Write one predictor on both grids, and record it as finished."""
    dynamic = months if one.months is not None else None
    figures, counts = Figures(), np.zeros(3, np.int64)
    valid = np.zeros(plan.chunks[-1].stop, np.int64)
    paths = [journal.folder / kind / f"{one.name}.tif" for kind in (FINE, COARSE)]
    done, total = 0, len(plan.chunks) * len(plan.windows)
    with (
        _writer(paths[0], target.grid, dynamic, one, tile=target.tile, threads=threads) as fine,
        _writer(paths[1], target.coarse, dynamic, one, threads=threads) as coarse,
    ):
        write = fine.write_tiles if plan.whole_tiles else fine.write
        for chunk in plan.chunks:
            means = _CoarseChunk(coarse, chunk, target)
            for window in plan.windows:
                piece = next(results)
                figures.merge(piece.figures)
                counts += piece.filled, piece.left, piece.used
                valid[chunk] += piece.valid
                write(piece.values, window.row, window.column, chunk.start)
                place = window.coarsened(target.factor)
                means.add(piece.means, place.row, place.column)
                done += 1
                report(done / total)
            means.write()
            give_back()
        require_values(one.source.path, figures.count, "valid value on the used cells of the template")
    facts = {"filled": int(counts[0]), "left": int(counts[1]), "used": int(counts[2]), "valid": valid.tolist()}
    journal.finish(one.name, paths, facts | asdict(figures))
    report.say(f"{one.name} is finished.")


class _CoarseChunk:
    """Means of some months: gathered and written as whole bands, unless even the coarse grid is large."""

    def __init__(self, writer: RasterWriter, chunk: slice, target: Target) -> None:
        self._writer, self._first = writer, chunk.start
        shape = (chunk.stop - chunk.start, *target.coarse.shape)
        fits = 4 * np.prod(shape, dtype=float) <= target.memory_mb * 1e6 / 8
        self._values = np.full(shape, np.nan, np.float32) if fits else None

    def add(self, means: np.ndarray, row: int, column: int) -> None:
        """Take the means of a window."""
        if self._values is None:
            self._writer.write(means, row, column, self._first)
        else:
            self._values[:, row : row + means.shape[1], column : column + means.shape[2]] = means

    def write(self) -> None:
        """Write what was gathered."""
        if self._values is not None:
            self._writer.write_tiles(self._values, 0, 0, self._first)


@contextmanager
def _writer(
    path: Path, grid: Grid, months: np.ndarray | None, one: PredictorInput, **layout: object
) -> Iterator[RasterWriter]:
    quantity = one.quantity or one.name
    if months is None:
        tags = {"GWSA_QUANTITY": quantity, "GWSA_STEP": STEP}
        made = create_raster(path, grid, unit=one.unit, descriptions=[quantity], metadata=tags, quick=True, **layout)
    else:
        made = create_stack(path, grid, months, unit=one.unit, quantity=quantity, step=STEP, quick=True, **layout)
    with made as writer:
        yield writer

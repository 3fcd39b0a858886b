"""Predicting pieces in threads, and writing them in their order so that an interrupted run can go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Semaphore

import numpy as np

from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.journal import Journal
from gwsa_qgis.rasters.raster import RasterWriter
from gwsa_qgis.rasters.windows import Window, map_ordered
from gwsa_qgis.science.model_inputs import time_inputs
from gwsa_qgis.steps.predict_inputs import Kept, Readers
from gwsa_qgis.steps.predict_plan import ROWS_AT_ONCE, Part, PredictPlan
from gwsa_qgis.steps.surrounding import Surrounding
from gwsa_qgis.steps.trained_model import TrainedModel


@dataclass(frozen=True)
class _Pixels:
    """What a window's rows have in common in all months.

    Attributes
    ----------
    index : (n,) int or None
        Places of the pixels in the window, by class, so that each class's rows lie together; None for all in order.
    classes : (n,) int32
    inputs : dict of int to (n,) float32
        Static inputs by their column.
    unknown : int
        Pixels of classes that the model does not know.
    """

    index: np.ndarray | None
    classes: np.ndarray
    inputs: dict[int, np.ndarray]
    unknown: int


class Prediction:
    """Predicts pieces; threads may work at several.

    Parameters
    ----------
    surrounding : Surrounding or None
        What deviations are taken from; None for models of levels alone.
    """

    def __init__(
        self, trained: TrainedModel, readers: Readers, surrounding: Surrounding | None, plan: PredictPlan
    ) -> None:
        self.trained, self.readers, self.surrounding = trained, readers, surrounding
        self.files = readers.files
        self.terms = time_inputs(trained.preset, self.files.months)
        self._known = trained.classes or [0]
        self._free = Semaphore(plan.lanes)
        self._pixels = Kept(self._make_pixels, plan.cached_windows)
        # columns of the table: deviations where there are any, levels, terms
        self._level = 0 if surrounding is None else len(self.files.names)

    def piece(self, window: Window, chunk: slice) -> tuple[np.ndarray, int]:
        """Estimates (n_months, rows, columns) float32, NaN where there is none, and pixels of unknown classes."""
        pixels = self._pixels.get(window)
        months = chunk.stop - chunk.start
        result = np.full((months, window.rows * window.columns), np.nan, np.float32)
        if pixels.classes.size:
            layers, valid = self._monthly(window, chunk)
            with self._free:
                for month, terms in enumerate(self.terms[:, chunk].T):
                    own = {column: layer[month].ravel() for column, layer in layers.items()}
                    self._predict(pixels, own, valid[month], terms, result[month])
        return result.reshape(months, window.rows, window.columns), pixels.unknown

    def _monthly(self, window: Window, chunk: slice) -> tuple[dict[int, np.ndarray], np.ndarray]:
        """Monthly inputs (n_months, rows, columns) by their column, and where all of them have a value."""
        with self.readers.borrow() as opened:
            layers, valid = opened.dynamic(window, chunk)
        numbers = [number for number, moves in enumerate(self.files.dynamic) if moves]
        found = {self._level + number: layer for number, layer in zip(numbers, layers, strict=True)}
        if self.surrounding is not None:
            for number, layer in zip(numbers, layers, strict=True):
                around = self.surrounding.evaluate(number, chunk, window)
                found[number] = np.subtract(layer, around, out=around)
        return found, valid

    def _predict(
        self, pixels: _Pixels, layers: dict[int, np.ndarray], valid: np.ndarray, terms: np.ndarray, out: np.ndarray
    ) -> None:
        """Put a month's estimates into `out`, some rows at a time."""
        good = _chosen(valid, pixels.index)
        kept = None if good.all() else np.flatnonzero(good)
        count = pixels.classes.size if kept is None else kept.size
        for start in range(0, count, ROWS_AT_ONCE):
            rows = slice(start, min(start + ROWS_AT_ONCE, count))
            # where the rows lie among the window's pixels, and in the window
            own = rows if kept is None else kept[rows]
            place = own if pixels.index is None else pixels.index[own]
            table = np.empty((len(self.trained.inputs), rows.stop - start), np.float32)
            for column, layer in layers.items():
                _choose(layer, place, table[column])
            for column, values in pixels.inputs.items():
                _choose(values, own, table[column])
            table[len(table) - terms.size :] = terms[:, None]
            out[place] = self.trained.predict(table.T, pixels.classes[own])

    def _make_pixels(self, window: Window) -> _Pixels:
        with self.readers.borrow() as opened:
            static = opened.static(window)
        unknown = static.wanted & ~np.isin(static.classes, self._known)
        flat, used = static.classes.ravel(), np.flatnonzero(static.used)
        classes = flat[used]
        if (classes[1:] < classes[:-1]).any():
            order = np.argsort(classes, kind="stable")
            used, classes = used[order], classes[order]
            index = used
        else:
            index = None if used.size == flat.size else used
        inputs = {}
        for number, layer in enumerate(static.layers):
            if layer is not None and classes.size:
                inputs[self._level + number] = _chosen(layer, index)
                if self.surrounding is not None:
                    around = self.surrounding.evaluate(number, slice(0, 1), window)[0]
                    inputs[number] = _chosen(layer - around, index)
        return _Pixels(index, classes, inputs, int(unknown.sum()))


def _chosen(layer: np.ndarray, index: np.ndarray | None) -> np.ndarray:
    return layer.ravel() if index is None else layer.ravel()[index]


def _choose(values: np.ndarray, index: np.ndarray | slice, out: np.ndarray) -> None:
    if isinstance(index, slice):
        out[:] = values[index]
    else:
        np.take(values, index, out=out, mode="clip")  # the other modes copy once more


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
        # one more than are predicted: the next is read meanwhile
        results = map_ordered(lambda task: prediction.piece(*task), tasks, plan.lanes + 1)
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

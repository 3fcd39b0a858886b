"""Predicting pieces: a window of the map in some months."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock, Semaphore

import numpy as np

from gwsa_qgis.rasters.heap import HeapKeeper
from gwsa_qgis.rasters.windows import Window
from gwsa_qgis.science.linear_places import LinearPlaces
from gwsa_qgis.science.model_inputs import time_inputs
from gwsa_qgis.steps.predict_inputs import Kept, Readers
from gwsa_qgis.steps.predict_plan import ROWS_AT_ONCE, PredictPlan
from gwsa_qgis.steps.surrounding import Surrounding
from gwsa_qgis.steps.trained_model import TrainedModel

# Values of a page of memory, and of a line of the processor's cache.
_PAGE, _LINE = 1024, 16


@dataclass(frozen=True)
class _Pixels:
    """What a window's rows have in common in all months.

    Attributes
    ----------
    index : (n,) int or None
        Places of the pixels in the window, by class, so that each class's rows lie together; None for all in order.
    classes : (n,) int32
    inputs : dict of int to (n,) float32
        Inputs that stay, by their column.
    linear : LinearPlaces or None
        Linear part of the detail.
    unknown : int
        Pixels of classes that the model does not know.
    """

    index: np.ndarray | None
    classes: np.ndarray
    inputs: dict[int, np.ndarray]
    linear: LinearPlaces | None
    unknown: int


class _Table:
    """Inputs of a window's pixels, a column each: those that stay are there, the others are filled in month by month.

    Its memory serves one window after the other: so large a piece would not go back to the system when it is let go.
    Columns lie one after the other, so that they are filled in one run; boosters read them as fast as rows as long as
    the same pixel's inputs do not fall on the same place of the processor's cache.
    """

    def __init__(self, most_pixels: int, n_inputs: int) -> None:
        self.window: Window | None = None
        self._columns = np.empty((n_inputs, most_pixels // _PAGE * _PAGE + _PAGE + _LINE), np.float32)

    def turn_to(self, window: Window, pixels: _Pixels) -> None:
        """Take up the pixels of a window."""
        self.window = window
        self.columns = self._columns[:, : pixels.classes.size]
        for column, values in pixels.inputs.items():
            self.columns[column] = values

    @property
    def rows(self) -> np.ndarray:
        """All of it as learners take it, (n_pixels, n_inputs)."""
        return self.columns.T

    def some_rows(self, places: np.ndarray) -> np.ndarray:
        """Some pixels of it, (n_places, n_inputs)."""
        return np.take(self.columns, places, axis=1).T


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
        self.files, self.plan = readers.files, plan
        self.terms = time_inputs(trained.preset, self.files.months)
        self._known = trained.classes or [0]
        self._free, self._lock, self._heap = Semaphore(plan.lanes), Lock(), HeapKeeper()
        self._tables: list[_Table] = []
        self._most = max(window.rows * window.columns for window in plan.windows)
        self._pixels = Kept(self._make_pixels, plan.cached_windows)
        # columns of the table: deviations where there are any, levels, terms
        level = 0 if surrounding is None else len(self.files.names)
        numbers = [number for number, moves in enumerate(self.files.dynamic) if moves]
        self._level, self._columns = level, [level + number for number in numbers]
        if surrounding is not None:
            self._columns += numbers

    def piece(self, window: Window, chunk: slice) -> tuple[np.ndarray, int]:
        """Estimates (n_months, rows, columns) float32, NaN where there is none, and pixels of unknown classes."""
        pixels = self._pixels.get(window)
        months = chunk.stop - chunk.start
        result = np.full((months, window.rows * window.columns), np.nan, np.float32)
        if pixels.classes.size:
            layers, valid = self._monthly(window, chunk)
            with self._free, self._table(window, pixels) as table:
                for month, terms in enumerate(self.terms[:, chunk].T):
                    own = [layer[month].ravel() for layer in layers]
                    self._predict(table, pixels, own, valid[month].ravel(), terms, result[month])
        return result.reshape(months, window.rows, window.columns), pixels.unknown

    @contextmanager
    def _table(self, window: Window, pixels: _Pixels) -> Iterator[_Table]:
        """A table of the window, at best one that has been used for it before."""
        with self._lock:
            free = sorted(self._tables, key=lambda table: table.window != window)
            table = free[0] if free else _Table(self._most, len(self.trained.inputs))
            self._tables = free[1:]
        try:
            if table.window != window:
                table.turn_to(window, pixels)
            yield table
        finally:
            with self._lock:
                self._tables.append(table)

    def _monthly(self, window: Window, chunk: slice) -> tuple[list[np.ndarray], np.ndarray]:
        """Monthly inputs (n_months, rows, columns) in the order of their columns, and where all of them have a value."""
        with self.readers.borrow() as opened:
            layers, valid = opened.dynamic(window, chunk)
        if self.surrounding is None or not layers:
            return layers, valid
        around = self.surrounding.monthly(chunk, window)
        deviations = [np.subtract(layer, around[:, n], out=around[:, n]) for n, layer in enumerate(layers)]
        return layers + deviations, valid

    def _predict(
        self,
        table: _Table,
        pixels: _Pixels,
        layers: list[np.ndarray],
        valid: np.ndarray,
        terms: np.ndarray,
        out: np.ndarray,
    ) -> None:
        """Put a month's estimates into `out`."""
        moving = [table.columns[column] for column in self._columns]
        for layer, values in zip(layers, moving, strict=True):
            _choose(layer, pixels.index, values)
        table.columns[-terms.size :] = terms[:, None]
        linear = None
        if pixels.linear is not None:
            half = len(moving) // 2
            linear = pixels.linear.predict(moving[half:], moving[:half], terms)
        good = valid if pixels.index is None else valid[pixels.index]
        if good.all():
            place = slice(None) if pixels.index is None else pixels.index
            out[place] = self.trained.predict(table.rows, pixels.classes, linear)
            return
        good = np.flatnonzero(good)
        for start in range(0, good.size, ROWS_AT_ONCE):
            rows = good[start : start + ROWS_AT_ONCE]
            place = rows if pixels.index is None else pixels.index[rows]
            own = None if linear is None else linear[rows]
            out[place] = self.trained.predict(table.some_rows(rows), pixels.classes[rows], own)

    def _make_pixels(self, window: Window) -> _Pixels:
        layers = self.files.months.size * len(self._columns) + 2 * len(self.trained.inputs)
        self._heap.take_note(4 * window.rows * window.columns * layers)
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
        inputs, linear = {}, None
        if classes.size:
            lasting = {number: layer for number, layer in enumerate(static.layers) if layer is not None}
            inputs = {self._level + number: _chosen(layer, index) for number, layer in lasting.items()}
            if self.surrounding is not None:
                for number, around in zip(lasting, self.surrounding.lasting(window), strict=True):
                    inputs[number] = _chosen(np.subtract(lasting[number], around, out=around), index)
                linear = self._linear(classes, {p: (inputs[p], inputs[self._level + p]) for p in lasting})
        return _Pixels(index, classes, inputs, linear, int(unknown.sum()))

    def _linear(self, classes: np.ndarray, lasting: dict[int, tuple[np.ndarray, np.ndarray]]) -> LinearPlaces | None:
        if self.trained.linear is None or not self.trained.shares[0] > 0:
            return None
        return LinearPlaces(self.trained.linear, classes, lasting)


def _chosen(layer: np.ndarray, index: np.ndarray | None) -> np.ndarray:
    return layer.ravel() if index is None else layer.ravel()[index]


def _choose(values: np.ndarray, index: np.ndarray | None, out: np.ndarray) -> None:
    if index is None:
        out[:] = values
    else:
        np.take(values, index, out=out, mode="clip")  # the other modes copy once more

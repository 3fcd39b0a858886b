"""Inputs of a prediction: files of the fine grid, read window by window by several threads."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

import numpy as np

from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.journal import describe_file
from gwsa_qgis.rasters.masks import is_used
from gwsa_qgis.rasters.predictor_set import PredictorSet
from gwsa_qgis.rasters.raster import TILE, Raster
from gwsa_qgis.rasters.scratch import ScratchTiles
from gwsa_qgis.rasters.windows import Window
from gwsa_qgis.science.signatures import signature_names

SIGNATURES = "signatures.raw"


@dataclass(frozen=True)
class FineFiles:
    """Checked files of the fine grid.

    Attributes
    ----------
    names : list of str
        Predictors in the model's order.
    dynamic : list of bool
        Which of them change from month to month.
    months : (n_months,) datetime64[M]
    aquifers, mask : Path or None
    tile : int
        Side of the files' tiles.
    monthly : tuple of str
        Predictors whose signatures are the last of the names.
    signatures : ScratchTiles or None
        These, (n_signatures, rows, columns), when there is a place for them.
    """

    folder: Path
    names: list[str]
    dynamic: list[bool]
    grid: Grid
    months: np.ndarray
    aquifers: Path | None
    mask: Path | None
    tile: int
    monthly: tuple[str, ...] = ()
    signatures: ScratchTiles | None = None

    @property
    def in_folder(self) -> list[str]:
        """Names that have files."""
        return self.names[: len(self.names) - len(signature_names(self.monthly))]

    def is_whole(self, window: Window) -> bool:
        """Whether a window is made of whole tiles of the files."""
        sides = zip((window.row, window.column), (window.rows, window.columns), self.grid.shape, strict=True)
        return all(
            start % self.tile == 0 and (length % self.tile == 0 or start + length == whole)
            for start, length, whole in sides
        )

    def with_signatures(self, monthly: Sequence[str]) -> FineFiles:
        """The same with the names of signatures behind those of the predictors."""
        added = signature_names(monthly)
        names, dynamic = [*self.names, *added], [*self.dynamic, *[False] * len(added)]
        return replace(self, names=names, dynamic=dynamic, monthly=tuple(monthly))

    def paths(self) -> list[Path]:
        """Files of the predictors."""
        with PredictorSet(self.folder) as predictors:
            return [predictors.path(name) for name in self.in_folder]

    def absolute(self) -> FineFiles:
        """The same with paths that do not depend on the folder a process works in."""
        aquifers, mask = (None if path is None else path.absolute() for path in (self.aquifers, self.mask))
        return replace(self, folder=self.folder.absolute(), aquifers=aquifers, mask=mask)

    def with_place(self, folder: Path, tile: int) -> FineFiles:
        """The same with a place for the signatures, where there are any, in tiles of the prediction."""
        if not self.monthly:
            return self
        planes = len(signature_names(self.monthly))
        return replace(self, signatures=ScratchTiles(folder / SIGNATURES, (planes, *self.grid.shape), tile))

    def fingerprint(self) -> dict[str, object]:
        """What tells whether a file changed."""
        with PredictorSet(self.folder) as predictors:
            files = {name: describe_file(predictors.path(name)) for name in self.in_folder}
        return {
            "predictor": files,
            "AQUIFERS": None if self.aquifers is None else describe_file(self.aquifers),
            "MASK": None if self.mask is None else describe_file(self.mask),
        }


def tile_of(predictors: PredictorSet, names: Sequence[str]) -> int:
    """Side of the tiles of the first monthly file, where it has such; windows that are tiles read none twice."""
    for name in names:
        if predictors.is_dynamic(name):
            with Raster(predictors.path(name)) as raster:
                return raster.tile
    return TILE


@dataclass(frozen=True)
class StaticPart:
    """What does not change with the months, of one window.

    Attributes
    ----------
    used : (rows, columns) bool
        Pixels that the mask leaves, that have a class where there is a class raster, and all static predictors.
    wanted : (rows, columns) bool
        The same, whether they have static predictors or not.
    classes : (rows, columns) int32
        0 without one.
    layers : list of (rows, columns) float32 or None
        Static predictors, in the places that they have among all.
    """

    used: np.ndarray
    wanted: np.ndarray
    classes: np.ndarray
    layers: list[np.ndarray | None]


class _Opened:
    """The files, opened for one thread."""

    def __init__(self, files: FineFiles, stack: ExitStack) -> None:
        self.files = files
        self.predictors = stack.enter_context(PredictorSet(files.folder))
        self.mask = None if files.mask is None else stack.enter_context(Raster(files.mask))
        self.aquifers = None if files.aquifers is None else stack.enter_context(Raster(files.aquifers))

    def static(self, window: Window, *, signatures: bool = True) -> StaticPart:
        """Mask, classes and static predictors, with or without the signatures."""
        used = np.ones((window.rows, window.columns), bool)
        classes = np.zeros(used.shape, np.int32)
        if self.mask is not None:
            used &= is_used(self.mask.read(*window.slices, [0])[0])
        if self.aquifers is not None:
            classes = np.nan_to_num(self.aquifers.read(*window.slices, [0])[0]).astype(np.int32)
            used &= classes > 0
        wanted, layers = used.copy(), []
        for name, moves in zip(self.files.in_folder, self.files.dynamic, strict=False):
            layers.append(None if moves else self._read(name, self.files.months, window)[0])
        if signatures and self.files.signatures is not None:
            layers += list(self.files.signatures.read(window))
        for layer in layers:
            if layer is not None:
                used &= np.isfinite(layer)
        return StaticPart(used, wanted, classes, layers)

    def dynamic(self, window: Window, chunk: slice) -> tuple[list[np.ndarray], np.ndarray]:
        """Monthly predictors, each (n_months, rows, columns), and where all of them have a value."""
        months = self.files.months[chunk]
        layers = [
            self._read(name, months, window)
            for name, moves in zip(self.files.names, self.files.dynamic, strict=True)
            if moves
        ]
        valid = np.ones((months.size, window.rows, window.columns), bool)
        for layer in layers:
            valid &= np.isfinite(layer)
        return layers, valid

    def _read(self, name: str, months: np.ndarray, window: Window) -> np.ndarray:
        values = self.predictors.read(name, months, *window.slices)
        if self.files.is_whole(window):
            self.predictors.forget(name)  # GDAL would keep up to 128 MB of tiles that are not read again
        return values


class Readers:
    """Opened files for several threads: each works with its own."""

    def __init__(self, files: FineFiles) -> None:
        self.files = files
        self._stack, self._free, self._lock = ExitStack(), [], Lock()

    def __reduce__(self) -> tuple:
        return Readers, (self.files.absolute(),)  # a worker process opens the files itself

    def __enter__(self) -> Readers:
        return self

    def __exit__(self, *_: object) -> None:
        self._free.clear()
        self._stack.close()

    @contextmanager
    def borrow(self) -> Iterator[_Opened]:
        """Give opened files that no other thread uses."""
        with self._lock:
            opened = self._free.pop() if self._free else None
        if opened is None:
            own = ExitStack()
            opened = _Opened(self.files, own)
            with self._lock:
                self._stack.push(own)
        try:
            yield opened
        finally:
            with self._lock:
                self._free.append(opened)


class Kept:
    """What is made for a window and wanted by several threads, one after the other: it is made once.

    Parameters
    ----------
    make : callable
    size : int
        Windows that are kept.
    """

    def __init__(self, make: Callable[[Window], object], size: int) -> None:
        self._make, self._size, self._lock = make, size, Lock()
        self._found: OrderedDict[Window, Future] = OrderedDict()

    def get(self, window: Window) -> object:
        """Make it, or wait for the thread that does."""
        with self._lock:
            found = self._found.get(window)
            if mine := found is None:
                found = self._found[window] = Future()
                while len(self._found) > self._size:
                    self._found.popitem(last=False)
        if mine:
            try:
                found.set_result(self._make(window))
            except BaseException as error:
                found.set_exception(error)
                raise
        return found.result()

"""A monthly stack that several threads read window by window, each of its tiles unpacked once."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Lock

import numpy as np

from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.rasters.windows import Window

# Handles, each for a part of the months: so many threads can unpack parts of a tile at the same time.
PARTS = 4
_KEPT: dict[str, SharedStack] = {}
_KEEPING = Lock()


class SharedStack:
    """A stack that is read in windows of many months; made by `for_windows`.

    GDAL unpacks whole tiles, and keeps them as long as the file is open. Where windows are smaller than tiles, and come
    tile after tile as `plan_windows` has them, the file stays open and threads share what is unpacked: of windows of their
    own, each would unpack its tile anew, four to eight times for 225 months. A worker process keeps the one of the run
    that it works for. Larger windows open the file each.

    Parameters
    ----------
    path : path
    stays_open : bool
    run : str, optional
        What worker processes know it by.
    """

    def __init__(self, path: str | Path, stays_open: bool, run: str = "") -> None:
        self.path, self._run = str(path), run or uuid.uuid4().hex
        with ExitStack() as opened:
            self._stacks = [opened.enter_context(MonthlyStack(path)) for _ in range(PARTS if stays_open else 0)]
            self._opened = opened.pop_all()
        self._locks = [Lock() for _ in self._stacks]

    @classmethod
    def for_windows(cls, path: str | Path, windows: Sequence[Window]) -> SharedStack:
        """A stack of which these windows will be read.

        Raises
        ------
        UnreadableInput
            If the file cannot be opened.
        """
        with MonthlyStack(path) as stack:
            tile = stack.tile
        tiles = {(window.row // tile, window.column // tile) for window in windows}
        return cls(path, len(tiles) < len(windows))

    def __enter__(self) -> SharedStack:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def __reduce__(self) -> tuple:
        return _in_worker, (self.path, bool(self._stacks), self._run)

    def read(self, window: Window, months: np.ndarray | None = None) -> np.ndarray:
        """A window of all months, or of those given: (n_months, rows, columns) float32, NaN as NoData.

        Raises
        ------
        UnreadableInput
            If the file is damaged.
        """
        if not self._stacks:
            with MonthlyStack(self.path) as stack:
                return stack.read(*window.slices, None if months is None else stack.positions(months))
        bands = np.arange(self._stacks[0].bands) if months is None else self._stacks[0].positions(months)
        values = np.empty((bands.size, window.rows, window.columns), np.float32)
        part_of = bands * PARTS // self._stacks[0].bands
        waiting = np.unique(part_of).tolist()
        while waiting:
            # Threads that come at the same time unpack different parts, and then find each other's.
            part = next((one for one in waiting if self._locks[one].acquire(blocking=False)), None)
            if part is None:
                part = waiting[0]
                self._locks[part].acquire()
            try:
                mine = part_of == part
                values[mine] = self._stacks[part].read(*window.slices, bands[mine])
            finally:
                self._locks[part].release()
            waiting.remove(part)
        return values


def _in_worker(path: str, stays_open: bool, run: str) -> SharedStack:
    """The stack as this worker process has it: that of one run at a time, for all of its windows."""
    if not stays_open:
        return SharedStack(path, False)
    with _KEEPING:
        if run not in _KEPT:
            _KEPT.clear()  # a thread that still reads of another run's holds it
            _KEPT[run] = SharedStack(path, True, run)
        return _KEPT[run]

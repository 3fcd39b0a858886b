"""Series of pixels: read window by window, computed a few at a time, while the next window is read.

Windows are large, so that no tile of a file is read twice; what is computed at once is small, so that threads share the
work evenly, memory stays within the budget, and cancelling is heard within the time of a few hundred series.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.heap import give_back
from gwsa_qgis.rasters.windows import Window, map_windows, on_cluster
from gwsa_qgis.threads import map_ordered, read_ahead

# Windows of values in memory at once: one read ahead, one computed, one whose last series are not finished.
WINDOWS_AT_ONCE = 3


@dataclass(frozen=True)
class _Part:
    """A few series of a window.

    Attributes
    ----------
    window : Window
    values : (n_months, n_cells) float32
        All series of the window.
    cells : (n,) int
        Which of them these are.
    last : bool
        Whether they are the last of the window.
    """

    window: Window
    values: np.ndarray
    cells: np.ndarray
    last: bool


@dataclass(frozen=True)
class PixelStream:
    """What is done to the series of a monthly stack, and how many at a time.

    Attributes
    ----------
    read : callable
        Gives a window's values, (n_months, rows, columns) float32, NaN as NoData; must open its own file.
    compute : callable
        Turns series (n, n_months) float32 into layers (n_layers, n).
    layers : int
        Number of layers.
    fewest : int
        Series with fewer valid months are left out: their layers are NaN.
    at_once : int
        Series that are computed at once.
    """

    read: Callable[[Window], np.ndarray]
    compute: Callable[[np.ndarray], np.ndarray]
    layers: int
    fewest: int
    at_once: int

    def run(
        self, windows: Sequence[Window], *, workers: int = 1, progress: Reporter | None = None, message: str = ""
    ) -> Iterator[tuple[Window, np.ndarray]]:
        """Give (window, layers (n_layers, rows, columns) float32) in the windows' order.

        Parameters
        ----------
        workers : int
            Threads that compute. Where a ``joblib.parallel_config`` of processes or a cluster is active, each of its
            workers takes a whole window instead.

        Notes
        -----
        The same series are computed together whatever the number of workers, so that results are the same to the bit.
        """
        if workers > 1 and on_cluster():
            yield from map_windows(self._whole, windows, workers=workers, progress=progress, message=message)
            return
        progress = progress or Reporter()
        progress(0.0, message)
        area, done = sum(window.rows * window.columns for window in windows), 0
        out = None
        for part, result in map_ordered(self._compute, self._parts(windows), workers):
            window = part.window
            if out is None:
                out = np.full((self.layers, window.rows * window.columns), np.nan, np.float32)
            out[:, part.cells] = result
            here = part.cells[-1] + 1 if part.cells.size else 0
            if part.last:
                yield window, out.reshape(self.layers, window.rows, window.columns)
                out, here = None, 0
                give_back()
                done += window.rows * window.columns
            progress((done + here) / area)

    def _parts(self, windows: Sequence[Window]) -> Iterator[_Part]:
        for window, (values, cells) in zip(windows, read_ahead(self._read, windows), strict=True):
            starts = range(0, max(cells.size, 1), self.at_once)
            for start in starts:
                yield _Part(window, values, cells[start : start + self.at_once], start == starts[-1])

    def _read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        values = self.read(window)
        values = values.reshape(values.shape[0], -1)
        return values, np.flatnonzero(np.isfinite(values).sum(axis=0) >= self.fewest)

    def _compute(self, part: _Part) -> tuple[_Part, np.ndarray]:
        if not part.cells.size:
            return part, np.empty((self.layers, 0))
        return part, self.compute(np.ascontiguousarray(part.values[:, part.cells].T))

    def _whole(self, window: Window) -> np.ndarray:
        """Layers of one window, by itself."""
        out = np.full((self.layers, window.rows * window.columns), np.nan, np.float32)
        for part in self._parts([window]):
            out[:, part.cells] = self._compute(part)[1]
        return out.reshape(self.layers, window.rows, window.columns)

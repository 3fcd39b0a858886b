"""Labels of a mascon map, read window by window."""

from __future__ import annotations

import numpy as np

from gwsa_qgis.errors import NoUsableData
from gwsa_qgis.rasters.raster import Raster
from gwsa_qgis.rasters.windows import Window, plan_windows
from gwsa_qgis.science.supports import compact_labels

BYTES_PER_CELL = 60  # as read, and while distinct identifiers are found


class MasconLabels:
    """Labels 1..count of the mascons of a map, 0 outside, in the order of their identifiers.

    Parameters
    ----------
    raster : Raster
        Identifiers in the first band, open.
    memory_mb : float

    Raises
    ------
    NoUsableData
        If the map holds no mascon.
    """

    def __init__(self, raster: Raster, memory_mb: float) -> None:
        self._raster = raster
        self._names = np.empty(0, np.int64)
        for window in plan_windows(raster.grid, BYTES_PER_CELL, memory_mb=memory_mb):
            self._names = np.union1d(self._names, compact_labels(self._ids(window))[1])
        if not self._names.size:
            raise NoUsableData(f"{raster.path} has no mascon", "give the mascon map that gwsa:importgrace wrote")

    @property
    def count(self) -> int:
        """Number of mascons."""
        return self._names.size

    def read(self, window: Window) -> np.ndarray:
        """Labels of a window, (rows, columns) int32."""
        labels, names = compact_labels(self._ids(window))
        return np.concatenate([[0], np.searchsorted(self._names, names) + 1]).astype(np.int32)[labels]

    def _ids(self, window: Window) -> np.ndarray:
        return self._raster.read(*window.slices, bands=[0])[0]

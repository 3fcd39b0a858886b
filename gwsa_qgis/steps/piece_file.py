"""Figures of the pieces of regions, kept in a file: there may be millions."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gwsa_qgis.rasters.writing import telling
from gwsa_qgis.science.regions import PixelTable


class PieceFile:
    """Tables of pieces, one row a piece, numbered from 0 in the order in which they come.

    The file is opened for each call alone, so that its folder can be removed at any time.

    Parameters
    ----------
    path : path
        Is made empty.
    sums, extra : int
        How many a row has of each.

    Raises
    ------
    OutputNotWritable
        If the disk has no room for them.
    """

    def __init__(self, path: str | Path, sums: int, extra: int) -> None:
        self._path, self._sums, self._columns = Path(path), sums, sums + extra + 2
        with telling(self._path):
            self._path.write_bytes(b"")

    def append(self, table: PixelTable) -> None:
        """Put rows after the last."""
        with telling(self._path), self._path.open("ab") as file:
            file.write(self._packed(table).tobytes())

    def put(self, numbers: np.ndarray, table: PixelTable) -> None:
        """Put rows in place of those of these numbers."""
        with telling(self._path), self._path.open("r+b") as file:
            for number, row in zip(numbers.tolist(), self._packed(table), strict=True):
                file.seek(number * 8 * self._columns)
                file.write(row.tobytes())

    def read(self, numbers: np.ndarray) -> PixelTable:
        """Rows of these numbers, in their order; each is its own region."""
        rows = np.empty((numbers.size, self._columns))
        if numbers.size:
            first, last = int(numbers.min()), int(numbers.max())
            with self._path.open("rb") as file:
                if last - first < 2 * numbers.size:  # nearly all of a run: read at once
                    file.seek(first * 8 * self._columns)
                    run = np.frombuffer(file.read((last - first + 1) * 8 * self._columns))
                    rows[:] = run.reshape(-1, self._columns)[numbers - first]
                else:
                    for number, row in zip(numbers.tolist(), rows, strict=True):
                        file.seek(number * 8 * self._columns)
                        row[:] = np.frombuffer(file.read(8 * self._columns))
        columns = rows.T
        sums, extra = columns[: self._sums], columns[self._sums + 1 : -1]
        return PixelTable(np.arange(numbers.size), sums, columns[self._sums], extra, columns[-1])

    @staticmethod
    def _packed(table: PixelTable) -> np.ndarray:
        return np.vstack([table.sums, table.size, table.extra, table.least]).T

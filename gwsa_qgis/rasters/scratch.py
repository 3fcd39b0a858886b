"""Arrays that are too large for the memory budget, kept in a file beside the work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from gwsa_qgis.errors import UnreadableInput
from gwsa_qgis.rasters.windows import Window
from gwsa_qgis.rasters.writing import require_space

BYTES_AT_ONCE = 2**22


class ScratchArray:
    """An array of two axes or more in a file: only what is read or written is in memory, and threads may do so at once.

    It is not mapped: of a mapped file whole runs of pages around each row would count as memory.

    Parameters
    ----------
    path : path
        Is made, full of zeros, unless it is there and as long as the array.
    shape : sequence of int
    dtype : dtype
    made : bool
        Whether another process has made it, which is not touched: it must be there.

    Raises
    ------
    OutputNotWritable
        If the disk has no room for it.
    """

    def __init__(
        self, path: str | Path, shape: Sequence[int], dtype: np.dtype | type = np.float64, *, made: bool = False
    ) -> None:
        self.path, self.shape, self.dtype = Path(path), tuple(int(length) for length in shape), np.dtype(dtype)
        if not made:
            _fill_with_zeros(self.path, int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize)

    def __getitem__(self, index: object) -> np.ndarray:
        """A copy of a part: integers and slices of one step, but for the first axis, whose may be any."""
        leading, rows, columns, shape = self._place(index)
        out = np.empty((leading.size, rows.stop - rows.start, columns.stop - columns.start), self.dtype)
        with self.path.open("rb", buffering=0) as file:
            for start, part in self._runs(leading, rows, columns, out):
                file.seek(start)
                _fill(file, part)
        return out.reshape(shape)

    def __setitem__(self, index: object, values: np.ndarray) -> None:
        """Put values into a part."""
        leading, rows, columns, shape = self._place(index)
        given = np.ascontiguousarray(np.broadcast_to(values, shape), self.dtype)
        given = given.reshape(leading.size, rows.stop - rows.start, columns.stop - columns.start)
        with self.path.open("r+b", buffering=0) as file:
            for start, part in self._runs(leading, rows, columns, given):
                file.seek(start)
                file.write(part.tobytes())

    def _place(self, index: object) -> tuple[np.ndarray, slice, slice, tuple[int, ...]]:
        """Planes, rows and columns of a part, and its shape; planes are counted over all axes before the last two."""
        index = index if isinstance(index, tuple) else (index,)
        index = (*index, *[slice(None)] * (len(self.shape) - len(index)))
        leading = np.arange(int(np.prod(self.shape[:-2], dtype=int))).reshape(self.shape[:-2])[index[:-2]]
        rows, columns = (slice(*part.indices(n)[:2]) for part, n in zip(index[-2:], self.shape[-2:], strict=True))
        return leading.ravel(), rows, columns, (*leading.shape, rows.stop - rows.start, columns.stop - columns.start)

    def _runs(
        self, leading: np.ndarray, rows: slice, columns: slice, values: np.ndarray
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Where each run of neighbours begins in the file, and the values that lie there."""
        height, width = self.shape[-2:]
        whole = columns == slice(0, width)
        for plane, part in zip(leading, values, strict=True):
            begin = (int(plane) * height + rows.start) * width + columns.start
            if whole:
                yield begin * self.dtype.itemsize, part
                continue
            for number, row in enumerate(part):
                yield (begin + number * width) * self.dtype.itemsize, row

    def remove(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)


class ScratchTiles:
    """Planes of a map in a file, tile after tile: a window that is a tile is one run of the file.

    Parameters
    ----------
    path : path
        Is made, full of zeros, unless it is there and as long as the planes.
    shape : (planes, rows, columns)
        Values are float32.
    side : int
        Rows and columns of a tile.

    Raises
    ------
    OutputNotWritable
        If the disk has no room for it.
    """

    def __init__(self, path: str | Path, shape: tuple[int, int, int], side: int) -> None:
        self.path, self.shape, self.side = Path(path), tuple(int(length) for length in shape), int(side)
        _fill_with_zeros(self.path, int(np.prod(self.shape, dtype=np.int64)) * 4)

    def read(self, window: Window) -> np.ndarray:
        """All planes of a window, (planes, rows, columns)."""
        out = np.empty((self.shape[0], window.rows, window.columns), np.float32)
        with self.path.open("rb", buffering=0) as file:
            for start, place in self._runs(window):
                file.seek(start)
                part = np.empty(out[place].shape, np.float32)
                _fill(file, part)
                out[place] = part
        return out

    def write(self, window: Window, values: np.ndarray) -> None:
        """Put down all planes of a window."""
        with self.path.open("r+b", buffering=0) as file:
            for start, place in self._runs(window):
                file.seek(start)
                file.write(np.ascontiguousarray(values[place], np.float32).data)

    def _runs(self, window: Window) -> Iterator[tuple[int, tuple[slice, slice, slice]]]:
        """Where each run begins in the file, and which planes, rows and columns of the window lie there."""
        planes, rows, columns = self.shape
        for top in range(window.row // self.side * self.side, window.row + window.rows, self.side):
            height = min(self.side, rows - top)
            row, last_row = max(top, window.row), min(top + height, window.row + window.rows)
            for left in range(window.column // self.side * self.side, window.column + window.columns, self.side):
                width = min(self.side, columns - left)
                column, last = max(left, window.column), min(left + width, window.column + window.columns)
                tile = planes * (top * columns + height * left)
                across = slice(column - window.column, last - window.column)
                if (last_row - row, last - column) == (height, width):
                    yield 4 * tile, (slice(planes), slice(row - window.row, last_row - window.row), across)
                    continue
                for plane in range(planes):
                    for line in range(row, last_row):
                        begin = tile + (plane * height + line - top) * width + column - left
                        own = slice(line - window.row, line - window.row + 1)
                        yield 4 * begin, (slice(plane, plane + 1), own, across)


def _fill_with_zeros(path: Path, size: int) -> None:
    """Make a file of so many bytes, unless it is there. A full disk is met here, and not where values are written."""
    if path.exists() and path.stat().st_size == size:
        return
    require_space(path, size)
    with path.open("wb") as file:
        for start in range(0, size, BYTES_AT_ONCE):
            file.write(bytes(min(BYTES_AT_ONCE, size - start)))


def _fill(file: BinaryIO, part: np.ndarray) -> None:
    view = memoryview(part.reshape(-1).view(np.uint8))
    while view.nbytes:
        count = file.readinto(view)
        if not count:
            raise UnreadableInput(f"the scratch file {file.name} was cut short", "run the step again")
        view = view[count:]


def read_months_of(file: BinaryIO, months: slice, window: Window) -> np.ndarray:
    """The next values of a file of bare float32: some months of a window, (n_months, rows, columns)."""
    shape = (months.stop - months.start, window.rows, window.columns)
    return np.fromfile(file, np.float32, int(np.prod(shape))).reshape(shape)

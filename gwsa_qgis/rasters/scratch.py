"""Arrays that are too large for the memory budget, kept in a file beside the work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gwsa_qgis.rasters.writing import require_space

BYTES_AT_ONCE = 2**22


class ScratchArray:
    """An array in a file: only what is read or written is in memory, and threads may read at once.

    Parameters
    ----------
    path : path
        Is made, full of zeros, unless it is there and as long as the array.
    shape : sequence of int
    dtype : dtype

    Raises
    ------
    OutputNotWritable
        If the disk has no room for it.
    """

    def __init__(self, path: str | Path, shape: Sequence[int], dtype: np.dtype | type = np.float64) -> None:
        self.path, self.shape, self.dtype = Path(path), tuple(int(length) for length in shape), np.dtype(dtype)
        wanted = int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize
        if not self.path.exists() or self.path.stat().st_size != wanted:
            require_space(self.path, wanted)
            # Zeros are written, not left out: a full disk is then met here, and not where the array is written to.
            with self.path.open("wb") as file:
                for start in range(0, wanted, BYTES_AT_ONCE):
                    file.write(bytes(min(BYTES_AT_ONCE, wanted - start)))

    def __getitem__(self, index: object) -> np.ndarray:
        """A copy of a part."""
        return np.array(np.memmap(self.path, self.dtype, "r", shape=self.shape)[index])

    def __setitem__(self, index: object, values: np.ndarray) -> None:
        """Put values into a part."""
        mapped = np.memmap(self.path, self.dtype, "r+", shape=self.shape)
        mapped[index] = values

    def remove(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)

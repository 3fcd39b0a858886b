"""Chosen rows of a table of samples, copied a part at a time: a model's samples are then in memory once."""

from __future__ import annotations

import numpy as np

Key = slice | int | np.ndarray


class TableRows:
    """Rows of a table, in a chosen order, that are read like those of an array and gathered when they are.

    Parameters
    ----------
    table : (n, n_inputs) ndarray or TableRows
    rows : (n_chosen,) int or (n,) bool

    Notes
    -----
    ``np.asarray`` gathers all of them.
    """

    ndim = 2

    def __init__(self, table: np.ndarray | TableRows, rows: np.ndarray) -> None:
        rows = np.asarray(rows)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        # Rows of rows are rows of the table.
        self._table, self._rows = (table._table, table._rows[rows]) if isinstance(table, TableRows) else (table, rows)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and inputs."""
        return self._rows.size, self._table.shape[1]

    @property
    def dtype(self) -> np.dtype:
        """That of the table."""
        return self._table.dtype

    def __len__(self) -> int:
        return self._rows.size

    def __getitem__(self, key: Key | tuple[Key, Key]) -> np.ndarray:
        """Gather some rows, or some inputs of them."""
        rows, columns = key if isinstance(key, tuple) else (key, slice(None))
        return self._table[:, columns][self._rows[rows]]

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)

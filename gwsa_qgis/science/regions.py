"""Connected regions of a map that comes in windows, and sums over them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import label
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

NEIGHBOURS = {4: np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]]), 8: np.ones((3, 3), int)}


@dataclass(frozen=True)
class PixelTable:
    """Pixels of regions in one window.

    Attributes
    ----------
    region : (n,) int
        Number of the piece that each belongs to, as `RegionFinder.add` gave it.
    sums : (n_sums, n) float64
        What is to be added up.
    size : (n,) float64
        The largest is kept, with `extra` of that pixel.
    extra : (n_extra, n) float64
    least : (n,) float64
        The least is kept.
    """

    region: np.ndarray
    sums: np.ndarray
    size: np.ndarray
    extra: np.ndarray
    least: np.ndarray


class RegionFinder:
    """Finds connected regions of one kind each, window by window: left to right, then down.

    Pieces of a window are numbered through from 1; pieces that touch across windows are found to be one region when all
    windows have been given. Only what touches is remembered, not all pieces.

    Parameters
    ----------
    columns : int
        Of the whole map.
    connectivity : {4, 8}
        Whether cells that meet at a corner are connected.
    """

    def __init__(self, columns: int, connectivity: int) -> None:
        self._structure = NEIGHBOURS[connectivity]
        self._shifts = (0,) if connectivity == 4 else (-1, 0, 1)
        self._columns, self._row = columns, -1
        # Last row of the windows above and of those beside, last column of the window before: pieces and their kinds.
        self._above, self._below = np.zeros((2, 2, columns), np.int64)
        self._left = np.zeros((2, 0), np.int64)
        self._pairs: list[np.ndarray] = []
        self.pieces = 0

    def add(self, row: int, column: int, kinds: np.ndarray) -> np.ndarray:
        """Number the pieces of a window.

        Parameters
        ----------
        row, column : int
            Where the window begins.
        kinds : (rows, columns) int
            Kind of each cell, 0 for none.

        Returns
        -------
        (rows, columns) int64
            Numbers of pieces, 0 for none.
        """
        pieces = np.zeros(kinds.shape, np.int64)
        for kind in np.unique(kinds[kinds != 0]):
            numbers, count = label(kinds == kind, self._structure)
            inside = numbers > 0
            pieces[inside] = numbers[inside] + self.pieces
            self.pieces += count
        both = np.stack([pieces, kinds])
        if row != self._row:
            self._row, self._above, self._below = row, self._below, np.zeros((2, self._columns), np.int64)
            self._left = np.zeros((2, 0), np.int64)
        self._join(both[:, 0], self._above, column)
        if self._left.shape[1]:
            self._join(both[:, :, 0], self._left, 0)
        self._below[:, column : column + kinds.shape[1]] = both[:, -1]
        self._left = both[:, :, -1].copy()
        return pieces

    def _join(self, own: np.ndarray, other: np.ndarray, start: int) -> None:
        """Note which pieces along a border touch those of the other side, whose cells begin at `start`."""
        for shift in self._shifts:
            at = np.arange(own.shape[1]) + start + shift
            met = (at >= 0) & (at < other.shape[1])
            here, there = own[:, met], other[:, at[met]]
            same = (here[1] == there[1]) & (here[1] != 0)
            if same.any():
                self._pairs.append(np.unique(np.stack([here[0, same], there[0, same]]), axis=1))

    def joined(self) -> tuple[np.ndarray, np.ndarray]:
        """Pieces that touch others, in their order, and the first piece of the region of each; both int64."""
        if not self._pairs:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        # Few pieces meet a border: the graph is of these alone.
        pieces, ends = np.unique(np.concatenate(self._pairs, axis=1), return_inverse=True)
        ends, size = ends.reshape(2, -1), pieces.size
        graph = coo_matrix((np.ones(ends.shape[1], bool), (ends[0], ends[1])), shape=(size, size))
        found = connected_components(graph, directed=False)[1]
        _, first, place = np.unique(found, return_index=True, return_inverse=True)
        return pieces, pieces[first][place]


def reduce_table(table: PixelTable, count: int) -> PixelTable:
    """Sum over the pixels of each region 0 to `count` - 1: one row a region.

    Regions without a pixel have sums and size 0, extra NaN and an infinite least.
    """
    sums = np.stack([np.bincount(table.region, part, count) for part in table.sums])
    order = np.lexsort((-table.size, table.region))
    regions, first = np.unique(table.region[order], return_index=True)
    size, least = np.zeros(count), np.full(count, np.inf)
    extra = np.full((len(table.extra), count), np.nan)
    largest = order[first]
    size[regions], extra[:, regions] = table.size[largest], table.extra[:, largest]
    np.minimum.at(least, table.region, table.least)
    return PixelTable(np.arange(count), sums, size, extra, least)

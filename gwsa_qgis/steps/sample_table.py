"""The table of a training's samples."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from gwsa_qgis.science.table_rows import TableRows
from gwsa_qgis.steps.sample_choice import ROWS_AT_ONCE
from gwsa_qgis.steps.support_map import SupportMap


@dataclass
class Samples:
    """Rows of a training table.

    Attributes
    ----------
    x : (n, n_inputs) float32
        An array, or rows of one that are gathered when they are read.
    y : (n,) float32
        GWSA (cm) of cells, or the deviation of supports.
    around : (n,) float32
        What interpolation of the coarser scale says at the sample, cm; NaN where it was not computed.
    classes, blocks : (n,) int32
        Class, and block of places that are held out together (0 none), of each sample.
    places : (n,) int32
        Cell or support, from 0.
    months : (n,) int16
        Months since 1970-01.
    """

    x: np.ndarray | TableRows
    y: np.ndarray
    around: np.ndarray
    classes: np.ndarray
    blocks: np.ndarray
    places: np.ndarray
    months: np.ndarray

    @classmethod
    def empty(cls, size: int, n_inputs: int) -> Samples:
        """A table to be filled."""
        kinds = (np.float32, np.float32, np.int32, np.int32, np.int32, np.int16)
        return cls(np.empty((size, n_inputs), np.float32), *(np.empty(size, kind) for kind in kinds))

    def take(self, rows: np.ndarray | slice) -> Samples:
        """Chosen rows; inputs are not copied, and of a slice nothing is."""
        if isinstance(rows, slice) and isinstance(self.x, np.ndarray):
            x = self.x[rows]
        else:
            x = TableRows(self.x, np.arange(self.size)[rows] if isinstance(rows, slice) else rows)
        return Samples(x, *(getattr(self, part.name)[rows] for part in fields(self)[1:]))

    def complete(self) -> np.ndarray:
        """Rows without a missing value, (n,) bool."""
        whole = np.isfinite(self.y)
        for rows in _chunks(self.size):
            whole[rows] &= np.isfinite(self.x[rows]).all(1)
        return whole

    def keep(self, wanted: np.ndarray) -> Samples:
        """The wanted rows (n,) bool, moved together within this table, which is used up."""
        if wanted.all():
            return self
        for part in fields(self):
            values, at = getattr(self, part.name), 0
            for rows in _chunks(self.size):
                kept = values[rows][wanted[rows]]
                values[at : at + len(kept)] = kept
                at += len(kept)
        return self.take(slice(0, int(wanted.sum())))

    @property
    def size(self) -> int:
        """Number of samples."""
        return self.y.size

    @property
    def years(self) -> np.ndarray:
        """Calendar year of each sample."""
        return self.months // 12 + 1970

    @property
    def calendar(self) -> np.ndarray:
        """Calendar month of each sample, from 0."""
        return self.months % 12


@dataclass(frozen=True)
class TrainingTable:
    """Samples and the places that they come from.

    Attributes
    ----------
    samples : Samples
        With the published preset sorted by class; with the recommended one those of the smallest coarser scale first.
    scales : tuple of int
        Number of samples of each coarser scale, the smallest first; all in one with the published preset.
    spacings : tuple of float
        Knot spacing of each scale, cells: a scale twice as large has twice the spacing.
    names : list of int
        Classes to be trained; 0 alone where there are none.
    places : SupportMap
        What `Samples.places` counts: cells or supports.
    neighbours, classes : (places.count,) int
        Group of neighbours and class of each place.
    thinned : (int, int) or None
        How many samples were taken at random, and of how many, where memory does not hold all.
    """

    samples: Samples
    scales: tuple[int, ...]
    spacings: tuple[float, ...]
    names: list[int]
    places: SupportMap
    neighbours: np.ndarray
    classes: np.ndarray
    thinned: tuple[int, int] | None = None

    @property
    def first(self) -> int:
        """Number of samples of the smallest coarser scale."""
        return self.scales[0]


def _chunks(n: int) -> list[slice]:
    return [slice(start, min(start + ROWS_AT_ONCE, n)) for start in range(0, n, ROWS_AT_ONCE)]

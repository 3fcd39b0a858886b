"""The support of a coarse field on its grid: native mascons where a map is given, else cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import NoUsableData
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.raster import read_single
from gwsa_qgis.rasters.windows import Window
from gwsa_qgis.science.closure import Closure, SplineField
from gwsa_qgis.science.supports import block_groups, compact_labels, group_supports, support_positions

# Coarser scales, smallest first: mascons in a group, or cells along a block's edge. Several of them teach detail of several
# widths, which carries over better to the fine scale.
MASCONS_IN_GROUP = (4, 6, 9)
CELLS_IN_BLOCK = (2, 3, 4)
FEWEST_GROUPS = 5
LARGEST_MISS = 1e-7  # cm per cm of residual, before values are stored as float32
KNOT_TRIALS = 4


@dataclass(frozen=True)
class SupportMap:
    """Labels of supports on the coarse grid.

    Attributes
    ----------
    kind : {"mascons", "cells"}
    grid : Grid
    labels : (rows, columns) int32
        1..count, 0 outside.
    names : (count,) int64
        Identifier of each support: the mascon's, or the cell's number from 1, row by row.
    """

    kind: str
    grid: Grid
    labels: np.ndarray
    names: np.ndarray

    @property
    def count(self) -> int:
        """Number of supports."""
        return self.names.size

    def fine_labels(self, factor: int, window: Window | None = None) -> np.ndarray:
        """Labels on the fine grid, or on a window of it that is made of whole coarse cells."""
        labels = self.labels if window is None else self.labels[window.coarsened(factor).slices]
        return np.repeat(np.repeat(labels, factor, axis=0), factor, axis=1)

    def knot_spacing(self, factor: int) -> float:
        """Knot spacing of a histospline on these supports, in fine pixels: a cell, or half the pitch of mascons."""
        if self.kind == "cells":
            return float(factor)
        return factor * max(1.0, 0.5 * self._pitch())

    def _pitch(self) -> float:
        """Usual distance of mascons, in cells."""
        return float(np.sqrt(np.median(np.bincount(self.labels.ravel())[1:])))

    def groups(self) -> list[tuple[np.ndarray, float]]:
        """Groups of supports at each coarser scale, and the knot spacing in cells that suits them.

        Scales at which there would be fewer than five groups are left out, but for the smallest.
        """
        if self.kind == "cells":
            found = [(block_groups(*self.grid.shape, size), float(size)) for size in CELLS_IN_BLOCK]
        else:
            weights = self.grid.row_weights()[:, None]
            latitudes = self.grid.latitudes() if self.grid.is_geographic else None
            positions = support_positions(self.labels, weights, latitudes)
            found = [(group_supports(positions, size), 0.4 * self._pitch() * size**0.5) for size in MASCONS_IN_GROUP]
        return [scale for number, scale in enumerate(found) if number == 0 or scale[0].max() >= FEWEST_GROUPS]


def read_support(mascons: str | Path | None, grid: Grid) -> SupportMap:
    """The mascons of a map on `grid`, or its cells when there is no map.

    Raises
    ------
    GridMismatch
        If the map is on another grid.
    NoUsableData
        If the map holds no mascon.
    """
    if mascons is None:
        return cell_map(grid)
    values, _ = read_single(mascons, grid, "the mascon map")
    labels, names = compact_labels(values)
    if not names.size:
        raise NoUsableData(f"the mascon map {mascons} has no mascon", "give the map that gwsa:importgrace wrote")
    return SupportMap("mascons", grid, labels, names)


def cell_map(grid: Grid) -> SupportMap:
    """Every cell a support of its own."""
    names = np.arange(1, grid.rows * grid.columns + 1)
    return SupportMap("cells", grid, names.astype(np.int32).reshape(grid.shape), names)


def cell_sums(values: np.ndarray, factor: int, row_weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Area-weighted sums of the valid pixels of coarse cells, and their areas.

    Pixels are added in one order, so that a cell's sum is the same to the bit in whatever window it is read.

    Parameters
    ----------
    values : (n_months, rows, columns)
        NaN is not valid.
    factor : int
        Pixels along a cell's side.
    row_weights : (rows,)
        Pixel area of each row.

    Returns
    -------
    sums, areas : (n_months, rows / factor, columns / factor) float64
    """
    months, rows, columns = values.shape
    out = np.zeros((2, months, rows // factor, columns // factor))
    weights = row_weights.reshape(-1, factor, 1)
    for sums, areas, layer in zip(out[0], out[1], values, strict=True):
        valid = np.isfinite(layer)
        for result, terms in ((sums, np.where(valid, layer, 0)), (areas, valid)):
            along = np.zeros((rows, columns // factor))
            for k in range(factor):
                along += terms[:, k::factor]
            along = along.reshape(-1, factor, along.shape[1]) * weights
            for k in range(factor):
                result += along[:, k]
    return out[0], out[1]


def support_means_of_cells(sums: np.ndarray, areas: np.ndarray, support: SupportMap) -> np.ndarray:
    """Means over supports (n_months, count) from the sums and areas of their cells; NaN without area."""
    total = support_totals(sums, support)
    area = support_totals(areas, support)
    return np.divide(total, area, out=np.full_like(total, np.nan), where=area > 0)


def support_totals(cells: np.ndarray, support: SupportMap) -> np.ndarray:
    """Sums over the cells of each support, (n_months, count)."""
    labels = support.labels.ravel()
    return np.stack([np.bincount(labels, month.ravel(), support.count + 1)[1:] for month in cells])


def solve_closing(make: Callable[[float], Closure], spacing: float, values: np.ndarray) -> tuple[Closure, SplineField]:
    """Histosplines that meet `values`, with finer knots where the usual ones are too few for small supports.

    Parameters
    ----------
    make : callable
        Gives a closure for a knot spacing.
    spacing : float
        The usual knot spacing, in fine pixels.
    values : (n_months, count)
    """
    for trial in range(KNOT_TRIALS):
        closure = make(max(spacing / 2**trial, 1.0))
        try:
            field = closure.solve(values)
        except NoUsableData:
            if trial == KNOT_TRIALS - 1:
                raise
            continue
        if _miss(closure, field, values) <= LARGEST_MISS:
            break
    return closure, field


def _miss(closure: Closure, field: SplineField, values: np.ndarray) -> float:
    """Largest difference of the splines' means from the wanted ones, relative to the largest of these."""
    means = (closure.spline_means @ field.spline.reshape(len(field.spline), -1).T).T
    if field.shift is not None:
        means = means + field.shift
    wanted = np.isfinite(values) & closure.present & np.isfinite(means)
    if not wanted.any():
        return 0.0
    return float(np.abs(means - values)[wanted].max() / max(np.abs(values[wanted]).max(), 1e-12))

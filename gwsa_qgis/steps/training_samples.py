"""Samples for training, gathered from coarse files: on cells (published) or as deviations of supports (recommended)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from gwsa_qgis.errors import InvalidParameter, NoUsableData
from gwsa_qgis.progress import Reporter
from gwsa_qgis.science.deviations import CoarserScale
from gwsa_qgis.science.model_inputs import detail_names, time_inputs
from gwsa_qgis.science.signatures import signature_names, signatures
from gwsa_qgis.science.splits import degree_blocks
from gwsa_qgis.science.supports import support_means
from gwsa_qgis.steps.support_map import SupportMap, cell_map
from gwsa_qgis.steps.training_files import TrainingFiles, require_classes, wanted_cells, warn_of_repetition

MOST_REFERENCE_CELLS = 800_000
ROWS_AT_ONCE, VALUES_AT_ONCE = 100_000, 2**22
# Numbers in the table of deviations (2.4 GB): beyond it the larger scales, which only help, are thinned at random.
MOST_VALUES = 600_000_000


@dataclass
class Samples:
    """Rows of a training table.

    Attributes
    ----------
    x : (n, n_inputs) float32
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

    x: np.ndarray
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

    @staticmethod
    def together(parts: Sequence[Samples]) -> Samples:
        """Samples one after the other."""
        return Samples(*(np.concatenate([getattr(part, column.name) for part in parts]) for column in fields(Samples)))

    def take(self, rows: np.ndarray | slice) -> Samples:
        """Chosen rows; those of a slice are not copied."""
        return Samples(*(getattr(self, part.name)[rows] for part in fields(self)))

    def complete(self) -> np.ndarray:
        """Rows without a missing input, (n,) bool."""
        whole = np.empty(self.size, bool)
        for rows in _chunks(self.size):
            whole[rows] = np.isfinite(self.x[rows]).all(1)
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
    """

    samples: Samples
    scales: tuple[int, ...]
    spacings: tuple[float, ...]
    names: list[int]
    places: SupportMap
    neighbours: np.ndarray
    classes: np.ndarray

    @property
    def first(self) -> int:
        """Number of samples of the smallest coarser scale."""
        return self.scales[0]


def cell_samples(files: TrainingFiles, support: SupportMap, report: Reporter, degrees: float = 0.0) -> TrainingTable:
    """Levels on coarse cells, as published; they are held out by the groups of the supports that they belong to."""
    target = files.read_target()
    cells, classes = target[0].size, files.classes.ravel()
    rows = np.flatnonzero(np.isfinite(target) & wanted_cells(files))
    rows = rows[np.argsort(classes[rows % cells], kind="stable")]
    places = (rows % cells).astype(np.int32)
    terms = time_inputs("published", files.months)
    data = Samples.empty(rows.size, len(files.names) + len(terms))
    for number, (_, layer) in enumerate(files.read_predictors()):
        report(number / len(files.names), "Reading the predictors" if number == 0 else "")
        data.x[:, number] = layer.ravel()[places if len(layer) == 1 else rows]
    data.x[:, len(files.names) :] = terms.T[rows // cells]
    scale, spacing = support.groups()[-1]
    block_of = np.concatenate([[0], hold_out_blocks(support, scale, degrees)])[support.labels.ravel()]
    group_of = np.concatenate([[0], scale])[support.labels.ravel()]
    data.y[:] = target.ravel()[rows]
    data.around[:] = _around_cells(files, target, group_of, spacing).ravel()[rows]
    data.classes[:], data.blocks[:], data.places[:] = classes[places], block_of[places], places
    data.months[:] = files.months.astype(int)[rows // cells]
    data = data.keep(data.complete())
    names = require_classes(files, np.bincount(data.places, minlength=cells).reshape(files.grid.shape) > 0)
    return TrainingTable(data, (data.size,), (spacing,), names, cell_map(files.grid), group_of, classes)


def _around_cells(files: TrainingFiles, target: np.ndarray, group_of_cell: np.ndarray, spacing: float) -> np.ndarray:
    """The coarser scale's interpolation at each cell, a few months at a time."""
    around = np.full(target.shape, np.nan, np.float32)
    if target[0].size > MOST_REFERENCE_CELLS:
        return around
    used = np.isfinite(target).any(0) & (group_of_cell > 0).reshape(files.grid.shape)
    if not used.any():
        return around
    weights = used * files.grid.row_weights()[:, None]
    scale = CoarserScale(cell_map(files.grid).labels, weights, group_of_cell, knot_spacing=spacing)
    step = max(1, VALUES_AT_ONCE // target[0].size)
    for start in range(0, len(target), step):
        values = target[start : start + step].reshape(-1, target[0].size).astype(np.float64)
        around[start : start + step] = (values - scale.deviations(values)).reshape(-1, *target.shape[1:])
    return around


def support_samples(files: TrainingFiles, support: SupportMap, report: Reporter, degrees: float = 0.0) -> TrainingTable:
    """Deviations of supports from the coarser scales around them, as recommended.

    The samples of all coarser scales stand in one table, the smallest scale first; where they would be too many, those of
    larger scales are thinned at random. They are held out by the groups of the largest one, or by blocks of degrees made of
    them. Predictors are read and averaged one at a time.
    """
    target = files.read_target()
    if support.kind == "cells":
        warn_of_repetition(target, report)
    weights, names = _usable_area(files, support, target)
    y = support_means(target, support.labels, weights, support.count)
    groups = support.groups()
    scales = [CoarserScale(support.labels, weights, labels, knot_spacing=spacing) for labels, spacing in groups]
    classes = majority_class(files.classes, support, weights)
    column = {name: number for number, name in enumerate(detail_names(files.names, files.monthly))}
    blocks = hold_out_blocks(support, groups[-1][0], degrees)
    data, chosen = _deviations(files, y, scales, classes, blocks, len(column))
    stops = np.cumsum([there.sum() for there in chosen])
    rows_of = [slice(stop - there.sum(), stop) for there, stop in zip(chosen, stops, strict=True)]
    for number, (name, layer) in enumerate(files.read_predictors()):
        report(number / len(files.names), "Averaging the predictors" if number == 0 else "")
        level = support_means(layer, support.labels, weights, support.count)
        found = {name: level}
        if name in files.monthly:
            found |= zip(signature_names([name]), signatures(level, files.months)[:, None], strict=True)
        for scale, there, rows in zip(scales, chosen, rows_of, strict=True):
            for name, values in found.items():
                data.x[rows, column[name]] = np.broadcast_to(scale.deviations(values), y.shape)[there]
                data.x[rows, len(column) + column[name]] = np.broadcast_to(values, y.shape)[there]
    whole = data.complete()
    sizes = tuple(int(whole[rows].sum()) for rows in rows_of)
    spacings = tuple(spacing for _, spacing in groups)
    return TrainingTable(data.keep(whole), sizes, spacings, names, support, groups[0][0], classes)


def _usable_area(files: TrainingFiles, support: SupportMap, target: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Areas of the cells that have a target and all predictors, 0 elsewhere, and the classes that lie there."""
    used = np.isfinite(target).any(0) & wanted_cells(files) & (support.labels > 0)
    for _, layer in files.read_predictors():
        used &= np.isfinite(layer).any(0)
    names = require_classes(files, used)
    if not used.any():
        raise NoUsableData("no coarse cell has both a target and all predictors", "check that they cover the same area")
    return used * files.grid.row_weights()[:, None], names


def _deviations(
    files: TrainingFiles,
    y: np.ndarray,
    scales: list[CoarserScale],
    classes: np.ndarray,
    blocks: np.ndarray,
    n_predictors: int,
) -> tuple[Samples, list[np.ndarray]]:
    """The table but for its predictors, and which months and supports of each scale are in it."""
    deviations = [scale.deviations(y) for scale in scales]
    terms = time_inputs("recommended", files.months).T
    inputs = 2 * n_predictors + terms.shape[1]
    chosen = _thinned([np.isfinite(deviation) for deviation in deviations], MOST_VALUES // inputs)
    data = Samples.empty(sum(int(there.sum()) for there in chosen), inputs)
    stop = 0
    for deviation, there in zip(deviations, chosen, strict=True):
        month, place = np.nonzero(there)
        rows = slice(stop, stop + month.size)
        stop = rows.stop
        data.x[rows, 2 * n_predictors :] = terms[month]
        data.y[rows], data.around[rows] = deviation[there], (y - deviation)[there]
        data.classes[rows], data.blocks[rows], data.places[rows] = classes[place], blocks[place], place
        data.months[rows] = files.months.astype(int)[month]
    return data, chosen


def _thinned(chosen: list[np.ndarray], most: int) -> list[np.ndarray]:
    """Months and supports of each scale: all of the smallest, and of the others as many as leave `most` in all."""
    sizes = [int(there.sum()) for there in chosen]
    share = (most - sizes[0]) / max(sum(sizes[1:]), 1)
    if share >= 1:
        return chosen
    generator = np.random.default_rng(0)
    return [chosen[0], *(there & (generator.random(there.shape) < share) for there in chosen[1:])]


def hold_out_blocks(support: SupportMap, groups: np.ndarray, degrees: float) -> np.ndarray:
    """Blocks of supports that are held out together: the groups, or groups whose centres share degrees x degrees.

    Groups stay whole, because a support's deviation tells of all others in its group.

    Raises
    ------
    InvalidParameter
        If degrees are asked for on a grid that has none.
    """
    if not degrees:
        return groups
    grid = support.grid
    if not grid.is_geographic:
        raise InvalidParameter(
            f"BLOCK_DEGREES is {degrees:g} and the grid has no degrees ({grid.describe()})",
            "give 0 for groups of supports",
        )
    of_cell = np.concatenate([[0], groups])[support.labels]
    area = np.broadcast_to(grid.row_weights()[:, None], grid.shape)
    places = np.stack(np.broadcast_arrays(grid.longitudes()[None], grid.latitudes()[:, None]))
    centres = support_means(places, of_cell, area, int(groups.max(initial=0)))
    return np.concatenate([[0], degree_blocks(*centres, degrees)]).astype(np.int32)[groups]


def majority_class(classes: np.ndarray, support: SupportMap, weights: np.ndarray) -> np.ndarray:
    """Class with the largest area in each support, (count,); 0 where no cell has one."""
    best, result = np.zeros(support.count), np.zeros(support.count, np.int32)
    for name in np.unique(classes[classes > 0]):
        area = np.bincount(support.labels.ravel(), (weights * (classes == name)).ravel(), support.count + 1)[1:]
        larger = area > best * (1 + 1e-12)
        best[larger], result[larger] = area[larger], name
    return result


def _chunks(n: int) -> list[slice]:
    return [slice(start, min(start + ROWS_AT_ONCE, n)) for start in range(0, n, ROWS_AT_ONCE)]

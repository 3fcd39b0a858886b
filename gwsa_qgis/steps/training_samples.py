"""Samples for training, gathered from coarse files: on cells (published) or as deviations of supports (recommended)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from gwsa_qgis.errors import InvalidParameter, NoUsableData
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.heap import give_back
from gwsa_qgis.science.deviations import CoarserScale
from gwsa_qgis.science.model_inputs import detail_names, time_inputs
from gwsa_qgis.science.signatures import SignatureSums, signature_names
from gwsa_qgis.science.splits import degree_blocks
from gwsa_qgis.science.supports import support_means
from gwsa_qgis.steps.sample_choice import SampleChoice, class_totals, scale_totals
from gwsa_qgis.steps.sample_table import Samples, TrainingTable
from gwsa_qgis.steps.support_map import SupportMap, cell_map
from gwsa_qgis.steps.training_files import TrainingFiles, require_classes, wanted_cells, warn_of_repetition
from gwsa_qgis.steps.training_memory import TrainingMemory

MOST_REFERENCE_CELLS = 800_000
VALUES_AT_ONCE = 2**22
USUAL = TrainingMemory()


def cell_samples(
    files: TrainingFiles,
    support: SupportMap,
    report: Reporter,
    degrees: float = 0.0,
    memory: TrainingMemory = USUAL,
    seed: int = 0,
) -> TrainingTable:
    """Levels on coarse cells, as published; they are held out by the groups of the supports that they belong to.

    Where memory does not hold all, those of the largest classes are thinned at random.
    """
    cells, classes = files.grid.rows * files.grid.columns, files.classes.ravel()
    runs = memory.runs(files.months.size, cells)
    terms = time_inputs("published", files.months).T
    n_inputs = len(files.names) + terms.shape[1]
    kinds, used, counts = _count_cells(files, runs)
    totals = class_totals(counts.sum(1).tolist(), memory.most_samples(n_inputs))
    choice = SampleChoice(counts, totals, seed)
    _tell_thinning(choice, [f"class {kind}" if kind else "all" for kind in kinds], memory, report)
    data = Samples.empty(choice.size, n_inputs)
    scale, spacing = support.groups()[-1]
    block_of = np.concatenate([[0], hold_out_blocks(support, scale, degrees)])[support.labels.ravel()]
    group_of = np.concatenate([[0], scale])[support.labels.ravel()]
    reference = _reference(files, used, group_of, spacing, memory.factors_mb(n_inputs))
    for run, target in files.read_target(runs):
        _put_levels(data, choice, run, target, kinds, files, reference)
    for number, (_, layers) in enumerate(files.read_predictors(runs)):
        report(number / len(files.names), "Reading the predictors" if number == 0 else "")
        for run, layer in layers:
            values = layer.reshape(len(layer), -1)
            for kind in range(len(kinds)):
                _put_column(data, number, choice, kind, run, values)
    for kind in range(len(kinds)):
        for rows, month in choice.parts(kind):
            data.x[rows, len(files.names) :] = terms[month]
            data.months[rows] = files.months.astype(int)[month]
    data.classes[:], data.blocks[:] = classes[data.places], block_of[data.places]
    give_back()
    data = data.keep(data.complete())
    names = require_classes(files, np.bincount(data.places, minlength=cells).reshape(files.grid.shape) > 0)
    return TrainingTable(
        data, (data.size,), (spacing,), names, cell_map(files.grid), group_of, classes, _thinned(choice)
    )


def _count_cells(files: TrainingFiles, runs: Sequence[slice]) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Classes that are wanted, cells with a target in any month, and samples of each class and month."""
    wanted, classes = wanted_cells(files), files.classes
    kinds = np.unique(classes[wanted])
    place, used = np.searchsorted(kinds, classes), np.zeros(files.grid.shape, bool)
    counts = np.zeros((kinds.size, files.months.size), np.int64)
    for run, target in files.read_target(runs):
        for month, layer in zip(range(run.start, run.stop), target, strict=True):
            known = np.isfinite(layer)
            used |= known
            counts[:, month] = np.bincount(place[known & wanted], minlength=kinds.size)
    return kinds.tolist(), used, counts


def _put_levels(
    data: Samples,
    choice: SampleChoice,
    run: slice,
    target: np.ndarray,
    kinds: Sequence[int],
    files: TrainingFiles,
    reference: CoarserScale | None,
) -> None:
    """Put the levels of a run of months, their places and their interpolation into the table."""
    wanted, classes = wanted_cells(files).ravel(), files.classes.ravel()
    levels = target.reshape(len(target), -1)
    around = _around_cells(levels, reference)
    for number, (own, near) in enumerate(zip(levels, around, strict=True), start=run.start):
        known = np.isfinite(own) & wanted
        for kind, name in enumerate(kinds):
            cells = np.flatnonzero(known & (classes == name))[choice.pick(kind, number)]
            rows = choice.rows(kind, slice(number, number + 1))
            data.places[rows], data.y[rows], data.around[rows] = cells, own[cells], near[cells]


def _put_column(data: Samples, column: int, choice: SampleChoice, group: int, run: slice, values: np.ndarray) -> None:
    """Put values (n_months or 1, n_places) of a run of months into a column of a group's samples."""
    for rows, month in choice.parts(group, run):
        layer = 0 if len(values) == 1 and run.stop - run.start > 1 else month - run.start
        data.x[rows, column] = values[layer, data.places[rows]]


def _put_columns(
    data: Samples, columns: np.ndarray, choice: SampleChoice, group: int, run: slice, values: np.ndarray
) -> None:
    """Put values of one column (n_months or 1, n_places), or of several that stay in time (n_columns, n_places)."""
    for column, layers in zip(columns, values.reshape(columns.size, -1, values.shape[1]), strict=True):
        _put_column(data, column, choice, group, run, layers)


def _reference(
    files: TrainingFiles, used: np.ndarray, group_of_cell: np.ndarray, spacing: float, kept_mb: float
) -> CoarserScale | None:
    """The coarser scale's interpolation of cells; None where there are too many of them, or no groups."""
    used = used & (group_of_cell > 0).reshape(files.grid.shape)
    if used.size > MOST_REFERENCE_CELLS or not used.any():
        return None
    weights = used * files.grid.row_weights()[:, None]
    labels = cell_map(files.grid).labels
    return CoarserScale(labels, weights, group_of_cell, knot_spacing=spacing, kept_mb=kept_mb)


def _around_cells(levels: np.ndarray, scale: CoarserScale | None) -> np.ndarray:
    """The coarser scale's interpolation at each cell (n_months, n_cells), a few months at a time."""
    around = np.full(levels.shape, np.nan, np.float32)
    step = max(1, VALUES_AT_ONCE // levels.shape[1])
    for start in range(0, len(levels) if scale is not None else 0, step):
        values = levels[start : start + step].astype(np.float64)
        around[start : start + step] = values - scale.deviations(values)
    return around


def support_samples(
    files: TrainingFiles,
    support: SupportMap,
    report: Reporter,
    degrees: float = 0.0,
    memory: TrainingMemory = USUAL,
    seed: int = 0,
) -> TrainingTable:
    """Deviations of supports from the coarser scales around them, as recommended.

    The samples of all coarser scales stand in one table, the smallest scale first; where memory does not hold all, those
    of larger scales are thinned at random, and then those of the smallest. They are held out by the groups of the largest
    one, or by blocks of degrees made of them. Predictors are read and averaged one at a time, some months at once.
    """
    runs = memory.runs(files.months.size, support.labels.size)
    if support.kind == "cells":
        warn_of_repetition((target for _, target in files.read_target(runs)), report)
    weights, names = _usable_area(files, support, runs)
    groups, averages = support.groups(), SupportAverages(files, support, weights, runs)
    terms = time_inputs("recommended", files.months).T
    n_inputs = 2 * len(averages.columns) + terms.shape[1]
    choice = _choose(averages, [labels for labels, _ in groups], memory.most_samples(n_inputs), seed)
    _tell_thinning(choice, ["the smallest scale", "the next", "the largest"], memory, report)
    data = Samples.empty(choice.size, n_inputs)
    for number, (labels, spacing) in enumerate(groups):
        part = report.part(number / len(groups), (number + 1) / len(groups))
        # one after the other: the factors of a scale's interpolation may be as large as its samples
        kept_mb = memory.factors_mb(n_inputs)
        scale = CoarserScale(support.labels, weights, labels, knot_spacing=spacing, kept_mb=kept_mb)
        _put_scale(data, choice, number, scale, averages, part)
        del scale
        give_back()
        for rows, month in choice.parts(number):
            data.x[rows, 2 * len(averages.columns) :] = terms[month]
            data.months[rows] = files.months.astype(int)[month]
    classes = majority_class(files.classes, support, weights)
    blocks = hold_out_blocks(support, groups[-1][0], degrees)
    data.classes[:], data.blocks[:] = classes[data.places], blocks[data.places]
    whole = data.complete()
    sizes = tuple(int(whole[choice.rows(number)].sum()) for number in range(len(groups)))
    spacings = tuple(spacing for _, spacing in groups)
    table = (data.keep(whole), sizes, spacings, names, support, groups[0][0], classes)
    return TrainingTable(*table, _thinned(choice))


def _usable_area(files: TrainingFiles, support: SupportMap, runs: Sequence[slice]) -> tuple[np.ndarray, list[int]]:
    """Areas of the cells that have a target and all predictors, 0 elsewhere, and the classes that lie there."""
    used = wanted_cells(files) & (support.labels > 0)
    used &= _seen(files.read_target(runs))
    for _, layers in files.read_predictors(runs):
        used &= _seen(layers)
    names = require_classes(files, used)
    if not used.any():
        raise NoUsableData("no coarse cell has both a target and all predictors", "check that they cover the same area")
    return used * files.grid.row_weights()[:, None], names


def _seen(layers: Iterable[tuple[slice, np.ndarray]]) -> np.ndarray:
    """Cells that have a value in any month, (rows, columns) bool."""
    return reduce(np.logical_or, (np.isfinite(layer).any(0) for _, layer in layers))


@dataclass(frozen=True)
class SupportAverages:
    """Fields of a training averaged over supports, run of months by run.

    Attributes
    ----------
    weights : (rows, columns) float
        Areas of the cells that count.
    runs : sequence of slice
        Runs of months.
    """

    files: TrainingFiles
    support: SupportMap
    weights: np.ndarray
    runs: Sequence[slice]

    @property
    def columns(self) -> list[str]:
        """Names of the predictors and of their signatures."""
        return detail_names(self.files.names, self.files.monthly)

    @property
    def areas(self) -> np.ndarray:
        """Area of each support, (count,)."""
        return np.bincount(self.support.labels.ravel(), self.weights.ravel(), self.support.count + 1)[1:]

    def target(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Runs of months of the target, (n_months, count)."""
        for run, layer in self.files.read_target(self.runs):
            yield run, self._of(layer)

    def predictors(self) -> Iterator[tuple[list[str], slice, np.ndarray]]:
        """Runs of months of one column each (n_months or 1, count), and all signatures of a predictor (3, count)."""
        for name, layers in self.files.read_predictors(self.runs):
            moving = name in self.files.monthly
            sums = SignatureSums(1, (self.support.count,)) if moving else None
            for run, layer in layers:
                level = self._of(layer)
                if moving:
                    sums.add([level], np.isfinite(level), self.files.months[run])
                yield [name], run, level
            if moving:
                yield signature_names([name]), slice(0, self.files.months.size), sums.finish()[0]

    def _of(self, layer: np.ndarray) -> np.ndarray:
        return support_means(layer, self.support.labels, self.weights, self.support.count)


def _choose(averages: SupportAverages, groups: Sequence[np.ndarray], most: int, seed: int) -> SampleChoice:
    """Which months and supports of each scale are in the table."""
    used = averages.areas > 0
    counts = np.zeros((len(groups), averages.files.months.size), np.int64)
    for run, y in averages.target():
        for count, labels in zip(counts, groups, strict=True):
            count[run] = (np.isfinite(y) & used & (labels > 0)).sum(1)
    return SampleChoice(counts, scale_totals(counts.sum(1).tolist(), most), seed)


def _put_scale(
    data: Samples, choice: SampleChoice, number: int, scale: CoarserScale, averages: SupportAverages, report: Reporter
) -> None:
    """Put the samples of a scale into the table: what they are, and their predictors."""
    used = (averages.areas > 0) & (scale.groups > 0)
    for run, y in averages.target():
        deviations = scale.deviations(y)
        for month, level, deviation in zip(range(run.start, run.stop), y, deviations, strict=True):
            places = np.flatnonzero(np.isfinite(level) & used)[choice.pick(number, month)]
            rows = choice.rows(number, slice(month, month + 1))
            data.places[rows], data.y[rows] = places, deviation[places]
            data.around[rows] = level[places] - deviation[places]
        give_back()
    columns, names = averages.columns, averages.files.names
    report(0.0, "Averaging the predictors" if number == 0 else "")
    for found, run, values in averages.predictors():
        places = np.array([columns.index(one) for one in found])
        if found[0] in names:  # and not its signatures, which come right after it
            report(names.index(found[0]) / len(names))
        _put_columns(data, places, choice, number, run, scale.deviations(values))
        _put_columns(data, len(columns) + places, choice, number, run, values)
        give_back()


def _thinned(choice: SampleChoice) -> tuple[int, int] | None:
    taken, available = sum(choice.taken), sum(choice.available)
    return (taken, available) if taken < available else None


def _tell_thinning(choice: SampleChoice, names: Sequence[str], memory: TrainingMemory, report: Reporter) -> None:
    """Say when samples are thinned, and to how many."""
    if _thinned(choice) is None:
        return
    of_each = ", ".join(
        f"{taken} of {available} of {name}"
        for name, taken, available in zip(names, choice.taken, choice.available, strict=False)
    )
    report.warn(
        f"The memory budget of {memory.memory_mb:g} MB holds {sum(choice.taken)} of {sum(choice.available)} samples, taken "
        f"at random: {of_each}. A larger MEMORY takes more"
    )


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

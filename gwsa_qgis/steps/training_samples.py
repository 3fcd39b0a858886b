"""Samples for training, gathered from coarse files: on cells (published) or as deviations of supports (recommended)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidMonths, NoUsableData
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.inspection import describe_months, list_months
from gwsa_qgis.rasters.predictor_set import PredictorSet
from gwsa_qgis.rasters.raster import read_single
from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.science.deviations import CoarserScale
from gwsa_qgis.science.model_inputs import input_table, time_inputs
from gwsa_qgis.science.supports import support_means
from gwsa_qgis.steps.storage_units import to_centimetres
from gwsa_qgis.steps.support_map import SupportMap, cell_map

ICE_CLASS = 88
MOST_REFERENCE_CELLS = 40_000
REPEATED_SHARE = 0.3


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
    classes, groups : (n,) int
        Class, and group of supports (0 none), of each sample.
    """

    x: np.ndarray
    y: np.ndarray
    around: np.ndarray
    classes: np.ndarray
    groups: np.ndarray

    def take(self, rows: np.ndarray) -> Samples:
        """Chosen rows."""
        return Samples(*(getattr(self, part.name)[rows] for part in fields(self)))

    @property
    def size(self) -> int:
        """Number of samples."""
        return self.y.size


@dataclass(frozen=True)
class TrainingFiles:
    """Checked inputs of a training.

    Attributes
    ----------
    months : (n_months,) datetime64[M]
        Months that target and predictors share and in which the target has values.
    to_cm : float
        Factor from the target's unit to cm.
    classes : (rows, columns) int32
        Class of each coarse cell, 0 without one; all 1-valued cells are no class when no raster is given.
    """

    target: Path
    predictors: Path
    names: list[str]
    grid: Grid
    months: np.ndarray
    to_cm: float
    classes: np.ndarray
    has_classes: bool
    baseline: str
    filled_months: int

    def read_target(self) -> np.ndarray:
        """Target of all months, (n_months, rows, columns) float32, cm."""
        with MonthlyStack(self.target) as stack:
            return stack.read_months(self.months) * np.float32(self.to_cm)

    def read_predictors(self) -> Iterator[tuple[str, np.ndarray]]:
        """Each predictor's name and values, (n_months or 1, rows, columns)."""
        with PredictorSet(self.predictors) as predictors:
            for name in self.names:
                yield name, predictors.read(name, self.months)


def open_training(
    target: str | Path, predictors: str | Path, aquifers: str | Path | None, report: Reporter
) -> TrainingFiles:
    """Check the inputs of a training and say what was found."""
    with MonthlyStack(target) as stack, PredictorSet(predictors) as coarse:
        stack.grid.require_match(coarse.grid, f"the target {target}", f"the coarse predictors {predictors}")
        shared = stack.months if coarse.months is None else np.intersect1d(stack.months, coarse.months)
        if not shared.size:
            raise InvalidMonths(
                f"the target ({describe_months(stack.months)}) and the predictors "
                f"({describe_months(coarse.months)}) have no month in common",
                "give a target and predictors whose months overlap",
            )
        present = np.array([np.isfinite(stack.read_months(shared[t : t + 1])).any() for t in range(shared.size)])
        if not present.any():
            raise NoUsableData(f"the target {target} has no value in the months of the predictors", "check its bands")
        months = shared[present]
        if not present.all():
            report.say(f"{(~present).sum()} months without a target are left out: {list_months(shared[~present])}")
        filled = int(stack.filled[stack.positions(months)].sum())
        if filled:
            report.say(f"{filled} of {months.size} months are gap-filled and are used like the others")
        classes = np.zeros(stack.grid.shape, np.int32)
        if aquifers is not None:
            classes = np.nan_to_num(read_single(aquifers, stack.grid, "the class raster")[0]).astype(np.int32)
        if aquifers is not None and not (classes > 0).any():
            raise NoUsableData(
                f"the class raster {aquifers} has no class", "give the COARSE one of gwsa:aquiferclasses"
            )
        report.say(f"{describe_months(months)}, {len(coarse.names)} predictors: {', '.join(coarse.names)}")
        return TrainingFiles(
            Path(target),
            Path(predictors),
            coarse.names,
            stack.grid,
            months,
            to_centimetres(stack, report),
            classes,
            aquifers is not None,
            stack.baseline,
            filled,
        )


def warn_of_repetition(target: np.ndarray, report: Reporter) -> None:
    """Warn when a field that is to be taken cell by cell repeats one series on many neighbours."""
    here, there = target[:, :, :-1], target[:, :, 1:]
    both = np.isfinite(here).any(0) & np.isfinite(there).any(0)
    same = both & ((here == there) | (np.isnan(here) & np.isnan(there))).all(0)
    if both.any() and same.sum() > REPEATED_SHARE * both.sum():
        report.warn(
            f"{100 * same.sum() / both.sum():.0f} % of neighbouring cells have the same series, as mascons printed on a "
            "finer grid have: give the mascon map as MASCONS"
        )


def require_classes(files: TrainingFiles, valid: np.ndarray) -> list[int]:
    """Classes of the raster, each of which must have a valid cell; 0 alone where there is no raster."""
    if not files.has_classes:
        return [0]
    names = [int(name) for name in np.unique(files.classes) if name > 0 and name != ICE_CLASS]
    empty = [name for name in names if not (valid & (files.classes == name)).any()]
    if empty:
        raise NoUsableData(
            f"class {', '.join(map(str, empty))} has no samples: none of its cells has both a target and all predictors",
            "merge it with another class in the class raster, or mask it there",
        )
    return names


def wanted_cells(files: TrainingFiles) -> np.ndarray:
    """Cells that have a class to be trained, or all where there are no classes."""
    if not files.has_classes:
        return np.ones(files.grid.shape, bool)
    return (files.classes > 0) & (files.classes != ICE_CLASS)


def cell_samples(files: TrainingFiles, support: SupportMap, report: Reporter) -> tuple[Samples, list[int]]:
    """Levels on coarse cells, as published; groups are those of the supports that the cells belong to."""
    target = files.read_target()
    valid = np.isfinite(target) & wanted_cells(files)
    layers = []
    for number, (_, layer) in enumerate(files.read_predictors()):
        report(number / len(files.names), "Reading the predictors" if number == 0 else "")
        valid &= np.isfinite(layer)
        layers.append(layer)
    names = require_classes(files, valid.any(0))
    groups, spacing = support.groups()[-1]
    group_of_cell = np.concatenate([[0], groups])[support.labels].astype(np.int32)
    around = np.full(target.shape, np.nan, np.float32)
    if target[0].size <= MOST_REFERENCE_CELLS:
        around = _around_cells(files, target, group_of_cell, spacing)
    return (
        Samples(
            input_table(layers, time_inputs("published", files.months), valid),
            target[valid],
            around[valid],
            np.broadcast_to(files.classes, target.shape)[valid],
            np.broadcast_to(group_of_cell, target.shape)[valid],
        ),
        names,
    )


def _around_cells(files: TrainingFiles, target: np.ndarray, group_of_cell: np.ndarray, spacing: float) -> np.ndarray:
    """The coarser scale's interpolation at each cell."""
    used = np.isfinite(target).any(0) & (group_of_cell > 0)
    cells = cell_map(files.grid)
    scale = CoarserScale(
        cells.labels, used * files.grid.row_weights()[:, None], group_of_cell.ravel(), knot_spacing=spacing
    )
    values = target.reshape(len(target), -1).astype(np.float64)
    return (values - scale.deviations(values)).reshape(target.shape).astype(np.float32)


def support_samples(files: TrainingFiles, support: SupportMap, report: Reporter) -> tuple[list[Samples], list[int]]:
    """Deviations of supports from the coarser scale around them, as recommended.

    Returns
    -------
    samples : list of Samples
        One for each coarser scale, the smallest first; `groups` are those of the largest in all of them.
    names : list of int
        Classes.
    """
    target = files.read_target()
    if support.kind == "cells":
        warn_of_repetition(target, report)
    used = np.isfinite(target).any(0) & wanted_cells(files) & (support.labels > 0)
    for _, layer in files.read_predictors():
        used &= np.isfinite(layer).any(0)
    names = require_classes(files, used)
    if not used.any():
        raise NoUsableData("no coarse cell has both a target and all predictors", "check that they cover the same area")
    weights = used * files.grid.row_weights()[:, None]
    y = support_means(target, support.labels, weights, support.count)
    levels = []
    for number, (_, layer) in enumerate(files.read_predictors()):
        report(number / len(files.names), "Averaging the predictors" if number == 0 else "")
        levels.append(support_means(layer, support.labels, weights, support.count))
    classes = majority_class(files.classes, support, weights)
    terms, samples, scales = time_inputs("recommended", files.months), [], support.groups()
    for groups, spacing in scales:
        scale = CoarserScale(support.labels, weights, groups, knot_spacing=spacing)
        deviation = scale.deviations(y)
        layers = [scale.deviations(level) for level in levels] + levels
        valid = np.isfinite(deviation)
        for layer in layers:
            valid &= np.isfinite(layer)
        samples.append(
            Samples(
                input_table(layers, terms, valid),
                deviation[valid].astype(np.float32),
                (y - deviation)[valid].astype(np.float32),
                np.broadcast_to(classes, y.shape)[valid],
                np.broadcast_to(scales[-1][0], y.shape)[valid],
            )
        )
    return samples, names


def majority_class(classes: np.ndarray, support: SupportMap, weights: np.ndarray) -> np.ndarray:
    """Class with the largest area in each support, (count,); 0 where no cell has one."""
    best, result = np.zeros(support.count), np.zeros(support.count, np.int32)
    for name in np.unique(classes[classes > 0]):
        area = np.bincount(support.labels.ravel(), (weights * (classes == name)).ravel(), support.count + 1)[1:]
        larger = area > best * (1 + 1e-12)
        best[larger], result[larger] = area[larger], name
    return result

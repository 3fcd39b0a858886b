"""The checked inputs of a training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidMonths, NoUsableData
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.inspection import describe_months, list_months
from gwsa_qgis.rasters.predictor_set import PredictorSet
from gwsa_qgis.rasters.raster import read_single
from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.steps.storage_units import to_centimetres

ICE_CLASS = 88
REPEATED_SHARE = 0.3


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
    monthly : list of str
        Predictors that change from month to month.
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
    monthly: list[str]

    def read_target(self, runs: Sequence[slice]) -> Iterator[tuple[slice, np.ndarray]]:
        """The target, (n_months, rows, columns) float32, cm, run of months by run."""
        with MonthlyStack(self.target) as stack:
            for run in runs:
                yield run, stack.read_months(self.months[run]) * np.float32(self.to_cm)

    def read_predictors(self, runs: Sequence[slice]) -> Iterator[tuple[str, Iterator[tuple[slice, np.ndarray]]]]:
        """Each predictor's name and values: (n_months, rows, columns) run of months by run, or (1, rows, columns)."""
        with PredictorSet(self.predictors) as predictors:
            for name in self.names:
                whole = [slice(0, self.months.size)]
                parts = runs if name in self.monthly else whole
                yield name, ((run, predictors.read(name, self.months[run])) for run in parts)
                predictors.forget(name)


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
            [name for name in coarse.names if coarse.is_dynamic(name)],
        )


def warn_of_repetition(target: Iterable[np.ndarray], report: Reporter) -> None:
    """Warn when a field that is to be taken cell by cell repeats one series on many neighbours.

    Parameters
    ----------
    target : iterable of (n_months, rows, columns) arrays
        Runs of months.
    """
    same, left, right = True, False, False
    for part in target:
        here, there = part[:, :, :-1], part[:, :, 1:]
        same &= ((here == there) | (np.isnan(here) & np.isnan(there))).all(0)
        left |= np.isfinite(here).any(0)
        right |= np.isfinite(there).any(0)
    both = left & right
    same &= both
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

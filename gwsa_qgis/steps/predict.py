"""Prediction: models, fine predictors and classes give the fine map, monthly (section 2.4, step 3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import GridMismatch, InvalidMonths, InvalidParameter, NoUsableData
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.inspection import describe_months
from gwsa_qgis.rasters.masks import is_used
from gwsa_qgis.rasters.predictor_set import PredictorSet
from gwsa_qgis.rasters.raster import Raster
from gwsa_qgis.rasters.stack import create_stack
from gwsa_qgis.rasters.windows import DEFAULT_MEMORY_MB, Window, map_windows, plan_windows
from gwsa_qgis.science.closure import Closure, SplineField
from gwsa_qgis.science.model_inputs import input_table, time_inputs
from gwsa_qgis.steps.model_file import read_model
from gwsa_qgis.steps.support_map import (
    SupportMap,
    cell_map,
    cell_sums,
    read_support,
    solve_closing,
    support_means_of_cells,
)
from gwsa_qgis.steps.trained_model import TrainedModel

QUANTITIES = {"recommended": "groundwater storage anomaly, detail", "published": "groundwater storage anomaly, levels"}


@dataclass(frozen=True)
class PredictResult:
    """What `predict` wrote.

    Attributes
    ----------
    output : Path
        Fine stack, cm: weighted detail (recommended) or levels (published), to be given to `correctresiduals`.
    preset : str
    months : (n_months,) datetime64[M]
    predicted_pixels : int
        Pixels with a value in some month.
    unknown_class_pixels : int
        Pixels of classes that the model does not know: NoData with the published preset, predicted by the pooled model
        with the recommended one.
    """

    output: Path
    preset: str
    months: np.ndarray
    predicted_pixels: int
    unknown_class_pixels: int


@dataclass(frozen=True)
class _Inputs:
    """Files of the fine grid, read window by window; each call opens its own."""

    folder: Path
    names: list[str]
    dynamic: dict[str, bool]
    aquifers: Path | None
    mask: Path | None

    def classes(self, window: Window) -> np.ndarray:
        """Class of each pixel, 0 without one."""
        if self.aquifers is None:
            return np.zeros((window.rows, window.columns), np.int32)
        with Raster(self.aquifers) as raster:
            return np.nan_to_num(raster.read(*window.slices, [0])[0]).astype(np.int32)

    def used(self, window: Window) -> np.ndarray:
        """Pixels that the mask leaves and that have a class, where these files are given."""
        used = np.ones((window.rows, window.columns), bool)
        if self.mask is not None:
            with Raster(self.mask) as raster:
                used &= is_used(raster.read(*window.slices, [0])[0])
        return used & (self.classes(window) > 0) if self.aquifers is not None else used

    def layers(self, window: Window, months: np.ndarray) -> Iterator[list[np.ndarray]]:
        """All predictors month by month, NaN where any of them or the mask says so; static ones are read once."""
        used = self.used(window)
        with PredictorSet(self.folder) as predictors:
            static = {n: predictors.read(n, months, *window.slices)[0] for n in self.names if not self.dynamic[n]}
            for layer in static.values():
                used &= np.isfinite(layer)
            for month in months:
                one = np.array([month])
                layers = [
                    predictors.read(n, one, *window.slices)[0] if self.dynamic[n] else static[n] for n in self.names
                ]
                valid = used.copy()
                for layer in layers:
                    valid &= np.isfinite(layer)
                yield [np.where(valid, layer, np.float32(np.nan)) for layer in layers]


def predict(
    model: str | Path,
    predictors: str | Path,
    output: str | Path,
    *,
    aquifers: str | Path | None = None,
    mask: str | Path | None = None,
    mascons: str | Path | None = None,
    threads: int = 0,
    memory_mb: float = DEFAULT_MEMORY_MB,
    workers: int = 1,
    progress: ProgressFunction | None = None,
) -> PredictResult:
    """Predict the fine map.

    Parameters
    ----------
    model : path
        Model file of `trainmodels`; it says which preset is followed.
    predictors : path
        Folder of fine predictors, with the names that the model was trained with.
    output : path
        Fine stack, cm, of the months that all dynamic predictors have.
    aquifers : path, optional
        Fine class raster; needed when the model has classes. Pixels without a class are NoData.
    mask : path, optional
        Fine mask, 1 = use.
    mascons : path, optional
        Mascon map on the coarse grid, when it is another than the one kept in the model.
    threads : int
        Of the booster; 0 for all cores (one each with several workers). The result does not depend on it.

    Raises
    ------
    InvalidModelFile
        If the model file is not one.
    MissingPredictor
        If the folder lacks a predictor of the model.
    GridMismatch
        If rasters are not on one grid, or the supports of the model do not fit the fine grid.
    NoUsableData
        If no pixel can be predicted.
    """
    report = Reporter(progress)
    if threads < 0:
        raise InvalidParameter(f"THREADS is {threads}", "give 0 for all cores, or a number")
    trained = TrainedModel.from_file(read_model(model), threads if workers == 1 else max(threads, 1))
    with PredictorSet(predictors) as fine:
        fine.require(trained.predictors)
        grid, months = fine.grid, fine.months
        dynamic = {name: fine.is_dynamic(name) for name in trained.predictors}
    if months is None:
        raise InvalidMonths(f"{predictors} has no monthly predictor", "give predictors of which some have months")
    for path, name in ((aquifers, "the class raster"), (mask, "the mask")):
        if path is not None:
            with Raster(path) as raster:
                grid.require_match(raster.grid, f"the predictors {predictors}", f"{name} {path}")
    if trained.classes and aquifers is None:
        raise NoUsableData(
            f"the model has classes ({', '.join(map(str, trained.classes))}) and no class raster was given",
            "give the fine class raster of gwsa:aquiferclasses as AQUIFERS",
        )
    inputs = _Inputs(
        Path(predictors),
        trained.predictors,
        dynamic,
        Path(aquifers) if aquifers is not None and trained.classes else None,
        None if mask is None else Path(mask),
    )
    report.say(f"Preset {trained.preset}, {len(trained.predictors)} predictors, {describe_months(months)}")
    surrounding = None
    if trained.preset == "recommended":
        support, factor = _support_of(trained, mascons, grid)
        report.say(f"Detail is predicted on {support.kind}: {support.count}, factor {factor}")
        surrounding = _Surrounding(inputs, support, factor, grid, months)
        surrounding.prepare(memory_mb, workers, report.part(0.0, 0.35))
    return _write(output, grid, months, trained, inputs, surrounding, memory_mb, workers, report)


def _write(output, grid, months, trained, inputs, surrounding, memory_mb, workers, report) -> PredictResult:
    terms = time_inputs(trained.preset, months)

    def estimate(window: Window) -> tuple[np.ndarray, int]:
        result = np.full((months.size, window.rows, window.columns), np.nan, np.float32)
        classes = inputs.classes(window)
        for t, levels in enumerate(inputs.layers(window, months)):
            valid = np.isfinite(levels[0])
            if not valid.any():
                continue
            layers = levels if surrounding is None else [*surrounding.deviations(levels, window, t), *levels]
            table = input_table([layer[None] for layer in layers], terms[:, t : t + 1], valid[None])
            result[t][valid] = trained.predict(table, classes[valid])
        unknown = inputs.used(window) & ~np.isin(classes, trained.classes or [0])
        return result, int(unknown.sum())

    per_pixel = 8 * months.size + 14 * len(trained.inputs) + 64
    windows = plan_windows(grid, per_pixel * max(workers, 1), memory_mb=memory_mb, multiple=1)
    predicted = unknown_pixels = 0
    with create_stack(
        output,
        grid,
        months,
        quantity=QUANTITIES[trained.preset],
        baseline=str(trained.manifest.get("baseline") or ""),
        step="predict",
        metadata={"GWSA_PRESET": trained.preset},
    ) as writer:
        for window, (result, unknown) in map_windows(
            estimate, windows, workers=workers, progress=report.part(0.35, 1.0), message="Predicting"
        ):
            writer.write(result, window.row, window.column)
            predicted += int(np.isfinite(result).any(0).sum())
            unknown_pixels += unknown
        if not predicted:
            raise NoUsableData(
                "no pixel can be predicted: each lacks a predictor, a class of the model, or is masked",
                "check that predictors, classes and mask cover the same area",
            )
    if unknown_pixels:
        what = "are NoData" if trained.preset == "published" else "are predicted by the pooled model"
        report.warn(f"{unknown_pixels} pixels of classes that the model does not know {what}")
    report.say(f"{predicted} pixels predicted")
    return PredictResult(Path(output), trained.preset, months, predicted, unknown_pixels)


def _support_of(trained: TrainedModel, mascons: str | Path | None, grid: Grid) -> tuple[SupportMap, int]:
    """Support on the coarse grid under the fine one, and the factor between them."""
    kept = trained.support_grid()
    factor = max(round(kept.dx / grid.dx), 1)
    if grid.columns % factor or grid.rows % factor:
        kept_name = f"the model's coarse cells ({kept.dx:.8g} x {kept.dy:.8g})"
        raise GridMismatch(
            f"{kept_name} do not divide the predictors' grid ({grid.describe()})",
            "prepare fine predictors whose edges lie on coarse cells",
        )
    coarse = grid.coarsen(factor)
    if mascons is not None:
        return read_support(mascons, coarse), factor
    if trained.manifest["support"]["kind"] == "cells":
        return cell_map(coarse), factor
    row, column = round((kept.north - coarse.north) / kept.dy), round((coarse.west - kept.west) / kept.dx)
    inside = row >= 0 and column >= 0 and row + coarse.rows <= kept.rows and column + coarse.columns <= kept.columns
    if not inside or not kept.window(row, column, *coarse.shape).matches(coarse):
        raise GridMismatch(
            f"the model's mascons lie on {kept.describe()} and the predictors on {grid.describe()}",
            "give the mascon map of this region as MASCONS",
        )
    labels = trained.support_labels()[row : row + coarse.rows, column : column + coarse.columns]
    names, labels = np.unique(labels, return_inverse=True)
    labels = labels.reshape(coarse.shape) + (0 if names[0] == 0 else 1)
    return SupportMap("mascons", coarse, labels.astype(np.int32), names[names > 0].astype(np.int64)), factor


class _Surrounding:
    """Histosplines of each predictor's own support means: what its deviations are taken from."""

    def __init__(self, inputs: _Inputs, support: SupportMap, factor: int, grid: Grid, months: np.ndarray) -> None:
        self.inputs, self.support, self.factor, self.grid, self.months = inputs, support, factor, grid, months
        self.closure: Closure | None = None
        self.fields: list[SplineField] = []

    def prepare(self, memory_mb: float, workers: int, report: Reporter) -> None:
        """Average the predictors over the supports, in one pass over the map, and solve for the histosplines."""
        names, dynamic = self.inputs.names, [self.inputs.dynamic[name] for name in self.inputs.names]
        weights = self.grid.row_weights()

        def gather(window: Window) -> tuple[list[tuple], np.ndarray]:
            parts, ever = [], np.zeros((window.rows, window.columns), bool)
            for t, levels in enumerate(self.inputs.layers(window, self.months)):
                ever |= np.isfinite(levels[0])
                chosen = [level for level, moves in zip(levels, dynamic, strict=True) if moves or t == 0]
                sums, areas = cell_sums(np.stack(chosen), self.factor, weights[window.row_slice])
                parts.append((sums, areas[0]))
            return parts, ever

        per_pixel = 24 * (len(names) + 2) + 8 * self.months.size * len(names) / self.factor**2
        windows = plan_windows(self.grid, per_pixel * max(workers, 1), memory_mb=memory_mb, multiple=self.factor)
        cells, n_months = self.support.grid.shape, self.months.size
        sums = [np.zeros((n_months if moves else 1, *cells)) for moves in dynamic]
        areas, used = np.zeros((n_months, *cells)), np.zeros(self.grid.shape, bool)
        for window, (parts, ever) in map_windows(
            gather, windows, workers=workers, progress=report.part(0.0, 0.8), message="Averaging the predictors"
        ):
            place = window.coarsened(self.factor).slices
            used[window.slices] = ever
            for t, (part, area) in enumerate(parts):
                areas[t][place] = area
                present = (total for total, moves in zip(sums, dynamic, strict=True) if moves or t == 0)
                for total, values in zip(present, part, strict=True):
                    total[t][place] = values
        if not used.any():
            raise NoUsableData(
                "no fine pixel has all predictors", "check that predictors, classes and mask cover the same area"
            )
        means = [support_means_of_cells(total, areas[: len(total)], self.support) for total in sums]
        self._solve(means, used * weights[:, None], report.part(0.8, 1.0))

    def _solve(self, means: list[np.ndarray], weights: np.ndarray, report: Reporter) -> None:
        labels = self.support.fine_labels(self.factor)

        def make(spacing: float) -> Closure:
            return Closure(labels, weights, knot_spacing=spacing, n_supports=self.support.count)

        spacing = self.support.knot_spacing(self.factor)
        for number, values in enumerate(means):
            report(number / len(means), "Interpolating the predictors' means" if number == 0 else "")
            if self.closure is None:
                self.closure, field = solve_closing(make, spacing, values)
            else:
                field = self.closure.solve(values)
            self.fields.append(field)

    def deviations(self, levels: list[np.ndarray], window: Window, t: int) -> list[np.ndarray]:
        """Deviations of one month's predictors from their histosplines."""
        result = []
        for level, field in zip(levels, self.fields, strict=True):
            month = min(t, len(field.spline) - 1)
            one = SplineField(field.spline[month : month + 1])
            result.append((level - self.closure.evaluate(one, *window.slices)[0]).astype(np.float32))
        return result

"""Checked inputs of the uncertainty."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidModelFile, InvalidMonths
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.inspection import describe_months, list_months
from gwsa_qgis.rasters.predictor_set import PredictorSet
from gwsa_qgis.rasters.raster import Raster
from gwsa_qgis.rasters.stack import MonthlyStack, common_months
from gwsa_qgis.rasters.windows import Window
from gwsa_qgis.steps.calibration import Calibration, read_calibration
from gwsa_qgis.steps.cell_errors import ErrorFiles
from gwsa_qgis.steps.likeness import spread_months
from gwsa_qgis.steps.model_file import REMEDY, ModelFile
from gwsa_qgis.steps.predict_inputs import FineFiles, tile_of
from gwsa_qgis.steps.storage_units import to_centimetres
from gwsa_qgis.steps.support_map import SupportMap
from gwsa_qgis.steps.surrounding import support_of
from gwsa_qgis.steps.trained_model import TrainedModel


@dataclass(frozen=True)
class UncertaintyJob:
    """Checked inputs; what is large stays in the files.

    Attributes
    ----------
    gwsa : Path
    detail : Path or None
        What was predicted, with the recommended preset.
    fine : FineFiles
        Predictors in the months that are compared.
    months : (n_months,) datetime64[M]
        Those that all inputs have.
    filled : (n_months,) bool
    to_cm : float
        Factor of the map.
    factor : int
        Fine pixels along a coarse cell.
    tile : int
        Side of the map's tiles.
    """

    gwsa: Path
    detail: Path | None
    fine: FineFiles
    months: np.ndarray
    filled: np.ndarray
    baseline: str
    to_cm: float
    support: SupportMap
    factor: int
    calibration: Calibration
    level: float
    preset: str
    tile: int

    @property
    def grid(self) -> Grid:
        """The fine grid."""
        return self.fine.grid

    def classes(self, window: Window) -> np.ndarray:
        """Class of each pixel, 0 without one."""
        if self.fine.aquifers is None:
            return np.zeros((window.rows, window.columns), np.int32)
        with Raster(self.fine.aquifers) as raster:
            return np.nan_to_num(raster.read(*window.slices, [0])[0]).astype(np.int32)


def open_job(
    contents: ModelFile,
    gwsa: str | Path,
    predictors: str | Path,
    prediction: str | Path | None,
    aquifers: str | Path | None,
    mask: str | Path | None,
    mascons: str | Path | None,
    files: ErrorFiles,
    level: float,
    compared_months: int,
    report: Reporter,
) -> UncertaintyJob:
    """Check the inputs and say what was found."""
    calibration = read_calibration(contents)
    names, preset = contents.manifest["predictors"], contents.manifest["preset"]
    with ExitStack() as opened:
        stack = opened.enter_context(MonthlyStack(gwsa))
        fine = opened.enter_context(PredictorSet(predictors))
        fine.require(names)
        stack.grid.require_match(fine.grid, f"the map {gwsa}", f"the predictors {predictors}")
        for path, name in ((aquifers, "the class raster"), (mask, "the mask"), (prediction, "the prediction")):
            if path is not None:
                stack.grid.require_match(opened.enter_context(Raster(path)).grid, f"the map {gwsa}", f"{name} {path}")
        support, factor = _support(contents, mascons, stack.grid)
        monthly = [stack] if prediction is None else [stack, opened.enter_context(MonthlyStack(prediction))]
        for path, name in files.stacks:
            monthly.append(opened.enter_context(MonthlyStack(path)))
            support.grid.require_match(monthly[-1].grid, "the coarse grid under the map", f"{name} {path}")
        months = common_months(monthly)
        if months.size < stack.months.size:
            report.warn(f"only the months that all inputs have are written, {describe_months(months)}")
        shared = months if fine.months is None else np.intersect1d(months, fine.months)
        if not shared.size:
            raise InvalidMonths(
                f"the map ({describe_months(months)}) and the predictors ({describe_months(fine.months)}) have no month "
                "in common",
                "give the predictors that the map was made from",
            )
        compared, to_cm = spread_months(shared, compared_months), to_centimetres(stack, report)
        report.say(f"{describe_months(months)}; predictors are compared in {list_months(compared)}")
        aquifers, mask = (None if path is None else Path(path) for path in (aquifers, mask))
        dynamic = [fine.is_dynamic(name) for name in names]
        fine_files = FineFiles(
            Path(predictors), names, dynamic, stack.grid, compared, aquifers, mask, tile_of(fine, names)
        )
        detail = None if prediction is None or preset != "recommended" else Path(prediction)
        filled = stack.filled[stack.positions(months)]
        return UncertaintyJob(
            Path(gwsa), detail, fine_files, months, filled, stack.baseline, to_cm, support, factor, calibration, level,
            preset, stack.tile,
        )  # fmt: skip


def _support(contents: ModelFile, mascons: str | Path | None, grid: Grid) -> tuple[SupportMap, int]:
    """Supports that the map was closed on; models of levels were trained on cells."""
    manifest = contents.manifest
    try:
        if manifest["preset"] == "published" and mascons is None:
            manifest = manifest | {"support": manifest["support"] | {"kind": "cells"}}
        return support_of(TrainedModel(manifest, {}, contents.arrays), mascons, grid)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InvalidModelFile(f"the model file's support makes no sense ({error!r})", REMEDY) from error


def tell_sources(job: UncertaintyJob, files: ErrorFiles, report: Reporter) -> None:
    """Warn of what is not counted."""
    if files.grace is None:
        report.warn(f"GRACE_UNCERTAINTY is not given: {files.grace_error:g} cm is taken for all months and places")
    if job.filled.any() and files.flags is None:
        report.warn(
            f"{int(job.filled.sum())} months of the map are gap-filled and no errors of gap filling are given: "
            "intervals of these months are too narrow"
        )
    if files.land is None:
        report.warn("LAND_SPREAD is not given: the error of the land-surface models is not counted")
    if not np.isfinite(job.calibration.coverage).any():
        report.warn("the model was trained on too few groups of supports to test the coverage of its intervals")

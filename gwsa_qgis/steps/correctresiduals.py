"""Residual correction: make the fine map's means agree with the coarse field (section 2.4, step 3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.inspection import list_months
from gwsa_qgis.rasters.stack import create_stack
from gwsa_qgis.rasters.windows import DEFAULT_MEMORY_MB, Window, map_windows, plan_windows
from gwsa_qgis.rasters.writing import replacing, together
from gwsa_qgis.science.interpolation import spline_correction
from gwsa_qgis.steps.residuals import CorrectionJob, Residuals, exact_correction, find_residuals, open_correction
from gwsa_qgis.steps.support_map import SupportMap, support_means_of_cells

METHODS = ("exact", "spline")
# One value as read, its validity and weight, the correction in float64 and the sum as written.
BYTES_PER_VALUE = 40
PROMISED_CM = 1e-4


@dataclass(frozen=True)
class CorrectResidualsResult:
    """What `correctresiduals` wrote.

    Attributes
    ----------
    output : Path
        Corrected fine stack, cm.
    closure : Path or None
        Closure table, by month and by support.
    support : str
        "mascons" or "cells": over what the closure is measured.
    closure_rmse_before, closure_rmse_after : float
        Root mean square difference of support means from the coarse field, cm; after: of the values as written.
    closure_max_after : float
        Largest absolute difference as written, cm.
    supports : int
        Supports that were closed in some month.
    skipped_supports : int
        Supports with a coarse value but without any valid fine pixel.
    empty_months : (n,) datetime64[M]
        Months without a coarse value or a prediction, NoData in the output.
    """

    output: Path
    closure: Path | None
    support: str
    closure_rmse_before: float
    closure_rmse_after: float
    closure_max_after: float
    supports: int
    skipped_supports: int
    empty_months: np.ndarray


def correctresiduals(
    prediction: str | Path,
    target: str | Path,
    output: str | Path,
    closure: str | Path | None = None,
    *,
    method: str = "exact",
    mascons: str | Path | None = None,
    mask: str | Path | None = None,
    memory_mb: float = DEFAULT_MEMORY_MB,
    workers: int = 1,
    progress: ProgressFunction | None = None,
) -> CorrectResidualsResult:
    """Add to a fine prediction the smooth field that its coarse residuals call for.

    Parameters
    ----------
    prediction : path
        Fine stack from `predict`: levels, or weighted detail.
    target : path
        Coarse GWSA stack whose means the result shall have.
    output : path
        Corrected fine stack, cm, for the months that both have. Months without a coarse value are NoData.
    closure : path, optional
        CSV of differences from the coarse field before and after, by month and by support.
    method : {"exact", "spline"}
        "exact": the mean over each support equals the coarse value. "spline": a cubic spline through cell residuals, as
        published; means are then off by what the table says.
    mascons : path, optional
        Map of mascon ids on the coarse grid: the supports of "exact", and of the closure table. The coarse value of a
        mascon is the mean of its cells, weighted by their valid fine area. Coarse cells when not given.
    mask : path, optional
        Fine mask, 1 = use.

    Raises
    ------
    GridMismatch
        If the grids do not nest, or the mascon map or mask is on another grid.
    InvalidMonths
        If both stacks have no month in common.
    NoUsableData
        If no support has both a coarse value and a valid pixel.

    Notes
    -----
    Pixels of supports without a coarse value keep the smooth continuation of the correction around them. Pixel areas
    are weighted by cos(latitude) on geographic grids.
    """
    report = Reporter(progress)
    if method not in METHODS:
        raise InvalidParameter(f"the method of correction is {method!r}", f"give one of {', '.join(METHODS)}")
    job = open_correction(prediction, target, mascons, mask, report)
    if method == "spline" and job.preset == "recommended":
        report.warn("the prediction is detail, made to be closed exactly; the published spline leaves its means off")
    per_pixel = BYTES_PER_VALUE * job.months.size * max(workers, 1)
    windows = plan_windows(job.grid, per_pixel, memory_mb=memory_mb, multiple=job.factor)
    found = find_residuals(job, windows, workers, report.part(0.0, 0.4))
    if found.empty.any():
        report.warn(
            f"{found.empty.sum()} months have no coarse value and stay NoData: {list_months(job.months[found.empty])}"
        )
    if found.skipped.any():
        report.warn(f"{found.skipped.sum()} {job.support.kind} have no valid fine pixel and are passed over")
    if method == "exact":
        correct = exact_correction(job, found, report.part(0.4, 0.45))
    else:
        residual = found.of_cells(job.values)

        def correct(window: Window) -> np.ndarray:
            return spline_correction(residual, job.factor, *window.slices)

    after = _write(job, found, correct, method, Path(output), closure, windows, workers, report.part(0.45, 1.0))
    figures = _rmse(found.residual), _rmse(after), float(np.nanmax(np.abs(after)))
    report.say(f"Closure on {job.support.kind}: RMSE {figures[0]:.3g} cm before, {figures[1]:.3g} cm after")
    if method == "exact" and figures[2] > PROMISED_CM:
        report.warn(f"the largest closure error is {figures[2]:.2g} cm, more than the {PROMISED_CM} cm promised")
    return CorrectResidualsResult(
        Path(output),
        None if closure is None else Path(closure),
        job.support.kind,
        *figures,
        int(np.isfinite(found.residual).any(0).sum()),
        int(found.skipped.sum()),
        job.months[found.empty],
    )


def _write(
    job: CorrectionJob,
    found: Residuals,
    correct: Callable[[Window], np.ndarray],
    method: str,
    output: Path,
    closure: str | Path | None,
    windows: list[Window],
    workers: int,
    report: Reporter,
) -> np.ndarray:
    """Write the corrected stack and the table; give what is left of the residuals in the values as written."""

    def corrected(window: Window) -> tuple[np.ndarray, np.ndarray]:
        result = (job.read(window) + correct(window)).astype(np.float32)
        result[found.empty] = np.nan
        return result, job.sums(result, window)[0]

    tags = {"GWSA_CORRECTION": method, "GWSA_SUPPORT": job.support.kind, "GWSA_PRESET": job.preset}
    sums = np.zeros_like(found.sums)
    with together() as files:
        table = files.enter_context(replacing(closure)) if closure is not None else None
        stack = create_stack(output, job.grid, job.months, **job.tags, step="correctresiduals", metadata=tags)
        writer = files.enter_context(stack)
        for window, (result, part) in map_windows(
            corrected, windows, workers=workers, progress=report, message="Correcting residuals"
        ):
            writer.write(result, window.row, window.column)
            sums[:, *window.coarsened(job.factor).slices] = part
        after = found.wanted - support_means_of_cells(sums, found.areas, job.support)
        after[found.empty] = np.nan
        if table is not None:
            text = _closure_table(job.months, job.support, found.residual, after)
            table.write_text(text, encoding="utf-8", newline="\n")
    return after


def _rmse(difference: np.ndarray) -> float:
    return float(np.sqrt(np.nanmean(difference**2)))


def _closure_table(months: np.ndarray, support: SupportMap, before: np.ndarray, after: np.ndarray) -> str:
    """CSV text: one row a month, then one a support."""
    lines = ["by,name,n,rmse_before_cm,rmse_after_cm,max_after_cm"]
    kinds = (("month", [str(month) for month in months], 1), (support.kind[:-1], list(support.names), 0))
    for kind, names, axis in kinds:
        first, last = (before, after) if axis == 1 else (before.T, after.T)
        for name, b, a in zip(names, first, last, strict=True):
            both = np.isfinite(b) & np.isfinite(a)
            if both.any():
                figures = (_rmse(b[both]), _rmse(a[both]), np.abs(a[both]).max())
                lines.append(f"{kind},{name},{both.sum()}," + ",".join(f"{figure:.6g}" for figure in figures))
    return "\n".join(lines) + "\n"

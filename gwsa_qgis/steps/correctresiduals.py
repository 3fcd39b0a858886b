"""Residual correction: make the fine map's means agree with the coarse field (section 2.4, step 3)."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidParameter, NoUsableData
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.inspection import describe_months, list_months
from gwsa_qgis.rasters.masks import read_mask
from gwsa_qgis.rasters.stack import MonthlyStack, common_months, create_stack
from gwsa_qgis.rasters.windows import DEFAULT_MEMORY_MB, Window, map_windows, plan_windows
from gwsa_qgis.rasters.writing import replacing
from gwsa_qgis.science.closure import Closure, SplineField
from gwsa_qgis.science.interpolation import spline_correction
from gwsa_qgis.steps.storage_units import to_centimetres
from gwsa_qgis.steps.support_map import (
    SupportMap,
    cell_sums,
    read_support,
    solve_closing,
    support_means_of_cells,
    support_totals,
)

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


@dataclass(frozen=True)
class _Job:
    """What the passes over the map share."""

    prediction: Path
    months: np.ndarray
    factor: int
    row_weights: np.ndarray
    support: SupportMap
    mask: np.ndarray | None

    def read(self, window: Window, months: np.ndarray | None = None) -> np.ndarray:
        """Prediction of a window, NaN where the mask excludes it."""
        with MonthlyStack(self.prediction) as stack:
            values = stack.read_months(self.months if months is None else months, *window.slices)
        if self.mask is not None:
            values[:, ~self.mask[window.slices]] = np.nan
        return values

    def sums(self, values: np.ndarray, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Weighted sums and areas of the window's coarse cells."""
        return cell_sums(values, self.factor, self.row_weights[window.row_slice])


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
    with MonthlyStack(prediction) as fine, MonthlyStack(target) as coarse:
        factor = fine.grid.factor_to(coarse.grid, str(prediction), str(target))
        months = common_months([fine, coarse])
        if months.size < fine.months.size:
            report.warn(f"only the months that the coarse field has are corrected, {describe_months(months)}")
        grid, coarse_grid = fine.grid, coarse.grid
        in_cm = to_centimetres(coarse, report), to_centimetres(fine, report)
        if in_cm[1] != 1.0:
            raise InvalidParameter(f"{prediction} is in {fine.unit()}", "give the stack that gwsa:predict wrote, in cm")
        values = coarse.read_months(months).astype(np.float64) * in_cm[0]
        tags = {"quantity": coarse.quantity or "groundwater storage anomaly", "baseline": coarse.baseline}
        filled = coarse.filled[coarse.positions(months)]
        preset = fine.metadata().get("GWSA_PRESET", "")
    if method == "spline" and preset == "recommended":
        report.warn("the prediction is detail, made to be closed exactly; the published spline leaves its means off")
    report.say(f"{describe_months(months)}, {factor} x {factor} fine pixels in a coarse cell")
    support = read_support(mascons, coarse_grid)
    used = None if mask is None else read_mask(mask, grid)
    job = _Job(Path(prediction), months, factor, grid.row_weights(), support, used)
    windows = plan_windows(grid, BYTES_PER_VALUE * months.size * max(workers, 1), memory_mb=memory_mb, multiple=factor)

    sums, areas, patterns = _predicted_sums(job, coarse_grid.shape, windows, workers, report.part(0, 0.4))
    # Cells without a coarse value take no part in a mascon's value.
    wanted = support_means_of_cells(*_weighted(values, areas), support)
    predicted = support_means_of_cells(sums, areas, support)
    residual = wanted - predicted
    empty = ~np.isfinite(residual).any(1)
    if empty.all():
        raise NoUsableData(
            f"no coarse value of {target} lies over a valid pixel of {prediction}",
            "check that both cover the same area and months",
        )
    if empty.any():
        report.warn(f"{empty.sum()} months have no coarse value and stay NoData: {list_months(months[empty])}")
    if method == "exact":
        correct = _exact(job, residual, patterns, grid.shape, report)
    else:
        with np.errstate(invalid="ignore", divide="ignore"):
            cell_residual = values - np.where(areas > 0, sums / areas, np.nan)
        correct = lambda window: spline_correction(cell_residual, factor, *window.slices)  # noqa: E731

    def corrected(window: Window) -> tuple[np.ndarray, np.ndarray]:
        result = (job.read(window) + correct(window)).astype(np.float32)
        result[empty] = np.nan
        return result, job.sums(result, window)[0]

    after_sums = np.zeros_like(sums)
    with ExitStack() as files:
        table = files.enter_context(replacing(closure)) if closure is not None else None
        writer = files.enter_context(
            create_stack(
                output,
                grid,
                months,
                **tags,
                filled=filled,
                step="correctresiduals",
                metadata={"GWSA_CORRECTION": method, "GWSA_SUPPORT": support.kind, "GWSA_PRESET": preset},
            )
        )
        for window, (result, part) in map_windows(
            corrected, windows, workers=workers, progress=report.part(0.45, 1.0), message="Correcting residuals"
        ):
            writer.write(result, window.row, window.column)
            after_sums[:, *window.coarsened(factor).slices] = part
        after = wanted - support_means_of_cells(after_sums, areas, support)
        after[empty] = np.nan
        if table is not None:
            table.write_text(_closure_table(months, support, residual, after), encoding="utf-8", newline="\n")
    skipped = np.isfinite(wanted_anywhere(values, support)) & ~np.isfinite(predicted).any(0)
    figures = _rmse(residual), _rmse(after), float(np.nanmax(np.abs(after)))
    if skipped.any():
        report.warn(f"{skipped.sum()} {support.kind} have no valid fine pixel and are passed over")
    report.say(f"Closure on {support.kind}: RMSE {figures[0]:.3g} cm before, {figures[1]:.3g} cm after")
    if method == "exact" and figures[2] > PROMISED_CM:
        report.warn(f"the largest closure error is {figures[2]:.2g} cm, more than the {PROMISED_CM} cm promised")
    return CorrectResidualsResult(
        Path(output),
        None if closure is None else Path(closure),
        support.kind,
        *figures,
        int(np.isfinite(residual).any(0).sum()),
        int(skipped.sum()),
        months[empty],
    )


def wanted_anywhere(values: np.ndarray, support: SupportMap) -> np.ndarray:
    """1 for supports that have a coarse value in some month, NaN for the others."""
    present = np.isfinite(values).any(0)[None].astype(float)
    return np.where(support_totals(present, support)[0] > 0, 1.0, np.nan)


def _weighted(values: np.ndarray, areas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    valid = np.isfinite(values)
    return np.where(valid, values, 0) * areas, np.where(valid, areas, 0)


def _rmse(difference: np.ndarray) -> float:
    return float(np.sqrt(np.nanmean(difference**2)))


def _predicted_sums(
    job: _Job, cells: tuple[int, int], windows: list[Window], workers: int, report: Reporter
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Sums and areas of all coarse cells, and for each month a name of its pattern of valid pixels."""
    sums, areas = np.zeros((2, job.months.size, *cells))
    digests = [hashlib.blake2b(digest_size=16) for _ in job.months]

    def gather(window: Window) -> tuple[np.ndarray, np.ndarray, list[bytes]]:
        values = job.read(window)
        # Patterns are told apart by coarse row, so that they do not depend on how the map is cut.
        patterns = [np.packbits(np.isfinite(month)).tobytes() for month in values]
        return *job.sums(values, window), patterns

    for window, (part, area, patterns) in map_windows(
        gather, windows, workers=workers, progress=report, message="Averaging the prediction"
    ):
        place = (slice(None), *window.coarsened(job.factor).slices)
        sums[place], areas[place] = part, area
        for digest, pattern in zip(digests, patterns, strict=True):
            digest.update(pattern)
    return sums, areas, [digest.hexdigest() for digest in digests]


def _exact(job: _Job, residual: np.ndarray, patterns: list[str], shape: tuple[int, int], report: Reporter):
    """Function that gives the exact correction of a window.

    Months whose valid pixels are the same share a closure; there is one for nearly every product.
    """
    labels = job.support.fine_labels(job.factor)
    closings: list[tuple[np.ndarray, Closure, SplineField]] = []
    names = np.array(patterns)
    everything = Window(0, 0, *shape)
    distinct = [name for name in dict.fromkeys(patterns)]
    for number, name in enumerate(distinct):
        months = np.flatnonzero((names == name) & np.isfinite(residual).any(1))
        report(0.4 + 0.05 * number / len(distinct), "Solving for the exact correction" if number == 0 else "")
        if not months.size:
            continue
        valid = np.isfinite(job.read(everything, job.months[months[:1]])[0])
        weights = valid * job.row_weights[:, None]

        def make(spacing: float, weights: np.ndarray = weights) -> Closure:
            return Closure(labels, weights, knot_spacing=spacing, n_supports=job.support.count)

        closings.append((months, *solve_closing(make, job.support.knot_spacing(job.factor), residual[months])))
    if len(closings) > 1:
        report.say(f"{len(closings)} patterns of valid pixels among the months, each closed on its own")

    def correct(window: Window) -> np.ndarray:
        out = np.full((job.months.size, window.rows, window.columns), np.nan)
        for months, closing, field in closings:
            out[months] = closing.evaluate(field, *window.slices)
        return out

    return correct


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

"""Residual correction: make the fine map's means agree with the coarse field (section 2.4, step 3)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidParameter, NoUsableData
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.heap import give_back
from gwsa_qgis.rasters.inspection import list_months
from gwsa_qgis.rasters.long_run import LongRun, long_run
from gwsa_qgis.rasters.raster import TILE, RasterWriter
from gwsa_qgis.rasters.stack import create_stack
from gwsa_qgis.rasters.windows import DEFAULT_MEMORY_MB, Window, map_spread, plan_windows
from gwsa_qgis.rasters.writing import replacing
from gwsa_qgis.science.closure import COASTS
from gwsa_qgis.science.closure_factors import MONTHS_AT_ONCE
from gwsa_qgis.science.closure_solvers import expected_bytes
from gwsa_qgis.science.interpolation import spline_correction
from gwsa_qgis.steps.residuals import (
    FACTORS_SHARE,
    Correction,
    CorrectionJob,
    ExactCorrection,
    Labels,
    Residuals,
    WindowCorrection,
    find_residuals,
    open_correction,
)
from gwsa_qgis.steps.support_map import SupportMap, support_means_of_cells

METHODS = ("exact", "spline", "none")
# One value as read, which is corrected in place, and a share of what one month at a time needs beside it in float64.
BYTES_PER_VALUE = 12
# Coarse arrays of a month, in float64: values, sums, areas, residuals and coefficients.
BYTES_PER_CELL = 120
# Windows in flight that the memory is shared by, whatever the workers: windows are then the same, and with them all bytes.
LANES = 6
# Shares of the memory for windows and for coarse arrays, beside those for factors.
WINDOWS_SHARE, COARSE_SHARE = 0.5, 0.25
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
        Largest absolute difference as written, cm: at most the tolerance, or 0.0001 cm.
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
    coast: str = "smooth",
    tolerance: float = 0.0,
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
    method : {"exact", "spline", "none"}
        "exact": the mean over each support equals the coarse value. "spline": a cubic spline through cell residuals, as
        published; means are then off by what the table says. "none": the prediction as it is, with its table.
    coast : {"smooth", "bounded"}
        "bounded" (of "exact") adds what supports with less than 30 % valid pixels still lack as a constant over each, so
        that a few pixels at a coast do not force a steep field; there is a step around them, and means are exact.
    tolerance : float
        How far means may stay from the coarse values (of "exact"), cm, where these are noisy: the smoothest correction
        within it is taken. 0 is exact.
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
    Months are corrected in parts, and each part window by window, within the memory. The closure is factorised whole
    where its factors (some 3 kB a coarse cell and 5 to 9 kB a support) fit in a quarter of the memory, and otherwise in
    overlapping windows, again for each part of the months: more memory is then quicker. With a tolerance the factors
    come on top of the memory up to 50,000 supports. Pixels of supports without a coarse value keep the smooth
    continuation of the correction around them. Pixel areas are weighted by cos(latitude) on geographic grids.
    """
    report = Reporter(progress)
    _check_options(method, coast, tolerance)
    job = open_correction(prediction, target, mascons, mask, report)
    if method != "exact" and job.preset == "recommended":
        report.warn("the prediction is detail, made to be closed exactly; without that its means are off")
    exact = ExactCorrection(job, coast, tolerance, memory_mb, workers) if method == "exact" else None
    figures = _Figures(job)
    tags = {"GWSA_CORRECTION": method, "GWSA_SUPPORT": job.support.kind, "GWSA_PRESET": job.preset}
    at_once, windows, tile = _plan(job, memory_mb)
    crew = workers, min(workers, LANES - 2)
    inputs = {"PREDICTION": prediction, "TARGET": target, "MASCONS": mascons, "MASK": mask}
    settings = {"method": method, "coast": coast, "tolerance": tolerance, "MEMORY": memory_mb}
    with long_run("correctresiduals", output, inputs, settings, report) as run:
        table = run.outputs.enter_context(replacing(closure)) if closure is not None else None
        stack = create_stack(
            Path(output), job.grid, job.months, **job.tags, step="correctresiduals", metadata=tags, tile=tile
        )
        writer = run.outputs.enter_context(stack)
        starts = range(0, job.months.size, at_once)
        for number, first in enumerate(starts):
            part = report.part(number / len(starts), (number + 1) / len(starts))
            months = job.months[first : first + at_once]
            found = find_residuals(job, run, months, windows, *crew, part.part(0.0, 0.4))
            correct = partial(_correction, method, exact, found, job, part.part(0.4, 0.45))
            after = _write(job, run, found, correct, writer, first, windows, crew, part.part(0.45, 1.0))
            figures.add(found, after, first)
            del found, correct, after  # before those of the next part are made
            give_back()
        figures.require(job)
        if table is not None:
            table.write_text(figures.table(job.months, job.support), encoding="utf-8", newline="\n")
    return _result(job, figures, exact, Path(output), closure, tolerance, report)


def _check_options(method: str, coast: str, tolerance: float) -> None:
    for name, value, known in (("method of correction", method, METHODS), ("coast", coast, COASTS)):
        if value not in known:
            raise InvalidParameter(f"the {name} is {value!r}", f"give one of {', '.join(known)}")
    if not (np.isfinite(tolerance) and tolerance >= 0):
        raise InvalidParameter(f"the tolerance is {tolerance} cm", "give 0 for exact means, or a positive number")
    if method != "exact" and (tolerance > 0 or coast != "smooth"):
        raise InvalidParameter(
            f"a tolerance or a bounded coast was asked of the method {method!r}", "give them with the method 'exact'"
        )


def _plan(job: CorrectionJob, memory_mb: float) -> tuple[int, list[Window], int]:
    """Months at once, windows for them, and the side of the output's tiles."""
    most = 1e6 * WINDOWS_SHARE * memory_mb
    tile = math.lcm(16, job.factor)
    tile = tile * max(TILE // tile, 1) if tile <= 2 * TILE else TILE
    per_month = LANES * BYTES_PER_VALUE
    step = tile if tile % job.factor == 0 and tile * tile * per_month <= most else job.factor
    fitting = most / per_month / (step * step * (1 if step == tile else 16))
    cells = job.support.labels.size
    fitting = min(fitting, 1e6 * COARSE_SHARE * memory_mb / (BYTES_PER_CELL * cells), job.months.size)
    if expected_bytes(cells, job.support.count) <= 1e6 * FACTORS_SHARE * memory_mb:
        # More months at once would only make windows smaller, whose edges are read again for each.
        fitting = min(fitting, MONTHS_AT_ONCE)
    months = max(int(fitting), 1)
    return months, plan_windows(job.grid, per_month * months, memory_mb=WINDOWS_SHARE * memory_mb, multiple=step), tile


def _correction(
    method: str, exact: ExactCorrection | None, found: Residuals, job: CorrectionJob, report: Reporter
) -> Correction:
    if exact is not None:
        return exact.solve(found, report)
    residual = found.of_cells() if method == "spline" else None
    return lambda window: partial(_add_spline, residual, job.factor, window)


def _add_spline(residual: np.ndarray | None, factor: int, window: Window, values: np.ndarray, _: Labels) -> None:
    """The correction of "spline", and of "none"."""
    if residual is not None:
        for layer, cells in zip(values, residual, strict=True):
            layer += spline_correction(cells, factor, *window.slices)


def _corrected(
    job: CorrectionJob, months: np.ndarray, empty: np.ndarray, item: tuple[Window, WindowCorrection]
) -> tuple[np.ndarray, np.ndarray]:
    """Corrected values of a window, and their sums over coarse cells."""
    window, correct = item
    result = job.read(window, months)
    correct(result, partial(job.support.fine_labels, job.factor, window))
    result[empty] = np.nan
    return result, job.sums(result, window)[0]


def _write(
    job: CorrectionJob,
    run: LongRun,
    found: Residuals,
    solve: Callable[[], Correction],
    writer: RasterWriter,
    first: int,
    windows: list[Window],
    crew: tuple[int, int],
    report: Reporter,
) -> np.ndarray:
    """Write the corrected months; give what is left of the residuals in the values as written."""

    def compute(todo: Sequence[Window], progress: Reporter) -> Iterator[tuple[Window, tuple[np.ndarray, np.ndarray]]]:
        correct = solve()

        corrected = partial(_corrected, job, found.months, found.empty)
        items = ((window, correct(window)) for window in todo)
        progress(0.0, "Correcting residuals")
        with closing(map_spread(corrected, items, *crew)) as results:
            for done, (window, result) in enumerate(zip(todo, results, strict=True), start=1):
                yield window, result
                progress(done / len(todo))

    sums, more = np.zeros_like(found.sums), found.months.size < job.months.size
    for window, (result, part) in run.results(f"months {first}", windows, compute, report, more=more):
        writer.write_window(result, window.row, window.column, first)
        sums[(slice(None), *window.coarsened(job.factor).slices)] = part
    after = found.wanted - support_means_of_cells(sums, found.areas, job.support)
    after[found.empty] = np.nan
    return after


class _Figures:
    """Closure before and after, by month and by support, added up over parts of the months."""

    def __init__(self, job: CorrectionJob) -> None:
        lengths = {"month": job.months.size, "support": job.support.count}
        # number, sums of squares before and after, largest difference after
        self.by = {name: np.zeros((4, length)) for name, length in lengths.items()}
        self.empty = np.zeros(job.months.size, bool)
        self.has_value, self.has_pixel = np.zeros((2, job.support.count), bool)

    def add(self, found: Residuals, after: np.ndarray, first: int) -> None:
        both = np.isfinite(found.residual) & np.isfinite(after)
        before, after = (np.where(both, difference, 0) for difference in (found.residual, after))
        months = slice(first, first + len(after))
        for axis, total in ((1, self.by["month"][:, months]), (0, self.by["support"])):
            total[:3] += [both.sum(axis), (before**2).sum(axis), (after**2).sum(axis)]
            total[3] = np.maximum(total[3], np.abs(after).max(axis))
        self.empty[months] = found.empty
        self.has_value |= found.has_value
        self.has_pixel |= found.has_pixel

    def require(self, job: CorrectionJob) -> None:
        if self.empty.all():
            raise NoUsableData(
                f"no coarse value lies over a valid pixel of {job.prediction}",
                "check that both cover the same area and months",
            )

    def overall(self) -> tuple[float, float, float]:
        """Root mean squares before and after, and the largest difference after."""
        count, before, after, _ = self.by["month"].sum(1)
        return float(np.sqrt(before / count)), float(np.sqrt(after / count)), float(self.by["month"][3].max())

    def table(self, months: np.ndarray, support: SupportMap) -> str:
        """CSV text: one row a month, then one a support."""
        lines = ["by,name,n,rmse_before_cm,rmse_after_cm,max_after_cm"]
        for kind, names, total in (
            ("month", months, self.by["month"]),
            (support.kind[:-1], support.names, self.by["support"]),
        ):
            for name, (count, before, after, largest) in zip(names, total.T, strict=True):
                if count:
                    figures = (np.sqrt(before / count), np.sqrt(after / count), largest)
                    lines.append(f"{kind},{name},{count:.0f}," + ",".join(f"{figure:.6g}" for figure in figures))
        return "\n".join(lines) + "\n"


def _result(
    job: CorrectionJob,
    figures: _Figures,
    exact: ExactCorrection | None,
    output: Path,
    closure: str | Path | None,
    tolerance: float,
    report: Reporter,
) -> CorrectResidualsResult:
    """Tell what was found, and give the figures."""
    empty, skipped = figures.empty, figures.has_value & ~figures.has_pixel
    if empty.any():
        report.warn(f"{empty.sum()} months have no coarse value and stay NoData: {list_months(job.months[empty])}")
    if skipped.any():
        report.warn(f"{skipped.sum()} {job.support.kind} have no valid fine pixel and are passed over")
    if exact is not None and len(exact.patterns) > 1:
        report.say(f"{len(exact.patterns)} patterns of valid pixels among the months, each closed on its own")
    before, after, largest = figures.overall()
    report.say(
        f"Closure on {job.support.kind}: RMSE {before:.3g} cm before, {after:.3g} cm after, at most {largest:.2g} cm"
    )
    if exact is not None and largest > tolerance + PROMISED_CM:
        report.warn(f"the largest closure error is {largest:.2g} cm, more than {tolerance + PROMISED_CM:g} cm promised")
    return CorrectResidualsResult(
        output,
        None if closure is None else Path(closure),
        job.support.kind,
        before,
        after,
        largest,
        int((figures.by["support"][0] > 0).sum()),
        int(skipped.sum()),
        job.months[empty],
    )

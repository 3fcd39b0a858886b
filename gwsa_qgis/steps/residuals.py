"""Residuals of a fine prediction against a coarse field, and the exact correction that they call for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.heap import give_back
from gwsa_qgis.rasters.inspection import describe_months
from gwsa_qgis.rasters.long_run import LongRun
from gwsa_qgis.rasters.masks import read_mask
from gwsa_qgis.rasters.stack import MonthlyStack, common_months
from gwsa_qgis.rasters.windows import Window, map_spread, plan_windows
from gwsa_qgis.science.bsplines import SplineSums, uniform_basis
from gwsa_qgis.science.closure import Closure, SplineField, support_pixels, valid_share
from gwsa_qgis.science.field_window import FieldWindow
from gwsa_qgis.steps.storage_units import to_centimetres
from gwsa_qgis.steps.support_map import (
    SupportMap,
    cell_sums,
    read_support,
    solve_closing,
    support_means_of_cells,
    support_totals,
)

# Windows in which the splines are averaged; always the same, so that sums are too, whatever the memory and the workers.
AVERAGING_MB = 32
AVERAGING_BYTES = 100
# Share of the memory that the factors of a closure may take.
FACTORS_SHARE = 0.25


# Gives the supports of a window's pixels.
Labels = Callable[[], np.ndarray]
# Adds a correction to the values (n_months, rows, columns) of a window; it is small, and may travel to a worker process.
# A correction gives one for each window.
WindowCorrection = Callable[[np.ndarray, Labels], None]
Correction = Callable[[Window], WindowCorrection]


@dataclass(frozen=True)
class CorrectionJob:
    """Checked inputs of a correction; what is large stays in the files.

    Attributes
    ----------
    grid : Grid
        The fine one.
    mask : Path or None
        Fine pixels to use.
    to_cm : float
        Factor of the coarse field.
    tags : dict
        What travels from the coarse field to the output: quantity, baseline, filled months.
    preset : str
        Preset of the prediction; empty when not known.
    """

    prediction: Path
    target: Path
    months: np.ndarray
    grid: Grid
    factor: int
    support: SupportMap
    mask: Path | None
    to_cm: float
    tags: dict
    preset: str

    def read(self, window: Window, months: np.ndarray) -> np.ndarray:
        """Prediction of a window, NaN where the mask excludes it."""
        with MonthlyStack(self.prediction) as stack:
            values = stack.read_months(months, *window.slices)
        if self.mask is not None:
            values[:, ~read_mask(self.mask, self.grid, *window.slices)] = np.nan
        return values

    def coarse(self, months: np.ndarray) -> np.ndarray:
        """Coarse field (n_months, rows, columns), cm."""
        with MonthlyStack(self.target) as stack:
            return stack.read_months(months).astype(np.float64) * self.to_cm

    def sums(self, values: np.ndarray, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Weighted sums and areas of the window's coarse cells."""
        return cell_sums(values, self.factor, self.grid.row_weights()[window.row_slice])


def open_correction(
    prediction: str | Path,
    target: str | Path,
    mascons: str | Path | None,
    mask: str | Path | None,
    report: Reporter,
) -> CorrectionJob:
    """Check the inputs of a correction and say what was found."""
    with MonthlyStack(prediction) as fine, MonthlyStack(target) as coarse:
        factor = fine.grid.factor_to(coarse.grid, str(prediction), str(target))
        months = common_months([fine, coarse])
        if months.size < fine.months.size:
            report.warn(f"only the months that the coarse field has are corrected, {describe_months(months)}")
        to_cm = to_centimetres(coarse, report)
        if to_centimetres(fine, report) != 1.0:
            raise InvalidParameter(f"{prediction} is in {fine.unit()}", "give the stack that gwsa:predict wrote, in cm")
        report.say(f"{describe_months(months)}, {factor} x {factor} fine pixels in a coarse cell")
        if mask is not None:
            read_mask(mask, fine.grid, slice(0, 1), slice(0, 1))
        return CorrectionJob(
            Path(prediction),
            Path(target),
            months,
            fine.grid,
            factor,
            read_support(mascons, coarse.grid),
            None if mask is None else Path(mask),
            to_cm,
            {
                "quantity": coarse.quantity or "groundwater storage anomaly",
                "baseline": coarse.baseline,
                "filled": coarse.filled[coarse.positions(months)],
            },
            fine.metadata().get("GWSA_PRESET", ""),
        )


@dataclass(frozen=True)
class Residuals:
    """What the coarse field says beyond the prediction's means, in some of the months.

    Attributes
    ----------
    months : (n_months,) datetime64[M]
    values : (n_months, coarse rows, coarse columns)
        Coarse field, cm.
    sums, areas : (n_months, coarse rows, coarse columns)
        Weighted sums of the prediction over coarse cells, and valid areas.
    patterns : list of str
        For each month a name of its pattern of valid pixels.
    wanted, residual : (n_months, n_supports)
        Coarse values of supports, and these less the prediction's means; NaN where either lacks.
    has_value, has_pixel : (n_supports,) bool
        Supports that have a coarse value, or a valid pixel, in some month.
    """

    months: np.ndarray
    values: np.ndarray
    sums: np.ndarray
    areas: np.ndarray
    patterns: list[str]
    wanted: np.ndarray
    residual: np.ndarray
    has_value: np.ndarray
    has_pixel: np.ndarray

    @property
    def empty(self) -> np.ndarray:
        """Months without any residual."""
        return ~np.isfinite(self.residual).any(1)

    def of_cells(self) -> np.ndarray:
        """Residuals of coarse cells, which the published spline goes through."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.values - np.where(self.areas > 0, self.sums / self.areas, np.nan)


def find_residuals(
    job: CorrectionJob,
    run: LongRun,
    months: np.ndarray,
    windows: list[Window],
    workers: int,
    threads: int,
    report: Reporter,
) -> Residuals:
    """Average the prediction of some months over supports, in one pass over the map."""
    values = job.coarse(months)
    sums, areas, patterns = run.once(
        f"sums {months[0]}", lambda: _predicted_sums(job, months, windows, workers, threads, report)
    )
    # Cells without a coarse value take no part in a mascon's value.
    known = np.isfinite(values)
    wanted = support_means_of_cells(np.where(known, values, 0) * areas, np.where(known, areas, 0), job.support)
    predicted = support_means_of_cells(sums, areas, job.support)
    has_value = support_totals(known.any(0)[None].astype(float), job.support)[0] > 0
    has_pixel = np.isfinite(predicted).any(0)
    return Residuals(
        months, values, sums, areas, [str(name) for name in patterns], wanted, wanted - predicted, has_value, has_pixel
    )


def _predicted_sums(
    job: CorrectionJob, months: np.ndarray, windows: list[Window], workers: int, threads: int, report: Reporter
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sums and areas of all coarse cells, and for each month a name of its pattern of valid pixels."""
    sums, areas = np.zeros((2, months.size, *job.support.grid.shape))
    digests = [hashlib.blake2b(digest_size=16) for _ in months]

    gathered = map_spread(partial(_gather, job, months), windows, workers, threads)
    report(0.0, "Averaging the prediction")
    for done, (window, found) in enumerate(zip(windows, gathered, strict=True), start=1):
        place = (slice(None), *window.coarsened(job.factor).slices)
        sums[place], areas[place] = found[:2]
        for digest, name in zip(digests, found[2], strict=True):
            digest.update(name)
        report(done / len(windows))
    return sums, areas, np.array([digest.hexdigest() for digest in digests])


def _gather(job: CorrectionJob, months: np.ndarray, window: Window) -> tuple[np.ndarray, np.ndarray, list[bytes]]:
    """Sums and areas of a window's coarse cells, and names of the patterns of its valid pixels."""
    values = job.read(window, months)
    names = [hashlib.blake2b(np.packbits(np.isfinite(month)).tobytes()).digest() for month in values]
    return *job.sums(values, window), names


class ExactCorrection:
    """The exact correction of one part of the months after the other.

    Months whose valid pixels are the same share a closure; there is one for nearly every product. The last one is kept
    for the months that follow, with every knot spacing that was tried.
    """

    def __init__(self, job: CorrectionJob, coast: str, tolerance: float, memory_mb: float, workers: int) -> None:
        self.job, self.coast, self.tolerance, self.workers = job, coast, tolerance, workers
        self.kept_mb = FACTORS_SHARE * memory_mb
        self.patterns: set[str] = set()
        self._name, self._closings = "", {}

    def solve(self, found: Residuals, report: Reporter) -> Correction:
        """Function that gives the correction of a window."""
        give_back()  # what reading the prediction has left
        parts: list[tuple[np.ndarray, Closure, SplineField]] = []
        names, usable = np.array(found.patterns), ~found.empty
        distinct = dict.fromkeys(names[usable])
        for number, name in enumerate(distinct):
            months = np.flatnonzero((names == name) & usable)
            report(number / len(distinct), "Solving for the exact correction" if number == 0 else "")
            parts.append((months, *self._close(name, found.months[months[:1]], found.residual[months])))
        self.patterns.update(distinct)
        give_back()

        def correct(window: Window) -> WindowCorrection:
            found = [
                (months, FieldWindow.of(field.spline, field.shift, closing.basis_y, closing.basis_x, *window.slices))
                for months, closing, field in parts
            ]
            return partial(_add_fields, found)

        return correct

    def _close(self, name: str, month: np.ndarray, residual: np.ndarray) -> tuple[Closure, SplineField]:
        """Closure for the valid pixels of a month, and the fields of all months that have the same."""
        if name != self._name:
            for closing in self._closings.values():
                closing.forget()  # its fields may still be wanted, its factors are not
            self._name, self._closings = name, {}

        def make(spacing: float) -> Closure:
            if spacing not in self._closings:
                self._closings[spacing] = self._build(month, spacing)
            self._closings[spacing].tolerance = 0.0
            return self._closings[spacing]

        closing, field = solve_closing(make, self.job.support.knot_spacing(self.job.factor), residual)
        if self.tolerance > 0:
            closing.tolerance = self.tolerance
            field = closing.solve(residual)
        return closing, field

    def _build(self, month: np.ndarray, spacing: float) -> Closure:
        """Closure for the valid pixels of a month, in one pass over the map."""
        job, count = self.job, self.job.support.count
        sums = SplineSums(*(uniform_basis(length, spacing) for length in job.grid.shape), count)
        part = partial(_spline_part, job, sums, month, self.coast == "bounded")
        windows = plan_windows(job.grid, AVERAGING_BYTES, memory_mb=AVERAGING_MB, multiple=job.factor)
        whole, valid = np.zeros((2, count), np.int64)
        parts: list[tuple] = []
        # All windows are at hand before the first is added: the sums travel to the workers as they are, without parts.
        for found, pixels in map_spread(part, windows, self.workers):
            parts.append(found)
            if pixels is not None:
                whole += pixels[0]
                valid += pixels[1]
        give_back()
        for found in parts:
            sums.add_part(found)
        share = valid_share(whole, valid) if self.coast == "bounded" else None
        return Closure.from_sums(sums, coast=self.coast, share=share, kept_mb=self.kept_mb)


def _add_fields(fields: list[tuple[np.ndarray, FieldWindow]], values: np.ndarray, labels: Labels) -> None:
    """Add fields to the months that each is of."""
    own = labels() if any(field.shift is not None for _, field in fields) else None
    for months, field in fields:
        for number, month in enumerate(months):
            values[month] += field.values(number, own)


def _spline_part(job: CorrectionJob, sums: SplineSums, month: np.ndarray, bounded: bool, window: Window) -> tuple:
    """A window's sums of splines over the pixels valid in a month, and with `bounded` the pixels of the supports."""
    labels = job.support.fine_labels(job.factor, window)
    weights = np.isfinite(job.read(window, month)[0]) * job.grid.row_weights()[window.row_slice][:, None]
    pixels = support_pixels(labels, weights, job.support.count) if bounded else None
    return sums.part(labels, weights, window.row, window.column), pixels

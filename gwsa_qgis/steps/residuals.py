"""Residuals of a fine prediction against a coarse field, and the exact correction that they call for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidParameter, NoUsableData
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.inspection import describe_months
from gwsa_qgis.rasters.masks import read_mask
from gwsa_qgis.rasters.stack import MonthlyStack, common_months
from gwsa_qgis.rasters.windows import Window, map_windows
from gwsa_qgis.science.closure import Closure, SplineField
from gwsa_qgis.steps.storage_units import to_centimetres
from gwsa_qgis.steps.support_map import (
    SupportMap,
    cell_sums,
    read_support,
    solve_closing,
    support_means_of_cells,
    support_totals,
)


@dataclass(frozen=True)
class CorrectionJob:
    """Checked inputs of a correction.

    Attributes
    ----------
    grid : Grid
        The fine one.
    values : (n_months, rows, columns) float64
        Coarse field, cm.
    mask : (rows, columns) bool or None
        Fine pixels to use.
    tags : dict
        What travels from the coarse field to the output: quantity, baseline, filled months.
    preset : str
        Preset of the prediction; empty when not known.
    """

    prediction: Path
    months: np.ndarray
    grid: Grid
    factor: int
    values: np.ndarray
    support: SupportMap
    mask: np.ndarray | None
    tags: dict
    preset: str

    def read(self, window: Window, months: np.ndarray | None = None) -> np.ndarray:
        """Prediction of a window, NaN where the mask excludes it."""
        with MonthlyStack(self.prediction) as stack:
            values = stack.read_months(self.months if months is None else months, *window.slices)
        if self.mask is not None:
            values[:, ~self.mask[window.slices]] = np.nan
        return values

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
        return CorrectionJob(
            Path(prediction),
            months,
            fine.grid,
            factor,
            coarse.read_months(months).astype(np.float64) * to_cm,
            read_support(mascons, coarse.grid),
            None if mask is None else read_mask(mask, fine.grid),
            {
                "quantity": coarse.quantity or "groundwater storage anomaly",
                "baseline": coarse.baseline,
                "filled": coarse.filled[coarse.positions(months)],
            },
            fine.metadata().get("GWSA_PRESET", ""),
        )


@dataclass(frozen=True)
class Residuals:
    """What the coarse field says beyond the prediction's means.

    Attributes
    ----------
    sums, areas : (n_months, coarse rows, coarse columns)
        Weighted sums of the prediction over coarse cells, and valid areas.
    patterns : list of str
        For each month a name of its pattern of valid pixels.
    wanted, residual : (n_months, n_supports)
        Coarse values of supports, and these less the prediction's means; NaN where either lacks.
    skipped : (n_supports,) bool
        Supports that have coarse values and no valid pixel.
    """

    sums: np.ndarray
    areas: np.ndarray
    patterns: list[str]
    wanted: np.ndarray
    residual: np.ndarray
    skipped: np.ndarray

    @property
    def empty(self) -> np.ndarray:
        """Months without any residual."""
        return ~np.isfinite(self.residual).any(1)

    def of_cells(self, values: np.ndarray) -> np.ndarray:
        """Residuals of coarse cells, which the published spline goes through."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return values - np.where(self.areas > 0, self.sums / self.areas, np.nan)


def find_residuals(job: CorrectionJob, windows: list[Window], workers: int, report: Reporter) -> Residuals:
    """Average the prediction over supports, in one pass over the map.

    Raises
    ------
    NoUsableData
        If no support has both a coarse value and a prediction.
    """
    sums, areas, patterns = _predicted_sums(job, windows, workers, report)
    # Cells without a coarse value take no part in a mascon's value.
    known = np.isfinite(job.values)
    wanted = support_means_of_cells(np.where(known, job.values, 0) * areas, np.where(known, areas, 0), job.support)
    predicted = support_means_of_cells(sums, areas, job.support)
    has_value = support_totals(known.any(0)[None].astype(float), job.support)[0] > 0
    found = Residuals(sums, areas, patterns, wanted, wanted - predicted, has_value & ~np.isfinite(predicted).any(0))
    if found.empty.all():
        raise NoUsableData(
            f"no coarse value lies over a valid pixel of {job.prediction}",
            "check that both cover the same area and months",
        )
    return found


def _predicted_sums(
    job: CorrectionJob, windows: list[Window], workers: int, report: Reporter
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Sums and areas of all coarse cells, and for each month a name of its pattern of valid pixels."""
    sums, areas = np.zeros((2, *job.values.shape))
    digests = [hashlib.blake2b(digest_size=16) for _ in job.months]

    def gather(window: Window) -> tuple[np.ndarray, np.ndarray, list[bytes]]:
        values = job.read(window)
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


def exact_correction(job: CorrectionJob, found: Residuals, report: Reporter) -> Callable[[Window], np.ndarray]:
    """Function that gives the exact correction of a window.

    Months whose valid pixels are the same share a closure; there is one for nearly every product.
    """
    residual, patterns = found.residual, found.patterns
    labels = job.support.fine_labels(job.factor)
    closings: list[tuple[np.ndarray, Closure, SplineField]] = []
    names = np.array(patterns)
    everything = Window(0, 0, *job.grid.shape)
    distinct = list(dict.fromkeys(patterns))
    for number, name in enumerate(distinct):
        months = np.flatnonzero((names == name) & np.isfinite(residual).any(1))
        report(number / len(distinct), "Solving for the exact correction" if number == 0 else "")
        if not months.size:
            continue
        valid = np.isfinite(job.read(everything, job.months[months[:1]])[0])
        weights = valid * job.grid.row_weights()[:, None]

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

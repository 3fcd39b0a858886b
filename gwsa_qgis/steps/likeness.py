"""How like its training a map is: dissimilarity of its pixels, and how detail grows from supports to pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from gwsa_qgis.months import calendar_month
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.long_run import LongRun
from gwsa_qgis.rasters.raster import RasterWriter
from gwsa_qgis.rasters.windows import LANES, Window, map_windows, plan_windows, put_thinned
from gwsa_qgis.science.error_budget import carry_over
from gwsa_qgis.steps.calibration import Calibration
from gwsa_qgis.steps.predict_inputs import FineFiles, Readers
from gwsa_qgis.steps.support_map import SupportMap

BANDS = ("dissimilarity index", "inside the area of applicability", "share of months inside")
# Of more than so many months compared, the variance of predictors is measured in every third.
CARRY_MONTHS, CARRY_EVERY = 6, 3


@dataclass(frozen=True)
class Likeness:
    """What one pass over the predictors found.

    Attributes
    ----------
    ratios : (n_predictors,) float64
        Variance of pixels about their support's mean, divided by that of the supports the model was trained on.
    carry : float
        Their mean: factor from the residual variance of supports to that of pixels.
    index, inside : ndarray
        Thinned maps: dissimilarity index, and 1 inside, 0 outside, NaN where there are no predictors.
    outside_share : float
        Share of the area outside.
    """

    ratios: np.ndarray
    carry: float
    index: np.ndarray
    inside: np.ndarray
    outside_share: float


def spread_months(months: np.ndarray, wanted: int) -> np.ndarray:
    """Some of the months, spread over the record and over the calendar.

    Parameters
    ----------
    wanted : int
        How many; 0 for all.
    """
    if wanted <= 0 or wanted >= months.size:
        return months
    calendar, chosen = calendar_month(months), set()
    for number in range(wanted):
        aim = (number + 0.5) * months.size / wanted
        # Steps of five months go through all of the calendar before one comes again.
        season = (calendar - 1 - 5 * number) % 12
        distance = np.abs(np.arange(months.size) - aim) + months.size * np.minimum(season, 12 - season)
        distance[list(chosen)] = np.inf
        chosen.add(int(distance.argmin()))
    return months[sorted(chosen)]


def find_likeness(
    run: LongRun,
    files: FineFiles,
    support: SupportMap,
    factor: int,
    calibration: Calibration,
    writer: RasterWriter | None,
    thin: int,
    memory_mb: float,
    workers: int,
    report: Reporter,
) -> Likeness:
    """Compare the predictors of `files.months` with those of the training, in one pass over the map.

    Parameters
    ----------
    run : LongRun
        Keeps what is finished.
    writer : RasterWriter or None
        Takes the bands `BANDS`.
    thin : int
        Every so many pixels are kept for the report's maps.
    """
    index, threshold = calibration.area.index(), calibration.area.threshold
    weights, number = files.grid.row_weights(), np.arange(files.months.size)
    measured = (number % CARRY_EVERY == 0) | (number.size <= CARRY_MONTHS)
    totals = _Variances(support, factor, len(files.names), int(measured.sum()))

    def compare(window: Window) -> tuple[np.ndarray, tuple]:
        bands = np.full((3, window.rows, window.columns), np.nan, np.float32)
        total, inside, count = np.zeros((3, window.rows, window.columns))
        labels, sums = support.fine_labels(factor, window), []
        with readers.borrow() as opened:
            static = opened.static(window)
            for month in range(files.months.size):
                moving, valid = opened.dynamic(window, slice(month, month + 1))
                valid = valid[0] & static.used
                table = _table(static.layers, moving, valid)
                found = index(table)
                total[valid] += found
                inside[valid] += found <= threshold
                count[valid] += 1
                if measured[month]:
                    scaled = (table - calibration.area.centre) / calibration.area.width
                    weight = np.broadcast_to(weights[window.row_slice][:, None], valid.shape)[valid]
                    sums.append(totals.part(scaled, labels[valid], weight))
        seen = count > 0
        bands[0][seen] = total[seen] / count[seen]
        bands[1][seen] = bands[0][seen] <= threshold
        bands[2][seen] = inside[seen] / count[seen]
        return bands, sums

    per_pixel = 12 * len(files.names) * 3 + 80
    windows = plan_windows(files.grid, per_pixel * LANES, memory_mb=0.7 * memory_mb, multiple=factor)
    maps = np.full((2, *(-(-side // thin) for side in files.grid.shape)), np.nan, np.float32)
    outside = known = 0.0
    with Readers(files) as readers:
        message = "Comparing the predictors with the training"
        each = partial(map_windows, compare, workers=workers, message=message)
        for window, (bands, sums) in run.results("likeness", windows, each, report):
            if writer is not None:
                writer.write(bands, window.row, window.column)
            totals.add(sums)
            put_thinned(maps, bands[:2], window, thin)
            area = np.isfinite(bands[1]) * weights[window.row_slice][:, None]
            known += area.sum()
            outside += (area * (bands[1] == 0)).sum()
    spread = calibration.spread / calibration.area.width**2
    variance = totals.variance()
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = np.where(spread > 0, variance / spread, np.nan)
    carry = carry_over(variance, spread, calibration.importances)
    return Likeness(ratios, carry, maps[0], maps[1], float(outside / known) if known else np.nan)


def _table(still: list[np.ndarray | None], moving: list[np.ndarray], valid: np.ndarray) -> np.ndarray:
    """Levels (n_samples, n_predictors) float64 of the valid pixels of a month, in the order of the predictors."""
    layers = iter(moving)
    columns = [next(layers)[0] if layer is None else layer for layer in still]
    return np.stack([layer[valid] for layer in columns], axis=1).astype(np.float64)


class _Variances:
    """Variance of pixels about their support's mean, added up over windows that may cut supports."""

    def __init__(self, support: SupportMap, factor: int, n_predictors: int, n_months: int) -> None:
        self._count, self._n = support.count, n_predictors
        # Whole cells lie in one window each: nothing of them is to be kept.
        self._whole = support.kind == "cells"
        self._sums = None if self._whole else np.zeros((n_months, 1 + 2 * n_predictors, self._count))
        self._square, self._area = np.zeros(n_predictors), 0.0

    def part(self, values: np.ndarray, labels: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Labels (k,) of a month's pixels, and sums (1 + 2 n, k): of weights, of values and of their squares."""
        inside = labels > 0
        names, place = np.unique(labels[inside], return_inverse=True)
        place, weight = place.ravel(), weight[inside]
        sums = np.empty((1 + 2 * self._n, names.size))
        sums[0] = np.bincount(place, weight, names.size)
        for number, column in enumerate(values[inside].T):
            sums[1 + number] = np.bincount(place, weight * column, names.size)
            sums[1 + self._n + number] = np.bincount(place, weight * column**2, names.size)
        return names, sums

    def add(self, parts: list[tuple[np.ndarray, np.ndarray]]) -> None:
        """Add what `part` gave for the months of a window."""
        for month, (names, sums) in enumerate(parts):
            if self._whole:
                self._finish(sums)
            else:
                self._sums[month][:, names - 1] += sums

    def _finish(self, sums: np.ndarray) -> None:
        area = sums[0]
        seen = area > 0
        first, second = sums[1 : 1 + self._n, seen], sums[1 + self._n :, seen]
        self._square += np.maximum(second - first**2 / area[seen], 0).sum(1)
        self._area += area.sum()

    def variance(self) -> np.ndarray:
        """Variance of each predictor, (n_predictors,)."""
        if self._sums is not None:
            for month in self._sums:
                self._finish(month)
            self._sums = None
        return self._square / self._area if self._area else np.full(self._n, np.nan)

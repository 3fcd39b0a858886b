"""The two stages of the SSA gap filling, for series that miss the same months."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gwsa_qgis.months import calendar_year
from gwsa_qgis.science.ssa_core import FillRun, fill, passes_low_frequency_test, reconstruct
from gwsa_qgis.science.ssa_record import Record, check_long_enough

BATCH = 256
"""Series that are decomposed together: enough that numpy's overhead is small, few enough to stay in cache."""


@dataclass(frozen=True)
class Reading:
    """Where the paper's text and the authors' program differ.

    Attributes
    ----------
    test_years : tuple of int
        Calendar years that are masked, one after the other, to score windows and modes.
    score_observed_only : bool
        Whether a masked year is scored on its observed months, or on all twelve with stage-a fills as truth.
    error_before_long_only : bool
        Whether the error of a reconstruction is taken over observations before the long gap, or over all.
    low_frequency_test : bool
        Whether that error counts only components that pass the low-frequency test, or all.
    """

    test_years: tuple[int, ...]
    score_observed_only: bool
    error_before_long_only: bool
    low_frequency_test: bool


@dataclass(frozen=True)
class Stages:
    """Windows (M, months) and numbers of modes (K) of both stages, and how errors are taken."""

    short_window: int
    short_modes: int
    long_windows: tuple[int, ...]
    long_modes: tuple[int, ...]
    reading: Reading

    @property
    def searches(self) -> bool:
        """Whether stage b has a choice to make."""
        return len(self.long_windows) * len(self.long_modes) > 1

    def check(self, record: Record) -> None:
        """Raise `NoUsableData` if the record is too short for the windows or has no year to test them on."""
        not_long = np.count_nonzero(~record.long)
        check_long_enough(not_long, "the record without its long gap", (self.short_window,), self.short_modes)
        if not record.long.any():
            return
        check_long_enough(record.long.size, "the record", self.long_windows, max(self.long_modes))
        if self.searches:
            record.test_years(self.reading.test_years, self.reading.score_observed_only)
            background = np.count_nonzero(record.background)
            check_long_enough(background, "the cross-validation", self.long_windows, max(self.long_modes))


@dataclass
class StageResults:
    """Results for b series; the names are those of `gwsa_qgis.science.ssa.SsaResult`."""

    filled: np.ndarray
    short_error: np.ndarray
    long_error: np.ndarray
    long_window: np.ndarray
    long_modes: np.ndarray
    short_passes: np.ndarray
    long_passes: np.ndarray

    @classmethod
    def empty(cls, filled: np.ndarray) -> StageResults:
        """Nothing done yet: errors NaN, window, modes and passes 0."""
        b = len(filled)
        counts = [np.zeros(b, dtype=int) for _ in range(4)]
        return cls(filled, np.full(b, np.nan), np.full(b, np.nan), *counts)


def fill_stages(series: np.ndarray, record: Record, stages: Stages, tick: Callable[[], None]) -> StageResults:
    """Run stage a, and stage b where the record has a long gap; `tick` is called between batches and may raise.

    Parameters
    ----------
    series : ndarray, shape (b, n)
        Series with NaN exactly where the record has no observation.
    record : Record
        The months of these series.
    stages : Stages
        What to do; `stages.check(record)` has passed.
    tick : callable
        Called often, to cancel.

    Returns
    -------
    StageResults
    """
    # An exact power of two brings every series to order one: no result changes, no square under- or overflows.
    exponent = np.frexp(np.nanmax(np.abs(series), axis=1))[1][:, None]
    results = StageResults.empty(np.ldexp(series, -exponent))
    _fill_short(results, record, stages)
    tick()
    if record.long.any():
        _fill_long(results, record, stages, tick)
    results.short_error = np.ldexp(results.short_error, exponent[:, 0])
    results.long_error = np.ldexp(results.long_error, exponent[:, 0])
    # The scaling is exact except for subnormal numbers; observations are handed back untouched in any case.
    results.filled = np.where(record.observed, series, np.ldexp(results.filled, exponent))
    return results


def _fill_short(results: StageResults, record: Record, stages: Stages) -> None:
    """Stage a: the months around the long gap joined together, one window and number of modes."""
    joined = ~record.long
    run = fill(
        results.filled[:, joined], record.short[joined], stages.short_window, stages.short_modes, keep_components=True
    )
    results.filled[:, record.short] = run.gap_values[:, -1]
    results.short_passes = run.passes[:, -1]
    counted = record.observed & record.before_long if stages.reading.error_before_long_only else record.observed
    results.short_error = _residual_deviation(results.filled[:, joined], run, counted[joined], stages.reading)


def _fill_long(results: StageResults, record: Record, stages: Stages, tick: Callable[[], None]) -> None:
    """Stage b: choose window and modes on masked years, then fill the long gap in the whole record."""
    if stages.searches:
        score, results.long_passes = _cross_validate(results.filled, record, stages, tick)
        flat = score.reshape(len(score), -1)
        best = flat.argmin(axis=1)  # the first of equal scores: smallest window index, then modes index
        results.long_error = flat[np.arange(len(flat)), best]
        window_index, modes_index = np.unravel_index(best, score.shape[1:])
    else:
        window_index = modes_index = np.zeros(len(results.filled), dtype=int)
    results.long_window = np.array(stages.long_windows)[window_index]
    results.long_modes = np.array(stages.long_modes)[modes_index]

    short_filled = results.filled.copy()
    for window in np.unique(results.long_window):
        rows = np.flatnonzero(results.long_window == window)
        modes = results.long_modes[rows]
        run = fill(short_filled[rows], record.long, window, modes, keep_components=not stages.searches)
        last = np.arange(rows.size), modes - 1
        results.filled[np.ix_(rows, np.flatnonzero(record.long))] = run.gap_values[last]
        results.long_passes[rows] += run.passes[last]
        tick()
    if not stages.searches:
        # Nothing was masked, so the error is that of stage a; the program counts stage-a fills as observations.
        only_before = stages.reading.error_before_long_only
        counted = record.observed & record.before_long if only_before else ~record.long
        results.long_error = _residual_deviation(short_filled, run, counted, stages.reading)


def _cross_validate(
    short_filled: np.ndarray, record: Record, stages: Stages, tick: Callable[[], None]
) -> tuple[np.ndarray, np.ndarray]:
    """Score of every window and number of modes on masked years of the background, and the passes spent.

    Returns
    -------
    score : ndarray, shape (b, number of windows, number of numbers of modes)
        Root of the mean over the years of the squared root-mean-square error of each masked year.
    passes : ndarray of int, shape (b,)
    """
    background = record.background
    series, observed = short_filled[:, background], record.observed[background]
    month_years = calendar_year(record.months[background])
    years = record.test_years(stages.reading.test_years, stages.reading.score_observed_only)
    masks = month_years == years[:, None]
    scored = masks & observed if stages.reading.score_observed_only else masks

    b, modes = len(series), np.array(stages.long_modes)
    squares = np.zeros((b, len(stages.long_windows), modes.size))
    passes = np.zeros(b, dtype=int)
    at_once = max(1, BATCH // b)  # few series: several years make one batch
    for i, window in enumerate(stages.long_windows):
        for start in range(0, len(years), at_once):
            batch = slice(start, start + at_once)
            n_masks = len(masks[batch])
            gap_of = np.repeat(np.arange(n_masks), b)
            run = fill(np.tile(series, (n_masks, 1)), masks[batch], window, modes.max(), gap_of=gap_of)
            fills = run.gap_values.reshape(n_masks, b, -1, run.gap_values.shape[2])
            for mask, score_at, fill_of_year in zip(masks[batch], scored[batch], fills, strict=True):
                error = (fill_of_year[:, modes - 1] - series[:, None, mask])[:, :, score_at[mask]]
                squares[:, i] += np.mean(error**2, axis=2)
            passes += run.passes[:, -1].reshape(n_masks, b).sum(axis=0)
            tick()
    return np.sqrt(squares / len(years)), passes


def _residual_deviation(series: np.ndarray, run: FillRun, counted: np.ndarray, reading: Reading) -> np.ndarray:
    """Sample standard deviation of series minus reconstruction of the run's last pass over the counted months."""
    eofs = run.eofs
    if reading.low_frequency_test:
        eofs = eofs * passes_low_frequency_test(eofs)[:, None, :]
    residual = series[:, counted] - reconstruct(run.decomposed, eofs)[:, counted]
    return np.std(residual, axis=1, ddof=1)

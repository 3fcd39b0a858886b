"""The two stages of the SSA gap filling, for series that miss the same months."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

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
    error_stretch_only : bool
        Whether the error of a reconstruction is taken over observations before the long gap, or over all.
    low_frequency_test : bool
        Whether that error counts only components that pass the low-frequency test, or all.
    """

    test_years: tuple[int, ...]
    score_observed_only: bool
    error_stretch_only: bool
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

    def check(self, record: Record, *, mask_years: bool = False) -> None:
        """Raise `NoUsableData` if the record is too short for the windows or has no year to test them on.

        With `mask_years` it must have such years even if there is nothing to choose between.
        """
        not_long = np.count_nonzero(~record.long)
        check_long_enough(not_long, "the record without its long gap", (self.short_window,), self.short_modes)
        if not record.long.any():
            return
        check_long_enough(record.long.size, "the record", self.long_windows, max(self.long_modes))
        if self.searches or mask_years:
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


@dataclass
class MaskedYears:
    """Whole years of the background, hidden one after the other, and what SSA made of them.

    Attributes
    ----------
    years : ndarray of int, shape (n_years,)
        The calendar years.
    masks, scored : ndarray of bool, shape (n_years, n_background)
        Hidden months of the background, and those of them that count.
    errors : ndarray, shape (b, n_years, n_windows, n_modes, 12), or None
        Fill less truth in the hidden months; NaN where a month does not count. None as long as nothing was filled.
    passes : ndarray of int, shape (b,), or None
        Decompositions spent.
    """

    years: np.ndarray
    masks: np.ndarray
    scored: np.ndarray
    errors: np.ndarray | None = None
    passes: np.ndarray | None = None

    @classmethod
    def of_record(cls, record: Record, reading: Reading) -> MaskedYears:
        """The years to hide.

        Raises
        ------
        NoUsableData
            If the record has none.
        """
        background = record.background
        years = record.test_years(reading.test_years, reading.score_observed_only)
        masks = calendar_year(record.months[background]) == years[:, None]
        return cls(years, masks, masks & record.observed[background] if reading.score_observed_only else masks)

    def squares(self) -> np.ndarray:
        """Mean squared error of each year, window and number of modes, shape (b, n_years, n_windows, n_modes)."""
        return np.nanmean(self.errors**2, axis=-1)


def fill_stages(
    series: np.ndarray, record: Record, stages: Stages, tick: Callable[[], None], *, mask_years: bool = False
) -> tuple[StageResults, MaskedYears | None]:
    """Run stage a, and stage b where the record has a long gap; `tick` is called between batches and may raise.

    Parameters
    ----------
    series : ndarray, shape (b, n)
        Series with NaN exactly where the record has no observation, of order one (squares must not overflow).
    record : Record
        The months of these series.
    stages : Stages
        What to do; `stages.check(record)` has passed.
    tick : callable
        Called often, to cancel.
    mask_years : bool
        Hide years even if there is nothing to choose between.

    Returns
    -------
    results : StageResults
    masked : MaskedYears or None
        None where no year was hidden.
    """
    results = StageResults.empty(series.copy())
    _fill_short(results, record, stages, tick)
    tick()
    masked = None
    if record.long.any():
        if stages.searches or mask_years:
            masked = hide_years(results.filled, record, stages, tick)
        _fill_long(results, record, stages, masked, tick)
    return results, masked


def _fill_short(results: StageResults, record: Record, stages: Stages, tick: Callable[[], None]) -> None:
    """Stage a: the months around the long gap joined together, one window and number of modes."""
    joined = ~record.long
    run = fill(
        results.filled[:, joined],
        record.short[joined],
        stages.short_window,
        stages.short_modes,
        keep_components=True,
        tick=tick,
    )
    results.filled[:, record.short] = run.gap_values[:, -1]
    results.short_passes = run.passes[:, -1]
    counted = record.observed & record.stretch if stages.reading.error_stretch_only else record.observed
    results.short_error = _residual_deviation(results.filled[:, joined], run, counted[joined], stages.reading)


def _fill_long(
    results: StageResults, record: Record, stages: Stages, masked: MaskedYears | None, tick: Callable[[], None]
) -> None:
    """Stage b: choose window and modes on masked years, then fill the long gap in the whole record."""
    if stages.searches:
        results.long_passes = masked.passes.copy()
        # Summed year by year, as the scores have always been: the order decides ties of rounding.
        score = np.sqrt(masked.squares().sum(axis=1) / len(masked.years))
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
        run = fill(short_filled[rows], record.long, window, modes, keep_components=not stages.searches, tick=tick)
        last = np.arange(rows.size), modes - 1
        results.filled[np.ix_(rows, np.flatnonzero(record.long))] = run.gap_values[last]
        results.long_passes[rows] += run.passes[last]
        tick()
    if not stages.searches:
        # Nothing was chosen, so the error is that of stage a; the program counts stage-a fills as observations.
        only_stretch = stages.reading.error_stretch_only
        counted = record.observed & record.stretch if only_stretch else ~record.long
        results.long_error = _residual_deviation(short_filled, run, counted, stages.reading)


def hide_years(short_filled: np.ndarray, record: Record, stages: Stages, tick: Callable[[], None]) -> MaskedYears:
    """Hide each test year in the background in turn, and fill it with every window and number of modes.

    Parameters are those of `fill_stages`, with short gaps filled.
    """
    found = MaskedYears.of_record(record, stages.reading)
    years, masks, scored = found.years, found.masks, found.scored
    series = short_filled[:, record.background]
    b, modes = len(series), np.array(stages.long_modes)
    errors = np.empty((b, len(years), len(stages.long_windows), modes.size, 12))
    passes = np.zeros(b, dtype=int)
    at_once = max(1, BATCH // b)  # few series: several years make one batch
    for i, window in enumerate(stages.long_windows):
        for start in range(0, len(years), at_once):
            batch = slice(start, start + at_once)
            n_masks = len(masks[batch])
            gap_of = np.repeat(np.arange(n_masks), b)
            run = fill(np.tile(series, (n_masks, 1)), masks[batch], window, modes.max(), gap_of=gap_of, tick=tick)
            fills = run.gap_values.reshape(n_masks, b, -1, run.gap_values.shape[2])
            for year, (mask, fill_of_year) in enumerate(zip(masks[batch], fills, strict=True), start):
                error = fill_of_year[:, modes - 1] - series[:, None, mask]
                errors[:, year, i] = np.where(scored[year, mask], error, np.nan)
            passes += run.passes[:, -1].reshape(n_masks, b).sum(axis=0)
            tick()
    return replace(found, errors=errors, passes=passes)


def _residual_deviation(series: np.ndarray, run: FillRun, counted: np.ndarray, reading: Reading) -> np.ndarray:
    """Sample standard deviation of series minus reconstruction of the run's last pass over the counted months."""
    eofs = run.eofs
    if reading.low_frequency_test:
        eofs = eofs * passes_low_frequency_test(eofs)[:, None, :]
    residual = series[:, counted] - reconstruct(run.decomposed, eofs)[:, counted]
    return np.std(residual, axis=1, ddof=1)

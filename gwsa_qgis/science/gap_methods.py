"""Filling the gaps of series that miss the same months: SSA, its plain rivals, or the combination of both."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields

import numpy as np

from gwsa_qgis.errors import NoUsableData
from gwsa_qgis.months import calendar_year
from gwsa_qgis.science.gap_baselines import fill_autoregressive, fill_harmonic, harmonic_model
from gwsa_qgis.science.hidden_months import METHODS, HiddenErrors, hide_long, hide_short
from gwsa_qgis.science.ssa_record import Record
from gwsa_qgis.science.ssa_stages import MaskedYears, Stages, fill_stages

NEED_SSA = ("ssa", "best")
FEWEST_MONTHS = 24
"""Observed months below which a line and yearly cycles would be a guess."""


@dataclass
class FilledSeries:
    """Results for b series; the names are those of `gwsa_qgis.science.ssa.SsaResult`."""

    filled: np.ndarray
    short_error: np.ndarray
    long_error: np.ndarray
    long_window: np.ndarray
    long_modes: np.ndarray
    short_passes: np.ndarray
    long_passes: np.ndarray
    hidden_short: np.ndarray
    hidden_long: np.ndarray
    short_share: np.ndarray
    long_share: np.ndarray
    too_short: np.ndarray

    @classmethod
    def empty(cls, filled: np.ndarray) -> FilledSeries:
        """Nothing done yet: errors and shares NaN, window, modes and passes 0."""
        b = len(filled)
        counts = [np.zeros(b, dtype=int) for _ in range(4)]
        rms = [np.full((b, len(METHODS)), np.nan) for _ in range(2)]
        return cls(filled, *np.full((2, b), np.nan), *counts, *rms, *np.full((2, b), np.nan), np.zeros(b, dtype=bool))


def check_record(record: Record, stages: Stages, method: str, compare: bool) -> None:
    """Raise `NoUsableData` if the record is too short for what `fill_record` shall do with it."""
    if compare or method in NEED_SSA:
        stages.check(record, mask_years=compare or method == "best")
    if compare or method != "ssa":
        observed = np.count_nonzero(record.observed)
        if observed < FEWEST_MONTHS:
            raise NoUsableData(
                f"the record has {observed} observed months, and a line with yearly cycles needs {FEWEST_MONTHS}",
                "give a longer record",
            )
        harmonic_model(record.months, record.observed)


def fill_record(
    series: np.ndarray, record: Record, stages: Stages, method: str, compare: bool, tick: Callable[[], None]
) -> FilledSeries:
    """Fill series by one of `METHODS`.

    Parameters
    ----------
    series : ndarray, shape (b, n)
        Series with NaN exactly where the record has no observation.
    record : Record
        The months of these series.
    stages : Stages
        Settings of SSA; `stages.check(record)` has passed.
    method : str
        One of `METHODS`. ``best`` takes w x SSA + (1 - w) x autoregressive, w from hidden months, series by series.
    compare : bool
        Hide months to find the errors of all methods; ``best`` does so in any case.
    tick : callable
        Called often, to cancel.

    Returns
    -------
    FilledSeries
        Errors are eps1 and eps2 for ``ssa``, and those of hidden months for all others.
    """
    # An exact power of two brings every series to order one: no result changes, no square under- or overflows.
    exponent = np.frexp(np.nanmax(np.abs(series), axis=1))[1][:, None]
    scaled = np.ldexp(series, -exponent)
    results = FilledSeries.empty(scaled.copy())
    results.short_share[:] = results.long_share[:] = 1.0
    needs_ssa = compare or method in NEED_SSA
    masked = None
    if needs_ssa:
        masked = _fill_by_ssa(results, scaled, record, stages, compare or method == "best", tick)
    elif record.long.any() and np.unique(calendar_year(record.months[record.background])).size >= 3:
        masked = MaskedYears.of_record(record, stages.reading)
    if compare or method != "ssa":
        short, long = _hide(scaled, results.filled, record, stages if needs_ssa else None, masked, tick)
        results.hidden_short, results.hidden_long = short.rms, long.rms
        _choose(results, scaled, record, method, short.share, long.share)
    results.short_share = np.where(record.short.any(), results.short_share, np.nan)
    results.long_share = np.where(record.long.any(), results.long_share, np.nan)
    for name in ("short_error", "long_error", "hidden_short", "hidden_long"):
        values = getattr(results, name)
        setattr(results, name, np.ldexp(values, exponent[:, 0] if values.ndim == 1 else exponent))
    # The scaling is exact except for subnormal numbers; observations are handed back untouched in any case.
    results.filled = np.where(record.observed, series, np.ldexp(results.filled, exponent))
    return results


def _fill_by_ssa(
    results: FilledSeries,
    series: np.ndarray,
    record: Record,
    stages: Stages,
    mask_years: bool,
    tick: Callable[[], None],
) -> MaskedYears | None:
    found, masked = fill_stages(series, record, stages, tick, mask_years=mask_years)
    for field in fields(found):
        setattr(results, field.name, getattr(found, field.name))
    return masked


def _hide(
    series: np.ndarray,
    filled: np.ndarray,
    record: Record,
    stages: Stages | None,
    masked: MaskedYears | None,
    tick: Callable[[], None],
) -> tuple[HiddenErrors, HiddenErrors]:
    """Errors in hidden months of both kinds of gaps, as far as the record has them and can test them."""
    short = long = HiddenErrors.unknown(len(series))
    # A record can be filled and yet have too few months to spare: then its errors stay unknown.
    if record.short.any():
        with suppress(NoUsableData):
            short = hide_short(series, record, stages)
        tick()
    if masked is not None:
        with suppress(NoUsableData):
            long = hide_long(filled, record, masked)
        tick()
    return short, long


def _choose(
    results: FilledSeries,
    series: np.ndarray,
    record: Record,
    method: str,
    short_share: np.ndarray,
    long_share: np.ndarray,
) -> None:
    """Put the wanted method's values and errors in the place of SSA's."""
    if method == "ssa":
        return
    if method == "harmonic":
        other, short_share, long_share = fill_harmonic(series, record.months, record.observed), 0.0, 0.0
    else:
        other = fill_autoregressive(series, record.months, record.observed)
        if method == "autoregressive":
            short_share = long_share = 0.0
    column = METHODS.index(method)
    for months, share, errors, name in (
        (record.short, short_share, results.hidden_short, "short"),
        (record.long, long_share, results.hidden_long, "long"),
    ):
        shares = np.broadcast_to(share, len(series))
        setattr(results, f"{name}_share", shares.copy())
        setattr(results, f"{name}_error", errors[:, column].copy())
        mixed = other[:, months]
        if method == "best":
            mixed += shares[:, None] * (results.filled[:, months] - mixed)
        results.filled[:, months] = mixed
    if method != "best":
        results.long_window[:] = results.long_modes[:] = 0

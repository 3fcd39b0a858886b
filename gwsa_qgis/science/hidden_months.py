"""What filling is worth: observed months are hidden as the real gaps hide them, filled by every method, and compared.

Long gaps are tested by hiding whole years, short ones by hiding the months of the gaps themselves moved along the
record. What is chosen on hidden months (window and modes of SSA, the shares of a combination) is always scored on
others: each group of hidden months is scored with the choice that all other groups lead to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gwsa_qgis.science.gap_baselines import fill_autoregressive, fill_harmonic
from gwsa_qgis.science.ssa_core import fill as fill_ssa
from gwsa_qgis.science.ssa_record import Record
from gwsa_qgis.science.ssa_stages import MaskedYears, Stages

METHODS = ("ssa", "harmonic", "autoregressive", "best")
"""Order of the methods in the errors of hidden months."""
SSA, HARMONIC, AUTOREGRESSIVE, BEST = range(4)
BASELINES = (fill_harmonic, fill_autoregressive)

PRIOR_SHARE, PRIOR_STRENGTH = 0.25, 0.25
"""Share of SSA in a combination before anything is known of a series, and what that counts beside the evidence of its
hidden months. From 120 synthetic series; the errors hardly depend on either between half and twice these values."""

LARGEST_SHARE = 0.5
"""Limit of the share: SSA can fail badly in a year unlike the others, which the hidden years need not show. It costs
nothing on average (0.1 % on the same series)."""

SHIFTS = 6
"""How many times the pattern of short gaps is moved to test their filling."""
LARGEST_SHIFT = 24  # months


@dataclass
class HiddenErrors:
    """Errors of every method in hidden months of b series.

    Attributes
    ----------
    rms : ndarray, shape (b, 4)
        Root mean square error by method, in the order of `METHODS`; NaN where nothing could be hidden.
    share : ndarray, shape (b,)
        Share of SSA in the combination that the hidden months lead to; the rest is autoregressive.
    """

    rms: np.ndarray
    share: np.ndarray

    @classmethod
    def unknown(cls, b: int) -> HiddenErrors:
        """Nothing was hidden."""
        return cls(np.full((b, len(METHODS)), np.nan), np.full(b, PRIOR_SHARE))


def hide_long(short_filled: np.ndarray, record: Record, masked: MaskedYears) -> HiddenErrors:
    """Errors of hidden years.

    Parameters
    ----------
    short_filled : ndarray, shape (b, n)
        Series with their short gaps filled; the baselines look at observed months alone.
    record : Record
        The months of the series.
    masked : MaskedYears
        The hidden years; where SSA has not filled them, only the baselines are scored.
    """
    background = record.background
    series, months, observed = short_filled[:, background], record.months[background], record.observed[background]
    plain = np.empty((2, len(series), len(masked.years), 12))
    for year, mask in enumerate(masked.masks):
        counts = masked.scored[year, mask]
        for method, fill in enumerate(BASELINES):
            error = (fill(series, months, observed & ~mask) - series)[:, mask]
            plain[method, :, year] = np.where(counts, error, np.nan)
    if masked.errors is None:
        return _score(None, *plain)
    return _score(masked.errors.reshape(len(series), len(masked.years), -1, 12), *plain)


def hide_short(series: np.ndarray, record: Record, stages: Stages | None) -> HiddenErrors:
    """Errors of months hidden as the short gaps are, at other places of the stretch.

    Parameters
    ----------
    series : ndarray, shape (b, n)
        The series as observed.
    record : Record
        The months of the series.
    stages : Stages or None
        Window and modes of stage a; without them only the baselines are scored.
    """
    masks = shifted_gaps(record)
    if not len(masks):
        return HiddenErrors.unknown(len(series))
    joined = ~record.long
    errors = np.full((3, len(series), len(masks), masks.sum(axis=1).max()), np.nan)
    for number, mask in enumerate(masks):
        hidden, seen, gaps = np.where(mask, np.nan, series), record.observed & ~mask, record.short | mask
        fills = [np.full_like(series, np.nan), *(fill(hidden, record.months, seen) for fill in BASELINES)]
        if stages is not None:
            run = fill_ssa(hidden[:, joined], gaps[joined], stages.short_window, stages.short_modes)
            fills[SSA][:, gaps] = run.gap_values[:, -1]
        for method, filled in enumerate(fills):
            errors[method, :, number, : mask.sum()] = (filled - series)[:, mask]
    return _score(errors[SSA][:, :, None] if stages is not None else None, *errors[1:])


def shifted_gaps(record: Record) -> np.ndarray:
    """Masks (n_shifts, n) of observed months of the stretch: the short gaps, moved, without touching a real gap."""
    missing = ~record.observed
    near_gap = missing | np.roll(missing, 1) | np.roll(missing, -1)
    places = np.flatnonzero(record.short)
    runs = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
    masks, counts = [], []
    for distance in range(1, LARGEST_SHIFT + 1):
        for shift in (distance, -distance):
            mask = np.zeros(missing.size, dtype=bool)
            for run in runs:
                moved = run + shift
                if moved.size and moved[0] > 0 and moved[-1] < missing.size - 1:
                    mask[moved] = bool(record.stretch[moved].all() and not near_gap[moved].any())
            masks.append(mask)
            counts.append(mask.sum())
    best = np.argsort(-np.array(counts), kind="stable")[:SHIFTS]
    return np.array([masks[i] for i in sorted(best) if counts[i]], dtype=bool).reshape(-1, missing.size)


def combination_share(ssa: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Share w of SSA that minimises the squared errors of w x SSA + (1 - w) x other, drawn towards `PRIOR_SHARE`.

    Parameters
    ----------
    ssa, other : ndarray, shape (..., n_groups, n)
        Errors of both; NaN does not count. Every group counts the same, whatever its size of errors.

    Returns
    -------
    ndarray, shape (...)
        Between 0 and `LARGEST_SHARE`.
    """
    products, squares = _share_sums(ssa, other)
    return _share(products.sum(axis=-1), squares.sum(axis=-1))


def _share_sums(ssa: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each group, products and squares whose sums over groups give the least-squares share."""
    difference = np.nan_to_num(ssa - other)
    wanted = np.nan_to_num(-other)
    size = np.einsum("...t,...t->...", difference, difference) + np.einsum("...t,...t->...", wanted, wanted)
    scale = np.divide(1.0, size, out=np.zeros_like(size), where=size > 0)
    products = np.einsum("...t,...t->...", difference, wanted) * scale
    return products, np.einsum("...t,...t->...", difference, difference) * scale


def _share(products: np.ndarray, squares: np.ndarray) -> np.ndarray:
    known = squares > 0
    total = squares * (1 + PRIOR_STRENGTH)
    share = (products + PRIOR_STRENGTH * PRIOR_SHARE * squares) / np.where(known, total, 1.0)
    return np.where(known, np.clip(share, 0.0, LARGEST_SHARE), PRIOR_SHARE)


def _score(candidates: np.ndarray | None, harmonic: np.ndarray, autoregressive: np.ndarray) -> HiddenErrors:
    """Scores with nested choices, from errors by group of hidden months.

    Parameters
    ----------
    candidates : ndarray, shape (b, n_groups, n_candidates, n), or None
        Errors of SSA with every window and number of modes.
    harmonic, autoregressive : ndarray, shape (b, n_groups, n)
    """
    found = HiddenErrors.unknown(len(harmonic))
    found.rms[:, HARMONIC], found.rms[:, AUTOREGRESSIVE] = _rms(harmonic), _rms(autoregressive)
    if candidates is None:
        return found
    rows, groups = (np.arange(size) for size in candidates.shape[:2])
    squares = np.nanmean(candidates**2, axis=-1)
    total = squares.sum(axis=1, keepdims=True)
    ssa = candidates[rows[:, None], groups[None, :], (total - squares).argmin(axis=2)]
    # For the shares that score group g: SSA in group k as chosen on all groups but g and k.
    without_two = total[:, None] - squares[:, :, None] - squares[:, None]
    inner = candidates[rows[:, None, None], groups[None, None, :], without_two.argmin(axis=3)]
    products, weights = _share_sums(inner, autoregressive[:, None])
    other = ~np.eye(groups.size, dtype=bool)
    shares = _share((products * other).sum(axis=2), (weights * other).sum(axis=2))[..., None]
    found.rms[:, SSA] = _rms(ssa)
    found.rms[:, BEST] = _rms(shares * ssa + (1 - shares) * autoregressive)
    found.share = combination_share(ssa, autoregressive)
    return found


def _rms(errors: np.ndarray) -> np.ndarray:
    """Root of the mean over groups of the mean square of each, shape (b,)."""
    return np.sqrt(np.nanmean(errors**2, axis=-1).mean(axis=1))

"""Theil-Sen slope: the exact median of the slopes of all pairs of months, with Gilbert's confidence limits.

A series of 225 months has 25,200 pair slopes. Sorting them all is avoided: a sample of them brackets the wanted
one, and only the slopes inside the bracket are computed. Those below the bracket's edge b are counted without
computing them, since the slope of a pair is below b exactly where the later value of y - b t is the lower.
Where the bracket misses, which the counts show, all slopes are sorted: the result is always the exact one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.science.ranks import count_inversions, kendall_variance, ordinal_ranks, tie_sums, usable_blocks

SAMPLE_PAIRS = 512
NEIGHBOURS = 16
FEWEST_PAIRS = 4096
FULL_BYTES = 8 * 2**20


@dataclass(frozen=True)
class TheilSen:
    """Theil-Sen lines of many series; NaN where a series has too few months.

    Attributes
    ----------
    slope : ndarray, shape (n_series,)
        Median pair slope (Eq. 22 of the paper), unit of the series per month.
    intercept : ndarray, shape (n_series,)
        Median of the values minus slope times median of the months, which count from 0.
    lower, upper : ndarray, shape (n_series,)
        Confidence limits of the slope; NaN where none were asked for.
    """

    slope: np.ndarray
    intercept: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def theil_sen(
    series: np.ndarray,
    *,
    confidence: float | None = 0.95,
    variance_factor: np.ndarray | float = 1.0,
    minimum_share: float = 0.0,
) -> TheilSen:
    """Theil-Sen slope and intercept of each series, with confidence limits of the slope.

    Parameters
    ----------
    series : ndarray, shape (n_series, n_months)
        Monthly values, any unit; NaN or infinite values are missing. Pairs with a missing month are left out.
    confidence : float, optional
        Two-sided confidence of the limits. None leaves them out, which is several times faster.
    variance_factor : float or ndarray, shape (n_series,)
        What serial correlation multiplies the variance of Kendall's S with (`MannKendall.variance_factor`).
    minimum_share : float
        Series with a smaller share of valid months give NaN, and so do those with fewer than 4.

    Returns
    -------
    TheilSen

    Raises
    ------
    InvalidParameter
        If the series are not two-dimensional, or the confidence or the share is out of range.

    References
    ----------
    Sen, P. K. (1968), doi:10.1080/01621459.1968.10480934; Eq. 22 of the paper. Limits: Gilbert, R. O. (1987),
    Statistical Methods for Environmental Pollution Monitoring, section 16.5, at the ranks (N - C)/2 and (N + C)/2 + 1
    rounded, C the normal quantile times the tie-corrected standard deviation of S.
    """
    if confidence is not None and not 0.0 < confidence < 1.0:
        raise InvalidParameter(f"the confidence is {confidence}", "give a number between 0 and 1, such as 0.95")
    series = np.asarray(series)
    n_series = series.shape[0] if series.ndim else 0
    factor = np.broadcast_to(np.asarray(variance_factor, np.float64), (n_series,))
    slope, intercept, lower, upper = (np.full(n_series, np.nan) for _ in range(4))
    for rows, values, times in usable_blocks(series, minimum_share):
        n_pairs = values.shape[1] * (values.shape[1] - 1) // 2
        middle = np.full((rows.size, 1), (n_pairs - 1) // 2)
        ranks = middle if confidence is None else np.hstack([middle, limit_ranks(values, confidence, factor[rows])])
        spans = [n_pairs // 2 - (n_pairs - 1) // 2] + [0] * (ranks.shape[1] - 1)
        selected = select_pair_slopes(values, times, ranks, spans)
        slope[rows] = selected[:, 0]
        intercept[rows] = np.median(values, axis=1) - np.median(times, axis=1) * selected[:, 0]
        if confidence is not None:
            known = np.isfinite(factor[rows])
            lower[rows] = np.where(known, selected[:, 1], np.nan)
            upper[rows] = np.where(known, selected[:, 2], np.nan)
    return TheilSen(slope, intercept, lower, upper)


def limit_ranks(values: np.ndarray, confidence: float, variance_factor: np.ndarray) -> np.ndarray:
    """Ranks from 0, shape (n_block, 2), of the pair slopes that are Gilbert's lower and upper limit."""
    from scipy.special import ndtri

    n_values = values.shape[1]
    n_pairs = n_values * (n_values - 1) // 2
    variance = kendall_variance(n_values, tie_sums(values)[1]) * np.nan_to_num(variance_factor, nan=1.0)
    half_range = ndtri(0.5 + confidence / 2.0) * np.sqrt(variance)
    lower = np.round((n_pairs - half_range) / 2.0).astype(np.int64) - 1
    upper = np.round((n_pairs + half_range) / 2.0).astype(np.int64)
    return np.column_stack([np.maximum(lower, 0), np.minimum(upper, n_pairs - 1)])


def select_pair_slopes(values: np.ndarray, times: np.ndarray, ranks: np.ndarray, spans: list[int]) -> np.ndarray:
    """The pair slopes of given rank of each series.

    Parameters
    ----------
    values, times : ndarray, shape (n_block, n_valid)
        Complete series and their months, as `usable_blocks` cuts them.
    ranks : ndarray of int, shape (n_block, n_wanted)
        Ranks from 0, per series and wanted slope.
    spans : list of int, length n_wanted
        0 for the slope of that rank, 1 for the mean of it and the next.

    Returns
    -------
    ndarray, shape (n_block, n_wanted)
    """
    constant = values.min(axis=1) == values.max(axis=1)
    selected = np.zeros(ranks.shape)
    n_pairs = values.shape[1] * (values.shape[1] - 1) // 2
    open_rows = np.flatnonzero(~constant)
    if n_pairs <= FEWEST_PAIRS:
        selected[open_rows] = _select_from_all(values[open_rows], times[open_rows], ranks[open_rows], spans)
        return selected
    varied, varied_times = values[open_rows], times[open_rows]
    earlier, later = _sampled_pairs(values.shape[1])
    sample = (varied[:, later] - varied[:, earlier]) / (varied_times[:, later] - varied_times[:, earlier])
    sample.sort(axis=1)
    for wanted, span in enumerate(spans):
        rank = ranks[open_rows, wanted]
        found = _select_by_bracket(varied, varied_times, rank, span, sample)
        missed = np.flatnonzero(np.isnan(found))
        if missed.size:
            found[missed] = _select_from_all(varied[missed], varied_times[missed], rank[missed, None], [span])[:, 0]
        selected[open_rows, wanted] = found
    return selected


@lru_cache(maxsize=64)
def _sampled_pairs(n_values: int) -> tuple[np.ndarray, np.ndarray]:
    """A fixed random sample of the pairs (earlier, later)."""
    earlier, later = np.triu_indices(n_values, 1)
    chosen = np.random.default_rng(0).choice(earlier.size, SAMPLE_PAIRS, replace=False)
    return earlier[chosen], later[chosen]


def _select_by_bracket(
    values: np.ndarray, times: np.ndarray, rank: np.ndarray, span: int, sample: np.ndarray
) -> np.ndarray:
    """Select one pair slope per series inside a bracket from the sample; NaN where the bracket missed it."""
    n_block, n_values = values.shape
    n_pairs = n_values * (n_values - 1) // 2
    guess, width = _guess_by_counting(values, times, rank, sample)
    steepest = (values.max(axis=1) - values.min(axis=1)) * 1.001
    low, high = np.maximum(guess - width, -steepest), np.minimum(guess + width, steepest)
    # Rounding of y - b t may put a pair whose slope is within `blur` of an edge on its wrong side.
    span_of_time = times[:, -1]
    blur = 16 * np.finfo(np.float64).eps * (np.abs(values).max(axis=1) + np.maximum(-low, high) * span_of_time)
    low, high = low - 4 * blur, high + 4 * blur
    low_ranks = ordinal_ranks(values - low[:, None] * times)
    high_ranks = ordinal_ranks(values - high[:, None] * times)
    below = count_inversions(low_ranks)
    first, second, column = _pairs_between(low_ranks, high_ranks)
    inside = np.bincount(column, minlength=n_block)
    target = rank - below
    usable = (target >= 0) & (target + span < inside) & (inside <= n_pairs // 6)
    result = np.full(n_block, np.nan)
    if not usable.any():
        return result
    if not usable.all():
        kept = usable[column]
        first, second, column = first[kept], second[kept], column[kept]
        inside = np.where(usable, inside, 0)
        target = np.where(usable, target, 0)
    flat_values, flat_times = values.T.ravel(), times.T.ravel()
    slopes = (flat_values[second] - flat_values[first]) / (flat_times[second] - flat_times[first])
    # Each row is padded with -inf on the left, so that the wanted slope has the same place in all of them.
    place = int(target.max())
    padding = place - target
    table = np.full((n_block, int((padding + inside).max()) + 1), np.inf)
    table[np.arange(table.shape[1]) < padding[:, None]] = -np.inf
    starts = np.cumsum(inside) - inside
    table[column, np.arange(column.size) - (starts - padding)[column]] = slopes
    table.partition([place, place + span], axis=1)
    found = (table[:, place] + table[:, place + span]) / 2 if span else table[:, place]
    safe = usable & (table[:, place] > low + blur) & (table[:, place + span] < high - blur)
    result[safe] = found[safe]
    return result


def _guess_by_counting(
    values: np.ndarray, times: np.ndarray, rank: np.ndarray, sample: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Guess the slope of a rank from the ordered sample, and how far off the guess may be.

    Counting the slopes below a guess tells by how many ranks it is off; the sample tells how far to go for them.
    """
    n_pairs = values.shape[1] * (values.shape[1] - 1) // 2
    row = np.arange(values.shape[0])
    per_sample = n_pairs / SAMPLE_PAIRS
    position = rank / per_sample
    for _ in range(2):
        position = np.clip(np.round(position), 0, SAMPLE_PAIRS - 1).astype(np.int64)
        guess = sample[row, position]
        off = (rank - count_inversions(ordinal_ranks(values - guess[:, None] * times))) / per_sample
        last, position = position, position + off
    # What is still off is small, so that the spacing of the neighbours in the sample is enough to go there.
    before, after = np.maximum(last - NEIGHBOURS, 0), np.minimum(last + NEIGHBOURS, SAMPLE_PAIRS - 1)
    per_position = (sample[row, after] - sample[row, before]) / (after - before)
    return guess + off * per_position, per_position * (0.7 * np.abs(off) + 2.5)


def _pairs_between(low_ranks: np.ndarray, high_ranks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs with slopes between the two edges, ordered by series.

    Returns flat indices, into arrays of shape (n_values, n_block), of the earlier and the later member, and the
    series of each pair.
    """
    low_by_time, high_by_time = np.ascontiguousarray(low_ranks.T), np.ascontiguousarray(high_ranks.T)
    n_values, n_block = low_by_time.shape
    above_low, below_high = np.empty(low_by_time.shape, bool), np.empty(low_by_time.shape, bool)
    found = []
    for lag in range(1, n_values):
        np.greater(low_by_time[lag:], low_by_time[:-lag], out=above_low[lag:])
        np.less(high_by_time[lag:], high_by_time[:-lag], out=below_high[lag:])
        np.logical_and(above_low[lag:], below_high[lag:], out=above_low[lag:])
        found.append(np.flatnonzero(above_low[lag:]).astype(np.int32))
    first = np.concatenate(found)
    later_by = np.repeat(np.arange(1, n_values, dtype=np.int32) * n_block, [part.size for part in found])
    column = (first % n_block).astype(np.uint16)
    order = np.argsort(column, kind="stable")
    first = first[order]
    return first, first + later_by[order], column[order].astype(np.int64)


def _select_from_all(values: np.ndarray, times: np.ndarray, ranks: np.ndarray, spans: list[int]) -> np.ndarray:
    """Select from all pair slopes: for short series, and for those with so many equal slopes that brackets fail."""
    selected = np.empty(ranks.shape)
    earlier, later = np.triu_indices(values.shape[1], 1)
    step = max(1, FULL_BYTES // (8 * earlier.size))
    for start in range(0, values.shape[0], step):
        part = slice(start, start + step)
        slopes = values[part][:, later] - values[part][:, earlier]
        slopes /= times[part][:, later] - times[part][:, earlier]
        upper = ranks[part] + np.array(spans)
        places = np.unique(np.concatenate([ranks[part].ravel(), upper.ravel()]))
        if places.size <= 2:
            slopes.partition(places, axis=1)
        else:
            slopes.sort(axis=1)
        first, second = np.take_along_axis(slopes, ranks[part], axis=1), np.take_along_axis(slopes, upper, axis=1)
        selected[part] = np.where(np.array(spans) > 0, (first + second) / 2, first)
    return selected

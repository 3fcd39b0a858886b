"""Ranks, ties and inversions of many series at once: the counting that Mann-Kendall and Theil-Sen share."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gwsa_qgis.errors import InvalidParameter

SMALLEST_COUNT = 4
# Ranks, buffer and counts of a block of 225 months fit a core's second-level cache; what is kept of the pairs of a
# block of longer series stays as small.
BLOCK_SERIES = 256
BLOCK_PAIRS = 2**24


def usable_blocks(
    series: np.ndarray, minimum_share: float = 0.0
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Cut series into blocks of equally many valid months, with the holes closed up.

    Parameters
    ----------
    series : ndarray, shape (n_series, n_months)
        Values; what is not finite is missing.
    minimum_share : float
        Series with a smaller share of valid months, or fewer than 4 of them, are in no block.

    Yields
    ------
    rows : ndarray of int, shape (n_block,)
        Which series these are.
    values : ndarray, shape (n_block, n_valid), float64
        Their valid values in order of time.
    times : ndarray, shape (n_block, n_valid), float64
        The month of each value, counted from 0.

    Raises
    ------
    InvalidParameter
        If the series are not two-dimensional or the share is not between 0 and 1.
    """
    if series.ndim != 2:
        raise InvalidParameter(f"the series have {series.ndim} dimensions", "give an array (n_series, n_months)")
    if not 0.0 <= minimum_share <= 1.0:
        raise InvalidParameter(f"the minimum share of valid months is {minimum_share}", "give a share from 0 to 1")
    months = series.shape[1]
    block = max(1, min(BLOCK_SERIES, BLOCK_PAIRS // max(1, months**2)))
    fewest = max(SMALLEST_COUNT, int(np.ceil(minimum_share * months)))
    counts = np.isfinite(series).sum(axis=1)
    for count in np.unique(counts[counts >= fewest]):
        of_count = np.flatnonzero(counts == count)
        for start in range(0, of_count.size, block):
            rows = of_count[start : start + block]
            values = np.asarray(series[rows], np.float64)
            if count == months:
                times = np.broadcast_to(np.arange(months, dtype=np.float64), values.shape)
            else:
                valid = np.isfinite(values)
                times = np.nonzero(valid)[1].reshape(rows.size, count).astype(np.float64)
                values = values[valid].reshape(rows.size, count)
            yield rows, values, times


def ordinal_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 0 within each row; equal values are ranked in order of time, so a tie is never an inversion."""
    order = np.argsort(values, axis=1, kind="stable")
    # One byte per rank, where it suffices, lets each instruction compare 32 pairs.
    ranks = np.empty(values.shape, np.uint8 if values.shape[1] <= 256 else np.uint32)
    np.put_along_axis(ranks, order, np.arange(values.shape[1], dtype=ranks.dtype)[None, :], axis=1)
    return ranks


def average_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1 within each row; equal values share the mean of their ranks."""
    order = np.argsort(values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    changes = ordered[:, 1:] != ordered[:, :-1]
    position = np.arange(values.shape[1])
    first = np.zeros(values.shape, np.int64)
    first[:, 1:] = np.maximum.accumulate(np.where(changes, position[1:], 0), axis=1)
    last = np.full(values.shape, position[-1])
    falling = np.where(changes, position[:-1], position[-1])
    last[:, :-1] = np.minimum.accumulate(falling[:, ::-1], axis=1)[:, ::-1]
    ranks = np.empty(values.shape, np.float64)
    np.put_along_axis(ranks, order, (first + last) / 2.0 + 1.0, axis=1)
    return ranks


def count_inversions(ranks: np.ndarray) -> np.ndarray:
    """Number of pairs of each row whose later rank is the lower."""
    by_time = np.ascontiguousarray(ranks.T)
    months = by_time.shape[0]
    counts = np.zeros_like(by_time)
    lower = np.empty(by_time.shape, bool)
    for lag in range(1, months):
        np.less(by_time[lag:], by_time[:-lag], out=lower[lag:])
        np.add(counts[lag:], lower[lag:].view(np.uint8), out=counts[lag:])
    return counts.sum(axis=0, dtype=np.int64)


def tie_sums(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums over groups of t equal values of t(t-1)/2 (tied pairs) and of t(t-1)(2t+5), for each row."""
    ordered = np.sort(values, axis=1)
    equal = ordered[:, 1:] == ordered[:, :-1]
    pairs = np.zeros(values.shape[0])
    variance_term = np.zeros(values.shape[0])
    rows = np.flatnonzero(equal.any(axis=1))
    if rows.size:
        # The t-th member of a group adds the difference of the sum from t-1 to t members.
        position = np.arange(1, values.shape[1])
        group_start = np.maximum.accumulate(np.where(equal[rows], 0, position), axis=1)
        member = position - group_start + 1.0
        pairs[rows] = (member - 1).sum(axis=1)
        variance_term[rows] = (6.0 * (member - 1) ** 2 + 12.0 * (member - 1)).sum(axis=1)
    return pairs, variance_term


def kendall_variance(n_values: int, tie_term: np.ndarray) -> np.ndarray:
    """Variance of Kendall's S without serial correlation: [n(n-1)(2n+5) - sum t(t-1)(2t+5)] / 18."""
    return (n_values * (n_values - 1.0) * (2.0 * n_values + 5.0) - tie_term) / 18.0

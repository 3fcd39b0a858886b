"""Ranks, ties and inversions of many series at once: the counting that Mann-Kendall and Theil-Sen share."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import as_strided

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.science.compiled import kernels

SMALLEST_COUNT = 4
# A block of 225 months leaves a core's second-level cache, yet each of its operations lasts long enough that threads do
# not wait for one another's interpreter lock: as fast on one core as blocks of 384, and far faster on two. What is kept of
# the pairs of a block of longer series stays as small.
BLOCK_SERIES = 2304
BLOCK_PAIRS = BLOCK_SERIES * 2**16
SERIES_AT_ONCE = 2**15
# Lags that are compared in one operation: threads that work beside each other wait for the interpreter's lock less often.
LAGS_AT_ONCE = 8


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
    for begin in range(0, series.shape[0], SERIES_AT_ONCE):
        kernels(min(SERIES_AT_ONCE, series.shape[0] - begin))
        counts = np.isfinite(series[begin : begin + SERIES_AT_ONCE]).sum(axis=1)
        for count in np.unique(counts[counts >= fewest]):
            of_count = begin + np.flatnonzero(counts == count)
            for start in range(0, of_count.size, block):
                rows = of_count[start : start + block]
                yield rows, *_close_holes(np.asarray(series[rows], np.float64), count)


def _close_holes(values: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Values and months of series with `count` valid months each; the months are one row repeated where all agree."""
    valid = np.isfinite(values)
    if (valid == valid[0]).all():
        times = np.flatnonzero(valid[0]).astype(np.float64)
        values = values if count == values.shape[1] else np.ascontiguousarray(values[:, valid[0]])
        return values, np.broadcast_to(times, values.shape)
    times = np.nonzero(valid)[1].reshape(-1, count).astype(np.float64)
    return values[valid].reshape(-1, count), times


def dense_ranks(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ranks from 0 within each row, equal ones for equal values, and the values of each row in order."""
    order = np.argsort(values, axis=1)
    ordered = np.take_along_axis(values, order, axis=1)
    # One byte per rank, where it suffices, lets each instruction compare many pairs.
    dtype = np.uint8 if values.shape[1] <= 256 else np.uint32
    rank = np.broadcast_to(np.arange(values.shape[1], dtype=dtype), values.shape)
    equal = ordered[:, 1:] == ordered[:, :-1]
    if equal.any():
        rank = rank.copy()
        rank[:, 1:] -= equal.cumsum(axis=1, dtype=dtype)
    ranks = np.empty(values.shape, dtype)
    np.put_along_axis(ranks, order, rank, axis=1)
    return ranks, ordered


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


class LaterValues:
    """The values behind those of each month, several lags at once: long operations, after which threads change over.

    Parameters
    ----------
    by_time : ndarray, shape (n_values, n_block)
        Months by series, of a type of whole numbers. Behind the last month are months of the type's largest number, which
        is lower than no other.
    """

    def __init__(self, by_time: np.ndarray) -> None:
        self._n_block = by_time.shape[1]
        padding = np.full((LAGS_AT_ONCE - 1, self._n_block), np.iinfo(by_time.dtype).max, by_time.dtype)
        flat = np.concatenate([by_time, padding]).ravel()
        self._earlier, step = flat[: by_time.size], flat.strides[0]
        # the same values again and again, a month later in each row
        strides = (self._n_block * step, step)
        self._later = as_strided(flat, (LAGS_AT_ONCE, by_time.size), strides, writeable=False)

    def pairs(self, lag: int) -> tuple[np.ndarray, np.ndarray]:
        """Values `lag` and more months behind, (LAGS_AT_ONCE, n_earlier), and the earlier ones, (n_earlier,)."""
        first = lag * self._n_block
        return self._later[:, first:], self._earlier[: self._earlier.size - first]


class PairTally:
    """Sums what is true of the pairs of each series, lags by lags, in one byte a month; its memory serves many counts.

    Parameters
    ----------
    shape : tuple of int
        (n_values, n_block): months by series.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self._shape, self._lags, size = shape, 0, shape[0] * shape[1]
        self._bytes, self._of_lags = np.zeros(size, np.uint8), np.empty(size, np.uint8)
        self._spaces: dict[int, np.ndarray] = {}
        self._totals = np.zeros(shape[1], np.int64)

    def space(self, number: int, n_earlier: int) -> np.ndarray:
        """Memory for what is true of the pairs of some lags, (LAGS_AT_ONCE, n_earlier) bool in one piece."""
        if number not in self._spaces:
            self._spaces[number] = np.empty(LAGS_AT_ONCE * self._bytes.size, bool)
        return self._spaces[number][: LAGS_AT_ONCE * n_earlier].reshape(LAGS_AT_ONCE, n_earlier)

    def add(self, true: np.ndarray) -> None:
        """Add the pairs of some lags, (LAGS_AT_ONCE, n_earlier) bool."""
        if self._lags + LAGS_AT_ONCE > 255:
            self._empty()
        self._lags += LAGS_AT_ONCE
        n_earlier = true.shape[1]
        np.add.reduce(true.view(np.uint8), axis=0, out=self._of_lags[:n_earlier])
        self._bytes[:n_earlier] += self._of_lags[:n_earlier]

    def take_totals(self) -> np.ndarray:
        """Number of true pairs of each series; the next count begins at 0."""
        self._empty()
        totals, self._totals = self._totals, np.zeros_like(self._totals)
        return totals

    def _empty(self) -> None:
        self._totals += self._bytes.reshape(self._shape).sum(axis=0, dtype=np.int64)
        self._bytes[:], self._lags = 0, 0


def count_inversions(by_time: np.ndarray, tally: PairTally | None = None) -> np.ndarray:
    """Number of pairs of each column whose later value is the lower; by_time of shape (n_values, n_block)."""
    compiled = kernels()
    if compiled:
        return compiled.count_inversions(np.ascontiguousarray(by_time))
    tally, values = tally or PairTally(by_time.shape), LaterValues(by_time)
    for lag in range(1, by_time.shape[0], LAGS_AT_ONCE):
        later, earlier = values.pairs(lag)
        tally.add(np.less(later, earlier, out=tally.space(0, earlier.size)))
    return tally.take_totals()


def count_pairs(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Falling pairs, tied pairs, and the sum over groups of t equal values of t(t-1)(2t+5), of each row."""
    compiled = kernels()
    if compiled is None:
        ranks, ordered = dense_ranks(values)
        return count_inversions(np.ascontiguousarray(ranks.T)), *tie_sums(ordered)
    falling, tied = compiled.count_pairs(values)
    variance_term = np.zeros(values.shape[0])
    rows = np.flatnonzero(tied)
    if rows.size:
        variance_term[rows] = tie_sums(np.sort(values[rows], axis=1))[1]
    return falling, tied, variance_term


def tie_sums(ordered: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums over groups of t equal values of t(t-1)/2 (tied pairs) and of t(t-1)(2t+5), for each ordered row."""
    equal = ordered[:, 1:] == ordered[:, :-1]
    pairs = np.zeros(ordered.shape[0])
    variance_term = np.zeros(ordered.shape[0])
    rows = np.flatnonzero(equal.any(axis=1))
    if rows.size:
        # The t-th member of a group adds the difference of the sum from t-1 to t members.
        position = np.arange(1, ordered.shape[1])
        group_start = np.maximum.accumulate(np.where(equal[rows], 0, position), axis=1)
        member = position - group_start + 1.0
        pairs[rows] = (member - 1).sum(axis=1)
        variance_term[rows] = (6.0 * (member - 1) ** 2 + 12.0 * (member - 1)).sum(axis=1)
    return pairs, variance_term


def kendall_variance(n_values: int, tie_term: np.ndarray) -> np.ndarray:
    """Variance of Kendall's S without serial correlation: [n(n-1)(2n+5) - sum t(t-1)(2t+5)] / 18."""
    return (n_values * (n_values - 1.0) * (2.0 * n_values + 5.0) - tie_term) / 18.0

"""Compiled counting of pairs. Needs numba; imported by `gwsa_qgis.science.compiled` only.

Each function has the result of the numpy code that it stands in for, to the bit: they only compare and count. They run
without the interpreter's lock, so that threads run beside each other.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(nogil=True)
def count_inversions(by_time):
    """As `gwsa_qgis.science.ranks.count_inversions`."""
    n_values, n_block = by_time.shape
    flat = by_time.reshape(-1)
    counts = np.zeros(flat.size, np.uint8)
    totals = np.zeros(n_block, np.int64)
    for lag in range(1, n_values):
        later = flat[lag * n_block :]
        for k in range(later.size):
            counts[k] += np.uint8(later[k] < flat[k])
        if lag % 255 == 0 or lag == n_values - 1:
            _move_counts(counts, totals)
    return totals


@njit(nogil=True)
def _move_counts(counts, totals):
    """Add the counts of all months to the totals of their series, and set them to 0."""
    n_block = totals.size
    for start in range(0, counts.size, n_block):
        for k in range(n_block):
            totals[k] += counts[start + k]
            counts[start + k] = 0


@njit(nogil=True)
def pairs_between(above, below, room):
    """As `gwsa_qgis.science.pair_slopes._pairs_between`, for at most `room` pairs; more of them are only counted."""
    n_values, n_block = above.shape
    above, below = above.reshape(-1), below.reshape(-1)
    first, later_by = np.empty(room, np.int64), np.empty(room, np.int64)
    counts, totals = np.zeros(above.size, np.uint8), np.zeros(n_block, np.int64)
    between = np.zeros(above.size, np.uint8)
    words = between.view(np.uint64)
    found = 0
    for lag in range(1, n_values):
        later, later_below = above[lag * n_block :], below[lag * n_block :]
        for k in range(later.size):
            counts[k] += np.uint8(later[k] < above[k])
            between[k] = np.uint8(later[k] >= above[k]) & np.uint8(later_below[k] <= below[k])
        # Most pairs are not between the edges: eight are looked at together.
        for word in range(later.size // 8):
            if words[word] != 0:
                for k in range(8 * word, 8 * word + 8):
                    if between[k]:
                        if found < room:
                            first[found], later_by[found] = k, lag * n_block
                        found += 1
        if lag % 255 == 0 or lag == n_values - 1:
            _move_counts(counts, totals)
    return first, later_by, totals, found


@njit(nogil=True)
def count_pairs(values):
    """Pairs of each row of values (n_block, n_values) whose later value is the lower, and those of equal values."""
    n_block, n_values = values.shape
    lower, equal = np.empty(n_block, np.int64), np.empty(n_block, np.int64)
    for row in range(n_block):
        n_lower, n_equal = 0, 0
        for i in range(n_values - 1):
            value, later = values[row, i], values[row, i + 1 :]
            for j in range(later.size):
                if later[j] < value:
                    n_lower += 1
            for j in range(later.size):
                if later[j] == value:
                    n_equal += 1
        lower[row], equal[row] = n_lower, n_equal
    return lower, equal

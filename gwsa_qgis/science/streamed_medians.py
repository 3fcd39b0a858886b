"""Exact medians of more numbers than memory holds, by counting the digits of their bits in three passes.

The bits of float32 numbers, with those of negative ones turned over, are whole numbers in the same order (radix selection:
Knuth 1998, The Art of Computer Programming 3, section 5.2.5).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

# Bits of each digit, from the highest; together 32.
DIGITS = (11, 11, 10)

Part = tuple[np.ndarray, np.ndarray]


def streamed_medians(parts: Callable[[], Iterable[Part]], n_groups: int, n_columns: int) -> np.ndarray:
    """Medians of columns, group by group, as `numpy.median` gives them.

    Parameters
    ----------
    parts : callable
        Called once for each pass; gives the same (groups, values) every time: (n,) int from 0 and (n_columns, n) float32,
        of which NaN count for nothing.
    n_groups, n_columns : int

    Returns
    -------
    (n_groups, n_columns) float32
        NaN where a group has no value in a column.
    """
    ranks = np.zeros((2, n_groups, n_columns), np.int64)
    found = np.zeros((2, n_groups, n_columns), np.uint32)
    below = 32
    for number, width in enumerate(DIGITS):
        below -= width
        counts = _count(parts(), None if number == 0 else found, below, width, (n_groups, n_columns))
        if number == 0:
            total = counts[0].sum(-1)
            # the two in the middle, or twice the one
            ranks[0], ranks[1] = (total - 1) // 2, total // 2
        before = np.cumsum(counts, axis=-1)
        digit = (before <= ranks[..., None]).sum(-1).clip(max=2**width - 1)
        lower = np.take_along_axis(before - counts, digit[..., None], -1)[..., 0]
        ranks -= lower
        found |= digit.astype(np.uint32) << np.uint32(below)
    medians = _values(found).mean(0)
    medians[total == 0] = np.nan
    return medians


def _count(
    parts: Iterable[Part], found: np.ndarray | None, below: int, width: int, shape: tuple[int, int]
) -> np.ndarray:
    """How often each digit follows the digits found so far, (2, n_groups, n_columns, 2**width)."""
    size = 2**width
    counts = np.zeros((2, *shape, size), np.int64)
    for groups, values in parts:
        for column, numbers in enumerate(values):
            valid = np.isfinite(numbers)
            group, key = groups[valid], _keys(numbers[valid])
            digit = (key >> np.uint32(below)) & np.uint32(size - 1)
            place = group.astype(np.int64) * size + digit
            for which in range(2):
                if found is not None:
                    high = np.uint32(below + width)
                    own = place[key >> high == found[which, group, column] >> high]
                elif which:
                    counts[1, :, column] = counts[0, :, column]
                    continue
                else:
                    own = place
                counts[which, :, column] += np.bincount(own, minlength=shape[0] * size).reshape(shape[0], size)
    return counts


def _keys(values: np.ndarray) -> np.ndarray:
    """Whole numbers in the order of float32 numbers."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return np.where(bits >> np.uint32(31), ~bits, bits | np.uint32(0x80000000))


def _values(keys: np.ndarray) -> np.ndarray:
    bits = np.where(keys >> np.uint32(31), keys & np.uint32(0x7FFFFFFF), ~keys)
    return bits.astype(np.uint32).view(np.float32)

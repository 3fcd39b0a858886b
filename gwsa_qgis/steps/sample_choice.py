"""Which samples stand in a training's table, and where: all that there are, or as many random ones as memory holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

ROWS_AT_ONCE = 100_000
# What the larger scales keep of the table, together, where not even all samples of the smallest have room.
SHARE_OF_LARGER = 0.1


class SampleChoice:
    """Rows of a table whose samples stand group by group (scales or classes), and month by month in each.

    Parameters
    ----------
    counts : (n_groups, n_months) int
        Samples that there are.
    totals : sequence of int
        How many of each group are taken: the same share of every month, but for rounding.
    seed : int
        Of the random ones that are taken where not all are.
    """

    def __init__(self, counts: np.ndarray, totals: Sequence[int], seed: int = 0) -> None:
        self._counts, self._seed = np.asarray(counts, np.int64), int(seed)
        before = np.concatenate([np.zeros((len(counts), 1), np.int64), self._counts.cumsum(1)], axis=1)
        wanted = np.asarray(totals, np.int64)[:, None]
        taken = before * wanted // np.maximum(before[:, -1:], 1)
        self._rows = taken + (np.cumsum(taken[:, -1]) - taken[:, -1])[:, None]

    @property
    def available(self) -> list[int]:
        """Samples that there are, by group."""
        return self._counts.sum(1).tolist()

    @property
    def taken(self) -> list[int]:
        """Samples that are taken, by group."""
        return (self._rows[:, -1] - self._rows[:, 0]).tolist()

    @property
    def size(self) -> int:
        """Rows of the table."""
        return sum(self.taken)

    def rows(self, group: int, months: slice = slice(None)) -> slice:
        """Rows of a group in a run of months."""
        first, last, _ = months.indices(self._counts.shape[1])
        return slice(int(self._rows[group, first]), int(self._rows[group, last]))

    def pick(self, group: int, month: int) -> np.ndarray | slice:
        """Which of the samples that a group has in a month are taken, in their order."""
        count, rows = int(self._counts[group, month]), self.rows(group, slice(month, month + 1))
        if rows.stop - rows.start == count:
            return slice(None)
        generator = np.random.default_rng([self._seed, 9, group, month])
        return np.sort(generator.choice(count, rows.stop - rows.start, replace=False))

    def parts(self, group: int, months: slice = slice(None)) -> Iterator[tuple[slice, np.ndarray]]:
        """Rows of a group in a run of months, a few at a time, and the number of each one's month."""
        whole = self.rows(group, months)
        for start in range(whole.start, whole.stop, ROWS_AT_ONCE):
            rows = slice(start, min(start + ROWS_AT_ONCE, whole.stop))
            # the last month that begins at or before a row: months without samples begin where the next does
            yield rows, np.searchsorted(self._rows[group], np.arange(rows.start, rows.stop), side="right") - 1


def scale_totals(sizes: Sequence[int], most: int) -> list[int]:
    """How many samples of each scale are taken, of `most` in all: larger scales are thinned first, alike.

    The smallest scale, which is nearest to the fine one, is whole unless a tenth of the table would not be left to the
    others.
    """
    others = sum(sizes[1:])
    if sum(sizes) <= most:
        return list(sizes)
    first = min(sizes[0], most - min(others, int(SHARE_OF_LARGER * most)))
    return [first, *(size * (most - first) // others for size in sizes[1:])] if others else [first]


def class_totals(sizes: Sequence[int], most: int) -> list[int]:
    """How many samples of each class are taken, of `most` in all: the largest classes are thinned to one size."""
    if sum(sizes) <= most:
        return list(sizes)
    left, totals = most, [0] * len(sizes)
    order = sorted(range(len(sizes)), key=lambda number: sizes[number])
    for done, number in enumerate(order):
        totals[number] = min(sizes[number], left // (len(sizes) - done))
        left -= totals[number]
    return totals

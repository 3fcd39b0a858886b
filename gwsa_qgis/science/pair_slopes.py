"""Selecting the pair slope of a given rank without computing all pair slopes.

A series of 225 months has 25,200 pair slopes. The slope of a pair is below b exactly where the later value of
y - b t is the lower: slopes below b are counted, not computed, with the values of y - b t in two bytes each, so that
one instruction compares many. Guesses with counting lead to a narrow bracket of the wanted slope, and only the few
slopes inside it are computed. Where the bracket misses, which the counts show, all slopes are sorted: the result is
always the exact one.
"""

from __future__ import annotations

import numpy as np

from gwsa_qgis.science.compiled import kernels
from gwsa_qgis.science.ranks import LAGS_AT_ONCE, LaterValues, PairTally, count_inversions

# Pairs from which on counting is quicker than sorting all slopes: of a block of many series, and what the operations on a
# block cost, shared by its series; at most so many of a single series.
FEWEST_PAIRS, PAIRS_OF_A_BLOCK, MOST_SORTED = 300, 40_000, 4096
FULL_BYTES = 8 * 2**20
FEWEST_GUESSES, MOST_GUESSES = 2, 6
# Guessing ends when all but one series in a hundred are this close to the wanted rank.
CLOSE, OPEN_SHARE = 250, 0.01
# Share of the pair slopes per residual standard deviation and record length, of white noise; the start of the guesses.
FIRST_DENSITY = 0.1
MARGIN = 25.0
MARGIN_SHARE = 0.5
MOST_INSIDE = 1024
ROOM = 128
# One less than two bytes hold: behind the last month are values that are above all.
LARGEST_QUANTUM = 32766.0


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
    selected = np.zeros(ranks.shape)
    varied = np.flatnonzero(values.min(axis=1) != values.max(axis=1))
    n_pairs = values.shape[1] * (values.shape[1] - 1) // 2
    if n_pairs <= min(FEWEST_PAIRS + PAIRS_OF_A_BLOCK / max(varied.size, 1), MOST_SORTED):
        selected[varied] = _select_from_all(values[varied], times[varied], ranks[varied], spans)
        return selected
    if varied.size == 0:
        return selected
    # Whole words of eight series: the last one is repeated.
    varied = np.append(varied, np.repeat(varied[-1:], -varied.size % 8))
    search = _Search(values[varied], times if times.strides[0] == 0 else times[varied])
    for wanted, span in enumerate(spans):
        rank = ranks[varied, wanted]
        found = search.select(rank, span)
        missed = np.flatnonzero(np.isnan(found))
        if missed.size:
            every = _select_from_all(values[varied[missed]], times[varied[missed]], rank[missed, None], [span])
            found[missed] = every[:, 0]
        selected[varied, wanted] = found
    return selected


class _Search:
    """Finds pair slopes of the series of a block, which are not constant.

    Guesses are made with float32 in units where each series spans 0 to 1 in value and in time; brackets and results
    are exact, with float64. Arrays have one column a series.
    """

    def __init__(self, values: np.ndarray, times: np.ndarray) -> None:
        self.values = np.ascontiguousarray(values.T)
        same_months = times.strides[0] == 0
        self.times = np.ascontiguousarray(times[:1].T if same_months else times.T)
        self.n_values, self.n_block = self.values.shape
        self.n_pairs = self.n_values * (self.n_values - 1) // 2
        self.duration = self.times[-1] - self.times[0]
        lowest, highest = self.values.min(axis=0), self.values.max(axis=0)
        self.largest = np.maximum(np.abs(lowest), np.abs(highest))
        extent = highest - lowest
        self.unit = extent / self.duration
        self.scaled = ((self.values - lowest) / extent).astype(np.float32)
        self.clock = ((self.times - self.times[0]) / self.duration).astype(np.float32)
        self.guess, self.density = self._least_squares()
        self.tally = PairTally(self.values.shape)
        self.guessed_rank = None

    def _least_squares(self) -> tuple[np.ndarray, np.ndarray]:
        """Slope by least squares, and the number of pair slopes per unit of slope around it, roughly."""
        clock = self.clock - self.clock.mean(axis=0)
        guess = (self.scaled * clock).sum(axis=0) / (clock * clock).sum(axis=0)
        rest = self.scaled - self.scaled.mean(axis=0) - guess * clock
        deviation = np.maximum(np.sqrt((rest * rest).mean(axis=0)), np.float32(1e-6))
        return guess, self.n_pairs * FIRST_DENSITY / deviation

    def select(self, rank: np.ndarray, span: int) -> np.ndarray:
        """The pair slope of a rank, or the mean of it and the next; NaN where the bracket missed it."""
        centre, margin = self._guess(rank + span / 2.0)
        found = self._between((centre - margin) * self.unit, (centre + margin) * self.unit, rank, span)
        known = np.isfinite(found)
        self.guess = np.where(known, found / self.unit, self.guess).astype(np.float32)
        self.guessed_rank = np.where(known, rank, self.guessed_rank)
        return found

    def _guess(self, rank: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Guess the slope of a rank by counting, and how far off the guess may be."""
        guess, at, density = self.guess, self.guessed_rank, self.density
        for step in range(MOST_GUESSES):
            if at is not None:
                last, last_at = guess, at
                guess = np.clip(guess + (rank - at) / density, -self.n_values, self.n_values).astype(np.float32)
            at = count_inversions(_two_bytes(self.scaled - guess * self.clock), self.tally)
            if step:
                gained, moved = at - last_at, guess - last
                telling = (np.abs(gained) > 30) & (gained * moved > 0)
                density = np.where(telling, gained / np.where(telling, moved, 1.0), density)
            off = rank - at
            if step + 1 >= FEWEST_GUESSES and (np.abs(off) > CLOSE).mean() <= OPEN_SHARE:
                break
        self.guess, self.guessed_rank, self.density = guess, at, density
        return guess + off / density, (MARGIN + MARGIN_SHARE * np.abs(off)) / density

    def _between(self, low: np.ndarray, high: np.ndarray, rank: np.ndarray, span: int) -> np.ndarray:
        """Select among the slopes between two edges; NaN where the wanted one is not safely between them."""
        # Rounding of y - b t may put a pair whose slope is within `blur` of an edge on its wrong side.
        blur = 16 * np.finfo(np.float64).eps * (self.largest + np.maximum(np.abs(low), np.abs(high)) * self.times[-1])
        low, high = low - 4 * blur, high + 4 * blur
        above, below = _two_bytes(self.values - low * self.times), _two_bytes(self.values - high * self.times)
        first, later_by, n_below = _pairs_between(above, below, self.tally)
        column = (first % self.n_block).astype(np.uint16)
        order = np.argsort(column, kind="stable")
        first, column = first[order], column[order].astype(np.int64)
        second = first + later_by[order]
        inside = np.bincount(column, minlength=self.n_block)
        values, times = self.values.ravel(), self.times.ravel()
        if self.times.shape[1] == 1:
            elapsed = times[second // self.n_block] - times[first // self.n_block]
        else:
            elapsed = times[second] - times[first]
        slopes = (values[second] - values[first]) / elapsed
        target = rank - n_below
        usable = (target >= 0) & (target + span < inside) & (inside <= MOST_INSIDE)
        result = np.full(self.n_block, np.nan)
        if not usable.any():
            return result
        if not usable.all():
            kept = usable[column]
            slopes, column = slopes[kept], column[kept]
            inside, target = np.where(usable, inside, 0), np.where(usable, target, 0)
        one, other = _of_groups(slopes, column, inside, target, span)
        safe = usable & (one > low + blur) & (other < high - blur)
        result[safe] = ((one + other) / 2 if span else one)[safe]
        return result


def _two_bytes(rest: np.ndarray) -> np.ndarray:
    """Round each column of residuals to 65,533 steps: which of two is the lower stays true, or they become equal.

    Changes `rest`.
    """
    rest -= rest.min(axis=0)
    with np.errstate(divide="ignore"):
        rest *= np.minimum(2 * LARGEST_QUANTUM / rest.max(axis=0), np.finfo(rest.dtype).max)
    rest -= LARGEST_QUANTUM
    return rest.astype(np.int16)


def _pairs_between(above: np.ndarray, below: np.ndarray, tally: PairTally) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs that are not certainly below the lower edge, nor certainly above the upper one.

    Parameters
    ----------
    above, below : ndarray of int16, shape (n_values, n_block)
        Residuals of the lower and of the upper edge.
    tally : PairTally
        Of their shape.

    Returns
    -------
    first, later_by : ndarray of int32
        Flat index of the earlier member of each pair, and how far behind it the later one is.
    n_below : ndarray, shape (n_block,)
        Number of pairs certainly below the lower edge, per series.
    """
    n_values, n_block = above.shape
    compiled = kernels()
    if compiled:
        room = ROOM * n_block
        first, later_by, n_below, found = compiled.pairs_between(above, below, room)
        if found > room:
            first, later_by, n_below, found = compiled.pairs_between(above, below, found)
        return first[:found], later_by[:found], n_below
    above, below = LaterValues(above), LaterValues(below)
    places, patterns, numbers = [], [], []
    for lag in range(1, n_values, LAGS_AT_ONCE):
        (later, earlier), (later_below, earlier_below) = above.pairs(lag), below.pairs(lag)
        lower, between = tally.space(0, earlier.size), tally.space(1, earlier.size)
        tally.add(np.less(later, earlier, out=lower))
        np.less_equal(later_below, earlier_below, out=between)
        np.greater(between, lower, out=between)
        # Most pairs are not between the edges: eight are looked at together.
        words = between.reshape(-1).view(np.uint64)
        found = (words != 0).nonzero()[0]
        patterns.append(words[found])
        # the words of each lag, and the first one's number
        begin = earlier.size // 8 * np.arange(LAGS_AT_ONCE + 1)
        of_lag = np.diff(np.searchsorted(found, begin))
        numbers.append(of_lag)
        places.append(found - np.repeat(begin[:-1], of_lag))
    members = np.flatnonzero(np.concatenate(patterns).view(bool))
    word = members >> 3
    first = (np.concatenate(places)[word] << 3) + (members & 7)
    numbers = np.concatenate(numbers)
    lag_of_word = np.repeat(np.arange(1, numbers.size + 1), numbers)
    return first, lag_of_word[word] * n_block, tally.take_totals()


def _of_groups(
    values: np.ndarray, group: np.ndarray, sizes: np.ndarray, target: np.ndarray, span: int
) -> tuple[np.ndarray, np.ndarray]:
    """The value of rank `target` of each group, and the one `span` ranks higher; `values` are ordered by group."""
    # Each row is padded with -inf on the left, so that the wanted value has the same place in all of them.
    place = int(target.max())
    padding = place - target
    table = np.full((sizes.size, int((padding + sizes).max()) + span + 1), np.inf)
    table[np.arange(table.shape[1]) < padding[:, None]] = -np.inf
    starts = np.cumsum(sizes) - sizes
    table[group, np.arange(group.size) - (starts - padding)[group]] = values
    table.partition([place, place + span], axis=1)
    return table[:, place], table[:, place + span]


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

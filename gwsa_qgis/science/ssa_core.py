"""Iterative filling by singular spectrum analysis (SSA), for many series at once.

This is the core that both stages of the gap filling share: `fill` takes series and the months to fill, and
iterates decomposition and reconstruction with one, two, ... K components, as the program of Yi & Sneeuw does
(doi:10.1029/2020JB021227). The results are those of one singular value decomposition per pass and series; only the
linear algebra is arranged for batches:

* the eigenvectors of the M x M lag matrix stand for the right singular vectors of the trajectory matrix;
* the lag matrix follows from its first column by a recursion along the diagonals;
* the reconstruction is evaluated at the gap months alone;
* a run up to K components passes through the answers of all fewer components, so one run gives them all;
* a series that has reached its answer leaves the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

CHANGE_THRESHOLD = 0.01
"""Relative change of the gap values below which a pass is accepted. Part of the method: a smaller one moves the
fills by several per cent of the series' standard deviation."""

MAX_PASSES = 10_000
"""Passes after which a run ends in any case, counted over all numbers of components together."""

LOW_FREQUENCY_SHARE = 0.9
"""Share of an eigenvector's power that must lie at periods of four months and more for the low-frequency test."""


@dataclass
class FillRun:
    """What `fill` found, for b series, g gap months each and up to K components.

    Attributes
    ----------
    gap_values : ndarray, shape (b, K, g)
        Fill with 1, ..., K components, gap months in time order; NaN beyond a series' own number of components.
    passes : ndarray of int, shape (b, K)
        Decompositions that a run with 1, ..., K components needs from the start; 0 beyond the series' own number.
    decomposed : ndarray, shape (b, n), or None
        The series as decomposed by the last pass, that is before its gap values were replaced for the last time.
    eofs : ndarray, shape (b, M, K), or None
        The leading eigenvectors of that pass, strongest first; columns not in use are zero.
    """

    gap_values: np.ndarray
    passes: np.ndarray
    decomposed: np.ndarray | None = None
    eofs: np.ndarray | None = None


def lag_matrices(series: np.ndarray, window: int) -> np.ndarray:
    """Y'Y of the trajectory matrices Y (n - M + 1 windows of M months), lower triangles only.

    An element differs from its upper left neighbour by the products that enter and leave at the ends of the windows,
    so all follow from the first column in O(n M + M^2).
    """
    n_windows = series.shape[1] - window + 1
    first, entering = series[:, :window], series[:, n_windows:]
    lag = np.zeros((len(series), window, window))
    lag[:, :, 0] = np.einsum("bjt,bt->bj", sliding_window_view(series, n_windows, axis=1), series[:, :n_windows])
    for i in range(window - 1):
        row = lag[:, i + 1, 1 : i + 2]
        np.multiply(entering[:, i : i + 1], entering[:, : i + 1], out=row)
        row -= first[:, i : i + 1] * first[:, : i + 1]
        row += lag[:, i, : i + 1]
    return lag


def leading_eofs(series: np.ndarray, window: int, components: np.ndarray) -> np.ndarray:
    """The strongest `components` eigenvectors of each lag matrix, shape (b, M, max(components)), others zero."""
    most = int(components.max())
    vectors = np.linalg.eigh(lag_matrices(series, window))[1]
    return vectors[:, :, : -most - 1 : -1] * (np.arange(most) < components[:, None])[:, None, :]


class Reconstruction:
    """Sum of reconstructed components at chosen months of series of n months.

    The value of a month is the mean of its anti-diagonal in the matrix PC EOF', so only the windows that contain the
    month take part.
    """

    def __init__(self, at: np.ndarray, window: int) -> None:
        last_window = at.size - window
        self.months = np.flatnonzero(at)
        self.window = window
        self.begin = np.maximum(self.months - window + 1, 0)
        self.end = np.minimum(self.months, last_window) + 1
        self.span = slice(self.begin[0], self.end[-1]) if self.months.size else slice(0, 0)

    def __call__(self, series: np.ndarray, eofs: np.ndarray) -> np.ndarray:
        """Values (b, number of months) for series (b, n) and eigenvectors (b, M, K), unused columns zero."""
        values = np.empty((len(series), self.months.size))
        windows = np.ascontiguousarray(sliding_window_view(series, self.window, axis=1)[:, self.span])
        pcs = windows @ eofs
        # Along an anti-diagonal the window goes forward as the position in it goes backward.
        backward = np.ascontiguousarray(eofs[:, ::-1])
        for column, (month, begin, end) in enumerate(zip(self.months, self.begin, self.end, strict=True)):
            pc = pcs[:, begin - self.span.start : end - self.span.start]
            position = self.window - 1 - month
            eof = backward[:, position + begin : position + end]
            values[:, column] = np.einsum("btk,btk->b", pc, eof) / (end - begin)
        return values


def reconstruct(series: np.ndarray, eofs: np.ndarray) -> np.ndarray:
    """Sum of the reconstructed components of `eofs` (b, M, K) at every month of `series` (b, n)."""
    return Reconstruction(np.ones(series.shape[1], dtype=bool), eofs.shape[1])(series, eofs)


def passes_low_frequency_test(eofs: np.ndarray) -> np.ndarray:
    """Which eigenvectors (b, M, K) have more than 90 % of their power at periods of four months and more.

    One-sided periodogram, rectangular window, zero-padded to 256 months or the next power of two. Columns of zeros
    do not pass.
    """
    n_fft = max(256, 1 << int(np.ceil(np.log2(eofs.shape[1]))))
    power = np.abs(np.fft.rfft(eofs, n_fft, axis=1)) ** 2
    power[:, 1:-1] *= 2
    cumulative = np.cumsum(power, axis=1)
    # The frequency of four months is the middle of the n_fft / 2 + 1 values, halves rounded up as MATLAB does.
    middle = (power.shape[1] + 1) // 2 - 1
    return cumulative[:, middle] > LOW_FREQUENCY_SHARE * cumulative[:, -1]


def fill(
    series: np.ndarray,
    gaps: np.ndarray,
    window: int,
    components: int | np.ndarray,
    *,
    gap_of: np.ndarray | None = None,
    keep_components: bool = False,
) -> FillRun:
    """Fill the gap months of each series by iterated SSA with 1, 2, ... components.

    Parameters
    ----------
    series : ndarray, shape (b, n)
        Values; those of gap months are not looked at. No value elsewhere may be NaN.
    gaps : ndarray of bool, shape (n,) or (n_gaps, n)
        The months to fill; several gaps must have the same number of months.
    window : int
        M, the months of a window, at most n.
    components : int or ndarray of int, shape (b,)
        Number of components to go up to, at most M; may differ between series.
    gap_of : ndarray of int, shape (b,), optional
        Which row of `gaps` belongs to each series; the first when not given.
    keep_components : bool
        Return the series and the eigenvectors of the last pass as well.

    Returns
    -------
    FillRun

    Notes
    -----
    Gap values start at zero. A pass decomposes the series, replaces the gap values by the reconstruction with K'
    components and is accepted when they change by less than 1 % (root mean square, relative); then K' grows by one.
    At `MAX_PASSES` a run ends with the values that it has. Gap values that are zero and stay exactly zero can never
    be accepted (0/0), nor can they change any more: such a run ends at once.
    """
    series = np.array(series, dtype=float)
    gaps = np.atleast_2d(gaps)
    b = len(series)
    goal = np.broadcast_to(np.asarray(components), (b,))
    if gap_of is None:
        gap_of = np.zeros(b, dtype=int)
    at_gaps = [Reconstruction(gap, window) for gap in gaps]
    gap_months = np.stack([each.months for each in at_gaps])
    run = _empty_run(series, gap_months.shape[1], window, int(goal.max()), keep_components)
    if gap_months.shape[1] == 0:
        run.passes[:] = 1
        if keep_components:
            run.decomposed[:], run.eofs[:] = series, leading_eofs(series, window, goal)
        return run

    batch = np.arange(b)  # the series still running; all arrays below have a row for each of them
    months = gap_months[gap_of]
    np.put_along_axis(series, months, 0.0, axis=1)
    in_use = np.ones(b, dtype=int)
    for count in range(1, MAX_PASSES + 1):
        eofs = leading_eofs(series, window, in_use)
        old = np.take_along_axis(series, months, axis=1)
        new = _reconstruct_gaps(series, eofs, at_gaps, gap_of)
        change, size = _norm(new - old), _norm(old)
        accepted = change < CHANGE_THRESHOLD * size
        stuck = (change == 0) & (size == 0)
        finished = (accepted & (in_use == goal)) | stuck
        if count == MAX_PASSES:
            finished[:] = stuck[:] = True
        for row in np.flatnonzero(accepted | stuck):
            reached = slice(in_use[row] - 1, goal[row] if stuck[row] else in_use[row])
            run.gap_values[batch[row], reached] = new[row]
            run.passes[batch[row], reached] = count
        if keep_components and finished.any():
            run.decomposed[batch[finished]] = series[finished]
            run.eofs[batch[finished], :, : eofs.shape[2]] = eofs[finished]
        np.put_along_axis(series, months, new, axis=1)
        in_use += accepted
        if finished.any():
            left = ~finished
            batch, series, months, in_use = batch[left], series[left], months[left], in_use[left]
            goal, gap_of = goal[left], gap_of[left]
            if batch.size == 0:
                break
    return run


def _empty_run(series: np.ndarray, n_gap: int, window: int, most: int, keep_components: bool) -> FillRun:
    b = len(series)
    run = FillRun(np.full((b, most, n_gap), np.nan), np.zeros((b, most), dtype=int))
    if keep_components:
        run.decomposed, run.eofs = np.empty_like(series), np.zeros((b, window, most))
    return run


def _norm(rows: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("bt,bt->b", rows, rows))


def _reconstruct_gaps(
    series: np.ndarray, eofs: np.ndarray, at_gaps: Sequence[Reconstruction], gap_of: np.ndarray
) -> np.ndarray:
    """Reconstruction of each series at the months of its own gap."""
    if len(at_gaps) == 1:
        return at_gaps[0](series, eofs)
    values = np.empty((len(series), at_gaps[0].months.size))
    for gap in np.unique(gap_of):
        rows = gap_of == gap
        values[rows] = at_gaps[gap](series[rows], eofs[rows])
    return values

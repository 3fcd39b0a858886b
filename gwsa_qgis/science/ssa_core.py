"""Iterative filling by singular spectrum analysis (SSA), for many series at once.

This is the core that both stages of the gap filling share: `fill` takes series and the months to fill, and
iterates decomposition and reconstruction with one, two, ... K components, as the program of Yi & Sneeuw does
(doi:10.1029/2020JB021227). The results are those of one singular value decomposition per pass and series; only the
linear algebra is arranged for batches:

* the eigenvectors of the M x M lag matrix stand for the right singular vectors of the trajectory matrix;
* the space that the leading ones span follows from that of the pass before, where that is less work
  (`leading_subspace`);
* the lag matrix follows from its first row and column by a recursion along the diagonals;
* the reconstruction is evaluated at the gap months alone;
* a run up to K components passes through the answers of all fewer components, so one run gives them all;
* a series that has reached its answer leaves the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from gwsa_qgis.science.leading_subspace import SubspaceTracker

CHANGE_THRESHOLD = 0.01
"""Relative change of the gap values below which a pass is accepted. Part of the method: a smaller one moves the
fills by several per cent of the series' standard deviation."""

MAX_PASSES = 10_000
"""Passes after which a run ends in any case, counted over all numbers of components together."""

CALM = 0.3
"""Relative change of the gap values up to which the next decomposition is tried from the one before."""

STEEP = 30.0
"""Level, in standard deviations, from which on a series is decomposed by singular values: its lag matrix has the square
of their range, and the eigenvectors of the variations would be lost in the rounding of the level."""

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

    def reach(self, row: int, components: slice, gap_values: np.ndarray, passes: int) -> None:
        """Note what a series has reached with these numbers of components."""
        self.gap_values[row, components] = gap_values
        self.passes[row, components] = passes


def lag_matrices(series: np.ndarray, window: int) -> np.ndarray:
    """Y'Y of the trajectory matrices Y (n - M + 1 windows of M months) of each series.

    An element differs from its upper left neighbour by the products that enter and leave at the ends of the windows,
    so all follow from the first row and column in O(n M + M^2).
    """
    n_windows = series.shape[1] - window + 1
    first, entering = series[:, : window - 1], series[:, n_windows:]
    lag = np.empty((len(series), window, window))
    lag[:, 0] = np.einsum("bjt,bt->bj", sliding_window_view(series, n_windows, axis=1), series[:, :n_windows])
    lag[:, 1:, 0] = lag[:, 0, 1:]
    np.matmul(np.stack([entering, first], axis=2), np.stack([entering, -first], axis=1), out=lag[:, 1:, 1:])
    for i in range(1, window):
        lag[:, i, 1:] += lag[:, i - 1, :-1]
    return lag


def leading_eofs(series: np.ndarray, window: int, components: np.ndarray, steep: np.ndarray) -> np.ndarray:
    """The strongest `components` eigenvectors of each lag matrix, shape (b, M, max(components)), others zero.

    Rows that are `steep`, shape (b,), get them as right singular vectors of the trajectory matrix.
    """
    most = int(components.max())
    vectors = np.empty((len(series), window, most))
    plain = np.flatnonzero(~steep)
    if plain.size:
        vectors[plain] = np.linalg.eigh(lag_matrices(series[plain], window))[1][:, :, : -most - 1 : -1]
    for row in np.flatnonzero(steep):
        vectors[row] = np.linalg.svd(sliding_window_view(series[row], window), full_matrices=False)[2][:most].T
    return vectors * (np.arange(most) < components[:, None])[:, None, :]


def is_steep(series: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Which series (b, n) have a level of more than `STEEP` standard deviations over the counted months (b, n)."""
    number = np.maximum(counted.sum(axis=1), 1)
    mean = np.where(counted, series, 0.0).sum(axis=1) / number
    variance = (np.where(counted, series - mean[:, None], 0.0) ** 2).sum(axis=1) / number
    return mean**2 > STEEP**2 * variance


class Reconstruction:
    """Sum of reconstructed components at the months of gaps that have the same form, one of them for each series.

    The value of a month is the mean of its anti-diagonal in the matrix PC EOF', so only the windows that contain the
    month take part. Windows that reach over the ends of the series count as zero, which lets gaps in any place be
    evaluated together.

    Parameters
    ----------
    months : ndarray of int, shape (n_gaps, g)
        Positions of the months of each gap, which differ between the gaps by a shift alone.
    n_months : int
        Length of the series.
    window : int
        M.
    """

    def __init__(self, months: np.ndarray, n_months: int, window: int) -> None:
        self.window = window
        self.offsets = months[0] - months[0, 0]
        n_windows = self.offsets[-1] + window
        begin = months[:, :1] - window + 1 + np.arange(n_windows)
        valid = (begin >= 0) & (begin <= n_months - window)
        self.valid = valid[:, :, None].astype(float)
        self.terms = sliding_window_view(valid, window, axis=1).sum(axis=2)[:, self.offsets]
        self.columns = np.clip(begin[:, :1] + np.arange(n_windows + window - 1), 0, n_months - 1)

    def __call__(self, series: np.ndarray, eofs: np.ndarray, gap_of: np.ndarray) -> np.ndarray:
        """Values (b, g) for series (b, n) and orthonormal vectors (b, M, K), unused columns zero."""
        near_gap = np.take_along_axis(series, self.columns[gap_of], axis=1)
        pcs = np.ascontiguousarray(sliding_window_view(near_gap, self.window, axis=1)) @ eofs
        pcs *= self.valid[gap_of]
        parts = pcs @ eofs.transpose(0, 2, 1)
        # Along an anti-diagonal the window goes forward as the position in it goes backward.
        row, item = parts.strides[1:]
        shape = len(series), self.offsets[-1] + 1, self.window
        diagonals = as_strided(parts[:, :, -1:], shape, (parts.strides[0], row, row - item), writeable=False)
        if self.offsets.size < shape[1]:
            diagonals = diagonals[:, self.offsets]
        return diagonals.sum(axis=2) / self.terms[gap_of]


class GapReconstruction:
    """Reconstruction of each series at the months of its own gap.

    Parameters
    ----------
    months : ndarray of int, shape (n_gaps, g)
        Positions of the months of each gap.
    n_months, window : int
        Length of the series and M.
    """

    def __init__(self, months: np.ndarray, n_months: int, window: int) -> None:
        forms, form_of = np.unique(months - months[:, :1], axis=0, return_inverse=True)
        self.form_of = form_of.reshape(-1)
        self.place = np.zeros(len(months), dtype=int)
        self.of_form = []
        for form in range(len(forms)):
            gaps = np.flatnonzero(self.form_of == form)
            self.place[gaps] = np.arange(gaps.size)
            self.of_form.append(Reconstruction(months[gaps], n_months, window))

    def __call__(self, series: np.ndarray, eofs: np.ndarray, gap_of: np.ndarray) -> np.ndarray:
        """Values (b, g) for series (b, n), vectors (b, M, K) and the number of the gap (b,) of each series."""
        if len(self.of_form) == 1:
            return self.of_form[0](series, eofs, gap_of)
        values = np.empty((len(series), self.of_form[0].offsets.size))
        for form in np.unique(self.form_of[gap_of]):
            rows = self.form_of[gap_of] == form
            values[rows] = self.of_form[form](series[rows], eofs[rows], self.place[gap_of[rows]])
        return values


def reconstruct(series: np.ndarray, eofs: np.ndarray) -> np.ndarray:
    """Sum of the reconstructed components of `eofs` (b, M, K) at every month of `series` (b, n)."""
    b, n = series.shape
    return Reconstruction(np.arange(n)[None], n, eofs.shape[1])(series, eofs, np.zeros(b, dtype=int))


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
    tick: Callable[[], None] | None = None,
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
    tick : callable, optional
        Called after every pass of the batch; may raise to cancel.

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
    gap_months = np.stack([np.flatnonzero(gap) for gap in gaps])
    run = _empty_run(series, gap_months.shape[1], window, int(goal.max()), keep_components)
    if gap_months.shape[1] == 0:
        run.passes[:] = 1
        if keep_components:
            _keep_components(run, np.arange(b), series, goal, is_steep(series, np.ones(series.shape, dtype=bool)))
        return run

    at_gaps = GapReconstruction(gap_months, series.shape[1], window)
    batch = np.arange(b)  # the series still running; all arrays below have a row for each of them
    months = gap_months[gap_of]
    np.put_along_axis(series, months, 0.0, axis=1)
    steep = is_steep(series, ~gaps[gap_of])
    in_use = np.ones(b, dtype=int)
    calm = np.zeros(b, dtype=bool)
    tracker = SubspaceTracker(b, window, min(window, _round_up(int(goal.max()), 12)))
    for count in range(1, MAX_PASSES + 1):
        bases = tracker(batch, lag_matrices(series, window), in_use, calm)
        if steep.any():
            _put_exact(bases, series, in_use, steep)
        old = np.take_along_axis(series, months, axis=1)
        new = at_gaps(series, bases, gap_of)
        change, size = _norm(new - old), _norm(old)
        accepted = change < CHANGE_THRESHOLD * size
        stuck = (change == 0) & (size == 0)
        finished = (accepted & (in_use == goal)) | stuck
        if count == MAX_PASSES:
            finished[:] = stuck[:] = True
        for row in np.flatnonzero(accepted | stuck):
            run.reach(batch[row], slice(in_use[row] - 1, goal[row] if stuck[row] else in_use[row]), new[row], count)
        if keep_components and finished.any():
            _keep_components(run, batch[finished], series[finished], in_use[finished], steep[finished])
        np.put_along_axis(series, months, new, axis=1)
        in_use += accepted
        calm = change < CALM * size
        if tick is not None:
            tick()
        if accepted.any() or finished.any():
            left = np.flatnonzero(~finished)
            left = left[np.argsort(in_use[left], kind="stable")]  # rows of equal number together spare copies
            batch, series, months, in_use = batch[left], series[left], months[left], in_use[left]
            goal, gap_of, calm, steep = goal[left], gap_of[left], calm[left], steep[left]
            if batch.size == 0:
                break
    return run


def _put_exact(bases: np.ndarray, series: np.ndarray, in_use: np.ndarray, steep: np.ndarray) -> None:
    """Put singular vectors in the place of the bases of steep series."""
    exact = leading_eofs(series[steep], bases.shape[1], in_use[steep], steep[steep])
    bases[steep, :, : exact.shape[2]] = exact


def _empty_run(series: np.ndarray, n_gap: int, window: int, most: int, keep_components: bool) -> FillRun:
    b = len(series)
    run = FillRun(np.full((b, most, n_gap), np.nan), np.zeros((b, most), dtype=int))
    if keep_components:
        run.decomposed, run.eofs = np.empty_like(series), np.zeros((b, window, most))
    return run


def _keep_components(run: FillRun, rows: np.ndarray, series: np.ndarray, in_use: np.ndarray, steep: np.ndarray) -> None:
    """The single eigenvectors of a last pass, which itself needed no more than the space that they span."""
    run.decomposed[rows] = series
    run.eofs[rows, :, : in_use.max()] = leading_eofs(series, run.eofs.shape[1], in_use, steep)


def _round_up(number: int, step: int) -> int:
    return -(-number // step) * step


def _norm(rows: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("bt,bt->b", rows, rows))

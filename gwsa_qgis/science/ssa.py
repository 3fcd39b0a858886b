"""Gap filling of monthly series by singular spectrum analysis (SSA) in two stages.

Stage a fills short gaps; stage b fills the long gap between GRACE and GRACE-FO, with window and number of modes chosen
by cross-validation (Yi & Sneeuw 2021, doi:10.1029/2020JB021227; equations 1 to 14 of the data set's paper).
`ssa_core` holds the iteration, `ssa_record` the classes of months, `ssa_stages` the two stages, `gap_baselines` the
plain methods that it is compared with, `hidden_months` the comparison and `gap_methods` the choice between them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, fields, replace
from functools import partial

import numpy as np

from gwsa_qgis.errors import InvalidParameter, NoUsableData
from gwsa_qgis.science.blas import one_blas_thread
from gwsa_qgis.science.gap_methods import FilledSeries, check_record, fill_record
from gwsa_qgis.science.hidden_months import METHODS
from gwsa_qgis.science.ssa_record import Record, check_contiguous
from gwsa_qgis.science.ssa_stages import BATCH, Reading, Stages

Spread = Callable[[Callable, Iterable], Iterable]
OBSERVED, SHORT_GAP, LONG_GAP = 0, 1, 2
"""Values of `SsaResult.flags`."""

_PAPER = Reading(
    test_years=tuple(range(2004, 2016)),
    score_observed_only=True,
    error_stretch_only=True,
    low_frequency_test=True,
)
# Series of a process's task: several masked years of few series make one batch, so small tasks cost nothing. Threads wait for
# the interpreter's lock after each operation: theirs are larger.
SMALLEST_TASK, SMALLEST_OF_THREAD = 16, 32
PRESETS = {
    "recommended": _PAPER,
    "published": _PAPER,
    "released": Reading(
        test_years=(2004, 2007, 2010, 2013),
        score_observed_only=False,
        error_stretch_only=False,
        low_frequency_test=True,
    ),
}
"""How `fill_gaps` reads the method under each of its presets."""


@dataclass
class SsaResult:
    """Filled series and how good the fills are.

    Attributes
    ----------
    filled : ndarray, shape (n_series, n_months)
        The series without gaps, observed months bit for bit as given; NaN in series without any observation.
    short_error, long_error : ndarray, shape (n_series,)
        eps1 and eps2 (equations 12 to 14), in the unit of the series. eps1 is the standard deviation of what the
        reconstruction leaves, a residual and not the error of a fill, which is 1.3 to 2.3 times larger; eps2 is the
        error in masked years. NaN where the stage did not run.
    long_window, long_modes : ndarray of int, shape (n_series,)
        Chosen M and K of stage b; 0 where it did not run.
    flags : ndarray of uint8, shape (n_series, n_months)
        0 not filled (observed, or in a series without any observation), 1 short gap, 2 long gap.
    short_passes, long_passes : ndarray of int, shape (n_series,)
        Decompositions of each stage; for stage b those of all masked years with all modes, and of the final fill.
    distinct : int
        Number of distinct series that were solved.
    hidden_short, hidden_long : ndarray, shape (n_series, 4)
        Errors in hidden months (short gaps) and in hidden years (the long gap), by method in the order of `METHODS`;
        every choice is scored on months that it was not made on. NaN unless methods were compared.
    short_share, long_share : ndarray, shape (n_series,)
        Share of SSA in the filled months: 1 for ``ssa``, 0 for a plain method, in between for ``best``; NaN where
        the series has no such gap.
    too_short : ndarray of bool, shape (n_series,)
        Series too short to be filled: their gaps stay NaN, with flag 0.
    """

    filled: np.ndarray
    short_error: np.ndarray
    long_error: np.ndarray
    long_window: np.ndarray
    long_modes: np.ndarray
    flags: np.ndarray
    short_passes: np.ndarray
    long_passes: np.ndarray
    distinct: int
    hidden_short: np.ndarray
    hidden_long: np.ndarray
    short_share: np.ndarray
    long_share: np.ndarray
    too_short: np.ndarray


def fill_gaps(
    series: np.ndarray,
    months: np.ndarray,
    *,
    preset: str = "recommended",
    short_window: int = 24,
    short_modes: int = 12,
    long_windows: Iterable[int] = (48,),
    long_modes: Iterable[int] = range(1, 13),
    low_frequency_test: bool | None = None,
    method: str = "ssa",
    compare: bool = False,
    threads: int = 1,
    spread: Spread | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> SsaResult:
    """Fill the missing months of each series.

    Which months are short and which are long gaps follows from the data, series by series: seven missing months in a
    row make a long gap, and what is missing after it is filled with it. A record with several long gaps is tested on
    its first stretch of five complete years between them (or else its longest), and months missing elsewhere are
    filled together. Months missing at the ends of the record are filled too: extrapolated, with errors that do not
    hold for them.

    Parameters
    ----------
    series : ndarray, shape (n_series, n_months)
        Values in any unit, NaN = missing. They are neither centred nor detrended, and the level has an effect: give
        anomalies as they were published. Identical series are solved once.
    months : ndarray of datetime64[M], shape (n_months,)
        Contiguous calendar months.
    preset : {"recommended", "published", "released"}
        ``published``: the paper's text, that is twelve masked years (2004 to 2015) scored on their observed months,
        eps1 over the observations before the long gap. ``released``: the authors' program, that is four masked years
        (2004, 2007, 2010, 2013) scored on all months, eps1 over all observations. ``recommended`` is at present the
        same as ``published``. Only years inside the record are masked; where it has none of those, all complete
        years before the long gap but the first and the last.
    short_window, short_modes : int
        M and K of stage a.
    long_windows, long_modes : iterable of int
        M and K that stage b chooses from. With a single pair nothing is masked and `long_error` is taken as eps1 is.
    low_frequency_test : bool, optional
        Whether eps1 counts only those components that have more than 90 % of their power at periods of four months
        and more. The program does, the paper's text is silent and follows the program otherwise, so all presets do;
        without the test eps1 is about a fifth smaller. Fills do not depend on it.
    method : {"ssa", "harmonic", "autoregressive", "best"}
        ``harmonic``: line, annual and semi-annual cycle. ``autoregressive``: these, and the departure from them as
        the expectation of an autoregression given all observations. ``best``: w x SSA + (1 - w) x autoregressive, w
        chosen by hidden months. The errors of all three are those of hidden months, see `hidden_months`.
    compare : bool
        Hide months to find the errors of all methods, whichever fills.
    threads : int
        Threads that solve batches of series.
    spread : callable, optional
        Solves them instead, ``spread(function, batches)`` giving the results in order: `threads` processes, say.
    progress : callable, optional
        Called from the calling thread as ``progress(fraction, message)``; may raise to cancel.

    Returns
    -------
    SsaResult

    Raises
    ------
    InvalidMonths
        If the months are not contiguous or not as many as the series have.
    InvalidParameter
        If a parameter is outside what it may be.
    NoUsableData
        If values are infinite, or all series are too short for the windows or for the cross-validation.
    """
    series = np.asarray(series, dtype=np.float64)
    if series.ndim != 2:
        raise InvalidParameter(
            f"series has {series.ndim} dimensions", "give it as (number of series, number of months)"
        )
    if np.isinf(series).any():
        raise NoUsableData("the series hold infinite values", "mark missing months with NaN")
    months = check_contiguous(months, series.shape[1])
    stages = _stages(preset, short_window, short_modes, long_windows, long_modes, low_frequency_test)
    if threads < 1:
        raise InvalidParameter(f"threads is {threads}", "give 1 or more")
    if method not in METHODS:
        raise InvalidParameter(f"method is {method!r}", f"give one of {', '.join(METHODS)}")

    first, solution_of = distinct_rows(series)
    solved = series[first]
    flags = np.zeros(solved.shape, dtype=np.uint8)
    results = FilledSeries.empty(solved.copy())
    tasks, refusal = [], None
    smallest = SMALLEST_OF_THREAD if spread is None else SMALLEST_TASK
    for rows, missing in _by_missing_months(solved):
        record = Record.from_missing(missing, months)
        try:
            check_record(record, stages, method, compare)
        except NoUsableData as problem:
            refusal = refusal or problem
            results.too_short[rows] = True
            continue
        flags[np.ix_(rows, record.short)], flags[np.ix_(rows, record.long)] = SHORT_GAP, LONG_GAP
        size = min(BATCH, max(smallest, -(-rows.size // (4 * threads))))
        tasks += [(rows[start : start + size], record) for start in range(0, rows.size, size)]
    if refusal and not tasks:
        raise refusal

    progress = progress or _no_progress
    if spread is not None:
        function = partial(_fill_batch, stages=stages, method=method, compare=compare)
        found = spread(function, [(solved[rows], record) for rows, record in tasks])
        _gather(tasks, found, results, progress)
    else:

        def fill(rows: np.ndarray, record: Record, tick: Callable[[], None]) -> FilledSeries:
            return fill_record(solved[rows], record, stages, method, compare, tick)

        _solve(tasks, fill, results, threads, progress)
    per_series = {field.name: getattr(results, field.name)[solution_of] for field in fields(results)}
    return SsaResult(flags=flags[solution_of], distinct=len(first), **per_series)


def distinct_rows(series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find equal rows, NaN in equal places included.

    Parameters
    ----------
    series : ndarray of float64, shape (n_series, n_months)

    Returns
    -------
    first : ndarray of int
        One row of each set of equal rows.
    solution_of : ndarray of int, shape (n_series,)
        For each row, the position in `first` of the row equal to it.

    Notes
    -----
    Rows are sorted by a 64-bit hash of their bits and then compared exactly. A row whose hash is that of a different
    row stands for itself, so that a collision costs time and never a result.
    """
    bits = np.ascontiguousarray(series).view(np.uint64)
    odd = np.random.default_rng(2021).integers(2**64, size=bits.shape[1], dtype=np.uint64) | np.uint64(1)
    hashes = np.empty(len(bits), dtype=np.uint64)
    block = 8192  # rows at a time, so that temporary copies stay small
    for start in range(0, len(bits), block):
        part = bits[start : start + block]
        # Values that came from float32 end in zeros: fold the upper half down before it is multiplied away.
        hashes[start : start + block] = ((part ^ (part >> np.uint64(31))) * odd).sum(axis=1, dtype=np.uint64)
    _, first, solution_of = np.unique(hashes, return_index=True, return_inverse=True)
    solution_of = solution_of.reshape(-1)
    alone = [
        start + np.flatnonzero((bits[start : start + block] != bits[first[solution_of[start : start + block]]]).any(1))
        for start in range(0, len(bits), block)
    ]
    alone = np.concatenate(alone) if alone else np.empty(0, dtype=int)
    solution_of[alone] = len(first) + np.arange(alone.size)
    return np.concatenate([first, alone]), solution_of


def _stages(
    preset: str,
    short_window: int,
    short_modes: int,
    long_windows: Iterable[int],
    long_modes: Iterable[int],
    low_frequency_test: bool | None,
) -> Stages:
    if preset not in PRESETS:
        raise InvalidParameter(f"preset is {preset!r}", f"give one of {', '.join(PRESETS)}")
    reading = PRESETS[preset]
    if low_frequency_test is not None:
        reading = replace(reading, low_frequency_test=low_frequency_test)
    windows, modes = tuple(int(m) for m in long_windows), tuple(int(k) for k in long_modes)
    for what, m, k in (("short", (short_window,), (short_modes,)), ("long", windows, modes)):
        if not m or not k or min(k) < 1 or max(k) > min(m):
            raise InvalidParameter(
                f"the {what} gaps are given windows {list(m)} and numbers of modes {list(k)}",
                "give at least one of each, and no number of modes below 1 or above the shortest window",
            )
    return Stages(int(short_window), int(short_modes), windows, modes, reading)


def _by_missing_months(series: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Groups of series (row numbers) that miss the same months (n_months,); series without any value left out."""
    missing = np.isnan(series)
    patterns, group_of = np.unique(np.packbits(missing, axis=1), axis=0, return_inverse=True)
    group_of = group_of.reshape(-1)
    groups = [np.flatnonzero(group_of == group) for group in range(len(patterns))]
    return [(rows, missing[rows[0]]) for rows in groups if not missing[rows[0]].all()]


def _solve(
    tasks: list[tuple[np.ndarray, Record]],
    fill: Callable[[np.ndarray, Record, Callable[[], None]], FilledSeries],
    results: FilledSeries,
    threads: int,
    progress: Callable[[float, str], None],
) -> None:
    """Fill the tasks in threads and put each task's rows into `results`; `progress` is called from this thread."""
    cancelled = threading.Event()
    done = []
    total = sum(rows.size for rows, _ in tasks)

    def stop_if_cancelled() -> None:
        if cancelled.is_set():
            raise _Stopped

    def solve(rows: np.ndarray, record: Record) -> None:
        stop_if_cancelled()
        part = fill(rows, record, stop_if_cancelled)
        for field in fields(part):
            getattr(results, field.name)[rows] = getattr(part, field.name)
        done.append(rows.size)

    reported = -1
    with one_blas_thread(), ThreadPoolExecutor(threads) as executor:
        running = {executor.submit(solve, *task) for task in tasks}
        try:
            while running:
                finished, running = wait(running, timeout=0.2, return_when="FIRST_COMPLETED")
                for future in finished:
                    future.result()
                count = sum(done)
                message = f"Gap filling: {count} of {total} distinct series" if count > reported else ""
                reported = count
                progress(count / total, message)
        except BaseException:
            cancelled.set()
            for future in running:
                future.cancel()
            raise


def _fill_batch(batch: tuple[np.ndarray, Record], stages: Stages, method: str, compare: bool) -> FilledSeries:
    """Fill a batch of series in another process."""
    with one_blas_thread():
        return fill_record(*batch, stages, method, compare, lambda: None)


def _gather(
    tasks: list[tuple[np.ndarray, Record]],
    found: Iterable[FilledSeries],
    results: FilledSeries,
    progress: Callable[[float, str], None],
) -> None:
    """Put the rows of tasks that others fill into `results`."""
    done, total = 0, sum(rows.size for rows, _ in tasks)
    for (rows, _), part in zip(tasks, found, strict=True):
        for field in fields(part):
            getattr(results, field.name)[rows] = getattr(part, field.name)
        done += rows.size
        progress(done / total, f"Gap filling: {done} of {total} distinct series")


class _Stopped(Exception):
    pass


def _no_progress(fraction: float, message: str) -> None:
    pass

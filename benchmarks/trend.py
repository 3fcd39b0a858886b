"""Time of the trend chain per pixel beside the usual loop over statsmodels and pymannkendall, in one run.

Run with one thread of BLAS: ``OMP_NUM_THREADS=1 python -m benchmarks trend``, or ``python benchmarks/trend.py [pixels]
[loop pixels]``. CPU time is measured, but wall time for two workers beside one.
"""

import contextlib
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pymannkendall
from statsmodels.tsa.seasonal import STL

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._neighbours import beside, timed, times_as_fast
from gwsa_qgis.science import compiled
from gwsa_qgis.science.pixel_trend import TrendSettings, pixel_trends
from gwsa_qgis.science.red_noise import autoregressive
from gwsa_qgis.science.trend import CORRECTIONS, deseasonalise, mann_kendall, theil_sen

MONTHS = 225
PIECES = 16  # of the stack, for two workers
_shared: dict[str, list[np.ndarray]] = {}  # with processes that are forked


def microseconds_per_pixel(work, pixels, repeats=3):
    """Least processor time of some runs; the first one fills caches and does not count where there are more."""
    return min(timed(work).cpu for _ in range(repeats)) / pixels * 1e6


def groundwater_like(pixels, seed=0):
    """Float32 series with a season, a trend and a month-to-month correlation of 0.8."""
    rng = np.random.default_rng(seed)
    series = autoregressive(rng.normal(size=(pixels, MONTHS)), 0.8)
    months = np.arange(MONTHS)
    return (series + 3 * np.sin(2 * np.pi * months / 12) - 0.01 * months).astype(np.float32)


def chain(stack):
    """STL, slope and both p values of a float32 stack."""
    return pixel_trends(stack, TrendSettings())[:3]


def steps(stack):
    """Work to be timed, by name."""
    adjusted = deseasonalise(stack)
    slope = theil_sen(adjusted, confidence=None).slope
    by_correction = {
        f"Mann-Kendall, {name} (slope known)": lambda name=name: mann_kendall(adjusted, name, slope=slope)
        for name in CORRECTIONS
    }
    return {
        "STL": lambda: deseasonalise(stack),
        "Theil-Sen slope": lambda: theil_sen(adjusted, confidence=None),
        "Theil-Sen slope and limits": lambda: theil_sen(adjusted),
        **by_correction,
        "chain: STL, slope, both p": lambda: chain(stack),
    }


def loops(stack):
    """The usual loops, by the name of the step that they are compared with; the chain is STL and the plain test."""
    raw = np.asarray(stack, np.float64)
    few = np.array(deseasonalise(stack))
    tests = {
        "none": pymannkendall.original_test,
        "hamed_rao": pymannkendall.hamed_rao_modification_test,
        "yue_wang": pymannkendall.yue_wang_modification_test,
        "trend_free_prewhitening": pymannkendall.trend_free_pre_whitening_modification_test,
        "seasonal": pymannkendall.seasonal_test,
    }
    by_correction = {
        f"Mann-Kendall, {name} (slope known)": lambda test=test: [test(y) for y in few] for name, test in tests.items()
    }
    return {
        "STL": lambda: [STL(y, period=12).fit() for y in raw],
        "Theil-Sen slope": lambda: [pymannkendall.sens_slope(y) for y in few],
        **by_correction,
        "chain: STL, slope, both p": lambda: [
            pymannkendall.original_test(y - STL(y, period=12).fit().seasonal) for y in raw
        ],
    }


def two_workers(stack, repeats=7):
    """How many times as fast as one thread two threads are, and two processes: the most that this machine gives."""
    context = multiprocessing.get_context("fork")
    _shared["pieces"] = np.array_split(stack, PIECES)
    with ProcessPoolExecutor(2, mp_context=context) as processes, ThreadPoolExecutor(2) as threads:
        works = {
            "threads": lambda: list(threads.map(_run_piece, range(PIECES))),
            "processes": lambda: list(processes.map(_run_piece, range(PIECES))),
        }
        for work in works.values():
            work()
        one, found = beside(lambda: [_run_piece(number) for number in range(PIECES)], works, repeats)
    return {name: times_as_fast(one, own)[0] for name, own in found.items()}


def _run_piece(number):
    """The chain over a piece; what it gives stays where it is."""
    chain(_shared["pieces"][number])


def main(pixels=32768, loop_pixels=24):
    """Print the table."""
    stack = groundwater_like(pixels)
    with compiled.without_compiling():
        expected = chain(stack)
        plain = {name: microseconds_per_pixel(work, pixels) for name, work in steps(stack).items()}
        workers = {"numpy": two_workers(stack)}
    took, _, ready = timed(compiled.prepare)
    fast = {}
    if ready:
        fast = {name: microseconds_per_pixel(work, pixels) for name, work in steps(stack).items()}
        workers["numba"] = two_workers(stack)
    loop = {name: microseconds_per_pixel(work, loop_pixels) for name, work in loops(stack[:loop_pixels]).items()}
    with contextlib.suppress(ImportError):
        from numba import __version__ as numba_version

        print(f"numba {numba_version}, compiled in {took:.1f} s: the same result to the bit: ", end="")
        print("yes" if np.array_equal(chain(stack), expected) else "NO")
    print(f"{MONTHS} months, {pixels} pixels, numpy {np.__version__}, microseconds of CPU per pixel")
    print(f"{'step':54}{'numpy':>8}{'numba':>8}{'loop':>9}{'loop/numpy':>12}{'loop/numba':>12}")
    for name, here in plain.items():
        compiled_time, usual = fast.get(name, np.nan), loop.get(name, np.nan)
        ratios = f"{usual / here:12.0f}{usual / compiled_time:12.0f}"
        print(f"{name:54}{here:8.1f}{compiled_time:8.1f}{usual:9.0f}{ratios}".replace("nan", "  -"))
    for name, found in workers.items():
        print(
            f"{name}: two threads {found['threads']:.2f} times as fast as one, two processes {found['processes']:.2f}"
        )


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))

"""Time of the trend chain per pixel beside the usual loop over statsmodels and pymannkendall, in one run.

Run with one thread: ``OMP_NUM_THREADS=1 python benchmarks/trend.py [pixels] [loop pixels]``. CPU time is measured.
"""

import sys
import time

import numpy as np
import pymannkendall
from statsmodels.tsa.seasonal import STL

from gwsa_qgis.science.trend import deseasonalise, mann_kendall, theil_sen

MONTHS = 225


def microseconds_per_pixel(work, pixels, repeats=3):
    """Least CPU time of some runs; the first one fills caches and does not count where there are more."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken) / pixels * 1e6


def groundwater_like(pixels, seed=0):
    """Float32 series with a season, a trend and a month-to-month correlation of 0.8."""
    rng = np.random.default_rng(seed)
    series = rng.normal(size=(pixels, MONTHS))
    for month in range(1, MONTHS):
        series[:, month] += 0.8 * series[:, month - 1]
    months = np.arange(MONTHS)
    return (series + 3 * np.sin(2 * np.pi * months / 12) - 0.01 * months).astype(np.float32)


def main(pixels=4096, loop_pixels=16):
    """Print the table."""
    stack = groundwater_like(pixels)
    adjusted = deseasonalise(stack)
    slope = theil_sen(adjusted, confidence=None).slope
    few = np.array(adjusted[:loop_pixels])
    raw = np.asarray(stack[:loop_pixels], np.float64)
    ours = {
        "STL": lambda: deseasonalise(stack),
        "Theil-Sen slope": lambda: theil_sen(adjusted, confidence=None),
        "Theil-Sen slope and limits": lambda: theil_sen(adjusted),
        "Mann-Kendall, plain": lambda: mann_kendall(adjusted, "none"),
        "Mann-Kendall, both p (slope known)": lambda: mann_kendall(adjusted, "ar1", slope=slope),
    }
    loops = {
        "STL": ("statsmodels", lambda: [STL(y, period=12).fit() for y in raw]),
        "Theil-Sen slope": ("pymannkendall", lambda: [pymannkendall.sens_slope(y) for y in few]),
        "Mann-Kendall, plain": ("pymannkendall", lambda: [pymannkendall.original_test(y) for y in few]),
    }
    times = {name: microseconds_per_pixel(work, pixels) for name, work in ours.items()}
    loop_times = {name: microseconds_per_pixel(work, loop_pixels, 2) for name, (_, work) in loops.items()}
    print(f"{MONTHS} months, {pixels} pixels, numpy {np.__version__}, microseconds of CPU per pixel")
    print(f"{'step':36}{'here':>10}{'loop':>12}{'ratio':>9}  loop over")
    for name, here in times.items():
        loop = loop_times.get(name)
        beside = f"{loop:12.0f}{loop / here:9.0f}  {loops[name][0]}" if loop else ""
        print(f"{name:36}{here:10.1f}{beside}")
    chain = times["STL"] + times["Theil-Sen slope"] + times["Mann-Kendall, both p (slope known)"]
    loop = loop_times["STL"] + loop_times["Mann-Kendall, plain"]
    print(f"{'chain: STL, slope, both p':36}{chain:10.1f}{loop:12.0f}{loop / chain:9.0f}  statsmodels, pymannkendall")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))

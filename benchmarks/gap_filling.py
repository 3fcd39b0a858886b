"""Series filled per second, beside the eigendecompositions alone and beside a plain loop over numpy's SVD, in one run.

All use the paper's configuration: stage a with M = 24 and K = 12, stage b with M = 48 and K = 1..12 over twelve masked
years; every series is distinct.

* The floor is a bare loop of `numpy.linalg.eigh` over as many 48 x 48 lag matrices of these series as stage b had
  passes, and nothing else: what a program that decomposes once per pass cannot go below. A share above 100 % means
  that the passes, everything included, took less time than that.
* The plain loop is written from the definition and gives the same values; it stands for what a straightforward port
  of the authors' program costs.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._neighbours import timed
from gwsa_qgis.months import month_range
from gwsa_qgis.science.blas import one_blas_thread
from gwsa_qgis.science.red_noise import autoregressive
from gwsa_qgis.science.ssa import fill_gaps
from gwsa_qgis.science.ssa_core import lag_matrices

WINDOW = 48
SHORT_GAPS = (
    *("2002-06", "2002-07", "2003-06", "2011-01", "2011-06", "2012-05"),
    *("2012-10", "2013-03", "2013-08", "2013-09", "2014-02", "2014-07"),
)


def observed_series(count, seed=0):
    """Trend, season and red noise with gaps as GRACE has them."""
    months = month_range("2002-04", "2020-12")
    rng = np.random.default_rng(seed)
    noise = autoregressive(rng.normal(size=(count, months.size)), 0.7)
    time_axis = np.arange(months.size)
    series = noise + 5 * np.sin(2 * np.pi * time_axis / 12) - 0.05 * time_axis
    series[:, np.isin(months, np.array(SHORT_GAPS, "datetime64[M]"))] = np.nan
    series[:, (months >= np.datetime64("2017-07")) & (months <= np.datetime64("2018-05"))] = np.nan
    return series, months


def loop_fill(series, window, modes):
    """Fill one series: a full decomposition and reconstruction in every pass."""
    values, gap = np.nan_to_num(series), np.isnan(series)
    kept = 1
    while True:
        trajectory = np.lib.stride_tricks.sliding_window_view(values, window)
        left, strength, right = np.linalg.svd(trajectory, full_matrices=False)
        matrix = (left[:, :kept] * strength[:kept]) @ right[:kept]
        flipped = matrix[:, ::-1]
        rebuilt = np.array([flipped.diagonal(window - 1 - t).mean() for t in range(values.size)])
        before = values[gap]
        values = np.where(gap, rebuilt, values)
        if np.linalg.norm(before - values[gap]) < 0.01 * np.linalg.norm(before):
            if kept == modes:
                return values
            kept += 1


def loop(series, months):
    """Both stages for one series, one run up to K for each masked year."""
    long = months >= np.datetime64("2017-07")
    spliced = series[~(long & np.isnan(series))]
    filled = series.copy()
    filled[~(long & np.isnan(series))] = loop_fill(spliced, 24, 12)
    background = (months >= np.datetime64("2003-01")) & (months < np.datetime64("2017-01"))
    for year in range(2004, 2016):
        masked = filled[background].copy()
        masked[months[background].astype("datetime64[Y]").astype(int) + 1970 == year] = np.nan
        loop_fill(masked, WINDOW, 12)
    return loop_fill(filled, WINDOW, 12)


def eigendecompositions(filled, months, passes):
    """As many decompositions of lag matrices of the background months as there were passes."""
    background = (months >= np.datetime64("2003-01")) & (months < np.datetime64("2017-01"))
    lag = lag_matrices(filled[:, background], WINDOW)
    with one_blas_thread():
        for start in range(0, passes, len(lag)):
            np.linalg.eigh(lag[: passes - start])


def main(count=256):
    """Print series per second with one and two threads, the share of the floor and the ratio to the plain loop."""
    series, months = observed_series(count)
    fill_gaps(series[:2], months, preset="published")  # imports and first calls
    one = timed(lambda: fill_gaps(series, months, preset="published"))
    two = timed(lambda: fill_gaps(series, months, preset="published", threads=2))
    filled, passes = one.result.filled, int(one.result.long_passes.sum())
    floor = timed(lambda: eigendecompositions(filled, months, passes))
    plain = timed(lambda: loop(series[0], months))
    same = "the same bits" if np.array_equal(filled, two.result.filled) else "OTHER VALUES"

    print(f"{months.size} months, {count} distinct series, {passes / count:.0f} passes with M = {WINDOW} for each")
    print(f"{'':34}{'series/s, wall':>16}{'series/s, CPU':>16}")
    for name, taken in {"one thread": one, "two threads": two, "floor: the eigendecompositions": floor}.items():
        print(f"{name:34}{count / taken.wall:16.2f}{count / taken.cpu:16.2f}")
    print(f"{'plain loop over SVD, one series':34}{'':16}{1 / plain.cpu:16.2f}")
    print(f"two threads against one: {one.wall / two.wall:.2f} x, {same}")
    print(f"share of the floor (its time / ours): {floor.cpu / one.cpu:.0%}")
    print(f"against the plain loop: {plain.cpu * count / one.cpu:.1f} x")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))

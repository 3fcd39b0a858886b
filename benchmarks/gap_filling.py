"""Series filled per second beside the same algorithm as a plain loop over singular value decompositions, in one run.

Both use the paper's configuration: stage a with M = 24 and K = 12, stage b with M = 48 and K = 1..12 over twelve masked
years. The loop is written from the definition and gives the same values; it stands for what a straightforward port of
the authors' program costs.
"""

import sys
import time

import numpy as np

from gwsa_qgis.months import month_range
from gwsa_qgis.science.ssa import fill_gaps

SHORT_GAPS = (
    *("2002-06", "2002-07", "2003-06", "2011-01", "2011-06", "2012-05"),
    *("2012-10", "2013-03", "2013-08", "2013-09", "2014-02", "2014-07"),
)


def observed_series(count, seed=0):
    """Trend, season and red noise with gaps as GRACE has them."""
    months = month_range("2002-04", "2020-12")
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(count, months.size))
    for month in range(1, months.size):
        noise[:, month] += 0.7 * noise[:, month - 1]
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
        loop_fill(masked, 48, 12)
    return loop_fill(filled, 48, 12)


def main(count=32):
    """Print series per second of CPU time, and the ratio."""
    series, months = observed_series(count)
    start = time.process_time()
    fill_gaps(series, months, preset="published")
    ours = count / (time.process_time() - start)
    start = time.process_time()
    loop(series[0], months)
    plain = 1 / (time.process_time() - start)
    print(f"{months.size} months, {count} distinct series, series per second of CPU time")
    print(f"here {ours:.2f}, loop over numpy's SVD {plain:.3f}, ratio {ours / plain:.0f}")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))

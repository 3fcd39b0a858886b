"""The trend step from file to file beside the bare science on an array in memory, and its memory, in one run.

``python -m benchmarks trend_map``, or ``python benchmarks/trend_map.py [side] [months] [threads] [memory side] [memory
months]``: a stack of side x side pixels, compressed as the steps write it. The bare science is STL, Theil-Sen slope and both
p values of an array of some of these pixels, by 1 and by `threads` threads. With a memory side, the peak memory is measured
in fresh processes on maps of 1, 4 and 16 times that area. Cancelling is measured on the first file.
"""

import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._peak import in_fresh_process, memory_mb
from gwsa_qgis.months import month_range
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.stack import MonthlyStack, create_stack
from gwsa_qgis.science.trend import deseasonalise, mann_kendall, theil_sen

PIECE = 2304
CANCEL_AT = (0.02, 0.4)


def make_stack(path, side, months, seed=0):
    """Season, trend and a month-to-month correlation of 0.8, to hundredths of a mm as good maps have them."""
    rng = np.random.default_rng(seed)
    grid = Grid(70.0, 32.0, 1 / 120, 1 / 120, side, side, geographic_crs())
    span = month_range("2002-04", np.datetime64("2002-04", "M") + months - 1)
    trend = rng.normal(scale=0.02, size=grid.shape).astype(np.float32)
    noise = rng.standard_normal(grid.shape, dtype=np.float32)
    with create_stack(path, grid, span, quantity="groundwater storage anomaly", step="benchmark") as writer:
        for month in range(months):
            noise = 0.8 * noise + rng.standard_normal(grid.shape, dtype=np.float32)
            layer = noise + trend * month + 3 * np.sin(2 * np.pi * month / 12)
            writer.write(np.round(layer, 3).astype(np.float32), first_band=month)


def run_step(path, folder, threads, memory=512, progress=None):
    """The step with the outputs that it always writes."""
    from gwsa_qgis.steps.trend import trend

    outputs = {"p_plain": folder / "p_plain.tif", "classes": folder / "classes.tif"}
    return trend(
        path, folder / "slope.tif", folder / "p.tif", **outputs, workers=threads, memory_mb=memory, progress=progress
    )


def bare(series):
    """The science alone."""
    adjusted = deseasonalise(series)
    slope = theil_sen(adjusted, confidence=None).slope
    mann_kendall(adjusted, "ar1", slope=slope)


def bare_rate(series, threads):
    """Seconds for each pixel of an array in memory."""
    pieces = [series[start : start + PIECE] for start in range(0, len(series), PIECE)]
    begin = time.perf_counter()
    if threads == 1:
        for piece in pieces:
            bare(piece)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(bare, pieces))
    return (time.perf_counter() - begin) / len(series)


def read_some(path, pixels):
    """Series of some pixels."""
    with MonthlyStack(path) as stack:
        rows = max(1, min(stack.grid.rows, pixels // stack.grid.columns))
        values = stack.read(slice(0, rows))
    return np.ascontiguousarray(values.reshape(len(values), -1).T)


def report_speed(path, folder, side, months, threads):
    """Print rates of the science and of the step, with 1 and with all threads."""
    series = read_some(path, 16 * PIECE)
    bare(series[:PIECE])
    print(f"{side} x {side} pixels, {months} months, {Path(path).stat().st_size / 1e6:.0f} MB, numpy {np.__version__}")
    print(f"{'threads':>8}{'science, us/pixel':>20}{'step, us/pixel':>17}{'step, s':>9}{'science / step':>16}")
    seconds = {}
    for count in (1, threads):
        before = bare_rate(series, count)
        begin = time.perf_counter()
        run_step(path, folder, count)
        seconds[count] = time.perf_counter() - begin
        here = seconds[count] / side**2
        science = min(before, bare_rate(series, count))
        print(
            f"{count:8}{1e6 * science:20.1f}{1e6 * here:17.1f}{seconds[count]:9.1f}{science / here:16.1%}", flush=True
        )
    if threads > 1:
        print(f"{threads} threads are {seconds[1] / seconds[threads]:.2f} times as fast as one")


def report_cancelling(path, folder, threads):
    """Print how long after the wish to stop the step has stopped."""
    for count in (1, threads):
        for share in CANCEL_AT:
            asked = []

            def progress(fraction, message, share=share, asked=asked):
                # The wish comes when it will: it is heard at the next call.
                if fraction >= share and not asked:
                    asked.append(time.perf_counter())
                elif asked:
                    raise KeyboardInterrupt

            try:
                run_step(path, folder / "cancelled", count, progress=progress)
            except KeyboardInterrupt:
                taken = time.perf_counter() - asked[0]
                left = len(list((folder / "cancelled").iterdir()))
                print(f"{count} threads, cancelled at {share:.0%}: {taken:.2f} s, {left} files left", flush=True)


def run_and_tell(path, folder, threads, memory):
    """Run the step; MB after the imports, and at most, and seconds."""
    from gwsa_qgis.steps.trend import trend  # noqa: F401

    start, begin = memory_mb(), time.perf_counter()
    run_step(path, folder, threads, memory)
    return start, memory_mb(), time.perf_counter() - begin


def report_memory(folder, side, months, threads, memory=512):
    """Print the peak memory at 1, 4 and 16 times the area."""
    for times in (1, 2, 4):
        path = folder / f"memory_{times}.tif"
        make_stack(path, times * side, months)
        start, peak, seconds = in_fresh_process(run_and_tell, path, folder, threads, memory)
        print(
            f"{times * side} x {times * side} pixels, {months} months, {threads} threads: {peak:.0f} MB at most, {start:.0f} "
            f"of them after the imports (budget {memory}), {seconds:.0f} s",
            flush=True,
        )
        path.unlink()


def main(side=400, months=225, threads=2, memory_side=0, memory_months=48):
    """Print speed, cancelling and, where a size is given for it, memory."""
    folder = Path(tempfile.mkdtemp(prefix="trend_map"))
    try:
        if side:
            make_stack(folder / "stack.tif", side, months)
            report_speed(folder / "stack.tif", folder, side, months, threads)
            report_cancelling(folder / "stack.tif", folder, threads)
        if memory_side:
            report_memory(folder, memory_side, memory_months, threads)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))

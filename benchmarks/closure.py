"""Exact correction beside the published spline, in one run: time a month, set-up, and memory of large maps.

Run with one thread: ``OMP_NUM_THREADS=1 python -m benchmarks.closure [repeats] [large maps, 0 or 1]``. A month is the
solution for its coefficients and their evaluation at every fine pixel, several months being solved at once.
"""

import sys
import time
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._neighbours import in_turns
from benchmarks._peak import in_fresh_process, memory_mb
from gwsa_qgis.science.bsplines import SplineSums, uniform_basis
from gwsa_qgis.science.closure import Closure, SplineField, cell_support
from gwsa_qgis.science.interpolation import spline_correction

MONTHS = 24
LARGE = (("48,000 cells", 253, 253, 0.76, 48_000, 4, 24),)


def land(rows, columns, factor, share, seed=0, roughness=0.25):
    """Fine mask with coasts, lakes and islands."""
    random = np.random.default_rng(seed)
    broad = gaussian_filter(random.normal(size=(rows, columns)), max(rows / 40, 3), mode="wrap")
    field = np.repeat(np.repeat(broad / broad.std(), factor, 0), factor, 1).astype(np.float32)
    fine = gaussian_filter(random.normal(size=field.shape).astype(np.float32), 0.7 * factor)
    field = gaussian_filter(field, factor / 2) + roughness * fine / fine.std()
    return field > np.quantile(field[:: max(factor // 2, 1)], 1 - share)


def compare(repeats):
    """40 x 40 cells of 30 x 30 pixels beside the published spline."""
    factor, cells = 30, 40
    random = np.random.default_rng(1)
    weights = land(cells, cells, factor, 0.55) * np.cos(np.deg2rad(np.linspace(30, 20, cells * factor)))[:, None]
    support = cell_support(cells, cells, factor)
    values = gaussian_filter(random.normal(size=(MONTHS, cells, cells)), (0, 1.5, 1.5))
    values = 2 * values / values.std() + 0.7 * random.normal(size=values.shape)
    values[:, random.random((cells, cells)) < 0.02] = np.nan
    flat = values.reshape(MONTHS, -1)

    def build():
        made = Closure(support, weights, knot_spacing=factor)
        made.solve(flat[:1])
        return made

    print(f"{cells} x {cells} cells of {factor} x {factor} pixels, {MONTHS} months; CPU ms, wall ms")
    closure = build()
    field = closure.solve(flat)
    outs = {kind: np.empty((MONTHS, cells * factor, cells * factor), kind) for kind in (np.float32, np.float64)}
    work = {
        "set-up, once": build,
        "solving a month alone": lambda: closure.solve(flat[:1]),
        "solving, a month": lambda: closure.solve(flat),
        "evaluating in float64, a month": lambda: closure.evaluate(field, out=outs[np.float64]),
        "evaluating in float32, a month": lambda: closure.evaluate(field, out=outs[np.float32]),
        "solving and evaluating (float64)": lambda: closure.evaluate(closure.solve(flat), out=outs[np.float64]),
        "solving and evaluating (float32)": lambda: closure.evaluate(closure.solve(flat), out=outs[np.float32]),
        "published spline": lambda: spline_correction(values, factor),
    }
    least = {name: times.min(axis=0) * 1e3 for name, times in in_turns(work, repeats).items()}
    wall, cpu = least.pop("set-up, once") - least.pop("solving a month alone")
    print(f"{'set-up, once':38}{cpu:8.1f}{wall:8.1f}")
    for name, (wall, cpu) in least.items():
        print(f"{name:38}{cpu / MONTHS:8.2f}{wall / MONTHS:8.2f}")
    for kind, out in outs.items():
        error = np.nanmax(np.abs(closure.means(out.astype(np.float64)) - flat))
        ratio = least["published spline"][1] / least[f"solving and evaluating ({np.dtype(kind)})"][1]
        print(f"exact, {np.dtype(kind)}: largest closure error {error:.1e} cm, {ratio:.2f} times the published speed")
    error = np.nanmax(np.abs(closure.means(spline_correction(values, factor)) - flat))
    print(f"published spline: largest closure error {error:.2f} cm")


def solve_large(rows, columns, share, wanted, factor, months):
    """Solve one large map; supports, times, errors, and MB with the mask alone and at most."""
    mask = land(rows, columns, factor, share)
    weights = np.cos(np.deg2rad(np.linspace(75, -55, rows * factor)))
    before = memory_mb()
    start = time.perf_counter()
    sums = SplineSums(uniform_basis(rows * factor, factor), uniform_basis(columns * factor, factor), rows * columns)
    height = max(2_000_000 // (columns * factor * factor), 1)
    labels = np.arange(1, rows * columns + 1, dtype=np.int32).reshape(rows, columns)
    seen = 0
    for top in range(0, rows, height):
        part = labels[top : top + height]
        fine = np.repeat(np.repeat(part, factor, 0), factor, 1)
        pixels = slice(top * factor, top * factor + len(fine))
        some = mask[pixels].copy()
        new = np.unique(fine[some])
        some &= ~np.isin(fine, new[max(wanted - seen, 0) :])
        seen += min(new.size, max(wanted - seen, 0))
        sums.add(fine, some * weights[pixels][:, None], top * factor)
    closure = Closure.from_sums(sums)
    built = time.perf_counter()
    random = np.random.default_rng(3)
    values = gaussian_filter(random.normal(size=(months, rows, columns)), (0, 3, 3)).reshape(months, -1)
    values = 2 * values / values.std() + 0.3 * random.normal(size=values.shape)
    field = closure.solve(values)
    once = time.perf_counter()
    again = closure.solve(values[:1])
    solved = time.perf_counter()
    found = (closure.spline_means @ field.spline.reshape(months, -1).T).T
    error = np.abs(found - values)[:, closure.present].max()
    same = np.abs(again.spline[0] - field.spline[0]).max()
    strip = np.empty((1, 4 * factor, columns * factor), np.float32)
    begun = time.perf_counter()
    for top in range(0, rows * factor, 4 * factor):
        rows_here = slice(top, min(top + 4 * factor, rows * factor))
        closure.evaluate(SplineField(field.spline[:1]), rows_here, out=strip[:, : rows_here.stop - top])
    evaluated = time.perf_counter() - begun
    times = (built - start, once - built, solved - once, evaluated)
    return int(closure.present.sum()), times, error, same, before, memory_mb()


def large(name, *options):
    """One large map in a fresh process."""
    supports, times, error, same, before, peak = in_fresh_process(solve_large, *options)
    print(
        f"{name}: {supports} supports, {options[0] * options[4]} x {options[1] * options[4]} pixels, {options[5]} months"
    )
    print(
        "  averaging {:.1f} s, factors and all months {:.1f} s, one more month {:.2f} s, evaluating one {:.2f} s".format(
            *times
        )
    )
    print(f"  largest closure error {error:.1e} cm, a month alone differs by {same:.0e}")
    print(f"  peak memory {peak:.0f} MB, {before:.0f} MB of it with the mask before the closure")


def main(repeats=5, with_large=1):
    """Print the comparison and the large maps."""
    compare(repeats)
    for case in LARGE if with_large else ():
        large(*case)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))

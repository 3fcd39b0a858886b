"""Two workers beside one, for every step that computes much: ``python -m benchmarks workers``.

``python benchmarks/workers.py [rounds [name ...]]`` measures the named steps alone.

One worker, two threads and two processes (joblib's loky) take turns, several times, and neighbours are compared (see
`_neighbours`): the median of the rounds is told. In each round a bare loop is run once and twice at the same time; what two
of them get done against one is all that the machine gave at that time, and what a step is to be measured by when others use
it too. "Cores of one" is processor time over wall time of one worker: above 1, reading and writing already run beside it.
Processes are started before the clock. BLAS has one thread: otherwise one worker would be two where it multiplies matrices.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._neighbours import BARE_LOOPS, beside, machine_gain, times_as_fast
from benchmarks._sample_chain import Prepared, prepare
from benchmarks.gap_filling import observed_series
from gwsa_qgis.months import month_range
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.stack import create_stack, write_stack

ROUNDS = 3
SIZE = 16.0  # degrees: four windows of the map, at least
GAPPY_CELLS = 8
# What others read is made where these are not named.
BEFORE_OTHERS = ("predict", "correctresiduals")
# A region is one window where residuals are corrected: a map of many.
WIDE_CELLS, WIDE_FACTOR, WIDE_MONTHS = 32, 30, 36
# So it is, within the default budget, where breaks and residuals have their trends taken.
LONG_CELLS, LONG_FACTOR, LONG_MONTHS = 24, 32, 160
# Less than the default, so that there are windows enough for two on a region this small. Trends cut windows into parts,
# and with less would read each tile several times.
MEMORY_MB = 64


def calls(p: Prepared, folder: Path) -> dict[str, Callable[[int], object]]:
    """Steps as functions of the number of workers, in the order of the chain."""
    from gwsa_qgis.steps.accumulate import accumulate
    from gwsa_qgis.steps.attribution import attribution
    from gwsa_qgis.steps.consistency import consistency
    from gwsa_qgis.steps.correctresiduals import correctresiduals
    from gwsa_qgis.steps.droughtindex import droughtindex
    from gwsa_qgis.steps.fillgaps import fillgaps
    from gwsa_qgis.steps.predict import predict
    from gwsa_qgis.steps.preparepredictors import preparepredictors
    from gwsa_qgis.steps.seasonality import seasonality
    from gwsa_qgis.steps.trainmodels import trainmodels
    from gwsa_qgis.steps.trend import trend
    from gwsa_qgis.steps.trendbreak import trendbreak
    from gwsa_qgis.steps.uncertainty import uncertainty

    def at(name: str) -> str:
        return str(folder / name)

    rain, gwsa, detail, model = str(Path(p.fine) / "PRE.tif"), at("closed.tif"), at("recommended.tif"), at("m.gwsa")
    series, months = observed_series(GAPPY_CELLS**2)
    cells = series.T.reshape(-1, GAPPY_CELLS, GAPPY_CELLS).astype(np.float32)
    grid = Grid(0.0, 50.0, 1.0, 1.0, GAPPY_CELLS, GAPPY_CELLS, geographic_crs())
    write_stack(at("gappy.tif"), grid, months, cells, unit="cm")
    make_wide(at("wide.tif"), at("wide_target.tif"), WIDE_CELLS, WIDE_FACTOR, WIDE_MONTHS)
    make_wide(at("long.tif"), at("long_target.tif"), LONG_CELLS, LONG_FACTOR, LONG_MONTHS)
    template = str(Path(p.fine).parent / "region" / "templates" / "template_fine.tif")
    places, trained = {"aquifers": p.classes, "mask": p.mask}, {"aquifers": p.coarse_classes, "mascons": p.mascons}
    common = {"memory_mb": MEMORY_MB}

    def recommended(workers: int) -> None:
        if not Path(model).exists():
            trainmodels(p.target, p.coarse, model, search_iterations=0, threads=1, **trained)
        predict(model, p.fine, detail, threads=1, workers=workers, **places)

    def published(workers: int) -> None:
        if not Path(at("p.gwsa")).exists():
            trainmodels(p.target, p.coarse, at("p.gwsa"), preset="published", search_iterations=0, threads=1, **trained)
        predict(at("p.gwsa"), p.fine, at("published.tif"), threads=1, workers=workers, **places)

    return {
        "accumulate": lambda n: accumulate(rain, at("acc.tif"), workers=n, **common),
        "preparepredictors": lambda n: preparepredictors(
            {"PRE": str(Path(p.fine).parent / "PRE.tif"), "ET": str(Path(p.fine).parent / "ET.tif")},
            template, p.factor, at("fine"), at("coarse"), mask=p.mask, workers=n,
        ),
        "trainmodels": lambda n: trainmodels(
            p.target, p.coarse, model, search_iterations=0, threads=n, **trained
        ),
        "predict": recommended,
        "predict_published": published,
        "correctresiduals": lambda n: correctresiduals(
            detail, p.target, gwsa, mascons=p.mascons, workers=n, **common
        ),
        "correctresiduals_wide": lambda n: correctresiduals(
            at("wide.tif"), at("wide_target.tif"), at("wide_closed.tif"), workers=n, **common
        ),
        "uncertainty": lambda n: uncertainty(gwsa, model, p.fine, at("half.tif"), workers=n, **places, **common),
        "consistency": lambda n: consistency(gwsa, p.target, metrics=at("c.csv"), workers=n, **common),
        "trend": lambda n: trend(gwsa, at("s.tif"), at("p.tif"), classes=at("k.tif"), workers=n),
        "trendbreak": lambda n: trendbreak(at("long.tif"), "2010", at("b.tif"), at("pb.tif"), workers=n),
        "seasonality": lambda n: seasonality(gwsa, at("season.tif"), workers=n, **common),
        "droughtindex": lambda n: droughtindex(gwsa, at("drought.tif"), workers=n, **common),
        "attribution": lambda n: attribution(
            at("long.tif"), at("long_target.tif"), at("r.tif"), at("rs.tif"), at("rp.tif"), workers=n
        ),
        "fillgaps": lambda n: fillgaps(at("gappy.tif"), at("filled.tif"), workers=n),
    }  # fmt: skip


def make_wide(fine: str, coarse: str, cells: int, factor: int, months: int) -> None:
    """Detail and a coarse field, noise both."""
    rng, span = np.random.default_rng(0), month_range("2004-01", np.datetime64("2004-01", "M") + months - 1)
    grid = Grid(70.0, 32.0, 1 / 120, 1 / 120, cells * factor, cells * factor, geographic_crs())
    with create_stack(fine, grid, span, metadata={"GWSA_PRESET": "recommended"}, quick=True) as writer:
        for month in range(span.size):
            writer.write(np.round(rng.standard_normal(grid.shape, np.float32), 2), first_band=month)
    write_stack(coarse, grid.coarsen(factor), span, rng.normal(scale=5, size=(span.size, cells, cells)))


def measure(work: Callable[[int], object], rounds: int) -> tuple[float, ...]:
    """Seconds of one worker, its cores, times as fast by two threads and by two processes, and what the machine gave."""

    def processes() -> None:
        with joblib.parallel_config(backend="loky", n_jobs=2):
            work(2)

    work(1)  # what is made once is there from now on
    works = {**BARE_LOOPS, "threads": lambda: work(2), "processes": processes}
    one, found = beside(lambda: work(1), works, rounds)
    faster = (times_as_fast(one, found[kind])[0] for kind in ("threads", "processes"))
    return np.median(one[:, 0]), np.median(one[:, 1] / one[:, 0]), *faster, machine_gain(found)


def main(rounds: int = ROUNDS, names: tuple[str, ...] = ()) -> None:
    """Print the table."""
    folder = Path(tempfile.mkdtemp(prefix="workers"))
    try:
        steps = calls(prepare(folder, 42, SIZE), folder)
        with joblib.parallel_config(backend="loky", n_jobs=2):
            joblib.Parallel()(joblib.delayed(time.sleep)(0.5) for _ in range(2))
        heads = ("one, s", "its cores", "2 threads", "2 processes", "bare loops")
        print("| step | " + " | ".join(heads) + " |\n|" + "---|" * (1 + len(heads)), flush=True)
        for name, work in steps.items():
            if names and name not in names:
                if name in BEFORE_OTHERS:
                    work(2)
                continue
            with threadpool_limits(1, "blas"):
                figures = measure(work, rounds)
            print(f"| {name} | " + " | ".join(f"{figure:.2f}" for figure in figures) + " |", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS, tuple(sys.argv[2:]))

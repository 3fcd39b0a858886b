"""Peak memory of every long step at 1, 4 and 16 times the area, each in a process of its own.

``python -m benchmarks memory``, or ``python -m benchmarks.memory [step ...]``. The budget is small, so that the smallest map
is larger than it already, and so is GDAL's cache (128 MB usually, on top of the budget). Of the pixels one in sixteen has
values, so that the largest map takes seconds.
"""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from gwsa_qgis.science import compiled

SIDES = (256, 512, 1024)
FACTOR, MONTHS, BUDGET_MB = 8, np.arange("2003-01", "2007-01", dtype="datetime64[M]"), 64
CACHE_MB = 16
ALLOWED = 1.10


def arguments(step: str, at: Path, out: Path) -> dict[str, object]:
    """Parameters of a step."""
    gwsa, mask, model = at / "gwsa.tif", at / "mask.tif", at / "model.gwsa"
    budget = {"memory_mb": BUDGET_MB}
    page = {"report": out / "page.html"}
    return {
        "accumulate": {"input": gwsa, "output": out / "o.tif", **budget},
        "applymask": {"input": gwsa, "mask": mask, "output": out / "o.tif", **budget},
        "trend": {"input": gwsa, "slope": out / "s.tif", "p_value": out / "p.tif", **page, **budget},
        "trendbreak": {"input": gwsa, "break_month": "2005-01", "change": out / "c.tif", "p_value": out / "p.tif",
                       **page, **budget},
        "seasonality": {"input": gwsa, "output": out / "o.tif", **page, **budget},
        "droughtindex": {"input": gwsa, "output": out / "o.tif", "minimum_years": 3, **page, **budget},
        "attribution": {"gwsa": gwsa, "background": at / "target.tif", "residual": out / "r.tif",
                        "slope": out / "s.tif", "p_value": out / "p.tif", "baseline_start": "2004-01",
                        "baseline_end": "2006-12", **page, **budget},
        "latitudeprofile": {"input": gwsa, "mean": out / "m.tif", **page, **budget},
        "preparepredictors": {"inputs": [gwsa, at / "target.tif"], "template": mask, "factor": FACTOR,
                              "fine": out / "fine", "coarse": out / "coarse", "mask": mask, **budget},
        "fillgaps": {"input": at / "gappy.tif", "output": out / "o.tif", "short_window": 12, "short_modes": 4,
                     "long_window": 12, "long_modes": 2, **budget},
        "predict": {"model": model, "predictors": at / "fine", "output": out / "o.tif", "mask": mask, "threads": 1,
                    **budget},
        "correctresiduals": {"prediction": gwsa, "target": at / "target.tif", "output": out / "o.tif", **budget},
        "uncertainty": {"gwsa": gwsa, "model": model, "predictors": at / "fine", "output": out / "o.tif",
                        "mask": mask, **page, **budget},
        "consistency": {"fine": gwsa, "coarse": at / "target.tif", "metrics": out / "c.csv", **budget},
    }[step]  # fmt: skip


STEPS = (
    "accumulate", "applymask", "preparepredictors", "fillgaps", "predict", "correctresiduals", "uncertainty",
    "consistency", "trend", "trendbreak", "seasonality", "droughtindex", "attribution", "latitudeprofile",
)  # fmt: skip


def make_inputs(folder: Path, side: int) -> None:
    """Write a map of `side` x `side` pixels and all that belongs to it."""
    from gwsa_qgis.rasters.grid import Grid, geographic_crs
    from gwsa_qgis.rasters.raster import write_single
    from gwsa_qgis.rasters.stack import create_stack, write_stack
    from gwsa_qgis.steps.trainmodels import trainmodels

    random = np.random.default_rng(5)
    fine = Grid(10.0, 60.0, 0.01, 0.01, side, side, geographic_crs())
    coarse = fine.coarsen(FACTOR)
    blocks = np.arange(side) // 16
    used = (blocks[:, None] % 4 == 0) & (blocks % 4 == 0)
    write_single(folder / "mask.tif", fine, used.astype(np.uint8), dtype="uint8", nodata=0)
    soil = random.normal(size=fine.shape).astype(np.float32)
    noise = 0.01 * random.integers(-300, 300, (MONTHS.size, *coarse.shape)).cumsum(0)
    target = noise.astype(np.float32)
    write_stack(folder / "target.tif", coarse, MONTHS, target, unit="cm", quantity="groundwater storage anomaly")
    gappy = target.repeat(2, 1).repeat(2, 2)[:, : side // 4, : side // 4].copy()
    gappy += 0.1 * random.normal(size=gappy.shape).astype(np.float32)
    gappy[[9, 20]] = np.nan
    every = (np.arange(side // 4)[:, None] % 4 == 0) & (np.arange(side // 4) % 4 == 0)
    gappy[:, ~every] = np.nan
    small = Grid(10.0, 60.0, 0.04, 0.04, side // 4, side // 4, geographic_crs())
    write_stack(folder / "gappy.tif", small, MONTHS, gappy, unit="cm")
    for where, grid in (("fine", fine), ("coarse", coarse)):
        (folder / where).mkdir()
        step = fine.rows // grid.rows
        write_single(folder / where / "soil.tif", grid, soil[::step, ::step])
        with create_stack(folder / where / "rain.tif", grid, MONTHS, quantity="rain", unit="mm") as writer:
            for month in range(MONTHS.size):
                layer = target[month] if step > 1 else target[month].repeat(FACTOR, 0).repeat(FACTOR, 1) + soil
                writer.write(layer[None].astype(np.float32), 0, 0, month)
    with create_stack(folder / "gwsa.tif", fine, MONTHS, quantity="groundwater storage anomaly", unit="cm") as writer:
        for month in range(MONTHS.size):
            layer = np.where(used, target[month].repeat(FACTOR, 0).repeat(FACTOR, 1) + 0.1 * soil, np.nan)
            writer.write(layer[None].astype(np.float32), 0, 0, month)
    index = np.arange(coarse.rows) // 2
    mascons = (index[:, None] * (index[-1] + 1) + index + 1).astype(np.int32)
    write_single(folder / "mascons.tif", coarse, mascons, dtype="int32", nodata=0)
    options = {"mascons": folder / "mascons.tif", "search_iterations": 0, "threads": 1, "samples": 20_000}
    trainmodels(folder / "target.tif", folder / "coarse", folder / "model.gwsa", **options)


def peak_mb(step: str, folder: Path) -> tuple[float, float]:
    """Peak memory of a step in a process of its own, MB, and its wall time."""
    out = folder / "out"
    out.mkdir()
    begin = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.memory", "--one", step, str(folder)]
    environment = os.environ | {"GDAL_CACHEMAX": str(CACHE_MB)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    seconds = time.perf_counter() - begin
    shutil.rmtree(out)
    if done.returncode:
        raise RuntimeError(f"{step}: {done.stderr.strip().splitlines()[-1]}")
    return float(done.stdout.split()[-1]), seconds


def one(step: str, folder: Path) -> None:
    """Run a step here and print the peak."""
    module = importlib.import_module(f"gwsa_qgis.steps.{step}")
    # numba, where it is, is loaded only once it pays: it is a part of the program, not of the map
    compiled.prepare()
    getattr(module, step)(**arguments(step, folder, folder / "out"))
    lines = Path("/proc/self/status").read_text().splitlines()
    print(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024)


def main(*steps: str) -> None:
    """Print the table."""
    folder = Path(tempfile.mkdtemp(prefix="memory"))
    try:
        places = []
        for side in SIDES:
            places.append(folder / str(side))
            places[-1].mkdir()
            subprocess.run(
                [sys.executable, "-m", "benchmarks.memory", "--make", str(side), str(places[-1])], check=True
            )
        head = "".join(f"{(side // SIDES[0]) ** 2}x MB".rjust(9) for side in SIDES)
        print(
            f"{MONTHS.size} months, budget {BUDGET_MB} MB, GDAL's cache {CACHE_MB} MB; 1x: {SIDES[0]} x {SIDES[0]} pixels"
        )
        print(f"{'step':20}{head}{'16x / 1x':>10}{'wall s of 16x':>15}", flush=True)
        for step in steps or STEPS:
            try:
                found = [peak_mb(step, place) for place in places]
            except RuntimeError as error:
                print(f"{step:20}{error}", flush=True)
                continue
            peaks, ratio = [peak for peak, _ in found], found[-1][0] / found[0][0]
            row = "".join(f"{peak:9.0f}" for peak in peaks)
            print(f"{step:20}{row}{ratio:10.2f}{found[-1][1]:15.1f}{'' if ratio <= ALLOWED else '  grows'}", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(sys.argv[2], Path(sys.argv[3]))
    elif sys.argv[1:2] == ["--make"]:
        make_inputs(Path(sys.argv[3]), int(sys.argv[2]))
    else:
        main(*sys.argv[1:])

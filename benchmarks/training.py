"""Peak memory and time of a training on five million samples of one class.

``python -m benchmarks training``, or ``python benchmarks/training.py [side] [months] [trees] [presets] [memory]``: a coarse
grid of side x side cells with so many months, 8 dynamic predictors and 11 static ones, in compressed tiles. Each preset is
trained in a fresh process within the memory budget (MB), and reports the most memory that it held. ``trees`` takes the
place of the learner's default number: memory does not depend on it, and time does in proportion.
"""

import shutil
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._peak import in_fresh_process, memory_mb
from gwsa_qgis.months import month_range
from gwsa_qgis.rasters.gdal_setup import gdal
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.raster import write_single
from gwsa_qgis.rasters.stack import create_stack
from gwsa_qgis.science import learning
from gwsa_qgis.steps.training_memory import DEFAULT_MEMORY_MB
from gwsa_qgis.steps.trainmodels import trainmodels

DYNAMIC, STATIC = 8, 11
CACHE_MB = 16


def make_inputs(folder, side, months):
    """Target and predictors: smooth waves, of which the target is a sum with noise of its own."""
    random = np.random.default_rng(1)
    grid = Grid(0.0, 45.0, 0.25, 0.25, side, side, geographic_crs())
    span = month_range("2003-01", np.datetime64("2003-01", "M") + months - 1)
    y, x = np.meshgrid(np.linspace(0, 9, side), np.linspace(0, 9, side), indexing="ij")
    target = np.zeros((months, side, side), np.float32)
    for number in range(DYNAMIC + STATIC):
        a, b, c = random.normal(size=3) * 2
        place = np.sin(a * x + b * y + c) + random.normal(scale=0.2, size=grid.shape)
        path = folder / "coarse" / f"p{number:02d}.tif"
        if number >= DYNAMIC:
            write_single(path, grid, place.astype(np.float32))
            continue
        with create_stack(path, grid, span, unit="", quantity="predictor") as writer:
            for month in range(months):
                layer = place * np.cos(np.pi * month / 6 + c) + random.normal(scale=0.1, size=grid.shape)
                target[month] += layer
                writer.write(layer.astype(np.float32), first_band=month)
    with create_stack(folder / "target.tif", grid, span, quantity="groundwater storage anomaly") as writer:
        for month, layer in enumerate(target):
            writer.write((layer + random.normal(scale=0.5, size=grid.shape)).astype(np.float32), first_band=month)


def train(folder, preset, trees, memory):
    """Train; samples, MB after the imports and at most, and seconds."""
    learning.DEFAULTS["xgboost"]["n_estimators"] = trees
    for name in ("matplotlib.figure", "sklearn.model_selection", "xgboost"):  # parts of the program
        import_module(name)
    gdal.SetCacheMax(CACHE_MB * 2**20)
    start, begin = memory_mb(), time.perf_counter()

    def note(fraction, message):
        if message:
            print(f"    {time.perf_counter() - begin:7.1f} s {memory_mb():7.0f} MB  {message[:90]}", flush=True)

    result = trainmodels(
        folder / "target.tif", folder / "coarse", folder / f"{preset}.gwsa", metrics=folder / f"{preset}.csv",
        report=folder / f"{preset}.html", detail=folder / f"{preset}.tif", preset=preset, search_iterations=0,
        memory_mb=memory, progress=note,
    )  # fmt: skip
    return result.samples, start, memory_mb(), time.perf_counter() - begin


def main(side=320, months=49, trees=4, presets="published,recommended", memory=DEFAULT_MEMORY_MB):
    """Print memory and time of each preset."""
    folder, budget = Path(tempfile.mkdtemp(prefix="training")), float(memory)
    try:
        make_inputs(folder, side, months)
        print(f"{side} x {side} cells, {months} months, {DYNAMIC + STATIC} predictors, {trees} trees", flush=True)
        for preset in presets.split(","):
            samples, start, peak, seconds = in_fresh_process(train, folder, preset, trees, budget)
            verdict = "within" if peak - start <= budget else "ABOVE"
            print(
                f"{preset}: {samples} samples, {peak:.0f} MB at most ({start:.0f} after the imports), {verdict} "
                f"the budget of {budget:.0f} MB; {seconds:.0f} s",
                flush=True,
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    given = sys.argv[1:]
    main(*(int(value) for value in given[:3]), *given[3:])

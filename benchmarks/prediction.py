"""The prediction step beside the bare booster's in-place prediction of the same rows, in one run.

``python -m benchmarks prediction``, or ``python benchmarks/prediction.py [side] [factor] [months] [threads] [repeats]
[memory side] [memory months]``: a fine grid of side x side cells, 8 monthly predictors and 8 static ones, three classes,
a tenth of the cells masked. Models of both presets are trained by the product's own code, and their boosters then
replaced by larger ones, as a search finds them: 300 trees of depth 8 a class (published), 250 of depth 6 (recommended).

The bare booster predicts the very tables that the step gave it, in memory and whole, with as many threads. With a memory
side, the peak memory is measured in fresh processes, on maps of 1, 4 and 16 times that area.
"""

import math
import multiprocessing
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._neighbours import beside, times_as_fast
from gwsa_qgis.months import month_range
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.predictor_set import PredictorSet
from gwsa_qgis.rasters.raster import read_single, write_single
from gwsa_qgis.rasters.stack import create_stack, write_stack
from gwsa_qgis.science.aggregation import block_means
from gwsa_qgis.steps.model_file import read_model, write_archive
from gwsa_qgis.steps.predict import predict
from gwsa_qgis.steps.trained_model import TrainedModel
from gwsa_qgis.steps.trainmodels import trainmodels

DYNAMIC = ("TAS", "PRE", "SM", "ET", "NDVI", "LST", "PRE_ACC", "ET_ACC")
STATIC = ("DEM", "clay", "silt", "sand", "cfvo", "cec", "phh2o", "soc")
CLASSES = (13, 23, 34)
SIZES = {"published": (300, 8), "recommended": (250, 6)}
PRESETS = ("published", "recommended")


def waves(rng, grid, number):
    """Sum of waves at random: smooth, with some fine detail."""
    y, x = np.arange(grid.rows, dtype=np.float32)[:, None] / 240, np.arange(grid.columns, dtype=np.float32) / 240
    field = np.zeros(grid.shape, np.float32)
    for scale in np.geomspace(1, 60, number):
        a, b, phase = rng.normal(size=3) * (scale, scale, 6)
        field += (np.sin(a * x + b * y + phase) / np.sqrt(scale)).astype(np.float32)
    return field


def make_fine(folder, side, factor, months, seed=1):
    """Fine predictors, classes and mask."""
    rng = np.random.default_rng(seed)
    grid = Grid(80.0, 30.0, 0.25 / factor, 0.25 / factor, side, side, geographic_crs())
    span = month_range("2004-01", np.datetime64("2004-01", "M") + months - 1)
    tile = max(256 // math.lcm(16, factor), 1) * math.lcm(16, factor)  # as preparepredictors has it
    patterns = [waves(rng, grid, 5) for _ in range(4)]
    for number, name in enumerate(DYNAMIC):
        with create_stack(folder / "fine" / f"{name}.tif", grid, span, unit="", quick=True, tile=tile) as writer:
            for month in range(months):
                angle = 2 * np.pi * (month + number) / 12
                a, b, c = (patterns[(number + k) % 4] for k in range(3))
                layer = np.round(20 + 5 * np.cos(angle) * a + 5 * np.sin(angle) * b + c * (number + 1), 2)
                writer.write(layer.astype(np.float32), first_band=month)
    for name in STATIC:
        write_single(
            folder / "fine" / f"{name}.tif", grid, np.round(30 + 10 * waves(rng, grid, 5), 1), quick=True, tile=tile
        )
    classes = np.array(CLASSES, np.uint8)[np.digitize(waves(rng, grid, 2), (-0.5, 0.5))]
    used = (waves(rng, grid, 2) > -1.2).astype(np.uint8)
    write_single(folder / "classes.tif", grid, classes, dtype="uint8", nodata=0)
    write_single(folder / "mask.tif", grid, used, dtype="uint8", nodata=0)
    return grid, span


def make_models(folder, grid, span, factor):
    """Models of both presets, with boosters of the size that a search finds."""
    import xgboost as xgb

    rng, coarse = np.random.default_rng(7), grid.coarsen(factor)
    weights = grid.row_weights()
    total = 0.0
    with PredictorSet(folder / "fine") as fine:
        for name in fine.names:
            values = np.concatenate([
                block_means(fine.read(name, span[t : t + 1]), factor, weights)
                for t in range(span.size if fine.is_dynamic(name) else 1)
            ])  # fmt: skip
            total = total + (values - values.mean()) / values.std()
            if fine.is_dynamic(name):
                write_stack(folder / "coarse" / f"{name}.tif", coarse, span, values, unit="")
            else:
                write_single(folder / "coarse" / f"{name}.tif", coarse, values[0].astype(np.float32))
    write_stack(folder / "target.tif", coarse, span, total + rng.normal(scale=0.5, size=total.shape))
    classes = read_single(folder / "classes.tif")[0][factor // 2 :: factor, factor // 2 :: factor].astype(np.uint8)
    write_single(folder / "classes_coarse.tif", coarse, classes, dtype="uint8", nodata=0)
    for preset in PRESETS:
        path = folder / f"{preset}.gwsa"
        trainmodels(
            folder / "target.tif", folder / "coarse", path, aquifers=folder / "classes_coarse.tif", preset=preset,
            search_iterations=0, samples=2000, threads=1,
        )  # fmt: skip
        model = read_model(path)
        trees, depth = SIZES[preset]
        for name in model.boosters:
            # spread as the inputs are: levels about 25, deviations and time about 0
            inputs = model.manifest["inputs"]
            x = rng.normal(size=(40_000, len(inputs))).astype(np.float32)
            fixed = (" deviation", "month_sin", "month_cos", "decades_since_2010")
            levels = [number for number, input_name in enumerate(inputs) if not input_name.endswith(fixed)]
            x[:, levels] = 25 + 8 * x[:, levels]
            y = np.sin(x[:, 0]) + x[:, 1] * x[:, 3] + np.tanh(x).sum(1) + 0.5 * rng.normal(size=len(x))
            options = {"max_depth": depth, "learning_rate": 0.1, "min_child_weight": 5, "nthread": 2}
            booster = xgb.train(options, xgb.DMatrix(x, y.astype(np.float32)), trees)
            model.boosters[name] = bytes(booster.save_raw("ubj"))
        if preset == "recommended":  # both parts of the detail count, whatever the training found
            model.manifest["shares"] = {"linear": 0.5, "trees": 0.5}
        write_archive(path, model)


def run_step(folder, preset, threads, memory=512, models=None):
    """The step on the files of a folder."""
    return predict(
        (models or folder) / f"{preset}.gwsa", folder / "fine", folder / "out.tif", aquifers=folder / "classes.tif",
        mask=folder / "mask.tif", threads=threads, memory_mb=memory,
    )  # fmt: skip


def rows_of(folder, preset, threads):
    """Tables that the step gives to the booster, by class: what the bare booster is to predict."""
    found, usual = [], TrainedModel.predict

    def keep(self, table, classes, linear=None):
        found.append((table.copy(), classes.copy()))
        return usual(self, table, classes, linear)

    TrainedModel.predict = keep
    try:
        run_step(folder, preset, threads)
    finally:
        TrainedModel.predict = usual
    if preset == "recommended":
        return {"pooled": np.concatenate([table for table, _ in found])}
    model = read_model(folder / f"{preset}.gwsa")
    return {
        entry["model"]: np.concatenate([table[classes == entry["class"]] for table, classes in found])
        for entry in model.manifest["classes"]
    }


def report_speed(side, factor, months, threads, repeats):
    """Print rates and shares."""
    import xgboost as xgb

    folder = Path(tempfile.mkdtemp(prefix="prediction"))
    try:
        grid, span = make_fine(folder, side, factor, months)
        make_models(folder, grid, span, factor)
        print(f"{side} x {side} cells, factor {factor}, {months} months, 16 predictors, {threads} threads")
        print(
            f"{'':14}{'rows, M':>8}{'bare: wall s':>14}{'CPU s':>8}{'step: wall s':>14}{'CPU s':>8}  bare / step: wall    CPU"
        )
        for preset in PRESETS:
            tables = rows_of(folder, preset, threads)
            model = read_model(folder / f"{preset}.gwsa")
            boosters = {
                name: xgb.Booster({"nthread": threads}, model_file=bytearray(model.boosters[name])) for name in tables
            }

            def bare(tables=tables, boosters=boosters):
                for name, table in tables.items():
                    boosters[name].inplace_predict(table)

            bare()
            alone, found = beside(bare, {"step": lambda preset=preset: run_step(folder, preset, threads)}, repeats)
            step = found["step"]
            (bare_wall, bare_cpu), (wall, cpu) = np.median(alone, axis=0), np.median(step, axis=0)
            wall_share, cpu_share = times_as_fast(alone, step)
            least = alone.min(axis=0) / step.min(axis=0)
            rows = sum(len(table) for table in tables.values()) / 1e6
            each = " ".join(f"{share:.0%}" for share in alone[:, 0] / step[:, 0])
            print(
                f"{preset:14}{rows:8.2f}{bare_wall:14.2f}{bare_cpu:8.2f}{wall:14.2f}{cpu:8.2f}{wall_share:19.1%}"
                f"{cpu_share:7.1%}   of the least times: {least[0]:.1%} {least[1]:.1%}   each: {each}",
                flush=True,
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _most_used():
    """Peak of this process, MB; ``getrusage`` would count what its parent held when it was started."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def _peak(connection, folder, models, preset, threads, memory):
    import xgboost  # noqa: F401

    start = _most_used()
    run_step(folder, preset, threads, memory, models)
    connection.send((start, _most_used()))


def peak_memory(*arguments):
    """MB of a fresh process: after the imports, and at most."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_peak, args=(theirs, *arguments))
    process.start()
    found = ours.recv()
    process.join()
    return found


def report_memory(side, factor, months, threads, memory=512):
    """Print the peak memory at 1, 4 and 16 times the area; the models are trained on the first."""
    models = Path(tempfile.mkdtemp(prefix="prediction"))
    try:
        make_models(models, *make_fine(models, side, factor, months), factor)
        for times in (1, 2, 4):
            folder = models if times == 1 else models / str(times)
            if times > 1:
                make_fine(folder, times * side, factor, months)
            for preset in PRESETS:
                start, peak = peak_memory(folder, models, preset, threads, memory)
                print(
                    f"{times * side} x {times * side} cells, {months} months, {preset}: {peak:.0f} MB at most, "
                    f"{start:.0f} of them after the imports (budget {memory})",
                    flush=True,
                )
    finally:
        shutil.rmtree(models, ignore_errors=True)


def main(side=600, factor=30, months=12, threads=2, repeats=3, memory_side=0, memory_months=2):
    """Print speed and, where a size is given for it, memory."""
    if side:
        report_speed(side, factor, months, threads, repeats)
    if memory_side:
        report_memory(memory_side, factor, memory_months, threads)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))

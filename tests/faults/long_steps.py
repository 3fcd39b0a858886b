"""The long steps on small inputs, each in several windows; as a program it runs one of them, to be killed.

``python long_steps.py STEP INPUTS OUT [CREW [DELAY]]`` prints "ready" when all is imported and the work begins. See `crew`.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from pathlib import Path
from unittest import mock

import numpy as np

MONTHS = np.arange("2002-01", "2008-01", dtype="datetime64[M]")
ROWS, COLUMNS = 64, 96
# Memory in which each step takes several windows.
OPTIONS = {
    "trend": {"memory_mb": 3, "unit": "year"},
    "trendbreak": {"memory_mb": 3},
    "attribution": {"memory_mb": 5},
    "droughtindex": {"memory_mb": 4, "minimum_years": 4},
    "seasonality": {"memory_mb": 2},
    "fillgaps": {"memory_mb": 0.06},
    "correctresiduals": {"memory_mb": 0.5},
    "uncertainty": {"memory_mb": 2, "compared_months": 4},
    "preparepredictors": {"memory_mb": 4},
    "predict": {"memory_mb": 6, "threads": 1},
    "trainmodels": {"search_iterations": 2, "threads": 1},
    # Those without a journal.
    "accumulate": {"memory_mb": 2},
    "applymask": {"memory_mb": 2},
    "latitudeprofile": {"memory_mb": 2},
}
STEPS = tuple(OPTIONS)
# Constants that are made small, so that the small map is several pieces of work too.
SMALL = {
    "predict": {"predict_plan": {"ROWS_IN_PART": 20_000}, "predict_writing": {"ROWS_AT_ONCE": 7_000}},
    "preparepredictors": {"predictor_pieces": {"VALUES_AT_ONCE": 10_000}},
}
# What worker processes call for each piece that they leave in a file.
PIECES = {"predict": ("predict_pieces", "Prediction.piece"), "preparepredictors": ("predictor_pieces", "make_piece")}
# Those that need xgboost.
LEARNED = ("uncertainty", "predict", "trainmodels")


def make_inputs(folder: Path) -> None:
    """Write the inputs of all steps but those that need a model."""
    from gwsa_qgis.rasters.grid import Grid, geographic_crs
    from gwsa_qgis.rasters.raster import write_single
    from gwsa_qgis.rasters.stack import write_stack

    random = np.random.default_rng(11)
    grid = Grid(10.0, 50.0, 0.05, 0.05, COLUMNS, ROWS, geographic_crs())
    season = np.sin(2 * np.pi * np.arange(MONTHS.size) / 12)[:, None, None]

    def values(shape: tuple[int, int]) -> np.ndarray:
        return (3 * season + random.normal(size=(MONTHS.size, *shape)).cumsum(0) * 0.3).astype(np.float32)

    fine = values(grid.shape)
    fine[:, random.random(grid.shape) < 0.05] = np.nan
    write_stack(folder / "gwsa.tif", grid, MONTHS, fine, quantity="groundwater storage anomaly", unit="cm")
    coarse = Grid(10.0, 50.0, 0.4, 0.4, COLUMNS // 8, ROWS // 8, geographic_crs())
    write_stack(folder / "background.tif", coarse, MONTHS, values(coarse.shape), quantity="storage", unit="cm")
    small = Grid(10.0, 50.0, 1.0, 1.0, 5, 4, geographic_crs())
    gappy = np.concatenate([values(small.shape), values(small.shape)])
    gappy[[7, 20, 21]] = np.nan
    gappy[90:99] = np.nan
    months = np.datetime64("2002-01") + np.arange(len(gappy))
    write_stack(folder / "twsa.tif", small, months, gappy, unit="cm")
    conftest = _load(Path(__file__).parents[1] / "steps" / "conftest.py")
    region = conftest.make_region(folder / "region", 3, 1.0)
    write_stack(folder / "detail.tif", *_fine(folder, region), unit="cm", quantity="groundwater storage anomaly")
    write_single(folder / "template.tif", grid, np.ones(grid.shape, np.float32))


def make_models(folder: Path) -> None:
    """Add what the steps with a model need."""
    from gwsa_qgis.steps.correctresiduals import correctresiduals
    from gwsa_qgis.steps.predict import predict

    run("trainmodels", folder, folder / "model", search_iterations=0)
    region = folder / "region"
    fine = {"aquifers": region / "classes.tif", "mask": region / "mask.tif"}
    predict(folder / "model" / "out.gwsa", region / "fine", folder / "predicted.tif", **fine, threads=1)
    correctresiduals(folder / "predicted.tif", region / "target.tif", folder / "corrected.tif",
                     mascons=region / "mascons.tif")  # fmt: skip


def run(step: str, inputs: Path, out: Path, **options: object) -> None:
    """Run a step with all of its outputs in the folder `out`."""
    module = importlib.import_module(f"gwsa_qgis.steps.{step}")
    given, outputs = _arguments(step, inputs)
    places = {name: out / file for name, file in outputs.items()}
    with ExitStack() as patches:
        for place, constants in SMALL.get(step, {}).items():
            patches.enter_context(mock.patch.multiple(f"gwsa_qgis.steps.{place}", **constants))
        getattr(module, step)(**{**given, **places, **OPTIONS[step], **options})


@contextmanager
def crew(kind: str, step: str, delay: float = 0.0) -> Iterator[dict[str, int]]:
    """Let two worker processes work: joblib's own ("loky"), or those of a Dask cluster, at its address; none for "".

    Gives the options of the step. The workers have imported it; `delay` is the time in s by which each of their `PIECES`
    is put off.
    """
    if not kind:
        yield {}
        return
    import joblib

    from gwsa_qgis.rasters.windows import map_on_cluster

    with ExitStack() as stack:
        if kind == "loky":
            stack.enter_context(joblib.parallel_config("loky", n_jobs=2))
        else:
            stack.enter_context(importlib.import_module("distributed").Client(kind))
            stack.enter_context(joblib.parallel_config("dask"))
        ready = partial(_make_ready, f"gwsa_qgis.steps.{step}", PIECES.get(step), delay)
        list(map_on_cluster(ready, [0.3] * 4, 2))
        yield {"workers": 2}


def _make_ready(module: str, pieces: tuple[str, str] | None, delay: float, wait: float) -> None:
    """Import a step in a worker process, which is kept for so long that the other takes its turn."""
    importlib.import_module(module)
    if pieces is not None:
        where = importlib.import_module(f"gwsa_qgis.steps.{pieces[0]}")
        *owners, name = pieces[1].split(".")
        for owner in owners:
            where = getattr(where, owner)
        function = getattr(where, name)
        setattr(where, name, _put_off(getattr(function, "__wrapped__", function), delay))
    time.sleep(wait)


def _put_off(function: Callable, delay: float) -> Callable:
    @wraps(function)
    def later(*arguments: object) -> object:
        time.sleep(delay)
        return function(*arguments)

    return later


def main_output(step: str) -> str:
    """Name of the output beside which the journal lies."""
    return next(iter(_arguments(step, Path())[1].values()))


def inputs_of(step: str, inputs: Path) -> list[Path]:
    """Files that a step reads."""
    found = [path for value in _arguments(step, inputs)[0].values() for path in np.atleast_1d(np.array(value, object))]
    files = [path for path in found if isinstance(path, Path)]
    return [next(path.glob("*.tif")) if path.is_dir() else path for path in files]


def _arguments(step: str, inputs: Path) -> tuple[dict[str, object], dict[str, str]]:
    """Inputs, and names of the outputs, the main one first."""
    gwsa, region = inputs / "gwsa.tif", inputs / "region"
    fine = {"aquifers": region / "classes.tif", "mask": region / "mask.tif"}
    page = {"report": "page.html"}
    names = ("slope", "p_value", "p_plain", "lower", "upper", "classes")
    trends = {name: f"{name}.tif" for name in names} | {"stipples": "dots.gpkg", "table": "areas.csv"} | page
    breaks = ("change", "p_value", "slope_before", "slope_after", "p_before", "p_after", "classes")
    residual = {name: f"{name}.tif" for name in ("residual", "slope", "p_value", "classes")}
    gaps = ("output", "error_short", "error_long", "flags", "choice")
    errors = ("output", "cell", "within", "applicability", "lower", "upper")
    model = inputs / "model" / "out.gwsa"
    return {
        "trend": ({"input": gwsa}, trends),
        "trendbreak": ({"input": gwsa, "break_month": "2005-01"},
                       {name: f"{name}.tif" for name in breaks} | {"table": "areas.csv"} | page),
        "attribution": ({"gwsa": gwsa, "background": inputs / "background.tif", "baseline_start": "2004-01",
                         "baseline_end": "2006-12"}, residual | {"stipples": "dots.gpkg"} | page),
        "droughtindex": ({"input": gwsa}, {"output": "index.tif", "classes": "classes.tif", "spells": "spells.tif",
                                           "areas": "areas.csv"} | page),
        "seasonality": ({"input": gwsa}, {"output": "share.tif", "maximum": "peak.tif"} | page),
        "fillgaps": ({"input": inputs / "twsa.tif"}, {name: f"{name}.tif" for name in gaps}),
        "correctresiduals": ({"prediction": inputs / "detail.tif", "target": region / "target.tif",
                              "mascons": region / "mascons.tif"}, {"output": "output.tif", "closure": "closure.csv"}),
        "uncertainty": ({"gwsa": inputs / "corrected.tif", "model": model, "predictors": region / "fine",
                         "prediction": inputs / "predicted.tif", **fine},
                        {name: f"{name}.tif" for name in errors} | page),
        "preparepredictors": ({"inputs": [inputs / "background.tif", inputs / "gwsa.tif"],
                               "template": inputs / "template.tif", "factor": 8},
                              {"fine": "fine", "coarse": "coarse", "table": "table.csv"} | page),
        "predict": ({"model": model, "predictors": region / "fine", **fine}, {"output": "map.tif"}),
        "trainmodels": ({"target": region / "target.tif", "predictors": region / "coarse",
                         "aquifers": region / "classes_coarse.tif", "mascons": region / "mascons.tif"},
                        {"model": "out.gwsa", "metrics": "metrics.csv"} | page),
        "accumulate": ({"input": gwsa}, {"output": "sums.tif"}),
        "applymask": ({"input": gwsa, "mask": inputs / "template.tif"}, {"output": "masked.tif"}),
        "latitudeprofile": ({"input": gwsa}, {"mean": "mean.tif", "profile": "profile.csv"} | page),
    }[step]  # fmt: skip


def _fine(folder: Path, region: object) -> tuple:
    """Grid, months and values of a made-up prediction."""
    from gwsa_qgis.rasters.stack import MonthlyStack

    with MonthlyStack(folder / "region" / "fine" / "rain.tif") as stack:
        return stack.grid, stack.months, stack.read()


def _load(path: Path) -> object:
    spec = importlib.util.spec_from_file_location("region_of_the_steps", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    name, where, to, kind, wait = (*sys.argv[1:], *("", "0")[len(sys.argv) - 4 :])
    importlib.import_module(f"gwsa_qgis.steps.{name}")
    with crew(kind, name, float(wait)) as workers:
        print("ready", flush=True)
        run(name, Path(where), Path(to), **workers)

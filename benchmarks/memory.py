"""Peak memory of every long step at 1, 4 and 16 times the area, each in a process of its own.

``python -m benchmarks memory``, or ``python -m benchmarks.memory [step ...]``. Each step has a budget that its smallest map
exceeds: what the step holds of a cell, by its own count, times the map's cells is more than it, so that the windows of the
smallest map are full ones and what grows from there is not the window. GDAL's cache (128 MB usually, on top of the budget)
is small too. Of the pixels one in sixteen has values, so that the largest map takes no more than minutes. GLDAS and GRACE are
imported from files of 0.25 degrees, the largest of the globe, the smallest of a sixteenth of it.
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

from benchmarks._memory_inputs import FACTOR, MONTHS, make_inputs
from benchmarks._peak import memory_mb
from gwsa_qgis.science import compiled

SIDES = (512, 1024, 2048)
# MB. Monthly maps of the smallest side hold 50 MB of values, those with gaps 13, single maps of twice the side 4 a layer.
BUDGET_MB = 40
BUDGETS = {
    "hotspots": 16, "glaciermask": 20, "watermask": 8, "basemask": 6, "aquiferclasses": 8, "monthlystack": 8,
    "fillgaps": 12, "trainmodels": 32, "importgldas": 8, "importgrace": 12, "importgrace, mascons found": 12,
}  # fmt: skip
CACHE_MB = 16
ALLOWED = 1.10


def arguments(step: str, at: Path, out: Path) -> dict[str, object]:
    """Parameters of a step."""
    gwsa, mask, model, target = at / "gwsa.tif", at / "mask.tif", at / "model.gwsa", at / "target.tif"
    storages = {name: at / f"{name}.tif" for name in ("sms", "swe", "cws")}
    page, whole = {"report": out / "page.html"}, {"output": out / "o.tif"}
    outlines, trend = at / "outlines.gpkg", {"slope": out / "s.tif", "p_value": out / "p.tif"}
    baseline = {"baseline_start": "2004-01", "baseline_end": "2006-12"}
    grace = {**whole, "mascons": out / "m.tif", "land_mask": out / "l.tif"}
    places = {"model": model, "predictors": at / "fine", "mask": mask}
    own: dict[str, object] = {
        "accumulate": {"input": gwsa, **whole},
        "applymask": {"input": gwsa, "mask": mask, **whole},
        "aquiferclasses": {"input": outlines, "template": at / "mask_a.tif", "factor": FACTOR, **whole,
                           "coarse": out / "c.tif"},
        "attribution": {"gwsa": gwsa, "background": target, "residual": out / "r.tif", **trend, **baseline, **page},
        "basemask": {"inputs": [at / "mask_a.tif", at / "mask_b.tif"], **whole},
        "basinreport": {"input": gwsa, "basins": outlines, "folder": out / "pages", "minimum_years": 3, **page},
        "basinseries": {"input": gwsa, "basins": outlines, "output": out / "o.csv", **page},
        "consistency": {"fine": gwsa, "coarse": target, "metrics": out / "c.csv"},
        "correctresiduals": {"prediction": gwsa, "target": target, **whole},
        "droughtindex": {"input": gwsa, **whole, "minimum_years": 3, **page},
        "fillgaps": {"input": at / "gappy.tif", **whole, "short_window": 12, "short_modes": 4, "long_window": 12,
                     "long_modes": 2, **page},
        "glaciermask": {"glaciers": outlines, "template": mask, **whole},
        "hotspots": {"slope": at / "slope.tif", "p_value": at / "p.tif", "output": out / "o.gpkg", **page},
        "latitudeprofile": {"input": gwsa, "mean": out / "m.tif", **page},
        "importgldas": {"inputs": at / "gldas", **{name: out / f"{name}.tif" for name in ("sms", "swe", "cws")},
                        "model": "mean", "spread": out / "spread.tif", "baseline_start": "2004-01",
                        "baseline_end": "2004-04"},
        "importgrace": {**grace, "input": at / "grace.nc", "mascon_map": at / "grace.nc", "uncertainty": out / "u.tif",
                        "gain_factors": True},
        "importgrace, mascons found": {**grace, "input": at / "plain.nc", "land_mask_file": at / "grace.nc"},
        "monthlystack": {"inputs": sorted((at / "files").glob("*.tif")), **whole},
        "predict": {**places, **whole, "threads": 1},
        "preparepredictors": {"inputs": [gwsa, target], "template": mask, "factor": FACTOR, "fine": out / "fine",
                              "coarse": out / "coarse", "mask": mask},
        "projectreport": {"gwsa": gwsa, "coarse": target, "model": model, **page},
        "seasonality": {"input": gwsa, **whole, **page},
        "trainmodels": {"target": target, "predictors": at / "coarse", "model": out / "m.gwsa", "threads": 1,
                        "mascons": at / "mascons.tif", "search_iterations": 0, "samples": 50_000},
        "trend": {"input": gwsa, **trend, **page},
        "trendbreak": {"input": gwsa, "break_month": "2005-01", "change": out / "c.tif", "p_value": out / "p.tif", **page},
        "uncertainty": {"gwsa": gwsa, **places, **whole, **page},
        "validatewells": {"gwsa": gwsa, "wells": at / "wells.csv", "levels": at / "levels.csv", "coarse": target,
                          "minimum_years": 3, "draws": 100, **page},
        "waterbalance": {"twsa": at / "gappy.tif", **whole, **storages, **baseline},
        "watermask": {"inputs": sorted((at / "water").glob("*.tif")), "template": mask, **whole},
    }[step]  # fmt: skip
    budget = {} if step in WITHOUT_BUDGET else {"memory_mb": BUDGETS.get(step, BUDGET_MB)}
    return own | budget


STEPS = (
    "importgldas", "importgrace", "importgrace, mascons found", "accumulate", "applymask", "aquiferclasses", "basemask",
    "glaciermask", "watermask", "monthlystack", "waterbalance", "preparepredictors", "fillgaps", "trainmodels", "predict",
    "correctresiduals", "uncertainty", "consistency", "validatewells", "trend", "trendbreak", "hotspots", "seasonality",
    "droughtindex", "attribution", "latitudeprofile", "basinseries", "basinreport", "projectreport",
)  # fmt: skip
WITHOUT_BUDGET = ("validatewells",)


def peak_mb(step: str, folder: Path) -> tuple[float, float, float]:
    """Memory of a step in a process of its own, MB: before it begins, and at its peak; and its wall time."""
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
    start, peak = done.stdout.split()[-2:]
    return float(start), float(peak), seconds


def one(step: str, folder: Path) -> None:
    """Run a step here and print the memory before it and the peak."""
    name = step.split(",")[0]
    module = importlib.import_module(f"gwsa_qgis.steps.{name}")
    # numba, where it is, is loaded only once it pays: it is a part of the program, not of the map
    compiled.prepare()
    start = memory_mb("VmRSS")
    getattr(module, name)(**arguments(step, folder, folder / "out"))
    print(start, memory_mb())


def main(*steps: str) -> None:
    """Print the table."""
    folder = Path(tempfile.mkdtemp(prefix="memory"))
    try:
        places = [folder / str(side) for side in SIDES]
        for side, place in zip(SIDES, places, strict=True):
            place.mkdir()
            command = [sys.executable, "-m", "benchmarks.memory", "--make", str(side), str(place)]
            subprocess.run(command, check=True)
        print(f"{MONTHS.size} months; 1x: {SIDES[0]} x {SIDES[0]} pixels; GDAL's cache {CACHE_MB} MB")
        heads = "".join(f"{(side // SIDES[0]) ** 2}x MB".rjust(9) for side in SIDES)
        print(f"{'step':28}{'budget':>8}{'start':>8}{heads}{'16x / 1x':>10}{'wall s of 16x':>15}", flush=True)
        for step in steps or STEPS:
            try:
                print(_row(step, places), flush=True)
            except RuntimeError as error:
                print(f"{step:28}{error}", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _row(step: str, places: list[Path]) -> str:
    found = [peak_mb(step, place) for place in places]
    ratio, seconds = found[-1][1] / found[0][1], found[-1][2]
    budget = "-" if step in WITHOUT_BUDGET else BUDGETS.get(step, BUDGET_MB)
    peaks = "".join(f"{peak:9.0f}" for _, peak, _ in found)
    verdict = "" if ratio <= ALLOWED else "  grows"
    return f"{step:28}{budget:>8}{found[0][0]:8.0f}{peaks}{ratio:10.2f}{seconds:15.1f}{verdict}"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(sys.argv[2], Path(sys.argv[3]))
    elif sys.argv[1:2] == ["--make"]:
        make_inputs(Path(sys.argv[3]), int(sys.argv[2]))
    else:
        main(*sys.argv[1:])

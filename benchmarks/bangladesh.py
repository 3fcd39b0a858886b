"""Real grids of the Bengal basin through the steps, scored where the fine field is known.

Two runs on `../shared/data/bangladesh` (0.25 deg, monthly):

* groundwater of GLDAS-2.2 CLSM, whose 0.25 deg structure is real: averaged to 1 and to 0.5 deg, downscaled back from
  there by both presets, and scored against the field it came from, beside interpolation of the coarse field alone;
* TWSA of CSR, one value per native mascon printed on 0.25 deg cells: months without a solution are removed again, filled
  by SSA, and the filled field is downscaled from mascons to cells. No finer truth exists; closure is checked.

Run with ``python -m benchmarks bangladesh``; ``python -m benchmarks.bangladesh --record`` also writes the table into
``RESULTS.md``. The search for parameters is left out (the learner's defaults are used): it takes ten times as long.
"""

import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from gwsa_qgis.products.cf_time import parse_missing
from gwsa_qgis.rasters.raster import create_raster, read_single
from gwsa_qgis.rasters.stack import MonthlyStack, write_stack
from gwsa_qgis.science.closure import Closure, cell_support
from gwsa_qgis.science.interpolation import spread
from gwsa_qgis.science.scores import score
from gwsa_qgis.steps.accumulate import accumulate
from gwsa_qgis.steps.consistency import consistency
from gwsa_qgis.steps.correctresiduals import correctresiduals
from gwsa_qgis.steps.fillgaps import fillgaps
from gwsa_qgis.steps.importgrace import importgrace
from gwsa_qgis.steps.monthlystack import monthlystack
from gwsa_qgis.steps.predict import predict
from gwsa_qgis.steps.preparepredictors import preparepredictors
from gwsa_qgis.steps.trainmodels import trainmodels
from gwsa_qgis.steps.trend import trend

ROOT = Path(__file__).resolve().parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"
RECORD = ROOT / "build" / "bench" / "bangladesh.json"
RESULTS = Path(__file__).with_name("RESULTS.md")
# Cells of the groundwater file that the other grids have too, less two columns: a multiple of 4 x 4 cells.
COMMON = {"row": 2, "column": 2, "rows": 24, "columns": 20}
BOOTSTRAPS = 2000
FACTORS = {"1 deg": 4, "0.5 deg": 2}


def measure(
    shared_data: Path, work: Path, search_iterations: int = 0, say: Callable[[str], None] | None = None
) -> dict:
    """Run both parts in the folder `work` and give all figures, fit for JSON.

    Parameters
    ----------
    shared_data : Path
        Folder of the real data.
    work : Path
        Folder for the files; what is there stays.
    search_iterations : int
        Candidates of the search in training.
    say : callable, optional
        Told what is being done.
    """
    say = say or (lambda text: None)
    source = Path(shared_data) / "bangladesh"
    work.mkdir(parents=True, exist_ok=True)
    say("Predictors")
    inputs = make_inputs(source, work)
    result = {"groundwater": {}, "search_iterations": search_iterations}
    truth, mask = make_truth(source, work)
    for name, factor in FACTORS.items():
        say(f"Groundwater from {name}")
        folder = work / f"factor_{factor}"
        result["groundwater"][name] = downscale_groundwater(inputs, truth, mask, factor, folder, search_iterations)
    say("TWSA")
    header = Path(shared_data) / "native_headers" / "CSR_RL0603_xarray_repr.txt"
    result["twsa"] = run_twsa(source, header, inputs, work / "twsa", search_iterations)
    return result


def variable(path: Path, name: str) -> str:
    """A variable of a NetCDF file, as steps take it."""
    return f'NETCDF:"{path}":{name}'


def make_inputs(source: Path, work: Path) -> dict[str, str]:
    """Predictors as monthly stacks: precipitation, evapotranspiration, their sums since the start, NDVI; elevation."""
    water, greenness = source / "PR_AET_M_2002_2017_BGD_025.nc4", source / "NDVI_M_2002_2017_BGD_025.nc4"
    inputs = {}
    for name, path, unit in (
        ("precipitation", variable(water, "pr"), "mm"),
        ("evapotranspiration", variable(water, "aet"), "mm"),
        ("ndvi", variable(greenness, "NDVI"), ""),
    ):
        inputs[name] = str(work / f"{name}.tif")
        monthlystack(path, inputs[name], product="generic", unit=unit)
    for name in ("precipitation", "evapotranspiration"):
        inputs[f"{name}_sum"] = str(work / f"{name}_sum.tif")
        accumulate(inputs[name], inputs[f"{name}_sum"])
    return inputs | {"elevation": variable(source / "DEM_BGD_025.nc4", "dem")}


def make_truth(source: Path, work: Path) -> tuple[Path, Path]:
    """Groundwater anomaly (cm) on the cells that all grids share, and the mask of cells that have it."""
    whole, truth, mask = work / "gws_whole.tif", work / "gws.tif", work / "mask.tif"
    file = source / "GLDAS_22_CLSM_GWS_M_2003_2017_BGD_025.nc4"
    monthlystack(variable(file, "gwsa"), whole, product="generic", scale=100.0, unit="cm")
    with MonthlyStack(whole) as stack:
        grid, months = stack.grid.window(**COMMON), stack.months
        row, column = COMMON["row"], COMMON["column"]
        values = stack.read(slice(row, row + grid.rows), slice(column, column + grid.columns))
    write_stack(truth, grid, months, values, quantity="groundwater storage anomaly")
    write_mask(mask, grid, np.isfinite(values).all(0))
    return truth, mask


def write_mask(path: Path, grid, used: np.ndarray) -> None:
    """Write a mask, 1 = use."""
    with create_raster(path, grid, dtype="uint8", nodata=0) as writer:
        writer.write(used.astype(np.uint8))


def read_stack(path: Path, months: np.ndarray | None = None) -> np.ndarray:
    """Values of a stack, (n_months, rows, columns) float64."""
    with MonthlyStack(path) as stack:
        return (stack.read() if months is None else stack.read_months(months)).astype(np.float64)


def downscale_groundwater(
    inputs: dict[str, str], truth: Path, mask: Path, factor: int, folder: Path, search_iterations: int
) -> dict:
    """Average the truth by `factor`, downscale it back with both presets, and score what comes out."""
    begin = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "coarse" / "gws.tif"
    preparepredictors({"gws": truth}, truth, factor, folder / "fine", folder / "coarse", mask=mask, max_hole_distance=0)
    preparepredictors(inputs, truth, factor, folder / "fine_predictors", folder / "coarse_predictors", mask=mask)
    report: dict = {"factor": factor}
    maps: dict[str, Path] = {}
    for preset, methods in (("recommended", ("exact",)), ("published", ("spline", "exact"))):
        model, predicted = folder / f"{preset}.gwsamodel", folder / f"{preset}_predicted.tif"
        trained = trainmodels(
            target, folder / "coarse_predictors", model, preset=preset, search_iterations=search_iterations, threads=1
        )
        predict(model, folder / "fine_predictors", predicted, mask=mask, threads=1)
        report[preset] = {"blocked_r2": trained.blocked_r2, "random_r2": trained.random_r2, "samples": trained.samples}
        if preset == "recommended":
            report[preset]["weight"] = trained.weight
        for method in methods:
            name = preset if len(methods) == 1 else f"{preset}, {method}"
            maps[name] = folder / f"{preset}_{method}.tif"
            closed = correctresiduals(predicted, target, maps[name], method=method, mask=mask)
            report.setdefault("closure", {})[name] = closure_figures(maps[name], target, factor, closed)
    report["consistency_rmse"] = consistency(maps["recommended"], target).monthly.rmse
    fields = {**interpolations(target, mask, factor), **{name: read_stack(path) for name, path in maps.items()}}
    report["scores"] = score_fields(fields, truth, mask, target, factor)
    pair = fields["recommended"], fields["histospline"]
    report["recommended"]["less histospline"] = difference_interval(*pair, truth, mask, factor)
    report["trend"] = score_trends({"truth": truth, **maps}, fields["histospline"], folder)
    report["pixels"] = int((read_single(mask)[0] > 0).sum())
    report["cells"] = int(np.isfinite(read_stack(target)).any(0).sum())
    report["months"] = int(read_stack(truth).shape[0])
    report["seconds"] = round(time.perf_counter() - begin, 1)
    return report


def closure_figures(corrected: Path, target: Path, factor: int, result) -> dict[str, float]:
    """What the step says of its closure, and the largest difference of cell means read again from the written file."""
    with MonthlyStack(corrected) as stack:
        values, weights = stack.read().astype(np.float64), stack.grid.row_weights()
    coarse = read_stack(target)
    n_months, rows, columns = coarse.shape
    valid = np.isfinite(values)
    blocks = (n_months, rows, factor, columns, factor)
    area = (valid * weights[:, None]).reshape(blocks).sum((2, 4))
    total = (np.where(valid, values, 0) * weights[:, None]).reshape(blocks).sum((2, 4))
    with np.errstate(invalid="ignore", divide="ignore"):
        difference = total / area - coarse
    return {
        "rmse_before": result.closure_rmse_before,
        "rmse_after": result.closure_rmse_after,
        "largest_after": float(np.nanmax(np.abs(difference))),
        "cells": int(np.isfinite(difference).any(0).sum()),
    }


def interpolations(target: Path, mask: Path, factor: int) -> dict[str, np.ndarray]:
    """The coarse field alone: bilinear, cubic spline, and the exact histospline."""
    coarse = read_stack(target)
    used, grid = read_single(mask)
    weights = (used > 0) * grid.row_weights()[:, None]
    closure = Closure(cell_support(*coarse.shape[1:], factor), weights, knot_spacing=factor)
    return {
        "bilinear": spread(coarse, factor, "bilinear"),
        "cubic": spread(coarse, factor, "cubic"),
        "histospline": closure.spread(coarse.reshape(len(coarse), -1)),
    }


def score_fields(
    fields: dict[str, np.ndarray], truth: Path, mask: Path, target: Path, factor: int
) -> dict[str, dict[str, float]]:
    """RMSE and R2 of each field on the same pixels and months, and R2 of what lies within coarse cells."""
    actual = np.where(read_single(mask)[0] > 0, read_stack(truth), np.nan)
    cells = np.repeat(np.repeat(read_stack(target), factor, axis=1), factor, axis=2)
    within = np.nansum((actual - cells) ** 2)
    scores = {}
    for name, field in fields.items():
        found = score(actual, field)
        detail = 1 - np.nansum((actual - field) ** 2) / within
        scores[name] = {"rmse": found.rmse, "r2": found.r2, "detail_r2": float(detail), "n": found.n}
    return scores


def difference_interval(
    first: np.ndarray, second: np.ndarray, truth: Path, mask: Path, factor: int
) -> dict[str, float]:
    """RMSE of the first field less that of the second, with a 95 % interval by bootstrap over coarse cells."""
    actual = np.where(read_single(mask)[0] > 0, read_stack(truth), np.nan)
    rows, columns = (np.arange(length) // factor for length in actual.shape[1:])
    block = np.unique(rows[:, None] * 10_000 + columns, return_inverse=True)[1].ravel()
    errors = [np.nansum((field - actual) ** 2, axis=0).ravel() for field in (first, second)]
    sums = np.stack([np.bincount(block, error) for error in errors])
    count = np.bincount(block, np.isfinite(actual).sum(0).ravel())
    sums, count = sums[:, count > 0], count[count > 0]
    drawn = np.random.default_rng(0).integers(0, count.size, (BOOTSTRAPS, count.size))
    roots = np.sqrt(sums[:, drawn].sum(-1) / count[drawn].sum(-1))
    low, high = np.quantile(roots[0] - roots[1], [0.025, 0.975])
    whole = np.sqrt(sums.sum(1) / count.sum())
    return {"rmse": float(whole[0] - whole[1]), "low": float(low), "high": float(high)}


def score_trends(stacks: dict[str, Path], histospline: np.ndarray, folder: Path) -> dict[str, dict[str, float]]:
    """Sen slopes (cm a year) of each stack against those of the truth: RMSE, R2, and share of equal signs."""
    with MonthlyStack(stacks["truth"]) as stack:
        grid, months, valid = stack.grid, stack.months, np.isfinite(stack.read()).all(0)
    path = write_stack(folder / "histospline.tif", grid, months, np.where(valid, histospline, np.nan))
    slopes = {}
    for number, (name, source) in enumerate({**stacks, "histospline": path}.items()):
        slope, p_value = folder / f"slope_{number}.tif", folder / f"p_{number}.tif"
        trend(source, slope, p_value, unit="year")
        slopes[name] = read_single(slope)[0]
    actual = slopes.pop("truth")
    both = np.isfinite(actual)
    report = {"truth": {"mean": float(np.nanmean(actual)), "spread": float(np.nanstd(actual))}}
    for name, slope in slopes.items():
        found = score(actual, slope)
        same = float((np.sign(slope[both]) == np.sign(actual[both])).mean())
        report[name] = {"rmse": found.rmse, "r2": found.r2, "same_sign": same}
    return report


def run_twsa(source: Path, header: Path, inputs: dict[str, str], folder: Path, search_iterations: int) -> dict:
    """Remove months without a solution, fill them, and downscale the filled field from mascons to 0.25 deg cells."""
    begin = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    whole, gaps, filled, mascons = (folder / f"{name}.tif" for name in ("whole", "gaps", "filled", "mascons"))
    found = importgrace(source / "TWSA_M_2002_2017_BGD_025.nc4", whole, mascons=mascons, variable="twsa", unit="mm")
    with MonthlyStack(whole) as stack:
        grid, months, linear = stack.grid, stack.months, stack.read()
    missing = np.isin(months, missing_months(header))
    values = linear.copy()
    values[missing] = np.nan
    write_stack(gaps, grid, months, values, quantity="TWSA", baseline="2004-01..2009-12")
    fill = fillgaps(gaps, filled, mascons=mascons)
    ssa = read_stack(filled)
    report = {
        "months": int(months.size),
        "missing": int(missing.sum()),
        "mascons": found.mascon_count,
        "cells": int(np.isfinite(ssa).all(0).sum()),
        "fill_median_eps1": fill.median_error_short,
        "fill_rms_difference_to_linear": float(np.sqrt(np.nanmean((ssa - linear)[missing] ** 2))),
        "observed_months_changed_by": float(np.nanmax(np.abs((ssa - linear)[~missing]))),
    }
    report |= held_out_months(folder, grid, months, values, missing, mascons)
    report |= downscale_twsa(filled, mascons, inputs, folder, search_iterations)
    report["seconds"] = round(time.perf_counter() - begin, 1)
    return report


def missing_months(header: Path) -> np.ndarray:
    """Months without a solution, from the dump of the native file's attributes."""
    lines = header.read_text(encoding="utf-8").splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("months_missing"))
    return parse_missing(lines[at + 1].strip(), str(header))


def held_out_months(
    folder: Path, grid, months: np.ndarray, values: np.ndarray, missing: np.ndarray, mascons: Path
) -> dict[str, float]:
    """RMSE of SSA and of linear interpolation in observed months that are taken out: every thirteenth."""
    out = np.zeros(months.size, bool)
    out[6::13] = True
    out &= ~missing
    taken = values.copy()
    taken[out] = np.nan
    path, filled = folder / "held_out.tif", folder / "held_out_filled.tif"
    write_stack(path, grid, months, taken, quantity="TWSA", baseline="2004-01..2009-12")
    fillgaps(path, filled, mascons=mascons)
    known, at = np.flatnonzero(~out & ~missing), np.arange(months.size)
    cells = taken.reshape(months.size, -1)
    linear = np.stack([np.interp(at, known, series[known]) for series in cells.T], axis=1).reshape(values.shape)
    return {
        "held_out_months": int(out.sum()),
        "held_out_rmse_ssa": score(values[out], read_stack(filled)[out]).rmse,
        "held_out_rmse_linear": score(values[out], linear[out]).rmse,
    }


def downscale_twsa(filled: Path, mascons: Path, inputs: dict[str, str], folder: Path, search_iterations: int) -> dict:
    """Recommended preset with TWSA as the target: from native mascons to 0.25 deg cells."""
    names = "mask.tif", "twsa.gwsamodel", "predicted.tif", "corrected.tif"
    mask, model, predicted, corrected = (folder / name for name in names)
    with MonthlyStack(filled) as stack:
        write_mask(mask, stack.grid, np.isfinite(stack.read()).all(0))
    fine, coarse = folder / "fine", folder / "coarse"
    preparepredictors(inputs, filled, 1, fine, coarse, mask=mask)
    trained = trainmodels(filled, coarse, model, mascons=mascons, search_iterations=search_iterations, threads=1)
    predict(model, fine, predicted, mask=mask, threads=1)
    closed = correctresiduals(predicted, filled, corrected, mascons=mascons, mask=mask)
    falling = trend(corrected, folder / "slope.tif", folder / "p_value.tif", unit="year")
    return {
        "weight": trained.weight,
        "blocked_r2": trained.blocked_r2,
        "closure_rmse_before": closed.closure_rmse_before,
        "closure_largest_after": closed.closure_max_after,
        "largest_mascon_difference": mascon_difference(corrected, filled, mascons),
        "mean_slope_cm_per_year": falling.mean_slope,
    }


def mascon_difference(corrected: Path, filled: Path, mascons: Path) -> float:
    """Largest difference of mascon means between two stacks on one grid, read again from the written files."""
    labels, grid = read_single(mascons)
    labels = np.nan_to_num(labels).astype(int)
    weights = np.broadcast_to(grid.row_weights()[:, None], grid.shape)
    first, second = read_stack(corrected), read_stack(filled)
    largest = 0.0
    for label in np.unique(labels[labels > 0]):
        inside = (labels == label) & np.isfinite(first).all(0)
        if inside.any():
            w = weights[inside] / weights[inside].sum()
            largest = max(largest, float(np.abs((first[:, inside] - second[:, inside]) @ w).max()))
    return largest


def keep_in_results(text_of_figures: str) -> None:
    """Replace what stands between this benchmark's marks in `RESULTS.md`."""
    first, last = (f"<!-- bangladesh: {word} of the measured figures -->" for word in ("begin", "end"))
    text = RESULTS.read_text(encoding="utf-8")
    before, rest = text.split(first, 1)
    after = rest.split(last, 1)[1]
    RESULTS.write_text(f"{before}{first}\n{text_of_figures}\n{last}{after}", encoding="utf-8")


def main(shared_data: Path = SHARED_DATA, search_iterations: int = 0, record: bool = False) -> None:
    """Measure, print the table and keep the record."""
    # Here, so that a test can load this file without its package.
    from benchmarks._bangladesh_tables import markdown, table

    if not (Path(shared_data) / "bangladesh").is_dir():
        print("The Bangladesh grids (../shared/data/bangladesh) are not there: skipped.")
        return
    work = RECORD.parent / "bangladesh"
    shutil.rmtree(work, ignore_errors=True)
    result = measure(Path(shared_data), work, search_iterations, say=lambda text: print(f"  {text} ...", flush=True))
    RECORD.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(table(result))
    if record:
        keep_in_results(markdown(result))


if __name__ == "__main__":
    main(record="--record" in sys.argv[1:])

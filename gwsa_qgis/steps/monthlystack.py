"""Put the files of one product together into a monthly stack (step ``monthlystack``)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidMonths, InvalidParameter, UnreadableInput
from gwsa_qgis.months import days_in_month, month_range
from gwsa_qgis.products import soilgrids
from gwsa_qgis.products.cf_time import describe_months
from gwsa_qgis.products.cube import Cube, split_source
from gwsa_qgis.products.generic import GENERIC, months_from_start, resolve_periods
from gwsa_qgis.products.product import Layer, Product
from gwsa_qgis.products.registry import AUTO, choose_product, values_only
from gwsa_qgis.products.sanity import Figures, odd_figures
from gwsa_qgis.products.source import open_source
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.raster import Raster, create_raster
from gwsa_qgis.rasters.stack import create_stack, require_values
from gwsa_qgis.rasters.windows import DEFAULT_MEMORY_MB, Window, plan_windows

STEP = "monthlystack"
AGGREGATIONS = ("mean", "sum")
# A month counts when its files cover this share of its days; a sum is then raised to the whole month.
SMALLEST_COVER = 0.5
OPEN_FILES = 64


@dataclass(frozen=True)
class MonthlyStackResult:
    """What was written.

    Attributes
    ----------
    output : Path
    product, unit : str
    first, last : str
        First and last month; empty for a static band (SoilGrids).
    missing : tuple of str
        Months without data.
    mean, low, high : float
        Figures of all values written.
    warnings : tuple of str
        What looks odd.
    """

    output: Path
    product: str
    unit: str
    first: str
    last: str
    missing: tuple[str, ...]
    mean: float
    low: float
    high: float
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Plan:
    product: Product
    aggregation: str
    coding: tuple[float, float] | None
    unit: str
    quantity: str


def monthlystack(
    inputs: str | Path | Iterable[str | Path] | None,
    output: str | Path,
    *,
    folder: str | Path | None = None,
    pattern: str = "*.tif",
    product: str = AUTO,
    aggregation: str | None = None,
    start: str | None = None,
    scale: float | None = None,
    offset: float | None = None,
    unit: str = "",
    memory_mb: float = DEFAULT_MEMORY_MB,
    workers: int = 1,
    progress: ProgressFunction | None = None,
) -> MonthlyStackResult:
    """Write the files of one product as a stack with one band a calendar month, in the quantity's own unit.

    Parameters
    ----------
    inputs : path or list of paths
        Files of one product and variable on one grid, in any order; quality files may be among them or beside them.
        A variable of a NetCDF file is named as ``NETCDF:"file":variable``.
    output : path
        Stack to write; a single static band for SoilGrids (0-30 cm mean).
    folder, pattern : path, str
        Where files are looked for when `inputs` is empty.
    product : str
        ``auto`` or one of `products.registry.PRODUCTS`.
    aggregation : {"mean", "sum"}, optional
        How several dates in a month are combined; by default the product's own way.
    start : str, optional
        Month of the first band, for files without dates.
    scale, offset : float, optional
        In place of the product's and the tags'.
    unit : str
        Unit to write where the files name none.
    memory_mb, workers, progress
        As in all steps.

    Raises
    ------
    GwsaError
        For unreadable or mixed files, months that are doubled or absent, grids that differ.
    """
    report = Reporter(progress)
    if aggregation is not None and aggregation not in AGGREGATIONS:
        raise InvalidParameter(f"AGGREGATION is {aggregation!r}", f"give one of {', '.join(AGGREGATIONS)}")
    paths = _list_inputs(inputs, folder, pattern)
    chosen = choose_product(product, paths)
    paths = values_only(chosen, paths)
    coding = None if scale is None and offset is None else (1.0 if scale is None else scale, offset or 0.0)
    name = chosen.variable(paths[0]) or split_source(paths[0])[1] or Path(output).stem
    plan = _Plan(chosen, aggregation or chosen.aggregation, coding, chosen.unit(paths[0]) or unit, name)
    grid = _common_grid(paths)
    report.say(f"{chosen.name}: {len(paths)} files of {name}, {grid.describe()}.")
    if chosen is soilgrids.SOILGRIDS:
        return _write_static(paths, output, grid, plan, memory_mb, report)
    layers = months_from_start(paths, start) if start else resolve_periods(_all_layers(chosen, paths))
    months, by_month = _assign(layers)
    return _write_months(months, by_month, output, grid, plan, memory_mb, report)


def _list_inputs(inputs: object, folder: str | Path | None, pattern: str) -> list[str]:
    if inputs is not None and not isinstance(inputs, (str, Path)):
        paths = [str(path) for path in inputs]
    else:
        paths = [str(inputs)] if inputs else []
    if not paths and folder:
        if not Path(folder).is_dir():
            raise UnreadableInput(f"{folder} is not a folder", "give the folder that holds the files")
        paths = sorted(str(path) for path in Path(folder).glob(pattern) if path.is_file())
        if not paths:
            raise UnreadableInput(f"the folder {folder} holds no file {pattern}", "give another folder or pattern")
    if not paths:
        raise InvalidParameter("no input was given", "give files, or a folder")
    return paths


def _all_layers(product: Product, paths: list[str]) -> list[Layer]:
    return [layer for path in paths for layer in product.layers(path)]


def _common_grid(paths: list[str]) -> Grid:
    first = None
    for path in paths:
        with open_source(path) as source:
            if first is None:
                first = source.grid
            first.require_match(source.grid, paths[0], path)
    return first


def _assign(layers: list[Layer]) -> tuple[np.ndarray, dict[np.datetime64, list[tuple[Layer, int]]]]:
    """Months, and for each the layers that touch it with their days in it.

    Raises
    ------
    InvalidMonths
        If two layers hold the same days, or no month is covered well enough.
    """
    by_month: dict[np.datetime64, list[tuple[Layer, int]]] = {}
    before = None
    for layer in sorted(layers, key=lambda layer: (layer.start, layer.stop)):
        if before is not None and layer.start < before.stop:
            raise InvalidMonths(
                f"{layer.start} is there twice ({before.path} band {before.band + 1}, {layer.path} band "
                f"{layer.band + 1})",
                "give each date once",
            )
        before = layer
        for month in month_range(layer.start, layer.stop - 1):
            first, after = month.astype("datetime64[D]"), (month + 1).astype("datetime64[D]")
            days = int((min(layer.stop, after) - max(layer.start, first)).astype(int))
            by_month.setdefault(month, []).append((layer, days))
    covered = [m for m, parts in by_month.items() if sum(d for _, d in parts) >= SMALLEST_COVER * days_in_month(m)]
    if not covered:
        raise InvalidMonths("the files cover no month by half of its days", "give more files")
    months = month_range(min(covered), max(covered))
    return months, {month: by_month[month] for month in covered}


class _OpenFiles:
    """The files that were used last, kept open."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, Raster | Cube] = OrderedDict()

    def __enter__(self) -> _OpenFiles:
        return self

    def __exit__(self, *_: object) -> None:
        for source in self._open.values():
            source.close()

    def get(self, path: str) -> Raster | Cube:
        if path not in self._open:
            self._open[path] = open_source(path)
            if len(self._open) > OPEN_FILES:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(path)
        return self._open[path]


def _write_months(
    months: np.ndarray,
    by_month: dict[np.datetime64, list[tuple[Layer, int]]],
    output: str | Path,
    grid: Grid,
    plan: _Plan,
    memory_mb: float,
    report: Reporter,
) -> MonthlyStackResult:
    missing = np.array([month for month in months if month not in by_month], dtype="datetime64[M]")
    report.say(f"Months {months[0]} to {months[-1]}, combined within a month by {plan.aggregation}.")
    if missing.size:
        report.warn(f"{missing.size} months have no file and become NoData: {describe_months(missing, 40)}.")
    _tell_quality(by_month, plan.product, report)
    figures = Figures()
    most = max(len(parts) for parts in by_month.values())
    windows = plan_windows(grid, 32 if most == 1 else 48, memory_mb=memory_mb)
    tags = {"unit": plan.unit, "quantity": plan.quantity, "step": STEP, "metadata": {"GWSA_PRODUCT": plan.product.name}}
    with create_stack(output, grid, months, **tags) as writer, _OpenFiles() as files:
        for band, month in enumerate(months):
            for window in windows:
                if month in by_month:
                    values = _combine(by_month[month], month, window, files, plan)
                else:
                    values = np.full((window.rows, window.columns), np.nan, np.float32)
                figures.add(values)
                writer.write(values, window.row, window.column, band)
            report((band + 1) / months.size)
        require_values(next(iter(by_month.values()))[0][0].path, figures.count)
    names = str(months[0]), str(months[-1])
    return _finish(output, plan, figures, names, tuple(map(str, missing)), report)


def _tell_quality(by_month: dict, product: Product, report: Reporter) -> None:
    paths = {layer.path for parts in by_month.values() for layer, _ in parts}
    wanted = [product.quality_of(path) for path in paths]
    absent = [path for path in wanted if not path or not Path(path).exists()]
    if product.quality_of is Product.__dataclass_fields__["quality_of"].default or product is GENERIC:
        return
    if any(wanted) and absent:
        report.warn(f"{len(absent)} files have no quality file beside them ({absent[0]}): all their values are used.")


def _combine(
    parts: list[tuple[Layer, int]], month: np.datetime64, window: Window, files: _OpenFiles, plan: _Plan
) -> np.ndarray:
    """Values of a month in a window: day-weighted mean, or sum."""
    if len(parts) == 1 and not plan.product.per_day and not plan.product.quality_of(parts[0][0].path):
        return plan.product.read(files.get(parts[0][0].path), parts[0][0].band, *window.slices, plan.coding)
    total = np.zeros((window.rows, window.columns))
    days = np.zeros((window.rows, window.columns), np.float32)
    for layer, overlap in parts:
        values = plan.product.read(files.get(layer.path), layer.band, *window.slices, plan.coding)
        valid = np.isfinite(values) & _usable(layer, window, files, plan.product)
        # a generic sum adds amounts; the part of a period that lies in the month counts
        length = int((layer.stop - layer.start).astype(int))
        share = overlap if plan.aggregation == "mean" or plan.product.per_day else overlap / length
        total += np.where(valid, values, 0) * share
        days += valid * np.float32(overlap)
    with np.errstate(invalid="ignore", divide="ignore"):
        if plan.aggregation == "mean":
            return np.where(days > 0, total / days, np.nan).astype(np.float32)
        length = days_in_month(month)
        return np.where(days >= SMALLEST_COVER * length, total * length / days, np.nan).astype(np.float32)


def _usable(layer: Layer, window: Window, files: _OpenFiles, product: Product) -> np.ndarray | bool:
    path = product.quality_of(layer.path)
    if not path or not Path(path).exists():
        return True
    return product.usable(files.get(path).read(*window.slices, [layer.band])[0])


def _write_static(
    paths: list[str], output: str | Path, grid: Grid, plan: _Plan, memory_mb: float, report: Reporter
) -> MonthlyStackResult:
    weights = soilgrids.depth_weights(paths)
    figures = Figures()
    tags = {"GWSA_QUANTITY": plan.quantity, "GWSA_STEP": STEP, "GWSA_PRODUCT": plan.product.name}
    windows = plan_windows(grid, 24, memory_mb=memory_mb)
    with (
        create_raster(output, grid, unit=plan.unit, descriptions=[f"{plan.quantity} 0-30 cm"], metadata=tags) as writer,
        _OpenFiles() as files,
    ):
        for done, window in enumerate(windows, start=1):
            depths = [
                plan.product.read(files.get(path), 0, *window.slices, plan.coding) * np.float32(weight)
                for path, weight in weights.items()
            ]
            values = np.sum(depths, axis=0, dtype=np.float32)
            figures.add(values)
            writer.write(values, window.row, window.column)
            report(done / len(windows))
        require_values(paths[0], figures.count)
    return _finish(output, plan, figures, ("", ""), (), report)


def _finish(
    output: str | Path,
    plan: _Plan,
    figures: Figures,
    span: tuple[str, str],
    missing: tuple[str, ...],
    report: Reporter,
) -> MonthlyStackResult:
    odd = odd_figures(plan.quantity, figures)
    if odd:
        report.warn(odd + ".")
    shape = f"mean {figures.mean:.4g}, {figures.low:.4g} to {figures.high:.4g} {plan.unit}"
    report(1.0, f"Written {output}: {shape}.")
    warnings = (odd,) if odd else ()
    numbers = figures.mean, figures.low, figures.high
    return MonthlyStackResult(Path(output), plan.product.name, plan.unit, *span, missing, *numbers, warnings)

"""Put the files of one product together into a monthly stack (step ``monthlystack``)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidParameter, UnreadableInput
from gwsa_qgis.months import days_in_month
from gwsa_qgis.products import soilgrids
from gwsa_qgis.products.cf_time import describe_months
from gwsa_qgis.products.cube import SUFFIXES as CUBE_SUFFIXES
from gwsa_qgis.products.cube import is_cube, split_source
from gwsa_qgis.products.generic import months_from_start
from gwsa_qgis.products.periods import DUPLICATES, MonthlyParts, assign_months, covered_months
from gwsa_qgis.products.product import Coding, Layer, Product, Quantity
from gwsa_qgis.products.registry import AUTO, choose_product, warn_of_names
from gwsa_qgis.products.sanity import Figures
from gwsa_qgis.products.selection import Selection, select_variable, with_quality_files
from gwsa_qgis.products.source import open_source
from gwsa_qgis.products.stack_reader import OpenFiles, StackReader
from gwsa_qgis.products.tiles import TileSet, survey
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.raster import create_raster
from gwsa_qgis.rasters.stack import create_stack, require_values
from gwsa_qgis.rasters.windows import DEFAULT_MEMORY_MB, plan_windows

STEP = "monthlystack"
AGGREGATIONS = ("mean", "sum")
# Files of a folder that are taken without a pattern.
SUFFIXES = (".tif", ".tiff", ".hdf", *CUBE_SUFFIXES)
BYTES_PER_CELL = 64


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
    variable : str
        Name of what the stack holds.
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
    variable: str = ""


@dataclass(frozen=True)
class _Plan:
    product: Product
    selection: Selection
    quantity: Quantity
    aggregation: str
    coding: Coding | None
    unit: str
    name: str
    tiles: TileSet


def monthlystack(
    inputs: str | Path | Iterable[str | Path] | None,
    output: str | Path,
    *,
    folder: str | Path | None = None,
    pattern: str = "",
    product: str = AUTO,
    aggregation: str | None = None,
    start: str | None = None,
    scale: float | None = None,
    offset: float | None = None,
    unit: str = "",
    variable: str = "",
    duplicates: str = "refuse",
    memory_mb: float = DEFAULT_MEMORY_MB,
    workers: int = 1,
    progress: ProgressFunction | None = None,
) -> MonthlyStackResult:
    """Write the files of one product as a stack with one band a calendar month, in the quantity's own unit.

    Parameters
    ----------
    inputs : path or list of paths
        Files of one product on one grid, or tiles of one, in any order; quality files may be among them or beside them.
        A variable of a NetCDF file is named as ``NETCDF:"file":variable``.
    output : path
        Stack to write; a single static band for SoilGrids (0-30 cm mean).
    folder, pattern : path, str
        Where files are looked for when `inputs` is empty; without a pattern all with one of `SUFFIXES`.
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
    variable : str
        Which variable is wanted of files that hold several.
    duplicates : {"refuse", "average"}
        What is done when several files hold the same days.
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
    if duplicates not in DUPLICATES:
        raise InvalidParameter(f"DUPLICATES is {duplicates!r}", f"give one of {', '.join(DUPLICATES)}")
    variable = variable or ""
    paths = [_of_variable(path, variable) for path in _list_inputs(inputs, folder, pattern)]
    chosen = choose_product(product, paths)
    coding = None if scale is None and offset is None else (1.0 if scale is None else scale, offset or 0.0)
    if chosen is soilgrids.SOILGRIDS:
        selection = _static_selection(paths)
    else:
        if not chosen.usable and not any(map(is_cube, paths)):
            warn_of_names(paths, report)
        found = with_quality_files(chosen, paths)
        layers = months_from_start(found, start) if start else [one for path in found for one in chosen.layers(path)]
        selection = select_variable(chosen, layers, variable, report)
    quantity = chosen.quantity(selection.name)
    values = [layer.path for members in selection.layers.values() for layer in members]
    tiles = survey(values, report, chosen.cells_per_degree)
    name = selection.name or split_source(paths[0])[1] or Path(output).stem
    unit = quantity.unit or unit or tiles.unit
    plan = _Plan(chosen, selection, quantity, aggregation or quantity.aggregation, coding, unit, name, tiles)
    report.say(f"{chosen.name}: {len(set(values))} files of {name}, {tiles.grid.describe()}.")
    if chosen is soilgrids.SOILGRIDS:
        return _write_static(output, plan, memory_mb, report)
    by_variable = {part: assign_months(members, duplicates) for part, members in selection.layers.items()}
    return _write_months(by_variable, output, plan, memory_mb, report)


def _of_variable(path: str, variable: str) -> str:
    """Path that names the wanted variable of a NetCDF file that holds it."""
    if not variable or not is_cube(path) or split_source(path)[1]:
        return path
    from gwsa_qgis.products.cube import NetcdfFile

    with NetcdfFile(path) as file:
        found = file.find(variable)
    return f'NETCDF:"{path}":{found}' if found else path


def _list_inputs(inputs: object, folder: str | Path | None, pattern: str) -> list[str]:
    if inputs is not None and not isinstance(inputs, (str, Path)):
        paths = [str(path) for path in inputs]
    else:
        paths = [str(inputs)] if inputs else []
    if not paths and folder:
        if not Path(folder).is_dir():
            raise UnreadableInput(f"{folder} is not a folder", "give the folder that holds the files")
        found = sorted(path for path in Path(folder).glob(pattern or "*") if path.is_file())
        paths = [str(path) for path in found if pattern or path.suffix.lower() in SUFFIXES]
        if not paths:
            raise UnreadableInput(
                f"the folder {folder} holds no file {pattern or ', '.join(SUFFIXES)}", "give another folder or pattern"
            )
    if not paths:
        raise InvalidParameter("no input was given", "give files, or a folder")
    return paths


def _static_selection(paths: list[str]) -> Selection:
    """The three depths of a soil property as one weighted sum."""
    name = soilgrids.property_of(paths[0])
    day = np.datetime64("1970-01-01")
    weights = soilgrids.depth_weights(paths)
    return Selection(name, weights, {path: [Layer(path, 0, day, day, name)] for path in weights}, {})


def _tell_months(
    by_variable: dict[str, MonthlyParts], months: np.ndarray, missing: np.ndarray, report: Reporter
) -> None:
    for parts in by_variable.values():
        edges = {month: days for month, days in parts.thin.items() if not months[0] <= month <= months[-1]}
        if edges:
            listing = ", ".join(f"{month} ({days} of {days_in_month(month)} days)" for month, days in edges.items())
            report.warn(f"Left out, as less than half of the month is covered: {listing}.")
        if parts.averaged:
            report.warn(f"{parts.averaged} periods are there more than once and were averaged.")
    if missing.size:
        report.warn(
            f"{missing.size} months have no file, or files of less than half of their days, and become NoData: "
            f"{describe_months(missing, 40)}."
        )


def _tell_quality(plan: _Plan, report: Reporter) -> None:
    if not plan.product.usable:
        return
    values = [layer for members in plan.selection.layers.values() for layer in members]
    bare = [layer for layer in values if plan.selection.flags_of(layer, plan.product) is None]
    if bare:
        report.warn(
            f"{len(bare)} of {len(values)} dates have no quality file or band ({bare[0].path}): all their values are used."
        )


def _write_months(
    by_variable: dict[str, MonthlyParts], output: str | Path, plan: _Plan, memory_mb: float, report: Reporter
) -> MonthlyStackResult:
    months = covered_months(list(by_variable.values()))
    whole = set.intersection(*(set(parts.parts) for parts in by_variable.values()))
    missing = np.array([month for month in months if month not in whole], dtype="datetime64[M]")
    report.say(f"Months {months[0]} to {months[-1]}, combined within a month by {plan.aggregation}.")
    _tell_months(by_variable, months, missing, report)
    _tell_quality(plan, report)
    reader = StackReader(plan.product, plan.selection, plan.tiles, plan.quantity, plan.aggregation, plan.coding)
    if reader.lacking_tiles(by_variable):
        report.warn(reader.lacking_tiles(by_variable))
    figures = Figures()
    grid = plan.tiles.grid
    windows = plan_windows(grid, BYTES_PER_CELL, memory_mb=memory_mb)
    about = {"GWSA_PRODUCT": plan.product.name, "GWSA_SOURCE": Path(split_source(_first_path(plan))[0]).name}
    tags = {"unit": plan.unit, "quantity": plan.name, "step": STEP, "metadata": about}
    with create_stack(output, grid, months, **tags) as writer, reader:
        for band, month in enumerate(months):
            for window in windows:
                if month in whole:
                    values = reader.month(by_variable, month, window)
                else:
                    values = np.full((window.rows, window.columns), np.nan, np.float32)
                figures.add(values)
                writer.write(values, window.row, window.column, band)
            report((band + 1) / months.size)
        require_values(_first_path(plan), figures.count)
    names = str(months[0]), str(months[-1])
    return _finish(output, plan, figures, names, tuple(map(str, missing)), report)


def _first_path(plan: _Plan) -> str:
    return next(iter(plan.selection.layers.values()))[0].path


def _write_static(output: str | Path, plan: _Plan, memory_mb: float, report: Reporter) -> MonthlyStackResult:
    figures = Figures()
    tags = {"GWSA_QUANTITY": plan.name, "GWSA_STEP": STEP, "GWSA_PRODUCT": plan.product.name}
    grid = plan.tiles.grid
    windows = plan_windows(grid, 24, memory_mb=memory_mb)
    with (
        create_raster(output, grid, unit=plan.unit, descriptions=[f"{plan.name} 0-30 cm"], metadata=tags) as writer,
        OpenFiles() as files,
    ):
        for done, window in enumerate(windows, start=1):
            depths = [
                plan.product.read(files.get(path), 0, *window.slices, plan.coding, plan.name) * np.float32(weight)
                for path, weight in plan.selection.weights.items()
            ]
            values = np.sum(depths, axis=0, dtype=np.float32)
            figures.add(values)
            writer.write(values, window.row, window.column)
            report(done / len(windows))
        require_values(_first_path(plan), figures.count)
    return _finish(output, plan, figures, ("", ""), (), report)


def _finish(
    output: str | Path,
    plan: _Plan,
    figures: Figures,
    span: tuple[str, str],
    missing: tuple[str, ...],
    report: Reporter,
) -> MonthlyStackResult:
    with open_source(_first_path(plan)) as source:
        odd = plan.product.odd(plan.name, figures, source)
    if odd:
        report.warn(odd + ".")
    shape = f"mean {figures.mean:.4g}, {figures.low:.4g} to {figures.high:.4g} {plan.unit}"
    report(1.0, f"Written {output}: {shape}.")
    warnings = (odd,) if odd else ()
    numbers = figures.mean, figures.low, figures.high
    return MonthlyStackResult(Path(output), plan.product.name, plan.unit, *span, missing, *numbers, warnings, plan.name)

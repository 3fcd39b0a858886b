"""Import GRACE and GRACE-FO water storage (step ``importgrace``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import GridMismatch, InvalidMonths, InvalidParameter
from gwsa_qgis.months import month_range
from gwsa_qgis.products.cf_time import describe_months
from gwsa_qgis.products.cube import Cube, NetcdfFile
from gwsa_qgis.products.grace import (
    LAND_NAMES,
    MASCON_NAMES,
    MONTH_RULES,
    Solutions,
    assign_months,
    baseline_of,
    open_storage,
)
from gwsa_qgis.products.source import open_source
from gwsa_qgis.products.units import centimetres_per
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.masks import MASK_OPTIONS
from gwsa_qgis.rasters.raster import RasterWriter, create_raster
from gwsa_qgis.rasters.stack import create_stack, require_values
from gwsa_qgis.rasters.warping import cell_offset, crop_to_extent, read_cut
from gwsa_qgis.rasters.windows import DEFAULT_MEMORY_MB, plan_windows
from gwsa_qgis.rasters.writing import together
from gwsa_qgis.science.supports import compact_labels, identical_series_labels

STEP = "importgrace"


@dataclass(frozen=True)
class ImportGraceResult:
    """What was read and written.

    Attributes
    ----------
    output : Path
    land_mask, mascons : Path or None
    first, last : str
        First and last month, ``YYYY-MM``.
    solutions : int
        Monthly solutions in the file.
    missing : tuple of str
        Months without a solution.
    averaged : tuple of str
        Months that are the mean of several solutions.
    mascon_count : int
        Native mascons in the written raster; 0 when it was not asked for.
    """

    output: Path
    land_mask: Path | None
    mascons: Path | None
    first: str
    last: str
    solutions: int
    missing: tuple[str, ...]
    averaged: tuple[str, ...]
    mascon_count: int


def importgrace(
    input: str | Path,
    output: str | Path,
    *,
    land_mask: str | Path | None = None,
    mascons: str | Path | None = None,
    months: str = "metadata",
    mascon_map: str | Path | None = None,
    land_mask_file: str | Path | None = None,
    extent: Sequence[float] | None = None,
    start: str | None = None,
    end: str | None = None,
    variable: str = "",
    unit: str = "",
    memory_mb: float = DEFAULT_MEMORY_MB,
    workers: int = 1,
    progress: ProgressFunction | None = None,
) -> ImportGraceResult:
    """Read a GRACE mascon file as a monthly TWSA stack in cm, missing months as NoData bands.

    Parameters
    ----------
    input : path
        NetCDF of CSR or JPL, or any CF file of TWSA.
    output : path
        Stack to write.
    land_mask, mascons : path, optional
        Rasters to write: cells on land (1 = use), and the native mascon of each cell (0 = none).
    months : {"metadata", "midpoint"}
        How solutions get their month, see `products.grace.assign_months`.
    mascon_map, land_mask_file : path, optional
        The agency's mapping file and land mask; without a map, mascons are cells whose whole series are identical.
    extent : (west, south, east, north), optional
        Part of the file to read, in degrees from -180 to 180.
    start, end : str, optional
        First and last month of the output, ``YYYY-MM``.
    variable, unit : str
        For files that do not say: the name of the storage variable, and its unit (cm, mm or m).
    memory_mb, workers, progress
        As in all steps.

    Raises
    ------
    GwsaError
        For unreadable files, unknown units, months that contradict the metadata, grids that do not agree.
    """
    report = Reporter(progress)
    if months not in MONTH_RULES:
        raise InvalidParameter(f"MONTHS is {months!r}", f"give one of {', '.join(MONTH_RULES)}")
    file, cube = open_storage(input, variable)
    with file:
        factor = centimetres_per(cube.unit, unit, f"{cube.variable} in {file.path}")
        solutions = assign_months(cube, file.attributes, months)
        wanted = _months_wanted(solutions.months, start, end, file.path)
        grid = crop_to_extent(cube.grid, extent, file.path) if extent is not None else cube.grid
        missing = wanted[~np.isin(wanted, solutions.months)]
        _tell(report, file, cube, solutions, wanted, missing, grid)
        land = _read_land(file, land_mask_file, grid) if land_mask else None
        ids = _read_map(file, mascon_map, grid) if mascons else None
        with together() as outputs:
            count = 0
            masked = outputs.enter_context(create_raster(land_mask, grid, **MASK_OPTIONS)) if land_mask else None
            labelled = outputs.enter_context(create_raster(mascons, grid, dtype="int32", nodata=0)) if mascons else None
            tags = {"quantity": "TWSA", "baseline": baseline_of(file.attributes), "step": STEP}
            writer = outputs.enter_context(create_stack(output, grid, wanted, **tags))
            present = _copy(cube, writer, grid, wanted, solutions, factor, memory_mb, report.part(0.0, 0.8))
            require_values(file.path, int(present.sum()))
            if masked is not None:
                masked.write(_land_or_data(land, present, report).astype(np.uint8))
            if labelled is not None:
                labels = compact_labels(ids)[0] if ids is not None else _find_mascons(writer, wanted.size, grid, report)
                count = int(labels.max())
                labelled.write(labels)
        report(1.0, f"Written {wanted.size} months to {output}.")
    return ImportGraceResult(
        Path(output),
        Path(land_mask) if land_mask else None,
        Path(mascons) if mascons else None,
        str(wanted[0]),
        str(wanted[-1]),
        solutions.months.size,
        tuple(map(str, missing)),
        tuple(map(str, solutions.doubled[np.isin(solutions.doubled, wanted)])),
        count,
    )


def _months_wanted(months: np.ndarray, start: str | None, end: str | None, path: str) -> np.ndarray:
    try:
        first = np.datetime64(start, "M") if start else months.min()
        last = np.datetime64(end, "M") if end else months.max()
    except ValueError:
        raise InvalidMonths(f"START {start!r} or END {end!r} is not a month", "give them as YYYY-MM") from None
    if last < first or last < months.min() or first > months.max():
        raise InvalidMonths(
            f"no month of {path} ({months.min()} to {months.max()}) lies between {first} and {last}",
            "give a START and an END within the file's months",
        )
    return month_range(first, last)


def _tell(
    report: Reporter,
    file: NetcdfFile,
    cube: Cube,
    solutions: Solutions,
    wanted: np.ndarray,
    missing: np.ndarray,
    grid: Grid,
) -> None:
    report.say(f"{file.path}: {cube.variable}, {cube.bands} solutions, {cube.grid.describe()}.")
    report.say(f"Months {wanted[0]} to {wanted[-1]} assigned {solutions.rule}; grid written: {grid.describe()}.")
    if missing.size:
        report.say(f"{missing.size} months are missing and become NoData: {describe_months(missing, 40)}.")
    if solutions.moved.size:
        names = describe_months(solutions.moved)
        report.say(
            f"Mid-points lie outside the month that the file assigns for {names}; the file's assignment is kept."
        )
    if solutions.doubled.size:
        report.warn(f"several solutions were averaged in {describe_months(solutions.doubled)}.")


def _copy(
    cube: Cube,
    writer: RasterWriter,
    grid: Grid,
    months: np.ndarray,
    solutions: Solutions,
    factor: float,
    memory_mb: float,
    report: Reporter,
) -> np.ndarray:
    """Write all months, and return the cells that have a value in any of them."""
    present = np.zeros(grid.shape, bool)
    row, column = cell_offset(cube.grid, grid)
    # Files that hold each month in one piece are read month by month, chunked ones in windows of all months.
    groups = [[m] for m in range(months.size)] if cube.whole_bands else [list(range(months.size))]
    windows = plan_windows(grid, 16 * len(groups[0]), memory_mb=memory_mb)
    done, total = 0, len(groups) * len(windows)
    for group in groups:
        times = [solutions.of(months[m]) for m in group]
        for window in windows:
            rows = slice(row + window.row, row + window.row + window.rows)
            columns = slice(column + window.column, column + window.column + window.columns)
            values = _mean_of_solutions(cube, times, rows, columns) * np.float32(factor)
            present[window.slices] |= np.isfinite(values).any(axis=0)
            writer.write(values, window.row, window.column, group[0])
            done += 1
            report(done / total)
    return present


def _mean_of_solutions(cube: Cube, times: list[np.ndarray], rows: slice, columns: slice) -> np.ndarray:
    """Values of each month: NaN without a solution, the mean of several."""
    needed = np.unique(np.concatenate(times)) if times else np.array([], int)
    shape = (len(times), rows.stop - rows.start, columns.stop - columns.start)
    out = np.full(shape, np.nan, np.float32)
    if needed.size:
        values = cube.read(rows, columns, needed)
        for layer, chosen in zip(out, times, strict=True):
            if chosen.size:
                parts = values[np.searchsorted(needed, chosen)]
                layer[...] = parts[0] if chosen.size == 1 else parts.mean(axis=0)
    return out


def _read_land(file: NetcdfFile, path: str | Path | None, grid: Grid) -> np.ndarray | None:
    values = _read_companion(file, path, LAND_NAMES, grid)
    return None if values is None else np.isfinite(values) & (values > 0.5)


def _read_map(file: NetcdfFile, path: str | Path | None, grid: Grid) -> np.ndarray | None:
    return _read_companion(file, path, MASCON_NAMES, grid)


def _read_companion(file: NetcdfFile, path: str | Path | None, names: tuple[str, ...], grid: Grid) -> np.ndarray | None:
    """Read a map from its own file, or from the storage file when that has it."""
    if path:
        with open_source(path, names) as source:
            values = read_cut(source, grid, [0])[0]
            if not np.isfinite(values).any():
                raise GridMismatch(f"{path} does not cover {grid.describe()}", "give the map of the same product")
            return values
    name = file.find(*names)
    return read_cut(Cube(file, name), grid, [0])[0] if name in file.variables() else None


def _land_or_data(land: np.ndarray | None, present: np.ndarray, report: Reporter) -> np.ndarray:
    if land is not None:
        return land & present
    report.warn("the file has no land mask and none was given: all cells with data count as land.")
    return present


class _Months:
    """The months of a stack that is being written, one at a time."""

    def __init__(self, writer: RasterWriter, months: int, grid: Grid) -> None:
        self._writer, self.shape = writer, (months, *grid.shape)

    def __iter__(self) -> Iterator[np.ndarray]:
        for number in range(1, self.shape[0] + 1):
            yield self._writer.dataset.GetRasterBand(number).ReadAsArray()


def _find_mascons(writer: RasterWriter, months: int, grid: Grid, report: Reporter) -> np.ndarray:
    labels = identical_series_labels(_Months(writer, months, grid))
    cells, count = int((labels > 0).sum()), int(labels.max())
    report.say(f"Found {count} groups of identical series in {cells} cells: taken as the native mascons.")
    if count == cells:
        report.warn("no two neighbouring cells share a series: the file has no mascons, each cell stands for itself.")
    return labels

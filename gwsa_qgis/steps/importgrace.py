"""Import GRACE and GRACE-FO water storage (step ``importgrace``)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidMonths, InvalidParameter, NoUsableData, UnreadableInput
from gwsa_qgis.months import month_range
from gwsa_qgis.products.cf_time import describe_months
from gwsa_qgis.products.grace import baseline_of, open_grace
from gwsa_qgis.products.grace_companions import read_gain, read_land, read_mascons
from gwsa_qgis.products.grace_copying import Cut, StorageFigures, copy_months, find_mascons
from gwsa_qgis.products.grace_months import DUPLICATE_RULES, MONTH_RULES, assign_months
from gwsa_qgis.products.grace_product import GraceFile, MonthlySource
from gwsa_qgis.products.units import centimetres_per
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.heap import give_back
from gwsa_qgis.rasters.masks import MASK_OPTIONS
from gwsa_qgis.rasters.raster import RasterWriter, create_raster
from gwsa_qgis.rasters.stack import create_stack, require_values
from gwsa_qgis.rasters.warping import cell_offset, crop_to_extent
from gwsa_qgis.rasters.windows import DEFAULT_MEMORY_MB
from gwsa_qgis.rasters.writing import together

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
    uncertainty : Path or None
    product : str
        What the file was taken for.
    warnings : tuple of str
        What was repaired or looks odd.
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
    uncertainty: Path | None = None
    product: str = ""
    warnings: tuple[str, ...] = ()


class _Remembering(Reporter):
    """A reporter that keeps the warnings."""

    def __init__(self, progress: ProgressFunction | None) -> None:
        super().__init__(progress)
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)
        super().warn(message)


def importgrace(
    input: str | Path,
    output: str | Path,
    *,
    land_mask: str | Path | None = None,
    mascons: str | Path | None = None,
    uncertainty: str | Path | None = None,
    months: str = "metadata",
    duplicates: str = "refuse",
    mascon_map: str | Path | None = None,
    land_mask_file: str | Path | None = None,
    gain_factors: bool = False,
    gain_file: str | Path | None = None,
    cell_size: float = 0.5,
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
        NetCDF of CSR, JPL or GSFC, GSFC's native mascons (.h5), or any CF file of TWSA.
    output : path
        Stack to write.
    land_mask, mascons : path, optional
        Rasters to write: cells on land (1 = use), and the native mascon of each cell (0 = none).
    uncertainty : path, optional
        Stack to write of the product's own uncertainty, cm.
    months : {"metadata", "midpoint"}
        How solutions get their month, see `products.grace_months.assign_months`.
    duplicates : {"refuse", "average"}
        What to do with two solutions in a month, for files that list no missing months.
    mascon_map, land_mask_file : path, optional
        The agency's mapping file and land mask; without a map, mascons are cells whose whole series are identical.
    gain_factors : bool
        Multiply by the product's gain factors (JPL's ``scale_factor``). They restore the amplitude that a land surface
        model has within a mascon and know nothing of pumping: not for trends, not part of the recommended chain.
    gain_file : path, optional
        File of gain factors, for products whose factors are apart; used with `gain_factors`.
    cell_size : float
        Degrees of the cells that native mascons (.h5) are painted on.
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
        For unreadable files, unknown units, months that contradict the metadata, grids that do not agree, values that
        cannot be in their unit.
    """
    report = _Remembering(progress)
    _check_choices(months, duplicates, gain_factors, gain_file, report)
    with open_grace(input, variable, cell_size) as file:
        factor = _factor(file.storage, unit, file.path, report)
        solutions = assign_months(file.storage, file.attributes, months, duplicates)
        wanted = _months_wanted(solutions.months, start, end, file.path)
        grid = _crop(file.storage.grid, extent, file.path)
        cut = Cut(grid, wanted, solutions, memory_mb)
        _tell(report, file, cut)
        if uncertainty:
            _uncertainty(file, grid)
        land = read_land(file, land_mask_file, grid) if land_mask else None
        labels = read_mascons(file, mascon_map, grid, solutions, wanted, report) if mascons else None
        gain = read_gain(file, gain_file, grid, report) if gain_factors else None
        if mascons and labels is None and gain is not None:
            raise InvalidParameter(
                f"{file.path} has no mascon map, and gain factors hide the native mascons",
                "give MASCON_MAP, or leave GAIN_FACTORS off",
            )
    count = 0 if labels is None else int(labels.max())
    # Opened again: of each map that was read HDF5 keeps the whole until its file is closed.
    with open_grace(input, variable, cell_size) as file, together() as outputs:
        masked = outputs.enter_context(create_raster(land_mask, grid, **MASK_OPTIONS)) if land_mask else None
        labelled = outputs.enter_context(create_raster(mascons, grid, dtype="int32", nodata=0)) if mascons else None
        if labels is not None:
            labelled.write(labels)
            labels = None
        give_back()
        writer = _create(outputs, output, file, cut, "TWSA", {"GWSA_GAIN_FACTORS": "yes" if gain_factors else ""})
        present, figures = copy_months(file.storage, writer, cut, factor, report.part(0.0, 0.6), gain)
        _check_values(file, figures, bool(unit), report)
        if uncertainty:
            tags = {"GWSA_UNCERTAINTY": file.uncertainty_level}
            second = _create(outputs, uncertainty, file, cut, "TWSA uncertainty", tags)
            _copy_uncertainty(file, _uncertainty(file, grid), second, cut, unit, report, gain)
        if masked is not None:
            masked.write(_land_or_data(land, present, report).astype(np.uint8))
        if labelled is not None and not count:
            found = find_mascons(writer, wanted.size, grid, report)
            labelled.write(found)
            count = int(found.max())
    report(1.0, f"Written {wanted.size} months to {output}.")
    missing, averaged = (
        tuple(map(str, wanted[at])) for at in (~np.isin(wanted, solutions.months), np.isin(wanted, solutions.doubled))
    )
    return ImportGraceResult(
        output=Path(output),
        land_mask=Path(land_mask) if land_mask else None,
        mascons=Path(mascons) if mascons else None,
        first=str(wanted[0]),
        last=str(wanted[-1]),
        solutions=solutions.months.size,
        missing=missing,
        averaged=averaged,
        mascon_count=count,
        uncertainty=Path(uncertainty) if uncertainty else None,
        product=file.product,
        warnings=tuple(report.warnings),
    )


def _factor(source: MonthlySource, unit: str, path: str, report: Reporter) -> float:
    """Factor to cm; a unit that the user gave takes the place of the file's, and is told."""
    factor = centimetres_per(source.unit, unit, f"{source.variable} in {path}")
    if unit and source.unit and unit.lower() != source.unit.lower():
        report.warn(f"{source.variable} in {path} says its unit is {source.unit}; UNIT {unit} takes its place.")
    return factor


def _check_choices(
    months: str, duplicates: str, gain_factors: bool, gain_file: str | Path | None, report: Reporter
) -> None:
    if months not in MONTH_RULES:
        raise InvalidParameter(f"MONTHS is {months!r}", f"give one of {', '.join(MONTH_RULES)}")
    if duplicates not in DUPLICATE_RULES:
        raise InvalidParameter(f"DUPLICATES is {duplicates!r}", f"give one of {', '.join(DUPLICATE_RULES)}")
    if gain_file and not gain_factors:
        report.warn(f"GAIN_FILE {gain_file} is not used, for GAIN_FACTORS is off.")


def _crop(grid: Grid, extent: Sequence[float] | None, path: str) -> Grid:
    """Part of a grid within an extent, which may count longitudes in another turn than a file across 180 degrees."""
    if extent is None:
        return grid
    west, south, east, north = (float(value) for value in extent)
    for turn in (0, 360, -360):
        try:
            return crop_to_extent(grid, (west + turn, south, east + turn, north), path)
        except NoUsableData:
            continue
    return crop_to_extent(grid, extent, path)


def _create(outputs: ExitStack, path: str | Path, file: GraceFile, cut: Cut, quantity: str, tags: dict[str, str]):
    baseline = baseline_of(file.attributes)
    tags = {"GWSA_PRODUCT": file.product} | tags
    stack = create_stack(path, cut.grid, cut.months, quantity=quantity, baseline=baseline, step=STEP, metadata=tags)
    return outputs.enter_context(stack)


def _uncertainty(file: GraceFile, grid: Grid) -> MonthlySource:
    found = file.uncertainty()
    if found is None:
        raise UnreadableInput(
            f"{file.path} ({file.product}) has no uncertainty", "leave UNCERTAINTY empty; CSR publishes none"
        )
    if cell_offset(found.grid, grid) is None or (found.times() is not None and found.bands != file.storage.bands):
        raise UnreadableInput(
            f"{found.variable} of {file.path} has other cells or times than {file.storage.variable}",
            "fetch the file again, or leave UNCERTAINTY empty",
        )
    return found


def _copy_uncertainty(
    file: GraceFile,
    source: MonthlySource,
    writer: RasterWriter,
    cut: Cut,
    unit: str,
    report: Reporter,
    gain: np.ndarray | None,
) -> None:
    factor = centimetres_per(source.unit, "" if source.unit else unit, f"{source.variable} in {file.path}")
    level = file.uncertainty_level or "its level is not said"
    report.say(f"Uncertainty: {source.variable} ({level}); of several solutions in a month, their mean.")
    _, figures = copy_months(source, writer, cut, factor, report.part(0.6, 0.9), None if gain is None else np.abs(gain))
    require_values(file.path, figures.values.count, "valid value of uncertainty")
    if figures.values.low < 0:
        report.warn(
            f"{source.variable} has negative values (to {figures.values.low:g} cm), which an uncertainty cannot."
        )


def _check_values(file: GraceFile, figures: StorageFigures, told: bool, report: Reporter) -> None:
    """Refuse values that cannot be in the file's unit, and warn of odd ones; a unit that the user gave is taken."""
    require_values(file.path, figures.values.count)
    name, impossible = f"the values of {file.storage.variable} in {file.path}", figures.impossible()
    if impossible and not told:
        raise InvalidParameter(f"{name} {impossible}", "give the true unit as UNIT")
    if impossible or figures.odd():
        report.warn(f"{name} {impossible or figures.odd()}.")


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


def _tell(report: Reporter, file: GraceFile, cut: Cut) -> None:
    cube, solutions, wanted = file.storage, cut.solutions, cut.months
    report.say(f"{file.path}: {file.product}, {cube.variable}, {cube.bands} solutions, {cube.grid.describe()}.")
    for repair in getattr(cube, "repairs", []):
        report.say(f"{file.path}: {repair}.")
    for remark in file.remarks():
        (report.warn if remark.odd else report.say)(remark.text)
    report.say(f"Months {wanted[0]} to {wanted[-1]} assigned {solutions.rule}; grid written: {cut.grid.describe()}.")
    missing = wanted[~np.isin(wanted, solutions.months)]
    if missing.size:
        report.say(f"{missing.size} months are missing and become NoData: {describe_months(missing, 40)}.")
    if solutions.moved.size:
        names = describe_months(solutions.moved)
        report.say(
            f"Mid-points lie outside the month that the file assigns for {names}; the file's assignment is kept."
        )
    if solutions.parted.size:
        names = describe_months(solutions.parted)
        report.warn(
            f"two solutions have their mid-points in one month; by most days of its data, one of them stands for {names}."
        )
    if solutions.doubled.size:
        report.warn(f"several solutions were averaged in {describe_months(solutions.doubled)}.")


def _land_or_data(land: np.ndarray | None, present: np.ndarray, report: Reporter) -> np.ndarray:
    if land is not None:
        return land & present
    report.warn("the file has no land mask and none was given: all cells with data count as land.")
    return present

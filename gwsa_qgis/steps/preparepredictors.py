"""Bring predictors onto the fine and the coarse grid (step ``preparepredictors``)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidMonths, InvalidParameter
from gwsa_qgis.products.predictor_input import PredictorInput, name_inputs, open_input, shared_months
from gwsa_qgis.products.sanity import Figures, odd_figures
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.masks import read_mask
from gwsa_qgis.rasters.predictor_set import SUFFIXES
from gwsa_qgis.rasters.raster import RasterWriter, create_raster
from gwsa_qgis.rasters.stack import create_stack, require_values
from gwsa_qgis.rasters.warping import read_aligned, read_template
from gwsa_qgis.rasters.windows import DEFAULT_MEMORY_MB, Window, plan_windows
from gwsa_qgis.rasters.writing import replacing_folder, together, write_text
from gwsa_qgis.science.aggregation import block_means
from gwsa_qgis.science.idw import fill_holes

STEP = "preparepredictors"
# Months that are held at once: few, so that windows are large and their margins a small part.
MONTHS_AT_ONCE = 12
BYTES_PER_VALUE = 44


@dataclass(frozen=True)
class PredictorRow:
    """One predictor in the table of what came in and what went out.

    Attributes
    ----------
    name, unit : str
    months : int
        0 for a static one.
    alignment : str
        How it was brought to the template.
    filled_share, left_share : float
        Shares of the used cells (over all months) that were holes and got filled, and that stay holes.
    low, mean, high : float
        Figures on the fine grid.
    odd : str
        What looks physically odd; empty when nothing does.
    """

    name: str
    unit: str
    months: int
    alignment: str
    filled_share: float
    left_share: float
    low: float
    mean: float
    high: float
    odd: str


@dataclass(frozen=True)
class PreparePredictorsResult:
    """What was written.

    Attributes
    ----------
    fine, coarse : Path
    first, last : str
        First and last month; empty when all predictors are static.
    rows : tuple of PredictorRow
    """

    fine: Path
    coarse: Path
    first: str
    last: str
    rows: tuple[PredictorRow, ...]


@dataclass(frozen=True)
class _Target:
    grid: Grid
    coarse: Grid
    factor: int
    mask: str | None
    reach: int
    windows: list[Window]


def preparepredictors(
    inputs: Mapping[str, str | Path] | Iterable[str | Path],
    template: str | Path,
    factor: int,
    fine: str | Path,
    coarse: str | Path,
    *,
    mask: str | Path | None = None,
    names: Sequence[str] | None = None,
    max_hole_distance: int = 10,
    start: str | None = None,
    end: str | None = None,
    table: str | Path | None = None,
    memory_mb: float = DEFAULT_MEMORY_MB,
    workers: int = 1,
    progress: ProgressFunction | None = None,
) -> PreparePredictorsResult:
    """Align rasters to the template, mask them, fill scattered holes, and average them to the coarse grid.

    Parameters
    ----------
    inputs : list of paths, or dict of name to path
        Monthly stacks (dynamic) and single-band rasters (static); variables of NetCDF files as
        ``NETCDF:"file":variable``.
    template : path
        Raster on the fine grid.
    factor : int
        Fine cells along a coarse cell's side.
    fine, coarse : path
        Folders to write, one GeoTIFF a predictor.
    mask : path, optional
        Cells to use, on the fine grid.
    names : list of str, optional
        Names of the predictors in the order of the inputs; the files' names otherwise.
    max_hole_distance : int
        Holes are filled by inverse distance weighting from used cells that are at most this many fine cells away;
        larger holes keep their inside empty. 0 fills nothing.
    start, end : str, optional
        First and last month; by default all months that all dynamic inputs have.
    table : path, optional
        CSV of `PredictorRow` to write.
    memory_mb, workers, progress
        As in all steps.

    Notes
    -----
    Inputs whose cells are the template's are cut out; coarser ones are interpolated bilinearly, finer ones averaged, by
    GDAL's warper, which also reprojects those of another CRS. Which of these was done is said in the log.

    Raises
    ------
    GwsaError
        For unreadable inputs, names that collide, months that do not overlap, a template that the factor does not
        divide, a mask on another grid.
    """
    report = Reporter(progress)
    if max_hole_distance < 0:
        raise InvalidParameter(f"HOLE_DISTANCE is {max_hole_distance}", "give 0 or more fine cells")
    grid = read_template(template)
    target = _plan(grid, int(factor), mask, int(max_hole_distance), memory_mb)
    with together() as stack:
        opened = [open_input(name, path, grid) for name, path in name_inputs(inputs, names).items()]
        for one in opened:
            stack.callback(one.source.close)
        months = _crop(shared_months(opened), start, end)
        _tell(report, opened, months, target)
        for folder in (fine, coarse):
            _warn_of_others(Path(folder), {one.name for one in opened}, report)
        fine_folder = stack.enter_context(replacing_folder(fine))
        coarse_folder = stack.enter_context(replacing_folder(coarse))
        rows = []
        for number, one in enumerate(opened):
            part = report.part(0.98 * number / len(opened), 0.98 * (number + 1) / len(opened))
            rows.append(_prepare(one, months, target, fine_folder, coarse_folder, part))
        if table:
            write_text(table, _as_csv(rows))
    span = (str(months[0]), str(months[-1])) if months is not None else ("", "")
    report(1.0, f"Written {len(rows)} predictors to {fine} and {coarse}.")
    return PreparePredictorsResult(Path(fine), Path(coarse), *span, tuple(rows))


def _plan(grid: Grid, factor: int, mask: str | Path | None, reach: int, memory_mb: float) -> _Target:
    coarse = grid.coarsen(factor)
    if mask:
        read_mask(mask, grid, slice(0, 1), slice(0, 1))  # a mask on another grid is found before any work
    windows = plan_windows(grid, BYTES_PER_VALUE * MONTHS_AT_ONCE, memory_mb=memory_mb, multiple=factor)
    return _Target(grid, coarse, factor, str(mask) if mask else None, reach, windows)


def _crop(months: np.ndarray | None, start: str | None, end: str | None) -> np.ndarray | None:
    if months is None:
        return None
    try:
        first = np.datetime64(start, "M") if start else months[0]
        last = np.datetime64(end, "M") if end else months[-1]
    except ValueError:
        raise InvalidMonths(f"START {start!r} or END {end!r} is not a month", "give them as YYYY-MM") from None
    chosen = months[(months >= first) & (months <= last)]
    if not chosen.size:
        raise InvalidMonths(
            f"the inputs' common months ({months[0]} to {months[-1]}) have none between {first} and {last}",
            "give other months",
        )
    return chosen


def _tell(report: Reporter, opened: list[PredictorInput], months: np.ndarray | None, target: _Target) -> None:
    report.say(f"Fine grid {target.grid.describe()}; coarse grid {target.coarse.describe()}.")
    for one in opened:
        kind = "static" if one.months is None else f"{one.months[0]} to {one.months[-1]}"
        report.say(f"{one.name} ({kind}, unit {one.unit or 'not named'}): {one.plan.describe()}.")
        if not one.source.grid.crs:
            report.warn(f"{one.source.path} names no coordinate reference system: the template's is taken.")
    if months is not None:
        report.say(f"Months that all dynamic predictors have: {months[0]} to {months[-1]} ({months.size}).")


def _warn_of_others(folder: Path, names: set[str], report: Reporter) -> None:
    if folder.is_dir():
        others = sorted(p.stem for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.stem not in names)
        if others:
            report.warn(
                f"{folder} already holds {', '.join(others)}, which stay in the set: remove what is not wanted."
            )


def _prepare(
    one: PredictorInput,
    months: np.ndarray | None,
    target: _Target,
    fine_folder: Path,
    coarse_folder: Path,
    report: Reporter,
) -> PredictorRow:
    """Write one predictor on both grids."""
    dynamic = one.months is not None
    bands = one.bands(months)
    chunks = [slice(k, min(k + MONTHS_AT_ONCE, bands.size)) for k in range(0, bands.size, MONTHS_AT_ONCE)]
    figures, filled, left, used_cells = Figures(), 0, 0, 0
    file = f"{one.name}.tif"
    written = months if dynamic else None
    with (
        _writer(fine_folder / file, target.grid, written, one) as fine_writer,
        _writer(coarse_folder / file, target.coarse, written, one) as coarse_writer,
    ):
        done = 0
        for chunk in chunks:
            for window in target.windows:
                values, n_filled, n_left, n_used = _window_values(one, bands[chunk], window, target)
                figures.add(values)
                filled, left, used_cells = filled + n_filled, left + n_left, used_cells + n_used
                fine_writer.write(values, window.row, window.column, chunk.start)
                part = target.grid.window(window.row, window.column, window.rows, window.columns)
                means = block_means(values, target.factor, part.row_weights()).astype(np.float32)
                place = window.coarsened(target.factor)
                coarse_writer.write(means, place.row, place.column, chunk.start)
                done += 1
                report(done / (len(chunks) * len(target.windows)))
        require_values(one.source.path, figures.count, "valid value on the used cells of the template")
    odd = odd_figures(one.name, figures)
    if odd:
        report.warn(odd + ".")
    shares = (filled / max(used_cells, 1), left / max(used_cells, 1))
    numbers = (figures.low, figures.mean, figures.high)
    report.say(
        f"{one.name}: {numbers[0]:.4g} to {numbers[2]:.4g}, mean {numbers[1]:.4g} {one.unit}; "
        f"holes filled {shares[0]:.2%}, left {shares[1]:.2%} of the used cells."
    )
    return PredictorRow(one.name, one.unit, months.size if dynamic else 0, one.plan.describe(), *shares, *numbers, odd)


@contextmanager
def _writer(path: Path, grid: Grid, months: np.ndarray | None, one: PredictorInput) -> Iterable[RasterWriter]:
    quantity = one.quantity or one.name
    if months is None:
        tags = {"GWSA_QUANTITY": quantity, "GWSA_STEP": STEP}
        with create_raster(path, grid, unit=one.unit, descriptions=[quantity], metadata=tags) as writer:
            yield writer
    else:
        with create_stack(path, grid, months, unit=one.unit, quantity=quantity, step=STEP) as writer:
            yield writer


def _window_values(
    one: PredictorInput, bands: np.ndarray, window: Window, target: _Target
) -> tuple[np.ndarray, int, int, int]:
    """Values of a window on the fine grid, masked and filled; holes filled, holes left, used cells x months."""
    reach, grid = target.reach, target.grid
    top, first = max(window.row - reach, 0), max(window.column - reach, 0)
    bottom = min(window.row + window.rows + reach, grid.rows)
    last = min(window.column + window.columns + reach, grid.columns)
    part = grid.window(top, first, bottom - top, last - first)
    values = read_aligned(one.source, part, one.plan, bands)
    inner = (slice(window.row - top, window.row - top + window.rows),)
    inner += (slice(window.column - first, window.column - first + window.columns),)
    used = np.ones(part.shape, bool)
    if target.mask:
        used = read_mask(target.mask, grid, slice(top, bottom), slice(first, last))
        values[:, ~used] = np.nan
    wanted = np.zeros(part.shape, bool)
    wanted[inner] = used[inner]
    scale = part.row_weights() if part.is_geographic else 1.0
    values, filled, left = fill_holes(values, wanted, reach, scale)
    return values[(slice(None), *inner)], filled, left, int(wanted.sum()) * bands.size


def _as_csv(rows: list[PredictorRow]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([field.name for field in fields(PredictorRow)])
    table.writerows(astuple(row) for row in rows)
    return text.getvalue()

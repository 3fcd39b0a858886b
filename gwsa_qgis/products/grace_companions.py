"""Maps that belong to a GRACE file, in it or beside it: land mask, native mascons, gain factors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import GridMismatch, InvalidParameter, UnreadableInput
from gwsa_qgis.products.cf_time import describe_months
from gwsa_qgis.products.cube import NetcdfFile, is_cube, split_source
from gwsa_qgis.products.grace_gsfc_table import MasconTable, is_mascon_table
from gwsa_qgis.products.grace_months import Solutions
from gwsa_qgis.products.grace_product import GAIN_NAMES, LAND_NAMES, MASCON_NAMES, GraceFile
from gwsa_qgis.products.source import open_source
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.warping import Source, cell_offset, read_cut
from gwsa_qgis.science.supports import compact_labels

NAMES = {"land": LAND_NAMES, "mascons": MASCON_NAMES, "gain": GAIN_NAMES}
TITLES = {"land": "the land mask", "mascons": "the mascon map", "gain": "the map of gain factors"}
# Solutions in which cells of one mascon must agree, and the share of mascons that may be cut otherwise at edges.
CHECKED_SOLUTIONS = 3
ODD_MASCONS = 0.02
TURNS = (0.0, -360.0, 360.0)


def read_sheet(file: GraceFile, kind: str, path: str | Path | None, grid: Grid) -> np.ndarray | None:
    """Read a map from its own file, or from the storage file when that has it; longitudes in any turn agree.

    Parameters
    ----------
    kind : {"land", "mascons", "gain"}
    path : path or None
        The map's own file.

    Returns
    -------
    (rows, columns) float32 or None
        NaN where the map has no value; None when there is no map.

    Raises
    ------
    GridMismatch
        If the map is on another grid or of another region.
    UnreadableInput
        If the file has no such map.
    """
    if not path:
        sheet = file.sheet(kind)
        return None if sheet is None else _on_grid(sheet, grid, kind, file.path)
    _check_names(kind, path)
    if kind == "mascons" and is_mascon_table(path):
        with MasconTable(path, grid.dx) as table:
            return _on_grid(table.sheet(kind), grid, kind, file.path)
    with open_source(path, NAMES[kind]) as source:
        values = _on_grid(source, grid, kind, file.path)
    if not np.isfinite(values).any():
        raise GridMismatch(
            f"{TITLES[kind]} {path} does not cover {grid.describe()}", "give the map of the same product"
        )
    return values


def _check_names(kind: str, path: str | Path) -> None:
    if kind == "land" and "oceanmask" in Path(split_source(path)[0]).name.lower():
        raise UnreadableInput(f"{path} is an ocean mask, in which 1 is sea", "give the land mask of the same product")
    if not is_cube(path) or split_source(path)[1]:
        return
    with NetcdfFile(path) as found:
        names = found.variables()
        if kind != "land" and not found.find(*NAMES[kind]) and len(names) != 1 and not is_mascon_table(path):
            raise UnreadableInput(
                f"{path} has no {NAMES[kind][0]}; it has {', '.join(names) or 'no gridded variable'}",
                f"give {TITLES[kind]} of the product",
            )


def _on_grid(source: Source, grid: Grid, kind: str, data: str) -> np.ndarray:
    """Read the cells of a grid, whether longitudes count from -180 or from 0."""
    turned = [replace(grid, west=grid.west + turn) for turn in TURNS]
    fitting = [place for place in turned if cell_offset(source.grid, place) is not None]
    if not fitting:
        raise GridMismatch(
            f"{TITLES[kind]} {source.path} ({source.grid.describe()}) has other cells than {data} ({grid.describe()})",
            f"give {TITLES[kind]} of the same product, or bring it to that grid with gdal:warpreproject",
        )
    values = np.full(grid.shape, np.nan, np.float32)
    for place in fitting:
        bare = np.isnan(values)
        if bare.any() and place.west < source.grid.east and place.east > source.grid.west:
            values[bare] = read_cut(source, place, [0])[0][bare]
    return values


def read_land(file: GraceFile, path: str | Path | None, grid: Grid) -> np.ndarray | None:
    """Cells on land, (rows, columns) bool; None when there is no mask."""
    values = read_sheet(file, "land", path, grid)
    return None if values is None else np.isfinite(values) & (values > 0.5)


def read_gain(file: GraceFile, path: str | Path | None, grid: Grid, report: Reporter) -> np.ndarray:
    """Gain factors, (rows, columns) float32, 1 where there is none.

    Raises
    ------
    InvalidParameter
        If there are none, or they are no factors.
    """
    values = read_sheet(file, "gain", path, grid)
    if values is None:
        raise InvalidParameter(
            f"{file.path} ({file.product}) has no gain factors (scale_factor)",
            "give GAIN_FILE, or leave GAIN_FACTORS off",
        )
    # JPL writes -99999 where its model has no land, and not always as the fill value.
    values = np.where(values < -9999, np.nan, values)
    known = np.isfinite(values)
    if not known.any() or np.abs(values[known]).max() > 1000:
        raise InvalidParameter(
            f"the gain factors of {path or file.path} are none (up to {np.nanmax(np.abs(values), initial=np.nan):g})",
            "give the file with scale_factor of the same product",
        )
    report.warn(
        f"gain factors from {values[known].min():.3g} to {values[known].max():.3g} are applied to {known.mean():.1%} of "
        "the cells, the others keep their values; such values are not for trends."
    )
    return np.where(known, values, np.float32(1)).astype(np.float32)


def read_mascons(
    file: GraceFile, path: str | Path | None, grid: Grid, solutions: Solutions, wanted: np.ndarray, report: Reporter
) -> np.ndarray | None:
    """Labels of native mascons, (rows, columns) int32 from 1, 0 outside; None when there is no map.

    Raises
    ------
    GridMismatch
        If values differ within the mascons of a map, in a product that repeats one value in each.
    """
    ids = read_sheet(file, "mascons", path, grid)
    if ids is None:
        return None
    labels, names = compact_labels(ids)
    if not names.size:
        raise GridMismatch(
            f"{path or file.path} has no mascon in {grid.describe()}", "give the map of the same product"
        )
    if path:
        _check_map(file, path, labels, grid, solutions, wanted, report)
    return labels


def _check_map(
    file: GraceFile,
    path: str | Path,
    labels: np.ndarray,
    grid: Grid,
    solutions: Solutions,
    wanted: np.ndarray,
    report: Reporter,
) -> None:
    cells = labels
    if file.native_cells == "mascon and coast":
        land = read_land(file, None, grid)
        cells = labels if land is None else np.where(labels > 0, 2 * labels - land, 0)
    times = np.flatnonzero(np.isin(solutions.months, wanted))
    times = np.unique(times[np.linspace(0, times.size - 1, CHECKED_SOLUTIONS).astype(int)])
    varied, count = mascons_that_vary(read_cut(file.storage, grid, times), cells)
    if varied <= ODD_MASCONS * count:
        report.say(f"{path}: {int(labels.max())} mascons, each of one value: the map belongs to the data.")
        return
    months = describe_months(solutions.months[times])
    problem = f"values differ within {varied} of {count} mascons of {path} ({months})"
    if file.native_cells:
        raise GridMismatch(
            f"{problem}, though {file.path} repeats one value in each: the map is of another version",
            "give the mapping file of the same release",
        )
    report.warn(f"{problem}: the data are smoothed, or the map is of another product.")


def mascons_that_vary(values: np.ndarray, labels: np.ndarray) -> tuple[int, int]:
    """Count mascons whose cells differ in any of some months, and mascons of at least two cells with values.

    Parameters
    ----------
    values : (n_months, rows, columns)
    labels : (rows, columns) int
        0 outside.
    """
    inside = np.flatnonzero((labels.ravel() > 0) & np.isfinite(values).all(axis=0).ravel())
    inside = inside[np.argsort(labels.ravel()[inside], kind="stable")]
    if not inside.size:
        return 0, 0
    chosen = labels.ravel()[inside]
    starts = np.flatnonzero(np.r_[True, chosen[1:] != chosen[:-1]])
    several = np.diff(np.r_[starts, chosen.size]) > 1
    varied = np.zeros(starts.size, bool)
    for month in values.reshape(len(values), -1):
        series = month[inside]
        spread = np.maximum.reduceat(series, starts) - np.minimum.reduceat(series, starts)
        varied |= spread > 1e-4 * max(float(series.std()), 1e-6)
    return int((varied & several).sum()), int(several.sum())

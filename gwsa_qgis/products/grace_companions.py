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
from gwsa_qgis.science.supports import CELLS_AT_ONCE, compact_labels

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
        for rows in _strips(grid):
            bare = np.isnan(values[rows])
            if bare.any() and place.west < source.grid.east and place.east > source.grid.west:
                part = place.window(rows.start, 0, rows.stop - rows.start, place.columns)
                values[rows][bare] = read_cut(source, part, [0])[0][bare]
    return values


def _strips(grid: Grid) -> list[slice]:
    """Rows of a grid that are looked at together: what is made of a cell is many times its value."""
    height = max(CELLS_AT_ONCE // grid.columns, 1)
    return [slice(top, min(top + height, grid.rows)) for top in range(0, grid.rows, height)]


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
    values[values < -9999] = np.nan
    known = np.isfinite(values)
    low, high = np.nanmin(values, initial=np.inf), np.nanmax(values, initial=-np.inf)
    if not known.any() or max(-low, high) > 1000:
        raise InvalidParameter(
            f"the gain factors of {path or file.path} are none (up to {max(-low, high) if known.any() else np.nan:g})",
            "give the file with scale_factor of the same product",
        )
    report.warn(
        f"gain factors from {low:.3g} to {high:.3g} are applied to {known.mean():.1%} of "
        "the cells, the others keep their values; such values are not for trends."
    )
    values[~known] = 1
    return values


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
    land = read_land(file, None, grid) if file.native_cells == "mascon and coast" else None
    times = np.flatnonzero(np.isin(solutions.months, wanted))
    times = np.unique(times[np.linspace(0, times.size - 1, CHECKED_SOLUTIONS).astype(int)])
    spread = MasconSpread(2 * int(labels.max()), times.size)
    for rows in _strips(grid):
        cells = labels[rows] if land is None else np.where(labels[rows] > 0, 2 * labels[rows] - land[rows], 0)
        part = grid.window(rows.start, 0, rows.stop - rows.start, grid.columns)
        spread.add(read_cut(file.storage, part, times), cells)
    varied, count = spread.varied()
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


class MasconSpread:
    """How much values differ within mascons, in some months, over parts of a map.

    Parameters
    ----------
    n_mascons, n_months : int
    """

    def __init__(self, n_mascons: int, n_months: int) -> None:
        self._low = np.full((n_months, n_mascons + 1), np.inf, np.float32)
        self._high = np.full((n_months, n_mascons + 1), -np.inf, np.float32)
        self._cells = np.zeros(n_mascons + 1, np.int32)
        self._sums, self._squares = np.zeros(n_months), np.zeros(n_months)

    def add(self, values: np.ndarray, labels: np.ndarray) -> None:
        """Take in a part's values, (n_months, rows, columns), and the numbers of its mascons, 0 outside."""
        inside = np.flatnonzero((labels.ravel() > 0) & np.isfinite(values).all(axis=0).ravel())
        if not inside.size:
            return
        inside = inside[np.argsort(labels.ravel()[inside], kind="stable")]
        chosen = labels.ravel()[inside]
        starts = np.flatnonzero(np.r_[True, chosen[1:] != chosen[:-1]])
        mascons = chosen[starts]
        self._cells[mascons] += np.diff(np.r_[starts, chosen.size]).astype(np.int32)
        for number, month in enumerate(values.reshape(len(values), -1)):
            series = month[inside]
            for found, extreme in ((self._low, np.minimum), (self._high, np.maximum)):
                found[number, mascons] = extreme(found[number, mascons], extreme.reduceat(series, starts))
            self._sums[number] += series.sum(dtype=np.float64)
            self._squares[number] += np.square(series, dtype=np.float64).sum()

    def varied(self) -> tuple[int, int]:
        """Count mascons whose cells differ in any of the months, and mascons of at least two cells with values."""
        seen, total = self._cells > 0, max(int(self._cells.sum()), 1)
        varied = np.zeros(int(seen.sum()), bool)
        for low, high, first, second in zip(self._low, self._high, self._sums, self._squares, strict=True):
            deviation = np.sqrt(max(second / total - (first / total) ** 2, 0.0))
            varied |= high[seen] - low[seen] > 1e-4 * max(deviation, 1e-6)
        several = self._cells[seen] > 1
        return int((varied & several).sum()), int(several.sum())

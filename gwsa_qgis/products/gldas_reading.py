"""Storages of GLDAS files, read in cm on the cells of a grid."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidMonths, InvalidParameter, UnreadableInput
from gwsa_qgis.products.cube import Cube, NetcdfFile
from gwsa_qgis.products.gldas import STORAGES, GldasFile, GldasModel
from gwsa_qgis.products.units import centimetres_per
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.raster import EVERYTHING, span
from gwsa_qgis.rasters.warping import Alignment, plan_alignment, read_cut, read_window_aligned
from gwsa_qgis.rasters.windows import Window

TIME_RULES = ("_inst", "_tavg")
# cm; a storage below it is a fill value that the file does not declare, and no rounding of zero.
LOWEST_STORAGE_CM = -0.1
# HDF5 keeps a block of each variable that was read until the file is closed; where a block is the whole map, files are
# opened again for the next layers.
HELD_BYTES = 2_000_000
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
# Where each version of the superblock keeps the length of the file (HDF5 file format specification, II.A).
SUPERBLOCK_LENGTH_AT = {0: 40, 1: 44, 2: 28, 3: 28}


def check_model(model: GldasModel) -> Grid:
    """Find files that are no NetCDF or cut off, by their first bytes, and the grid by the header of the first one.

    The other headers are looked at as files are read: opening all of them first would double the time to open.

    Raises
    ------
    UnreadableInput
        If a file is absent, damaged or no NetCDF, or the first one lacks a layer.
    InvalidMonths
        If the first one's time is not the month of its name.
    """
    for file in model.files:
        _check_whole(file.path)
    first = model.files[0]
    with NetcdfFile(first.path) as opened:
        names = [_variable(opened, layer) for layers in first.layers.values() for layer in layers]
        cube = opened.cube(names[0])
        _check_month(first, cube)
        return cube.grid


def _check_whole(path: Path) -> None:
    """Raise unless a file is as long as its own HDF5 superblock says; only its first bytes are read."""
    if not path.exists():
        raise UnreadableInput(f"{path} is not there", "give existing files")
    with path.open("rb") as file:
        head = file.read(64)
    if head[:3] == b"CDF":  # NetCDF-3 names no length
        return
    if head[:8] != HDF5_SIGNATURE or len(head) < 64:
        raise UnreadableInput(
            f"{path} is no NetCDF file (it begins with {head[:12]!r})",
            "fetch the file again; without a login the archive gives a page in its place",
        )
    if head[13 if head[8] < 2 else 9] != 8:  # addresses of other lengths: none of these files has them
        return
    place = SUPERBLOCK_LENGTH_AT.get(head[8], SUPERBLOCK_LENGTH_AT[2])
    length, size = int.from_bytes(head[place : place + 8], "little"), path.stat().st_size
    if size < length:
        raise UnreadableInput(f"{path} is cut off ({size} of {length} bytes)", "fetch the file again")


def read_storages(
    file: GldasFile, grid: Grid, wanted: Iterable[str] = STORAGES, own: Grid | None = None
) -> dict[str, np.ndarray]:
    """Read storages in cm on `grid`, whose cells must be the file's; NaN outside and where the model has no land.

    Parameters
    ----------
    wanted : iterable of {"SMS", "SWE", "CWS"}
    own : Grid, optional
        The grid that the file must be on, as the model's other files are.

    Returns
    -------
    dict of str to (rows, columns) float32

    Raises
    ------
    UnreadableInput
        If a layer is absent, has no unit of water, or holds a fill value that is not declared.
    InvalidMonths
        If the file's time is not the month of its name.
    GridMismatch
        If cells differ, or the file is on another grid than `own`.
    """
    result: dict[str, np.ndarray] = {}
    layers = [(storage, layer) for storage in wanted for layer in file.layers[storage]]
    while layers:
        held = 0
        with NetcdfFile(file.path) as opened:
            while layers and held <= HELD_BYTES:
                storage, layer = layers.pop(0)
                cube = opened.cube(_variable(opened, layer))
                if not result:
                    _check_month(file, cube)
                    if own is not None:
                        own.require_match(cube.grid, f"the other files of {file.model}", str(file.path))
                total = result.setdefault(storage, np.zeros(grid.shape, np.float64))
                total += _read_layer(cube, grid)
                held += cube.block_bytes
                del cube  # which would hold the file
    return {storage: total.astype(np.float32) for storage, total in result.items()}


def _read_layer(cube: Cube, grid: Grid) -> np.ndarray:
    try:
        factor = centimetres_per(cube.unit, "", f"{cube.variable} in {cube.path}")
    except InvalidParameter as error:
        raise UnreadableInput(error.problem, "give the files as published, whose storages are in kg m-2") from error
    values = read_cut(cube, grid, [0])[0].astype(float) * factor
    lowest = np.nanmin(values, initial=np.inf)
    if lowest < LOWEST_STORAGE_CM:
        raise UnreadableInput(
            f"{cube.variable} in {cube.path} holds {lowest / factor:g} {cube.unit}, which no storage can be: "
            "a fill value that the file does not declare",
            "give the files as published",
        )
    return values


def _variable(opened: NetcdfFile, layer: str) -> str:
    found = opened.find(*(layer + rule for rule in TIME_RULES))
    if not found:
        raise UnreadableInput(
            f"{opened.path} lacks {layer}{TIME_RULES[0]}; it has {', '.join(opened.variables()) or 'no gridded variable'}",
            "download the file with all its soil layers, snow and canopy water",
        )
    return found


def _check_month(file: GldasFile, cube: Cube) -> None:
    if cube.bands != 1:
        raise UnreadableInput(f"{file.path} holds {cube.bands} times", "give the monthly files as downloaded")
    times = cube.times()
    if times is not None and times[0].astype("datetime64[M]") != file.month:
        raise InvalidMonths(
            f"{file.path} holds {times[0].astype('datetime64[M]')} although its name says {file.month}",
            "fetch the file again, or give it its own name back",
        )


class ModelReader:
    """A model's storages by month on the cells of a grid that may be another's, window by window.

    Attributes
    ----------
    model : GldasModel
    alignment : Alignment
        ``cut`` where the cells are the model's own. Coarser models are interpolated bilinearly between the cells
        that have land, which also fills up to half a model cell beyond its coast; finer ones are averaged.
    """

    def __init__(self, model: GldasModel, own: Grid, grid: Grid) -> None:
        self.model, self._own, self._grid = model, own, grid
        self._by_month = {file.month: file for file in model.files}
        self.alignment: Alignment = plan_alignment(own, grid)

    def has(self, month: np.datetime64) -> bool:
        """Whether there is a file of a month."""
        return month in self._by_month

    def read(self, month: np.datetime64, window: Window, wanted: Iterable[str] = STORAGES) -> dict[str, np.ndarray]:
        """Storages of a month in a window of the grid, cm; NaN everywhere when it has no file."""
        wanted = tuple(wanted)
        if not self.has(month):
            return dict.fromkeys(wanted, np.full((window.rows, window.columns), np.nan, np.float32))
        source = _Storages(self._by_month[month], self._own, wanted)
        return dict(zip(wanted, read_window_aligned(source, self._grid, window, self.alignment), strict=True))

    def total(self, month: np.datetime64, window: Window) -> np.ndarray:
        """Sum of soil moisture, snow and canopy water of a month in a window, cm."""
        return sum_of(self.read(month, window))


class _Storages:
    """Storages of a file as bands on the model's own cells; see `rasters.warping.Source`."""

    def __init__(self, file: GldasFile, grid: Grid, wanted: tuple[str, ...]) -> None:
        self.path, self.grid, self.bands = str(file.path), grid, len(wanted)
        self._file, self._wanted = file, wanted

    def read(
        self, rows: slice = EVERYTHING, columns: slice = EVERYTHING, bands: Sequence[int] | None = None
    ) -> np.ndarray:
        """Read a window of bands (counted from 0), (bands, rows, columns) float32, cm."""
        (row, row_count), (column, column_count) = span(rows, self.grid.rows), span(columns, self.grid.columns)
        wanted = self._wanted if bands is None else [self._wanted[band] for band in bands]
        read = read_storages(self._file, self.grid.window(row, column, row_count, column_count), wanted, self.grid)
        return np.stack(list(read.values()))


def sum_of(storages: dict[str, np.ndarray]) -> np.ndarray:
    """Sum of all storages, float64; NaN where one of them is."""
    return np.sum([storages[name] for name in STORAGES], axis=0, dtype=np.float64)

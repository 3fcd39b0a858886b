"""GSFC's native mascons (.h5): a table of mascons and times, painted on a longitude-latitude grid by their spans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidParameter, UnreadableInput, reason_of
from gwsa_qgis.products.cube import attributes_of, split_source
from gwsa_qgis.products.grace_product import Remark, version_remarks
from gwsa_qgis.rasters.gdal_setup import gdal
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.raster import EVERYTHING

SUFFIXES = (".h5", ".hdf5", ".he5")
# ref_days count from "Jan 0, 2002": day 1 is 1 January.
EPOCH = np.datetime64("2001-12-31", "D")
# Codes of mascon/location. Ice shelves float: they are sea, as far as stored water goes.
LAND_CODES, SEA_CODES = {1: "Greenland", 3: "Antarctica", 5: "Gulf of Alaska", 80: "land"}, {4: "ice shelf", 90: "sea"}
EDGE = 1e-6
ROWS_AT_ONCE = 4096


def is_mascon_table(path: str | Path) -> bool:
    """Whether a file is a table of native mascons: HDF5 with the groups ``mascon`` and ``solution``.

    Raises
    ------
    UnreadableInput
        If a file named as HDF5 is absent or damaged.
    """
    if not split_source(path)[0].lower().endswith(SUFFIXES):
        return False
    return {"mascon", "solution"} <= set(_open(path).GetRootGroup().GetGroupNames() or [])


def _open(path: str | Path) -> gdal.Dataset:
    name = split_source(path)[0]
    if not Path(name).exists():
        raise UnreadableInput(f"{name} is not there", "give an existing HDF5 file")
    try:
        return gdal.OpenEx(name, gdal.OF_MULTIDIM_RASTER, allowed_drivers=["HDF5", "netCDF"])
    except RuntimeError as error:
        raise UnreadableInput(
            f"{name} is not an HDF5 file that can be read ({reason_of(error)})",
            "fetch the file again; a broken download is shorter than the original",
        ) from error


class Painted:
    """Values of mascons seen as a raster; reads like `products.cube.Cube`.

    Attributes
    ----------
    path, variable, unit : str
    grid : Grid
    bands : int
    whole_bands : bool
        False: the table is read once, all its times together.
    """

    whole_bands = False

    def __init__(
        self, table: MasconTable, variable: str, unit: str, load: Callable[[], np.ndarray], dated: bool
    ) -> None:
        self.path, self.grid = table.path, table.grid
        self.variable, self.unit = variable, unit
        self.bands = table.middle.size if dated else 1
        self._table, self._load, self._dated = table, load, dated
        self._values: np.ndarray | None = None

    def times(self) -> np.ndarray | None:
        """Mid-epochs, datetime64[s]; None for a map."""
        return self._table.middle if self._dated else None

    def time_bounds(self) -> np.ndarray | None:
        """First and last instant of each solution's data."""
        return self._table.bounds if self._dated else None

    def read(
        self, rows: slice = EVERYTHING, columns: slice = EVERYTHING, bands: Sequence[int] | None = None
    ) -> np.ndarray:
        """Read a window of bands (counted from 0), shape (bands, rows, columns), float32, NaN outside all mascons."""
        if self._values is None:
            self._values = self._load()
        values = self._values if bands is None else self._values[:, np.asarray(bands, int)]
        return np.ascontiguousarray(np.moveaxis(values[self._table.places[rows, columns]], -1, 0))


class MasconTable:
    """GSFC's .h5 file; see `products.grace_product.GraceFile`.

    Attributes
    ----------
    path, product : str
    grid : Grid
        Global, with the cells asked for.
    places : (rows, columns) int32
        Number of the mascon that holds each cell's centre, from 1; 0 where there is none.
    middle : (n_times,) datetime64[s]
    bounds : (n_times, 2) datetime64[s] or None

    Raises
    ------
    UnreadableInput
        If the file is damaged or lacks what the format has.
    InvalidParameter
        If `cell_size` does not divide the globe.
    """

    product, native_cells = "GSFC native mascons", "mascon"
    uncertainty_level = "1 sigma: half of noise_2sigma + leakage_2sigma"

    def __init__(self, path: str | Path, cell_size: float = 0.5) -> None:
        self._dataset = _open(path)
        self.path = split_source(path)[0]
        self._root = self._dataset.GetRootGroup()
        self.grid = global_grid(cell_size)
        self._spans = [self._row(f"mascon/{name}") for name in ("lat_center", "lat_span", "lon_center", "lon_span")]
        self.places = paint(self.grid, *self._spans)
        self._count = self._spans[0].size
        self._read_times()
        group = attributes_of(self._root.OpenGroup("solution"))
        self._version = str(group.get("version", attributes_of(self._root).get("version", "")))
        removed = "2004.000 to 2009.999" if "rl06" in Path(self.path).name.lower() else ""
        self.attributes: dict[str, object] = {"time_mean_removed": removed, "product_version": self._version}
        shape = tuple(int(d.GetSize()) for d in self._array("solution/cmwe").GetDimensions())
        if shape != (self._count, self.middle.size):
            raise UnreadableInput(
                f"solution/cmwe of {self.path} has the shape {shape}, not {self._count} mascons x "
                f"{self.middle.size} times",
                "fetch the file again",
            )
        unit = self._array("solution/cmwe").GetUnit() or "cm"
        self.storage = Painted(self, "solution/cmwe", unit, lambda: self._matrix("solution/cmwe"), True)

    def __enter__(self) -> MasconTable:
        return self

    def __exit__(self, *_: object) -> None:
        self._dataset = self._root = None

    def _array(self, name: str) -> gdal.MDArray:
        try:
            return self._root.OpenMDArrayFromFullname(f"/{name}")
        except RuntimeError as error:
            raise UnreadableInput(
                f"{self.path} has no {name}, which GSFC's mascon files have", "give GSFC's .h5 file, whole"
            ) from error

    def _has(self, name: str) -> bool:
        group, _, variable = name.rpartition("/")
        return group in (self._root.GetGroupNames() or []) and variable in (
            self._root.OpenGroup(group).GetMDArrayNames() or []
        )

    def _row(self, name: str) -> np.ndarray:
        return np.asarray(self._guard(lambda: self._array(name).ReadAsArray()), float).ravel()

    def _guard(self, read: Callable[[], np.ndarray]) -> np.ndarray:
        try:
            return read()
        except RuntimeError as error:
            raise UnreadableInput(f"{self.path} is damaged ({reason_of(error)})", "fetch the file again") from error

    def _matrix(self, *names: str, share: float = 1.0) -> np.ndarray:
        """Share of the sum of some tables, (n_mascons + 1, n_times) float32; row 0, of no mascon, is NaN."""
        out = np.zeros((self._count + 1, self.middle.size), np.float32)
        out[0] = np.nan
        for name in names:
            array = self._array(name)
            columns = int(array.GetDimensions()[-1].GetSize())
            if columns not in (1, self.middle.size):  # one row for all mascons and times
                out[1:] += self._row(name)[:, None].astype(np.float32)
                continue
            for first in range(0, self._count, ROWS_AT_ONCE):
                rows = min(ROWS_AT_ONCE, self._count - first)
                block = self._guard(lambda a=array, f=first, r=rows, c=columns: a.ReadAsArray([f, 0], [r, c]))
                out[first + 1 : first + 1 + rows] += block.reshape(rows, columns)
        out *= np.float32(share)
        return out

    def _column(self, values: np.ndarray) -> np.ndarray:
        """One value a mascon as a table, (n_mascons + 1, 1) float32."""
        return np.r_[np.nan, values].astype(np.float32)[:, None]

    def _read_times(self) -> None:
        self.bounds = None
        if all(self._has(f"time/ref_days_{name}") for name in ("first", "middle", "last")):
            first, middle, last = (self._row(f"time/ref_days_{name}") for name in ("first", "middle", "last"))
            self.middle = _instants(middle)
            # the last day is used whole
            self.bounds = np.stack([_instants(first), _instants(last + 1)], axis=1)
            return
        year, day = self._guard(lambda: self._array("time/yyyy_doy_yrplot_middle").ReadAsArray())[:2]
        starts = (np.asarray(year).astype(int) - 1970).astype("datetime64[Y]").astype("datetime64[s]")
        self.middle = starts + np.round((np.asarray(day, float) - 1) * 86400).astype("timedelta64[s]")

    def uncertainty(self) -> Painted | None:
        """Noise and leakage, 1 sigma, cm; None when the file has none."""
        names = [name for name in ("uncertainty/noise_2sigma", "uncertainty/leakage_2sigma") if self._has(name)]
        if not names:
            return None
        # Added, not in quadrature, as GSFC's format document has it (Loomis et al. 2019, 10.1007/s00190-019-01252-y).
        return Painted(self, " + ".join(names), "cm", lambda: self._matrix(*names, share=0.5), True)

    def sheet(self, kind: str) -> Painted | None:
        """Map of a kind: ``land`` or ``mascons``; there are no gain factors."""
        if kind == "gain":
            return None
        if kind == "land":
            return Painted(self, "mascon/location", "", lambda: self._column(self._is_land()), False)
        return Painted(self, "mascon/labels", "", lambda: self._column(self._labels()), False)

    def _is_land(self) -> np.ndarray:
        return np.isin(self._row("mascon/location"), list(LAND_CODES))

    def _labels(self) -> np.ndarray:
        return self._row("mascon/labels") if self._has("mascon/labels") else np.arange(1, self._count + 1)

    def remarks(self) -> list[Remark]:
        """What the user should know."""
        found = [
            Remark(
                f"{self._count} native mascons painted by their spans; uncertainty is half of noise_2sigma + "
                "leakage_2sigma, without leakage_trend (cm a year)."
            )
        ]
        lost = self._count - np.unique(self.places[self.places > 0]).size
        if lost:
            text = (
                f"{lost} mascons hold the centre of no cell of {self.grid.dx:g} degrees and are lost; give a smaller "
            )
            found.append(Remark(f"{text}CELL_SIZE", odd=True))
        bare = float((self.places == 0).mean())
        if bare:
            found.append(Remark(f"{bare:.2%} of the cells lie in no mascon and become NoData", odd=True))
        codes = self._row("mascon/location").astype(int)
        unknown = np.setdiff1d(codes, [*LAND_CODES, *SEA_CODES])
        if unknown.size:
            names = ", ".join(map(str, unknown))
            found.append(Remark(f"mascons of the unknown location {names} are taken as sea", odd=True))
        return found + version_remarks(self.path, self._version)


def _instants(days: np.ndarray) -> np.ndarray:
    return EPOCH.astype("datetime64[s]") + np.round(days * 86400).astype("timedelta64[s]")


def global_grid(cell_size: float) -> Grid:
    """Grid of the whole Earth; raises `InvalidParameter` unless cells divide 180 degrees."""
    rows = round(180 / cell_size) if 0.01 <= cell_size <= 90 else 0
    if not rows or abs(rows * cell_size - 180) > 1e-6:
        raise InvalidParameter(f"CELL_SIZE is {cell_size:g}", "give degrees that divide 180, such as 0.5 or 0.25")
    return Grid(-180.0, 90.0, 180 / rows, 180 / rows, 2 * rows, rows, geographic_crs())


def paint(grid: Grid, latitude: np.ndarray, height: np.ndarray, longitude: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Find the mascon that holds the centre of each cell.

    Parameters
    ----------
    latitude, longitude : (n,) array
        Centres of the mascons, degrees; longitudes in any turn.
    height, width : (n,) array
        Their spans, degrees.

    Returns
    -------
    (rows, columns) int32
        Numbers from 1; 0 where no mascon is.
    """
    places = np.zeros(grid.shape, np.int32)
    # A centre on an edge belongs to the mascon in the north and east.
    cells_y, cells_x = grid.latitudes() + EDGE, grid.longitudes() + EDGE
    belts, member = np.unique(np.round(np.stack([latitude, height], axis=1), 6), axis=0, return_inverse=True)
    order = np.argsort(member.ravel(), kind="stable")
    starts = np.searchsorted(member.ravel()[order], np.arange(len(belts) + 1))
    for belt, (centre, span) in enumerate(belts):
        rows = np.flatnonzero((cells_y >= centre - span / 2) & (cells_y < centre + span / 2))
        if not rows.size:
            continue
        inside = order[starts[belt] : starts[belt + 1]]
        west = (longitude[inside] - width[inside] / 2) % 360
        turn = np.argsort(west)
        inside, west = inside[turn], west[turn]
        # a cell west of the first edge may lie in the last mascon, which reaches over the seam
        found = np.searchsorted(west, cells_x % 360, side="right") - 1
        reached = (cells_x - west[found]) % 360 < width[inside][found] + 2 * EDGE
        line = np.where(reached, inside[found] + 1, 0)
        places[rows] = np.where(line > 0, line, places[rows])
    return places

"""NetCDF (and HDF5) variables on a longitude-latitude grid, read in windows, north-up and from -180 to 180."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidMonths, UnreadableInput, reason_of
from gwsa_qgis.products.cf_time import decode_times
from gwsa_qgis.rasters.gdal_setup import gdal
from gwsa_qgis.rasters.grid import Grid, grid_from_centres
from gwsa_qgis.rasters.raster import EVERYTHING, span

SUFFIXES = (".nc", ".nc4", ".cdf", ".h5", ".hdf5", ".netcdf")
# ECMWF's dimension of final and provisional values: where the first has none, the next has.
RELEASES = "expver"
SUBDATASET = re.compile(r'^(?:NETCDF|HDF5):"?(.+?)"?(?:://?|:)([^:"]+)$', re.IGNORECASE)
AXIS_NAMES = {
    "lat": ("lat", "latitude", "lats", "nlat"),
    "lon": ("lon", "longitude", "lons", "long", "nlon"),
    "time": ("time", "t", "month", "date", "valid_time"),
}
AXIS_UNITS = {"lat": "degrees_north", "lon": "degrees_east", "time": " since "}


def is_cube(path: str | Path) -> bool:
    """Whether a path is a NetCDF or HDF5 file, or names one of its variables."""
    return bool(SUBDATASET.match(str(path))) or str(path).lower().endswith(SUFFIXES)


def split_source(path: str | Path) -> tuple[str, str]:
    """File and variable of ``NETCDF:"file":variable``; the variable is empty for a plain path."""
    found = SUBDATASET.match(str(path))
    return (found[1], found[2].strip("/")) if found else (str(path), "")


def attributes_of(item: gdal.MDArray | gdal.Group) -> dict[str, object]:
    """Attributes by lower-case name."""
    found = {}
    for attribute in item.GetAttributes():
        try:
            found[attribute.GetName().lower()] = attribute.Read()
        except RuntimeError:  # a type that GDAL does not read says nothing that is needed here
            continue
    return found


class NetcdfFile:
    """A NetCDF file opened for reading.

    Attributes
    ----------
    path : str
    attributes : dict
        Global attributes by lower-case name.

    Raises
    ------
    UnreadableInput
        If the file is absent, truncated or no NetCDF.
    """

    def __init__(self, path: str | Path) -> None:
        self.path, self.variable = split_source(path)
        self._classic: dict[str, dict[str, str]] = {}
        if not Path(self.path).exists():
            raise UnreadableInput(f"{self.path} is not there", "give an existing NetCDF file")
        try:
            self._dataset = gdal.OpenEx(self.path, gdal.OF_MULTIDIM_RASTER)
            self._root = self._dataset.GetRootGroup()
            self.attributes = attributes_of(self._root)
            self._names = list(self._root.GetMDArrayNames() or [])
        except RuntimeError as error:
            raise UnreadableInput(
                f"{self.path} is not a NetCDF file that can be read ({reason_of(error)})",
                "fetch the file again; a broken download is shorter than the original",
            ) from error

    def __enter__(self) -> NetcdfFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._dataset = self._root = None

    def array(self, name: str) -> gdal.MDArray:
        """Open a variable by its exact name."""
        return self._root.OpenMDArray(name)

    def classic_tags(self, variable: str) -> dict[str, str]:
        """Attributes of a variable and its axes as ``name#attribute``, in lower case, from GDAL's raster interface."""
        if variable not in self._classic:
            gdal.PushErrorHandler("CPLQuietErrorHandler")  # it warns of the units that it does not read
            try:
                dataset = gdal.OpenEx(f'NETCDF:"{self.path}":{variable}', gdal.OF_RASTER)
                tags = dataset.GetMetadata()
            except RuntimeError:  # HDF5, or a variable that is no raster
                tags = {}
            finally:
                gdal.PopErrorHandler()
            self._classic[variable] = {key.lower(): value for key, value in tags.items()}
        return self._classic[variable]

    def variables(self) -> list[str]:
        """Names of the variables that have a latitude and a longitude."""
        return [name for name in self._names if {"lat", "lon"} <= set(_axes(self.array(name)).values())]

    def names(self) -> list[str]:
        """Names of all variables."""
        return self._names

    def find(self, *wanted: str) -> str:
        """First of the `wanted` variables that the file has, whatever the case; empty if none."""
        names = {name.lower(): name for name in self._names}
        return next((names[name.lower()] for name in wanted if name.lower() in names), "")

    def cube(self, variable: str = "") -> Cube:
        """Open a variable; without a name, the file's only one on a longitude-latitude grid.

        Raises
        ------
        UnreadableInput
            If there is no such variable, or the choice is not clear.
        """
        variable = variable or self.variable
        if variable:
            found = self.find(variable)
            if not found or not {"lat", "lon"} <= set(_axes(self.array(found)).values()):
                raise UnreadableInput(
                    f"{self.path} has no gridded variable {variable!r}; it has {', '.join(self.variables()) or 'none'}",
                    "name one of its variables",
                )
            return Cube(self, found)
        choices = self.variables()
        if len(choices) > 1:
            timed = [name for name in choices if "time" in _axes(self.array(name)).values()]
            choices = timed if len(timed) == 1 else choices
        if len(choices) != 1:
            raise UnreadableInput(
                f"{self.path} has {len(choices)} gridded variables ({', '.join(choices) or 'none'})",
                'name one, as NETCDF:"file":variable',
            )
        return Cube(self, choices[0])


class Cube:
    """One variable on a longitude-latitude grid, as bands; reads like `rasters.raster.Raster`.

    Attributes
    ----------
    path, variable : str
    grid : Grid
        North-up, longitudes from -180 to 180 where the file's can be rolled there.
    bands : int
        Number of times, 1 without a time axis.
    unit : str
        The variable's unit, empty when the file names none.
    block_bytes : int
        What the file stores in one piece, as float32.
    whole_bands : bool
        Whether the file stores each time on its own, so that reading by months is quick.
    is_integer : bool
        Whether the file stores integers.
    tags : (scale, offset)
        From the stored numbers to the unit, by the file's own account.
    repairs : list of str
        What is done to the file's order, for the log.
    """

    def __init__(self, file: NetcdfFile, variable: str) -> None:
        self._file, self.path, self.variable = file, file.path, variable
        array = file.array(variable)
        self.attributes = attributes_of(array)
        self.unit = self._unit_of(variable)
        axes = _axes(array)
        places = {axis: place for place, axis in axes.items()}
        self._time_name = array.GetDimensions()[places["time"]].GetName() if "time" in places else ""
        self._check_extra(array, places)
        order = [p for p in range(array.GetDimensionCount()) if p not in places.values()]
        order += [places[axis] for axis in ("time", "lat", "lon") if axis in places]
        blocks = list(array.GetBlockSize())
        self.block_bytes = 4 * math.prod(size or 1 for size in blocks)
        self.whole_bands = "time" not in places or blocks[places["time"]] in (0, 1)
        self._array = array if order == sorted(order) else array.Transpose(order)
        self._sizes = [int(array.GetDimensions()[p].GetSize()) for p in order[: len(order) - len(places)]]
        self._extra = len(order) - len(places)
        self.repairs: list[str] = []
        self._set_grid(array, places)
        self.bands = int(array.GetDimensions()[places["time"]].GetSize()) if "time" in places else 1
        self._fills = self._fill_values(array)
        self.tags = (array.GetScale() or 1.0, array.GetOffset() or 0.0)
        kind = array.GetDataType().GetNumericDataType()
        self.is_integer = kind not in (gdal.GDT_Float32, gdal.GDT_Float64)

    def __enter__(self) -> Cube:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._array = None
        self._file.close()

    def _unit_of(self, name: str) -> str:
        """Unit of the variable, or of one of its axes."""
        unit = self._file.array(name).GetUnit()
        if not unit:
            # CSR writes ``Units``, which GDAL's multidimensional interface neither reads as a unit nor lists.
            unit = self._file.classic_tags(self.variable).get(f"{name}#units".lower(), "")
        return unit.strip()

    def _check_extra(self, array: gdal.MDArray, places: dict[str, int]) -> None:
        self._releases = 1
        for place, dimension in enumerate(array.GetDimensions()):
            if place not in places.values() and dimension.GetName().lower() == RELEASES:
                self._releases = int(dimension.GetSize())
            elif place not in places.values() and dimension.GetSize() != 1:
                raise UnreadableInput(
                    f"{self.path}: {self.variable} has a dimension {dimension.GetName()} of {dimension.GetSize()} "
                    "beside time, latitude and longitude",
                    "give a file of one level",
                )

    def _set_grid(self, array: gdal.MDArray, places: dict[str, int]) -> None:
        latitudes, longitudes = (self._coordinate(array.GetDimensions()[places[a]].GetName()) for a in ("lat", "lon"))
        self._south_up = bool(latitudes[-1] > latitudes[0])
        self._roll = 0
        if longitudes[-1] > 180:
            wrapped = (longitudes + 180) % 360 - 180
            roll = int(np.argmin(wrapped))
            rolled = np.roll(wrapped, -roll)
            steps = np.diff(rolled)
            if np.ptp(steps) <= 1e-3 * abs(steps.mean()):  # else the region lies across 180 deg: keep it whole
                self._roll, longitudes = roll, rolled
                self.repairs.append("its longitudes from 0 to 360 are counted from -180 to 180")
        if self._releases > 1:
            self.repairs.append("its provisional values (expver 5) stand where the final ones are absent")
        self.grid: Grid = grid_from_centres(longitudes, latitudes)

    def _coordinate(self, name: str) -> np.ndarray:
        if name not in self._file.names():
            raise UnreadableInput(f"{self.path} has no coordinate {name}", "give a file with coordinate variables")
        return np.asarray(self._file.array(name).ReadAsArray(), float).ravel()

    def _fill_values(self, array: gdal.MDArray) -> list[np.float32]:
        fills = [array.GetNoDataValueAsDouble(), self.attributes.get("missing_value")]
        fills.append(self._file.attributes.get("missing_value"))
        found = []
        for fill in fills:
            try:
                found.append(np.float32(fill))
            except (TypeError, ValueError):
                continue
        return sorted({f for f in found if not np.isnan(f)})

    def times(self) -> np.ndarray | None:
        """Instants of the bands, datetime64[s]; None without a time axis.

        Raises
        ------
        InvalidMonths
            If the axis cannot be understood.
        """
        if not self._time_name:
            return None
        return self.decode(self._time_name)

    def decode(self, name: str) -> np.ndarray:
        """Instants of a variable in the units of the time axis (the axis itself, or its bounds)."""
        if name not in self._file.names():
            raise InvalidMonths(f"{self.path} has no time coordinate {name}", "give the start month")
        tags = attributes_of(self._file.array(self._time_name))
        units = self._unit_of(self._time_name)
        values = np.asarray(self._file.array(name).ReadAsArray(), float)
        return decode_times(values.ravel(), units, str(tags.get("calendar", "")), self.path).reshape(values.shape)

    def time_bounds(self) -> np.ndarray | None:
        """First and last instant of each band, (n_times, 2) datetime64[s]; None when the file has none."""
        if not self._time_name or self._time_name not in self._file.names():
            return None
        tags = attributes_of(self._file.array(self._time_name))
        name = self._file.find(str(tags.get("bounds", "")), "time_bounds", "time_bnds")
        if not name:
            return None
        bounds = self.decode(name)
        return bounds if bounds.shape == (self.bands, 2) else None

    def read(
        self,
        rows: slice = EVERYTHING,
        columns: slice = EVERYTHING,
        bands: Sequence[int] | None = None,
        scaled: bool = True,
    ) -> np.ndarray:
        """Read a window of bands (counted from 0), shape (bands, rows, columns), float32, NaN as NoData.

        Parameters
        ----------
        scaled : bool
            Apply the file's own scale and offset.

        Raises
        ------
        UnreadableInput
            If the file is damaged.
        """
        row, row_count = span(rows, self.grid.rows)
        column, column_count = span(columns, self.grid.columns)
        numbers = np.arange(self.bands) if bands is None else np.asarray(bands, int)
        out = np.empty((numbers.size, row_count, column_count), np.float32)
        file_row = self.grid.rows - row - row_count if self._south_up else row
        for first, count, place in self._column_parts(column, column_count):
            for start, length, at in _runs(numbers):
                part = self._read_releases(start, length, file_row, row_count, first, count)
                out[at : at + length, :, place : place + count] = part[:, ::-1] if self._south_up else part
        self._mask(out)
        if scaled and self.tags != (1.0, 0.0):
            out = out * np.float32(self.tags[0]) + np.float32(self.tags[1])
        return out

    def _mask(self, values: np.ndarray) -> None:
        for fill in self._fills:
            values[values == fill] = np.nan

    def _read_releases(self, *window: int) -> np.ndarray:
        """Read a block of the first release, its holes taken from the next ones."""
        block = self._read_block(*window)
        for release in range(1, self._releases):
            block = block.astype(np.float32)
            self._mask(block)
            block = np.where(np.isnan(block), self._read_block(*window, release=release), block)
        return block

    def _column_parts(self, column: int, count: int) -> list[tuple[int, int, int]]:
        """(file column, count, place in the output) of the one or two pieces of a window of rolled columns."""
        total = self.grid.columns
        first = (column + self._roll) % total
        head = min(count, total - first)
        parts = [(first, head, 0)]
        return parts if head == count else [*parts, (0, count - head, head)]

    def _read_block(
        self, band: int, bands: int, row: int, rows: int, column: int, columns: int, release: int = 0
    ) -> np.ndarray:
        timed = bool(self._time_name)
        # other further dimensions have one element, so that any of them may carry the release
        start = [min(release, size - 1) for size in self._sizes] + ([band] if timed else []) + [row, column]
        count = [1] * self._extra + ([bands] if timed else []) + [rows, columns]
        try:
            block = self._array.ReadAsArray(start, count)
        except RuntimeError as error:
            raise UnreadableInput(f"{self.path} is damaged ({reason_of(error)})", "fetch the file again") from error
        if block is None:
            raise UnreadableInput(f"{self.path} cannot be read to its end", "fetch the file again")
        return block.reshape(bands, rows, columns)


def _axes(array: gdal.MDArray) -> dict[int, str]:
    """Which dimension is which: place -> lat, lon or time."""
    found = {}
    for place, dimension in enumerate(array.GetDimensions()):
        name = dimension.GetName().lower()
        variable = dimension.GetIndexingVariable()
        unit = (variable.GetUnit() or "").lower() if variable is not None else ""
        for axis, names in AXIS_NAMES.items():
            if axis not in found.values() and (name in names or AXIS_UNITS[axis] in unit):
                found[place] = axis
                break
    return found


def _runs(numbers: np.ndarray) -> list[tuple[int, int, int]]:
    """Runs of consecutive numbers as (first number, length, place)."""
    if not numbers.size:
        return []
    breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
    starts = np.concatenate([[0], breaks])
    stops = np.concatenate([breaks, [numbers.size]])
    return [(int(numbers[a]), int(b - a), int(a)) for a, b in zip(starts, stops, strict=True)]

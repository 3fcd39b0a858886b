"""Observation wells: points and tables of levels, as national services and databases give them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidParameter, NoUsableData, UnreadableInput
from gwsa_qgis.products.tables import find_column, month_of, months_of, read_table, to_numbers
from gwsa_qgis.rasters.gdal_setup import gdal, ogr, osr
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.science.wells import monthly_means

ID_NAMES = (
    "well_id", "wellid", "well", "station_id", "station", "stnid", "site_no", "site_id", "site", "bss_id",
    "cr2sub_id", "location", "gw_id", "code", "name", "id", "fid",
)  # fmt: skip
X_NAMES = ("lon", "longitude", "long", "lon_wgs84", "dec_long_va", "x", "easting", "cr2sub_lon")
Y_NAMES = ("lat", "latitude", "lat_wgs84", "dec_lat_va", "y", "northing", "cr2sub_lat")
DATE_NAMES = ("date", "month", "time", "datetime", "day", "year", "integeryear", "")
VALUE_NAMES = (
    "depth_to_water_m", "depthtowater_m", "depth_to_water", "depth", "depth_m", "dtw", "gwl", "head", "head_m",
    "level", "level_m", "water_level", "value", "lev_va", "groundwater_level", "anomaly",
)  # fmt: skip
CENTIMETRES_IN = {"m": 100.0, "cm": 1.0, "mm": 0.1, "ft": 30.48}
# Sign that turns each kind into a level that rises with storage.
LEVEL_KINDS = {"depth": -1.0, "head": 1.0, "anomaly": 1.0}
TABLE_SUFFIXES = (".csv", ".txt", ".tsv")


@dataclass(frozen=True)
class WellPoints:
    """Where wells are.

    Attributes
    ----------
    names : list of str
    x, y : (n_wells,) float
        Coordinates in the CRS of the map they were read for.
    longitude, latitude : (n_wells,) float
        Degrees, WGS 84.
    specific_yield : (n_wells,) float
        From the points' own field, NaN where not given.
    """

    names: list[str]
    x: np.ndarray
    y: np.ndarray
    longitude: np.ndarray
    latitude: np.ndarray
    specific_yield: np.ndarray


@dataclass(frozen=True)
class WellLevels:
    """Monthly levels of wells.

    Attributes
    ----------
    names : list of str
    months : (n_months,) datetime64[M]
        Contiguous months.
    levels : (n_wells, n_months) float
        Level in cm that rises with storage, any reference; NaN where missing.
    yearly : bool
        Whether the table has one value a year, which stands on July.
    readings, duplicates : int
        Readings used, and how many of them shared their month with another of the same well.
    positive_share : float
        Share of readings that are positive; tells depths (positive) from heads below ground (negative).
    """

    names: list[str]
    months: np.ndarray
    levels: np.ndarray
    yearly: bool
    readings: int
    duplicates: int
    positive_share: float


def read_well_points(
    path: str | Path,
    grid: Grid,
    *,
    id_field: str = "",
    x_field: str = "",
    y_field: str = "",
    yield_field: str = "",
) -> WellPoints:
    """Read wells from a point layer or a table, in the CRS of `grid`.

    Parameters
    ----------
    id_field, x_field, y_field : str
        Names of the columns; found by their usual names where empty. A table's coordinates are longitude and latitude
        (WGS 84), with decimal points or commas.
    yield_field : str
        A column with specific yields; none where empty.

    Raises
    ------
    UnreadableInput
        If the file or a column cannot be found or read.
    """
    if str(path).lower().endswith(TABLE_SUFFIXES):
        names, x, y, specific_yield, crs = _points_of_table(path, id_field, x_field, y_field, yield_field)
    else:
        names, x, y, specific_yield, crs = _points_of_layer(path, id_field, yield_field)
    doubled = len(names) - len(set(names))
    if doubled:
        first = next(name for name in names if names.count(name) > 1)
        raise UnreadableInput(
            f"{path} has {doubled} doubled well names ({first!r} for one)", "give each well once, or another ID field"
        )
    return WellPoints(names, *_transform(x, y, crs, grid.crs), *_transform(x, y, crs, geographic_crs()), specific_yield)


def _points_of_table(
    path: str | Path, id_field: str, x_field: str, y_field: str, yield_field: str
) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray, str]:
    header, rows = read_table(path)
    columns = {
        "a well name": find_column(header, ID_NAMES, id_field),
        "a longitude": find_column(header, X_NAMES, x_field),
        "a latitude": find_column(header, Y_NAMES, y_field),
    }
    for what, column in columns.items():
        if column is None:
            raise UnreadableInput(
                f"{path} has no column that looks like {what}; its columns are {', '.join(header[:12])}",
                "name the columns of well name, longitude and latitude",
            )
    identity, x_column, y_column = columns.values()
    names = [row[identity].strip() for row in rows]
    x = to_numbers([row[x_column] for row in rows], f"{header[x_column]} of {path}")
    y = to_numbers([row[y_column] for row in rows], f"{header[y_column]} of {path}")
    specific_yield = np.full(len(names), np.nan)
    if yield_field:
        column = find_column(header, (), yield_field)
        specific_yield = to_numbers([row[column] for row in rows], f"{yield_field} of {path}")
    return names, x, y, specific_yield, geographic_crs()


def _points_of_layer(
    path: str | Path, id_field: str, yield_field: str
) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray, str]:
    # Sources from QGIS name a layer as "file.gpkg|layername=wells".
    name, _, options = str(path).partition("|")
    layer_name = next((part[10:] for part in options.split("|") if part.startswith("layername=")), "")
    try:
        dataset = gdal.OpenEx(name, gdal.OF_VECTOR)
        layer = dataset.GetLayerByName(layer_name) if layer_name else dataset.GetLayer(0)
    except RuntimeError as error:
        reason = "is not there" if not Path(name).exists() else "is no vector layer"
        raise UnreadableInput(f"{name} {reason}", "give a layer of points or a CSV table") from error
    if layer is None:
        raise UnreadableInput(f"{name} has no layer {layer_name!r}", "name one of its layers")
    definition = layer.GetLayerDefn()
    fields = [definition.GetFieldDefn(i).GetName() for i in range(definition.GetFieldCount())]
    identity = find_column(fields, ID_NAMES, id_field)
    yields = find_column(fields, (), yield_field) if yield_field else None
    names, x, y, specific_yield = [], [], [], []
    for feature in layer:
        geometry = feature.GetGeometryRef()
        if geometry is None or geometry.IsEmpty():
            continue
        point = geometry if ogr.GT_Flatten(geometry.GetGeometryType()) == ogr.wkbPoint else geometry.Centroid()
        names.append(str(feature.GetField(identity)) if identity is not None else str(feature.GetFID()))
        x.append(point.GetX())
        y.append(point.GetY())
        known = yields is not None and feature.IsFieldSetAndNotNull(yields)
        specific_yield.append(feature.GetFieldAsDouble(yields) if known else np.nan)
    reference = layer.GetSpatialRef()
    crs = reference.ExportToWkt() if reference is not None else geographic_crs()
    return names, np.array(x, float), np.array(y, float), np.array(specific_yield, float), crs


def to_crs(longitude: np.ndarray, latitude: np.ndarray, crs: str) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates in another CRS (WKT) of places given in degrees (WGS 84)."""
    return _transform(longitude, latitude, geographic_crs(), crs)


def _transform(x: np.ndarray, y: np.ndarray, source: str, target: str) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates in another CRS, east first; unchanged where the map has none."""
    if not target or not x.size:
        return x, y
    systems = [osr.SpatialReference(text) for text in (source, target)]
    for system in systems:
        system.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    if systems[0].IsSame(systems[1]):
        return x, y
    known = np.isfinite(x) & np.isfinite(y)
    moved = np.full((2, x.size), np.nan)
    if known.any():
        points = osr.CoordinateTransformation(*systems).TransformPoints(np.column_stack([x, y])[known].tolist())
        moved[:, known] = np.array(points)[:, :2].T
    return moved[0], moved[1]


def read_well_levels(
    path: str | Path,
    names: list[str],
    *,
    kind: str = "depth",
    unit: str = "m",
    id_field: str = "",
    date_field: str = "",
    value_field: str = "",
) -> WellLevels:
    """Read the levels of the wells `names` from a table, or from a folder with a table for each well.

    Parameters
    ----------
    path : path
        A long table (well, date, value), a wide one (date and a column for each well, or a well and a column for each
        date), or a folder of tables whose file names begin with the well's name. Daily to annual; several readings of
        a month are averaged.
    names : list of str
        Wells wanted; others are left out.
    kind : {"depth", "head", "anomaly"}
        Depth to water, positive down; head or level, positive up; anomaly, positive up.
    unit : {"m", "cm", "mm", "ft"}

    Raises
    ------
    UnreadableInput, InvalidMonths, InvalidParameter
        If the table, its columns, dates or numbers cannot be read.
    NoUsableData
        If none of the wells has a reading.
    """
    if kind not in LEVEL_KINDS:
        raise InvalidParameter(f"the levels' kind is {kind!r}", f"give one of {', '.join(LEVEL_KINDS)}")
    if unit not in CENTIMETRES_IN:
        raise InvalidParameter(f"the levels' unit is {unit!r}", f"give one of {', '.join(CENTIMETRES_IN)}")
    position = {name: number for number, name in enumerate(names)}
    if Path(path).is_dir():
        parts = [_wide_by_date(file, position, date_field, owner) for file, owner in _files_of_wells(path, names)]
    else:
        parts = [_read_any(path, position, id_field, date_field, value_field)]
    wells, months, values = (np.concatenate([part[k] for part in parts]) for k in range(3))
    yearly = bool(parts) and all(part[3] for part in parts)
    known = np.isfinite(values) & (wells >= 0)
    if not known.any():
        raise NoUsableData(
            f"{path} has no reading of any of the {len(names)} wells (such as {names[0]!r})",
            "check that wells are named alike in both files, or name the ID field",
        )
    wells, months, values = wells[known], months[known], values[known]
    if yearly:
        months = months.astype("datetime64[Y]").astype("datetime64[M]") + 6
    axis = np.arange(months.min(), months.max() + 1)
    means, counts = monthly_means(wells, (months - axis[0]).astype(int), values, (len(names), axis.size))
    return WellLevels(
        names,
        axis,
        means * (LEVEL_KINDS[kind] * CENTIMETRES_IN[unit]),
        yearly,
        int(known.sum()),
        int(np.maximum(counts - 1, 0).sum()),
        float((values > 0).mean()),
    )


Readings = tuple[np.ndarray, np.ndarray, np.ndarray, bool]  # wells (-1 unknown), months, values, whether yearly


def _files_of_wells(folder: str | Path, names: list[str]) -> list[tuple[Path, int]]:
    """Tables of a folder and the well each belongs to."""
    longest_first = sorted(range(len(names)), key=lambda number: -len(names[number]))
    found = []
    for file in sorted(Path(folder).iterdir()):
        if file.suffix.lower() not in TABLE_SUFFIXES:
            continue
        owner = next((n for n in longest_first if file.stem.lower().startswith(names[n].lower())), None)
        if owner is not None:
            found.append((file, owner))
    if not found:
        raise NoUsableData(
            f"the folder {folder} has no table whose name begins with a well's (such as {names[0]!r})",
            "name each well's table after it",
        )
    return found


def _read_any(path: str | Path, position: dict[str, int], id_field: str, date_field: str, value_field: str) -> Readings:
    header, rows = read_table(path)
    if sum(month_of(name) is not None for name in header) > max(2, len(header) // 2):
        return _wide_by_well(path, header, rows, position, id_field)
    value = find_column(header, VALUE_NAMES, value_field)
    identity = find_column(header, ID_NAMES, id_field)
    if value is not None and identity is not None:
        date = find_column(header, DATE_NAMES, date_field)
        if date is None:
            raise UnreadableInput(
                f"{path} has no column of dates; its columns are {', '.join(header[:12])}", "name the date field"
            )
        months, yearly = months_of([row[date] for row in rows], f"column {header[date]!r} of {path}")
        if yearly and header[date].lower() == "year" and "month" in [name.lower() for name in header]:
            numbers = to_numbers([row[find_column(header, ("month",))] for row in rows], f"month of {path}")
            months, yearly = months + (numbers.astype(int) - 1), False
        wells = np.array([position.get(row[identity].strip(), -1) for row in rows])
        return wells, months, to_numbers([row[value] for row in rows], f"{header[value]} of {path}"), yearly
    return _wide_by_date(path, position, date_field)


def _wide_by_date(path: str | Path, position: dict[str, int], date_field: str, owner: int | None = None) -> Readings:
    """A column of dates and a column for each well; with `owner`, one column that is that well's."""
    header, rows = read_table(path)
    date = find_column(header, DATE_NAMES, date_field)
    date = 0 if date is None else date
    months, yearly = months_of([row[date] for row in rows], f"column {header[date] or 1!r} of {path}")
    columns = {k: position.get(name, -1) for k, name in enumerate(header) if k != date}
    if owner is not None:
        columns = {find_column(header, VALUE_NAMES) or next(iter(columns)): owner}
    columns = {k: well for k, well in columns.items() if well >= 0}
    values = [to_numbers([row[k] for row in rows], f"column {header[k]!r} of {path}") for k in columns]
    return (
        np.repeat(np.array(list(columns.values()), int), len(rows)),
        np.tile(months, len(columns)),
        np.concatenate(values) if values else np.empty(0),
        yearly,
    )


def _wide_by_well(
    path: str | Path, header: list[str], rows: list[list[str]], position: dict[str, int], id_field: str
) -> Readings:
    """A well in each row and a column for each date."""
    dated = [k for k, name in enumerate(header) if month_of(name) is not None]
    months, yearly = months_of([header[k] for k in dated], f"the header of {path}")
    identity = find_column(header, ID_NAMES, id_field)
    identity = next(k for k in range(len(header)) if k not in dated) if identity is None else identity
    wells = np.array([position.get(row[identity].strip(), -1) for row in rows])
    values = [to_numbers([row[k] for k in dated], f"row {n} of {path}") for n, row in enumerate(rows, start=2)]
    return (
        np.repeat(wells, len(dated)),
        np.tile(months, len(rows)),
        np.concatenate(values) if values else np.empty(0),
        yearly,
    )

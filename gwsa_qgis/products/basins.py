"""Basins: named polygons on a grid, of any number, whose outlines are kept in a file and read when they are needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidParameter, NoUsableData, UnreadableInput
from gwsa_qgis.products.polygons import Polygons
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.gdal_setup import ogr
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.windows import Window
from gwsa_qgis.science.coverage import covered_shares, oriented, polygon_area

# What to do with features of one name: each by itself, numbered, or as one basin.
SAME_NAME = ("apart", "join")
NAMES_LISTED = 8
COVERAGE_BYTES = 100  # of a cell and of the pieces of outlines in it, while shares are computed


@dataclass(frozen=True)
class Basin:
    """A basin.

    Attributes
    ----------
    name : str
        Unlike that of any other.
    feature : int
        Number of its (first) feature in the layer.
    area_km2 : float
        Whole area, also outside the grid.
    rows, columns : slice
        Cells of the grid that its bounds meet; empty for a basin elsewhere.
    start, size : int
        Where its outline lies in the file.
    """

    name: str
    feature: int
    area_km2: float
    rows: slice
    columns: slice
    start: int
    size: int

    @property
    def is_on_grid(self) -> bool:
        """Whether its bounds meet the grid."""
        return self.rows.start < self.rows.stop and self.columns.start < self.columns.stop


@dataclass(frozen=True)
class Basins:
    """Basins of a layer, in its order, and the file of their outlines (WKB, in the grid's CRS)."""

    grid: Grid
    basins: Sequence[Basin]
    outlines: Path

    def __len__(self) -> int:
        return len(self.basins)

    @property
    def names(self) -> list[str]:
        """Names in order."""
        return [basin.name for basin in self.basins]

    def outline(self, number: int) -> bytes:
        """Geometry of a basin as WKB."""
        with self.outlines.open("rb") as file:
            file.seek(self.basins[number].start)
            return file.read(self.basins[number].size)

    def meet(self, window: Window) -> bool:
        """Whether the bounds of any basin meet a window."""
        return any(_meet(window, basin) for basin in self.basins)

    def within(self, window: Window) -> Iterator[tuple[int, Window, np.ndarray]]:
        """Basins that meet a window.

        Yields
        ------
        number : int
        part : Window
            Part of the window that the basin's bounds meet.
        shares : (part.rows, part.columns) float64
            Share of each cell's area that the basin covers.
        """
        for number, basin in enumerate(self.basins):
            part = _meet(window, basin)
            if part is None:
                continue
            cells = self.grid.window(part.row, part.column, part.rows, part.columns)
            frame = (cells.west, cells.north, cells.dx, cells.dy, cells.rows, cells.columns)
            yield (
                number,
                part,
                covered_shares(rings_of(self.outline(number)), *frame, spherical=self.grid.is_geographic),
            )


def read_basins(
    source: str | Path,
    grid: Grid,
    outlines: Path,
    report: Reporter,
    *,
    field: str = "",
    only: str = "",
    same_name: str = "apart",
) -> Basins:
    """Read basins in the CRS of a grid.

    Parameters
    ----------
    outlines : Path
        File to put their outlines in.
    field : str
        Holds the names; features are numbered where empty.
    only : str
        Name of the one basin that is wanted; all where empty.
    same_name : {"apart", "join"}
        Features of one name stay apart and are numbered, or are one basin.

    Raises
    ------
    InvalidParameter
        For another `same_name`.
    UnreadableInput
        If the layer is not one of polygons, or has no such field or basin.
    NoUsableData
        If no basin has an area.
    """
    if same_name not in SAME_NAME:
        raise InvalidParameter(f"SAME_NAME is {same_name!r}", f"give one of {', '.join(SAME_NAME)}")
    found: list[Basin] = []
    with Polygons(source, grid) as polygons, outlines.open("wb") as file:
        report.say(f"{polygons.path}: {polygons.layer.GetFeatureCount()} polygons; grid {grid.describe()}.")
        for name, feature, geometry in _named(polygons, field, only, same_name == "join", report):
            data = bytes(geometry.ExportToWkb(ogr.wkbNDR))
            area = polygon_area(rings_of(data), spherical=grid.is_geographic) * grid.unit_area_km2
            if area > 0:
                rows, columns = _cells(geometry, grid)
                found.append(Basin(name, feature, area, rows, columns, file.tell(), len(data)))
                file.write(data)
        polygons.tell_repairs(report, "the raster")
    if not found:
        raise NoUsableData(f"no feature of {source} is a polygon with an area", "give a layer of basins")
    return Basins(grid, found, outlines)


def rings_of(data: bytes) -> list[np.ndarray]:
    """Oriented rings of a little-endian WKB polygon or multipolygon: outer ones counter-clockwise, holes clockwise."""
    rings: list[np.ndarray] = []
    kind = int.from_bytes(data[1:5], "little")
    polygons, at = (1, 0) if kind == ogr.wkbPolygon else (int.from_bytes(data[5:9], "little"), 9)
    for _ in range(polygons):
        count, at = int.from_bytes(data[at + 5 : at + 9], "little"), at + 9
        for number in range(count):
            vertices = int.from_bytes(data[at : at + 4], "little")
            ring = np.frombuffer(data, "<f8", 2 * vertices, at + 4).reshape(-1, 2)
            rings.append(oriented(ring, hole=number > 0))
            at += 4 + 16 * vertices
    return rings


def _named(
    polygons: Polygons, field: str, only: str, join: bool, report: Reporter
) -> Iterator[tuple[str, int, ogr.Geometry]]:
    """Name, feature number and geometry of each basin that is wanted."""
    column = polygons.require_field(field, "the basins' names") if field else ""
    texts = [_text(value) for value in polygons.values_of(column)] if column else []
    counts = Counter(texts)
    if only and only not in counts:
        names = list(counts)[:NAMES_LISTED]
        known = f"it has {', '.join(names)}{' ...' if len(counts) > len(names) else ''}" if names else "FIELD is empty"
        raise UnreadableInput(f"{polygons.path} has no basin {only!r} ({known})", "give FIELD and one of its values")
    _tell_names({name: count for name, count in counts.items() if not only or name == only}, join, report)
    names = _Names(counts)
    waiting: dict[str, tuple[int, ogr.Geometry]] = {}
    for feature, geometry in polygons.everywhere():
        text = _text(feature.GetField(column)) if column else ""
        if only and text != only:
            continue
        number = feature.GetFID()
        if join and counts[text] > 1 and text:
            first, parts = waiting.setdefault(text, (number, ogr.Geometry(ogr.wkbMultiPolygon)))
            _add(parts, geometry)
            continue
        yield names.give(text, number), number, geometry
    for text, (number, parts) in waiting.items():
        yield names.give(text, number), number, parts.UnionCascaded()


def _tell_names(counts: dict[str, int], join: bool, report: Reporter) -> None:
    doubled = {name: count for name, count in counts.items() if count > 1 and name}
    if doubled:
        done = "joined to one basin each" if join else "kept apart and numbered"
        listed = ", ".join(f"{name} ({count})" for name, count in list(doubled.items())[:NAMES_LISTED])
        report.warn(f"{len(doubled)} names have several features, which are {done}: {listed}.")
    if counts.get(""):
        report.warn(f"{counts['']} features have no name and are called by their numbers.")


class _Names:
    """Gives each basin a name that no other has."""

    def __init__(self, texts: Counter[str]) -> None:
        self._texts, self._given = texts, set()

    def give(self, text: str, number: int) -> str:
        """`text`, or the feature's number where there is none; with a number from 2 on when it was given before."""
        name = plain = text or f"feature {number}"
        count = 1
        while name in self._given or (count > 1 and name in self._texts):
            count += 1
            name = f"{plain} ({count})"
        self._given.add(name)
        return name


def _text(value: object) -> str:
    """A field's value as a name; whole numbers without a point."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def _add(parts: ogr.Geometry, geometry: ogr.Geometry) -> None:
    """Add the polygons of a geometry to a multipolygon."""
    if geometry.GetGeometryName() == "POLYGON":
        parts.AddGeometry(geometry)
        return
    for number in range(geometry.GetGeometryCount()):
        parts.AddGeometry(geometry.GetGeometryRef(number))


def _cells(geometry: ogr.Geometry, grid: Grid) -> tuple[slice, slice]:
    """Rows and columns of the grid that a geometry's bounds meet."""
    west, east, south, north = geometry.GetEnvelope()
    rows = np.clip([np.floor((grid.north - north) / grid.dy), np.ceil((grid.north - south) / grid.dy)], 0, grid.rows)
    columns = np.clip([np.floor((west - grid.west) / grid.dx), np.ceil((east - grid.west) / grid.dx)], 0, grid.columns)
    return slice(*map(int, rows)), slice(*map(int, columns))


def _meet(window: Window, basin: Basin) -> Window | None:
    top, bottom = max(window.row, basin.rows.start), min(window.row + window.rows, basin.rows.stop)
    left, right = max(window.column, basin.columns.start), min(window.column + window.columns, basin.columns.stop)
    return Window(top, left, bottom - top, right - left) if top < bottom and left < right else None

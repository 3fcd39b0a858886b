"""Polygon layers: opened from what QGIS names, flattened, mended, brought to a grid's CRS, and rasterised."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import UnreadableInput, reason_of
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.gdal_setup import gdal, ogr, osr
from gwsa_qgis.rasters.grid import Grid, same_crs
from gwsa_qgis.rasters.warping import spatial_reference

SURFACES = (ogr.wkbPolygon, ogr.wkbMultiPolygon, ogr.wkbCurvePolygon, ogr.wkbMultiSurface)
# Edges of outlines that are reprojected span at most this share of their layer.
EDGES_ACROSS = 1000
COLLECTIONS = (ogr.wkbUnknown, ogr.wkbGeometryCollection)


class Polygons:
    """A polygon layer opened for reading, in the CRS of a grid.

    Parameters
    ----------
    source : path
        A file, or ``file|layername=name|subset=filter`` as QGIS writes it.
    grid : Grid
        Its CRS is what geometries come in.

    Attributes
    ----------
    reprojected, unplaced : bool
        Whether the layer has another CRS than the grid, and whether it names none.

    Raises
    ------
    UnreadableInput
        If there is no such file or layer, it has no feature, or is not of polygons.
    """

    def __init__(self, source: str | Path, grid: Grid) -> None:
        self.path, *options = str(source).split("|")
        name = next((part.split("=", 1)[1] for part in options if part.lower().startswith("layername=")), "")
        chosen = next((n for n, part in enumerate(options) if part.lower().startswith("subset=")), len(options))
        subset = "|".join(options[chosen:])[len("subset=") :]
        try:
            self._dataset = gdal.OpenEx(self.path, gdal.OF_VECTOR | gdal.OF_READONLY)
            self.layer = self._dataset.GetLayerByName(name) if name else self._dataset.GetLayer(0)
            if subset and self.layer is not None:
                self.layer.SetAttributeFilter(subset)
        except RuntimeError as error:
            reason = "is not there" if not Path(self.path).exists() else f"cannot be read ({reason_of(error)})"
            raise UnreadableInput(f"{self.path} {reason}", "give an existing polygon layer") from error
        if self.layer is None or not self.layer.GetFeatureCount():
            raise UnreadableInput(f"{source} has no feature", "give a layer of polygons")
        kind = ogr.GT_Flatten(self.layer.GetGeomType())
        if kind not in SURFACES + COLLECTIONS:
            raise UnreadableInput(f"{source} holds {ogr.GeometryTypeToName(kind)} features", "give a layer of polygons")
        own = self.layer.GetSpatialRef()
        # GeoPackages call a CRS that nobody named "Undefined geographic SRS" or "Undefined Cartesian SRS"
        self.unplaced = own is None or own.GetName().lower().startswith("undefined")
        self._to_grid, self._to_layer = self._transforms(grid)
        self.reprojected = self._to_grid is not None
        self._longest_edge = self._edge_length() if self.reprojected else 0.0
        # by number, as a polygon that meets several windows comes several times
        self._flattened: set[int] = set()
        self._mended: set[int] = set()
        self._no_area: set[int] = set()
        self._lost: set[int] = set()

    def __enter__(self) -> Polygons:
        return self

    def __exit__(self, *_: object) -> None:
        self.layer = self._dataset = None

    def _transforms(
        self, grid: Grid
    ) -> tuple[osr.CoordinateTransformation | None, osr.CoordinateTransformation | None]:
        own = self.layer.GetSpatialRef()
        if self.unplaced or not grid.crs or same_crs(own.ExportToWkt(), grid.crs):
            return None, None
        mine, grids = spatial_reference(own.ExportToWkt()), spatial_reference(grid.crs)
        return osr.CoordinateTransformation(mine, grids), osr.CoordinateTransformation(grids, mine)

    def _edge_length(self) -> float:
        """Edges longer than this, in the layer's own unit, are cut before they are reprojected."""
        west, east, south, north = self.layer.GetExtent()
        return max(east - west, north - south, 1e-9) / EDGES_ACROSS

    @property
    def flattened(self) -> int:
        """Outlines read so far that were three-dimensional."""
        return len(self._flattened)

    @property
    def mended(self) -> int:
        """Outlines read so far that were invalid."""
        return len(self._mended)

    @property
    def fields(self) -> list[str]:
        """Names of the fields."""
        definition = self.layer.GetLayerDefn()
        return [definition.GetFieldDefn(number).GetName() for number in range(definition.GetFieldCount())]

    def require_field(self, name: str, holds: str = "the class") -> str:
        """The field's exact name, whatever its case; raises `UnreadableInput` if absent."""
        found = next((field for field in self.fields if field.lower() == name.lower()), "")
        if not found:
            raise UnreadableInput(
                f"{self.path} has no field {name!r}; it has {', '.join(self.fields) or 'none'}",
                f"name the field that holds {holds}",
            )
        return found

    def values_of(self, name: str) -> Iterator[object]:
        """Values of a field, of all features; None where there is none."""
        self.layer.SetSpatialFilter(None)
        self.layer.ResetReading()
        for feature in self.layer:
            yield feature.GetField(name)

    def within(self, grid: Grid) -> Iterator[tuple[ogr.Feature, ogr.Geometry]]:
        """Features that meet a grid's extent, with their valid, two-dimensional geometry in its CRS."""
        extent = grid.extent if self._to_layer is None else self._to_layer.TransformBounds(*grid.extent, 21)
        self.layer.SetSpatialFilterRect(*extent)
        yield from self._mended_features()

    def everywhere(self) -> Iterator[tuple[ogr.Feature, ogr.Geometry]]:
        """All features that have a geometry, wherever they lie, as `within` gives them."""
        self.layer.SetSpatialFilter(None)
        yield from self._mended_features()

    def _mended_features(self) -> Iterator[tuple[ogr.Feature, ogr.Geometry]]:
        self.layer.ResetReading()
        for feature in self.layer:
            geometry = feature.GetGeometryRef()
            if geometry is None or geometry.IsEmpty():
                continue
            geometry = self._mend(geometry.Clone(), feature.GetFID())
            if geometry is not None:
                yield feature, geometry

    def _mend(self, geometry: ogr.Geometry, number: int) -> ogr.Geometry | None:
        """Valid, two-dimensional polygons of a geometry in the grid's CRS; None when nothing is left of it."""
        if geometry.HasCurveGeometry():
            geometry = geometry.GetLinearGeometry()
        if geometry.Is3D() or geometry.IsMeasured():
            geometry.FlattenTo2D()
            self._flattened.add(number)
        try:
            if self._to_grid is not None:
                # only vertices are reprojected: what lies between far ones would stay straight in the wrong CRS
                geometry.Segmentize(self._longest_edge)
                geometry.Transform(self._to_grid)
            if not _is_valid(geometry):
                self._mended.add(number)
                geometry = _made_valid(geometry)
        except RuntimeError:
            geometry = None
        if geometry is None:
            self._lost.add(number)
            return None
        # mending a collapsed outline leaves a line, which would be burnt into every cell that it crosses
        parts = _surfaces(geometry)
        if parts is None:
            self._no_area.add(number)
        return parts

    def count_empty(self) -> int:
        """Features without a geometry, which a filter by extent never finds."""
        self.layer.SetSpatialFilter(None)
        self.layer.ResetReading()
        geometries = (feature.GetGeometryRef() for feature in self.layer)
        return sum(geometry is None or geometry.IsEmpty() for geometry in geometries)

    def tell_repairs(self, report: Reporter, grid_of: str = "the template") -> None:
        """Say what was done to geometries; `grid_of` is whose CRS they were brought to."""
        if self.unplaced:
            report.warn(f"{self.path} names no coordinate reference system: {grid_of}'s is taken.")
        if self.reprojected:
            report.say(f"{self.path} was reprojected to {grid_of}'s coordinate reference system.")
        if self.flattened:
            report.say(f"{self.flattened} three-dimensional outlines were flattened.")
        if self.mended:
            report.warn(f"{self.mended} invalid outlines were mended.")
        empty = self.count_empty()
        if empty:
            report.warn(f"{empty} features without a geometry were left out.")
        if self._no_area:
            report.warn(f"{len(self._no_area)} features that are no polygons, or have no area, were left out.")
        if self._lost:
            report.warn(f"{len(self._lost)} features could not be mended or reprojected and were left out.")


def _surfaces(geometry: ogr.Geometry) -> ogr.Geometry | None:
    """Polygons of a geometry; None when it has none."""
    kind = ogr.GT_Flatten(geometry.GetGeometryType())
    if geometry.IsEmpty():
        return None
    if kind in SURFACES:
        return geometry
    if kind != ogr.wkbGeometryCollection:
        return None
    found = ogr.Geometry(ogr.wkbMultiPolygon)
    for number in range(geometry.GetGeometryCount()):
        part = _surfaces(geometry.GetGeometryRef(number))
        if part is None:
            continue
        singles = (
            [part]
            if part.GetGeometryType() == ogr.wkbPolygon
            else map(part.GetGeometryRef, range(part.GetGeometryCount()))
        )
        for single in singles:
            found.AddGeometry(single)
    return found if found.GetGeometryCount() else None


def _made_valid(geometry: ogr.Geometry) -> ogr.Geometry | None:
    """The valid area of a geometry: of its outer rings together, less its holes.

    The older way, all that GEOS before 3.10 has, takes areas in turns: what two parts share falls out, and a hole along the
    border is filled.
    """
    try:
        return geometry.MakeValid(["METHOD=STRUCTURE"])
    except RuntimeError:
        return geometry.MakeValid()


def _is_valid(geometry: ogr.Geometry) -> bool:
    """Whether a geometry is valid; GDAL's warning about a crossing is what is asked for, not news."""
    gdal.PushErrorHandler("CPLQuietErrorHandler")
    try:
        return bool(geometry.IsValid())
    except RuntimeError:
        return False
    finally:
        gdal.PopErrorHandler()


def memory_layer(grid: Grid, with_value: bool = False) -> tuple[gdal.Dataset, ogr.Layer]:
    """Empty layer in memory, in the grid's CRS; the dataset must outlive the layer."""
    # from GDAL 3.11 on, the raster driver MEM holds vectors too and the driver Memory goes away
    name = "MEM" if int(gdal.VersionInfo()) >= 3110000 else "Memory"
    dataset = gdal.GetDriverByName(name).Create("", 0, 0, 0, gdal.GDT_Unknown)
    layer = dataset.CreateLayer("polygons", spatial_reference(grid.crs) if grid.crs else None, ogr.wkbUnknown)
    if with_value:
        layer.CreateField(ogr.FieldDefn("value", ogr.OFTInteger))
    return dataset, layer


def add_geometry(layer: ogr.Layer, geometry: ogr.Geometry, value: int | None = None) -> None:
    """Put a geometry into a layer of `memory_layer`."""
    feature = ogr.Feature(layer.GetLayerDefn())
    feature.SetGeometry(geometry)
    if value is not None:
        feature.SetField("value", value)
    layer.CreateFeature(feature)


def burn(layer: ogr.Layer, grid: Grid, kind: int = gdal.GDT_Byte, by_value: bool = False) -> np.ndarray:
    """Rasterise a layer by cell centres: 1 inside, or the field ``value``; 0 elsewhere."""
    dataset = gdal.GetDriverByName("MEM").Create("", grid.columns, grid.rows, 1, kind)
    dataset.SetGeoTransform(grid.transform)
    if grid.crs:
        dataset.SetProjection(grid.crs)
    if by_value:
        gdal.RasterizeLayer(dataset, [1], layer, options=["ATTRIBUTE=value"])
    else:
        gdal.RasterizeLayer(dataset, [1], layer, burn_values=[1])
    return dataset.ReadAsArray()

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


class Polygons:
    """A polygon layer opened for reading, in the CRS of a grid.

    Parameters
    ----------
    source : path
        A file, or ``file|layername=name`` as QGIS writes it.
    grid : Grid
        Its CRS is what geometries come in.

    Raises
    ------
    UnreadableInput
        If there is no such file or layer, it has no feature, or is not of polygons.
    """

    def __init__(self, source: str | Path, grid: Grid) -> None:
        self.path, *options = str(source).split("|")
        name = next((part.split("=", 1)[1] for part in options if part.lower().startswith("layername=")), "")
        try:
            self._dataset = gdal.OpenEx(self.path, gdal.OF_VECTOR | gdal.OF_READONLY)
            self.layer = self._dataset.GetLayerByName(name) if name else self._dataset.GetLayer(0)
        except RuntimeError as error:
            reason = "is not there" if not Path(self.path).exists() else f"cannot be read ({reason_of(error)})"
            raise UnreadableInput(f"{self.path} {reason}", "give an existing polygon layer") from error
        if self.layer is None or not self.layer.GetFeatureCount():
            raise UnreadableInput(f"{source} has no feature", "give a layer of polygons")
        kind = ogr.GT_Flatten(self.layer.GetGeomType())
        if kind not in (ogr.wkbPolygon, ogr.wkbMultiPolygon, ogr.wkbUnknown, ogr.wkbGeometryCollection):
            raise UnreadableInput(f"{source} holds {ogr.GeometryTypeToName(kind)} features", "give a layer of polygons")
        self._to_grid, self._to_layer = self._transforms(grid)
        self.reprojected = self._to_grid is not None
        self.flattened = self.mended = self.empty = 0

    def __enter__(self) -> Polygons:
        return self

    def __exit__(self, *_: object) -> None:
        self.layer = self._dataset = None

    def _transforms(
        self, grid: Grid
    ) -> tuple[osr.CoordinateTransformation | None, osr.CoordinateTransformation | None]:
        own = self.layer.GetSpatialRef()
        if own is None or not grid.crs or same_crs(own.ExportToWkt(), grid.crs):
            return None, None
        mine, grids = spatial_reference(own.ExportToWkt()), spatial_reference(grid.crs)
        return osr.CoordinateTransformation(mine, grids), osr.CoordinateTransformation(grids, mine)

    @property
    def fields(self) -> list[str]:
        """Names of the fields."""
        definition = self.layer.GetLayerDefn()
        return [definition.GetFieldDefn(number).GetName() for number in range(definition.GetFieldCount())]

    def require_field(self, name: str) -> str:
        """The field's exact name, whatever its case; raises `UnreadableInput` if absent."""
        found = next((field for field in self.fields if field.lower() == name.lower()), "")
        if not found:
            raise UnreadableInput(
                f"{self.path} has no field {name!r}; it has {', '.join(self.fields) or 'none'}",
                "name the field that holds the class",
            )
        return found

    def within(self, grid: Grid) -> Iterator[tuple[ogr.Feature, ogr.Geometry]]:
        """Features that meet a grid's extent, with their valid, two-dimensional geometry in its CRS."""
        extent = grid.extent if self._to_layer is None else self._to_layer.TransformBounds(*grid.extent, 21)
        self.layer.SetSpatialFilterRect(*extent)
        self.layer.ResetReading()
        for feature in self.layer:
            geometry = self._mend(feature.GetGeometryRef())
            if geometry is not None:
                yield feature, geometry

    def _mend(self, geometry: ogr.Geometry | None) -> ogr.Geometry | None:
        if geometry is None or geometry.IsEmpty():
            self.empty += 1
            return None
        geometry = geometry.Clone()
        if geometry.Is3D():
            geometry.FlattenTo2D()
            self.flattened += 1
        if self._to_grid is not None:
            geometry.Transform(self._to_grid)
        if not _is_valid(geometry):
            geometry = geometry.MakeValid()
            self.mended += 1
        return geometry

    def tell_repairs(self, report: Reporter) -> None:
        """Say what was done to geometries."""
        if self.reprojected:
            report.say(f"{self.path} was reprojected to the template's coordinate reference system.")
        if self.flattened:
            report.say(f"{self.flattened} three-dimensional outlines were flattened.")
        if self.mended:
            report.warn(f"{self.mended} invalid outlines were mended.")
        if self.empty:
            report.warn(f"{self.empty} features without a geometry were left out.")


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

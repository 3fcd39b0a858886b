"""Outlines of the numbered regions of a raster, along the edges of its cells."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gwsa_qgis.errors import OutputNotWritable
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.gdal_setup import gdal, ogr
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.raster import open_dataset

LAYER, FIELD = "parts", "number"


def region_polygons(
    labels: str | Path, scratch: str | Path, grid: Grid, count: int, progress: Reporter
) -> Iterator[ogr.Geometry]:
    """Multipolygons of the regions 1 to `count`, in this order.

    Parts that meet at a corner alone are polygons of their own, so that each geometry is valid.

    Parameters
    ----------
    labels : path
        Whole numbers, 0 outside.
    scratch : path
        GeoPackage to work with.

    Raises
    ------
    OutputNotWritable
        If the disk has no room for it.
    """
    try:
        _polygonize(labels, scratch, progress)
        dataset = gdal.OpenEx(str(scratch), gdal.OF_VECTOR)
        # Sorted by SQLite, in its file: not all outlines are in memory at once.
        layer = dataset.ExecuteSQL("SELECT * FROM parts ORDER BY number")
    except RuntimeError as error:
        raise OutputNotWritable(f"{scratch} cannot be written ({error})", "free some space") from error
    number, parts = 0, None
    for feature in layer:
        if feature[FIELD] != number:
            if parts is not None:
                yield parts
            number, parts = feature[FIELD], ogr.Geometry(ogr.wkbMultiPolygon)
        for part in _valid(feature.GetGeometryRef()):
            parts.AddGeometry(part)
    if parts is not None:
        yield parts
    dataset.ReleaseResultSet(layer)


def _polygonize(labels: str | Path, scratch: str | Path, progress: Reporter) -> None:
    raster = open_dataset(labels)
    band = raster.GetRasterBand(1)
    dataset = gdal.GetDriverByName("GPKG").Create(str(scratch), 0, 0, 0, gdal.GDT_Unknown)
    layer = dataset.CreateLayer(LAYER, None, ogr.wkbPolygon, ["SPATIAL_INDEX=NO"])
    layer.CreateField(ogr.FieldDefn(FIELD, ogr.OFTInteger64))

    def report(fraction: float, message: str, data: object) -> int:
        progress(fraction)
        return 1

    layer.StartTransaction()
    gdal.Polygonize(band, band.GetMaskBand(), layer, 0, [], callback=report)
    layer.CommitTransaction()
    del layer, dataset


def _valid(polygon: ogr.Geometry) -> list[ogr.Geometry]:
    """Polygons of a geometry; a ring that touches itself is taken apart."""
    if not polygon.IsValid():
        polygon = polygon.MakeValid()
    if polygon.GetGeometryName() == "POLYGON":
        return [polygon]
    return [polygon.GetGeometryRef(number) for number in range(polygon.GetGeometryCount())]

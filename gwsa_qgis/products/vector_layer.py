"""Vector layers as GeoPackage: geometries with attributes, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import OutputNotWritable
from gwsa_qgis.rasters.gdal_setup import gdal, ogr, osr
from gwsa_qgis.rasters.writing import replacing


def write_features(
    path: str | Path,
    geometries: Iterable[ogr.Geometry],
    kind: int,
    crs: str,
    fields: Mapping[str, Sequence] | Iterable[Mapping[str, Sequence]],
    layer_name: str,
) -> Path:
    """Write geometries with attributes (texts, whole numbers or numbers; NaN becomes NULL), whole or not at all.

    Parameters
    ----------
    geometries : iterable of ogr.Geometry
        As many as each field has values.
    kind : int
        Type of the layer, such as ``ogr.wkbPoint``.
    crs : str
        WKT; may be empty.
    fields : mapping, or iterable of mappings
        Values by name; several mappings of the same names follow one another, so that not all need be in memory.

    Raises
    ------
    OutputNotWritable
        If the place cannot be written, or the name does not end in ``.gpkg``.
    """
    require_geopackage(path)
    with replacing(path) as temporary:
        try:
            _write(temporary, geometries, kind, crs, fields, layer_name)
        except RuntimeError as error:
            raise OutputNotWritable(
                f"{path} cannot be written ({str(error).strip()[:200]})", "give a folder with permission and free space"
            ) from error
    return Path(path)


def require_geopackage(path: str | Path) -> None:
    """Raise `OutputNotWritable` unless the name ends in ``.gpkg``."""
    if Path(path).suffix.lower() != ".gpkg":
        raise OutputNotWritable(f"{path} is no GeoPackage name", "end it in .gpkg")


def _write(
    path: Path,
    geometries: Iterable[ogr.Geometry],
    kind: int,
    crs: str,
    fields: Mapping[str, Sequence] | Iterable[Mapping[str, Sequence]],
    layer_name: str,
) -> None:
    reference = None
    if crs:
        reference = osr.SpatialReference(crs)
        reference.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    dataset = gdal.GetDriverByName("GPKG").Create(str(path), 0, 0, 0, gdal.GDT_Unknown)
    layer = dataset.CreateLayer(layer_name, reference, kind)
    parts = iter([fields] if isinstance(fields, Mapping) else fields)
    columns = _columns(next(parts))
    kinds = {"U": ogr.OFTString, "O": ogr.OFTString, "i": ogr.OFTInteger64, "b": ogr.OFTInteger64, "f": ogr.OFTReal}
    for name, values in columns.items():
        layer.CreateField(ogr.FieldDefn(name, kinds[values.dtype.kind]))
    definition = layer.GetLayerDefn()
    layer.StartTransaction()
    number = 0
    for geometry in geometries:
        if columns and number == len(next(iter(columns.values()))):
            columns, number = _columns(next(parts)), 0
        feature = ogr.Feature(definition)
        for position, values in enumerate(columns.values()):
            value = values[number]
            if values.dtype.kind != "f":
                feature.SetField(position, str(value) if values.dtype.kind in "UO" else int(value))
            elif np.isfinite(value):
                feature.SetField(position, float(value))
        feature.SetGeometry(geometry)
        layer.CreateFeature(feature)
        number += 1
    layer.CommitTransaction()


def _columns(fields: Mapping[str, Sequence]) -> dict[str, np.ndarray]:
    return {name: np.asarray(values) for name, values in fields.items()}

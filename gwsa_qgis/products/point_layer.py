"""Point layers as GeoPackage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from gwsa_qgis.products.vector_layer import require_geopackage, write_features
from gwsa_qgis.rasters.gdal_setup import ogr

__all__ = ["require_geopackage", "write_points"]


def write_points(
    path: str | Path, x: np.ndarray, y: np.ndarray, crs: str, fields: Mapping[str, Sequence], layer_name: str = "wells"
) -> Path:
    """Write points with attributes as `write_features` does."""
    points = (_point(float(a), float(b)) for a, b in zip(x, y, strict=True))
    return write_features(path, points, ogr.wkbPoint, crs, fields, layer_name)


def _point(x: float, y: float) -> ogr.Geometry:
    point = ogr.Geometry(ogr.wkbPoint)
    point.AddPoint_2D(x, y)
    return point

"""GDAL with its exceptions on, imported from here everywhere: they are off in a bare script on older GDAL."""

from __future__ import annotations

from osgeo import gdal, ogr, osr

gdal.UseExceptions()
ogr.UseExceptions()
osr.UseExceptions()

__all__ = ["gdal", "ogr", "osr"]

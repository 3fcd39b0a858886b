"""GDAL with its exceptions on, imported from here everywhere: they are off in a bare script on older GDAL."""

from __future__ import annotations

import os
import sys

from osgeo import gdal, ogr, osr

# GDAL keeps blocks in up to 5 % of the machine's memory, outside the budget of the steps. Inside QGIS the cache is
# QGIS's own; elsewhere it is held small, unless the user has said how large it may be.
CACHE_BYTES = 128 * 2**20

gdal.UseExceptions()
ogr.UseExceptions()
osr.UseExceptions()
if "qgis.core" not in sys.modules and "GDAL_CACHEMAX" not in os.environ:
    gdal.SetCacheMax(min(gdal.GetCacheMax(), CACHE_BYTES))

__all__ = ["gdal", "ogr", "osr"]

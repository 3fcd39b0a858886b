"""GDAL with its exceptions on, imported from here everywhere: they are off in a bare script on older GDAL."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from osgeo import gdal, ogr, osr

# GDAL keeps blocks in up to 5 % of the machine's memory, outside the budget of the steps. Inside QGIS the cache is
# QGIS's own; elsewhere it is held small, unless the user has said how large it may be.
CACHE_BYTES = 128 * 2**20

gdal.UseExceptions()
ogr.UseExceptions()
osr.UseExceptions()
if "qgis.core" not in sys.modules and "GDAL_CACHEMAX" not in os.environ:
    gdal.SetCacheMax(min(gdal.GetCacheMax(), CACHE_BYTES))

__all__ = ["gdal", "ogr", "one_unpacking_thread", "osr"]


@contextmanager
def one_unpacking_thread() -> Iterator[None]:
    """Let files that are opened within be unpacked by the thread that reads them, whatever ``GDAL_NUM_THREADS`` says.

    Windows are read by several threads anyway; and GDAL before 3.7.3 (issue 8470) waits for ever for its own threads when
    they unpack several tiles while those of another file wait to be packed.
    """
    usual = gdal.GetThreadLocalConfigOption("GDAL_NUM_THREADS")
    gdal.SetThreadLocalConfigOption("GDAL_NUM_THREADS", "1")
    try:
        yield
    finally:
        gdal.SetThreadLocalConfigOption("GDAL_NUM_THREADS", usual)

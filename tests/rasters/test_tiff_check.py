"""Files that end before what they promise."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from gwsa_qgis.errors import OutputNotWritable
from gwsa_qgis.rasters.gdal_setup import gdal
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.raster import create_raster
from gwsa_qgis.rasters.tiff_check import missing_bytes

OPTIONS = [
    ["TILED=YES", "BLOCKXSIZE=16", "BLOCKYSIZE=16", "INTERLEAVE=BAND", "COMPRESS=DEFLATE"],
    ["BIGTIFF=YES", "TILED=YES", "BLOCKXSIZE=32", "BLOCKYSIZE=16", "INTERLEAVE=BAND"],
    ["BIGTIFF=YES", "COMPRESS=DEFLATE"],
    ["ENDIANNESS=BIG", "INTERLEAVE=PIXEL"],
    ["SPARSE_OK=TRUE", "TILED=YES", "BLOCKXSIZE=16", "BLOCKYSIZE=16"],
]


@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
def test_whole_and_cut_files(tmp_path, options):
    path = tmp_path / "a.tif"
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), 70, 50, 12, gdal.GDT_Float32, options)
    values = np.random.default_rng(1).normal(size=(50, 70))
    for band in range(1, 12 if "SPARSE_OK=TRUE" in options else 13):
        dataset.GetRasterBand(band).WriteArray(values)
    dataset = None
    assert missing_bytes(path) == 0
    whole = path.read_bytes()
    for share in (0.95, 0.6, 0.3):
        path.write_bytes(whole[: int(share * len(whole))])
        try:
            missing = missing_bytes(path)
        except (OSError, struct.error):  # the directory itself is cut
            continue
        assert missing > 0


def test_an_output_that_the_disk_did_not_take_is_refused(tmp_path, monkeypatch):
    """As GDAL 3.13 leaves it: closed without a word, and too short."""
    from gwsa_qgis.rasters import raster

    usual = raster.RasterWriter.close

    def close(writer):
        usual(writer)
        (hidden,) = tmp_path.glob(".*.tif")
        hidden.write_bytes(hidden.read_bytes()[:-200])

    monkeypatch.setattr(raster.RasterWriter, "close", close)
    grid = Grid(0.0, 10.0, 0.5, 0.5, 20, 20, geographic_crs())
    values = np.random.default_rng(1).normal(size=(3, 20, 20))
    with pytest.raises(OutputNotWritable, match="did not take"), create_raster(tmp_path / "a.tif", grid, 3) as writer:
        writer.write(values)
    assert list(tmp_path.iterdir()) == []

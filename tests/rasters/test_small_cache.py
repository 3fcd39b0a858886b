"""Files read and written with a small cache of GDAL, whose own threads pack and would unpack tiles."""

import os
import subprocess
import sys

import numpy as np
import pytest

from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.raster import Raster, create_raster

GRID = Grid(0.0, 50.0, 0.01, 0.01, 1440, 720, geographic_crs())
BANDS = 8

BACK = """
import sys
import numpy as np
from gwsa_qgis.rasters.raster import Raster, create_raster

with Raster(sys.argv[1]) as raster, create_raster(sys.argv[2], raster.grid, raster.bands) as writer:
    values = raster.read()
    writer.write(values)
    for row, rows in ((0, 100), (100, 300), (400, 320)):
        for band in range(raster.bands):
            found = writer.read(row, 30, rows, 1400, band)
            assert np.array_equal(found, values[band, row : row + rows, 30:1430])
print("the same")
"""
BESIDE = """
import sys
from gwsa_qgis.rasters.raster import Raster, create_raster

with Raster(sys.argv[1]) as raster, create_raster(sys.argv[2], raster.grid, raster.bands) as writer:
    for column in range(0, raster.grid.columns, 720):
        part = slice(column, column + 720)
        writer.write(raster.read(columns=part), 0, column)
print("the same")
"""


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """A file of some tiles: 33 MB, eight times the cache."""
    path = tmp_path_factory.mktemp("noise") / "noise.tif"
    with create_raster(path, GRID, BANDS) as writer:
        writer.write(np.random.default_rng(0).normal(size=(BANDS, *GRID.shape)).astype(np.float32))
    return path


@pytest.mark.parametrize("program", [BACK, BESIDE], ids=["what was written", "another file"])
def test_tiles_are_read_while_others_are_packed(noise, tmp_path, program):
    """GDAL before 3.7.3 waits for its threads for ever where it unpacks several tiles at once."""
    out = tmp_path / "out.tif"
    environment = os.environ | {"GDAL_CACHEMAX": "4", "GDAL_NUM_THREADS": "2"}
    command = [sys.executable, "-c", program, str(noise), str(out)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout == "the same\n", done.stderr
    with Raster(noise) as before, Raster(out) as after:
        np.testing.assert_array_equal(after.read(), before.read())

"""Stacks whose tiles are not the usual ones: windows and results go along with them, and values stay what they are."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from osgeo import gdal

from gwsa_qgis.months import month_range
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.raster import Raster
from gwsa_qgis.rasters.stack import create_stack
from gwsa_qgis.rasters.windows import tile_taken_over
from gwsa_qgis.steps.accumulate import accumulate
from gwsa_qgis.steps.attribution import attribution
from gwsa_qgis.steps.droughtindex import droughtindex
from gwsa_qgis.steps.latitudeprofile import latitudeprofile
from gwsa_qgis.steps.seasonality import seasonality
from gwsa_qgis.steps.trend import trend
from gwsa_qgis.steps.trend_inputs import open_input
from gwsa_qgis.steps.trendbreak import trendbreak

MONTHS = month_range("2004-01", "2013-12")
GRID = Grid(70.0, 32.0, 1 / 120, 1 / 120, 150, 130, geographic_crs())
SIDE = 80


@pytest.fixture(scope="module")
def stacks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiles")
    rng = np.random.default_rng(5)
    values = rng.normal(scale=4, size=(MONTHS.size, *GRID.shape)) - 0.05 * np.arange(MONTHS.size)[:, None, None]
    values[:, 60:100, 50:90] = np.nan
    for side in (SIDE, 256):
        with create_stack(
            folder / f"{side}.tif", GRID, MONTHS, quantity="groundwater storage anomaly", tile=side
        ) as out:
            out.write(values.astype(np.float32))
    coarse = GRID.coarsen(10)
    with create_stack(folder / "natural.tif", coarse, MONTHS, quantity="groundwater storage") as out:
        out.write(rng.normal(scale=2, size=(MONTHS.size, *coarse.shape)).astype(np.float32))
    return folder


def outputs(step, path, folder, memory_mb):
    """Run a step; gives its raster."""
    at = lambda name: str(folder / f"{name}.tif")  # noqa: E731
    common = {"memory_mb": memory_mb, "workers": 2}
    runs = {
        "accumulate": partial(accumulate, path, at("o")),
        "attribution": partial(attribution, path, path.parent / "natural.tif", at("o"), at("s"), at("p")),
        "droughtindex": partial(droughtindex, path, at("o"), minimum_years=5),
        "latitudeprofile": partial(latitudeprofile, path, at("o")),
        "seasonality": partial(seasonality, path, at("o")),
        "trend": partial(trend, path, at("o"), at("p")),
        "trendbreak": partial(trendbreak, path, "2009", at("o"), at("p")),
    }
    runs[step](**common)
    return at("o")


@pytest.mark.parametrize("memory_mb", [6, 512], ids=["parts of tiles", "whole tiles"])
@pytest.mark.parametrize("step", ["accumulate", "attribution", "droughtindex", "latitudeprofile", "seasonality", "trend",
                                  "trendbreak"])  # fmt: skip
def test_values_do_not_depend_on_the_tiles(stacks, tmp_path, step, memory_mb):
    found = []
    for side in (SIDE, 256):
        (tmp_path / str(side)).mkdir()
        with Raster(outputs(step, stacks / f"{side}.tif", tmp_path / str(side), memory_mb)) as raster:
            found.append(raster.read())
            blocks = raster.dataset.GetRasterBand(1).GetBlockSize()
        if side == SIDE and memory_mb > 100 and step not in ("latitudeprofile", "seasonality"):
            assert blocks == [SIDE, SIDE]
    assert np.isfinite(found[0]).any()
    np.testing.assert_array_equal(*found)


def test_windows_of_trends_are_whole_tiles(stacks):
    data = open_input(stacks / f"{SIDE}.tif", None, None, True, True, Reporter())
    assert data.tile == data.tile_written(40) == SIDE
    for window in data.windows(40):
        assert window.row % SIDE == window.column % SIDE == 0
    assert len(data.windows(40)) > 1
    assert data.tile_written(2) == SIDE  # parts of tiles are put together again


def test_large_tiles_are_taken_over_where_the_budget_holds_one():
    grid = Grid(70.0, 32.0, 1 / 120, 1 / 120, 2000, 2000, geographic_crs())
    for side, bytes_per_cell, taken in ((512, 1000, 512), (512, 3000, 256), (240, 9000, 240), (1024, 400, 1024)):
        assert tile_taken_over(side, grid, bytes_per_cell, 500) == taken


@pytest.mark.parametrize("step", ["accumulate", "attribution", "droughtindex", "trend"])
def test_what_is_written_of_large_tiles_has_the_usual_ones(tmp_path, step):
    grid = Grid(70.0, 32.0, 1 / 120, 1 / 120, 300, 310, geographic_crs())
    values = np.random.default_rng(6).normal(size=(60, *grid.shape)).astype(np.float32)
    for path, on in (("large.tif", grid), ("natural.tif", grid.coarsen(10))):
        with create_stack(tmp_path / path, on, MONTHS[:60], quantity="groundwater storage anomaly", tile=512) as out:
            out.write(values[:, : on.rows, : on.columns])
    with Raster(outputs(step, tmp_path / "large.tif", tmp_path, 16)) as raster:
        assert raster.dataset.GetRasterBand(1).GetBlockSize() == [256, 256]


def test_a_file_of_one_large_tile_is_read_in_parts(stacks, tmp_path):
    source = gdal.Open(str(stacks / "256.tif"))
    options = ["TILED=YES", "BLOCKXSIZE=512", "BLOCKYSIZE=512", "COMPRESS=DEFLATE"]
    gdal.GetDriverByName("GTiff").CreateCopy(str(tmp_path / "large.tif"), source, options=options)
    found = []
    for path in (tmp_path / "large.tif", stacks / "256.tif"):
        (tmp_path / path.stem).mkdir()
        with Raster(outputs("trend", path, tmp_path / path.stem, 8)) as raster:
            found.append(raster.read())
    np.testing.assert_array_equal(*found)

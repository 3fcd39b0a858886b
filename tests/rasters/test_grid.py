"""Grids: nesting, areas, CRS."""

from __future__ import annotations

import numpy as np
import pytest

from gwsa_qgis.errors import GridMismatch
from gwsa_qgis.rasters.gdal_setup import gdal, osr
from gwsa_qgis.rasters.grid import Grid, geographic_crs, grid_from_centres


@pytest.fixture
def quarter() -> Grid:
    return Grid(-105.0, 42.0, 0.25, 0.25, 44, 40, geographic_crs())


def test_refine_and_coarsen_are_inverse(quarter):
    assert quarter.refine(30).coarsen(30).matches(quarter)
    assert quarter.refine(30).factor_to(quarter) == 30


def test_origins_rounded_in_headers_still_nest(quarter):
    fine = quarter.refine(30)
    # CHELSA's origin is off by 0.00014 deg of a 0.0083 deg cell.
    shifted = Grid(fine.west - 0.00014, fine.north - 0.00014, fine.dx, fine.dy, fine.columns, fine.rows, fine.crs)
    assert shifted.factor_to(quarter) == 30


@pytest.mark.parametrize("change", [{"west": -104.9}, {"dx": 0.26}, {"rows": 39}])
def test_grids_that_do_not_nest_name_both(quarter, change):
    fine = quarter.refine(5)
    values = {**{k: getattr(quarter, k) for k in ("west", "north", "dx", "dy", "columns", "rows", "crs")}, **change}
    with pytest.raises(GridMismatch) as caught:
        fine.factor_to(Grid(**values), "the map", "the data")
    assert "the map" in str(caught.value) and "the data" in str(caught.value)


def test_other_crs_is_named(quarter):
    utm = osr.SpatialReference()
    utm.ImportFromEPSG(32613)
    other = Grid(quarter.west, quarter.north, quarter.dx, quarter.dy, quarter.columns, quarter.rows, utm.ExportToWkt())
    with pytest.raises(GridMismatch, match="EPSG:32613"):
        quarter.require_match(other, "one", "two")


def test_areas_add_up_to_the_sphere():
    globe = Grid(-180, 90, 0.5, 0.5, 720, 360, geographic_crs())
    total = (globe.row_areas_km2() * globe.columns).sum()
    assert total == pytest.approx(4 * np.pi * 6371.0088**2, rel=1e-12)


def test_south_up_files_give_the_flipped_grid(tmp_path):
    from gwsa_qgis.rasters.raster import Raster

    path = str(tmp_path / "south_up.tif")
    data = gdal.GetDriverByName("GTiff").Create(path, 3, 2, 1, gdal.GDT_Float32)
    data.SetGeoTransform((10, 1, 0, 20, 0, 1))
    data.GetRasterBand(1).WriteArray(np.array([[1, 2, 3], [4, 5, 6]], np.float32))
    data = None
    with Raster(path) as raster:
        assert (raster.grid.north, raster.grid.south) == (22, 20)
        np.testing.assert_array_equal(raster.read()[0], [[4, 5, 6], [1, 2, 3]])
        np.testing.assert_array_equal(raster.read(rows=slice(1, 2), columns=slice(1, 3))[0], [[2, 3]])


def test_grid_from_centres_survives_float32():
    longitudes = np.arange(0.125, 360, 0.25, dtype=np.float32)
    latitudes = np.arange(-89.875, 90, 0.25, dtype=np.float32)
    grid = grid_from_centres(longitudes, latitudes)
    assert (grid.west, grid.north, grid.dx, grid.dy) == (0, 90, 0.25, 0.25)


def test_uneven_centres_are_refused():
    with pytest.raises(GridMismatch, match="evenly"):
        grid_from_centres(np.array([0.0, 1.0, 3.0]), np.array([0.0, 1.0, 2.0]))

"""GLDAS' and a hydrological model's own files; the second opinion is GDAL's raster interface."""

import shutil

import numpy as np
import pytest
from osgeo import gdal

from gwsa_qgis.errors import UnreadableInput
from gwsa_qgis.products import registry
from gwsa_qgis.products.background import BACKGROUND
from gwsa_qgis.products.gldas import GldasFile
from gwsa_qgis.products.gldas_reading import read_storages
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.steps.importgldas import importgldas
from gwsa_qgis.steps.monthlystack import monthlystack

pytestmark = pytest.mark.real
gdal.UseExceptions()
SOIL = ("SoilMoi0_10cm_inst", "SoilMoi10_40cm_inst")


class TwoLayers(GldasFile):
    """The real file holds two of the four layers."""

    @property
    def layers(self):
        return {"SMS": tuple(name.removesuffix("_inst") for name in SOIL)}


@pytest.mark.parametrize("hour", ["0300", "1500"])
def test_sum_of_layers_at_twenty_places(shared_data, hour):
    path = shared_data / f"gldas/GLDAS_NOAH025_3H.A20160101.{hour}.021.nc4"
    grid = Grid(-180.0, 90.0, 0.25, 0.25, 1440, 600, geographic_crs())
    file = TwoLayers(path, "NOAH025", "2.1", np.datetime64("2016-01", "M"))
    mine = read_storages(file, grid, ["SMS"])["SMS"]
    plain = [gdal.Open(f'NETCDF:"{path}":{name}') for name in SOIL]
    theirs = sum(p.ReadAsArray().astype(float) for p in plain)
    west, dx, _, north, _, dy = plain[0].GetGeoTransform()
    land = np.argwhere(np.isfinite(mine))
    assert 150_000 < len(land) < 300_000
    rng = np.random.default_rng(11)
    places = [*rng.choice(land, 20), *rng.choice(np.argwhere(np.isnan(mine)), 20)]
    for row, column in places:
        x = int((grid.longitudes()[column] - west) / dx)
        y = int((grid.latitudes()[row] - north) / dy)
        value = theirs[y, x]
        if value == -2 * 9999:
            assert np.isnan(mine[row, column])
        else:
            assert mine[row, column] == np.float32(value / 10)


def test_a_real_file_that_lacks_layers_and_one_cut_off(shared_data, tmp_path):
    source = shared_data / "gldas/GLDAS_NOAH025_3H.A20160101.0300.021.nc4"
    path = tmp_path / "GLDAS_NOAH025_M.A201601.021.nc4"
    shutil.copy(source, path)
    with pytest.raises(
        UnreadableInput, match="lacks SoilMoi40_100cm_inst; it has SoilMoi0_10cm_inst, SoilMoi10_40cm_inst"
    ):
        importgldas([path], tmp_path / "s.tif")
    path.write_bytes(source.read_bytes()[:200_000])
    with pytest.raises(UnreadableInput, match="A201601"):
        importgldas([path], tmp_path / "s.tif")


def test_groundwater_of_clsm_at_twenty_places_and_dates(shared_data, tmp_path, monkeypatch):
    monkeypatch.setitem(registry.PRODUCTS, BACKGROUND.name, BACKGROUND)
    path = shared_data / "bangladesh/GLDAS_22_CLSM_GWS_M_2003_2017_BGD_025.nc4"
    with pytest.raises(UnreadableInput, match="gwsa in .* does not name its unit; .*SCALE"):
        monthlystack([path], tmp_path / "o.tif", product="background")
    result = monthlystack([path], tmp_path / "o.tif", product="background", scale=0.1)
    assert (result.first, result.last, result.missing, result.unit) == ("2003-02", "2017-05", (), "cm")
    assert "assimilates GRACE" in result.warnings[0]
    plain = gdal.Open(f'NETCDF:"{path}":gwsa')
    west, dx, _, north, _, dy = plain.GetGeoTransform()
    with MonthlyStack(tmp_path / "o.tif") as stack:
        data, grid = stack.read(), stack.grid
    land = np.argwhere(np.isfinite(data))
    for month, row, column in np.random.default_rng(12).choice(land, 20):
        x = int((grid.longitudes()[column] - west) / dx)
        y = int((grid.latitudes()[row] - north) / dy)
        theirs = plain.GetRasterBand(int(month) + 1).ReadAsArray(x, y, 1, 1)[0, 0]
        assert data[month, row, column] == pytest.approx(theirs * np.float32(0.1), rel=1e-6)

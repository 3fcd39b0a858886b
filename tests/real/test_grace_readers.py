"""GRACE on the providers' own files; the second opinion is GDAL's raster interface, which shares no code."""

import numpy as np
import pytest
from osgeo import gdal

from gwsa_qgis.errors import GridMismatch, UnreadableInput
from gwsa_qgis.products.grace import recognise
from gwsa_qgis.rasters.raster import Raster
from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.steps.importgrace import importgrace

pytestmark = pytest.mark.real
gdal.UseExceptions()


def test_bangladesh_storage_at_twenty_places(shared_data, tmp_path):
    source = shared_data / "bangladesh/TWSA_M_2002_2017_BGD_025.nc4"
    assert recognise(source)
    result = importgrace(source, tmp_path / "t.tif", unit="mm")
    assert result.warnings == () and result.product == "plain TWSA file"
    plain = gdal.Open(f'NETCDF:"{source}":twsa')
    west, dx, _, north, _, dy = plain.GetGeoTransform()
    random, seen = np.random.default_rng(8), 0
    with MonthlyStack(tmp_path / "t.tif") as stack:
        values, grid = stack.read(), stack.grid
    for _ in range(20):
        band, row, column = (int(random.integers(n)) for n in values.shape)
        x = int((grid.longitudes()[column] - west) / dx)
        y = int((grid.latitudes()[row] - north) / dy)
        theirs = plain.GetRasterBand(band + 1).ReadAsArray(x, y, 1, 1)[0, 0]
        mine = values[band, row, column]
        assert (np.isnan(mine) and np.isnan(theirs)) or mine == pytest.approx(theirs / 10, rel=1e-6)
        seen += np.isfinite(mine)
    assert seen > 10


def test_unit_against_the_size_of_real_values(shared_data, tmp_path):
    source = shared_data / "bangladesh/TWSA_M_2002_2017_BGD_025.nc4"
    told = importgrace(source, tmp_path / "t.tif", unit="cm").warnings
    assert any("they may be in mm" in text for text in told)
    told = importgrace(source, tmp_path / "t.tif", unit="m").warnings
    assert any("the unit contradicts the values" in text for text in told)


@pytest.mark.parametrize(
    "name",
    [
        "bangladesh/PR_AET_M_2002_2017_BGD_025.nc4",
        "bangladesh/NDVI_M_2002_2017_BGD_025.nc4",
        "bangladesh/DEM_BGD_025.nc4",
        "bangladesh/GLDAS_22_CLSM_GWS_M_2003_2017_BGD_025.nc4",
        "gldas/GLDAS_NOAH025_3H.A20160101.0300.021.nc4",
        "gldas/GLDASp4_landmask_025d.nc4",
        "grace_mascon/jpl_msc3d_gris_ais_masks.nc",
        "masks/gravity_toolkit_landsea_qd.nc",
    ],
)
def test_files_of_other_quantities_are_refused(shared_data, tmp_path, name):
    assert not recognise(shared_data / name)
    with pytest.raises(UnreadableInput, match="no variables of terrestrial water storage"):
        importgrace(shared_data / name, tmp_path / "t.tif", unit="mm")


def test_mask_of_another_grid(shared_data, tmp_path):
    source = shared_data / "bangladesh/TWSA_M_2002_2017_BGD_025.nc4"
    mask = shared_data / "masks/gravity_toolkit_landsea_qd.nc"
    with pytest.raises(GridMismatch, match="the land mask .*landsea_qd.nc .* has other cells than .*TWSA_M_2002"):
        importgrace(source, tmp_path / "t.tif", unit="mm", land_mask=tmp_path / "m.tif", land_mask_file=mask)
    assert not list(tmp_path.glob("*.tif"))


def test_native_mask_from_0_to_360_beside_data_from_minus_180(shared_data, tmp_path):
    """JPL's own half degree mask of Greenland on data that count the other way."""
    root = (dataset := gdal.GetDriverByName("netCDF").CreateMultiDimensional(str(tmp_path / "d.nc"))).GetRootGroup()
    real, text = gdal.ExtendedDataType.Create(gdal.GDT_Float64), gdal.ExtendedDataType.CreateString()
    axes = {"time": np.array([2004.0417, 2004.125]), "lat": np.arange(59.75, 85, 0.5), "lon": np.arange(-79.75, 0, 0.5)}
    sizes = [root.CreateDimension(name, None, None, values.size) for name, values in axes.items()]
    for size, (name, values) in zip(sizes, axes.items(), strict=True):
        root.CreateMDArray(name, [size], real).Write(values)
    array = root.CreateMDArray("lwe_thickness", sizes, real)
    array.CreateAttribute("Units", [], text).Write("cm")
    array.Write(np.random.default_rng(1).normal(0, 9, [values.size for values in axes.values()]))
    sizes.clear()
    del array, size, root, dataset
    mask = f'NETCDF:"{shared_data / "grace_mascon/jpl_msc3d_gris_ais_masks.nc"}":gris_mask_jplmsc3deg'
    importgrace(tmp_path / "d.nc", tmp_path / "t.tif", land_mask=tmp_path / "m.tif", land_mask_file=mask)
    plain = gdal.Open(mask)
    west, dx, _, north, _, dy = plain.GetGeoTransform()
    theirs = plain.ReadAsArray()
    with Raster(tmp_path / "m.tif") as raster:
        mine, grid = np.isfinite(raster.read()[0]), raster.grid
    columns = (((grid.longitudes() - west) % 360) / dx).astype(int)
    rows = ((grid.latitudes() - north) / dy).astype(int)
    assert np.array_equal(mine, theirs[rows][:, columns] == 1) and 0.1 < mine.mean() < 0.9


@pytest.mark.parametrize("name", ["CSR_RL0603_xarray_repr.txt", "JPL_mascon_xarray_repr.txt"])
def test_names_that_the_readers_look_for_are_in_the_native_headers(shared_data, name):
    from gwsa_qgis.products.grace import CSR, JPL

    text = (shared_data / "native_headers" / name).read_text(encoding="utf-8")
    product = CSR if name.startswith("CSR") else JPL
    assert f"{product.storage[0]} " in text and ("Units :" in text) == (product is CSR)
    if product is JPL:
        wanted = [product.uncertainty[0], "land_mask", "scale_factor", "mascon_ID"]
        assert all(f"{variable} " in text for variable in wanted)

"""Readers on the providers' own files; the second opinion is GDAL's raster interface, which shares no code with them."""

import re

import numpy as np
import pytest
from osgeo import gdal, ogr

from gwsa_qgis.errors import InvalidParameter, UnreadableInput
from gwsa_qgis.months import month_range
from gwsa_qgis.products.cf_time import parse_missing
from gwsa_qgis.products.cube import NetcdfFile
from gwsa_qgis.products.registry import choose_product
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.raster import Raster, write_single
from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.steps.aquiferclasses import aquiferclasses
from gwsa_qgis.steps.glaciermask import glaciermask
from gwsa_qgis.steps.importgldas import importgldas
from gwsa_qgis.steps.importgrace import importgrace
from gwsa_qgis.steps.monthlystack import monthlystack
from gwsa_qgis.steps.preparepredictors import preparepredictors
from gwsa_qgis.steps.watermask import watermask

pytestmark = pytest.mark.real
gdal.UseExceptions()


@pytest.mark.parametrize(
    ("file", "variable"),
    [
        ("gldas/GLDAS_NOAH025_3H.A20160101.0300.021.nc4", "SoilMoi0_10cm_inst"),
        ("gldas/GLDAS_NOAH025_3H.A20160101.1500.021.nc4", "SoilMoi10_40cm_inst"),
        ("gldas/GLDASp4_landmask_025d.nc4", "GLDAS_mask"),
        ("grace_mascon/jpl_msc3d_gris_ais_masks.nc", "gris_mask_jplmsc3deg"),
        ("grace_mascon/jpl_msc3d_gris_ais_masks.nc", "ais_mask_jplmsc3deg"),
        ("masks/gravity_toolkit_landsea_qd.nc", "LSMASK"),
        ("bangladesh/TWSA_M_2002_2017_BGD_025.nc4", "twsa"),
        ("bangladesh/PR_AET_M_2002_2017_BGD_025.nc4", "aet"),
        ("bangladesh/NDVI_M_2002_2017_BGD_025.nc4", "NDVI"),
        ("bangladesh/GLDAS_22_CLSM_GWS_M_2003_2017_BGD_025.nc4", "gwsa"),
        ("bangladesh/DEM_BGD_025.nc4", "dem"),
    ],
)
def test_twenty_random_places_and_dates(shared_data, file, variable):
    plain = gdal.Open(f'NETCDF:"{shared_data / file}":{variable}')
    west, dx, _, north, _, dy = plain.GetGeoTransform()
    rng = np.random.default_rng(5)
    with NetcdfFile(shared_data / file).cube(variable) as cube:
        assert cube.bands == plain.RasterCount
        for _ in range(20):
            row, column, band = (int(rng.integers(n)) for n in (cube.grid.rows, cube.grid.columns, cube.bands))
            mine = cube.read(slice(row, row + 1), slice(column, column + 1), [band])[0, 0, 0]
            longitude, latitude = cube.grid.longitudes()[column], cube.grid.latitudes()[row]
            x = int(((longitude - west) / dx) % (360 / dx))
            y = int((latitude - north) / dy)
            theirs = plain.GetRasterBand(band + 1).ReadAsArray(x, y, 1, 1)[0, 0]
            if theirs == -9999 or np.isnan(theirs):
                assert np.isnan(mine)
            else:
                assert mine == np.float32(theirs)


def test_longitudes_and_rows_stand_where_the_earth_has_them(shared_data):
    path = shared_data / "grace_mascon/jpl_msc3d_gris_ais_masks.nc"
    with NetcdfFile(path).cube("gris_mask_jplmsc3deg") as cube:
        assert cube.grid.extent == (-180, -90, 180, 90)
        greenland = cube.read()[0]
        at = {name: greenland[int((90 - lat) / 0.5), int((lon + 180) / 0.5)] for name, lon, lat in (
            ("Greenland", -40, 75), ("Siberia", 100, 65), ("mirrored", -40, -75), ("Atlantic", 40, 75))}  # fmt: skip
        assert at == {"Greenland": 1, "Siberia": 0, "mirrored": 0, "Atlantic": 0}
    with NetcdfFile(shared_data / "bangladesh/DEM_BGD_025.nc4").cube("") as cube:
        height = cube.read()[0]
    assert np.isnan(height[18:]).any() and not np.isnan(height[:18]).any()  # the sea is in the south


@pytest.mark.parametrize(
    ("dump", "solutions"), [("CSR_RL0603_xarray_repr.txt", 247), ("JPL_mascon_xarray_repr.txt", 215)]
)
def test_native_lists_of_missing_months_leave_as_many_as_there_are_solutions(shared_data, dump, solutions):
    text = re.sub(r"<[^>]*>", "", (shared_data / "native_headers" / dump).read_text(encoding="utf-8"))
    keys = ("months_missing", "time_coverage_start", "time_coverage_end")
    tags = {key: re.search(rf"{key} :\n(.+)", text)[1] for key in keys}
    missing = parse_missing(tags["months_missing"], dump)
    covered = month_range(tags["time_coverage_start"][:7], tags["time_coverage_end"][:7])
    assert (~np.isin(covered, missing)).sum() == solutions == int(re.search(r"time: (\d+)", text)[1])


def test_bangladesh_storage(shared_data, tmp_path):
    source = shared_data / "bangladesh/TWSA_M_2002_2017_BGD_025.nc4"
    with pytest.raises(InvalidParameter, match="does not name its unit"):
        importgrace(source, tmp_path / "twsa.tif")
    result = importgrace(source, tmp_path / "twsa.tif", unit="mm", mascons=tmp_path / "mascons.tif")
    assert (result.first, result.last, result.solutions) == ("2002-04", "2017-05", 182)
    assert 30 < result.mascon_count < 100  # 504 land cells of 0.25 deg, mascons of about 1 deg
    with MonthlyStack(tmp_path / "twsa.tif") as stack:
        data = stack.read()
        assert np.isnan(data).all(axis=0).sum() == 72
        base = stack.positions(month_range("2004-01", "2009-12"))
        assert np.nanmax(np.abs(data[base].mean(axis=0))) < 1e-5  # zero by the source's own account (1e-5 mm = 1e-6 cm)
        plain = gdal.Open(f'NETCDF:"{source}":twsa')
    theirs = plain.ReadAsArray()[:, :: (1 if plain.GetGeoTransform()[5] < 0 else -1)]
    assert np.allclose(data, theirs / 10, atol=1e-5, equal_nan=True)


def test_gldas_three_hourly_is_refused_by_name(shared_data, tmp_path):
    with pytest.raises(UnreadableInput, match="not monthly"):
        importgldas(shared_data / "gldas", tmp_path / "sms.tif")


def test_truncated_netcdf(shared_data, tmp_path):
    whole = (shared_data / "gldas/GLDAS_NOAH025_3H.A20160101.0300.021.nc4").read_bytes()
    (tmp_path / "cut.nc4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnreadableInput, match="cut.nc4"):
        NetcdfFile(tmp_path / "cut.nc4").cube("SoilMoi0_10cm_inst").read()


def test_chelsa_holds_a_hundred_times_too_much(shared_data, tmp_path):
    folder = shared_data / "mapme_sierra_de_neiba/chelsa"
    messages = []
    result = monthlystack(None, tmp_path / "pr.tif", folder=folder, progress=lambda f, m: messages.append(m))
    assert result.product == "chelsa" and (result.first, result.last) == ("2010-01", "2010-12")
    assert any(m.startswith("Warning") and "SCALE 0.01" in m for m in messages)
    mended = monthlystack(None, tmp_path / "pr.tif", folder=folder, scale=0.01)
    assert not mended.warnings and 50 < mended.mean < 400
    raw = gdal.Open(str(folder / "CHELSA_pr_07_2010_V.2.1.tif")).ReadAsArray()
    with MonthlyStack(tmp_path / "pr.tif") as stack:
        july = stack.read_months(np.array(["2010-07"], "datetime64[M]"))[0]
    assert np.allclose(july, np.where(raw == 65535, np.nan, raw * 0.01), rtol=1e-5, equal_nan=True)


@pytest.mark.parametrize(
    ("folder", "pattern", "first", "last"),
    [
        ("chirps", "*.tif", "2010-01", "2010-12"),
        ("worldclim_precipitation", "*.tif", "2018-01", "2018-12"),
        ("worldclim_max_temperature", "*.tif", "2018-01", "2018-12"),
    ],
)
def test_other_monthly_files(shared_data, tmp_path, folder, pattern, first, last):
    place = shared_data / "mapme_sierra_de_neiba" / folder
    result = monthlystack(None, tmp_path / "o.tif", folder=place, pattern=pattern)
    assert (result.product, result.first, result.last, result.missing) == ("generic", first, last, ())


def test_bangladesh_fluxes_become_predictors(shared_data, tmp_path):
    folder = shared_data / "bangladesh"
    template = write_single(
        tmp_path / "t.tif", Grid(87.99, 25.95, 0.25, 0.25, 16, 12, geographic_crs()), np.ones((12, 16), np.float32)
    )
    inputs = {
        "pr": f'NETCDF:"{folder / "PR_AET_M_2002_2017_BGD_025.nc4"}":pr',
        "aet": f'NETCDF:"{folder / "PR_AET_M_2002_2017_BGD_025.nc4"}":aet',
        "ndvi": folder / "NDVI_M_2002_2017_BGD_025.nc4",
        "dem": folder / "DEM_BGD_025.nc4",
    }
    result = preparepredictors(inputs, template, 4, tmp_path / "fine", tmp_path / "coarse")
    rows = {row.name: row for row in result.rows}
    assert (result.first, result.last) == ("2002-04", "2017-05") and rows["dem"].months == 0
    assert all("cut out" in row.alignment for row in result.rows)
    assert not any(row.odd for row in result.rows)
    with MonthlyStack(tmp_path / "fine" / "pr.tif") as stack, NetcdfFile(inputs["pr"]).cube("") as cube:
        assert np.allclose(stack.read(), cube.read(slice(3, 15), slice(3, 19)), equal_nan=True)
        july = stack.read(bands=[k for k, m in enumerate(stack.months) if str(m).endswith("-07")])
        january = stack.read(bands=[k for k, m in enumerate(stack.months) if str(m).endswith("-01")])
        assert np.nanmean(july) > 10 * np.nanmean(january)  # the monsoon


def test_jrc_tile(shared_data, tmp_path):
    path = next((shared_data / "jrc_gsw").glob("*.tif"))
    with Raster(path) as raster:
        tile, values = raster.grid, raster.read()[0]
    assert tile.shape == (128, 128)
    grid = tile.coarsen(8)
    template = write_single(tmp_path / "t.tif", grid, np.ones(grid.shape, np.float32))
    result = watermask([path], template, tmp_path / "m.tif", threshold=0.25)
    blocks = values.reshape(16, 8, 16, 8)
    water, known = ((blocks == 3).sum(axis=(1, 3)), (blocks > 0).sum(axis=(1, 3)))
    expected = (known >= 32) & (water < 0.25 * known)
    with Raster(tmp_path / "m.tif") as raster:
        assert np.array_equal(np.isfinite(raster.read()[0]), expected)
    assert result.years == (1984,) and 0 < expected.sum() < expected.size


def test_two_years_of_one_place(shared_data, tmp_path):
    paths = sorted((shared_data / "mapme_sierra_de_neiba/gsw_time_series").glob("*.tif"))
    with Raster(paths[0]) as raster:
        tile = raster.grid
    grid = Grid(tile.west, tile.north, tile.dx * 20, tile.dy * 20, tile.columns // 20, tile.rows // 20, tile.crs)
    template = write_single(tmp_path / "t.tif", grid, np.ones(grid.shape, np.float32))
    both = watermask(paths, template, tmp_path / "m.tif")
    assert both.years == (2000, 2001)
    years = [watermask([path], template, tmp_path / "one.tif") for path in paths]
    assert both.unknown_share <= min(y.unknown_share for y in years)


@pytest.mark.parametrize("name", ["rgi_oetztal", "rgi7g_hef_complex", "rgi7c_hef"])
def test_glacier_area_by_the_outlines_own_account(shared_data, tmp_path, name):
    path = shared_data / f"masks/rgi/{name}.shp"
    dataset = gdal.OpenEx(str(path), gdal.OF_VECTOR)
    layer = dataset.GetLayer(0)
    field = "Area" if "oetztal" in name else "area_km2"
    area = sum(feature.GetField(field) for feature in layer)
    three_d = bool(ogr.GT_HasZ(layer.GetGeomType()))
    grid = Grid(10.68, 46.96, 0.0025, 0.0025, 148, 84, geographic_crs())
    template = write_single(tmp_path / "t.tif", grid, np.ones(grid.shape, np.float32))
    result = glaciermask(path, template, tmp_path / "m.tif")
    with Raster(tmp_path / "m.tif") as raster:
        masked = (np.isnan(raster.read()[0]) * grid.row_areas_km2()[:, None]).sum()
    assert masked == pytest.approx(area, rel=0.03)
    assert (result.flattened > 0) == three_d


def test_greenland_from_a_netcdf_mask(shared_data, tmp_path):
    grid = Grid(-60.0, 85.0, 1.0, 1.0, 50, 25, geographic_crs())
    template = write_single(tmp_path / "t.tif", grid, np.ones(grid.shape, np.float32))
    sheet = f'NETCDF:"{shared_data / "grace_mascon/jpl_msc3d_gris_ais_masks.nc"}":gris_mask_jplmsc3deg'
    glaciermask(shared_data / "masks/rgi/rgi_oetztal.shp", template, tmp_path / "m.tif", ice_sheet=sheet)
    with Raster(tmp_path / "m.tif") as raster:
        ice = np.isnan(raster.read()[0])
    assert ice[85 - 75, -40 + 60] and not ice[84 - 60, 0] and 0.2 < ice.mean() < 0.8


def test_world_aquifers_as_classes(shared_data, tmp_path):
    source = shared_data / "aquifers/geoglows_aquifers.geojson"
    dataset = gdal.OpenEx(str(source), gdal.OF_VECTOR)
    definition = dataset.GetLayer(0).GetLayerDefn()
    names = [definition.GetFieldDefn(k) for k in range(definition.GetFieldCount())]
    numeric = next((f.GetName() for f in names if f.GetType() in (ogr.OFTInteger, ogr.OFTInteger64)), "")
    if not numeric:
        pytest.skip(f"the layer has no field of whole numbers ({', '.join(f.GetName() for f in names)})")
    grid = Grid(-180.0, 90.0, 1.0, 1.0, 360, 180, geographic_crs())
    template = write_single(tmp_path / "t.tif", grid, np.ones(grid.shape, np.float32))
    result = aquiferclasses(source, template, 2, tmp_path / "f.tif", tmp_path / "c.tif", field=numeric)
    assert len(result.cells) > 10


def test_products_are_recognised_by_real_names(shared_data):
    chelsa = shared_data / "mapme_sierra_de_neiba/chelsa/CHELSA_pr_01_2010_V.2.1.tif"
    assert choose_product("auto", [str(chelsa)]).name == "chelsa"
    for name, product in (
        ("MOD13A1.A2003017.h10v05.061.2020091000000.tif", "mod13a1"),
        ("MYD11A2.A2003017_LST_Day_1km.tif", "mod11a2"),
        ("PML_V2_8day_v016_2003-01-01.tif", "pml"),
        ("phh2o_0-5cm_mean.tif", "soilgrids"),
        ("anything_200301.tif", "generic"),
    ):
        assert choose_product("auto", [name]).name == product

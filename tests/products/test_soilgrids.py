"""SoilGrids' depths, units and projection; soil moisture in thousandths, daily and monthly; a static elevation."""

import numpy as np
import pytest

from gwsa_qgis.errors import InvalidMonths, UnreadableInput
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.raster import Raster, write_single
from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.steps.monthlystack import monthlystack
from gwsa_qgis.steps.preparepredictors import preparepredictors

DEPTHS = ("0-5cm", "5-15cm", "15-30cm")


def depths(write_tif, name, stored, suffix="mean", **options):
    return [
        write_tif(f"{name}_{depth}_{suffix}.tif", values, nodata=-32768, **options)
        for depth, values in zip(DEPTHS, stored, strict=True)
    ]


@pytest.mark.parametrize(
    ("name", "factor", "unit"),
    [("clay", 0.1, "%"), ("phh2o", 0.1, "pH"), ("soc", 0.1, "g kg-1"), ("nitrogen", 0.01, "g kg-1"),
     ("bdod", 0.01, "kg dm-3"), ("cfvo", 0.1, "%"), ("cec", 0.1, "cmol(c) kg-1")],
)  # fmt: skip
def test_depth_weighted_mean_in_conventional_units(write_tif, tmp_path, name, factor, unit):
    rng = np.random.default_rng(3)
    stored = rng.integers(20, 130, (3, 4, 5)).astype(np.int16)
    stored[1, 2, 2] = -32768
    result = monthlystack(depths(write_tif, name, stored), tmp_path / "o.tif")
    expected = (5 * stored[0] + 10 * stored[1] + 15.0 * stored[2]) / 30 * factor
    with Raster(tmp_path / "o.tif") as raster:
        data = raster.read()[0]
        assert raster.unit() == unit == result.unit
    assert np.isnan(data[2, 2]) and np.isnan(data).sum() == 1
    assert np.allclose(data[np.isfinite(data)], expected[np.isfinite(data)], rtol=1e-6)


def test_files_that_were_converted_already(write_tif, tmp_path):
    """Floating point files, as R's geodata gives them, are in conventional units."""
    stored = np.full((3, 2, 2), 25.0, np.float32) + np.arange(2, dtype=np.float32)
    result = monthlystack(depths(write_tif, "clay", stored, "mean_30s"), tmp_path / "o.tif")
    assert result.mean == pytest.approx(25.5) and not result.warnings
    mapped = monthlystack(depths(write_tif, "clay", 10 * stored, "mean_30s"), tmp_path / "o.tif")
    assert "a share in percent cannot" in mapped.warnings[0]


def test_homolosine_to_a_geographic_template(tmp_path):
    from osgeo import gdal, osr

    reference = osr.SpatialReference()
    reference.ImportFromProj4("+proj=igh +lat_0=0 +lon_0=0 +datum=WGS84 +units=m")
    files = []
    for depth, value in zip(DEPTHS, (200, 260, 320), strict=True):
        path = tmp_path / f"clay_{depth}_mean.tif"
        dataset = gdal.GetDriverByName("GTiff").Create(str(path), 60, 60, 1, gdal.GDT_Int16)
        dataset.SetGeoTransform((1_330_000, 2500, 0, 3_100_000, 0, -2500))
        dataset.SetProjection(reference.ExportToWkt())
        dataset.GetRasterBand(1).WriteArray(np.full((60, 60), value, np.int16) + np.arange(60, dtype=np.int16))
        dataset.GetRasterBand(1).SetNoDataValue(-32768)
        del dataset
        files.append(path)
    monthlystack(files, tmp_path / "clay.tif")
    with Raster(tmp_path / "clay.tif") as raster:
        assert "Homolosine" in raster.grid.crs
    forward = osr.CoordinateTransformation(geographic(osr), reference)
    west, north = 10.2, 27.6
    template = write_single(
        tmp_path / "t.tif", Grid(west, north, 0.1, 0.1, 6, 6, geographic_crs()), np.ones((6, 6), np.float32)
    )
    preparepredictors({"clay": tmp_path / "clay.tif"}, template, 3, tmp_path / "f", tmp_path / "c")
    with Raster(tmp_path / "f" / "clay.tif") as raster:
        data = raster.read()[0]
    mean = (5 * 200 + 10 * 260 + 15 * 320) / 300
    for row, column in ((1, 1), (2, 4), (4, 3)):
        x, _, _ = forward.TransformPoint(west + (column + 0.5) * 0.1, north - (row + 0.5) * 0.1)
        # values grow by 0.1 % a pixel of 2500 m, from the centre of the first
        assert data[row, column] == pytest.approx(mean + ((x - 1_330_000) / 2500 - 0.5) / 10, abs=0.25)


def geographic(osr):
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(4326)
    reference.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    return reference


def test_depths_missing_and_mixed(write_tif, tmp_path):
    clay = depths(write_tif, "clay", np.ones((3, 2, 2), np.int16))
    sand = depths(write_tif, "sand", np.ones((3, 2, 2), np.int16))
    for files, words in (
        (clay[:2], "0-5 cm, 5-15 cm were given .15-30 cm is missing"),
        ([*clay[:2], sand[2]], "not one variable but clay .*, sand"),
        ([*clay, clay[0]], "0-5 cm is there twice"),
    ):
        with pytest.raises(UnreadableInput, match=words):
            monthlystack(files, tmp_path / "o.tif")


def test_daily_moisture_in_thousandths(write_tif, tmp_path):
    days = np.arange(np.datetime64("2004-01-01"), np.datetime64("2004-03-01"))
    rng = np.random.default_rng(5)
    stored = rng.integers(50, 450, (days.size, 2, 3)).astype(np.int16)
    stored[:20, 0, 0] = -1
    for day, values in zip(days, stored, strict=True):
        write_tif(f"SM_1km_{str(day).replace('-', '')}.tif", values, nodata=-1)
    result = monthlystack(None, tmp_path / "o.tif", folder=tmp_path, pattern="SM_*")
    with MonthlyStack(tmp_path / "o.tif") as stack:
        data = stack.read()
    assert (result.product, result.unit, result.first, result.last) == ("soilmoisture", "m3 m-3", "2004-01", "2004-02")
    valid = np.where(stored < 0, np.nan, stored / 1000.0)
    assert np.allclose(data, [np.nanmean(valid[:31], axis=0), np.nanmean(valid[31:], axis=0)], rtol=1e-6)
    assert not result.warnings


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        (np.float32(250), "SCALE 0.001"),
        (np.float32(25), "SCALE 0.01"),
        (np.int16(5), "percent"),
        (np.float32(-3), "negative"),
    ],
)
def test_moisture_whose_scale_is_wrong(write_tif, tmp_path, stored, told):
    path = write_tif("soil_moisture_200401.tif", np.full((2, 2), stored) + np.eye(2, dtype=stored.dtype))
    assert told in monthlystack([path], tmp_path / "o.tif").warnings[0]


def test_elevation_needs_no_stack(write_tif, tmp_path):
    rng = np.random.default_rng(1)
    heights = rng.integers(0, 3000, (8, 8)).astype(np.int16)
    path = write_tif("gmted2010_mea_15s.tif", heights, (10.0, 50.0), 0.25)
    template = write_single(
        tmp_path / "t.tif", Grid(10.0, 50.0, 0.5, 0.5, 4, 4, geographic_crs()), np.ones((4, 4), np.float32)
    )
    result = preparepredictors({"elevation": path}, template, 2, tmp_path / "f", tmp_path / "c")
    assert result.rows[0].months == 0
    with Raster(tmp_path / "f" / "elevation.tif") as raster:
        assert np.allclose(raster.read()[0], heights.reshape(4, 2, 4, 2).mean(axis=(1, 3)))
    with pytest.raises(InvalidMonths, match="a static raster needs no stack"):
        monthlystack([path], tmp_path / "o.tif")


def test_names_that_differ_in_more_than_the_date(write_tif, tmp_path):
    files = [write_tif(name, np.ones((2, 2), np.float32)) for name in ("rain_200401.tif", "snow_200402.tif")]
    messages = []
    monthlystack(files, tmp_path / "o.tif", progress=lambda f, m: messages.append(m))
    assert any("differ in more than their dates" in m for m in messages)

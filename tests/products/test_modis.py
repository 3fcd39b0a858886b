"""MODIS composites: native HDF4-EOS tiles and GeoTIFF exports, quality bits, days of months, tiles with a hole."""

import numpy as np
import pytest
from osgeo import gdal

from gwsa_qgis.errors import GridMismatch, InvalidMonths, UnreadableInput
from gwsa_qgis.products import modis
from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.steps.monthlystack import monthlystack

SIZE = 463.31271652777775
EDGE = (-8895604.157333, 4447802.078667)
NDVI_TAGS = {"_FillValue": -3000, "scale_factor": 10000.0, "add_offset": 0.0}


def vegetation(write_eos, day, tile, ndvi, reliability, column=0):
    corner = (EDGE[0] + column * 4 * SIZE, EDGE[1])
    fields = [
        ("500m 16 days NDVI", ndvi.astype(np.int16), NDVI_TAGS),
        ("500m 16 days EVI", (ndvi // 2).astype(np.int16), NDVI_TAGS),
        ("500m 16 days VI Quality", np.zeros((4, 4), np.uint16), {"_FillValue": 65535}),
        ("500m 16 days pixel reliability", reliability.astype(np.int8), {"_FillValue": -1}),
    ]
    return write_eos(f"MOD13A1.A{day}.{tile}.061.2020091000000.hdf", "MODIS_Grid_16DAY_500m_VI", corner, SIZE, fields)


def stack_of(path):
    with MonthlyStack(path) as stack:
        return [str(month) for month in stack.months], stack.read(), stack.grid


def test_native_tiles_are_put_together_by_days_and_flags(write_eos, tmp_path):
    rng = np.random.default_rng(2)
    days = (1, 17, 33)
    values = {(d, k): rng.integers(-1500, 9500, (4, 4)) for d in days for k in (0, 1)}
    flags = {key: rng.integers(0, 4, (4, 4)) for key in values}
    values[1, 0][0, 0], flags[1, 0][0, 0] = -3000, -1
    files = [
        vegetation(write_eos, f"2003{day:03d}", f"h{10 + k}v05", values[day, k], flags[day, k], k) for day, k in values
    ]
    messages = []
    result = monthlystack(files, tmp_path / "o.tif", progress=lambda f, m: messages.append(m))
    months, data, grid = stack_of(tmp_path / "o.tif")
    assert months == ["2003-01", "2003-02"] and grid.shape == (4, 8) and result.variable == "NDVI"
    assert "Sinusoidal" in grid.crs and grid.west == pytest.approx(EDGE[0])
    # 1-16, 17-32 and 33-48: January has 16 and 15 days, February 1 and 16
    shares = {"2003-01": (16, 15, 0), "2003-02": (0, 1, 16)}
    for month, layer in zip(months, data, strict=True):
        for k in (0, 1):
            weight = np.zeros((4, 4))
            total = np.zeros((4, 4))
            for day, share in zip(days, shares[month], strict=True):
                good = (flags[day, k] >= 0) & (flags[day, k] < 3) & (values[day, k] > -2001)
                weight += good * share
                total += np.where(good, values[day, k] / 10000, 0) * share
            expected = np.full((4, 4), np.nan)
            expected[weight > 0] = total[weight > 0] / weight[weight > 0]
            assert np.allclose(layer[:, 4 * k : 4 * k + 4], expected, atol=2e-7, equal_nan=True)
    assert any("Passed over: EVI" in m for m in messages) and not any("Warning" in m for m in messages)
    monthlystack(files, tmp_path / "evi.tif", variable="EVI")
    assert np.nanmax(stack_of(tmp_path / "evi.tif")[1]) < 0.48


def test_native_tiles_with_a_hole_and_a_date_that_lacks_a_tile(write_eos, tmp_path):
    plain, good = np.full((4, 4), 5000), np.zeros((4, 4))
    files = [vegetation(write_eos, "2003001", f"h{10 + k}v05", plain, good, k) for k in (0, 2)]
    files += [vegetation(write_eos, "2003033", "h10v05", plain, good)]
    messages = []
    monthlystack(files, tmp_path / "o.tif", progress=lambda f, m: messages.append(m))
    months, data, _ = stack_of(tmp_path / "o.tif")
    assert data.shape == (2, 4, 12) and np.isnan(data[:, :, 4:8]).all() and np.isnan(data[1, :, 8:]).all()
    assert np.allclose(data[0][:, [0, 11]], 0.5) and np.allclose(data[1][:, :4], 0.5)
    assert any("leave a hole: 16 of 48 cells" in m for m in messages)
    assert any("Tiles are missing" in m and "2003-02" in m for m in messages)


def test_native_temperature(write_eos, tmp_path):
    stored = np.array([[14000, 15000, 0, 7000]] * 4, np.uint16)
    flags = np.array([[0b00, 0b10, 0b00, 0b00]] * 4, np.uint8)
    flags[1, 0] = 0b11000001
    fields = [
        ("LST_Day_1km", stored, {"_FillValue": 0, "scale_factor": 0.02, "add_offset": 0.0}),
        ("QC_Day", flags, {}),
        ("LST_Night_1km", stored, {"_FillValue": 0, "scale_factor": 0.02, "add_offset": 0.0}),
        ("QC_Night", np.zeros((4, 4), np.uint8), {}),
    ]
    names = [f"MOD11A2.A2003{day:03d}.h10v05.061.2020091000000.hdf" for day in (1, 9, 17, 25)]
    files = [write_eos(name, "MODIS_Grid_8Day_1km_LST", EDGE, 2 * SIZE, fields) for name in names]
    result = monthlystack(files, tmp_path / "o.tif")
    assert result.variable == "LST_Day" and result.unit == "degC"
    data = stack_of(tmp_path / "o.tif")[1]
    assert data[0, 0, 0] == pytest.approx(14000 * 0.02 - 273.15, abs=1e-4)
    assert np.isnan(data[0, :, 1:]).all() and np.isnan(data[0, 1, 0])
    monthlystack(files, tmp_path / "n.tif", variable="LST_Night")
    assert np.isfinite(stack_of(tmp_path / "n.tif")[1][0, :, :2]).all()


def test_without_the_hdf4_driver(monkeypatch, tmp_path):
    path = tmp_path / "MOD13A1.A2003001.h10v05.061.2020091000000.hdf"
    path.write_bytes(b"")
    real = modis.gdal.GetDriverByName
    monkeypatch.setattr(modis.gdal, "GetDriverByName", lambda name: None if name == "HDF4" else real(name))
    with pytest.raises(UnreadableInput, match="built without .* fetch the product as GeoTIFF"):
        monthlystack([path], tmp_path / "o.tif")


def test_truncated_native_file(write_eos, tmp_path):
    path = vegetation(write_eos, "2003001", "h10v05", np.full((4, 4), 5000), np.zeros((4, 4)))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(UnreadableInput, match="MOD13A1"):
        monthlystack([path], tmp_path / "o.tif")


def test_appeears_names_and_bit_flags(write_tif, tmp_path):
    ndvi = np.full((2, 2), 4000, np.int16)
    quality = np.array([[0b1, 0b10], [0b11, 0b1000000000000]], np.uint16)
    for day in (1, 17):
        write_tif(f"MOD13A1.061__500m_16_days_NDVI_doy2003{day:03d}_aid0001.tif", ndvi, nodata=-3000)
        write_tif(f"MOD13A1.061__500m_16_days_VI_Quality_doy2003{day:03d}_aid0001.tif", quality, nodata=65535)
    result = monthlystack(None, tmp_path / "o.tif", folder=tmp_path, pattern="*NDVI*.tif")
    assert (result.first, result.last) == ("2003-01", "2003-01")  # flags were found beside
    data = stack_of(tmp_path / "o.tif")[1][0]
    assert np.isfinite(data).tolist() == [[True, False], [False, True]] and data[0, 0] == pytest.approx(0.4)


def test_bands_of_one_image_with_flags(write_tif, tmp_path):
    values = np.stack([np.full((2, 2), 3000), np.full((2, 2), 1000), [[0, 3], [1, 2]]]).astype(np.int16)
    for day in ("2003_01_01", "2003_01_17"):
        write_tif(f"MOD13A1_{day}.tif", values, names=["NDVI", "EVI", "SummaryQA"])
    files = sorted(tmp_path.glob("MOD13A1*"))
    result = monthlystack(files, tmp_path / "o.tif")
    data = stack_of(tmp_path / "o.tif")[1][0]
    assert result.variable == "NDVI" and np.isnan(data[0, 1]) and np.nanmax(np.abs(data - 0.3)) < 1e-6


def test_monthly_vegetation_and_aqua(write_tif, tmp_path):
    for day in (1, 32, 60):
        write_tif(f"MOD13A3.A2003{day:03d}.NDVI.tif", np.full((2, 2), day * 10, np.int16))
    messages = []
    result = monthlystack(None, tmp_path / "o.tif", folder=tmp_path, progress=lambda f, m: messages.append(m))
    months, data, _ = stack_of(tmp_path / "o.tif")
    assert months == ["2003-01", "2003-02", "2003-03"] and result.missing == ()
    assert np.allclose(data[:, 0, 0], [0.001, 0.032, 0.06])
    assert any("3 of 3 dates have no quality" in m for m in messages)
    aqua = [np.datetime64("2003-12-27") + 16 * k for k in range(2)]
    assert modis.composite_end(aqua[0], 16, 8) == np.datetime64("2004-01-09")
    assert modis.composite_end(np.datetime64("2003-12-19"), 16) == np.datetime64("2004-01-01")


def test_refused(write_tif, tmp_path):
    one = write_tif("MOD13A1.061_NDVI_2003-01-01.tif", np.ones((2, 2), np.int16))
    old = write_tif("MOD13A1.006_NDVI_2003-01-17.tif", np.ones((2, 2), np.int16))
    evi = write_tif("MOD13A1.061_EVI_2003-01-17.tif", np.ones((2, 2), np.int16))
    away = write_tif("MOD13A1.061_NDVI_2003-01-17.tif", np.ones((2, 2), np.int16), corner=(20.0, 50.0))
    again = write_tif("MOD13A1.061_NDVI_x_2003-01-01.tif", np.ones((2, 2), np.int16))
    cases = [
        ([one, old], UnreadableInput, r"several versions: 006 \(.*\), 061"),
        ([one, evi], UnreadableInput, "not one variable but EVI .*, NDVI"),
        ([one, away], GridMismatch, "not on one grid"),
        ([one, again], InvalidMonths, "2003-01-01 is there twice .* DUPLICATES = average"),
    ]
    for files, error, words in cases:
        with pytest.raises(error, match=words):
            monthlystack(files, tmp_path / "o.tif")
    assert not (tmp_path / "o.tif").exists()


def test_scale_that_was_left_out_is_told(write_tif, tmp_path):
    path = write_tif("MOD13A3.A2003001.NDVI.tif", np.float32([[4000, 5000], [6000, 7000]]))
    result = monthlystack([path], tmp_path / "o.tif")
    assert "its scale is missing" in result.warnings[0]
    kelvin = write_tif("MOD11A2_LST_2003-01-01.tif", np.float32([[290, 300], [280, 285]]))
    more = [kelvin, write_tif("MOD11A2_LST_2003-01-09.tif", np.float32([[290, 300], [280, 285]]))]
    assert "in kelvin" in monthlystack(more, tmp_path / "o.tif").warnings[0]


def test_gdal_hands_on_the_divisor(write_eos):
    """Why the tag 10000 must not be multiplied with."""
    path = vegetation(write_eos, "2003001", "h10v05", np.full((4, 4), 5000), np.zeros((4, 4)))
    dataset = gdal.Open(gdal.Open(str(path)).GetSubDatasets()[0][0])
    assert dataset.GetRasterBand(1).GetScale() in (10000.0, None)

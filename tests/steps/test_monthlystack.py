"""Each product's own dates, scales and quality flags, against figures made by hand."""

import numpy as np
import pytest
from osgeo import gdal

from gwsa_qgis.errors import GridMismatch, InvalidMonths, InvalidParameter, NoUsableData, UnreadableInput
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.raster import Raster
from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.steps.monthlystack import monthlystack

gdal.UseExceptions()
GRID = Grid(10.0, 50.0, 0.5, 0.5, 3, 2, geographic_crs())
TYPES = {"uint8": gdal.GDT_Byte, "int16": gdal.GDT_Int16, "uint16": gdal.GDT_UInt16, "float32": gdal.GDT_Float32}


def tif(path, values, *, names=(), nodata=None, scale=None, offset=None, grid=GRID):
    values = np.asarray(values)
    if values.ndim < 3:
        values = np.broadcast_to(values, (1, *grid.shape))
    dataset = gdal.GetDriverByName("GTiff").Create(
        str(path), grid.columns, grid.rows, len(values), TYPES[values.dtype.name]
    )
    dataset.SetGeoTransform(grid.transform)
    dataset.SetProjection(grid.crs)
    for number, layer in enumerate(values):
        band = dataset.GetRasterBand(number + 1)
        band.WriteArray(np.ascontiguousarray(layer))
        if nodata is not None:
            band.SetNoDataValue(nodata)
        if scale is not None:
            band.SetScale(scale)
            band.SetOffset(offset or 0)
        if names:
            band.SetDescription(names[number])
    del band, dataset
    return path


def months_of(path):
    with MonthlyStack(path) as stack:
        return [str(m) for m in stack.months], stack.read(), stack.unit()


def test_chelsa_by_tags_with_a_gap(tmp_path):
    for month, year, value in (("12", "2009", 2731), ("02", "2010", 2831)):
        name = f"CHELSA_tas_{month}_{year}_V.2.1.tif"
        tif(tmp_path / name, np.uint16(value), nodata=65535, scale=0.1, offset=-273.15)
    result = monthlystack(None, tmp_path / "tas.tif", folder=tmp_path, pattern="CHELSA_*")
    months, data, unit = months_of(tmp_path / "tas.tif")
    assert months == ["2009-12", "2010-01", "2010-02"] and unit == "degC" and result.missing == ("2010-01",)
    assert np.allclose(data[0], -0.05, atol=1e-4) and np.isnan(data[1]).all() and np.allclose(data[2], 9.95, atol=1e-4)


def test_chelsa_scale_that_contradicts_the_values(tmp_path):
    values = np.arange(6, dtype=np.uint16).reshape(1, 2, 3) + 12000
    files = [tif(tmp_path / f"CHELSA_pr_0{m}_2010_V.2.1.tif", values, scale=1.0) for m in (1, 2)]
    messages = []
    result = monthlystack(files, tmp_path / "pr.tif", progress=lambda f, m: messages.append(m))
    assert len(result.warnings) == 1 and "SCALE 0.01" in result.warnings[0]
    assert any(m.startswith("Warning: pr has a mean of") for m in messages)
    mended = monthlystack(files, tmp_path / "pr.tif", scale=0.01)
    assert not mended.warnings and mended.mean == pytest.approx(120.025, abs=1e-3)


def test_daily_chelsa_is_refused(tmp_path):
    path = tif(tmp_path / "CHELSA_pr_01_02_2010_V.2.1.tif", np.uint16(1))
    with pytest.raises(InvalidMonths, match="daily"):
        monthlystack([path], tmp_path / "o.tif")


def test_pml_sums_by_overlap_in_days(tmp_path):
    # periods of 8 days from 1 January; the last of the year has 5 days
    starts = np.arange(np.datetime64("2003-01-01"), np.datetime64("2004-01-01"), 8)
    rates = (np.arange(starts.size) + 1).astype(np.int16) * 10
    values = np.broadcast_to(rates[:, None, None], (starts.size, *GRID.shape)).copy()
    values[1:3, 0, 0] = -32768  # 9 to 24 January: 15 of 31 days left
    values[1, 0, 1] = -32768  # 23 of 31 days left
    tif(tmp_path / "PML_V2_ET_2003.tif", values, names=[str(s) for s in starts], nodata=-32768)
    result = monthlystack([tmp_path / "PML_V2_ET_2003.tif"], tmp_path / "et.tif")
    months, data, unit = months_of(tmp_path / "et.tif")
    assert months[0] == "2003-01" and months[-1] == "2003-12" and unit == "mm" and result.product == "pml"
    by_day = np.repeat(rates * 0.01, 8)[:365]
    by_month = [by_day[a:b].sum() for a, b in ((0, 31), (31, 59), (334, 365))]
    assert np.allclose(data[[0, 1, 11], 1, 1], by_month, rtol=1e-5)
    assert np.isnan(data[0, 0, 0])
    there = np.r_[by_day[:8], by_day[16:31]]
    assert data[0, 0, 1] == pytest.approx(there.mean() * 31, rel=1e-5)


def test_pml_scale_only_for_untagged_integers(tmp_path):
    names = [str(d) for d in np.arange(np.datetime64("2003-01-01"), np.datetime64("2003-02-01"), 8)]
    for kind, value, tag in ((np.float32, 2.0, None), (np.int16, 200, None), (np.int16, 4, 0.5)):
        values = np.full((4, *GRID.shape), value, kind)
        tif(tmp_path / "PML_2003.tif", values, names=names, scale=tag)
        result = monthlystack([tmp_path / "PML_2003.tif"], tmp_path / "o.tif")
        assert result.mean == pytest.approx(62.0)


def test_ndvi_weights_days_and_leaves_out_clouds(tmp_path):
    starts = ["2003-01-01", "2003-01-17", "2003-02-02"]
    values = np.stack([np.full(GRID.shape, v, np.int16) for v in (2000, 6000, 9000)])
    values[0, 0, 0] = -3000
    quality = np.zeros(values.shape, np.uint8)
    quality[1, 0, 1] = 3
    tif(tmp_path / "MOD13A1_NDVI_2003.tif", values, names=starts, nodata=-3000)
    tif(tmp_path / "MOD13A1_SummaryQA_2003.tif", quality, names=starts, nodata=255)
    result = monthlystack(None, tmp_path / "ndvi.tif", folder=tmp_path, pattern="MOD13*.tif")
    months, data, _ = months_of(tmp_path / "ndvi.tif")
    assert result.product == "mod13a1" and months == ["2003-01", "2003-02"]
    assert data[0, 1, 1] == pytest.approx((16 * 0.2 + 15 * 0.6) / 31, abs=1e-6)
    assert data[0, 0, 0] == pytest.approx(0.6, abs=1e-6) and data[0, 0, 1] == pytest.approx(0.2, abs=1e-6)
    assert data[1, 1, 1] == pytest.approx((1 * 0.6 + 16 * 0.9) / 17, abs=1e-6)


def test_lst_flags_and_kelvin(tmp_path):
    starts = ["2003-03-06", "2003-03-14", "2003-03-22"]
    celsius = (10.0, 20.0, -30.0)
    values = np.stack([np.full(GRID.shape, round((c + 273.15) / 0.02), np.uint16) for c in celsius])
    quality = np.zeros(values.shape, np.uint8)
    quality[2] = 0b11000001  # error above 3 K
    quality[1, 0, 0] = 0b10000001  # at most 3 K: kept
    quality[1, 0, 1] = 0b00000010  # cloud
    values[0, 0, 2] = 0
    tif(tmp_path / "MOD11A2_LST_Day_1km_2003.tif", values, names=starts)
    tif(tmp_path / "MOD11A2_QC_Day_2003.tif", quality, names=starts)
    monthlystack([tmp_path / "MOD11A2_LST_Day_1km_2003.tif"], tmp_path / "lst.tif")
    _, data, unit = months_of(tmp_path / "lst.tif")
    assert unit == "degC"
    assert np.allclose(data[0], [[15, 10, 20], [15, 15, 15]], atol=0.02)


def test_soilgrids_depths_and_units(tmp_path):
    files = []
    for depth, value in (("0-5cm", 60), ("5-15cm", 70), ("15-30cm", 80)):
        files.append(tif(tmp_path / f"phh2o_{depth}_mean.tif", np.int16(value), nodata=-32768))
    result = monthlystack(files, tmp_path / "ph.tif")
    with Raster(tmp_path / "ph.tif") as raster:
        assert raster.bands == 1 and raster.unit() == "pH"
        assert np.allclose(raster.read(), (5 * 6 + 10 * 7 + 15 * 8) / 30)
    assert (result.first, result.product) == ("", "soilgrids")
    with pytest.raises(UnreadableInput, match="0-5 cm, 15-30 cm were given"):
        monthlystack([files[0], files[2]], tmp_path / "x.tif")
    other = tif(tmp_path / "clay_0-5cm_mean.tif", np.int16(1))
    with pytest.raises(UnreadableInput, match="not one variable but clay"):
        monthlystack([*files, other], tmp_path / "x.tif")


def test_generic_dates_in_names_bands_and_by_start(tmp_path):
    for month, value in (("200312", 1), ("200402", 3)):
        tif(tmp_path / f"SM_{month}.tif", np.float32(value))
    monthlystack(None, tmp_path / "sm.tif", folder=tmp_path, pattern="SM_*")
    months, data, _ = months_of(tmp_path / "sm.tif")
    assert months == ["2003-12", "2004-01", "2004-02"] and data[2, 0, 0] == 3
    bands = np.stack([np.full(GRID.shape, k, np.float32) for k in range(3)])
    path = tif(tmp_path / "any.tif", bands)
    with pytest.raises(InvalidMonths, match="band 1.*START"):
        monthlystack([path], tmp_path / "x.tif")
    monthlystack([path], tmp_path / "s.tif", start="2003-12", scale=2.0, offset=1.0)
    months, data, _ = months_of(tmp_path / "s.tif")
    assert months == ["2003-12", "2004-01", "2004-02"] and data[:, 0, 0].tolist() == [1, 3, 5]
    days = [str(d) for d in np.arange(np.datetime64("2004-02-01"), np.datetime64("2004-03-01"))]
    daily = np.arange(29, dtype=np.float32)[:, None, None] * np.ones(GRID.shape, np.float32)
    path = tif(tmp_path / "daily.tif", daily, names=days)
    assert monthlystack([path], tmp_path / "d.tif").mean == pytest.approx(14.0)
    assert monthlystack([path], tmp_path / "d.tif", aggregation="sum").mean == pytest.approx(29 * 14.0)


def test_bad_input(tmp_path):
    one = tif(tmp_path / "a_200401.tif", np.float32(1))
    twice = tif(tmp_path / "b_200401.tif", np.float32(1))
    away = tif(tmp_path / "a_200402.tif", np.float32(1), grid=Grid(11.0, 50.0, 0.5, 0.5, 3, 2, geographic_crs()))
    empty = tif(tmp_path / "a_200403.tif", np.float32(-1), nodata=-1)
    chelsa = tif(tmp_path / "CHELSA_pr_01_2010_V.2.1.tif", np.uint16(1))
    tas = tif(tmp_path / "CHELSA_tas_01_2010_V.2.1.tif", np.uint16(1))
    cases = [
        ([], {}, InvalidParameter, "no input"),
        ([one, twice], {}, InvalidMonths, "2004-01-01 is there twice"),
        ([one, away], {}, GridMismatch, "not on one grid"),
        ([empty], {}, NoUsableData, "all is NoData"),
        ([one, chelsa], {}, UnreadableInput, "several products"),
        ([tas, chelsa], {}, UnreadableInput, "not one variable but pr .* tas"),
        ([one], {"product": "pml"}, UnreadableInput, "no name of a file of pml"),
        ([one], {"product": "x"}, InvalidParameter, "PRODUCT"),
        ([one], {"aggregation": "max"}, InvalidParameter, "AGGREGATION"),
        ([one], {"start": "January"}, InvalidMonths, "START"),
        ([tmp_path / "no_200401.tif"], {}, UnreadableInput, "is not there"),
    ]
    for inputs, options, error, words in cases:
        with pytest.raises(error, match=words):
            monthlystack(inputs, tmp_path / "out.tif", **options)
        assert not (tmp_path / "out.tif").exists()


def test_months_left_out_at_the_edges_are_told(tmp_path):
    days = [str(day) for day in np.arange(np.datetime64("2004-01-20"), np.datetime64("2004-03-10"))]
    path = tif(tmp_path / "daily.tif", np.ones((len(days), *GRID.shape), np.float32), names=days)
    messages = []
    result = monthlystack([path], tmp_path / "o.tif", progress=lambda f, m: messages.append(m))
    assert (result.first, result.last, result.missing) == ("2004-02", "2004-02", ())
    told = [m for m in messages if m.startswith("Warning: Left out")]
    assert len(told) == 1 and "2004-01 (12 of 31 days), 2004-03 (9 of 31 days)" in told[0]
    short = tif(tmp_path / "short.tif", np.ones((5, *GRID.shape), np.float32), names=days[:5])
    with pytest.raises(InvalidMonths, match="no month by half of its days"):
        monthlystack([short], tmp_path / "x.tif")


def test_duplicates_by_the_rule_that_was_chosen(tmp_path):
    files = [tif(tmp_path / f"{name}_200401.tif", np.float32(value)) for name, value in (("a", 1), ("b", 4))]
    files.append(tif(tmp_path / "c_200402.tif", np.float32(7)))
    with pytest.raises(InvalidMonths, match="is there twice .* DUPLICATES = average"):
        monthlystack(files, tmp_path / "o.tif")
    messages = []
    for aggregation in ("mean", "sum"):
        options = {"duplicates": "average", "aggregation": aggregation, "progress": lambda f, m: messages.append(m)}
        monthlystack(files, tmp_path / "o.tif", **options)
        assert months_of(tmp_path / "o.tif")[1][:, 0, 0].tolist() == [2.5, 7]
    assert sum("1 periods are there more than once and were averaged" in m for m in messages) == 2


def test_gee_tiles_are_put_together(tmp_path):
    wide = Grid(10.0, 50.0, 0.5, 0.5, 6, 2, geographic_crs())
    for month in ("200401", "200402"):
        for column in (0, 3):
            grid = wide.window(0, column, 2, 3)
            values = np.full(grid.shape, int(month[-1]) * 10 + column, np.float32)
            tif(tmp_path / f"rain_{month}-0000000000-{column:010d}.tif", values, grid=grid)
    result = monthlystack(None, tmp_path / "o.tif", folder=tmp_path, pattern="rain*", memory_mb=0.001)
    _, data, _ = months_of(tmp_path / "o.tif")
    assert result.missing == () and data[:, 1].tolist() == [[10, 10, 10, 13, 13, 13], [20, 20, 20, 23, 23, 23]]


def test_the_dialog_offers_all_products():
    pytest.importorskip("qgis.core")
    dialog = pytest.importorskip("gwsa_qgis.processing_provider.monthlystack")  # part of the installed package
    from gwsa_qgis.products.registry import PRODUCTS

    assert ["auto", *PRODUCTS] == dialog.PRODUCTS

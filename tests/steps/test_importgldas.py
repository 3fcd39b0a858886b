"""GLDAS monthly files: the sum of four layers, mm to cm, months by name and time."""

import numpy as np
import pytest
from osgeo import gdal

from gwsa_qgis.errors import GridMismatch, InvalidMonths, InvalidParameter, UnreadableInput
from gwsa_qgis.products import gldas_reading
from gwsa_qgis.rasters.grid import grid_from_centres
from gwsa_qgis.rasters.raster import write_single
from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.steps.importgldas import importgldas

gdal.UseExceptions()
LAYERS = ("SoilMoi0_10cm_inst", "SoilMoi10_40cm_inst", "SoilMoi40_100cm_inst", "SoilMoi100_200cm_inst")
VIC_LAYERS = ("SoilMoi0_30cm_inst", "SoilMoi_depth2_inst", "SoilMoi_depth3_inst")
LONS, LATS = np.arange(10.125, 11, 0.25), np.arange(50.125, 51, 0.25)  # latitudes rise, as in the files
COARSE_LONS, COARSE_LATS = np.arange(8.5, 13), np.arange(48.5, 53)
NATIVE = {
    "NOAH025": (*LAYERS, "SWE_inst", "CanopInt_inst"),
    "CLSM10": ("SoilMoist_P_inst", "SWE_inst", "CanopInt_inst"),
    "CLSM025": ("SoilMoist_P_tavg", "SWE_tavg", "CanopInt_tavg"),
    "VIC10": (*VIC_LAYERS, "SWE_inst", "CanopInt_inst"),
}
# parts of the storages above, which must not be added to them
PARTS = {
    "NOAH025": ("RootMoist_inst",),
    "CLSM10": ("SoilMoist_RZ_inst", "SoilMoist_S_inst"),
    "CLSM025": ("SoilMoist_RZ_tavg", "SoilMoist_S_tavg", "TWS_tavg"),
    "VIC10": ("RootMoist_inst",),
}
START = " days since 2000-01-01 00:00:00"  # the blank is the agency's


def gldas(folder, month, name_month=None, version="021", interval="M", drop=(), model="NOAH025", values=None, fill=-9999.0,
          unit="kg m-2", lats=None, lons=None, units=START, times=1):  # fmt: skip
    """Write a file with native names; variable number k holds 10 k plus the row from the south, or `values` mm."""
    name = f"GLDAS_{model}_{interval}.A{(name_month or month).replace('-', '')}.{version}.nc4"
    lats = (COARSE_LATS if model.endswith("10") else LATS) if lats is None else lats
    lons = (COARSE_LONS if model.endswith("10") else LONS) if lons is None else lons
    dataset = gdal.GetDriverByName("netCDF").CreateMultiDimensional(str(folder / name))
    root = dataset.GetRootGroup()
    sizes = ("time", times), ("lat", lats.size), ("lon", lons.size)
    dims = {n: root.CreateDimension(n, None, None, s) for n, s in sizes}
    kind = gdal.ExtendedDataType.Create(gdal.GDT_Float32)
    text = gdal.ExtendedDataType.CreateString()
    days = float((np.datetime64(month, "D") - np.datetime64("2000-01-01")).astype(int))
    axes = {"lat": lats, "lon": lons, "time": days + np.arange(times)}
    for axis, centres in axes.items():
        array = root.CreateMDArray(axis, [dims[axis]], gdal.ExtendedDataType.Create(gdal.GDT_Float64))
        array.CreateAttribute("units", [], text).Write(
            {"time": units, "lat": "degrees_north", "lon": "degrees_east"}[axis]
        )
        array.Write(centres.astype(float))
        del array
    for number, variable in enumerate((*NATIVE[model], *PARTS[model]), start=1):
        if variable in drop:
            continue
        layer = np.full((times, lats.size, lons.size), number * 10.0, np.float32) + np.arange(lats.size)[:, None]
        layer = layer if values is None else np.full_like(layer, 0) + (values if number == 1 else 0)
        if lats.size == LATS.size:
            layer[:, 0, 0] = -9999  # the south-western corner is water
        array = root.CreateMDArray(variable, [dims["time"], dims["lat"], dims["lon"]], kind)
        if unit:
            array.CreateAttribute("units", [], text).Write(unit)
        if fill is not None:
            array.SetNoDataValueDouble(fill)
        array.Write(np.ascontiguousarray(layer.astype(np.float32)))
        del array
    return folder / name


def test_sum_of_layers_in_cm_and_a_missing_month(tmp_path):
    files = [gldas(tmp_path, month) for month in ("2002-06", "2002-04")]  # any order
    messages = []
    result = importgldas(
        files,
        tmp_path / "sms.tif",
        tmp_path / "swe.tif",
        tmp_path / "cws.tif",
        progress=lambda f, m: messages.append(m),
    )
    assert result.missing == ("2002-05",)
    assert any(m.startswith("Warning") and "2002-05" in m for m in messages)
    expected_rows = np.arange(LATS.size)[::-1]  # north first
    for name, base, layers in (("sms", 100.0, 4), ("swe", 50.0, 1), ("cws", 60.0, 1)):
        with MonthlyStack(tmp_path / f"{name}.tif") as stack:
            assert [str(m) for m in stack.months] == ["2002-04", "2002-05", "2002-06"] and stack.unit() == "cm"
            data = stack.read()
            assert np.isnan(data[1]).all() and np.isnan(data[0, -1, 0])
            assert np.allclose(data[0, :, 1], (base + layers * expected_rows) / 10)


def test_folder_and_template(tmp_path):
    gldas(tmp_path, "2002-04")
    grid = grid_from_centres(np.arange(9.875, 10.8, 0.25), np.arange(50.375, 51, 0.25))
    template = write_single(tmp_path / "template.tif", grid, np.ones(grid.shape, np.float32))
    importgldas(None, tmp_path / "s.tif", folder=tmp_path, template=template)
    with MonthlyStack(tmp_path / "s.tif") as stack:
        assert stack.grid.matches(grid)
        data = stack.read()[0]
        assert np.isnan(data[:, 0]).all() and np.allclose(data[:, 1], [11.2, 10.8, 10.4])
    shifted = grid_from_centres(np.arange(9.9, 10.8, 0.25), np.arange(50.375, 51, 0.25))
    other = write_single(tmp_path / "other.tif", shifted, np.ones(shifted.shape, np.float32))
    with pytest.raises(GridMismatch, match="other cells than the template"):
        importgldas(None, tmp_path / "x.tif", folder=tmp_path, template=other)
    assert not (tmp_path / "x.tif").exists()


@pytest.mark.parametrize(
    ("model", "soil", "swe", "cws"),
    [("NOAH025", 10 + 20 + 30 + 40, 50, 60), ("CLSM10", 10, 20, 30), ("CLSM025", 10, 20, 30), ("VIC10", 60, 40, 50)],
)
def test_layers_of_each_model(tmp_path, model, soil, swe, cws):
    """Whole columns only: no root zone or surface beside the profile that holds them."""
    path = gldas(tmp_path, "2004-07", model=model)
    messages = []
    outputs = [tmp_path / f"{name}.tif" for name in ("sms", "swe", "cws")]
    result = importgldas([path], *outputs, progress=lambda f, m: messages.append(m))
    assert result.product == f"GLDAS {model} 2.1"
    assert any("down to bedrock" in m for m in messages) == model.startswith("CLSM")
    number = {100: 4, 60: 3}.get(soil, 1)
    for path, base, layers in zip(outputs, (soil, swe, cws), (number, 1, 1), strict=True):
        with MonthlyStack(path) as stack:
            assert np.allclose(stack.read()[0, -1, 1], base / 10) and np.allclose(
                stack.read()[0, -2, 1], (base + layers) / 10
            )


def test_three_models_choice_mean_and_spread(tmp_path):
    """Constant fields, so that the interpolation of the coarse models changes nothing; all months by hand."""
    months = [f"2004-{m:02d}" for m in range(1, 13)] + ["2010-01", "2010-02"]
    levels = {
        "NOAH025": [100.0] * 12 + [130.0, 160.0],  # anomalies 0 ..., 30, 60 mm
        "VIC10": [500.0] * 12 + [540.0, 500.0],  # 40, 0
        "CLSM10": [1000.0] * 12 + [1080.0, 1000.0],  # 80, 0; the second month is missing
    }
    for model, values in levels.items():
        (tmp_path / model).mkdir()
        for month, value in zip(months, values, strict=True):
            if (model, month) != ("CLSM10", "2010-02"):
                gldas(tmp_path / model, month, model=model, values=value)
    messages = []
    importgldas(tmp_path, tmp_path / "s.tif", spread=tmp_path / "d.tif", progress=lambda f, m: messages.append(m))
    with MonthlyStack(tmp_path / "s.tif") as stack, MonthlyStack(tmp_path / "d.tif") as spread:
        assert spread.grid.matches(stack.grid) and spread.unit() == "cm" and "2004-01 to 2009-12" in spread.baseline
        assert "standard deviation" in spread.quantity
        first, later = stack.positions(np.array(["2004-01", "2010-01"], "datetime64[M]"))
        assert stack.read()[first, 0, 1] == pytest.approx(10) and np.isnan(stack.read()[first, -1, 0])
        data = spread.read()
    assert np.abs(data[first, :, 1]).max() < 1e-6
    assert data[later, 0, 1] == pytest.approx(np.std([3.0, 4.0, 8.0], ddof=1), abs=1e-5)
    assert data[later + 1, 0, 1] == pytest.approx(np.std([6.0, 0.0], ddof=1), abs=1e-5)
    # the corner that Noah leaves to water still has two models
    assert data[later, -1, 0] == pytest.approx(np.std([4.0, 8.0], ddof=1), abs=1e-5)
    assert any("interpolated bilinearly (cells 4 x" in m for m in messages)
    mean = importgldas(tmp_path, tmp_path / "s.tif", model="mean")
    assert "2010-02" in mean.missing and mean.product == "GLDAS NOAH025 2.1 + CLSM10 2.1 + VIC10 2.1"
    with MonthlyStack(tmp_path / "s.tif") as stack:
        assert stack.grid.dx == 0.25
        data = stack.read()
        assert data[later, 0, 1] == pytest.approx((13.0 + 54.0 + 108.0) / 3)
        assert np.isnan(data[later, -1, 0]) and np.isnan(data[later + 1]).all()
    vic = importgldas(tmp_path, tmp_path / "s.tif", model="vic", spread=tmp_path / "d.tif")
    assert (vic.product, len(vic.spread_models)) == ("GLDAS VIC10 2.1", 3)
    with MonthlyStack(tmp_path / "d.tif") as spread:
        assert spread.grid.dx == 1.0
    two = [*(tmp_path / "NOAH025").iterdir(), *(tmp_path / "VIC10").iterdir()]
    only = importgldas(two, spread=tmp_path / "d.tif", baseline_start="2004-03", baseline_end="2004-05")
    assert only.sms is None and only.spread_models == ("NOAH025 2.1", "VIC10 2.1")
    with MonthlyStack(tmp_path / "d.tif") as spread:
        assert spread.read()[later, 0, 1] == pytest.approx(np.std([3.0, 4.0], ddof=1), abs=1e-5)


def test_coarse_anomalies_are_interpolated_linearly(tmp_path):
    """A field that is linear in place is met exactly by bilinear interpolation."""
    slope = {"2004-01": 0.0, "2004-02": 6.0, "2004-03": -3.0}
    for month, factor in slope.items():
        gldas(tmp_path, month, values=200.0)
        plane = factor * (COARSE_LONS[None, :] - 10) + 2 * factor * (COARSE_LATS[:, None] - 50)
        gldas(tmp_path, month, model="VIC10", values=300 + plane)
    out = tmp_path / "d.tif"
    importgldas(tmp_path, spread=out, baseline_start="2004-01", baseline_end="2004-01")
    with MonthlyStack(out) as spread:
        data, grid = spread.read(), spread.grid
    plane = (grid.longitudes()[None, :] - 10) + 2 * (grid.latitudes()[:, None] - 50)
    for band, factor in enumerate(slope.values()):
        expected = np.abs(factor * plane / 10) / np.sqrt(2)  # of 0 and x: |x| / sqrt 2
        sea = np.isnan(data[band])
        assert sea.sum() == 1 and sea[-1, 0] and np.allclose(data[band][~sea], expected[~sea], atol=2e-5)


def test_any_memory_gives_the_same_values(tmp_path, monkeypatch):
    """A region that is many windows within a small budget; one model on its cells, one coarser, one finer."""
    random = np.random.default_rng(7)
    lats, lons = np.arange(40.125, 60, 0.25), np.arange(0.125, 20, 0.25)
    coarse_lats, coarse_lons = np.arange(38.5, 62), np.arange(-1.5, 22)
    for month in ("2004-01", "2004-02", "2004-03"):
        gldas(tmp_path, month, lats=lats, lons=lons, values=random.uniform(0, 90, (lats.size, lons.size)))
        shape = (coarse_lats.size, coarse_lons.size)
        gldas(tmp_path, month, model="VIC10", lats=coarse_lats, lons=coarse_lons, values=random.uniform(0, 90, shape))
    for model in ("mean", "vic"):
        found = {}
        monkeypatch.undo()
        for memory in (512, 0.5, 0.1):
            if memory == 0.1:  # files are opened again for each layer
                monkeypatch.setattr(gldas_reading, "HELD_BYTES", 0)
            folder = tmp_path / f"{model}_{memory}"
            outputs = {name: folder / f"{name}.tif" for name in ("sms", "swe", "cws", "spread")}
            fractions = []
            importgldas(
                tmp_path, **outputs, model=model, memory_mb=memory, progress=lambda f, m, to=fractions: to.append(f)
            )
            assert fractions == sorted(fractions)
            for name, path in outputs.items():
                with MonthlyStack(path) as stack:
                    values = stack.read()
                np.testing.assert_array_equal(found.setdefault(name, values), values)
        assert np.isfinite(found["spread"]).mean() > 0.5


def test_spread_and_mean_that_cannot_be(tmp_path):
    noah = [gldas(tmp_path, m) for m in ("2004-01", "2004-02")]
    vic = [gldas(tmp_path, "2012-01", model="VIC10")]
    old = gldas(tmp_path, "2004-03", model="VIC10", version="020")
    out = {"spread": tmp_path / "d.tif"}
    cases = [
        (noah, out, InvalidParameter, "SPREAD was asked for, but all files are of one model.*NOAH025 2.1"),
        (noah, {"model": "mean"}, InvalidParameter, "MODEL is mean, but all files are of one model"),
        (noah, {"model": "vic"}, InvalidParameter, "MODEL is vic, but the files are of NOAH025 2.1"),
        (noah, {"model": "mosaic"}, InvalidParameter, "MODEL is 'mosaic'; give one of auto, noah, clsm, vic, mean"),
        ([*noah, *vic], out, InvalidMonths, "have no month in common"),
        ([*noah, old], out, UnreadableInput, "mixes GLDAS products.*2.0 as in GLDAS_VIC10.*2.1 as in GLDAS_NOAH025"),
        (
            [*noah, gldas(tmp_path, "2004-01", model="VIC10")],
            out | {"baseline_start": "2005-01"},
            InvalidMonths,
            "baseline 2005-01 to 2009-12 has no month in common",
        ),
    ]
    for inputs, options, error, words in cases:
        with pytest.raises(error, match=words):
            importgldas(inputs, tmp_path / "s.tif", **options)
        assert not (tmp_path / "s.tif").exists() and not (tmp_path / "d.tif").exists()


def test_bad_input(tmp_path):
    good = gldas(tmp_path, "2002-04")
    (tmp_path / "other").mkdir()
    cut = tmp_path / "other" / "GLDAS_NOAH025_M.A200309.021.nc4"
    cut.write_bytes(good.read_bytes()[:3000])
    page = tmp_path / "other" / "GLDAS_NOAH025_M.A200308.021.nc4"
    page.write_text("<!DOCTYPE html><html><head><title>Earthdata Login</title></head></html>")
    away = gldas(tmp_path / "other", "2003-05", lons=LONS + 1)
    cases = [
        (None, InvalidParameter, "no input"),
        ([], InvalidParameter, "no input"),
        ([good, gldas(tmp_path, "2002-05", version="020")], UnreadableInput, "mixes.*NOAH025 2.0 as in.*NOAH025 2.1 as in"),
        ([good, gldas(tmp_path, "2002-06", interval="M_EP")], UnreadableInput, "mixes.*2.1 early"),
        ([good, gldas(tmp_path, "2002-04", version="020")], InvalidMonths,
         "2002-04 is there twice .GLDAS_NOAH025_M.A200204.020.nc4 and GLDAS_NOAH025_M.A200204.021.nc4"),
        ([good, gldas(tmp_path / "other", "2002-04")], InvalidMonths, "twice"),
        ([good, gldas(tmp_path, "2002-07", "2002-08")], InvalidMonths, "holds 2002-07"),
        ([gldas(tmp_path, "2003-01", drop=LAYERS[3:])], UnreadableInput, "lacks SoilMoi100_200cm_inst"),
        ([gldas(tmp_path, "2003-02", interval="3H")], UnreadableInput, "not monthly"),
        ([gldas(tmp_path, "2003-03", model="CLSM025", interval="DA1_D", version="022")], UnreadableInput, "assimilates GRACE"),
        ([tmp_path / "soil.nc4"], UnreadableInput, "no name of a GLDAS file"),
        ([tmp_path / "GLDAS_MOS10_M.A200301.021.nc4"], UnreadableInput, "of the model MOS10"),
        ([tmp_path / "GLDAS_NOAH025_M.A200313.021.nc4"], InvalidMonths, "of the month 13"),
        ([good, tmp_path / "GLDAS_NOAH025_M.A198909.021.nc4"], UnreadableInput, "A198909.021.nc4 is not there"),
        ([good, cut], UnreadableInput, "A200309.021.nc4 is cut off .3000 of"),
        ([good, page], UnreadableInput, "A200308.021.nc4 is no NetCDF file .*DOCTYPE.*login"),
        ([good, away], GridMismatch, "other files of NOAH025 .* and .*A200305.021.nc4 .* are not on one grid"),
        ([good, gldas(tmp_path, "2003-06", fill=None)], UnreadableInput, "holds -9999 kg m-2.*does not declare"),
        ([good, gldas(tmp_path, "2003-07", unit="")], UnreadableInput, "does not name its unit"),
        ([good, gldas(tmp_path, "2003-08", unit="K")], UnreadableInput, "unit 'K', which is not known"),
        ([good, gldas(tmp_path, "2003-10", times=3)], UnreadableInput, "holds 3 times"),
        ([good, gldas(tmp_path, "2003-11", units="fortnights since 2000")], InvalidMonths, "cannot be understood"),
    ]  # fmt: skip
    for inputs, error, words in cases:
        with pytest.raises(error, match=words):
            importgldas(inputs, tmp_path / "s.tif")
        assert not (tmp_path / "s.tif").exists()
    with pytest.raises(UnreadableInput, match="holds no GLDAS file"):
        importgldas(None, tmp_path / "s.tif", folder=_empty(tmp_path))
    with pytest.raises(InvalidParameter, match="no output was asked for"):
        importgldas([good])


def test_names_of_the_archive_s_cutting_service(tmp_path):
    path = gldas(tmp_path, "2002-04")
    path.rename(path.with_name(path.name + ".SUB.nc4"))
    assert importgldas(None, tmp_path / "s.tif", folder=tmp_path).first == "2002-04"


def _empty(folder):
    (folder / "empty").mkdir()
    return folder / "empty"

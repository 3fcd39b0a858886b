"""GLDAS monthly files: the sum of four layers, mm to cm, months by name and time."""

import numpy as np
import pytest
from osgeo import gdal

from gwsa_qgis.errors import GridMismatch, InvalidMonths, InvalidParameter, UnreadableInput
from gwsa_qgis.rasters.grid import grid_from_centres
from gwsa_qgis.rasters.raster import write_single
from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.steps.importgldas import importgldas

gdal.UseExceptions()
LAYERS = ("SoilMoi0_10cm_inst", "SoilMoi10_40cm_inst", "SoilMoi40_100cm_inst", "SoilMoi100_200cm_inst")
LONS, LATS = np.arange(10.125, 11, 0.25), np.arange(50.125, 51, 0.25)  # latitudes rise, as in the files


def gldas(folder, month, name_month=None, version="021", interval="M", drop=()):
    name = f"GLDAS_NOAH025_{interval}.A{(name_month or month).replace('-', '')}.{version}.nc4"
    dataset = gdal.GetDriverByName("netCDF").CreateMultiDimensional(str(folder / name))
    root = dataset.GetRootGroup()
    dims = {n: root.CreateDimension(n, None, None, s) for n, s in (("time", 1), ("lat", LATS.size), ("lon", LONS.size))}
    kind = gdal.ExtendedDataType.Create(gdal.GDT_Float32)
    text = gdal.ExtendedDataType.CreateString()
    days = float((np.datetime64(month, "D") - np.datetime64("2000-01-01")).astype(int))
    axes = {"lat": LATS, "lon": LONS, "time": np.array([days])}
    for axis, values in axes.items():
        array = root.CreateMDArray(axis, [dims[axis]], gdal.ExtendedDataType.Create(gdal.GDT_Float64))
        unit = {"time": " days since 2000-01-01 00:00:00", "lat": "degrees_north", "lon": "degrees_east"}[axis]
        array.CreateAttribute("units", [], text).Write(unit)
        array.Write(values.astype(float))
        del array
    for number, variable in enumerate((*LAYERS, "SWE_inst", "CanopInt_inst"), start=1):
        if variable in drop:
            continue
        values = np.full((1, LATS.size, LONS.size), number * 10.0, np.float32) + np.arange(LATS.size)[:, None]
        values[0, 0, 0] = -9999  # the south-western corner is water
        array = root.CreateMDArray(variable, [dims["time"], dims["lat"], dims["lon"]], kind)
        array.CreateAttribute("units", [], text).Write("kg m-2")
        array.SetNoDataValueDouble(-9999.0)
        array.Write(np.ascontiguousarray(values.astype(np.float32)))
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
    with pytest.raises(GridMismatch, match="other cells"):
        importgldas(None, tmp_path / "x.tif", folder=tmp_path, template=other)
    assert not (tmp_path / "x.tif").exists()


def test_bad_input(tmp_path):
    good = gldas(tmp_path, "2002-04")
    (tmp_path / "other").mkdir()
    cases = [
        (None, InvalidParameter, "no input"),
        ([], InvalidParameter, "no input"),
        ([good, gldas(tmp_path, "2002-05", version="020")], UnreadableInput, "mixes"),
        ([good, gldas(tmp_path / "other", "2002-04")], InvalidMonths, "twice"),
        ([good, gldas(tmp_path, "2002-07", "2002-08")], InvalidMonths, "holds 2002-07"),
        ([gldas(tmp_path, "2003-01", drop=LAYERS[3:])], UnreadableInput, "lacks SoilMoi100_200cm_inst"),
        ([gldas(tmp_path, "2003-02", interval="3H")], UnreadableInput, "not monthly"),
        ([tmp_path / "soil.nc4"], UnreadableInput, "no name of a GLDAS file"),
        ([tmp_path / "GLDAS_NOAH025_M.A200301.021.nc4", tmp_path / "GLDAS_NOAH025_M.A200309.021.nc4"], UnreadableInput, "lacks"),
    ]  # fmt: skip
    for inputs, error, words in cases:
        with pytest.raises(error, match=words):
            importgldas(inputs, tmp_path / "s.tif")
    with pytest.raises(UnreadableInput, match="holds no GLDAS file"):
        importgldas(None, tmp_path / "s.tif", folder=_empty(tmp_path))
    assert not (tmp_path / "s.tif").exists()


def _empty(folder):
    (folder / "empty").mkdir()
    return folder / "empty"

"""GRACE files with the native structure: capital U, 0-360, south-up, missing months by metadata."""

from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal

from gwsa_qgis.errors import GridMismatch, InvalidMonths, InvalidParameter, NoUsableData, UnreadableInput
from gwsa_qgis.rasters.raster import Raster
from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.steps.importgrace import importgrace

gdal.UseExceptions()
SPANS = {  # solution: first day, last day
    "2011-09": ("2011-09-01", "2011-09-30"),
    "2011-10": ("2011-10-01", "2011-10-31"),
    "2011-11": ("2011-10-16", "2011-11-14"),  # its mid-point is 31 October
    "2012-01": ("2012-01-01", "2012-01-31"),
}


def write_netcdf(path, axes, variables, attributes):
    """Axes: name -> values or length; variables: name -> (dimension names, values, attributes)."""
    dataset = gdal.GetDriverByName("netCDF").CreateMultiDimensional(str(path))
    root = dataset.GetRootGroup()
    dimensions = {name: root.CreateDimension(name, None, None, size) for name, size in axes.items()}
    for name, (dims, values, tags) in variables.items():
        values = np.ascontiguousarray(values)
        kind = {"float32": gdal.GDT_Float32, "float64": gdal.GDT_Float64, "int32": gdal.GDT_Int32}[values.dtype.name]
        array = root.CreateMDArray(name, [dimensions[d] for d in dims], gdal.ExtendedDataType.Create(kind))
        for key, value in tags.items():
            array.CreateAttribute(key, [], gdal.ExtendedDataType.CreateString()).Write(value)
        array.Write(values)
        del array
    for key, value in attributes.items():
        root.CreateAttribute(key, [], gdal.ExtendedDataType.CreateString()).Write(value)
    return path


def csr(path, lons=None, missing="2011-12;2011-12", units="cm", spans=SPANS, names=("lwe_thickness",)):
    """Global 10-degree grid; the value tells cell and solution: 1000 x solution + longitude + latitude / 100."""
    lons = np.arange(5.0, 360, 10) if lons is None else lons
    lats = np.arange(-85.0, 90, 10)
    bounds = np.array([[np.datetime64(a), np.datetime64(b) + 1] for a, b in spans.values()])
    bounds = (bounds - np.datetime64("2002-01-01")).astype(float)
    number = 1000.0 * np.arange(1, len(spans) + 1)[:, None, None]
    wrapped = (lons + 180) % 360 - 180
    values = (number + wrapped + lats[:, None] / 100).astype(np.float32)
    tags = {"Units": units, "grid_mapping": "WGS84"} if units else {}
    variables = {
        "lon": (("lon",), lons.astype(np.float32), {"Units": "degrees_east"}),
        "lat": (("lat",), lats.astype(np.float32), {"Units": "degrees_north"}),
        "time": (
            ("time",),
            bounds.mean(axis=1).astype(np.float32),
            {"Units": "days since 2002-01-01T00:00:00Z", "bounds": "time_bounds"},
        ),
        "time_bounds": (("time", "timebound"), bounds.astype(np.float32), {}),
    }
    variables |= {name: (("time", "lat", "lon"), values, tags) for name in names}
    attributes = {
        "months_missing": missing,
        "time_coverage_start": "2011-09-01T00:00:00Z",
        "time_coverage_end": "2012-01-31T23:59:59Z",
        "time_mean_removed": "2004.000 to 2009.999",
    }
    axes = {"time": len(spans), "timebound": 2, "lat": lats.size, "lon": lons.size}
    return write_netcdf(path, axes, variables, attributes)


def expected(stack, solution):
    return 1000.0 * solution + stack.grid.longitudes() + stack.grid.latitudes()[:, None] / 100


def test_metadata_months_roll_and_flip(tmp_path):
    messages = []
    result = importgrace(csr(tmp_path / "csr.nc"), tmp_path / "twsa.tif", progress=lambda f, m: messages.append(m))
    assert result.missing == ("2011-12",) and (result.first, result.last) == ("2011-09", "2012-01")
    with MonthlyStack(tmp_path / "twsa.tif") as stack:
        assert stack.grid.west == -180 and stack.grid.north == 90
        assert stack.unit() == "cm" and stack.quantity == "TWSA" and stack.baseline == "2004-01..2009-12"
        data = stack.read()
        for band, solution in ((0, 1), (1, 2), (2, 3), (4, 4)):
            assert np.allclose(data[band], expected(stack, solution), atol=1e-3)
        assert np.isnan(data[3]).all()
    assert any("2011-11" in m and "Mid-points" in m for m in messages)


def test_midpoint_rule_averages(tmp_path):
    result = importgrace(csr(tmp_path / "csr.nc"), tmp_path / "t.tif", months="midpoint")
    assert result.averaged == ("2011-10",) and result.missing == ("2011-11", "2011-12")
    with MonthlyStack(tmp_path / "t.tif") as stack:
        assert np.allclose(stack.read(bands=[1])[0], expected(stack, 2.5), atol=1e-3)


def test_extent_and_period(tmp_path):
    options = {"extent": (-31, -19, 12, 21), "start": "2011-10", "end": "2011-12"}
    importgrace(csr(tmp_path / "csr.nc"), tmp_path / "t.tif", **options)
    with MonthlyStack(tmp_path / "t.tif") as stack:
        assert stack.grid.extent == (-40, -20, 20, 30)
        assert [str(m) for m in stack.months] == ["2011-10", "2011-11", "2011-12"]
        assert np.allclose(stack.read(bands=[0])[0], expected(stack, 2), atol=1e-3)


def test_units_are_converted_and_never_guessed(tmp_path):
    importgrace(csr(tmp_path / "mm.nc", units="mm"), tmp_path / "t.tif")
    with MonthlyStack(tmp_path / "t.tif") as stack:
        assert np.allclose(stack.read(bands=[0])[0], expected(stack, 1) / 10, atol=1e-3)
    with pytest.raises(InvalidParameter, match="does not name its unit.*give UNIT"):
        importgrace(csr(tmp_path / "none.nc", units=""), tmp_path / "u.tif")
    with pytest.raises(InvalidParameter, match="furlong"):
        importgrace(csr(tmp_path / "odd.nc", units="furlong"), tmp_path / "u.tif")
    assert not (tmp_path / "u.tif").exists()


def companion(path, name, values):
    lons, lats = np.arange(5.0, 360, 10), np.arange(-85.0, 90, 10)
    variables = {
        "lon": (("lon",), lons, {}),
        "lat": (("lat",), lats, {}),
        name: (("lat", "lon"), values.astype(np.int32), {}),
    }
    return write_netcdf(path, {"lat": 18, "lon": 36}, variables, {})


def test_land_mask_and_mascon_map(tmp_path):
    land = np.zeros((18, 36))
    land[:9, :18] = 1  # southern hemisphere, 0 to 180 east
    ids = np.arange(18 * 36).reshape(18, 36) // 4 + 500
    importgrace(
        csr(tmp_path / "csr.nc"),
        tmp_path / "t.tif",
        land_mask=tmp_path / "land.tif",
        mascons=tmp_path / "mascons.tif",
        land_mask_file=companion(tmp_path / "LandMask.nc", "LO_val", land),
        mascon_map=companion(tmp_path / "map.nc", "mascon_id", ids),
    )
    with Raster(tmp_path / "land.tif") as raster:
        used = np.isfinite(raster.read()[0])
        assert used[9:, 18:].all() and not used[:9].any() and not used[:, :18].any()
    with Raster(tmp_path / "mascons.tif") as raster:
        labels = raster.read()[0]
        assert np.isfinite(labels).all() and np.unique(labels).size == 162
        # the first row is the file's last, rolled by half: file column 18 comes first
        assert labels[0, 0] == (17 * 36 + 18) // 4 + 1


def test_mascons_found_as_identical_series(tmp_path):
    path = csr(tmp_path / "csr.nc")
    dataset = gdal.OpenEx(str(path), gdal.OF_MULTIDIM_RASTER | gdal.OF_UPDATE)
    array = dataset.GetRootGroup().OpenMDArray("lwe_thickness")
    values = np.repeat(np.repeat(array.ReadAsArray()[:, ::3, ::4], 3, axis=1), 4, axis=2)
    array.Write(np.ascontiguousarray(values))
    del array, dataset
    result = importgrace(path, tmp_path / "t.tif", mascons=tmp_path / "m.tif")
    assert result.mascon_count == 6 * 9 + 6  # the grid is rolled by 18 columns, which cuts one mascon column in two
    with Raster(tmp_path / "m.tif") as raster:
        labels = raster.read()[0]
    # roll by 18 columns is 4.5 mascons: the file's mascon of columns 16-19 stands at both ends
    assert (labels[:3, 2:6] == labels[0, 2]).all() and labels[0, 1] != labels[0, 2] != labels[3, 2]


def test_metadata_that_contradict_the_times(tmp_path):
    with pytest.raises(InvalidMonths, match="4 solutions.*5 months"):
        importgrace(csr(tmp_path / "a.nc", missing=""), tmp_path / "t.tif")
    with pytest.raises(InvalidMonths, match="makes it 2011-12"):
        importgrace(csr(tmp_path / "b.nc", missing="2011-11"), tmp_path / "t.tif")
    assert not (tmp_path / "t.tif").exists()


def test_bad_files(tmp_path):
    with pytest.raises(UnreadableInput, match="is not there"):
        importgrace(tmp_path / "absent.nc", tmp_path / "t.tif")
    whole = csr(tmp_path / "csr.nc").read_bytes()
    (tmp_path / "cut.nc").write_bytes(whole[: len(whole) // 3])
    with pytest.raises(UnreadableInput, match="cut.nc"):
        importgrace(tmp_path / "cut.nc", tmp_path / "t.tif")
    with pytest.raises(UnreadableInput, match="2 gridded variables \\(a, b\\)"):
        importgrace(csr(tmp_path / "two.nc", names=("a", "b")), tmp_path / "t.tif")
    with pytest.raises(NoUsableData, match="does not meet"):
        importgrace(csr(tmp_path / "c.nc", lons=np.arange(205.0, 240, 10)), tmp_path / "t.tif", extent=(0, 0, 20, 20))
    with pytest.raises(InvalidParameter, match="MONTHS"):
        importgrace(csr(tmp_path / "d.nc"), tmp_path / "t.tif", months="guess")
    other = companion(tmp_path / "map.nc", "mascon_id", np.ones((18, 36)))
    shifted = csr(tmp_path / "e.nc", lons=np.arange(7.0, 360, 10))
    with pytest.raises(GridMismatch, match="other cells"):
        importgrace(shifted, tmp_path / "t.tif", mascons=tmp_path / "m.tif", mascon_map=other)
    assert not list(Path(tmp_path).glob("*.tif"))

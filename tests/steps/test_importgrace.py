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
            if key == "units":  # GDAL keeps this name to itself
                array.SetUnit(value)
                continue
            array.CreateAttribute(key, [], gdal.ExtendedDataType.CreateString()).Write(value)
        array.Write(values)
        del array
    for key, value in attributes.items():
        root.CreateAttribute(key, [], gdal.ExtendedDataType.CreateString()).Write(value)
    return path


def csr(
    path,
    lons=None,
    missing="2011-12;2011-12",
    units="cm",
    spans=SPANS,
    names=("lwe_thickness",),
    blocks=(1, 1),
    scale=1.0,
    calendar="gregorian",
    extra=(),
):
    """Global 10-degree grid; the value tells cell and solution: 10 x solution + longitude / 100 + latitude / 10000.

    With `blocks`, all cells of a block of rows and columns hold the value of its first.
    """
    lons = np.arange(5.0, 360, 10) if lons is None else lons
    lats = np.arange(-85.0, 90, 10)
    bounds = np.array([[np.datetime64(a), np.datetime64(b) + 1] for a, b in spans.values()])
    bounds = (bounds - np.datetime64("2002-01-01")).astype(float)
    number = 10.0 * np.arange(1, len(spans) + 1)[:, None, None]
    wrapped = (lons + 180) % 360 - 180
    values = (scale * (number + wrapped / 100 + lats[:, None] / 10000)).astype(np.float32)
    rows, columns = (np.arange(size) // block * block for size, block in zip(values.shape[1:], blocks, strict=True))
    values = np.ascontiguousarray(values[:, rows][:, :, columns])
    tags = {"Units": units, "grid_mapping": "WGS84"} if units else {}
    variables = {
        "lon": (("lon",), lons.astype(np.float32), {"Units": "degrees_east"}),
        "lat": (("lat",), lats.astype(np.float32), {"Units": "degrees_north"}),
        "time": (
            ("time",),
            bounds.mean(axis=1).astype(np.float32),
            {"Units": "days since 2002-01-01T00:00:00Z", "bounds": "time_bounds", "calendar": calendar},
        ),
        "time_bounds": (("time", "timebound"), bounds.astype(np.float32), {}),
    }
    variables |= {name: (("time", "lat", "lon"), values, tags) for name in names}
    attributes = {
        "title": "CSR GRACE and GRACE-FO MASCON RL0603M",
        "institution": "The University of Texas - Center for Space Research (CSR)",
        "product_version": "RL06.3",
        "postprocess_1": "Water density used to convert to equivalent water height: 1025 kg/m^3",
        "months_missing": missing,
        "time_coverage_start": "2011-09-01T00:00:00Z",
        "time_coverage_end": "2012-01-31T23:59:59Z",
        "time_mean_removed": "2004.000 to 2009.999",
    }
    if missing is None:
        del attributes["months_missing"]
    attributes |= dict(extra)
    axes = {"time": len(spans), "timebound": 2, "lat": lats.size, "lon": lons.size}
    return write_netcdf(path, axes, variables, attributes)


def expected(stack, solution):
    return 10.0 * solution + stack.grid.longitudes() / 100 + stack.grid.latitudes()[:, None] / 10000


def test_metadata_months_roll_and_flip(tmp_path):
    messages = []
    result = importgrace(csr(tmp_path / "csr.nc"), tmp_path / "twsa.tif", progress=lambda f, m: messages.append(m))
    assert result.missing == ("2011-12",) and (result.first, result.last) == ("2011-09", "2012-01")
    with MonthlyStack(tmp_path / "twsa.tif") as stack:
        assert stack.grid.west == -180 and stack.grid.north == 90
        assert stack.unit() == "cm" and stack.quantity == "TWSA" and stack.baseline == "2004-01..2009-12"
        data = stack.read()
        for band, solution in ((0, 1), (1, 2), (2, 3), (4, 4)):
            assert np.allclose(data[band], expected(stack, solution), atol=1e-5)
        assert np.isnan(data[3]).all()
    assert any("2011-11" in m and "Mid-points" in m for m in messages)


def test_midpoint_rule_averages(tmp_path):
    result = importgrace(csr(tmp_path / "csr.nc"), tmp_path / "t.tif", months="midpoint")
    assert result.averaged == ("2011-10",) and result.missing == ("2011-11", "2011-12")
    with MonthlyStack(tmp_path / "t.tif") as stack:
        assert np.allclose(stack.read(bands=[1])[0], expected(stack, 2.5), atol=1e-5)


def test_extent_and_period(tmp_path):
    options = {"extent": (-31, -19, 12, 21), "start": "2011-10", "end": "2011-12"}
    importgrace(csr(tmp_path / "csr.nc"), tmp_path / "t.tif", **options)
    with MonthlyStack(tmp_path / "t.tif") as stack:
        assert stack.grid.extent == (-40, -20, 20, 30)
        assert [str(m) for m in stack.months] == ["2011-10", "2011-11", "2011-12"]
        assert np.allclose(stack.read(bands=[0])[0], expected(stack, 2), atol=1e-5)


def test_units_are_converted_and_never_guessed(tmp_path):
    importgrace(csr(tmp_path / "mm.nc", units="mm"), tmp_path / "t.tif")
    with MonthlyStack(tmp_path / "t.tif") as stack:
        assert np.allclose(stack.read(bands=[0])[0], expected(stack, 1) / 10, atol=1e-5)
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
        csr(tmp_path / "csr.nc", blocks=(1, 4)),
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
    with pytest.raises(UnreadableInput, match="no variables of terrestrial water storage \\(it has a, b\\)"):
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


NATIVE_MISSING = (  # the list of the CSR RL06.3 file: one month twice
    "2002-06;2002-07;2003-06;2011-01;2011-06;2012-05;2012-10;2013-03;2013-08;2013-09;2014-02;2014-07;2014-12;2015-06;"
    "2015-10;2015-11;2016-04;2016-09;2016-10;2017-02;2017-02;2017-07;2017-08;2017-09;2017-10;2017-11;2017-12;2018-01;"
    "2018-02;2018-03;2018-04;2018-05;2018-08;2018-09"
)


@pytest.mark.parametrize("last", ["2018-05;2018-08;2018-09", "2018-05;2018-08-2018-09"])
def test_months_of_the_native_list_one_by_one(tmp_path, last):
    """As many solutions as the file of July 2025 has, with the two whose centre lies in another month."""
    covered = np.arange("2002-04", "2025-08", dtype="datetime64[M]")
    absent = np.unique(np.array(NATIVE_MISSING.split(";"), dtype="datetime64[M]"))
    months = covered[~np.isin(covered, absent)]
    spans = {str(m): (str(m.astype("datetime64[D]")), str((m + 1).astype("datetime64[D]") - 1)) for m in months}
    spans |= {"2011-11": ("2011-10-17", "2011-11-14"), "2015-05": ("2015-04-12", "2015-05-12")}
    coverage = {"time_coverage_start": "2002-04-05T00:00:00Z", "time_coverage_end": "2025-07-31T23:59:59Z"}
    missing = NATIVE_MISSING.replace("2018-05;2018-08;2018-09", last)
    path = csr(tmp_path / "csr.nc", missing=missing, spans=spans, scale=0.02, extra=coverage)
    messages = []
    result = importgrace(path, tmp_path / "t.tif", extent=(0, 0, 30, 30), progress=lambda f, m: messages.append(m))
    assert result.solutions == 247 and result.missing == tuple(map(str, absent))
    assert len(result.warnings) == 1 and "nowhere negative" in result.warnings[0]
    with MonthlyStack(tmp_path / "t.tif") as stack:
        data = stack.read()[:, -1, 0]  # 5 east, 5 north
        known = np.flatnonzero(np.isfinite(data))
        assert [str(m) for m in stack.months[known]] == list(spans)
        assert np.allclose(data[known], 0.2 * np.arange(1, 248) + 0.02 * 0.0505, atol=1e-4)
    assert any("2011-11, 2015-05" in message and "Mid-points" in message for message in messages)
    assert any("1025 kg/m3" in message for message in messages)
    averaged = importgrace(path, tmp_path / "m.tif", months="midpoint", extent=(0, 0, 30, 30))
    assert {"2011-10", "2015-04"} <= set(averaged.averaged)


def test_two_solutions_in_a_month_of_a_file_without_a_list(tmp_path):
    # as in GSFC's files: both centres in November 2018, but most of the data of the first are of October
    spans = {"2018-10": ("2018-10-23", "2018-11-09"), "2018-11": ("2018-11-10", "2018-11-30")}
    path = csr(tmp_path / "b.nc", missing=None, spans=spans)
    result = importgrace(path, tmp_path / "t.tif")
    assert (result.first, result.last, result.averaged) == ("2018-10", "2018-11", ())


def test_doubled_month_needs_a_rule(tmp_path):
    spans = {"a": ("2011-09-01", "2011-09-12"), "b": ("2011-09-13", "2011-09-30"), "c": ("2011-10-01", "2011-10-31")}
    path = csr(tmp_path / "csr.nc", missing=None, spans=spans)
    with pytest.raises(InvalidMonths, match="two solutions in 2011-09.*choose DUPLICATES = average"):
        importgrace(path, tmp_path / "t.tif")
    with pytest.raises(InvalidParameter, match="DUPLICATES is 'first'; give one of refuse, average"):
        importgrace(path, tmp_path / "t.tif", duplicates="first")
    assert not (tmp_path / "t.tif").exists()
    result = importgrace(path, tmp_path / "t.tif", duplicates="average")
    assert result.averaged == ("2011-09",) and any("averaged in 2011-09" in text for text in result.warnings)
    with MonthlyStack(tmp_path / "t.tif") as stack:
        data = stack.read()
        assert np.allclose(data[0], expected(stack, 1.5), atol=1e-5)
        assert np.allclose(data[1], expected(stack, 3), atol=1e-5)


def test_unit_that_contradicts_the_values(tmp_path):
    path = csr(tmp_path / "csr.nc", scale=200)  # up to 8,400 "cm"
    with pytest.raises(InvalidParameter, match="to 83.* cm.*unit contradicts the values; give the true unit as UNIT"):
        importgrace(path, tmp_path / "t.tif")
    assert not (tmp_path / "t.tif").exists()
    result = importgrace(path, tmp_path / "t.tif", unit="mm")
    assert any("says its unit is cm; UNIT mm takes its place" in text for text in result.warnings)
    assert any(
        "may be in mm" in text for text in importgrace(csr(tmp_path / "a.nc", scale=10), tmp_path / "u.tif").warnings
    )
    assert any(
        "may be in m" in text for text in importgrace(csr(tmp_path / "b.nc", scale=1e-3), tmp_path / "u.tif").warnings
    )


def test_map_of_another_release(tmp_path):
    path = csr(tmp_path / "csr.nc", blocks=(3, 4))
    rows, columns = np.indices((18, 36))
    options = {"mascons": tmp_path / "m.tif"}
    own = companion(tmp_path / "own.nc", "mascon_id", rows // 3 * 9 + columns // 4 + 1)
    assert importgrace(path, tmp_path / "t.tif", mascon_map=own, **options).mascon_count == 54
    other = companion(tmp_path / "other.nc", "mascon_id", rows // 2 * 12 + columns // 3 + 1)
    (tmp_path / "m.tif").unlink(), (tmp_path / "t.tif").unlink()
    with pytest.raises(GridMismatch, match="values differ within .* of 108 mascons of .*other.nc.*another version"):
        importgrace(path, tmp_path / "t.tif", mascon_map=other, **options)
    with pytest.raises(UnreadableInput, match="land.nc has no mascon_id; it has"):
        land = write_netcdf(tmp_path / "land.nc", {"lat": 18, "lon": 36}, {
            "lon": (("lon",), np.arange(5.0, 360, 10), {}), "lat": (("lat",), np.arange(-85.0, 90, 10), {}),
            "LO_val": (("lat", "lon"), rows.astype(np.int32), {}), "area": (("lat", "lon"), rows.astype(np.int32), {}),
        }, {})  # fmt: skip
        importgrace(path, tmp_path / "t.tif", mascon_map=land, **options)
    assert not list(tmp_path.glob("*.tif"))
    # plain data may be smoothed: told, not refused
    plain = csr(tmp_path / "plain.nc", extra={"title": "x", "institution": "y"})
    result = importgrace(plain, tmp_path / "t.tif", mascon_map=own, **options)
    assert any("values differ within 54 of 54 mascons" in text for text in result.warnings)


def test_land_mask_of_another_grid_or_the_sea(tmp_path):
    path, options = csr(tmp_path / "csr.nc"), {"land_mask": tmp_path / "land.tif"}
    half = write_netcdf(tmp_path / "half.nc", {"lat": 36, "lon": 72}, {
        "lon": (("lon",), np.arange(2.5, 360, 5), {}), "lat": (("lat",), np.arange(-87.5, 90, 5), {}),
        "land_mask": (("lat", "lon"), np.ones((36, 72)), {}),
    }, {})  # fmt: skip
    with pytest.raises(GridMismatch, match="the land mask .*half.nc .*72 x 36.* has other cells than .*36 x 18"):
        importgrace(path, tmp_path / "t.tif", land_mask_file=half, **options)
    sea = companion(tmp_path / "CSR_GRACE_GRACE-FO_RL06_Mascons_v02_OceanMask.nc", "LO_val", np.ones((18, 36)))
    with pytest.raises(UnreadableInput, match="is an ocean mask"):
        importgrace(path, tmp_path / "t.tif", land_mask_file=sea, **options)
    assert not list(tmp_path.glob("*.tif"))


@pytest.mark.parametrize("data_from_0", [True, False])
@pytest.mark.parametrize("mask_from_0", [True, False])
def test_longitudes_of_either_count_meet(tmp_path, data_from_0, mask_from_0):
    counts = {True: np.arange(5.0, 360, 10), False: np.arange(-175.0, 180, 10)}
    lons = counts[mask_from_0]
    land = (np.abs((lons + 180) % 360 - 180 - 60) < 20) & (np.arange(-85.0, 90, 10)[:, None] > 0)
    mask = write_netcdf(tmp_path / "mask.nc", {"lat": 18, "lon": 36}, {
        "lon": (("lon",), lons, {}), "lat": (("lat",), np.arange(-85.0, 90, 10), {}),
        "LO_val": (("lat", "lon"), land.astype(float), {}),
    }, {})  # fmt: skip
    path = csr(tmp_path / "csr.nc", lons=counts[data_from_0])
    importgrace(path, tmp_path / "t.tif", land_mask=tmp_path / "land.tif", land_mask_file=mask)
    with Raster(tmp_path / "land.tif") as raster:
        used = np.isfinite(raster.read()[0])
        at = raster.grid.longitudes()[used.any(axis=0)], raster.grid.latitudes()[used.any(axis=1)]
    assert at[0].tolist() == [45, 55, 65, 75] and at[1].tolist() == list(range(85, 0, -10))


def test_region_across_the_date_line(tmp_path):
    lons, land = np.arange(155.0, 210, 10), np.zeros((18, 36))
    land[:, 18:20] = 1  # 180 to 200 east, that is 180 to 160 west
    mask = write_netcdf(tmp_path / "mask.nc", {"lat": 18, "lon": 36}, {
        "lon": (("lon",), np.arange(-175.0, 180, 10), {}), "lat": (("lat",), np.arange(-85.0, 90, 10), {}),
        "LO_val": (("lat", "lon"), np.roll(land, 18, axis=1), {}),
    }, {})  # fmt: skip
    path = csr(tmp_path / "csr.nc", lons=lons)
    importgrace(path, tmp_path / "t.tif", land_mask=tmp_path / "land.tif", land_mask_file=mask)
    with Raster(tmp_path / "land.tif") as raster:
        used = np.isfinite(raster.read()[0]).all(axis=0)
        assert raster.grid.longitudes()[used].tolist() == [185, 195]
    importgrace(path, tmp_path / "t.tif", extent=(-180, 0, -170, 20))
    with Raster(tmp_path / "t.tif") as raster:
        assert raster.grid.extent == (180, 0, 190, 20)


def test_time_that_cannot_be_known(tmp_path):
    with pytest.raises(InvalidMonths, match="uses the calendar 'lunar'; give a file with the standard calendar"):
        importgrace(csr(tmp_path / "csr.nc", calendar="lunar"), tmp_path / "t.tif")
    still = companion(tmp_path / "still.nc", "lwe_thickness", np.ones((18, 36)))
    with pytest.raises(UnreadableInput, match="lwe_thickness in .*still.nc has no time axis"):
        importgrace(still, tmp_path / "t.tif", unit="cm")


def test_file_of_another_variable(tmp_path):
    with pytest.raises(UnreadableInput, match="no variables of terrestrial water storage .it has pr."):
        importgrace(csr(tmp_path / "pr.nc", names=("pr",), units="mm"), tmp_path / "t.tif")
    result = importgrace(csr(tmp_path / "rain.nc", names=("rain",), units="mm"), tmp_path / "t.tif", variable="rain")
    assert any("does not call itself terrestrial water storage" in text for text in result.warnings)
    assert any("nowhere negative" in text for text in result.warnings)


def test_outputs_that_the_file_cannot_give(tmp_path):
    path = csr(tmp_path / "csr.nc")
    with pytest.raises(UnreadableInput, match="has no uncertainty; leave UNCERTAINTY empty; CSR publishes none"):
        importgrace(path, tmp_path / "t.tif", uncertainty=tmp_path / "u.tif")
    with pytest.raises(InvalidParameter, match="has no gain factors .scale_factor.; give GAIN_FILE"):
        importgrace(path, tmp_path / "t.tif", gain_factors=True)
    gains = companion(tmp_path / "gains.nc", "scale_factor", np.full((18, 36), 2))
    result = importgrace(path, tmp_path / "t.tif", gain_file=gains)
    assert any("GAIN_FACTORS is off" in text for text in result.warnings)
    with pytest.raises(InvalidParameter, match="gain factors hide the native mascons; give MASCON_MAP"):
        importgrace(path, tmp_path / "g.tif", gain_file=gains, gain_factors=True, mascons=tmp_path / "m.tif")
    result = importgrace(path, tmp_path / "g.tif", gain_file=gains, gain_factors=True)
    with MonthlyStack(tmp_path / "t.tif") as plain, MonthlyStack(tmp_path / "g.tif") as doubled:
        assert np.allclose(doubled.read(), 2 * plain.read(), equal_nan=True)
        assert doubled.metadata()["GWSA_GAIN_FACTORS"] == "yes" and "GWSA_GAIN_FACTORS" not in plain.metadata()
    assert any("not for trends" in text for text in result.warnings)

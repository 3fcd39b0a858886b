"""JPL, GSFC and plain files of water storage with their native names, attributes and fills, read back by GDAL alone."""

import numpy as np
import pytest
from osgeo import gdal

from gwsa_qgis.errors import GridMismatch, InvalidMonths, UnreadableInput
from gwsa_qgis.products import grace_companions
from gwsa_qgis.products.grace import open_grace, recognise
from gwsa_qgis.rasters.raster import Raster
from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.science import supports
from gwsa_qgis.steps.importgrace import importgrace

gdal.UseExceptions()
KINDS = {"float32": gdal.GDT_Float32, "float64": gdal.GDT_Float64, "int32": gdal.GDT_Int32}
LATS, LONS = np.arange(-85.0, 90, 10), np.arange(5.0, 360, 10)


def write_netcdf(path, axes, variables, attributes):
    """Axes: name -> length; variables: name -> (dimension names, values, attributes with ``fill``)."""
    root = (dataset := gdal.GetDriverByName("netCDF").CreateMultiDimensional(str(path))).GetRootGroup()
    dimensions = {name: root.CreateDimension(name, None, None, size) for name, size in axes.items()}
    text = gdal.ExtendedDataType.CreateString()
    for name, (dims, values, tags) in variables.items():
        values = np.ascontiguousarray(values)
        kind = gdal.ExtendedDataType.Create(KINDS[values.dtype.name])
        array = root.CreateMDArray(name, [dimensions[d] for d in dims], kind)
        for key, value in tags.items():
            if key == "units":
                array.SetUnit(value)
            elif key == "fill":
                array.SetNoDataValueDouble(value)
            elif isinstance(value, str):
                array.CreateAttribute(key, [], text).Write(value)
            else:
                array.CreateAttribute(key, [], gdal.ExtendedDataType.Create(gdal.GDT_Float64)).Write(float(value))
        array.Write(values)
        del array
    for key, value in attributes.items():
        root.CreateAttribute(key, [], text).Write(value)
    dimensions.clear()
    del root, dataset
    return path


def axis(name, values):
    direction = {"lat": "north", "lon": "east"}[name]
    long = {"lat": "latitude", "lon": "longitude"}[name]
    tags = {"units": f"degrees_{direction}", "long_name": long, "standard_name": long, "bounds": f"{name}_bounds"}
    return (name,), values, tags | {"axis": {"lat": "Y", "lon": "X"}[name]}


def signal(months, seed=2):
    """Anomalies of a month, 3 x 3 cells alike: (months, 18, 36)."""
    random = np.random.default_rng(seed)
    return np.repeat(np.repeat(random.normal(0, 8, (months, 6, 12)), 3, axis=1), 3, axis=2)


SPANS = [("2018-06-01", "2018-06-30"), ("2018-07-01", "2018-07-31"), ("2018-10-22", "2018-11-09")]
SPANS += [("2018-11-10", "2018-11-30"), ("2018-12-01", "2018-12-31")]
DAYS = (np.array(SPANS, "datetime64[D]") - np.datetime64("2002-01-01")).astype(float)


def jpl(path, improved=True, gain=True, **changes):
    """The JPL file's structure on 10 degrees; land holds twice the value of the sea in a mascon across a coast."""
    tws = signal(5)
    mascon = np.repeat(np.repeat(np.arange(1.0, 73).reshape(6, 12), 3, axis=0), 3, axis=1)
    land = ((np.arange(36) // 2 % 2)[None, :] * np.ones((18, 1))).astype(float)
    tws = tws * np.where(improved, 1 + land, 1)
    factor = np.where(land > 0, 1.5 + mascon / 100, -99999.0)
    grid, timed = ("lat", "lon"), ("time", "lat", "lon")
    common = {"units": "cm", "grid_mapping": "WGS84", "fill": -99999.0}
    tws[1, 0, 0] = -99999.0
    variables = {
        "lon": axis("lon", LONS),
        "lat": axis("lat", LATS),
        "time": (("time",), DAYS.mean(axis=1), {
            "units": "days since 2002-01-01T00:00:00Z", "bounds": "time_bounds", "calendar": "gregorian"}),
        "lwe_thickness": (timed, tws, common | {
            "long_name": "Liquid_Water_Equivalent_Thickness", "valid_min": -1973.79, "valid_max": 949.27}),
        "uncertainty": (timed, np.abs(signal(5, 3)) + 0.2, common | {"long_name": "uncertainty"}),
        "lat_bounds": (("lat", "bounds"), np.stack([LATS - 5, LATS + 5], 1), {"units": "degrees_north"}),
        "lon_bounds": (("lon", "bounds"), np.stack([LONS - 5, LONS + 5], 1), {"units": "degrees_east"}),
        "time_bounds": (("time", "bounds"), DAYS, {"long_name": "time boundaries"}),
        "land_mask": (grid, land, {"units": "binary", "long_name": "Land_Mask"}),
        "scale_factor": (grid, factor, {
            "units": "dimensionless", "long_name": "Scale_Factor_CRI", "fill": -99999.0, "valid_min": -99999.0}),
        "mascon_ID": (grid, mascon, {"units": "dimensionless", "long_name": "Mascon_Identifier"}),
    }  # fmt: skip
    if not gain:
        del variables["scale_factor"]
    attributes = {
        "title": f"JPL GRACE and GRACE-FO MASCON RL06.3Mv04{' CRI' if improved else ''}",
        "institution": "NASA/JPL",
        "months_missing": "2018-08-2018-09",
        "time_coverage_start": "2018-06-01T00:00:00Z",
        "time_coverage_end": "2018-12-31T23:59:59Z",
        "time_mean_removed": "2004.000 to 2009.999",
        "postprocess_2": "Water density used to convert to equivalent water height: 1000 kg/m^3",
    } | changes  # fmt: skip
    axes = {"lon": 36, "lat": 18, "time": 5, "bounds": 2}
    return write_netcdf(path, axes, variables, attributes), tws, variables


def same_as_gdal(source, variable, stack, bands, factor=1.0, seed=6):
    """Twenty random cells and months of a stack against GDAL's raster interface, which shares no code with the reader.

    `bands` : month of the stack (from 0) -> solution of the file (from 0).
    """
    plain = gdal.Open(f'NETCDF:"{source}":{variable}')
    west, dx, _, north, _, dy = plain.GetGeoTransform()
    random, seen = np.random.default_rng(seed), 0
    with MonthlyStack(stack) as mine:
        values, lats, lons = mine.read(), mine.grid.latitudes(), mine.grid.longitudes()
    for _ in range(20):
        month, solution = list(bands.items())[random.integers(len(bands))]
        row, column = int(random.integers(lats.size)), int(random.integers(lons.size))
        x = int(np.floor(((lons[column] - west) % 360) / dx))
        y = int(np.floor((lats[row] - north) / dy))
        band = plain.GetRasterBand(solution + 1)
        theirs = band.ReadAsArray(x, y, 1, 1)[0, 0]
        if theirs == band.GetNoDataValue() or np.isnan(theirs):
            assert np.isnan(values[month, row, column])
            continue
        assert values[month, row, column] == pytest.approx(theirs * factor, rel=1e-6)
        seen += 1
    assert seen > 10


@pytest.mark.parametrize("improved", [True, False])
def test_jpl(tmp_path, improved):
    name = f"GRCTellus.JPL.200204_202512.GLO.RL06.3M.MSCNv04{'CRI' if improved else ''}.nc"
    path, tws, variables = jpl(tmp_path / name, improved)
    assert recognise(path)
    messages = []
    at = {name: tmp_path / f"{name}.tif" for name in ("output", "uncertainty", "land_mask", "mascons")}
    result = importgrace(path, **at, progress=lambda f, m: messages.append(m))
    assert (result.product, result.missing, result.mascon_count) == ("JPL mascons", ("2018-08", "2018-09"), 72)
    assert result.warnings == () and result.uncertainty == at["uncertainty"]
    assert any(("is applied" if improved else "No coastline") in message for message in messages)
    bands = {0: 0, 1: 1, 4: 2, 5: 3, 6: 4}
    same_as_gdal(path, "lwe_thickness", at["output"], bands)
    same_as_gdal(path, "uncertainty", at["uncertainty"], bands)
    with MonthlyStack(at["output"]) as stack, MonthlyStack(at["uncertainty"]) as doubt:
        assert stack.baseline == "2004-01..2009-12" and np.isnan(stack.read()[2:4]).all()
        assert np.isnan(stack.read()[1, 17, 18])  # the file's first cell, which is fill in the second solution
        assert doubt.unit() == "cm" and doubt.metadata()["GWSA_UNCERTAINTY"] == "1 sigma of the mascon"
        assert np.allclose(stack.read()[6], np.roll(tws[4], 18, axis=1)[::-1])
    for name, variable in (("land_mask", "land_mask"), ("mascons", "mascon_ID")):
        with Raster(at[name]) as raster:
            mine = np.nan_to_num(raster.read()[0])
        assert np.array_equal(mine, np.roll(variables[variable][1], 18, axis=1)[::-1])


def test_jpl_gain_factors_of_the_file_and_beside_it(tmp_path):
    path, tws, variables = jpl(tmp_path / "own.nc")
    bare, _, _ = jpl(tmp_path / "bare.nc", gain=False)
    factor = variables["scale_factor"][1]
    separate = write_netcdf(tmp_path / "CLM4.SCALE_FACTOR.JPL.MSCNv03CRI.nc", {"lon": 36, "lat": 18}, {
        "lon": axis("lon", np.arange(-175.0, 180, 10)), "lat": axis("lat", LATS),
        "scale_factor": (("lat", "lon"), np.roll(factor, 18, axis=1), {}),  # without a declared fill
    }, {})  # fmt: skip
    importgrace(bare, tmp_path / "none.tif")
    for source, beside in ((path, None), (bare, separate)):
        options = {"gain_factors": True, "gain_file": beside, "uncertainty": tmp_path / "u.tif"}
        result = importgrace(source, tmp_path / "t.tif", **options, mascons=tmp_path / "m.tif")
        assert any("gain factors from 1.51 to 2.22 are applied to 50.0%" in text for text in result.warnings)
        with MonthlyStack(tmp_path / "t.tif") as stack, MonthlyStack(tmp_path / "u.tif") as doubt:
            scaled, sigma = np.roll(stack.read()[6][::-1], 18, axis=1), np.roll(doubt.read()[6][::-1], 18, axis=1)
        by = np.where(factor > 0, factor, 1)
        assert np.allclose(scaled, tws[4] * by, rtol=1e-5)
        assert np.allclose(sigma, variables["uncertainty"][1][4] * by, rtol=1e-5)


def test_jpl_map_of_other_caps(tmp_path):
    path, _, variables = jpl(tmp_path / "data.nc")
    ids = variables["mascon_ID"][1]
    own, other = (
        write_netcdf(tmp_path / name, {"lon": 36, "lat": 18}, {
            "lon": axis("lon", LONS), "lat": axis("lat", LATS), "mascon_ID": (("lat", "lon"), values, {})}, {})
        for name, values in (("own.nc", ids), ("other.nc", np.roll(ids, 1, axis=1)))
    )  # fmt: skip
    # land and sea of a mascon differ in a CRI file, and that is no fault of the map
    assert importgrace(path, tmp_path / "t.tif", mascons=tmp_path / "m.tif", mascon_map=own).mascon_count == 72
    with pytest.raises(GridMismatch, match="within .* mascons of .*other.nc.*the map is of another version"):
        importgrace(path, tmp_path / "t.tif", mascons=tmp_path / "m.tif", mascon_map=other)


def test_maps_are_the_same_in_parts(tmp_path, monkeypatch):
    path, _, _ = jpl(tmp_path / "data.nc")
    found = []
    for cells in (10_000, 40):
        for module in (supports, grace_companions):
            monkeypatch.setattr(module, "CELLS_AT_ONCE", cells)
        for name, options in (("map", {"mascon_map": path}), ("own", {}), ("none", {"variable": "uncertainty"})):
            at = {kind: tmp_path / f"{kind}.tif" for kind in ("land_mask", "mascons")}
            result = importgrace(path, tmp_path / "t.tif", **at, gain_factors=name != "none", **options)
            layers = []
            for file in at.values():
                with Raster(file) as raster:
                    layers.append(raster.read()[0])
            found.append((np.array(layers), result.mascon_count, result.warnings))
    for whole, parts in zip(found[:3], found[3:], strict=True):
        np.testing.assert_array_equal(whole[0], parts[0])
        assert whole[1:] == parts[1:]


def test_mascons_that_vary_are_counted_in_parts():
    labels = np.array([[1, 1, 2, 2], [3, 1, 2, 0], [3, 4, 4, 5]])
    values = np.array([labels, -labels], float)
    values[1, 2, 2] = 7  # in mascon 4, in one month
    values[0, 1, 2] = np.nan  # a cell of mascon 2, which counts no more
    for rows in ([slice(0, 3)], [slice(0, 1), slice(1, 3)], [slice(0, 1), slice(1, 2), slice(2, 3)]):
        spread = grace_companions.MasconSpread(5, 2)
        for part in rows:
            spread.add(values[:, part].astype(np.float32), labels[part])
        assert spread.varied() == (1, 4)  # mascon 5 has one cell


def gsfc(path):
    """The half degree file's structure: NetCDF without fill, list of months, or uncertainty."""
    random = np.random.default_rng(5)
    tws = random.normal(0, 8, (5, 18, 36))
    variables = {
        "lon": axis("lon", LONS),
        "lat": axis("lat", LATS),
        "time": (("time",), np.floor(DAYS.mean(axis=1) + 1), {
            "units": "days since 2002-01-01T00:00:00Z", "calendar": "gregorian", "bounds": "time_bounds"}),
        "land_mask": (("lat", "lon"), (tws[0] > 0).astype(float), {"units": "binary", "coordinates": "lat lon"}),
        "lwe_thickness": (("time", "lat", "lon"), tws, {
            "units": "cm", "coordinates": "time lat lon", "grid_mapping": "WGS84", "valid_min": -1574.1}),
        "time_bounds": (("time", "bounds"), DAYS, {"units": "days since 2002-01-01T00:00:00Z"}),
    }  # fmt: skip
    attributes = {
        "title": "NASA GSFC GRACE and GRACE-FO MASCON RL06 v1.0",
        "creator_institution": "NASA GSFC",
        "product_version": "v1.0",
        "time_mean_removed": "2004.000 to 2009.999",
        "date_created": "date_stamp",
    }
    return write_netcdf(path, {"lon": 36, "lat": 18, "time": 5, "bounds": 2}, variables, attributes), tws


def test_gsfc_half_degree(tmp_path):
    path, tws = gsfc(tmp_path / "gsfc.glb_.200204_202603_rl06v2.0_obp-ice6gd_halfdegree.nc")
    options = {"land_mask": tmp_path / "land.tif", "mascons": tmp_path / "m.tif"}
    result = importgrace(path, tmp_path / "t.tif", **options)
    assert result.missing == ("2018-08", "2018-09") and result.averaged == ()  # two centres in November 2018
    told = " ".join(result.warnings)
    assert "stands for 2018-10" in told and "calls itself version 1.0 inside; the name's 2.0 is trusted" in told
    assert "the file has no mascons" in told and result.mascon_count == 18 * 36
    same_as_gdal(path, "lwe_thickness", tmp_path / "t.tif", {0: 0, 1: 1, 4: 2, 5: 3, 6: 4})
    with Raster(tmp_path / "land.tif") as raster:
        assert np.array_equal(np.isfinite(raster.read()[0]), np.roll(tws[0] > 0, 18, axis=1)[::-1])
    with pytest.raises(UnreadableInput, match="GSFC.*has no uncertainty"):
        importgrace(path, tmp_path / "t.tif", uncertainty=tmp_path / "u.tif")
    named, _ = gsfc(tmp_path / "renamed.nc")
    assert not any("version" in text for text in importgrace(named, tmp_path / "t.tif").warnings)


MONTHS = np.array(["2002-04", "2002-05", "2002-08", "2002-09"], "datetime64[M]")
MID = MONTHS.astype("datetime64[D]").astype("datetime64[s]") + np.timedelta64(14, "D")
TWELFTH = MONTHS.astype(int) / 12 + 1970


@pytest.mark.parametrize("from_0", [True, False])
@pytest.mark.parametrize("north_up", [True, False])
@pytest.mark.parametrize(
    ("name", "unit", "factor", "time", "time_unit"),
    [
        ("JPL_EWH_downscaled", "cm", 1, TWELFTH + 0.5 / 12, ""),  # Li and Kusche
        ("JPL_EWH_downscaled", "cm", 1, np.round(TWELFTH, 4), "decimal year"),
        ("twsa", "mm", 0.1, (MID - np.datetime64("1858-11-17")).astype(float) / 86400, "modified julian day"),  # SeDA
        ("tws", "m", 100, MONTHS.astype(int) - MONTHS[0].astype(int), "months since 2002-04-15"),
        (
            "lwe",
            "mm",
            0.1,
            (MID - np.datetime64("1900-01-01")).astype(float) / 3600,
            "hours since 1900-01-01 00:00:0.0",
        ),
        ("ewh", "kg m-2", 0.1, [200204, 200205, 200208, 200209], "month as %Y%m.%f"),
        ("wsa", "cm", 1, [20020415, 20020515.5, 20020815, 20020915], "day as %Y%m%d.%f"),
    ],
)
def test_plain_files(tmp_path, name, unit, factor, time, time_unit, north_up, from_0):
    random = np.random.default_rng(4)
    lats, lons = LATS[::-1] if north_up else LATS, LONS if from_0 else np.arange(-175.0, 180, 10)
    tws = (random.normal(0, 8, (4, 18, 36)) / factor).astype(np.float32)
    tws[2, 3, 4] = -9999
    tags = {"units": unit, "long_name": "terrestrial water storage anomaly", "fill": -9999.0}
    y, x = ("latitude", "longitude") if name == "twsa" else ("lat", "lon")
    variables = {
        x: ((x,), lons, {"units": "degrees_east"}),
        y: ((y,), lats, {"units": "degrees_north"}),
        "time": (("time",), np.asarray(time, float), {"units": time_unit} if time_unit else {}),
        name: (("time", y, x), tws, tags),
        "twsa_baseline": ((y, x), tws[0], {"units": unit}),
        "mask": ((y, x), (tws[0] > 0).astype(np.int32), {}),
    }
    path = write_netcdf(tmp_path / "plain.nc", {"time": 4, y: 18, x: 36}, variables, {"title": "a product"})
    result = importgrace(path, tmp_path / "t.tif", land_mask=tmp_path / "land.tif")
    assert (result.product, result.missing) == ("plain TWSA file", ("2002-06", "2002-07"))
    same_as_gdal(path, name, tmp_path / "t.tif", {0: 0, 1: 1, 4: 2, 5: 3}, factor)
    with MonthlyStack(tmp_path / "t.tif") as stack:
        north = tws if north_up else tws[:, ::-1]
        rolled = np.roll(north, 18, axis=2) if from_0 else north
        assert np.allclose(stack.read()[5], rolled[3] * factor, rtol=1e-6)
        assert np.isnan(stack.read()[4]).sum() == 1


def test_uncertainty_of_plain_files(tmp_path):
    random = np.random.default_rng(4)
    tws = random.normal(0, 80, (4, 18, 36)).astype(np.float32)
    for shape, dims in (((4, 18, 36), ("time", "lat", "lon")), ((18, 36), ("lat", "lon"))):
        sigma = np.abs(random.normal(0, 20, shape)).astype(np.float32)
        variables = {
            "lon": axis("lon", LONS), "lat": axis("lat", LATS),
            "time": (("time",), TWELFTH + 0.5 / 12, {}),
            "twsa": (("time", "lat", "lon"), tws, {"units": "mm"}),
            "twsa_uncertainty": (dims, sigma, {"units": "mm"}),
        }  # fmt: skip
        path = write_netcdf(tmp_path / f"{len(dims)}.nc", {"time": 4, "lat": 18, "lon": 36}, variables, {})
        importgrace(path, tmp_path / "t.tif", uncertainty=tmp_path / "u.tif")
        with MonthlyStack(tmp_path / "u.tif") as stack:
            mine = np.roll(stack.read(bands=[5])[0][::-1], 18, axis=1)
            assert np.allclose(mine, (sigma[3] if len(dims) == 3 else sigma) / 10, rtol=1e-6)
            assert np.isnan(stack.read(bands=[2])).all()


def test_truncated_netcdf(tmp_path):
    path, _, _ = jpl(tmp_path / "jpl.nc")
    whole = path.read_bytes()
    for share in (0.2, 0.6, 0.95):
        (tmp_path / "cut.nc").write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(UnreadableInput, match="cut.nc"):
            importgrace(tmp_path / "cut.nc", tmp_path / "t.tif")
    assert not recognise(tmp_path / "cut.nc") and not list(tmp_path.glob("*.tif"))


def test_missing_time_and_two_storages(tmp_path):
    tws = signal(4).astype(np.float32)
    timed = ("time", "lat", "lon")
    base = {"lon": axis("lon", LONS), "lat": axis("lat", LATS)}
    axes = {"time": 4, "lat": 18, "lon": 36}
    told = {"units": "cm", "long_name": "terrestrial water storage"}
    two = write_netcdf(tmp_path / "two.nc", axes, base | {
        "time": (("time",), TWELFTH, {}), "a": (timed, tws, told), "b": (timed, tws, told)}, {})  # fmt: skip
    with pytest.raises(UnreadableInput, match="2 variables of terrestrial water storage .a, b.*VARIABLE"):
        open_grace(two)
    gap = np.array([*TWELFTH[:3], np.nan])
    holed = write_netcdf(tmp_path / "gap.nc", axes, base | {
        "time": (("time",), gap, {}), "twsa": (timed, tws, told)}, {})  # fmt: skip
    with pytest.raises(InvalidMonths, match="missing values"):
        open_grace(holed)
    swe = {"units": "kg m-2", "long_name": "Snow depth water equivalent"}
    snow = write_netcdf(tmp_path / "snow.nc", axes, base | {
        "time": (("time",), TWELFTH, {}), "SWE_inst": (timed, tws, swe)}, {})  # fmt: skip
    with pytest.raises(UnreadableInput, match="no variables of terrestrial water storage .it has SWE_inst."):
        open_grace(snow)

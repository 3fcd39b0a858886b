"""TerraClimate and ERA5-Land as their servers write them: packed numbers, units, axes, provisional values."""

import numpy as np
import pytest

from gwsa_qgis.errors import GridMismatch, InvalidMonths, UnreadableInput
from gwsa_qgis.products.product import tags_of
from gwsa_qgis.products.source import open_source
from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.steps.monthlystack import monthlystack

LAT, LON = np.array([49.75, 49.25, 48.75]), np.array([10.25, 10.75, 11.25, 11.75])


def firsts(year, months=12):
    return np.array([f"{year}-{m:02d}-01" for m in range(1, months + 1)], dtype="datetime64[D]")


def read(path):
    with MonthlyStack(path) as stack:
        return stack.months, stack.read(), stack.unit()


def terraclimate(write_netcdf, variable, year, stored, scale=0.1, offset=0.0, unit="mm", name=""):
    days = (firsts(year, len(stored)) - np.datetime64("1900-01-01")).astype(float)
    axes = {
        "lat": (LAT, "degrees_north"), "lon": (LON, "degrees_east"), "time": (days, "days since 1900-01-01 00:00:00")
    }  # fmt: skip
    tags = {"units": unit, "_FillValue": -32768, "scale_factor": scale, "add_offset": offset, "long_name": variable}
    influence = np.zeros(stored.shape, np.int16)
    variables = {variable: (("time", "lat", "lon"), stored, tags)}
    if variable == "ppt":
        variables["station_influence"] = (("time", "lat", "lon"), influence, {"units": "unitless"})
    return write_netcdf(name or f"TerraClimate_{variable}_{year}.nc", axes, variables)


def test_terraclimate_years_and_packing(write_netcdf, tmp_path):
    rng = np.random.default_rng(4)
    stored = {year: rng.integers(0, 3000, (12, 3, 4)).astype(np.int16) for year in (2003, 2005)}
    stored[2003][4, 1, 2] = -32768
    files = [terraclimate(write_netcdf, "ppt", year, values) for year, values in stored.items()]
    result = monthlystack(files, tmp_path / "o.tif")
    months, data, unit = read(tmp_path / "o.tif")
    assert (result.product, result.variable, unit) == ("terraclimate", "ppt", "mm")
    assert (result.first, result.last, len(result.missing)) == ("2003-01", "2005-12", 12)
    assert np.isnan(data[4, 1, 2]) and np.isnan(data[12:24]).all()
    for _ in range(20):
        year, month = rng.choice([2003, 2005]), rng.integers(12)
        row, column = rng.integers(3), rng.integers(4)
        number = stored[year][month, row, column]
        band = np.flatnonzero(months == np.datetime64(f"{year}-{month + 1:02d}"))[0]
        assert data[band, row, column] == pytest.approx(number * 0.1 if number >= 0 else np.nan, abs=1e-4, nan_ok=True)


def test_terraclimate_mean_temperature_from_both(write_netcdf, tmp_path):
    low, high = np.full((12, 3, 4), 200, np.int16), np.full((12, 3, 4), 400, np.int16)
    files = [
        terraclimate(write_netcdf, name, 2003, values, 0.01, -99.0, "degC")
        for name, values in (("tmin", low + 9000), ("tmax", high + 9800))
    ]
    messages = []
    result = monthlystack(files, tmp_path / "o.tif", progress=lambda f, m: messages.append(m))
    assert (result.variable, result.unit) == ("tmean", "degC")
    assert result.mean == pytest.approx(((92 - 99) + (102 - 99)) / 2, abs=1e-4)
    assert any("tmean = 0.5 x tmin + 0.5 x tmax" in m for m in messages)
    one = monthlystack(files, tmp_path / "o.tif", variable="tmax")
    assert one.variable == "tmax" and one.mean == pytest.approx(3, abs=1e-4)


def test_terraclimate_refused(write_netcdf, tmp_path):
    values = np.full((12, 3, 4), 200, np.int16)
    ppt, aet = (terraclimate(write_netcdf, name, 2003, values) for name in ("ppt", "aet"))
    wrong = terraclimate(write_netcdf, "ppt", 2003, values, name="TerraClimate_ppt_2004.nc")
    renamed = terraclimate(write_netcdf, "ppt", 2003, values, name="TerraClimate_aet_2001.nc")
    twice = terraclimate(write_netcdf, "ppt", 2003, values, name="TerraClimate_ppt_2003_copy.nc")
    cut = tmp_path / "TerraClimate_ppt_2009.nc"
    cut.write_bytes(ppt.read_bytes()[:5000])
    cases = [
        ([ppt, aet], UnreadableInput, "not one variable but aet .*, ppt"),
        ([wrong], InvalidMonths, "of 2004 by its name and of 2003 by its time axis"),
        ([renamed], UnreadableInput, "no gridded variable 'aet'"),
        ([ppt, twice], InvalidMonths, "2003-01-01 is there twice"),
        ([cut], UnreadableInput, "TerraClimate_ppt_2009.nc"),
    ]
    for files, error, words in cases:
        with pytest.raises(error, match=words):
            monthlystack(files, tmp_path / "o.tif")
    assert not (tmp_path / "o.tif").exists()
    averaged = monthlystack([ppt, twice], tmp_path / "o.tif", duplicates="average")
    assert averaged.mean == pytest.approx(20)


def test_scale_in_place_of_a_netcdf_tag(write_netcdf, tmp_path):
    stored = 20000 + np.arange(144, dtype=np.int16).reshape(12, 3, 4) - np.int16(71)
    path = terraclimate(write_netcdf, "ppt", 2003, stored, scale=1.0)
    result = monthlystack([path], tmp_path / "o.tif")
    assert "scale tag contradicts" in result.warnings[0]
    tagged = terraclimate(write_netcdf, "ppt", 2004, stored, scale=0.5)
    with open_source(f'NETCDF:"{tagged}":ppt') as source:
        assert tags_of(source) == (0.5, 0.0) and source.is_integer
    assert monthlystack([tagged], tmp_path / "o.tif", scale=0.01).mean == pytest.approx(stored.mean() / 100, abs=1e-3)


def era5(write_netcdf, name, variables, year=2004):
    """The format of the Climate Data Store since 2024."""
    seconds = (firsts(year) - np.datetime64("1970-01-01")).astype(float) * 86400
    axes = {
        "valid_time": (seconds, "seconds since 1970-01-01"), "latitude": (LAT, "degrees_north"),
        "longitude": (LON, "degrees_east"),
    }  # fmt: skip
    return write_netcdf(name, axes, {
        key: (("valid_time", "latitude", "longitude"), values, tags) for key, (values, tags) in variables.items()
    })  # fmt: skip


def test_era5_land_units_signs_and_days(write_netcdf, tmp_path):
    rng = np.random.default_rng(6)
    rain, loss = (rng.uniform(0, 0.01, (12, 3, 4)).astype(np.float32) for _ in range(2))
    kelvin = rng.uniform(260, 300, (12, 3, 4)).astype(np.float32)
    path = era5(write_netcdf, "data_stream-moda.nc", {
        "tp": (rain, {"units": "m", "GRIB_shortName": "tp"}),
        "e": (-loss, {"units": "m of water equivalent"}),
        "t2m": (kelvin, {"units": "K"}),
    })  # fmt: skip
    with pytest.raises(UnreadableInput, match="not one variable but e .*, t2m .*, tp .* VARIABLE"):
        monthlystack([path], tmp_path / "o.tif")
    days = np.array([31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])[:, None, None]
    expected = {"tp": rain * 1000.0 * days, "e": loss * 1000.0 * days, "t2m": kelvin - 273.15}
    for name, values in expected.items():
        result = monthlystack([path], tmp_path / "o.tif", variable=name)
        months, data, unit = read(tmp_path / "o.tif")
        assert result.product == "era5land" and months[0] == np.datetime64("2004-01") and not result.missing
        assert unit == ("degC" if name == "t2m" else "mm")
        assert np.allclose(data, values, rtol=2e-6, atol=2e-5)
    named = monthlystack([f'NETCDF:"{path}":tp'], tmp_path / "o.tif")
    assert named.mean == pytest.approx(expected["tp"].mean(), rel=1e-5)


def test_era5_land_packed_with_provisional_values_and_longitudes_from_zero(write_netcdf, tmp_path):
    longitudes = np.array([0.0, 90.0, 180.0, 270.0])
    hours = (firsts(2004, 3) - np.datetime64("1900-01-01")).astype(np.int32) * 24
    axes = {
        "time": (hours, "hours since 1900-01-01 00:00:00.0"), "expver": (np.array([1, 5], np.int32), ""),
        "latitude": (LAT, "degrees_north"), "longitude": (longitudes, "degrees_east"),
    }  # fmt: skip
    stored = np.full((3, 2, 3, 4), -32767, np.int16)
    stored[:2, 0], stored[2, 1] = np.arange(4) * 10, 500  # the last month is provisional
    tags = {"units": "m", "_FillValue": -32767, "scale_factor": 1e-5, "add_offset": 0.001}
    path = write_netcdf("era5_land_old.nc", axes, {"tp": (("time", "expver", "latitude", "longitude"), stored, tags)})
    messages = []
    monthlystack([path], tmp_path / "o.tif", progress=lambda f, m: messages.append(m))
    data = read(tmp_path / "o.tif")[1]
    rates = np.arange(4) * 10 * 1e-5 + 0.001
    # 180 stands at -180: the columns are 180, 270, 0, 90
    assert np.allclose(data[0, 0], rates[[2, 3, 0, 1]] * 31000, rtol=1e-5)
    assert np.allclose(data[2], (500e-5 + 0.001) * 31000, rtol=1e-5)
    assert any("expver 5" in m for m in messages) and any("0 to 360" in m for m in messages)


def test_era5_land_refused(write_netcdf, tmp_path):
    values = np.full((12, 3, 4), 0.003, np.float32)
    mm = era5(write_netcdf, "era5_mm.nc", {"tp": (values, {"units": "mm"})})
    other = era5(write_netcdf, "era5_other.nc", {"u10": (values, {"units": "m s**-1"})})
    hours = np.datetime64("2004-01-01T00", "h") + np.arange(4)
    seconds = (hours - np.datetime64("1970-01-01T00", "h")).astype(float) * 3600
    axes = {"valid_time": (seconds, "seconds since 1970-01-01"), "latitude": (LAT, "degrees_north")}
    axes["longitude"] = (LON, "degrees_east")
    hourly = write_netcdf("era5_hourly.nc", axes, {"tp": (tuple(axes), values[:4], {"units": "m"})})
    for path, error, words in (
        (mm, UnreadableInput, "is in mm, not in m"),
        (other, UnreadableInput, "no variable of ERA5-Land .* it has u10"),
        (hourly, InvalidMonths, "not of monthly means"),
    ):
        with pytest.raises(error, match=words):
            monthlystack([path], tmp_path / "o.tif")


def test_era5_land_soil_layers_by_thickness(write_netcdf, tmp_path):
    layers = {f"swvl{k}": np.full((12, 3, 4), 0.1 * k, np.float32) for k in (1, 2, 3)}
    path = era5(write_netcdf, "era5_swvl.nc", {k: (v, {"units": "m**3 m**-3"}) for k, v in layers.items()})
    result = monthlystack([path], tmp_path / "o.tif")
    assert (result.variable, result.unit) == ("swvl_0_100cm", "m3 m-3")
    assert result.mean == pytest.approx((7 * 0.1 + 21 * 0.2 + 72 * 0.3) / 100, abs=1e-6)


def test_one_file_from_zero_and_one_from_minus_180(write_tif, tmp_path):
    values = np.ones((18, 36), np.float32)
    files = [
        write_tif(f"rain_2004-0{k}.tif", values, corner=(west, 90.0), size=10.0) for k, west in ((1, -180.0), (2, 0.0))
    ]
    with pytest.raises(GridMismatch, match="count longitudes differently, from 0 to 360 and from -180 to 180"):
        monthlystack(files, tmp_path / "o.tif")
    messages = []
    monthlystack(files[1:], tmp_path / "o.tif", progress=lambda f, m: messages.append(m))
    assert any(m.startswith("Warning") and "run from 0 to 360 and are kept" in m for m in messages)


def test_generic_netcdf_of_two_variables_and_damage(write_netcdf, tmp_path):
    values = np.ones((12, 3, 4), np.float32)
    path = era5(write_netcdf, "some.nc", {"a": (values, {"units": "mm"}), "b": (values, {"units": "mm"})})
    with pytest.raises(UnreadableInput, match=r"2 gridded variables \(a, b\)"):
        monthlystack([path], tmp_path / "o.tif")
    assert monthlystack([path], tmp_path / "o.tif", variable="b").variable == "b"
    with pytest.raises(UnreadableInput, match="not one variable but a .*, b"):
        monthlystack([f'NETCDF:"{path}":a', f'NETCDF:"{path}":b'], tmp_path / "o.tif")
    again = era5(write_netcdf, "cm.nc", {"a": (values, {"units": "cm"})}, 2005)
    with pytest.raises(UnreadableInput, match="several units: mm .*, cm"):
        monthlystack([f'NETCDF:"{path}":a', again], tmp_path / "o.tif")

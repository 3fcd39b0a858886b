"""Storages of hydrological models in their native structure, read through `monthlystack` to cm."""

import numpy as np
import pytest
from osgeo import gdal

from gwsa_qgis.errors import InvalidMonths, UnreadableInput
from gwsa_qgis.products import registry
from gwsa_qgis.products.background import BACKGROUND, human_use, warning_of
from gwsa_qgis.products.cf_time import decode_times
from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.steps.monthlystack import monthlystack

gdal.UseExceptions()
LATS, LONS = np.arange(11.75, 9.5, -0.5), np.arange(20.25, 23, 0.5)  # north first, as ISIMIP has them
NATURAL_NAME = "watergap2-2e_gswp3-w5e5_obsclim_nosoc_default_groundwstor_global_monthly_1901_2019.nc"


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setitem(registry.PRODUCTS, BACKGROUND.name, BACKGROUND)


def model_file(
    path, times, units, *, calendar="", unit="kg m-2", variable="groundwstor", fill=1e20, values=None, more=()
):
    dataset = gdal.GetDriverByName("netCDF").CreateMultiDimensional(str(path))
    root, text = dataset.GetRootGroup(), gdal.ExtendedDataType.CreateString()
    dims = [
        root.CreateDimension(n, None, None, s)
        for n, s in (("time", len(times)), ("lat", LATS.size), ("lon", LONS.size))
    ]
    axes = (np.asarray(times, float), units), (LATS, "degrees_north"), (LONS, "degrees_east")
    for dim, (axis, axis_unit) in zip(dims, axes, strict=True):
        array = root.CreateMDArray(dim.GetName(), [dim], gdal.ExtendedDataType.Create(gdal.GDT_Float64))
        array.SetUnit(axis_unit)
        if dim.GetName() == "time" and calendar:
            array.CreateAttribute("calendar", [], text).Write(calendar)
        array.Write(np.ascontiguousarray(axis))
        del array
    if values is None:
        values = np.random.default_rng(3).uniform(100, 900, (len(times), LATS.size, LONS.size))
        values[:, 0, 0] = 1e20
    for name in (variable, *more):
        array = root.CreateMDArray(name, dims, gdal.ExtendedDataType.Create(gdal.GDT_Float32))
        if unit:
            array.SetUnit(unit)
        if fill is not None:
            array.SetNoDataValueDouble(fill)
        array.Write(np.ascontiguousarray(values.astype(np.float32)))
        del array
    return path


def starts_in(calendar, first, last):
    """Days since 1901-01-01 of the first of each month, counted one month after the other."""
    lengths = {"365_day": [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], "360_day": [30] * 12}[calendar]
    months = np.arange("1901-01", last, dtype="datetime64[M]")
    days = np.concatenate([[0], np.cumsum([lengths[int(m.astype(int)) % 12] for m in months])[:-1]])
    return days[months >= np.datetime64(first)], months[months >= np.datetime64(first)]


@pytest.mark.parametrize("calendar", ["365_day", "360_day"])
def test_calendars_of_models_give_each_month_once(tmp_path, calendar):
    days, months = starts_in(calendar, "2003-01", "2009-01")
    found = decode_times(days, "days since 1901-1-1 00:00:00", calendar)
    assert (found.astype("datetime64[M]") == months).all()
    assert (found.astype("datetime64[D]") == months.astype("datetime64[D]")).all()
    path = model_file(tmp_path / NATURAL_NAME, days, "days since 1901-01-01", calendar=calendar)
    result = monthlystack([path], tmp_path / "o.tif", product="background")
    assert (result.first, result.last, result.missing) == ("2003-01", "2008-12", ())


def test_calendar_within_months_and_days():
    # 15 March 2004 12:00 without leap days: 103 years of 365, 31 + 28 + 14.5 days
    assert str(decode_times([103 * 365 + 73.5], "days since 1901-01-01", "noleap")[0]) == "2004-03-15T12:00:00"
    # 30 February has no day in the real February
    assert str(decode_times([59], "days since 2003-01-01", "360_day")[0])[:10] == "2003-02-28"
    assert str(decode_times([36], "hours since 2004-02-28", "365_day")[0]) == "2004-03-01T12:00:00"
    assert str(decode_times([59], "days since 2003-01-01", "all_leap")[0])[:10] == "2003-02-28"
    assert str(decode_times([59], "days since 2004-01-01", "standard")[0])[:10] == "2004-02-29"


def test_isimip_natural_run_in_cm_without_a_warning(tmp_path):
    path = model_file(tmp_path / NATURAL_NAME, [1236, 1237, 1239], "months since 1901-01-01", calendar="360_day")
    messages = []
    result = monthlystack([path], tmp_path / "o.tif", product="background", progress=lambda f, m: messages.append(m))
    assert result.missing == ("2004-03",) and result.unit == "cm" and not result.warnings
    assert not [m for m in messages if "human" in m]
    plain = gdal.Open(f'NETCDF:"{path}":groundwstor').ReadAsArray()
    with MonthlyStack(tmp_path / "o.tif") as stack:
        data = stack.read()
    assert [str(stack.months[0]), str(stack.months[-1])] == ["2004-01", "2004-04"]
    assert np.isnan(data[2]).all() and np.isnan(data[:, 0, 0]).all()
    rng = np.random.default_rng(1)
    for _ in range(20):
        at, row, column = int(rng.integers(3)), int(rng.integers(LATS.size)), int(rng.integers(1, LONS.size))
        assert data[(0, 1, 3)[at], row, column] == pytest.approx(plain[at, row, column] / 10, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (NATURAL_NAME, "natural"),
        ("h08_gswp3-w5e5_obsclim_1901soc_default_groundwstor_global_monthly_1901_2019.nc", "natural"),
        ("cwatm_gswp3-w5e5_obsclim_histsoc_default_groundwstor_global_monthly_1901_2019.nc", "human"),
        ("lpjml_gfdl-esm4_ssp126_2015soc_default_groundwstor_global_monthly_2015_2100.nc", "human"),
        ("watergap22e_gswp3-era5_groundwstor_histsoc_monthly_1901_2022.nc", "human"),
        ("watergap22d_ant_groundwstor_monthly.nc", "human"),
        ("storGroundwater_monthAvg_output_1958-2015.nc", "unknown"),
        ("GLDAS_CLSM025_DA1_D.A20040101.022.nc4", "assimilated"),
    ],
)
def test_human_use_by_name(tmp_path, name, kind):
    assert human_use(name) == kind
    assert ("removes the signal" in warning_of(name, "groundwstor")) == (kind != "natural")
    assert ("withdrawn" in warning_of(name, "groundwstor")) == name.startswith("h08")
    if kind != "assimilated":
        path = model_file(tmp_path / name, [0, 1], "months since 2004-01-01")
        result = monthlystack([path], tmp_path / "o.tif", product="background")
        assert bool(result.warnings) == (kind != "natural" or name.startswith("h08"))


def test_recognised_by_names(tmp_path):
    for name in (NATURAL_NAME, "GLDAS_CLSM025_DA1_D.A20040101.022.nc4", "storGroundwaterTotal_monthAvg_output.nc"):
        assert BACKGROUND.recognise(name)
    for name in ("GLDAS_NOAH025_M.A200401.021.nc4", "GWSA_2004.tif", "TerraClimate_ppt_2004.nc", "gwsa.nc", "tas.nc"):
        assert not BACKGROUND.recognise(name)


@pytest.mark.parametrize("variable", ["groundwater_storage", "total_groundwater_storage"])
def test_pcrglobwb_in_metres(tmp_path, variable):
    values = np.full((2, LATS.size, LONS.size), 1.25)
    path = model_file(
        tmp_path / "storGroundwater_monthAvg_output.nc",
        [0, 31],
        "Days since 2004-01-31",
        unit="m",
        variable=variable,
        fill=-9999,
        values=values,
    )
    assert monthlystack([path], tmp_path / "o.tif", product="background").mean == 125.0


def test_daily_files_of_gldas_22_become_monthly_means(tmp_path):
    files = []
    for day in range(29):
        name = f"GLDAS_CLSM025_DA1_D.A200402{day + 1:02d}.022.nc4"
        values = np.full((1, LATS.size, LONS.size), 100.0 + day)
        files.append(
            model_file(
                tmp_path / name,
                [day],
                " days since 2004-02-01",
                unit="mm",
                variable="GWS_tavg",
                fill=-9999,
                values=values,
                more=("TWS_tavg", "SWE_tavg"),
            )
        )
    result = monthlystack(files, tmp_path / "o.tif", product="background")
    assert (result.first, result.last) == ("2004-02", "2004-02") and result.mean == pytest.approx(11.4)
    assert "assimilates GRACE" in result.warnings[0]


def test_other_storages_and_a_variable_by_name(tmp_path):
    path = model_file(
        tmp_path / NATURAL_NAME.replace("groundwstor", "canopystor"),
        [0],
        "months since 2004-01-01",
        variable="canopystor",
    )
    assert "canopystor is not groundwater" in monthlystack([path], tmp_path / "o.tif", product="background").warnings[0]


def test_bad_input(tmp_path):
    natural = tmp_path / NATURAL_NAME
    human = model_file(tmp_path / NATURAL_NAME.replace("nosoc", "histsoc"), [0], "months since 2005-01-01")
    model_file(natural, [0, 1], "months since 2004-01-01")
    later = model_file(tmp_path / NATURAL_NAME.replace("2019", "2020"), [1], "months since 2004-01-01")
    (tmp_path / "cut").mkdir()
    cut = tmp_path / "cut" / NATURAL_NAME
    cut.write_bytes(natural.read_bytes()[:2000])
    flux = model_file(
        tmp_path / NATURAL_NAME.replace("groundwstor", "qr"), [0], "months since 2004-01-01", variable="qr"
    )
    rate = model_file(tmp_path / "x_nosoc_groundwstor_rate.nc", [0], "months since 2004-01-01", unit="kg m-2 s-1")
    bare = model_file(tmp_path / "x_nosoc_groundwstor_bare.nc", [0], "months since 2004-01-01", unit="")
    yearly = model_file(tmp_path / "x_nosoc_groundwstor_annual.nc", [0, 365, 730], "days since 2001-01-01")
    open_fill = model_file(tmp_path / "x_nosoc_groundwstor_fill.nc", [0], "months since 2004-01-01", fill=None)
    strange = model_file(tmp_path / "x_nosoc_groundwstor_cal.nc", [0], "days since 2004-01-01", calendar="lunar")
    cases = [
        ([natural, human], UnreadableInput, "several versions.*histsoc.*nosoc"),
        ([natural, later], InvalidMonths, "2004-02-01 is there twice"),
        ([cut], UnreadableInput, "not a NetCDF file that can be read"),
        ([flux], UnreadableInput, "no groundwater storage.*it has qr"),
        ([rate], UnreadableInput, "'kg m-2 s-1', which is not known"),
        ([bare], UnreadableInput, "does not name its unit.*SCALE"),
        ([yearly], InvalidMonths, "a value every 365 days"),
        ([open_fill], UnreadableInput, "1e[+]19 cm in band 1: a fill value that it does not declare"),
        ([strange], InvalidMonths, "calendar 'lunar'"),
    ]
    for inputs, error, words in cases:
        with pytest.raises(error, match=words):
            monthlystack(inputs, tmp_path / "o.tif", product="background")
        assert not (tmp_path / "o.tif").exists()
    assert monthlystack([bare], tmp_path / "o.tif", product="background", scale=0.1).unit == "cm"

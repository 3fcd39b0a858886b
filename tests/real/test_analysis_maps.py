"""Analyses of real monthly grids of Bangladesh, and of California's series, against loops with pandas."""

import csv

import numpy as np
import pytest

from gwsa_qgis.rasters.raster import read_single
from gwsa_qgis.rasters.stack import MonthlyStack

pytestmark = pytest.mark.real
CLSM = "GLDAS_22_CLSM_GWS_M_2003_2017_BGD_025.nc4"
TWSA = "TWSA_M_2002_2017_BGD_025.nc4"


@pytest.fixture(scope="module")
def stacks(shared_data, tmp_path_factory):
    """Groundwater of GLDAS-2.2 and TWSA of GRACE as stacks in cm, by name."""
    from gwsa_qgis.steps.monthlystack import monthlystack

    source = shared_data / "bangladesh"
    if not source.is_dir():
        pytest.skip("the Bangladesh grids are not there")
    folder = tmp_path_factory.mktemp("bangladesh")
    # metres and millimetres, which the files do not say
    for name, file, scale in (("groundwater", CLSM, 100), ("twsa", TWSA, 0.1)):
        monthlystack([source / file], folder / f"{name}.tif", product="generic", scale=scale, offset=0, unit="cm")
    return {name: folder / f"{name}.tif" for name in ("groundwater", "twsa")}


@pytest.fixture(scope="module")
def tables(stacks):
    """The same as tables of months (rows) and cells (columns)."""
    pandas = pytest.importorskip("pandas")
    found = {}
    for name, path in stacks.items():
        with MonthlyStack(path) as stack:
            index = pandas.PeriodIndex(stack.months.astype(str), freq="M")
            found[name] = pandas.DataFrame(stack.read().reshape(stack.bands, -1).astype(float), index=index)
    return found


@pytest.mark.parametrize("name", ["groundwater", "twsa"])
def test_seasonal_contribution(stacks, tables, tmp_path, name):
    from gwsa_qgis.steps.seasonality import seasonality

    result = seasonality(stacks[name], tmp_path / "c.tif", maximum=tmp_path / "m.tif")
    found, grid = read_single(result.output)
    years = tables[name].groupby(tables[name].index.year)
    whole = years.count() == 12
    within, between = years.std(ddof=0).where(whole).mean(), years.mean().where(whole).std(ddof=0)
    expected = (100 * within / (within + between)).to_numpy().reshape(grid.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    valid, weight = np.isfinite(found), np.broadcast_to(np.cos(np.deg2rad(grid.latitudes()))[:, None], found.shape)
    assert result.shares_above[50.0] == pytest.approx(100 * weight[found > 50].sum() / weight[valid].sum(), rel=1e-4)
    months = read_single(result.maximum)[0]
    print(
        f"{name}: mean {result.mean:.1f} %, above 50 % in {result.shares_above[50.0]:.1f} %; {result.most_years} years"
    )
    # the monsoon, June to October, fills the delta
    assert np.isin(months[np.isfinite(months)], [7, 8, 9, 10]).mean() > 0.98
    assert result.shares_above[50.0] > 90


@pytest.mark.parametrize("name", ["groundwater", "twsa"])
def test_latitude_profile(stacks, tables, tmp_path, name):
    from gwsa_qgis.steps.latitudeprofile import latitudeprofile

    result = latitudeprofile(stacks[name], tmp_path / "mean.tif", band_height=0.5, periods="2003/2008, 2009/2014")
    with MonthlyStack(stacks[name]) as stack:
        latitudes = np.repeat(np.round(stack.grid.latitudes(), 6), stack.grid.columns)
    assert len({str(band.period) for band in result.bands}) == 3
    for period in {str(band.period) for band in result.bands}:
        mean = tables[name][period[:7] : period[-7:]].mean()
        for band in (band for band in result.bands if str(band.period) == period):
            inside = (latitudes >= band.south) & (latitudes < band.north) & mean.notna().to_numpy()
            weights = np.cos(np.deg2rad(latitudes[inside]))
            assert band.figures.mean == pytest.approx(np.average(mean[inside], weights=weights), rel=1e-4, abs=1e-4)
            assert band.figures.count == inside.sum()
    print(f"{name}: mean {result.area_mean:.3f} cm, lowest {result.lowest.name()}, highest {result.highest.name()}")
    # water is lost: the second half is lower than the first, in the delta as a whole
    first, second = (
        np.average([band.figures.mean for band in part], weights=[band.figures.weight for band in part])
        for part in (
            [band for band in result.bands if str(band.period)[8:] == f"to {end}"] for end in ("2008-12", "2014-12")
        )
    )
    assert second < first


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
def test_attribution(stacks, tmp_path):
    """TWSA less the groundwater of GLDAS-2.2, which lies on another grid and assimilates GRACE."""
    from osgeo import gdal

    from gwsa_qgis.steps.attribution import attribution

    said = []
    outputs = (tmp_path / f"{name}.tif" for name in ("residual", "slope", "p_value"))
    result = attribution(
        stacks["twsa"], stacks["groundwater"], *outputs, unit="year", progress=lambda fraction, text: said.append(text)
    )
    assert result.human_use == "assimilated"
    assert any("assimilates GRACE: observed depletion is already inside" in text for text in said)
    with MonthlyStack(stacks["twsa"]) as stack, MonthlyStack(stacks["groundwater"]) as other:
        grid, months = stack.grid, result.months
        total, places = stack.read_months(months).astype(float), other.positions(months)
    west, south, east, north = grid.extent
    natural = gdal.Warp(
        "", str(stacks["groundwater"]), format="MEM", outputBounds=(west, south, east, north), width=grid.columns,
        height=grid.rows, resampleAlg="bilinear", errorThreshold=0, warpOptions=["UNIFIED_SRC_NODATA=NO"],
    ).ReadAsArray()[places].astype(float)  # fmt: skip
    both = np.isfinite(total) & np.isfinite(natural)
    usable = both & ((np.datetime64("2004-01") <= months) & (np.datetime64("2009-12") >= months))[:, None, None]
    anomalies = [part - np.nanmean(np.where(usable, part, np.nan), axis=0) for part in (total, natural)]
    with MonthlyStack(result.residual) as stack:
        np.testing.assert_allclose(stack.read(), np.where(both, anomalies[0] - anomalies[1], np.nan), atol=2e-3)
    trends = [one.slope for one in (result.gwsa_trend, result.background_trend, result.residual_trend)]
    print("trends of TWSA, groundwater, residual, cm/yr: {:.2f} {:.2f} {:.2f}".format(*trends))
    assert trends[0] < 0 and trends[1] < 0


@pytest.mark.parametrize("name", ["groundwater", "twsa"])
@pytest.mark.parametrize("method", ["grace_dsi", "ggdi"])
def test_drought_index(stacks, tables, tmp_path, name, method):
    from gwsa_qgis.steps.droughtindex import droughtindex

    result = droughtindex(stacks[name], tmp_path / "index.tif", method=method)
    by_month = tables[name].groupby(tables[name].index.month)
    deviation = tables[name] - by_month.transform("mean")
    expected = deviation / by_month.transform("std")
    if method == "ggdi":
        expected = (deviation - deviation.mean()) / deviation.std()
    with MonthlyStack(result.output) as stack:
        np.testing.assert_allclose(stack.read().reshape(stack.bands, -1), expected, rtol=2e-4, atol=1e-4)
    print(f"{name}, {method}: {result.drought_share:.1f} % in drought, worst {result.worst_month}")


def test_california_is_driest_when_its_droughts_were(shared_data, tmp_path):
    """The droughts of 2012 to 2016 and 2020 to 2022 stand out of JPL's series of total water storage."""
    from gwsa_qgis.rasters.grid import Grid, geographic_crs
    from gwsa_qgis.rasters.stack import write_stack
    from gwsa_qgis.steps.droughtindex import droughtindex

    found = sorted(
        (shared_data / "california_jpl").glob("*california_2004-01_to_2026-01*overlap_only_monthly_unsm*.csv")
    )
    if not found:
        pytest.skip("the California series is not there")
    with found[0].open(encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    there = np.array([row["date"][:7] for row in rows], "datetime64[M]")
    months = np.arange(there[0], there[-1] + 1)
    values = np.full((months.size, 1, 1), np.nan)
    values[(there - there[0]).astype(int), 0, 0] = [float(row["total water storage"]) for row in rows]
    grid = Grid(-120.0, 37.0, 1.0, 1.0, 1, 1, geographic_crs())
    stack = write_stack(tmp_path / "california.tif", grid, months, values, unit="km3")
    result = droughtindex(stack, tmp_path / "index.tif", classes=tmp_path / "classes.tif")
    years = months.astype("datetime64[Y]").astype(int) + 1970
    yearly = {year: np.nanmean(result.mean_index[years == year]) for year in range(2004, 2026)}
    print({year: round(float(value), 2) for year, value in yearly.items()})
    driest = sorted(yearly, key=yearly.get)[:4]
    assert set(driest) <= {2014, 2015, 2016, 2021, 2022}
    assert yearly[2006] > 0.8 and yearly[2011] > 0.8

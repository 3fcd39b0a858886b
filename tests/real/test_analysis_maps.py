"""Analyses of real monthly grids of Bangladesh against loops with pandas."""

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
    for name, file in (("groundwater", CLSM), ("twsa", TWSA)):
        monthlystack([source / file], folder / f"{name}.tif", product="generic", scale=0.1, offset=0, unit="cm")
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

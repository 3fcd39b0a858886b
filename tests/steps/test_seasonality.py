"""Seasonal contribution of files: against pandas, by true area, with holes, in windows."""

import numpy as np
import pytest

from gwsa_qgis.errors import Cancelled, InvalidMonths, InvalidParameter, NoUsableData
from gwsa_qgis.months import calendar_month, calendar_year, month_range
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.raster import Raster, read_single, write_single
from gwsa_qgis.rasters.stack import write_stack
from gwsa_qgis.steps.seasonality import seasonality

MONTHS = month_range("2002-04", "2012-03")
SHAPE = (30, 8)
EARTH_KM = 6371.0088


@pytest.fixture
def grid():
    return Grid(10.0, 80.0, 0.5, 2.5, SHAPE[1], SHAPE[0], geographic_crs())


@pytest.fixture
def stack(tmp_path, grid):
    random = np.random.default_rng(5)
    time = np.arange(MONTHS.size)[:, None, None]
    amplitude, slope = random.uniform(0, 6, SHAPE), random.uniform(-0.2, 0.2, SHAPE)
    peak = random.integers(1, 13, SHAPE)
    season = amplitude * np.cos(2 * np.pi * (calendar_month(MONTHS)[:, None, None] - peak) / 12)
    values = season + slope * time + random.normal(0, 0.5, (MONTHS.size, *SHAPE))
    values[:, 3, 4] = np.nan
    values[20:100, 5, 5] = np.nan  # of whole calendar years 2011 is left
    values[40, 10:12] = np.nan
    values[[10, 11]] = np.nan  # a gap everywhere, in early 2003
    values[:, 7, 7] = 2.0
    path = write_stack(tmp_path / "gwsa.tif", grid, MONTHS, values, quantity="GWSA")
    return path, values.astype(np.float32), peak, amplitude


def run(path, folder, **options):
    paths = {"maximum": folder / "maximum.tif", "report": folder / "page.html"} | options
    return seasonality(path, folder / "output.tif", **paths)


def by_pandas(series, minimum):
    pandas = pytest.importorskip("pandas")
    table = pandas.Series(series.astype(float), index=pandas.PeriodIndex(MONTHS.astype(str), freq="M")).dropna()
    years = table.groupby(table.index.year)
    counted = years.count()[years.count() >= minimum].index
    if len(counted) < 2:
        return np.nan
    within, between = years.std(ddof=0)[counted].mean(), years.mean()[counted].std(ddof=0)
    return 100 * within / (within + between) if within + between > 0 else np.nan


@pytest.mark.parametrize("minimum", [12, 10, 9, 3])
def test_every_pixel_equals_pandas(stack, tmp_path, minimum):
    path, values, *_ = stack
    result = run(path, tmp_path / "out", minimum_months=minimum)
    found = read_single(result.output)[0]
    expected = np.array([[by_pandas(values[:, y, x], minimum) for x in range(SHAPE[1])] for y in range(SHAPE[0])])
    np.testing.assert_allclose(found, expected, rtol=2e-6)
    assert np.isnan(found[3, 4]) and np.isnan(found[7, 7])
    assert np.isnan(found[5, 5]) == (minimum >= 10)
    assert result.pixels == np.isfinite(expected).sum()


def test_years_that_lack_months_are_named_and_left_out(stack, tmp_path):
    said = []
    result = run(stack[0], tmp_path / "a", progress=lambda fraction, message: said.append(message))
    assert result.left_out == (2002, 2012)
    assert any("2002 (9 months), 2012 (3 months)" in message for message in said)
    # 2003 to 2011 but 2003, which has two empty months
    assert (result.most_years, result.fewest_years) == (8, 7)
    said.clear()
    result = run(stack[0], tmp_path / "b", minimum_months=9, progress=lambda fraction, message: said.append(message))
    assert result.left_out == (2012,) and result.most_years == 10
    assert any(message.startswith("Warning: 2002 counts as a year without all") for message in said)


def test_shares_are_of_the_true_area(stack, tmp_path, grid):
    result = run(stack[0], tmp_path / "out")
    found = read_single(result.output)[0].astype(float)
    edges = np.deg2rad(80 - 2.5 * np.arange(SHAPE[0] + 1))
    area = EARTH_KM**2 * np.deg2rad(0.5) * (np.sin(edges[:-1]) - np.sin(edges[1:]))[:, None] * np.ones(SHAPE)
    valid = np.isfinite(found)
    for limit in (50.0, 66.0):
        assert result.shares_above[limit] == pytest.approx(
            100 * area[found > limit].sum() / area[valid].sum(), rel=1e-9
        )
    assert result.mean == pytest.approx(np.average(found[valid], weights=area[valid]), rel=1e-9)
    assert result.area_km2 == pytest.approx(area[valid].sum(), rel=1e-9)
    unweighted = 100 * (found > 50).sum() / valid.sum()
    assert abs(result.shares_above[50.0] - unweighted) > 0.1  # the grid reaches far north: weights matter


def test_month_of_the_maximum_despite_the_trend(stack, tmp_path):
    path, values, peak, amplitude = stack
    result = run(path, tmp_path / "out")
    with Raster(result.maximum) as raster:
        found = np.nan_to_num(raster.read()[0]).astype(int)
        assert raster.dataset.GetRasterBand(1).GetNoDataValue() == 0
    strong = amplitude > 2
    strong[[3, 5, 7], [4, 5, 7]] = False
    difference = np.abs(found - peak)
    assert (np.minimum(difference, 12 - difference)[strong] <= 1).all()
    assert (difference[amplitude > 4] == 0).mean() > 0.9
    assert found[3, 4] == found[7, 7] == found[5, 5] == 0


def test_report_tells_shares_and_map(stack, tmp_path):
    result = run(stack[0], tmp_path / "out")
    page = result.report.read_text(encoding="utf-8")
    assert f"{result.shares_above[50.0]:.2f} %" in page and f"{result.shares_above[66.0]:.2f} %" in page
    assert page.count("data:image/png;base64,") == 2
    assert "2002, 2012" in page
    assert "none returns" in page


def test_windows_and_workers_change_nothing(stack, tmp_path):
    whole, parts = run(stack[0], tmp_path / "a"), run(stack[0], tmp_path / "b", memory_mb=0.05, workers=2)
    for name in ("output", "maximum"):
        np.testing.assert_array_equal(read_single(getattr(whole, name))[0], read_single(getattr(parts, name))[0])
    assert whole.shares_above == pytest.approx(parts.shares_above, rel=1e-12)
    assert whole.mean == pytest.approx(parts.mean, rel=1e-12)


def test_without_the_optional_outputs(stack, tmp_path):
    result = seasonality(stack[0], tmp_path / "only" / "output.tif")
    assert result.maximum is None and result.report is None
    assert [path.name for path in result.output.parent.iterdir()] == ["output.tif"]
    with Raster(result.output) as raster:
        assert raster.unit() == "%" and raster.metadata()["GWSA_PERIOD"] == "2002-04 to 2012-03"


def test_bad_input_leaves_no_file(stack, tmp_path, grid):
    out = tmp_path / "out"
    for months in (0, 13, -1):
        with pytest.raises(InvalidParameter, match=f"MINIMUM_MONTHS is {months}"):
            run(stack[0], out, minimum_months=months)
    empty = write_stack(tmp_path / "empty.tif", grid, MONTHS, np.full((MONTHS.size, *SHAPE), np.nan))
    with pytest.raises(NoUsableData, match="no pixel of .*empty"):
        run(empty, out)
    still = write_stack(tmp_path / "still.tif", grid, MONTHS, np.ones((MONTHS.size, *SHAPE)))
    with pytest.raises(NoUsableData, match="no pixel of .*still"):
        run(still, out)
    short = write_stack(tmp_path / "short.tif", grid, MONTHS[:20], np.zeros((20, *SHAPE)))
    with pytest.raises(NoUsableData, match="20 months.*no two calendar years with 12"):
        run(short, out)
    undated = write_single(tmp_path / "undated.tif", grid, np.zeros((30, *SHAPE), np.float32))
    with pytest.raises(InvalidMonths, match="no month on band 1"):
        run(undated, out)
    assert not out.exists() or not list(out.iterdir())


def test_cancelling_leaves_nothing(stack, tmp_path):
    def stop(fraction, message):
        if fraction > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        run(stack[0], tmp_path / "out", memory_mb=0.05, progress=stop)
    assert [item.name for item in (tmp_path / "out").iterdir()] == [".output.tif.gwsa-part"]
    assert calendar_year(MONTHS)[0] == 2002

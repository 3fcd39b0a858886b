import csv
import time

import numpy as np
import pytest

from gwsa_qgis.errors import GridMismatch, InvalidMonths, InvalidParameter, NoUsableData
from gwsa_qgis.months import month_range
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.raster import Raster, read_single, write_single
from gwsa_qgis.rasters.stack import write_stack
from gwsa_qgis.science.trend_break import CHANGE_NAMES, change_classes, trend_break
from gwsa_qgis.steps.trendbreak import trendbreak

MONTHS = month_range("2002-04", "2012-03")
POSITION = 57  # 2007-01
LAYERS = ("slope_before", "slope_after", "change", "p_before", "p_after", "p_value")
NAMES = (*LAYERS, "classes")


@pytest.fixture
def grid():
    return Grid(10.0, 60.0, 0.5, 0.5, 9, 24, geographic_crs())


@pytest.fixture
def stack(tmp_path, grid):
    """Declines that stop in the north, that accelerate in the south, and nothing between."""
    random = np.random.default_rng(3)
    time_ = np.arange(MONTHS.size)[:, None, None]
    after = np.maximum(time_ - POSITION, 0)
    bend = np.repeat([0.3, 0.0, -0.3], 8)[None, :, None]
    values = -0.3 * time_ + bend * after + 4 * np.cos(2 * np.pi * time_ / 12)
    values = values + random.normal(0, 1.0, (MONTHS.size, *grid.shape))
    values[:, 3, 4] = np.nan
    values[:50, 5, 5] = np.nan
    values[[10, 11]] = np.nan
    return write_stack(tmp_path / "gwsa.tif", grid, MONTHS, values, quantity="GWSA"), values.astype(np.float32)


def run(stack, folder, month="2007", **options):
    paths = {name: folder / f"{name}.tif" for name in NAMES}
    paths |= {"table": folder / "areas.csv", "report": folder / "break.html"}
    return trendbreak(stack, month, **(paths | options))


def read(result, *names):
    return [read_single(getattr(result, name))[0] for name in names]


def test_layers_are_those_of_the_science(stack, tmp_path):
    path, values = stack
    result = run(path, tmp_path / "out", unit="year")
    present = np.isfinite(values).any(axis=(1, 2))
    found = trend_break(values.reshape(MONTHS.size, -1).T, POSITION, minimum_share=0.5, present=present)
    expected = (found.before, found.after, found.change, found.p_before, found.p_after, found.p_change)
    for name, wanted in zip(LAYERS, expected, strict=True):
        factor = 1 if name.startswith("p_") else 12
        layer = read(result, name)[0].ravel()
        np.testing.assert_allclose(layer, factor * wanted, rtol=1e-5, atol=1e-9, err_msg=name)
    *layers, classes = read(result, *NAMES)
    np.testing.assert_array_equal(np.nan_to_num(classes), change_classes(*layers[:2], *layers[3:]))
    assert np.isnan(layers[2][3, 4]) and np.isnan(layers[2][5, 5])
    with Raster(result.change) as raster:
        assert raster.unit() == "cm/year" and raster.metadata()["GWSA_BREAK"] == "2007-01"


def test_what_was_put_in_is_found(stack, tmp_path):
    result = run(stack[0], tmp_path / "out")
    classes = read(result, "classes")[0]
    valid = classes > 0
    assert (classes[:8][valid[:8]] == 10).mean() > 0.85  # decline stopped
    assert (classes[8:16] == 7).mean() > 0.9
    assert (classes[16:] == 1).mean() > 0.95
    assert result.pixels == valid.sum()
    assert result.mean_before == pytest.approx(-0.3, abs=0.02)
    assert 55 < result.field_share < 75
    assert set(result.area_shares) == set(CHANGE_NAMES)
    area = np.broadcast_to(np.cos(np.deg2rad(60 - 0.5 * (np.arange(24) + 0.5)))[:, None], classes.shape)
    share = 100 * area[classes == 1].sum() / area[valid].sum()
    assert result.area_shares[1] == pytest.approx(share, rel=1e-3)


def test_windows_and_workers_change_nothing(stack, tmp_path):
    first = run(stack[0], tmp_path / "a")
    second = run(stack[0], tmp_path / "b", memory_mb=1, workers=2)
    third = run(stack[0], tmp_path / "c", memory_mb=1, workers=1)
    for name in NAMES:
        np.testing.assert_array_equal(*(read(one, name)[0] for one in (first, second)), err_msg=name)
        assert getattr(second, name).read_bytes() == getattr(third, name).read_bytes()
    assert first.area_shares == second.area_shares and first.field == second.field


def test_a_month_a_year_and_a_period(stack, tmp_path, grid):
    path, values = stack
    by_year, by_month = run(path, tmp_path / "y"), run(path, tmp_path / "m", "2007-01")
    np.testing.assert_array_equal(*(read(one, "change")[0] for one in (by_year, by_month)))
    part = slice(9, 111)
    cut = write_stack(tmp_path / "cut.tif", grid, MONTHS[part], values[part])
    whole = run(path, tmp_path / "w", start="2003-01", end="2011-06")
    np.testing.assert_array_equal(*(read(one, "p_value")[0] for one in (whole, run(cut, tmp_path / "c"))))


def test_report_and_table(stack, tmp_path, grid):
    numbers = np.where(np.arange(24)[:, None] < 8, 13, 0) * np.ones((1, 9))
    aquifers = write_single(tmp_path / "aq.tif", grid, numbers.astype(np.uint8), dtype="uint8", nodata=0)
    result = run(stack[0], tmp_path / "out", aquifers=aquifers)
    page = result.report.read_text(encoding="utf-8")
    for words in ("Trend before and from 2007-01", "decline stopped", "no published preset", "2002-04 to 2006-12 (57)"):
        assert words in page
    assert page.count("data:image/png;base64,") == 5
    rows = list(csv.DictReader(result.table.open()))
    whole = [row for row in rows if row["region_kind"] == "map"]
    assert sum(float(row["share_percent"]) for row in whole) == pytest.approx(100, abs=1e-3)
    stopped = [row for row in rows if row["region"] == "13" and row["name"] == "decline stopped"]
    assert float(stopped[0]["share_percent"]) > 80
    assert {row["region_kind"] for row in rows} == {"map", "aquifer class", "latitude"}


def test_only_what_is_asked_for_is_written(stack, tmp_path):
    result = trendbreak(stack[0], "2007", tmp_path / "out" / "c.tif", tmp_path / "out" / "p.tif")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["c.tif", "p.tif"]
    assert result.slope_before is None and result.report is None


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"unit": "day"}, InvalidParameter, "unit is 'day'"),
        ({"significance": 1.0}, InvalidParameter, "significance is 1.0"),
        ({"minimum_share": -1}, InvalidParameter, "share of months is -1"),
        ({"month": "soon"}, InvalidMonths, "BREAK is 'soon'"),
        ({"month": "2002-04"}, InvalidMonths, "BREAK is 2002-04 and the months are 2002-04 to 2012-03"),
        ({"month": "2011-01"}, NoUsableData, "15 months with values are after the break"),
        ({"month": "2003"}, NoUsableData, "9 months with values are before the break"),
    ],
)
def test_bad_options_are_named_and_leave_nothing(stack, tmp_path, options, error, words):
    with pytest.raises(error, match=words):
        run(stack[0], tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_bad_inputs_leave_nothing(stack, tmp_path, grid):
    empty = write_stack(tmp_path / "empty.tif", grid, MONTHS, np.full((MONTHS.size, *grid.shape), np.nan))
    with pytest.raises(NoUsableData, match="no pixel of .*empty.tif has both trends"):
        run(empty, tmp_path / "out")
    elsewhere = write_single(tmp_path / "else.tif", grid.window(0, 0, 5, 5), np.ones((5, 5), np.float32))
    with pytest.raises(GridMismatch, match="aquifer classes"):
        run(stack[0], tmp_path / "out", aquifers=elsewhere)
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("workers", [1, 2])
def test_cancelling_is_heard_soon_and_leaves_nothing(tmp_path, workers):
    grid = Grid(10.0, 60.0, 0.05, 0.05, 100, 60, geographic_crs())
    path = write_stack(tmp_path / "g.tif", grid, MONTHS, np.random.default_rng(1).normal(size=(MONTHS.size, 60, 100)))
    asked = []

    def progress(fraction, message):
        if fraction > 0.3:
            asked.append(time.process_time())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(path, tmp_path / "out", workers=workers, progress=progress)
    # processor time, since a busy machine stretches the other
    assert time.process_time() - asked[0] < 2.0
    assert not list((tmp_path / "out").iterdir())

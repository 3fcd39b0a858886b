import numpy as np
import pytest

from gwsa_qgis.errors import InvalidMonths, InvalidParameter, NoUsableData
from gwsa_qgis.months import month_range
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.raster import Raster, read_single, write_single
from gwsa_qgis.rasters.stack import write_stack
from gwsa_qgis.steps.trend import trend

MONTHS = month_range("2002-04", "2012-03")


@pytest.fixture
def grid():
    return Grid(10.0, 60.0, 0.5, 0.5, 8, 30, geographic_crs())


@pytest.fixture
def stack(tmp_path, grid):
    random = np.random.default_rng(3)
    slopes = np.linspace(-0.2, 0.2, 240).reshape(30, 8)
    time = np.arange(MONTHS.size)[:, None, None]
    values = slopes * time + 4 * np.cos(2 * np.pi * time / 12) + random.normal(0, 1.5, (MONTHS.size, 30, 8))
    values[:, 3, 4] = np.nan
    values[:80, 5, 5] = np.nan
    values[[10, 11]] = np.nan
    return write_stack(tmp_path / "gwsa.tif", grid, MONTHS, values, quantity="GWSA"), values.astype(np.float32)


def run(stack, folder, **options):
    names = ("slope", "p_value", "p_plain", "classes")
    paths = {name: folder / f"{name}.tif" for name in names} | {"report": folder / "trend.html"}
    return trend(stack, paths.pop("slope"), paths.pop("p_value"), **paths, **options)


def test_slopes_and_p_values_are_those_of_pymannkendall(stack, tmp_path):
    reference = pytest.importorskip("pymannkendall")
    path, values = stack
    result = run(path, tmp_path / "out", deseasonalise=False, correction="none")
    slope, p_value = read_single(result.slope)[0], read_single(result.p_value)[0]
    for row, column in ((0, 0), (15, 3), (20, 1), (29, 7)):
        series = values[:, row, column].astype(float)
        present = np.isfinite(series)
        test = reference.original_test(series)
        # pymannkendall's slope with gaps counts positions, ours months: compare the complete part
        if present.all():
            assert slope[row, column] == pytest.approx(test.slope, rel=1e-6)
        assert p_value[row, column] == pytest.approx(test.p, rel=1e-5, abs=1e-12)


def test_season_is_removed_and_years_are_twelve_months(stack, tmp_path, grid):
    path, _ = stack
    monthly, yearly = run(path, tmp_path / "m"), run(path, tmp_path / "y", unit="year")
    by_month, by_year = read_single(monthly.slope)[0], read_single(yearly.slope)[0]
    np.testing.assert_allclose(by_year, 12 * by_month, rtol=1e-6)
    truth = np.linspace(-0.2, 0.2, 240).reshape(30, 8)
    valid = np.isfinite(by_month)
    assert np.sqrt(np.mean((by_month - truth)[valid] ** 2)) < 0.01
    assert not valid[3, 4]
    assert not valid[5, 5]  # a third of its months is too little
    assert valid.sum() == monthly.pixels == 238
    with Raster(yearly.slope) as raster:
        assert raster.unit() == "cm/year"


def test_shares_are_weighted_by_area_and_plain_ones_stand_beside(stack, tmp_path, grid):
    result = run(stack[0], tmp_path / "out")
    classes = read_single(result.classes)[0]
    area = np.broadcast_to(np.cos(np.deg2rad(grid.latitudes()))[:, None], classes.shape)
    for number in range(1, 8):
        expected = 100 * area[classes == number].sum() / area[np.isfinite(classes)].sum()
        assert result.area_shares[number] == pytest.approx(expected, rel=1e-3, abs=1e-9)
    assert sum(result.area_shares.values()) == pytest.approx(100)
    significant = [sum(shares[k] for k in (1, 2, 6, 7)) for shares in (result.area_shares, result.area_shares_plain)]
    assert significant[0] <= significant[1]
    page = result.report.read_text(encoding="utf-8")
    assert "highly significant decrease" in page
    assert "data:image/png;base64," in page


def test_windows_and_workers_change_nothing(stack, tmp_path):
    first, second = run(stack[0], tmp_path / "a"), run(stack[0], tmp_path / "b", memory_mb=1, workers=2)
    for name in ("slope", "p_value", "p_plain", "classes"):
        np.testing.assert_array_equal(read_single(getattr(first, name))[0], read_single(getattr(second, name))[0])
    assert first.area_shares == pytest.approx(second.area_shares)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"unit": "day"}, InvalidParameter, "unit is 'day'"),
        ({"correction": "magic"}, InvalidParameter, "correction is 'magic'"),
        ({"minimum_share": 2.0}, InvalidParameter, "share of months is 2"),
    ],
)
def test_unknown_options_are_named(stack, tmp_path, options, error, words):
    with pytest.raises(error, match=words):
        run(stack[0], tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_bad_stacks_leave_no_file(tmp_path, grid):
    out = tmp_path / "out"
    empty = write_stack(tmp_path / "empty.tif", grid, MONTHS, np.full((MONTHS.size, 30, 8), np.nan))
    with pytest.raises(NoUsableData, match="no pixel"):
        run(empty, out)
    short = write_stack(tmp_path / "short.tif", grid, MONTHS[:20], np.zeros((20, 30, 8)))
    with pytest.raises(NoUsableData, match="20 months"):
        run(short, out)
    undated = write_single(tmp_path / "undated.tif", grid, np.zeros((30, 30, 8), np.float32))
    with pytest.raises(InvalidMonths, match="no month on band 1"):
        run(undated, out)
    assert not list(out.iterdir())

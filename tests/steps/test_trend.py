import csv
import time

import numpy as np
import pytest
from osgeo import ogr

from gwsa_qgis.errors import GridMismatch, InvalidMonths, InvalidParameter, NoUsableData, OutputNotWritable
from gwsa_qgis.months import month_range
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.raster import Raster, read_single, write_single
from gwsa_qgis.rasters.stack import write_stack
from gwsa_qgis.science.red_noise import autoregressive
from gwsa_qgis.science.trend import deseasonalise, field_significance, mann_kendall, theil_sen
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


NAMES = ("slope", "p_value", "p_plain", "lower", "upper", "classes")


def run(stack, folder, **options):
    paths = {name: folder / f"{name}.tif" for name in NAMES} | {"report": folder / "trend.html"}
    paths |= {"stipples": folder / "dots.gpkg", "table": folder / "areas.csv"}
    return trend(stack, **(paths | options))


def read(result, *names):
    return [read_single(getattr(result, name))[0] for name in names]


def read_dots(path):
    """Fields and places of all dots, with the library that QGIS reads them with."""
    layer = ogr.Open(str(path))
    found = [
        (f.GetGeometryRef().GetX(), f.GetGeometryRef().GetY(), f["slope"], f["share"], f["cells"])
        for f in layer.GetLayer("stipples")
    ]
    return np.array(found).reshape(-1, 5).T


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
    same = run(stack[0], tmp_path / "c", memory_mb=1, workers=1)
    for name in NAMES:
        np.testing.assert_array_equal(*(read(one, name)[0] for one in (first, second)), err_msg=name)
        assert getattr(second, name).read_bytes() == getattr(same, name).read_bytes(), name
    np.testing.assert_allclose(read_dots(first.stipples), read_dots(second.stipples))
    assert first.area_shares == second.area_shares == same.area_shares
    assert first.field == second.field and first.table.read_text() == second.table.read_text()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"unit": "day"}, InvalidParameter, "unit is 'day'"),
        ({"correction": "magic"}, InvalidParameter, "correction is 'magic'"),
        ({"minimum_share": 2.0}, InvalidParameter, "share of months is 2"),
        ({"confidence": 1.0}, InvalidParameter, "confidence is 1.0"),
        ({"stipple_p": 0.0}, InvalidParameter, "p value of the dots is 0.0"),
        ({"stipple_spacing": -2}, InvalidParameter, "spacing of the dots is -2"),
        ({"start": "soon"}, InvalidMonths, "START is 'soon'"),
        ({"end": "2001-01"}, InvalidMonths, "has no month from 2002-04 to 2001-01"),
        ({"start": "2011-01"}, NoUsableData, "has 15 months and removing the season needs 24"),
        ({"stipples": "dots.shp"}, OutputNotWritable, "dots.shp is no GeoPackage name"),
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


def noise(shape, phi=0.8, seed=4):
    random = np.random.default_rng(seed)
    return autoregressive(random.normal(size=(MONTHS.size, *shape)), phi, axis=0)


def test_both_p_values_and_limits_are_those_of_the_science(stack, tmp_path):
    path, values = stack
    result = run(path, tmp_path / "out", season_allowance=False)
    series = values.reshape(MONTHS.size, -1).T.astype(float)
    adjusted = deseasonalise(series)
    lines, test = theil_sen(adjusted, confidence=None), mann_kendall(adjusted, "ar1")
    limits = theil_sen(adjusted, confidence=0.95, variance_factor=test.variance_factor)
    expected = (lines.slope, test.p, test.p_plain, limits.lower, limits.upper)
    for name, wanted in zip(NAMES, expected, strict=False):
        found = read(result, name)[0].ravel()
        shown = np.isfinite(found)
        np.testing.assert_allclose(found[shown], wanted[shown], rtol=1e-5, atol=1e-9, err_msg=name)
    slope, lower, upper = read(result, "slope", "lower", "upper")
    with np.errstate(invalid="ignore"):
        assert ((lower <= slope) & (slope <= upper))[np.isfinite(slope)].all()
    allowed = run(path, tmp_path / "allowed")
    assert not np.array_equal(*(read(one, "p_value")[0] for one in (result, allowed)), equal_nan=True)
    np.testing.assert_array_equal(*(read(one, "p_plain")[0] for one in (result, allowed)))


def test_limits_are_in_the_slope_s_unit_and_narrower_with_less_confidence(stack, tmp_path):
    wide = run(stack[0], tmp_path / "w", unit="year")
    narrow = run(stack[0], tmp_path / "n", confidence=0.5)
    width = [np.nanmean(upper - lower) for lower, upper in (read(one, "lower", "upper") for one in (wide, narrow))]
    assert width[0] / 12 > 1.5 * width[1]
    with Raster(wide.upper) as raster:
        assert raster.unit() == "cm/year" and "95 %" in raster.descriptions()[0]


def test_classes_may_go_by_field_significance(tmp_path, grid):
    values = noise(grid.shape)
    values[:, :8] += 0.12 * np.arange(MONTHS.size)[:, None, None]
    path = write_stack(tmp_path / "gwsa.tif", grid, MONTHS, values)
    own, field = run(path, tmp_path / "own"), run(path, tmp_path / "field", field_significance=True)
    p_value = read(own, "p_value")[0]
    np.testing.assert_array_equal(p_value, read(field, "p_value")[0])
    for result, limits in ((own, None), (field, [field_significance(p_value, alpha) for alpha in (0.05, 0.01)])):
        slope, classes = read(result, "slope", "classes")
        significant, highly = (p_value < 0.05, p_value < 0.01) if limits is None else [f.mask(p_value) for f in limits]
        np.testing.assert_array_equal(classes, 4 + np.sign(slope) * (1 + significant.astype(int) + highly))
    assert own.field == field.field == field_significance(p_value, 0.05)
    area = np.broadcast_to(grid.row_areas_km2()[:, None], grid.shape)
    assert own.field_share == pytest.approx(100 * area[own.field.mask(p_value)].sum() / area.sum())
    assert sum(field.area_shares[k] for k in (1, 2, 6, 7)) < sum(own.area_shares[k] for k in (1, 2, 6, 7))
    assert "The classes go by this procedure" in field.report.read_text(encoding="utf-8")


def test_noise_alone_has_no_field_significance(tmp_path, grid):
    path = write_stack(tmp_path / "gwsa.tif", grid, MONTHS, noise(grid.shape, 0.5, seed=12))
    result = run(path, tmp_path / "out", field_significance=True)
    assert result.field.significant == 0 and np.isnan(result.field.threshold) and result.field_share == 0
    assert set(np.unique(read(result, "classes")[0])) <= {3, 5}
    assert "none passes" in result.report.read_text(encoding="utf-8")


def test_dots_stand_where_trends_are_significant(tmp_path, grid):
    values = noise(grid.shape, 0.3)
    values[:, :15] -= 0.3 * np.arange(MONTHS.size)[:, None, None]
    values[:, :, 7] = np.nan
    path = write_stack(tmp_path / "gwsa.tif", grid, MONTHS, values)
    result = run(path, tmp_path / "out", stipple_spacing=5, stipple_p=0.001, unit="year")
    x, y, slope, share, cells = read_dots(result.stipples)
    assert result.dots == x.size == 3 * 2
    assert (y > 52.5).all() and (slope < -3).all() and (share > 90).all()
    assert sorted(set(cells)) == [10, 25]
    assert sorted(set(x)) == pytest.approx([11.25, 13.0])  # the last columns have none: not in the middle of nothing
    by_field = run(path, tmp_path / "field", stipple_spacing=5, stipple_field=True)
    assert by_field.dots == 6
    # without a wish for dots none is written
    bare = trend(path, tmp_path / "s.tif", tmp_path / "p.tif")
    assert bare.stipples is None and bare.dots == 0 and bare.lower is None


def test_a_period_is_what_the_stack_would_be_if_cut(stack, tmp_path, grid):
    path, values = stack
    part = slice(33, 90)
    cut = write_stack(tmp_path / "cut.tif", grid, MONTHS[part], values[part], quantity="GWSA")
    whole = run(path, tmp_path / "a", start=str(MONTHS[33]), end=str(MONTHS[89]))
    alone = run(cut, tmp_path / "b")
    for name in NAMES:
        np.testing.assert_array_equal(*(read(one, name)[0] for one in (whole, alone)), err_msg=name)
    with Raster(whole.slope) as raster:
        assert raster.metadata()["GWSA_PERIOD"] == f"{MONTHS[33]} to {MONTHS[89]}"


def test_filled_months_are_used_or_left_out(stack, tmp_path, grid):
    _, values = stack
    filled = np.zeros(MONTHS.size, bool)
    filled[[4, 60, 61, 62]] = True
    path = write_stack(tmp_path / "filled.tif", grid, MONTHS, values, filled=filled)
    holes = np.where(filled[:, None, None], np.nan, values)
    expected = run(write_stack(tmp_path / "holes.tif", grid, MONTHS, holes), tmp_path / "a")
    said = []
    left_out = run(path, tmp_path / "b", use_filled=False, progress=lambda _, message: said.append(message))
    for name in NAMES:
        np.testing.assert_array_equal(*(read(one, name)[0] for one in (expected, left_out)), err_msg=name)
    assert "4 of them filled and left out" in " ".join(said)
    assert "4 filled ones are left out (2002-08" in left_out.report.read_text(encoding="utf-8")
    used = run(path, tmp_path / "c")
    assert not np.array_equal(read(used, "slope")[0], read(left_out, "slope")[0], equal_nan=True)
    assert "of which 4 were filled" in used.report.read_text(encoding="utf-8")


def test_areas_by_aquifer_class_and_latitude(stack, tmp_path, grid):
    numbers = np.repeat([13, 24, 0], 10)[:, None] * np.ones((1, 8))
    aquifers = write_single(tmp_path / "aq.tif", grid, numbers.astype(np.uint8), dtype="uint8", nodata=0)
    result = run(stack[0], tmp_path / "out", aquifers=aquifers, memory_mb=1)
    p_value, p_plain, slope, classes = read(result, "p_value", "p_plain", "slope", "classes")
    area = np.broadcast_to(grid.row_areas_km2()[:, None], grid.shape)
    regions = {(region.kind, region.name): region for region in result.regions}
    assert [name for kind, name in regions if kind == "aquifer class"] == ["13", "24"]
    here = (numbers == 24) & (classes == 1)
    assert regions["aquifer class", "24"].areas[0, 0] == pytest.approx(area[here].sum())
    plain = (numbers == 13) & (p_plain < 0.01) & (slope > 0)
    assert regions["aquifer class", "13"].areas[1, 6] == pytest.approx(area[plain].sum())
    bands = [name for kind, name in regions if kind == "latitude"]
    assert bands[0] == "59°N to 60°N" and len(bands) == 15
    north = (np.arange(30)[:, None] < 2) & (classes == 1)
    assert regions["latitude", bands[0]].areas[0, 0] == pytest.approx(area[north].sum())
    rows = list(csv.DictReader(result.table.open()))
    assert len(rows) == 7 * (1 + 2 + 15)
    whole = [row for row in rows if row["region_kind"] == "map"]
    assert sum(float(row["share_percent"]) for row in whole) == pytest.approx(100, abs=1e-3)
    assert sum(float(row["area_km2"]) for row in whole) == pytest.approx(area[np.isfinite(slope)].sum(), rel=1e-5)
    elsewhere = write_single(tmp_path / "else.tif", grid.window(0, 0, 5, 5), np.ones((5, 5), np.float32))
    with pytest.raises(GridMismatch, match="aquifer classes"):
        run(stack[0], tmp_path / "no", aquifers=elsewhere)


def test_short_periods_are_warned_of(stack, tmp_path):
    said = []
    first, *_, last = [str(month) for month in MONTHS[:119]]
    run(stack[0], tmp_path / "short", start=first, end=last, progress=lambda _, message: said.append(message))
    assert [text for text in said if text.startswith("Warning: the period has 119 months")]
    said.clear()
    run(
        stack[0], tmp_path / "long", start=first, end=str(MONTHS[119]), progress=lambda _, message: said.append(message)
    )
    assert not [text for text in said if "the period has" in text]


def test_unsafe_corrections_are_said_to_be(stack, tmp_path):
    said = []
    result = run(stack[0], tmp_path / "out", correction="yue_wang", progress=lambda _, message: said.append(message))
    assert any(text.startswith("Warning: correction yue_wang calls far more than 5 %") for text in said)
    page = result.report.read_text(encoding="utf-8")
    assert "is not safe" in page and "calls about 47 % of them significant" in page
    safe = run(stack[0], tmp_path / "safe")
    assert "is not safe" not in safe.report.read_text(encoding="utf-8")


def test_robust_season(tmp_path):
    pytest.importorskip("statsmodels")
    grid = Grid(10.0, 60.0, 0.5, 0.5, 3, 2, geographic_crs())
    values = noise(grid.shape, 0.2) + 4 * np.cos(2 * np.pi * np.arange(MONTHS.size) / 12)[:, None, None]
    values[50] += 300
    path = write_stack(tmp_path / "gwsa.tif", grid, MONTHS, values)
    result = run(path, tmp_path / "out", robust=True)
    series = values.astype(np.float32).reshape(MONTHS.size, -1).T.astype(float)
    expected = theil_sen(deseasonalise(series, robust=True), confidence=None).slope
    np.testing.assert_allclose(read(result, "slope")[0].ravel(), expected, rtol=1e-5)


def test_constant_pixels_are_of_class_none(tmp_path, grid):
    values = noise(grid.shape)
    values[:, 4, 4] = -3.7
    result = run(write_stack(tmp_path / "gwsa.tif", grid, MONTHS, values), tmp_path / "out")
    slope, p_value, classes = read(result, "slope", "p_value", "classes")
    assert (slope[4, 4], p_value[4, 4], classes[4, 4]) == (0, 1, 4)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("at", [0.0, 0.3, 0.98])
def test_cancelling_is_heard_soon_and_leaves_nothing(tmp_path, workers, at):
    grid = Grid(10.0, 60.0, 0.05, 0.05, 120, 60, geographic_crs())
    path = write_stack(tmp_path / "gwsa.tif", grid, MONTHS, noise(grid.shape))
    asked = []

    def progress(fraction, message):
        if fraction >= at:
            asked.append(time.process_time())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(path, tmp_path / "out", workers=workers, memory_mb=16, progress=progress)
    # processor time, since a busy machine stretches the other
    assert time.process_time() - asked[0] < 2.0
    assert {item.name for item in (tmp_path / "out").glob("*")} <= {".slope.tif.gwsa-part"}


def test_the_report_says_what_it_holds(stack, tmp_path):
    page = run(stack[0], tmp_path / "out", unit="year").report.read_text(encoding="utf-8")
    for words in (
        "cm/year",
        "Recommended: correction ar1",
        "Published: correction none",
        "Is the map as a whole",
        "Dots:",
    ):
        assert words in page
    assert page.count("data:image/png;base64,") == 3
    assert "change of volume over the area" in page


def test_units_other_than_cm_have_no_volume(tmp_path, grid):
    path = write_stack(tmp_path / "pre.tif", grid, MONTHS, noise(grid.shape), unit="mm")
    result = run(path, tmp_path / "out")
    assert "change of volume" not in result.report.read_text(encoding="utf-8")
    with Raster(result.slope) as raster:
        assert raster.unit() == "mm/month"


@pytest.mark.parametrize(
    ("correction", "ignored"),
    [("ar1", False), ("hamed_rao", False), ("none", True), ("trend_free_prewhitening", True), ("seasonal", True)],
)
def test_limits_say_where_they_ignore_serial_correlation(stack, tmp_path, correction, ignored):
    result = run(stack[0], tmp_path, correction=correction)
    for name in ("lower", "upper"):
        with Raster(getattr(result, name)) as raster:
            assert ("serial correlation ignored: too narrow" in raster.descriptions()[0]) == ignored
    page = result.report.read_text(encoding="utf-8")
    assert ("serial correlation ignored: too narrow" in page) == ignored
    assert ("pairs of the same calendar month" in page) == (correction == "seasonal")

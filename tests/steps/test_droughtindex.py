"""Drought index of files: stacks with their months, areas through time, windows, bad input."""

import csv

import numpy as np
import pytest

from gwsa_qgis.errors import Cancelled, InvalidMonths, InvalidParameter, NoUsableData
from gwsa_qgis.months import calendar_month, month_range
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.raster import Raster, read_single, write_single
from gwsa_qgis.rasters.stack import MonthlyStack, write_stack
from gwsa_qgis.science.red_noise import autoregressive
from gwsa_qgis.steps.droughtindex import droughtindex

MONTHS = month_range("2002-04", "2015-12")
SHAPE = (20, 9)


@pytest.fixture
def grid():
    return Grid(10.0, 75.0, 0.5, 3.0, SHAPE[1], SHAPE[0], geographic_crs())


@pytest.fixture
def stack(tmp_path, grid):
    random = np.random.default_rng(11)
    values = autoregressive(random.normal(size=(MONTHS.size, *SHAPE)), 0.85, axis=0)
    values += 4 * np.cos(2 * np.pi * calendar_month(MONTHS) / 12)[:, None, None]
    values[100:110] -= 5  # a drought everywhere
    values[:, 3, 4] = np.nan
    values[[60, 61]] = np.nan
    values[80, :5] = np.nan
    filled = np.zeros(MONTHS.size, bool)
    filled[[30, 31]] = True
    path = write_stack(tmp_path / "gwsa.tif", grid, MONTHS, values, quantity="GWSA", filled=filled)
    return path, values.astype(np.float32)


def run(path, folder, **options):
    names = {"classes": "classes.tif", "spells": "spells.tif", "areas": "areas.csv", "report": "page.html"}
    paths = {key: folder / name for key, name in names.items()}
    return droughtindex(path, folder / "output.tif", **paths | options)


def by_loop(values):
    """Index of every pixel, month by month, in plain numpy."""
    expected = np.full(values.shape, np.nan)
    calendar = calendar_month(MONTHS)
    for month in range(1, 13):
        part = values[calendar == month].astype(float)
        with np.errstate(invalid="ignore"):
            mean = np.nanmean(np.where(np.isfinite(part), part, np.nan), axis=0)
            expected[calendar == month] = (part - mean) / np.nanstd(part, axis=0, ddof=1)
    return expected


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:Degrees of freedom")
def test_index_and_classes_are_stacks_with_their_months(stack, tmp_path):
    path, values = stack
    result = run(path, tmp_path / "out")
    expected = by_loop(values)
    with MonthlyStack(result.output) as index, MonthlyStack(result.classes) as classes:
        np.testing.assert_allclose(index.read(), expected, rtol=1e-4, atol=1e-5)
        assert (index.months == MONTHS).all() and (classes.months == MONTHS).all()
        assert np.flatnonzero(index.filled).tolist() == [30, 31]
        assert index.unit() == "" and index.quantity == "drought index of GWSA"
        graded = np.nan_to_num(classes.read()).astype(int)
        assert classes.dataset.GetRasterBand(1).GetNoDataValue() == 0
        assert classes.metadata()["GWSA_CLASS_1"].startswith("D4")
        written = index.read()
    limits = [-2.0, -1.6, -1.3, -0.8, -0.5]
    for number, limit in enumerate(limits, start=1):
        np.testing.assert_array_equal((graded > 0) & (graded <= number), written <= np.float32(limit))
        np.testing.assert_array_equal(graded >= 12 - number, written >= np.float32(-limit))
    assert result.pixels == 20 * 9 - 1


def test_areas_through_time_are_true_areas(stack, tmp_path, grid):
    result = run(stack[0], tmp_path / "out")
    with MonthlyStack(result.classes) as classes, MonthlyStack(result.output) as index:
        graded, values = np.nan_to_num(classes.read()).astype(int), index.read().astype(float)
    edges = np.sin(np.deg2rad(75 - 3.0 * np.arange(SHAPE[0] + 1)))
    area = (6371.0088**2 * np.deg2rad(0.5) * (edges[:-1] - edges[1:]))[:, None] * np.ones(SHAPE)
    with result.areas.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["month"] for row in rows] == [str(month) for month in MONTHS]
    assert [row["filled"] for row in rows].count("1") == 2
    for place, row in enumerate(rows):
        known = graded[place] > 0
        if place in (60, 61):
            assert row["mean_index"] == row["D4_percent"] == "" and float(row["area_km2"]) == 0
            assert np.isnan(result.area_shares[place]).all()
            continue
        assert float(row["area_km2"]) == pytest.approx(area[known].sum())
        assert float(row["mean_index"]) == pytest.approx(
            np.average(values[place][known], weights=area[known]), abs=1e-8
        )
        names = ["D4", "D3", "D2", "D1", "D0", "normal", "W0", "W1", "W2", "W3", "W4"]
        for number, name in enumerate(names, start=1):
            share = 100 * area[graded[place] == number].sum() / area[known].sum()
            assert float(row[f"{name}_percent"]) == pytest.approx(share, abs=1e-8)
            assert result.area_shares[place, number - 1] == pytest.approx(share, abs=1e-9)
    dry = result.area_shares[:, :4].sum(axis=1)
    assert MONTHS[np.nanargmax(dry)] == result.worst_month and np.nanmax(dry) == pytest.approx(result.worst_share)
    assert 100 <= np.nanargmax(dry) < 110
    weighted = np.broadcast_to(area, graded.shape)
    assert result.drought_share == pytest.approx(
        100 * weighted[(graded > 0) & (graded < 5)].sum() / weighted[graded > 0].sum()
    )


def test_spells_of_each_pixel(stack, tmp_path):
    result = run(stack[0], tmp_path / "out")
    with MonthlyStack(result.classes) as classes, Raster(result.spells) as spells:
        graded, (share, longest) = np.nan_to_num(classes.read()).astype(int), spells.read()
        assert spells.descriptions() == ["share of months in drought (%)", "longest drought (months)"]
    for row, column in ((0, 0), (7, 3), (19, 8)):
        dry = (graded[:, row, column] >= 1) & (graded[:, row, column] <= 4)
        runs = "".join("x" if one else " " for one in dry).split()
        assert longest[row, column] == max(map(len, runs))
        assert share[row, column] == pytest.approx(100 * dry.sum() / (graded[:, row, column] > 0).sum(), rel=1e-6)
    assert np.isnan(share[3, 4]) and np.isnan(longest[3, 4])


def test_reference_period_method_and_detrending_are_told_and_used(stack, tmp_path):
    said = []
    options = {"method": "ggdi", "baseline_start": "2003-01", "baseline_end": "2012-12", "detrend": True}
    result = run(stack[0], tmp_path / "a", **options, progress=lambda fraction, message: said.append(message))
    plain = run(stack[0], tmp_path / "b")
    with MonthlyStack(result.output) as index, MonthlyStack(plain.output) as other:
        assert index.metadata()["GWSA_METHOD"] == "ggdi" and index.metadata()["GWSA_DETRENDED"] == "yes"
        assert index.metadata()["GWSA_REFERENCE"] == "2003-01 to 2012-12"
        inside = index.read()[9:129].astype(float)
        assert np.nanmax(np.abs(index.read() - other.read())) > 0.1
    np.testing.assert_allclose(np.nanmean(inside[:, 0, 0]), 0, atol=1e-6)
    np.testing.assert_allclose(np.nanstd(inside[:, 0, 0], ddof=1), 1, atol=1e-6)
    assert any("2003-01 to 2012-12 (120 months)" in message for message in said)
    assert any("2 months are filled" in message for message in said)
    page = result.report.read_text(encoding="utf-8")
    assert "GGDI" in page and "linear trend is taken out first" in page and "DETREND" not in page
    assert "DETREND" in plain.report.read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 3


def test_windows_and_workers_change_nothing(stack, tmp_path):
    whole, parts = run(stack[0], tmp_path / "a"), run(stack[0], tmp_path / "b", memory_mb=0.1, workers=2)
    for name in ("output", "classes", "spells"):
        with Raster(getattr(whole, name)) as first, Raster(getattr(parts, name)) as second:
            np.testing.assert_array_equal(first.read(), second.read())
    np.testing.assert_allclose(whole.area_shares, parts.area_shares, rtol=1e-12)
    np.testing.assert_allclose(whole.mean_index, parts.mean_index, rtol=1e-9, atol=1e-12)


def test_index_alone(stack, tmp_path):
    result = droughtindex(stack[0], tmp_path / "only" / "output.tif")
    assert [path.name for path in result.output.parent.iterdir()] == ["output.tif"]
    assert (result.classes, result.spells, result.areas, result.report) == (None,) * 4


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"method": "spi"}, InvalidParameter, "METHOD is 'spi'"),
        ({"minimum_years": 2}, InvalidParameter, "MINIMUM_YEARS is 2"),
        ({"minimum_years": 15}, NoUsableData, "no calendar month has more than 14 years"),
        ({"baseline_start": "soon"}, InvalidMonths, "soon"),
        ({"baseline_start": "2030-01"}, InvalidMonths, "2030-01"),
        ({"baseline_start": "2004-01", "baseline_end": "2009-12"}, NoUsableData, "more than 6 years .*10 are wanted"),
    ],
)
def test_options_that_make_no_sense(stack, tmp_path, options, error, words):
    with pytest.raises(error, match=words):
        run(stack[0], tmp_path / "out", **options)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_bad_stacks_and_cancelling_leave_no_file(stack, tmp_path, grid):
    out = tmp_path / "out"
    for name, value in (("empty", np.nan), ("still", 3.0)):
        path = write_stack(tmp_path / f"{name}.tif", grid, MONTHS, np.full((MONTHS.size, *SHAPE), value))
        with pytest.raises(NoUsableData, match=f"no pixel of .*{name}"):
            run(path, out)
    undated = write_single(tmp_path / "undated.tif", grid, np.zeros((30, *SHAPE), np.float32))
    with pytest.raises(InvalidMonths, match="no month on band 1"):
        run(undated, out)

    def stop(fraction, message):
        if fraction > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        run(stack[0], out, memory_mb=0.1, progress=stop)
    assert [item.name for item in out.iterdir()] == [".output.tif.gwsa-part"]
    assert read_single(stack[0])[0].shape == SHAPE

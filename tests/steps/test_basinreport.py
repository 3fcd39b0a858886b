"""Reports of basins: their figures are those of the steps that make each part alone."""

import csv
import json
import re

import numpy as np
import pytest

from gwsa_qgis.errors import GridMismatch, InvalidMonths, InvalidParameter, NoUsableData
from gwsa_qgis.months import month_range
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.raster import read_single, write_single
from gwsa_qgis.rasters.stack import MonthlyStack, write_stack
from gwsa_qgis.steps.basinreport import basinreport, page_names
from gwsa_qgis.steps.basinseries import basinseries
from gwsa_qgis.steps.hotspots import hotspots
from gwsa_qgis.steps.trend import trend

MONTHS = month_range("2003-01", "2016-12")
GRID = Grid(10.0, 46.0, 0.25, 0.25, 24, 16, geographic_crs())


def square(west, south, east, north):
    return [[[west, south], [east, south], [east, north], [west, north], [west, south]]]


# The edge of "West" cuts cells at 60 % of their width, that of "South" at 40 %; "Dot" covers no cell by half.
BASINS = {
    "West": square(10.0, 42.0, 12.15, 46.0),
    "South / 2": square(12.15, 42.0, 16.0, 43.6),
    "Dot": square(15.05, 45.05, 15.1, 45.1),
    "Far": square(70.0, 10.0, 72.0, 12.0),
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("basins")
    random = np.random.default_rng(9)
    time = np.arange(MONTHS.size)[:, None, None]
    place = np.linspace(-1, 1, GRID.columns)
    values = place * time / 12 + 3 * np.cos(2 * np.pi * (time - 3) / 12)
    values = values + 2 * random.normal(size=(MONTHS.size, 1, 1)) + random.normal(size=(MONTHS.size, *GRID.shape))
    values[:, 2, 3] = np.nan
    filled = np.isin(np.arange(MONTHS.size), [7, 8, 100])
    stack = write_stack(folder / "gwsa.tif", GRID, MONTHS, values, quantity="GWSA", filled=filled)
    millimetres = write_stack(folder / "mm.tif", GRID, MONTHS, 10 * values, unit="mm")
    features = [
        {"type": "Feature", "properties": {"name": name}, "geometry": {"type": "Polygon", "coordinates": corners}}
        for name, corners in BASINS.items()
    ]
    basins = folder / "basins.geojson"
    basins.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    maps = {name: folder / f"{name}.tif" for name in ("slope", "p_value", "lower", "upper")}
    trend(stack, **maps, unit="year")
    return {"stack": stack, "mm": millimetres, "basins": basins, "maps": maps, "values": values}


def rows(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return {row["basin"]: row for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def made(inputs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    return basinreport(
        inputs["stack"],
        inputs["basins"],
        folder / "overview.html",
        folder=folder / "the pages",
        summary=folder / "table.csv",
        field="name",
    )


def test_a_page_for_each_basin_and_an_overview_that_leads_to_them(made):
    names = ["West.html", "South_2.html", "Dot.html", "Far.html"]
    assert [page.name for page in made.pages] == names
    assert sorted(page.name for page in made.folder.iterdir()) == sorted(names)
    overview = made.report.read_text(encoding="utf-8")
    links = re.findall(r'href="([^"]+)"', overview)
    assert sorted(links) == sorted(f"the%20pages/{name}" for name in names)
    assert overview.index(">West<") < overview.index(">South / 2<")  # loses most
    for page in made.pages:
        text = page.read_text(encoding="utf-8")
        assert "http" not in text and "src=" not in text.replace('src="data:image/png', "")
    assert "outside the raster" in made.pages[3].read_text(encoding="utf-8")
    assert "No map: no cell of which the basin covers at least half" in made.pages[2].read_text(encoding="utf-8")
    assert not list(made.folder.parent.rglob(".*"))


def test_pages_hold_all_parts(made):
    pytest.importorskip("matplotlib")
    page = made.pages[0].read_text(encoding="utf-8")
    for text in (
        "In short",
        "Storage and its trend",
        "Before and after 2010-01",
        "Season",
        "Drought index",
        "Hot spots",
    ):
        assert text in page
    assert page.count("data:image/png") == 4


def test_series_and_trends_are_those_of_basinseries(inputs, made, tmp_path):
    alone = basinseries(inputs["stack"], inputs["basins"], tmp_path / "s.csv", field="name", summary=tmp_path / "t.csv")
    np.testing.assert_array_equal(alone.figures.means, made.figures.means)
    wanted, found = rows(alone.summary), rows(made.summary)
    for name, row in wanted.items():
        assert {key: found[name][key] for key in row} == row


def test_break_season_and_drought_are_those_of_the_series(made):
    from gwsa_qgis.science.drought import drought_index
    from gwsa_qgis.science.seasonality import seasonality
    from gwsa_qgis.science.trend_break import trend_break

    found, means = rows(made.summary), made.figures.means
    assert made.figures.months[84] == np.datetime64("2010-01")
    for number, name in enumerate(("West", "South / 2", "Dot")):
        series, row = means[number][None], found[name]
        parts = trend_break(series, 84)
        for key, value in (("slope_before", 12 * parts.before), ("slope_after", 12 * parts.after)):
            assert float(row[key]) == pytest.approx(value[0], rel=1e-6)
        assert float(row["p_change"]) == pytest.approx(parts.p_change[0], rel=1e-6)
        assert float(row["seasonal_pct"]) == pytest.approx(seasonality(series, MONTHS)[0], rel=1e-6)
        index = drought_index(series.T, MONTHS)[:, 0]
        assert row["driest"] == str(MONTHS[index.argmin()])
        assert float(row["drought_pct"]) == pytest.approx(100 * (index <= -0.8).mean(), abs=1e-6)
        assert row["maximum"] == "April" and row["break"] == "2010-01"
    assert found["Far"]["change"] == "" and found["Far"]["page"] == "Far.html"


def test_hot_spots_are_those_of_the_cells_that_are_half_covered(inputs, made, tmp_path):
    """Cells are chosen here by hand: West covers 60 % of the width of column 8, South 40 % of it and of row 9."""
    slope = read_single(inputs["maps"]["slope"])[0].copy()
    found = rows(made.summary)
    for name, keep in (("West", np.s_[:, :9]), ("South / 2", np.s_[10:, 9:])):
        own = np.full(GRID.shape, np.nan, np.float32)
        own[keep] = slope[keep]
        path = write_single(tmp_path / "own.tif", GRID, own, unit="cm/year")
        both = hotspots(path, inputs["maps"]["p_value"], tmp_path / "h.gpkg", kind="both").hot_spots
        for kind, sign in (("depletion", -1), ("gain", 1)):
            mine = both.kind == sign
            assert int(float(found[name][f"{kind}_spots"])) == mine.sum()
            assert float(found[name][f"{kind}_km2"]) == pytest.approx(both.area[mine].sum(), rel=1e-6)
            assert float(found[name][f"{kind}_km3"]) == pytest.approx(both.rate[mine].sum(), rel=1e-5)
    assert float(found["West"]["depletion_spots"]) > 0 and float(found["South / 2"]["gain_spots"]) > 0


@pytest.mark.parametrize("source", ["maps", "mm", "little memory"])
def test_maps_units_and_windows_change_nothing(inputs, made, tmp_path, source):
    options = {"memory_mb": 4} if source == "little memory" else inputs["maps"] if source == "maps" else {}
    stack = inputs["mm" if source == "mm" else "stack"]
    again = basinreport(
        stack, inputs["basins"], folder=tmp_path / "p", summary=tmp_path / "t.csv", field="name", **options
    )
    found, wanted = rows(again.summary), rows(made.summary)
    for name in BASINS:
        for key in ("slope_cm", "rate_km3", "depletion_km2", "depletion_km3", "gain_km3", "seasonal_pct"):
            assert found[name][key] == wanted[name][key] == "" or float(found[name][key]) == pytest.approx(
                float(wanted[name][key]), rel=1e-5, abs=1e-9
            )


def test_one_basin_has_its_page_as_report(inputs, made, tmp_path):
    one = basinreport(
        inputs["stack"], inputs["basins"], tmp_path / "one.html", field="name", basin="West", break_month="2009"
    )
    page = one.report.read_text(encoding="utf-8")
    assert "<h1>West</h1>" in page and "Before and after 2009-01" in page
    assert one.pages == [] and [path.name for path in tmp_path.iterdir()] == ["one.html"]


def test_short_records_have_less(tmp_path, inputs):
    months = MONTHS[:40]
    stack = write_stack(tmp_path / "short.tif", GRID, months, inputs["values"][:40])
    told = []
    made = basinreport(
        stack, inputs["basins"], tmp_path / "s.html", field="name", basin="West", progress=lambda _, m: told.append(m)
    )
    page = made.report.read_text(encoding="utf-8")
    assert "Drought index" not in page and "Before and after" not in page and "Hot spots" in page
    assert any("No break in trend is sought" in text for text in told)
    assert any("No drought index" in text for text in told)


def test_refusals(inputs, tmp_path):
    stack, basins, out = inputs["stack"], inputs["basins"], tmp_path / "r.html"
    for options, match in (
        ({}, "has 4 basins and FOLDER is not given"),
        ({"level": 1}, "LEVEL is 1"),
        ({"minimum_years": 2}, "MINIMUM_YEARS is 2"),
        ({"slope": inputs["maps"]["slope"]}, "SLOPE and P_VALUE were not given together"),
        ({**inputs["maps"], "upper": None}, "one limit of the slope"),
        ({"within": stack}, "without UNCERTAINTY"),
    ):
        with pytest.raises(InvalidParameter, match=match):
            basinreport(stack, basins, out, field="name", **options)
    with pytest.raises(InvalidParameter, match="neither REPORT nor FOLDER"):
        basinreport(stack, basins)
    with pytest.raises(InvalidMonths, match="BREAK is 1999 and the months are 2003-01 to 2016-12"):
        basinreport(stack, basins, out, field="name", basin="West", break_month="1999")
    with pytest.raises(NoUsableData, match="before the break"):
        basinreport(stack, basins, out, field="name", basin="West", break_month="2003-06")
    other = write_single(tmp_path / "other.tif", Grid(0, 40, 1, 1, 3, 3, geographic_crs()), np.ones((3, 3), np.float32))
    with pytest.raises(GridMismatch):
        basinreport(stack, basins, out, folder=tmp_path / "f", slope=other, p_value=other)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.tif"]


def test_cancelled_leaves_nothing(inputs, tmp_path):
    from gwsa_qgis.errors import Cancelled

    def stop(fraction, _):
        if fraction > 0.5:
            raise Cancelled

    with pytest.raises(Cancelled):
        basinreport(inputs["stack"], inputs["basins"], tmp_path / "o.html", folder=tmp_path / "f", progress=stop)
    assert not list(tmp_path.iterdir())


def test_names_of_pages():
    names = ["Rhône", "a/b", "a:b", "A_B", "con", "..", "", "x" * 200, "Ōhre"]
    found = page_names(names)
    assert found[0] == "Rhône.html" and found[1:4] == ["a_b.html", "a_b_2.html", "A_B_3.html"]
    assert found[4] == "con_.html" and found[5] == "basin.html" and found[6] == "basin_2.html"
    assert len({name.casefold() for name in found}) == len(names) and max(map(len, found)) < 80


def test_the_cut_stack_is_whole(inputs, tmp_path):
    """Months, unit and filled marks stay, on the grid of the basin's bounds."""
    from gwsa_qgis.products.basins import read_basins
    from gwsa_qgis.progress import Reporter
    from gwsa_qgis.rasters.windows import Window
    from gwsa_qgis.steps.basin_maps import cut

    with MonthlyStack(inputs["stack"]) as stack:
        basins = read_basins(inputs["basins"], stack.grid, tmp_path / "o", Reporter(), field="name", only="West")
        cut(inputs["stack"], basins, Window(2, 3, 9, 8), tmp_path / "cut.tif", 1, 0.5)
        with MonthlyStack(tmp_path / "cut.tif") as part:
            assert part.unit() == "cm" and part.grid.matches(stack.grid.window(2, 3, 9, 8))
            np.testing.assert_array_equal(part.filled, stack.filled)
            wanted = 0.5 * stack.read()[:, 2:11, 3:11]
            wanted[:, :, 6:] = np.nan
            np.testing.assert_array_equal(part.read(), wanted)

import csv

import numpy as np
import pytest
from scipy.stats import theilslopes

from gwsa_qgis.errors import GwsaError, InvalidMonths, InvalidParameter, NoUsableData, UnreadableInput
from gwsa_qgis.months import month_range
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.raster import write_single
from gwsa_qgis.rasters.stack import write_stack
from gwsa_qgis.science.well_comparison import CELL, SINGLE
from gwsa_qgis.steps.validatewells import validatewells

MONTHS = month_range("2005-01", "2012-12")
FACTOR = 5
N_WELLS = 60


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A fine map with a trend that varies from pixel to pixel, and wells that follow it with Sy 0.16."""
    folder = tmp_path_factory.mktemp("wells")
    random = np.random.default_rng(12)
    coarse_grid = Grid(-104.0, 40.0, 0.25, 0.25, 8, 8, geographic_crs())
    grid = coarse_grid.refine(FACTOR)
    years = np.arange(MONTHS.size)[:, None, None] / 12
    trends = random.normal(-0.5, 1.0, grid.shape)
    fine = trends * years + 2 * np.cos(2 * np.pi * years) + random.normal(0, 0.3, (MONTHS.size, *grid.shape))
    fine[:, 0, :] = np.nan
    fine[30] = np.nan
    coarse = fine.reshape(MONTHS.size, 8, FACTOR, 8, FACTOR)
    coarse = np.nan_to_num(coarse).mean(axis=(2, 4))
    paths = {
        "gwsa": write_stack(folder / "fine.tif", grid, MONTHS, fine),
        "coarse": write_stack(folder / "coarse.tif", coarse_grid, MONTHS, coarse),
        "wells": folder / "wells.csv",
        "levels": folder / "levels.csv",
    }
    pixel = random.choice(np.arange(grid.columns, grid.rows * grid.columns), N_WELLS, replace=False)
    row, column = np.unravel_index(pixel, grid.shape)
    row[:2] = 0  # two wells on masked pixels
    longitude = grid.longitudes()[column] + 0.3 * grid.dx
    latitude = grid.latitudes()[row] - 0.3 * grid.dy
    longitude[2:5] += 20  # three outside
    heads = np.nan_to_num(fine[:, row, column]) / 16 + random.normal(0, 0.02, (MONTHS.size, N_WELLS))
    heads[random.random(heads.shape) < 0.1] = np.nan
    heads[40:, 5] = np.nan  # a short record
    depth = 20 - heads
    with paths["wells"].open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["station", "lon", "lat"])
        table.writerows([f"W{k}", longitude[k], latitude[k]] for k in range(N_WELLS))
    with paths["levels"].open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["station", "date", "depth_to_water_m"])
        for k in range(N_WELLS):
            for month, value in zip(MONTHS, depth[:, k], strict=True):
                table.writerow([f"W{k}", f"{month}-10", "NA" if np.isnan(value) else f"{value:.6f}"])
    return paths, depth, fine.astype(np.float32), (row, column), folder


def run(scene, **changes):
    options = {"bins": 5, "draws": 50} | scene[0] | changes
    return validatewells(options.pop("gwsa"), options.pop("wells"), options.pop("levels"), **options)


def test_trends_are_theil_sen_slopes_times_yield_over_the_common_months(scene, tmp_path):
    _, depth, fine, (row, column), _ = scene
    result = run(scene)
    assert result.wells == N_WELLS - 6
    assert result.dropped == {"outside the map": 3, "too few readings": 1, "on masked pixels": 2}
    single = result.comparison.supports[SINGLE]
    for place, well in ((0, 6), (20, 26), (53, 59)):
        series = fine[:, row[well], column[well]]
        both = np.isfinite(depth[:, well]) & np.isfinite(series)
        time = np.arange(MONTHS.size)[both] / 12
        # depths are in m and rise as storage falls: -100 cm/m x Sy of North America
        expected = theilslopes(-100 * 0.16 * np.round(depth[both, well], 6), time).slope
        assert single.well_trend[place] == pytest.approx(expected, rel=1e-6)
        assert single.map_trends["fine map"][place] == pytest.approx(theilslopes(series[both], time).slope, rel=1e-5)
    assert result.comparison.trend[SINGLE, "fine map"].r2 > 0.95


def test_the_fine_map_gains_over_the_coarse_and_cells_hold_several_wells(scene):
    found = run(scene).comparison
    assert found.trend[CELL, "fine map"].r2 > found.trend[CELL, "coarse field"].r2
    assert found.trend[CELL, "coarse field, bilinear"].n == found.trend[CELL, "coarse field"].n
    assert found.trend[CELL, "fine map"].n < found.trend[SINGLE, "fine map"].n
    assert found.share_improved > 0.8
    assert list(found.groups) == [("region", "North America")]
    assert found.binned["fine map"].n == 5


def test_files_say_what_is_binned(scene, tmp_path):
    from osgeo import ogr

    result = run(scene, metrics=tmp_path / "m.csv", report=tmp_path / "r.html", output=tmp_path / "w.gpkg")
    with result.metrics.open() as file:
        rows = list(csv.DictReader(file))
    plain = next(
        row for row in rows if (row["what"], row["support"], row["map"]) == ("trend (cm/yr)", "cell", "fine map")
    )
    assert float(plain["r2"]) == pytest.approx(result.comparison.trend[CELL, "fine map"].r2)
    assert any(row["what"] == "trend (cm/yr), bin means" for row in rows)
    assert sum("Sy perturbed" in row["what"] for row in rows) == 6
    page = result.report.read_text(encoding="utf-8")
    assert "Judge the map by the latter" in page
    assert "3 outside the map" in page
    dataset = ogr.Open(str(result.output))
    layer = dataset.GetLayer(0)
    assert layer.GetFeatureCount() == result.wells
    feature = layer.GetNextFeature()
    assert feature["well"] == "W6"
    assert feature["difference"] == pytest.approx(feature["trend_map"] - feature["trend_well"])
    assert feature["sy"] == 0.16


def test_same_seed_same_bytes(scene, tmp_path):
    first, second = (run(scene, metrics=tmp_path / f"{name}.csv").metrics.read_bytes() for name in "ab")
    assert first == second
    assert run(scene, metrics=tmp_path / "c.csv", seed=1).metrics.read_bytes() != first


def test_a_raster_of_specific_yield_comes_before_the_table(scene, tmp_path):
    grid = Grid(-104.0, 40.0, 1.0, 1.0, 2, 2, geographic_crs())
    write_single(tmp_path / "sy.tif", grid, np.array([[0.05, 0.1], [0.2, np.nan]], np.float32))
    result = run(scene, yield_raster=tmp_path / "sy.tif", output=tmp_path / "w.gpkg")
    from osgeo import ogr

    dataset = ogr.Open(str(tmp_path / "w.gpkg"))
    found = {round(feature["sy"], 6) for feature in dataset.GetLayer(0)}
    assert found == {0.05, 0.1, 0.2, 0.16}
    assert result.wells == N_WELLS - 6
    write_single(tmp_path / "percent.tif", grid, np.full((2, 2), 12, np.float32))
    with pytest.raises(InvalidParameter, match="12 at a well.*not percent"):
        run(scene, yield_raster=tmp_path / "percent.tif")


def test_every_figure_is_given_by_class(scene, tmp_path):
    grid = Grid(-104.0, 40.0, 1.0, 2.0, 2, 1, geographic_crs())
    write_single(tmp_path / "classes.tif", grid, np.array([[13, np.nan]], np.float32))
    outputs = {"metrics": tmp_path / "m.csv", "report": tmp_path / "r.html", "output": tmp_path / "w.gpkg"}
    found = run(scene, aquifers=tmp_path / "classes.tif", **outputs).comparison
    assert set(found.groups) == {("region", "North America"), ("class", "13"), ("class", "none")}
    pairs = {(label, name): found.groups["class", label]["trend", SINGLE, name].n
             for label in ("13", "none") for name in ("fine map", "coarse field", "coarse field, bilinear")}  # fmt: skip
    assert pairs["13", "fine map"] == pairs["13", "coarse field"] == pairs["13", "coarse field, bilinear"] > 5
    assert pairs["13", "fine map"] + pairs["none", "fine map"] == N_WELLS - 6
    with (tmp_path / "m.csv").open() as file:
        rows = {(row["what"], row["support"], row["map"]): row for row in csv.DictReader(file)}
    for what in ("trend (cm/yr)", "monthly anomaly (cm)"):
        assert int(rows[what, "well, class 13", "coarse field"]["n"]) > 5
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "By aquifer class" in page and "13 major basin, recharge 20-100 mm/yr" in page
    assert "The 20 of 54 wells where they disagree most" in page
    for values, words in (([[0, 0]], "no class at any"), ([[11.5, 12]], "11.5 at a well")):
        write_single(tmp_path / "wrong.tif", grid, np.array(values, np.float32))
        with pytest.raises(InvalidParameter, match=words):
            run(scene, aquifers=tmp_path / "wrong.tif")


def test_the_yield_that_made_the_wells_is_fitted_and_reported(scene, tmp_path):
    result = run(scene, block_degrees=0.25, metrics=tmp_path / "m.csv", report=tmp_path / "r.html")
    found = result.fitted["North America"]
    assert found.value == pytest.approx(0.16, rel=0.03)  # 1 / 16 m of level a cm, with some noise
    assert found.low < found.value < found.high
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "cannot judge it" in page and "95 % intervals by bootstrap" in page
    with (tmp_path / "m.csv").open() as file:
        rows = {(row["what"], row["support"], row["map"]): row for row in csv.DictReader(file)}
    plain = float(rows["trend (cm/yr)", "cell", "fine map"]["r2"])
    low, high = (
        float(rows[f"trend (cm/yr), {end} over blocks", "cell", "fine map"]["r2"]) for end in ("2.5 %", "97.5 %")
    )
    assert low <= plain <= high
    assert {len(line) for line in csv.reader((tmp_path / "m.csv").open())} == {11}
    assert float(rows["fitted specific yield", "well, North America", "fine map"]["r2"]) == pytest.approx(found.value)


def test_blocks_need_a_size(scene):
    with pytest.raises(InvalidParameter, match="BLOCK_DEGREES is 0"):
        run(scene, block_degrees=0)


def test_specific_yield_may_be_given(scene, tmp_path):
    table = tmp_path / "sy.csv"
    table.write_text("region,south,north,west,east,specific_yield\nPlains,30,50,-110,-90,0.32\n")
    plain, doubled = run(scene), run(scene, specific_yield=table)
    flat = run(scene, specific_yield=["Plains", 30, 50, -110, -90, 0.32])
    trends = [result.comparison.supports[SINGLE].well_trend for result in (plain, doubled, flat)]
    np.testing.assert_allclose(trends[1], 2 * trends[0], rtol=1e-9)
    np.testing.assert_array_equal(trends[2], trends[1])


def test_yearly_levels_give_trends_alone(scene, tmp_path):
    paths, depth, _, _, _ = scene
    levels = tmp_path / "yearly.csv"
    with levels.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["StnID", "IntegerYear", "DepthToWater_m"])
        for k in range(N_WELLS):
            for year in range(8):
                table.writerow([f"W{k}", 2005 + year, np.nanmean(depth[12 * year : 12 * year + 12, k])
                                if np.isfinite(depth[12 * year : 12 * year + 12, k]).any() else "NA"])  # fmt: skip
    result = run(scene, levels=levels, report=tmp_path / "r.html")
    assert not result.comparison.series
    assert result.comparison.trend[SINGLE, "fine map"].r2 > 0.9
    assert "say nothing of seasons" in result.report.read_text(encoding="utf-8")


def test_depths_that_look_like_levels_are_warned_of(scene, tmp_path):
    levels = tmp_path / "negative.csv"
    text = scene[0]["levels"].read_text().replace("-10,", "-10,-").replace("-NA", "NA")
    levels.write_text(text)
    messages = []
    run(scene, levels=levels, progress=lambda _, message: messages.append(message))
    assert any("look like levels, positive up" in message for message in messages)


def test_bad_inputs_are_one_sentence_and_leave_no_file(scene, tmp_path):
    far = tmp_path / "far.csv"
    far.write_text("station,lon,lat\n" + "".join(f"W{k},{10 + k},50\n" for k in range(10)))
    no_table = tmp_path / "text.csv"
    no_table.write_text("nothing here\n")
    out = tmp_path / "out"
    outputs = {"metrics": out / "m.csv", "report": out / "r.html", "output": out / "w.gpkg"}
    for changes, error, words in (
        ({"wells": far}, NoUsableData, "none of the 10 wells lies on the map"),
        ({"wells": tmp_path / "none.gpkg"}, UnreadableInput, "is not there"),
        ({"levels": no_table}, UnreadableInput, "no row below its header"),
        ({"start": "1990-01", "end": "1991-01"}, InvalidMonths, "share no month"),
        ({"start": "soon"}, InvalidMonths, "soon"),
        ({"minimum_years": 40}, NoUsableData, "40 years"),
        ({"bins": 1}, InvalidParameter, "1 bins"),
        ({"specific_yield": ["Plains", 30, 50, -110, -90, 3]}, InvalidParameter, "between 0 and 1"),
        ({"gwsa": scene[0]["wells"]}, GwsaError, "raster"),
    ):
        with pytest.raises(error, match=words) as raised:
            run(scene, **outputs, **changes)
        assert "\n" not in str(raised.value)
    with pytest.raises(GwsaError, match=r"end it in \.gpkg"):
        run(scene, **(outputs | {"output": out / "w.shp"}))
    assert not out.exists()

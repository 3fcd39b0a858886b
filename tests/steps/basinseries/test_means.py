"""Means and volumes of basins against exact intersections of every pixel, and what is written of them."""

import csv

import numpy as np
import pytest
from osgeo import ogr, osr

from gwsa_qgis.errors import Cancelled, InvalidParameter, NoUsableData, OutputNotWritable, UnreadableInput
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.stack import write_stack
from gwsa_qgis.steps.basinseries import basinseries


def rows_of(path):
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def number(text):
    return float(text) if text else np.nan


def test_means_and_volumes_are_those_of_exact_intersections(files, region):
    result = basinseries(**files, field="name", minimum_share=0)
    values = region.values().astype(float)
    rows = rows_of(files["output"])
    assert len(rows) == 4 * region.months.size and [row["month"] for row in rows[:2]] == ["2003-01", "2003-02"]
    worst = 0.0
    for place, (name, rings) in enumerate(region.stars.items()):
        areas = region.pixel_areas(rings)
        basin = region.whole_area(rings)
        for month in range(region.months.size):
            row = rows[place * region.months.size + month]
            known = np.isfinite(values[month]) & (areas > 0)
            area = areas[known].sum()
            assert row["basin"] == name
            assert number(row["area_km2"]) == pytest.approx(area, rel=1e-6)
            assert number(row["share"]) == pytest.approx(area / basin, rel=1e-6)
            if not known.any():
                assert row["mean_cm"] == row["volume_km3"] == ""
                continue
            mean = (areas[known] * values[month][known]).sum() / area
            worst = max(worst, abs(number(row["mean_cm"]) - mean) / np.abs(values[month][known]).max())
            assert number(row["mean_cm"]) == pytest.approx(mean, rel=1e-6, abs=1e-7)
            assert number(row["volume_km3"]) == pytest.approx(mean * area * 1e-5, rel=1e-6, abs=1e-9)
    assert worst < 1e-6
    assert result.basins == 4 and result.without_values == 0


def test_filled_months_are_flagged(files, region, tmp_path):
    basinseries(**files, field="name")
    flagged = {row["month"] for row in rows_of(files["output"]) if row["filled"] == "1"}
    assert flagged == {"2004-06", "2005-01"}
    coarse = region.coarse
    flags = np.zeros((region.months.size, *coarse.shape), np.float32)
    flags[30, :, :3] = 1  # the west: Oder begins there too
    flags[31:33] = 2
    flags[40, 4, 5] = 1  # a cell that no basin meets
    write_stack(tmp_path / "flags.tif", coarse, region.months, flags)
    basinseries(**files, field="name", flags=tmp_path / "flags.tif")
    rows = rows_of(files["output"])
    for name, short in (("Indus", {"2005-07"}), ("Oder", {"2005-07"}), ("Speck", set()), ("Edge", {"2005-07"})):
        own = [row for row in rows if row["basin"] == name]
        assert {row["month"] for row in own if row["gap"] == "short"} == short
        assert {row["month"] for row in own if row["gap"] == "long"} == {"2005-08", "2005-09"}
        assert {row["month"] for row in own if row["filled"] == "1"} == short | {
            "2005-08",
            "2005-09",
            "2004-06",
            "2005-01",
        }


def test_months_with_values_on_too_little_area_have_no_mean(files, region):
    basinseries(**files, field="name", minimum_share=0.5)
    half = {row["basin"]: row for row in rows_of(files["output"]) if row["month"] == str(region.months[20])}
    assert half["Indus"]["mean_cm"] == "" and 0 < number(half["Indus"]["share"]) < 0.5
    assert half["Speck"]["mean_cm"] != ""


@pytest.mark.parametrize("memory", [0.15, 0.4])
def test_windows_and_workers_change_nothing(files, memory):
    one = basinseries(**files, field="name").figures
    many = basinseries(**files, field="name", memory_mb=memory).figures
    np.testing.assert_allclose(many.means, one.means, rtol=1e-9)
    np.testing.assert_allclose(many.sums.area, one.sums.area, rtol=1e-9)
    np.testing.assert_array_equal(many.sums.pixels, one.sums.pixels)
    assert many.sums.overlap == pytest.approx(one.sums.overlap, rel=1e-9)
    before = files["output"].read_bytes()
    basinseries(**files, field="name", memory_mb=memory, workers=3)
    assert files["output"].read_bytes() == before


def test_other_outputs(files, tmp_path):
    made = {
        name: tmp_path / f"{name}{end}"
        for name, end in {"report": ".html", "annual": ".csv", "summary": ".csv"}.items()
    }
    result = basinseries(**files, field="name", **made, layer=tmp_path / "l.gpkg")
    summary = {row["basin"]: row for row in rows_of(made["summary"])}
    trends = result.figures.trends
    assert number(summary["Oder"]["slope_cm"]) == pytest.approx(trends.slope[1]) == pytest.approx(-0.6, abs=0.1)
    assert number(summary["Oder"]["slope_cm_lo"]) < -0.6 < number(summary["Oder"]["slope_cm_hi"])
    area = number(summary["Oder"]["value_km2"])
    assert number(summary["Oder"]["rate_km3"]) == pytest.approx(trends.slope[1] * area * 1e-5)
    assert summary["Oder"]["trend"] == "highly significant decrease" and summary["Oder"]["status"] == "ok"
    assert number(summary["Edge"]["value_share"]) < 0.5
    annual = [row for row in rows_of(made["annual"]) if row["basin"] == "Oder"]
    assert [(row["year"], row["months"]) for row in annual] == [
        ("2003", "11"),
        *((str(y), "12") for y in range(2004, 2008)),
    ]
    assert annual[1]["filled_months"] == "1"
    monthly = [number(row["mean_cm"]) for row in rows_of(files["output"]) if row["basin"] == "Oder"]
    assert number(annual[2]["mean_cm"]) == pytest.approx(np.mean(monthly[24:36]))
    page = made["report"].read_text()
    assert page.count("data:image/png") == 4 and "No uncertainty was given" in page and "Basins overlap on" in page
    dataset = ogr.Open(str(tmp_path / "l.gpkg"))
    layer = dataset.GetLayer(0)
    assert layer.GetFeatureCount() == 4 and layer.GetGeomType() == ogr.wkbMultiPolygon
    feature = layer.GetFeature(2)
    assert feature["basin"] == "Oder" and feature["slope_cm"] == pytest.approx(trends.slope[1])


def test_charts_are_of_the_largest_changes(files, tmp_path):
    basinseries(**files, field="name", report=tmp_path / "r.html", charts=2)
    page = (tmp_path / "r.html").read_text()
    assert page.count("data:image/png") == 2 and "Oder: monthly means" in page and "Speck: monthly means" not in page
    basinseries(**files, field="name", report=tmp_path / "r.html", charts=0)
    assert "data:image/png" not in (tmp_path / "r.html").read_text()


def test_basins_elsewhere_and_without_values_are_listed(files, region, tmp_path):
    places = {
        "Far": [region.box(80, 10, 81, 11)],
        "Lake": [region.box(11.6, 49.1, 12.1, 49.9)],
        "Café": [region.box(13, 46, 14, 47)],
    }
    files["basins"] = region.write_basins(places)
    told = []
    result = basinseries(
        **files,
        field="name",
        report=tmp_path / "r.html",
        summary=tmp_path / "s.csv",
        progress=lambda f, m: told.append(m),
    )
    assert result.without_values == 2
    assert {row["basin"] for row in rows_of(files["output"])} == {"Café"}
    assert {row["basin"]: row["status"] for row in rows_of(tmp_path / "s.csv")} == {
        "Far": "outside the raster",
        "Lake": "no value",
        "Café": "ok",
    }
    assert files["output"].read_bytes().startswith(b"\xef\xbb\xbf")  # spreadsheets know UTF-8 by it
    text = " ".join(told)
    assert "1 of 3 basins have no series (outside the raster): Far." in text and "(no value): Lake." in text
    files["basins"] = region.write_basins({"Far": [region.box(80, 10, 81, 11)]})
    files["output"].unlink()
    with pytest.raises(NoUsableData, match="no basin has a value .*give basins of the same region"):
        basinseries(**files, field="name")
    assert not files["output"].exists()


def test_short_stacks_have_no_season_and_very_short_ones_no_trend(files, region, tmp_path):
    for months, known in ((20, True), (3, False)):
        write_stack(files["input"], region.grid, region.months[:months], region.values()[:months])
        result = basinseries(**files, field="name", report=tmp_path / "r.html")
        assert np.isfinite(result.figures.trends.slope[1]) == known
        assert (tmp_path / "r.html").read_text().count("data:image/png") == 4


def test_units_are_converted(files, region, tmp_path):
    millimetres = write_stack(tmp_path / "mm.tif", region.grid, region.months, 10 * region.values(), unit="mm")
    expected = basinseries(**files, field="name").figures.means
    np.testing.assert_allclose(
        basinseries(**files | {"input": millimetres}, field="name").figures.means, expected, rtol=1e-5
    )
    kelvin = write_stack(tmp_path / "k.tif", region.grid, region.months, region.values(), unit="K")
    with pytest.raises(InvalidParameter, match="has the unit 'K'"):
        basinseries(**files | {"input": kelvin}, field="name")


def test_projected_rasters(region, tmp_path):
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(32633)
    grid = Grid(4e5, 5.4e6, 1e4, 1e4, 20, 20, reference.ExportToWkt())
    stack = write_stack(tmp_path / "u.tif", grid, region.months[:24], np.ones((24, 20, 20)) * 2)
    reference.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    dataset = ogr.GetDriverByName("GPKG").CreateDataSource(str(tmp_path / "b.gpkg"))
    layer = dataset.CreateLayer("b", reference)
    feature = ogr.Feature(layer.GetLayerDefn())
    corners = "405000 5395000, 425000 5395000, 425000 5375000, 405000 5375000, 405000 5395000"
    feature.SetGeometry(ogr.CreateGeometryFromWkt(f"POLYGON (({corners}))"))
    layer.CreateFeature(feature)
    del feature, layer, dataset
    figures = basinseries(stack, tmp_path / "b.gpkg", tmp_path / "o.csv").figures
    assert figures.areas[0] == pytest.approx(400) and figures.sums.area[0, 0] == pytest.approx(400)
    assert figures.volumes[0, 0] == pytest.approx(2 * 400 * 1e-5)
    assert figures.sums.pixels[0] == 9


def test_cancelling_leaves_nothing(files, tmp_path):
    def stop(fraction, message):
        if fraction > 0.3:
            raise Cancelled

    before = set(tmp_path.iterdir())
    with pytest.raises(Cancelled):
        basinseries(**files, field="name", report=tmp_path / "r.html", memory_mb=0.15, progress=stop)
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"level": 1.0}, InvalidParameter, "LEVEL is 1.0"),
        ({"minimum_share": 2}, InvalidParameter, "MINIMUM_SHARE is 2"),
        ({"charts": -1}, InvalidParameter, "CHARTS is -1"),
        ({"layer": "l.shp"}, OutputNotWritable, r"l\.shp is no GeoPackage name"),
        ({"within": "gwsa"}, InvalidParameter, "without UNCERTAINTY"),
        ({"field": "label"}, UnreadableInput, "no field 'label'"),
        ({"memory_mb": 0.0001}, InvalidParameter, "of the memory budget of 0.0001 MB"),
    ],
)
def test_bad_parameters(files, changes, error, match):
    changes = {key: str(files["input"]) if value == "gwsa" else value for key, value in changes.items()}
    with pytest.raises(error, match=match):
        basinseries(**files, **({"field": "name"} | changes))
    assert not files["output"].exists()

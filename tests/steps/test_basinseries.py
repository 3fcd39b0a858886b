"""Series of basins against exact intersections of every pixel, and their uncertainty against simulated errors."""

import csv
import json

import numpy as np
import pytest
from osgeo import gdal, ogr

from gwsa_qgis.errors import (
    Cancelled,
    GridMismatch,
    InvalidMonths,
    InvalidParameter,
    NoUsableData,
    OutputNotWritable,
    UnreadableInput,
)
from gwsa_qgis.months import month_range
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.raster import write_single
from gwsa_qgis.rasters.stack import write_stack
from gwsa_qgis.science.error_budget import error_sums, mean_error, normal_factor
from gwsa_qgis.steps.basinseries import basinseries

gdal.UseExceptions()
GRID = Grid(10.0, 50.0, 0.25, 0.25, 24, 20, geographic_crs())
MONTHS = month_range("2003-01", "2007-12")


def star(x, y, radius, seed, vertices=30):
    random = np.random.default_rng(seed)
    angle = np.sort(random.uniform(0, 2 * np.pi, vertices))
    reach = radius * random.uniform(0.4, 1, vertices)
    ring = np.c_[x + 1.3 * reach * np.cos(angle), y + reach * np.sin(angle)].tolist()
    return [*ring, ring[0]]


def box(west, south, east, north):
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def write_basins(path, rings_of):
    features = [
        {"type": "Feature", "properties": {"name": name}, "geometry": {"type": "Polygon", "coordinates": rings}}
        for name, rings in rings_of.items()
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


STARS = {
    "Indus": [star(12, 48, 1.5, 1), star(12, 48, 0.3, 2)],
    "Oder": [star(13.5, 47.2, 1.7, 3)],  # overlaps the first
    "Edge": [star(10.1, 49.8, 1.2, 4)],
    "Speck": [box(14.01, 48.01, 14.02, 48.02)],
}


def make_values(seed=0):
    random = np.random.default_rng(seed)
    time = np.arange(MONTHS.size)[:, None, None]
    values = 3 * np.sin(2 * np.pi * time / 12) - 0.05 * time + random.normal(size=(MONTHS.size, *GRID.shape))
    values[:, :4, 6:9] = np.nan  # a lake
    values[7] = np.nan  # a month without values
    values[20, :, :12] = np.nan  # half a month
    return values.astype(np.float32)


@pytest.fixture
def files(tmp_path):
    filled = np.isin(MONTHS, np.array(["2004-06", "2005-01"], "datetime64[M]"))
    baseline = "2003-01 to 2007-12"
    stack = write_stack(tmp_path / "gwsa.tif", GRID, MONTHS, make_values(), baseline=baseline, filled=filled)
    return {"input": stack, "basins": write_basins(tmp_path / "basins.geojson", STARS), "output": tmp_path / "o.csv"}


def spherical_area(geometry):
    """Area on the unit sphere, by rings cut so short that they stay straight on an equal-area cylinder."""
    if geometry.IsEmpty():
        return 0.0
    if geometry.GetGeometryName() == "POLYGON":
        areas = []
        for number in range(geometry.GetGeometryCount()):
            x, y = np.array(geometry.GetGeometryRef(number).GetPoints())[:, :2].T
            x, y = np.deg2rad(x - x[0]), np.sin(np.deg2rad(y))
            y = y - y[0]
            areas.append(abs((x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2))
        return areas[0] - sum(areas[1:])
    parts = [geometry.GetGeometryRef(number) for number in range(geometry.GetGeometryCount())]
    return sum(spherical_area(part) for part in parts)


def areas_by_intersection(rings):
    """Area of each pixel inside a polygon, km2, one pixel after the other with GEOS."""
    polygon = ogr.CreateGeometryFromJson(json.dumps({"type": "Polygon", "coordinates": rings}))
    if not polygon.IsValid():
        polygon = polygon.MakeValid(["METHOD=STRUCTURE"])
    areas = np.zeros(GRID.shape)
    for row in range(GRID.rows):
        for column in range(GRID.columns):
            west, north = GRID.west + column * GRID.dx, GRID.north - row * GRID.dy
            corners = [box(west, north - GRID.dy, west + GRID.dx, north)]
            cell = ogr.CreateGeometryFromJson(json.dumps({"type": "Polygon", "coordinates": corners}))
            inside = polygon.Intersection(cell)
            inside.Segmentize(GRID.dx / 300)
            areas[row, column] = 6371.0088**2 * spherical_area(inside)
    return areas


def rows_of(path):
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def number(text):
    return float(text) if text else np.nan


def test_means_and_volumes_are_those_of_exact_intersections(files):
    result = basinseries(**files, field="name", minimum_share=0)
    values = make_values().astype(float)
    rows = rows_of(files["output"])
    assert len(rows) == 4 * MONTHS.size and [row["month"] for row in rows[:2]] == ["2003-01", "2003-02"]
    worst = 0.0
    for place, (name, rings) in enumerate(STARS.items()):
        areas = areas_by_intersection(rings)
        basin = spherical_area_of(rings)
        for month in range(MONTHS.size):
            row = rows[place * MONTHS.size + month]
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


def spherical_area_of(rings):
    polygon = ogr.CreateGeometryFromJson(json.dumps({"type": "Polygon", "coordinates": rings}))
    polygon.Segmentize(0.001)
    return 6371.0088**2 * spherical_area(polygon)


def test_filled_months_are_flagged(files, tmp_path):
    basinseries(**files, field="name")
    flagged = {row["month"] for row in rows_of(files["output"]) if row["filled"] == "1"}
    assert flagged == {"2004-06", "2005-01"}
    coarse = GRID.coarsen(4)
    flags = np.zeros((MONTHS.size, *coarse.shape), np.float32)
    flags[30, :, :3] = 1  # the west: Oder begins there too
    flags[31:33] = 2
    flags[40, 4, 5] = 1  # a cell that no basin meets
    write_stack(tmp_path / "flags.tif", coarse, MONTHS, flags)
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


def test_months_with_values_on_too_little_area_have_no_mean(files):
    basinseries(**files, field="name", minimum_share=0.5)
    half = {row["basin"]: row for row in rows_of(files["output"]) if row["month"] == str(MONTHS[20])}
    assert half["Indus"]["mean_cm"] == "" and 0 < number(half["Indus"]["share"]) < 0.5
    assert half["Speck"]["mean_cm"] != ""


@pytest.mark.parametrize("memory", [0.15, 0.4])
def test_windows_and_workers_change_nothing(files, tmp_path, memory):
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


def test_basins_elsewhere_and_without_values_are_listed(files, tmp_path):
    places = {"Far": [box(80, 10, 81, 11)], "Lake": [box(11.6, 49.1, 12.1, 49.9)], "Café": [box(13, 46, 14, 47)]}
    files["basins"] = write_basins(tmp_path / "b.geojson", places)
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
    files["basins"] = write_basins(tmp_path / "b.geojson", {"Far": [box(80, 10, 81, 11)]})
    files["output"].unlink()
    with pytest.raises(NoUsableData, match="no basin has a value .*give basins of the same region"):
        basinseries(**files, field="name")
    assert not files["output"].exists()


def test_short_stacks_have_no_season_and_very_short_ones_no_trend(files, tmp_path):
    for months, known in ((20, True), (3, False)):
        write_stack(files["input"], GRID, MONTHS[:months], make_values()[:months])
        result = basinseries(**files, field="name", report=tmp_path / "r.html")
        assert np.isfinite(result.figures.trends.slope[1]) == known
        assert (tmp_path / "r.html").read_text().count("data:image/png") == 4


def test_units_are_converted(files, tmp_path):
    millimetres = write_stack(tmp_path / "mm.tif", GRID, MONTHS, 10 * make_values(), unit="mm")
    expected = basinseries(**files, field="name").figures.means
    np.testing.assert_allclose(
        basinseries(**files | {"input": millimetres}, field="name").figures.means, expected, rtol=1e-5
    )
    kelvin = write_stack(tmp_path / "k.tif", GRID, MONTHS, make_values(), unit="K")
    with pytest.raises(InvalidParameter, match="has the unit 'K'"):
        basinseries(**files | {"input": kelvin}, field="name")


def test_projected_rasters(tmp_path):
    from osgeo import osr

    reference = osr.SpatialReference()
    reference.ImportFromEPSG(32633)
    grid = Grid(4e5, 5.4e6, 1e4, 1e4, 20, 20, reference.ExportToWkt())
    stack = write_stack(tmp_path / "u.tif", grid, MONTHS[:24], np.ones((24, 20, 20)) * 2)
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


# Uncertainty --------------------------------------------------------------------------------------------------

COARSE = GRID.coarsen(4)
MASCONS = (np.arange(COARSE.rows)[:, None] // 3 * 3 + np.arange(COARSE.columns) // 2 + 1).astype(np.int32)
SPREAD = 0.5 + 0.1 * MASCONS  # cm


@pytest.fixture
def error_files(tmp_path):
    """Errors as the step `uncertainty` writes them: of mascons, of departures, and of pixels."""
    every = np.ones((MONTHS.size, 1, 1), np.float32)
    tags = {"GWSA_LEVEL": "0.9"}
    return {
        "cell": write_stack(
            tmp_path / "cell.tif", COARSE, MONTHS, SPREAD * every, metadata={"GWSA_SUPPORT": "mascons"}
        ),
        "cells": write_stack(
            tmp_path / "cells.tif", COARSE, MONTHS, SPREAD * every, metadata={"GWSA_SUPPORT": "cells"}
        ),
        "within": write_stack(tmp_path / "w.tif", GRID, MONTHS, np.full(GRID.shape, 3.0) * every, metadata=tags),
        "pixels": write_stack(tmp_path / "half.tif", GRID, MONTHS, np.full(GRID.shape, 4.0) * every, metadata=tags),
        "mascons": write_single(tmp_path / "mascons.tif", COARSE, MASCONS, dtype="int32", nodata=0),
    }


def whole_values(files):
    write_stack(files["input"], GRID, MONTHS, np.ones((MONTHS.size, *GRID.shape)))


def test_a_basin_of_whole_mascons_has_the_error_of_their_means(files, error_files, tmp_path):
    """Nothing of the departures is left, and the two rules are those of `mean_error`."""
    whole_values(files)
    files["basins"] = write_basins(tmp_path / "b.geojson", {"two": [box(10, 47, 14, 50)]})  # mascons 1 and 2
    for memory in (512, 0.4):
        figures = basinseries(
            **files,
            field="name",
            uncertainty=error_files["cell"],
            within=error_files["within"],
            mascons=error_files["mascons"],
            memory_mb=memory,
        ).figures
        independent, together = mean_error(error_sums(np.array([0.6, 0.7]), np.array([1.0, 1.0])))
        factor = normal_factor(0.95)
        np.testing.assert_allclose(figures.together, factor * together, rtol=1e-5)
        np.testing.assert_allclose(figures.independent, factor * independent, rtol=1e-5)


def test_a_part_of_a_mascon_keeps_its_departures(files, error_files, tmp_path):
    whole_values(files)
    # all rows are halved along a meridian: a quarter and three quarters of mascon 1
    shapes = {"quarter": [box(10, 47, 10.5, 50)], "most": [box(10.5, 47, 12, 50)]}
    files["basins"] = write_basins(tmp_path / "b.geojson", shapes)
    options = {"uncertainty": error_files["cell"], "mascons": error_files["mascons"], "field": "name"}
    told = []
    bare = basinseries(**files, **options, progress=lambda f, m: told.append(m)).figures
    factor = normal_factor(0.95)
    np.testing.assert_allclose(bare.together, factor * 0.6, rtol=1e-5)
    assert any("WITHIN was not given" in text for text in told)
    figures = basinseries(**files, **options, within=error_files["within"]).figures
    within = 3.0 / normal_factor(0.9)
    for place, left in enumerate((1.0, 1 / 3)):
        expected = factor * np.hypot(0.6, left * within)
        np.testing.assert_allclose(figures.together[place], expected, rtol=1e-5)
        np.testing.assert_allclose(figures.independent[place], expected, rtol=1e-5)


def test_mapped_area_outside_all_basins_counts_for_the_share_of_a_mascon(files, error_files, tmp_path):
    """Also where it lies in windows that no basin meets."""
    whole_values(files)
    files["basins"] = write_basins(tmp_path / "b.geojson", {"north": [box(10, 49, 12, 50)]})  # a row of cells of three
    options = {
        name: error_files[key]
        for name, key in {"uncertainty": "cell", "within": "within", "mascons": "mascons"}.items()
    }
    one = basinseries(**files, **options, field="name").figures.together
    many = basinseries(**files, **options, field="name", memory_mb=0.4).figures.together
    np.testing.assert_allclose(many, one, rtol=1e-9)
    assert one[0, 0] == pytest.approx(normal_factor(0.95) * np.hypot(0.6, 3 / normal_factor(0.9)), rel=1e-5)


def test_errors_of_cells_need_no_mascons(files, error_files, tmp_path):
    whole_values(files)
    files["basins"] = write_basins(
        tmp_path / "b.geojson", {"four": [box(10, 48, 12, 50)], "bit": [box(10, 49.5, 11, 50)]}
    )
    figures = basinseries(
        **files, field="name", uncertainty=error_files["cells"], within=error_files["within"], memory_mb=0.4
    ).figures
    rows = GRID.row_areas_km2()
    areas = np.array([rows[:4].sum(), rows[:4].sum(), rows[4:8].sum(), rows[4:8].sum()])
    independent, together = mean_error(error_sums(np.full(4, 0.6), areas))
    factor = normal_factor(0.95)
    np.testing.assert_allclose(figures.together[0], factor * together, rtol=1e-5)
    np.testing.assert_allclose(figures.independent[0], factor * independent, rtol=1e-5)
    share = rows[:2].sum() / rows[:4].sum()
    left = min(1, (1 - share) / share)
    np.testing.assert_allclose(figures.together[1], factor * np.hypot(0.6, left * 3 / normal_factor(0.9)), rtol=1e-5)


def test_errors_of_pixels_are_one_error_throughout(files, error_files, tmp_path):
    result = basinseries(**files, field="name", uncertainty=error_files["pixels"], report=tmp_path / "r.html")
    figures = result.figures
    known = np.isfinite(figures.means)
    expected = 4.0 * normal_factor(0.95) / normal_factor(0.9)
    np.testing.assert_allclose(figures.together[known], expected, rtol=1e-5)
    assert np.isnan(figures.together[~known]).all() and np.isnan(figures.independent).all()
    assert "one error throughout a basin: that of the mean is the mean of theirs" in (tmp_path / "r.html").read_text()


def test_the_band_holds_simulated_errors(files, error_files, tmp_path):
    """Errors of mascons that are independent, alike or in between, and departures that add up to nothing over them."""
    whole_values(files)
    shapes = {
        "three": [star(12.5, 48, 2.2, 11)],
        "small": [star(11, 48.4, 0.6, 12)],
        "strip": [box(10, 48.2, 16, 48.7)],
    }
    files["basins"] = write_basins(tmp_path / "b.geojson", shapes)
    options = {
        name: error_files[key]
        for name, key in {"uncertainty": "cell", "within": "within", "mascons": "mascons"}.items()
    }
    figures = basinseries(**files, **options, field="name").figures
    fine = np.kron(MASCONS, np.ones((4, 4), int))
    area = np.broadcast_to(GRID.row_areas_km2()[:, None], GRID.shape)
    weights = [areas_by_intersection(rings) for rings in shapes.values()]
    random = np.random.default_rng(3)
    for correlation in (0.0, 0.5, 1.0):
        errors = np.zeros((3, 3000))
        for draw in range(3000):
            common, own = random.normal(), random.normal(size=MASCONS.max() + 1)
            means = (np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own) * (0.5 + 0.1 * np.arange(own.size))
            coarse = random.normal(size=(5, 6)).repeat(4, 0).repeat(4, 1)  # departures alike in patches of 4 x 4 pixels
            for mascon in np.unique(fine):
                inside = fine == mascon
                coarse[inside] -= np.average(coarse[inside], weights=area[inside])
            field = means[fine] + 3 / normal_factor(0.9) * coarse
            errors[:, draw] = [(w * field).sum() / w.sum() for w in weights]
        actual = errors.std(1)
        bound = figures.together[:, 0] / normal_factor(0.95)
        assert (actual <= 1.04 * bound).all(), (correlation, actual, bound)
        assert (actual > 0.2 * bound).all()


def test_unknown_errors_and_other_months(files, error_files, tmp_path):
    whole_values(files)
    files["basins"] = write_basins(tmp_path / "b.geojson", {"four": [box(10, 47, 14, 50)]})
    spread = np.ones((MONTHS.size, 1, 1), np.float32) * SPREAD.astype(np.float32)
    spread[3, MASCONS == 1] = np.nan  # half of the basin
    spread[4, :] = np.nan
    tags = {"GWSA_SUPPORT": "mascons"}
    cell = write_stack(tmp_path / "part.tif", COARSE, MONTHS[:10], spread[:10], metadata=tags)
    figures = basinseries(**files, field="name", uncertainty=cell, mascons=error_files["mascons"]).figures
    known = np.isfinite(figures.together[0])
    assert np.flatnonzero(known).tolist() == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert figures.together[0, 3] == pytest.approx(normal_factor(0.95) * 0.7, rel=1e-5)
    later = write_stack(tmp_path / "later.tif", COARSE, MONTHS + 600, spread, metadata=tags)
    with pytest.raises(InvalidMonths, match="no month in common"):
        basinseries(**files, field="name", uncertainty=later, mascons=error_files["mascons"])


@pytest.mark.parametrize(
    ("names", "error", "match"),
    [
        ({"uncertainty": "cell"}, InvalidParameter, "holds errors of mascons and MASCONS was not given"),
        ({"uncertainty": "pixels", "within": "within"}, InvalidParameter, "errors of pixels, which go without WITHIN"),
        ({"uncertainty": "cells", "within": "cells"}, GridMismatch, "are not on one grid"),
        ({"uncertainty": "cells", "within": "input"}, InvalidParameter, "does not say the level of its half-widths"),
        ({"uncertainty": "bare"}, GridMismatch, "does not say whose errors it holds"),
        ({"mascons": "mascons"}, InvalidParameter, "without UNCERTAINTY"),
    ],
)
def test_errors_that_do_not_go_together(files, error_files, tmp_path, names, error, match):
    error_files["bare"] = write_stack(tmp_path / "bare.tif", COARSE, MONTHS, np.ones((MONTHS.size, *COARSE.shape)))
    given = {argument: (files | error_files)[name] for argument, name in names.items()}
    with pytest.raises(error, match=match):
        basinseries(**files, field="name", **given)
    assert not files["output"].exists()

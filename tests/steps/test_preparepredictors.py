"""Alignment, masking, filling and aggregation of predictors, against figures made by hand."""

import csv

import numpy as np
import pytest
from osgeo import osr

from gwsa_qgis.errors import GridMismatch, InvalidMonths, InvalidParameter, NoUsableData
from gwsa_qgis.months import month_range
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.predictor_set import PredictorSet
from gwsa_qgis.rasters.raster import Raster, write_single
from gwsa_qgis.rasters.stack import MonthlyStack, write_stack
from gwsa_qgis.steps.preparepredictors import preparepredictors

CRS = geographic_crs()
FINE = Grid(10.0, 60.0, 0.1, 0.1, 20, 10, CRS)
FACTOR = 5


def raster(path, grid, values, **options):
    return write_single(path, grid, np.asarray(values, np.float32), **options)


@pytest.fixture
def template(tmp_path):
    return raster(tmp_path / "template.tif", FINE, np.ones(FINE.shape))


def read(path):
    with Raster(path) as opened:
        return opened.read()


def plane(grid):
    """A field that is linear in longitude and latitude, which interpolation and averages keep."""
    return 3 * grid.longitudes() + 2 * grid.latitudes()[:, None]


def test_linear_field_survives_every_way(tmp_path, template):
    wide = Grid(9.0, 61.0, 0.1, 0.1, 40, 30, CRS)
    shifted, coarse = Grid(8.93, 61.04, 0.1, 0.1, 40, 30, CRS), Grid(8.0, 62.0, 0.25, 0.25, 24, 20, CRS)
    inputs = {
        "same": raster(tmp_path / "same.tif", FINE, plane(FINE)),
        "wide": raster(tmp_path / "wide.tif", wide, plane(wide)),
        "shifted": raster(tmp_path / "sh.tif", shifted, plane(shifted)),
        "coarse": raster(tmp_path / "co.tif", coarse, plane(coarse)),
        "finer": raster(tmp_path / "fi.tif", wide.refine(4), plane(wide.refine(4))),
    }
    result = preparepredictors(inputs, template, FACTOR, tmp_path / "fine", tmp_path / "coarse")
    ways = {row.name: row.alignment for row in result.rows}
    assert "cut out" in ways["same"] and "cut out" in ways["wide"]
    assert "bilinear" in ways["shifted"] and "bilinear" in ways["coarse"] and "averaged" in ways["finer"]
    weights = np.cos(np.deg2rad(FINE.latitudes()))[:, None]
    blocks = (plane(FINE) * weights).reshape(2, 5, 4, 5).sum(axis=(1, 3))
    blocks /= np.broadcast_to(weights, FINE.shape).reshape(2, 5, 4, 5).sum(axis=(1, 3))
    for name in inputs:
        assert np.allclose(read(tmp_path / "fine" / f"{name}.tif")[0], plane(FINE), atol=2e-4), name
        assert np.allclose(read(tmp_path / "coarse" / f"{name}.tif")[0], blocks, atol=2e-4), name


def test_another_crs_is_reprojected_and_said(tmp_path, template):
    utm = osr.SpatialReference()
    utm.ImportFromEPSG(32632)
    geographic = osr.SpatialReference()
    geographic.ImportFromEPSG(4326)
    for reference in (utm, geographic):
        reference.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    grid = Grid(500000, 6700000, 2000, 2000, 110, 110, utm.ExportToWkt())
    x, y = np.meshgrid(grid.longitudes(), grid.latitudes())
    back = osr.CoordinateTransformation(utm, geographic)
    places = np.array(back.TransformPoints(np.c_[x.ravel(), y.ravel()].tolist()))
    values = (3 * places[:, 0] + 2 * places[:, 1]).reshape(x.shape)
    messages = []
    preparepredictors(
        [raster(tmp_path / "dem.tif", grid, values)],
        template,
        FACTOR,
        tmp_path / "fine",
        tmp_path / "coarse",
        progress=lambda f, m: messages.append(m),
    )
    assert np.allclose(read(tmp_path / "fine" / "dem.tif")[0], plane(FINE), atol=0.02)
    assert any("dem" in m and "reprojected" in m for m in messages)


def test_mask_holes_and_months(tmp_path, template):
    long, short = month_range("2002-04", "2003-12"), month_range("2003-01", "2004-06")
    values = np.ones((long.size, *FINE.shape), np.float32) * np.arange(long.size)[:, None, None]
    values[:, 4, 4] = np.nan
    values[9, :, 12:] = np.nan  # January 2003: a large hole
    pre = write_stack(tmp_path / "pre.tif", FINE, long, values, unit="mm", quantity="PRE")
    green = np.full((short.size, *FINE.shape), 0.5, np.float32) + 0.01 * np.arange(short.size)[:, None, None]
    ndvi = write_stack(tmp_path / "ndvi.tif", FINE, short, green)
    dem = raster(tmp_path / "dem.tif", FINE, plane(FINE), unit="m")
    keep = np.ones(FINE.shape)
    keep[:5, :5] = 0
    keep[4, 4] = 1  # the only used cell of its block is a hole
    mask = raster(tmp_path / "mask.tif", FINE, keep)
    result = preparepredictors(
        [pre, ndvi, dem], template, FACTOR, tmp_path / "fine", tmp_path / "coarse",
        mask=mask, max_hole_distance=2, table=tmp_path / "table.csv",
    )  # fmt: skip
    assert (result.first, result.last) == ("2003-01", "2003-12")
    with PredictorSet(tmp_path / "fine") as fine, PredictorSet(tmp_path / "coarse") as coarse:
        assert fine.names == coarse.names == ["dem", "ndvi", "pre"] and fine.months.size == 12
        assert fine.grid.factor_to(coarse.grid) == FACTOR and not fine.is_dynamic("dem")
        fine_pre, coarse_pre = fine.read("pre", fine.months), coarse.read("pre", fine.months)
    assert np.isnan(fine_pre[:, :4, :4]).all()
    assert np.allclose(fine_pre[:, 4, 4], np.arange(9, 21)) and np.allclose(coarse_pre[:, 0, 0], np.arange(9, 21))
    assert np.isfinite(fine_pre[0, :, 13]).all() and np.isnan(fine_pre[0, :, 16:]).all()
    row = next(row for row in result.rows if row.name == "pre")
    cells = keep.sum() * 12
    near = int(np.isfinite(fine_pre[0, :, 12:]).sum())
    assert row.filled_share == pytest.approx((12 + near) / cells) and row.left_share == pytest.approx(
        (80 - near) / cells
    )
    table = list(csv.DictReader((tmp_path / "table.csv").open()))
    assert [line["name"] for line in table] == ["pre", "ndvi", "dem"] and table[0]["unit_in"] == table[0][
        "unit_out"
    ] == "mm"
    with MonthlyStack(tmp_path / "fine" / "pre.tif") as stack:
        assert stack.unit() == "mm" and stack.quantity == "PRE"


def test_windows_do_not_show(tmp_path, template):
    rng = np.random.default_rng(0)
    months = month_range("2004-01", "2005-02")
    grid = Grid(9.13, 60.77, 0.17, 0.17, 30, 20, CRS)
    values = rng.normal(size=(months.size, *grid.shape)).astype(np.float32)
    values[rng.random(values.shape) < 0.2] = np.nan
    stack = write_stack(tmp_path / "x.tif", grid, months, values)
    for name, budget in (("one", 512), ("many", 0.07)):
        preparepredictors(
            {"x": stack},
            template,
            FACTOR,
            tmp_path / f"f{name}",
            tmp_path / f"c{name}",
            max_hole_distance=2,
            memory_mb=budget,
        )
    for kind in "fc":
        one, many = (read(tmp_path / f"{kind}{name}" / "x.tif") for name in ("one", "many"))
        assert np.isfinite(one).all() and np.array_equal(one, many, equal_nan=True)


def test_odd_figures_are_warned_of(tmp_path, template):
    months = month_range("2004-01", "2004-02")
    rng = np.random.default_rng(1).random((2, *FINE.shape), dtype=np.float32)
    ranges = {"pre": (8000, 1000), "tas": (30, 270), "ndvi": (8000, 0), "et": (80, 10), "pre_acc": (9000, 9000)}
    inputs = {
        name: write_stack(tmp_path / f"{name}.tif", FINE, months, rng * scale + low)
        for name, (scale, low) in ranges.items()
    }
    inputs["clay"] = raster(tmp_path / "clay.tif", FINE, rng[0] * 500)
    inputs["flat"] = raster(tmp_path / "flat.tif", FINE, np.ones(FINE.shape))
    result = preparepredictors(inputs, template, FACTOR, tmp_path / "fine", tmp_path / "coarse")
    odd = {row.name for row in result.rows if row.odd}
    assert odd == {"pre", "tas", "ndvi", "clay", "flat"}


def test_bad_input(tmp_path, template):
    dem = raster(tmp_path / "dem.tif", FINE, plane(FINE))
    months, later = month_range("2004-01", "2004-02"), month_range("2009-01", "2009-02")
    first, second = (
        write_stack(tmp_path / f"{n}.tif", FINE, m, np.ones((2, *FINE.shape), np.float32))
        for n, m in (("a", months), ("b", later))
    )
    away = raster(tmp_path / "away.tif", Grid(100.0, 60.0, 0.1, 0.1, 20, 10, CRS), np.ones(FINE.shape))
    empty = raster(tmp_path / "empty.tif", FINE, np.full(FINE.shape, np.nan))
    undated = raster(tmp_path / "undated.tif", FINE, np.ones((2, *FINE.shape)))
    small = raster(tmp_path / "small.tif", FINE.coarsen(5), np.ones((2, 4)))
    cases = [
        ([], {}, InvalidParameter, "no input"),
        ([dem, dem], {}, InvalidParameter, "two inputs are called dem"),
        ([dem], {"names": ["a", "b"]}, InvalidParameter, "2 names were given for 1 inputs"),
        ([dem], {"names": ["month_sin"]}, InvalidParameter, "cannot be the name"),
        ([dem], {"names": ["../x"]}, InvalidParameter, "cannot be the name"),
        ([first, second], {}, InvalidMonths, "no month in common"),
        ([first], {"start": "2010-01"}, InvalidMonths, "none between"),
        ([away], {}, NoUsableData, "does not meet the template"),
        ([dem, empty], {}, NoUsableData, "empty.tif has no valid value"),
        ([undated], {}, InvalidMonths, "no month on band 1"),
        ([dem], {"mask": small}, GridMismatch, "not on one grid"),
    ]
    for inputs, options, error, words in cases:
        with pytest.raises(error, match=words):
            preparepredictors(inputs, template, FACTOR, tmp_path / "fine", tmp_path / "coarse", **options)
        assert not (tmp_path / "fine").exists() and not (tmp_path / "coarse").exists()
    with pytest.raises(GridMismatch, match="grouped by 3 x 3"):
        preparepredictors([dem], template, 3, tmp_path / "fine", tmp_path / "coarse")


def test_months_without_a_value_stay_and_are_told(tmp_path, template):
    months = month_range("2004-01", "2004-06")
    values = np.random.default_rng(3).random((6, *FINE.shape), dtype=np.float32)
    values[[1, 4]] = np.nan
    stack = write_stack(tmp_path / "pre.tif", FINE, months, values, unit="mm")
    messages = []
    result = preparepredictors(
        [stack], template, FACTOR, tmp_path / "fine", tmp_path / "coarse", progress=lambda f, m: messages.append(m)
    )
    told = [m for m in messages if m.startswith("Warning: pre has no value in 2 of 6 months (2004-02, 2004-05)")]
    assert told and result.rows[0].empty_months == "2004-02 2004-05"
    with MonthlyStack(tmp_path / "fine" / "pre.tif") as fine:
        assert np.array_equal(np.isnan(fine.read()).all(axis=(1, 2)), [0, 1, 0, 0, 1, 0])
        assert np.array_equal(fine.months, months)


def test_a_month_left_out_is_refused(tmp_path, template):
    months = month_range("2004-01", "2004-06")[[0, 1, 3, 4]]
    stack = write_stack(tmp_path / "pre.tif", FINE, months, np.ones((4, *FINE.shape), np.float32))
    with pytest.raises(InvalidMonths, match="jumps from 2004-02 to 2004-04"):
        preparepredictors([stack], template, FACTOR, tmp_path / "fine", tmp_path / "coarse")


def test_table_and_page(tmp_path, template):
    small = Grid(9.0, 61.0, 0.25, 0.25, 20, 16, CRS)
    dem = raster(tmp_path / "dem.tif", small, 3000 + 100 * plane(small), unit="m")
    months = month_range("2004-01", "2005-12")
    season = 10 + 10 * np.cos(2 * np.pi * np.arange(24) / 12)  # warmest in January, at 60 degrees north
    noise = np.random.default_rng(2).random((24, *FINE.shape))
    tas = write_stack(
        tmp_path / "tas.tif", FINE, months, (season[:, None, None] + noise).astype(np.float32), unit="degC"
    )
    messages = []
    result = preparepredictors(
        [dem, tas], template, FACTOR, tmp_path / "fine", tmp_path / "coarse", table=tmp_path / "t.csv",
        report=tmp_path / "r.html", progress=lambda f, m: messages.append(m),
    )  # fmt: skip
    lines = {line["name"]: line for line in csv.DictReader((tmp_path / "t.csv").open())}
    assert lines["dem"]["source_cells"] == "20 x 16" and lines["dem"]["source_resolution"] == "0.25 x 0.25"
    assert (
        lines["dem"]["source_crs"] == "EPSG:4326" and lines["dem"]["unit_in"] == "m" and lines["dem"]["months"] == "0"
    )
    assert "feet" in lines["dem"]["odd"] and "six months out" in lines["tas"]["odd"]
    for row in result.rows:
        values = read(tmp_path / "fine" / f"{row.name}.tif")
        assert (
            row.low == values.min() and row.high == values.max() and row.mean == pytest.approx(values.mean(dtype=float))
        )
        assert any(m.startswith(f"Warning: {row.name} ") for m in messages)
    page = (tmp_path / "r.html").read_text()
    assert page.count("<table>") == 3 and page.count("data:image/png") == 2 and "six months out" in page


def test_many_months_with_holes_of_their_own(tmp_path, template):
    """A hole in one month does not reach into others, however many months are warped at once."""
    months = month_range("2004-01", "2005-01")
    finer = FINE.refine(4)
    values = np.ones((months.size, *finer.shape), np.float32) * np.arange(months.size)[:, None, None]
    values[np.random.default_rng(6).random(values.shape) < 0.3] = np.nan
    stack = write_stack(tmp_path / "ndvi.tif", finer, months, values)
    result = preparepredictors(
        [stack], template, FACTOR, tmp_path / "fine", tmp_path / "coarse", max_hole_distance=0
    )  # fmt: skip
    assert result.rows[0].left_share == 0
    expected = np.broadcast_to(np.arange(months.size)[:, None, None], (months.size, *FINE.shape))
    assert np.allclose(read(tmp_path / "fine" / "ndvi.tif"), expected, atol=1e-5)

"""Hot spots against an independent labelling of the whole map, and their outlines drawn back on its cells."""

import numpy as np
import pytest
from osgeo import gdal, ogr
from scipy import ndimage

from gwsa_qgis.errors import GridMismatch, InvalidParameter, NoUsableData, OutputNotWritable, UnreadableInput
from gwsa_qgis.products.units import centimetres_a_year_per
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.raster import write_single
from gwsa_qgis.steps.hotspots import hotspots

GRID = Grid(-8.0, 52.0, 0.25, 0.25, 90, 70, geographic_crs())
RADIUS = 6371.0088  # km, mean radius


def field(seed, side=4):
    """A smooth field of unit spread."""
    random = np.random.default_rng(seed)
    values = ndimage.gaussian_filter(random.normal(size=GRID.shape), side)
    return values / values.std()


@pytest.fixture
def maps():
    slope = 2 * field(1) + 0.3 * field(2, 1)
    p = np.clip(0.2 - 0.12 * np.abs(slope) + 0.05 * field(3, 1), 1e-6, 1)
    slope[20:24, 30:40] = np.nan
    p[50:52, 5:9] = np.nan
    return slope.astype(np.float32), p.astype(np.float32)


@pytest.fixture
def files(tmp_path, maps):
    folder = tmp_path / "in"
    folder.mkdir()
    slope, p = maps
    paths = {name: folder / f"{name}.tif" for name in ("slope", "p_value", "lower", "upper")}
    write_single(paths["slope"], GRID, slope, unit="cm/year", metadata={"GWSA_PERIOD": "2002-04 to 2020-12"})
    write_single(paths["p_value"], GRID, p)
    for name, shift in (("lower", -0.4), ("upper", 0.5)):
        write_single(paths[name], GRID, slope + np.float32(shift), unit="cm/year", descriptions=[f"{name} 95 % limit"])
    return paths


def features(path):
    dataset = ogr.Open(str(path))
    layer = dataset.GetLayer()
    names = [field.GetName() for field in layer.schema]
    return [{name: f[name] for name in names} | {"wkb": bytes(f.GetGeometryRef().ExportToWkb())} for f in layer]


def cell_areas():
    north = np.deg2rad(52 - 0.25 * np.arange(70))
    strip = RADIUS**2 * np.deg2rad(0.25) * (np.sin(north) - np.sin(north - np.deg2rad(0.25)))
    return np.repeat(strip[:, None], 90, 1)


def expected(maps, sign, p=0.05, least=0.0, corners=True):
    """Labels of the whole map and figures by loops, largest volume first."""
    slope, p_value = (part.astype(float) for part in maps)
    with np.errstate(invalid="ignore"):
        chosen = (p_value < p) & (np.sign(slope) == sign) & (np.abs(slope) >= least)
    labels, count = ndimage.label(chosen, np.ones((3, 3)) if corners else None)
    area, found = cell_areas(), []
    for number in range(1, count + 1):
        own = labels == number
        found.append((number, area[own].sum(), (area * slope)[own].sum() * 1e-5, own.sum(), p_value[own].min()))
    return labels, sorted(found, key=lambda one: -abs(one[2]))


@pytest.mark.parametrize(("kind", "sign"), [("depletion", -1), ("gain", 1)])
@pytest.mark.parametrize("memory", [512, 0.3])
@pytest.mark.parametrize("connectivity", [4, 8])
def test_figures_are_those_of_an_independent_labelling(files, maps, tmp_path, kind, sign, memory, connectivity):
    result = hotspots(
        files["slope"],
        files["p_value"],
        tmp_path / "hot.gpkg",
        kind=kind,
        connectivity=connectivity,
        memory_mb=memory,
        lower=files["lower"],
        upper=files["upper"],
    )
    found, (labels, wanted) = features(result.output), expected(maps, sign, corners=connectivity == 8)
    assert len(found) == len(wanted) == result.hot_spots.count > 10
    area, slope = cell_areas(), maps[0].astype(float)
    for rank, (one, (number, size, rate, cells, least)) in enumerate(zip(found, wanted, strict=True), start=1):
        assert one["rank"] == rank and one["kind"] == kind and one["cells"] == cells
        assert one["area_km2"] == pytest.approx(size, rel=1e-9)
        assert one["rate_km3"] == pytest.approx(rate, rel=1e-9)
        assert one["slope_cm"] == pytest.approx(rate * 1e5 / size, rel=1e-9)
        assert one["p_least"] == pytest.approx(least, rel=1e-6)
        own = labels == number
        for end, shift in (("lo", np.float32(-0.4)), ("hi", np.float32(0.5))):
            limits = (maps[0] + shift).astype(float)
            assert one[f"rate_km3_{end}"] == pytest.approx((area * limits)[own].sum() * 1e-5, rel=1e-6)
        assert one["steepest_cm"] == pytest.approx(slope[own][np.abs(slope[own]).argmax()], rel=1e-9)
        sure = (area * (maps[1] < 0.01))[own].sum() / size
        fair = (area * (maps[1] < 0.05))[own].sum() / size
        assert one["sure_pct"] == pytest.approx(100 * sure, abs=1e-9)
        assert one["confidence"] == ("high" if sure >= 0.5 else "moderate" if fair >= 0.5 else "low")


def test_outlines_drawn_back_are_the_cells(files, maps, tmp_path):
    result = hotspots(files["slope"], files["p_value"], tmp_path / "hot.gpkg", kind="both", memory_mb=0.3)
    dataset = gdal.OpenEx(str(result.output), gdal.OF_VECTOR)
    target = gdal.GetDriverByName("MEM").Create("", 90, 70, 1, gdal.GDT_Int32)
    target.SetGeoTransform(GRID.transform)
    target.SetProjection(GRID.crs)
    gdal.RasterizeLayer(target, [1], dataset.GetLayer(), options=["ATTRIBUTE=rank"])
    ranks = target.ReadAsArray()
    slope, p = maps
    with np.errstate(invalid="ignore"):
        chosen = p < 0.05
    chosen &= np.isfinite(slope)
    np.testing.assert_array_equal(ranks > 0, chosen)
    for one in features(result.output):
        own = ranks == one["rank"]
        assert own.sum() == one["cells"] and (np.sign(slope[own]) == (1 if one["kind"] == "gain" else -1)).all()
        outline = ogr.CreateGeometryFromWkb(one["wkb"])
        assert outline.IsValid() and outline.GetGeometryName() == "MULTIPOLYGON"
        assert outline.GetArea() == pytest.approx(own.sum() * 0.0625, rel=1e-9)
        assert outline.Buffer(1e-9).Contains(
            ogr.CreateGeometryFromWkt(f"POINT ({one['steepest_x']} {one['steepest_y']})")
        )


def test_rules(files, maps, tmp_path):
    steep = hotspots(files["slope"], files["p_value"], tmp_path / "s.gpkg", least_slope=2.5, p=0.03)
    wanted = expected(maps, -1, 0.03, 2.5)[1]
    assert [one["cells"] for one in features(steep.output)] == [one[3] for one in wanted]
    bound = wanted[len(wanted) // 2][1]
    large = hotspots(files["slope"], files["p_value"], tmp_path / "l.gpkg", least_slope=2.5, p=0.03, minimum_area=bound)
    assert large.hot_spots.count == sum(one[1] >= bound * (1 - 1e-12) for one in wanted) < len(wanted)
    assert np.isnan(large.hot_spots.lower).all()


def test_a_slope_a_month_counts_as_a_year(files, maps, tmp_path):
    monthly = write_single(tmp_path / "monthly.tif", GRID, maps[0] / 1.2, unit="mm/month")
    result = hotspots(monthly, files["p_value"], tmp_path / "m.gpkg")
    same = hotspots(files["slope"], files["p_value"], tmp_path / "y.gpkg")
    np.testing.assert_allclose(result.hot_spots.rate, same.hot_spots.rate, rtol=1e-6)


@pytest.mark.parametrize(
    ("unit", "factor"), [("cm/year", 1), ("cm/month", 12), ("mm/yr", 0.1), ("mm yr-1", 0.1), ("m per year", 100)]
)
def test_units_of_rates(unit, factor):
    assert centimetres_a_year_per(unit, "the slope") == pytest.approx(factor, rel=1e-12)


@pytest.mark.parametrize("unit", ["", "cm", "K/year", "cm/day", "year/cm", "cm/year-1"])
def test_units_that_are_no_rates_of_water(unit):
    with pytest.raises(InvalidParameter, match="unit"):
        centimetres_a_year_per(unit, "the slope")


def test_nothing_significant_gives_an_empty_layer(files, tmp_path):
    told = []
    result = hotspots(
        files["slope"],
        files["p_value"],
        tmp_path / "e.gpkg",
        report=tmp_path / "e.html",
        least_slope=1e6,
        progress=lambda _, message: told.append(message),
    )
    assert result.hot_spots.count == 0 and features(result.output) == []
    assert any("no hot spot was found" in message for message in told)
    assert "No hot spot was found." in (tmp_path / "e.html").read_text(encoding="utf-8")


def test_page(files, tmp_path):
    pytest.importorskip("matplotlib")
    paths = {"lower": files["lower"], "upper": files["upper"]}
    hotspots(files["slope"], files["p_value"], tmp_path / "h.gpkg", kind="both", report=tmp_path / "h.html", **paths)
    page = (tmp_path / "h.html").read_text(encoding="utf-8")
    for text in (
        "depletion and gain",
        "2002-04 to 2020-12",
        "Largest volume a year first",
        "By chance alone",
        "lower 95 %",
    ):
        assert text in page
    assert page.count("data:image/png") == 1


def test_refusals(files, maps, tmp_path):
    slope, p = files["slope"], files["p_value"]
    out = tmp_path / "out" / "h.gpkg"
    for options, match in (
        ({"kind": "loss"}, "KIND is 'loss'"),
        ({"p": 0}, "P is 0"),
        ({"p": np.nan}, "P is nan"),
        ({"least_slope": -1}, "LEAST_SLOPE is -1"),
        ({"minimum_area": np.inf}, "MINIMUM_AREA is inf"),
        ({"connectivity": 6}, "CONNECTIVITY is 6"),
        ({"lower": files["lower"]}, "one limit"),
    ):
        with pytest.raises(InvalidParameter, match=match):
            hotspots(slope, p, out, **options)
    other = write_single(tmp_path / "other.tif", Grid(0, 52, 0.25, 0.25, 90, 70, geographic_crs()), maps[1])
    with pytest.raises(GridMismatch):
        hotspots(slope, other, out)
    with pytest.raises(UnreadableInput, match="no p value"):
        hotspots(slope, slope, out)
    with pytest.raises(InvalidParameter, match="names no unit"):
        hotspots(p, p, out)
    empty = write_single(tmp_path / "empty.tif", GRID, np.full(GRID.shape, np.nan, np.float32))
    with pytest.raises(NoUsableData):
        hotspots(slope, empty, out)
    with pytest.raises(OutputNotWritable, match="gpkg"):
        hotspots(slope, p, tmp_path / "h.shp")
    assert not out.exists() and not list(tmp_path.glob("**/.h*"))

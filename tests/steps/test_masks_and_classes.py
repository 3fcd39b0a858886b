"""Water, glacier and base masks, masked rasters, running sums and aquifer classes, against hand-made maps."""

import numpy as np
import pytest
from osgeo import gdal, ogr, osr

from gwsa_qgis.errors import GridMismatch, InvalidMonths, InvalidParameter, NoUsableData, UnreadableInput
from gwsa_qgis.months import month_range
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.raster import Raster, write_single
from gwsa_qgis.rasters.stack import MonthlyStack, write_stack
from gwsa_qgis.steps.accumulate import accumulate
from gwsa_qgis.steps.applymask import applymask
from gwsa_qgis.steps.aquiferclasses import aquiferclasses
from gwsa_qgis.steps.basemask import basemask
from gwsa_qgis.steps.glaciermask import glaciermask
from gwsa_qgis.steps.watermask import watermask

gdal.UseExceptions()
CRS = geographic_crs()
FINE = Grid(10.0, 50.0, 0.5, 0.5, 4, 4, CRS)


@pytest.fixture
def template(tmp_path):
    return write_single(tmp_path / "template.tif", FINE, np.ones(FINE.shape, np.float32))


def used(path):
    with Raster(path) as raster:
        return np.isfinite(raster.read()[0])


def classes(path, values, grid):
    return write_single(path, grid, np.asarray(values, np.uint8), dtype="uint8", nodata=None)


def test_water_is_the_union_of_years_and_shares_count(tmp_path, template):
    tile = FINE.refine(4)  # 16 pixels a cell
    first, second = np.ones(tile.shape), np.ones(tile.shape)
    first[:4, :2] = 3  # half of cell (0, 0) in one year
    second[:4, 4:5] = 3  # cell (0, 1): a quarter, and another quarter in the other year
    first[:4, 5:6] = 3
    first[:4, 8:12] = 2  # cell (0, 2): seasonal
    first[4:8, :4], second[4:8, :4] = 0, 0  # cell (1, 0) never classified
    second[4:8, 4:6], first[4:8, 4:6] = 0, 0  # cell (1, 1): half unknown, a quarter water = half of what is known
    first[4:8, 6:7] = 3
    paths = [
        classes(tmp_path / f"yearlyClassification{year}-0000000000-0000000000.tif", values, tile)
        for year, values in ((2002, first), (2003, second))
    ]
    result = watermask(paths, template, tmp_path / "mask.tif")
    mask = np.ones((4, 4), bool)
    mask[0, :2] = mask[1, :2] = False
    assert np.array_equal(used(tmp_path / "mask.tif"), mask)
    assert result.years == (2002, 2003)
    assert (result.water_share, result.unknown_share) == (3 / 16, 1 / 16)
    later = watermask(paths, template, tmp_path / "later.tif", start_year=2003)
    assert later.water_share == 0
    assert watermask(paths, template, tmp_path / "strict.tif", threshold=0.6).water_share == 0


def test_water_tiles_that_do_not_nest_and_a_hole(tmp_path, template):
    left = Grid(10.0, 50.0, 0.15, 0.15, 7, 14, CRS)  # 10.0 to 11.05
    values = np.ones(left.shape)
    values[:, 5:] = 3  # from 10.75: half of the second column of cells
    result = watermask([classes(tmp_path / "v5_2000-a.tif", values, left)], template, tmp_path / "mask.tif")
    mask = used(tmp_path / "mask.tif")
    assert mask[:, 0].all() and not mask[:, 1].any() and not mask[:, 2:].any()
    assert result.unknown_share == 0.5
    narrow = watermask([tmp_path / "v5_2000-a.tif"], template, tmp_path / "m2.tif", memory_mb=0.002)
    assert np.array_equal(used(tmp_path / "m2.tif"), mask) and narrow.water_share == result.water_share


def test_water_errors(tmp_path, template):
    far = classes(tmp_path / "far_2001.tif", np.ones((4, 4)), Grid(100.0, 50.0, 0.5, 0.5, 4, 4, CRS))
    with pytest.raises(NoUsableData, match="no tile classifies"):
        watermask([far], template, tmp_path / "m.tif")
    utm = osr.SpatialReference()
    utm.ImportFromEPSG(32633)
    other = classes(tmp_path / "utm.tif", np.ones((4, 4)), Grid(5e5, 5e6, 30, 30, 4, 4, utm.ExportToWkt()))
    with pytest.raises(GridMismatch, match="coordinate reference system"):
        watermask([other], template, tmp_path / "m.tif")
    with pytest.raises(InvalidParameter, match="THRESHOLD"):
        watermask([far], template, tmp_path / "m.tif", threshold=0)
    with pytest.raises(InvalidParameter, match="no tile"):
        watermask([], template, tmp_path / "m.tif")
    assert not (tmp_path / "m.tif").exists()


def polygons(path, items, epsg=4326, fields=(("HYGEO2", ogr.OFTInteger),), kind=ogr.wkbPolygon):
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(epsg)
    reference.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    dataset = gdal.GetDriverByName("GPKG").Create(str(path), 0, 0, 0, gdal.GDT_Unknown)
    layer = dataset.CreateLayer("shapes", reference, kind)
    for name, type_ in fields:
        layer.CreateField(ogr.FieldDefn(name, type_))
    for wkt, values in items:
        feature = ogr.Feature(layer.GetLayerDefn())
        for name, value in values.items():
            feature.SetField(name, value)
        if wkt:
            feature.SetGeometry(ogr.CreateGeometryFromWkt(wkt))
        layer.CreateFeature(feature)
    del layer, dataset
    return path


def box(west, south, east, north, z=""):
    corners = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    text = ", ".join(f"{x} {y}{z}" for x, y in corners)
    return f"POLYGON {'Z ' if z else ''}(({text}))"


def test_glaciers_are_flattened_mended_and_counted_by_share(tmp_path, template):
    bow_tie = "POLYGON ((11.5 48, 12 48.5, 12 48, 11.5 48.5, 11.5 48))"  # two triangles: half of cell (3, 3)
    shapes = [
        (box(10.0, 49.5, 10.3, 50.0, " 3000"), {}),  # 60 % of cell (0, 0)
        (box(10.5, 49.5, 10.7, 50.0, " 3000"), {}),  # 40 % of cell (0, 1)
        (box(10.7, 49.5, 10.8, 50.0), {}),  # and 20 % more
        (bow_tie, {}),
        (None, {}),
    ]
    source = polygons(tmp_path / "rgi.gpkg", shapes, kind=ogr.wkbUnknown)
    result = glaciermask(f"{source}|layername=shapes", template, tmp_path / "m.tif")
    mask = np.ones((4, 4), bool)
    mask[0, 0] = mask[0, 1] = mask[3, 3] = False
    assert np.array_equal(used(tmp_path / "m.tif"), mask)
    assert (result.flattened, result.mended) == (2, 1)
    assert glaciermask(source, template, tmp_path / "m.tif", threshold=0.7).masked_share == 0


def test_ice_sheet_in_another_crs(tmp_path, template):
    polar = osr.SpatialReference()
    polar.ImportFromEPSG(32632)
    utm = Grid(550000, 5560000, 1000, 1000, 200, 250, polar.ExportToWkt())
    ice = np.zeros(utm.shape, np.uint8)
    ice[:, :60] = 1  # up to 610 km east: about 10.5 deg
    sheet = write_single(tmp_path / "gimp.tif", utm, ice, dtype="uint8", nodata=None)
    source = polygons(tmp_path / "rgi.gpkg", [(box(11.5, 48, 12, 48.5), {})])
    glaciermask(source, template, tmp_path / "m.tif", ice_sheet=sheet)
    mask = np.ones((4, 4), bool)
    mask[:, 0] = mask[3, 3] = False
    assert np.array_equal(used(tmp_path / "m.tif"), mask)


def test_base_mask_is_the_intersection(tmp_path):
    first, second = np.ones(FINE.shape), np.ones(FINE.shape)
    first[0], second[:, 0] = np.nan, 0
    paths = [write_single(tmp_path / f"{n}.tif", FINE, v.astype(np.float32)) for n, v in (("a", first), ("b", second))]
    result = basemask(paths, tmp_path / "base.tif")
    assert result.used_share == 9 / 16
    assert np.array_equal(used(tmp_path / "base.tif"), np.isfinite(first) & (second > 0))
    with pytest.raises(NoUsableData, match="leave no cell"):
        nothing = write_single(tmp_path / "c.tif", FINE, np.zeros(FINE.shape, np.float32))
        basemask([paths[0], nothing], tmp_path / "x.tif")
    coarse = write_single(tmp_path / "d.tif", FINE.coarsen(2), np.ones((2, 2), np.float32))
    with pytest.raises(GridMismatch, match="not on one grid"):
        basemask([paths[0], coarse], tmp_path / "x.tif")
    with pytest.raises(InvalidParameter, match="no mask"):
        basemask([], tmp_path / "x.tif")
    assert not (tmp_path / "x.tif").exists()


def test_apply_mask_keeps_all_else(tmp_path):
    months = month_range("2004-11", "2005-01")
    values = np.arange(48, dtype=np.float32).reshape(3, 4, 4)
    filled = np.array([False, True, False])
    stack = write_stack(
        tmp_path / "s.tif", FINE, months, values, unit="mm", quantity="PRE", baseline="2004-01..2009-12", filled=filled
    )
    keep = np.eye(4, dtype=np.float32)
    mask = write_single(tmp_path / "m.tif", FINE, keep)
    applymask(stack, mask, tmp_path / "o.tif")
    with MonthlyStack(tmp_path / "o.tif") as masked:
        assert (masked.months == months).all() and masked.unit() == "mm" and masked.quantity == "PRE"
        assert masked.baseline == "2004-01..2009-12" and (masked.filled == filled).all()
        assert masked.dataset.GetRasterBand(2).GetMetadataItem("GWSA_MONTH") == "filled"
        data = masked.read()
    assert np.array_equal(data, np.where(keep > 0, values, np.nan), equal_nan=True)
    labels = write_single(
        tmp_path / "l.tif", FINE, np.arange(16, dtype=np.int32).reshape(4, 4), dtype="int32", nodata=-1
    )
    applymask(labels, mask, tmp_path / "lo.tif")
    with Raster(tmp_path / "lo.tif") as raster:
        assert raster.dataset.GetRasterBand(1).DataType == gdal.GDT_Int32
        assert np.nansum(raster.read()) == 0 + 5 + 10 + 15
    with pytest.raises(NoUsableData, match="under the mask"):
        applymask(stack, write_single(tmp_path / "z.tif", FINE, np.zeros((4, 4), np.float32)), tmp_path / "x.tif")
    assert not (tmp_path / "x.tif").exists()


def test_accumulate(tmp_path):
    months = month_range("2004-01", "2005-12")
    values = np.ones((24, 4, 4), np.float32) * np.arange(1, 25, dtype=np.float32)[:, None, None]
    values[12] = np.nan  # January 2005: the other January has 1
    values[:, 0, 0] = np.nan
    stack = write_stack(tmp_path / "s.tif", FINE, months, values, unit="mm", quantity="PRE")
    messages = []
    result = accumulate(stack, tmp_path / "o.tif", progress=lambda f, m: messages.append(m))
    with MonthlyStack(tmp_path / "o.tif") as summed:
        data = summed.read()
        assert summed.unit() == "mm" and summed.quantity == "accumulated PRE"
    assert np.isnan(data[:, 0, 0]).all()
    assert data[11, 1, 1] == 78 and data[12, 1, 1] == 79 and data[23, 1, 1] == 300 - 13 + 1
    assert result.gaps == 15
    assert any("15 values are missing, among them the whole months 2005-01" in m for m in messages)
    with pytest.raises(InvalidParameter, match="GAPS"):
        accumulate(stack, tmp_path / "x.tif", gaps="skip")
    plain = write_single(tmp_path / "p.tif", FINE, np.ones((2, 4, 4), np.float32))
    with pytest.raises(InvalidMonths, match="no month on band 1"):
        accumulate(plain, tmp_path / "x.tif")


def test_classes_fine_and_majority(tmp_path, template):
    shapes = [
        (box(10, 48, 11, 50), {"HYGEO2": 11}),
        (box(11, 48, 12, 49), {"HYGEO2": 22}),
        (box(11, 49, 11.5, 50), {"HYGEO2": 88}),  # ice sheet: dropped
        (box(11.5, 49.5, 12, 50), {"HYGEO2": 33}),
    ]
    source = polygons(tmp_path / "whymap.gpkg", shapes)
    keep = np.ones((4, 4), np.float32)
    keep[:2, 0] = 0
    mask = write_single(tmp_path / "m.tif", FINE, keep)
    result = aquiferclasses(source, template, 2, tmp_path / "f.tif", tmp_path / "c.tif", mask=mask)
    with Raster(tmp_path / "f.tif") as raster:
        fine = np.nan_to_num(raster.read()[0])
    assert fine.tolist() == [[0, 11, 0, 33], [0, 11, 0, 0], [11, 11, 22, 22], [11, 11, 22, 22]]
    with Raster(tmp_path / "c.tif") as raster:
        assert raster.read()[0].tolist() == [[11, 33], [11, 22]] and raster.grid.dx == 1
    assert result.cells == {11: 6, 22: 4, 33: 1}


def test_classes_in_another_crs(tmp_path, template):
    source = polygons(tmp_path / "m.gpkg", [(box(1.1e6, 6.0e6, 1.25e6, 6.6e6), {"HYGEO2": 14})], epsg=3857)
    messages = []
    aquiferclasses(source, template, 2, tmp_path / "f.tif", progress=lambda f, m: messages.append(m))
    with Raster(tmp_path / "f.tif") as raster:
        fine = np.nan_to_num(raster.read()[0])
    # 1.1e6 and 1.25e6 m of Web Mercator are 9.88 and 11.23 deg: cell centres 10.25 to 10.75 lie inside, 11.25 not
    assert (fine[:, :2] == 14).all() and (fine[:, 2:] == 0).all()
    assert any("reprojected" in m for m in messages)


def test_class_errors(tmp_path, template):
    here = box(10, 48, 12, 50)
    good = polygons(tmp_path / "g.gpkg", [(here, {"HYGEO2": 11})])
    texts = polygons(tmp_path / "t.gpkg", [(here, {"HYGEO2": "sand"})], fields=(("HYGEO2", ogr.OFTString),))
    away = polygons(tmp_path / "a.gpkg", [(box(100, 0, 101, 1), {"HYGEO2": 11})])
    empty = polygons(tmp_path / "e.gpkg", [])
    points = polygons(tmp_path / "p.gpkg", [("POINT (1 1)", {"HYGEO2": 11})], kind=ogr.wkbPoint)
    cases = [
        (good, {"field": "CLASS"}, UnreadableInput, "no field 'CLASS'; it has HYGEO2"),
        (texts, {}, UnreadableInput, "holds 'sand'"),
        (away, {}, NoUsableData, "no polygon"),
        (empty, {}, UnreadableInput, "no feature"),
        (points, {}, UnreadableInput, "Point"),
        (tmp_path / "absent.gpkg", {}, UnreadableInput, "is not there"),
    ]
    for source, options, error, words in cases:
        with pytest.raises(error, match=words):
            aquiferclasses(source, template, 2, tmp_path / "f.tif", tmp_path / "c.tif", **options)
    with pytest.raises(GridMismatch, match="grouped by 3 x 3"):
        aquiferclasses(good, template, 3, tmp_path / "f.tif", tmp_path / "c.tif")
    assert not (tmp_path / "f.tif").exists() and not (tmp_path / "c.tif").exists()

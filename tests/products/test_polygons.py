"""Polygon layers as they come: curved, three-dimensional, crossing, collapsed or empty; class fields of all kinds."""

import numpy as np
import pytest
from osgeo import gdal, ogr, osr

from gwsa_qgis.errors import UnreadableInput
from gwsa_qgis.products.polygons import Polygons
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.raster import Raster, write_single
from gwsa_qgis.steps.aquiferclasses import aquiferclasses
from gwsa_qgis.steps.glaciermask import glaciermask

gdal.UseExceptions()
GRID = Grid(10.0, 50.0, 0.5, 0.5, 4, 4, geographic_crs())


@pytest.fixture
def template(tmp_path):
    return write_single(tmp_path / "template.tif", GRID, np.ones(GRID.shape, np.float32))


@pytest.fixture
def write_layer(tmp_path):
    def write(name, items, fields=(), epsg=4326, kind=ogr.wkbUnknown):
        reference = None
        if epsg:
            reference = osr.SpatialReference()
            reference.ImportFromEPSG(epsg)
            reference.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
        dataset = gdal.GetDriverByName("GPKG").Create(str(tmp_path / name), 0, 0, 0, gdal.GDT_Unknown)
        layer = dataset.CreateLayer("shapes", reference, kind)
        for field, type_ in fields:
            layer.CreateField(ogr.FieldDefn(field, type_))
        for wkt, values in items:
            feature = ogr.Feature(layer.GetLayerDefn())
            for field, value in values.items():
                feature.SetField(field, value)
            if wkt:
                feature.SetGeometry(ogr.CreateGeometryFromWkt(wkt))
            layer.CreateFeature(feature)
        del layer, dataset
        return tmp_path / name

    return write


def box(west, south, east, north):
    return f"POLYGON (({west} {south}, {east} {south}, {east} {north}, {west} {north}, {west} {south}))"


def told(function, *arguments, **options):
    messages = []
    result = function(*arguments, progress=lambda f, m: messages.append(m), **options)
    return result, messages


def masked(path):
    with Raster(path) as raster:
        return np.isnan(raster.read()[0])


def test_every_fault_is_counted_once_whatever_the_windows(write_layer, template, tmp_path):
    items = [
        ("POLYGON Z ((10 48 1, 11.9 48 1, 11.9 49.9 1, 10 49.9 1, 10 48 1))", {}),  # in all windows
        ("POLYGON ((10 48, 12 50, 12 48, 10 50, 10 48))", {}),  # a bow tie in all windows
        ("POLYGON ((10 48, 12 50, 10 48))", {}),  # collapsed to a line
        ("LINESTRING (10 48, 12 50)", {}),
        ("POLYGON EMPTY", {}),
        (None, {}),
    ]
    source = write_layer("faults.gpkg", items)
    for memory in (512, 0.003):
        result, messages = told(glaciermask, source, template, tmp_path / "m.tif", memory_mb=memory)
        text = " ".join(messages)
        assert result.flattened == 1 and result.mended >= 1
        assert "2 features without a geometry were left out" in text
        assert "2 features that are no polygons, or have no area" in text
        mended = result.mended
    assert mended in (1, 2)  # the collapsed one is invalid too


def test_a_collapsed_outline_burns_nothing(write_layer, template, tmp_path):
    source = write_layer("line.gpkg", [("POLYGON ((10 48, 12 50, 10 48))", {}), (box(10, 48, 10.5, 48.5), {})])
    told(glaciermask, source, template, tmp_path / "m.tif", threshold=0.01)
    assert masked(tmp_path / "m.tif").sum() == 1


def test_curved_polygons(write_layer, template, tmp_path):
    circle = "CURVEPOLYGON (CIRCULARSTRING (10.2 49, 11 49.8, 11.8 49, 11 48.2, 10.2 49))"
    source = write_layer("round.gpkg", [(circle, {})], kind=ogr.wkbCurvePolygon)
    told(glaciermask, source, template, tmp_path / "m.tif", threshold=0.5)
    found = masked(tmp_path / "m.tif")
    assert found[1:3, 1:3].all() and not found[[0, 0, -1, -1], [0, -1, 0, -1]].any()


@pytest.mark.parametrize(
    ("field", "inventory"), [("rgi_id", "RGI 7"), ("RGIId", "RGI 6"), ("featurecla", "Natural Earth"), ("x", "")]
)
def test_inventories_by_their_fields(write_layer, template, tmp_path, field, inventory):
    source = write_layer("ice.gpkg", [(box(10, 48, 11, 49), {field: "a"})], [(field, ogr.OFTString)])
    _, messages = told(glaciermask, source, template, tmp_path / "m.tif")
    first = next(m for m in messages if "outlines" in m and "ice.gpkg" in m and not m.startswith("Warning"))
    assert (f"({inventory})" in first) if inventory else ("(" not in first)
    assert any("generalises" in m for m in messages) == (inventory == "Natural Earth")


def test_several_regions(write_layer, template, tmp_path):
    west = write_layer("01.gpkg", [(box(10, 48, 11, 50), {})])
    east = write_layer("02.gpkg", [(box(11, 48, 11.5, 50), {})])
    glaciermask([west, east], template, tmp_path / "m.tif")
    assert masked(tmp_path / "m.tif").tolist() == [[True, True, True, False]] * 4


def test_an_ice_sheet_raster_of_other_classes_is_refused(write_layer, template, write_tif, tmp_path):
    source = write_layer("ice.gpkg", [(box(10, 48, 11, 49), {})])
    sheet = write_tif("bedmachine.tif", np.full((4, 4), 3, np.uint8))
    with pytest.raises(UnreadableInput, match="holds the value 3; give a raster in which 1 is ice"):
        glaciermask(source, template, tmp_path / "m.tif", ice_sheet=sheet)
    assert not (tmp_path / "m.tif").exists()


def test_no_crs_is_told(write_layer, template, tmp_path):
    layer = write_layer("bare.gpkg", [(box(10, 48, 11, 49), {"HYGEO2": 11})], [("HYGEO2", ogr.OFTInteger)], epsg=None)
    gdal.VectorTranslate(str(tmp_path / "bare.shp"), str(layer), format="ESRI Shapefile")
    (tmp_path / "bare.prj").unlink(missing_ok=True)
    for source in (layer, tmp_path / "bare.shp"):
        with Polygons(source, GRID) as polygons:
            assert polygons.unplaced
        _, messages = told(aquiferclasses, source, template, 2, tmp_path / "o.tif")
        assert any("names no coordinate reference system: the template's is taken" in m for m in messages)


def classes_of(path):
    with Raster(path) as raster:
        return np.nan_to_num(raster.read()[0]), raster.metadata()


def test_texts_are_numbered_and_the_legend_kept(write_layer, template, tmp_path):
    items = [(box(10, 48, 11, 50), {"rock": "sand"}), (box(11, 48, 11.5, 50), {"rock": "karst"})]
    items += [(box(11.5, 48, 12, 50), {})]
    source = write_layer("rocks.gpkg", items, [("rock", ogr.OFTString)])
    result, messages = told(aquiferclasses, source, template, 2, tmp_path / "f.tif", tmp_path / "c.tif", field="Rock")
    values, tags = classes_of(tmp_path / "f.tif")
    assert values.tolist() == [[2, 2, 1, 0]] * 4 and result.legend == {1: "karst", 2: "sand"}
    assert tags["GWSA_CLASSES"] == "1 = karst; 2 = sand"
    assert any("1 = karst, 2 = sand" in m for m in messages) and any("1 polygons have no value" in m for m in messages)


def test_numbers_in_texts_stay_numbers(write_layer, template, tmp_path):
    items = [(box(10, 48, 11, 50), {"code": "13"}), (box(11, 48, 12, 50), {"code": "88"})]
    source = write_layer("codes.gpkg", items, [("code", ogr.OFTString)])
    result = aquiferclasses(source, template, 2, tmp_path / "f.tif", field="code")
    assert result.cells == {13: 8, 88: 8} and not result.legend and result.dropped == 0


def test_whymap_ice_is_dropped_and_strange_codes_told(write_layer, template, tmp_path):
    items = [(box(10, 48, 11, 50), {"HYGEO2": 88}), (box(11, 48, 12, 50), {"HYGEO2": 19})]
    source = write_layer("whymap.gpkg", items, [("HYGEO2", ogr.OFTInteger)])
    result, messages = told(aquiferclasses, source, template, 2, tmp_path / "f.tif")
    assert result.cells == {19: 8} and result.dropped == 1
    assert any("1 polygons of class 88" in m for m in messages) and any(
        "19 in HYGEO2 are no codes" in m for m in messages
    )


@pytest.mark.parametrize("value", [1.5, -3.0, 1e6])
def test_numbers_that_are_no_classes(write_layer, template, tmp_path, value):
    source = write_layer("real.gpkg", [(box(10, 48, 11, 50), {"k": value})], [("k", ogr.OFTReal)])
    with pytest.raises(UnreadableInput, match="no class number"):
        aquiferclasses(source, template, 2, tmp_path / "f.tif", field="k")
    assert not (tmp_path / "f.tif").exists()

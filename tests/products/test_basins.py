"""Basins as they come: names, holes, invalid outlines, other CRS, filters, many parts."""

import json

import numpy as np
import pytest
from osgeo import gdal, ogr, osr

from gwsa_qgis.errors import InvalidParameter, NoUsableData, UnreadableInput
from gwsa_qgis.products.basins import read_basins, rings_of
from gwsa_qgis.products.polygons import Polygons
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.grid import EARTH_RADIUS_KM, Grid, geographic_crs
from gwsa_qgis.rasters.windows import Window

gdal.UseExceptions()
GRID = Grid(10.0, 50.0, 0.5, 0.5, 8, 6, geographic_crs())
WHOLE = Window(0, 0, 6, 8)


def box(west, south, east, north):
    return [[[west, south], [east, south], [east, north], [west, north], [west, south]]]


@pytest.fixture
def layer(tmp_path):
    def write(items, name="basins.geojson"):
        features = [
            {
                "type": "Feature",
                "properties": {"name": text},
                "geometry": shape and {"type": kind, "coordinates": shape},
            }
            for text, kind, shape in items
        ]
        (tmp_path / name).write_text(json.dumps({"type": "FeatureCollection", "features": features}))
        return tmp_path / name

    return write


def read(source, tmp_path, grid=GRID, **options):
    told = []
    report = Reporter(lambda fraction, message: told.append(message))
    return read_basins(source, grid, tmp_path / "outlines", report, **({"field": "name"} | options)), told


def shares_of(basins, window=WHOLE):
    found = {}
    for number, part, shares in basins.within(window):
        whole = np.zeros((window.rows, window.columns))
        rows = slice(part.row - window.row, part.row - window.row + part.rows)
        columns = slice(part.column - window.column, part.column - window.column + part.columns)
        whole[rows, columns] = shares
        found[basins.names[number]] = whole
    return found


def test_areas_and_shares(layer, tmp_path):
    ring = box(10.25, 48, 11, 49.5)
    ring.append([[10.5, 48.5], [11, 48.5], [11, 49], [10.5, 49], [10.5, 48.5]])
    basins, told = read(
        layer([("a", "Polygon", ring), ("b", "MultiPolygon", [box(12, 48, 13, 49), box(13.5, 49, 14.5, 50)])]), tmp_path
    )
    band = EARTH_RADIUS_KM**2 * np.deg2rad(1) * np.diff(np.sin(np.deg2rad([48, 48.5, 49, 49.5, 50])))
    assert basins.basins[0].area_km2 == pytest.approx(0.75 * band[:3].sum() - 0.5 * band[1], rel=1e-12)
    assert basins.basins[1].area_km2 == pytest.approx(band.sum(), rel=1e-12)
    shares = shares_of(basins)
    assert shares["a"][1].tolist() == [0.5, 1, 0, 0, 0, 0, 0, 0]
    assert shares["a"][2].tolist() == [0.5, 0, 0, 0, 0, 0, 0, 0]
    assert shares["b"].sum() == 6  # what lies east of the raster has no cell
    assert any("1 invalid outlines were mended" in text for text in told)  # the hole lies along the border


def test_windows_hold_their_parts(layer, tmp_path):
    circle = [[12 + 1.9 * np.cos(a), 48.8 + 1.1 * np.sin(a)] for a in np.linspace(0, 2 * np.pi, 200)]
    basins, _ = read(layer([("a", "Polygon", [circle])]), tmp_path)
    whole = shares_of(basins)["a"]
    for window in (Window(0, 0, 2, 3), Window(2, 3, 4, 5), Window(5, 7, 1, 1)):
        part = shares_of(basins, window).get("a", np.zeros((window.rows, window.columns)))
        np.testing.assert_allclose(part, whole[window.slices], atol=1e-12)
    assert basins.meet(Window(0, 0, 2, 3)) and not basins.meet(Window(5, 0, 1, 8))


def test_invalid_outlines_are_mended_and_told(layer, tmp_path):
    tie = [[[10, 48], [12, 50], [12, 48], [10, 50], [10, 48]]]
    items = [("tie", "Polygon", tie), ("line", "Polygon", [[[10, 48], [12, 50], [10, 48]]]), ("none", "Polygon", None)]
    basins, told = read(layer(items), tmp_path)
    assert basins.names == ["tie"]
    assert shares_of(basins)["tie"].sum() == pytest.approx(8, abs=0.1)  # both wings, half of 4 x 4 cells
    text = " ".join(told)
    assert "invalid outlines were mended" in text and "1 features without a geometry" in text
    assert "1 features that are no polygons, or have no area" in text


def test_parts_that_overlap_count_once(layer, tmp_path):
    """They are invalid as one multipolygon; what they share must not fall out of the basin."""
    basins, _ = read(layer([("a", "MultiPolygon", [box(10, 48, 11, 49), box(10.5, 48, 11.5, 49)])]), tmp_path)
    assert shares_of(basins)["a"].sum() == pytest.approx(6)


def test_names(layer, tmp_path):
    square = box(10, 48, 11, 49)
    items = [(text, "Polygon", square) for text in ("Nile", "Nile", "Nile (2)", "Nile", None, "", "7", "7", " Po ")]
    basins, told = read(layer(items), tmp_path)
    assert basins.names[:4] == ["Nile", "Nile (3)", "Nile (2)", "Nile (4)"]
    assert basins.names[4:] == ["feature 4", "feature 5", "7", "7 (2)", "Po"]
    assert len(set(basins.names)) == 9
    assert any("2 names have several features, which are kept apart and numbered: Nile (3), 7 (2)" in t for t in told)
    assert any("2 features have no name" in t for t in told)
    numbered, _ = read(layer(items), tmp_path, field="")
    assert numbered.names[:2] == ["feature 0", "feature 1"]


def test_features_of_one_name_are_joined_once(layer, tmp_path):
    """Where they overlap they count once."""
    items = [("a", "Polygon", box(10, 48, 11, 49)), ("b", "Polygon", box(13, 48, 14, 49))]
    items += [("a", "Polygon", box(10.5, 48, 11.5, 49))]
    basins, told = read(layer(items), tmp_path, same_name="join")
    assert sorted(basins.names) == ["a", "b"]
    assert shares_of(basins)["a"].sum() == pytest.approx(6)
    assert any("joined to one basin each: a (2)" in text for text in told)
    only, _ = read(layer(items), tmp_path, same_name="join", only="a")
    assert only.names == ["a"] and shares_of(only)["a"].sum() == pytest.approx(6)


def test_one_basin_by_its_name(layer, tmp_path):
    items = [(text, "Polygon", box(10, 48, 11, 49)) for text in ("Po", "Nile")]
    assert read(layer(items), tmp_path, only="Nile")[0].names == ["Nile"]
    with pytest.raises(UnreadableInput, match=r"no basin 'nil' \(it has Po, Nile\); give FIELD and one of its values"):
        read(layer(items), tmp_path, only="nil")
    with pytest.raises(UnreadableInput, match=r"no basin 'Po' \(FIELD is empty\)"):
        read(layer(items), tmp_path, only="Po", field="")


def test_wrong_layers(layer, tmp_path):
    with pytest.raises(
        UnreadableInput, match="has no field 'label'; it has name; name the field that holds the basins'"
    ):
        read(layer([("a", "Polygon", box(10, 48, 11, 49))]), tmp_path, field="label")
    with pytest.raises(NoUsableData, match="no feature of .* is a polygon with an area"):
        read(layer([("a", "Polygon", [[[10, 48], [12, 50], [10, 48]]])]), tmp_path)
    with pytest.raises(InvalidParameter, match="SAME_NAME is 'both'"):
        read(layer([("a", "Polygon", box(10, 48, 11, 49))]), tmp_path, same_name="both")


def utm(epsg=32633):
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(epsg)
    return reference.ExportToWkt()


def test_long_edges_are_curved_in_another_crs(layer, tmp_path):
    """A box of degrees on a grid in metres: its sides are parallels, not straight lines between four corners."""
    grid = Grid(-5e5, 6e6, 1e4, 1e4, 200, 120, utm())
    basins, told = read(layer([("a", "Polygon", box(5, 46, 25, 52))]), tmp_path, grid)
    band = EARTH_RADIUS_KM**2 * np.deg2rad(20) * np.diff(np.sin(np.deg2rad([46, 52])))[0]
    # UTM stretches areas away from its meridian; straight sides would miss some 4 % in the south and add them in the north.
    geometry = ogr.CreateGeometryFromWkb(basins.outline(0))
    reference = osr.SpatialReference(utm())
    back = osr.CoordinateTransformation(reference, osr.SpatialReference(geographic_crs()))
    geometry.Transform(back)
    latitudes = [p[0] for p in geometry.GetGeometryRef(0).GetPoints()]
    assert min(latitudes) == pytest.approx(46, abs=1e-6) and len(latitudes) > 1000
    assert basins.basins[0].area_km2 == pytest.approx(band, rel=0.02)
    assert any("was reprojected to the raster's coordinate reference system" in text for text in told)


def test_a_filter_of_the_layer_is_kept(layer, tmp_path):
    """QGIS writes it into the source; without it all features would be taken."""
    source = layer([("a", "Polygon", box(10, 48, 11, 49)), ("b", "Polygon", box(11, 48, 12, 49))])
    gdal.VectorTranslate(str(tmp_path / "basins.gpkg"), str(source), format="GPKG", layerName="all")
    basins, _ = read(f"{tmp_path}/basins.gpkg|layername=all|subset=\"name\" = 'b'", tmp_path)
    assert basins.names == ["b"]
    with pytest.raises(UnreadableInput, match="no feature|has no feature"):
        read(f"{tmp_path}/basins.gpkg|layername=all|subset=\"name\" = 'c'", tmp_path)


def test_rings_of_measured_and_flat_outlines(tmp_path):
    for wkt in ("POLYGON ZM ((0 0 1 1, 2 0 1 1, 2 1 1 1, 0 0 1 1))", "POLYGON M ((0 0 1, 2 0 1, 2 1 1, 0 0 1))"):
        dataset = gdal.GetDriverByName("GPKG").Create(str(tmp_path / "m.gpkg"), 0, 0, 0, gdal.GDT_Unknown)
        out = dataset.CreateLayer("m", osr.SpatialReference(geographic_crs()), ogr.wkbUnknown)
        feature = ogr.Feature(out.GetLayerDefn())
        feature.SetGeometry(ogr.CreateGeometryFromWkt(wkt))
        out.CreateFeature(feature)
        del feature, out, dataset
        with Polygons(tmp_path / "m.gpkg", GRID) as polygons:
            (geometry,) = [geometry for _, geometry in polygons.everywhere()]
        (ring,) = rings_of(bytes(geometry.ExportToWkb(ogr.wkbNDR)))
        assert ring.tolist() == [[0, 0], [2, 0], [2, 1], [0, 0]]
        gdal.Unlink(str(tmp_path / "m.gpkg"))

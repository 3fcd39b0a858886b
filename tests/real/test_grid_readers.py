"""Grid readers on every real file of their kind; expected values are read by GDAL alone and weighted by hand."""

import numpy as np
import pytest
from osgeo import gdal, ogr

from gwsa_qgis.errors import InvalidMonths, UnreadableInput
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.raster import Raster, write_single
from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.steps.aquiferclasses import aquiferclasses
from gwsa_qgis.steps.glaciermask import glaciermask
from gwsa_qgis.steps.monthlystack import monthlystack
from gwsa_qgis.steps.preparepredictors import preparepredictors
from gwsa_qgis.steps.watermask import watermask

pytestmark = pytest.mark.real
gdal.UseExceptions()
CASES = 20


def compare(stack_path, read_directly, shape, seed=11):
    """Values of a stack at random cells and bands against those of `read_directly`(band, row, column)."""
    rng = np.random.default_rng(seed)
    finite = 0
    with MonthlyStack(stack_path) as stack:
        for _ in range(CASES):
            band, row, column = (int(rng.integers(n)) for n in (stack.bands, *shape))
            mine = stack.read(slice(row, row + 1), slice(column, column + 1), [band])[0, 0, 0]
            theirs = read_directly(band, row, column)
            assert mine == pytest.approx(theirs, rel=2e-6, abs=1e-6, nan_ok=True)
            finite += np.isfinite(mine)
    assert finite


@pytest.mark.parametrize(
    ("folder", "pattern", "scale", "product"),
    [
        ("chelsa", "CHELSA_pr_{:02d}_2010_V.2.1.tif", 0.01, "chelsa"),
        ("chirps", "chirps-v2.0.2010.{:02d}.tif", None, "generic"),
        ("worldclim_precipitation", "wc2.1_cruts4.09_2.5m_prec_2018-{:02d}.tif", None, "generic"),
        ("worldclim_max_temperature", "wc2.1_cruts4.09_2.5m_tmax_2018-{:02d}.tif", None, "generic"),
        ("worldclim_min_temperature", "wc2.1_cruts4.09_2.5m_tmin_2018-{:02d}.tif", None, "generic"),
    ],
)
def test_monthly_geotiffs(shared_data, tmp_path, folder, pattern, scale, product):
    place = shared_data / "mapme_sierra_de_neiba" / folder
    result = monthlystack(None, tmp_path / "o.tif", folder=place, scale=scale)
    assert result.product == product and not result.missing
    files = [gdal.Open(str(place / pattern.format(month))) for month in range(1, 13)]

    def directly(band, row, column):
        raw = float(files[band].ReadAsArray(column, row, 1, 1)[0, 0])
        nodata = files[band].GetRasterBand(1).GetNoDataValue()
        return np.nan if raw == nodata else raw * (scale or 1.0)

    compare(tmp_path / "o.tif", directly, (files[0].RasterYSize, files[0].RasterXSize))


def test_chelsa_edges_come_onto_the_multiples_of_a_120th(shared_data, tmp_path):
    folder = shared_data / "mapme_sierra_de_neiba/chelsa"
    messages = []
    monthlystack(None, tmp_path / "o.tif", folder=folder, progress=lambda f, m: messages.append(m))
    original = gdal.Open(str(next(folder.glob("*.tif")))).GetGeoTransform()
    with Raster(tmp_path / "o.tif") as raster:
        grid = raster.grid
    assert 0.005 < abs(grid.west - original[0]) * 120 < 0.02  # the shift, in cells
    assert grid.west * 120 == pytest.approx(round(grid.west * 120), abs=1e-9)
    assert any("are put on them" in m for m in messages)


@pytest.mark.parametrize(
    ("file", "variable", "first", "last"),
    [
        ("PR_AET_M_2002_2017_BGD_025.nc4", "pr", "2002-04", "2017-05"),
        ("PR_AET_M_2002_2017_BGD_025.nc4", "aet", "2002-04", "2017-05"),
        ("NDVI_M_2002_2017_BGD_025.nc4", "NDVI", "2002-04", "2017-05"),
        ("GLDAS_22_CLSM_GWS_M_2003_2017_BGD_025.nc4", "gwsa", "2003-02", "2017-05"),
    ],
)
def test_monthly_netcdf(shared_data, tmp_path, file, variable, first, last):
    path = shared_data / "bangladesh" / file
    # The groundwater file says no unit: as a storage it would be refused.
    product = "generic" if variable == "gwsa" else "auto"
    result = monthlystack([path], tmp_path / "o.tif", product=product, variable=variable)
    assert (result.variable, result.first, result.last, result.missing) == (variable, first, last, ())
    plain = gdal.Open(f'NETCDF:"{path}":{variable}')
    turned = plain.GetGeoTransform()[5] > 0

    def directly(band, row, column):
        line = plain.RasterYSize - 1 - row if turned else row
        value = float(plain.GetRasterBand(band + 1).ReadAsArray(column, line, 1, 1)[0, 0])
        return np.nan if value == plain.GetRasterBand(band + 1).GetNoDataValue() else value

    compare(tmp_path / "o.tif", directly, (plain.RasterYSize, plain.RasterXSize))


def test_soil_moisture_of_two_instants(shared_data, tmp_path):
    """Two three-hourly files of one day: refused as doubled, and averaged when that is chosen."""
    files = sorted((shared_data / "gldas").glob("GLDAS_NOAH025_3H*"))
    name = "SoilMoi0_10cm_inst"
    with pytest.raises(InvalidMonths, match="2016-01-01 is there twice"):
        monthlystack(files, tmp_path / "o.tif", variable=name)
    with pytest.raises((UnreadableInput, InvalidMonths)):
        monthlystack(files, tmp_path / "o.tif", variable="SoilMoi10_40cm_inst")
    plain = [gdal.Open(f'NETCDF:"{path}":{name}') for path in files if _holds(path, name)]
    monthlystack(
        [path for path in files if _holds(path, name)], tmp_path / "o.tif", variable=name, duplicates="average"
    )
    north_up = plain[0].GetGeoTransform()[5] < 0

    def directly(band, row, column):
        line = row if north_up else plain[0].RasterYSize - 1 - row
        values = [float(one.ReadAsArray(column, line, 1, 1)[0, 0]) for one in plain]
        values = [value for value in values if value > -9000]
        return np.mean(values) if values else np.nan

    compare(tmp_path / "o.tif", directly, (plain[0].RasterYSize, plain[0].RasterXSize), seed=4)


def _holds(path, variable):
    return f":{variable}" in str(gdal.Open(str(path)).GetSubDatasets() or f":{variable}")


def test_elevation_without_a_stack(shared_data, tmp_path):
    path = next((shared_data / "mapme_sierra_de_neiba/nasa_srtm").glob("*.tif"))
    plain = gdal.Open(str(path))
    with Raster(path) as raster:
        grid = raster.grid.window(10, 20, 96, 384)
    template = write_single(tmp_path / "t.tif", grid, np.ones(grid.shape, np.float32))
    result = preparepredictors({"elevation": path}, template, 8, tmp_path / "f", tmp_path / "c")
    assert result.rows[0].months == 0 and "cut out" in result.rows[0].alignment
    rng = np.random.default_rng(3)
    with Raster(tmp_path / "f" / "elevation.tif") as raster:
        data = raster.read()[0]
    for _ in range(CASES):
        row, column = int(rng.integers(96)), int(rng.integers(384))
        assert data[row, column] == plain.ReadAsArray(column + 20, row + 10, 1, 1)[0, 0]


def test_water_of_two_years_by_pixel_counts(shared_data, tmp_path):
    paths = sorted((shared_data / "mapme_sierra_de_neiba/gsw_time_series").glob("*.tif"))
    years = [gdal.Open(str(path)).ReadAsArray() for path in paths]
    with Raster(paths[0]) as raster:
        tile = raster.grid
    size = 16
    grid = Grid(
        tile.west, tile.north, tile.dx * size, tile.dy * size, tile.columns // size, tile.rows // size, tile.crs
    )
    template = write_single(tmp_path / "t.tif", grid, np.ones(grid.shape, np.float32))
    watermask(paths, template, tmp_path / "m.tif", threshold=0.3)
    with Raster(tmp_path / "m.tif") as raster:
        used = np.isfinite(raster.read()[0])
    rng = np.random.default_rng(5)
    water = np.any([classes == 3 for classes in years], axis=0)
    known = np.any([np.isin(classes, (1, 2, 3)) for classes in years], axis=0)
    assert water.any() and not known.all()
    for _ in range(CASES):
        row, column = int(rng.integers(grid.rows)), int(rng.integers(grid.columns))
        block = slice(row * size, (row + 1) * size), slice(column * size, (column + 1) * size)
        seen, wet = known[block].sum(), water[block].sum()
        assert used[row, column] == (seen >= size * size / 2 and wet < 0.3 * seen)


@pytest.mark.parametrize("name", ["occurrence", "seasonality"])
def test_other_surface_water_layers_are_refused(shared_data, tmp_path, name):
    path = next((shared_data / "mapme_sierra_de_neiba" / f"global_surface_water_{name}").glob("*.tif"))
    with Raster(path) as raster:
        grid = raster.grid
    template = write_single(tmp_path / "t.tif", grid, np.ones(grid.shape, np.float32))
    with pytest.raises(UnreadableInput, match=f"the {name} layer"):
        watermask([path], template, tmp_path / "m.tif")


@pytest.mark.parametrize(
    ("file", "grid", "inventory"),
    [
        ("rgi/rgi_oetztal.shp", Grid(10.68, 46.96, 0.005, 0.005, 70, 42, geographic_crs()), "RGI 6"),
        ("rgi/rgi7g_hef_complex.shp", Grid(10.68, 46.90, 0.005, 0.005, 40, 30, geographic_crs()), "RGI 7"),
        ("ne_50m_glaciated_areas.json", Grid(-60.0, 84.0, 0.5, 0.5, 100, 50, geographic_crs()), "Natural Earth"),
    ],
)
def test_ice_by_areas_of_intersection(shared_data, tmp_path, file, grid, inventory):
    path = shared_data / "masks" / file
    template = write_single(tmp_path / "t.tif", grid, np.ones(grid.shape, np.float32))
    messages = []
    result = glaciermask(path, template, tmp_path / "m.tif", progress=lambda f, m: messages.append(m))
    assert any(f"({inventory})" in m for m in messages) and 0.02 < result.masked_share < 0.98
    with Raster(tmp_path / "m.tif") as raster:
        ice = np.isnan(raster.read()[0])
    dataset = gdal.OpenEx(str(path), gdal.OF_VECTOR)
    outlines = ogr.Geometry(ogr.wkbMultiPolygon)
    for feature in dataset.GetLayer(0):
        shape = feature.GetGeometryRef().Clone()
        shape.FlattenTo2D()
        shape = shape if shape.IsValid() else shape.MakeValid()
        for part in [shape] if shape.GetGeometryName() == "POLYGON" else shape:
            outlines.AddGeometry(part)
    outlines = outlines.UnionCascaded()
    rng = np.random.default_rng(8)
    decided = {True: 0, False: 0}
    for _ in range(10 * CASES):
        row, column = int(rng.integers(grid.rows)), int(rng.integers(grid.columns))
        west, north = grid.west + column * grid.dx, grid.north - row * grid.dy
        corners = (
            f"{west} {north}, {west + grid.dx} {north}, {west + grid.dx} {north - grid.dy}, {west} {north - grid.dy}"
        )
        cell = ogr.CreateGeometryFromWkt(f"POLYGON (({corners}, {west} {north}))")
        share = outlines.Intersection(cell).GetArea() / cell.GetArea()
        if abs(share - 0.5) > 0.06:  # a hundred probes a cell decide no closer
            assert ice[row, column] == (share > 0.5)
            decided[bool(share > 0.5)] += 1
    assert min(decided.values()) >= CASES


def test_aquifers_by_texts_and_by_numbers(shared_data, tmp_path):
    source = shared_data / "aquifers/geoglows_aquifers.geojson"
    grid = Grid(-180.0, 90.0, 1.0, 1.0, 360, 180, geographic_crs())
    template = write_single(tmp_path / "t.tif", grid, np.ones(grid.shape, np.float32))
    by_text = aquiferclasses(source, template, 2, tmp_path / "n.tif", field="n")
    dataset = gdal.OpenEx(str(source), gdal.OF_VECTOR)
    polygons = [(f.GetField("n"), f.GetGeometryRef().Clone()) for f in dataset.GetLayer(0)]
    texts = sorted({text for text, _ in polygons if text})
    assert by_text.legend == {} or list(by_text.legend.values()) == texts
    with Raster(tmp_path / "n.tif") as raster:
        classes = np.nan_to_num(raster.read()[0]).astype(int)
    rng = np.random.default_rng(2)
    inside = np.argwhere(classes > 0)
    for row, column in inside[rng.integers(len(inside), size=CASES)]:
        point = ogr.CreateGeometryFromWkt(f"POINT ({-180 + column + 0.5} {90 - row - 0.5})")
        holders = {text for text, shape in polygons if shape.Contains(point)}
        own = by_text.legend.get(classes[row, column], str(classes[row, column]))
        assert own in {str(text) for text in holders}

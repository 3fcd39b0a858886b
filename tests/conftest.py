"""Fixtures that all tests share."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

ENDED = pytest.StashKey[int]()


def pytest_sessionfinish(session, exitstatus):
    """Remember how the tests ended."""
    session.config.stash[ENDED] = int(exitstatus)


@pytest.hookimpl(tryfirst=True)
def pytest_unconfigure(config):
    """Leave at once: when all tests are over, Qt and QGIS may crash while they take themselves down with Python."""
    if ENDED in config.stash:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash[ENDED])


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data of the field, kept outside the project; tests that need it are skipped where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real data folder {folder} is not there")
    return folder


@pytest.fixture(scope="session")
def small_inputs(tmp_path_factory) -> dict[str, str]:
    """Paths of a few small files of every kind that steps take, and of bad ones, in seconds.

    Grids are 6 x 6 coarse cells of 1 degree and fine ones of half a degree; months are 2004-01 to 2009-12.
    """
    folder = tmp_path_factory.mktemp("small")
    at = _write_good_rasters(folder)
    at |= _write_bad_rasters(folder, at["gwsa"])
    at |= _write_vectors_and_tables(folder)
    return at


def _write_good_rasters(folder: Path) -> dict[str, str]:
    from gwsa_qgis.rasters.grid import Grid, geographic_crs
    from gwsa_qgis.rasters.raster import write_single
    from gwsa_qgis.rasters.stack import write_stack

    random = np.random.default_rng(7)
    coarse = Grid(10.0, 46.0, 1.0, 1.0, 6, 6, geographic_crs())
    fine = coarse.refine(2)
    months = np.arange("2004-01", "2010-01", dtype="datetime64[M]")
    season = np.sin(2 * np.pi * np.arange(months.size) / 12)[:, None, None]

    def stack(grid: Grid, scale: float = 1.0) -> np.ndarray:
        return (scale * (season + random.normal(size=(months.size, *grid.shape)))).astype(np.float32)

    at = {}
    for name in ("twsa", "sms", "swe", "cws", "gwsa"):
        at[name] = write_stack(folder / f"{name}.tif", coarse, months, stack(coarse, 3))
    at["corrected"] = write_stack(folder / "corrected.tif", fine, months, stack(fine, 3))
    for where, grid in (("fine", fine), ("coarse", coarse)):
        at[where] = folder / where
        write_stack(at[where] / "rain.tif", grid, months, stack(grid, 10), unit="mm")
        write_single(at[where] / "slope.tif", grid, random.normal(size=grid.shape).astype(np.float32))
    classes = np.tile([13, 13, 23], (6, 2)).astype(np.uint8)
    whole = {"dtype": "uint8", "nodata": 0}
    at["classes_coarse"] = write_single(folder / "classes_coarse.tif", coarse, classes, **whole)
    at["classes"] = write_single(folder / "classes.tif", fine, classes.repeat(2, 0).repeat(2, 1), **whole)
    at["mask"] = write_single(folder / "mask.tif", fine, np.ones(fine.shape, np.uint8), **whole)
    at["template"] = at["mask"]
    at["jrc"] = write_single(folder / "classification_2010.tif", fine, np.ones(fine.shape, np.uint8), dtype="uint8")
    pairs = (np.arange(6)[:, None] // 2 * 3 + np.arange(6) // 2 + 1).astype(np.int32)
    at["mascons"] = write_single(folder / "mascons.tif", coarse, pairs, dtype="int32", nodata=0)
    rates = np.linspace(-2, 2, 144, dtype=np.float32).reshape(12, 12)
    at["rates"] = write_single(folder / "rates.tif", fine, rates, unit="cm/year")
    at["rates_p"] = write_single(folder / "rates_p.tif", fine, np.clip(0.2 - np.abs(rates) / 9, 0, 1))
    return {name: str(path) for name, path in at.items()}


def _write_bad_rasters(folder: Path, good: str) -> dict[str, str]:
    """Variants of a good monthly stack, each with one fault."""
    from gwsa_qgis.rasters.grid import Grid, geographic_crs
    from gwsa_qgis.rasters.raster import create_raster, write_single
    from gwsa_qgis.rasters.stack import MonthlyStack

    with MonthlyStack(good) as stack:
        grid, values, names = stack.grid, stack.read(), stack.descriptions()

    def write(name: str, grid: Grid, values: np.ndarray, names: list[str]) -> str:
        with create_raster(folder / f"{name}.tif", grid, len(values), descriptions=names, unit="cm") as writer:
            writer.write(values)
        return str(folder / f"{name}.tif")

    later = [f"{int(month[:4]) + 40}{month[4:]}" for month in names]
    at = {
        "undated": write("undated", grid, values, [""] * len(names)),
        "disordered": write("disordered", grid, values, [names[1], names[0], *names[2:]]),
        "doubled": write("doubled", grid, values, [names[0], *names[:-1]]),
        "jumping": write("jumping", grid, values[:2], [names[0], names[5]]),
        "later": write("later", grid, values, later),
        "empty": write("empty", grid, np.full_like(values, np.nan), names),
        "shifted": write("shifted", Grid(10.3, 46.0, 1.0, 1.0, 6, 6, geographic_crs()), values, names),
        "elsewhere": write("elsewhere", Grid(70.0, 10.0, 1.0, 1.0, 6, 6, geographic_crs()), values, names),
        "projected": write("projected", Grid(5e5, 5e6, 1e5, 1e5, 6, 6, utm()), values, names),
        "short": write("short", grid, values[:6], names[:6]),
    }
    hollow = np.full((12, 12), np.nan, np.float32)
    at["hollow"] = str(write_single(folder / "hollow.tif", grid.refine(2), hollow))  # one band, all NoData
    for name, text in {"text": "this is no raster\n", "nothing": ""}.items():
        (folder / f"{name}.tif").write_text(text)
        at[name] = str(folder / f"{name}.tif")
    (folder / "bare").mkdir()
    return at | {"bare": str(folder / "bare"), "absent": str(folder / "absent.tif")}


def utm() -> str:
    """WKT of a projected CRS, in metres."""
    from osgeo import osr

    reference = osr.SpatialReference()
    reference.ImportFromEPSG(32633)
    return reference.ExportToWkt()


def _write_vectors_and_tables(folder: Path) -> dict[str, str]:
    from osgeo import ogr

    boxes = folder / "aquifers.geojson"
    square = '{"type": "Polygon", "coordinates": [[[%s, 40], [%s, 40], [%s, 46], [%s, 46], [%s, 40]]]}'
    parts = [
        f'{{"type": "Feature", "properties": {{"HYGEO2": {number}, "NAME": "rock"}}, "geometry": {square % corners}}}'
        for number, corners in ((13, (10, 13, 13, 10, 10)), (23, (13, 16, 16, 13, 13)))
    ]
    boxes.write_text(f'{{"type": "FeatureCollection", "features": [{", ".join(parts)}]}}')
    random = np.random.default_rng(8)
    wells = {f"w{k}": (random.uniform(10.2, 15.8), random.uniform(40.2, 45.8)) for k in range(12)}
    tables = {
        "wells": [["well_id", "lon", "lat"], *[[name, x, y] for name, (x, y) in wells.items()]],
        "far_wells": [["well_id", "lon", "lat"], *[[name, x + 60, y] for name, (x, y) in wells.items()]],
        "levels": [["well_id", "date", "depth"]]
        + [
            [name, f"{year}-{month:02d}-15", round(5 + random.normal(), 3)]
            for name in wells
            for year in range(2004, 2010)
            for month in range(1, 13)
        ],
        "columnless": [["a", "b"], ["1", "2"]],
        "strangers": [["well_id", "date", "depth"], ["nobody", "2005-01-15", 3.5]],
    }
    at = {"aquifers": str(boxes)}
    for name, rows in tables.items():
        (folder / f"{name}.csv").write_text("\n".join(",".join(map(str, row)) for row in rows) + "\n")
        at[name] = str(folder / f"{name}.csv")
    for name, places in (("well_points", wells), ("far_points", {k: (x + 60, y) for k, (x, y) in wells.items()})):
        at[name] = str(folder / f"{name}.geojson")
        dataset = ogr.GetDriverByName("GeoJSON").CreateDataSource(at[name])
        layer = dataset.CreateLayer(name, geom_type=ogr.wkbPoint)
        layer.CreateField(ogr.FieldDefn("well_id", ogr.OFTString))
        for key, (x, y) in places.items():
            feature = ogr.Feature(layer.GetLayerDefn())
            feature.SetField("well_id", key)
            feature.SetGeometry(ogr.CreateGeometryFromWkt(f"POINT ({x} {y})"))
            layer.CreateFeature(feature)
        del layer, dataset
    return at

"""Maps of any size for `benchmarks.memory`, of whose pixels one in sixteen has values."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks._memory_products import make_products
from gwsa_qgis.products.vector_layer import write_features
from gwsa_qgis.rasters.gdal_setup import ogr
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.raster import create_raster, write_single
from gwsa_qgis.rasters.stack import create_stack

SMALLEST, FACTOR = 512, 8
MONTHS = np.arange("2003-01", "2007-01", dtype="datetime64[M]")
WEST, NORTH, CELL = 10.0, 60.0, 0.01
BASINS, WELLS = 4, 40
QUANTITY = "groundwater storage anomaly"


def make_inputs(folder: Path, side: int) -> None:
    """Write monthly maps of `side` x `side` pixels, single maps of twice the side, and all that belongs to them."""
    random = np.random.default_rng(5)
    fine = Grid(WEST, NORTH, CELL, CELL, side, side, geographic_crs())
    coarse = fine.coarsen(FACTOR)
    target = (0.01 * random.integers(-300, 300, (MONTHS.size, *coarse.shape)).cumsum(0)).astype(np.float32)
    _monthly_maps(folder, fine, coarse, target, random)
    _gappy_maps(folder, side // 2, target, random)
    _single_maps(folder, 2 * side, random)
    _outlines(folder, side * CELL)
    _wells(folder, side * CELL, random)
    _model(folder, coarse)
    make_products(folder, side // SMALLEST, random)


def _used(side: int, block: int = 16) -> np.ndarray:
    """One block in four along each side."""
    place = np.arange(side) // block % 4 == 0
    return place[:, None] & place


def _monthly_maps(folder: Path, fine: Grid, coarse: Grid, target: np.ndarray, random: np.random.Generator) -> None:
    used = _used(fine.rows)
    write_single(folder / "mask.tif", fine, used.astype(np.uint8), dtype="uint8", nodata=0)
    soil = random.normal(size=fine.shape).astype(np.float32)
    with create_stack(folder / "target.tif", coarse, MONTHS, quantity=QUANTITY) as writer:
        writer.write(target)
    for where, grid in (("fine", fine), ("coarse", coarse)):
        (folder / where).mkdir()
        step = fine.rows // grid.rows
        values = soil[::step, ::step] if step > 1 else np.where(used, soil, np.nan)
        write_single(folder / where / "soil.tif", grid, values)
        with create_stack(folder / where / "rain.tif", grid, MONTHS, quantity="rain", unit="mm") as writer:
            for month, layer in enumerate(target):
                rain = layer if step > 1 else np.where(used, _spread(layer, FACTOR) + soil, np.nan)
                writer.write(rain[None].astype(np.float32), 0, 0, month)
    (folder / "files").mkdir()
    with create_stack(folder / "gwsa.tif", fine, MONTHS, quantity=QUANTITY) as writer:
        for month, layer in enumerate(target):
            values = np.where(used, _spread(layer, FACTOR) + 0.1 * soil, np.nan).astype(np.float32)
            writer.write(values[None], 0, 0, month)
            if month < 12:
                write_single(folder / "files" / f"storage_{MONTHS[month]}.tif", fine, values, unit="cm")


def _gappy_maps(folder: Path, side: int, target: np.ndarray, random: np.random.Generator) -> None:
    """Stacks with gaps, and the storages that are subtracted from them."""
    grid = Grid(WEST, NORTH, 2 * CELL, 2 * CELL, side, side, geographic_crs())
    used, times = _used(side, 1), side // target.shape[1]
    names = ("gappy", "sms", "swe", "cws")
    for name in names:
        with create_stack(folder / f"{name}.tif", grid, MONTHS, quantity=name) as writer:
            for month, layer in enumerate(target):
                values = _spread(layer, times) + 0.1 * random.normal(size=grid.shape)
                missing = ~used | (name == "gappy" and month in (9, 20))
                writer.write(np.where(missing, np.nan, values)[None].astype(np.float32), 0, 0, month)


def _single_maps(folder: Path, side: int, random: np.random.Generator) -> None:
    """A trend with its p values (blobs of a few hundred cells), masks, and yearly classes of water."""
    grid = Grid(WEST, NORTH, CELL / 2, CELL / 2, side, side, geographic_crs())
    blobs = random.normal(size=(side // 16, side // 16)).astype(np.float32)
    slope = np.empty(grid.shape, np.float32)
    for row in range(0, side, 16):
        slope[row : row + 16] = blobs[row // 16].repeat(16) + 0.2 * random.normal(size=(16, side))
    write_single(folder / "slope.tif", grid, slope, unit="cm/year")
    write_single(folder / "p.tif", grid, np.exp(-np.abs(3 * slope)))
    used = _used(side)
    write_single(folder / "mask_a.tif", grid, (~used).astype(np.uint8), dtype="uint8", nodata=0)
    write_single(folder / "mask_b.tif", grid, np.roll(used, 8).astype(np.uint8), dtype="uint8", nodata=0)
    (folder / "water").mkdir()
    for year in (2003, 2004):
        path = folder / "water" / f"yearlyClassification{year}-0000000000-0000000000.tif"
        with create_raster(path, grid, dtype="uint8", nodata=0) as writer:
            writer.write(np.where(used, 3, 1).astype(np.uint8))


def _outlines(folder: Path, width: float) -> None:
    """Squares over quarters of the map: basins, aquifers and glaciers."""
    half, squares = width / 2, []
    for number in range(BASINS):
        west, north = WEST + half * (number % 2), NORTH - half * (number // 2)
        ring = ogr.Geometry(ogr.wkbLinearRing)
        for x, y in ((0, 0), (1, 0), (1, 1), (0, 1), (0, 0)):
            ring.AddPoint_2D(west + (0.03 + 0.94 * x) * half, north - (0.03 + 0.94 * y) * half)
        square = ogr.Geometry(ogr.wkbPolygon)
        square.AddGeometry(ring)
        squares.append(square)
    fields = {"name": [f"basin {number}" for number in range(BASINS)], "HYGEO2": np.array([11, 15, 22, 33])}
    write_features(folder / "outlines.gpkg", squares, ogr.wkbPolygon, geographic_crs(), fields, "outlines")


def _wells(folder: Path, width: float, random: np.random.Generator) -> None:
    """Wells in pixels that have values, with a reading each month."""
    blocks = int(width / CELL) // 64
    pixels = 64 * random.integers(0, blocks, (WELLS, 2)) + random.integers(0, 16, (WELLS, 2))
    x, y = WEST + CELL * (pixels[:, 0] + 0.5), NORTH - CELL * (pixels[:, 1] + 0.5)
    rows = [f"w{n},{x[n]:.5f},{y[n]:.5f},0.1" for n in range(WELLS)]
    (folder / "wells.csv").write_text("\n".join(["id,lon,lat,specific_yield", *rows]) + "\n")
    levels = [f"w{n},{month}-15,{10 + random.normal():.3f}" for n in range(WELLS) for month in MONTHS]
    (folder / "levels.csv").write_text("\n".join(["id,date,depth", *levels]) + "\n")


def _model(folder: Path, coarse: Grid) -> None:
    from gwsa_qgis.steps.trainmodels import trainmodels

    index = np.arange(coarse.rows) // 2
    mascons = (index[:, None] * (index[-1] + 1) + index + 1).astype(np.int32)
    write_single(folder / "mascons.tif", coarse, mascons, dtype="int32", nodata=0)
    options = {"mascons": folder / "mascons.tif", "search_iterations": 0, "threads": 1, "samples": 20_000}
    trainmodels(folder / "target.tif", folder / "coarse", folder / "model.gwsa", **options)


def _spread(layer: np.ndarray, times: int) -> np.ndarray:
    """Each cell `times` x `times` cells."""
    return layer.repeat(times, 0).repeat(times, 1)

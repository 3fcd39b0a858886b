"""Preparing predictors beside the bare GDAL reads and warps that it needs, in one run.

``python -m benchmarks predictors``, or ``python benchmarks/predictors.py [side] [months] [threads] [repeats]
[memory side] [memory months]``: a fine grid of side x side cells, 8 dynamic predictors of that many months and 9 static
ones, on disk as products come: on the template's own cells, coarser (0.05 and 0.1 deg), finer (500 m, 250 m), and in
another CRS (sinusoidal, Homolosine). The size of a country for the whole record is ``1200 225 2 1``; with ``1200 12``
behind it the peak memory is measured too, on grids of 1,200 x 1,200 and 2,400 x 2,400 cells and 12 months.

The bare work reads the same windows of the same files and warps them by ``gdal.Warp`` in memory to the template, with
the same resampling and NoData and as many threads, twelve months at once, and throws the result away. The second
yardstick also writes it, as uncompressed GeoTIFF and with the compression that the step uses.
"""

import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._neighbours import in_turns
from benchmarks._peak import in_fresh_process, memory_mb
from gwsa_qgis.months import month_range
from gwsa_qgis.rasters.gdal_setup import gdal, osr
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.raster import create_raster, quick_compression
from gwsa_qgis.rasters.stack import create_stack
from gwsa_qgis.rasters.warping import _extent_in, _source_window, plan_alignment
from gwsa_qgis.steps.preparepredictors import preparepredictors

WEST, NORTH, CELL, FACTOR = 80.0, 30.0, 1 / 120, 30
SINUSOIDAL, HOMOLOSINE = "+proj=sinu +R=6371007.181 +units=m", "+proj=igh +datum=WGS84 +units=m"
# name: CRS, cell, share of scattered holes
DYNAMIC = {
    "TAS": ("degrees", CELL, 0.0),
    "PRE": ("degrees", CELL, 0.0),
    "PRE_ACC": ("degrees", CELL, 0.0),
    "SM": ("degrees", 0.1, 0.0),
    "ET": ("degrees", 0.05, 0.0),
    "ET_ACC": ("degrees", 0.05, 0.0),
    "NDVI": ("degrees", 1 / 240, 0.001),
    "LST": (SINUSOIDAL, 926.625, 0.001),
}
SOILS = ("clay", "silt", "sand", "cfvo", "cec", "phh2o", "soc", "nitrogen")
STATIC = {"DEM": ("degrees", 1 / 480, 0.0)} | dict.fromkeys(SOILS, (HOMOLOSINE, 250.0, 0.001))
MONTHS_AT_ONCE = 12


def crs_of(name):
    """WKT of a CRS given as PROJ text."""
    if name == "degrees":
        return geographic_crs()
    reference = osr.SpatialReference()
    reference.ImportFromProj4(name)
    return reference.ExportToWkt()


def grid_round(template, crs, cell):
    """Grid in another CRS or of other cells that holds the template, a little larger."""
    if crs == "degrees" and cell == CELL:
        return Grid(
            template.west - 24 * CELL, template.north + 24 * CELL, CELL, CELL, template.columns + 48, template.rows + 48,
            crs_of(crs),
        )  # fmt: skip
    west, south, east, north = _extent_in(template, crs_of(crs))
    west, north = west - 5.3 * cell, north + 5.3 * cell
    columns, rows = int((east - west) / cell) + 6, int((north - south) / cell) + 6
    return Grid(west, north, cell, cell, columns, rows, crs_of(crs))


def field(grid, rng):
    """A smooth field with fine detail, four digits."""
    y, x = np.linspace(0, 9, grid.rows)[:, None], np.linspace(0, 9, grid.columns)
    values = 20 + 5 * np.sin(x + y) + 3 * np.cos(2 * x - y) + rng.normal(scale=0.5, size=grid.shape)
    return values.astype(np.float32)


def make_inputs(folder, side, months):
    """Template and inputs; returns their paths by name."""
    rng = np.random.default_rng(1)
    template = Grid(WEST, NORTH, CELL, CELL, side, side, geographic_crs())
    with create_raster(folder / "template.tif", template, dtype="uint8", nodata=0) as writer:
        writer.write(np.ones(template.shape, np.uint8))
    used = np.ones(template.shape, np.uint8)
    used[: side // 8, : side // 5] = 0
    with create_raster(folder / "mask.tif", template, dtype="uint8", nodata=0) as writer:
        writer.write(used)
    span = month_range("2002-04", np.datetime64("2002-04", "M") + months - 1)
    paths = {}
    for name, (crs, cell, holes) in (DYNAMIC | STATIC).items():
        grid = grid_round(template, crs, cell)
        paths[name] = folder / f"{name}.tif"
        base = field(grid, rng)
        if name in STATIC:
            layer = np.rint(base * 10)
            layer[rng.random(grid.shape) < holes] = -32768
            with create_raster(paths[name], grid, dtype="int16", nodata=-32768) as writer:
                writer.write(layer.astype(np.int16))
            continue
        with create_stack(paths[name], grid, span, unit="", quantity=name) as writer:
            for number in range(span.size):
                layer = np.round(np.roll(base, 7 * number, axis=1) + np.float32(5 * np.sin(number * np.pi / 6)), 2)
                layer[rng.random(grid.shape, dtype=np.float32) < holes] = np.nan
                writer.write(layer, first_band=number)
    return template, paths


def bare_chunk(path, template, numbers, writer=None):
    """Read the window of some bands that the template needs, and warp it to the template in memory."""
    dataset = gdal.Open(str(path))
    source = Grid.from_dataset(dataset)
    plan = plan_alignment(source, template)
    if plan.method == "cut":
        column, row = (
            round((template.west - source.west) / source.dx),
            round((source.north - template.north) / source.dy),
        )
        window = (row, column, template.rows, template.columns)
    else:
        window = _source_window(source, template)
    row, column, rows, columns = window
    bands = [int(number) + 1 for number in numbers]
    values = dataset.ReadAsArray(column, row, columns, rows, band_list=bands).reshape(len(bands), rows, columns)
    if plan.method != "cut":
        nodata = dataset.GetRasterBand(1).GetNoDataValue()
        part = source.window(*window)
        memory = gdal.GetDriverByName("MEM")
        start = memory.Create("", columns, rows, len(bands), dataset.GetRasterBand(1).DataType)
        start.SetGeoTransform(part.transform)
        start.SetProjection(part.crs)
        for number, layer in enumerate(values, start=1):
            start.GetRasterBand(number).SetNoDataValue(nodata)
            start.GetRasterBand(number).WriteArray(layer)
        out = memory.Create("", template.columns, template.rows, len(bands), gdal.GDT_Float32)
        out.SetGeoTransform(template.transform)
        out.SetProjection(template.crs)
        nodata = {"srcNodata": str(nodata), "dstNodata": "nan", "warpOptions": ["UNIFIED_SRC_NODATA=NO"]}
        gdal.Warp(out, start, resampleAlg=plan.method, errorThreshold=0, **nodata)
        if writer:
            values = out.ReadAsArray().reshape(len(bands), *template.shape)
    return values if writer else None


def bare(paths, template, months, threads, options=None, folder=None):
    """All bare work; with creation options, the results are written too."""
    with ThreadPoolExecutor(threads) as pool:
        for name, path in paths.items():
            bands = np.arange(months if name in DYNAMIC else 1)
            parts = [bands[k : k + MONTHS_AT_ONCE] for k in range(0, bands.size, MONTHS_AT_ONCE)]
            made = []
            if options is None:
                made = [pool.submit(bare_chunk, path, template, part) for part in parts]
                for one in made:
                    one.result()
                continue
            size = (template.columns, template.rows, bands.size, gdal.GDT_Float32)
            out = gdal.GetDriverByName("GTiff").Create(str(folder / f"{name}.tif"), *size, options=options)
            for first in range(0, len(parts), threads):
                some = parts[first : first + threads]
                made = [pool.submit(bare_chunk, path, template, part, True) for part in some]
                for part, one in zip(some, made, strict=True):
                    for number, layer in zip(part, one.result(), strict=True):
                        out.GetRasterBand(int(number) + 1).WriteArray(layer)
            out = None


def run_step(folder, threads, memory=512):
    """The step on the inputs in a folder."""
    paths = {name: folder / f"{name}.tif" for name in (DYNAMIC | STATIC)}
    preparepredictors(
        paths, folder / "template.tif", FACTOR, folder / "fine", folder / "coarse",
        mask=folder / "mask.tif", workers=threads, memory_mb=memory,
    )  # fmt: skip


def run_and_tell(folder, threads):
    """Run the step; MB after the imports, and at most."""
    start = memory_mb()
    run_step(folder, threads)
    return start, memory_mb()


def report_speed(side, months, threads, repeats):
    """Print rates and shares."""
    folder = Path(tempfile.mkdtemp(prefix="predictors"))
    try:
        template, paths = make_inputs(folder, side, months)
        values = side * side * (8 * months + 9)
        plain, same = ["TILED=YES", "INTERLEAVE=BAND", "BIGTIFF=IF_SAFER"], quick_compression()
        (folder / "bare").mkdir()
        work = {
            "bare reads and warps": lambda: bare(paths, template, months, threads),
            "... and plain writes": lambda: bare(paths, template, months, threads, plain, folder / "bare"),
            "... and packed writes": lambda: bare(paths, template, months, threads, plain + same, folder / "bare"),
            "the step": lambda: run_step(folder, threads),
        }
        best = {name: times.min(axis=0) for name, times in in_turns(work, repeats).items()}
        print(f"{side} x {side} cells, 8 predictors of {months} months and 9 static ones, {threads} threads")
        print(f"{'':24}{'wall s':>9}{'CPU s':>9}{'M values/s':>12}{'step, share of its speed: wall':>32}{'CPU':>7}")
        for name, (wall, cpu) in best.items():
            shares = [bare / ours for bare, ours in zip((wall, cpu), best["the step"], strict=True)]
            print(f"{name:24}{wall:9.1f}{cpu:9.1f}{values / wall / 1e6:12.1f}{shares[0]:32.0%}{shares[1]:7.0%}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def report_memory(side, months, threads):
    """Print the peak memory of one grid and of one four times as large."""
    for length in (side, 2 * side):
        folder = Path(tempfile.mkdtemp(prefix="predictors"))
        try:
            make_inputs(folder, length, months)
            start, peak = in_fresh_process(run_and_tell, folder, threads)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        print(
            f"{length} x {length} cells, {months} months: {peak:.0f} MB at most, {start:.0f} of them after the imports"
        )


def main(side=600, months=24, threads=2, repeats=2, memory_side=0, memory_months=12):
    """Print speed and, where a size is given for it, memory."""
    if side:
        report_speed(side, months, threads, repeats)
    if memory_side:
        report_memory(memory_side, memory_months, threads)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))

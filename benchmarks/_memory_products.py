"""Files as the agencies give them, of 1, 4 and 16 times the cells, for `benchmarks.memory`; the largest are of the globe."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gwsa_qgis.products.gldas import SOIL_LAYERS
from gwsa_qgis.products.sample_netcdf import _NetCDF

# A sixteenth of the globe's cells of 0.25 degrees; GLDAS has none of Antarctica.
ROWS, GLDAS_ROWS, COLUMNS, CELL = 180, 150, 360, 0.25
MASCON = 4
BLOCKS = (16, 90, 180)  # of GRACE's files, whatever their size
# so many that the smallest outputs fill the caches of GDAL and HDF5
GLDAS_MONTHS = np.arange("2004-01", "2005-09", dtype="datetime64[M]")
GRACE_MONTHS = np.arange("2004-01", "2012-01", dtype="datetime64[M]")
FILL = -9999.0


def make_products(folder: Path, times: int, random: np.random.Generator) -> None:
    """Write GLDAS files of two models and a GRACE file, `times` as wide and as high as the smallest."""
    (folder / "gldas").mkdir()
    for model, rows, columns, cell in (
        ("NOAH025", GLDAS_ROWS, COLUMNS, CELL),
        ("VIC10", GLDAS_ROWS // 4 + 1, COLUMNS // 4, 4 * CELL),
    ):
        for month in GLDAS_MONTHS:
            path = folder / "gldas" / f"GLDAS_{model}_M.A{str(month).replace('-', '')}.021.nc4"
            _gldas(path, month, (times * rows, times * columns), cell, random)
    _grace(folder, times, random)


def _axes(file: _NetCDF, shape: tuple[int, int], cell: float, south: float) -> list:
    """Latitudes, which rise as in the files, and longitudes."""
    axes = []
    for name, count, first in (("lat", shape[0], south), ("lon", shape[1], -180.0)):
        axes.append(file.dimension(name, count))
        units = {"lat": "degrees_north", "lon": "degrees_east"}[name]
        file.array(name, axes[-1:], first + cell * (np.arange(count) + 0.5), {"units": units})
    return axes


def _gldas(path: Path, month: np.datetime64, shape: tuple[int, int], cell: float, random: np.random.Generator) -> None:
    family = "noah" if "NOAH" in path.name else "vic"
    land = random.random(shape) < 0.4
    with _NetCDF(path, {"missing_value": np.float32(FILL)}) as file:
        time, axes = file.dimension("time", 1), _axes(file, shape, cell, -60.0)
        days = (month.astype("datetime64[D]") - np.datetime64("2000-01-01")).astype(float)
        file.array("time", [time], np.array([days]), {"units": " days since 2000-01-01 00:00:00"})
        for layer in (*SOIL_LAYERS[family], "SWE", "CanopInt"):
            values = np.where(land, 100 + random.integers(0, 50, shape), FILL).astype(np.float32)
            file.array(f"{layer}_inst", [time, *axes], values[None], {"units": "kg m-2"}, fill=FILL)


def _grace(folder: Path, times: int, random: np.random.Generator) -> None:
    """JPL's file with all its maps, on cells of half its own size, and one of storage alone; mascons of 4 x 4 cells."""
    rows, columns = times * ROWS // MASCON, times * COLUMNS // MASCON
    mascons = random.normal(0, 8, (GRACE_MONTHS.size, rows, columns)).astype(np.float32)
    jpl = {"title": "JPL GRACE and GRACE-FO MASCON RL06", "institution": "NASA/JPL"}
    with _NetCDF(folder / "grace.nc", jpl | {"time_mean_removed": "2004.000 to 2009.999"}) as file:
        axes = _storage(file, mascons)
        file.array("uncertainty", axes, _cells(np.abs(mascons)), {"units": "cm"}, blocks=BLOCKS)
        land = _cells(random.random((1, rows, columns)))[0] < 0.4
        file.array(
            "mascon_ID",
            axes[1:],
            _cells(np.arange(1.0, rows * columns + 1).reshape(1, rows, columns))[0],
            {},
            blocks=BLOCKS[1:],
        )
        file.array("land_mask", axes[1:], land.astype(np.float32), {}, blocks=BLOCKS[1:])
        file.array("scale_factor", axes[1:], np.where(land, 1.5, -99999.0).astype(np.float32), {}, blocks=BLOCKS[1:])
    with _NetCDF(folder / "plain.nc", {"title": "water storage"}) as file:
        _storage(file, mascons)


def _cells(mascons: np.ndarray) -> np.ndarray:
    """Values of mascons on their cells."""
    return mascons.repeat(MASCON, 1).repeat(MASCON, 2)


def _storage(file: _NetCDF, mascons: np.ndarray) -> list:
    """Write storage with its axes, which are given back: time, latitudes, longitudes."""
    days = (GRACE_MONTHS.astype("datetime64[D]") - np.datetime64("2002-01-01")).astype(float)
    time = file.dimension("time", days.size)
    units = {"units": "days since 2002-01-01T00:00:00Z", "calendar": "gregorian"}
    file.array("time", [time], days + 15, units)
    axes = [time, *_axes(file, (MASCON * mascons.shape[1], MASCON * mascons.shape[2]), CELL, -90.0)]
    file.array("lwe_thickness", axes, _cells(mascons), {"units": "cm"}, blocks=BLOCKS)
    return axes

"""Write the sample region: inputs in the products' own formats, and the truth they were made from."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidParameter, OutputNotWritable
from gwsa_qgis.months import month_range
from gwsa_qgis.products import sample_files as rasters
from gwsa_qgis.products import sample_netcdf as netcdf
from gwsa_qgis.products import sample_vectors as vectors
from gwsa_qgis.rasters.gdal_setup import gdal
from gwsa_qgis.rasters.writing import make_folder, require_space
from gwsa_qgis.science.twin import Twin, make_twin
from gwsa_qgis.science.twin_land import RegionGrid
from gwsa_qgis.science.twin_wells import make_wells

MARK = "region.json"
# Sizes of regions made: NetCDF files of each month, and what every pixel of a month adds.
BYTES_PER_MONTH, BYTES_PER_PIXEL = 100_000, 15


@dataclass(frozen=True)
class SampleRegionResult:
    """Paths of everything in the folder; lists are oldest first."""

    folder: Path
    twsa: Path
    mascon_map: Path
    land_mask: Path
    gldas: list[Path]
    surface_water: list[Path]
    glaciers: Path
    aquifers: Path
    tas: list[Path]
    pr: list[Path]
    et: list[Path]
    soil_moisture: list[Path]
    ndvi: list[Path]
    ndvi_quality: list[Path]
    lst: list[Path]
    lst_quality: list[Path]
    soilgrids: list[Path]
    elevation: Path
    wells: Path
    wells_csv: Path
    levels: Path
    basins: Path
    template_fine: Path
    template_coarse: Path
    truth: Path
    truth_zones: Path
    parameters: Path
    readme: Path


def sampleregion(
    folder: str | os.PathLike,
    seed: int = 42,
    size: float = 12.0,
    progress: Callable[[float, str], None] | None = None,
    start: str = "2002-04",
    end: str = "2020-12",
    factor: int = 5,
) -> SampleRegionResult:
    """Make a region whose fine groundwater is known, as files in the forms the agencies publish.

    Parameters
    ----------
    folder : path
        A folder that is absent, empty, or an earlier sample region (which is replaced as a whole).
    seed : int
        Same seed, same region.
    size : float
        Degrees across, 2 to 30, a multiple of 0.25.
    progress : callable, optional
        Called with a share (0 to 1) and a message; may raise to stop, and nothing is left behind.
    start, end : str
        First and last month, ``YYYY-MM``.
    factor : int
        Fine pixels along a 0.25 degree cell.

    Raises
    ------
    InvalidParameter, InvalidMonths
        If size, factor or months are out of bounds.
    OutputNotWritable
        If the folder holds other files, or cannot be written.
    """
    if seed < 0:
        raise InvalidParameter(f"SEED is {seed}", "give a whole number of at least 0")
    target = Path(folder).resolve()
    _check_target(target)
    pixels = RegionGrid(size, factor).pixels
    require_space(target, month_range(start, end).size * (BYTES_PER_MONTH + BYTES_PER_PIXEL * pixels**2))
    report = progress or (lambda _share, _message: None)
    working = target.parent / f".{target.name}.part-{os.getpid()}"
    make_folder(target.parent)
    try:
        shutil.rmtree(working, ignore_errors=True)
        working.mkdir()
        twin = make_twin(seed, size, factor, start, end, lambda share, message: report(0.4 * share, message))
        made = _write(twin, working, seed, report)
        made |= _describe(twin, working, {"seed": seed, "size": size, "factor": factor, "start": start, "end": end})
        _replace(target, working)
    except (OSError, RuntimeError) as fault:  # GDAL raises RuntimeError
        reason = " ".join(str(fault).split()).rstrip(" .")
        raise OutputNotWritable(
            f"the sample region cannot be written to {target} ({reason})", "check free space and permissions"
        ) from fault
    finally:
        shutil.rmtree(working, ignore_errors=True)
    report(1.0, f"sample region in {target}")
    return _moved(made, working, target)


def _check_target(target: Path) -> None:
    if target.exists() and not target.is_dir():
        raise OutputNotWritable(f"{target} is a file", "give a folder for the sample region")
    if target.is_dir() and any(target.iterdir()) and not (target / MARK).is_file():
        raise OutputNotWritable(
            f"the folder {target} holds files that are no sample region", "choose an empty or new folder"
        )


def _replace(target: Path, working: Path) -> None:
    """Put the whole new folder in the place of an earlier one."""
    earlier = working.with_name(working.name + "-earlier")
    if target.exists():
        target.rename(earlier)
    working.rename(target)
    shutil.rmtree(earlier, ignore_errors=True)


def _write(twin: Twin, folder: Path, seed: int, report: Callable[[float, str], None]) -> dict:
    names = ("grace", "gldas", "jrc_gsw", "rgi", "whymap", "chelsa", "pml", "sm", "mod13a1", "mod11a2", "soilgrids",
             "gmted", "wells", "basins", "templates", "truth")  # fmt: skip
    place = {name: folder / name for name in names}
    for path in place.values():
        path.mkdir()
    grid, made = twin.land.grid, {}
    earlier = gdal.GetConfigOption("OGR_CURRENT_DATE")
    gdal.SetConfigOption("OGR_CURRENT_DATE", "2021-01-01T00:00:00.000Z")  # same seed, same bytes
    try:
        report(0.40, "writing the mascon solutions and the land model")
        made |= netcdf.write_csr(twin, place["grace"])
        made["gldas"] = netcdf.write_gldas(twin, place["gldas"])
        report(0.50, "writing masks, classes, basins and wells")
        made["surface_water"] = rasters.write_surface_water(twin, place["jrc_gsw"], seed)
        made["glaciers"] = vectors.write_glaciers(twin, place["rgi"])
        made["aquifers"] = vectors.write_aquifers(twin, place["whymap"])
        made["basins"] = vectors.write_basins(grid, place["basins"])
        made |= vectors.write_wells(make_wells(twin, seed), place["wells"])
        report(0.55, "writing CHELSA, soil moisture and soils")
        made |= rasters.write_chelsa(twin, place["chelsa"])
        made["soil_moisture"] = rasters.write_soil_moisture(twin, place["sm"], seed)
        made["soilgrids"] = rasters.write_soilgrids(twin, place["soilgrids"], seed)
        made["elevation"] = rasters.write_elevation(twin, place["gmted"])
        report(0.65, "writing PML evapotranspiration")
        made["et"] = rasters.write_pml(twin, place["pml"], seed)
        report(0.75, "writing MODIS NDVI")
        made["ndvi"], made["ndvi_quality"] = rasters.write_ndvi(twin, place["mod13a1"], seed)
        report(0.82, "writing MODIS surface temperature")
        made["lst"], made["lst_quality"] = rasters.write_lst(twin, place["mod11a2"], seed)
        report(0.95, "writing the truth")
        made["template_fine"] = rasters.write_template(place["templates"] / "template_fine.tif", grid, grid.factor)
        made["template_coarse"] = rasters.write_template(place["templates"] / "template_coarse.tif", grid, 1)
        made["truth"] = rasters.write_truth(place["truth"] / "truth_gwsa.tif", twin)
        made["truth_zones"] = rasters.write_truth_zones(place["truth"] / "truth_zones.tif", twin)
    finally:
        gdal.SetConfigOption("OGR_CURRENT_DATE", earlier)
    return made


def _describe(twin: Twin, folder: Path, parameters: dict) -> dict:
    land = twin.land.land
    here = land[::5, ::5]
    described = parameters | {
        "name": "Sample basin",
        "months": len(twin.months),
        "land_mascons": int(np.unique(twin.land.mascon[twin.land.land_cell]).size),
        "truth_std_cm": round(float(twin.groundwater[:, land].std(dtype=np.float64)), 3),
        "truth_parts_std_cm": {name: round(float(part[:, here].std()), 3) for name, part in twin.parts.items()},
    }
    paths = {"parameters": folder / MARK, "readme": folder / "README.txt"}
    paths["parameters"].write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    paths["readme"].write_text(README, encoding="utf-8")
    return paths


def _moved(made: dict, working: Path, target: Path) -> SampleRegionResult:
    def place(path: Path | list[Path]) -> Path | list[Path]:
        return [place(each) for each in path] if isinstance(path, list) else target / path.relative_to(working)

    moved = {name: place(path) for name, path in made.items()}
    return SampleRegionResult(folder=target, **moved)


README = """Sample basin: a synthetic region whose fine groundwater storage is known. Nothing here was measured.

The files have the names, codes, tags and traps of the agencies' own products, cut to the region.

grace/      CSR RL06.3 mascon solutions (lwe_thickness, cm, longitudes 0-360, `Units` with a capital U, months_missing),
            the mascon map (mascon_id) and the land mask (LO_val)
gldas/      GLDAS-2.1 Noah monthly files (four soil layers, snow, canopy, rain and evaporation), -9999 = none
jrc_gsw/    yearly water classes in two tiles: 0 no data, 1 land, 2 seasonal, 3 permanent; no NoData tag
rgi/        glacier outlines as in RGI 7: 3-D polygons, one of them invalid
whymap/     aquifer polygons with HYGEO2
chelsa/     monthly temperature (tas) and precipitation (pr), MM_YYYY in the name, scale and offset in the tags
pml/        PML_V2 evapotranspiration, 8-day means in mm a day x 100, a file a year, a band a period (named by its first day)
sm/         monthly soil moisture, m3 m-3 x 1000
mod13a1/    16-day NDVI x 10000, fill -3000, and SummaryQA (0 good, 1 marginal, 2 snow, 3 cloudy, 255 fill)
mod11a2/    8-day daytime surface temperature, K x 50, 0 = none, and QC (bits 0-1: 0 good, 1 other, 2 cloud)
soilgrids/  eight soil properties at three depths in SoilGrids' mapped units
gmted/      elevation, m
wells/      250 wells (points, and a CSV) and their monthly depths to water in m, positive down; some are poor, some outside
basins/     three river basins
templates/  the fine and the coarse grid as rasters of ones
truth/      truth_gwsa.tif: the true groundwater storage anomaly (cm, to 2004-2009), a band a month, NaN in the sea;
            truth_zones.tif: the depletion zones and the pumped share
region.json parameters and figures of the region
"""

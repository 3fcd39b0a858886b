"""Set masked cells to NoData (step ``applymask``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.gdal_setup import gdal
from gwsa_qgis.rasters.masks import is_used
from gwsa_qgis.rasters.raster import Raster, create_raster
from gwsa_qgis.rasters.stack import require_values
from gwsa_qgis.rasters.windows import DEFAULT_MEMORY_MB, plan_windows, tile_taken_over

STEP = "applymask"
# Types that are kept; others become float32, which holds them.
KEPT_TYPES = {gdal.GDT_Byte: "uint8", gdal.GDT_Int16: "int16", gdal.GDT_Int32: "int32", gdal.GDT_Float64: "float64"}


@dataclass(frozen=True)
class ApplyMaskResult:
    """What is left.

    Attributes
    ----------
    output : Path
    valid_share : float
        Share of the cells that have a value in any band.
    """

    output: Path
    valid_share: float


def applymask(
    input: str | Path,
    mask: str | Path,
    output: str | Path,
    *,
    memory_mb: float = DEFAULT_MEMORY_MB,
    workers: int = 1,
    progress: ProgressFunction | None = None,
) -> ApplyMaskResult:
    """Write a raster or stack with NoData where the mask does not use a cell; months, unit and metadata stay.

    Parameters
    ----------
    input : path
        Any raster; integers stay integers, with NoData -32768 (int16), the smallest number (int32) or 0 (bytes) if
        the file names none.
    mask : path
        A value other than 0 means use; on the same grid.
    output : path
    memory_mb, workers, progress
        As in all steps.

    Raises
    ------
    GridMismatch
        If raster and mask are not on one grid.
    NoUsableData
        If nothing is left.
    """
    report = Reporter(progress)
    with Raster(input) as raster, Raster(mask) as chosen:
        raster.grid.require_match(chosen.grid, str(input), str(mask))
        dtype, nodata = _type_and_nodata(raster, report)
        per_cell = 12 * raster.bands + 8
        tile = tile_taken_over(raster.tile, raster.grid, per_cell, memory_mb)
        windows = plan_windows(raster.grid, per_cell, memory_mb=memory_mb, tile=tile)
        left = 0
        with create_raster(
            output,
            raster.grid,
            raster.bands,
            dtype=dtype,
            nodata=nodata,
            descriptions=raster.descriptions(),
            unit=raster.unit(),
            metadata={**raster.metadata(), "GWSA_STEP": STEP},
            tile=tile,
        ) as writer:
            for number in range(1, raster.bands + 1):
                tags = raster.dataset.GetRasterBand(number).GetMetadata() or {}
                tags = {key: value for key, value in tags.items() if not key.startswith("STATISTICS_")}
                writer.dataset.GetRasterBand(number).SetMetadata(tags)
            for done, window in enumerate(windows, start=1):
                used = is_used(chosen.read(*window.slices, [0])[0])
                values = raster.read(*window.slices)
                values[:, ~used] = np.nan
                left += int(np.isfinite(values).any(axis=0).sum())
                if not np.isnan(nodata):
                    values = np.where(np.isnan(values), nodata, values)
                writer.write(values.astype(dtype), window.row, window.column)
                report(done / len(windows))
            require_values(input, left, "value left under the mask")
    cells = raster.grid.rows * raster.grid.columns
    report(1.0, f"{left} of {cells} cells keep a value.")
    return ApplyMaskResult(Path(output), left / cells)


def _type_and_nodata(raster: Raster, report: Reporter) -> tuple[str, float]:
    band = raster.dataset.GetRasterBand(1)
    scaled = band.GetScale() not in (None, 1.0) or band.GetOffset() not in (None, 0.0)
    dtype = "float32" if scaled else KEPT_TYPES.get(band.DataType, "float32")
    if dtype.startswith("float"):
        return dtype, np.nan
    nodata = band.GetNoDataValue()
    if nodata is None:
        nodata = 0 if dtype == "uint8" else float(np.iinfo(dtype).min)
        report.say(f"{raster.path} names no NoData value: {nodata:g} is used.")
    return dtype, nodata

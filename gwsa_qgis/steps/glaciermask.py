"""Mask glaciers and ice sheets (step ``glaciermask``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.products.polygons import Polygons, add_geometry, burn, memory_layer
from gwsa_qgis.products.source import open_source
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.masks import MASK_OPTIONS
from gwsa_qgis.rasters.raster import create_raster
from gwsa_qgis.rasters.warping import plan_alignment, read_aligned, read_template
from gwsa_qgis.rasters.windows import DEFAULT_MEMORY_MB, plan_windows
from gwsa_qgis.science.aggregation import block_means

STEP = "glaciermask"
# Each cell is probed at this many points along a side: shares are known to about 1 / 100.
PROBES = 10


@dataclass(frozen=True)
class GlacierMaskResult:
    """What was masked.

    Attributes
    ----------
    output : Path
    masked_share : float
        Share of the template's cells.
    flattened, mended : int
        Outlines that were three-dimensional, and that were invalid.
    """

    output: Path
    masked_share: float
    flattened: int
    mended: int


def glaciermask(
    glaciers: str | Path,
    template: str | Path,
    output: str | Path,
    *,
    ice_sheet: str | Path | None = None,
    threshold: float = 0.5,
    memory_mb: float = DEFAULT_MEMORY_MB,
    workers: int = 1,
    progress: ProgressFunction | None = None,
) -> GlacierMaskResult:
    """Mask cells of which glaciers or an ice sheet cover `threshold` of the area or more.

    Parameters
    ----------
    glaciers : path
        Outlines (RGI 6 or 7); three-dimensional ones are flattened and invalid ones mended, as the log says.
    template : path
        Raster on the fine grid.
    output : path
        Mask to write: 1 = use, NoData = ice.
    ice_sheet : path, optional
        Raster in which 1 is ice (GIMP), in any CRS; a variable of a NetCDF file as ``NETCDF:"file":variable``.
    threshold : float
        Above 0 and up to 1.
    memory_mb, workers, progress
        As in all steps.

    Raises
    ------
    GwsaError
        For unreadable inputs.
    """
    report = Reporter(progress)
    if not 0 < threshold <= 1:
        raise InvalidParameter(f"THRESHOLD is {threshold:g}", "give a share above 0 and up to 1")
    grid = read_template(template)
    masked = 0
    windows = plan_windows(grid, 12 * PROBES**2, memory_mb=memory_mb)
    sheet = open_source(ice_sheet) if ice_sheet else None
    with Polygons(glaciers, grid) as polygons:
        report.say(f"{polygons.path}: {polygons.layer.GetFeatureCount()} outlines; grid {grid.describe()}.")
        if sheet is not None:
            report.say(f"{sheet.path}: {plan_alignment(sheet.grid, grid).describe()}.")
        with create_raster(output, grid, metadata={"GWSA_STEP": STEP}, **MASK_OPTIONS) as writer:
            for done, window in enumerate(windows, start=1):
                part = grid.window(window.row, window.column, window.rows, window.columns)
                share = _glacier_share(polygons, part)
                if sheet is not None:
                    share = np.maximum(share, _sheet_share(sheet, part, grid))
                ice = share >= threshold - 1e-6
                masked += int(ice.sum())
                writer.write((~ice).astype(np.uint8), window.row, window.column)
                report(done / len(windows))
        polygons.tell_repairs(report)
        flattened, mended = polygons.flattened, polygons.mended
    if sheet is not None:
        sheet.close()
    cells = grid.rows * grid.columns
    report(1.0, f"Masked {masked} of {cells} cells as ice.")
    return GlacierMaskResult(Path(output), masked / cells, flattened, mended)


def _glacier_share(polygons: Polygons, part: Grid) -> np.ndarray:
    dataset, layer = memory_layer(part)
    for _, geometry in polygons.within(part):
        add_geometry(layer, geometry)
    if not layer.GetFeatureCount():
        return np.zeros(part.shape)
    probes = burn(layer, part.refine(PROBES))
    del dataset
    return block_means(probes, PROBES, np.ones(probes.shape[0]))


def _sheet_share(sheet: object, part: Grid, grid: Grid) -> np.ndarray:
    """Share of ice by the raster; where it has no value there is no ice."""
    values = read_aligned(sheet, part, plan_alignment(sheet.grid, grid), [0])[0]
    return np.nan_to_num(values, nan=0.0)

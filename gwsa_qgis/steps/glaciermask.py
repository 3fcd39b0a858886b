"""Mask glaciers and ice sheets (step ``glaciermask``)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidParameter, UnreadableInput
from gwsa_qgis.products.cube import Cube
from gwsa_qgis.products.polygons import Polygons, add_geometry, burn, memory_layer
from gwsa_qgis.products.source import open_source
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.masks import MASK_OPTIONS
from gwsa_qgis.rasters.raster import Raster, create_raster
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
    glaciers: str | Path | Iterable[str | Path],
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
    glaciers : path or list of paths
        Outlines (RGI 6 or 7, one or several of its regions; Natural Earth where there is no better); three-dimensional
        ones are flattened and invalid ones mended, as the log says.
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
    sources = [glaciers] if isinstance(glaciers, (str, Path)) else list(glaciers)
    if not sources:
        raise InvalidParameter("no outlines were given", "give glacier outlines, for example of RGI 7")
    grid = read_template(template)
    masked = 0
    windows = plan_windows(grid, 12 * PROBES**2, memory_mb=memory_mb)
    with ExitStack() as opened:
        layers = [opened.enter_context(Polygons(source, grid)) for source in sources]
        for polygons in layers:
            count = polygons.layer.GetFeatureCount()
            report.say(f"{polygons.path}: {count} outlines{_inventory(polygons, report)}; grid {grid.describe()}.")
        sheet = opened.enter_context(open_source(ice_sheet)) if ice_sheet else None
        if sheet is not None:
            report.say(f"{sheet.path}: {plan_alignment(sheet.grid, grid).describe()}.")
        with create_raster(output, grid, metadata={"GWSA_STEP": STEP}, **MASK_OPTIONS) as writer:
            for done, window in enumerate(windows, start=1):
                part = grid.window(window.row, window.column, window.rows, window.columns)
                share = _glacier_share(layers, part)
                if sheet is not None:
                    share = np.maximum(share, _sheet_share(sheet, part, grid))
                ice = share >= threshold - 1e-6
                masked += int(ice.sum())
                writer.write((~ice).astype(np.uint8), window.row, window.column)
                report(done / len(windows))
        for polygons in layers:
            polygons.tell_repairs(report)
        flattened, mended = (sum(getattr(one, name) for one in layers) for name in ("flattened", "mended"))
    cells = grid.rows * grid.columns
    report(1.0, f"Masked {masked} of {cells} cells as ice.")
    return GlacierMaskResult(Path(output), masked / cells, flattened, mended)


def _inventory(polygons: Polygons, report: Reporter) -> str:
    """Which inventory a layer is of, by its fields."""
    fields = {field.lower() for field in polygons.fields}
    if "rgi_id" in fields:
        return " (RGI 7)"
    if "rgiid" in fields:
        return " (RGI 6)"
    if "featurecla" in fields:
        report.warn(
            f"{polygons.path} is of Natural Earth, which generalises outlines and leaves out small glaciers: use the "
            "Randolph Glacier Inventory where you can."
        )
        return " (Natural Earth)"
    return ""


def _glacier_share(layers: Sequence[Polygons], part: Grid) -> np.ndarray:
    dataset, layer = memory_layer(part)
    for polygons in layers:
        for _, geometry in polygons.within(part):
            add_geometry(layer, geometry)
    if not layer.GetFeatureCount():
        return np.zeros(part.shape)
    probes = burn(layer, part.refine(PROBES))
    del dataset
    return block_means(probes, PROBES, np.ones(probes.shape[0]))


class _Flags:
    """An ice-sheet raster, read as 1 = ice and 0 = not ice and nothing else."""

    def __init__(self, sheet: Raster | Cube) -> None:
        self._sheet = sheet
        self.path, self.grid, self.bands = sheet.path, sheet.grid, 1

    def read(self, rows: slice, columns: slice, bands: Sequence[int] | None) -> np.ndarray:
        """Read a window; raises `UnreadableInput` when it holds other classes, whose meaning is not known."""
        values = self._sheet.read(rows, columns, bands)
        strange = values[np.isfinite(values) & (values != 0) & (values != 1)]
        if strange.size:
            raise UnreadableInput(
                f"the ice-sheet mask {self.path} holds the value {strange[0]:g}",
                "give a raster in which 1 is ice and 0 or NoData is not",
            )
        return values


def _sheet_share(sheet: Raster | Cube, part: Grid, grid: Grid) -> np.ndarray:
    """Share of ice by the raster; where it has no value there is no ice."""
    values = read_aligned(_Flags(sheet), part, plan_alignment(sheet.grid, grid), [0])[0]
    return np.nan_to_num(values, nan=0.0)

"""Combine masks (step ``basemask``)."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidParameter, NoUsableData
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.masks import MASK_OPTIONS, is_used
from gwsa_qgis.rasters.raster import Raster, create_raster
from gwsa_qgis.rasters.windows import DEFAULT_MEMORY_MB, plan_windows

STEP = "basemask"


@dataclass(frozen=True)
class BaseMaskResult:
    """What is left.

    Attributes
    ----------
    output : Path
    used_share : float
        Share of cells that all masks use.
    """

    output: Path
    used_share: float


def basemask(
    inputs: Iterable[str | Path],
    output: str | Path,
    *,
    memory_mb: float = DEFAULT_MEMORY_MB,
    workers: int = 1,
    progress: ProgressFunction | None = None,
) -> BaseMaskResult:
    """Write the cells that all masks use: 1 = use, NoData = masked by any.

    Parameters
    ----------
    inputs : list of paths
        Masks on one grid; a value other than 0 means use.
    output : path
    memory_mb, workers, progress
        As in all steps.

    Raises
    ------
    GridMismatch
        If the masks are not on one grid.
    NoUsableData
        If no cell is left.
    """
    report = Reporter(progress)
    paths = [str(path) for path in inputs]
    if not paths:
        raise InvalidParameter("no mask was given", "give at least one mask")
    with ExitStack() as opened:
        masks = [opened.enter_context(Raster(path)) for path in paths]
        grid = masks[0].grid
        for mask in masks[1:]:
            grid.require_match(mask.grid, paths[0], mask.path)
        windows = plan_windows(grid, 16, memory_mb=memory_mb)
        alone = np.zeros(len(masks), np.int64)
        left = 0
        with create_raster(output, grid, metadata={"GWSA_STEP": STEP}, **MASK_OPTIONS) as writer:
            for done, window in enumerate(windows, start=1):
                used = np.ones((window.rows, window.columns), bool)
                for number, mask in enumerate(masks):
                    here = is_used(mask.read(*window.slices, [0])[0])
                    alone[number] += int(here.sum())
                    used &= here
                left += int(used.sum())
                writer.write(used.astype(np.uint8), window.row, window.column)
                report(done / len(windows))
            cells = grid.rows * grid.columns
            for path, count in zip(paths, alone, strict=True):
                report.say(f"{path} uses {count} of {cells} cells.")
            if not left:
                raise NoUsableData(
                    f"the masks {', '.join(paths)} leave no cell", "check that they show the same region"
                )
    report(1.0, f"{left} of {cells} cells are used by all masks.")
    return BaseMaskResult(Path(output), left / cells)

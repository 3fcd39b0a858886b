"""Mask permanent water (step ``watermask``)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidParameter, NoUsableData
from gwsa_qgis.products import jrc
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.masks import MASK_OPTIONS
from gwsa_qgis.rasters.raster import create_raster
from gwsa_qgis.rasters.warping import read_template
from gwsa_qgis.rasters.windows import DEFAULT_MEMORY_MB, Window, map_windows, plan_windows

STEP = "watermask"
# A cell of which less than this share was ever classified is unknown.
SMALLEST_KNOWN = 0.5


@dataclass(frozen=True)
class WaterMaskResult:
    """What was masked.

    Attributes
    ----------
    output : Path
    years : tuple of int
        Years found in the names.
    water_share, unknown_share : float
        Shares of the template's cells that are masked as water, and as unknown.
    hole_share : float
        Share of the template's cells that lie between the tiles, in none of them; a part of the unknown.
    """

    output: Path
    years: tuple[int, ...]
    water_share: float
    unknown_share: float
    hole_share: float


def watermask(
    inputs: Iterable[str | Path],
    template: str | Path,
    output: str | Path,
    *,
    threshold: float = 0.5,
    start_year: int | None = None,
    end_year: int | None = None,
    memory_mb: float = DEFAULT_MEMORY_MB,
    workers: int = 1,
    progress: ProgressFunction | None = None,
) -> WaterMaskResult:
    """Mask cells that permanent water (class 3 in any year) covers by `threshold` of their known area or more.

    Parameters
    ----------
    inputs : list of paths
        JRC yearly classes, any tiles and years.
    template : path
        Raster on the fine grid.
    output : path
        Mask to write: 1 = use, NoData = water or unknown.
    threshold : float
        Share of a cell's known area from which it is masked, above 0 and up to 1.
    start_year, end_year : int, optional
        Years to take, by the files' names.
    memory_mb, workers, progress
        As in all steps.

    Notes
    -----
    Cells outside all tiles, and those of which less than half was ever classified (class 0 all years), are unknown,
    not land: they are masked and counted.

    Raises
    ------
    GwsaError
        For unreadable tiles, another CRS, and tiles that do not meet the template.
    """
    report = Reporter(progress)
    if not 0 < threshold <= 1:
        raise InvalidParameter(f"THRESHOLD is {threshold:g}", "give a share above 0 and up to 1")
    paths = _choose_years([str(path) for path in inputs], start_year, end_year)
    grid = read_template(template)
    lattices = jrc.open_tiles(paths, grid, report)
    years = sorted({year for year in map(jrc.year_of, paths) if year is not None})
    span = f"{years[0]} to {years[-1]}" if years else "years not in the names"
    places = len({tile.grid.extent for lattice in lattices for tile in lattice.tiles})
    report.say(f"{len(paths)} tiles at {places} places, {span}; grid {grid.describe()}.")
    jrc.tell_years(lattices, report)

    def compute(window: Window) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return _window_shares(lattices, grid.window(window.row, window.column, window.rows, window.columns))

    finest = min(lattice.grid.dx * lattice.grid.dy for lattice in lattices)
    pixels = max(grid.dx * grid.dy / finest, 1)
    windows = plan_windows(grid, 14 * pixels + 32, memory_mb=memory_mb)
    water_cells = unknown_cells = hole_cells = 0
    with create_raster(output, grid, metadata={"GWSA_STEP": STEP}, **MASK_OPTIONS) as writer:
        for window, (water, known, hole) in map_windows(compute, windows, workers=workers, progress=report):
            unknown = known < SMALLEST_KNOWN
            # rounding of the overlaps must not decide a cell that is covered by exactly the threshold
            covered = ~unknown & (water >= (threshold - 1e-5) * known)
            water_cells, unknown_cells = water_cells + int(covered.sum()), unknown_cells + int(unknown.sum())
            hole_cells += int((hole & unknown).sum())
            writer.write((~unknown & ~covered).astype(np.uint8), window.row, window.column)
        cells = grid.rows * grid.columns
        if unknown_cells == cells:
            raise NoUsableData(
                f"no tile classifies any cell of the template {template} ({grid.describe()})",
                "give tiles of the same region",
            )
    if unknown_cells:
        share = unknown_cells / cells
        report.warn(f"{unknown_cells} cells ({share:.1%}) lie outside the tiles or were never classified: masked.")
    if hole_cells:
        report.warn(
            f"{hole_cells} of these cells lie between the tiles, in none of them: give the tiles that are missing there."
        )
    report(1.0, f"Masked {water_cells} of {cells} cells as permanent water.")
    return WaterMaskResult(Path(output), tuple(years), water_cells / cells, unknown_cells / cells, hole_cells / cells)


def _choose_years(paths: list[str], start: int | None, end: int | None) -> list[str]:
    if not paths:
        raise InvalidParameter("no tile was given", "give JRC yearly classification tiles")
    if start is None and end is None:
        return paths
    chosen = []
    for path in paths:
        year = jrc.year_of(path)
        if year is None:
            raise InvalidParameter(f"{path} has no year in its name", "keep the names as downloaded")
        if (start is None or year >= start) and (end is None or year <= end):
            chosen.append(path)
    if not chosen:
        raise InvalidParameter(f"no tile is of the years {start} to {end}", "give tiles of these years, or other years")
    return chosen


def _window_shares(lattices: list[jrc.Lattice], target: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shares of water and of what is known, and the cells that lie between the tiles."""
    water = np.zeros(target.shape, np.float32)
    known = np.zeros(target.shape, np.float32)
    for lattice in lattices:
        here = lattice.grid
        if here.east <= target.west or here.west >= target.east or here.north <= target.south:
            continue
        if here.south >= target.north:
            continue
        part_water, part_known = jrc.water_and_known(lattice, target)
        water += part_water
        known += part_known
    covered, within = jrc.cells_in_tiles(lattices, target)
    return water, known, within & ~covered

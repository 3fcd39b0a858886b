"""The map of one basin: its trend and hot spots, from a stack that is cut to it or from maps that are there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidMonths, NoUsableData
from gwsa_qgis.products.basins import Basins
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.raster import Raster, create_raster
from gwsa_qgis.rasters.windows import Window, plan_windows
from gwsa_qgis.steps.hotspot_regions import FoundRegions, Rules, find_regions, number_regions
from gwsa_qgis.steps.slope_inputs import SlopeInputs, open_slopes
from gwsa_qgis.steps.trend import trend

# Cells of which the basin covers at least this share are on its map.
LEAST_COVER = 0.5
MAPS = ("slope", "p_value", "lower", "upper")
RULES = Rules(p=0.05, least_slope=0.0, kinds=(-1, 1), connectivity=8, minimum_area=0.0)


@dataclass(frozen=True)
class MapSources:
    """Where maps come from: a stack, or maps of its trend (slope and p value, perhaps with limits) on the same grid."""

    stack: Path
    to_cm: float
    maps: dict[str, Path]
    level: float
    memory_mb: float
    workers: int


@dataclass(frozen=True)
class BasinMap:
    """Trend and hot spots of the cells of a basin."""

    found: FoundRegions
    inputs: SlopeInputs


def map_basin(basins: Basins, number: int, sources: MapSources, folder: Path, say: Reporter) -> BasinMap | str:
    """Map a basin.

    Parameters
    ----------
    folder : path
        Holds what is cut, which the next basin overwrites.

    Returns
    -------
    BasinMap or str
        Why there is no map.
    """
    basin = basins.basins[number]
    if not basin.is_on_grid:
        return "the basin lies outside the raster"
    alone = Basins(basins.grid, [basin], basins.outlines)
    rows, columns = basin.rows, basin.columns
    box = Window(rows.start, columns.start, rows.stop - rows.start, columns.stop - columns.start)
    quiet = Reporter(lambda fraction, _: say(fraction))
    at = {name: folder / f"{name}.tif" for name in MAPS}
    try:
        if sources.maps:
            at = {name: at[name] for name in sources.maps}
            for name, path in sources.maps.items():
                cut(path, alone, box, at[name], sources.memory_mb)
        else:
            stack = folder / "stack.tif"
            cut(sources.stack, alone, box, stack, sources.memory_mb, sources.to_cm)
            options = {"confidence": sources.level, "memory_mb": sources.memory_mb, "workers": sources.workers}
            trend(stack, **at, unit="year", **options, progress=quiet.part(0.0, 0.8))
        inputs = open_slopes(at["slope"], at["p_value"], at.get("lower"), at.get("upper"), sources.memory_mb)
        with create_raster(folder / "labels.tif", inputs.grid, dtype="int32", nodata=0, quick=True) as writer:
            found = find_regions(inputs, RULES, writer, quiet.part(0.8, 0.95))
            number_regions(inputs, found, writer, quiet.part(0.95, 1.0))
    except (NoUsableData, InvalidMonths):
        return "no cell of which the basin covers at least half has a trend"
    return BasinMap(found, inputs)


def cut(source: Path, alone: Basins, box: Window, target: Path, memory_mb: float, to_cm: float | None = None) -> None:
    """Write the cells of a raster that one basin covers by at least half, within its bounds; others are NoData.

    Parameters
    ----------
    to_cm : float, optional
        Factor on the values, whose unit is cm then.
    """
    with Raster(source) as raster:
        grid = alone.grid.window(box.row, box.column, box.rows, box.columns)
        about = {
            "descriptions": raster.descriptions(),
            "unit": "cm" if to_cm else raster.unit(),
            "metadata": raster.metadata(),
        }
        with create_raster(target, grid, raster.bands, quick=True, **about) as writer:
            for part in plan_windows(grid, 12 * raster.bands + 16, memory_mb=memory_mb):
                place = Window(box.row + part.row, box.column + part.column, part.rows, part.columns)
                used = np.zeros((part.rows, part.columns), bool)
                for _, met, shares in alone.within(place):
                    row, column = met.row - place.row, met.column - place.column
                    used[row : row + met.rows, column : column + met.columns] = shares >= LEAST_COVER
                values = (raster.read(*place.slices) * np.float32(to_cm or 1)).astype(np.float32, copy=False)
                values[:, ~used] = np.nan
                writer.write(values, part.row, part.column)

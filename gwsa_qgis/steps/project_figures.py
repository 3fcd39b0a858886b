"""What a project report tells: gathered from the files that the steps wrote, fit for JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import NoUsableData, UnreadableInput
from gwsa_qgis.products.tables import read_table
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.raster import Raster
from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.rasters.windows import map_windows, plan_windows
from gwsa_qgis.report.maps import MOST_PIXELS
from gwsa_qgis.steps.likeness import put_thinned
from gwsa_qgis.steps.model_file import ModelFile, read_model
from gwsa_qgis.steps.storage_units import to_centimetres

# Bytes of a value of the stack: as read, its flags, and a weighted copy.
BYTES_PER_VALUE = 16
# What a manifest says that belongs in a report.
MANIFEST_KEYS = (
    *("preset", "predictors", "classes", "pooled_weight", "baseline", "months", "months_used", "filled_months_used"),
    *("support", "metrics", "seed", "samples", "search_iterations", "versions", "slope", "shares"),
)
TABLES = {
    "closure": ("correctresiduals", ("by", "name", "n", "rmse_before_cm", "rmse_after_cm", "max_after_cm")),
    "consistency": ("consistency", ("support", "class", "period", "n", "r2", "cc", "rmse_cm", "bias_cm")),
    "wells": (
        "validatewells",
        ("what", "support", "map", "n", "r2", "r", "spearman", "slope", "bias", "rmse", "sign_agreement"),
    ),
}


@dataclass(frozen=True)
class StackSummary:
    """A monthly stack in short.

    Attributes
    ----------
    grid : Grid
        Of the stack; maps are thinned to every `thin`-th pixel.
    thin : int
    months : (n_months,) datetime64[M]
    filled : (n_months,) bool
    mean : (n_months,) float64
        Area-weighted mean of the valid pixels, cm, NaN in months without any.
    valid_share : (n_months,) float64
        Share of the area that ever has a value which has one in this month.
    mean_map : (rows, columns) float32
        Mean over months of the thinned pixels.
    """

    grid: Grid
    thin: int
    months: np.ndarray
    filled: np.ndarray
    mean: np.ndarray
    valid_share: np.ndarray
    mean_map: np.ndarray

    @property
    def map_grid(self) -> Grid:
        """Grid of the thinned maps."""
        return thinned(self.grid, self.thin)


@dataclass(frozen=True)
class ProjectMaps:
    """Maps of the report, thinned; None where a raster was not given."""

    summary: StackSummary
    trend: tuple[Grid, np.ndarray, str] | None
    p_value: tuple[Grid, np.ndarray, str] | None
    uncertainty: StackSummary | None


def thinned(grid: Grid, thin: int) -> Grid:
    """Grid of every `thin`-th pixel, each as large as those it stands for."""
    rows, columns = -(-grid.rows // thin), -(-grid.columns // thin)
    return Grid(grid.west, grid.north, grid.dx * thin, grid.dy * thin, columns, rows, grid.crs)


def summarise(path: str | Path, memory_mb: float, report: Reporter) -> tuple[StackSummary, dict[str, str]]:
    """Read a stack of storages once, window by window; gives its summary in cm, and its metadata.

    Raises
    ------
    NoUsableData
        If it has no value.
    """
    with MonthlyStack(path) as stack:
        factor = to_centimetres(stack, report)
        grid, months = stack.grid, stack.months
        sums, areas = np.zeros(months.size), np.zeros(months.size)
        thin = max(1, -(-max(grid.shape) // MOST_PIXELS))
        maps = np.full((1, *thinned(grid, thin).shape), np.nan, np.float32)
        weights, ever = grid.row_weights(), 0.0
        windows = plan_windows(grid, BYTES_PER_VALUE * months.size, memory_mb=memory_mb, tile=stack.tile)

        def read(window):
            return stack.read(*window.slices)

        for window, values in map_windows(read, windows, progress=report, message="Reading the map"):
            valid = np.isfinite(values)
            weight = weights[window.row_slice, None]
            known = np.where(valid, values, np.float32(0))
            sums += (known.sum(axis=2, dtype=np.float64) * weight[:, 0]).sum(axis=1)
            areas += (valid.sum(axis=2) * weight[:, 0]).sum(axis=1)
            count = valid.sum(axis=0)
            ever += float(((count > 0).sum(axis=1) * weight[:, 0]).sum())
            total = known.sum(axis=0, dtype=np.float64)
            mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
            put_thinned(maps, mean[None].astype(np.float32), window, thin)
        if not ever:
            raise NoUsableData(f"{path} has no valid value", "give a stack with values")
        mean = factor * np.divide(sums, areas, out=np.full(sums.shape, np.nan), where=areas > 0)
        mean_map = np.float32(factor) * maps[0]
        return StackSummary(grid, thin, months, stack.filled.copy(), mean, areas / ever, mean_map), stack.metadata()


def stack_input(what: str, path: str | Path, summary: StackSummary) -> dict[str, object]:
    """What a report says of a stack that it was made from."""
    months = summary.months
    calendar = np.arange(months[0], months[-1] + 1)
    return {
        "what": what,
        "file": Path(path).name,
        "first_month": str(months[0]),
        "last_month": str(months[-1]),
        "months": months.size,
        "months_not_in_it": [str(month) for month in np.setdiff1d(calendar, months)],
    }


def read_thinned(path: str | Path, memory_mb: float) -> tuple[Grid, np.ndarray, str]:
    """Every so many pixels of a raster's first band for a map, its grid, and its unit."""
    with Raster(path) as raster:
        thin = max(1, -(-max(raster.grid.shape) // MOST_PIXELS))
        maps = np.full((1, *thinned(raster.grid, thin).shape), np.nan, np.float32)
        for window in plan_windows(raster.grid, BYTES_PER_VALUE, memory_mb=memory_mb):
            put_thinned(maps, raster.read(*window.slices, [0]), window, thin)
        return thinned(raster.grid, thin), maps[0], raster.unit()


def read_figures(kind: str, path: str | Path) -> list[dict[str, str | float | None]]:
    """Rows of a table of figures that a step wrote, numbers as numbers, None where a figure is not known.

    Raises
    ------
    UnreadableInput
        If it is not that step's table.
    """
    step, columns = TABLES[kind]
    header, rows = read_table(path)
    if tuple(header) != columns:
        raise UnreadableInput(f"{path} is not the table that gwsa:{step} writes", f"give the table of gwsa:{step}")
    texts = {"by", "name", "support", "class", "period", "what", "map"}
    return [
        {name: text if name in texts else _number(text) for name, text in zip(header, row, strict=True)} for row in rows
    ]


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def model_facts(path: str | Path) -> dict[str, object]:
    """What a model file says of itself.

    Raises
    ------
    InvalidModelFile
        If it is none.
    """
    contents: ModelFile = read_model(path)
    return {key: contents.manifest[key] for key in MANIFEST_KEYS if key in contents.manifest}


def clean(value: object) -> object:
    """The same with numbers that JSON knows: NaN and infinity become None, numpy's numbers Python's."""
    if isinstance(value, dict):
        return {str(key): clean(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(one) for one in value]
    if isinstance(value, np.ndarray):
        return clean(value.tolist())
    if isinstance(value, np.generic):
        return clean(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value

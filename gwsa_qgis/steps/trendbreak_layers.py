"""The layers of the step `trendbreak`: computed and written window by window, with their areas."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.long_run import LongRun
from gwsa_qgis.rasters.pixel_stream import PixelStream
from gwsa_qgis.rasters.raster import RasterWriter, create_raster
from gwsa_qgis.rasters.windows import put_thinned
from gwsa_qgis.science.ar1_tests import slope_tests
from gwsa_qgis.science.trend import FieldSignificance
from gwsa_qgis.science.trend_break import CHANGE_NAMES, change_classes, trend_break
from gwsa_qgis.steps.trend_grading import PREVIEW_PIXELS, ClassAreas, FieldTests, SlopeSums
from gwsa_qgis.steps.trend_inputs import (
    MONTHS_IN,
    ROBUST_SERIES_AT_ONCE,
    SERIES_AT_ONCE,
    TrendInput,
    fewest_months,
    read_aquifers,
)

LAYERS = ("slope_before", "slope_after", "change", "p_before", "p_after", "p_value")
COMPUTED = 0.98


@dataclass(frozen=True)
class BreakJob:
    """What is done to which stack.

    Attributes
    ----------
    data : TrendInput
    position : int
        Months before the break.
    unit : str
        Time unit of the slopes.
    significance : float
    without_season, robust : bool
    minimum_share : float
    aquifers : path or None
    """

    data: TrendInput
    position: int
    unit: str
    significance: float
    without_season: bool
    robust: bool
    minimum_share: float
    aquifers: str | Path | None

    @property
    def slope_unit(self) -> str:
        """Unit of the slopes."""
        return f"{self.data.unit}/{self.unit}"

    @property
    def break_month(self) -> np.datetime64:
        """First month of the later part."""
        return self.data.months[self.position]


@dataclass(frozen=True)
class Changes:
    """What was found while the layers were written.

    Attributes
    ----------
    areas : ClassAreas
    before, after : SlopeSums
    field : FieldSignificance
        Of the changes.
    thinned : (2, rows, columns) float32
        Change and classes, thinned for the report.
    """

    areas: ClassAreas
    before: SlopeSums
    after: SlopeSums
    field: FieldSignificance
    thinned: np.ndarray


def create_layers(
    outputs: ExitStack, paths: dict[str, str | Path | None], classes: str | Path | None, job: BreakJob, memory_mb: float
) -> dict[str, RasterWriter | None]:
    """Writers of the layers and of the classes, None for those that are not wanted."""
    data, month = job.data, job.break_month
    kinds = {
        "slope_before": (f"slope before {month} ({job.slope_unit})", job.slope_unit),
        "slope_after": (f"slope from {month} ({job.slope_unit})", job.slope_unit),
        "change": (f"slope from {month} less that before ({job.slope_unit})", job.slope_unit),
        "p_before": ("p value of the slope before", ""),
        "p_after": ("p value of the slope after", ""),
        "p_value": ("p value of the change", ""),
    }
    tags = {"GWSA_STEP": "trendbreak", "GWSA_QUANTITY": data.quantity, "GWSA_BREAK": str(month)}
    tags["GWSA_PERIOD"] = f"{data.months[0]} to {data.months[-1]}"
    writers, tile = {}, data.tile_written(memory_mb)
    for name, (description, unit) in kinds.items():
        options = {"descriptions": [description], "unit": unit, "metadata": tags, "tile": tile}
        writers[name] = outputs.enter_context(create_raster(paths[name], data.grid, **options)) if paths[name] else None
    writers["classes"] = None
    if classes:
        legend = {f"GWSA_CLASS_{number}": name for number, name in CHANGE_NAMES.items()}
        options = {"dtype": "uint8", "nodata": 0, "descriptions": ["change of trend"]}
        options |= {"metadata": tags | legend, "tile": tile}
        writers["classes"] = outputs.enter_context(create_raster(classes, data.grid, **options))
    return writers


def compute_layers(
    job: BreakJob, run: LongRun, writers: dict[str, RasterWriter | None], memory_mb: float, workers: int, say: Reporter
) -> Changes:
    """Compute and write all layers, window by window."""
    grid, windows = job.data.grid, job.data.windows(memory_mb)
    areas, tests = ClassAreas(grid, len(CHANGE_NAMES), 1), FieldTests()
    before, after = SlopeSums(grid), SlopeSums(grid)
    thin = max(1, -(-max(grid.shape) // PREVIEW_PIXELS))
    thinned = np.full((2, *(-(-length // thin) for length in grid.shape)), np.nan, np.float32)
    compute = partial(_stream(job).run, workers=workers, message="Trends before and after the break")
    layers = run.results("trends", windows, compute, say.part(0.0, COMPUTED))
    with closing(layers):
        for window, values in layers:
            first, second, change, p_first, p_second, p_change = values
            graded = change_classes(first, second, p_first, p_second, p_change, job.significance)
            for name, layer in zip((*LAYERS, "classes"), (*values, graded), strict=True):
                if writers[name] is not None:
                    writers[name].write_tiles(layer, window.row, window.column)
            areas.add(0, window, graded, read_aquifers(job.aquifers, window))
            tests.add(p_change)
            before.add(window, first)
            after.add(window, second)
            put_thinned(thinned, np.stack([change, graded]), window, thin)
    p_values = writers["p_value"]

    def again():
        return (p_values.read(window.row, window.column, window.rows, window.columns) for window in windows)

    field = tests.at([job.significance], again)[job.significance]
    for window, p_change in zip(windows, again(), strict=True):
        after.add_significant(window, field.mask(p_change))
    say(1.0)
    return Changes(areas, before, after, field, thinned)


def _stream(job: BreakJob) -> PixelStream:
    """Slopes of both parts, their difference, and the p values of the three; slopes per `unit`."""
    data, present = job.data, job.data.present()
    slope_tests(
        present, (job.position, present.size - job.position), job.without_season
    )  # made once, before threads ask
    per = MONTHS_IN[job.unit]
    per_unit = np.array([per, per, per, 1, 1, 1])[:, None]

    def compute(series: np.ndarray) -> np.ndarray:
        found = trend_break(
            series,
            job.position,
            without_season=job.without_season,
            robust=job.robust,
            minimum_share=job.minimum_share,
            present=present,
        )
        slopes, p_values = (found.before, found.after, found.change), (found.p_before, found.p_after, found.p_change)
        return np.stack([*slopes, *p_values]) * per_unit

    at_once = ROBUST_SERIES_AT_ONCE if job.robust and job.without_season else SERIES_AT_ONCE
    return PixelStream(
        data.read, compute, len(LAYERS), fewest_months(data, job.minimum_share, job.without_season), at_once
    )

"""The two passes of the trend: computing the layers, and grading what was written."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.long_run import LongRun
from gwsa_qgis.rasters.pixel_stream import PixelStream
from gwsa_qgis.rasters.raster import RasterWriter, create_raster
from gwsa_qgis.rasters.windows import Window
from gwsa_qgis.science.ar1_tests import slope_tests
from gwsa_qgis.science.pixel_trend import LAYERS, LIMITS_OF_INDEPENDENT_MONTHS, TrendSettings, pixel_trends
from gwsa_qgis.science.trend import CLASS_NAMES, NODATA_CLASS, FieldSignificance
from gwsa_qgis.steps.stipples import Stipples
from gwsa_qgis.steps.trend_grading import (
    CORRECTED,
    HIGHLY_SIGNIFICANT,
    PLAIN,
    SIGNIFICANT,
    ClassAreas,
    FieldTests,
    SlopeSums,
    classes_by,
)
from gwsa_qgis.steps.trend_inputs import (
    MONTHS_IN,
    ROBUST_SERIES_AT_ONCE,
    SERIES_AT_ONCE,
    TrendInput,
    fewest_months,
    read_aquifers,
)

# Said of limits that no correction widens.
IGNORES = "serial correlation ignored: too narrow"


@dataclass(frozen=True)
class TrendJob:
    """What is done to which stack.

    Attributes
    ----------
    data : TrendInput
    settings : TrendSettings
    unit : str
        Time unit of the slopes.
    minimum_share : float
        Of the months used.
    aquifers : path or None
        Class raster on the same grid.
    by_field : bool
        Whether the classes go by field significance.
    stipple_p, stipple_field : float, bool
        Bound of the dots: a p value, or a false discovery rate.
    memory_mb, workers : float, int
    """

    data: TrendInput
    settings: TrendSettings
    unit: str
    minimum_share: float
    aquifers: str | Path | None
    by_field: bool
    stipple_p: float
    stipple_field: bool
    memory_mb: float
    workers: int

    @property
    def slope_unit(self) -> str:
        """Unit of the slopes."""
        return f"{self.data.unit}/{self.unit}"


@dataclass(frozen=True)
class Computed:
    """What the first pass found.

    Attributes
    ----------
    windows : list of Window
    areas : ClassAreas
        By the plain p value.
    field : dict of float to FieldSignificance
        By false discovery rate.
    """

    windows: list[Window]
    areas: ClassAreas
    field: dict[float, FieldSignificance]


def compute_layers(
    job: TrendJob, run: LongRun, writers: dict[str, RasterWriter | None], progress: Reporter
) -> Computed:
    """Compute and write the layers, window by window."""
    windows, areas, tests = job.data.windows(job.memory_mb), ClassAreas(job.data.grid), FieldTests()
    compute = partial(_stream(job).run, workers=job.workers, message="Trend")
    layers = run.results("trend", windows, compute, progress)
    with closing(layers):
        for window, found in layers:
            for writer, layer in zip(writers.values(), found, strict=False):
                if writer is not None:
                    writer.write_tiles(layer, window.row, window.column)
            tests.add(found[1])
            areas.add(PLAIN, window, classes_by(found[0], found[2]), read_aquifers(job.aquifers, window))
    rates = (SIGNIFICANT, HIGHLY_SIGNIFICANT, job.stipple_p)
    field = tests.at(rates, lambda: (_written(writers["p_value"], window) for window in windows))
    return Computed(windows, areas, field)


def grade(
    outputs: ExitStack,
    job: TrendJob,
    writers: dict[str, RasterWriter | None],
    computed: Computed,
    classes: str | Path | None,
    places: Stipples | None,
    progress: Reporter,
) -> SlopeSums:
    """Class what the first pass wrote, now that the field's thresholds are known; gather areas and dots."""
    class_writer = _create_classes(outputs, classes, job) if classes else None
    field, sums = computed.field, SlopeSums(job.data.grid)
    for done, window in enumerate(computed.windows, start=1):
        slope, p_value = (_written(writers[name], window) for name in ("slope", "p_value"))
        graded = classes_by(slope, p_value, field if job.by_field else None)
        computed.areas.add(CORRECTED, window, graded, read_aquifers(job.aquifers, window))
        sums.add(window, slope)
        sums.add_significant(window, field[SIGNIFICANT].mask(p_value))
        if places is not None:
            by_field = field[job.stipple_p].mask(p_value)
            with np.errstate(invalid="ignore"):
                places.add(window, slope, by_field if job.stipple_field else p_value < job.stipple_p)
        if class_writer is not None:
            class_writer.write_tiles(graded, window.row, window.column)
        progress(done / len(computed.windows))
    return sums


def _stream(job: TrendJob) -> PixelStream:
    """Slope, p values and, where asked for, limits of the stack's series, slopes per `unit`."""
    data, settings, present = job.data, job.settings, None
    if settings.allows_for_season:
        present = data.present()
        slope_tests(present, (present.size,), True)  # made once, before threads ask for it
    layers = 3 if settings.confidence is None else len(LAYERS)
    per = MONTHS_IN[job.unit]
    per_unit = np.array([per, 1, 1, per, per])[:layers, None]

    def compute(series: np.ndarray) -> np.ndarray:
        return pixel_trends(series, settings, present)[:layers] * per_unit

    at_once = ROBUST_SERIES_AT_ONCE if settings.robust and settings.without_season else SERIES_AT_ONCE
    fewest = fewest_months(data, job.minimum_share, settings.without_season)
    return PixelStream(data.read, compute, layers, fewest, at_once)


def create_layers(
    outputs: ExitStack, paths: Mapping[str, str | Path | None], job: TrendJob
) -> dict[str, RasterWriter | None]:
    """Writers of the layers, None for those that are not wanted."""
    data, settings, slope_unit = job.data, job.settings, job.slope_unit
    share = f"{100 * (settings.confidence or 0):g} %"
    bare = f", {IGNORES}" if settings.correction in LIMITS_OF_INDEPENDENT_MONTHS else ""
    kinds = {
        "slope": (f"slope ({slope_unit})", slope_unit),
        "p_value": (f"p value ({settings.correction})", ""),
        "p_plain": ("p value (none)", ""),
        "lower": (f"lower {share} limit of the slope ({slope_unit}){bare}", slope_unit),
        "upper": (f"upper {share} limit of the slope ({slope_unit}){bare}", slope_unit),
    }
    tags = _tags(data) | {"GWSA_CORRECTION": settings.correction}
    if settings.allows_for_season:
        tags["GWSA_SEASON_ALLOWANCE"] = "yes"
    writers, tile = {}, data.tile_written(job.memory_mb)
    for name, (description, value_unit) in kinds.items():
        options = {"descriptions": [description], "unit": value_unit, "metadata": tags, "tile": tile}
        path = paths[name]
        writers[name] = outputs.enter_context(create_raster(path, data.grid, **options)) if path else None
    return writers


def _create_classes(outputs: ExitStack, path: str | Path, job: TrendJob) -> RasterWriter:
    legend = {f"GWSA_CLASS_{number}": name for number, name in CLASS_NAMES.items()}
    tags = _tags(job.data) | {"GWSA_CORRECTION": job.settings.correction}
    if job.by_field:
        tags["GWSA_FIELD_SIGNIFICANCE"] = "Benjamini and Hochberg, 5 % and 1 %"
    options = {"dtype": "uint8", "nodata": NODATA_CLASS, "descriptions": ["trend class"]}
    options["tile"] = job.data.tile_written(job.memory_mb)
    return outputs.enter_context(create_raster(path, job.data.grid, metadata=tags | legend, **options))


def _tags(data: TrendInput) -> dict[str, str]:
    period = f"{data.months[0]} to {data.months[-1]}"
    return {"GWSA_STEP": "trend", "GWSA_QUANTITY": data.quantity, "GWSA_PERIOD": period}


def _written(writer: RasterWriter, window: Window) -> np.ndarray:
    """A window as the file has it."""
    return writer.read(window.row, window.column, window.rows, window.columns)

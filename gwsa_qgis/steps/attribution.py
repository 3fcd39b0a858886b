"""Pumping fingerprint: what a model's natural groundwater leaves of GWSA, and the trend of that residual."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import GwsaError
from gwsa_qgis.products.point_layer import require_geopackage
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.inspection import describe_months
from gwsa_qgis.rasters.long_run import LongRun, long_run
from gwsa_qgis.rasters.shared_stack import SharedStack
from gwsa_qgis.rasters.stack import create_stack
from gwsa_qgis.rasters.windows import DEFAULT_MEMORY_MB, LANES, Window, map_windows, plan_windows, tile_taken_over
from gwsa_qgis.rasters.writing import replacing, together
from gwsa_qgis.science.pixel_trend import LAYERS, TrendSettings
from gwsa_qgis.science.trend_of_means import MeanTrend, mean_trend
from gwsa_qgis.science.water_balance import DEFAULT_BASELINE, groundwater_anomaly
from gwsa_qgis.steps.attribution_inputs import AttributionJob, open_attribution
from gwsa_qgis.steps.attribution_report import NAMES, AttributionFacts, attribution_page
from gwsa_qgis.steps.attribution_sums import AttributionSums
from gwsa_qgis.steps.stipples import Stipples
from gwsa_qgis.steps.text_outputs import stage_text
from gwsa_qgis.steps.trend import TrendResult, write_trend
from gwsa_qgis.steps.trend_grading import HIGHLY_SIGNIFICANT
from gwsa_qgis.steps.trend_inputs import open_input
from gwsa_qgis.steps.trend_passes import TrendJob

STEP = "attribution"
# Both stacks as read, what the warper holds, the residual, and the window before, which is still being written.
BYTES_PER_VALUE = 24
# The rest of the budget is for GDAL's cache, the values that are computed at once, and the libraries themselves.
SHARE_OF_WINDOWS = 0.5
VALUES_AT_ONCE = 2**18
# Part of the work that is subtracting; the rest is the trend.
SUBTRACTING = 0.2
MONTHS_IN = {"month": 1, "year": 12}
CONFIDENCE = 0.95


@dataclass(frozen=True)
class AttributionResult:
    """What `attribution` wrote.

    Attributes
    ----------
    residual, slope, p_value : Path
    classes, stipples, report : Path or None
    months : (n_months,) datetime64[M]
        Months that both stacks have.
    area_shares : dict of int to float
        Percent of the area in each trend class of the residual.
    mean_slope : float
        Area-weighted mean of the pixels' residual slopes.
    gwsa_trend, background_trend, residual_trend : MeanTrend
        Trends of the area-weighted mean series over the pixels that have a residual.
    pixels : int
        Pixels with a trend of the residual.
    uncovered_share : float
        Percent of the area of GWSA that has no background.
    human_use : str
        What the background's name says of human water use: ``natural``, ``human``, ``assimilated`` or ``unknown``.
    """

    residual: Path
    slope: Path
    p_value: Path
    classes: Path | None
    stipples: Path | None
    lower: Path | None
    upper: Path | None
    report: Path | None
    months: np.ndarray
    area_shares: dict[int, float]
    mean_slope: float
    gwsa_trend: MeanTrend
    background_trend: MeanTrend
    residual_trend: MeanTrend
    pixels: int
    uncovered_share: float
    human_use: str


def attribution(
    gwsa: str | Path,
    background: str | Path,
    residual: str | Path,
    slope: str | Path,
    p_value: str | Path,
    *,
    classes: str | Path | None = None,
    stipples: str | Path | None = None,
    lower: str | Path | None = None,
    upper: str | Path | None = None,
    report: str | Path | None = None,
    baseline_start: str = DEFAULT_BASELINE[0],
    baseline_end: str = DEFAULT_BASELINE[1],
    unit: str = "month",
    correction: str = "ar1",
    deseasonalise: bool = True,
    minimum_share: float = 0.5,
    memory_mb: float = DEFAULT_MEMORY_MB,
    workers: int = 1,
    progress: ProgressFunction | None = None,
) -> AttributionResult:
    """Take a model's natural groundwater storage from GWSA, and map the trend of what is left.

    Parameters
    ----------
    gwsa : path
        Monthly stack of groundwater storage anomaly.
    background : path
        Monthly stack of a hydrological model's natural groundwater storage, level or anomaly, as `monthlystack` makes it
        (product ``background``). Interpolated bilinearly to the grid of `gwsa`, or averaged where its cells are finer.
    residual : path
        GWSA less the background, both as anomalies to their means over the same months of the baseline: stack, cm.
    slope, p_value, classes : path
        Trend of the residual, as `steps.trend.trend` finds it in the residual stack.
    stipples : path, optional
        Dots (GeoPackage) where most cells around have a residual trend with p < 0.01, as in the paper's Fig. 10.
    lower, upper : path, optional
        95 % limits of the residual's slope.
    report : path, optional
        Page with trends of GWSA, background and residual, area shares, and what the residual proves.
    baseline_start, baseline_end : str
        Months whose mean is zero in both.
    unit, correction, deseasonalise, minimum_share
        As in `steps.trend.trend`.

    Raises
    ------
    GridMismatch
        If the stacks have different coordinate reference systems.
    InvalidMonths
        If they have no month in common, or none in the baseline.
    NoUsableData
        If they do not meet, or no pixel has both in the baseline.
    """
    say = Reporter(progress)
    job = open_attribution(
        gwsa, background, (baseline_start, baseline_end), unit, correction, minimum_share, deseasonalise, say
    )
    if stipples:
        require_geopackage(stipples)
    settings = {"baseline": job.baseline, "unit": unit, "correction": correction, "deseasonalise": deseasonalise}
    settings |= {"minimum_share": minimum_share, "limits": bool(lower or upper), "MEMORY": memory_mb}
    with long_run(STEP, residual, {"GWSA": gwsa, "BACKGROUND": background}, settings, say) as run:
        sums = AttributionSums(job.grid.row_areas_km2(), job.months.size, minimum_share)
        written = _subtract(job, run, residual, sums, memory_mb, workers, say.part(0.0, SUBTRACTING))
        sums.require(job.background_name, job.baseline)
        with _naming(written, residual):
            data = open_input(written, None, None, True, deseasonalise, say)
            limits = CONFIDENCE if lower or upper else None
            trends = TrendJob(data, TrendSettings(correction, deseasonalise, False, True, limits), unit, minimum_share,
                              None, False, HIGHLY_SIGNIFICANT, False, memory_mb, workers)  # fmt: skip
            wanted = (slope, p_value, classes, stipples, lower, upper)
            found = _trend(run, trends, wanted, say.part(SUBTRACTING, 1.0))
        series = sums.series()
        means = [
            mean_trend(values, correction, deseasonalise=deseasonalise, months_in_unit=MONTHS_IN[unit])
            for values in series
        ]
        paths = (Path(path) if path else None for path in (residual, *wanted, report))
        uncovered = sums.uncovered_share()
        result = AttributionResult(*paths, job.months, found.area_shares, found.mean_slope, *means, found.pixels,
                                   uncovered, job.human_use)  # fmt: skip
        if report:
            staged = str(found.slope)
            facts = AttributionFacts(job, staged, series, means, found.area_shares, found.mean_slope, found.pixels,
                                     uncovered, sums.area, unit, correction, deseasonalise)  # fmt: skip
            stage_text(run.outputs, report, attribution_page(facts).render())
    _tell(result, job, unit, say)
    return result


def _subtract(
    job: AttributionJob,
    run: LongRun,
    path: str | Path,
    sums: AttributionSums,
    memory_mb: float,
    workers: int,
    say: Reporter,
) -> str:
    """Write the residual and add up its means; returns where it is until it is moved into place."""

    def compute(window: Window) -> tuple[np.ndarray, tuple]:
        part = sums.empty()
        return _window_residual(job, shared.read(window, job.months), window, part), part.figures()

    per_pixel = BYTES_PER_VALUE * job.months.size * LANES
    # Larger windows than the usual budget's are no quicker, and make cancelling slow.
    share = SHARE_OF_WINDOWS * min(memory_mb, DEFAULT_MEMORY_MB)
    tile = tile_taken_over(job.tile, job.grid, per_pixel, share)
    windows = plan_windows(job.grid, per_pixel, memory_mb=share, tile=tile)
    made = create_stack(
        path,
        job.grid,
        job.months,
        quantity="residual groundwater storage anomaly",
        baseline=" to ".join(job.baseline),
        filled=job.filled,
        step=STEP,
        metadata={"GWSA_BACKGROUND": job.background_name},
        tile=tile,
    )
    with made as writer, SharedStack.for_windows(job.gwsa, windows) as shared:
        each = partial(map_windows, compute, workers=workers, message="Residual")
        for window, (residual, part) in run.results("residual", windows, each, say):
            sums.merge(*part)
            writer.write(residual, window.row, window.column)
        return writer.dataset.GetDescription()


def _window_residual(job: AttributionJob, total: np.ndarray, window: Window, sums: AttributionSums) -> np.ndarray:
    """Residual of a window of GWSA, (n_months, rows, columns) float32, added up on the way."""
    natural = job.read_background(window)
    residual = np.empty(total.shape, np.float32)
    rows_at_once = max(VALUES_AT_ONCE // (job.months.size * window.columns), 1)
    for row in range(0, window.rows, rows_at_once):
        rows = slice(row, row + rows_at_once)
        both = np.isfinite(total[:, rows]) & np.isfinite(natural[:, rows])
        covered = both.any(axis=0)
        lost = np.isfinite(total[:, rows]).any(axis=0) & ~covered
        # Means of both over the same months: those of the baseline in which both are there.
        anomalies = []
        for values, factor in zip((total, natural), job.factors, strict=True):
            part = values[:, rows] * np.float64(factor)
            part[~both] = np.nan
            found = groundwater_anomaly(part, [], job.months, filled=job.filled, baseline=job.baseline)
            anomalies.append(found.groundwater)
        difference = anomalies[0] - anomalies[1]
        residual[:, rows] = difference
        sums.add(slice(window.row + row, window.row + row + both.shape[1]), *anomalies, difference, lost)
    return residual


def _trend(run: LongRun, job: TrendJob, paths: Sequence[str | Path | None], say: Reporter) -> TrendResult:
    """Trend of the residual into files that appear with the others: slope, p value, classes, dots, limits."""
    staged = (run.outputs.enter_context(replacing(path)) if path else None for path in paths)
    slope, p_value, classes, stipples, lower, upper = staged
    rasters = dict.fromkeys(LAYERS) | {"slope": slope, "p_value": p_value, "lower": lower, "upper": upper}
    others = {"classes": classes, "stipples": stipples, "table": None, "report": None}
    places = Stipples(job.data.grid, 0) if stipples else None
    with together() as outputs:  # whole before the report reads them
        return write_trend(run, outputs, job, rasters, others, places, say)


@contextmanager
def _naming(written: str, path: str | Path) -> Iterator[None]:
    """Let errors name the residual by its own path."""
    try:
        yield
    except GwsaError as error:
        raise type(error)(error.problem.replace(written, str(path)), error.remedy) from error


def _tell(result: AttributionResult, job: AttributionJob, unit: str, say: Reporter) -> None:
    if result.uncovered_share > 0:
        say.warn(f"{result.uncovered_share:.2f} % of the area of GWSA has no background there and no residual")
    trends = (result.gwsa_trend, result.background_trend, result.residual_trend)
    told = ", ".join(f"{name} {one.slope:.3g}" for name, one in zip(NAMES, trends, strict=True))
    falling = result.area_shares[1] + result.area_shares[2]
    say.say(
        f"Trends of the means over {describe_months(job.months)}, cm/{unit}: {told}; the residual falls significantly in "
        f"{falling:.1f} % of the area"
    )

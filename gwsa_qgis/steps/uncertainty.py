"""Uncertainty of the fine map: intervals by source, cell and within-cell parts apart, and where the model applies."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidParameter, NoUsableData
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.long_run import LongRun, long_run
from gwsa_qgis.rasters.raster import RasterWriter, create_raster
from gwsa_qgis.rasters.stack import create_stack
from gwsa_qgis.rasters.windows import DEFAULT_MEMORY_MB, map_windows, plan_windows
from gwsa_qgis.report.maps import MOST_PIXELS
from gwsa_qgis.science.error_budget import quadrature
from gwsa_qgis.steps.cell_errors import CellErrors, ErrorFiles
from gwsa_qgis.steps.error_sums import ErrorFigures, ErrorSums
from gwsa_qgis.steps.interval_windows import IntervalWindows, plan_intervals
from gwsa_qgis.steps.likeness import BANDS, find_likeness
from gwsa_qgis.steps.model_file import read_model
from gwsa_qgis.steps.text_outputs import stage_text
from gwsa_qgis.steps.uncertainty_inputs import UncertaintyJob, open_job, tell_sources
from gwsa_qgis.steps.uncertainty_report import UncertaintyFacts, uncertainty_page

STEP = "uncertainty"
LOWEST_LEVEL, HIGHEST_LEVEL = 0.5, 0.99
FINE = ("output", "within", "lower", "upper")


@dataclass(frozen=True)
class UncertaintyResult:
    """What `uncertainty` wrote.

    Attributes
    ----------
    output : Path
        Half-width of the interval of each pixel, cm.
    cell, within, applicability, lower, upper, report : Path or None
    months : (n_months,) datetime64[M]
    level : float
    factor : float
        Half-width of the conformal interval in units of the residuals' scale.
    carry : float
        Factor from the residual variance of supports to that of pixels.
    held_out_coverage : float
        What intervals of the level covered in blocks that had no part in their calibration (of the nearest level that
        the model file knows); NaN where there were too few blocks.
    outside_share : float
        Share of the area outside the area of applicability.
    half_width, cell_error, within_half_width : float
        Root mean squares over area and months, cm.
    """

    output: Path
    cell: Path | None
    within: Path | None
    applicability: Path | None
    lower: Path | None
    upper: Path | None
    report: Path | None
    months: np.ndarray
    level: float
    factor: float
    carry: float
    held_out_coverage: float
    outside_share: float
    half_width: float
    cell_error: float
    within_half_width: float


def uncertainty(
    gwsa: str | Path,
    model: str | Path,
    predictors: str | Path,
    output: str | Path,
    *,
    cell: str | Path | None = None,
    within: str | Path | None = None,
    applicability: str | Path | None = None,
    lower: str | Path | None = None,
    upper: str | Path | None = None,
    report: str | Path | None = None,
    aquifers: str | Path | None = None,
    mask: str | Path | None = None,
    mascons: str | Path | None = None,
    prediction: str | Path | None = None,
    grace_uncertainty: str | Path | None = None,
    grace_error: float = 2.0,
    error_short: str | Path | None = None,
    error_long: str | Path | None = None,
    flags: str | Path | None = None,
    land_spread: str | Path | None = None,
    level: float = 0.9,
    compared_months: int = 12,
    memory_mb: float = DEFAULT_MEMORY_MB,
    workers: int = 1,
    progress: ProgressFunction | None = None,
) -> UncertaintyResult:
    """Say how sure a corrected fine map is.

    Parameters
    ----------
    gwsa : path
        Fine stack from `correctresiduals`.
    model : path
        Model file that the map was predicted with.
    predictors : path
        Folder of the fine predictors.
    output : path
        Half-width of the interval that holds a pixel's value with probability `level`: stack, cm.
    cell : path, optional
        Standard error of a support's mean (GRACE, gap filling, land-surface models): stack on the coarse grid, cm. Means
        over basins inherit this and nothing else.
    within : path, optional
        Half-width of the interval of a pixel's departure from its support's mean: stack, cm.
    applicability : path, optional
        Three bands: dissimilarity index (mean over the months compared), 1 inside and 0 outside the area of
        applicability, share of months inside.
    lower, upper : path, optional
        Ends of the interval: stacks, cm.
    report : path, optional
        Page with coverage, budget and maps.
    aquifers : path, optional
        Fine class raster.
    mask : path, optional
        Fine mask, 1 = use.
    mascons : path, optional
        Mascon map on the coarse grid, when it is another than the one kept in the model.
    prediction : path, optional
        What `predict` wrote (recommended preset): intervals are then wider where much detail was added, and narrower
        elsewhere. Otherwise all pixels of a class and calendar month have one width.
    grace_uncertainty : path, optional
        Stack of GRACE's uncertainty on the coarse grid.
    grace_error : float
        The same as one number, cm, where there is no stack.
    error_short, error_long, flags : path, optional
        Errors of gap filling and what each month is, as `fillgaps` writes them.
    land_spread : path, optional
        Stack of the spread between land-surface models, as `importgldas` writes it.
    level : float
        0.5 to 0.99.
    compared_months : int
        Months in which predictors are compared with those of the training, spread over record and calendar; 0 for all.

    Raises
    ------
    InvalidModelFile
        If the model file holds no calibration.
    InvalidParameter
        If the level or another number is out of bounds, or errors of gaps come without their flags.
    GridMismatch, InvalidMonths
        If inputs are on other grids, or share no month.
    NoUsableData
        If the map has no value.

    Notes
    -----
    The interval of a pixel is that of its support's mean (normal, `cell`) and that of its departure from it (conformal,
    `within`) in quadrature. The second is calibrated on supports, whose departures from the coarser field around them
    are known, and carried over to pixels by `science.error_budget.carry_over`. These residuals hold the coarse data's
    own noise, which is not taken out: where it is large, the within part is too wide, not too narrow.
    """
    tell = Reporter(progress)
    if not LOWEST_LEVEL <= level <= HIGHEST_LEVEL:
        raise InvalidParameter(f"LEVEL is {level}", f"give {LOWEST_LEVEL} to {HIGHEST_LEVEL}, such as 0.9")
    if compared_months < 0:
        raise InvalidParameter(f"COMPARED_MONTHS is {compared_months}", "give 0 for all, or a number")
    gap = (error_short, error_long, flags)
    paths = (None if path is None else Path(path) for path in (grace_uncertainty, *gap, land_spread))
    grace, short, long, flag, land = paths
    files = ErrorFiles(grace, float(grace_error), short, long, flag, land)
    files.check()
    contents = read_model(model)
    job = open_job(contents, gwsa, predictors, prediction, aquifers, mask, mascons, files, level, compared_months, tell)
    errors = CellErrors(files, job.support, job.months, tell)
    tell_sources(job, files, tell)
    thin = max(1, -(-max(job.grid.shape) // MOST_PIXELS))
    fine_paths = dict(zip(FINE, (output, within, lower, upper), strict=True))
    inputs = {"GWSA": gwsa, "MODEL": model, "PREDICTORS": job.fine.paths(), "AQUIFERS": aquifers, "MASK": mask}
    inputs |= {"MASCONS": mascons, "PREDICTION": prediction, "GRACE_UNCERTAINTY": grace, "ERROR_SHORT": short}
    inputs |= {"ERROR_LONG": long, "FLAGS": flag, "LAND_SPREAD": land}
    settings = {"GRACE_ERROR": files.grace_error, "LEVEL": level, "COMPARED_MONTHS": compared_months}
    settings |= {"within": bool(within), "lower": bool(lower), "upper": bool(upper), "MEMORY": memory_mb}
    with long_run(STEP, output, inputs, settings, tell) as run:
        outputs = run.outputs
        wanted = applicability if applicability is None else _open_applicability(outputs, applicability, job)
        part = tell.part(0.0, 0.4)
        found = find_likeness(
            run, job.fine, job.support, job.factor, job.calibration, wanted, thin, memory_mb, workers, part
        )
        if not np.isfinite(found.outside_share):
            raise NoUsableData("no pixel has all predictors", "check that predictors, mask and classes overlap")
        budget = ErrorSums(job.months, job.grid, thin, files.sources)
        factor = job.calibration.conformal.factor(level)
        _write_cell(outputs, cell, job, errors)
        writers = _open_fine(outputs, fine_paths, job)
        _write_fine(run, job, errors, found.carry, writers, budget, memory_mb, workers, tell.part(0.4, 1.0))
        budget.require(gwsa)
        if report:
            facts = UncertaintyFacts(
                str(gwsa), job.grid, level, factor, job.calibration, contents.manifest, found, budget, job.support,
                errors, job.fine.months, files.grace is None,
            )  # fmt: skip
            stage_text(outputs, report, uncertainty_page(facts).render())
    coverage = job.calibration.coverage[np.abs(job.calibration.levels - level).argmin()]
    if budget.unknown_share > 0:
        tell.warn(
            f"{budget.unknown_share:.1%} of the values have no half-width: an error of the coarse field is NoData"
        )
    tell.say(
        f"Half-width {budget.rms('total'):.3g} cm (within supports {budget.rms('within'):.3g} cm), "
        f"{found.outside_share:.1%} of the area outside the area of applicability"
    )
    return UncertaintyResult(
        Path(output),
        *(None if path is None else Path(path) for path in (cell, within, applicability, lower, upper, report)),
        job.months,
        level,
        factor,
        found.carry,
        float(coverage),
        found.outside_share,
        budget.rms("total"),
        budget.rms("cell"),
        budget.rms("within"),
    )


def _open_applicability(outputs: ExitStack, path: str | Path, job: UncertaintyJob) -> RasterWriter:
    tags = {"GWSA_STEP": "uncertainty", "GWSA_THRESHOLD": f"{job.calibration.area.threshold:.6g}"}
    return outputs.enter_context(create_raster(path, job.grid, 3, descriptions=BANDS, metadata=tags))


def _open_fine(outputs: ExitStack, paths: dict[str, str | Path | None], job: UncertaintyJob) -> dict[str, RasterWriter]:
    quantities = {
        "output": f"half-width of the {100 * job.level:g} % interval of groundwater storage anomaly",
        "within": f"half-width of the {100 * job.level:g} % interval of the departure from the support's mean",
        "lower": f"lower end of the {100 * job.level:g} % interval of groundwater storage anomaly",
        "upper": f"upper end of the {100 * job.level:g} % interval of groundwater storage anomaly",
    }
    return {
        name: outputs.enter_context(
            create_stack(
                path,
                job.grid,
                job.months,
                quantity=quantities[name],
                baseline=job.baseline,
                filled=job.filled,
                step="uncertainty",
                metadata={"GWSA_LEVEL": f"{job.level:g}", "GWSA_PRESET": job.preset},
                tile=job.tile,
                threads=1,  # tiles are packed one by one, beside what computes the next
            )  # fmt: skip
        )
        for name, path in paths.items()
        if path is not None
    }


def _write_cell(outputs: ExitStack, path: str | Path | None, job: UncertaintyJob, errors: CellErrors) -> None:
    """Write the standard errors of supports, in windows of the coarse grid."""
    if path is None:
        return
    stack = create_stack(
        path, job.support.grid, job.months, quantity="standard error of a support's groundwater storage anomaly",
        baseline=job.baseline, filled=job.filled, step="uncertainty", metadata={"GWSA_SUPPORT": job.support.kind},
    )  # fmt: skip
    writer = outputs.enter_context(stack)
    for window in plan_windows(job.support.grid, 40 * job.months.size, memory_mb=128):
        total = quadrature(errors.window(window).values()).astype(np.float32)
        total[:, job.support.labels[window.slices] == 0] = np.nan
        writer.write(total, window.row, window.column)


def _write_fine(
    run: LongRun,
    job: UncertaintyJob,
    errors: CellErrors,
    carry: float,
    writers: dict[str, RasterWriter],
    budget: ErrorSums,
    memory_mb: float,
    workers: int,
    report: Reporter,
) -> None:
    """Write intervals window by window."""
    intervals = IntervalWindows(job, errors, writers, carry, budget.thin)
    windows = plan_intervals(job, memory_mb)
    each = partial(map_windows, intervals, workers=workers, message="Intervals")
    for window, (stacks, figures) in run.results("intervals", windows, each, report):
        for name, writer in writers.items():
            writer.write_window(stacks[name], window.row, window.column, window.first)
        budget.add(window, ErrorFigures(*figures))

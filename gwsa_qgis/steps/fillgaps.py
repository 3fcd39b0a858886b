"""Fill the gaps of a GRACE record, by singular spectrum analysis or a plain method, each distinct series once."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidParameter, NoUsableData
from gwsa_qgis.products.wells import read_well_points
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.inspection import describe_months, list_months, months_with_values
from gwsa_qgis.rasters.long_run import long_run
from gwsa_qgis.rasters.points import cells_of_points
from gwsa_qgis.rasters.raster import Raster, RasterWriter, create_raster
from gwsa_qgis.rasters.stack import MonthlyStack, create_stack
from gwsa_qgis.rasters.windows import DEFAULT_MEMORY_MB, plan_windows
from gwsa_qgis.science.hidden_months import METHODS
from gwsa_qgis.science.ssa import LONG_GAP, PRESETS, SHORT_GAP
from gwsa_qgis.steps.gap_maps import GapMaps
from gwsa_qgis.steps.gap_report import GapFacts, gap_page
from gwsa_qgis.steps.gap_solver import BYTES_PER_VALUE, CACHE_SHARE, CHOICES, COLUMNS, HIDDEN, GapSolver
from gwsa_qgis.steps.mascon_labels import MasconLabels
from gwsa_qgis.steps.text_outputs import stage_text

NODATA_FLAG = 255
ERRORS = COLUMNS[:2]
CHOICE_NAMES = ("window M, months", "modes K", "share of SSA in the long gap", "share of SSA in short gaps")
HIDDEN_NAMES = tuple(f"{gap}, {method}" for gap in ("hidden short gaps", "hidden years") for method in METHODS)


@dataclass(frozen=True)
class FillGapsResult:
    """What `fillgaps` wrote.

    Attributes
    ----------
    output, error_short, error_long, flags, choice, hidden_errors, report : Path or None
    filled : (n_filled,) datetime64[M]
        Months without any observation, filled.
    short_months, long_months : int
        How many of them lie in short gaps and in the long one.
    cells, too_short, distinct : int
        Cells with values, those of them with too few to be filled, and distinct series solved.
    median_error_short, median_error_long : float
        Medians over cells, cm; NaN where a stage did not run.
    """

    output: Path
    error_short: Path | None
    error_long: Path | None
    flags: Path | None
    choice: Path | None
    hidden_errors: Path | None
    report: Path | None
    filled: np.ndarray
    short_months: int
    long_months: int
    cells: int
    too_short: int
    distinct: int
    median_error_short: float
    median_error_long: float


def fillgaps(
    input: str | Path,
    output: str | Path,
    *,
    error_short: str | Path | None = None,
    error_long: str | Path | None = None,
    flags: str | Path | None = None,
    choice: str | Path | None = None,
    hidden_errors: str | Path | None = None,
    report: str | Path | None = None,
    preset: str = "recommended",
    method: str = "ssa",
    short_window: int = 24,
    short_modes: int = 12,
    long_window: int = 48,
    long_modes: int = 12,
    mascons: str | Path | None = None,
    classes: str | Path | None = None,
    points: str | Path | None = None,
    memory_mb: float = DEFAULT_MEMORY_MB,
    workers: int = 1,
    progress: ProgressFunction | None = None,
) -> FillGapsResult:
    """Fill missing months; observed ones stay as they are.

    Parameters
    ----------
    input : path
        TWSA stack with missing months as NoData.
    output : path
        The stack without gaps; filled months are marked in its metadata. Cells without any value stay NoData.
    error_short, error_long : path, optional
        Errors of each cell, cm: eps1 and eps2 for ``ssa``, those of hidden months for the other methods.
    flags : path, optional
        Stack of what each value is: 0 observed, 1 short gap, 2 long gap.
    choice : path, optional
        M and K of the long gap, and the share of SSA in both kinds of gaps.
    hidden_errors : path, optional
        Errors of all methods in months hidden from them, cm: short gaps, then years.
    report : path, optional
        Page with these errors by map and by class, and the series of chosen and of the worst cells.
    preset : {"recommended", "published"}
        How the years that test the long gap are chosen, see `science.ssa.fill_gaps`.
    method : {"ssa", "harmonic", "autoregressive", "best"}
        What fills, see `science.ssa.fill_gaps`.
    short_window, short_modes : int
        M and K of the short gaps.
    long_window, long_modes : int
        M of the long gap, and the largest K tried for it.
    mascons : path, optional
        Native mascons: the cells of one are solved as one series, their mean.
    classes : path, optional
        Class raster on the same grid, for the report.
    points : path, optional
        Point layer or table: cells whose series the report shows.
    workers : int
        Threads, or workers of the processes or the cluster of an active ``joblib.parallel_config``.

    Raises
    ------
    InvalidParameter
        If the preset, the method or a window is not allowed.
    NoUsableData
        If no cell has a value, or all records are too short.
    GridMismatch
        If mascons or classes are on another grid.
    """
    say = Reporter(progress)
    if preset not in PRESETS:
        raise InvalidParameter(f"the preset is {preset!r}", "give recommended or published")
    settings = {
        "preset": preset,
        "method": method,
        "compare": bool(hidden_errors or report),
        "short_window": short_window,
        "short_modes": short_modes,
        "long_windows": (long_window,),
        "long_modes": range(1, long_modes + 1),
        "threads": workers,
    }
    with MonthlyStack(input) as stack, ExitStack() as opened:
        months, grid, present = stack.months, stack.grid, months_with_values(stack, memory_mb)
        if not present.any():
            raise NoUsableData(f"{input} has no value in any month", "check its NoData value and its extent")
        _tell(say, months, present)
        chosen = _chosen_cells(points, grid, say) if points else []
        class_map = _on_grid(opened, classes, grid, "the class map") if classes else None
        labels = None
        if mascons:
            labels = MasconLabels(_on_grid(opened, mascons, grid, "the mascon map"), memory_mb)
        inputs = {"INPUT": input, "MASCONS": mascons, "CLASSES": classes, "POINTS": points}
        paths = {"output": output, "flags": flags, "choice": choice, "hidden_errors": hidden_errors}
        paths |= {"error_short": error_short, "error_long": error_long}
        with long_run("fillgaps", output, inputs, settings | {"threads": 0, "MEMORY": memory_mb}, say) as run:
            # opened first: a place that cannot be written is told before the work
            writers = _open(run.outputs, paths, stack, stack.filled | ~present)
            maps = GapMaps(run.folder / "maps.dat", grid, COLUMNS if report else ERRORS, memory_mb)
            solver = GapSolver(months, settings, memory_mb, run)
            if labels is not None:
                solver.solve_mascons(stack, labels, memory_mb, say.part(0.0, 0.8))
            rest = say.part(0.8 if labels is not None else 0.0, 1.0)
            _write_windows(stack, labels, solver, writers, maps, memory_mb, rest)
            solver.require_some()
            errors = [float(error) for error in maps.medians(ERRORS)]
            if report:
                facts = GapFacts(stack, present, settings, maps, class_map, chosen, solver.distinct)
                stage_text(run.outputs, report, gap_page(facts).render())
    result = FillGapsResult(
        Path(output),
        *(Path(path) if path else None for path in (error_short, error_long, flags, choice, hidden_errors, report)),
        months[~present],
        *(solver.months_filled(~present, kind) for kind in (SHORT_GAP, LONG_GAP)),
        solver.cells,
        solver.too_short,
        solver.distinct,
        *errors,
    )
    say.say(f"{result.cells - result.too_short} cells filled from {result.distinct} distinct series")
    if result.too_short:
        say.warn(f"{result.too_short} cells have too few observed months to be filled and keep their gaps")
    return result


def _tell(report: Reporter, months: np.ndarray, present: np.ndarray) -> None:
    report.say(f"{describe_months(months)}, {(~present).sum()} of them missing: {list_months(months[~present], 40)}")
    if present.all():
        report.warn("no month is missing everywhere; only gaps of single cells are filled")
    inside = np.flatnonzero(present)
    ends = np.concatenate([months[: inside[0]], months[inside[-1] + 1 :]])
    if ends.size:
        report.warn(
            f"{list_months(ends)}: before the first or after the last observation; values there are extrapolated, and "
            "the errors do not hold for them"
        )


def _on_grid(opened: ExitStack, path: str | Path, grid: Grid, name: str) -> Raster:
    """A raster that must lie on the record's grid, open."""
    raster = opened.enter_context(Raster(path))
    grid.require_match(raster.grid, "the template", f"{name} {path}")
    return raster


def _chosen_cells(path: str | Path, grid: Grid, report: Reporter) -> list[tuple[str, int, int]]:
    """Name, row and column of the cells under points."""
    found = read_well_points(path, grid)
    rows, columns, inside = cells_of_points(grid, found.x, found.y)
    if not inside.all():
        report.warn(f"{(~inside).sum()} of {inside.size} points of {path} lie outside the map and are left out")
    return [(found.names[k], int(rows[k]), int(columns[k])) for k in np.flatnonzero(inside)]


def _open(
    outputs: ExitStack, paths: dict[str, str | Path | None], stack: MonthlyStack, filled: np.ndarray
) -> dict[str, RasterWriter | None]:
    """Writers of the wanted outputs."""
    grid, months, unit = stack.grid, stack.months, stack.unit() or "cm"
    tags = {"quantity": stack.quantity, "baseline": stack.baseline, "step": "fillgaps", "filled": filled}
    flag_tags = tags | {"quantity": "0 observed, 1 short gap, 2 long gap", "dtype": "uint8", "nodata": NODATA_FLAG}
    singles = {
        "error_short": (["error of short gaps"], unit),
        "error_long": (["error of the long gap"], unit),
        "choice": (CHOICE_NAMES, ""),
        "hidden_errors": (HIDDEN_NAMES, unit),
    }
    writers: dict[str, RasterWriter | None] = {}
    for name, path in paths.items():
        if not path:
            writers[name] = None
        elif name in singles:
            names, band_unit = singles[name]
            made = create_raster(path, grid, len(names), unit=band_unit, descriptions=names)
            writers[name] = outputs.enter_context(made)
        else:
            options = flag_tags if name == "flags" else tags
            band_unit = "" if name == "flags" else unit
            writers[name] = outputs.enter_context(create_stack(path, grid, months, unit=band_unit, **options))
    return writers


def _write_windows(
    stack: MonthlyStack,
    labels: MasconLabels | None,
    solver: GapSolver,
    writers: dict[str, RasterWriter | None],
    maps: GapMaps,
    memory_mb: float,
    report: Reporter,
) -> None:
    """Fill window by window and write what is wanted; `maps` takes what it keeps of every cell."""
    windows = plan_windows(stack.grid, BYTES_PER_VALUE * stack.bands, memory_mb=memory_mb * (1 - CACHE_SHARE))
    for number, window in enumerate(windows):
        cells = stack.read(*window.slices).reshape(stack.bands, -1)
        valid = np.isfinite(cells).any(axis=0)
        part = report.part(number / len(windows), (number + 1) / len(windows))
        label = None if labels is None else labels.read(window).ravel()[valid]
        solved = solver.fill(np.ascontiguousarray(cells[:, valid].T, dtype=np.float64), label, part)
        table = dict(zip(COLUMNS, solved.table.T, strict=True))
        layers = {
            "output": solved.filled.T,
            "flags": solved.flags.T,
            "choice": np.stack([table[name] for name in CHOICES]),
            "hidden_errors": np.stack([table[name] for name in HIDDEN]),
            "error_short": table["short_error"][None],
            "error_long": table["long_error"][None],
        }
        for name, values in layers.items():
            if writers[name] is not None:
                kind, empty = (np.uint8, NODATA_FLAG) if name == "flags" else (np.float32, np.nan)
                layer = np.full((len(values), valid.size), empty, kind)
                layer[:, valid] = values
                writers[name].write(layer.reshape(-1, window.rows, window.columns), window.row, window.column)
        maps.put(window, solved.table, valid)
        part(1.0)

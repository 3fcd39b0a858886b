"""Fill the gaps of a GRACE record by singular spectrum analysis, each distinct series solved once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidParameter, NoUsableData
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.inspection import describe_months, list_months, months_with_values
from gwsa_qgis.rasters.raster import RasterWriter, create_raster, read_single
from gwsa_qgis.rasters.stack import MonthlyStack, create_stack
from gwsa_qgis.rasters.windows import DEFAULT_MEMORY_MB, plan_windows
from gwsa_qgis.rasters.writing import together
from gwsa_qgis.science.ssa import LONG_GAP, OBSERVED, PRESETS, SHORT_GAP, SsaResult, distinct_rows, fill_gaps
from gwsa_qgis.science.supports import compact_labels, support_sums

NODATA_FLAG = 255
# A cell's series as read, as float64, filled and flagged; solving holds a batch of series at a time.
BYTES_PER_VALUE = 4 + 5 * 8
CACHE_SHARE = 0.3


@dataclass(frozen=True)
class FillGapsResult:
    """What `fillgaps` wrote.

    Attributes
    ----------
    output, error_short, error_long, flags : Path or None
    filled : (n_filled,) datetime64[M]
        Months without any observation, filled.
    short_months, long_months : int
        How many of them lie in short gaps and in the long one.
    cells, distinct : int
        Cells filled, and distinct series solved.
    median_error_short, median_error_long : float
        Medians over cells, cm; NaN where a stage did not run.
    """

    output: Path
    error_short: Path | None
    error_long: Path | None
    flags: Path | None
    filled: np.ndarray
    short_months: int
    long_months: int
    cells: int
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
    preset: str = "recommended",
    short_window: int = 24,
    short_modes: int = 12,
    long_window: int = 48,
    long_modes: int = 12,
    mascons: str | Path | None = None,
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
        eps1 and eps2 of each cell, cm.
    flags : path, optional
        Stack of what each value is: 0 observed, 1 short gap, 2 long gap.
    preset : {"recommended", "published"}
        How the years that test the long gap are chosen, see `science.ssa.fill_gaps`.
    short_window, short_modes : int
        M and K of the short gaps.
    long_window, long_modes : int
        M of the long gap, and the largest K tried for it.
    mascons : path, optional
        Native mascons: the cells of one are solved as one series, their mean.
    workers : int
        Threads.

    Raises
    ------
    InvalidParameter
        If the preset or a window is not allowed.
    NoUsableData
        If no cell has a value, or the record is too short.
    GridMismatch
        If the mascons are on another grid.
    """
    report = Reporter(progress)
    if preset not in PRESETS:
        raise InvalidParameter(f"the preset is {preset!r}", "give recommended or published")
    settings = {
        "preset": preset,
        "short_window": short_window,
        "short_modes": short_modes,
        "long_windows": (long_window,),
        "long_modes": range(1, long_modes + 1),
        "threads": workers,
    }
    with MonthlyStack(input) as stack:
        months, grid, present = stack.months, stack.grid, months_with_values(stack, memory_mb)
        if not present.any():
            raise NoUsableData(f"{input} has no value in any month", "check its NoData value and its extent")
        _tell(report, months, present)
        solver = _Solver(months, settings, memory_mb)
        labels = _mascon_labels(mascons, grid) if mascons else None
        if labels is not None:
            solver.solve_mascons(stack, labels, memory_mb, report.part(0.0, 0.8))
        unit, quantity, baseline = stack.unit() or "cm", stack.quantity, stack.baseline
        tags = {"quantity": quantity, "baseline": baseline, "step": "fillgaps"}
        filled = stack.filled | ~present
        with together() as outputs:
            writer = outputs.enter_context(create_stack(output, grid, months, unit=unit, filled=filled, **tags))
            errors = [
                outputs.enter_context(create_raster(path, grid, unit=unit, descriptions=[name])) if path else None
                for path, name in ((error_short, "eps1, short gaps"), (error_long, "eps2, long gap"))
            ]
            flag_writer = None
            if flags:
                options = tags | {"quantity": "0 observed, 1 short gap, 2 long gap", "unit": ""}
                options |= {"dtype": "uint8", "nodata": NODATA_FLAG, "filled": filled}
                flag_writer = outputs.enter_context(create_stack(flags, grid, months, **options))
            rest = report.part(0.8 if labels is not None else 0.0, 1.0)
            _write_windows(stack, labels, solver, (writer, *errors, flag_writer), memory_mb, rest)
    short, long = solver.months_by_flag(~present)
    result = FillGapsResult(
        Path(output),
        *(Path(path) if path else None for path in (error_short, error_long, flags)),
        months[~present],
        short,
        long,
        solver.cells,
        solver.distinct,
        *solver.median_errors(),
    )
    report.say(f"{result.cells} cells filled from {result.distinct} distinct series")
    return result


def _tell(report: Reporter, months: np.ndarray, present: np.ndarray) -> None:
    report.say(f"{describe_months(months)}, {(~present).sum()} of them missing: {list_months(months[~present], 40)}")
    if present.all():
        report.warn("no month is missing everywhere; only gaps of single cells are filled")


def _mascon_labels(path: str | Path, grid: Grid) -> np.ndarray:
    ids, _ = read_single(path, grid, "the mascon map")
    labels, names = compact_labels(ids)
    if not names.size:
        raise NoUsableData(f"{path} has no mascon", "give the mascon map that gwsa:importgrace wrote")
    return labels


def _write_windows(
    stack: MonthlyStack,
    labels: np.ndarray | None,
    solver: _Solver,
    writers: tuple[RasterWriter | None, ...],
    memory_mb: float,
    report: Reporter,
) -> None:
    """Fill window by window and write what is wanted: filled stack, eps1, eps2, flags."""
    windows = plan_windows(stack.grid, BYTES_PER_VALUE * stack.bands, memory_mb=memory_mb * (1 - CACHE_SHARE))
    for number, window in enumerate(windows):
        values = stack.read(*window.slices)
        cells = values.reshape(stack.bands, -1)
        valid = np.isfinite(cells).any(axis=0)
        part = report.part(number / len(windows), (number + 1) / len(windows))
        label = None if labels is None else labels[window.slices].ravel()[valid]
        solved = solver.fill(np.ascontiguousarray(cells[:, valid].T, dtype=np.float64), label, part)
        layers = [np.full(cells.shape, np.nan, np.float32), *np.full((2, 1, cells.shape[1]), np.nan, np.float32)]
        layers.append(np.full(cells.shape, NODATA_FLAG, np.uint8))
        for layer, result in zip(layers, solved, strict=True):
            layer[..., valid] = result.T
        for writer, layer in zip(writers, layers, strict=True):
            if writer is not None:
                writer.write(layer.reshape(-1, window.rows, window.columns), window.row, window.column)
        part(1.0)


@dataclass
class _Solver:
    """Fills series and keeps the answers of those it has met, within a share of the memory budget."""

    months: np.ndarray
    settings: dict[str, object]
    memory_mb: float
    cells: int = 0
    distinct: int = 0
    _known: dict[bytes, tuple] = field(default_factory=dict)
    _mascon: tuple | None = None
    _errors: list[np.ndarray] = field(default_factory=list)
    _kind: np.ndarray | None = None

    def solve_mascons(self, stack: MonthlyStack, labels: np.ndarray, memory_mb: float, report: Reporter) -> None:
        """Solve the mean series of each mascon."""
        count = int(labels.max())
        sums, total = np.zeros((2, self.months.size, count))
        weights = stack.grid.row_weights()[:, None]
        for window in plan_windows(stack.grid, BYTES_PER_VALUE * stack.bands, memory_mb=memory_mb):
            found = support_sums(stack.read(*window.slices), labels[window.slices], weights[window.row_slice], count)
            sums, total = sums + found[0], total + found[1]
        means = np.divide(sums, total, out=np.full_like(sums, np.nan), where=total > 0).T
        # Means of equal float32 values differ in the last bits of float64: round, so that they stay equal.
        self._mascon = self._solve(means.astype(np.float32).astype(np.float64), report)

    def fill(self, series: np.ndarray, labels: np.ndarray | None, report: Reporter) -> tuple[np.ndarray, ...]:
        """Filled series, eps1, eps2 and flags, the errors of shape (n_series, 1)."""
        self.cells += len(series)
        filled = np.empty(series.shape)
        errors = np.full((len(series), 2), np.nan)
        flags = np.zeros(series.shape, np.uint8)
        alone = np.ones(len(series), bool)
        if labels is not None and self._mascon is not None:
            alone = labels == 0
            answers = [part[labels[~alone] - 1] for part in self._mascon]
            missing = np.isnan(series[~alone])
            filled[~alone] = np.where(missing, answers[0], series[~alone])
            errors[~alone] = answers[1]
            flags[~alone] = np.where(missing, answers[2], OBSERVED)
            # A month that this cell lacks and its mascon has comes from the mascon's other cells.
            flags[~alone] = np.where(missing & (answers[2] == OBSERVED), SHORT_GAP, flags[~alone])
        if alone.any():
            filled[alone], errors[alone], flags[alone] = self._fill_alone(series[alone], report)
        self._note(errors, flags)
        return filled, errors[:, :1], errors[:, 1:], flags

    def _fill_alone(self, series: np.ndarray, report: Reporter) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        first, place = distinct_rows(series)
        keys = [series[row].tobytes() for row in first]
        new = [number for number, key in enumerate(keys) if key not in self._known]
        filled, errors = np.empty((len(first), series.shape[1])), np.empty((len(first), 2))
        flags = np.empty(filled.shape, np.uint8)
        if new:
            filled[new], errors[new], flags[new] = self._solve(series[first[new]], report)
        for number in set(range(len(first))) - set(new):
            filled[number], errors[number], flags[number] = self._known[keys[number]]
        room = CACHE_SHARE * self.memory_mb * 1e6 / (25 * series.shape[1]) - len(self._known)
        for number in new[: max(int(room), 0)]:
            self._known[keys[number]] = filled[number], errors[number], flags[number]
        return filled[place], errors[place], flags[place]

    def _solve(self, series: np.ndarray, report: Reporter) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        solved: SsaResult = fill_gaps(series, self.months, progress=report, **self.settings)
        self.distinct += solved.distinct
        return solved.filled, np.column_stack([solved.short_error, solved.long_error]), solved.flags

    def _note(self, errors: np.ndarray, flags: np.ndarray) -> None:
        self._errors.append(errors.astype(np.float32))
        kind = flags.max(axis=0, initial=OBSERVED)
        self._kind = kind if self._kind is None else np.maximum(self._kind, kind)

    def median_errors(self) -> tuple[float, float]:
        """Medians of eps1 and eps2 over cells; NaN where none is known."""
        errors = np.concatenate(self._errors)
        return tuple(float(np.nanmedian(column)) if np.isfinite(column).any() else np.nan for column in errors.T)

    def months_by_flag(self, missing: np.ndarray) -> tuple[int, int]:
        """How many of the `missing` months are short and how many long gaps (in any cell)."""
        return tuple(int(np.count_nonzero(missing & (self._kind == flag))) for flag in (SHORT_GAP, LONG_GAP))

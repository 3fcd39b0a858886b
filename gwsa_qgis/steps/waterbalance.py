"""Water balance: groundwater storage anomaly from total water storage and land-surface storages (Eq. 15)."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import NoUsableData
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.inspection import describe_months, list_months, months_with_values
from gwsa_qgis.rasters.stack import MonthlyStack, common_months, create_stack
from gwsa_qgis.rasters.windows import DEFAULT_MEMORY_MB, LANES, Window, map_windows, plan_windows
from gwsa_qgis.science.water_balance import DEFAULT_BASELINE, baseline_mask, groundwater_anomaly
from gwsa_qgis.steps.storage_units import to_centimetres

# float32 as read and float64 as computed, for five components and their anomalies.
BYTES_PER_VALUE = 5 * 4 + 9 * 8
FEW_BASELINE_MONTHS = 12


@dataclass(frozen=True)
class WaterBalanceResult:
    """What `waterbalance` wrote.

    Attributes
    ----------
    output : Path
        GWSA stack, cm.
    months : (n_months,) datetime64[M]
    filled : (n_months,) bool
        Months that rest on gap filling.
    valid_cells : int
        Cells with a value in some month.
    """

    output: Path
    months: np.ndarray
    filled: np.ndarray
    valid_cells: int


def waterbalance(
    twsa: str | Path,
    output: str | Path,
    *,
    observed: str | Path | None = None,
    sms: str | Path,
    swe: str | Path,
    cws: str | Path,
    baseline_start: str = DEFAULT_BASELINE[0],
    baseline_end: str = DEFAULT_BASELINE[1],
    memory_mb: float = DEFAULT_MEMORY_MB,
    workers: int = 1,
    progress: ProgressFunction | None = None,
) -> WaterBalanceResult:
    """Subtract soil moisture, snow and canopy water from total water storage, all as anomalies to one baseline.

    Parameters
    ----------
    twsa : path
        Total water storage anomaly, gaps filled or not.
    output : path
        Groundwater storage anomaly, cm, for the months that all stacks cover.
    observed : path, optional
        The same with its gaps as NoData: its months stay as observed, only missing ones are taken from `twsa`.
    sms, swe, cws : path
        Soil moisture, snow water equivalent and canopy water storage, on the grid of `twsa`.
    baseline_start, baseline_end : str
        Months whose mean is zero. The means of all components of a cell are taken over the same months: those in
        which it is observed (not gap-filled) and has every storage.

    Raises
    ------
    GridMismatch
        If the stacks are not on one grid.
    InvalidMonths
        If they have no month in common, or none in the baseline.
    NoUsableData
        If no cell has all components in a month of the baseline.
    """
    report = Reporter(progress)
    paths = {"TWSA": twsa, "SMS": sms, "SWE": swe, "CWS": cws} | ({"OBSERVED": observed} if observed else {})
    baseline = (baseline_start, baseline_end)
    with ExitStack() as files:
        stacks = {name: files.enter_context(MonthlyStack(path)) for name, path in paths.items()}
        months, factors = _check(stacks, baseline, report)
        filled = _filled_months(stacks, months, memory_mb)
        grid = stacks["TWSA"].grid
    if filled.any():
        report.say(f"{filled.sum()} months are filled: {list_months(months[filled])}")

    def balance(window: Window) -> tuple[np.ndarray, int, int]:
        values = {}
        for name, path in paths.items():
            with MonthlyStack(path) as stack:
                values[name] = stack.read_months(months, *window.slices) * np.float64(factors[name])
        storages = [values[name] for name in ("SMS", "SWE", "CWS")]
        result = groundwater_anomaly(
            values["TWSA"], storages, months, observed=values.get("OBSERVED"), filled=filled, baseline=baseline
        )
        valid = np.isfinite(result.groundwater).any(axis=0)
        fewest = int(result.baseline_months[valid].min()) if valid.any() else 0
        return result.groundwater.astype(np.float32), np.count_nonzero(valid), fewest

    windows = plan_windows(grid, BYTES_PER_VALUE * months.size * LANES, memory_mb=memory_mb)
    valid_cells, fewest = 0, months.size
    with create_stack(
        output,
        grid,
        months,
        quantity="groundwater storage anomaly",
        baseline=f"{baseline_start} to {baseline_end}",
        filled=filled,
        step="waterbalance",
    ) as writer:
        for window, (groundwater, valid, few) in map_windows(
            balance, windows, workers=workers, progress=report, message="Water balance"
        ):
            writer.write(groundwater, window.row, window.column)
            valid_cells += valid
            fewest = min(fewest, few) if valid else fewest
        if not valid_cells:
            raise NoUsableData(
                f"no cell has TWSA, SMS, SWE and CWS in any month of the baseline {baseline_start} to {baseline_end}",
                "give another baseline, or components that overlap in place and time",
            )
    if fewest < FEW_BASELINE_MONTHS:
        report.warn(f"some cells have only {fewest} months of the baseline in which all components are there")
    report.say(f"{valid_cells} cells have groundwater storage, {describe_months(months)}")
    return WaterBalanceResult(Path(output), months, filled, valid_cells)


def _check(
    stacks: dict[str, MonthlyStack], baseline: tuple[str, str], report: Reporter
) -> tuple[np.ndarray, dict[str, float]]:
    """Common months and the factors to cm; grids, units and baseline are checked and told."""
    total = stacks["TWSA"]
    for name, stack in stacks.items():
        total.grid.require_match(stack.grid, f"TWSA {total.path}", f"{name} {stack.path}")
    report.say(f"Grid: {total.grid.describe()}")
    factors = {name: to_centimetres(stack, report) for name, stack in stacks.items()}
    months = common_months(list(stacks.values()))
    for name, stack in stacks.items():
        report.say(f"{name}: {describe_months(stack.months)}")
    if months.size < total.months.size:
        report.warn(f"TWSA is cut to the months that all stacks cover, {describe_months(months)}")
    inside = baseline_mask(months, baseline)
    wanted = int((np.datetime64(baseline[1], "M") - np.datetime64(baseline[0], "M")).astype(int)) + 1
    if inside.sum() < wanted:
        report.warn(f"the data cover {inside.sum()} of the {wanted} months of the baseline")
    return months, factors


def _filled_months(stacks: dict[str, MonthlyStack], months: np.ndarray, memory_mb: float) -> np.ndarray:
    """Months that the total does not owe to observation: flagged in it, or empty in the observed stack."""
    total = stacks["TWSA"]
    filled = total.filled[total.positions(months)]
    if "OBSERVED" in stacks:
        observed = stacks["OBSERVED"]
        empty = ~months_with_values(observed, memory_mb)[observed.positions(months)]
        present = months_with_values(total, memory_mb)[total.positions(months)]
        filled = (empty & present) | observed.filled[observed.positions(months)]
    return filled

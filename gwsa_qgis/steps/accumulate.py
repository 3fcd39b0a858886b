"""Running sums of a monthly stack (step ``accumulate``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.products.cf_time import describe_months
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.shared_stack import SharedStack
from gwsa_qgis.rasters.stack import MonthlyStack, create_stack, require_values
from gwsa_qgis.rasters.windows import DEFAULT_MEMORY_MB, Window, map_windows, plan_windows, tile_taken_over
from gwsa_qgis.science.accumulation import GAP_RULES, running_sum

STEP = "accumulate"


@dataclass(frozen=True)
class AccumulateResult:
    """What was written.

    Attributes
    ----------
    output : Path
    first, last : str
        First and last month.
    gaps : int
        Missing values within series that have others, over all cells and months.
    """

    output: Path
    first: str
    last: str
    gaps: int


def accumulate(
    input: str | Path,
    output: str | Path,
    *,
    gaps: str = "climatology",
    memory_mb: float = DEFAULT_MEMORY_MB,
    workers: int = 1,
    progress: ProgressFunction | None = None,
) -> AccumulateResult:
    """Write the sum since the first month of each cell.

    Parameters
    ----------
    input : path
        Monthly stack of amounts (mm a month).
    output : path
        Stack in the same unit and months.
    gaps : {"climatology", "zero", "propagate"}
        What a missing value adds: the cell's mean of that calendar month (a sum that skipped it would stand too low
        ever after), nothing, or NoData from there on. Gaps are counted and warned of. Cells without any value stay NoData.
    memory_mb, workers, progress
        As in all steps.

    Raises
    ------
    GwsaError
        For a file that is no monthly stack, or has no value.
    """
    report = Reporter(progress)
    if gaps not in GAP_RULES:
        raise InvalidParameter(f"GAPS is {gaps!r}", f"give one of {', '.join(GAP_RULES)}")
    with MonthlyStack(input) as stack:
        grid, months, tile = stack.grid, stack.months, stack.tile
        unit, quantity = stack.unit(), stack.quantity
    report.say(f"{input}: {months.size} months, {months[0]} to {months[-1]}, {grid.describe()}.")

    def compute(window: Window) -> tuple[np.ndarray, int, np.ndarray]:
        values = shared.read(window)
        lost = np.isnan(values).all(axis=(1, 2))
        total, missing = running_sum(values, months, gaps)
        return total.astype(np.float32), missing, lost

    count = valid = 0
    lost = np.ones(months.size, bool)
    tile = tile_taken_over(tile, grid, 32 * months.size, memory_mb)
    windows = plan_windows(grid, 32 * months.size, memory_mb=memory_mb, tile=tile)
    name = f"accumulated {quantity}".strip()
    made = create_stack(output, grid, months, unit=unit, quantity=name, step=STEP, tile=tile)
    with made as writer, SharedStack.for_windows(input, windows) as shared:
        for window, (total, missing, empty) in map_windows(compute, windows, workers=workers, progress=report):
            count, lost = count + missing, lost & empty
            valid += int(np.isfinite(total).sum())
            writer.write(total, window.row, window.column)
        require_values(input, valid)
    if count:
        how = {
            "climatology": "each took the cell's mean of its calendar month",
            "zero": "each added nothing",
            "propagate": "sums end there",
        }
        which = f", among them the whole months {describe_months(months[lost])}" if lost.any() else ""
        report.warn(f"{count} values are missing{which}: {how[gaps]}.")
    report(1.0, f"Written {months.size} months to {output}.")
    return AccumulateResult(Path(output), str(months[0]), str(months[-1]), count)

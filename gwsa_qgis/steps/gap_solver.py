"""Series of a stack filled window by window, each distinct one once."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np

from gwsa_qgis.errors import NoUsableData
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.long_run import LongRun
from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.rasters.windows import map_on_cluster, on_cluster, plan_windows
from gwsa_qgis.science.hidden_months import METHODS
from gwsa_qgis.science.ssa import OBSERVED, SHORT_GAP, SsaResult, distinct_rows, fill_gaps
from gwsa_qgis.science.supports import support_sums
from gwsa_qgis.steps.mascon_labels import MasconLabels

# A cell's series as read, as float64, filled and flagged; solving holds a batch of series at a time.
BYTES_PER_VALUE = 4 + 6 * 8
CACHE_SHARE = 0.3
CHOICES = ("long_window", "long_modes", "long_share", "short_share")
HIDDEN = tuple(f"{kind} {method}" for kind in ("hidden_short", "hidden_long") for method in METHODS)
COLUMNS = ("short_error", "long_error", *CHOICES, *HIDDEN, "too_short")
"""What is known of a series beside its values: errors, choices, errors of all methods in hidden months."""


class Solved(NamedTuple):
    """Values and flags (n_series, n_months), and `COLUMNS` (n_series, n_columns)."""

    filled: np.ndarray
    flags: np.ndarray
    table: np.ndarray

    def rows(self, chosen: np.ndarray | int) -> Solved:
        """Those of some series."""
        return Solved(self.filled[chosen], self.flags[chosen], self.table[chosen])


@dataclass
class GapSolver:
    """Fills series and keeps the answers of those it has met, within a share of the memory budget.

    What is solved is also kept by `run`: one that goes on meets the same series in the same order.
    """

    months: np.ndarray
    settings: dict[str, object]
    memory_mb: float
    run: LongRun
    cells: int = 0
    too_short: int = 0
    distinct: int = 0
    refusal: NoUsableData | None = None
    _known: dict[bytes, Solved] = field(default_factory=dict)
    _mascon: Solved | None = None
    _kind: np.ndarray | None = None
    _calls: int = 0

    def solve_mascons(self, stack: MonthlyStack, labels: MasconLabels, memory_mb: float, report: Reporter) -> None:
        """Solve the mean series of each mascon."""
        count = labels.count
        sums, total = np.zeros((2, self.months.size, count))
        weights = stack.grid.row_weights()[:, None]
        for window in plan_windows(stack.grid, BYTES_PER_VALUE * stack.bands, memory_mb=memory_mb):
            found = support_sums(stack.read(*window.slices), labels.read(window), weights[window.row_slice], count)
            sums, total = sums + found[0], total + found[1]
        means = np.divide(sums, total, out=np.full_like(sums, np.nan), where=total > 0).T
        # Means of equal float32 values differ in the last bits of float64: round, so that they stay equal.
        self._mascon = self._solve(means.astype(np.float32).astype(np.float64), report)

    def fill(self, series: np.ndarray, labels: np.ndarray | None, report: Reporter) -> Solved:
        """Fill series (n_series, n_months), `labels` naming the mascon of each (0 none)."""
        self.cells += len(series)
        solved = Solved(
            np.empty(series.shape), np.zeros(series.shape, np.uint8), np.full((len(series), len(COLUMNS)), np.nan)
        )
        alone = np.ones(len(series), bool)
        if labels is not None and self._mascon is not None:
            alone = labels == 0
            answer = self._mascon.rows(labels[~alone] - 1)
            missing = np.isnan(series[~alone])
            # A month that this cell lacks and its mascon has comes from the mascon's other cells.
            flags = np.where(answer.flags == OBSERVED, SHORT_GAP, answer.flags)
            unfilled = np.isnan(answer.filled)
            solved.filled[~alone] = np.where(missing, answer.filled, series[~alone])
            solved.flags[~alone] = np.where(missing & ~unfilled, flags, OBSERVED)
            solved.table[~alone] = answer.table
        if alone.any():
            for part, values in zip(solved, self._fill_alone(series[alone], report), strict=True):
                part[alone] = values
        self._note(solved)
        return solved

    def _fill_alone(self, series: np.ndarray, report: Reporter) -> Solved:
        first, place = distinct_rows(series)
        keys = [series[row].tobytes() for row in first]
        new = [number for number, key in enumerate(keys) if key not in self._known]
        solved = Solved(
            np.empty((len(first), series.shape[1])),
            np.empty((len(first), series.shape[1]), np.uint8),
            np.empty((len(first), len(COLUMNS))),
        )
        if new:
            for part, values in zip(solved, self._solve(series[first[new]], report), strict=True):
                part[new] = values
        for number in set(range(len(first))) - set(new):
            for part, values in zip(solved, self._known[keys[number]], strict=True):
                part[number] = values
        room = CACHE_SHARE * self.memory_mb * 1e6 / (25 * series.shape[1]) - len(self._known)
        for number in new[: max(int(room), 0)]:
            self._known[keys[number]] = Solved(*(part[number].copy() for part in solved))
        return solved.rows(place)

    def _solve(self, series: np.ndarray, report: Reporter) -> Solved:
        self._calls += 1
        try:
            filled, flags, table, distinct = self.run.once(
                f"series {self._calls}", lambda: self._solve_afresh(series, report)
            )
        except NoUsableData as refusal:
            # All series of this window are too short; others may be long enough.
            self.refusal = self.refusal or refusal
            table = np.full((len(series), len(COLUMNS)), np.nan)
            table[:, COLUMNS.index("too_short")] = 1
            return Solved(series, np.full(series.shape, OBSERVED, np.uint8), table)
        self.distinct += int(distinct)
        return Solved(filled, flags, table)

    def _solve_afresh(self, series: np.ndarray, report: Reporter) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
        """Filled series, their flags, `COLUMNS`, and how many are distinct."""
        workers = self.settings["threads"]
        spread = partial(map_on_cluster, workers=workers) if workers > 1 and on_cluster() else None
        found: SsaResult = fill_gaps(series, self.months, progress=report, spread=spread, **self.settings)
        columns = [found.short_error, found.long_error, *(getattr(found, name) for name in CHOICES)]
        columns += [found.hidden_short, found.hidden_long, found.too_short]
        return found.filled, found.flags, np.column_stack(columns).astype(float), found.distinct

    def _note(self, solved: Solved) -> None:
        self.too_short += int(solved.table[:, COLUMNS.index("too_short")].sum())
        kind = solved.flags.max(axis=0, initial=OBSERVED)
        self._kind = kind if self._kind is None else np.maximum(self._kind, kind)

    def require_some(self) -> None:
        """Raise `NoUsableData` with the reason if every series was too short to be filled."""
        if self.refusal is not None and self.too_short == self.cells:
            raise self.refusal

    def months_filled(self, missing: np.ndarray, flag: int) -> int:
        """How many of the `missing` months have been filled as gaps of this kind (in any cell)."""
        return int(np.count_nonzero(missing & (self._kind == flag)))

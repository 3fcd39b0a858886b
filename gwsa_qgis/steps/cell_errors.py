"""Errors of the coarse field by source: GRACE, gap filling and land-surface models, as standard errors of supports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.raster import read_single
from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.rasters.windows import Window
from gwsa_qgis.science.error_budget import gap_error
from gwsa_qgis.science.supports import support_means
from gwsa_qgis.steps.storage_units import to_centimetres
from gwsa_qgis.steps.support_map import SupportMap

GRACE, GAP, LAND = "GRACE", "gap filling", "land-surface models"
MONTHS_AT_ONCE = 24


@dataclass(frozen=True)
class ErrorFiles:
    """Where the errors of the coarse field come from; None where one is not given.

    Attributes
    ----------
    grace, land : Path or None
        Monthly stacks.
    grace_error : float
        cm, where there is no stack.
    short, long, flags : Path or None
        Errors of short gaps and of the long one (single bands), and the stack that says which months are which.
    """

    grace: Path | None
    grace_error: float
    short: Path | None
    long: Path | None
    flags: Path | None
    land: Path | None

    def check(self) -> None:
        """Raise `InvalidParameter` for combinations that say nothing."""
        if not (np.isfinite(self.grace_error) and self.grace_error >= 0):
            raise InvalidParameter(f"GRACE_ERROR is {self.grace_error} cm", "give a number of at least 0")
        if self.flags is None and (self.short is not None or self.long is not None):
            raise InvalidParameter(
                "errors of gap filling were given without FLAGS", "give the FLAGS of gwsa:fillgaps, or neither"
            )
        if self.flags is not None and self.short is None and self.long is None:
            raise InvalidParameter(
                "FLAGS were given without errors of gap filling", "give ERROR_SHORT and ERROR_LONG of gwsa:fillgaps"
            )

    @property
    def stacks(self) -> list[tuple[Path, str]]:
        """Monthly files and their names in messages."""
        found = [(self.grace, "GRACE_UNCERTAINTY"), (self.flags, "FLAGS"), (self.land, "LAND_SPREAD")]
        return [(path, name) for path, name in found if path is not None]

    @property
    def sources(self) -> list[str]:
        """Names of the sources that are given."""
        named = [(GRACE, True), (GAP, self.flags is not None), (LAND, self.land is not None)]
        return [name for name, given in named if given]


class CellErrors:
    """Standard errors of supports, by source, month and coarse window.

    Cells of a mascon have one error, the mean of theirs: errors of cells within a mascon are taken to be the same error,
    not many small ones.

    Parameters
    ----------
    files : ErrorFiles
        Checked.
    support : SupportMap
    months : (n_months,) datetime64[M]
    """

    def __init__(self, files: ErrorFiles, support: SupportMap, months: np.ndarray, report: Reporter) -> None:
        self._files, self._support, self._months = files, support, months
        self._to_cm = {path: _factor(path, report) for path in (files.grace, files.land) if path is not None}
        self._short, self._long = (
            None if path is None else read_single(path, support.grid, name)[0] * _single_factor(path)
            for path, name in ((files.short, "ERROR_SHORT"), (files.long, "ERROR_LONG"))
        )
        self._tables: dict[str, np.ndarray] = {}
        if support.kind == "mascons":
            self._tables = {name: self._table(getter) for name, getter in self._getters().items()}
            if GRACE in self._tables:
                self._tables[GRACE] = _without_gaps(self._tables[GRACE])

    def window(self, window: Window) -> dict[str, np.ndarray]:
        """Error of each source, (n_months, rows, columns) float32, of a window of coarse cells; NaN where not known."""
        if self._tables:
            labels = self._support.labels[window.slices]
            outside = np.full((self._months.size, 1), np.nan, np.float32)
            return {name: np.concatenate([outside, table], axis=1)[:, labels] for name, table in self._tables.items()}
        found = {name: get(window, self._months).astype(np.float32) for name, get in self._getters().items()}
        return found | {GRACE: _without_gaps(found[GRACE])}

    def _getters(self) -> dict[str, Callable[[Window, np.ndarray], np.ndarray]]:
        known = {GRACE: self._grace, GAP: self._gap, LAND: self._land}
        return {name: known[name] for name in self._files.sources}

    def _grace(self, window: Window, months: np.ndarray) -> np.ndarray:
        if self._files.grace is None:
            return np.full((months.size, window.rows, window.columns), self._files.grace_error)
        return self._stack(self._files.grace, window, months)

    def _gap(self, window: Window, months: np.ndarray) -> np.ndarray:
        with MonthlyStack(self._files.flags) as stack:
            flags = stack.read_months(months, *window.slices)
        return gap_error(flags, *(None if e is None else e[window.slices] for e in (self._short, self._long)))

    def _land(self, window: Window, months: np.ndarray) -> np.ndarray:
        return self._stack(self._files.land, window, months)

    def _stack(self, path: Path, window: Window, months: np.ndarray) -> np.ndarray:
        with MonthlyStack(path) as stack:
            return stack.read_months(months, *window.slices) * np.float32(self._to_cm[path])

    def _table(self, get: Callable[[Window, np.ndarray], np.ndarray]) -> np.ndarray:
        """Means over mascons, (n_months, count) float32."""
        grid, support = self._support.grid, self._support
        whole, weights = Window(0, 0, grid.rows, grid.columns), grid.row_weights()[:, None]
        parts = [
            support_means(
                get(whole, self._months[first : first + MONTHS_AT_ONCE]), support.labels, weights, support.count
            )
            for first in range(0, self._months.size, MONTHS_AT_ONCE)
        ]
        return np.concatenate(parts).astype(np.float32)


def _without_gaps(errors: np.ndarray) -> np.ndarray:
    """Months without a solution have no formal error: they get the root mean square of the other months'."""
    known = np.isfinite(errors)
    count = known.sum(0)
    squares = np.where(known, errors, 0).astype(np.float64) ** 2
    usual = np.sqrt(np.divide(squares.sum(0), count, out=np.full(count.shape, np.nan), where=count > 0))
    return np.where(known, errors, usual.astype(np.float32))


def _factor(path: Path, report: Reporter) -> float:
    with MonthlyStack(path) as stack:
        return to_centimetres(stack, report)


def _single_factor(path: Path) -> float:
    """Factor to cm of a single band, in cm where it does not say."""
    from gwsa_qgis.products.units import centimetres_per
    from gwsa_qgis.rasters.raster import Raster

    with Raster(path) as raster:
        unit = raster.unit().strip()
    return centimetres_per(unit, "", str(path)) if unit else 1.0

"""Uncertainty of basin means: errors of supports are one error within a support, and may be one error throughout a basin."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import GridMismatch, InvalidParameter
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.stack import MonthlyStack, common_months
from gwsa_qgis.rasters.windows import Window
from gwsa_qgis.science.error_budget import left_of_within, normal_factor
from gwsa_qgis.science.supports import support_sums
from gwsa_qgis.steps.storage_units import to_centimetres
from gwsa_qgis.steps.support_map import SupportMap, read_support

PIXELS, SUPPORTS = "pixels", "supports"
VALUES_AT_ONCE = 2**18
# A basin has no uncertainty in months in which it is known for less than this share of its area.
LEAST_KNOWN = 0.5


@dataclass(frozen=True)
class ErrorLayer:
    """A stack of errors, and how its values become standard errors in cm."""

    path: Path
    grid: Grid
    months: np.ndarray
    factor: float

    def read(self, months: np.ndarray, window: Window) -> np.ndarray:
        """Standard errors (n_months, cells of the window) float32; NaN in months that the stack lacks."""
        result = np.full((months.size, window.rows * window.columns), np.nan, np.float32)
        has = np.isin(months, self.months)
        with MonthlyStack(self.path) as stack:
            values = stack.read_months(months[has], *window.slices)
        result[has] = values.reshape(len(values), -1)
        result *= np.float32(self.factor)
        return result


@dataclass(frozen=True)
class BasinErrorFiles:
    """What the uncertainty of basins is made from.

    Attributes
    ----------
    kind : {"pixels", "supports"}
        Errors of pixels, or standard errors of supports' means.
    errors : ErrorLayer
        On the fine or on the coarse grid.
    within : ErrorLayer or None
        Errors of departures from supports' means, fine.
    support : SupportMap or None
        On the coarse grid, for errors of supports.
    cell : int
        Fine pixels along a cell of `errors`.
    """

    kind: str
    errors: ErrorLayer
    within: ErrorLayer | None = None
    support: SupportMap | None = None
    cell: int = 1

    @property
    def bytes_per_value(self) -> int:
        """Memory for a pixel and month beside the map itself."""
        return 5 if self.kind == PIXELS or self.within else 1

    def window(self, months: np.ndarray, window: Window) -> WindowErrors:
        """Errors of a window of whole cells."""
        if self.kind == PIXELS:
            return WindowErrors(self.errors.read(months, window))
        cells = window.coarsened(self.cell)
        rows, columns = (np.arange(side) // self.cell for side in (window.rows, window.columns))
        return WindowErrors(
            self.errors.read(months, cells),
            self.within.read(months, window) if self.within else None,
            self.support.labels[cells.slices].ravel(),
            (rows[:, None] * cells.columns + columns).ravel(),
        )


def open_errors(
    uncertainty: str | Path,
    within: str | Path | None,
    mascons: str | Path | None,
    grid: Grid,
    months: np.ndarray,
    report: Reporter,
) -> BasinErrorFiles:
    """Find out what kind of errors a stack of `uncertainty` holds.

    Raises
    ------
    InvalidParameter
        If WITHIN or MASCONS do not go with it, or are wanting.
    GridMismatch
        If it is on neither the map's grid nor one that nests with it.
    InvalidMonths
        If it has no month of the map.
    """
    errors, tags = _open_layer(uncertainty, months, report)
    if "GWSA_SUPPORT" not in tags:
        if within or mascons:
            raise InvalidParameter(
                f"{uncertainty} holds errors of pixels, which go without WITHIN and MASCONS",
                "leave these out, or give CELL of gwsa:uncertainty as UNCERTAINTY",
            )
        if not grid.matches(errors.grid):
            raise GridMismatch(
                f"{uncertainty} ({errors.grid.describe()}) is not on the map's grid ({grid.describe()}) and does not say "
                "whose errors it holds",
                "give OUTPUT or CELL of gwsa:uncertainty",
            )
        return BasinErrorFiles(PIXELS, errors)
    if tags["GWSA_SUPPORT"] == "mascons" and not mascons:
        raise InvalidParameter(
            f"{uncertainty} holds errors of mascons and MASCONS was not given", "give the mascon map"
        )
    cell = grid.factor_to(errors.grid, "the map", f"the errors {uncertainty}")
    departures = None
    if within:
        departures, within_tags = _open_layer(within, months, report)
        grid.require_match(departures.grid, "the map", f"the errors {within}")
        if "GWSA_LEVEL" not in within_tags:
            raise InvalidParameter(
                f"{within} does not say the level of its half-widths", "give WITHIN of gwsa:uncertainty"
            )
    else:
        report.warn(
            "WITHIN was not given: how a part of a mascon or cell departs from its mean is not in the uncertainty, which "
            "is too small for basins that are not much larger than these."
        )
    return BasinErrorFiles(SUPPORTS, errors, departures, read_support(mascons, errors.grid), cell)


def _open_layer(path: str | Path, months: np.ndarray, report: Reporter) -> tuple[ErrorLayer, dict[str, str]]:
    with MonthlyStack(path) as stack:
        tags = stack.metadata()
        factor = to_centimetres(stack, report)
        if "GWSA_LEVEL" in tags:  # half-widths of intervals
            factor /= normal_factor(float(tags["GWSA_LEVEL"]))
        shared = _Months(months, "the map")
        common_months([shared, stack])
        return ErrorLayer(Path(path), stack.grid, stack.months, factor), tags


@dataclass(frozen=True)
class _Months:
    months: np.ndarray
    path: str


@dataclass(frozen=True)
class WindowErrors:
    """Errors of a window: of pixels, or of cells with what departs within them.

    Attributes
    ----------
    values : (n_months, pixels or cells) float32
    within : (n_months, pixels) float32 or None
    labels : (cells,) int or None
        Support of each cell.
    cell_of : (pixels,) int or None
        Cell of each pixel.
    """

    values: np.ndarray
    within: np.ndarray | None = None
    labels: np.ndarray | None = None
    cell_of: np.ndarray | None = None

    def supports_of(self, pixels: np.ndarray) -> np.ndarray:
        """Label of the support that each pixel lies in."""
        return self.labels[self.cell_of[pixels]]

    def of_pixels(self, pixels: np.ndarray, areas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sums of area times error, and the areas whose error is known, (n_months,)."""
        return _known_sums(self.values, pixels, areas, np.zeros(pixels.size, int), 1)[:, 0]

    def of_supports(
        self, pixels: np.ndarray, areas: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Labels (n,), areas (n,), and area times error of means and departures (n, n_months) of the supports met."""
        cells, cell_place = np.unique(self.cell_of[pixels], return_inverse=True)
        cell_areas = np.bincount(cell_place.ravel(), areas)
        labels, place = np.unique(self.labels[cells], return_inverse=True)
        place = place.ravel()
        area = np.bincount(place, cell_areas, labels.size)
        means = _known_means(self.values, cells, cell_areas, place, labels.size) * area[:, None]
        departures = np.zeros_like(means)
        if self.within is not None:
            pixel_place = place[cell_place.ravel()]
            departures = _known_means(self.within, pixels, areas, pixel_place, labels.size) * area[:, None]
        return labels, area, means, departures


def _known_means(values: np.ndarray, at: np.ndarray, areas: np.ndarray, group: np.ndarray, count: int) -> np.ndarray:
    """Means over the known values of each group, (count, n_months); NaN where none is known."""
    totals, known = _known_sums(values, at, areas, group, count)
    return np.divide(totals, known, out=np.full(totals.shape, np.nan), where=known > 0)


def _known_sums(values: np.ndarray, at: np.ndarray, areas: np.ndarray, group: np.ndarray, count: int) -> np.ndarray:
    """Sums of area times value, and of the areas that have one, (2, count, n_months)."""
    order = np.argsort(group, kind="stable")
    at, areas, starts = at[order], areas[order], np.searchsorted(group[order], np.arange(count))
    totals = np.zeros((2, count, len(values)))
    step = max(1, VALUES_AT_ONCE // at.size)
    for first in range(0, len(values), step):
        chosen = np.take(values[first : first + step], at, axis=1).astype(np.float64)
        known = np.isfinite(chosen)
        chosen[~known] = 0.0
        chosen *= areas
        totals[0, :, first : first + step] = np.add.reduceat(chosen, starts, axis=1).T
        totals[1, :, first : first + step] = np.add.reduceat(known * areas, starts, axis=1).T
    return totals


class BasinErrors:
    """Errors of basins, added up window after window.

    Parameters
    ----------
    files : BasinErrorFiles
    basins, months : int
    """

    def __init__(self, files: BasinErrorFiles, basins: int, months: int) -> None:
        self.files = files
        self._sums = np.zeros((2, basins, months))  # of pixels: area times error, and area that is known
        self._areas = np.zeros(basins)
        self._pairs: dict[tuple[int, int], _Pair] = {}
        self._support_areas: dict[int, float] = {}
        self._parts = _Parts(basins, months)

    def add_pixels(self, basin: int, sums: np.ndarray, area: float) -> None:
        """Take in what `WindowErrors.of_pixels` found on an area."""
        self._sums[:, basin] += sums
        self._areas[basin] += area

    def add_supports(self, basin: int, found: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]) -> None:
        """Take in what `WindowErrors.of_supports` found."""
        for label, area, means, departures in zip(*found, strict=True):
            pair = self._pairs.get((basin, int(label)))
            if pair is None:
                self._pairs[basin, int(label)] = _Pair(area, means, departures)
            else:
                pair.area += area
                pair.means = pair.means + means
                pair.departures = pair.departures + departures

    def add_window(self, labels: np.ndarray, areas: np.ndarray) -> None:
        """Take in the mapped areas (n,) of the supports of a window; what is whole with it is settled."""
        for label, area in zip(labels.tolist(), areas.tolist(), strict=True):
            self._support_areas[label] = self._support_areas.get(label, 0.0) + area
        if self.files.support.kind == "cells":
            self._settle()

    def _settle(self) -> None:
        for (basin, label), pair in self._pairs.items():
            left = left_of_within(pair.area / self._support_areas[label]) if label else 1.0
            self._parts.add(basin, pair.area, pair.means, pair.departures * left)
        self._pairs.clear()
        self._support_areas.clear()

    def standard_errors(self) -> tuple[np.ndarray, np.ndarray]:
        """Standard errors (n_basins, n_months): with one error throughout a basin, and with independent supports, cm."""
        if self.files.kind == PIXELS:
            totals, known = self._sums
            enough = (known > 0) & (known >= LEAST_KNOWN * self._areas[:, None])
            together = np.divide(totals, known, out=np.full(totals.shape, np.nan), where=enough)
            return together, np.full_like(together, np.nan)
        self._settle()
        return self._parts.standard_errors()


@dataclass
class _Pair:
    """What a basin has of a support: its area there, and area times error (n_months,) of mean and departure."""

    area: float
    means: np.ndarray
    departures: np.ndarray


@dataclass
class _Parts:
    """Sums over the supports of each basin."""

    basins: int
    months: int
    linear: np.ndarray = field(init=False)
    squares: np.ndarray = field(init=False)
    known: np.ndarray = field(init=False)
    total: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        shape = (2, self.basins, self.months)  # means and departures
        self.linear, self.squares = np.zeros(shape), np.zeros(shape)
        self.known, self.total = np.zeros(shape[1:]), np.zeros(self.basins)

    def add(self, basin: int, area: float, means: np.ndarray, departures: np.ndarray) -> None:
        """Add a support; months in which one of its errors is not known do not count."""
        both = np.stack([means, departures])
        known = np.isfinite(both).all(0)
        both = np.where(known, both, 0.0)
        self.linear[:, basin] += both
        self.squares[:, basin] += both**2
        self.known[basin] += known * area
        self.total[basin] += area

    def standard_errors(self) -> tuple[np.ndarray, np.ndarray]:
        """As `BasinErrors.standard_errors`."""
        enough = (self.known > 0) & (self.known >= LEAST_KNOWN * self.total[:, None])
        area = np.where(enough, self.known, np.nan)
        return np.sqrt((self.linear**2).sum(0)) / area, np.sqrt(self.squares.sum(0)) / area


def mapped_areas(labels: np.ndarray, ever: np.ndarray, row_areas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels of a window's supports, and the area of their pixels that have a value in any month.

    Parameters
    ----------
    labels, ever : (rows, columns)
    row_areas : (rows,)
    """
    names, place = np.unique(labels, return_inverse=True)
    sums, _ = support_sums(ever[None].astype(float), place.reshape(labels.shape) + 1, row_areas[:, None], names.size)
    return names, sums[0]

"""One pass over a stack: sums over all basins, window after window."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidParameter, NoUsableData
from gwsa_qgis.products.basins import COVERAGE_BYTES, Basins
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.stack import MonthlyStack, common_months
from gwsa_qgis.rasters.windows import LANES, Window, map_windows, plan_windows
from gwsa_qgis.science.basin_series import weighted_sums
from gwsa_qgis.steps.basin_errors import PIXELS, BasinErrorFiles, BasinErrors, WindowErrors, mapped_areas

# float32 as read, and which values are valid.
BYTES_PER_VALUE = 5
# Sums of a basin in a month, all kinds of them, and what is made from them.
BYTES_PER_BASIN_MONTH = 160


@dataclass(frozen=True)
class Flags:
    """Which months are filled, by coarse cell: a stack of `fillgaps`."""

    path: Path
    months: np.ndarray
    cell: int

    def read(self, months: np.ndarray, window: Window) -> np.ndarray:
        """Flags (n_months, cells of the window) uint8; 0 where nothing is said."""
        cells = window.coarsened(self.cell)
        result = np.zeros((months.size, cells.rows * cells.columns), np.uint8)
        has = np.isin(months, self.months)
        with MonthlyStack(self.path) as stack:
            values = stack.read_months(months[has], *cells.slices)
        result[has] = np.nan_to_num(values).reshape(len(values), -1)
        return result


def open_flags(path: str | Path, grid: Grid, stack: MonthlyStack) -> Flags:
    """Check that flags nest with the map and share months with it."""
    with MonthlyStack(path) as flags:
        cell = grid.factor_to(flags.grid, "the map", f"the flags {path}")
        common_months([stack, flags])
        return Flags(Path(path), flags.months, cell)


@dataclass(frozen=True)
class SumsJob:
    """What the pass reads.

    Attributes
    ----------
    to_cm : float
        Factor on the stack's values.
    """

    input: Path
    grid: Grid
    months: np.ndarray
    to_cm: float
    basins: Basins
    errors: BasinErrorFiles | None
    flags: Flags | None

    @property
    def multiple(self) -> int:
        """Windows are made of whole cells of the coarse inputs."""
        sides = [self.errors.cell if self.errors else 1, self.flags.cell if self.flags else 1]
        return int(np.lcm.reduce(sides))


@dataclass
class BasinSums:
    """Sums over basins.

    Attributes
    ----------
    weighted, area : (n_basins, n_months) float64
        Area times value (km2 cm), and area that has a value (km2).
    mapped, covered : (n_basins,) float64
        Area that has a value in any month, and that lies on the raster, km2.
    pixels : (n_basins,) int
        Pixels that a basin touches and that have a value in any month.
    flags : (n_basins, n_months) uint8
        Largest flag of the cells that it meets.
    overlap : float
        Area that lies in more than one basin, counted once for each further one, km2.
    """

    count: int
    months: int
    weighted: np.ndarray = field(init=False)
    area: np.ndarray = field(init=False)
    flags: np.ndarray = field(init=False)
    mapped: np.ndarray = field(init=False)
    covered: np.ndarray = field(init=False)
    pixels: np.ndarray = field(init=False)
    overlap: float = 0.0

    def __post_init__(self) -> None:
        self.weighted, self.area = np.zeros((2, self.count, self.months))
        self.flags = np.zeros((self.count, self.months), np.uint8)
        self.mapped, self.covered = np.zeros((2, self.count))
        self.pixels = np.zeros(self.count, int)

    def add(self, part: BasinPart) -> None:
        """Take in a basin's part of a window."""
        number = part.number
        self.weighted[number] += part.weighted
        self.area[number] += part.area
        self.mapped[number] += part.mapped
        self.covered[number] += part.covered
        self.pixels[number] += part.pixels
        if part.flags is not None:
            np.maximum(self.flags[number], part.flags, out=self.flags[number])

    def means(self, least: float) -> np.ndarray:
        """Means (n_basins, n_months), cm; NaN in months with values on less than a share of the mapped area."""
        enough = (self.area > 0) & (self.area >= least * self.mapped[:, None])
        return np.divide(self.weighted, self.area, out=np.full(self.area.shape, np.nan), where=enough)


@dataclass(frozen=True)
class BasinPart:
    """What one window holds of a basin; attributes as those of `BasinSums`."""

    number: int
    weighted: np.ndarray
    area: np.ndarray
    mapped: float
    covered: float
    pixels: int
    flags: np.ndarray | None
    errors: tuple | None


@dataclass(frozen=True)
class WindowSums:
    """What one window holds of all basins."""

    parts: list[BasinPart]
    overlap: float
    supports: tuple[np.ndarray, np.ndarray] | None


def sum_basins(
    job: SumsJob, memory_mb: float, workers: int, progress: Reporter
) -> tuple[BasinSums, BasinErrors | None]:
    """Read the stack once and add up all basins.

    Raises
    ------
    InvalidParameter
        If the budget does not hold the basins' series.
    NoUsableData
        If no basin has a value.
    """
    series_mb = len(job.basins) * job.months.size * BYTES_PER_BASIN_MONTH / 1e6
    left = memory_mb - series_mb
    if left < memory_mb / 4:
        raise InvalidParameter(
            f"the series of {len(job.basins)} basins take {series_mb:.0f} MB of the memory budget of {memory_mb:g} MB",
            f"give at least {np.ceil(series_mb * 4 / 3):.0f} MB, or fewer basins",
        )
    sums = BasinSums(len(job.basins), job.months.size)
    errors = BasinErrors(job.errors, len(job.basins), job.months.size) if job.errors else None
    per_value = BYTES_PER_VALUE + (job.errors.bytes_per_value if job.errors else 0)
    per_cell = (per_value * job.months.size + COVERAGE_BYTES) * LANES
    with MonthlyStack(job.input) as stack:
        tile = stack.tile
    windows = plan_windows(job.grid, per_cell, memory_mb=left, multiple=job.multiple, tile=tile)
    for _, found in map_windows(
        lambda window: window_sums(job, window), windows, workers=workers, progress=progress, message="Basins"
    ):
        sums.overlap += found.overlap
        for part in found.parts:
            sums.add(part)
            if errors is not None:
                _add_errors(errors, part)
        if found.supports is not None:
            errors.add_window(*found.supports)
    if not sums.mapped.any():
        raise NoUsableData(
            f"no basin has a value of {job.input} ({job.grid.describe()})",
            "give basins of the same region, and check both coordinate reference systems and the raster's mask",
        )
    return sums, errors


def _add_errors(errors: BasinErrors, part: BasinPart) -> None:
    if part.errors is None:
        return
    if errors.files.kind == PIXELS:
        errors.add_pixels(part.number, part.errors, part.mapped)
    else:
        errors.add_supports(part.number, part.errors)


def window_sums(job: SumsJob, window: Window) -> WindowSums:
    """Sums over the basins of one window."""
    mascons = job.errors is not None and job.errors.kind != PIXELS and job.errors.support.kind == "mascons"
    if not (mascons or job.basins.meet(window)):
        return WindowSums([], 0.0, None)
    row_areas = job.grid.row_areas_km2()[window.row_slice]
    with MonthlyStack(job.input) as stack:
        values = stack.read(*window.slices).reshape(job.months.size, -1)
    if job.to_cm != 1.0:
        values *= np.float32(job.to_cm)
    ever = np.zeros(values.shape[1], bool)
    for month in values:
        ever |= np.isfinite(month)
    inputs = _WindowInputs(
        window,
        row_areas,
        values,
        ever,
        job.errors.window(job.months, window) if job.errors else None,
        job.flags.read(job.months, window) if job.flags else None,
        job.flags.cell if job.flags else 1,
    )
    times_covered = np.zeros(window.rows * window.columns)
    parts = [_sum_basin(*found, inputs, times_covered) for found in job.basins.within(window)]
    overlap = np.maximum(times_covered - 1.0, 0.0).reshape(window.rows, -1).sum(1) @ row_areas
    supports = None
    if inputs.errors is not None and inputs.errors.labels is not None:
        labels = inputs.errors.supports_of(slice(None)).reshape(window.rows, window.columns)
        supports = mapped_areas(labels, ever.reshape(labels.shape), row_areas)
    return WindowSums(parts, float(overlap), supports)


@dataclass(frozen=True)
class _WindowInputs:
    """What is read of a window; pixels are counted row by row."""

    window: Window
    row_areas: np.ndarray
    values: np.ndarray
    ever: np.ndarray
    errors: WindowErrors | None
    flags: np.ndarray | None
    flag_cell: int


def _sum_basin(
    number: int, part: Window, shares: np.ndarray, inputs: _WindowInputs, times_covered: np.ndarray
) -> BasinPart:
    window = inputs.window
    rows, columns = np.nonzero(shares)
    share = shares[rows, columns]
    rows, columns = rows + part.row - window.row, columns + part.column - window.column
    pixels, areas = rows * window.columns + columns, share * inputs.row_areas[rows]
    times_covered[pixels] += share
    covered = float(areas.sum())
    flags = None
    if inputs.flags is not None and pixels.size:
        cells = np.unique(rows // inputs.flag_cell * (window.columns // inputs.flag_cell) + columns // inputs.flag_cell)
        flags = inputs.flags[:, cells].max(axis=1)
    ever = inputs.ever[pixels]
    pixels, areas = pixels[ever], areas[ever]
    weighted, area = weighted_sums(inputs.values, pixels, areas)
    errors = None
    if inputs.errors is not None and pixels.size:
        of = inputs.errors.of_pixels if inputs.errors.labels is None else inputs.errors.of_supports
        errors = of(pixels, areas)
    return BasinPart(number, weighted, area, float(areas.sum()), covered, pixels.size, flags, errors)

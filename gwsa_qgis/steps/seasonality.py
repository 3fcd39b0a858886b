"""Seasonal contribution (Eq. 20): how much of a pixel's variation is the year's course, and when it peaks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidParameter, NoUsableData
from gwsa_qgis.months import calendar_year
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.inspection import describe_months
from gwsa_qgis.rasters.long_run import long_run
from gwsa_qgis.rasters.raster import create_raster
from gwsa_qgis.rasters.shared_stack import SharedStack
from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.rasters.windows import (
    DEFAULT_MEMORY_MB,
    LANES,
    Window,
    map_windows,
    plan_windows,
    put_thinned,
    tile_taken_over,
)
from gwsa_qgis.report.maps import MOST_PIXELS
from gwsa_qgis.science.annual_cycle import FEWEST_YEARS, NO_MONTH, maximum_month
from gwsa_qgis.science.seasonality import THRESHOLDS, seasonal_parts
from gwsa_qgis.steps.seasonality_report import SeasonalityFacts, seasonality_page
from gwsa_qgis.steps.text_outputs import stage_text

STEP = "seasonality"
# float32 as read, and what GDAL keeps of it while it unpacks; results and their masks.
BYTES_PER_VALUE, BYTES_PER_PIXEL = 6, 120
# The rest of the budget is for GDAL's cache, the series that are computed at once, and the libraries themselves.
SHARE_OF_WINDOWS = 0.6
CLASS_WIDTH = 10


@dataclass(frozen=True)
class SeasonalityResult:
    """What `seasonality` wrote.

    Attributes
    ----------
    output : Path
        Seasonal contribution, percent.
    maximum, report : Path or None
    shares_above : dict of float to float
        Percent of the area whose contribution is above 50 and 66 %.
    mean : float
        Area-weighted mean contribution, percent.
    area_km2 : float
        Area with a contribution.
    pixels : int
        Pixels with a contribution.
    most_years, fewest_years : int
        Years that count, in the pixel that has most and in the one that has fewest.
    left_out : tuple of int
        Calendar years with too few months in the stack.
    """

    output: Path
    maximum: Path | None
    report: Path | None
    shares_above: dict[float, float]
    mean: float
    area_km2: float
    pixels: int
    most_years: int
    fewest_years: int
    left_out: tuple[int, ...]


def seasonality(
    input: str | Path,
    output: str | Path,
    *,
    maximum: str | Path | None = None,
    report: str | Path | None = None,
    minimum_months: int = 12,
    memory_mb: float = DEFAULT_MEMORY_MB,
    workers: int = 1,
    progress: ProgressFunction | None = None,
) -> SeasonalityResult:
    """Map how much of the variation is seasonal.

    Parameters
    ----------
    input : path
        Monthly stack.
    output : path
        C = s / (s + d) in percent: s the standard deviation of the months of a year, averaged over the years, d that of
        the annual means (`science.seasonality`).
    maximum : path, optional
        Calendar month in which the mean annual course is highest, 1 to 12; 0 (NoData) where no course returns
        (`science.annual_cycle`).
    report : path, optional
        Page with a map and area shares.
    minimum_months : int
        A calendar year counts, in each pixel, if it has at least so many months with values. The published figures
        take 2002 with its 9 months (April to December) as a year: 9.

    Raises
    ------
    InvalidParameter
        If the least number of months is not 1 to 12.
    NoUsableData
        If no pixel has two years that count.
    """
    say = Reporter(progress)
    if not 1 <= minimum_months <= 12:
        raise InvalidParameter(f"MINIMUM_MONTHS is {minimum_months}", "give 1 to 12, where 12 takes whole years alone")
    with MonthlyStack(input) as stack:
        grid, months, quantity, unit, tile = stack.grid, stack.months, stack.quantity, stack.unit(), stack.tile
    say.say(f"{describe_months(months)}; {grid.describe()}")
    left_out = _tell_years(months, minimum_months, str(input), say)

    def compute(window: Window) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        series = shared.read(window).reshape(months.size, -1).T
        parts, shape = seasonal_parts(series, months, minimum_months), (window.rows, window.columns)
        peak = maximum_month(series, months).reshape(shape) if maximum or report else None
        return parts.contribution.reshape(shape), parts.years.reshape(shape), peak

    tags = {"GWSA_STEP": STEP, "GWSA_QUANTITY": f"seasonal contribution to {quantity}".strip()}
    tags |= {"GWSA_PERIOD": f"{months[0]} to {months[-1]}", "GWSA_MINIMUM_MONTHS": str(minimum_months)}
    found = _Areas(grid)
    bytes_per_cell = BYTES_PER_VALUE * months.size + BYTES_PER_PIXEL
    # Larger windows than the usual budget's are no quicker, and make cancelling slow.
    share = SHARE_OF_WINDOWS * min(memory_mb, DEFAULT_MEMORY_MB)
    tile = tile_taken_over(tile, grid, bytes_per_cell * LANES, share)
    windows = plan_windows(grid, bytes_per_cell * LANES, memory_mb=share, tile=tile)
    settings = {"minimum_months": minimum_months, "peaks": bool(maximum or report), "MEMORY": memory_mb}
    with (
        long_run(STEP, output, {"INPUT": input}, settings, say) as run,
        SharedStack.for_windows(input, windows) as shared,
    ):
        writer = run.outputs.enter_context(
            create_raster(output, grid, descriptions=["seasonal contribution (%)"], unit="%", metadata=tags)
        )
        peaks = run.outputs.enter_context(_create_maximum(maximum, grid, tags)) if maximum else None
        each = partial(map_windows, compute, workers=workers, message="Seasonality")
        for window, layers in run.results("seasonality", windows, each, say):
            writer.write(layers[0].astype(np.float32), window.row, window.column)
            if peaks is not None:
                peaks.write(np.where(np.isfinite(layers[0]), layers[2], NO_MONTH), window.row, window.column)
            found.add(window, *layers)
        if not found.pixels:
            raise NoUsableData(
                f"no pixel of {input} varies over two years with {minimum_months} months each",
                "check the stack's mask, fill its gaps with gwsa:fillgaps, or lower MINIMUM_MONTHS",
            )
        paths = (Path(path) if path else None for path in (output, maximum, report))
        result = SeasonalityResult(*paths, *found.figures(), left_out)
        if report:
            facts = SeasonalityFacts(str(input), grid, months, unit, minimum_months, left_out, found.by_class,
                                     found.by_month, found.map, found.thin, result.shares_above, result.mean,
                                     result.most_years, result.fewest_years)  # fmt: skip
            stage_text(run.outputs, report, seasonality_page(facts).render())
    shares = " and ".join(f"{limit:g} % in {share:.2f} %" for limit, share in result.shares_above.items())
    say.say(f"{result.pixels} pixels, mean {result.mean:.1f} %: above {shares} of the area")
    return result


def _tell_years(months: np.ndarray, minimum_months: int, path: str, say: Reporter) -> tuple[int, ...]:
    """Calendar years that cannot count for want of months in the stack, told; raises unless two can."""
    years, counts = np.unique(calendar_year(months), return_counts=True)
    if (counts >= minimum_months).sum() < 2:
        raise NoUsableData(
            f"{path} has {months.size} months, {describe_months(months)}, and no two calendar years with "
            f"{minimum_months} of them",
            "give a longer stack, or lower MINIMUM_MONTHS",
        )
    short = [(int(year), int(count)) for year, count in zip(years, counts, strict=True) if count < minimum_months]
    if short:
        named = ", ".join(f"{year} ({count} months)" for year, count in short)
        say.say(f"Left out, as fewer than {minimum_months} months are there: {named}")
    partial = [str(year) for year, count in zip(years, counts, strict=True) if minimum_months <= count < 12]
    if partial:
        say.warn(
            f"{', '.join(partial)} counts as a year without all of its months: its mean holds a part of the season"
        )
    return tuple(year for year, _ in short)


def _create_maximum(path: str | Path, grid: Grid, tags: dict[str, str]) -> object:
    about = {"GWSA_QUANTITY": "month of the annual maximum", "GWSA_FEWEST_YEARS": str(FEWEST_YEARS)}
    names = ["month of the annual maximum"]
    return create_raster(path, grid, dtype="uint8", nodata=NO_MONTH, descriptions=names, metadata=tags | about)


class _Areas:
    """True areas by contribution and by month of the maximum, added up over windows."""

    def __init__(self, grid: Grid) -> None:
        self.row_areas = grid.row_areas_km2()
        self.by_class = np.zeros(100 // CLASS_WIDTH)
        self.by_month = np.zeros(13)
        self.thin = max(1, -(-max(grid.shape) // MOST_PIXELS))
        self.map = np.full((1, -(-grid.rows // self.thin), -(-grid.columns // self.thin)), np.nan, np.float32)
        self.pixels, self._area, self._weighted = 0, 0.0, 0.0
        self._above = dict.fromkeys(THRESHOLDS, 0.0)
        self._years = [np.inf, -np.inf]

    def add(self, window: Window, contribution: np.ndarray, years: np.ndarray, peak: np.ndarray | None) -> None:
        """Take in a window: contribution (percent), years that count, month of the maximum (rows, columns)."""
        put_thinned(self.map, contribution[None], window, self.thin)
        valid = np.isfinite(contribution)
        if not valid.any():
            return
        area = np.broadcast_to(self.row_areas[window.row_slice, None], valid.shape)[valid]
        # float32, as it is written: shares are those of the map
        values = contribution[valid].astype(np.float32).astype(np.float64)
        self.pixels += values.size
        self._area += area.sum()
        self._weighted += (values * area).sum()
        for limit in THRESHOLDS:
            self._above[limit] += area[values > limit].sum()
        place = np.minimum(values // CLASS_WIDTH, self.by_class.size - 1).astype(int)
        self.by_class += np.bincount(place, area, self.by_class.size)
        if peak is not None:
            self.by_month += np.bincount(peak[valid], area, self.by_month.size)
        self._years = [min(self._years[0], years[valid].min()), max(self._years[1], years[valid].max())]

    def figures(self) -> tuple:
        """Shares above the limits, mean, area, pixels, most and fewest years: as `SeasonalityResult` takes them."""
        shares = {limit: float(100 * (area / self._area)) for limit, area in self._above.items()}
        fewest, most = self._years
        return shares, self._weighted / self._area, self._area, self.pixels, int(most), int(fewest)

"""Multi-year mean map and area-weighted latitudinal profile, as the paper's Fig. 6."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import GridMismatch, InvalidMonths, InvalidParameter, NoUsableData
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.inspection import describe_months
from gwsa_qgis.rasters.raster import Raster, create_raster
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
from gwsa_qgis.rasters.writing import together
from gwsa_qgis.report.maps import MOST_PIXELS
from gwsa_qgis.science.latitude_bands import SHARES, BandFigures, BandSums, band_numbers
from gwsa_qgis.science.period_means import Period, parse_periods, period_means
from gwsa_qgis.steps.profile_report import LatitudeBand, ProfileFacts, bands_as_csv, profile_page
from gwsa_qgis.steps.text_outputs import stage_text

STEP = "latitudeprofile"
# float32 as read, and the window before, which is still being written; sums of each period.
BYTES_PER_VALUE, BYTES_PER_MEAN, BYTES_PER_PIXEL = 5, 40, 40
SHARE_OF_WINDOWS = 0.6
# Means as read, their order and weights.
BYTES_OF_BAND = 60


@dataclass(frozen=True)
class ProfileResult:
    """What `latitudeprofile` wrote.

    Attributes
    ----------
    mean : Path
        Multi-year mean: a band of the whole record, and one of each period.
    profile, report : Path or None
    bands : tuple of LatitudeBand
        North to south, period after period; those without a value are left out.
    area_mean : float
        Area-weighted mean of the whole record.
    lowest, highest : LatitudeBand
        Bands of the whole record with the lowest and the highest mean.
    pixels : int
        Pixels with a mean over the whole record.
    """

    mean: Path
    profile: Path | None
    report: Path | None
    bands: tuple[LatitudeBand, ...]
    area_mean: float
    lowest: LatitudeBand
    highest: LatitudeBand
    pixels: int


def latitudeprofile(
    input: str | Path,
    mean: str | Path,
    *,
    profile: str | Path | None = None,
    report: str | Path | None = None,
    band_height: float = 1.0,
    periods: str = "",
    minimum_share: float = 0.5,
    memory_mb: float = DEFAULT_MEMORY_MB,
    workers: int = 1,
    progress: ProgressFunction | None = None,
) -> ProfileResult:
    """Average a stack over its months, and the result over bands of latitude.

    Parameters
    ----------
    input : path
        Monthly stack in geographic coordinates.
    mean : path
        Mean of each pixel over the whole record, and over each period, in the stack's unit.
    profile : path, optional
        Table (CSV) of the bands: area-weighted mean, standard deviation and quantiles of the pixels' means.
    report : path, optional
        Page with map and profile side by side.
    band_height : float
        Degrees; bands begin at the equator.
    periods : str
        Parts of the record that get their own mean and profile: ``2003/2010, 2011-01/2020-12``.
    minimum_share : float
        Pixels with a smaller share of the months have no mean.

    Raises
    ------
    GridMismatch
        If the stack is not in geographic coordinates.
    InvalidMonths
        If a period cannot be read, or has no month of the stack.
    InvalidParameter
        If the height or the share is out of bounds.
    NoUsableData
        If no pixel has a mean.
    """
    say = Reporter(progress)
    with MonthlyStack(input) as stack:
        grid, months, quantity, unit, tile = stack.grid, stack.months, stack.quantity, stack.unit(), stack.tile
    _check(grid, band_height, minimum_share, str(input))
    spans = [Period(months[0], months[-1]), *_periods(periods, months, str(input), say)]
    say.say(f"{describe_months(months)}; {grid.describe()}")

    def compute(window: Window) -> np.ndarray:
        values = shared.read(window)
        means = period_means(values.reshape(months.size, -1), months, spans, minimum_share)
        return means.reshape(-1, window.rows, window.columns).astype(np.float32)

    tags = {"GWSA_STEP": STEP, "GWSA_QUANTITY": f"mean {quantity}".strip(), "GWSA_PERIODS": "; ".join(map(str, spans))}
    names = [f"mean, {span.title()}" for span in spans]
    bytes_per_cell = BYTES_PER_VALUE * months.size + BYTES_PER_MEAN * len(spans) + BYTES_PER_PIXEL
    # Larger windows than the usual budget's are no quicker, and make cancelling slow.
    share = SHARE_OF_WINDOWS * min(memory_mb, DEFAULT_MEMORY_MB)
    tile = tile_taken_over(tile, grid, bytes_per_cell * LANES, share)
    windows = plan_windows(grid, bytes_per_cell * LANES, memory_mb=share, tile=tile)
    thin = max(1, -(-max(grid.shape) // MOST_PIXELS))
    maps = np.full((len(spans), *(-(-length // thin) for length in grid.shape)), np.nan, np.float32)
    options = {"descriptions": names, "unit": unit, "metadata": tags}
    with together() as outputs, SharedStack.for_windows(input, windows) as shared:
        with create_raster(mean, grid, len(spans), **options) as writer:
            part = say.part(0.0, 0.9)
            for window, means in map_windows(compute, windows, workers=workers, progress=part, message="Means"):
                writer.write(means, window.row, window.column)
                put_thinned(maps, means, window, thin)
            written = writer.dataset.GetDescription()
        bands = _bands(written, grid, spans, band_height, memory_mb, say.part(0.9, 1.0))
        whole = [band for band in bands if band.period == spans[0]]
        if not whole:
            raise NoUsableData(
                f"no pixel of {input} has {minimum_share:.0%} of its months",
                "check the stack's mask, or lower the minimum share",
            )
        area = np.array([band.figures.weight for band in whole])
        area_mean = float(np.average([band.figures.mean for band in whole], weights=area))
        by_mean = sorted(whole, key=lambda band: band.figures.mean)
        paths = (Path(path) if path else None for path in (mean, profile, report))
        pixels = sum(band.figures.count for band in whole)
        result = ProfileResult(*paths, tuple(bands), area_mean, by_mean[0], by_mean[-1], pixels)
        stage_text(outputs, profile, bands_as_csv(bands))
        if report:
            small = Grid(grid.west, grid.north, grid.dx * thin, grid.dy * thin, *maps.shape[:0:-1], grid.crs)
            facts = ProfileFacts(str(input), quantity, unit, months, spans, band_height, minimum_share, bands, small,
                                 maps, area_mean)  # fmt: skip
            stage_text(outputs, report, profile_page(facts).render())
    low, high = result.lowest, result.highest
    say.say(
        f"{pixels} pixels, mean {area_mean:.4g} {unit}; lowest {low.figures.mean:.4g} at {low.name()}, highest "
        f"{high.figures.mean:.4g} at {high.name()}"
    )
    return result


def _check(grid: Grid, band_height: float, minimum_share: float, path: str) -> None:
    if not grid.is_geographic:
        raise GridMismatch(
            f"{path} is in projected coordinates ({grid.describe()}), in which rows have no latitude",
            "reproject it to EPSG:4326 with gdal:warpreproject",
        )
    if not 0 < band_height <= 180:
        raise InvalidParameter(f"BAND_HEIGHT is {band_height:g}", "give degrees, more than 0 and at most 180")
    if not 0 <= minimum_share <= 1:
        raise InvalidParameter(f"MINIMUM_SHARE is {minimum_share:g}", "give 0 to 1, such as 0.5")


def _periods(text: str, months: np.ndarray, path: str, say: Reporter) -> list[Period]:
    """Periods of a text, cut to the months there are, and told."""
    found = []
    for period in parse_periods(text):
        here = months[period.inside(months)]
        if not here.size:
            raise InvalidMonths(
                f"{path} ({describe_months(months)}) has no month of the period {period}", "give a period inside it"
            )
        cut = Period(here[0], here[-1])
        if cut != period:
            say.warn(f"the period {period} is cut to the months that are there, {cut}")
        found.append(cut)
    return found


def _bands(
    path: str, grid: Grid, periods: Sequence[Period], height: float, memory_mb: float, say: Reporter
) -> list[LatitudeBand]:
    """Figures of all bands that have values, period after period, north to south, of the means that were written."""
    numbers = band_numbers(grid.latitudes(), height)
    # Whole square metres: sums of them are exact, in whatever order.
    areas = np.rint(grid.row_areas_km2() * 1e6)
    rows_at_once = max(int(SHARE_OF_WINDOWS * memory_mb * 1e6 / BYTES_OF_BAND / grid.columns), 1)
    wanted = [(place, number) for place in range(len(periods)) for number in np.unique(numbers)[::-1]]
    bands = []
    say(0.0, "Latitude bands")
    with Raster(path) as raster:
        for done, (place, number) in enumerate(wanted, start=1):
            rows = np.flatnonzero(numbers == number)
            figures = _figures(raster, place, slice(rows[0], rows[-1] + 1), areas, rows_at_once)
            if figures.count:
                bands.append(LatitudeBand(periods[place], number * height, (number + 1) * height, figures))
            say(done / len(wanted))
    return bands


def _figures(raster: Raster, place: int, rows: slice, areas: np.ndarray, rows_at_once: int) -> BandFigures:
    """Figures of the pixels of some rows in the raster's band `place` (from 0)."""
    sums = BandSums(SHARES)
    parts = [slice(row, min(row + rows_at_once, rows.stop)) for row in range(rows.start, rows.stop, rows_at_once)]
    for take in (sums.first, sums.second):
        for part in parts:
            take(raster.read(part, bands=[place])[0], areas[part, None])
    return sums.figures()

"""Drought index: standardised storage of each calendar month, its classes, spells, and the area in each class."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidParameter, NoUsableData
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.inspection import describe_months, list_months
from gwsa_qgis.rasters.long_run import long_run
from gwsa_qgis.rasters.raster import RasterWriter, create_raster
from gwsa_qgis.rasters.shared_stack import SharedStack
from gwsa_qgis.rasters.stack import MonthlyStack, create_stack
from gwsa_qgis.rasters.windows import DEFAULT_MEMORY_MB, LANES, Window, map_windows, plan_windows, tile_taken_over
from gwsa_qgis.science.drought import (
    CLASS_NAMES,
    FEWEST_YEARS,
    METHODS,
    NODATA_CLASS,
    drought_classes,
    drought_index,
    drought_spells,
)
from gwsa_qgis.science.water_balance import baseline_mask
from gwsa_qgis.steps.drought_areas import DroughtAreas, areas_as_csv
from gwsa_qgis.steps.drought_report import DroughtFacts, drought_page
from gwsa_qgis.steps.text_outputs import stage_text

STEP = "droughtindex"
# float32 as read, the index, its classes, masks of months, and the window before, which is still being written.
BYTES_PER_VALUE, BYTES_PER_PIXEL = 16, 80
# The rest of the budget is for GDAL's cache, the series that are computed at once, and the libraries themselves.
SHARE_OF_WINDOWS = 0.5
SPELL_BANDS = ("share of months in drought (%)", "longest drought (months)")


@dataclass(frozen=True)
class DroughtResult:
    """What `droughtindex` wrote.

    Attributes
    ----------
    output : Path
        Index, a stack without unit.
    classes, spells, areas, report : Path or None
    months : (n_months,) datetime64[M]
    area_shares : (n_months, 11) float64
        Percent of the area in each class, D4 to W4, month by month; NaN in months without an index.
    mean_index : (n_months,) float64
        Area-weighted mean of the index.
    drought_share : float
        Percent of area and time in moderate drought or worse (D1 to D4).
    worst_month : datetime64[M]
        Month with most area in moderate drought or worse.
    worst_share : float
        Its percent.
    pixels : int
        Pixels with an index in some month.
    """

    output: Path
    classes: Path | None
    spells: Path | None
    areas: Path | None
    report: Path | None
    months: np.ndarray
    area_shares: np.ndarray
    mean_index: np.ndarray
    drought_share: float
    worst_month: np.datetime64
    worst_share: float
    pixels: int


def droughtindex(
    input: str | Path,
    output: str | Path,
    *,
    classes: str | Path | None = None,
    spells: str | Path | None = None,
    areas: str | Path | None = None,
    report: str | Path | None = None,
    method: str = "grace_dsi",
    baseline_start: str | None = None,
    baseline_end: str | None = None,
    minimum_years: int = 10,
    detrend: bool = False,
    memory_mb: float = DEFAULT_MEMORY_MB,
    workers: int = 1,
    progress: ProgressFunction | None = None,
) -> DroughtResult:
    """Write how dry each month is, in standard deviations of its calendar month.

    Parameters
    ----------
    input : path
        Monthly stack, such as GWSA or TWSA.
    output : path
        Index of each month (`science.drought.drought_index`).
    classes : path, optional
        Classes D4 (1) over normal (6) to W4 (11), uint8, 0 = NoData.
    spells : path, optional
        Two bands: percent of the months in moderate drought or worse, and months of the longest spell of it.
    areas : path, optional
        Table (CSV): percent of the area in each class, month by month.
    report : path, optional
        Page with the area in each class through time and maps of the spells.
    method : {"grace_dsi", "ggdi"}
    baseline_start, baseline_end : str, optional
        Months ``YYYY-MM`` that means and standard deviations are taken over; the whole record where not given.
    minimum_years : int
        Years that a calendar month must have in it, in each pixel.
    detrend : bool
        Take out each pixel's linear trend first.

    Raises
    ------
    InvalidParameter
        If the method is unknown, or the years are fewer than 3.
    InvalidMonths
        If the reference period is no pair of months, or outside the data.
    NoUsableData
        If no calendar month has so many years, or no pixel an index.
    """
    say = Reporter(progress)
    if method not in METHODS:
        raise InvalidParameter(f"METHOD is {method!r}", f"give one of {', '.join(METHODS)}")
    if minimum_years < FEWEST_YEARS:
        raise InvalidParameter(f"MINIMUM_YEARS is {minimum_years}", f"give {FEWEST_YEARS} or more, such as 10")
    with MonthlyStack(input) as stack:
        grid, months, quantity, filled, tile = stack.grid, stack.months, stack.quantity, stack.filled, stack.tile
    reference = _reference(months, baseline_start, baseline_end)
    say.say(f"{describe_months(months)}; {grid.describe()}")
    span = describe_months(months[reference])
    say.say(f"Means and standard deviations of the calendar months over {span}")
    if filled.any():
        say.say(f"{filled.sum()} months are filled and no observations: {list_months(months[filled])}")
    options = {"reference": reference, "minimum_years": minimum_years, "detrend": detrend}

    def compute(window: Window) -> tuple[np.ndarray, np.ndarray]:
        values = shared.read(window)
        shape = values.shape
        index = drought_index(values.reshape(months.size, -1), months, method, **options)
        del values
        return index.reshape(shape), drought_classes(index).reshape(shape)

    tags = {"GWSA_METHOD": method, "GWSA_REFERENCE": f"{months[reference][0]} to {months[reference][-1]}"}
    tags["GWSA_DETRENDED"] = "yes" if detrend else "no"
    found = DroughtAreas(grid, months)
    bytes_per_cell = BYTES_PER_VALUE * months.size + BYTES_PER_PIXEL
    # Larger windows than the usual budget's are no quicker, and make cancelling slow.
    share = SHARE_OF_WINDOWS * min(memory_mb, DEFAULT_MEMORY_MB)
    tile = tile_taken_over(tile, grid, bytes_per_cell * LANES, share)
    windows = plan_windows(grid, bytes_per_cell * LANES, memory_mb=share, tile=tile)
    settings = {"method": method, **options, "reference": tags["GWSA_REFERENCE"], "MEMORY": memory_mb}
    with (
        long_run(STEP, output, {"INPUT": input}, settings, say) as run,
        SharedStack.for_windows(input, windows) as shared,
    ):
        files = _open(run.outputs, grid, months, filled, quantity, tags, output, classes, spells, tile)
        each = partial(map_windows, compute, workers=workers, message="Drought index")
        for window, layers in run.results("index", windows, each, say):
            _write(files, window, *layers, found)
        if not found.pixels:
            raise NoUsableData(
                f"no pixel of {input} varies over {minimum_years} years of a calendar month in {span}",
                "check the stack's mask, or lower MINIMUM_YEARS",
            )
        shares, index = found.shares(), found.mean_index()
        worst, worst_share = found.worst()
        paths = (Path(path) if path else None for path in (output, classes, spells, areas, report))
        result = DroughtResult(*paths, months, shares, index, found.drought_share(), worst, worst_share, found.pixels)
        stage_text(run.outputs, areas, areas_as_csv(found, filled))
        if report:
            facts = DroughtFacts(str(input), quantity, method, months[reference], minimum_years, detrend, filled, found)
            stage_text(run.outputs, report, drought_page(facts).render())
    say.say(
        f"{result.pixels} pixels, {result.drought_share:.1f} % of area and time in moderate drought or worse; most in "
        f"{worst}, {worst_share:.1f} % of the area"
    )
    return result


def _reference(months: np.ndarray, start: str | None, end: str | None) -> np.ndarray:
    """Which months means and standard deviations are taken over."""
    if not start and not end:
        return np.ones(months.size, bool)
    return baseline_mask(months, (start or str(months[0]), end or str(months[-1])))


def _open(
    outputs: ExitStack,
    grid: Grid,
    months: np.ndarray,
    filled: np.ndarray,
    quantity: str,
    tags: dict[str, str],
    output: str | Path,
    classes: str | Path | None,
    spells: str | Path | None,
    tile: int,
) -> dict[str, RasterWriter]:
    """Writers of the rasters that are wanted."""
    about = {"unit": "", "filled": filled, "step": STEP, "tile": tile}
    name = f"drought index of {quantity}".removesuffix(" of ")
    files = {"output": create_stack(output, grid, months, quantity=name, metadata=tags, **about)}
    if classes:
        legend = {f"GWSA_CLASS_{number}": text for number, text in CLASS_NAMES.items()}
        about |= {"dtype": "uint8", "nodata": NODATA_CLASS}
        files["classes"] = create_stack(
            classes, grid, months, quantity="drought class", metadata=tags | legend, **about
        )
    if spells:
        files["spells"] = create_raster(
            spells, grid, 2, descriptions=SPELL_BANDS, metadata={"GWSA_STEP": STEP, **tags}, tile=tile
        )
    return {name: outputs.enter_context(file) for name, file in files.items()}


def _write(
    files: dict[str, RasterWriter], window: Window, index: np.ndarray, classes: np.ndarray, found: DroughtAreas
) -> None:
    """Write a window's index and classes (n_months, rows, columns), and add up its areas."""
    spells = np.stack(drought_spells(classes.reshape(len(classes), -1))).reshape(2, *classes.shape[1:])
    found.add(window, index, classes, spells)
    layers = {"output": index, "classes": classes, "spells": spells.astype(np.float32)}
    for name, writer in files.items():
        writer.write(layers[name], window.row, window.column)

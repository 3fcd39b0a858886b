"""Long-term trend: STL, Theil-Sen slope, Mann-Kendall p values, seven classes and their area shares."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidParameter, NoUsableData
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.inspection import describe_months
from gwsa_qgis.rasters.raster import create_raster
from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.rasters.windows import DEFAULT_MEMORY_MB, Window, map_windows, plan_windows
from gwsa_qgis.rasters.writing import together
from gwsa_qgis.report.figures import trend_class_bars
from gwsa_qgis.report.html import Page
from gwsa_qgis.science.mann_kendall import CORRECTIONS
from gwsa_qgis.science.trend import (
    CLASS_NAMES,
    NODATA_CLASS,
    area_shares,
    deseasonalise,
    mann_kendall,
    theil_sen,
    trend_classes,
)
from gwsa_qgis.steps.text_outputs import stage_text

PERIOD = 12
MONTHS_IN = {"month": 1, "year": 12}
# float32 as read, and the float64 copies of deseasonalising and ranking.
BYTES_PER_VALUE = 4 + 7 * 8


@dataclass(frozen=True)
class TrendResult:
    """What `trend` wrote.

    Attributes
    ----------
    slope, p_value, p_plain, classes, report : Path or None
    area_shares : dict of int to float
        Percent of the classified area in each of the classes 1 to 7.
    area_shares_plain : dict of int to float
        The same by the p value without correction.
    mean_slope : float
        Area-weighted mean slope.
    pixels : int
        Pixels with a trend.
    """

    slope: Path
    p_value: Path
    p_plain: Path | None
    classes: Path | None
    report: Path | None
    area_shares: dict[int, float]
    area_shares_plain: dict[int, float]
    mean_slope: float
    pixels: int


def trend(
    input: str | Path,
    slope: str | Path,
    p_value: str | Path,
    *,
    p_plain: str | Path | None = None,
    classes: str | Path | None = None,
    report: str | Path | None = None,
    unit: str = "month",
    correction: str = "ar1",
    deseasonalise: bool = True,
    minimum_share: float = 0.5,
    memory_mb: float = DEFAULT_MEMORY_MB,
    workers: int = 1,
    progress: ProgressFunction | None = None,
) -> TrendResult:
    """Trend of every pixel of a monthly stack.

    Parameters
    ----------
    input : path
        Monthly stack.
    slope, p_value : path
        Theil-Sen slope, and the Mann-Kendall p value with the correction asked for.
    p_plain, classes, report : path, optional
        p value without correction, seven classes (by `p_value`), and a page with the area shares.
    unit : {"month", "year"}
        Time unit of the slope.
    correction : {"ar1", "none"}
        ``ar1`` allows for month-to-month correlation; ``none`` is the test as published.
    deseasonalise : bool
        Subtract the seasonal component of STL first.
    minimum_share : float
        Pixels with a smaller share of valid months have no trend.

    Raises
    ------
    InvalidParameter
        If the unit or the correction is unknown.
    NoUsableData
        If no pixel has enough months.
    """
    say = Reporter(progress)
    _check_options(unit, correction, minimum_share)
    with MonthlyStack(input) as stack:
        grid, months, quantity = stack.grid, stack.months, stack.quantity
        value_unit = stack.unit() or "cm"
    if deseasonalise and months.size < 2 * PERIOD:
        raise NoUsableData(
            f"{input} has {months.size} months and removing the season needs {2 * PERIOD}",
            "give a longer stack, or do not deseasonalise",
        )
    say.say(f"{describe_months(months)}; {grid.describe()}")

    def compute(window: Window) -> np.ndarray:
        with MonthlyStack(input) as stack:
            values = stack.read(*window.slices)
        return window_trend(values, correction, deseasonalise, minimum_share, MONTHS_IN[unit])

    slope_unit = f"{value_unit}/{unit}"
    tags = {"GWSA_STEP": "trend", "GWSA_QUANTITY": quantity, "GWSA_PERIOD": f"{months[0]} to {months[-1]}"}
    tags["GWSA_CORRECTION"] = correction
    found = _Areas(grid.row_areas_km2())
    windows = plan_windows(grid, BYTES_PER_VALUE * months.size * max(workers, 1), memory_mb=memory_mb)
    with together() as outputs:
        layers_wanted = (
            (slope, f"slope ({slope_unit})", slope_unit),
            (p_value, f"p value ({correction})", ""),
            (p_plain, "p value (none)", ""),
        )
        writers = [
            outputs.enter_context(create_raster(path, grid, descriptions=[name], unit=unit_name, metadata=tags))
            if path
            else None
            for path, name, unit_name in layers_wanted
        ]
        class_writer = outputs.enter_context(_create_classes(classes, grid, tags)) if classes else None
        for window, layers in map_windows(compute, windows, workers=workers, progress=say, message="Trend"):
            for writer, layer in zip(writers, layers, strict=True):
                if writer is not None:
                    writer.write(layer.astype(np.float32), window.row, window.column)
            graded = found.add(window, layers)
            if class_writer is not None:
                class_writer.write(graded, window.row, window.column)
        if not found.pixels:
            raise NoUsableData(
                f"no pixel of {input} has a trend: none has {minimum_share:.0%} of its months",
                "check the stack's mask, or lower the minimum share",
            )
        paths = (Path(path) if path else None for path in (slope, p_value, p_plain, classes, report))
        result = TrendResult(*paths, found.shares(0), found.shares(1), found.mean_slope(), found.pixels)
        if report:
            page = _report(result, str(input), months, slope_unit, correction, deseasonalise, found.areas[0])
            stage_text(outputs, report, page.render())
    falling = sum(result.area_shares[k] for k in (1, 2))
    rising = sum(result.area_shares[k] for k in (6, 7))
    say.say(f"{result.pixels} pixels: {falling:.1f} % of the area falls and {rising:.1f} % rises significantly")
    return result


def window_trend(
    values: np.ndarray, correction: str, without_season: bool, minimum_share: float, months_in_unit: int
) -> np.ndarray:
    """Slope, p value and plain p value of a window (n_months, rows, columns), shape (3, rows, columns); NaN outside."""
    n_months = values.shape[0]
    shape = values.shape[1:]
    cells = values.reshape(n_months, -1)
    enough = np.isfinite(cells).sum(axis=0) >= max(minimum_share * n_months, 1)
    result = np.full((3, cells.shape[1]), np.nan)
    if enough.any():
        series = np.ascontiguousarray(cells[:, enough].T, dtype=np.float64)
        if without_season:
            series = deseasonalise(series)
        lines = theil_sen(series, confidence=None, minimum_share=minimum_share)
        test = mann_kendall(series, correction, slope=lines.slope, minimum_share=minimum_share)
        result[:, enough] = lines.slope * months_in_unit, test.p, test.p_plain
    return result.reshape(3, *shape)


class _Areas:
    """Areas of the classes, by the corrected and by the plain p value, and the mean slope, over windows."""

    def __init__(self, row_areas: np.ndarray) -> None:
        self.row_areas = row_areas
        self.areas = np.zeros((2, len(CLASS_NAMES)))
        self.pixels, self._weighted_slope, self._area = 0, 0.0, 0.0

    def add(self, window: Window, layers: np.ndarray) -> np.ndarray:
        """Take in slope, p value and plain p value (3, rows, columns); returns the classes by the first p value."""
        slope, *p_values = layers
        area = np.broadcast_to(self.row_areas[window.row_slice, None], slope.shape)
        graded = [trend_classes(slope, p) for p in p_values]
        for total, classes in zip(self.areas, graded, strict=True):
            total += np.bincount(classes.ravel(), area.ravel(), minlength=total.size + 1)[1:]
        valid = np.isfinite(slope)
        self._weighted_slope += float((slope[valid] * area[valid]).sum())
        self._area += float(area[valid].sum())
        self.pixels += int(valid.sum())
        return graded[0].astype(np.uint8)

    def shares(self, number: int) -> dict[int, float]:
        """Percent by class, of the corrected (0) or plain (1) p value."""
        return area_shares(np.array(list(CLASS_NAMES)), self.areas[number])

    def mean_slope(self) -> float:
        """Area-weighted mean slope."""
        return self._weighted_slope / self._area


def _check_options(unit: str, correction: str, minimum_share: float) -> None:
    if unit not in MONTHS_IN:
        raise InvalidParameter(f"the unit is {unit!r}", f"give one of {', '.join(MONTHS_IN)}")
    if correction not in CORRECTIONS:
        raise InvalidParameter(f"the correction is {correction!r}", f"give one of {', '.join(CORRECTIONS)}")
    if not 0 <= minimum_share <= 1:
        raise InvalidParameter(f"the minimum share of months is {minimum_share}", "give a share of 0 to 1")


def _create_classes(path: str | Path, grid: object, tags: dict[str, str]) -> object:
    legend = {f"GWSA_CLASS_{number}": name for number, name in CLASS_NAMES.items()}
    options = {"dtype": "uint8", "nodata": NODATA_CLASS, "descriptions": ["trend class"]}
    return create_raster(path, grid, metadata=tags | legend, **options)


def _report(
    result: TrendResult,
    source: str,
    months: np.ndarray,
    slope_unit: str,
    correction: str,
    without_season: bool,
    areas: np.ndarray,
) -> Page:
    page = Page("Trend of groundwater storage", f"{source}, {describe_months(months)}")
    named = "with the AR(1) variance factor" if correction == "ar1" else "without correction for serial correlation"
    season = "after removing the season by STL" if without_season else "of the series with their season"
    page.paragraph(
        f"Theil-Sen slope {season}; Mann-Kendall test {named}. Classes: highly significant at p < 0.01, significant at "
        f"p < 0.05. Mean slope {result.mean_slope:.4g} {slope_unit} over {result.pixels} pixels, weighted by area."
    )
    page.section("Area by class")
    names = list(CLASS_NAMES.values())
    shares = list(result.area_shares.values())
    page.figure(trend_class_bars(names, shares), "Shares of the valid area by trend class, weighted by true area.")
    rows = zip(names, areas, shares, result.area_shares_plain.values(), strict=True)
    page.table(("class", "area (km\N{SUPERSCRIPT TWO})", "share (%)", "share by the plain test (%)"), rows)
    page.note(
        "Monthly groundwater storage is strongly autocorrelated. The plain test then calls half of trendless series "
        "significant; its shares are given for comparison with published figures."
    )
    return page

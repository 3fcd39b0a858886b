"""The report of the seasonal contribution: map, area shares, and what the figure means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.inspection import describe_months
from gwsa_qgis.report.class_figures import trend_class_bars
from gwsa_qgis.report.html import Page
from gwsa_qgis.report.maps import map_panels

# From lasting change (blue) to the year's course (red), as the paper's Fig. 7.
PALETTE = "RdBu_r"
CLASS_COLOURS = (
    *("#053061", "#2166ac", "#4393c3", "#92c5de", "#d1e5f0"),
    *("#fddbc7", "#f4a582", "#d6604d", "#b2182b", "#67001f"),
)
MONTH_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class SeasonalityFacts:
    """What the report is made of.

    Attributes
    ----------
    by_class : (10,) float
        Area in each class of ten percent, km2.
    by_month : (13,) float
        Area by month of the maximum, km2; the first is that of pixels without an annual course.
    thinned : (1, rows, columns) float32
        Every `thin`-th pixel of the map.
    """

    path: str
    grid: Grid
    months: np.ndarray
    unit: str
    minimum_months: int
    left_out: tuple[int, ...]
    by_class: np.ndarray
    by_month: np.ndarray
    thinned: np.ndarray
    thin: int
    shares_above: Mapping[float, float]
    mean: float
    most_years: int
    fewest_years: int


def seasonality_page(facts: SeasonalityFacts) -> Page:
    """Write the report."""
    page = Page("Seasonal contribution", f"{facts.path}, {describe_months(facts.months)}")
    page.paragraph(
        "C = s / (s + d), in percent: s is the standard deviation of the months of a year, averaged over the years, and d "
        "the standard deviation of the annual means (Eq. 20). Above 50 % the year's course is larger than what years "
        "differ by; below, lasting change is: trends, droughts, pumping."
    )
    page.facts(_summary(facts))
    _map(page, facts)
    _classes(page, facts)
    _maxima(page, facts)
    page.section("How to read this")
    page.items(
        [
            "C compares two spreads. A low value may come from a small season or from a large trend, and says nothing of "
            "how much water moves.",
            "s holds all that happens within a year, the slope of a trend and noise included. A series without any "
            "season therefore has a contribution above zero: month-to-month noise alone gives about 78 %, since it "
            "averages out of the annual means.",
            "66 % means that s is 1.9 times d. The paper calls it 1.5 times, which is 60 %.",
        ]
    )
    return page


def _summary(facts: SeasonalityFacts) -> dict[str, object]:
    years = f"{facts.most_years}"
    if facts.fewest_years < facts.most_years:
        years = f"{facts.fewest_years} to {facts.most_years}, by pixel"
    rows: dict[str, object] = {
        f"Area with a contribution above {limit:g} %": f"{share:.2f} %" for limit, share in facts.shares_above.items()
    }
    rows["Mean contribution, weighted by area"] = f"{facts.mean:.2f} %"
    rows["Area"] = f"{facts.by_class.sum():.6g} km\N{SUPERSCRIPT TWO}"
    rows["A year counts with at least"] = f"{facts.minimum_months} months"
    rows["Years that count"] = years
    if facts.left_out:
        rows["Left out for want of months"] = ", ".join(map(str, facts.left_out))
    return rows


def _map(page: Page, facts: SeasonalityFacts) -> None:
    grid, thin = facts.grid, facts.thin
    small = Grid(grid.west, grid.north, grid.dx * thin, grid.dy * thin, *facts.thinned.shape[:0:-1], grid.crs)
    png = map_panels(
        small, [("", facts.thinned[0])], "seasonal contribution (%)", columns=1, limits=(0, 100), palette=PALETTE
    )
    page.section("Map")
    page.figure(png, "Seasonal contribution: red where the year's course dominates, blue where lasting change does.")


def _classes(page: Page, facts: SeasonalityFacts) -> None:
    total, width = facts.by_class.sum(), 100 // facts.by_class.size
    names = [f"{width * k}-{width * (k + 1)}" for k in range(facts.by_class.size)]
    shares = 100 * facts.by_class / total
    page.section("Area by contribution")
    page.figure(trend_class_bars(names, shares, CLASS_COLOURS), "Shares of the area by contribution, in percent.")
    rows = zip(names, facts.by_class, shares, strict=True)
    page.table(("contribution (%)", "area (km\N{SUPERSCRIPT TWO})", "share (%)"), rows)


def _maxima(page: Page, facts: SeasonalityFacts) -> None:
    total = facts.by_month.sum()
    page.section("Month of the annual maximum")
    page.paragraph(
        "Month in which the mean annual course is highest, the linear trend taken out; only where an annual course "
        "returns from year to year (Hotelling's T-squared test of the yearly annual harmonics, p < 0.05, at least 5 "
        "complete years)."
    )
    names = [*MONTH_NAMES, "none returns"]
    areas = [*facts.by_month[1:], facts.by_month[0]]
    rows = [(name, area, 100 * area / total) for name, area in zip(names, areas, strict=True)]
    page.table(("month", "area (km\N{SUPERSCRIPT TWO})", "share (%)"), rows)

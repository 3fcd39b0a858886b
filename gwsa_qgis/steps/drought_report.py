"""The report of the drought index: the area in each class through time, spells, and what the index means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gwsa_qgis.months import calendar_year
from gwsa_qgis.rasters.inspection import describe_months
from gwsa_qgis.report.drought import class_areas
from gwsa_qgis.report.html import Page
from gwsa_qgis.report.maps import map_panels
from gwsa_qgis.science.drought import CLASS_NAMES
from gwsa_qgis.steps.drought_areas import DroughtAreas

FORMULAS = {
    "grace_dsi": "(value - mean of its calendar month) / standard deviation of its calendar month (GRACE-DSI, Zhao et al. 2017)",
    "ggdi": "deviation from the mean of its calendar month, less the mean of all deviations and over their standard "
    "deviation (GGDI, Thomas et al. 2017)",
}
WORST_MONTHS = 12


@dataclass(frozen=True)
class DroughtFacts:
    """What the report is made of.

    Attributes
    ----------
    reference : (n,) datetime64[M]
        Months that means and standard deviations are taken over.
    filled : (n_months,) bool
        Months of the stack that come from gap filling.
    """

    path: str
    quantity: str
    method: str
    reference: np.ndarray
    minimum_years: int
    detrend: bool
    filled: np.ndarray
    found: DroughtAreas


def drought_page(facts: DroughtFacts) -> Page:
    """Write the report."""
    found = facts.found
    page = Page("Drought index", f"{facts.path}, {describe_months(found.months)}")
    trend = "each pixel's linear trend is taken out first" if facts.detrend else "trends are left in"
    page.paragraph(
        f"Index: {FORMULAS[facts.method]}; {trend}. Means and standard deviations over "
        f"{describe_months(facts.reference)}, at least {facts.minimum_years} years of a calendar month. Classes by the "
        "limits of Zhao et al.: 0.5, 0.8, 1.3, 1.6 and 2.0 on either side; drought means D1 or worse."
    )
    month, share = found.worst()
    page.facts(
        {
            "Area and time in moderate drought or worse": f"{found.drought_share():.2f} %",
            "Month with most area in moderate drought or worse": f"{month}, {share:.2f} % of the area",
            "Pixels with an index": found.pixels,
            "Largest area with an index": f"{found.areas.sum(axis=1).max():.6g} km\N{SUPERSCRIPT TWO}",
        }
    )
    if not facts.detrend:
        page.note(
            "Where storage falls year after year, by pumping for one, the index ends low and begins high: its late "
            "droughts are then depletion, not weather. Run it again with DETREND to see droughts about the trend."
        )
    _through_time(page, facts)
    _spells(page, found)
    page.section("How to read this")
    page.items(
        [
            "The index compares a pixel with itself. -2 is rare there, and says nothing of how much water is lacking: in a "
            "pixel that hardly varies it may be a centimetre.",
            "Of a normal distribution 21 % of the months are below -0.8 and 2 % below -2. Ten to twenty years are few: the "
            "standard deviation of 15 values is itself uncertain by a fifth.",
            "Neighbouring pixels share GRACE's native mascons: areas in drought come in steps of about 1 degree.",
        ]
    )
    return page


def _through_time(page: Page, facts: DroughtFacts) -> None:
    found = facts.found
    page.section("Area in each class")
    page.figure(
        class_areas(found.months, found.shares(), found.mean_index(), facts.filled, list(CLASS_NAMES.values())),
        "Above: percent of the area in classes of dryness (upwards) and wetness (downwards). Below: the index, averaged "
        "over the area; filled months are dashed.",
    )
    dry, index = found.in_drought(), found.mean_index()
    order = np.argsort(np.where(np.isfinite(dry), -dry, np.inf), kind="stable")[:WORST_MONTHS]
    rows = [(str(found.months[k]), dry[k], *found.shares()[k, :5], index[k]) for k in order if np.isfinite(dry[k])]
    header = ("month", "D1 or worse (%)", "D4 (%)", "D3 (%)", "D2 (%)", "D1 (%)", "D0 (%)", "mean index")
    page.table(header, rows, "Months with most area in moderate drought or worse")
    years = calendar_year(found.months)
    rows = []
    for year in np.unique(years):
        here = (years == year) & np.isfinite(dry)
        if here.any():
            rows.append((str(year), int(here.sum()), dry[here].mean(), dry[here].max(), index[here].mean()))
    header = ("year", "months", "D1 or worse, mean (%)", "D1 or worse, highest (%)", "mean index")
    page.table(header, rows, "Year by year")


def _spells(page: Page, found: DroughtAreas) -> None:
    page.section("Spells")
    page.figure(
        map_panels(found.grid, [("", found.maps[0])], "months in drought (%)", columns=1),
        "Share of the months in moderate drought or worse.",
    )
    page.figure(
        map_panels(found.grid, [("", found.maps[1])], "longest drought (months)", columns=1),
        "Longest spell of moderate drought or worse. A month without a value ends a spell.",
    )

"""The report of a break in trend: maps before and after, what became of the trend, and what the figures mean."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gwsa_qgis.rasters.inspection import describe_months
from gwsa_qgis.report.class_figures import class_map, region_bars, share_bars_of_classes
from gwsa_qgis.report.html import Page
from gwsa_qgis.report.maps import map_panels
from gwsa_qgis.science.trend_break import BETTER, CHANGE_NAMES, UNCHANGED, WORSE
from gwsa_qgis.steps.trend_grading import RegionShares
from gwsa_qgis.steps.trend_report import MOST_REGIONS, describe_filled
from gwsa_qgis.steps.trendbreak_layers import BreakJob, Changes

# Red: worse than before; blue: better; the paler, the less.
CHANGE_COLOURS = (
    "#67001f", "#b2182b", "#d6604d", "#f4a582", "#fddbc7", "#bfa89c", "#f7f7f7", "#9fb3bf", "#d1e5f0", "#92c5de",
    "#4393c3", "#2166ac", "#053061",
)  # fmt: skip


@dataclass(frozen=True)
class BreakFacts:
    """What the report is made of: areas on the whole map and by region, and what was found of both parts."""

    job: BreakJob
    whole: RegionShares
    regions: list[RegionShares]
    found: Changes


def break_page(facts: BreakFacts) -> Page:
    """Write the report."""
    job, before, after = facts.job, facts.found.before, facts.found.after
    data, month = job.data, job.break_month
    page = Page(f"Trend before and from {month}", f"{data.path}, {describe_months(data.months)}")
    shares = facts.whole.shares(0)
    worse, better = (sum(shares[k] for k in numbers) for numbers in (WORSE, BETTER))
    page.paragraph(
        f"Before {month} (from {data.months[0]}), {data.quantity or 'the stack'} changed by {before.mean_slope():.3g} "
        f"{job.slope_unit} on average, and from {month} to {data.months[-1]} by {after.mean_slope():.3g} {job.slope_unit}, over "
        f"{after.area:,.0f} km\N{SUPERSCRIPT TWO} ({after.pixels:,} pixels, weighted by true area). The trend "
        f"turned significantly downwards on {worse:.1f} % of that area and upwards on {better:.1f} %; on "
        f"{shares[UNCHANGED]:.1f} % these months do not tell the two trends apart, which does not mean that "
        "nothing changed."
    )
    page.facts(_summary(facts))
    _maps(page, facts)
    _shares(page, facts)
    _regions(page, facts)
    _field(page, facts)
    _reading(page, facts)
    return page


def _summary(facts: BreakFacts) -> dict[str, object]:
    job, data = facts.job, facts.job.data
    season = "kept"
    if job.without_season:
        season = "taken out of the whole period by " + ("robust STL" if job.robust else "STL")
    return {
        f"mean slope before ({job.slope_unit})": facts.found.before.mean_slope(),
        f"mean slope after ({job.slope_unit})": facts.found.after.mean_slope(),
        "months before": f"{data.months[0]} to {job.break_month - 1} ({job.position})",
        "months after": f"{job.break_month} to {data.months[-1]} ({data.months.size - job.position})",
        "months": describe_filled(data),
        "season": season,
        "slopes": "Theil-Sen, each part by itself; the level may jump at the break",
        "test": "difference of both slopes; allows for month-to-month correlation (AR(1)) and for its uncertainty",
        "significant": f"p < {job.significance:g}",
        "pixels need": f"{job.minimum_share:.0%} of the months of each part",
    }


def _maps(page: Page, facts: BreakFacts) -> None:
    job, found = facts.job, facts.found
    page.section("Maps")
    panels = [
        (f"before {job.break_month}", found.before.preview[0]),
        (f"from {job.break_month}", found.after.preview[0]),
    ]
    page.figure(
        map_panels(job.data.grid, panels, job.slope_unit, diverging=True),
        f"Slopes of both parts, {job.slope_unit}, on one scale: red falls, blue rises.",
    )
    classes = np.nan_to_num(found.thinned[1]).astype(int)
    page.figure(
        class_map(job.data.grid, classes, list(CHANGE_NAMES.values()), CHANGE_COLOURS),
        "What became of the trend: red is worse than before, blue better, near white without a significant change, greyish "
        "where the slopes are uncertain.",
    )


def _shares(page: Page, facts: BreakFacts) -> None:
    page.section("Area by class")
    shares = list(facts.whole.shares(0).values())
    page.figure(
        share_bars_of_classes(list(CHANGE_NAMES.values()), shares, CHANGE_COLOURS),
        "Shares of the valid area by class, weighted by true area.",
    )
    rows = (
        (k, name, area, share)
        for (k, name), area, share in zip(CHANGE_NAMES.items(), facts.whole.areas[0], shares, strict=True)
    )
    page.table(("class", "meaning", "area (km\N{SUPERSCRIPT TWO})", "share (%)"), rows)


def _regions(page: Page, facts: BreakFacts) -> None:
    for kind, heading in {"aquifer class": "By aquifer class", "latitude": "By latitude"}.items():
        regions = [region for region in facts.regions if region.kind == kind]
        if not regions:
            continue
        page.section(heading)
        largest = sorted(regions, key=lambda region: -region.areas[0].sum())[:MOST_REGIONS]
        bars = [(region.name, np.array(list(region.shares(0).values()))) for region in regions if region in largest]
        more = f" The {len(bars)} largest of {len(regions)}." if len(bars) < len(regions) else ""
        page.figure(
            region_bars(bars, list(CHANGE_NAMES.values()), CHANGE_COLOURS),
            f"Shares of each region's valid area by class.{more}",
        )


def _field(page: Page, facts: BreakFacts) -> None:
    field, level = facts.found.field, facts.job.significance
    page.section("Is the change of the map as a whole significant?")
    passed = "none passes: single significant pixels of this map may all be chance"
    if field.significant:
        passed = (
            f"p values up to {field.threshold:.3g} pass, {field.significant:,} of {field.tested:,} pixels, "
            f"{facts.found.after.field_share():.1f} % of the area"
        )
    page.paragraph(
        f"At p < {level:g}, {level:.0%} of the pixels are called changed where nothing changed at all. By Benjamini and "
        f"Hochberg's procedure at that false discovery rate {passed}. The classes go by each pixel's own p values."
    )


def _reading(page: Page, facts: BreakFacts) -> None:
    page.section("How to read this")
    page.items(
        [
            "Choose the break for a reason outside these data - a law, a dam, a new well field, a drought's end - and not "
            "because the map looks best with it: of many breaks tried, one in twenty is significant by chance, and the p "
            "values know of one break only.",
            '"Stopped" means that the slope after the break does not differ from zero by these months; "slowed" that it is '
            'significant still, and smaller; "turned into" that it is significant with the other sign. "Uncertain" slopes '
            "differ from each other, and neither by itself from zero.",
            "Short parts have uncertain slopes: a few wet years make a trend that did not last.",
            "The test calls 3 to 6 % of series without a change changed, where 5 % are promised, for month-to-month "
            "correlations up to 0.9 in 72 months or more; where noise has a longer memory than its month-to-month "
            "correlation tells, it calls more.",
            "The paper has no such test; there is no published preset of this step.",
        ]
    )


def changes_csv(regions: Sequence[RegionShares]) -> str:
    """Areas and shares of the classes in each region, as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("region_kind", "region", "class", "name", "area_km2", "share_percent"))
    for region in regions:
        shares = region.shares(0)
        for number, name in CHANGE_NAMES.items():
            area = region.areas[0, number - 1]
            writer.writerow((region.kind, region.name, number, name, f"{area:.6g}", f"{shares[number]:.6g}"))
    return text.getvalue()

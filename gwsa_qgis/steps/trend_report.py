"""The report of the trend: map with dots, area shares by class and region, and what the figures mean."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gwsa_qgis.rasters.inspection import describe_months, list_months
from gwsa_qgis.report.class_figures import region_bars, stippled_map, trend_class_bars
from gwsa_qgis.report.html import Page
from gwsa_qgis.science.mann_kendall import SAFE_CORRECTIONS
from gwsa_qgis.science.pixel_trend import LIMITS_OF_INDEPENDENT_MONTHS
from gwsa_qgis.science.trend import CLASS_NAMES, FieldSignificance
from gwsa_qgis.steps.stipples import Dots
from gwsa_qgis.steps.trend_grading import CORRECTED, PLAIN, RegionShares, SlopeSums
from gwsa_qgis.steps.trend_inputs import MONTHS_IN, TrendInput
from gwsa_qgis.steps.trend_passes import IGNORES, TrendJob

# Shares of trendless series of 225 months called significant at 5 % (`science.mann_kendall`), at a correlation of 0.8.
FALSE_SHARES = {
    "ar1": "5 %", "none": "49 %", "hamed_rao": "20 %", "yue_wang": "47 %", "trend_free_prewhitening": "63 %",
}  # fmt: skip
SLOPE = "Theil-Sen: the median of the slopes of all pairs of months"
SEASONAL_SLOPE = "the median of the slopes of all pairs of the same calendar month"
CORRECTION_NAMES = {
    "ar1": "AR(1)", "none": "none (the plain test)", "hamed_rao": "Hamed and Rao", "yue_wang": "Yue and Wang",
    "trend_free_prewhitening": "trend-free pre-whitening", "seasonal": "seasonal Kendall",
}  # fmt: skip
MOST_REGIONS = 20


@dataclass(frozen=True)
class TrendFacts:
    """What the report is made of.

    Attributes
    ----------
    job : TrendJob
    spacing : int
        Cells between dots.
    whole : RegionShares
        Areas of the classes on the whole map.
    regions : list of RegionShares
        By aquifer class and by latitude band.
    field : FieldSignificance
        At 5 %.
    sums : SlopeSums
    dots : Dots
    """

    job: TrendJob
    spacing: int
    whole: RegionShares
    regions: list[RegionShares]
    field: FieldSignificance
    sums: SlopeSums
    dots: Dots


def trend_page(facts: TrendFacts) -> Page:
    """Write the report."""
    data, shares = facts.job.data, facts.whole.shares(CORRECTED)
    what = data.quantity or "the stack"
    page = Page("Long-term trend", f"{data.path}, {describe_months(data.months)}")
    falling, rising = (sum(shares[k] for k in pair) for pair in ((1, 2), (6, 7)))
    page.paragraph(
        f"From {data.months[0]} to {data.months[-1]}, {what} changes by {facts.sums.mean_slope():.3g} {facts.job.slope_unit} on "
        f"average over {facts.sums.area:,.0f} km\N{SUPERSCRIPT TWO} ({facts.sums.pixels:,} pixels, weighted by true area). It "
        f"falls significantly on {falling:.1f} % of that area and rises significantly on {rising:.1f} %; on the rest, "
        "these months do not tell a trend from ordinary ups and downs, which does not mean that there is none."
    )
    if facts.job.settings.correction not in SAFE_CORRECTIONS:
        _unsafe(page, facts.job.settings.correction)
    page.facts(_summary(facts))
    _map(page, facts)
    _shares(page, facts)
    _regions(page, facts)
    _field(page, facts)
    _reading(page, facts)
    return page


def _unsafe(page: Page, correction: str) -> None:
    share = FALSE_SHARES.get(correction)
    called = f"calls about {share} of them significant" if share else "calls far more than 5 % of them significant"
    page.note(
        f"The correction chosen, {CORRECTION_NAMES[correction]}, is not safe on monthly groundwater storage: of trendless "
        f"series with a month-to-month correlation of 0.8 it {called}, where 5 % are promised. Decide by the correction "
        "ar1; use this one to compare with published figures only."
    )


def _summary(facts: TrendFacts) -> dict[str, object]:
    data, settings, mean_slope = facts.job.data, facts.job.settings, facts.sums.mean_slope()
    season = "kept"
    if settings.without_season:
        season = "taken out by " + ("robust STL" if settings.robust else "STL") + " (period 12, seasonal window 7)"
    allowance = " and for what taking the season out does to the noise" if settings.allows_for_season else ""
    correction = CORRECTION_NAMES[settings.correction]
    if settings.correction == "ar1":
        correction = f"AR(1): allows for month-to-month correlation{allowance}"
    pairs = {
        f"mean slope ({facts.job.slope_unit})": mean_slope,
        "slope": SEASONAL_SLOPE if settings.correction == "seasonal" else SLOPE,
        "season": season,
        "test": "Mann-Kendall, two-sided",
        "correction for autocorrelation": correction,
        "months": describe_filled(data),
        "pixels need": f"{facts.job.minimum_share:.0%} of the months",
    }
    if data.unit == "cm":
        volume = mean_slope * 12 / MONTHS_IN[facts.job.unit] * facts.sums.area * 1e-5
        pairs["change of volume over the area (km\N{SUPERSCRIPT THREE}/year)"] = volume
    if settings.confidence is not None:
        ignores = settings.correction in LIMITS_OF_INDEPENDENT_MONTHS
        kind = IGNORES if ignores else "with the correction's variance"
        pairs["limits"] = f"{100 * settings.confidence:g} % confidence of the slope, {kind}"
    return pairs


def describe_filled(data: TrendInput) -> str:
    """How many months there are, and which of them were filled."""
    filled = int(data.filled.sum())
    if not filled:
        return f"{data.months.size}, none marked as filled"
    names = list_months(data.months[data.filled])
    if data.used[data.filled].any():
        return f"{data.months.size}, of which {filled} were filled and not observed ({names})"
    return f"{data.used.sum()} observed; {filled} filled ones are left out ({names})"


def _map(page: Page, facts: TrendFacts) -> None:
    page.section("Map")
    bound = "a false discovery rate of" if facts.job.stipple_field else "p <"
    caption = (
        f"Slope, {facts.job.slope_unit}: red falls, white does not change, blue rises. Dots: more than half of the cells around "
        f"are significant ({bound} {facts.job.stipple_p:g}); {facts.spacing} cells apart. Grey: no data."
    )
    preview, dots = facts.sums.preview[0], facts.dots
    page.figure(stippled_map(facts.job.data.grid, preview, facts.job.slope_unit, dots.x, dots.y), caption)


def _shares(page: Page, facts: TrendFacts) -> None:
    page.section("Area by class")
    names, whole = list(CLASS_NAMES.values()), facts.whole
    shares = [list(whole.shares(number).values()) for number in (CORRECTED, PLAIN)]
    plain = None if facts.job.settings.correction == "none" and not facts.job.by_field else shares[PLAIN]
    first = "field significance" if facts.job.by_field else f"correction {facts.job.settings.correction}"
    page.figure(
        trend_class_bars(names, shares[CORRECTED], plain=plain, labels=(first, "plain test (as published)")),
        "Shares of the valid area by class, weighted by true area. The hatched bars are what the plain test says, which "
        "takes the months as independent of each other." if plain else "Shares of the valid area by class, weighted by "
        "true area.",
    )  # fmt: skip
    header = ("class", "meaning", "area (km\N{SUPERSCRIPT TWO})", "share (%)", "share by the plain test (%)")
    rows = (
        (number, name, area, share, other)
        for (number, name), area, share, other in zip(CLASS_NAMES.items(), whole.areas[CORRECTED], *shares, strict=True)
    )
    page.table(header, rows)


def _regions(page: Page, facts: TrendFacts) -> None:
    kinds = {"aquifer class": "By aquifer class", "latitude": "By latitude"}
    for kind, heading in kinds.items():
        regions = [region for region in facts.regions if region.kind == kind]
        if not regions:
            continue
        page.section(heading)
        if kind == "aquifer class":
            page.paragraph("Classes are kinds of aquifer (WHYMAP: structure and recharge), not aquifers.")
        shown = sorted(regions, key=lambda region: -region.areas[CORRECTED].sum())[:MOST_REGIONS]
        shown = [region for region in regions if region in shown]
        bars = [(region.name, np.array(list(region.shares(CORRECTED).values()))) for region in shown]
        more = f" The {len(shown)} largest of {len(regions)}." if len(shown) < len(regions) else ""
        page.figure(
            region_bars(bars, list(CLASS_NAMES.values())), f"Shares of each region's valid area by class.{more}"
        )
        header = (
            kind,
            "area (km\N{SUPERSCRIPT TWO})",
            *(f"{number} (%)" for number in CLASS_NAMES),
            "plain test: 1+2, 6+7 (%)",
        )
        page.table(header, [_region_row(region) for region in shown])


def _region_row(region: RegionShares) -> tuple[object, ...]:
    plain = region.shares(PLAIN)
    both = f"{plain[1] + plain[2]:.1f}, {plain[6] + plain[7]:.1f}"
    return region.name, region.areas[CORRECTED].sum(), *region.shares(CORRECTED).values(), both


def _field(page: Page, facts: TrendFacts) -> None:
    field = facts.field
    page.section("Is the map as a whole significant?")
    if field.significant:
        text = (
            f"At p < 0.05 one pixel in twenty is called significant where nothing happens at all. Benjamini and Hochberg's "
            f"procedure keeps the expected share of false ones among those called significant below 5 %: on this map "
            f"p values up to {field.threshold:.3g} pass, {field.significant:,} of {field.tested:,} pixels, "
            f"{facts.sums.field_share():.1f} % of the area."
        )
    else:
        text = (
            "At p < 0.05 one pixel in twenty is called significant where nothing happens at all. Benjamini and Hochberg's "
            f"procedure allows for that: of {field.tested:,} pixels none passes at a false discovery rate of 5 %. Single "
            "significant pixels of this map may all be chance."
        )
    page.paragraph(text)
    page.paragraph(
        "The classes go by this procedure (5 %, highly significant 1 %)."
        if facts.job.by_field
        else "The classes go by each pixel's own p value, as published, and not by this procedure."
    )


def _reading(page: Page, facts: TrendFacts) -> None:
    page.section("How to read this")
    page.items(
        [
            f"Slopes are in {facts.job.slope_unit}. For water in cm, a slope of -1 cm/year takes 10 mm of water from every "
            "square metre a year, 10,000 m\N{SUPERSCRIPT THREE} from a square kilometre. 1 cm/month is 12 cm/year.",
            "p is the probability that a series without any trend shows one as strong as this. It says nothing of how "
            "large the trend is, and nothing of its cause.",
            "Recommended: correction ar1, which allows for the memory of groundwater from month to month. Published: "
            "correction none, the plain test; it calls 23 % of trendless series significant at 5 % when their "
            "month-to-month correlation is 0.5, and 49 % at 0.8. Both p values can be written, and both shares are above.",
            "Trends are those of the months given. A record of two decades holds natural swings as well as pumping: compare "
            "with the trend of a natural background before blaming either.",
            "Below a native mascon (about 1 degree) nothing was measured by GRACE; neighbouring fine pixels share their "
            "satellite signal, so that many significant pixels may be one observation.",
        ]
    )


def shares_csv(regions: Sequence[RegionShares]) -> str:
    """Areas and shares of the classes in each region, as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ("region_kind", "region", "class", "name", "area_km2", "share_percent", "area_plain_km2", "share_plain_percent")
    )
    for region in regions:
        shares = [region.shares(number) for number in (CORRECTED, PLAIN)]
        for number, name in CLASS_NAMES.items():
            values = (
                f"{value:.6g}"
                for kind in (CORRECTED, PLAIN)
                for value in (region.areas[kind, number - 1], shares[kind][number])
            )
            writer.writerow((region.kind, region.name, number, name, *values))
    return text.getvalue()

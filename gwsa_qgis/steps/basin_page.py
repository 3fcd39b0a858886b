"""The page of one basin, and the overview of several."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gwsa_qgis.rasters.inspection import describe_months
from gwsa_qgis.report.basin_chart import basin_chart
from gwsa_qgis.report.basin_panels import annual_course, drought_bars
from gwsa_qgis.report.html import Link, Page
from gwsa_qgis.science.drought import CLASS_NAMES
from gwsa_qgis.science.trend_break import CHANGE_NAMES
from gwsa_qgis.steps.basin_analysis import MONTH_NAMES, YEAR, BasinAnalysis, driest_month, worst_spells
from gwsa_qgis.steps.basin_figures import FOUND, BasinFigures
from gwsa_qgis.steps.basin_maps import RULES, BasinMap
from gwsa_qgis.steps.basin_report import KM2, KM3, SIGNIFICANT, BasinFacts, chart_of, limits, uncertainty_rule
from gwsa_qgis.steps.hotspot_regions import NAMES
from gwsa_qgis.steps.hotspot_report import add_hot_spots, rule_text

HOT_SPOTS_LISTED = 12


@dataclass(frozen=True)
class BasinBook:
    """All that pages of basins are made from."""

    figures: BasinFigures
    analysis: BasinAnalysis
    facts: BasinFacts


def basin_page_of(book: BasinBook, number: int, drawn: BasinMap | str) -> Page:
    """The page of a basin; `drawn` is its map, or why there is none."""
    figures, facts = book.figures, book.facts
    page = Page(figures.basins.names[number], f"{facts.source}, {describe_months(figures.months)}")
    if figures.status[number] != FOUND:
        page.note(f"There is no series: {figures.status[number]}.")
        return page
    page.facts(summary_of(book, number, drawn), "In short")
    _series(page, book, number)
    _break(page, book, number)
    _season(page, book, number)
    _drought(page, book, number)
    _map(page, drawn)
    page.section("What to keep in mind")
    if facts.errors is not None:
        page.paragraph(uncertainty_rule(facts.errors, figures.level))
    page.paragraph(
        "Means are weighted by area, and a cell on the border counts by its share of area inside the basin, exactly. Volume is "
        "the mean times the area that has values. The map shows cells that the basin covers by at least half."
    )
    page.note(
        "Satellite gravity resolves some 300 km. Of a smaller basin, or of detail within one, the map says no more than the "
        "downscaling behind it can prove."
    )
    return page


def summary_of(book: BasinBook, number: int, drawn: BasinMap | str) -> dict[str, object]:
    """The figures that matter, with their names."""
    figures, analysis = book.figures, book.analysis
    trends, level = figures.trends, f"{100 * figures.level:g} %"
    rate, lower, upper = (values[number] for values in figures.km3_per_year())
    share = figures.usual_area[number] / figures.areas[number]
    found = {
        "Area": f"{figures.areas[number]:.6g} {KM2}, {100 * share:.3g} % with values",
        "Trend": f"{trends.slope[number]:.3g} cm per year ({level}: {limits(trends.lower[number], trends.upper[number])})",
        "Volume": f"{rate:.3g} {KM3} per year ({level}: {limits(lower, upper)})",
        "Test": f"p = {trends.p[number]:.2g}: {figures.trend_names[number]}",
    }
    if not np.isfinite(trends.slope[number]):
        found = {"Area": found["Area"], "Trend": "none: too few months"}
    if analysis.change[number]:
        found["Break"] = f"{analysis.break_month}: {CHANGE_NAMES[int(analysis.change[number])]}"
    if np.isfinite(analysis.seasonal.contribution[number]):
        peak = MONTH_NAMES[int(analysis.peak[number])]
        course = f", highest in {peak}" if peak else ", no course that returns"
        found["Season"] = f"{analysis.seasonal.contribution[number]:.3g} % of the variation{course}"
    driest = int(driest_month(analysis.index[number : number + 1])[0])
    if driest >= 0:
        worst = CLASS_NAMES[int(analysis.classes[number, driest])]
        month = figures.months[driest]
        found["Driest month"] = f"{month}: index {analysis.index[number, driest]:.2f}, {worst}"
    if isinstance(drawn, BasinMap):
        found["Hot spots"] = _sums_of(drawn) or "none"
    return found


def _sums_of(drawn: BasinMap) -> str:
    texts = []
    for kind, name in NAMES.items():
        if kind in drawn.found.totals:
            total = drawn.found.totals[kind]
            share = 100 * total.area / drawn.found.valid_area
            texts.append(f"{name} on {share:.3g} % of the map, {total.rate:.3g} {KM3} per year")
    return "; ".join(texts)


def _series(page: Page, book: BasinBook, number: int) -> None:
    page.section("Storage and its trend")
    page.figure(basin_chart(chart_of(book.figures, number)), "Monthly means; dashed where months were filled.")
    page.paragraph(
        "Theil-Sen slope of the series without its season (STL); limits and p value are widened for serial correlation by the "
        f"AR(1) factor. Plain Mann-Kendall test, for comparison: p = {book.figures.trends.p_plain[number]:.2g}."
    )


def _break(page: Page, book: BasinBook, number: int) -> None:
    parts, month = book.analysis.parts, book.analysis.break_month
    if parts is None or not book.analysis.change[number]:
        return
    page.section(f"Before and after {month}")
    rows = [
        (f"before {month}", parts.before[number] * YEAR, parts.p_before[number]),
        (f"from {month}", parts.after[number] * YEAR, parts.p_after[number]),
        ("difference", parts.change[number] * YEAR, parts.p_change[number]),
    ]
    page.table(("", "slope (cm per year)", "p"), rows)
    page.paragraph(
        f"That is: {CHANGE_NAMES[int(book.analysis.change[number])]}, at p < {SIGNIFICANT:g}. The test holds for a month that "
        "was chosen without looking at the series, such as the middle of the record or the year of a law."
    )


def _season(page: Page, book: BasinBook, number: int) -> None:
    seasonal = book.analysis.seasonal
    if not np.isfinite(seasonal.contribution[number]):
        return
    page.section("Season")
    page.figure(annual_course(book.analysis.course[number]), "What calendar months depart from the Sen line.")
    page.paragraph(
        f"Within a year the months vary by {seasonal.within[number]:.3g} cm (standard deviation), annual means by "
        f"{seasonal.between[number]:.3g} cm: the season makes {seasonal.contribution[number]:.3g} % of it (Eq. 20), over "
        f"{seasonal.years[number]} complete years."
    )


def _drought(page: Page, book: BasinBook, number: int) -> None:
    analysis, months = book.analysis, book.figures.months
    index, classes = analysis.index[number], analysis.classes[number]
    if not np.isfinite(index).any():
        return
    page.section("Drought index")
    chart = drought_bars(months, index, classes, book.figures.filled[number])
    page.figure(
        chart, "GRACE-DSI of the basin's mean, in the colours of its classes; dotted: D1 and W1; filled months pale."
    )
    header = ("from", "to", "months", "lowest index", "worst class")
    spells = worst_spells(classes, index, months)
    if spells:
        page.table(header, spells, "Longest spells of moderate drought or worse")
    page.paragraph(
        "Each month against the mean and standard deviation of its calendar month in this record: a falling trend makes its "
        "end look dry."
    )


def _map(page: Page, drawn: BasinMap | str) -> None:
    page.section("Hot spots")
    if isinstance(drawn, str):
        page.paragraph(f"No map: {drawn}.")
        return
    page.paragraph(rule_text(RULES, drawn.inputs))
    add_hot_spots(page, drawn.found, RULES, drawn.inputs, most=HOT_SPOTS_LISTED)


def overview_page(book: BasinBook, files: list[str]) -> Page:
    """All basins, the largest loss of volume first, with links to their pages.

    Parameters
    ----------
    files : list of str
        Relative address of each basin's page.
    """
    figures, analysis = book.figures, book.analysis
    page = Page("Basin reports", f"{book.facts.source}, {describe_months(figures.months)}")
    rate, lower, upper = figures.km3_per_year()
    order = figures.by_change().tolist()
    order += [number for number in range(len(files)) if number not in set(order)]
    rows = [
        (
            Link(figures.basins.names[n], files[n]),
            figures.areas[n],
            figures.trends.slope[n],
            rate[n],
            limits(lower[n], upper[n]),
            figures.trends.p[n],
            CHANGE_NAMES.get(int(analysis.change[n]), ""),
            analysis.seasonal.contribution[n],
        )
        for n in order
    ]
    level = f"{100 * figures.level:g} %"
    header = ("basin", f"area ({KM2})", "cm per year", f"{KM3} per year", level, "p (AR(1))")
    page.table((*header, f"at {analysis.break_month}", "season (%)"), rows, "Largest loss of volume first")
    if figures.sums.overlap > 0:
        page.note(f"Basins overlap on {figures.sums.overlap:.4g} {KM2}: their volumes must not be added up.")
    return page

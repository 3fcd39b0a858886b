"""The page of basin series: trends ranked by volume, charts, how uncertainty was added up, what has no values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.inspection import describe_months
from gwsa_qgis.report.basin_chart import BasinChart, basin_chart
from gwsa_qgis.report.html import Page
from gwsa_qgis.steps.basin_errors import PIXELS, BasinErrorFiles
from gwsa_qgis.steps.basin_figures import FOUND, BasinFigures

KM2, KM3 = "km\N{SUPERSCRIPT TWO}", "km\N{SUPERSCRIPT THREE}"
ROWS_SHOWN = 2000
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class BasinFacts:
    """What a page says of its inputs."""

    source: str
    layer: str
    baseline: str
    errors: BasinErrorFiles | None
    charts: int = 0
    to_cm: float = 1.0


def basin_page(figures: BasinFigures, facts: BasinFacts, progress: Reporter | None = None) -> Page:
    """Build the page."""
    progress = progress or Reporter()
    page = Page("Groundwater storage of basins", f"{facts.source}, {describe_months(figures.months)}")
    with_values = int(figures.has_values.sum())
    anomaly = f" Anomalies are to the mean of {facts.baseline}." if facts.baseline else ""
    page.paragraph(
        f"{with_values} of {len(figures.basins)} basins of {facts.layer} have a series. Means are weighted by area, and a "
        "pixel on the border counts by its share of area inside the basin, exactly. Volume is the mean times the area that "
        f"has values: nothing is extrapolated to masked parts or beyond the raster.{anomaly}"
    )
    order = figures.by_change()
    _trends(page, figures, order)
    _charts(page, figures, _most_changed(figures, order, facts.charts), progress)
    _uncertainty(page, figures, facts.errors)
    _without(page, figures)
    return page


def _trends(page: Page, figures: BasinFigures, order: np.ndarray) -> None:
    page.section("Trends")
    if not order.size:
        page.paragraph("No basin has enough months for a trend.")
        return
    level = f"{100 * figures.level:g} %"
    rate, lower, upper = figures.km3_per_year()
    fields, trends = figures.fields(), figures.trends
    shown = order[:ROWS_SHOWN]
    page.table(
        (
            *("basin", f"area with values ({KM2})", "share of basin (%)", "cm per year", level),
            *(f"{KM3} per year", level, "p (AR(1))", "p (plain)", "trend"),
        ),
        [
            (
                figures.basins.names[n],
                figures.usual_area[n],
                100 * fields["value_share"][n],
                trends.slope[n],
                limits(trends.lower[n], trends.upper[n]),
                rate[n],
                limits(lower[n], upper[n]),
                trends.p[n],
                trends.p_plain[n],
                fields["trend"][n],
            )
            for n in shown
        ],
        "Largest loss of volume first",
    )
    if shown.size < order.size:
        page.paragraph(f"{order.size - shown.size} more basins are in the tables.")
    page.note(
        "Theil-Sen slope of the deseasonalised series (STL), with limits and p value widened for serial correlation by the "
        "AR(1) factor. The plain Mann-Kendall test calls half of trendless monthly series significant; its p value is given "
        "for comparison. Limits are of the fit: errors that all months share are not in them. A trend of "
        f"{figures.months.size} months is no forecast."
    )


def _most_changed(figures: BasinFigures, order: np.ndarray, most: int) -> np.ndarray:
    """The basins to draw, in their order."""
    if not order.size:
        return np.flatnonzero(figures.has_values)[:most]
    change = np.abs(figures.km3_per_year()[0][order])
    return order[np.sort(np.argsort(-change, kind="stable")[:most])]


def limits(lower: float, upper: float) -> str:
    """Both ends of an interval as text."""
    return f"{lower:.3g} to {upper:.3g}" if np.isfinite(lower + upper) else "\N{EN DASH}"


def _charts(page: Page, figures: BasinFigures, shown: np.ndarray, progress: Reporter) -> None:
    if not shown.size:
        return
    page.section("Series")
    if shown.size < figures.has_values.sum():
        page.paragraph(
            f"The {shown.size} basins whose volume changes most; all others are in the tables (CHARTS says how many are drawn)."
        )
    for done, number in enumerate(shown.tolist(), start=1):
        chart = chart_of(figures, number)
        caption = f"{figures.basins.names[number]}: monthly means; dashed where months were filled."
        page.figure(basin_chart(chart), caption)
        progress(done / shown.size)


def chart_of(figures: BasinFigures, number: int) -> BasinChart:
    """What is drawn of a basin."""
    years, annual, counts = figures.annual()
    trends, rate = figures.trends, figures.km3_per_year()[0][number]
    text = "no trend: too few months"
    if np.isfinite(trends.slope[number]):
        name = figures.trend_names[number]
        text = (
            f"{trends.slope[number]:.3g} cm/yr ({limits(trends.lower[number], trends.upper[number])}), {rate:.3g} {KM3}/yr, "
            f"p = {trends.p[number]:.2g}: {name}"
        )
    return BasinChart(
        figures.basins.names[number],
        text,
        figures.months,
        figures.means[number],
        figures.together[number],
        figures.filled[number],
        years,
        annual[number],
        counts[number] == 12,
        float(trends.intercept[number]),
        float(trends.slope[number]),
        bool(trends.p[number] < SIGNIFICANT),
        figures.level,
    )


def _uncertainty(page: Page, figures: BasinFigures, errors: BasinErrorFiles | None) -> None:
    page.section("Uncertainty")
    if errors is None:
        page.paragraph("No uncertainty was given (UNCERTAINTY), and none is drawn.")
        return
    page.paragraph(uncertainty_rule(errors, figures.level))


def uncertainty_rule(errors: BasinErrorFiles, level: float) -> str:
    """How errors were added up, in words."""
    begin = f"Half-widths are of {100 * level:g} % intervals. "
    if errors.kind == PIXELS:
        return begin + (
            "Errors of pixels were given, and are taken as one error throughout a basin: that of the mean is the mean of "
            "theirs. It is never too small, and for basins of several mascons too large: CELL, WITHIN and MASCONS of the "
            "uncertainty step tell them apart."
        )
    kind = "mascon" if errors.support.kind == "mascons" else "cell"
    text = begin + (
        f"Pixels of a {kind} share its error s. How errors go together from one {kind} to the next is not known: the band "
        "takes them as one error throughout the basin, sum(a s) / sum(a) with the areas a, which is the largest that it can "
        "be; the column uncertainty_independent_cm takes them as independent, sqrt(sum((a s)^2)) / sum(a). The truth lies "
        "between, unless errors are opposed."
    )
    if errors.within is None:
        return text + (
            f" How a part of a {kind} departs from its mean was not given (WITHIN): for basins that are not much larger than "
            f"a {kind} the error is larger than said."
        )
    return text + (
        f" Of the errors within a {kind}, which add up to nothing over it, the mean over a share f of its area keeps "
        "min(1, (1 - f) / f): as if all pixels of the part erred alike. Both kinds are added in quadrature."
    )


def _without(page: Page, figures: BasinFigures) -> None:
    rows = [row for row in zip(figures.basins.names, figures.status, figures.areas, strict=True) if row[1] != FOUND]
    if rows:
        page.section("Basins without values")
        page.table(("basin", "why", f"area ({KM2})"), rows[:ROWS_SHOWN])
    if figures.sums.overlap > 0:
        page.note(f"Basins overlap on {figures.sums.overlap:.4g} {KM2}: their volumes must not be added up.")

"""The report of the pumping fingerprint: three trends, area shares, and what a residual proves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gwsa_qgis.rasters.inspection import describe_months, read_thinned
from gwsa_qgis.report.class_figures import trend_class_bars
from gwsa_qgis.report.html import Page
from gwsa_qgis.report.maps import MOST_PIXELS, map_panels
from gwsa_qgis.report.series import SeriesLine, SeriesPanel, monthly_series
from gwsa_qgis.science.trend import CLASS_NAMES
from gwsa_qgis.science.trend_of_means import MeanTrend
from gwsa_qgis.steps.attribution_inputs import AttributionJob

NAMES = ("GWSA", "background", "residual")
USES = {
    "natural": "The file's name says that the run has no human water use.",
    "human": "The run has human water use: pumping is inside, and what is left of it here is too small.",
    "assimilated": "The run assimilates GRACE: observed depletion is inside, and what is left of it here is too small.",
    "unknown": "Neither the file's name nor its metadata say whether human water use is inside: find out before use.",
}


@dataclass(frozen=True)
class AttributionFacts:
    """What the report is made of.

    Attributes
    ----------
    slope_map : str
        The slopes, where they are until they are moved into place.
    series : (3, n_months) float64
        Area-weighted means of GWSA, background and residual, cm.
    means : sequence of MeanTrend
        Their trends.
    area : float
        km2 with a residual.
    """

    job: AttributionJob
    slope_map: str
    series: np.ndarray
    means: Sequence[MeanTrend]
    area_shares: dict[int, float]
    mean_slope: float
    pixels: int
    uncovered_share: float
    area: float
    unit: str
    correction: str
    deseasonalise: bool


def attribution_page(facts: AttributionFacts) -> Page:
    """Write the report."""
    job = facts.job
    page = Page("Pumping fingerprint", f"{job.gwsa}, {describe_months(job.months)}")
    page.paragraph(
        f"The groundwater storage of {job.background_name}, {job.how()}, is taken from GWSA, both as anomalies to "
        f"their means over the same months of {' to '.join(job.baseline)}. The trend of what is left is what observed "
        "storage does beyond this model's natural groundwater."
    )
    use = f"{USES[job.human_use]} {job.warning + '.' if job.warning else ''}".strip()
    (page.paragraph if job.human_use == "natural" and not job.warning else page.note)(use)
    _trends(page, facts)
    _classes(page, facts)
    _map(page, facts)
    _meaning(page)
    return page


def _trends(page: Page, facts: AttributionFacts) -> None:
    page.section("Trends of the means")
    header = ("mean over the area", f"trend (cm/{facts.unit})", "95 % limits", f"p ({facts.correction})", "p (plain)")
    rows = [
        (name, one.slope, f"{one.lower:.3g} to {one.upper:.3g}", one.p, one.p_plain)
        for name, one in zip(NAMES, facts.means, strict=True)
    ]
    page.table(header, rows, "Theil-Sen slopes of the area-weighted mean series" + _season(facts))
    page.paragraph(
        f"Mean of the pixels' residual slopes, weighted by area: {facts.mean_slope:.4g} cm/{facts.unit}, {facts.pixels} "
        "pixels. Slopes are medians, so that those of GWSA and background need not differ by exactly that of the residual."
    )
    if facts.uncovered_share > 0:
        page.note(f"{facts.uncovered_share:.2f} % of the area of GWSA has no background, and so no residual.")
    job = facts.job
    lines = [
        SeriesLine(name, values, job.filled if name != "background" else np.zeros(job.months.size, bool))
        for name, values in zip(NAMES, facts.series, strict=True)
    ]
    page.figure(
        monthly_series([SeriesPanel("Mean over the area", job.months, lines)], "cm"),
        "Area-weighted means over the pixels that have a residual; months that gap filling made are dashed.",
    )


def _season(facts: AttributionFacts) -> str:
    return ", season taken out by STL" if facts.deseasonalise else ", season left in"


def _classes(page: Page, facts: AttributionFacts) -> None:
    page.section("Trend of the residual by area")
    names, shares = list(CLASS_NAMES.values()), [facts.area_shares[number] for number in CLASS_NAMES]
    page.figure(trend_class_bars(names, shares), "Shares of the area by trend class of the residual, by true area.")
    page.table(("class", "share (%)"), zip(names, shares, strict=True), f"{facts.area:.6g} km\N{SUPERSCRIPT TWO}")


def _map(page: Page, facts: AttributionFacts) -> None:
    values, grid = read_thinned(facts.slope_map, MOST_PIXELS)
    png = map_panels(grid, [("", values)], f"trend of the residual (cm/{facts.unit})", diverging=True, columns=1)
    page.section("Map")
    page.figure(png, "Trend of the residual: red where storage falls faster than the model's natural groundwater.")


def _meaning(page: Page) -> None:
    page.section("What a negative residual proves, and what it does not")
    page.items(
        [
            "It says that GWSA falls faster here than this model's natural groundwater. That is what pumping looks like "
            "from above.",
            "It does not prove pumping. Errors of the model look the same: its recharge and evapotranspiration, the trend of "
            "its rainfall, deep or confined aquifers that it lacks.",
            "Errors of GWSA look the same too: soil moisture, snow or canopy water that the land-surface model got wrong, "
            "lakes, reservoirs and rivers that were never taken out, leakage from neighbours, ice and mountains.",
            "It is no amount of pumping. Return flow, recharge that pumping induces and imported surface water are in it, "
            "and a model error of the same size may hide or double it.",
            "A residual near zero does not prove that nobody pumps: extraction that is replaced every year has no trend.",
            "A positive residual may be artificial recharge, irrigation with surface water, a recovering aquifer, or a model "
            "that dries out too fast.",
            "Detail finer than the background's cells is that of GWSA alone; sharp edges are as good as the downscaling, and "
            "no better.",
            "One model is one opinion. Run it with several natural runs and trust what they share; then look for wells, "
            "irrigated areas and pumping records.",
        ]
    )

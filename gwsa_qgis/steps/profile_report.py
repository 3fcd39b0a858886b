"""Table and report of the latitudinal profile."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.inspection import describe_months
from gwsa_qgis.report.html import Page
from gwsa_qgis.report.profile import ProfileLine, map_and_profile
from gwsa_qgis.science.latitude_bands import SHARES, BandFigures
from gwsa_qgis.science.period_means import Period

SQUARE_METRES = 1e6
PERCENTILES = tuple(f"p{round(100 * share)}" for share in SHARES)
MIDDLE, OUTER = SHARES.index(0.5), (0, len(SHARES) - 1)


@dataclass(frozen=True)
class LatitudeBand:
    """A band of a period.

    Attributes
    ----------
    south, north : float
        Edges, degrees.
    figures : BandFigures
        Weights are square metres.
    """

    period: Period
    south: float
    north: float
    figures: BandFigures

    @property
    def centre(self) -> float:
        """Latitude of its middle, degrees."""
        return (self.south + self.north) / 2

    def name(self) -> str:
        """Its edges, as ``25 to 26 N``."""
        near, far = sorted((abs(self.south), abs(self.north)))
        if self.south >= 0 or self.north <= 0:
            return f"{near:g} to {far:g} {'N' if self.south >= 0 else 'S'}"
        return f"{abs(self.south):g} S to {self.north:g} N"


@dataclass(frozen=True)
class ProfileFacts:
    """What the report is made of.

    Attributes
    ----------
    periods : sequence of Period
        The whole record first.
    bands : sequence of LatitudeBand
    grid : Grid
        Of the maps.
    maps : (n_periods, rows, columns) float32
        Thinned.
    """

    path: str
    quantity: str
    unit: str
    months: np.ndarray
    periods: Sequence[Period]
    band_height: float
    minimum_share: float
    bands: Sequence[LatitudeBand]
    grid: Grid
    maps: np.ndarray
    area_mean: float


def bands_as_csv(bands: Sequence[LatitudeBand]) -> str:
    """Table of the bands: period, edges, centre, mean, standard deviation, percentiles, area, pixels."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("period", "south", "north", "latitude", "mean", "sd", *PERCENTILES, "area_km2", "pixels"))
    for band in bands:
        found = band.figures
        numbers = (band.south, band.north, band.centre, found.mean, found.deviation, *found.quantiles)
        cells = [f"{number:.10g}" for number in (*numbers, found.weight / SQUARE_METRES)]
        writer.writerow([str(band.period), *cells, found.count])
    return buffer.getvalue()


def profile_page(facts: ProfileFacts) -> Page:
    """Write the report."""
    unit = facts.unit or "no unit"
    page = Page("Multi-year mean and latitudinal profile", f"{facts.path}, {describe_months(facts.months)}")
    page.paragraph(
        f"Each pixel's mean over the months that it has (at least {facts.minimum_share:.0%} of them), and means of these "
        f"over bands of {facts.band_height:g} degrees of latitude, weighted by true area (Fig. 6). Area-weighted mean of "
        f"the whole map: {facts.area_mean:.4g} {unit}."
    )
    whole = [band for band in facts.bands if band.period == facts.periods[0]]
    low, high = (pick(whole, key=lambda band: band.figures.mean) for pick in (min, max))
    page.facts(
        {
            "Lowest band": f"{low.name()}, {low.figures.mean:.4g} {unit}",
            "Highest band": f"{high.name()}, {high.figures.mean:.4g} {unit}",
            "Area": f"{sum(band.figures.weight for band in whole) / SQUARE_METRES:.6g} km\N{SUPERSCRIPT TWO}",
            "Pixels": sum(band.figures.count for band in whole),
        }
    )
    _figures(page, facts)
    _tables(page, facts)
    page.section("How to read this")
    page.items(
        [
            "An anomaly is relative to its baseline, not to a natural state: its mean over a record says how the record "
            "differs from the baseline years. A negative mean is a deficit against them, whatever caused it.",
            "The shade spans the 10th to 90th percentile of the pixels of a band, and the standard deviation is theirs too: "
            "it is how unlike they are, no error of the mean.",
            "A record that begins or ends within a year weighs some months more than others. Bands with little land rest "
            "on few pixels: see the area.",
        ]
    )
    return page


def _figures(page: Page, facts: ProfileFacts) -> None:
    label = f"{facts.quantity or 'mean'} ({facts.unit})" if facts.unit else facts.quantity or "mean"
    page.section("Map and profile")
    lines = [_line(facts, period) for period in facts.periods]
    for number, period in enumerate(facts.periods):
        if not np.isfinite(facts.maps[number]).any():
            continue
        others = lines[1:] if number == 0 else []
        png = map_and_profile(facts.grid, facts.maps[number], lines[number], label, others)
        caption = (
            "Left: area-weighted mean of each band (line; red below zero, blue above) and the 10th to 90th percentile "
        )
        caption += "of its pixels (grey). Right: mean of each pixel."
        page.figure(png, f"{period.title()}. {caption}")


def _line(facts: ProfileFacts, period: Period) -> ProfileLine:
    """The bands of a period, south to north, with NaN where a band has no value."""
    height = facts.band_height
    here = {round(band.south / height): band.figures for band in facts.bands if band.period == period}
    numbers = np.arange(min(here), max(here) + 1) if here else np.zeros(0, int)
    gap = BandFigures(np.nan, np.nan, np.full(len(SHARES), np.nan), 0.0, 0)
    found = [here.get(int(number), gap) for number in numbers]
    quantiles = np.array([figures.quantiles for figures in found]).reshape(-1, len(SHARES))
    low, high = (quantiles[:, place] for place in OUTER)
    edges = height * np.append(numbers, numbers[-1:] + 1)
    return ProfileLine(period.title(), edges, np.array([figures.mean for figures in found]), low, high)


def _tables(page: Page, facts: ProfileFacts) -> None:
    page.section("Bands")
    header = (
        "latitude",
        "mean",
        "sd",
        PERCENTILES[0],
        PERCENTILES[MIDDLE],
        PERCENTILES[-1],
        "area (km\N{SUPERSCRIPT TWO})",
    )
    for period in facts.periods:
        rows = [
            (
                band.name(),
                band.figures.mean,
                band.figures.deviation,
                *(band.figures.quantiles[place] for place in (0, MIDDLE, -1)),
                band.figures.weight / SQUARE_METRES,
            )
            for band in facts.bands
            if band.period == period
        ]
        if rows:
            page.table(header, rows, f"{period.title()}, {facts.unit or 'no unit'}")

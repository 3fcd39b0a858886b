"""The page of hot spots: a map, a table by rank, and what their figures mean."""

from __future__ import annotations

import numpy as np

from gwsa_qgis.report.hotspot_map import hotspot_map
from gwsa_qgis.report.html import Page
from gwsa_qgis.steps.hotspot_regions import NAMES, FoundRegions, HotSpots, Rules
from gwsa_qgis.steps.slope_inputs import SlopeInputs

KM2, KM3 = "km\N{SUPERSCRIPT TWO}", "km\N{SUPERSCRIPT THREE}"
ROWS_SHOWN, RANKS_ON_MAP = 100, 12


def hotspot_page(found: FoundRegions, rules: Rules, inputs: SlopeInputs, source: str, kind: str) -> Page:
    """Build the page."""
    period = inputs.tags.get("GWSA_PERIOD", "")
    page = Page(f"Hot spots of {'depletion and gain' if kind == 'both' else kind}", f"{source} {period}".strip())
    page.paragraph(rule_text(rules, inputs))
    add_hot_spots(page, found, rules, inputs)
    return page


def rule_text(rules: Rules, inputs: SlopeInputs) -> str:
    """What makes a hot spot, in words."""
    steep = f" and change by at least {rules.least_slope:g} cm per year" if rules.least_slope else ""
    large = f" Those below {rules.minimum_area:g} {KM2} are left out." if rules.minimum_area else ""
    test = inputs.tags.get("GWSA_CORRECTION", "")
    tested = f" (test with correction {test})" if test else ""
    corners = "also at corners" if rules.connectivity == 8 else "by their sides"
    return (
        f"A hot spot is an area of connected cells ({corners}) whose slopes have p < {rules.p:g}{tested}{steep}.{large} Nothing "
        "is smoothed: outlines follow the cells."
    )


def add_hot_spots(page: Page, found: FoundRegions, rules: Rules, inputs: SlopeInputs, most: int = ROWS_SHOWN) -> None:
    """Add sums, map, table of the `most` largest and notes to a page."""
    hot = found.largest
    if not hot.count:
        page.note("No hot spot was found.")
        return
    _sums(page, found, inputs)
    places = list(zip(range(1, RANKS_ON_MAP + 1), hot.x.tolist(), hot.y.tolist(), strict=False))
    page.figure(
        hotspot_map(inputs.grid, *found.maps, places),
        "Slopes, and those of hot spots (white: none; grey: no data); numbers are ranks, at the steepest cell.",
    )
    page.table(*_table(hot, inputs.has_limits, most), "Largest volume a year first")
    if found.count > most:
        page.paragraph(f"{found.count - most} smaller ones are not listed.")
    _notes(page, found, rules, inputs)


def _sums(page: Page, found: FoundRegions, inputs: SlopeInputs) -> None:
    rows = []
    for kind, name in NAMES.items():
        if kind in found.totals:
            total = found.totals[kind]
            limits, share = _limits(total.lower, total.upper), 100 * total.area / found.valid_area
            rows.append((name, total.count, total.area, share, total.rate, limits))
    header = ("", "number", f"area ({KM2})", "share of the area (%)", f"{KM3} per year", "limits")
    page.table(
        header if inputs.has_limits else header[:-1], [row[: len(header) - (not inputs.has_limits)] for row in rows]
    )


def _table(hot: HotSpots, has_limits: bool, most: int) -> tuple[tuple[str, ...], list[tuple]]:
    header = ("rank", "kind", f"area ({KM2})", "mean slope (cm/yr)", "steepest (cm/yr)", f"{KM3} per year", "limits")
    header = (*header, "confidence", "p < 0.01 (% of it)", "steepest at")
    rows = [
        (
            n + 1,
            NAMES[int(hot.kind[n])],
            hot.area[n],
            hot.mean[n],
            hot.steepest[n],
            hot.rate[n],
            _limits(hot.lower[n], hot.upper[n]),
            hot.confidence[n],
            100 * hot.sure[n],
            f"{hot.x[n]:.6g}, {hot.y[n]:.6g}",
        )
        for n in range(min(hot.count, most))
    ]
    if not has_limits:
        header, rows = header[:6] + header[7:], [row[:6] + row[7:] for row in rows]
    return header, rows


def _limits(lower: float, upper: float) -> str:
    return f"{lower:.3g} to {upper:.3g}" if np.isfinite(lower + upper) else "\N{EN DASH}"


def _notes(page: Page, found: FoundRegions, rules: Rules, inputs: SlopeInputs) -> None:
    if inputs.has_limits:
        kind = f" ({inputs.limits})" if inputs.limits else ""
        page.note(
            f"Limits of a volume are the sums of the limits of its cells{kind}. They hold where all cells of a hot spot err "
            "alike, which neighbours within a native mascon do; were their errors independent, the true limits would be "
            "much narrower. They are never too narrow for the errors that the cells' limits describe."
        )
    page.note(
        "Cells are chosen for being significant, so that slopes within hot spots are on average steeper than the truth, the "
        f"more so the closer p is to {rules.p:g}. By chance alone some {found.chance_area:.4g} {KM2} would be chosen where "
        "nothing happens: small hot spots need another proof."
    )

"""The report of the gap filling: what each method is worth where months were hidden, and what it filled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gwsa_qgis.errors import NoUsableData
from gwsa_qgis.rasters.inspection import describe_months, list_months
from gwsa_qgis.rasters.raster import Raster
from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.report.html import Page
from gwsa_qgis.report.maps import map_panels
from gwsa_qgis.report.series import SeriesLine, SeriesPanel, monthly_series
from gwsa_qgis.science.hidden_months import METHODS
from gwsa_qgis.science.ssa import fill_gaps
from gwsa_qgis.steps.gap_maps import GapMaps, KindFigures

MOST_CHOSEN = 6
NAMES = {
    "ssa": "SSA",
    "harmonic": "harmonics",
    "autoregressive": "autoregression",
    "best": "SSA and autoregression combined",
}
KINDS = {"hidden_short": "short gaps", "hidden_long": "long gap"}


@dataclass(frozen=True)
class GapFacts:
    """What the report is made of.

    Attributes
    ----------
    stack : MonthlyStack
        The record with its gaps, open.
    present : (n_months,) bool
        Months with a value anywhere.
    settings : dict
        Keywords of `science.ssa.fill_gaps`.
    maps : GapMaps
        `gap_solver.COLUMNS` of every cell, in a file.
    classes : Raster or None
        Class of each cell, open.
    chosen : list of (name, row, column)
        Cells whose series are shown.
    distinct : int
        Distinct series solved.
    """

    stack: MonthlyStack
    present: np.ndarray
    settings: dict[str, object]
    maps: GapMaps
    classes: Raster | None
    chosen: list[tuple[str, int, int]]
    distinct: int


def gap_page(facts: GapFacts) -> Page:
    """Write the report."""
    months, unit = facts.stack.months, facts.stack.unit() or "cm"
    page = Page("Gap filling", f"{facts.stack.path}, {describe_months(months)}")
    page.paragraph(
        "Every month that was observed is kept. To know what the filled months are worth, observed months were hidden "
        "and filled: whole years for the long gap, and months at the distances of the real short gaps, moved along "
        "the record. All methods saw the same months, and what is chosen by hidden months (modes of SSA, shares of "
        "the combination) is scored on others than those it was chosen on."
    )
    page.section("What was done")
    page.facts(_settings(facts))
    page.section("Errors in hidden months")
    figures = {kind: facts.maps.kind(kind, facts.classes) for kind in KINDS}
    _tables(page, figures, unit)
    _plain_words(page, facts, figures)
    _maps(page, facts, figures, unit)
    _series(page, facts, unit)
    page.section("How to read this")
    page.items(
        [
            "eps1 (ERROR_SHORT of method ssa) is what the reconstruction leaves of observed months, a residual: errors "
            "of short fills are about 1.7 times larger. The hidden months above give them directly.",
            "eps2 (ERROR_LONG of method ssa) is the smallest of the scores of all numbers of modes, and so a little "
            "too good; the figure for SSA above is free of that choice.",
            "A long gap hides the same season of one or two years: errors of its single months are larger in years "
            "that differ from the others. Trends across the gap rest on the observations at both sides.",
            "Harmonics are a line with an annual and a semi-annual cycle. Autoregression adds the expected departure "
            "from them, given all observations before and after the gap.",
        ]
    )
    return page


def _settings(facts: GapFacts) -> dict[str, object]:
    settings = facts.settings
    missing = facts.stack.months[~facts.present]
    method = str(settings["method"])
    cells, too_short = facts.maps.count("too_short")
    found = {
        "Filled by": NAMES[method],
        "Preset": settings["preset"],
        "Months missing everywhere": f"{missing.size}: {list_months(missing, 60)}" if missing.size else "none",
        "Cells with values": cells,
        "Distinct series": facts.distinct,
        "Cells too short to be filled": int(too_short),
    }
    if method in ("ssa", "best"):
        found["Short gaps: window, modes"] = f"{settings['short_window']}, {settings['short_modes']}"
        modes = facts.maps.choices("long_modes")
        if modes:
            counts = [f"{k}: {count / sum(modes.values()):.0%}" for k, count in modes.items()]
            found["Long gap: window"] = settings["long_windows"][0]
            found["Long gap: modes chosen (share of cells)"] = ", ".join(counts)
    return found


def _tables(page: Page, figures: dict[str, KindFigures], unit: str) -> None:
    """Median errors over cells by method, overall and by class."""
    header = ("", *(NAMES[method] for method in METHODS))
    for kind, title in KINDS.items():
        if not figures[kind].known:
            page.paragraph(f"No test of the {title}: the record has none, or no months to hide for it.")
            continue
        rows = [(_label(name), *medians) for name, medians in figures[kind].medians.items()]
        page.table(header, rows, f"Error in hidden months, {title}: median over cells ({unit})")


def _label(name: int | None) -> str:
    return "all cells" if name is None else f"class {name}" if name else "without a class"


def _plain_words(page: Page, facts: GapFacts, figures: dict[str, KindFigures]) -> None:
    method = str(facts.settings["method"])
    for kind, found in figures.items():
        if not found.known:
            continue
        page.paragraph(
            f"Share of the area where a method alone has the smallest error, {KINDS[kind]}: "
            + ", ".join(f"{NAMES[name]} {share:.0%}" for name, share in zip(METHODS, found.best, strict=False))
            + "."
        )
        medians = found.medians[None]
        lowest = METHODS[int(medians.argmin())]
        mine = medians[METHODS.index(method)]
        if lowest != method and mine > 1.02 * medians.min():
            page.note(
                f"For the {KINDS[kind]}, {NAMES[lowest]} does better in hidden months than {NAMES[method]}, with which "
                f"this map was filled: {medians.min():.3g} against {mine:.3g}. METHOD {lowest} fills with it."
            )


def _maps(page: Page, facts: GapFacts, figures: dict[str, KindFigures], unit: str) -> None:
    for kind, title in KINDS.items():
        if not figures[kind].any:
            continue
        grid, errors = facts.maps.thinned([f"{kind} {method}" for method in METHODS])
        panels = [(NAMES[name], values) for name, values in zip(METHODS, errors, strict=True)]
        png = map_panels(grid, panels, f"error ({unit})")
        page.figure(png, f"Error in hidden months, {title}.", f"Four maps of the error of each method, {title}")
    if figures["hidden_long"].any:
        gain = [("SSA less autoregression", errors[0] - errors[2]), ("SSA less harmonics", errors[0] - errors[1])]
        png = map_panels(grid, gain, f"difference of errors ({unit})", diverging=True)
        page.figure(png, "Where a plain method wins: blue where SSA has the larger error in hidden years.")


def _series(page: Page, facts: GapFacts, unit: str) -> None:
    """Series of chosen cells and of those with the largest errors, filled by each method."""
    shown = [(f"{name} (chosen)", row, column) for name, row, column in facts.chosen[:MOST_CHOSEN]]
    method = str(facts.settings["method"])
    worst = facts.maps.worst(f"hidden_long {method}") or facts.maps.worst(f"hidden_short {method}")
    # Cells of one mascon have one error: show each such series once.
    shown += [
        (f"row {row + 1}, column {column + 1}, error {value:.3g} {unit}", row, column) for value, row, column in worst
    ]
    series = {}
    for title, row, column in shown:
        values = facts.stack.read(slice(row, row + 1), slice(column, column + 1))[:, 0, 0].astype(float)
        too_short = facts.maps.read(["too_short"], slice(row, row + 1), slice(column, column + 1))
        if np.isfinite(values).any() and np.isnan(values).any() and too_short == 0:
            series[title] = values
    if not series:
        return
    options = {**facts.settings, "compare": False}
    wanted = list(dict.fromkeys([method, "ssa", "autoregressive"]))
    try:
        filled = {
            name: fill_gaps(np.array(list(series.values())), facts.stack.months, **{**options, "method": name}).filled
            for name in wanted
        }
    except NoUsableData as problem:
        # A cell may lack months that its mascon has, and then cannot be filled by itself.
        page.note(f"No series are shown: {problem}")
        return
    panels = []
    for place, (title, observed) in enumerate(series.items()):
        missing = np.isnan(observed)
        gap = missing.copy()
        gap[:-1] |= missing[1:]
        gap[1:] |= missing[:-1]
        lines = [SeriesLine("observed", observed, np.zeros(missing.size, bool))]
        lines += [SeriesLine(NAMES[name], np.where(gap, filled[name][place], np.nan), gap) for name in wanted]
        panels.append(SeriesPanel(title, facts.stack.months, lines))
    page.section("Series")
    page.figure(
        monthly_series(panels, unit),
        "Observed months solid, filled ones dashed: chosen cells, and those with the largest errors in hidden months. "
        f"From above: {'; '.join(series)}.",
    )

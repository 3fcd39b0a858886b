"""The report of the gap filling: what each method is worth where months were hidden, and what it filled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gwsa_qgis.errors import NoUsableData
from gwsa_qgis.rasters.inspection import describe_months, list_months
from gwsa_qgis.rasters.scratch import ScratchArray
from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.report.html import Page
from gwsa_qgis.report.maps import map_panels
from gwsa_qgis.report.series import SeriesLine, SeriesPanel, monthly_series
from gwsa_qgis.science.hidden_months import METHODS
from gwsa_qgis.science.ssa import fill_gaps
from gwsa_qgis.steps.gap_solver import COLUMNS

WORST = 3
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
    maps : ScratchArray, (n_columns, rows, columns) float32
        `gap_solver.COLUMNS` of every cell, in a file: they are wanted one or a few at a time.
    classes : (rows, columns) int, or None
        Class of each cell, 0 none.
    chosen : list of (name, row, column)
        Cells whose series are shown.
    distinct : int
        Distinct series solved.
    """

    stack: MonthlyStack
    present: np.ndarray
    settings: dict[str, object]
    maps: ScratchArray
    classes: np.ndarray | None
    chosen: list[tuple[str, int, int]]
    distinct: int

    def map(self, name: str) -> np.ndarray:
        """One of the columns as a map."""
        return self.maps[COLUMNS.index(name)]

    def errors(self, kind: str) -> np.ndarray:
        """Errors in hidden months, (4, rows, columns), `kind` one of `KINDS`."""
        return np.stack([self.map(f"{kind} {method}") for method in METHODS])

    @property
    def area(self) -> np.ndarray:
        """Weight of each cell, (rows, columns)."""
        return np.broadcast_to(self.stack.grid.row_weights()[:, None], self.stack.grid.shape)


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
    winners = _tables(page, facts, unit)
    _plain_words(page, facts, winners)
    _maps(page, facts, unit)
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
    found = {
        "Filled by": NAMES[method],
        "Preset": settings["preset"],
        "Months missing everywhere": f"{missing.size}: {list_months(missing, 60)}" if missing.size else "none",
        "Cells with values": int(np.isfinite(facts.map("too_short")).sum()),
        "Distinct series": facts.distinct,
        "Cells too short to be filled": int(np.nansum(facts.map("too_short"))),
    }
    if method in ("ssa", "best"):
        found["Short gaps: window, modes"] = f"{settings['short_window']}, {settings['short_modes']}"
        modes = facts.map("long_modes")[facts.map("long_modes") > 0]
        if modes.size:
            counts = [f"{k}: {(modes == k).mean():.0%}" for k in np.unique(modes.astype(int))]
            found["Long gap: window"] = settings["long_windows"][0]
            found["Long gap: modes chosen (share of cells)"] = ", ".join(counts)
    return found


def _tables(page: Page, facts: GapFacts, unit: str) -> dict[str, np.ndarray]:
    """Median errors over cells by method, overall and by class, and the share of area where each method is best."""
    header = ("", *(NAMES[method] for method in METHODS))
    best: dict[str, np.ndarray] = {}
    for kind, title in KINDS.items():
        errors = facts.errors(kind)
        known = np.isfinite(errors).all(axis=0)
        if not known.any():
            page.paragraph(f"No test of the {title}: the record has none, or no months to hide for it.")
            continue
        rows = [("all cells", *_medians(errors, known))]
        if facts.classes is not None:
            for number in np.unique(facts.classes[known]):
                inside = known & (facts.classes == number)
                rows.append((f"class {number}" if number else "without a class", *_medians(errors, inside)))
        page.table(header, rows, f"Error in hidden months, {title}: median over cells ({unit})")
        # The combination is made of two of the others: it is not counted among those that can win.
        winner = np.where(known, errors[:3].argmin(axis=0), -1)
        shares = [facts.area[winner == place].sum() / facts.area[known].sum() for place in range(3)]
        best[kind] = np.array(shares)
    return best


def _medians(errors: np.ndarray, inside: np.ndarray) -> np.ndarray:
    return np.median(errors[:, inside], axis=1)


def _plain_words(page: Page, facts: GapFacts, winners: dict[str, np.ndarray]) -> None:
    method = str(facts.settings["method"])
    for kind, shares in winners.items():
        page.paragraph(
            f"Share of the area where a method alone has the smallest error, {KINDS[kind]}: "
            + ", ".join(f"{NAMES[name]} {share:.0%}" for name, share in zip(METHODS, shares, strict=False))
            + "."
        )
        medians = _medians(facts.errors(kind), np.isfinite(facts.errors(kind)).all(axis=0))
        lowest = METHODS[int(medians.argmin())]
        mine = medians[METHODS.index(method)]
        if lowest != method and mine > 1.02 * medians.min():
            page.note(
                f"For the {KINDS[kind]}, {NAMES[lowest]} does better in hidden months than {NAMES[method]}, with which "
                f"this map was filled: {medians.min():.3g} against {mine:.3g}. METHOD {lowest} fills with it."
            )


def _maps(page: Page, facts: GapFacts, unit: str) -> None:
    for kind, title in KINDS.items():
        errors = facts.errors(kind)
        panels = [(NAMES[name], values) for name, values in zip(METHODS, errors, strict=True)]
        if np.isfinite(errors).any():
            png = map_panels(facts.stack.grid, panels, f"error ({unit})")
            page.figure(png, f"Error in hidden months, {title}.", f"Four maps of the error of each method, {title}")
    if np.isfinite(facts.errors("hidden_long")).any():
        errors = facts.errors("hidden_long")
        gain = [("SSA less autoregression", errors[0] - errors[2]), ("SSA less harmonics", errors[0] - errors[1])]
        png = map_panels(facts.stack.grid, gain, f"difference of errors ({unit})", diverging=True)
        page.figure(png, "Where a plain method wins: blue where SSA has the larger error in hidden years.")


def _series(page: Page, facts: GapFacts, unit: str) -> None:
    """Series of chosen cells and of those with the largest errors, filled by each method."""
    shown = [(f"{name} (chosen)", row, column) for name, row, column in facts.chosen[:MOST_CHOSEN]]
    method = str(facts.settings["method"])
    errors = facts.map(f"hidden_long {method}")
    if not np.isfinite(errors).any():
        errors = facts.map(f"hidden_short {method}")
    # Cells of one mascon have one error: show each such series once.
    known = np.flatnonzero(np.isfinite(errors))
    values, places = np.unique(-errors.ravel()[known], return_index=True)
    for value, place in zip(values[:WORST], known[places[:WORST]], strict=True):
        row, column = divmod(int(place), errors.shape[1])
        shown.append((f"row {row + 1}, column {column + 1}, error {-value:.3g} {unit}", row, column))
    series = {}
    for title, row, column in shown:
        values = facts.stack.read(slice(row, row + 1), slice(column, column + 1))[:, 0, 0].astype(float)
        if np.isfinite(values).any() and np.isnan(values).any() and facts.map("too_short")[row, column] == 0:
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

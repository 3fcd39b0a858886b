"""The report of the uncertainty: coverage, budget by source, maps, and what a mean over a basin inherits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.inspection import describe_months, list_months
from gwsa_qgis.rasters.windows import plan_windows
from gwsa_qgis.report.html import Page
from gwsa_qgis.report.intervals import coverage_panels, stacked_squares
from gwsa_qgis.report.maps import map_panels
from gwsa_qgis.science.error_budget import error_sums, mean_error, normal_factor, quadrature
from gwsa_qgis.steps.calibration import Calibration
from gwsa_qgis.steps.cell_errors import GRACE, CellErrors
from gwsa_qgis.steps.error_sums import CELL, TOTAL, WITHIN, ErrorSums
from gwsa_qgis.steps.likeness import Likeness
from gwsa_qgis.steps.support_map import SupportMap

JUDGED_LEVEL = 0.9
WINDOW_MB = 16  # of coarse cells


@dataclass(frozen=True)
class UncertaintyFacts:
    """What the report is made of.

    Attributes
    ----------
    path : str
        The map.
    factor : float
        Half-width of the conformal interval in units of the residuals' scale.
    manifest : dict
        Of the model file.
    compared : (n,) datetime64[M]
        Months in which predictors were compared.
    assumed_grace : bool
        Whether GRACE's error is one number.
    """

    path: str
    grid: Grid
    level: float
    factor: float
    calibration: Calibration
    manifest: dict
    likeness: Likeness
    budget: ErrorSums
    support: SupportMap
    errors: CellErrors
    compared: np.ndarray
    assumed_grace: bool


def uncertainty_page(facts: UncertaintyFacts) -> Page:
    """Write the report."""
    budget, level = facts.budget, f"{100 * facts.level:g} %"
    page = Page("Uncertainty of the fine map", f"{facts.path}, {describe_months(budget.months)}")
    page.paragraph(
        f"For every pixel and month, the map's value plus or minus the half-width is an interval that is meant to hold the "
        f"true value in {level} of cases. Two errors are kept apart: that of the coarse value (GRACE, gap filling, "
        f"land-surface models), which all pixels of a {_one(facts)} share, and that of a pixel's departure from it."
    )
    page.facts(_summary(facts))
    _coverage(page, facts)
    _budget(page, facts)
    _maps(page, facts)
    _scales(page, facts)
    _basins(page, facts)
    page.section("How to read this")
    page.items(
        [
            "Intervals are calibrated inside the area of applicability. Outside it, predictors are unlike anything the "
            "model was trained on: no interval can be vouched for there.",
            f"Calibration rests on departures of {facts.support.kind} from the coarser field around them, whose own noise "
            "is part of these residuals. Where GRACE is noisy the within part is therefore too wide, not too narrow.",
            "How much larger departures are for pixels is taken over from the predictors, which are known on both scales. "
            "Detail that groundwater has and no predictor has at that scale, such as single well fields, is not in it. "
            f"Where fields are smooth, the map follows them within a {_one(facts)} already: intervals are then too wide.",
            "Coverage is an average over places and months. It is lower than that where sharp pumping fields are, and "
            "higher on plains without them.",
        ]
    )
    return page


def _one(facts: UncertaintyFacts) -> str:
    return facts.support.kind[:-1]


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %" if np.isfinite(value) else "not known"


def _summary(facts: UncertaintyFacts) -> dict[str, object]:
    budget, calibration = facts.budget, facts.calibration
    nearest = int(np.abs(calibration.levels - facts.level).argmin())
    return {
        "Half-width of a pixel's interval, root mean square (cm)": budget.rms(TOTAL),
        "of which within the " + _one(facts) + " (half-width, cm)": budget.rms(WITHIN),
        f"Standard error of a {_one(facts)}'s mean, root mean square (cm)": budget.rms(CELL),
        f"Held-out blocks: values inside {100 * calibration.levels[nearest]:g} % intervals": _percent(
            calibration.coverage[nearest]
        ),
        "Area outside the area of applicability": _percent(facts.likeness.outside_share),
        "Preset of the model": facts.manifest["preset"],
        "Months in which predictors were compared": list_months(facts.compared, 24),
    }


def _coverage(page: Page, facts: UncertaintyFacts) -> None:
    found = facts.calibration
    page.section("Do the intervals hold what they promise?")
    if not np.isfinite(found.coverage).any():
        page.note(
            f"Not tested: the model was trained on {found.blocks} groups of {facts.support.kind}, and at least four are "
            "needed. The widths below are a guess."
        )
        return
    page.paragraph(
        f"{found.blocks} blocks of neighbouring places, {found.samples} samples. For each block in turn, intervals were "
        "calibrated on the others alone and then compared with what was observed in it. Between blocks, the share inside "
        f"the 90 % intervals has a standard deviation of {100 * found.block_spread:.1f} %."
    )
    rows = zip(found.levels * 100, found.coverage * 100, found.half_width, strict=True)
    page.table(
        ("level (%)", "inside, held-out blocks (%)", "mean half-width (cm)"), rows, "Coverage on held-out blocks"
    )
    names = {str(name) if name else "all": value for name, value in found.of_class.items()}
    page.figure(
        coverage_panels(found.levels, found.coverage, names, JUDGED_LEVEL),
        "Share of held-out values inside the intervals. On the dashed line they hold exactly what they promise.",
    )
    judged = found.coverage[int(np.abs(found.levels - JUDGED_LEVEL).argmin())]
    if not 0.85 <= judged <= 0.95:
        page.note(f"The 90 % intervals held {_percent(judged)} of held-out values: take the widths with care.")


def _budget(page: Page, facts: UncertaintyFacts) -> None:
    budget, z = facts.budget, normal_factor(facts.level)
    page.section("Where the uncertainty comes from")
    whole = budget.rms(TOTAL) ** 2
    rows = []
    for name in budget.sources:
        width = z * budget.rms(name)
        rows.append((name, budget.rms(name), width, 100 * width**2 / whole))
    rows.append(
        ("departure within the " + _one(facts), None, budget.rms(WITHIN), 100 * budget.rms(WITHIN) ** 2 / whole)
    )
    rows.append(("all, in quadrature", None, budget.rms(TOTAL), 100.0))
    header = ("source", "standard error (cm)", f"half-width, {100 * facts.level:g} % (cm)", "share of the square (%)")
    page.table(header, rows, "Root mean square over area and months")
    if facts.assumed_grace:
        page.note(
            "The error of GRACE is one assumed number. The product's own uncertainty would tell where it is larger."
        )
    parts = {name: z * budget.monthly(name) for name in budget.sources}
    parts["within the " + _one(facts)] = budget.monthly(WITHIN)
    page.figure(
        stacked_squares(budget.months, parts, budget.monthly(TOTAL)),
        "Squares of half-widths by source, month by month, one upon the other. Gap filling counts in filled months only.",
        "Areas of squared half-widths by source over the months, and the half-width of a pixel as a line above them",
    )


def _maps(page: Page, facts: UncertaintyFacts) -> None:
    thin, grid = facts.budget.thin, facts.grid
    small = Grid(grid.west, grid.north, grid.dx * thin, grid.dy * thin, *facts.budget.maps.shape[:0:-1], grid.crs)
    page.section("Maps")
    whole, within = facts.budget.maps
    level = f"{100 * facts.level:g} %"
    page.figure(
        map_panels(small, [("half-width", whole)], "cm", columns=1), f"Mean half-width of the {level} interval."
    )
    page.figure(
        map_panels(small, [("within the " + _one(facts), within)], "cm", columns=1),
        f"Mean half-width of the {level} interval of the departure from the {_one(facts)}'s mean.",
    )
    png = map_panels(small, [("dissimilarity index", facts.likeness.index)], "dissimilarity index", columns=1)
    page.figure(
        png,
        "Dissimilarity from the training: distance to the nearest training sample over the mean distance between these. "
        f"Above {facts.calibration.area.threshold:.3g} a pixel is outside the area of applicability.",
    )
    png = map_panels(small, [("1 inside, 0 outside", facts.likeness.inside)], "", columns=1)
    page.figure(png, "Area of applicability.")


def _scales(page: Page, facts: UncertaintyFacts) -> None:
    found = facts.calibration
    page.section("From " + facts.support.kind + " to pixels")
    page.paragraph(
        f"Residuals are known on {facts.support.kind}, not on pixels. The variance of the predictors' detail is, "
        f"weighted by their importance, {facts.likeness.carry:.3g} times as large for pixels within a {_one(facts)} as "
        "for the samples of the training; residual variances are taken to grow alike. It is the least certain figure "
        "here: half of it would make the within part narrower by up to 29 %."
    )
    noise = facts.budget.rms(GRACE) ** 2 / found.residual_variance
    text = (
        f"The residuals it starts from have a standard deviation of {found.residual_variance**0.5:.3g} cm and hold the "
        "noise of GRACE as far as it differs between neighbours. "
    )
    if noise > 1:
        text += "The error of GRACE given here is larger than all of that: most of it must be common to neighbours."
    else:
        text += f"If the error of GRACE given here did so wholly, it would make {100 * noise:.0f} % of their variance."
    page.paragraph(text)
    order = np.argsort(-found.importances, kind="stable")
    names = facts.manifest["predictors"]
    rows = [(names[k], 100 * found.importances[k], facts.likeness.ratios[k]) for k in order]
    page.table(("predictor", "importance (%)", "variance of detail, pixels over supports"), rows)


def _basins(page: Page, facts: UncertaintyFacts) -> None:
    page.section("Means over basins")
    kinds = facts.support.kind
    page.note(
        f"Do not average pixel half-widths, and do not divide them by the root of the number of pixels. Pixels of a "
        f"{_one(facts)} share its error, and their departures add up to nothing over it."
    )
    page.paragraph(
        f"For a basin of whole {kinds} with areas a and the standard errors s of CELL: if the errors of {kinds} are "
        "independent, the standard error of the mean is the root of the sum of (a s) squared, over the sum of a; if "
        "they are all the same error, it is the sum of a s over the sum of a. The truth lies between, nearer the second "
        f"for land-surface models and for neighbours. WITHIN matters for parts of a {_one(facts)} alone."
    )
    bounds = [np.sqrt(np.nanmean(bound**2)) for bound in _whole_map_error(facts)]
    page.table(
        ("standard error of the mean over the whole map", "cm"),
        [
            (f"errors of {kinds} independent", bounds[0]),
            (f"errors of {kinds} the same everywhere", bounds[1]),
            (
                "wrong: pixels as if independent",
                facts.budget.rms(TOTAL) / normal_factor(facts.level) / max(facts.budget.pixels, 1) ** 0.5,
            ),
        ],
        "Example, root mean square over the months",
    )


def _whole_map_error(facts: UncertaintyFacts) -> tuple[np.ndarray, np.ndarray]:
    """Standard errors (n_months,) of the mean over the map: supports' errors independent, and the same everywhere."""
    support, months = facts.support, facts.budget.months.size
    labels, weights = support.labels, support.grid.row_weights()
    areas = np.bincount(labels.ravel(), np.repeat(weights, labels.shape[1]), support.count + 1)
    # a support's cells have one error: its first cell stands for it
    names, first = np.unique(labels, return_index=True)
    stands = np.zeros(labels.size, bool)
    stands[first[names > 0]] = True
    stands = stands.reshape(labels.shape)
    sums = np.zeros((3, months))
    for window in plan_windows(support.grid, 40 * months, memory_mb=WINDOW_MB):
        chosen = stands[window.slices]
        error = quadrature(part[:, chosen] for part in facts.errors.window(window).values())
        sums += error_sums(error, areas[labels[window.slices][chosen]])
    return mean_error(sums)

"""The page of `projectreport`."""

from __future__ import annotations

import numpy as np

from gwsa_qgis.report.html import Page
from gwsa_qgis.report.maps import diverging_limits, map_panels
from gwsa_qgis.report.series import SeriesLine, SeriesPanel, monthly_series
from gwsa_qgis.steps.project_figures import ProjectMaps, StackSummary
from gwsa_qgis.steps.project_methods import REFERENCES, TREND_REFERENCES
from gwsa_qgis.steps.training_report import CLASS_LABELS, EXPLANATIONS
from gwsa_qgis.steps.training_scores import BLOCKS, LEVEL

MOST_NAMED = 40  # months listed by name


def project_page(title: str, figures: dict, maps: ProjectMaps, before: StackSummary | None) -> Page:
    """Build the page from the figures of the JSON file and the thinned maps."""
    stack = figures["map"]
    page = Page(title, f"{stack['file']}, {stack['first_month']} to {stack['last_month']} ({stack['months']} months)")
    page.section("In short")
    page.items(_headlines(figures))
    _add_inputs(page, figures["inputs"])
    _add_map(page, figures, maps, before)
    if "model" in figures:
        _add_model(page, figures["model"])
    if "closure" in figures:
        _add_closure(page, figures["closure"])
    if "consistency" in figures:
        _add_consistency(page, figures["consistency"])
    if "wells" in figures:
        _add_wells(page, figures["wells"])
    if maps.uncertainty is not None:
        _add_uncertainty(page, figures["uncertainty"], maps.uncertainty)
    page.section("Limits")
    page.items(figures["limits"])
    page.section("Methods, to paste")
    page.paragraph(figures["methods"])
    page.items([*REFERENCES, *(TREND_REFERENCES if "trend" in figures else ())])
    return page


def _add_inputs(page: Page, inputs: list[dict]) -> None:
    """Files that the report is made from, with their months and gaps."""
    rows = []
    for one in inputs:
        if "first_month" in one:
            span = f"{one['first_month']} to {one['last_month']} ({one['months']} months)"
            rows.append((one["what"], one["file"], span, _listed(one["months_not_in_it"])))
        else:
            rows.append((one["what"], one["file"], "", ""))
    page.section("What this report is made from")
    page.table(("what", "file", "months", "calendar months missing"), rows)


def _headlines(figures: dict) -> list[str]:
    stack, texts = figures["map"], []
    gaps = len(stack["months_without_values"])
    texts.append(
        f"{stack['months']} months, {len(stack['filled_months'])} of them filled"
        + (f", {gaps} without values" if gaps else "")
        + f"; {stack['grid']}."
    )
    model = figures.get("model")
    if model:
        blocked = _blocked(model)
        if blocked:
            against = blocked["interpolation_rmse"]
            better = f" (interpolation alone: {against:.3g} cm)" if against is not None else ""
            texts.append(
                f"In blocks of places that were left out, levels are met with an RMSE of {blocked['rmse']:.3g} cm{better}; "
                f"preset {model['preset']}."
            )
    if "closure" in figures:
        largest = max((row["max_after_cm"] or 0.0 for row in figures["closure"]), default=0.0)
        texts.append(f"The map's means differ from the coarse data by {largest:.2g} cm at most.")
    wells = _row(figures.get("wells", []), what="trend (cm/yr)", support="cell", map="fine map")
    if wells and wells["r2"] is not None:
        texts.append(
            f"Trends at {wells['n']:.0f} cells with wells: R2 {wells['r2']:.3f} unbinned, r {wells['r'] or 0:.3f}."
        )
    trend = figures.get("trend")
    if trend and trend.get("significantly_falling_share") is not None:
        texts.append(f"{trend['significantly_falling_share']:.0%} of the pixels fall significantly (p < 0.05).")
    if "uncertainty" in figures and figures["uncertainty"]["mean_half_width_cm"] is not None:
        texts.append(f"Half-width of the interval: {figures['uncertainty']['mean_half_width_cm']:.3g} cm on average.")
    return texts


def _row(rows: list[dict], **wanted: str) -> dict | None:
    return next((row for row in rows if all(row[key] == value for key, value in wanted.items())), None)


def _blocked(model: dict) -> dict | None:
    """Scores of levels over all classes in held-out blocks."""
    wanted = (
        row for row in model["metrics"] if (row["class"], row["split"], row["quantity"]) == ("all", BLOCKS, LEVEL)
    )
    return next((row for row in wanted if row.get("rmse") is not None), None)


def _add_map(page: Page, figures: dict, maps: ProjectMaps, before: StackSummary | None) -> None:
    summary, stack = maps.summary, figures["map"]
    page.section("The map")
    missing, filled = stack["months_without_values"], stack["filled_months"]
    page.facts(
        {
            "File": stack["file"],
            "Quantity": stack["quantity"] or "not named",
            "Made by": stack["made_by"] or "not named",
            "Baseline": stack["baseline"] or "not named",
            "Grid": stack["grid"],
            "Filled months": _listed(filled),
            "Months without values": _listed(missing),
        }
    )
    panels = [("fine map", summary.mean_map)]
    limits = diverging_limits(summary.mean_map)  # of both maps, so that colours mean the same
    drawn = map_panels(summary.map_grid, panels, "multi-year mean (cm)", diverging=True, columns=1, limits=limits)
    page.figure(drawn, "Mean over all months.")
    if before is not None:
        drawn = map_panels(
            before.map_grid,
            [("before downscaling", before.mean_map)],
            "multi-year mean (cm)",
            diverging=True,
            columns=1,
            limits=limits,
        )
        page.figure(drawn, "Mean over all months of the coarse field, on the same scale.")
    lines = [SeriesLine("fine map", summary.mean, summary.filled)]
    page.figure(
        monthly_series([SeriesPanel("Mean over the map", summary.months, lines)], "cm"),
        "Area-weighted mean of the map; filled months dashed.",
    )
    if maps.trend is not None:
        grid, values, unit = maps.trend
        drawn = map_panels(grid, [("trend", values)], unit or "slope", diverging=True, columns=1)
        page.figure(drawn, "Theil-Sen slope; red falls, blue rises.")


def _listed(months: list[str]) -> str:
    if not months:
        return "none"
    return ", ".join(months) if len(months) <= MOST_NAMED else f"{len(months)}, from {months[0]} to {months[-1]}"


def _add_model(page: Page, model: dict) -> None:
    page.section("Training (Table 3 of the paper, with blocked scores)")
    support = model["support"]
    page.facts(
        {
            "Preset": model["preset"],
            "Supports": f"{support['count']} {support['kind']}",
            "Predictors": ", ".join(model["predictors"]),
            "Weight of the detail": model["pooled_weight"],
            "Seed": model["seed"],
            "Samples for the search, candidates": f"{model['samples']}, {model['search_iterations']}",
            "Versions": ", ".join(f"{name} {number}" for name, number in model["versions"].items()),
        }
    )
    rows = []
    for row in model["metrics"]:
        if row["quantity"] == LEVEL:
            label = CLASS_LABELS.get(int(row["class"]), "") if row["class"].isdigit() else ""
            scores = (row[name] for name in ("n", "r2", "cc", "rmse", "interpolation_rmse"))
            rows.append((row["class"], label, row["split"], *scores))
    header = ("class", "", "held out", "n", "R2", "CC", "RMSE (cm)", "RMSE of interpolation (cm)")
    page.table(header, rows, "Scores of levels on samples that were held out")
    page.items([f"{name}: {text}" for name, text in EXPLANATIONS.items() if any(row[2] == name for row in rows)])


def _add_closure(page: Page, rows: list[dict]) -> None:
    page.section("Closure on the coarse data")
    months = [row for row in rows if row["by"] == "month"]
    used = [row for row in months if row["rmse_after_cm"] is not None]
    if not used:
        page.paragraph("The table has no month with values.")
        return
    before, after = (
        float(np.sqrt(np.mean([row[name] ** 2 for row in used if row[name] is not None] or [np.nan])))
        for name in ("rmse_before_cm", "rmse_after_cm")
    )
    page.facts(
        {
            "Months": len(used),
            "RMSE before the correction (cm, root mean square over months)": before,
            "RMSE after it (cm)": after,
            "Largest difference of a mean (cm)": max(row["max_after_cm"] or 0.0 for row in rows),
        }
    )


def _add_consistency(page: Page, rows: list[dict]) -> None:
    page.section("Consistency across scales")
    chosen = [row for row in rows if row["period"] in ("all months", "mean")]
    titles = ("support", "class", "period", "n", "R2", "CC", "RMSE (cm)", "bias (cm)")
    page.table(titles, [tuple(row.values()) for row in chosen])
    page.note("This shows that no mass was lost. It says nothing of the detail within a cell.")


def _add_wells(page: Page, rows: list[dict]) -> None:
    page.section("Wells")
    quantities, supports = ("trend (cm/yr)", "monthly anomaly (cm)"), ("cell", "well")
    plain = [row for row in rows if row["what"] in quantities and row["support"] in supports]
    page.table(
        ("what", "support", "map", "n", "R2", "r", "Spearman", "slope", "bias", "RMSE", "sign agreement"),
        [tuple(row.values()) for row in plain],
        "Unbinned; each map at the same wells",
    )
    groups = [row for row in rows if row["what"] == quantities[0] and row["support"].startswith("cell, ")]
    if groups:
        page.table(
            ("cells of", "map", "n", "R2", "r", "bias", "RMSE", "sign agreement"),
            [
                (row["support"].removeprefix("cell, "), row["map"], row["n"], row["r2"], row["r"], row["bias"],
                 row["rmse"], row["sign_agreement"])
                for row in groups
            ],
            "Trends (cm/yr) by region and aquifer class",
        )  # fmt: skip
    binned = [row for row in rows if row["what"].endswith("bin means")]
    if binned:
        page.table(
            ("map", "bins", "R2", "r", "RMSE"),
            [(row["map"], row["n"], row["r2"], row["r"], row["rmse"]) for row in binned],
            "Bin means, as published",
        )
        page.note("Bin means hide what the map does not tell: judge it by the unbinned figures.")


def _add_uncertainty(page: Page, figures: dict, spread: StackSummary) -> None:
    page.section("Uncertainty")
    page.facts({"Mean half-width of the interval (cm)": figures["mean_half_width_cm"]})
    panels = [("half-width", spread.mean_map)]
    page.figure(map_panels(spread.map_grid, panels, "cm", columns=1), "Half-width of the interval, mean over months.")

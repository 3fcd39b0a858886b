"""The table and the page of `validatewells`."""

from __future__ import annotations

import csv
import io
from dataclasses import astuple
from pathlib import Path

import numpy as np

from gwsa_qgis.rasters.inspection import describe_months
from gwsa_qgis.report.figures import binned_wells, scatter_panels, well_map
from gwsa_qgis.report.html import Page
from gwsa_qgis.science.fitted_yield import FittedYield
from gwsa_qgis.science.well_comparison import CELL, SINGLE, Support, WellComparison
from gwsa_qgis.science.well_scores import Agreement
from gwsa_qgis.science.wells import fit_band
from gwsa_qgis.steps.training_report import CLASS_LABELS
from gwsa_qgis.steps.wells_input import COARSE, FINE, WellData

TITLES = ("support", "map", "n", "R2", "r", "Spearman", "slope", "bias", "RMSE", "sign agreement")
HEADER = ("what", "support", "map", "n", "r2", "r", "spearman", "slope", "bias", "rmse", "sign_agreement")
QUANTITIES = {"trend": "trend (cm/yr)", "series": "monthly anomaly (cm)"}
BINNED_UNBINNED_GAP = 0.2
FEWEST_IN_GROUP = 3  # pairs; fewer have no score worth a line
MOST_LISTED = 20


def metric_rows(comparison: WellComparison) -> list[tuple]:
    """Rows under `HEADER`; scores of bin means say so."""
    rows = []
    for what, found in (("trend", comparison.trend), ("series", comparison.series)):
        rows += [(QUANTITIES[what], support, name, *astuple(scores)) for (support, name), scores in found.items()]
    for (what, support, name), found in comparison.intervals.items():
        for place, label in enumerate(("2.5 %", "97.5 %")):
            ends = [getattr(found, part)[place] for part in ("r2", "r", "slope", "bias", "rmse", "sign")]
            scores = (found.blocks, *ends[:2], np.nan, *ends[2:])
            rows.append((f"{QUANTITIES[what]}, {label} over blocks", support, name, *scores))
    for (kind, label), scores_of in comparison.groups.items():
        group = label if kind == "region" else f"class {label}"
        for (what, support, name), scores in scores_of.items():
            rows.append((QUANTITIES[what], f"{support}, {group}", name, *astuple(scores)))
    for name, scores in comparison.binned.items():
        n, r2, r, rmse = astuple(scores)
        rows.append(("trend (cm/yr), bin means", CELL, name, n, r2, r, *[np.nan] * 3, rmse, np.nan))
    for group, drawn in comparison.perturbation.items():
        for place, label in enumerate(("2.5 %", "median", "97.5 %")):
            what = f"trend, Sy perturbed by {group}, {label} of {drawn.draws}"
            scores = (drawn.r2[place], drawn.r[place], *[np.nan] * 3, drawn.rmse[place], np.nan)
            rows.append((what, CELL, FINE, comparison.trend[CELL, FINE].n, *scores))
    return rows


def metrics_csv(comparison: WellComparison, fitted: dict[str, FittedYield]) -> str:
    """All scores as CSV; figures that are no scores stand in column ``r2`` of rows that say what they are."""
    rows = metric_rows(comparison)
    pair, number = f"{FINE} over {COARSE}", int(np.isfinite(comparison.gain).sum())
    if np.isfinite(comparison.share_improved):
        shares = (comparison.share_improved, *comparison.share_interval)
        means = (float(np.nanmean(comparison.gain)), *comparison.gain_interval)
        for what, values in (("share of wells improved", shares), ("mean gain", means)):
            for label, value in zip(("", ", 2.5 % over blocks", ", 97.5 % over blocks"), values, strict=True):
                rows.append((what + label, SINGLE, pair, number, float(value)))
    for region, found in fitted.items():
        named = (("", found.value), (", 2.5 % over blocks", found.low), (", 97.5 % over blocks", found.high))
        for label, value in named:
            rows.append((f"fitted specific yield{label}", f"{SINGLE}, {region}", FINE, found.wells, value))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(HEADER)
    for row in rows:
        texts = [f"{float(cell):.10g}" if isinstance(cell, float) else cell for cell in row]
        writer.writerow([*texts, *[""] * (len(HEADER) - len(texts))])
    return buffer.getvalue()


def wells_page(data: WellData, comparison: WellComparison, fitted: dict[str, FittedYield], source: str) -> Page:
    """The report."""
    count = len(data.points.names)
    page = Page(
        "Validation at observation wells", f"{Path(source).name} at {count} wells, {describe_months(data.months)}"
    )
    plain = comparison.trend[CELL, FINE]
    page.paragraph(verdict(plain, len(comparison.supports[CELL].well_trend)))
    left_out = "; ".join(f"{number} {reason}" for reason, number in data.dropped.items()) or "none"
    page.facts(
        {
            "Wells compared": count,
            "Cells that hold them": len(comparison.supports[CELL].well_trend),
            "Wells left out": left_out,
            "Readings far from their well's median (flagged, used)": int(data.outliers.sum()),
            "Specific yield": _span(np.unique(data.yields)),
        }
    )
    if data.steps_per_year == 1:
        page.note("The levels are yearly: they say nothing of seasons, and only trends are compared.")
    page.section("Trends, unbinned")
    rows = metric_rows(comparison)
    page.table(TITLES, [row[1:] for row in rows if row[0] == QUANTITIES["trend"] and row[1] in (CELL, SINGLE)])
    page.paragraph(
        "R2 is 1 - SSE/SST with the wells as reference. Spearman's correlation and the agreement of signs do not depend "
        "on a common specific yield. Wells of a cell are averaged as anomalies, as published; maps are read at the "
        "wells and averaged alike."
    )
    support = comparison.supports[CELL]
    panels = []
    for name in support.map_trends:
        scores = comparison.trend[CELL, name]
        text = f"n = {scores.n}\nR2 = {scores.r2:.3f}\nr = {scores.r:.3f}\nRMSE = {scores.rmse:.3g} cm/yr"
        panels.append((name, support.map_trends[name], support.well_trend, text))
    labels = "trend of the map (cm/yr)", "trend of the wells (cm/yr)"
    page.figure(scatter_panels(panels, *labels, columns=3), "Trends at cells with wells, one point a cell.")
    _add_intervals(page, comparison)
    _add_series(page, rows)
    _add_groups(page, comparison)
    _add_gain(page, data, comparison)
    _add_bins(page, comparison, plain)
    _add_perturbation(page, comparison)
    _add_fitted(page, data, fitted)
    single = comparison.supports[SINGLE]
    page.section("Well by well")
    difference = single.map_trends[FINE] - single.well_trend
    drawn = well_map(data.points.x, data.points.y, difference, "trend of the map less the well's (cm/yr)")
    page.figure(drawn, "Where map and wells disagree; 5 % of the wells lie beyond the colours.")
    _add_well_table(page, data, single, difference)
    return page


def _add_well_table(page: Page, data: WellData, single: Support, difference: np.ndarray) -> None:
    """The wells that the map meets worst, by name; the layer holds all."""
    known = np.flatnonzero(np.isfinite(difference))
    worst = known[np.argsort(-np.abs(difference[known]), kind="stable")][:MOST_LISTED]
    others = [name for name in single.map_trends if name != FINE]
    rows = [
        (
            data.points.names[well], data.regions[well], data.yields[well], int(np.isfinite(single.wells[well]).sum()),
            single.well_trend[well], single.map_trends[FINE][well], *(single.map_trends[name][well] for name in others),
            difference[well],
        )
        for well in worst
    ]  # fmt: skip
    header = ("well", "region", "specific yield", "readings", "trend of the well", f"trend of the {FINE}")
    header += (*(f"trend of the {name}" for name in others), "difference")
    title = f"The {len(rows)} of {known.size} wells where they disagree most, cm/yr; the layer of wells lists all"
    page.table(header, rows, title if len(rows) < known.size else "All wells, cm/yr, largest disagreement first")


def verdict(plain: Agreement, cells: int) -> str:
    """What the unbinned scores say, in plain words."""
    if not np.isfinite(plain.r2):
        return f"Trends at {cells} cells are too few, or too alike, for a score."
    if plain.r2 <= 0.05:
        merit = "The map does not tell the trends of single cells: its error is no smaller than that of their mean."
    elif plain.r2 < 0.5:
        merit = "The map tells part of the trends of single cells."
    else:
        merit = "The map tells most of the variance of the cells' trends."
    return (
        f"{merit} Over {plain.n} cells R2 is {plain.r2:.3f}, the correlation {plain.r:.3f}, and the sign agrees at "
        f"{plain.sign:.0%}."
    )


def _add_series(page: Page, rows: list[tuple]) -> None:
    chosen = [row[1:] for row in rows if row[0] == QUANTITIES["series"] and row[1] in (CELL, SINGLE)]
    if chosen:
        page.section("Monthly anomalies")
        page.table(TITLES, chosen)


def _add_groups(page: Page, comparison: WellComparison) -> None:
    """Regions and classes, each map at the same cells."""
    maps = list(comparison.supports[CELL].map_trends)
    header = ("n", *(f"{name}: {score}" for score in ("R2", "r", "RMSE") for name in maps))
    for kind, heading in (("region", "By region"), ("class", "By aquifer class")):
        groups = {label: found for (this, label), found in comparison.groups.items() if this == kind}
        if not groups or (kind == "region" and len(groups) == 1):
            continue  # one region is all of them
        page.section(heading)
        rows_of: dict[str, list[tuple]] = {}
        for label, found in sorted(groups.items()):
            for what, title in QUANTITIES.items():
                scores = [found[what, CELL, name] for name in maps if (what, CELL, name) in found]
                if scores and scores[0].n >= FEWEST_IN_GROUP:
                    figures = (getattr(one, field) for field in ("r2", "r", "rmse") for one in scores)
                    rows_of.setdefault(title, []).append((_group_name(kind, label), scores[0].n, *figures))
        for title, rows in rows_of.items():
            page.table((kind, *header), rows, f"{title[0].upper()}{title[1:]}, unbinned, at cells with wells")
        if not rows_of:
            page.paragraph(f"No {kind} has {FEWEST_IN_GROUP} cells with wells.")


def _group_name(kind: str, label: str) -> str:
    """Label of a region or class, a class with what its number means."""
    meaning = CLASS_LABELS.get(int(label), "") if kind == "class" and label.isdigit() else ""
    return f"{label} {meaning}".strip()


def _add_gain(page: Page, data: WellData, comparison: WellComparison) -> None:
    if not np.isfinite(comparison.share_improved):
        return
    page.section("Gain over the coarse field")
    low, high = comparison.share_interval
    sure = f" (95 % interval over blocks {low:.0%} to {high:.0%})" if np.isfinite(low) else ""
    page.paragraph(
        f"In time, at single wells: {comparison.share_improved:.0%}{sure} of {np.isfinite(comparison.gain).sum()} wells are met "
        f"better by the fine map; the mean gain is {np.nanmean(comparison.gain):.3f} on a scale of -1 to 1 (mean of the "
        "gains in slope and in correlation)."
    )
    page.figure(
        well_map(data.points.x, data.points.y, comparison.gain, "gain"), "Gain at each well; blue: fine is better."
    )


def _add_intervals(page: Page, comparison: WellComparison) -> None:
    """How sure the figures of trends are."""
    rows = []
    for (what, support, name), found in comparison.intervals.items():
        if what == "trend" and np.isfinite(found.r2).all():
            spans = (f"{low:.3f} to {high:.3f}" for low, high in (found.r2, found.r, found.rmse, found.sign))
            rows.append((support, name, found.blocks, *spans))
    if rows:
        header = ("support", "map", "blocks", "R2", "r", "RMSE", "sign agreement")
        page.table(header, rows, "95 % intervals by bootstrap: whole blocks of wells are drawn, since neighbours agree")


def _add_fitted(page: Page, data: WellData, fitted: dict[str, FittedYield]) -> None:
    """The specific yield that would suit the map, which must not be used to judge it."""
    used = {name: np.unique(data.yields[np.array(data.regions, dtype=object) == name]) for name in fitted}
    rows = [
        (
            name,
            one.wells,
            _span(used[name]),
            one.value,
            f"{one.low:.3g} to {one.high:.3g}" if one.low == one.low else "",
        )
        for name, one in fitted.items()
    ]
    page.section("Specific yield that the map would ask for")
    page.table(("region", "wells", "used", "fitted", "95 % interval over blocks"), rows)
    page.paragraph(
        "Slope of the map's anomaly on the level's at the wells. It is fitted to the map, so it cannot judge it; far "
        "from the specific yield of the rock, it says that map and wells see different things."
    )


def _span(values: np.ndarray) -> str:
    return f"{values[0]:.3g}" if values.size == 1 else f"{values.min():.3g} to {values.max():.3g}"


def _add_bins(page: Page, comparison: WellComparison, plain: Agreement) -> None:
    if not comparison.bins:
        return
    page.section("Bin means (the published figure)")
    found, scores = comparison.bins[FINE], comparison.binned[FINE]
    page.note(
        f"Averaging {plain.n} cells to {found.x.size} bins removes most of what the map does not tell: the bin means "
        f"have R2 = {scores.r2:.3f} and r squared = {scores.cc**2:.3f}, the cells themselves R2 = {plain.r2:.3f} and "
        f"r squared = {plain.r**2:.3f}. Judge the map by the latter."
        + (
            " Wells that the map knows next to nothing of give a high binned figure too: a correlation of 0.09 over 1,518 "
            "cells comes out at a binned r squared of about 0.45."
            if scores.cc**2 - plain.r**2 > BINNED_UNBINNED_GAP
            else ""
        )
    )
    band = fit_band(found.x, found.y) if found.x.size > 2 and np.ptp(found.x) > 0 else None
    text = f"{found.x.size} bin means of {plain.n} cells\nR2 = {scores.r2:.2f}, r = {scores.cc:.2f}\nRMSE = {scores.rmse:.2g}"
    drawn = binned_wells(found.x, found.y, found.sem, band, text)
    page.figure(drawn, "Means of quantile bins of the map's trend; bars are standard errors of the wells' means.")


def _add_perturbation(page: Page, comparison: WellComparison) -> None:
    page.section("Random specific yields")
    rows = [
        (f"one factor for each {group}", *drawn.r, *drawn.r2, drawn.significant_share)
        for group, drawn in comparison.perturbation.items()
        if drawn.draws
    ]
    header = ("", "r 2.5 %", "r median", "r 97.5 %", "R2 2.5 %", "R2 median", "R2 97.5 %", "share with p < 0.01")
    page.table(header, rows, "Unbinned trends at cells under random factors on the specific yield")

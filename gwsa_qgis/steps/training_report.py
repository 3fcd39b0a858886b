"""The metrics table and the page of a training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.report.bars import paired_bars, share_bars
from gwsa_qgis.report.figures import scatter_panels
from gwsa_qgis.report.html import Page
from gwsa_qgis.report.maps import map_panels
from gwsa_qgis.science.learning import TREES
from gwsa_qgis.science.scores import Scores
from gwsa_qgis.steps.training import Training
from gwsa_qgis.steps.training_scores import BLOCKS, CLASSES, DEVIATION, LEVEL, RANDOM, YEARS, Judged, ScoreRow

HEADER = ("class", "split", "quantity", "n", "r2", "cc", "rmse_cm", "weight")
REFERENCES = ("climatology", "interpolation")
CLASS_LABELS = {
    11: "major basin, recharge below 2 mm/yr",
    12: "major basin, recharge 2-20 mm/yr",
    13: "major basin, recharge 20-100 mm/yr",
    14: "major basin, recharge 100-300 mm/yr",
    15: "major basin, recharge above 300 mm/yr",
    22: "complex structure, recharge below 20 mm/yr",
    23: "complex structure, recharge 20-100 mm/yr",
    24: "complex structure, recharge 100-300 mm/yr",
    25: "complex structure, recharge above 300 mm/yr",
    33: "local and shallow, recharge below 100 mm/yr",
    34: "local and shallow, recharge above 100 mm/yr",
}
MOST_IMPORTANCES = 12
MOST_POINTS = 200_000
SHORT = {RANDOM: "random", BLOCKS: "blocks", YEARS: "years", CLASSES: "classes"}
EXPLANATIONS = {
    RANDOM: "30 % of samples, drawn at random, are held out, as published. Neighbours in space and time stand on both "
    "sides, so the score is high even when predictors know nothing of groundwater.",
    BLOCKS: "whole blocks of neighbouring places are held out in turn. This is the score to believe for places without "
    "measurements of their own, and a fine map is made of nothing else.",
    YEARS: "runs of whole calendar years are held out in turn.",
    CLASSES: "one class after the other is held out, and estimated by models of the others.",
}


def metrics_table(rows: Sequence[ScoreRow]) -> str:
    """CSV text of the scores: those of the model, then those of both references on the same samples."""
    names = [f"{reference}_{figure}" for reference in REFERENCES for figure in ("r2", "cc", "rmse_cm")]
    lines = [",".join([*HEADER, *names])]
    for row in rows:
        figures = [row.scores.r2, row.scores.cc, row.scores.rmse, row.weight]
        for reference in (row.climatology, row.interpolation):
            figures += [reference.r2, reference.cc, reference.rmse]
        texts = [f"{value:.6g}" if np.isfinite(value) else "" for value in figures]
        lines.append(",".join([row.class_name, row.split, row.quantity, str(row.scores.n), *texts]))
    return "\n".join(lines) + "\n"


def training_page(manifest: dict, training: Training, grid: Grid, share: np.ndarray | None) -> Page:
    """The report of a training.

    Parameters
    ----------
    share : (rows, columns) float or None
        Share of detail explained at each cell.
    """
    support = manifest["support"]
    subtitle = f"Preset {manifest['preset']}, supports: {support['count']} {support['kind']}"
    page = Page("Training of downscaling models", subtitle)
    page.section("What the figures say")
    if "thinned" in manifest:
        page.note(
            f"The models were fitted on {manifest['thinned']['samples']} random samples of {manifest['thinned']['of']}: the "
            "memory budget held no more. A larger MEMORY takes more."
        )
    for text in findings(manifest["preset"], training):
        page.note(text)
    _add_scores(page, training)
    _add_detail(page, training, grid, share)
    _add_scatter(page, training)
    _add_importances(page, manifest, training)
    page.section("All scores").table(
        (*HEADER, *(f"{reference} rmse_cm" for reference in REFERENCES)),
        [
            (r.class_name, r.split, r.quantity, r.scores.n, r.scores.r2, r.scores.cc, r.scores.rmse, r.weight)
            + (r.climatology.rmse, r.interpolation.rmse)
            for r in training.rows
        ],
        "R2 = 1 - SSE/SST; RMSE in cm",
    )
    page.section("Data").facts(
        {
            "Months": f"{manifest['months_used']} between {manifest['months'][0]} and {manifest['months'][1]}",
            "Gap-filled months used": manifest["filled_months_used"],
            "Predictors": ", ".join(manifest["predictors"]),
            "Blocks": f"{manifest['block_degrees']:g} degrees" if manifest["block_degrees"] else "groups of neighbours",
            "Seed": manifest["seed"],
            **{f"Version of {name}": version for name, version in manifest["versions"].items()},
        }
    )
    return page


def findings(preset: str, training: Training) -> list[str]:
    """What the scores say, in plain words, the most important first."""
    texts, blocked = [], training.find_row("all", BLOCKS, LEVEL)
    overall = next((one for one in training.details if one.name == 0), None)
    if preset == "recommended":
        error = f" (standard error {100 * overall.error:.0f} %)" if overall and np.isfinite(overall.error) else ""
        share = 0.0 if overall is None or not np.isfinite(overall.share) else max(overall.share, 0.0)
        texts.append(
            f"In blocks of places that were left out, the predictors explain {100 * share:.0f} %{error} of the detail "
            f"below the coarser scale; the predicted detail is used with weight {training.pooled_weight:.2f}."
        )
        if not training.pooled_weight > 0:
            texts.append("No detail has earned a weight: the fine map will be the coarse field, interpolated exactly.")
        drift = training.weights.drift
        if len(drift.slopes) == 1:
            texts.append(
                "There is one coarser scale only, so that nothing tells whether what holds between supports holds within "
                "them: the detail is believed less. A larger region would tell."
            )
        elif drift.change < -2 * drift.error:
            texts.append(
                "What the predictors explain falls from scale to scale towards the fine one, and the weight with it."
            )
    if blocked is not None and np.isfinite(blocked.scores.rmse) and np.isfinite(blocked.interpolation.rmse):
        texts.append(_against_interpolation(preset, blocked))
    random = training.find_row("all", RANDOM, DEVIATION if preset == "recommended" else LEVEL)
    if preset == "published" and random is not None and blocked is not None:
        texts.append(
            f"R2 of levels is {random.scores.r2:.3f} on random samples, the figure that is published, and "
            f"{blocked.scores.r2:.3f} in blocks that were left out: what lies between is memory of place and month."
        )
    return texts


def _against_interpolation(preset: str, row: ScoreRow) -> str:
    model, plain = row.scores.rmse, row.interpolation.rmse
    figures = f"RMSE {model:.3g} cm against {plain:.3g} cm, in blocks that were left out"
    if model < plain:
        return f"The model is better than plain interpolation of the coarser scale: {figures}."
    if preset == "recommended":
        return f"The model is no better than plain interpolation of the coarser scale: {figures}."
    return (
        f"This model does worse than plain interpolation of the coarser scale, which needs no predictors: {figures} and before "
        "the correction to the coarse field. The correction mends the level, not the detail; the preset recommended learns "
        "the detail that interpolation leaves."
    )


def _add_scores(page: Page, training: Training) -> None:
    """Tables in the shape of the paper's Table 3: a line a class, RMSE and R2 of each split and reference."""
    splits = [split for split in EXPLANATIONS if split in training.judged]
    page.section("Scores")
    if not splits:
        page.paragraph("No scores were asked for.")
        return
    judged = BLOCKS if BLOCKS in splits else splits[0]
    header = ["class", "n", *(SHORT[split] for split in splits), *REFERENCES]
    for quantity in dict.fromkeys(row.quantity for row in training.rows):
        lines = []
        for name in dict.fromkeys(row.class_name for row in training.rows):
            found = {split: training.find_row(name, split, quantity) for split in splits}
            scores = [None if row is None else row.scores for row in found.values()]
            scores += [found[judged].climatology, found[judged].interpolation]
            lines.append([name, found[judged].scores.n, *map(_rmse_and_r2, scores)])
        what = "GWSA" if quantity == LEVEL else "Deviation of GWSA from the coarser scale"
        page.table(header, lines, f"{what}: RMSE in cm; R2, of held-out samples")
    page.paragraph("After the paper's Table 3. R2 is 1 - SSE/SST, negative where the mean of all does better.")
    page.items([f"{split}: {EXPLANATIONS[split]}" for split in splits])
    page.items(
        [
            "climatology: the mean of the training samples of the same class and calendar month, for the same samples.",
            "interpolation: the coarser scale interpolated, without any model, for the same samples: the figure to beat.",
            f"n, climatology and interpolation are those of the {judged}; those of the other splits are in the last table.",
        ]
    )
    labels = [_label(name) for name in dict.fromkeys(row.class_name for row in training.rows) if name.isdigit()]
    if labels:
        page.items([f"class {label}" for label in labels])


def _rmse_and_r2(scores: Scores | None) -> str:
    if scores is None or not np.isfinite(scores.rmse):
        return "\N{EN DASH}"
    return f"{scores.rmse:.3g}; {scores.r2:.3f}" if np.isfinite(scores.r2) else f"{scores.rmse:.3g}"


def _add_detail(page: Page, training: Training, grid: Grid, share: np.ndarray | None) -> None:
    known = [one for one in training.details if np.isfinite(one.share)]
    if not known:
        return
    page.section("How much fine detail is known to be explained")
    names = [str(one.name) if one.name else "all" for one in known]
    shares, errors = np.array([one.share for one in known]), np.array([one.error for one in known])
    page.figure(
        share_bars([f"class {name}" if name != "all" else name for name in names], shares, errors, "share explained"),
        "Share of the squared difference between GWSA and the interpolated coarser scale that estimates of left-out blocks "
        "explain, and its standard error over blocks. Below zero, the model does worse than interpolation.",
        "Bars: " + "; ".join(f"{name} {value:.2f}" for name, value in zip(names, shares, strict=True)),
    )
    if share is not None and np.isfinite(share).any():
        page.figure(
            map_panels(grid, [("", share)], "share explained", diverging=True, columns=1),
            "The same share at each place, taken together with its neighbours and its class. Blue: the predictors explain "
            "detail here. Red: estimates are worse than interpolation.",
        )


def _add_scatter(page: Page, training: Training) -> None:
    panels = []
    for split in (RANDOM, BLOCKS):
        judged, row = training.judged.get(split), training.find_row("all", split, LEVEL)
        if judged is None or not judged.actual.size:
            continue
        some = _thinned(judged)
        scores = row.scores
        text = f"n {scores.n}\nR2 {scores.r2:.3f}\nCC {scores.cc:.3f}\nRMSE {scores.rmse:.3g} cm"
        panels.append((split, judged.actual[some], judged.estimate[some], text))
    if panels:
        page.section("Actual and estimated GWSA of held-out samples")
        page.figure(
            scatter_panels(panels, "GWSA (cm)", "estimate (cm)"),
            "Held-out samples of all classes"
            + (": a random 30 % as published, and whole blocks" if panels[1:] else ""),
        )


def _thinned(judged: Judged) -> slice:
    """Every so many samples, so that a figure is drawn in a second."""
    return slice(None, None, max(1, judged.actual.size // MOST_POINTS))


def _add_importances(page: Page, manifest: dict, training: Training) -> None:
    if training.linear is not None:
        weights = training.weights
        page.section("Parts of the detail").facts(
            {
                **{f"Share of the {part} part": value for part, value in manifest["shares"].items()},
                "Slope of actual on held-out detail": weights.slope,
                "Its standard error over groups": weights.error,
                "Slopes at the coarser scales, the smallest first": ", ".join(
                    f"{slope:.2f}" for slope in weights.drift.slopes
                ),
                "Likely change of the slope from the smallest coarser to the fine scale": weights.drift.change,
                "Its standard error": weights.drift.error,
            }
        )
        page.table(("predictor", "share"), list(training.importances.items()), "Linear part: share in its variance")
    page.section("Importances")
    trees = all(entry["learner"]["kind"] in TREES for entry in manifest["models"].values())
    labels = ["gain" if trees else "importance", "mean absolute contribution (SHAP)"]
    panels = []
    for name, entry in manifest["models"].items():
        gain, told = entry["importances"], entry.get("contributions", {})
        top = sorted(gain, key=lambda key: -max(gain[key], told.get(key, 0.0)))[:MOST_IMPORTANCES]
        columns = [values for values in (gain, told) if values]
        panels.append((f"Model {name}", top, [100 * np.array([values[key] for key in top]) for values in columns]))
    if panels:
        page.figure(
            paired_bars(panels, labels),
            "Share of each input in the total gain of all splits, and in the mean absolute contribution to estimates "
            "(SHAP values from the booster itself), largest first."
            if trees
            else "Share of each input in what the model explains, largest first.",
        )
    for (title, top, columns), entry in zip(panels, manifest["models"].values(), strict=True):
        page.table(
            ("input", *(f"{label} (%)" for label in labels[: len(columns)])), zip(top, *columns, strict=True), title
        )
        page.facts(entry["learner"]["parameters"], f"Parameters of {title[0].lower()}{title[1:]}")


def _label(class_name: str) -> str:
    text = CLASS_LABELS.get(int(class_name)) if class_name.isdigit() else None
    return f"{class_name} ({text})" if text else class_name

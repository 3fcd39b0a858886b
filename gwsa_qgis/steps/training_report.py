"""The metrics table and the page of a training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gwsa_qgis.report.html import Page
from gwsa_qgis.steps.training import BLOCKS, INTERPOLATION, RANDOM, ScoreRow, Training

HEADER = ("class", "split", "quantity", "n", "r2", "cc", "rmse_cm", "weight")
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


def find_row(rows: Sequence[ScoreRow], class_name: str, split: str, quantity: str) -> ScoreRow:
    """The row of a class, split and quantity."""
    return next(r for r in rows if (r.class_name, r.split, r.quantity) == (class_name, split, quantity))


def metrics_table(rows: Sequence[ScoreRow]) -> str:
    """CSV text of the scores."""
    lines = [",".join(HEADER)]
    for row in rows:
        s = row.scores
        figures = [f"{value:.6g}" if np.isfinite(value) else "" for value in (s.r2, s.cc, s.rmse, row.weight)]
        lines.append(",".join([row.class_name, row.split, row.quantity, str(s.n), *figures]))
    return "\n".join(lines) + "\n"


def training_page(manifest: dict, training: Training) -> Page:
    """The report of a training."""
    preset, support = manifest["preset"], manifest["support"]
    page = Page("Training of downscaling models", f"Preset {preset}, supports: {support['count']} {support['kind']}")
    page.section("What the figures say")
    for text in _findings(preset, training):
        page.note(text)
    rows = [
        (_label(r.class_name), r.split, r.quantity, r.scores.n, r.scores.r2, r.scores.cc, r.scores.rmse, r.weight)
        for r in training.rows
    ]
    page.section("Scores").table(HEADER, rows, "R2 = 1 - SSE/SST; RMSE in cm")
    page.items(
        [
            f"{RANDOM}: 30 % of samples, drawn at random, are held out, as published. Neighbours in space and time stand "
            "on both sides, so the score is high even when predictors know nothing of groundwater.",
            f"{BLOCKS}: whole groups of neighbouring supports are held out in turn.",
            f"{INTERPOLATION}: the coarser scale interpolated, without any model: the figure to beat.",
        ]
    )
    if training.linear is not None:
        weights = training.weights
        page.section("Parts of the detail").facts(
            {
                **{f"Share of the {part} part": value for part, value in manifest["shares"].items()},
                "Slope of actual on held-out detail": weights.slope,
                "Its standard error over groups": weights.error,
            }
        )
        page.table(("predictor", "share"), list(training.importances.items()), "Linear part: share in its variance")
    page.section("Importances (share of gain)")
    for name, entry in manifest["models"].items():
        top = list(entry["importances"].items())[:MOST_IMPORTANCES]
        page.table(("input", "share"), top, f"Model {name}")
        page.facts(entry["learner"]["parameters"], f"Parameters of model {name}")
    page.section("Data").facts(
        {
            "Months": f"{manifest['months_used']} between {manifest['months'][0]} and {manifest['months'][1]}",
            "Gap-filled months used": manifest["filled_months_used"],
            "Predictors": ", ".join(manifest["predictors"]),
            "Seed": manifest["seed"],
            **{f"Version of {name}": version for name, version in manifest["versions"].items()},
        }
    )
    return page


def _findings(preset: str, training: Training) -> list[str]:
    quantity = "deviation" if preset == "recommended" else "GWSA"
    blocked = find_row(training.rows, "all", BLOCKS, quantity).scores
    random = find_row(training.rows, "all", RANDOM, quantity).scores
    model = find_row(training.rows, "all", BLOCKS, "GWSA").scores
    plain = find_row(training.rows, "all", INTERPOLATION, "GWSA").scores
    texts = []
    if preset == "recommended":
        texts.append(
            f"On groups of supports that were left out, the predictors explain {100 * max(blocked.r2, 0):.0f} % of the "
            f"detail below the coarser scale; the predicted detail is used with weight {training.pooled_weight:.2f}."
        )
    else:
        texts.append(f"R2 of levels is {random.r2:.3f} on random samples and {blocked.r2:.3f} on held-out groups.")
    if np.isfinite(model.rmse) and np.isfinite(plain.rmse):
        verdict = "better than" if model.rmse < plain.rmse else "worse than, or no better than,"
        texts.append(
            f"On held-out groups the model (RMSE {model.rmse:.3g} cm) is {verdict} interpolation of the coarser scale "
            f"({plain.rmse:.3g} cm)."
        )
    return texts


def _label(class_name: str) -> str:
    text = CLASS_LABELS.get(int(class_name)) if class_name.isdigit() else None
    return f"{class_name} ({text})" if text else class_name

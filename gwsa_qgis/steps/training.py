"""Fitting the models of a preset and judging them on held-out samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from gwsa_qgis.progress import Reporter
from gwsa_qgis.science.cross_validation import DetailWeights, detail_weights
from gwsa_qgis.science.learners import Learner, require_samples
from gwsa_qgis.science.linear_detail import LinearDetail
from gwsa_qgis.science.ridge_choice import choose_ridge
from gwsa_qgis.science.splits import group_folds
from gwsa_qgis.steps.sample_table import Samples, TrainingTable
from gwsa_qgis.steps.trained_model import POOLED
from gwsa_qgis.steps.training_folds import DetailOfFold, LevelsOfFold, at_most, held_out
from gwsa_qgis.steps.training_journal import Kept
from gwsa_qgis.steps.training_scores import (
    BLOCKS,
    CLASSES,
    DEVIATION,
    LEVEL,
    RANDOM,
    SPLITS,
    DetailShare,
    Judged,
    ScoreRow,
    class_label,
    detail_shares,
    folds_of,
    score_rows,
)
from gwsa_qgis.steps.training_settings import Settings

SEARCH_FOLDS = 3
# The search of the recommended preset is about trees that add little to a linear part: so many samples settle it.
MOST_SEARCHED_DETAILS = 5_000
CONTRIBUTION_ROWS = 2_000


@dataclass
class Training:
    """Fitted learners and what is known of them.

    Attributes
    ----------
    learners : dict of str to learner
    entries : list of dict
        For each class its model, weight and number of samples, as the manifest has them.
    judged : dict of str to Judged
        Held-out samples of each split.
    rows : list of ScoreRow
        Their scores.
    details : list of DetailShare
        Share of what interpolation leaves that is explained in held-out blocks, by class.
    linear : LinearDetail or None
        Linear part of the detail; None with the published preset.
    weights : DetailWeights or None
        What the detail has earned; None with the published preset.
    importances : dict of str to float
        Share of each predictor in the linear part.
    contributions : dict of str to (dict of str to float)
        For each learner that tells them, the share of each input in the mean absolute contribution to its estimates.
    """

    learners: dict[str, Learner] = field(default_factory=dict)
    entries: list[dict] = field(default_factory=list)
    judged: dict[str, Judged] = field(default_factory=dict)
    rows: list[ScoreRow] = field(default_factory=list)
    details: list[DetailShare] = field(default_factory=list)
    linear: LinearDetail | None = None
    weights: DetailWeights | None = None
    importances: dict[str, float] = field(default_factory=dict)
    contributions: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def pooled_weight(self) -> float:
        """Weight of the detail over all classes; NaN with the published preset."""
        return np.nan if self.weights is None else self.weights.pooled

    def find_row(self, class_name: str, split: str, quantity: str) -> ScoreRow | None:
        """The line of a class, split and quantity; None where there is none."""
        wanted = (class_name, split, quantity)
        return next((row for row in self.rows if (row.class_name, row.split, row.quantity) == wanted), None)

    def explain(self, name: str, data: Samples, inputs: Sequence[str], settings: Settings) -> None:
        """Ask a learner for the contributions of its inputs, where it tells them."""
        tell = getattr(self.learners[name], "contributions", None)
        if tell is not None:
            self.contributions[name] = tell(settings.draw(data, 0, CONTRIBUTION_ROWS).x, inputs)


def train_published(
    table: TrainingTable,
    inputs: Sequence[str],
    splits: Sequence[str],
    settings: Settings,
    kept: Kept,
    report: Reporter,
    workers: int = 1,
) -> Training:
    """One model of levels a class: searched on random samples, scored on held-out ones, then fitted on all of the table.

    Parameters
    ----------
    inputs : sequence of str
        Names of the inputs.
    splits : sequence of str
        Those to be scored, of `training_scores.SPLITS`.
    workers : int
        Of a ``joblib.parallel_config``: they fit models that are scored.
    """
    result, drawn, parameters, judged = Training(), [], {}, {split: [] for split in splits}
    levels = LevelsOfFold(parameters, settings)
    judge = partial(held_out, kept=kept, workers=workers)
    for number, name in enumerate(table.names):
        part = report.part(0.95 * number / len(table.names), 0.95 * (number + 1) / len(table.names))
        part(0.0, f"Training class {name}" if name else "Training")
        rows = _rows_of_class(table.samples, name)
        own = table.samples.take(rows)
        require_samples(own.size, f"class {name}" if name else "the model")
        some = settings.draw(own, name)
        drawn.append(np.arange(rows.start, rows.stop)[settings.drawn(own.size, name)])
        train = some.take(folds_of(RANDOM, some, settings.seed, name) < 0)
        folds = np.random.default_rng([settings.seed, name, 1]).integers(0, SEARCH_FOLDS, train.size)
        key = f"class_{name}"
        tried = kept.numbers(f"{key} candidates")
        search = partial(settings.search, train, folds, part.part(0.0, 0.5), remember=tried)
        parameters[name] = kept.facts(f"{key} search", search)
        chosen = [split for split in splits if split != CLASSES]
        for place, split in enumerate(chosen):
            told = part.part(0.5 + 0.3 * place / len(chosen), 0.5 + 0.3 * (place + 1) / len(chosen))
            folds = folds_of(split, some, settings.seed, name)
            estimates = judge(some, folds, folds, f"{key} {split}", levels, report=told)
            judged[split].append(Judged.of(some, estimates, folds, False))
        fit = partial(settings.make(parameters[name]).fit, own.x, own.y, part.part(0.8, 1.0))
        result.learners[key] = kept.learner(key, settings.threads, fit)
        result.explain(key, own, inputs, settings)
        result.entries.append({"class": name, "model": key, "weight": 1.0, "samples": own.size})
    if CLASSES in splits:
        some = table.samples.take(np.concatenate(drawn))
        folds = folds_of(CLASSES, some, settings.seed)
        estimates = judge(some, folds, folds, CLASSES, levels, report=report.part(0.95, 1.0))
        judged[CLASSES].append(Judged.of(some, estimates, folds, False))
    _score(result, {split: Judged.together(parts) for split, parts in judged.items()}, table.names, [LEVEL])
    return result


def train_recommended(
    table: TrainingTable,
    predictors: Sequence[str],
    inputs: Sequence[str],
    splits: Sequence[str],
    settings: Settings,
    kept: Kept,
    report: Reporter,
    workers: int = 1,
) -> Training:
    """A model of deviations for all classes, whose linear part knows them, and weights from held-out groups.

    Parameters
    ----------
    predictors, inputs : sequence of str
        Names of what the detail is learned from (`model_inputs.detail_names`) and of the inputs.
    splits : sequence of str
        Those to be scored, of `training_scores.SPLITS`; blocks always are.
    workers : int
        Of a ``joblib.parallel_config``: they fit models that are scored.
    """
    data, first = table.samples, table.samples.take(slice(0, table.first))
    require_samples(first.size, "the model")
    report(0.0, f"Training on {data.size} deviations")
    parameters = _search_trees(first, settings, kept, report.part(0.0, 0.1))
    classes = [name for name in table.names if name]
    folds = folds_of(BLOCKS, data, settings.seed)
    penalty = partial(_penalty, table, len(predictors), classes, folds, settings, report.part(0.1, 0.2))
    ridge = kept.facts("penalty", penalty)["ridge"]

    detail = DetailOfFold(len(predictors), classes, ridge, parameters, settings)
    judge = partial(held_out, estimate=detail, kept=kept, columns=2, workers=workers)
    scales, judged_folds = _judged_scales(table, folds, settings)
    parts = judge(data, folds, judged_folds, BLOCKS, report=report.part(0.2, 0.6))
    octaves = np.log2(table.spacings)
    weights = detail_weights(data.y, parts, data.classes, data.blocks, scales, octaves)
    parts = parts[: table.first]
    judged = {BLOCKS: Judged.of(first, _weighted(parts, first, weights), folds[: table.first], True)}
    others = [split for split in splits if split != BLOCKS]
    for number, split in enumerate(others):
        told = report.part(0.6 + 0.2 * number / len(others), 0.6 + 0.2 * (number + 1) / len(others))
        rows, size = _some_rows(table, split, settings)
        folds = folds_of(split, rows, settings.seed)
        parts = judge(rows, folds, folds[:size], split, report=told)
        rows = rows.take(slice(0, size))
        judged[split] = Judged.of(rows, _weighted(parts, rows, weights, split), folds[:size], True)
    model = detail.fit(data, report.part(0.8, 1.0))
    result = Training({POOLED: model.trees}, linear=model.linear, weights=weights)
    some = first.take(at_most(np.arange(first.size), [settings.seed, 7]))
    result.importances = model.linear.importances(some.x, some.classes, predictors)
    result.explain(POOLED, first, inputs, settings)
    _score(result, judged, table.names, [DEVIATION, LEVEL])
    for name in table.names:
        size = int((first.classes == name).sum())
        weight = weights.of_class.get(name, weights.pooled)
        result.entries.append({"class": name, "model": POOLED, "weight": weight, "samples": size})
    return result


def _search_trees(first: Samples, settings: Settings, kept: Kept, report: Reporter) -> dict:
    """Parameters of the trees of the detail; the defaults where nothing can be held out."""
    some = settings.draw(first, most=MOST_SEARCHED_DETAILS)
    folds = group_folds(some.blocks, SEARCH_FOLDS, settings.seed)
    if not folds.max() > 0:
        report.warn("all supports are in one group, so that no detail can be judged: its weight is 0")
        return {}
    tried = kept.numbers("candidates")
    return kept.facts("search", partial(settings.search, some, folds, report, shallow=True, remember=tried))


def _penalty(
    table: TrainingTable,
    n_predictors: int,
    classes: list[int],
    folds: np.ndarray,
    settings: Settings,
    report: Reporter,
) -> dict:
    """Penalty of the linear part, as it is kept."""
    rows = at_most(np.arange(table.samples.size), [settings.seed, 5])
    some, judged = table.samples.take(rows), int(np.searchsorted(rows, table.first))
    samples = (some.x, some.y, some.classes, some.blocks, folds[rows], judged)
    return {"ridge": choose_ridge(n_predictors, classes, *samples, report, threads=settings.threads)}


def _judged_scales(table: TrainingTable, folds: np.ndarray, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    """Number of each sample's scale, and folds in which all of the smallest scale and some of the others are judged."""
    scales = np.repeat(np.arange(len(table.scales), dtype=np.int8), table.scales)
    judged = folds.copy()
    others = np.arange(table.first, folds.size)
    most = min(table.first, settings.samples)
    if others.size > most:
        kept = np.random.default_rng([settings.seed, 4]).choice(others, most, replace=False)
        judged[table.first :] = -1
        judged[kept] = folds[kept]
    return scales, judged


def _weighted(parts: np.ndarray, data: Samples, weights: DetailWeights, split: str = BLOCKS) -> np.ndarray:
    """Detail as it is judged: as it would be predicted, but for the random split, which shows what leaks."""
    if split == RANDOM:
        return parts @ (weights.shares if weights.shares.any() else np.ones(2))
    weight = np.full(data.size, weights.pooled)
    if split != CLASSES:  # nothing is known of a class that is left out
        for name, own in weights.of_class.items():
            weight[data.classes == name] = own
    return weight * (parts @ weights.shares)


def _some_rows(table: TrainingTable, split: str, settings: Settings) -> tuple[Samples, int]:
    """At most `samples` rows to score a split on, and how many of them are of the smallest scale.

    A random split would find a sample's other scales on the training side, so that it has the smallest scale alone.
    """
    size = table.first if split == RANDOM else table.samples.size
    if size <= settings.samples:
        return table.samples.take(slice(0, size)), table.first
    rows = np.sort(np.random.default_rng([settings.seed, 3]).choice(size, settings.samples, replace=False))
    return table.samples.take(rows), int(np.searchsorted(rows, table.first))


def _score(result: Training, judged: dict[str, Judged], names: Sequence[int], quantities: Sequence[str]) -> None:
    """Put down the scores of all splits, class by class."""
    result.judged = judged
    earned = {} if result.weights is None else result.weights.of_class
    known = {} if result.weights is None else {name: earned.get(name, result.pooled_weight) for name in [*names, 0]}
    for split in (split for split in SPLITS.values() if split in judged):
        weights = dict.fromkeys(known, result.pooled_weight) if split == CLASSES else known
        result.rows += score_rows(split, judged[split], names, quantities, {} if split == RANDOM else weights)
    order = [class_label(name) for name in dict.fromkeys([*names, 0])]
    result.rows.sort(key=lambda row: order.index(row.class_name))
    if BLOCKS in judged:
        result.details = detail_shares(judged[BLOCKS], names)


def _rows_of_class(data: Samples, name: int) -> slice:
    """Rows of a class in samples that are sorted by class."""
    return slice(*np.searchsorted(data.classes, [name, name + 1]).tolist())

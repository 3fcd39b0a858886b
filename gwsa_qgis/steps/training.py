"""Fitting the models of a preset and judging them on held-out samples."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np

from gwsa_qgis.progress import Reporter
from gwsa_qgis.science.cross_validation import DetailWeights, detail_weights, held_out_estimates
from gwsa_qgis.science.learners import TreeEnsemble, require_samples
from gwsa_qgis.science.scores import Scores, score
from gwsa_qgis.science.search import search_parameters
from gwsa_qgis.science.supports import blocked_folds
from gwsa_qgis.steps.trained_model import POOLED
from gwsa_qgis.steps.training_samples import Samples

RANDOM, BLOCKS, INTERPOLATION = "random 70/30", "spatial blocks", "interpolation"
TEST_SHARE = 0.3
SEARCH_FOLDS, SCORE_FOLDS = 3, 5
# A class gets a model of its own when it has this many groups of supports and the model does better on blocks.
GROUPS_FOR_OWN_MODEL = 20


@dataclass(frozen=True)
class ScoreRow:
    """One line of the metrics table.

    Attributes
    ----------
    class_name : str
        The class, or "all".
    split : str
        How the judged samples were held out, or "interpolation" for the coarser scale's interpolation alone.
    quantity : str
        "GWSA", or "deviation" from the coarser scale.
    scores : Scores
    weight : float
        Weight of the predicted detail; NaN where it has none.
    """

    class_name: str
    split: str
    quantity: str
    scores: Scores
    weight: float = np.nan


@dataclass
class Training:
    """Fitted learners and what is known of them.

    Attributes
    ----------
    learners : dict of str to TreeEnsemble
    entries : list of dict
        For each class its model, weight and number of samples, as the manifest has them.
    rows : list of ScoreRow
    pooled_weight : float
        Weight of the pooled model's detail; NaN with the published preset.
    """

    learners: dict[str, TreeEnsemble] = field(default_factory=dict)
    entries: list[dict] = field(default_factory=list)
    rows: list[ScoreRow] = field(default_factory=list)
    pooled_weight: float = np.nan


@dataclass(frozen=True)
class Settings:
    """Options of a training that do not change from class to class."""

    learner: str
    samples: int
    search_iterations: int
    seed: int
    threads: int

    def make(self, parameters: dict) -> TreeEnsemble:
        """A new learner."""
        return TreeEnsemble(self.learner, parameters, seed=self.seed, threads=self.threads)

    def search(self, data: Samples, folds: np.ndarray, report: Reporter) -> dict:
        """Parameters that do best on the folds."""
        return search_parameters(
            self.learner,
            data.x,
            data.y,
            folds,
            iterations=self.search_iterations,
            seed=self.seed,
            threads=self.threads,
            progress=report,
        )[0]

    def draw(self, data: Samples, number: int = 0) -> Samples:
        """At most `samples` random rows."""
        if data.size <= self.samples:
            return data
        rows = np.random.default_rng([self.seed, number]).choice(data.size, self.samples, replace=False)
        return data.take(np.sort(rows))


def train_published(data: Samples, names: list[int], settings: Settings, report: Reporter) -> Training:
    """One model of levels a class: searched on random samples, scored on 30 % of them, then fitted on all."""
    result = Training()
    judged: dict[str, list] = {RANDOM: [], BLOCKS: [], INTERPOLATION: []}
    for number, name in enumerate(names):
        part = report.part(number / len(names), (number + 1) / len(names))
        part(0.0, f"Training class {name}" if name else "Training")
        own = data.take(data.classes == name) if name else data
        require_samples(own.size, f"class {name}" if name else "the model")
        drawn = settings.draw(own, name)
        test = _random_test(drawn.size, settings.seed, name)
        train = drawn.take(~test)
        folds = np.random.default_rng([settings.seed, name, 1]).integers(0, SEARCH_FOLDS, train.size)
        parameters = settings.search(train, folds, part.part(0.0, 0.6))
        estimate = np.full(drawn.size, np.nan, np.float32)
        estimate[test] = settings.make(parameters).fit(train.x, train.y).predict(drawn.x[test])
        blocked = _blocked_estimates(drawn, parameters, settings, part.part(0.6, 0.85))
        for split, values in ((RANDOM, estimate), (BLOCKS, blocked), (INTERPOLATION, drawn.around)):
            judged[split].append((drawn.y, values))
            result.rows.append(ScoreRow(_class_name(name), split, "GWSA", score(drawn.y, values)))
        key = f"class_{name}"
        result.learners[key] = settings.make(parameters).fit(own.x, own.y, part.part(0.85, 1.0))
        result.entries.append({"class": name, "model": key, "weight": 1.0, "samples": own.size})
    if names != [0]:
        for split, pairs in judged.items():
            actual, values = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
            result.rows.append(ScoreRow("all", split, "GWSA", score(actual, values)))
    return result


def train_recommended(samples: list[Samples], names: list[int], settings: Settings, report: Reporter) -> Training:
    """A pooled model of deviations, models of large classes that do better, and weights from held-out groups."""
    first, data = samples[0], stacked(samples)
    require_samples(first.size, "the model")
    report(0.0, f"Training on {data.size} deviations")
    chosen = settings.draw(first)
    folds = blocked_folds_of(chosen.groups, SEARCH_FOLDS, settings.seed)
    if folds.max() < 1:
        report.warn("all supports are in one group, so that no detail can be judged: its weight is 0")
    parameters = settings.search(chosen, folds, report.part(0.0, 0.5)) if folds.max() > 0 else {}
    held_out = _blocked_estimates(data, parameters, settings, report.part(0.5, 0.75))
    pooled = settings.make(parameters).fit(data.x, data.y, report.part(0.75, 0.85))
    result, model_of = Training({POOLED: pooled}), dict.fromkeys(names, POOLED)
    large = [name for name in names if name and _groups_of(first, name) >= GROUPS_FOR_OWN_MODEL]
    for number, name in enumerate(large):
        part = report.part(0.85 + 0.1 * number / len(large), 0.85 + 0.1 * (number + 1) / len(large))
        inside = data.classes == name
        own = data.take(inside)
        estimate = _blocked_estimates(own, parameters, settings, part)
        if score(own.y, estimate).rmse < score(own.y, held_out[inside]).rmse:
            held_out[inside], model_of[name] = estimate, f"class_{name}"
            result.learners[model_of[name]] = settings.make(parameters).fit(own.x, own.y)
    weights = detail_weights(data.y, held_out, data.classes, data.groups)
    result.pooled_weight = weights.pooled
    random = _random_estimates(first, parameters, settings)
    result.rows = _deviation_rows(first, held_out[: first.size], random, names, weights)
    for name in names:
        weight = weights.of_class.get(name, weights.pooled)
        inside = int((first.classes == name).sum())
        result.entries.append({"class": name, "model": model_of[name], "weight": weight, "samples": inside})
    return result


def stacked(samples: list[Samples]) -> Samples:
    """All samples in one table, the first ones first."""
    return Samples(*(np.concatenate([getattr(part, f.name) for part in samples]) for f in fields(Samples)))


def blocked_folds_of(groups: np.ndarray, n_folds: int, seed: int) -> np.ndarray:
    """Fold of each sample, whole groups together; all -1 when there are not two groups."""
    names, index = np.unique(groups, return_inverse=True)
    index = index.ravel()
    if (names > 0).sum() < 2:
        return np.full(groups.shape, -1)
    return blocked_folds(names, n_folds, seed)[index]


def _class_name(name: int) -> str:
    return str(name) if name else "all"


def _random_test(size: int, seed: int, number: int) -> np.ndarray:
    test = np.zeros(size, bool)
    test[np.random.default_rng([seed, number, 2]).permutation(size)[: max(1, round(TEST_SHARE * size))]] = True
    return test


def _groups_of(data: Samples, name: int) -> int:
    return np.unique(data.groups[data.classes == name]).size


def _blocked_estimates(data: Samples, parameters: dict, settings: Settings, report: Reporter) -> np.ndarray:
    folds = blocked_folds_of(data.groups, SCORE_FOLDS, settings.seed)
    if folds.max() < 1:
        return np.full(data.size, np.nan, np.float32)
    return held_out_estimates(lambda: settings.make(parameters), data.x, data.y, folds, report)


def _random_estimates(data: Samples, parameters: dict, settings: Settings) -> np.ndarray:
    test = _random_test(data.size, settings.seed, 0)
    estimate = np.full(data.size, np.nan, np.float32)
    estimate[test] = settings.make(parameters).fit(data.x[~test], data.y[~test]).predict(data.x[test])
    return estimate


def _deviation_rows(
    data: Samples, held_out: np.ndarray, random: np.ndarray, names: list[int], weights: DetailWeights
) -> list[ScoreRow]:
    weight_of = np.full(data.size, weights.pooled)
    for name, weight in weights.of_class.items():
        weight_of[data.classes == name] = weight
    detail = weight_of * held_out
    rows = []
    for name in [*(name for name in names if name), 0]:
        own = (data.classes == name) if name else np.ones(data.size, bool)
        y, around, weight = data.y[own], data.around[own], weights.of_class.get(name, weights.pooled)
        judged = np.where(np.isfinite(detail[own]), y + around, np.nan)
        rows += [
            ScoreRow(_class_name(name), RANDOM, "deviation", score(y, random[own])),
            ScoreRow(_class_name(name), BLOCKS, "deviation", score(y, detail[own]), weight),
            ScoreRow(_class_name(name), BLOCKS, "GWSA", score(judged, around + detail[own]), weight),
            ScoreRow(_class_name(name), INTERPOLATION, "GWSA", score(judged, around)),
        ]
    return rows

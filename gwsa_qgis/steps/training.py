"""Fitting the models of a preset and judging them on held-out samples."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np

from gwsa_qgis.progress import Reporter
from gwsa_qgis.science.cross_validation import DetailWeights, detail_weights, held_out_estimates
from gwsa_qgis.science.detail_model import DetailModel
from gwsa_qgis.science.learners import TreeEnsemble, require_samples
from gwsa_qgis.science.linear_detail import LinearDetail
from gwsa_qgis.science.scores import Scores, score
from gwsa_qgis.science.search import search_parameters
from gwsa_qgis.science.supports import blocked_folds
from gwsa_qgis.steps.trained_model import POOLED
from gwsa_qgis.steps.training_samples import Samples

RANDOM, BLOCKS, INTERPOLATION = "random 70/30", "spatial blocks", "interpolation"
TEST_SHARE = 0.3
SEARCH_FOLDS, SCORE_FOLDS = 3, 5
# The search of the recommended preset is about trees that add little to a linear part: so many samples settle it.
MOST_SEARCHED_DETAILS = 5_000


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
    linear : LinearDetail or None
        Linear part of the detail; None with the published preset.
    weights : DetailWeights or None
        What the detail has earned; None with the published preset.
    importances : dict of str to float
        Share of each predictor in the linear part.
    """

    learners: dict[str, TreeEnsemble] = field(default_factory=dict)
    entries: list[dict] = field(default_factory=list)
    rows: list[ScoreRow] = field(default_factory=list)
    linear: LinearDetail | None = None
    weights: DetailWeights | None = None
    importances: dict[str, float] = field(default_factory=dict)

    @property
    def pooled_weight(self) -> float:
        """Weight of the detail over all classes; NaN with the published preset."""
        return np.nan if self.weights is None else self.weights.pooled


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

    def search(self, data: Samples, folds: np.ndarray, report: Reporter, *, shallow: bool = False) -> dict:
        """Parameters that do best on the folds."""
        return search_parameters(
            self.learner,
            data.x,
            data.y,
            folds,
            iterations=self.search_iterations,
            seed=self.seed,
            threads=self.threads,
            shallow=shallow,
            progress=report,
        )[0]

    def draw(self, data: Samples, number: int = 0, most: int | None = None) -> Samples:
        """At most `samples` random rows, or `most` if that is less."""
        size = min(self.samples, most or self.samples)
        if data.size <= size:
            return data
        rows = np.random.default_rng([self.seed, number]).choice(data.size, size, replace=False)
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


def train_recommended(
    samples: list[Samples], names: list[int], predictors: list[str], settings: Settings, report: Reporter
) -> Training:
    """A model of deviations for all classes, whose linear part knows them, and weights from held-out groups."""
    first, data = samples[0], stacked(samples)
    require_samples(first.size, "the model")
    report(0.0, f"Training on {data.size} deviations")
    chosen = settings.draw(first, most=MOST_SEARCHED_DETAILS)
    folds = blocked_folds_of(chosen.groups, SEARCH_FOLDS, settings.seed)
    if folds.max() < 1:
        report.warn("all supports are in one group, so that no detail can be judged: its weight is 0")
    found = folds.max() > 0
    parameters = settings.search(chosen, folds, report.part(0.0, 0.4), shallow=True) if found else {}
    classes = [name for name in names if name]

    def fit(train: np.ndarray | slice, told: Reporter | None = None, table: Samples = data) -> DetailModel:
        model = DetailModel(LinearDetail(len(predictors), classes), settings.make(parameters))
        return model.fit(table.x[train], table.y[train], table.classes[train], told)

    def held(train: np.ndarray, test: np.ndarray) -> np.ndarray:
        judged = test & smallest
        parts = np.full((int(test.sum()), 2), np.nan)
        parts[judged[test]] = fit(train).parts(data.x[judged], data.classes[judged])
        return parts

    smallest = np.arange(data.size) < first.size
    folds = blocked_folds_of(data.groups, SCORE_FOLDS, settings.seed)
    parts = np.full((first.size, 2), np.nan)
    if folds.max() > 0:
        parts = held_out_estimates(held, folds, report.part(0.4, 0.8))[: first.size]
    weights = detail_weights(first.y, parts, first.classes, first.groups)
    test = _random_test(first.size, settings.seed, 0)
    random = np.full(first.size, np.nan)
    shares = weights.shares if weights.shares.any() else np.ones(2)
    random[test] = fit(~test, report.part(0.8, 0.88), first).predict(first.x[test], first.classes[test], shares)
    model = fit(slice(None), report.part(0.88, 1.0))
    result = Training({POOLED: model.trees}, linear=model.linear, weights=weights)
    result.importances = model.linear.importances(first.x, first.classes, predictors)
    result.rows = _deviation_rows(first, parts @ weights.shares, random, names, weights)
    for name in names:
        size = int((first.classes == name).sum())
        weight = weights.of_class.get(name, weights.pooled)
        result.entries.append({"class": name, "model": POOLED, "weight": weight, "samples": size})
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


def _blocked_estimates(data: Samples, parameters: dict, settings: Settings, report: Reporter) -> np.ndarray:
    def held(train: np.ndarray, test: np.ndarray) -> np.ndarray:
        return settings.make(parameters).fit(data.x[train], data.y[train]).predict(data.x[test])

    return held_out_estimates(held, blocked_folds_of(data.groups, SCORE_FOLDS, settings.seed), report)


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

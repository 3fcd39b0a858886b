"""Scores of held-out samples, beside two references that need no model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np

from gwsa_qgis.science.scores import Scores, score
from gwsa_qgis.science.splits import (
    NEVER,
    class_folds,
    group_folds,
    held_out_climatology,
    random_fold,
    share_and_error,
    share_per_place,
    year_folds,
)
from gwsa_qgis.steps.sample_table import Samples, TrainingTable

RANDOM, BLOCKS, YEARS, CLASSES = "random 70/30", "spatial blocks", "year blocks", "leave class out"
# Names by which the splits are asked for.
SPLITS = {"random": RANDOM, "blocks": BLOCKS, "years": YEARS, "classes": CLASSES}
LEVEL, DEVIATION = "GWSA", "deviation"
TEST_SHARE = 0.3
SCORE_FOLDS = 5


def folds_of(split: str, data: Samples, seed: int, number: int = 0) -> np.ndarray:
    """Folds of the samples in one of `SPLITS`; all `NEVER` where there is nothing to split."""
    if split == RANDOM:
        return random_fold(data.size, TEST_SHARE, [seed, number, 2])
    if split == BLOCKS:
        return group_folds(data.blocks, SCORE_FOLDS, seed)
    return year_folds(data.years, SCORE_FOLDS) if split == YEARS else class_folds(data.classes)


@dataclass(frozen=True)
class Judged:
    """Samples that a split held out: levels in cm, (n,) each.

    Attributes
    ----------
    actual, estimate : (n,) float32
    around : (n,) float32
        Interpolation of the coarser scale; NaN where it was not computed.
    climatology, deviation_climatology : (n,) float32
        Mean of the training samples of the same class and calendar month: of levels, and of deviations from `around`.
    classes, blocks, places, months : (n,) int
        As `Samples` has them.
    """

    actual: np.ndarray
    estimate: np.ndarray
    around: np.ndarray
    climatology: np.ndarray
    deviation_climatology: np.ndarray
    classes: np.ndarray
    blocks: np.ndarray
    places: np.ndarray
    months: np.ndarray

    @classmethod
    def of(cls, data: Samples, estimate: np.ndarray, folds: np.ndarray, deviations: bool) -> Judged:
        """Put estimates beside the references.

        Parameters
        ----------
        estimate : (n,)
            Of `data.y`; NaN where not estimated.
        folds : (n,) int
            From 0; `NEVER` is always trained on.
        deviations : bool
            Whether `data.y` is the deviation from `data.around`, or the level.
        """
        base = data.around if deviations else np.zeros(1, np.float32)
        level = data.y + base
        monthly = [
            held_out_climatology(values, data.classes, data.calendar, folds) for values in (level, level - data.around)
        ]
        held = np.isfinite(estimate) & (folds != NEVER)
        columns = (level, estimate + base, data.around, *monthly)
        places = (data.classes, data.blocks, data.places, data.months)
        return cls(*(c[held].astype(np.float32) for c in columns), *(c[held] for c in places))

    @staticmethod
    def together(parts: Sequence[Judged]) -> Judged:
        """Parts of one split, one after the other."""
        return Judged(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Judged)))

    def of_class(self, name: int) -> Judged:
        """Samples of a class; all for 0."""
        if not name:
            return self
        own = self.classes == name
        return Judged(*(getattr(self, f.name)[own] for f in fields(Judged)))

    def errors(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Squared errors of interpolation and of the estimates, and where both are known."""
        before, after = ((self.actual - values).astype(np.float64) ** 2 for values in (self.around, self.estimate))
        return before, after, np.isfinite(before) & np.isfinite(after)


@dataclass(frozen=True)
class ScoreRow:
    """One line of the metrics table.

    Attributes
    ----------
    class_name : str
        The class, or "all".
    split : str
        How the judged samples were held out.
    quantity : str
        "GWSA", or "deviation" from the coarser scale.
    scores, climatology, interpolation : Scores
        Of the model, of the class's monthly climatology and of the coarser scale's interpolation, on the same samples.
    weight : float
        Weight that the predicted detail was judged with; NaN where it has none.
    """

    class_name: str
    split: str
    quantity: str
    scores: Scores
    climatology: Scores
    interpolation: Scores
    weight: float = np.nan

    def as_dict(self) -> dict[str, object]:
        """The line by names, fit for JSON."""
        names = {"class": self.class_name, "split": self.split, "quantity": self.quantity, "weight": self.weight}
        found = names | self.scores.as_dict()
        for reference in ("climatology", "interpolation"):
            for name in ("r2", "cc", "rmse"):
                found[f"{reference}_{name}"] = getattr(getattr(self, reference), name)
        return found


def score_rows(
    split: str, judged: Judged, names: Sequence[int], quantities: Sequence[str], weights: dict[int, float] | None = None
) -> Iterator[ScoreRow]:
    """Lines of each class, and of all together where there are several.

    Parameters
    ----------
    names : sequence of int
        Classes; 0 for all.
    weights : dict of int to float, optional
        Weight of each class, 0 for all.
    """
    for name in dict.fromkeys([*names, 0]):
        own = judged.of_class(name)
        known = np.isfinite(own.around)
        if known.any() and not known.all():  # all figures of a line are of the same samples
            own = Judged(*(getattr(own, f.name)[known] for f in fields(Judged)))
        for quantity in quantities:
            base = own.around if quantity == DEVIATION else np.zeros(1, np.float32)
            monthly = own.deviation_climatology if quantity == DEVIATION else own.climatology
            actual = own.actual - base
            found = (score(actual, values) for values in (own.estimate - base, monthly, own.around - base))
            weight = (weights or {}).get(name, np.nan)
            yield ScoreRow(class_label(name), split, quantity, *found, weight)


def class_label(name: int) -> str:
    """A class as the table has it."""
    return str(name) if name else "all"


@dataclass(frozen=True)
class DetailShare:
    """Share of what interpolation leaves that held-out estimates explain, of a class (0: all), and its standard error."""

    name: int
    share: float
    error: float


def detail_shares(judged: Judged, names: Sequence[int]) -> list[DetailShare]:
    """Shares of each class, and of all together."""
    found = []
    for name in dict.fromkeys([*names, 0]):
        own = judged.of_class(name)
        before, after, known = own.errors()
        found.append(DetailShare(name, *share_and_error(before[known], after[known], own.blocks[known])))
    return found


def detail_map(judged: Judged, table: TrainingTable) -> np.ndarray:
    """The same share for each place, on the grid: (rows, columns) float32, NaN where nothing was held out."""
    before, after, known = judged.errors()
    share = share_per_place(
        before[known], after[known], judged.places[known], table.neighbours, table.classes, table.places.count
    )
    return np.concatenate([[np.nan], share])[table.places.labels].astype(np.float32)

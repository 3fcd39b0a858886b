"""Conformal intervals: how far held-out estimates were off tells how far new ones may be.

Residuals of blocked cross-validation (CV+: Barber et al. 2021, 10.1214/20-AOS1965) are scaled by what they are known to
vary with, and a quantile of them makes the interval. Samples of a block are alike, so blocks and not samples are what is
exchangeable (Dunn, Wasserman and Ramdas 2023, 10.1080/01621459.2022.2060112): the quantile is taken at the level that
covers blocks which had no part in it as often as asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from gwsa_qgis.errors import NoUsableData
from gwsa_qgis.science.supports import blocked_folds

FEWEST_BLOCKS = 4
MOST_FOLDS = 20
OUTER_FOLDS = 10
# Blocks that a class, or samples of a calendar month in blocks, must have to speak as loud as all classes together.
PRIOR_BLOCKS = 10.0
BISECTIONS = 14


@dataclass(frozen=True)
class Residuals:
    """Held-out residuals and what their size may depend on; all (n_samples,).

    Attributes
    ----------
    values : float
        Actual less estimated, cm.
    detail : float
        What the model adds to plain interpolation, as estimated without the sample's block, cm.
    classes : int
    calendar : int
        Calendar month, 1 to 12.
    blocks : int
        Block that was held out together.
    """

    values: np.ndarray
    detail: np.ndarray
    classes: np.ndarray
    calendar: np.ndarray
    blocks: np.ndarray

    def take(self, rows: np.ndarray) -> Residuals:
        """Chosen rows."""
        parts = (self.values, self.detail, self.classes, self.calendar, self.blocks)
        return Residuals(*(part[rows] for part in parts))


@dataclass(frozen=True)
class ResidualScale:
    """Variance of residuals: (base + slope x detail^2) x factor of the class x factor of the calendar month.

    Attributes
    ----------
    base, slope : float
        cm^2, and a share of the squared detail.
    of_class : dict of int to float
        Factor of each class; 1 for others.
    of_month : (12,) float64
    """

    base: float
    slope: float
    of_class: dict[int, float]
    of_month: np.ndarray

    def variance(
        self, squared_detail: np.ndarray | float, classes: np.ndarray, calendar: np.ndarray, carry: float = 1.0
    ) -> np.ndarray:
        """Variance of residuals, cm^2, for arrays that broadcast together.

        Parameters
        ----------
        carry : float
            Factor of the part that does not come with the detail, where places are smaller than the samples.
        """
        factor = self.of_classes(classes) * self.of_month[np.asarray(calendar) - 1]
        return (carry * self.base + self.slope * squared_detail) * factor

    def of_classes(self, classes: np.ndarray) -> np.ndarray:
        """Factor of the class of each place, float64."""
        factor = np.ones(np.shape(classes))
        for name, value in self.of_class.items():
            factor[classes == name] = value
        return factor


def fit_scale(residuals: Residuals) -> ResidualScale:
    """Scale of residuals.

    Factors of classes and months are shrunk towards 1 as if ten more blocks had the variance of all (the mean of an
    inverse gamma posterior).
    """
    squares, detail = residuals.values.astype(np.float64) ** 2, residuals.detail.astype(np.float64) ** 2
    table = np.stack([np.ones(squares.size), detail], axis=1)
    triangle = np.linalg.qr(np.column_stack([table, squares]), mode="r")
    base, slope = nnls(triangle[:, :-1], triangle[:, -1])[0]
    if not base > 0:  # all of the spread comes with the detail: keep a floor where there is none
        base, slope = 0.1 * squares.mean(), 0.9 * squares.mean() / max(detail.mean(), 1e-12)
    if not base > 0:
        raise NoUsableData("all held-out residuals are 0", "check that the target is no copy of a predictor")
    ratio = squares / (base + slope * detail)
    n_blocks = np.unique(residuals.blocks).size
    of_class = {}
    for name in np.unique(residuals.classes):
        own = residuals.classes == name
        of_class[int(name)] = _shrunk(ratio[own], np.unique(residuals.blocks[own]).size)
    for name, factor in of_class.items():
        ratio[residuals.classes == name] /= factor
    months = [ratio[residuals.calendar == month] for month in range(1, 13)]
    return ResidualScale(float(base), float(slope), of_class, np.array([_shrunk(m, n_blocks) for m in months]))


def _shrunk(ratio: np.ndarray, blocks: int) -> float:
    if not ratio.size:
        return 1.0
    return float((blocks * ratio.mean() + PRIOR_BLOCKS) / (blocks + PRIOR_BLOCKS))


def blocked_quantile(scores: np.ndarray, blocks: np.ndarray, level: float) -> float:
    """Quantile of scores that covers left-out blocks as often as `level` says.

    The level at which the quantile is taken is the smallest at which quantiles of all other blocks cover the scores of a
    block, on average over samples, at least as often as asked for. With fewer than four blocks it is the usual
    (n + 1) level / n of as many samples as there are blocks, at most the largest score.

    Parameters
    ----------
    scores : (n_samples,)
        Absolute residuals over their scale.
    blocks : (n_samples,) int
    level : float
        Between 0 and 1.
    """
    order = np.argsort(scores)
    ordered = scores[order]
    n_blocks = np.unique(blocks).size
    if n_blocks < FEWEST_BLOCKS:
        return _at(ordered, level * (n_blocks + 1) / max(n_blocks, 1))
    parts = [(ordered[~out], ordered[out]) for out in _held_out(blocks[order], MOST_FOLDS)]

    def coverage(share: float) -> float:
        inside = sum(np.searchsorted(own, _at(others, share), side="right") for others, own in parts)
        return inside / scores.size

    low, high = level - 0.5 * (1 - level), 1.0
    if coverage(low) >= level:
        low = 0.0
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if coverage(middle) >= level else (middle, high)
    return _at(ordered, high)


def _at(ordered: np.ndarray, share: float) -> float:
    """Smallest of ordered values that has at least a share of them at or below it."""
    return float(ordered[min(max(int(np.ceil(share * ordered.size - 1e-9)), 1), ordered.size) - 1])


def _held_out(blocks: np.ndarray, most: int) -> Iterator[np.ndarray]:
    """Masks of samples, whole blocks each, one block at a time where there are not too many."""
    names, index = np.unique(blocks, return_inverse=True)
    folds = blocked_folds(np.arange(1, names.size + 1), min(most, names.size))[index.ravel()]
    for fold in range(folds.max() + 1):
        yield folds == fold


@dataclass(frozen=True)
class Conformal:
    """Calibrated intervals.

    Attributes
    ----------
    scale : ResidualScale
    scores : (n,) float32
        Absolute residuals over their scale.
    blocks : (n,) int32
        Block of each.
    """

    scale: ResidualScale
    scores: np.ndarray
    blocks: np.ndarray

    def factor(self, level: float) -> float:
        """Half-width of the interval in units of the scale."""
        return blocked_quantile(self.scores, self.blocks, level)


def calibrate(residuals: Residuals) -> Conformal:
    """Calibrate intervals on held-out residuals.

    Raises
    ------
    NoUsableData
        If no residual is known, or all are 0.
    """
    known = np.isfinite(residuals.values) & np.isfinite(residuals.detail)
    residuals = residuals.take(known)
    if not residuals.values.size:
        raise NoUsableData("there is no held-out residual", "train with at least two groups of supports")
    scale = fit_scale(residuals)
    return Conformal(scale, _scores(residuals, scale).astype(np.float32), residuals.blocks.astype(np.int32))


def _scores(residuals: Residuals, scale: ResidualScale) -> np.ndarray:
    variance = scale.variance(residuals.detail.astype(np.float64) ** 2, residuals.classes, residuals.calendar)
    return np.abs(residuals.values) / np.sqrt(variance)


def nested_coverage(residuals: Residuals, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether intervals contain samples of blocks that had no part in their calibration, neither in scale nor quantile.

    Returns
    -------
    inside : (n_levels, n_samples) bool
    half_width : (n_levels, n_samples) float32
        Both 0 where a residual is not known, and all 0 with fewer than four blocks.
    """
    known = np.isfinite(residuals.values) & np.isfinite(residuals.detail)
    inside, width = np.zeros((len(levels), known.size), bool), np.zeros((len(levels), known.size), np.float32)
    rows = np.flatnonzero(known)
    usable = residuals.take(rows)
    if np.unique(usable.blocks).size < FEWEST_BLOCKS:
        return inside, width
    for out in _held_out(usable.blocks, OUTER_FOLDS):
        found, held = calibrate(usable.take(~out)), usable.take(out)
        variance = found.scale.variance(held.detail.astype(np.float64) ** 2, held.classes, held.calendar)
        for number, level in enumerate(levels):
            half = found.factor(level) * np.sqrt(variance)
            inside[number, rows[out]] = np.abs(held.values) <= half
            width[number, rows[out]] = half
    return inside, width

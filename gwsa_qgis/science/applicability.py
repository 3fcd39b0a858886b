"""The area of applicability: where predictors are like those that a model was trained on.

After Meyer and Pebesma (2021), 10.1111/2041-210X.13650. Inputs are standardised and weighted by their importance; the
dissimilarity index of a place is its distance to the nearest training sample, divided by the mean distance between
training samples. Its threshold comes from training samples themselves, each measured from those of other folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from gwsa_qgis.errors import NoUsableData

MOST_POINTS = 4000
FEWEST_POINTS = 20
WHISKER = 1.5
_ROWS_AT_ONCE = 500


@dataclass(frozen=True)
class Applicability:
    """Training samples that dissimilarity is measured from.

    Attributes
    ----------
    centre, width : (n_inputs,) float64
        Mean and standard deviation of the training inputs.
    weights : (n_inputs,) float64
        Importance of each input.
    points : (n_points, n_inputs) float32
        Training samples, standardised and weighted.
    mean_distance : float
        Mean distance between them.
    threshold : float
        Largest dissimilarity index that is inside the area.
    """

    centre: np.ndarray
    width: np.ndarray
    weights: np.ndarray
    points: np.ndarray
    mean_distance: float
    threshold: float

    def index(self) -> DissimilarityIndex:
        """A searchable form, to be made once and used for many places, in several threads too."""
        return DissimilarityIndex(self)


class DissimilarityIndex:
    """Looks up the dissimilarity index of places.

    Inputs whose weight is 0 are left out of the search: they add nothing to a distance.
    """

    def __init__(self, area: Applicability) -> None:
        self._used = np.flatnonzero(area.weights > 0)
        self._centre, self._factor = area.centre[self._used], (area.weights / area.width)[self._used]
        self._tree = cKDTree(area.points[:, self._used].astype(np.float64))
        self._mean = area.mean_distance

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Dissimilarity index (n_samples,) float32 of inputs (n_samples, n_inputs); NaN where an input is NaN."""
        result = np.full(len(inputs), np.nan, np.float32)
        used = inputs[:, self._used]
        valid = np.isfinite(used).all(1)
        place = (used[valid].astype(np.float64) - self._centre) * self._factor
        if len(place):
            result[valid] = self._tree.query(place)[0] / self._mean
        return result


def find_applicability(
    inputs: np.ndarray, importances: Sequence[float], folds: np.ndarray, *, seed: int = 0, most: int = MOST_POINTS
) -> Applicability:
    """Area of applicability of a model.

    Parameters
    ----------
    inputs : (n_samples, n_inputs)
        Training inputs, all finite.
    importances : (n_inputs,)
        Weight of each input, not negative; all alike where they add up to 0.
    folds : (n_samples,) int
        Fold of each sample in the cross-validation that the model was judged by; -1 for none.
    seed : int
        Of the random samples that are kept.
    most : int
        Samples to keep.

    Raises
    ------
    NoUsableData
        If there are next to no samples, or all are alike.
    """
    rows = np.arange(len(inputs))
    if rows.size > most:
        rows = np.sort(np.random.default_rng([seed, 7]).choice(rows.size, most, replace=False))
    table, folds = np.asarray(inputs, np.float64), np.asarray(folds)[rows]
    if rows.size < FEWEST_POINTS:
        raise NoUsableData(f"{rows.size} samples are too few for an area of applicability", "use a larger region")
    centre, spread = table.mean(0), table.std(0)
    # A predictor that is the same everywhere says nothing of likeness until it differs.
    width = np.where(spread > 1e-12 * np.maximum(np.abs(centre), 1e-30), spread, np.maximum(np.abs(centre), 1.0))
    weights = np.asarray(importances, np.float64)
    weights = weights / weights.sum() if weights.sum() > 0 else np.full(weights.shape, 1 / weights.size)
    points = ((table[rows] - centre) / width * weights).astype(np.float32)
    mean = mean_distance(points)
    if not mean > 0:
        raise NoUsableData("all training samples are alike", "give predictors that vary over the region")
    return Applicability(centre, width, weights, points, mean, _threshold(points, folds, mean))


def mean_distance(points: np.ndarray) -> float:
    """Mean Euclidean distance between all pairs of points (n_points, n_inputs)."""
    points = np.asarray(points, np.float64)
    total = 0.0
    for start in range(0, len(points), _ROWS_AT_ONCE):
        part = points[start : start + _ROWS_AT_ONCE]
        # pairs within the part come twice, as those with later points shall
        total += cdist(part, part).sum() + 2 * cdist(part, points[start + len(part) :]).sum()
    return float(total / (len(points) * (len(points) - 1)))


def upper_whisker(values: np.ndarray) -> float:
    """Largest value within one and a half interquartile ranges above the third quartile."""
    low, high = np.quantile(values, [0.25, 0.75])
    return float(values[values <= high + WHISKER * (high - low)].max())


def _threshold(points: np.ndarray, folds: np.ndarray, mean: float) -> float:
    """Upper whisker of the dissimilarity of each point from those of other folds."""
    names = np.unique(folds[folds >= 0])
    if names.size < 2:  # no folds to speak of: every point from all others
        return upper_whisker(cKDTree(points).query(points, 2)[0][:, 1] / mean)
    found = [cKDTree(points[folds != name]).query(points[folds == name])[0] for name in names]
    return upper_whisker(np.concatenate(found) / mean)

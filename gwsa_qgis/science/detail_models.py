"""Models of detail, and how far cross-validation by whole groups of supports lets them be trusted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from gwsa_qgis.errors import InvalidParameter, NoUsableData
from gwsa_qgis.science.deviations import DetailSamples
from gwsa_qgis.science.linear_detail import LinearDetail

Fit = Callable[[np.ndarray, np.ndarray], object]
Predict = Callable[[object, np.ndarray], np.ndarray]


class DetailModel:
    """Linear detail, and what a learner adds to it.

    Parameters
    ----------
    n_predictors : int
    fit : callable, optional
        ``fit(x, y) -> model`` of the learner; None for the linear part alone.
    predict : callable, optional
        ``predict(model, x) -> y``.
    linear : bool
        Whether the learner learns what the linear part leaves over, or everything.

    Attributes
    ----------
    linear : LinearDetail or None
    learned : object
        What `fit` returned; both may be set by whoever restores a model from a file.
    """

    def __init__(
        self, n_predictors: int, fit: Fit | None = None, predict: Predict | None = None, *, linear: bool = True
    ) -> None:
        if fit is None and not linear:
            raise InvalidParameter("neither a linear part nor a learner was asked for", "ask for one of them")
        self._fit, self._predict = fit, predict
        self.linear = LinearDetail(n_predictors) if linear else None
        self.learned = None

    def fit(self, x: np.ndarray, y: np.ndarray) -> DetailModel:
        """Fit both parts on samples of `deviations.detail_samples`."""
        left = y
        if self.linear is not None:
            left = (y - self.linear.fit(x, y).predict(x)).astype(np.float32)
        if self._fit is not None:
            self.learned = self._fit(x, left)
        return self

    def parts(self, x: np.ndarray) -> np.ndarray:
        """Detail of each part in the units of the target: shape (n_samples, n_parts), the linear one first."""
        columns = [] if self.linear is None else [self.linear.predict(x)]
        if self._fit is not None:
            columns.append(self._predict(self.learned, x))
        return np.stack(columns, axis=1)


def held_out_parts(
    samples: DetailSamples,
    folds: np.ndarray,
    make: Callable[[], DetailModel],
    progress: Callable[[float], None] | None = None,
) -> np.ndarray:
    """Parts of the detail of every sample, predicted by a model that has not seen its fold.

    Parameters
    ----------
    samples : DetailSamples
    folds : ndarray of int, shape (n_supports,)
        Fold of each support (`supports.blocked_folds` of the largest groups in use); -1 is never trained on.
    make : callable
        Makes an unfitted model.
    progress : callable, optional
        Called with the share of folds done; may raise to cancel.

    Returns
    -------
    ndarray of float64, shape (n_samples, n_parts)
        NaN where the fold is -1.

    Raises
    ------
    NoUsableData
        When all samples lie in one fold.
    """
    fold = folds[samples.support]
    numbers = np.unique(fold[fold >= 0])
    if numbers.size < 2:
        raise NoUsableData(f"samples lie in {numbers.size} fold", "use a larger region or smaller groups of supports")
    predicted = None
    for done, number in enumerate(numbers):
        train, test = (fold >= 0) & (fold != number), fold == number
        parts = make().fit(samples.x[train], samples.y[train]).parts(samples.x[test])
        if predicted is None:
            predicted = np.full((fold.size, parts.shape[1]), np.nan)
        predicted[test] = parts
        if progress is not None:
            progress((done + 1) / numbers.size)
    return predicted


@dataclass(frozen=True)
class DetailWeight:
    """How far predicted detail is to be trusted.

    Attributes
    ----------
    weights : ndarray, shape (n_parts,)
        In [0, 1]: multiply the parts by these and add them up. All 0 where skill is not above chance.
    slope, error : float
        Slope of actual deviations on held-out ones before caution, and its jackknife standard error over blocks.
    r2 : float
        Share of the actual deviations that the weighted held-out detail explains: what predictors are known to explain.
    blocks : int
        Number of blocks.
    """

    weights: np.ndarray
    slope: float
    error: float
    r2: float
    blocks: int


def detail_weight(actual: np.ndarray, parts: np.ndarray, blocks: np.ndarray, caution: float = 2.0) -> DetailWeight:
    """Weights of predicted detail from blocked cross-validation.

    Parts are combined by non-negative least squares on held-out samples (stacking: Breiman 1996, 10.1007/BF00117832).
    The combination is then reduced by `caution` standard errors of its slope and dropped where nothing is left. Months
    and neighbours are not independent but blocks nearly are, so errors come from leaving out one block at a time
    (jackknife: Tukey 1958, 10.1214/aoms/1177706647).

    Give the samples of the smallest scale only (``scale == 0``): skill falls with the width of the detail, and this is
    the width nearest to the fine scale.

    Parameters
    ----------
    actual : ndarray, shape (n_samples,)
    parts : ndarray, shape (n_samples, n_parts) or (n_samples,)
        As `held_out_parts` gives them; NaN samples are passed over.
    blocks : ndarray of int, shape (n_samples,)
        Label of each sample's group of supports.
    caution : float
        Standard errors taken off. Two cost 0.2 % of the error where predictors explain much and keep a map that they
        do not explain within 0.3 % of interpolation (twins of ten regions); none would lose up to 1 %.

    Returns
    -------
    DetailWeight
    """
    parts = np.asarray(parts, np.float64).reshape(len(actual), -1)
    valid = np.isfinite(parts).all(1) & np.isfinite(actual)
    actual, parts, blocks = np.asarray(actual, np.float64)[valid], parts[valid], np.asarray(blocks)[valid]
    nothing = DetailWeight(np.zeros(parts.shape[1]), 0.0, float("inf"), 0.0, np.unique(blocks).size)
    if nothing.blocks < 3:
        return nothing
    triangle = np.linalg.qr(np.column_stack([parts, actual]), mode="r")
    share = np.minimum(nnls(triangle[:, :-1], triangle[:, -1])[0], 1.0)
    detail = parts @ share
    block = np.unique(blocks, return_inverse=True)[1].ravel()
    products, squares = np.bincount(block, actual * detail), np.bincount(block, detail**2)
    if not (squares.sum() > squares).all():
        return nothing
    slope = products.sum() / squares.sum()
    without = (products.sum() - products) / (squares.sum() - squares)
    error = np.sqrt((block.max() / (block.max() + 1)) * ((without - without.mean()) ** 2).sum())
    weight = float(np.clip(slope - caution * error, 0, 1))
    r2 = 1 - ((actual - weight * detail) ** 2).sum() / (actual**2).sum()
    return DetailWeight(weight * share, float(slope), float(error), float(r2), nothing.blocks)

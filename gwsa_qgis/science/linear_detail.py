"""The linear part of the detail: deviations of predictors, each varying with the calendar, the class and its own level.

A fine pixel deviates further from its surroundings than any support on which a model was trained, and trees are constant
beyond their training range. A ridge regression (Hoerl & Kennard 1970, 10.1080/00401706.1970.10488634) carries on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import TypeVar

import numpy as np

from gwsa_qgis.errors import InvalidModelFile
from gwsa_qgis.science.blas import one_blas_thread
from gwsa_qgis.science.learners import require_samples
from gwsa_qgis.science.table_rows import TableRows
from gwsa_qgis.threads import map_ordered

Item = TypeVar("Item")
RIDGE = 0.1
# Classes share what they can: a class departs from the others only as far as eight times the penalty lets it.
CLASS_PENALTY = 8.0
# Fine deviations are taken at most this many times as large as the largest on which the model was trained.
REACH = 3.0
ARRAYS = ("centre", "width", "limit", "coefficients")
# Rows that are summed up at once, by each thread: their terms stay near the processor.
_ROWS_AT_ONCE = 8192
_SHARE_OF_MOMENTS = 0.1  # of the time of a fit
_ROWS_PREDICTED = 8192  # what is computed on the way stays in the processor's cache


class LinearDetail:
    """Ridge regression without intercept: no deviation of any predictor gives no detail.

    Its terms are the deviations, the deviations times each calendar term, times membership in each class, and times the
    hyperbolic tangent of the standardised level of the same predictor.

    Parameters
    ----------
    n_predictors : int
        Inputs are ordered as `model_inputs.input_names` says: deviations, levels, calendar.
    classes : sequence of int
        Classes whose coefficients may differ; samples of others get the shared coefficients.
    ridge : float
        Penalty on coefficients of terms scaled to unit mean square.
    threads : int
        That sum up samples in a fit; 0 for all cores. The result does not depend on it.
    """

    def __init__(
        self, n_predictors: int, classes: Sequence[int] = (), ridge: float = RIDGE, *, threads: int = 0
    ) -> None:
        self.n_predictors, self.classes, self.ridge = int(n_predictors), [int(name) for name in classes], float(ridge)
        self.threads = int(threads)
        self.centre = self.width = self.limit = np.empty(0)
        self.coefficients = np.empty((0, 0))

    def fit(
        self,
        x: np.ndarray | TableRows,
        y: np.ndarray,
        classes: np.ndarray,
        progress: Callable[[float], None] | None = None,
    ) -> LinearDetail:
        """Fit on samples.

        Parameters
        ----------
        x : ndarray or TableRows, shape (n_samples, 2 * n_predictors + n_calendar)
        y : ndarray, shape (n_samples,)
        classes : ndarray of int, shape (n_samples,)
        progress : callable, optional
            Called with the share of the samples that is summed up; may raise to cancel.

        Raises
        ------
        NoUsableData
            When there are next to no samples.
        """
        self.coefficients = self.path(x, y, classes, [self.ridge], progress)[0].coefficients
        return self

    def path(
        self,
        x: np.ndarray | TableRows,
        y: np.ndarray,
        classes: np.ndarray,
        ridges: Sequence[float],
        progress: Callable[[float], None] | None = None,
    ) -> list[LinearDetail]:
        """Models of several penalties, from one pass over the samples; parameters are those of `fit`."""
        require_samples(len(y), "the linear part")
        n = self.n_predictors
        self.centre, spread, largest = _moments(x, n, progress)
        self.width = np.where(spread > 0, spread, 1.0)
        self.limit = REACH * largest
        factors = 2 + (x.shape[1] - 2 * n) + len(self.classes)
        models = []
        with one_blas_thread():
            squares, products = self._sums(x, y, classes, factors * n, progress)
            scale = np.sqrt(np.diag(squares) / len(y))
            scale[scale == 0] = 1.0
            squares /= np.outer(scale, scale) * len(y)
            products /= scale * len(y)
            for ridge in ridges:
                penalty = np.full((n, factors), float(ridge))
                penalty[:, factors - len(self.classes) - 1 :] *= CLASS_PENALTY
                solved = np.linalg.solve(squares + np.diag(penalty.ravel()), products) / scale
                model = LinearDetail(n, self.classes, ridge)
                model.centre, model.width, model.limit = self.centre, self.width, self.limit
                model.coefficients = solved.reshape(n, factors)
                models.append(model)
        return models

    def _sums(
        self,
        x: np.ndarray | TableRows,
        y: np.ndarray,
        classes: np.ndarray,
        n_terms: int,
        progress: Callable[[float], None] | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Products of all terms with each other and with the target, added up part by part in one order."""

        def of_part(rows: slice) -> tuple[np.ndarray, np.ndarray]:
            terms = np.concatenate([d * f for d, f in self._terms(x[rows], classes[rows])])
            return terms @ terms.T, terms @ np.asarray(y[rows], np.float64)

        squares, products = np.zeros((n_terms, n_terms)), np.zeros(n_terms)
        chunks = _chunks(len(y))
        sums = map_ordered(of_part, chunks, self.threads or os.cpu_count() or 1)
        with closing(sums):  # a caller that cancels need not wait for more than what is begun
            for _, (square, product) in zip(_watched(chunks, progress, _SHARE_OF_MOMENTS, 1.0), sums, strict=True):
                squares += square
                products += product
        return squares, products

    def predict(self, x: np.ndarray | TableRows, classes: np.ndarray) -> np.ndarray:
        """Detail (n_samples,), float64; a row's value does not depend on the other rows."""
        out = np.zeros(len(x))
        for rows in _chunks(len(x), _ROWS_PREDICTED):
            for contribution in self._contributions(x[rows], classes[rows]):
                out[rows] += contribution
        return out

    def importances(self, x: np.ndarray, classes: np.ndarray, names: Sequence[str]) -> dict[str, float]:
        """Share of each predictor in the sum of mean squared contributions, largest first."""
        squares = np.array([float((c**2).mean()) for c in self._contributions(x, classes)])
        shares = squares / squares.sum() if squares.sum() > 0 else squares
        return {names[i]: float(shares[i]) for i in np.argsort(-shares, kind="stable")}

    def to_arrays(self) -> dict[str, np.ndarray]:
        """What `from_arrays` needs to restore the fitted model."""
        return {name: getattr(self, name) for name in ARRAYS}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray], n_predictors: int, classes: Sequence[int]) -> LinearDetail:
        """Restore a fitted model.

        Raises
        ------
        InvalidModelFile
            If an array is not there, has another shape, or holds anything but finite numbers.
        """
        model = cls(n_predictors, classes)
        for name in ARRAYS:
            array = arrays.get(name)
            wanted = (n_predictors, 5 + len(model.classes)) if name == "coefficients" else (n_predictors,)
            if array is None or array.shape != wanted or array.dtype.kind != "f" or not np.isfinite(array).all():
                raise InvalidModelFile(
                    f"the {name} of the model file's linear part are not {' x '.join(map(str, wanted))} numbers",
                    "train the model again or fetch the file again",
                )
            setattr(model, name, np.asarray(array, np.float64))
        return model

    def _contributions(self, x: np.ndarray, classes: np.ndarray) -> Iterator[np.ndarray]:
        """Detail from each predictor, in one array again and again. Element by element, in one order."""
        calendar, index = self._calendar(x), self.class_index(classes)
        shared, n = len(calendar) + 1, self.n_predictors
        slope, values, tanh = np.empty(len(x)), np.empty(len(x)), np.empty(len(x), np.float32)
        for p, b in enumerate(self.coefficients):
            # classes have slopes of their own, those that are not known the shared one
            np.take(np.append(b[shared + 1 :], 0.0) + b[0], index, out=slope, mode="clip")
            for term, coefficient in zip(calendar, b[1:shared], strict=True):
                slope += np.multiply(term, coefficient, out=values)
            values[:] = x[:, n + p]
            values -= self.centre[p]
            values /= self.width[p]
            # in half the digits, a third of the time
            np.tanh(values, out=tanh, dtype=np.float32, casting="same_kind")
            slope += np.multiply(tanh, b[shared], out=values)
            values[:] = x[:, p]
            np.minimum(values, self.limit[p], out=values)
            slope *= np.maximum(values, -self.limit[p], out=values)
            yield slope

    def _terms(self, x: np.ndarray, classes: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Deviation (n_samples,) of each predictor, and the factors (n_factors, n_samples) it is multiplied by."""
        calendar, index = self._calendar(x), self.class_index(classes)
        member = [(index == number).astype(np.float64) for number in range(len(self.classes))]
        for deviation, level in self._deviations_and_levels(x):
            yield deviation, np.stack([np.ones(len(x)), *calendar, level, *member])

    def _deviations_and_levels(self, x: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        n = self.n_predictors
        for p in range(n):
            deviation = np.clip(x[:, p].astype(np.float64), -self.limit[p], self.limit[p])
            yield deviation, np.tanh((x[:, n + p].astype(np.float64) - self.centre[p]) / self.width[p])

    def _calendar(self, x: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(x[:, 2 * self.n_predictors :].T, np.float64)

    def class_index(self, classes: np.ndarray) -> np.ndarray:
        """Position of each sample's class, behind the last one where it is none of them."""
        index = np.full(len(classes), len(self.classes))
        for number, name in enumerate(self.classes):
            index[classes == name] = number
        return index


def _moments(
    x: np.ndarray | TableRows, n: int, progress: Callable[[float], None] | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and deviation of the levels and largest size of the deviations, without a copy of the table."""
    first, second, third = (
        _watched(_chunks(len(x)), progress, _SHARE_OF_MOMENTS * number / 3, _SHARE_OF_MOMENTS * (number + 1) / 3)
        for number in range(3)
    )
    mean = sum(x[part, n : 2 * n].sum(0, dtype=np.float64) for part in first) / len(x)
    squares = sum(((x[part, n : 2 * n] - mean) ** 2).sum(0) for part in second)
    largest = np.max([np.abs(x[part, :n]).max(0) for part in third], axis=0)
    return mean, np.sqrt(squares / len(x)), largest.astype(np.float64)


def _watched(
    items: Sequence[Item], progress: Callable[[float], None] | None, start: float, stop: float
) -> Iterator[Item]:
    """The same items; before each of them the progress is told, from `start` to `stop`."""
    for number, item in enumerate(items):
        if progress:
            progress(start + (stop - start) * number / len(items))
        yield item


def _chunks(n: int, at_once: int = _ROWS_AT_ONCE) -> list[slice]:
    return [slice(start, min(start + at_once, n)) for start in range(0, n, at_once)]

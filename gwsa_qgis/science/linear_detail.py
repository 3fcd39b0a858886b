"""The linear part of the detail: deviations of predictors, each varying with the calendar and with its own level.

A fine pixel deviates further from its surroundings than any support on which a model was trained, and trees are constant
beyond their training range. A ridge regression (Hoerl & Kennard 1970, 10.1080/00401706.1970.10488634) carries on; trees
then learn what it leaves over.
"""

from __future__ import annotations

import numpy as np

from gwsa_qgis.errors import NoUsableData

RIDGE = 0.03
_ROWS_AT_ONCE = 100_000


class LinearDetail:
    """Ridge regression without intercept: no deviation of any predictor gives no detail.

    Its terms are the deviations, the deviations times each calendar term, and the deviations times the hyperbolic tangent
    of the standardised level of the same predictor.

    Parameters
    ----------
    n_predictors : int
        Inputs are ordered as `deviations.feature_names` says: deviations, levels, calendar.
    ridge : float
        Penalty on coefficients of terms scaled to unit mean square.
    """

    def __init__(self, n_predictors: int, ridge: float = RIDGE) -> None:
        self.n_predictors, self.ridge = int(n_predictors), float(ridge)
        self.centre = self.width = self.coefficients = np.empty(0)

    def fit(self, x: np.ndarray, y: np.ndarray) -> LinearDetail:
        """Fit on samples.

        Parameters
        ----------
        x : ndarray, shape (n_samples, 2 * n_predictors + n_calendar)
            Missing deviations count as none, missing levels as usual ones.
        y : ndarray, shape (n_samples,)

        Raises
        ------
        NoUsableData
            When there is no sample.
        """
        if not len(y):
            raise NoUsableData("there is no sample to learn from", "check that target and predictors overlap")
        levels = np.asarray(x[:, self.n_predictors : 2 * self.n_predictors], np.float64)
        valid = np.isfinite(levels)
        count = np.maximum(valid.sum(0), 1)
        self.centre = np.where(valid, levels, 0).sum(0) / count
        spread = np.sqrt(np.where(valid, (levels - self.centre) ** 2, 0).sum(0) / count)
        self.width = np.where(spread > 0, spread, 1.0)
        squares, products = 0.0, 0.0
        for rows in _chunks(len(y)):
            terms = self._terms(x[rows])
            squares, products = squares + terms.T @ terms, products + terms.T @ np.asarray(y[rows], np.float64)
        scale = np.sqrt(np.diag(squares) / len(y))
        scale[scale == 0] = 1.0
        normal = squares / np.outer(scale, scale) / len(y) + self.ridge * np.identity(scale.size)
        self.coefficients = np.linalg.solve(normal, products / scale / len(y)) / scale
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Detail (n_samples,), float64."""
        out = np.empty(len(x))
        for rows in _chunks(len(x)):
            out[rows] = self._terms(x[rows]) @ self.coefficients
        return out

    def to_arrays(self) -> dict[str, np.ndarray]:
        """What `from_arrays` needs to restore the fitted model."""
        return {"centre": self.centre, "width": self.width, "coefficients": self.coefficients}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> LinearDetail:
        """Restore a fitted model."""
        model = cls(len(arrays["centre"]))
        model.centre, model.width, model.coefficients = (
            np.asarray(arrays[name], np.float64) for name in ("centre", "width", "coefficients")
        )
        return model

    def _terms(self, x: np.ndarray) -> np.ndarray:
        n = self.n_predictors
        deviations = np.nan_to_num(np.asarray(x[:, :n], np.float64))
        levels = np.nan_to_num(np.tanh((x[:, n : 2 * n] - self.centre) / self.width))
        calendar = np.asarray(x[:, 2 * n :], np.float64)
        varying = [deviations * calendar[:, [term]] for term in range(calendar.shape[1])]
        return np.concatenate([deviations, *varying, deviations * levels], axis=1)


def _chunks(n: int) -> list[slice]:
    return [slice(start, min(start + _ROWS_AT_ONCE, n)) for start in range(0, n, _ROWS_AT_ONCE)]

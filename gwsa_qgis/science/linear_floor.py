"""The honest floor: a ridge regression of the target on the standardised inputs (Hoerl & Kennard 1970).

10.1080/00401706.1970.10488634. What more elaborate learners do not beat, they have not learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.science.blas import one_blas_thread
from gwsa_qgis.science.learning import (
    DEFAULTS,
    BatchSource,
    Parts,
    Progress,
    batches,
    checked_array,
    described,
    described_inputs,
    require_finite,
    require_inputs,
    require_samples,
    shares_by_name,
)

# Penalties on coefficients of standardised inputs, among which the search chooses.
PENALTIES = tuple(float(p) for p in np.logspace(-6, 1, 15))
# The sums over samples are made in float64; so many rows at once keep the copies small.
_ROWS_AT_ONCE = 2**15


@dataclass
class Moments:
    """Sums over samples of inputs and target, the target last, about an origin near their means.

    Attributes
    ----------
    origin : (n_inputs + 1,) float64
    count : int
    sums : (n_inputs + 1,) float64
    products : (n_inputs + 1, n_inputs + 1) float64
    """

    origin: np.ndarray
    count: int
    sums: np.ndarray
    products: np.ndarray

    @classmethod
    def about(cls, x: np.ndarray, y: np.ndarray) -> Moments:
        """No samples yet; the origin is the mean of these."""
        origin = np.append(x.mean(0, dtype=np.float64), y.mean(dtype=np.float64))
        return cls(origin, 0, np.zeros(origin.size), np.zeros((origin.size, origin.size)))

    def add(self, x: np.ndarray, y: np.ndarray) -> None:
        """Take samples in."""
        with one_blas_thread():
            for start in range(0, y.size, _ROWS_AT_ONCE):
                rows = slice(start, start + _ROWS_AT_ONCE)
                values = np.column_stack([x[rows], y[rows]]) - self.origin
                self.sums += values.sum(0)
                self.products += values.T @ values
        self.count += y.size

    def without(self, other: Moments) -> Moments:
        """These samples but for others that are among them."""
        return Moments(self.origin, self.count - other.count, self.sums - other.sums, self.products - other.products)

    def ridge(self, penalty: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Centre (n_inputs + 1,), scale (n_inputs,) and coefficients of the standardised inputs (n_inputs,)."""
        mean = self.sums / self.count
        covariance = self.products / self.count - np.outer(mean, mean)
        variance = np.diag(covariance)[:-1]
        # Rounding leaves a little variance to an input that is constant.
        floor = 1e-12 * np.maximum(np.diag(self.products)[:-1] / self.count, self.origin[:-1] ** 2)
        scale = np.sqrt(np.where(variance > floor, variance, 1.0))
        varies = (variance > floor).astype(np.float64)
        normal = covariance[:-1, :-1] / np.outer(scale, scale) * np.outer(varies, varies)
        normal[np.diag_indices_from(normal)] += penalty + (1 - varies)
        with one_blas_thread():
            coefficients = np.linalg.solve(normal, covariance[:-1, -1] / scale * varies)
        return self.origin + mean, scale, coefficients

    def r2(self, centre: np.ndarray, slopes: np.ndarray) -> float:
        """R2 on these samples of estimates centre[-1] + (x - centre[:-1]) @ slopes."""
        error = np.append(-slopes, 1.0)  # of (x, y) about the centre
        shift = self.origin - centre
        squares = self.products + np.outer(self.sums, shift) + np.outer(shift, self.sums)
        squares += self.count * np.outer(shift, shift)
        total = self.products[-1, -1] - self.sums[-1] ** 2 / self.count
        return float(1 - error @ squares @ error / total) if total > 0 else np.nan


class LinearFloor:
    """Ridge regression with an intercept; inputs are standardised, the sums over samples streamed.

    Parameters
    ----------
    parameters : dict, optional
        penalty, at least 0: on squared coefficients of standardised inputs, beside the mean squared error.
    seed : int
        Kept for the description only: nothing is drawn.
    """

    kind = "linear"

    def __init__(self, parameters: dict | None = None, *, seed: int = 0) -> None:
        self.parameters, self.seed = DEFAULTS["linear"] | (parameters or {}), int(seed)
        penalty = self.parameters["penalty"]
        if not isinstance(penalty, (int, float)) or not 0 <= penalty < np.inf:
            raise InvalidParameter(f"the penalty of the linear learner is {penalty!r}", "give a number of at least 0")
        self.centre = self.scale = self.coefficients = np.empty(0)
        self.intercept = 0.0

    def fit(
        self, x: np.ndarray | BatchSource, y: np.ndarray | None = None, progress: Progress | None = None
    ) -> LinearFloor:
        """Fit on samples or on a source of batches (see `learning.Learner.fit`)."""
        moments = None
        for own_x, own_y in batches(x, y):
            require_finite(own_x, own_y)
            moments = moments or Moments.about(own_x, own_y)
            moments.add(own_x, own_y)
            if progress:
                progress(0.0 if callable(x) else 0.9 * moments.count / len(x))
        require_samples(moments.count if moments else 0)
        centre, self.scale, self.coefficients = moments.ridge(self.parameters["penalty"])
        self.centre, self.intercept = centre[:-1], float(centre[-1])
        if progress:
            progress(1.0)
        return self

    def predict(self, x: np.ndarray, threads: int | None = None) -> np.ndarray:
        """Estimates (n_samples,) float32; a row's value does not depend on the other rows."""
        require_inputs(x.shape[1], self.coefficients.size or None)
        out = np.empty(len(x), np.float32)
        slopes = self.coefficients / self.scale
        for start in range(0, len(x), _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            total = np.full(len(out[rows]), self.intercept)
            # Input by input: a matrix product may round a row by its place in the table.
            for column, slope, centre in zip(x[rows].T, slopes, self.centre, strict=True):
                total += slope * (column.astype(np.float64) - centre)
            out[rows] = total
        return out

    def save(self) -> Parts:
        """Centre, scale and coefficients of the inputs, and the intercept."""
        names = ("centre", "scale", "coefficients")
        return Parts(None, {name: getattr(self, name) for name in names} | {"intercept": np.array([self.intercept])})

    @classmethod
    def load(cls, parts: Parts, description: dict, threads: int = 0) -> LinearFloor:
        """Make a learner from what `save` and `describe` gave.

        Raises
        ------
        InvalidModelFile
            If the arrays are not those that are described.
        """
        parameters, seed = described(description)
        inputs = described_inputs(description)
        learner = cls(seed=seed)
        learner.parameters = DEFAULTS["linear"] | parameters
        for name in ("centre", "scale", "coefficients"):
            setattr(learner, name, checked_array(parts.arrays, name, (inputs,), np.float64, 1e30))
        checked_array({"scale": 1 / np.maximum(np.abs(learner.scale), 1e-300)}, "scale", (inputs,), np.float64, 1e30)
        learner.intercept = float(checked_array(parts.arrays, "intercept", (1,), np.float64, 1e30)[0])
        return learner

    def describe(self) -> dict:
        """Kind, parameters, seed and number of inputs, fit for JSON."""
        inputs = self.coefficients.size or None
        return {"kind": self.kind, "parameters": self.parameters, "seed": self.seed, "inputs": inputs}

    def importances(self, names: Sequence[str]) -> dict[str, float]:
        """Share of each standardised input's squared coefficient, largest first."""
        return shares_by_name(self.coefficients**2, names)

    def contributions(self, x: np.ndarray, names: Sequence[str]) -> dict[str, float]:
        """Share of each input in the mean absolute SHAP value of samples, which is coefficient times deviation."""
        spread = np.abs(np.asarray(x, np.float64) - self.centre).mean(0)
        return shares_by_name(np.abs(self.coefficients / self.scale) * spread, names)

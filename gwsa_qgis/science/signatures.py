"""Signatures of a place: the mean and the annual cycle of each monthly predictor there, as inputs that stay in place.

How places differ in storage and how storage varies at a place are two relations (Mundlak 1978, 10.2307/1913646): a field
that is green all summer is pumped, and a green month is a wet one. Predictors' means and cycles let a model tell them
apart. Being linear in the predictor, a signature of a support's mean is the mean of its pixels' signatures.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gwsa_qgis.months import calendar_month

PARTS = ("mean", "annual cosine", "annual sine")
SMALLEST = 1e-5  # of the largest value at a place, below which a signature is 0
FEWEST_MONTHS = 12  # in as many of the year, below which there is a mean and no cycle


def signature_names(predictors: Sequence[str]) -> list[str]:
    """Names of the signatures of monthly predictors, predictor by predictor."""
    return [f"{name} {part}" for name in predictors for part in PARTS]


def signature_months(months: np.ndarray, first: str, last: str) -> np.ndarray:
    """Which months signatures are made of: those from `first` to `last`, or all when these are less than a year's."""
    chosen = (months >= np.datetime64(first, "M")) & (months <= np.datetime64(last, "M"))
    enough = np.unique(calendar_month(months[chosen])).size == FEWEST_MONTHS
    return chosen if enough else np.ones(months.size, bool)


class SignatureSums:
    """Signatures by least squares (mean, cosine and sine of the calendar month), added up a few months at a time.

    Parameters
    ----------
    n_predictors : int
    shape : tuple of int
        Of the places.
    """

    def __init__(self, n_predictors: int, shape: tuple[int, ...]) -> None:
        self._normal = np.zeros((len(PARTS), len(PARTS), *shape), np.float32)
        self._products = np.zeros((n_predictors, len(PARTS), *shape), np.float64)
        self._largest = np.zeros((n_predictors, *shape), np.float32)
        self._months = np.zeros((FEWEST_MONTHS, *shape), bool)

    def add(self, layers: Sequence[np.ndarray], valid: np.ndarray, months: np.ndarray) -> None:
        """Take in months of all predictors.

        Parameters
        ----------
        layers : sequence of (n_months, ...) arrays
            One for each predictor.
        valid : (n_months, ...) bool
            Where all of them have a value.
        months : (n_months,) datetime64[M]
        """
        for t, (terms, month) in enumerate(zip(_terms(months).T, calendar_month(months), strict=True)):
            self._months[int(month) - 1] |= valid[t]
            self._normal += (np.outer(terms, terms).reshape(3, 3, *[1] * valid[t].ndim) * valid[t]).astype(np.float32)
            for products, largest, layer in zip(self._products, self._largest, layers, strict=True):
                values = np.where(valid[t], layer[t], 0)
                np.maximum(largest, np.abs(values), out=largest, casting="same_kind")
                for product, term in zip(products, terms, strict=True):
                    product += term * values

    def finish(self) -> np.ndarray:
        """Signatures (n_predictors, 3, ...) float32: NaN where no month is valid, no cycle where months of a year lack."""
        shape = self._products.shape[2:]
        places = int(np.prod(shape))
        normal = self._normal.reshape(9, places).T.astype(np.float64).reshape(places, 3, 3)
        products = np.moveaxis(self._products.reshape(-1, 3, places), -1, 0)
        out = np.full((places, *products.shape[1:]), np.nan)
        count, cycle = normal[:, 0, 0], self._months.all(0).ravel()
        some = (count > 0) & ~cycle
        out[some] = 0.0
        out[some, :, 0] = products[some][:, :, 0] / count[some, None]
        out[cycle] = np.swapaxes(np.linalg.solve(normal[cycle], np.swapaxes(products[cycle], 1, 2)), 1, 2)
        # what is left of a mean or a cycle that is not there would be scaled up as if it were
        out[np.abs(out) < SMALLEST * self._largest.reshape(-1, places).T[:, :, None]] = 0.0
        return np.moveaxis(out, 0, -1).reshape(-1, 3, *shape).astype(np.float32)


def signatures(values: np.ndarray, months: np.ndarray) -> np.ndarray:
    """Signatures of one predictor.

    Parameters
    ----------
    values : (n_months, ...) array
        NaN where missing.
    months : (n_months,) datetime64[M]

    Returns
    -------
    (3, ...) float32
        Mean, annual cosine and annual sine.
    """
    sums = SignatureSums(1, values.shape[1:])
    sums.add([values], np.isfinite(values), months)
    return sums.finish()[0]


def _terms(months: np.ndarray) -> np.ndarray:
    angle = 2 * np.pi * calendar_month(months) / 12
    return np.stack([np.ones(len(months)), np.cos(angle), np.sin(angle)])

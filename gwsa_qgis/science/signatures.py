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
MONTHS_OF_YEAR = 12  # that must all be there: otherwise there is a mean and no cycle
PLACES_AT_ONCE = 2**13
_ANGLE = 2 * np.pi * np.arange(1, MONTHS_OF_YEAR + 1) / MONTHS_OF_YEAR
_OF_YEAR = np.stack([np.ones(MONTHS_OF_YEAR), np.cos(_ANGLE), np.sin(_ANGLE)])  # (3, 12)
_SQUARES = (_OF_YEAR[:, None] * _OF_YEAR).T[..., None]  # (12, 3, 3, 1)


def signature_names(predictors: Sequence[str]) -> list[str]:
    """Names of the signatures of monthly predictors, predictor by predictor."""
    return [f"{name} {part}" for name in predictors for part in PARTS]


def signature_months(months: np.ndarray, first: str, last: str) -> np.ndarray:
    """Which months signatures are made of: those from `first` to `last`, or all when these are less than a year's."""
    chosen = (months >= np.datetime64(first, "M")) & (months <= np.datetime64(last, "M"))
    enough = np.unique(calendar_month(months[chosen])).size == MONTHS_OF_YEAR
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
        places = int(np.prod(shape))
        self._shape = shape
        self._counts = np.zeros((MONTHS_OF_YEAR, places), np.uint16)
        self._products = np.zeros((n_predictors, len(PARTS), places), np.float64)
        self._largest = np.zeros((n_predictors, places), np.float32)

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
        calendar, terms = calendar_month(months), _terms(months).T
        there = valid.reshape(len(months), -1)
        for month, own in zip(calendar, there, strict=True):
            self._counts[int(month) - 1] += own
        layers = [layer.reshape(len(months), -1) for layer in layers]
        # sums of a few places stay in the processor's cache over all months
        for start in range(0, there.shape[1], PLACES_AT_ONCE):
            self._add(layers, there, terms, slice(start, min(start + PLACES_AT_ONCE, there.shape[1])))

    def _add(self, layers: Sequence[np.ndarray], valid: np.ndarray, terms: np.ndarray, places: slice) -> None:
        there = valid[:, places]
        whole = there.all(1)
        size = np.empty(there.shape[1], np.float32)
        exact, product = np.empty((2, size.size), np.float64)
        for products, largest, layer in zip(
            self._products[:, :, places], self._largest[:, places], layers, strict=True
        ):
            for t, own_terms in enumerate(terms):
                values = layer[t, places]
                if not whole[t]:
                    values = np.where(there[t], values, 0)
                np.maximum(largest, np.abs(values, out=size, casting="same_kind"), out=largest)
                exact[:] = values
                products[0] += exact
                for sums, term in zip(products[1:], own_terms[1:], strict=True):
                    sums += np.multiply(exact, term, out=product)

    def finish(self) -> np.ndarray:
        """Signatures (n_predictors, 3, ...) float32: NaN where no month is valid, no cycle where months of a year lack."""
        out = np.empty(self._products.shape, np.float32)
        for start in range(0, out.shape[2], PLACES_AT_ONCE):
            part = slice(start, start + PLACES_AT_ONCE)
            out[:, :, part] = self._solve(self._counts[:, part].astype(np.float64), part)
        return out.reshape(*out.shape[:2], *self._shape)

    def _solve(self, counts: np.ndarray, places: slice) -> np.ndarray:
        """The normal equations of some places, whose matrix follows from the number of each calendar month."""
        products, number = self._products[:, :, places], counts.sum(0)
        found = np.full(products.shape, np.nan)
        cycle = (counts > 0).all(0)
        some = (number > 0) & ~cycle
        found[:, :, some] = 0.0
        found[:, 0, some] = products[:, 0, some] / number[some]
        # place by place in one order: what BLAS and einsum give depends on how many places there are
        chosen = slice(None) if cycle.all() else cycle
        counts = counts[:, chosen]
        if (counts == counts[:, :1]).all():
            counts = counts[:, :1]  # one matrix for all
        inverse = _inverse(sum(square * count for square, count in zip(_SQUARES, counts, strict=True)))
        found[:, :, chosen] = sum(inverse[:, part] * products[:, None, part][..., chosen] for part in range(len(PARTS)))
        # what is left of a mean or a cycle that is not there would be scaled up as if it were
        found[np.abs(found) < SMALLEST * self._largest[:, None, places]] = 0.0
        return found


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
    return _OF_YEAR[:, calendar_month(months) - 1]


def _inverse(matrix: np.ndarray) -> np.ndarray:
    """Inverses of symmetric matrices (3, 3, n), by cofactors: LAPACK is called for each of them, and takes ten times as long."""
    (a, b, c), (_, d, e), (_, _, f) = matrix
    first, second, third = d * f - e * e, c * e - b * f, b * e - c * d
    rows = [
        [first, second, third],
        [second, a * f - c * c, b * c - a * e],
        [third, b * c - a * e, a * d - b * b],
    ]
    return np.array(rows) / (a * first + b * second + c * third)

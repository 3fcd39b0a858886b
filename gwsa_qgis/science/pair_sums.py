"""Scores of many pairs, gathered piece by piece: Eqs. 16-18 without holding all pairs at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gwsa_qgis.science.scores import Scores


@dataclass(frozen=True)
class PairSums:
    """Counts, means and centred sums of (actual, estimate) pairs; all arrays of one shape.

    Attributes
    ----------
    n : ndarray
        Number of pairs.
    actual, estimate : ndarray
        Means.
    aa, ee, ae : ndarray
        Sums of products of deviations from the means.
    squares : ndarray
        Sum of squared errors.
    """

    n: np.ndarray
    actual: np.ndarray
    estimate: np.ndarray
    aa: np.ndarray
    ee: np.ndarray
    ae: np.ndarray
    squares: np.ndarray

    @classmethod
    def of_groups(cls, actual: np.ndarray, estimate: np.ndarray, groups: np.ndarray, n_groups: int) -> PairSums:
        """Sums by month and group.

        Parameters
        ----------
        actual, estimate : ndarray, shape (n_months, n_cells)
            Pairs with a NaN are left out.
        groups : ndarray of int, shape (n_cells,)
            0 to n_groups - 1; negative for none.

        Returns
        -------
        PairSums of shape (n_months, n_groups)
        """
        both = np.isfinite(actual) & np.isfinite(estimate) & (groups >= 0)
        month, cell = np.nonzero(both)
        flat = month * n_groups + groups[cell]
        shape, size = (len(actual), n_groups), len(actual) * n_groups
        a, e = actual[both].astype(float), estimate[both].astype(float)
        n = np.bincount(flat, minlength=size)
        mean_a, mean_e = (np.bincount(flat, v, size) / np.maximum(n, 1) for v in (a, e))
        da, de = a - mean_a[flat], e - mean_e[flat]
        sums = (np.bincount(flat, v, size) for v in (da * da, de * de, da * de, (a - e) ** 2))
        return cls(*(values.reshape(shape) for values in (n, mean_a, mean_e, *sums)))

    def __add__(self, other: PairSums) -> PairSums:
        """Sums of both (Chan et al. 1979: no loss of digits by large means)."""
        n = self.n + other.n
        share = other.n / np.maximum(n, 1)
        both = self.n * share
        da, de = other.actual - self.actual, other.estimate - self.estimate
        return PairSums(
            n,
            self.actual + da * share,
            self.estimate + de * share,
            self.aa + other.aa + da * da * both,
            self.ee + other.ee + de * de * both,
            self.ae + other.ae + da * de * both,
            self.squares + other.squares,
        )

    def pooled(self, axis: int) -> PairSums:
        """Sums over an axis."""
        n = self.n.sum(axis)
        mean = [(self.n * v).sum(axis) / np.maximum(n, 1) for v in (self.actual, self.estimate)]
        da, de = (v - np.expand_dims(m, axis) for v, m in zip((self.actual, self.estimate), mean, strict=True))
        return PairSums(
            n,
            *mean,
            (self.aa + self.n * da * da).sum(axis),
            (self.ee + self.n * de * de).sum(axis),
            (self.ae + self.n * da * de).sum(axis),
            self.squares.sum(axis),
        )

    def scores(self, *index: int) -> Scores:
        """Scores of one element."""
        n, aa, ee, ae, squares = (float(v[index]) for v in (self.n, self.aa, self.ee, self.ae, self.squares))
        if not n:
            return Scores(0, np.nan, np.nan, np.nan)
        return Scores(
            int(n),
            1 - squares / aa if aa > 0 else np.nan,
            ae / np.sqrt(aa * ee) if aa > 0 and ee > 0 else np.nan,
            float(np.sqrt(squares / n)),
        )

    def bias(self, *index: int) -> float:
        """Mean of estimate less actual of one element; NaN without pairs."""
        return float(self.estimate[index] - self.actual[index]) if self.n[index] else np.nan

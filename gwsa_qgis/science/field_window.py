"""A window's share of spline fields: small, and it is evaluated wherever it is, in another process too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gwsa_qgis.science.bsplines import SplineBasis, evaluate_splines


@dataclass(frozen=True)
class FieldWindow:
    """Spline fields on a window; made by `of`.

    Attributes
    ----------
    spline : ndarray, shape (n_months, n_knots_y, n_knots_x)
        Coefficients of the splines that are not zero in the window.
    shift : ndarray, shape (n_months, n_supports), or None
        Constant added over each support.
    basis_y, basis_x : SplineBasis
        Of the window's rows and columns.
    """

    spline: np.ndarray
    shift: np.ndarray | None
    basis_y: SplineBasis
    basis_x: SplineBasis

    @classmethod
    def of(
        cls,
        spline: np.ndarray,
        shift: np.ndarray | None,
        basis_y: SplineBasis,
        basis_x: SplineBasis,
        rows: slice,
        columns: slice,
    ) -> FieldWindow:
        """Cut it out of the fields of a whole map."""
        (knots_y, own_y), (knots_x, own_x) = _cut(basis_y, rows), _cut(basis_x, columns)
        return cls(spline[:, knots_y, knots_x].copy(), shift, own_y, own_x)

    def values(self, month: int, labels: np.ndarray | None = None) -> np.ndarray:
        """Values of a month, (n_rows, n_columns) float64: to the bit those of `Closure.evaluate`.

        Parameters
        ----------
        labels : ndarray of int, shape (n_rows, n_columns), optional
            Supports of the pixels, needed where there are shifts; 0 or less outside.
        """
        out = evaluate_splines(self.spline[month], self.basis_y, self.basis_x)
        if self.shift is not None:
            out += np.concatenate([[0.0], self.shift[month]])[np.maximum(labels, 0)]
        return out


def _cut(basis: SplineBasis, pixels: slice) -> tuple[slice, SplineBasis]:
    """Splines that are not zero at some pixels, and the basis of these alone."""
    first, local = basis.first[pixels], basis.local[pixels]
    knots = slice(int(first[0]), int(first[-1]) + local.shape[1])
    return knots, SplineBasis(first - knots.start, local, knots.stop - knots.start)

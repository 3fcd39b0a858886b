"""Exact closure: the smoothest fine field whose means over given supports are given values (B-spline histopolation).

A fine field c = By Q Bx' of uniform B-splines is sought whose area-weighted mean over every support (coarse cell or
native mascon) equals that support's value, and whose coefficients q are smoothest:

    minimise q'R q  subject to  M q = r,        hence  [R M'; M 0] [q; mu] = [0; r].

R is a membrane energy and each row of M holds the actual discrete means of the splines over the valid pixels of one
support, so coasts, lakes, borders and irregular shapes need no special care. The matrix is factorised once per mask; a
month is one back substitution and one step of iterative refinement. Histosplines: Boneva, Kendall & Stefanov 1971
(10.1111/j.2517-6161.1971.tb00855.x); area-preserving interpolation: Tobler 1979 (10.1080/01621459.1979.10481647).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spl

from gwsa_qgis.errors import InvalidParameter, NoUsableData
from gwsa_qgis.science.bsplines import basis_means, roughness, uniform_basis

SMALL_SHARE = 0.3  # supports with less of their pixels valid than this are relaxed by coast="bounded"
RELAXATION = 0.05
_PATTERNS_KEPT = 4


@dataclass(frozen=True)
class SplineField:
    """A fine field, or one a month, held as spline coefficients.

    Attributes
    ----------
    spline : ndarray, shape (n_months, n_splines_y, n_splines_x)
        Coefficients; NaN in months without any value.
    shift : ndarray, shape (n_months, n_supports), or None
        Constant added over each support (only with ``coast="bounded"``).
    """

    spline: np.ndarray
    shift: np.ndarray | None = None


class Closure:
    """Exact closure on supports of any shape, built once per mask.

    Parameters
    ----------
    support : ndarray of int, shape (rows, columns)
        Label 1..n of the support that each fine pixel belongs to; 0 or less outside. Labels may also stand on masked
        pixels: they then tell which share of a support is valid.
    weights : ndarray of float, broadcastable to (rows, columns)
        Pixel areas (cosine of latitude on geographic grids), 0 where the mask excludes a pixel.
    knot_spacing : float
        Distance between knots in fine pixels: one coarse cell when supports are cells, about half the pitch when they
        are mascons (see `mascon_knot_spacing`).
    n_supports : int, optional
        Number of supports when it is larger than the largest label.
    degree : int
        Degree of the splines.
    membrane, bending : float
        Weights of the penalty on first and second differences.
    coast : {"smooth", "bounded"}
        "bounded" keeps supports of which less than 30 % is valid from forcing a steep field: their rows are relaxed and
        what is left of their value is added as a constant over the support. Means stay exact, the field has a step
        there.

    Raises
    ------
    InvalidParameter
        When shapes disagree or an option has no such value.
    NoUsableData
        When no labelled pixel has a positive weight.

    Notes
    -----
    Supports without a value in a month have no row in that month. The matrix is factorised once per distinct pattern of
    missing supports, and the last four are kept: hand months over together, so that each pattern is met once.
    Time and memory grow slightly faster than linearly: 12,000 supports take about 1 s and 0.3 GB, 48,000 take 6 s and
    1.5 GB.
    """

    def __init__(
        self,
        support: np.ndarray,
        weights: np.ndarray,
        *,
        knot_spacing: float,
        n_supports: int | None = None,
        degree: int = 3,
        membrane: float = 1.0,
        bending: float = 1e-3,
        coast: str = "smooth",
    ) -> None:
        support, weights = np.asarray(support), np.asarray(weights)
        if support.ndim != 2 or not np.issubdtype(support.dtype, np.integer):
            raise InvalidParameter(
                f"the support is an array of {support.dtype} with {support.ndim} dimensions",
                "give whole-number labels on the fine grid (rows, columns)",
            )
        try:
            weights = np.broadcast_to(weights, support.shape)
        except ValueError:
            raise InvalidParameter(
                f"weights of shape {weights.shape} do not fit a support of shape {support.shape}",
                "give one weight per fine pixel, or one per row as (rows, 1)",
            ) from None
        if coast not in ("smooth", "bounded"):
            raise InvalidParameter(f"coast is {coast!r}", "give 'smooth' or 'bounded'")
        self.n_supports = max(int(support.max(initial=0)), n_supports or 0)
        self.shape = support.shape
        self.labels = np.where(weights > 0, np.maximum(support, 0), 0)
        self.weights = weights
        self.basis_y = uniform_basis(support.shape[0], knot_spacing, degree)
        self.basis_x = uniform_basis(support.shape[1], knot_spacing, degree)
        self.spline_shape = self.basis_y.n_splines, self.basis_x.n_splines
        self.spline_means, self.total_weight = basis_means(
            support, weights, self.basis_y, self.basis_x, self.n_supports
        )
        self.present = self.total_weight > 0
        if not self.present.any():
            raise NoUsableData("no pixel of any support is valid", "give a mask that leaves some pixels to use")
        self._energy = roughness(*self.spline_shape, membrane, bending)
        self._relaxed = np.zeros(self.n_supports)
        if coast == "bounded":
            self._relaxed = RELAXATION * np.clip(1 - self.valid_share(support) / SMALL_SHARE, 0, None)
        self._factorised: OrderedDict[bytes, tuple] = OrderedDict()

    def valid_share(self, support: np.ndarray) -> np.ndarray:
        """Share of each support's pixels that are valid, cut supports counting as at least half a usual one."""
        whole = np.bincount(np.maximum(support, 0).ravel(), minlength=self.n_supports + 1)[1:]
        valid = np.bincount(self.labels.ravel(), minlength=self.n_supports + 1)[1:]
        usual = np.median(whole[whole > 0])
        return valid / np.maximum(whole, 0.5 * usual)

    def means(self, field: np.ndarray) -> np.ndarray:
        """Weighted mean over each support.

        Parameters
        ----------
        field : ndarray, shape (rows, columns) or (n_months, rows, columns)
            A NaN on a valid pixel makes the mean of its support NaN: exactness would be void there.

        Returns
        -------
        ndarray of float64, shape (n_supports,) or (n_months, n_supports)
            NaN for supports without valid pixels.
        """
        months = field[None] if field.ndim == 2 else field
        labels, inside = self.labels.ravel(), self.labels.ravel() > 0
        weights, out = self.weights.ravel(), np.full((len(months), self.n_supports), np.nan)
        labels, weights = (labels, weights) if inside.all() else (labels[inside], weights[inside])
        for month, values in zip(out, months, strict=True):
            values = values.ravel() if inside.all() else values.ravel()[inside]
            sums = np.bincount(labels, values * weights, minlength=self.n_supports + 1)[1:]
            month[self.present] = sums[self.present] / self.total_weight[self.present]
        return out[0] if field.ndim == 2 else out

    def solve(self, values: np.ndarray) -> SplineField:
        """Coefficients of the smoothest fields with the given support means.

        Parameters
        ----------
        values : ndarray, shape (n_supports,) or (n_months, n_supports)
            NaN where a support has no value; a support without valid pixels is passed over.

        Returns
        -------
        SplineField
        """
        values = np.atleast_2d(np.asarray(values, np.float64))
        if values.shape[1] != self.n_supports:
            raise InvalidParameter(
                f"{values.shape[1]} values were given for {self.n_supports} supports", "give one value per support"
            )
        usable = np.isfinite(values) & self.present
        spline = np.full((len(values), *self.spline_shape), np.nan)
        shift = np.zeros_like(values) if self._relaxed.any() else None
        patterns, pattern_of = np.unique(usable, axis=0, return_inverse=True)
        for number, pattern in enumerate(patterns):
            if pattern.any():
                months = np.flatnonzero(pattern_of.ravel() == number)
                coefficients = self._solve_pattern(pattern, values[np.ix_(months, pattern)])
                spline[months] = coefficients.T.reshape(-1, *self.spline_shape)
                if shift is not None:
                    left = values[months] - (self.spline_means @ coefficients).T
                    shift[months] = np.where(pattern & (self._relaxed > 0), left, 0.0)
        return SplineField(spline, shift)

    def evaluate(
        self,
        field: SplineField,
        rows: slice = slice(None),
        columns: slice = slice(None),
        dtype: np.dtype | type = np.float64,
    ) -> np.ndarray:
        """Values of spline fields at the pixels of a window.

        Parameters
        ----------
        field : SplineField
            As `solve` returns it.
        rows, columns : slice
            Window of the fine grid.
        dtype : dtype
            Type of the result.

        Returns
        -------
        ndarray, shape (n_months, n_rows, n_columns)
            Defined on masked pixels too (the smoothest continuation); NaN in months without values.
        """
        along_y, along_x = self.basis_y.matrix(rows), self.basis_x.matrix(columns)
        out = np.empty((len(field.spline), along_y.shape[0], along_x.shape[0]), dtype)
        for month, coefficients in enumerate(field.spline):
            out[month] = along_y @ np.ascontiguousarray((along_x @ coefficients.T).T)
        if field.shift is not None:
            padded = np.concatenate([np.zeros((len(out), 1)), field.shift], axis=1)
            out += padded[:, self.labels[rows, columns]].astype(dtype, copy=False)
        return out

    def correction(self, residual: np.ndarray) -> np.ndarray:
        """Smoothest fine field whose support means are `residual`: add it to a prediction to close it.

        Parameters
        ----------
        residual : ndarray, shape (n_supports,) or (n_months, n_supports)

        Returns
        -------
        ndarray of float64, shape (rows, columns) or (n_months, rows, columns)
        """
        fields = self.evaluate(self.solve(residual))
        return fields[0] if np.ndim(residual) == 1 else fields

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Histospline interpolation of support values: what is known of the fine field without any predictor."""
        return self.correction(values)

    def close(self, field: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Field corrected so that its support means equal `values`."""
        return field + self.correction(values - self.means(field))

    def _solve_pattern(self, pattern: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Coefficients (n_splines, n_months) that give the supports of `pattern` the given values."""
        system, factors = self._factors(pattern)
        n_splines = self._energy.shape[0]
        right = np.zeros((system.shape[0], len(values)))
        right[n_splines:] = values.T
        solution = factors.solve(right)
        solution += factors.solve(right - system @ solution)
        return solution[:n_splines]

    def _factors(self, pattern: np.ndarray) -> tuple:
        key = np.packbits(pattern).tobytes()
        if key not in self._factorised:
            rows = self.spline_means[pattern]
            corner = -sp.diags(self._relaxed[pattern]) if self._relaxed.any() else None
            system = sp.bmat([[self._energy, rows.T], [rows, corner]], format="csc")
            try:
                self._factorised[key] = system, spl.splu(system, permc_spec="COLAMD")
            except RuntimeError:
                raise NoUsableData(
                    f"{int(pattern.sum())} supports cannot all be met by splines this coarse",
                    "give a smaller knot spacing, or drop supports with only a few pixels",
                ) from None
            while len(self._factorised) > _PATTERNS_KEPT:
                self._factorised.popitem(last=False)
        return self._factorised[key]


def cell_support(rows: int, columns: int, factor: int) -> np.ndarray:
    """Labels 1..n of coarse cells, row by row, on the fine grid (rows * factor, columns * factor)."""
    cells = np.arange(1, rows * columns + 1, dtype=np.int32).reshape(rows, columns)
    return np.repeat(np.repeat(cells, factor, axis=0), factor, axis=1)


def mascon_knot_spacing(support: np.ndarray) -> float:
    """Half the usual pitch of irregular supports, in fine pixels: the knot spacing that suits them."""
    pixels = np.bincount(np.maximum(np.asarray(support), 0).ravel())[1:]
    if not (pixels > 0).any():
        raise NoUsableData("the support holds no label above 0", "give labels 1..n")
    return max(1.0, 0.5 * float(np.sqrt(np.median(pixels[pixels > 0]))))

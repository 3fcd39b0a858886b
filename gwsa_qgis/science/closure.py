"""Exact closure: the smoothest fine field whose means over given supports are given values (B-spline histopolation).

A fine field c = By Q Bx' of uniform B-splines is sought whose area-weighted mean over every support (coarse cell or
native mascon) equals that support's value, and whose coefficients q are smoothest:

    minimise q'R q  subject to  M q = r,        hence  [R M'; M 0] [q; mu] = [0; r].

R is a membrane energy and each row of M holds the actual discrete means of the splines over the valid pixels of one
support, so coasts, lakes, borders and irregular shapes need no special care. The matrix is factorised once per mask; a
month is a back substitution and a step or two of refinement. Histosplines: Boneva, Kendall & Stefanov 1971
(10.1111/j.2517-6161.1971.tb00855.x); area-preserving interpolation: Tobler 1979 (10.1080/01621459.1979.10481647).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from gwsa_qgis.errors import InvalidParameter, NoUsableData
from gwsa_qgis.science.bsplines import Roughness, SplineSums, evaluate_splines, uniform_basis
from gwsa_qgis.science.closure_solvers import DIRECT_LIMIT, KEPT_BYTES, Solver, expected_bytes, make_solver
from gwsa_qgis.science.closure_tolerance import PENALTY, smoothest_within

COASTS = ("smooth", "bounded")
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
    tolerance : float
        How far means may stay from the values, which are noisy: the smoothest field within it is sought. 0 is exact.
    solver : {"auto", "direct", "windows"}
        "auto" factorises the whole system where its factors fit in `kept_mb`, and overlapping windows of it otherwise.
    kept_mb : float
        Memory for factors, of all patterns together. Windows' factors beyond it are made again in every sweep, so solve
        many months together. With a tolerance, whose search solves some hundred times, the system is factorised whole up
        to 50,000 supports even so, in some 10 kB a support.

    Raises
    ------
    InvalidParameter
        When shapes disagree or an option has no such value.
    NoUsableData
        When no labelled pixel has a positive weight.

    Notes
    -----
    Supports without a value in a month have no row in that month. The matrix is factorised once per distinct pattern of
    missing supports, and the last few are kept: hand months over together, so that each pattern is met once.
    Maps that do not fit in memory are given window by window, as `SplineSums`, to `from_sums`.
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
        tolerance: float = 0.0,
        solver: str = "auto",
        kept_mb: float = KEPT_BYTES / 1e6,
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
        count = max(int(support.max(initial=0)), n_supports or 0)
        sums = SplineSums(*(uniform_basis(length, knot_spacing, degree) for length in support.shape), count)
        sums.add(support, weights)
        share = valid_share(*support_pixels(support, weights, count)) if coast == "bounded" else None
        self._support, self._weights = support, weights
        self._build(sums, membrane, bending, coast, share, tolerance, solver, kept_mb)

    @classmethod
    def from_sums(
        cls,
        sums: SplineSums,
        *,
        membrane: float = 1.0,
        bending: float = 1e-3,
        coast: str = "smooth",
        share: np.ndarray | None = None,
        tolerance: float = 0.0,
        solver: str = "auto",
        kept_mb: float = KEPT_BYTES / 1e6,
    ) -> Closure:
        """Closure of a map that was summed window by window, and of which no pixel is kept.

        `means` and `close` are then not to be had, and `evaluate` must be given the labels of its window when the coast
        is bounded.

        Parameters
        ----------
        sums : SplineSums
        share : ndarray, shape (n_supports,)
            `valid_share` of each support, for ``coast="bounded"``.
        """
        closure = cls.__new__(cls)
        closure._support = closure._weights = None
        closure._build(sums, membrane, bending, coast, share, tolerance, solver, kept_mb)
        return closure

    def _build(self, sums, membrane, bending, coast, share, tolerance, solver, kept_mb) -> None:
        if coast not in COASTS:
            raise InvalidParameter(f"coast is {coast!r}", f"give one of {', '.join(COASTS)}")
        if not tolerance >= 0:
            raise InvalidParameter(f"the tolerance is {tolerance}", "give 0 for exact means, or a positive number")
        self.n_supports, self.tolerance = sums.n_supports, float(tolerance)
        self.basis_y, self.basis_x = sums.basis_y, sums.basis_x
        self.shape = self.basis_y.first.size, self.basis_x.first.size
        self.spline_shape = self.basis_y.n_splines, self.basis_x.n_splines
        self.spline_means, self.total_weight = sums.means()
        self.present = self.total_weight > 0
        if not self.present.any():
            raise NoUsableData("no pixel of any support is valid", "give a mask that leaves some pixels to use")
        self._energy = Roughness(*self.spline_shape, membrane, bending)
        self._relaxed: np.ndarray | None = None
        if coast == "bounded":
            relaxed = RELAXATION * np.clip(1 - share / SMALL_SHARE, 0, None)
            self._relaxed = relaxed if relaxed[self.present].any() else None
        self._solver_kind, self._kept_bytes = solver, 1e6 * kept_mb
        self._factorised: OrderedDict[bytes, Solver] = OrderedDict()

    def _labels(self, rows: slice = slice(None), columns: slice = slice(None)) -> np.ndarray:
        """Labels of the valid pixels of a window, 0 elsewhere."""
        if self._support is None:
            raise InvalidParameter("this closure was built from sums and holds no labels", "give those of the window")
        return np.where(self._weights[rows, columns] > 0, np.maximum(self._support[rows, columns], 0), 0)

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
        labels = self._labels().ravel()
        inside, weights = labels > 0, self._weights.ravel()
        out = np.full((len(months), self.n_supports), np.nan)
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
        shift = None if self._relaxed is None else np.zeros_like(values)
        # np.unique by rows makes a type of as many fields as there are supports
        patterns: dict[bytes, list[int]] = {}
        for month, bits in enumerate(np.packbits(usable, axis=1)):
            patterns.setdefault(bits.tobytes(), []).append(month)
        for months in patterns.values():
            pattern = usable[months[0]]
            if pattern.any():
                wanted, coefficients = self._solve_pattern(pattern, values[np.ix_(months, pattern)].T)
                spline[months] = coefficients.T.reshape(-1, *self.spline_shape)
                if shift is not None:
                    left = (wanted - self.spline_means[pattern] @ coefficients).T
                    shift[np.ix_(months, pattern)] = np.where(self._relaxed[pattern] > 0, left, 0.0)
        return SplineField(spline, shift)

    def evaluate(
        self,
        field: SplineField,
        rows: slice = slice(None),
        columns: slice = slice(None),
        dtype: np.dtype | type = np.float64,
        *,
        labels: np.ndarray | None = None,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """Values of spline fields at the pixels of a window; the same to the bit in whatever window.

        Parameters
        ----------
        field : SplineField
            As `solve` returns it.
        rows, columns : slice
            Window of the fine grid.
        dtype : dtype
            Type of the result; in float32 the last product is computed so, in half the time.
        labels : ndarray of int, shape (n_rows, n_columns), optional
            Supports of the window's pixels, for shifts; needed when the closure was built from sums.
        out : ndarray, shape (n_months, n_rows, n_columns), optional
            Where to put the values, instead of a new array of `dtype`.

        Returns
        -------
        ndarray, shape (n_months, n_rows, n_columns)
            Defined on masked pixels too (the smoothest continuation); NaN in months without values.
        """
        if out is None:
            shape = (self.basis_y.first[rows].size, self.basis_x.first[columns].size)
            out = np.empty((len(field.spline), *shape), dtype)
        for month, coefficients in zip(out, field.spline, strict=True):
            evaluate_splines(coefficients, self.basis_y, self.basis_x, rows, columns, month)
        if field.shift is not None:
            labels = self._labels(rows, columns) if labels is None else np.maximum(labels, 0)
            padded = np.concatenate([np.zeros((len(out), 1)), field.shift], axis=1)
            for month, shift in zip(out, padded, strict=True):
                month += shift[labels].astype(out.dtype, copy=False)
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

    def forget(self) -> None:
        """Let go of all factors; `evaluate` needs none, and `solve` makes them anew."""
        self._factorised.clear()

    def _solve_pattern(self, pattern: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means that are met (n_values, n_months), within the tolerance, and the coefficients that meet them."""
        if self.tolerance > 0:
            rows = self.spline_means[pattern]
            loose = self._solver(pattern, PENALTY)
            values = smoothest_within(loose.solve, rows, values, self.tolerance)
        return values, self._solver(pattern).solve(values)

    def _solver(self, pattern: np.ndarray, penalty: float = 0.0) -> Solver:
        """Solver for the supports of a pattern; with a penalty, their values are only drawn to."""
        key = bytes([penalty > 0]) + np.packbits(pattern).tobytes()
        if key not in self._factorised:
            rows = self.spline_means[pattern]
            relaxed = None if self._relaxed is None else self._relaxed[pattern]
            if penalty > 0:
                relaxed = np.full(rows.shape[0], 1 / penalty) + (0.0 if relaxed is None else relaxed)
            kind = self._solver_kind
            if kind == "auto" and self.tolerance > 0 and rows.shape[0] <= DIRECT_LIMIT:
                kind = "direct"
            self._make_room(expected_bytes(self._energy.n_splines, rows.shape[0]))
            self._factorised[key] = make_solver(self._energy, rows, relaxed, kind, self._kept_bytes)
        return self._factorised[key]

    def _make_room(self, wanted: float) -> None:
        """Let go of the oldest factors until those wanted fit beside the others; both of a tolerance may stay."""
        most = self._kept_bytes if self.tolerance == 0 else max(self._kept_bytes, 2.5 * wanted)
        while self._factorised:
            held = sum(solver.claimed_bytes for solver in self._factorised.values())
            if len(self._factorised) < _PATTERNS_KEPT and held + wanted <= most:
                return
            self._factorised.popitem(last=False)


def support_pixels(support: np.ndarray, weights: np.ndarray, n_supports: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of each support, and those of them with a weight; to be added up window by window."""
    labels = np.maximum(support, 0)
    whole = np.bincount(labels.ravel(), minlength=n_supports + 1)[1:]
    valid = np.bincount(labels[np.broadcast_to(weights, labels.shape) > 0], minlength=n_supports + 1)[1:]
    return whole, valid


def valid_share(whole: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Share of each support's pixels that are valid, cut supports counting as at least half a usual one."""
    usual = np.median(whole[whole > 0])
    return valid / np.maximum(whole, 0.5 * usual)


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

"""Interpolation of coarse cell values at fine pixel centres: the references, and the published correction.

None of these keeps cell means; `gwsa_qgis.science.closure` does.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.interpolate import BSpline, make_interp_spline
from scipy.ndimage import distance_transform_edt

from gwsa_qgis.errors import InvalidParameter

DEGREES = {"bilinear": 1, "cubic": 3}


def fill_nearest(coarse: np.ndarray) -> np.ndarray:
    """Give every NaN cell the value of the nearest cell that has one, month by month.

    Parameters
    ----------
    coarse : ndarray, shape (rows, columns) or (n_months, rows, columns)
        Months without any value stay NaN.
    """
    months = coarse[None] if coarse.ndim == 2 else coarse
    filled = np.array(months, np.float64)
    missing = np.isnan(filled)
    previous, nearest = None, None
    for month, holes in zip(filled, missing, strict=True):
        if not holes.any() or holes.all():
            continue
        if previous is None or not np.array_equal(holes, previous):
            previous, nearest = holes, distance_transform_edt(holes, return_distances=False, return_indices=True)
        month[:] = month[tuple(nearest)]
    return filled[0] if coarse.ndim == 2 else filled


def spread(
    coarse: np.ndarray,
    factor: int,
    kind: str = "bilinear",
    rows: slice = slice(None),
    columns: slice = slice(None),
) -> np.ndarray:
    """Interpolate cell values between cell centres; beyond the outermost centres the field is constant.

    Parameters
    ----------
    coarse : ndarray, shape (rows, columns) or (n_months, rows, columns)
        NaN cells are filled with the nearest value first.
    factor : int
        Fine pixels along a coarse cell's edge.
    kind : {"bilinear", "cubic"}
        "cubic" is the interpolating cubic spline (not the approximating one of some raster tools).
    rows, columns : slice
        Window of the fine grid; the values do not depend on it.

    Returns
    -------
    ndarray of float64, shape (n_rows, n_columns) or (n_months, n_rows, n_columns)

    Raises
    ------
    InvalidParameter
        When the kind is unknown or the factor is not a positive whole number.
    """
    if kind not in DEGREES:
        raise InvalidParameter(f"the kind of interpolation is {kind!r}", "give 'bilinear' or 'cubic'")
    if factor < 1 or int(factor) != factor:
        raise InvalidParameter(f"the factor between the grids is {factor}", "give a whole number of at least 1")
    filled = fill_nearest(np.asarray(coarse, np.float64))
    months = filled[None] if filled.ndim == 2 else filled
    along_y = _axis_splines(months.shape[1], factor, DEGREES[kind], rows)
    along_x = _axis_splines(months.shape[2], factor, DEGREES[kind], columns)
    out = np.empty((len(months), along_y[0].shape[0], along_x[0].shape[0]))
    for fine, values in zip(out, months, strict=True):
        if np.isnan(values).any():
            fine[:] = np.nan
            continue
        coefficients = along_y[1](along_x[1](values.T).T)
        fine[:] = along_y[0] @ np.ascontiguousarray((along_x[0] @ coefficients.T).T)
    return out[0] if filled.ndim == 2 else out


def spline_correction(
    residual: np.ndarray, factor: int, rows: slice = slice(None), columns: slice = slice(None)
) -> np.ndarray:
    """Published correction: coarse residuals spread to the fine grid by a cubic spline (paper section 2.4, step 3).

    Parameters
    ----------
    residual : ndarray, shape (rows, columns) or (n_months, rows, columns)
        Coarse value minus mean prediction of each cell; NaN cells take the nearest value first.
    factor : int
        Fine pixels along a coarse cell's edge.
    rows, columns : slice
        Window of the fine grid.

    Returns
    -------
    ndarray of float64, shape (n_rows, n_columns) or (n_months, n_rows, n_columns)
    """
    return spread(residual, factor, "cubic", rows, columns)


def _axis_splines(n_cells: int, factor: int, degree: int, pixels: slice) -> tuple:
    """Sparse matrix of splines at the pixels, and the function from cell values (n_cells, k) to coefficients."""
    position = (np.arange(n_cells * factor)[pixels] + 0.5) / factor - 0.5
    position = np.clip(position, 0, n_cells - 1)
    degree = min(degree, n_cells - 1)
    if degree == 2:
        degree = 1
    if degree == 0:
        return sp.csr_matrix(np.ones((position.size, 1))), lambda values: values
    centres = np.arange(n_cells, dtype=float)
    knots = make_interp_spline(centres, centres, degree).t
    return BSpline.design_matrix(position, knots, degree), lambda values: make_interp_spline(centres, values, degree).c

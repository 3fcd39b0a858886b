"""Deviations of supports from the coarser field around them: what the recommended preset learns from and predicts.

A model of levels spends itself on place and month. Here the target is a support's value minus what the histospline of
groups of supports says there; the inputs are the same deviations of every predictor, their levels and the calendar.
"""

from __future__ import annotations

import numpy as np

from gwsa_qgis.science.bsplines import basis_means
from gwsa_qgis.science.closure import Closure
from gwsa_qgis.science.closure_solvers import KEPT_BYTES
from gwsa_qgis.science.supports import group_labels, group_means


class CoarserScale:
    """Deviations of supports from the histospline of groups of supports.

    Parameters
    ----------
    support : ndarray of int, shape (rows, columns)
        Labels 1..n_supports, 0 or less outside.
    weights : ndarray, broadcastable to (rows, columns)
        Pixel areas, 0 on masked pixels.
    groups : ndarray of int, shape (n_supports,)
        Group 1..n_groups of each support (`supports.group_supports`, `supports.block_groups`), 0 for none.
    knot_spacing : float, optional
        Knots of the groups' histospline in fine pixels: the block's edge for R x R cells. By default half the groups'
        pitch, for groups of mascons.
    kept_mb : float
        Memory for the factors of the groups' histospline (see `closure.Closure`).
    """

    def __init__(
        self,
        support: np.ndarray,
        weights: np.ndarray,
        groups: np.ndarray,
        *,
        knot_spacing: float | None = None,
        kept_mb: float = KEPT_BYTES / 1e6,
    ) -> None:
        self.groups = np.asarray(groups)
        of_groups = group_labels(support, self.groups)
        if knot_spacing is None:
            pixels = np.bincount(of_groups.ravel())[1:]
            knot_spacing = max(1.0, 0.5 * float(np.sqrt(np.median(pixels[pixels > 0]))))
        self._closure = Closure(of_groups, weights, knot_spacing=knot_spacing, kept_mb=kept_mb)
        self._means, self.areas = basis_means(
            np.asarray(support), weights, self._closure.basis_y, self._closure.basis_x, self.groups.size
        )
        self._usable = (self.areas > 0) & (self.groups > 0)

    def deviations(self, values: np.ndarray) -> np.ndarray:
        """Value of each support minus the groups' histospline averaged over it.

        Parameters
        ----------
        values : ndarray, shape (n_months, n_supports)
            NaN where missing.

        Returns
        -------
        ndarray of float64, shape (n_months, n_supports)
        """
        splines = self._closure.solve(group_means(values, self.areas, self.groups)).spline
        around = (self._means @ splines.reshape(len(splines), -1).T).T
        return np.where(self._usable, values - around, np.nan)

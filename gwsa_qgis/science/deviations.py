"""The deviation recipe: learn what supports deviate from the coarser field around them, predict fine pixels' deviations.

A model of levels spends itself on place and month. Here the target is a support's value minus what the histospline of groups
of supports says there; the inputs are the same deviations of every predictor, their levels and the calendar. At the fine
scale each predictor's deviation is taken from the histospline of its own support means. The predicted detail is multiplied
by a weight from blocked cross-validation and closed exactly on the supports.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gwsa_qgis.errors import NoUsableData
from gwsa_qgis.science.bsplines import basis_means
from gwsa_qgis.science.closure import Closure
from gwsa_qgis.science.supports import group_labels, group_means

Fit = Callable[[np.ndarray, np.ndarray], object]
Predict = Callable[[object, np.ndarray], np.ndarray]


class CoarserScale:
    """Deviations of supports from the histospline of groups of supports.

    Parameters
    ----------
    support : ndarray of int, shape (rows, columns)
        Labels 1..n_supports, 0 outside.
    weights : ndarray, broadcastable to (rows, columns)
        Pixel areas, 0 on masked pixels.
    groups : ndarray of int, shape (n_supports,)
        Group 1..n_groups of each support (`supports.group_supports`, `supports.block_groups`).
    knot_spacing : float
        Knot spacing of the groups' histospline in fine pixels: the block's edge for R x R cells, about 0.4 of the pitch
        for groups of mascons.
    """

    def __init__(
        self, support: np.ndarray, weights: np.ndarray, groups: np.ndarray, *, knot_spacing: float
    ) -> None:
        self.groups = np.asarray(groups)
        self._closure = Closure(group_labels(support, self.groups), weights, knot_spacing=knot_spacing)
        self._means, self.areas = basis_means(
            np.asarray(support), weights, self._closure.basis_y, self._closure.basis_x, self.groups.size
        )

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
        of_groups = group_means(values, self.areas, self.groups)
        splines = self._closure.solve(of_groups).spline
        around = (self._means @ splines.reshape(len(splines), -1).T).T
        return np.where(self.areas > 0, values - around, np.nan)

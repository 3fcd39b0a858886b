"""The deviation recipe: learn how supports deviate from the coarser field around them, predict how fine pixels do.

A model of levels spends itself on place and month. Here the target is a support's value minus what the histospline of
groups of supports says there; the inputs are the same deviations of every predictor, their levels and the calendar. At
the fine scale each predictor's deviation is taken from the histospline of its own support means. The predicted detail is
multiplied by a weight from cross-validation that leaves out whole groups, and closed exactly on the supports.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from gwsa_qgis.errors import InvalidParameter, NoUsableData
from gwsa_qgis.science.bsplines import basis_means
from gwsa_qgis.science.closure import Closure
from gwsa_qgis.science.supports import group_labels, group_means

CALENDAR = ("sin_month", "cos_month", "decades")
_EPOCH = np.datetime64("2010-01", "M")


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
    """

    def __init__(
        self, support: np.ndarray, weights: np.ndarray, groups: np.ndarray, *, knot_spacing: float | None = None
    ) -> None:
        self.groups = np.asarray(groups)
        of_groups = group_labels(support, self.groups)
        if knot_spacing is None:
            pixels = np.bincount(of_groups.ravel())[1:]
            knot_spacing = max(1.0, 0.5 * float(np.sqrt(np.median(pixels[pixels > 0]))))
        self._closure = Closure(of_groups, weights, knot_spacing=knot_spacing)
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


@dataclass(frozen=True)
class DetailSamples:
    """Samples to learn detail from: one per support, month and coarser scale that has a target.

    Attributes
    ----------
    x : ndarray of float32, shape (n_samples, n_features)
    y : ndarray of float32, shape (n_samples,)
    support : ndarray of int, shape (n_samples,)
        Index 0..n_supports-1.
    month : ndarray of int, shape (n_samples,)
        Index on the time axis.
    scale : ndarray of int, shape (n_samples,)
        Index of the coarser scale.
    """

    x: np.ndarray
    y: np.ndarray
    support: np.ndarray
    month: np.ndarray
    scale: np.ndarray

    def chosen(self, which: np.ndarray) -> DetailSamples:
        """Samples at a boolean or integer index, for example of one aquifer class."""
        return DetailSamples(*(getattr(self, field.name)[which] for field in fields(self)))


def feature_names(predictors: Sequence[str]) -> list[str]:
    """Names of the columns of x, in order: deviations, levels, calendar."""
    return [f"{name}_deviation" for name in predictors] + list(predictors) + list(CALENDAR)


def calendar_terms(months: np.ndarray) -> np.ndarray:
    """Sine and cosine of the calendar month, and decades since January 2010: shape (n_months, 3).

    The last lets detail that stays put, such as irrigated land, change with the years.
    """
    months = np.asarray(months).astype("datetime64[M]")
    phase = 2 * np.pi * (months.astype(int) % 12 + 1) / 12
    return np.stack([np.sin(phase), np.cos(phase), (months - _EPOCH).astype(int) / 120], axis=1)


def detail_samples(
    scales: Sequence[CoarserScale], levels: np.ndarray, target: np.ndarray, months: np.ndarray
) -> DetailSamples:
    """Training samples from support means.

    Parameters
    ----------
    scales : sequence of CoarserScale
        Smallest groups first. Two or three sizes teach detail of several widths, which carries over better to the fine
        scale (cells: 2, 3 and 4 on a side; mascons: 4, 6 and 9 in a group).
    levels : ndarray, shape (n_predictors, n_months, n_supports)
        Support means of predictors; static ones repeated (or broadcast) over months.
    target : ndarray, shape (n_months, n_supports)
        GWSA of supports in cm; NaN where missing.
    months : ndarray of datetime64[M], shape (n_months,)

    Returns
    -------
    DetailSamples
        Scale after scale, each month by month; samples without a target are left out.

    Raises
    ------
    InvalidParameter
        When shapes disagree.
    NoUsableData
        When no sample is left.
    """
    if levels.shape[1:] != target.shape or len(months) != len(target):
        raise InvalidParameter(
            f"predictors of shape {levels.shape}, a target of shape {target.shape} and {len(months)} months do not fit",
            "give (predictors, months, supports), (months, supports) and (months,)",
        )
    calendar = np.broadcast_to(calendar_terms(months)[:, None], (*target.shape, len(CALENDAR)))
    parts = []
    for number, scale in enumerate(scales):
        actual = scale.deviations(target)
        deviations = np.stack([scale.deviations(level) for level in levels], axis=-1)
        month, support = np.nonzero(np.isfinite(actual))
        x = np.concatenate([deviations, np.moveaxis(levels, 0, -1), calendar], axis=-1)[month, support]
        parts.append(
            (
                x.astype(np.float32),
                actual[month, support].astype(np.float32),
                support,
                month,
                np.full_like(month, number),
            )
        )
    samples = DetailSamples(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    if not samples.y.size:
        raise NoUsableData("no support has a target in any month", "check that the target covers the supports")
    return samples


def window_features(levels: np.ndarray, around: np.ndarray, calendar: np.ndarray) -> np.ndarray:
    """Inputs of fine pixels for one month.

    Parameters
    ----------
    levels : ndarray, shape (n_predictors, rows, columns)
        Predictors in a window of the fine grid.
    around : ndarray, shape (n_predictors, rows, columns)
        Histosplines of their support means: ``closure.evaluate(closure.solve(means), window)``.
    calendar : ndarray, shape (3,)
        Row of `calendar_terms`.

    Returns
    -------
    ndarray of float32, shape (rows * columns, n_features)
    """
    n, *window = levels.shape
    out = np.empty((np.prod(window, dtype=int), 2 * n + len(calendar)), np.float32)
    out[:, :n] = (levels - around).reshape(n, -1).T
    out[:, n : 2 * n] = levels.reshape(n, -1).T
    out[:, 2 * n :] = calendar
    return out

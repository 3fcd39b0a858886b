"""Errors of groundwater storage by source, and what is left of them in a mean.

Two kinds are kept apart. The cell part (GRACE, gap filling, land-surface models) shifts a whole support up or down; it
is what a mean over supports inherits. The within part says how far a pixel may lie from its support's mean; since the map
is closed exactly, it has no mean over a support, and nothing of it enters a mean over whole supports.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.stats import norm

from gwsa_qgis.errors import InvalidParameter


def quadrature(parts: Iterable[np.ndarray | float | None]) -> np.ndarray:
    """Square root of the sum of squares of independent errors; parts that are None do not count, NaN stays NaN."""
    total: np.ndarray | float = 0.0
    for part in parts:
        if part is not None:
            total = total + np.square(np.asarray(part, np.float64))
    return np.sqrt(total)


def normal_factor(level: float) -> float:
    """Half-width, in standard errors, of the interval that holds `level` of a normal distribution.

    Raises
    ------
    InvalidParameter
        If the level is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise InvalidParameter(f"the level is {level}", "give a share between 0 and 1, such as 0.9")
    return float(norm.ppf(0.5 + 0.5 * level))


def half_width(cell: np.ndarray, within: np.ndarray, level: float) -> np.ndarray:
    """Half-width of a pixel's interval: that of the cell part and that of the within part in quadrature.

    Parameters
    ----------
    cell : ndarray
        Standard error of the support's mean, taken to be normal.
    within : ndarray
        Half-width of the interval of the pixel's departure from that mean, at the same level.
    level : float
    """
    return quadrature([normal_factor(level) * np.asarray(cell, np.float64), within])


def error_sums(cell: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """What `mean_error` is made of: sums over known supports of (a s)^2, of a s and of a.

    Those of parts of a map add up to those of the whole.

    Parameters
    ----------
    cell : (..., n_supports)
        Standard errors s of the supports' means; NaN where not known.
    areas : (n_supports,)
        Area a of each within the basin.

    Returns
    -------
    (3, ...)
    """
    known = np.isfinite(cell)
    weighted = np.where(known, cell, 0.0) * areas
    return np.stack([(weighted**2).sum(-1), weighted.sum(-1), (known * areas).sum(-1)])


def mean_error(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standard error of the mean over several whole supports, from its `error_sums`.

    Returns
    -------
    independent, together : (...)
        With errors that are independent from support to support: sqrt(sum (a s)^2) / sum a; and with errors that are the
        same everywhere: sum a s / sum a. The truth lies between. NaN where no support is known.
    """
    squares, weighted, total = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.sqrt(squares) / total, weighted / total


def gap_error(flags: np.ndarray, short: np.ndarray | None, long: np.ndarray | None) -> np.ndarray:
    """Error of gap filling: that of short gaps where the flag is 1, of the long gap where it is 2, else 0.

    Parameters
    ----------
    flags : (..., rows, columns)
        As `fillgaps` writes them; NaN is taken as observed.
    short, long : (rows, columns), optional
        Errors; where one is not given, or has no value, the other stands in for it.
    """
    first = short if short is not None else long
    second = long if long is not None else short
    if first is None or second is None:
        return np.zeros(np.shape(flags))
    first, second = np.where(np.isfinite(first), first, second), np.where(np.isfinite(second), second, first)
    return np.where(flags == 1, first, 0.0) + np.where(flags == 2, second, 0.0)


def carry_over(pixels: np.ndarray, supports: np.ndarray, importances: np.ndarray) -> float:
    """How much larger the variance of detail is for pixels within a support than for supports within their group.

    The target is known on supports alone, but predictors are known on both scales: the factor is the mean of theirs,
    taken of the logarithms and weighted by importance. It holds as far as groundwater varies from scale to scale as what
    drives it does. Pixels are measured from their support's mean, not from the spline through it: where fields are
    smooth, which the spline follows, the factor is too large rather than too small.

    Parameters
    ----------
    pixels : (n_predictors,)
        Variance of pixels about their support's mean.
    supports : (n_predictors,)
        Variance of the supports' deviations on which the model was trained.
    importances : (n_predictors,)
        Not negative.
    """
    usable = (pixels > 0) & (supports > 0) & np.isfinite(pixels) & np.isfinite(supports)
    weights = np.where(usable, importances, 0.0)
    if not weights.sum() > 0:
        weights = usable.astype(float)
    if not weights.sum() > 0:
        return 1.0
    logs = np.log(np.where(usable, pixels, 1.0) / np.where(usable, supports, 1.0))
    return float(np.exp((weights * logs).sum() / weights.sum()))


def left_of_within(share: np.ndarray) -> np.ndarray:
    """How much of the within part is left in the mean over a part of a support.

    Departures from a support's mean add up to nothing over it: the mean over a share f of it is -(1 - f) / f times that
    over the rest. Where pixels all erred alike, the whole within part would be left in a small part, and (1 - f) / f of
    it in one of more than half; nothing is left in the whole. With any other correlation it is less.

    Parameters
    ----------
    share : ndarray
        Share of the support's area that the mean is over.

    Returns
    -------
    ndarray
        Factor on the mean standard error of the departures, 1 to 0.
    """
    share = np.clip(np.asarray(share, np.float64), 1e-12, 1.0)
    return np.minimum(1.0, (1.0 - share) / share)

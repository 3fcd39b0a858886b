"""How sure scores at wells are: intervals by drawing whole blocks of wells, since neighbours are not independent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gwsa_qgis.errors import InvalidParameter

QUANTILES = (0.025, 0.975)
FEWEST_BLOCKS = 5


@dataclass(frozen=True)
class Intervals:
    """95 % intervals of scores, arrays (low, high); NaN with fewer than five blocks.

    Attributes
    ----------
    r2, r, slope, bias, rmse, sign : ndarray, shape (2,)
        Of the scores of `well_scores.Agreement` of that name.
    blocks : int
        Blocks that were drawn from.
    """

    r2: np.ndarray
    r: np.ndarray
    slope: np.ndarray
    bias: np.ndarray
    rmse: np.ndarray
    sign: np.ndarray
    blocks: int


def degree_squares(longitude: np.ndarray, latitude: np.ndarray, degrees: float) -> np.ndarray:
    """Number of the square of degrees x degrees that each place lies in, (n,) int.

    Raises
    ------
    InvalidParameter
        If the size is not positive.
    """
    if not degrees > 0:
        raise InvalidParameter(f"blocks of {degrees:g} degrees were asked for", "give a positive size, such as 2")
    row, column = (np.floor(np.asarray(values) / degrees) for values in (latitude, longitude))
    return np.unique(row * np.ceil(360 / degrees + 1) + column, return_inverse=True)[1].ravel()


def agreement_intervals(
    well: np.ndarray, map_value: np.ndarray, blocks: np.ndarray, *, draws: int = 1000, seed: int = 0
) -> Intervals:
    """Intervals of the agreement of a map with wells, by bootstrap over blocks.

    All scores are functions of sums over wells, so a draw is a sum of the drawn blocks' sums: no score is computed
    anew from the wells.

    Parameters
    ----------
    well, map_value : ndarray, shape (n,) or (n, n_steps)
        Pairs with a NaN are left out; the wells are the reference.
    blocks : ndarray of int, shape (n,)
        Block of each well; with series, all steps of a well belong to its block.
    draws, seed : int
        Draws with replacement (percentile intervals: Efron 1979, doi:10.1214/aos/1176344552; whole blocks, after
        Künsch 1989, doi:10.1214/aos/1176347265).
    """
    well, map_value = np.asarray(well, np.float64), np.asarray(map_value, np.float64)
    block = np.broadcast_to(np.asarray(blocks).reshape(-1, *[1] * (well.ndim - 1)), well.shape)
    both = np.isfinite(well) & np.isfinite(map_value)
    w, m = well[both], map_value[both]
    names, place = np.unique(block[both], return_inverse=True)
    if names.size < FEWEST_BLOCKS:
        return Intervals(*(np.full(2, np.nan) for _ in range(6)), names.size)
    # about the means, so that squares of large levels do not drown the variance
    w0, m0 = w - w.mean(), m - m.mean()
    error = m - w
    terms = (np.ones(w.size), w0, m0, w0**2, m0**2, w0 * m0, error, error**2, np.sign(w) == np.sign(m))
    sums = np.stack([np.bincount(place.ravel(), term) for term in terms])
    drawn = np.random.default_rng(seed).integers(0, names.size, (draws, names.size))
    n, sw, sm, sww, smm, swm, se, see, same = sums[:, drawn].sum(axis=2)
    total, spread, cross = sww - sw**2 / n, smm - sm**2 / n, swm - sw * sm / n
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = (1 - see / total, cross / np.sqrt(total * spread), cross / total, se / n, np.sqrt(see / n), same / n)
    return Intervals(*(_quantiles(values) for values in scores), names.size)


def mean_interval(values: np.ndarray, blocks: np.ndarray, *, draws: int = 1000, seed: int = 0) -> np.ndarray:
    """95 % interval (low, high) of the mean of values at wells, by bootstrap over blocks; NaN values are left out."""
    known = np.isfinite(values)
    names, place = np.unique(np.asarray(blocks)[known], return_inverse=True)
    if names.size < FEWEST_BLOCKS:
        return np.full(2, np.nan)
    sums, counts = np.bincount(place.ravel(), values[known]), np.bincount(place.ravel())
    drawn = np.random.default_rng(seed).integers(0, names.size, (draws, names.size))
    return _quantiles(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1))


def _quantiles(values: np.ndarray) -> np.ndarray:
    finite = values[np.isfinite(values)]
    return np.quantile(finite, QUANTILES) if finite.size else np.full(2, np.nan)

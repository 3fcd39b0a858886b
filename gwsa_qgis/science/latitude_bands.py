"""Latitude bands: area-weighted mean, spread and exact quantiles of values that come in parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gwsa_qgis.errors import InvalidParameter

SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)
HALF = 2**16
# Edges of bands that rounding of headers has moved across a multiple of the height, in bands.
EDGE = 1e-6


def band_numbers(latitudes: np.ndarray, height: float) -> np.ndarray:
    """Number of the band that each latitude lies in: band k reaches from k to k + 1 heights, so that 0 is an edge.

    Parameters
    ----------
    latitudes : ndarray
        Degrees, such as the centres of rows.
    height : float
        Degrees.

    Raises
    ------
    InvalidParameter
        If the height is not above 0 and at most 180 degrees.
    """
    if not 0 < height <= 180:
        raise InvalidParameter(f"the height of a latitude band is {height:g} deg", "give more than 0 and at most 180")
    return np.floor(np.asarray(latitudes, float) / height + EDGE).astype(int)


@dataclass(frozen=True)
class BandFigures:
    """Figures of a band; NaN where it has no value.

    Attributes
    ----------
    mean, deviation : float
        Weighted mean, and weighted standard deviation about it (divided by the sum of the weights).
    quantiles : (n_shares,) float
    weight : float
    count : int
    """

    mean: float
    deviation: float
    quantiles: np.ndarray
    weight: float
    count: int


class BandSums:
    """Weighted mean, standard deviation and quantiles of float32 values, in two passes over their parts.

    All values go through `first`, then all of them again through `second`; `figures` then gives the same as sorting
    all values at once would, with a memory that does not grow with their number. A quantile is the smallest value
    whose weight, together with that of all smaller ones, reaches the share: one of the values, not between two.

    Parameters
    ----------
    shares : sequence of float
        Of the quantiles, above 0 and at most 1.

    Raises
    ------
    InvalidParameter
        If a share is out of bounds.

    Notes
    -----
    Values are ordered by their bits: the first pass counts weights by the upper 16 bits, the second by the lower 16
    bits of those values whose upper bits a quantile has. Weights that are whole numbers add up exactly below 2**53,
    and then quantiles do not depend on how the values are parted.
    """

    def __init__(self, shares: Sequence[float] = SHARES) -> None:
        self.shares = np.asarray(shares, float)
        if not ((self.shares > 0) & (self.shares <= 1)).all():
            raise InvalidParameter(f"the shares of the quantiles are {list(shares)}", "give numbers above 0, at most 1")
        self.count, self._weight, self._total, self._squares = 0, 0.0, 0.0, 0.0
        self._coarse = np.zeros(HALF)
        self._upper: np.ndarray | None = None
        self._fine: dict[int, np.ndarray] = {}

    def first(self, values: np.ndarray, weights: np.ndarray) -> None:
        """Take in values for the first time; NaN is left out, weights broadcast to the values' shape."""
        values, weights = _known(values, weights)
        self.count += values.size
        self._weight += float(weights.sum())
        self._total += float(values.astype(np.float64) @ weights)
        self._coarse += np.bincount(_keys(values) >> 16, weights, HALF)

    def second(self, values: np.ndarray, weights: np.ndarray) -> None:
        """Take in the same values once more."""
        values, weights = _known(values, weights)
        if not values.size:
            return
        if self._upper is None:
            # The first bin with which the weight reaches the share.
            reached = np.cumsum(self._coarse)
            self._upper = np.searchsorted(reached, self.shares * reached[-1])
            self._fine = {int(upper): np.zeros(HALF) for upper in self._upper}
        self._squares += float((values.astype(np.float64) - self._total / self._weight) ** 2 @ weights)
        keys = _keys(values)
        for upper, counts in self._fine.items():
            here = keys >> 16 == upper
            counts += np.bincount(keys[here] & (HALF - 1), weights[here], HALF)

    def figures(self) -> BandFigures:
        """Figures of all values taken in."""
        if not self.count or self._upper is None:
            return BandFigures(np.nan, np.nan, np.full(self.shares.size, np.nan), 0.0, 0)
        reached, keys = np.cumsum(self._coarse), []
        for share, upper in zip(self.shares, self._upper, strict=True):
            counts = self._fine[int(upper)]
            below = reached[upper] - self._coarse[upper]
            lower = int(np.searchsorted(below + np.cumsum(counts), share * reached[-1]))
            if lower == HALF:  # weights that are no whole numbers, rounded at the end of the bin
                lower = int(np.flatnonzero(counts)[-1])
            keys.append((int(upper) << 16) | lower)
        quantiles = _values(np.array(keys, np.uint32)).astype(np.float64)
        mean, deviation = self._total / self._weight, np.sqrt(self._squares / self._weight)
        return BandFigures(mean, float(deviation), quantiles, self._weight, self.count)


def _known(values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values = np.asarray(values, np.float32)
    valid = np.isfinite(values)
    return values[valid], np.broadcast_to(np.asarray(weights, np.float64), values.shape)[valid]


def _keys(values: np.ndarray) -> np.ndarray:
    """Whole numbers (uint32) in the order of float32 values; -0 is taken for 0."""
    bits = (values + np.float32(0)).view(np.uint32)
    return np.where(bits >> 31, ~bits, bits | np.uint32(2**31))


def _values(keys: np.ndarray) -> np.ndarray:
    """The float32 values of keys."""
    return np.where(keys >> 31, keys & np.uint32(2**31 - 1), ~keys).astype(np.uint32).view(np.float32)

"""Field significance: which of many local p values count when so many are looked at (Benjamini and Hochberg, 1995).

At p < 0.05 one map pixel in twenty is "significant" where nothing happens at all. Benjamini and Hochberg's threshold
keeps the expected share of false ones among all that are called significant below alpha.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from gwsa_qgis.errors import InvalidParameter

HALF_BITS = 16
PREFIXES_AT_ONCE = 16


@dataclass(frozen=True)
class FieldSignificance:
    """Result of the Benjamini-Hochberg procedure.

    Attributes
    ----------
    threshold : float
        Significant are the p values up to and including this one; NaN where none is.
    significant : int
        How many are.
    tested : int
        How many p values there were, without NaN.
    """

    threshold: float
    significant: int
    tested: int

    def mask(self, p_values: np.ndarray) -> np.ndarray:
        """Which p values are significant (bool, of their shape; False for NaN)."""
        with np.errstate(invalid="ignore"):
            return np.asarray(p_values) <= self.threshold


def field_significance(p_values: np.ndarray, alpha: float = 0.05) -> FieldSignificance:
    """Threshold below which p values are significant at a false discovery rate.

    Parameters
    ----------
    p_values : ndarray
        p values of any shape; NaN is NoData and not counted.
    alpha : float
        False discovery rate.

    Returns
    -------
    FieldSignificance
        Its `mask` equals the rejections of ``statsmodels.stats.multitest.multipletests(..., method="fdr_bh")``.

    Raises
    ------
    InvalidParameter
        If alpha or a p value is not between 0 and 1.

    References
    ----------
    Benjamini and Hochberg (1995), doi:10.1111/j.2517-6161.1995.tb02031.x; for maps: Wilks (2016),
    doi:10.1175/BAMS-D-15-00267.1, who finds it valid under spatial correlation.
    """
    _check_alpha(alpha)
    valid = _valid(p_values)
    ordered = np.sort(valid[valid <= alpha])
    passed = np.flatnonzero(ordered <= np.arange(1, ordered.size + 1) / max(valid.size, 1) * alpha)
    if passed.size == 0:
        return FieldSignificance(np.nan, 0, valid.size)
    return FieldSignificance(float(ordered[passed[-1]]), int(passed[-1]) + 1, valid.size)


def adjusted_p_values(p_values: np.ndarray) -> np.ndarray:
    """The p values adjusted by Benjamini and Hochberg: the smallest false discovery rate that each passes.

    Parameters
    ----------
    p_values : ndarray
        p values of any shape; NaN stays NaN and is not counted.

    Returns
    -------
    ndarray, float64, of the same shape
        Equal to ``statsmodels.stats.multitest.multipletests(..., method="fdr_bh")[1]``.

    Raises
    ------
    InvalidParameter
        If a p value is not between 0 and 1.
    """
    p_values = np.asarray(p_values, np.float64)
    valid = _valid(p_values)
    order = np.argsort(valid)
    scaled = valid[order] / (np.arange(1, valid.size + 1) / max(valid.size, 1))
    adjusted = np.empty_like(valid)
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    result = np.full(p_values.shape, np.nan)
    result[np.isfinite(p_values)] = adjusted
    return result


class PValueTally:
    """Counts of the p values of a map that is read window by window, for its exact threshold in bounded memory.

    The p values are taken as float32, as maps hold them. The bits of a float32 that is not negative are in the order
    of its value: values are counted by the upper 16 bits, and those few counts where the threshold may lie are then
    counted again by the lower 16 bits.

    Examples
    --------
    >>> tally = PValueTally()
    >>> windows = [np.array([0.001, 0.9]), np.array([0.02, np.nan])]
    >>> for window in windows:
    ...     tally.add(window)
    >>> tally.threshold(0.05, lambda: windows).significant
    2
    """

    def __init__(self) -> None:
        self._counts = np.zeros(1 << HALF_BITS, np.int64)

    def add(self, p_values: np.ndarray) -> None:
        """Count the p values of a window; NaN is NoData.

        Raises
        ------
        InvalidParameter
            If a p value is not between 0 and 1.
        """
        self._counts += np.bincount(_bits(p_values) >> HALF_BITS, minlength=self._counts.size)

    def threshold(self, alpha: float, again: Callable[[], Iterable[np.ndarray]]) -> FieldSignificance:
        """Threshold of all p values counted; the result is that of `field_significance` on their float32 values.

        Parameters
        ----------
        alpha : float
            False discovery rate.
        again : callable
            Gives the p values of all windows again, in any order. It is called once, or not at all where no p value
            can be significant; more often only where more than 16 counts are in question.

        Raises
        ------
        InvalidParameter
            If alpha is not between 0 and 1.
        """
        _check_alpha(alpha)
        tested = int(self._counts.sum())
        up_to = self._counts.cumsum()
        prefixes = np.flatnonzero(self._counts)
        smallest = (prefixes.astype(np.uint32) << HALF_BITS).view(np.float32).astype(np.float64)
        # No value of a count can pass when the smallest one it may hold does not with all of the count.
        possible = prefixes[smallest <= up_to[prefixes] / max(tested, 1) * alpha][::-1]
        for start in range(0, possible.size, PREFIXES_AT_ONCE):
            wanted = possible[start : start + PREFIXES_AT_ONCE]
            for prefix, counts in zip(wanted, _count_lower_bits(wanted, again()), strict=True):
                lower = np.flatnonzero(counts)
                values = (lower.astype(np.uint32) + np.uint32(prefix << HALF_BITS)).view(np.float32).astype(np.float64)
                rank = up_to[prefix] - self._counts[prefix] + counts.cumsum()[lower]
                passed = np.flatnonzero(values <= rank / tested * alpha)
                if passed.size:
                    return FieldSignificance(float(values[passed[-1]]), int(rank[passed[-1]]), tested)
        return FieldSignificance(np.nan, 0, tested)


def _count_lower_bits(prefixes: np.ndarray, windows: Iterable[np.ndarray]) -> np.ndarray:
    """Counts by the lower 16 bits of the values with given upper 16 bits, shape (n_prefixes, 65536)."""
    counts = np.zeros((prefixes.size, 1 << HALF_BITS), np.int64)
    place = np.full(1 << HALF_BITS, -1)
    place[prefixes] = np.arange(prefixes.size)
    for window in windows:
        bits = _bits(window)
        row = place[bits >> HALF_BITS]
        flat = (row << HALF_BITS) + (bits & ((1 << HALF_BITS) - 1))
        values, repeats = np.unique(flat[row >= 0], return_counts=True)
        counts.reshape(-1)[values] += repeats
    return counts


def _bits(p_values: np.ndarray) -> np.ndarray:
    # Adding zero turns a negative zero into zero.
    return (_valid(p_values).astype(np.float32) + np.float32(0)).view(np.uint32).astype(np.int64)


def _valid(p_values: np.ndarray) -> np.ndarray:
    p_values = np.asarray(p_values)
    valid = p_values[~np.isnan(p_values)]
    if valid.size and not (valid.min() >= 0 and valid.max() <= 1):
        raise InvalidParameter(
            f"there is a p value of {valid.min() if valid.min() < 0 else valid.max()}", "give p values from 0 to 1"
        )
    return valid


def _check_alpha(alpha: float) -> None:
    if not 0.0 < alpha < 1.0:
        raise InvalidParameter(f"the false discovery rate is {alpha}", "give a number between 0 and 1, such as 0.05")

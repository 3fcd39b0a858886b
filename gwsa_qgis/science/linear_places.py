"""The linear part of the detail at places of which most predictors stay as they are, month after month.

What they add to the detail is linear in the calendar terms, so that it is summed up once for all months.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gwsa_qgis.science.linear_detail import LinearDetail

_PLACES_AT_ONCE = 8192  # what is computed on the way stays in the processor's cache


class LinearPlaces:
    """Linear detail of places, to be asked for month by month.

    Parameters
    ----------
    linear : LinearDetail
    classes : (n,) int
        Class of each place.
    lasting : mapping of int to (deviation, level), each (n,) float32
        Predictors that are the same in all months, by their number.

    Notes
    -----
    Gives what `LinearDetail.predict` gives for the same rows, but for rounding. A place's value does not depend on the
    others.
    """

    def __init__(
        self, linear: LinearDetail, classes: np.ndarray, lasting: Mapping[int, tuple[np.ndarray, np.ndarray]]
    ) -> None:
        self._linear = linear
        self._moving = [p for p in range(linear.n_predictors) if p not in lasting]
        self._index = linear.class_index(classes)
        shared = linear.coefficients.shape[1] - 1 - len(linear.classes)
        self._calendar = linear.coefficients[:, 1:shared]
        # slope that a deviation has in each class, the last one being those that are not known; and with the level
        of_class = np.append(linear.coefficients[:, shared + 1 :], np.zeros((linear.n_predictors, 1)), axis=1)
        self._of_class, self._of_level = of_class + linear.coefficients[:, :1], linear.coefficients[:, shared]
        self._lasting = np.zeros((shared, classes.size))
        for p, (deviation, level) in lasting.items():
            for places in _parts(classes.size):
                cut = self._cut(p, deviation[places]).astype(np.float64)
                self._lasting[0, places] += self._slope(p, level[places], self._of_class[p], places) * cut
                for sums, coefficient in zip(self._lasting[1:], self._calendar[p], strict=True):
                    sums[places] += cut * coefficient

    def predict(self, deviations: Sequence[np.ndarray], levels: Sequence[np.ndarray], terms: np.ndarray) -> np.ndarray:
        """Detail of a month, (n,) float64; NaN where a predictor is.

        Parameters
        ----------
        deviations, levels : sequence of (n,) float32
            Predictors that change from month to month, in their order.
        terms : (n_calendar,)
            Calendar terms of the month.
        """
        out = self._lasting[0].copy()
        for sums, term in zip(self._lasting[1:], terms, strict=True):
            out += sums * float(term)
        slopes = [self._of_class[p] + self._calendar[p] @ terms.astype(np.float64) for p in self._moving]
        for places in _parts(out.size):
            for p, of_class, deviation, level in zip(self._moving, slopes, deviations, levels, strict=True):
                slope = self._slope(p, level[places], of_class, places)
                out[places] += np.multiply(slope, self._cut(p, deviation[places]), out=slope)
        return out

    def _slope(self, p: int, level: np.ndarray, of_class: np.ndarray, places: slice) -> np.ndarray:
        """What a unit of deviation adds, but for the calendar where it is not in `of_class`."""
        standard = np.subtract(level, self._linear.centre[p], dtype=np.float64)
        standard /= self._linear.width[p]
        # in half the digits, a third of the time
        slope = np.multiply(
            np.tanh(standard, dtype=np.float32, casting="same_kind"), self._of_level[p], dtype=np.float64
        )
        slope += of_class[self._index[places]]
        return slope

    def _cut(self, p: int, deviation: np.ndarray) -> np.ndarray:
        limit = np.float32(self._linear.limit[p])
        return np.minimum(np.maximum(deviation, -limit), limit)


def _parts(n: int) -> list[slice]:
    return [slice(start, min(start + _PLACES_AT_ONCE, n)) for start in range(0, n, _PLACES_AT_ONCE)]

"""The linear part of the detail at places of which most predictors stay as they are, month after month.

What they add to the detail is linear in the calendar terms, so that it is summed up once for all months.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gwsa_qgis.science.linear_detail import LinearDetail

_PLACES_AT_ONCE = 16384  # what is computed on the way stays in the processor's cache


class LinearPlaces:
    """Linear detail of places, to be asked for month by month.

    Parameters
    ----------
    linear : LinearDetail
    classes : (n,) int
        Class of each place; quickest where the places of a class lie together.
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
        self._runs = _runs(linear.class_index(classes))
        shared = linear.coefficients.shape[1] - 1 - len(linear.classes)
        self._calendar = linear.coefficients[:, 1:shared]
        # slope that a deviation has in each class, the last one being those that are not known; and with the level
        of_class = np.append(linear.coefficients[:, shared + 1 :], np.zeros((linear.n_predictors, 1)), axis=1)
        self._of_class, self._of_level = of_class + linear.coefficients[:, :1], linear.coefficients[:, shared]
        self._lasting = np.zeros((shared, classes.size))
        work = _Work()
        for p, (deviation, level) in lasting.items():
            work.limit_to(linear.limit[p])
            for places, number in self._runs:
                slope = self._slope(work, p, level[places], self._of_class[p, number])
                cut = work.cut(deviation[places])
                self._lasting[0, places] += np.multiply(slope, cut, out=slope)
                for sums, coefficient in zip(self._lasting[1:], self._calendar[p], strict=True):
                    sums[places] += np.multiply(cut, coefficient, out=slope, dtype=np.float64)

    def predict(self, deviations: Sequence[np.ndarray], levels: Sequence[np.ndarray], terms: np.ndarray) -> np.ndarray:
        """Detail of a month, (n,) float64; NaN where a predictor is.

        Parameters
        ----------
        deviations, levels : sequence of (n,) float32
            Predictors that change from month to month, in their order.
        terms : (n_calendar,)
            Calendar terms of the month.
        """
        out = np.empty(self._lasting.shape[1])
        work = _Work()
        terms = terms.astype(np.float64)
        for places, _ in self._runs:
            part, product = out[places], work.exact[: places.stop - places.start]
            part[:] = self._lasting[0, places]
            for sums, term in zip(self._lasting[1:, places], terms, strict=True):
                part += np.multiply(sums, term, out=product)
        for p, deviation, level in zip(self._moving, deviations, levels, strict=True):
            of_class = self._of_class[p] + self._calendar[p] @ terms
            work.limit_to(self._linear.limit[p])
            for places, number in self._runs:
                slope = self._slope(work, p, level[places], of_class[number])
                out[places] += np.multiply(slope, work.cut(deviation[places]), out=slope)
        return out

    def _slope(self, work: _Work, p: int, level: np.ndarray, of_class: float) -> np.ndarray:
        """What a unit of deviation adds, but for the calendar where it is not in `of_class`."""
        slope, tanh = work.exact[: level.size], work.half[: level.size]
        np.subtract(level, self._linear.centre[p], out=slope, dtype=np.float64)
        # in half the digits, a third of the time
        np.multiply(slope, 1 / self._linear.width[p], out=tanh, casting="same_kind", dtype=np.float64)
        np.tanh(tanh, out=tanh)
        np.multiply(tanh, self._of_level[p], out=slope, dtype=np.float64)
        slope += of_class
        return slope


class _Work:
    """Memory for what is computed on the way."""

    def __init__(self) -> None:
        self.exact = np.empty(_PLACES_AT_ONCE)
        self.half, self._least, self._most = np.empty((3, _PLACES_AT_ONCE), np.float32)

    def limit_to(self, limit: float) -> None:
        """Cut at a limit from now on."""
        self._least.fill(-limit)
        self._most.fill(limit)

    def cut(self, deviation: np.ndarray) -> np.ndarray:
        """Deviations cut at the limit, float32."""
        n = deviation.size
        # numpy compares two arrays three times as fast as an array and a number
        found = np.minimum(deviation, self._most[:n], out=self.half[:n])
        return np.maximum(found, self._least[:n], out=found)


def _runs(index: np.ndarray) -> list[tuple[slice, int]]:
    """Successive places of one class, at most so many at once, and the class's number."""
    edges = [0, *(np.flatnonzero(np.diff(index)) + 1).tolist(), index.size]
    return [
        (slice(start, min(start + _PLACES_AT_ONCE, stop)), int(index[first]))
        for first, stop in zip(edges[:-1], edges[1:], strict=True)
        for start in range(first, stop, _PLACES_AT_ONCE)
    ]

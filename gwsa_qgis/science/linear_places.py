"""The linear part of the detail at places of which most predictors stay as they are, month after month.

What they add to the detail is linear in the calendar terms, so that it is summed up once for all months.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gwsa_qgis.science.linear_detail import LinearDetail

_PLACES_AT_ONCE = 32768  # what is computed on the way stays in the processor's cache


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
    Gives what `LinearDetail.predict` gives for the same rows, but for the rounding of float32: half the memory to pass
    through, and half the time. A place's value does not depend on the others.
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
        self._lasting = np.zeros((shared, classes.size), np.float32)
        work = _Work()
        for p, (deviation, level) in lasting.items():
            work.limit_to(linear.limit[p])
            for places, number in self._runs:
                cut = work.cut(deviation[places])
                slope = self._slope(work, p, level[places], self._of_class[p, number])
                self._lasting[0, places] += np.multiply(slope, cut, out=slope)
                for sums, coefficient in zip(self._lasting[1:], self._calendar[p].tolist(), strict=True):
                    sums[places] += np.multiply(cut, coefficient, out=slope)

    def predict(self, deviations: Sequence[np.ndarray], levels: Sequence[np.ndarray], terms: np.ndarray) -> np.ndarray:
        """Detail of a month, (n,) float32; NaN where a predictor is.

        Parameters
        ----------
        deviations, levels : sequence of (n,) float32
            Predictors that change from month to month, in their order.
        terms : (n_calendar,)
            Calendar terms of the month.
        """
        out = self._lasting[0].copy()
        work = _Work()
        of_class = self._of_class + (self._calendar @ terms.astype(np.float64))[:, None]
        for places, _ in self._runs:
            sums, product = out[places], work.slope[: places.stop - places.start]
            for lasting, term in zip(self._lasting[1:, places], terms.tolist(), strict=True):
                sums += np.multiply(lasting, term, out=product)
        for p, deviation, level in zip(self._moving, deviations, levels, strict=True):
            work.limit_to(self._linear.limit[p])
            for places, number in self._runs:
                cut = work.cut(deviation[places])
                slope = self._slope(work, p, level[places], of_class[p, number])
                out[places] += np.multiply(slope, cut, out=slope)
        return out

    def _slope(self, work: _Work, p: int, level: np.ndarray, of_class: float) -> np.ndarray:
        """What a unit of deviation adds, but for the calendar where it is not in `of_class`."""
        slope = np.subtract(level, float(self._linear.centre[p]), out=work.slope[: level.size])
        slope *= float(1 / self._linear.width[p])
        np.tanh(slope, out=slope)
        slope *= float(self._of_level[p])
        slope += float(of_class)
        return slope


class _Work:
    """Memory for what is computed on the way."""

    def __init__(self) -> None:
        self.slope, self._cut, self._least, self._most = np.empty((4, _PLACES_AT_ONCE), np.float32)

    def limit_to(self, limit: float) -> None:
        """Cut at a limit from now on."""
        self._least.fill(-limit)
        self._most.fill(limit)

    def cut(self, deviation: np.ndarray) -> np.ndarray:
        """Deviations cut at the limit."""
        n = deviation.size
        # numpy compares two arrays three times as fast as an array and a number
        found = np.minimum(deviation, self._most[:n], out=self._cut[:n])
        return np.maximum(found, self._least[:n], out=found)


def _runs(index: np.ndarray) -> list[tuple[slice, int]]:
    """Successive places of one class, at most so many at once, and the class's number."""
    edges = [0, *(np.flatnonzero(np.diff(index)) + 1).tolist(), index.size]
    return [
        (slice(start, min(start + _PLACES_AT_ONCE, stop)), int(index[first]))
        for first, stop in zip(edges[:-1], edges[1:], strict=True)
        for start in range(first, stop, _PLACES_AT_ONCE)
    ]

"""How far several models of one quantity lie apart: an estimate of its uncertainty."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

FEWEST_MODELS = 2


def model_spread(values: Sequence[np.ndarray], references: Sequence[np.ndarray]) -> np.ndarray:
    """Standard deviation between models (n - 1) of the anomalies to each model's own reference.

    Models differ by constants that no anomaly feels (depth of soil, wilting point): these are taken away first.

    Parameters
    ----------
    values : sequence of ndarray, shape (...)
        One month of each model; NaN where it has none.
    references : sequence of ndarray, shape (...)
        Mean of each model over the same months of a baseline.

    Returns
    -------
    ndarray, shape (...)
        In the unit of the values; NaN where fewer than two models have an anomaly.
    """
    anomalies = np.stack([np.asarray(v, float) - r for v, r in zip(values, references, strict=True)])
    there = np.isfinite(anomalies)
    count = there.sum(axis=0)
    enough = count >= FEWEST_MODELS
    mean = np.where(there, anomalies, 0.0).sum(axis=0) / np.maximum(count, 1)
    squares = np.where(there, (anomalies - mean) ** 2, 0.0).sum(axis=0)
    return np.where(enough, np.sqrt(squares / np.maximum(count - 1, 1)), np.nan)


def model_mean(values: Sequence[np.ndarray]) -> np.ndarray:
    """Mean of models; NaN where one of them has none, so that no value changes its make-up from month to month."""
    return np.mean(np.stack([np.asarray(v, float) for v in values]), axis=0)


class RunningMean:
    """Mean over months of maps that come one by one, cell by cell over the months that have a value."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._total, self._count = np.zeros(shape), np.zeros(shape, np.int32)

    def add(self, values: np.ndarray) -> None:
        """Take a month into account."""
        valid = np.isfinite(values)
        self._total += np.where(valid, values, 0.0)
        self._count += valid

    def mean(self) -> np.ndarray:
        """Mean of each cell; NaN where no month has a value."""
        missing = np.full(self._total.shape, np.nan)
        return np.divide(self._total, self._count, out=missing, where=self._count > 0)

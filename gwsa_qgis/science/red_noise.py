"""Red noise: series that remember the value before, for the sample region and for simulations."""

from __future__ import annotations

import numpy as np


def autoregressive(steps: np.ndarray, correlation: float, *, stationary: bool = False, axis: int = -1) -> np.ndarray:
    """First-order autoregressive series: each value is its step and the correlation times the value before.

    Parameters
    ----------
    steps : ndarray
        What comes anew at each time, independent of each other.
    correlation : float
        Of neighbours in time, between -1 and 1.
    stationary : bool
        Whether the first value varies as all others do; otherwise it is its step, and the variance grows to that of the
        steps / (1 - correlation^2) from there.
    axis : int
        Axis of time.

    Returns
    -------
    ndarray of float64
        Of the shape of the steps.
    """
    series = np.array(steps, np.float64)
    by_time = np.moveaxis(series, axis, 0)
    if stationary:
        by_time[0] /= np.sqrt(1 - correlation**2)
    for t in range(1, len(by_time)):
        by_time[t] += correlation * by_time[t - 1]
    return series


def red_series(generator: np.random.Generator, shape: tuple[int, ...], correlation: float) -> np.ndarray:
    """Gaussian first-order autoregressive series along the first axis, unit variance."""
    steps = generator.standard_normal(shape)
    steps[1:] *= np.sqrt(1 - correlation**2)
    return autoregressive(steps, correlation, axis=0)

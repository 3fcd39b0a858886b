"""Red noise for tests of trends."""

from collections.abc import Callable

import numpy as np
import pytest

from gwsa_qgis.science.red_noise import autoregressive


@pytest.fixture(scope="session")
def red_noise() -> Callable[[float, int, int, int], np.ndarray]:
    """Stationary series (n_series, n_months) of a correlation, whose steps have unit variance."""

    def draw(phi: float, n_series: int, n_months: int, seed: int) -> np.ndarray:
        steps = np.random.default_rng(seed).normal(size=(n_series, n_months))
        return autoregressive(steps, phi, stationary=True)

    return draw

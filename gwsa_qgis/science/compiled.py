"""Whether the counting of pairs runs compiled. It is optional: numba makes it faster, and never another result.

Compiling takes some seconds in each process, and nothing is kept on the disk: it begins when so many series have been
worked on that it pays.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SERIES_THAT_PAY = 100_000


class _Kernels:
    """The compiled module once there is one, and how many series were worked on without it."""

    def __init__(self) -> None:
        self.module: ModuleType | None = None
        self.allowed = True
        self.tried = False
        self.series = 0
        self.lock = threading.Lock()


_state = _Kernels()


def kernels(n_series: int = 0) -> ModuleType | None:
    """The compiled functions, `gwsa_qgis.science.trend_kernels`, where they are ready; None where numpy has to do.

    Parameters
    ----------
    n_series : int
        How many series are about to be worked on. When their sum makes compiling worth its time, this call compiles;
        other threads go on with numpy meanwhile.
    """
    if not _state.allowed:
        return None
    _state.series += n_series
    if _state.series >= SERIES_THAT_PAY and not _state.tried:
        prepare()
    return _state.module


def prepare() -> bool:
    """Compile now, unless that was tried before; returns whether compiled functions are there."""
    if _state.tried or not _state.lock.acquire(blocking=False):
        return _state.module is not None
    try:
        # Whatever keeps numba from working - not there, another numpy than it knows, no compiler for this machine -
        # costs time only.
        with suppress(Exception):
            _state.module = _compile()
    finally:
        _state.tried = True
        _state.lock.release()
    return _state.module is not None


@contextmanager
def without_compiling() -> Iterator[None]:
    """Use numpy only, in all threads, for comparisons."""
    allowed, _state.allowed = _state.allowed, False
    try:
        yield
    finally:
        _state.allowed = allowed


def _compile() -> ModuleType | None:
    import numpy as np
    from numba import config

    if config.DISABLE_JIT:
        return None
    from gwsa_qgis.science import trend_kernels

    # With the types that they are called with, so that nothing is compiled later.
    trend_kernels.count_inversions(np.zeros((3, 8), np.int16))
    trend_kernels.pairs_between(*np.zeros((2, 3, 8), np.int16), 8)
    trend_kernels.count_pairs(np.zeros((1, 3)))
    return trend_kernels

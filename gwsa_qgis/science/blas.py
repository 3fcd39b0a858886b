"""Threads of the linear algebra library, held at one where many small problems are solved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_LOCK = Lock()
_HELD: list = []  # the limit in force, once for each context that is open


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let BLAS and LAPACK use one thread in this context, where threadpoolctl is installed.

    A 48 x 48 eigenproblem is too small to share: with two threads each waits for the other, and a batch takes up to
    three times as long. Without threadpoolctl nothing changes but the speed. The limit holds for the whole process, so
    that of several contexts at once the first sets it and the last lifts it.
    """
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        yield
        return
    with _LOCK:
        if not _HELD:
            _take_control()
        _HELD.append(_HELD[-1] if _HELD else threadpool_limits(limits=1, user_api="blas"))
    try:
        yield
    finally:
        with _LOCK:
            limit = _HELD.pop()
            if not _HELD:
                _take_control()
                limit.restore_original_limits()
                _take_control()


def _take_control() -> None:
    """Let the thread that asks next set the limits of OpenBLAS.

    Newer versions of threadpoolctl listen to the first thread only, and say nothing to others: a limit would not hold in
    the threads of QGIS, or would stay when the first thread is not the last.
    """
    import threadpoolctl

    controller = getattr(threadpoolctl, "OpenBLASController", None)
    if hasattr(controller, "clear_controlling_thread"):
        controller.clear_controlling_thread(force=True)

"""Threads of the linear algebra library, held at one where many small problems are solved."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext


def one_blas_thread() -> AbstractContextManager:
    """Return a context in which BLAS and LAPACK use one thread, where threadpoolctl is installed.

    A 48 x 48 eigenproblem is too small to share: with two threads each waits for the other, and a batch takes up to
    three times as long. Without threadpoolctl nothing changes but the speed.
    """
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return nullcontext()
    return threadpool_limits(limits=1, user_api="blas")

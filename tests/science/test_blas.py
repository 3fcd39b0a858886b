"""One thread of the linear algebra library, in contexts that overlap."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from gwsa_qgis.science.blas import one_blas_thread

threadpoolctl = pytest.importorskip("threadpoolctl")


def threads():
    np.ones((2, 2)) @ np.ones((2, 2))
    return {info["num_threads"] for info in threadpoolctl.threadpool_info() if info["user_api"] == "blas"}


def test_the_last_context_lifts_what_the_first_has_set():
    """Contexts of several threads close in any order: none may lift the limit under another, or leave it behind."""
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = threads()
        first, second = one_blas_thread(), one_blas_thread()
        first.__enter__()
        second.__enter__()
        assert threads() == {1}
        first.__exit__(None, None, None)
        assert threads() == {1}
        second.__exit__(None, None, None)
        assert threads() == before
        with pytest.raises(ZeroDivisionError), one_blas_thread():
            raise ZeroDivisionError
        assert threads() == before


def test_it_holds_in_every_thread_and_is_lifted_by_any():
    """Newer versions of threadpoolctl listen to one thread only, and ignore the others without a word."""

    def held():
        with one_blas_thread():
            return threads()

    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = threads()
        with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
            assert held() == one.submit(held).result() == other.submit(held).result() == {1}
            context = one_blas_thread()
            one.submit(context.__enter__).result()
            assert threads() == {1}
            other.submit(context.__exit__, None, None, None).result()
            assert threads() == before
            assert held() == {1}
        assert threads() == before

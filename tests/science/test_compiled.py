"""Compiled counting: the same results to the bit, only when it pays, and never missed where numba is not there."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from gwsa_qgis.science import compiled
from gwsa_qgis.science.trend import CORRECTIONS, deseasonalise, mann_kendall, theil_sen


def series_of(kind, n_series=400, n_months=225):
    rng = np.random.default_rng(len(kind))
    series = rng.normal(size=(n_series, n_months)).cumsum(axis=1) + 3 * np.sin(np.arange(n_months) * np.pi / 6)
    if kind == "ties":
        series = np.round(series, 0)
    if kind == "holes":
        series[rng.random(series.shape) < 0.1] = np.nan
    if kind == "outliers":
        series = rng.standard_t(1.2, size=series.shape)
    if kind == "equal slopes":
        series[:, 20:] = np.round(series[:, 20:] / 50)
    return series


def everything(series):
    """Slope, intercept and limits, and all figures of all corrections."""
    line = theil_sen(series, confidence=0.9)
    tests = [mann_kendall(series, correction, slope=line.slope) for correction in CORRECTIONS]
    fields = ("s", "var_s", "z", "p", "tau", "variance_factor", "p_plain", "slope")
    figures = [getattr(test, name) for test in tests for name in fields]
    return np.array([line.slope, line.intercept, line.lower, line.upper, *figures])


@pytest.fixture
def state(monkeypatch):
    """As in a new process."""
    fresh = compiled._Kernels()
    monkeypatch.setattr(compiled, "_state", fresh)
    return fresh


@pytest.fixture
def ready(state):
    pytest.importorskip("numba")
    assert compiled.prepare()
    return state


@pytest.mark.parametrize("n_months", [225, 300])
@pytest.mark.parametrize("kind", ["walk", "ties", "holes", "outliers", "equal slopes"])
def test_same_results_to_the_bit(kind, n_months, ready):
    series = series_of(kind, n_months=n_months)
    with compiled.without_compiling():
        assert compiled.kernels() is None
        expected = everything(series)
    assert compiled.kernels() is not None
    np.testing.assert_array_equal(everything(series), expected)


def test_float32_stack_and_threads_give_the_same(ready):
    series = series_of("holes", 3000).astype(np.float32)
    with compiled.without_compiling():
        expected = theil_sen(deseasonalise(series)).slope
    with ThreadPoolExecutor(4) as threads:
        parts = list(threads.map(lambda part: theil_sen(deseasonalise(part)).slope, np.array_split(series, 7)))
    np.testing.assert_array_equal(np.concatenate(parts), expected)


def test_nothing_is_compiled_after_preparing(ready):
    module = compiled.kernels()
    before = [len(f.signatures) for f in (module.count_inversions, module.pairs_between, module.count_pairs)]
    everything(series_of("holes", 50))
    everything(series_of("walk", 50).astype(np.float32))
    after = [len(f.signatures) for f in (module.count_inversions, module.pairs_between, module.count_pairs)]
    assert after == before


def test_few_series_do_not_compile_and_many_do(state, monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.setattr(compiled, "SERIES_THAT_PAY", 900)
    series = series_of("walk", 300)
    theil_sen(series, confidence=None)
    assert compiled.kernels() is None
    assert not state.tried
    mann_kendall(series, "none", slope=np.zeros(300))
    theil_sen(series, confidence=None)
    assert compiled.kernels() is not None


@pytest.mark.parametrize("broken", ["absent", "does not know this numpy", "switched off"])
def test_without_numba_numpy_does(state, monkeypatch, broken):
    if broken == "absent":
        monkeypatch.setitem(sys.modules, "numba", None)
    elif broken == "switched off":
        config = pytest.importorskip("numba").config
        monkeypatch.setattr(config, "DISABLE_JIT", 1)
    else:
        monkeypatch.delitem(sys.modules, "numba", raising=False)
        monkeypatch.setattr(compiled, "_compile", lambda: (_ for _ in ()).throw(SystemError("numpy is too new")))
    assert not compiled.prepare()
    assert compiled.kernels(10**9) is None
    slope = theil_sen(np.arange(120.0)[None] * 0.5).slope
    np.testing.assert_array_equal(slope, [0.5])


def test_a_second_thread_does_not_wait_for_the_compiler(state, monkeypatch):
    entered = []

    def compile_slowly():
        with ThreadPoolExecutor(1) as other:
            entered.append(other.submit(compiled.kernels, 10**9).result(timeout=10))
        return sys

    monkeypatch.setattr(compiled, "_compile", compile_slowly)
    assert compiled.kernels(10**9) is sys
    assert entered == [None]

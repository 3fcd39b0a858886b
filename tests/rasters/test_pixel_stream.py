"""Streams of series: what is computed does not depend on windows or threads, and stopping is quick."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.pixel_stream import PixelStream
from gwsa_qgis.rasters.windows import Window, plan_windows
from gwsa_qgis.threads import read_ahead

GRID = Grid(0, 0, 1, 1, 37, 23)


@pytest.fixture(scope="module")
def values():
    random = np.random.default_rng(0)
    values = random.normal(size=(9, *GRID.shape)).astype(np.float32)
    values[:, 5:9, 3:30] = np.nan
    values[:5, 0] = np.nan  # too few months
    values[:2, 12] = np.nan
    return values


def make(values, at_once=16, compute=None):
    def means(series):
        with np.errstate(invalid="ignore"):
            return np.stack([np.nanmean(series, axis=1), np.isfinite(series).sum(axis=1)])

    return PixelStream(lambda w: values[(slice(None), *w.slices)].copy(), compute or means, 2, 5, at_once)


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("cells", [1, 37, 200, 10_000])
def test_layers_are_those_of_the_whole_map(values, workers, cells):
    windows = plan_windows(GRID, 1e6 / cells, memory_mb=1)
    done, out = [], np.zeros((2, *GRID.shape), np.float32)
    progress = Reporter(lambda fraction, message: done.append(fraction))
    seen = []
    for window, layers in make(values).run(windows, workers=workers, progress=progress):
        out[(slice(None), *window.slices)] = layers
        seen.append(window)
    assert seen == windows
    enough = np.isfinite(values).sum(axis=0) >= 5
    expected = np.where(enough, np.nanmean(np.where(enough, values, 0), axis=0), np.nan)
    np.testing.assert_allclose(out[0], expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(out[1], np.where(enough, np.isfinite(values).sum(axis=0), np.nan))
    assert done[-1] == 1 and done == sorted(done)


def test_no_more_than_the_series_asked_for_are_computed_at_once(values):
    sizes = []

    def compute(series):
        sizes.append(len(series))
        return np.zeros((2, len(series)))

    list(make(values, 10, compute).run(plan_windows(GRID, 1)))
    assert max(sizes) == 10 and sum(sizes) == (np.isfinite(values).sum(axis=0) >= 5).sum()


def test_processes_of_joblib_give_the_same(values):
    joblib = pytest.importorskip("joblib")
    windows = plan_windows(GRID, 1e6 / 200, memory_mb=1)
    alone = [layers for _, layers in make(values).run(windows)]
    with joblib.parallel_config("loky"):
        others = [layers for _, layers in make(values).run(windows, workers=2)]
    for one, other in zip(alone, others, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("workers", [1, 2])
def test_stopping_waits_for_no_more_than_what_is_computed(values, workers):
    begun = []

    def slow(series):
        begun.append(len(series))
        time.sleep(0.05)
        return np.zeros((2, len(series)))

    def progress(fraction, message):
        if fraction > 0.1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(make(values, 16, slow).run(plan_windows(GRID, 1), workers=workers, progress=Reporter(progress)))
    time.sleep(0.2)
    assert len(begun) <= 12


def test_an_error_of_reading_is_raised_in_order(values):
    def read(window):
        if window.row > 10:
            raise ValueError("broken")
        return values[(slice(None), *window.slices)]

    stream = PixelStream(read, lambda series: np.zeros((1, len(series))), 1, 1, 8)
    windows = [Window(row, 0, 1, GRID.columns) for row in range(GRID.rows)]
    seen = []
    with pytest.raises(ValueError, match="broken"):
        for window, _ in stream.run(windows, workers=2):
            seen.append(window.row)
    assert seen == list(range(10)) or seen == list(range(11))  # those begun before it may be given


def test_the_next_is_read_while_the_caller_works():
    first, second = threading.Event(), threading.Event()

    def read(number):
        (first if number == 0 else second).set()
        return number

    results = read_ahead(read, range(3))
    assert next(results) == 0
    assert second.wait(5)  # nobody has asked for it yet
    assert list(results) == [1, 2]
    assert list(read_ahead(read, [])) == []

"""Windows: they tile the grid, keep the budget, and the answer does not depend on workers."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.windows import map_on_cluster, map_spread, map_windows, plan_windows


@pytest.mark.parametrize("multiple", [1, 7, 30])
@pytest.mark.parametrize("memory_mb", [1, 10, 1000])
@pytest.mark.parametrize("size", [(1320, 1320), (70, 3000), (3000, 70)])
def test_windows_tile_the_grid_within_the_budget(size, memory_mb, multiple):
    rows, columns = (n // multiple * multiple for n in size)
    grid = Grid(0, 0, 1, 1, columns, rows)
    windows = plan_windows(grid, 900, memory_mb=memory_mb, multiple=multiple)
    covered = np.zeros(grid.shape, int)
    for window in windows:
        covered[window.slices] += 1
        assert window.rows * window.columns * 900 <= memory_mb * 1e6
        assert window.row % multiple == 0 and window.column % multiple == 0
        assert window.rows % multiple == 0 and window.columns % multiple == 0
    assert (covered == 1).all()


@pytest.mark.parametrize(("multiple", "most"), [(1, 4), (8, 4), (25, 12)])
def test_windows_smaller_than_a_tile_cut_it_into_few_parts(multiple, most):
    # 17,400 cells of 65,536: what 225 months of the drought index leave of the usual budget
    grid = Grid(0, 0, 1, 1, 5000, 2000)
    reads, last = np.zeros((8, 20), int), {}
    for number, window in enumerate(plan_windows(grid, 1e6 / 17_400, memory_mb=1, multiple=multiple)):
        for row in range(window.row // 256, (window.row + window.rows - 1) // 256 + 1):
            for column in range(window.column // 256, (window.column + window.columns - 1) // 256 + 1):
                reads[row, column] += 1
                if 256 % multiple == 0:
                    assert last.get((row, column), number - 1) == number - 1  # tile after tile
                last[row, column] = number
    assert reads.max() <= most


@pytest.mark.parametrize(("cells", "most"), [(60_000, 1), (17_000, 4)])
def test_windows_follow_the_tiles_of_a_file(cells, most):
    """Tiles of whole coarse cells, as prediction writes them: none is read by a window beside its own, or by few."""
    grid, reads = Grid(0, 0, 1, 1, 2000, 1000), np.zeros((5, 9), int)
    for window in plan_windows(grid, 1e6 / cells, memory_mb=1, multiple=20, tile=240):
        assert window.rows * window.columns <= cells and window.row % 20 == window.column % 20 == 0
        first, last = window.row // 240, (window.row + window.rows - 1) // 240
        left, right = window.column // 240, (window.column + window.columns - 1) // 240
        reads[first : last + 1, left : right + 1] += 1
    assert reads.min() == 1 and reads.max() <= most


def test_a_budget_below_one_block_is_refused():
    with pytest.raises(InvalidParameter, match="at least 9 MB"):
        plan_windows(Grid(0, 0, 1, 1, 90, 90), 10_000, memory_mb=1, multiple=30)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_results_come_in_order_whatever_the_workers(workers):
    windows = plan_windows(Grid(0, 0, 1, 1, 3000, 900), 100, memory_mb=10)
    assert len(windows) > 5
    seen = []
    done = []
    progress = Reporter(lambda fraction, message: done.append(fraction))
    for window, result in map_windows(lambda w: (w.row, w.column), windows, workers=workers, progress=progress):
        assert result == (window.row, window.column)
        seen.append(window)
    assert seen == windows
    assert done[-1] == 1 and done == sorted(done)


@pytest.fixture
def processes():
    joblib = pytest.importorskip("joblib")
    with joblib.parallel_config("loky", n_jobs=2):
        yield
    joblib.externals.loky.get_reusable_executor().shutdown(wait=True)


def test_work_goes_to_processes_where_they_are_asked_for(processes):
    results = list(map_spread(lambda number: (number, os.getpid()), range(6), 2))
    assert [number for number, _ in results] == list(range(6))
    assert os.getpid() not in {process for _, process in results}
    assert {process for _, process in map_spread(lambda _: (0, os.getpid()), range(3), 1)} == {os.getpid()}


def test_what_a_lost_process_had_is_done_again(processes, tmp_path):
    """One dies at its fourth item, once."""
    flag = tmp_path / "died"

    def once(number):
        if number == 3 and not flag.exists():
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return number**2

    assert list(map_on_cluster(once, iter(range(20)), 2)) == [number**2 for number in range(20)]
    assert flag.exists()


def test_work_that_kills_is_given_up(processes):
    with pytest.raises(Exception, match="(?i)terminated"):
        list(map_on_cluster(lambda _: os.kill(os.getpid(), signal.SIGKILL), range(4), 2))

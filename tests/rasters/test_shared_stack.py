"""Stacks that threads share: the values of a stack of one's own, each tile unpacked once, one for a worker's whole run."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from osgeo import gdal

from gwsa_qgis.errors import UnreadableInput
from gwsa_qgis.months import month_range
from gwsa_qgis.rasters import shared_stack
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.shared_stack import SharedStack
from gwsa_qgis.rasters.stack import MonthlyStack, write_stack
from gwsa_qgis.rasters.windows import Window, square_windows

MONTHS = month_range("2004-03", "2005-01")
GRID = Grid(10.0, 50.0, 0.01, 0.01, 300, 270, geographic_crs())


@pytest.fixture
def path(tmp_path):
    values = np.random.default_rng(3).normal(size=(MONTHS.size, *GRID.shape)).astype(np.float32)
    values[:, :40, 200:] = np.nan
    write_stack(tmp_path / "stack.tif", GRID, MONTHS, values)
    return tmp_path / "stack.tif"


@pytest.mark.parametrize("side", [64, 512])
@pytest.mark.parametrize("months", [None, MONTHS[2:9], MONTHS[-1:]])
def test_threads_read_what_one_reads(path, side, months):
    windows = square_windows(GRID, side)
    with MonthlyStack(path) as stack:
        whole = stack.read_months(MONTHS if months is None else months)
    with SharedStack.for_windows(path, windows) as shared, ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda window: shared.read(window, months), windows))
    for window, values in zip(windows, found, strict=True):
        np.testing.assert_array_equal(values, whole[:, window.row_slice, window.column_slice])


def test_a_south_up_file(path, tmp_path):
    turned = tmp_path / "south_up.tif"
    source = gdal.Open(str(path))
    west, dx, _, north, _, dy = source.GetGeoTransform()
    copy = gdal.GetDriverByName("GTiff").CreateCopy(str(turned), source, options=["TILED=YES"])
    copy.SetGeoTransform((west, dx, 0.0, north + dy * GRID.rows, 0.0, -dy))
    copy = None
    window = Window(16, 32, 20, 30)
    with SharedStack(turned, True) as shared, MonthlyStack(turned) as stack, MonthlyStack(path) as upright:
        np.testing.assert_array_equal(shared.read(window), stack.read(*window.slices))
        assert not np.array_equal(shared.read(window), upright.read(*window.slices))


def test_windows_of_a_tile_find_it_unpacked(path):
    before = gdal.GetCacheUsed()
    windows = square_windows(GRID, 64)
    tile = MONTHS.size * 256 * 256 * 4
    with SharedStack.for_windows(path, windows) as shared:
        shared.read(windows[0])
        assert gdal.GetCacheUsed() - before >= tile  # and stays
        held = gdal.GetCacheUsed()
        shared.read(windows[1])
        assert gdal.GetCacheUsed() == held
    assert gdal.GetCacheUsed() == before


def test_larger_windows_leave_nothing_behind(path):
    before = gdal.GetCacheUsed()
    with SharedStack.for_windows(path, square_windows(GRID, 256)) as shared:
        shared.read(Window(0, 0, 256, 256))
        assert gdal.GetCacheUsed() == before


def test_a_worker_has_one_for_each_run(path):
    with SharedStack(path, True) as shared, SharedStack(path, True) as other, SharedStack(path, False) as plain:
        sent, again, of_another = (pickle.loads(pickle.dumps(one)) for one in (shared, shared, other))
        assert sent is again and sent is not shared and of_another is not sent
        assert pickle.loads(pickle.dumps(shared)) is not sent  # the other run has taken its place
        window = Window(5, 7, 9, 11)
        np.testing.assert_array_equal(sent.read(window), shared.read(window))
        assert pickle.loads(pickle.dumps(plain)) is not pickle.loads(pickle.dumps(plain))
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(plain)).read(window), shared.read(window))
    shared_stack._KEPT.clear()


def test_faults_name_the_file(tmp_path, path):
    with pytest.raises(UnreadableInput, match="absent.tif is not there"):
        SharedStack(tmp_path / "absent.tif", True)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    path.write_bytes(data)
    with pytest.raises(UnreadableInput, match=r"stack\.tif is damaged"), SharedStack(path, True) as shared:
        for window in square_windows(GRID, 64):
            shared.read(window)

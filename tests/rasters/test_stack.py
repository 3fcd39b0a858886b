"""Monthly stacks and safe writing."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gwsa_qgis.errors import Cancelled, InvalidMonths, OutputNotWritable, UnreadableInput
from gwsa_qgis.months import month_range
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.raster import create_raster, write_single
from gwsa_qgis.rasters.stack import MonthlyStack, common_months, create_stack, write_stack

GRID = Grid(0.0, 10.0, 0.5, 0.5, 20, 12, geographic_crs())
MONTHS = month_range("2003-11", "2004-06")


@pytest.fixture
def values() -> np.ndarray:
    values = np.random.default_rng(1).normal(size=(MONTHS.size, *GRID.shape)).astype(np.float32)
    values[2] = np.nan
    values[:, 3, 4] = np.nan
    return values


def test_round_trip_keeps_values_months_and_marks(tmp_path, values):
    filled = np.arange(MONTHS.size) == 5
    path = write_stack(tmp_path / "s.tif", GRID, MONTHS, values, quantity="TWSA", baseline="2004-2009", filled=filled)
    with MonthlyStack(path) as stack:
        np.testing.assert_array_equal(stack.read(), values)
        np.testing.assert_array_equal(stack.months, MONTHS)
        np.testing.assert_array_equal(stack.filled, filled)
        assert (stack.quantity, stack.baseline, stack.unit()) == ("TWSA", "2004-2009", "cm")
        window = stack.read_months(MONTHS[3:5], slice(2, 6), slice(1, 9))
        np.testing.assert_array_equal(window, values[3:5, 2:6, 1:9])


def named_bands(path: Path, names: list[str]) -> Path:
    return write_single(path, GRID, np.zeros((len(names), *GRID.shape), np.float32), descriptions=names)


@pytest.mark.parametrize(
    ("names", "word"),
    [
        (["2003-11", "", "2004-01"], "no month on band 2"),
        (["2003-11", "2003-11"], "doubled"),
        (["2003-12", "2003-11"], "out of order"),
        (["2003-11", "2004-02"], "jumps from 2003-11 to 2004-02"),
    ],
)
def test_months_that_are_not_a_calendar_are_refused(tmp_path, names, word):
    with pytest.raises(InvalidMonths, match=word):
        MonthlyStack(named_bands(tmp_path / "s.tif", names))


def test_months_may_be_given_by_hand(tmp_path):
    stack = MonthlyStack(named_bands(tmp_path / "s.tif", ["a", "b", "c"]), start="2003-11")
    np.testing.assert_array_equal(stack.months, MONTHS[:3])


def test_common_months(tmp_path):
    one = MonthlyStack(named_bands(tmp_path / "1.tif", ["2003-11", "2003-12"]))
    two = MonthlyStack(named_bands(tmp_path / "2.tif", ["2003-12", "2004-01"]))
    three = MonthlyStack(named_bands(tmp_path / "3.tif", ["2004-01", "2004-02"]))
    np.testing.assert_array_equal(common_months([one, two]), MONTHS[1:2])
    with pytest.raises(InvalidMonths, match="no month in common"):
        common_months([one, three])


def test_absent_and_foreign_files_are_refused(tmp_path):
    with pytest.raises(UnreadableInput, match="is not there"):
        MonthlyStack(tmp_path / "absent.tif")
    (tmp_path / "text.tif").write_text("no raster")
    with pytest.raises(UnreadableInput, match="is not a raster"):
        MonthlyStack(tmp_path / "text.tif")


def test_a_failure_leaves_nothing_and_keeps_what_was_there(tmp_path, values):
    path = tmp_path / "s.tif"
    write_stack(path, GRID, MONTHS, values)
    before = path.read_bytes()
    with pytest.raises(Cancelled), create_stack(path, GRID, MONTHS) as writer:
        writer.write(values[:3])
        raise Cancelled
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["s.tif"]


def test_a_folder_that_cannot_be_written(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(OutputNotWritable, match="cannot be written"), create_raster(blocked / "s.tif", GRID):
        pass


def test_a_disk_that_fills_up_leaves_nothing(tmp_path):
    """A limit on the size of files stands for a full disk; the limit holds for the child alone."""
    code = f"""
import resource, signal, sys
import numpy as np
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
from gwsa_qgis.errors import OutputNotWritable
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.stack import write_stack
from gwsa_qgis.months import month_range
values = np.random.default_rng(0).normal(size=(24, 200, 200))
try:
    write_stack({str(tmp_path / "s.tif")!r}, Grid(0, 50, .2, .2, 200, 200), month_range("2002-01", "2003-12"), values)
except OutputNotWritable as error:
    print(error)
    sys.exit(7)
"""
    assert hasattr(resource, "RLIMIT_FSIZE")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 7, done.stdout + done.stderr
    assert "cannot be written" in done.stdout
    assert os.listdir(tmp_path) == []

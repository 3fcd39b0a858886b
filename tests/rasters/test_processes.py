"""Worker processes end with the one that they work for, and only then."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from gwsa_qgis.rasters.processes import end_with, is_running

PROGRAM = """
import os, sys, time
import joblib
from gwsa_qgis.rasters.windows import map_on_cluster

def slow(place):
    open(os.path.join(place, str(os.getpid())), "w").close()
    time.sleep(1000)

with joblib.parallel_config("loky", n_jobs=2):
    list(map_on_cluster(slow, [sys.argv[1]] * 4, 2))
"""


def test_who_runs():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert is_running(process.pid)
    process.communicate(b"\n")
    assert not is_running(process.pid)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells it")
def test_one_that_nobody_has_asked_how_it_ended_does_not_run():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process.kill()
    end = time.monotonic() + 60
    while is_running(process.pid):
        assert time.monotonic() < end
        time.sleep(0.05)
    os.kill(process.pid, 0)  # it still has its number
    process.wait()


def test_a_process_goes_on_beside_those_that_are_not_its_parent():
    before = threading.active_count()
    end_with(os.getpid())
    end_with(2**22 + 7)
    assert threading.active_count() == before


def test_workers_of_a_killed_process_end(tmp_path):
    """In the middle of what they do."""
    pytest.importorskip("joblib")
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, tmp_path])
    while len(workers := [int(path.name) for path in tmp_path.iterdir()]) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    assert process.pid not in workers and all(map(is_running, workers))
    process.kill()
    process.wait()
    end = time.monotonic() + 60
    while any(map(is_running, workers)):
        assert time.monotonic() < end, "a worker goes on"
        time.sleep(0.05)

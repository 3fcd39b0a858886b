"""Interrupted runs go on and end as undisturbed ones; threads do not show; two runs do not meet."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from gwsa_qgis.errors import OutputNotWritable, UnreadableInput
from gwsa_qgis.months import month_range
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.raster import write_single
from gwsa_qgis.rasters.stack import write_stack
from gwsa_qgis.steps.preparepredictors import preparepredictors

CRS = geographic_crs()
FINE = Grid(10.0, 50.0, 0.1, 0.1, 60, 40, CRS)
COARSER, FINER = Grid(9.0, 51.0, 0.37, 0.37, 24, 18, CRS), FINE.refine(3)
NAMES = ("dem", "ndvi", "pre", "tas")
# small enough for several windows and runs of months
OPTIONS = {"memory_mb": 5.0, "max_hole_distance": 3}


def make_inputs(folder):
    rng = np.random.default_rng(5)
    months = month_range("2004-01", "2005-06")
    write_single(folder / "template.tif", FINE, np.ones(FINE.shape, np.float32))
    write_single(folder / "mask.tif", FINE, (rng.random(FINE.shape) < 0.9).astype(np.uint8), dtype="uint8", nodata=0)
    for name, grid in (("pre", COARSER), ("tas", FINE), ("ndvi", FINER)):
        values = rng.random((months.size, *grid.shape), dtype=np.float32)
        values[rng.random(values.shape) < 0.05] = np.nan
        write_stack(folder / f"{name}.tif", grid, months, values, unit="mm")
    write_single(folder / "dem.tif", FINER, 100 * rng.random(FINER.shape).astype(np.float32), unit="m")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    make_inputs(folder)
    return folder


def run(inputs, out, **options):
    paths = [inputs / f"{name}.tif" for name in NAMES]
    arguments = {"mask": inputs / "mask.tif", "table": out / "table.csv"} | OPTIONS | options
    return preparepredictors(paths, inputs / "template.tif", 5, out / "fine", out / "coarse", **arguments)


def content(out):
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def undisturbed(inputs, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    run(inputs, out)
    found = content(out)
    assert len(found) == 2 * len(NAMES) + 1
    return found


@pytest.mark.parametrize("workers", [2, 3])
def test_threads_do_not_show_in_the_files(inputs, undisturbed, tmp_path, workers):
    run(inputs, tmp_path, workers=workers)
    assert content(tmp_path) == undisturbed


@pytest.mark.parametrize("factor", [16, 30, 34])
def test_threads_do_not_show_on_several_tiles(tmp_path, factor):
    """Blocks of 16 and 30 cells make whole tiles; of 34 they would make too large ones, so windows cut tiles."""
    rng = np.random.default_rng(2)
    side = factor * (540 // factor)
    grid = Grid(10.0, 50.0, 0.01, 0.01, side, side, CRS)
    months = month_range("2004-01", "2004-05")
    template = write_single(tmp_path / "template.tif", grid, np.ones(grid.shape, np.uint8), dtype="uint8")
    small = grid.coarsen(factor)
    inputs = []
    for name, own in (("a", grid), ("b", small)):
        values = rng.random((months.size, *own.shape), dtype=np.float32)
        values[rng.random(values.shape) < 0.002] = np.nan
        inputs.append(write_stack(tmp_path / f"{name}.tif", own, months, values))
    found = []
    for workers in (1, 2, 4):
        out = tmp_path / str(workers)
        out.mkdir()
        preparepredictors(inputs, template, factor, out / "fine", out / "coarse", workers=workers, memory_mb=40)
        found.append(content(out))
    assert len(found[0]) == 4 and found[0] == found[1] == found[2]


class Stopped(Exception):
    pass


def stop_at(count, action):
    """A progress callback that calls `action` the count-th time."""
    calls = 0

    def progress(fraction, message):
        nonlocal calls
        calls += 1
        if calls == count:
            action()

    progress.calls = lambda: calls
    return progress


def raise_stopped():
    raise Stopped


def test_cancelled_anywhere_it_goes_on(inputs, undisturbed, tmp_path):
    """Stopped at every call of the progress callback, one after the other, in one place."""
    counting = stop_at(0, None)
    run(inputs, tmp_path / "count", progress=counting)
    number = counting.calls()
    assert number > 20
    taken_over = 0
    for count in range(1, number, 9):
        out = tmp_path / f"at{count}"
        out.mkdir()
        with pytest.raises(Stopped):
            run(inputs, out, progress=stop_at(count, raise_stopped), workers=1 + count % 2)
        left = {p.name for p in out.iterdir()}
        if count < number - 1:
            assert left <= {".fine.gwsa-part"}, count
        messages = []
        result = run(inputs, out, progress=lambda f, m, to=messages: to.append(m))
        assert ("Going on" in " ".join(messages)) == bool(result.resumed) == bool(left == {".fine.gwsa-part"})
        taken_over += len(result.resumed)
        assert content(out) == undisturbed, count
    assert taken_over > 5


KILLED = """
import os, signal, sys
from pathlib import Path
inputs, out, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
from gwsa_qgis.steps.preparepredictors import preparepredictors
calls = 0
def progress(fraction, message):
    global calls
    calls += 1
    if calls == count:
        os.kill(os.getpid(), signal.SIGKILL) if count % 2 else os._exit(9)
names = sys.argv[4].split(",")
preparepredictors([inputs / f"{n}.tif" for n in names], inputs / "template.tif", 5, out / "fine", out / "coarse",
    mask=inputs / "mask.tif", table=out / "table.csv", memory_mb=5.0, max_hole_distance=3, workers=2, progress=progress)
"""


def test_killed_at_random_it_goes_on(inputs, undisturbed, tmp_path):
    counting = stop_at(0, None)
    run(inputs, tmp_path / "count", progress=counting)
    rng = np.random.default_rng(int.from_bytes(os.urandom(4), "little"))
    for count in sorted({int(count) for count in rng.integers(1, counting.calls() - 1, 5)}):
        out = tmp_path / f"at{count}"
        out.mkdir()
        done = subprocess.run([sys.executable, "-c", KILLED, inputs, out, str(count), ",".join(NAMES)], check=False)
        assert done.returncode in (9, -9), count
        assert not (out / "fine").exists() and not (out / "table.csv").exists(), count
        run(inputs, out)
        assert content(out) == undisturbed, count


def test_killed_between_two_calls(inputs, undisturbed, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    process = subprocess.Popen([sys.executable, "-c", KILLED, inputs, out, "0", ",".join(NAMES)])
    journal = out / ".fine.gwsa-part" / "journal.jsonl"
    for _ in range(2000):
        if journal.exists() or process.poll() is not None:
            break
        time.sleep(0.005)
    process.kill()
    process.wait()
    run(inputs, out, workers=2)
    assert content(out) == undisturbed


def interrupted(inputs, out, **options):
    """A run that stops when two predictors are finished."""

    def progress(fraction, message):
        if message.startswith("ndvi is finished"):
            raise Stopped

    with pytest.raises(Stopped):
        run(inputs, out, progress=progress, **options)
    assert (out / ".fine.gwsa-part" / "journal.jsonl").exists()


@pytest.mark.parametrize("change", ["hole distance", "mask", "month", "memory", "input"])
def test_a_change_starts_afresh(inputs, tmp_path, change):
    own = tmp_path / "inputs"
    own.mkdir()
    make_inputs(own)
    out = tmp_path / "out"
    out.mkdir()
    interrupted(own, out)
    options = {
        "hole distance": {"max_hole_distance": 2}, "mask": {"mask": None}, "month": {"end": "2005-05"},
        "memory": {"memory_mb": 6.0}, "input": {},
    }[change]  # fmt: skip
    if change == "input":
        os.utime(own / "dem.tif", ns=(1, 1))
    messages = []
    result = run(own, out, progress=lambda f, m: messages.append(m), **options)
    assert not result.resumed and any("changed since: starting afresh" in m for m in messages)
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    run(own, fresh, **options)
    assert content(out) == content(fresh)


def test_an_unchanged_run_does_not_read_the_finished_again(inputs, undisturbed, tmp_path, monkeypatch):
    interrupted(inputs, tmp_path)
    from gwsa_qgis.steps import predictor_writing

    seen = set()
    make = predictor_writing.make_piece

    def watched(handles, *rest):
        with handles.borrow() as source:
            seen.add(source.name)
        return make(handles, *rest)

    monkeypatch.setattr(predictor_writing, "make_piece", watched)
    assert run(inputs, tmp_path).resumed == ("dem", "ndvi") and seen == {"pre", "tas"}
    assert content(tmp_path) == undisturbed


def test_existing_outputs_stay_until_the_new_ones_are_whole(inputs, undisturbed, tmp_path):
    (tmp_path / "fine").mkdir()
    (tmp_path / "fine" / "tas.tif").write_text("old")
    (tmp_path / "fine" / "other.tif").write_text("other")
    interrupted(inputs, tmp_path)
    assert (tmp_path / "fine" / "tas.tif").read_text() == "old"
    run(inputs, tmp_path)
    found = content(tmp_path)
    assert found.pop("fine/other.tif") == b"other" and found == undisturbed


def test_an_output_that_cannot_be_placed_costs_nothing(inputs, undisturbed, tmp_path):
    (tmp_path / "table.csv").mkdir()
    (tmp_path / "table.csv" / "keep").write_text("")
    with pytest.raises(OutputNotWritable):
        run(inputs, tmp_path)
    assert not (tmp_path / "fine").exists()
    (tmp_path / "table.csv" / "keep").unlink()
    (tmp_path / "table.csv").rmdir()
    assert run(inputs, tmp_path).resumed == NAMES
    assert content(tmp_path) == undisturbed


def test_the_second_of_two_runs_is_refused(inputs, undisturbed, tmp_path):
    refused = []

    def progress(fraction, message):
        if message.startswith("dem is finished"):
            with pytest.raises(OutputNotWritable, match="another run") as caught:
                run(inputs, tmp_path)
            refused.append(str(caught.value))

    run(inputs, tmp_path, progress=progress)
    assert len(refused) == 1 and "wait until it has ended" in refused[0]
    assert content(tmp_path) == undisturbed


def test_inputs_that_change_while_they_are_read(tmp_path):
    make_inputs(tmp_path)
    out = tmp_path / "out"

    def progress(fraction, message):
        if message.startswith("pre is finished"):
            os.utime(tmp_path / "dem.tif", ns=(1, 1))

    with pytest.raises(UnreadableInput, match="changed while it was read"):
        run(tmp_path, out, progress=progress)
    assert not (out / "fine").exists()
    assert not run(tmp_path, out).resumed


def test_outputs_are_two_folders(inputs, tmp_path):
    from gwsa_qgis.errors import InvalidParameter

    with pytest.raises(InvalidParameter, match="FINE and COARSE are both"):
        preparepredictors([inputs / "dem.tif"], inputs / "template.tif", 5, tmp_path / "x", tmp_path / "y" / ".." / "x")
    assert not list(Path(tmp_path).iterdir())

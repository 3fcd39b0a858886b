"""Full and read-only disks, damaged and changing inputs, cancelling: a whole output or none, and a rerun that is right."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from gwsa_qgis.errors import OutputNotWritable, UnreadableInput
from gwsa_qgis.rasters.raster import Raster

STEPS = (
    "trend", "trendbreak", "attribution", "droughtindex", "seasonality", "fillgaps", "correctresiduals", "uncertainty",
    "preparepredictors", "predict", "trainmodels",
)  # fmt: skip
# Quick ones, which stand for the others in the short tests.
SOME = ("droughtindex", "correctresiduals", "preparepredictors")


def over(steps):
    """Parameters of a test, those that take long marked."""
    return pytest.mark.parametrize(
        "step", [pytest.param(step, marks=() if step in SOME else pytest.mark.long) for step in steps]
    )


every, resumed = over(STEPS), over(STEPS[:8])


class Stopped(Exception):
    """What a cancelled run raises."""


@pytest.fixture
def disk(tmp_path):
    """A small file system; its size and whether it can be written are changed by calling it."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if sys.platform != "linux" or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")

    def change(options):
        subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True)

    yield place, change
    subprocess.run(["umount", "-l", str(place)], check=True)


@every
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_full_disk(lab, step, disk, share):
    place, change = disk
    size = sum(map(len, lab.undisturbed(step).values()))
    change(f"size={max(int(share * size), 8192)}")
    with pytest.raises(OutputNotWritable, match="free (some )?space"):
        lab.run(step, place)
    lab.check_none(place)
    change("size=200m")
    lab.run(step, place)
    lab.check_same(step, place)


@pytest.mark.parametrize(
    "step", ["preparepredictors", *(pytest.param(s, marks=pytest.mark.long) for s in ("predict", "trainmodels"))]
)
@pytest.mark.parametrize("share", [0.3, 0.8])
def test_a_full_disk_that_workers_write_to(lab, step, disk, share):
    """What a worker process meets is told as what is met here."""
    joblib = pytest.importorskip("joblib")
    place, change = disk
    size = sum(map(len, lab.undisturbed(step).values()))
    change(f"size={max(int(share * size), 8192)}")
    with joblib.parallel_config("loky", n_jobs=2):
        with pytest.raises(OutputNotWritable, match="free (some )?space"):
            lab.run(step, place, workers=2)
        lab.check_none(place)
        change("size=200m")
        lab.run(step, place, workers=2)
    lab.check_same(step, place)


@every
def test_a_file_that_may_not_grow(lab, step, tmp_path):
    """Without a file system of its own: each file may only have so many bytes."""
    pytest.importorskip("resource")
    program = (
        "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000)); "
        "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    command = [sys.executable, "-c", program, lab.steps.__file__, step, lab.inputs, tmp_path]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 1 and "OutputNotWritable" in done.stderr.strip().splitlines()[-1], done.stderr[-500:]
    lab.check_none(tmp_path)
    lab.run(step, tmp_path)
    lab.check_same(step, tmp_path)


@every
def test_a_read_only_disk(lab, step, disk):
    place, change = disk
    change("ro")
    with pytest.raises(OutputNotWritable):
        lab.run(step, place / "out")
    assert not list(place.iterdir())
    change("rw,size=200m")
    lab.run(step, place)
    lab.check_same(step, place)


@every
def test_a_file_in_the_folders_place(lab, step, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputNotWritable):
        lab.run(step, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "a file"


def place_of_a_tile(path):
    """Where the first tile of the middle band lies in a file, and its length."""
    with Raster(path) as raster:
        band = raster.dataset.GetRasterBand((raster.bands + 1) // 2)
        return tuple(int(band.GetMetadataItem(f"BLOCK_{what}_0_0", "TIFF")) for what in ("OFFSET", "SIZE"))


@every
def test_an_unreadable_tile(lab, step, tmp_path):
    inputs, out = tmp_path / "inputs", tmp_path / "out"
    shutil.copytree(lab.inputs, inputs)
    out.mkdir()
    path = next(path for path in lab.steps.inputs_of(step, inputs) if path.suffix == ".tif")
    whole, status = path.read_bytes(), path.stat()
    begin, length = place_of_a_tile(path)
    path.write_bytes(whole[:begin] + b"\xa5" * length + whole[begin + length :])
    with pytest.raises(UnreadableInput):
        lab.run(step, out, inputs)
    lab.check_none(out)
    path.write_bytes(whole)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    lab.run(step, out)
    lab.check_same(step, out)


@every
def test_an_input_that_changes_meanwhile(lab, step, tmp_path):
    inputs, out = tmp_path / "inputs", tmp_path / "out"
    shutil.copytree(lab.inputs, inputs)
    out.mkdir()
    path = next(path for path in lab.steps.inputs_of(step, inputs) if path.suffix == ".tif")

    def progress(fraction, message):
        if fraction > 0.5:
            os.utime(path, ns=(1, 1))

    with pytest.raises(UnreadableInput, match="changed while"):
        lab.run(step, out, inputs, progress=progress)
    lab.check_none(out)
    lab.run(step, out)
    lab.check_same(step, out)


def stopping(at):
    """A progress function that raises at a share of the work."""

    def progress(fraction, message):
        if fraction >= at:
            raise Stopped

    return progress


@pytest.mark.parametrize("step", STEPS[:8])
@pytest.mark.parametrize("at", [pytest.param(0.35, marks=pytest.mark.long), 0.9])
def test_cancelled_it_goes_on(lab, step, tmp_path, at):
    with pytest.raises(Stopped):
        lab.run(step, tmp_path, progress=stopping(at))
    assert {path.name for path in tmp_path.iterdir()} <= {lab.hidden(step)}
    messages = lab.run(step, tmp_path, workers=2)
    assert any("Going on after an interrupted run" in message for message in messages)
    lab.check_same(step, tmp_path)


@resumed
def test_changed_inputs_start_afresh(lab, step, tmp_path):
    inputs, out = tmp_path / "inputs", tmp_path / "out"
    shutil.copytree(lab.inputs, inputs)
    out.mkdir()
    with pytest.raises(Stopped):
        lab.run(step, out, inputs, progress=stopping(0.9))
    path = next(path for path in lab.steps.inputs_of(step, inputs) if path.suffix == ".tif")
    os.utime(path, ns=(1, 1))
    messages = lab.run(step, out, inputs)
    assert any("changed since: starting afresh" in message for message in messages)
    assert not any("Going on" in message for message in messages)


@resumed
def test_changed_settings_start_afresh(lab, step, tmp_path):
    with pytest.raises(Stopped):
        lab.run(step, tmp_path, progress=stopping(0.9))
    memory = lab.steps.OPTIONS[step]["memory_mb"]
    messages = lab.run(step, tmp_path, memory_mb=1.5 * memory)
    assert any("settings MEMORY changed since: starting afresh" in message for message in messages)


@resumed
def test_the_second_of_two_runs_is_refused(lab, step, tmp_path):
    refused = []

    def progress(fraction, message):
        if fraction > 0.5 and not refused:
            refused.append(True)
            with pytest.raises(OutputNotWritable, match="another run"):
                lab.run(step, tmp_path)

    lab.run(step, tmp_path, progress=progress)
    assert refused
    lab.check_same(step, tmp_path)

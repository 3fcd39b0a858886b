"""Temporary files: those of dead processes are removed, those of others stay."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from gwsa_qgis.rasters.writing import replacing, replacing_folder

KILLED = """
import os, signal, sys
from gwsa_qgis.rasters.writing import replacing, replacing_folder
with replacing(sys.argv[1]) as file, replacing_folder(sys.argv[2]) as folder:
    file.write_text("half")
    (folder / "x.tif").write_text("half")
    (file.parent / (file.name + ".aux.xml")).write_text("half")
    print(file.name, folder.name, flush=True)
    os.kill(os.getpid(), signal.SIGKILL) if len(sys.argv) < 4 else input()
"""


def hidden(folder):
    return {path.name for path in folder.iterdir() if path.name.startswith(".")}


def run(folder, *more, **options):
    command = [sys.executable, "-c", KILLED, folder / "a.tif", folder / "fine", *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)


@pytest.mark.skipif(sys.platform == "win32", reason="processes are killed by a signal")
def test_what_a_killed_process_left_is_removed_by_the_next_on_the_same_output(tmp_path):
    process = run(tmp_path)
    left = set(process.communicate()[0].split())
    assert process.returncode == -9 and left < hidden(tmp_path) and len(hidden(tmp_path)) == 3
    with replacing(tmp_path / "b.tif") as temporary:
        temporary.write_text("other")
    assert left < hidden(tmp_path)
    with replacing(tmp_path / "a.tif") as temporary:
        assert hidden(tmp_path) & left == {name for name in left if "fine" in name}
        temporary.write_text("whole")
    with replacing_folder(tmp_path / "fine") as temporary:
        (temporary / "y.tif").write_text("whole")
    assert not hidden(tmp_path)
    assert [path.name for path in (tmp_path / "fine").iterdir()] == ["y.tif"]


def test_what_others_are_writing_stays(tmp_path):
    process = run(tmp_path, "wait", stdin=subprocess.PIPE)
    at_work = set(process.stdout.readline().split())
    for name in ("a.tif", "fine"):
        with replacing(tmp_path / name) as first, replacing(tmp_path / name) as second:
            first.write_text("first")
            second.write_text("second")
        assert at_work < hidden(tmp_path)
        (tmp_path / name).unlink()
    process.communicate("\n")
    assert process.returncode == 0 and (tmp_path / "a.tif").read_text() == "half"


def test_an_earlier_process_of_the_same_number(tmp_path):
    """As in containers, whose processes have small numbers."""
    with replacing(tmp_path / "a.tif") as temporary:
        temporary.write_text("")
        pid, mark, _ = temporary.stem.rpartition(".")[2].split("-")[1:]
        assert int(pid) == os.getpid()
        left = tmp_path / temporary.name.replace(mark, "0" * len(mark))
        left.write_text("half")
        (tmp_path / f"{temporary.name.rpartition('-')[0]}-of-somebody").write_text("kept")
    with replacing(tmp_path / "a.tif") as temporary:
        assert not left.exists()
        temporary.write_text("whole")
    assert len(hidden(tmp_path)) == 1

"""Work that goes on where it was interrupted: what is taken over, what is not, and who may write."""

import json
import os
import platform
import subprocess
import sys

import numpy as np
import pytest

from gwsa_qgis.errors import OutputNotWritable
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.journal import describe_file, journalled

PRINT = {"FACTOR": 5, "input": {"pre": {"size": 10}, "tas": {"size": 20}}}


class Interrupted(Exception):
    pass


@pytest.fixture
def place(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def folder(place):
    return place.with_name(f".{place.name}.gwsa-part")


def work(place, names, fingerprint=PRINT, stop=True):
    """Finish `names` and, unless told otherwise, be interrupted; returns what was found finished, and the messages."""
    messages = []
    try:
        with journalled(place, fingerprint, Reporter(lambda f, m: messages.append(m))) as journal:
            before = {name: journal.facts(name) for name in journal.finished}
            for name in names:
                (journal.folder / "sub").mkdir(exist_ok=True)
                file = journal.folder / "sub" / f"{name}.bin"
                file.write_bytes(name.encode() * 100)
                journal.finish(name, [file], {"mean": 0.1, "months": [1, 2], "name": name})
            (journal.folder / "half-written").write_text("x")
            if stop:
                raise Interrupted
    except Interrupted:
        pass
    return before, messages


def test_finished_work_is_taken_over_and_half_work_removed(place, folder):
    assert work(place, ["pre", "tas"])[0] == {}
    assert (folder / "half-written").exists() and not (folder / "lock").exists()
    before, messages = work(place, [])
    assert before["pre"] == {"mean": 0.1, "months": [1, 2], "name": "pre"} and list(before) == ["pre", "tas"]
    assert any("Going on after an interrupted run: pre, tas" in m for m in messages)
    assert work(place, [], stop=False)[0].keys() == {"pre", "tas"}
    assert not folder.exists()


def test_half_work_is_gone_before_the_next_run_works(place, folder):
    work(place, ["pre"])
    with journalled(place, PRINT, Reporter()) as journal:
        assert sorted(p.name for p in journal.folder.rglob("*")) == ["journal.jsonl", "lock", "pre.bin", "sub"]


def test_nothing_is_left_when_nothing_was_finished(place, folder):
    work(place, [])
    assert not folder.exists()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"FACTOR": 6}, "FACTOR"),
        ({"input": {"pre": {"size": 11}, "tas": {"size": 20}}}, "input pre size"),
        ({"input": {"pre": {"size": 10}}}, "input tas"),
        ({"MASK": "m.tif"}, "MASK"),
    ],
)
def test_a_change_starts_afresh_and_is_named(place, folder, change, word):
    work(place, ["pre"])
    before, messages = work(place, [], {**PRINT, **change})
    assert before == {} and any(f"but {word} changed" in m and "afresh" in m for m in messages)
    assert not folder.exists()


@pytest.mark.parametrize("damage", ["append", "flip", "remove"])
def test_damaged_files_are_made_again(place, folder, damage):
    work(place, ["pre", "tas"])
    file = folder / "sub" / "tas.bin"
    if damage == "remove":
        file.unlink()
    else:
        content = bytearray(file.read_bytes())
        if damage == "flip":
            content[50] ^= 1
        else:
            content += b"x"
        file.write_bytes(content)
    before, messages = work(place, [])
    assert list(before) == ["pre"] and any(m.startswith("Warning: tas") and "damaged" in m for m in messages)


def damaged_journals(text):
    head, entry = (json.loads(line) for line in text.splitlines())
    yield text.splitlines()[0]
    yield text[10:]
    yield text.replace("files", "files\n")
    yield ""
    yield "[]"
    yield "null"
    yield "\x00\xff"
    yield "[" * 100_000
    yield "null\n"
    yield "[" * 100_000 + "\n"
    for bad in (
        [{**head, "format": 99}, entry],
        [{"format": head["format"]}, entry],
        [head, {**entry, "files": {"a": {}}}],
        [head, {**entry, "files": ["a"]}],
        [head, {"files": {}, "facts": {}}],
        [head, ["pre"]],
        [head, "pre"],
    ):
        yield "".join(json.dumps(line) + "\n" for line in bad)


def test_a_damaged_journal_starts_afresh_with_a_warning(place, folder):
    work(place, ["pre"])
    text = (folder / "journal.jsonl").read_text()
    for damaged in damaged_journals(text):
        work(place, ["pre"])
        (folder / "journal.jsonl").write_text(damaged)
        before, messages = work(place, [])
        assert before == {}, damaged[:80]
        assert any(m.startswith("Warning:") and "journal" in m and "afresh" in m for m in messages), damaged[:80]
        assert not folder.exists()


def test_a_line_that_was_not_finished_does_not_count(place, folder):
    work(place, ["pre"])
    whole = (folder / "journal.jsonl").read_text()
    work(place, ["tas"])
    text = (folder / "journal.jsonl").read_text()
    assert text.startswith(whole)
    for length in range(len(whole), len(text)):
        work(place, ["pre", "tas"])
        (folder / "journal.jsonl").write_text(text[:length])
        before, messages = work(place, ["et"])
        assert list(before) == ["pre"] and not any("damaged" in message for message in messages)
        assert list(work(place, [], stop=False)[0]) == ["pre", "et"]


def test_each_piece_adds_a_line_of_its_own(place, folder):
    """Otherwise a journal of many pieces would be written as many times."""
    sizes = []
    with journalled(place, PRINT, Reporter()) as journal:
        for number in range(200):
            journal.finish(f"{number:03}", [], {"mean": 0.1})
            sizes.append((folder / "journal.jsonl").stat().st_size)
        kept = (folder / "journal.jsonl").stat().st_ino
        journal.finish("again", [], {})
        journal.finish("000", [], {"mean": 0.2})
        assert (folder / "journal.jsonl").stat().st_ino == kept
    assert len(set(np.diff(sizes))) == 1


def test_the_last_line_of_a_piece_counts(place):
    with pytest.raises(Interrupted), journalled(place, PRINT, Reporter()) as journal:
        journal.finish("model", [], {"folds": 1})
        journal.finish("model", [], {"folds": 2})
        raise Interrupted
    assert work(place, [])[0] == {"model": {"folds": 2}}


def test_a_journal_cannot_name_files_elsewhere(place, folder, tmp_path):
    work(place, ["pre"])
    outside = tmp_path / "outside.bin"
    outside.write_bytes((folder / "sub" / "pre.bin").read_bytes())
    text = (folder / "journal.jsonl").read_text()
    (folder / "journal.jsonl").write_text(text.replace("sub/pre.bin", "../outside.bin"))
    before, _ = work(place, [])
    assert before == {} and outside.exists()


def test_the_second_run_is_refused_and_the_first_unharmed(place, folder):
    with journalled(place, PRINT, Reporter()) as journal:
        with pytest.raises(OutputNotWritable, match=rf"another run \(process {os.getpid()} on .*\); wait"):
            work(place, [])
        assert (journal.folder / "lock").exists()
    assert not folder.exists()


def write_lock(folder, **owner):
    folder.mkdir()
    (folder / "lock").write_text(json.dumps(owner) if owner else "")
    return folder / "lock"


def test_locks_of_dead_processes_are_taken_over(place, folder):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    write_lock(folder, pid=dead.pid, host=platform.node())
    work(place, [], stop=False)
    assert not folder.exists()
    # a process that had this one's number before
    write_lock(folder, pid=os.getpid(), host=platform.node())
    work(place, [], stop=False)
    assert not folder.exists()
    # never signed, long ago
    os.utime(write_lock(folder), (1, 1))
    work(place, [], stop=False)
    assert not folder.exists()


@pytest.mark.parametrize("case", ["alive", "elsewhere", "just made", "no number"])
def test_other_locks_hold(place, folder, case):
    if case == "alive":
        lock = write_lock(folder, pid=os.getppid(), host=platform.node())
    elif case == "elsewhere":
        lock = write_lock(folder, pid=1, host="another.example")
    elif case == "just made":
        lock = write_lock(folder)
    else:
        lock = write_lock(folder, pid=-1, host=platform.node())
    with pytest.raises(OutputNotWritable, match="another run"):
        work(place, [])
    assert lock.exists()


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(OutputNotWritable, match="cannot be written"),
        journalled(tmp_path / "file" / "x", PRINT, Reporter()),
    ):
        pass


def test_files_are_described_without_their_folders(tmp_path):
    file = tmp_path / "a.tif"
    file.write_bytes(b"123")
    found = describe_file(file)
    assert found["name"] == "a.tif" and found["size"] == 3 and found["mtime_ns"] == file.stat().st_mtime_ns
    assert describe_file("NETCDF:file:variable\0") == {"name": "NETCDF:file:variable\0"}

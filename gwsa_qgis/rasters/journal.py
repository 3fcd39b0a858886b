"""Work that goes on where it was interrupted: a folder beside the output with a record of what is finished.

The record has a line of JSON for the fingerprint, and one for each piece that was finished. What a killed process left of
a line does not count.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import time
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from gwsa_qgis.errors import GwsaError, OutputNotWritable
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.processes import is_running
from gwsa_qgis.rasters.writing import apart, make_folder, marked, remove, telling, write_text

SUFFIX = ".gwsa-part"
RECORD, LOCK = "journal.jsonl", "lock"
FORMAT = 2
BYTES_AT_ONCE = 2**22
MOST_NAMED = 30
# A lock is made empty and then signed; one that stays unsigned was left by a process that died in between.
SECONDS_TO_SIGN = 10
TRIES = 5
# Locks of this process: another one may have had its number before.
_HELD: set[str] = set()


class Journal:
    """What is finished of a long piece of work; made by `journalled`.

    Attributes
    ----------
    folder : Path
        Where the files of the work are written.
    """

    def __init__(self, folder: Path, fingerprint: Mapping[str, object]) -> None:
        self.folder, self._record = folder, folder / RECORD
        self._fingerprint = _as_json(fingerprint)
        self._finished: dict[str, dict] = {}

    @property
    def finished(self) -> Collection[str]:
        """Names of what is finished, in that order."""
        return self._finished.keys()

    def forget(self) -> None:
        """Take nothing as finished, so that nothing is kept."""
        self._finished.clear()
        remove(self._record)

    def facts(self, name: str) -> dict:
        """What was noted when `name` was finished."""
        return self._finished[name]["facts"]

    def finish(self, name: str, files: Sequence[Path], facts: Mapping[str, object]) -> None:
        """Record that the files of `name` are whole, with facts (numbers and texts) to be had again."""
        found = {file.relative_to(self.folder).as_posix(): _describe(file) for file in files}
        entry = self._finished[name] = _as_json({"files": found, "facts": dict(facts)})
        if self._record.exists():
            self._append(_line({"name": name} | entry))
        else:
            self._write()

    def _write(self) -> None:
        """Write the record anew."""
        lines = [{"format": FORMAT, "fingerprint": self._fingerprint}]
        lines += [{"name": name} | entry for name, entry in self._finished.items()]
        with apart():
            write_text(self._record, "".join(map(_line, lines)))

    def _append(self, line: str) -> None:
        """Add a line to the record, or nothing."""
        before = self._record.stat().st_size
        with telling(self._record):
            try:
                with self._record.open("a", encoding="utf-8", newline="\n") as file:
                    file.write(line)
            except OSError:
                os.truncate(self._record, before)
                raise

    def take_up(self, report: Reporter) -> None:
        """Take over what an earlier run finished, and remove everything else from the folder."""
        if self._record.exists():
            try:
                fingerprint, finished = _read(self._record)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                report.warn(f"The journal of an interrupted run ({self._record}) is damaged: starting afresh.")
            else:
                changed = _differences(fingerprint, self._fingerprint)
                if changed:
                    report.say(
                        f"An earlier run was interrupted, but {', '.join(changed)} changed since: starting afresh."
                    )
                else:
                    self._keep_whole(finished, report)
        keep = {file for entry in self._finished.values() for file in entry["files"]}
        if self._finished:
            self._write()
            keep.add(RECORD)
        self._clear(keep)

    def _keep_whole(self, finished: dict[str, dict], report: Reporter) -> None:
        for name, entry in finished.items():
            if all(_is_whole(self.folder, file, description) for file, description in entry["files"].items()):
                self._finished[name] = entry
            else:
                report.warn(f"{name} of an interrupted run is damaged, and is made again.")
        if self._finished:
            names = list(self._finished)
            more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
            report.say(f"Going on after an interrupted run: {', '.join(names[:MOST_NAMED])}{more} finished before.")

    def _clear(self, keep: set[str]) -> None:
        for path in sorted(self.folder.rglob("*"), reverse=True):
            if path.is_dir() and not path.is_symlink():
                with contextlib.suppress(OSError):
                    path.rmdir()  # those that still hold something stay
            elif path.relative_to(self.folder).as_posix() not in keep | {LOCK}:
                remove(path)


@contextmanager
def journalled(path: str | Path, fingerprint: Mapping[str, object], report: Reporter) -> Iterator[Journal]:
    """Give the journal of the work on `path`, in a hidden folder beside it.

    What an earlier run with the same fingerprint finished, and what is still whole, is taken over. The folder is
    removed when the block ends well, when it refuses the inputs, or when nothing was finished; otherwise it waits for the
    next run.

    Parameters
    ----------
    fingerprint : mapping
        All that the result depends on: settings, and inputs as `describe_file` gives them. Texts, numbers, lists and
        mappings of them.

    Raises
    ------
    OutputNotWritable
        If the place cannot be written, or another run is at work on it.
    """
    path = Path(path)
    make_folder(path.parent)
    folder = path.with_name(f".{path.name}{SUFFIX}")
    with _locked(folder, path), marked(path):
        journal = Journal(folder, fingerprint)
        done = False
        try:
            journal.take_up(report)
            with telling(path):  # of scratch files too
                yield journal
            done = True
        except GwsaError as error:
            # What the inputs do not allow they will not allow the next time; a disk may have room then.
            done = not isinstance(error, OutputNotWritable)
            raise
        finally:
            if done or not journal.finished:
                _remove_folder(folder)


def _remove_folder(folder: Path) -> None:
    """Remove a work folder, in which workers of a killed run may put a file at the same moment."""
    for _ in range(TRIES):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return


def describe_file(path: str | Path) -> dict[str, object]:
    """Name, size and time of change of a file, for fingerprints; the name alone of what is no plain file."""
    path = Path(path)
    try:
        status = path.stat()
    except (OSError, ValueError):
        return {"name": path.name}
    return {"name": path.name, "size": status.st_size, "mtime_ns": status.st_mtime_ns}


def _as_json(value: object) -> object:
    """The value as it comes back from a file."""
    return json.loads(json.dumps(value))


def _line(value: object) -> str:
    return json.dumps(value) + "\n"


def _read(record: Path) -> tuple[object, dict[str, dict]]:
    """Fingerprint of a record, and what is finished by name; raises what comes of a damaged one."""
    lines = record.read_text(encoding="utf-8").split("\n")[:-1]  # the last is empty, or was not finished
    head, *entries = [json.loads(line) for line in lines]
    if head["format"] != FORMAT or not all(_is_entry(entry) for entry in entries):
        raise ValueError(head["format"])
    return head["fingerprint"], {str(entry.pop("name")): entry for entry in entries}


def _is_entry(entry: object) -> bool:
    files = entry["files"]
    return isinstance(entry["facts"], dict) and all(
        isinstance(d["size"], int) and isinstance(d["crc32"], int) for d in files.values()
    )


def _describe(path: Path) -> dict[str, int]:
    """Size and check sum of a finished file."""
    size = crc = 0
    with path.open("rb") as file:
        while part := file.read(BYTES_AT_ONCE):
            size, crc = size + len(part), zlib.crc32(part, crc)
    return {"size": size, "crc32": crc}


def _is_whole(folder: Path, name: str, description: Mapping[str, object]) -> bool:
    path = folder / name
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
        return inside and path.stat().st_size == description["size"] and _describe(path) == description
    except (OSError, ValueError):
        return False


def _differences(old: object, new: object, name: str = "") -> list[str]:
    """Names of the entries in which two fingerprints differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            place
            for key in sorted({*old, *new})
            for place in _differences(old.get(key), new.get(key), f"{name} {key}".strip())
        ]
    return [] if old == new else [name or "everything"]


@contextmanager
def _locked(folder: Path, path: Path) -> Iterator[None]:
    """Hold the lock of a work folder, which is made."""
    lock = folder / LOCK
    try:
        _acquire(lock, path)
    except OSError as error:
        raise OutputNotWritable(
            f"{folder} cannot be written ({error.strerror or error})", "give a folder with permission and free space"
        ) from error
    _HELD.add(str(lock.resolve()))
    try:
        yield
    finally:
        _HELD.discard(str(lock.resolve()))
        with contextlib.suppress(OSError):
            lock.unlink(missing_ok=True)
            folder.rmdir()  # stays while it holds finished work


def _acquire(lock: Path, path: Path) -> None:
    for _ in range(TRIES):
        lock.parent.mkdir(exist_ok=True)
        try:
            handle = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileNotFoundError:  # the run that just ended took the folder away
            continue
        except FileExistsError:
            owner = _owner(lock)
            if owner is not None and not _is_dead(lock, owner):
                raise OutputNotWritable(
                    f"{path} is being written by another run (process {owner.get('pid')} on {owner.get('host')})",
                    f"wait until it has ended, or remove {lock} if there is no such run",
                ) from None
            _put_aside(lock, owner)
            continue
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"pid": os.getpid(), "host": platform.node(), "since": time.time_ns()}, file)
        return
    raise OutputNotWritable(f"{path} is being written by another run", "wait until it has ended")


def _put_aside(lock: Path, owner: dict | None) -> None:
    """Take a dead process's lock away, but not one that another run has put in its place meanwhile."""
    aside = lock.with_name(f"{LOCK}.{os.getpid()}.{time.time_ns()}")
    try:
        os.rename(lock, aside)
    except FileNotFoundError:
        return
    if _owner(aside) != owner:
        with contextlib.suppress(OSError):
            os.rename(aside, lock)
        return
    remove(aside)


def _owner(lock: Path) -> dict | None:
    """Who holds a lock: empty when it is not signed, None when it is gone."""
    try:
        owner = json.loads(lock.read_text(encoding="utf-8"))
        return owner if isinstance(owner, dict) else {}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        return {}


def _is_dead(lock: Path, owner: dict) -> bool:
    """Whether the process that made a lock is certainly gone."""
    pid, host = owner.get("pid"), owner.get("host")
    if not isinstance(pid, int) or not 0 < pid < 2**31:
        try:
            return time.time() - lock.stat().st_mtime > SECONDS_TO_SIGN
        except OSError:
            return True
    if host != platform.node():
        return False
    if pid == os.getpid():
        return str(lock.resolve()) not in _HELD
    return not is_running(pid)

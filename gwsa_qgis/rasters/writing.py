"""Outputs appear whole or not at all: written beside their place, then moved into it."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import shutil
import uuid
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from gwsa_qgis.errors import OutputNotWritable
from gwsa_qgis.rasters.processes import is_running

SIDECARS = (".aux.xml", ".ovr", ".msk")
# What a full, read-only or forbidden place answers; any other OSError is not about writing.
WRITE_FAULTS = {
    getattr(errno, name)
    for name in ("EACCES", "EPERM", "EROFS", "ENOSPC", "EDQUOT", "EFBIG", "ENOTDIR", "EISDIR", "ENAMETOOLONG")
    if hasattr(errno, name)
}


@dataclass(frozen=True)
class _Output:
    """A file or folder beside its place."""

    temporary: Path
    path: Path
    keep: bool = False

    def move(self) -> None:
        """Put it into its place; an existing folder is replaced file by file."""
        if not self.temporary.is_dir():
            remove(self.path.with_name(self.path.name + SIDECARS[0]))  # statistics of the file that is replaced
            for sidecar in SIDECARS:
                written = self.temporary.with_name(self.temporary.name + sidecar)
                if written.exists():
                    os.replace(written, self.path.with_name(self.path.name + sidecar))
            os.replace(self.temporary, self.path)
        elif self.path.exists():
            for item in self.temporary.iterdir():
                os.replace(item, self.path / item.name)
            self.temporary.rmdir()
        else:
            os.replace(self.temporary, self.path)

    def discard(self) -> None:
        """Remove what is left of it, unless it is to be kept for another try."""
        if self.keep:
            return
        if self.temporary.is_dir():
            shutil.rmtree(self.temporary, ignore_errors=True)
        for suffix in ("", *SIDECARS):
            remove(self.temporary.with_name(self.temporary.name + suffix))


@dataclass(frozen=True)
class _Mark:
    """What names of temporary files hold in place of chance, and the folders that have been looked through for it."""

    text: str
    folders: set[Path] = field(default_factory=set)
    numbers: Iterator[int] = field(default_factory=count)


_MARK: ContextVar[_Mark | None] = ContextVar("mark", default=None)
# Names of temporary files without a mark hold these.
_PROCESS, _NUMBERS = uuid.uuid4().hex[:6], count()


@contextmanager
def marked(path: str | Path) -> Iterator[None]:
    """Let temporary files bear the mark of a main output, so that those of a killed run are known and removed.

    No two of such runs with the same main output may go on at the same time.
    """
    token = _MARK.set(_Mark(f"{zlib.crc32(str(Path(path).resolve()).encode()):08x}"))
    try:
        yield
    finally:
        _MARK.reset(token)


def _name_apart(folder: Path, stem: str = "") -> str:
    """Name of a temporary file in a folder, for an output `stem`, without its suffix.

    Those that killed processes of this machine have left of the same output are removed.
    """
    mark = _MARK.get()
    if mark is None:
        return _name_of_process(folder, f".{stem}." if stem else ".")
    if folder not in mark.folders:
        mark.folders.add(folder)
        for left in folder.glob(f".*{mark.text}-*"):
            _remove_all(left)
    return f".{stem}.{mark.text}-{next(mark.numbers)}" if stem else f".{mark.text}-{next(mark.numbers)}"


def _name_of_process(folder: Path, before: str) -> str:
    """A name that tells whose it is: the machine (its name's check sum), the process, its mark, and a number."""
    begin, own = f"{before}{zlib.crc32(platform.node().encode()):08x}-", f"{os.getpid()}-{_PROCESS}-"
    with contextlib.suppress(OSError):  # of others, or in a folder that may not be listed
        for name in os.listdir(folder):
            pid = name[len(begin) :].partition("-")[0]
            if not name.startswith(begin) or name.startswith(begin + own) or not pid.isdigit():
                continue
            if int(pid) == os.getpid() or not is_running(int(pid)):  # an earlier one may have had its number
                _remove_all(folder / name)
    return f"{begin}{own}{next(_NUMBERS)}"


def _remove_all(path: Path) -> None:
    """Remove a file or a folder; another run may be about to do the same."""
    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else remove(path)


# Outputs that are whole and wait for the others of `together`.
_WAITING: ContextVar[list[_Output] | None] = ContextVar("waiting", default=None)


@contextmanager
def together() -> Iterator[ExitStack]:
    """Give an ExitStack whose outputs (made by `replacing`) appear when all of them are whole, or not at all."""
    waiting: list[_Output] = []
    token = _WAITING.set(waiting)
    try:
        with ExitStack() as outputs:
            yield outputs
        while waiting:  # files within a folder ended before it, and are moved first
            with telling(waiting[0].path):
                waiting[0].move()
            waiting.pop(0)
    finally:
        _WAITING.reset(token)
        for output in waiting:
            output.discard()


@contextmanager
def apart() -> Iterator[None]:
    """Within `together`: let files that are no outputs, such as scratch, appear at once."""
    token = _WAITING.set(None)
    try:
        yield
    finally:
        _WAITING.reset(token)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary sibling of `path` to write to, and move it into place when the block ends well.

    On any error, cancelling included, the temporary file and its sidecars are removed and an existing
    file at `path` stays as it was. Within `together` it is moved with the others.

    Raises
    ------
    OutputNotWritable
        If the folder cannot be made or written, or writing fails for want of space.
    """
    path = Path(path)
    make_folder(path.parent)
    output = _Output(path.with_name(f"{_name_apart(path.parent, path.stem)}{path.suffix}"), path)
    with _placing(output):
        yield output.temporary


@contextmanager
def replacing_folder(path: str | Path) -> Iterator[Path]:
    """As `replacing`, for a folder of files.

    Files of the same names are replaced, others in an existing folder stay.
    """
    path = Path(path)
    make_folder(path.parent)
    output = _Output(path.with_name(_name_apart(path.parent, path.name)), path)
    with _placing(output):
        output.temporary.mkdir()
        yield output.temporary


def place_folder(temporary: Path, path: str | Path) -> None:
    """Move a folder that is whole into its place; within `together`, with the others. On failure it stays where it is.

    Files of the same names are replaced, others in an existing folder stay.
    """
    output, waiting = _Output(temporary, Path(path), keep=True), _WAITING.get()
    if waiting is not None:
        waiting.append(output)
        return
    with telling(output.path):
        output.move()


@contextmanager
def _placing(output: _Output) -> Iterator[None]:
    waiting = _WAITING.get()
    placed = False
    try:
        with telling(output.path):
            yield
            if waiting is None:
                output.move()
            else:
                waiting.append(output)
        placed = True
    finally:
        if not placed:
            output.discard()


@contextmanager
def telling(path: Path) -> Iterator[None]:
    """Turn errors of a place that cannot be written into the library's own."""
    try:
        yield
    except OSError as error:
        if error.errno not in WRITE_FAULTS:
            raise
        raise OutputNotWritable(
            f"{path} cannot be written ({error.strerror or error})", "give a folder with permission and free space"
        ) from error


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, and check that files can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / _name_apart(folder)
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = "a file is in its place" if isinstance(error, FileExistsError) else error.strerror or error
        raise OutputNotWritable(
            f"the folder {folder} cannot be written ({reason})",
            "give another folder, or ask for permission",
        ) from error


def require_space(path: str | Path, wanted_bytes: float) -> None:
    """Raise `OutputNotWritable` when the disk of `path` has less than `wanted_bytes` free."""
    folder = Path(path).resolve().parent
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < wanted_bytes:
        raise OutputNotWritable(
            f"{path} needs about {wanted_bytes / 1e6:.0f} MB and {free / 1e6:.0f} MB are free",
            "free some space or write to another disk",
        )


def write_text(path: str | Path, text: str) -> Path:
    """Write a text file (UTF-8) whole."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    return Path(path)


def remove(path: Path) -> None:
    """Remove a file if it is there."""
    try:
        path.unlink()
    except FileNotFoundError:
        return

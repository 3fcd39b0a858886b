"""Outputs appear whole or not at all: written beside their place, then moved into it."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gwsa_qgis.errors import OutputNotWritable

SIDECARS = (".aux.xml", ".ovr", ".msk")
# What a full, read-only or forbidden place answers; any other OSError is not about writing.
WRITE_FAULTS = {
    getattr(errno, name)
    for name in ("EACCES", "EPERM", "EROFS", "ENOSPC", "EDQUOT", "EFBIG", "ENOTDIR", "EISDIR", "ENAMETOOLONG")
    if hasattr(errno, name)
}


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary sibling of `path` to write to, and move it into place when the block ends well.

    On any error, cancelling included, the temporary file and its sidecars are removed and an existing
    file at `path` stays as it was.

    Raises
    ------
    OutputNotWritable
        If the folder cannot be made or written, or writing fails for want of space.
    """
    path = Path(path)
    make_folder(path.parent)
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}{path.suffix}")
    try:
        yield temporary
        remove(path.with_name(path.name + SIDECARS[0]))  # statistics of the file that is replaced
        for sidecar in SIDECARS:
            written = temporary.with_name(temporary.name + sidecar)
            if written.exists():
                os.replace(written, path.with_name(path.name + sidecar))
        os.replace(temporary, path)
    except OSError as error:
        if error.errno not in WRITE_FAULTS:
            raise
        raise OutputNotWritable(
            f"{path} cannot be written ({error.strerror or error})", "give a folder with permission and free space"
        ) from error
    finally:
        for leftover in (temporary, *(temporary.with_name(temporary.name + s) for s in SIDECARS)):
            remove(leftover)


@contextmanager
def replacing_folder(path: str | Path) -> Iterator[Path]:
    """As `replacing`, for a folder of files; an existing folder is replaced file by file.

    Files of the same names are replaced, others in an existing folder stay.
    """
    path = Path(path)
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        temporary.mkdir()
        yield temporary
        if path.exists():
            for item in temporary.iterdir():
                os.replace(item, path / item.name)
        else:
            os.replace(temporary, path)
    except OSError as error:
        if error.errno not in WRITE_FAULTS:
            raise
        raise OutputNotWritable(
            f"{path} cannot be written ({error.strerror or error})", "give a folder with permission and free space"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, and check that files can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".{uuid.uuid4().hex[:8]}"
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

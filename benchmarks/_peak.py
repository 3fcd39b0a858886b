"""Work in a process of its own, whose memory is that of the work."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")


def memory_mb(name: str = "VmHWM") -> float:
    """Memory of this process, MB: the peak, or now (``VmRSS``); ``getrusage`` would count what its parent held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def in_fresh_process(work: Callable[..., Result], *arguments: object) -> Result:
    """What a function, which must be one of a module, gives in a process that begins anew."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_send, args=(theirs, work, arguments))
    process.start()
    theirs.close()
    found = ours.recv()
    process.join()
    return found


def _send(connection: Connection, work: Callable[..., object], arguments: tuple) -> None:
    connection.send(work(*arguments))

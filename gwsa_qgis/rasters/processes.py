"""Which processes run, and worker processes that end with the one that they work for."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

# Seconds between two looks at whether the process that is worked for still runs.
LOOKS = 1.0
_watched: set[int] = set()


def is_running(pid: int) -> bool:
    """Whether a process of this machine runs; one that has ended does not, even if nobody has asked how."""
    if os.name == "nt":  # os.kill(pid, 0) would send it Ctrl-C
        import ctypes

        limited_query, still_active = 0x1000, 259
        kernel, code = ctypes.windll.kernel32, ctypes.c_ulong()
        handle = kernel.OpenProcess(limited_query, False, pid)
        if not handle:
            return False
        known = kernel.GetExitCodeProcess(handle, ctypes.byref(code))
        kernel.CloseHandle(handle)
        return not known or code.value == still_active
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Whether a process has ended and waits to be asked how, in a container for ever; known on Linux alone."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return False
    return state[:1] in (["Z"], ["X"])


def end_with(pid: int) -> None:
    """Let this process end within a second or two of its parent `pid`; nothing happens where that is not its parent.

    Workers of joblib would otherwise outlive a run that was killed: they do what they were given, and then wait for more,
    minutes long or for ever, with all that they have in memory. Those of a cluster, which is to go on, have other parents.
    """
    if pid in _watched or os.getppid() != pid:
        return
    _watched.add(pid)
    threading.Thread(target=_watch, args=(pid,), name=f"end with {pid}", daemon=True).start()


def _watch(pid: int) -> None:
    # A parent that is gone is another one on Unix, and keeps its number on Windows.
    while os.getppid() == pid and is_running(pid):
        time.sleep(LOOKS)
    os._exit(1)  # there is nobody to whom anything could be told

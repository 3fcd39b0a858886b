"""Memory that was let go of, given back to the system."""

from __future__ import annotations

import ctypes
from functools import cache
from threading import Lock

# Bytes that pass through windows before what they leave is worth giving back: what is given back has to be fetched again,
# page by page, which for windows of a few months took a tenth of the time.
PASSED_THROUGH = 2**28


@cache
def _trim() -> object | None:
    """The C library's function for it; none but that of GNU has one, and none but that one needs it."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None


def give_back() -> None:
    """Give free memory back, where the C library would keep it.

    Threads that take and let go of arrays of many sizes leave holes in the heaps of glibc, each of which it keeps: over
    hundreds of windows a process comes to hold a third more than it uses. A call takes a few milliseconds.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


class HeapKeeper:
    """Gives memory back now and then, for windows that are worked at by several threads."""

    def __init__(self) -> None:
        self._passed, self._lock = 0, Lock()

    def take_note(self, passed: int) -> None:
        """So many bytes pass through the next window; what those before have left is given back when they were many."""
        with self._lock:
            many = self._passed >= PASSED_THROUGH
            self._passed = (0 if many else self._passed) + passed
        if many:
            give_back()

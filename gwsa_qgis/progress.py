"""Progress, messages and cancelling: one callable ``progress(fraction, message)`` for all steps."""

from __future__ import annotations

from collections.abc import Callable

ProgressFunction = Callable[[float, str], None]
WARNING = "Warning: "


class Reporter:
    """Wraps the caller's ``progress(fraction, message)``, which may raise to cancel.

    Parameters
    ----------
    progress : callable or Reporter, optional
        Receives a fraction from 0 to 1 and a message, which is empty when only the fraction moved.
        Messages of warnings begin with ``Warning:``.
    start, stop : float
        The part of the caller's range that this reporter fills.
    """

    def __init__(self, progress: ProgressFunction | None = None, start: float = 0.0, stop: float = 1.0) -> None:
        self._progress = progress
        self._start, self._stop = start, stop
        self._fraction = 0.0

    def __call__(self, fraction: float, message: str = "") -> None:
        """Report `fraction` (0 to 1) of this reporter's part as done."""
        self._fraction = min(max(float(fraction), 0.0), 1.0)
        if self._progress is not None:
            self._progress(self._start + self._fraction * (self._stop - self._start), message)

    def say(self, message: str) -> None:
        """Tell what was found, without moving the fraction."""
        self(self._fraction, message)

    def warn(self, message: str) -> None:
        """Tell what was repaired or looks odd."""
        self(self._fraction, WARNING + message)

    def part(self, start: float, stop: float) -> Reporter:
        """Return a reporter whose 0 to 1 is `start` to `stop` of this one."""
        return Reporter(self, start, stop)

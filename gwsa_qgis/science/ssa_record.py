"""What the missing months of a record are: short gaps, a long gap, and the years that can test the long one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gwsa_qgis.errors import InvalidMonths, NoUsableData
from gwsa_qgis.months import calendar_year, check_increasing

LONG_GAP_MONTHS = 7
"""Missing months in a row that make a long gap: more than half a year, so that a season is lost. The gaps within
GRACE have one or two months, that between GRACE and GRACE-FO has eleven."""


@dataclass(frozen=True)
class Record:
    """The months of series that miss the same months, sorted as the two stages need them.

    Attributes
    ----------
    months : ndarray of datetime64[M], shape (n,)
        The contiguous time axis.
    observed, short, long : ndarray of bool, shape (n,)
        Months with a value, of stage a, of stage b.
    before_long : ndarray of bool, shape (n,)
        Months before the long gap, observed or not; all where there is no long gap.
    """

    months: np.ndarray
    observed: np.ndarray
    short: np.ndarray
    long: np.ndarray
    before_long: np.ndarray

    @classmethod
    def from_missing(cls, missing: np.ndarray, months: np.ndarray) -> Record:
        """Sort the missing months, shape (n,), of which not all may be missing.

        The long gap begins with the first run of `LONG_GAP_MONTHS` missing months after the first observation; every
        missing month from there on belongs to it. For GRACE and GRACE-FO that is what Yi & Sneeuw give by date: their
        limit is the middle of 2017. Months before the first observation are not between observations and follow no
        long gap: they count as short.
        """
        observed = ~missing
        start = _first_long_run(missing)
        before_long = np.arange(missing.size) < start
        return cls(months, observed, missing & before_long, missing & ~before_long, before_long)

    @property
    def background(self) -> np.ndarray:
        """Months of the whole calendar years from the first observation to the long gap, as a mask.

        For GRACE from April 2002 these are the years 2003 to 2016.
        """
        since_observed = np.arange(self.months.size) >= np.argmax(self.observed)
        usable = since_observed & self.before_long
        years = calendar_year(self.months)
        complete = [year for year in np.unique(years[usable]) if np.count_nonzero(usable & (years == year)) == 12]
        return np.isin(years, complete)

    def test_years(self, wanted: Sequence[int], observed_only: bool) -> np.ndarray:
        """Years of the background to mask: those wanted, or where it has none of them all but its first and last.

        With `observed_only`, a year without any observed month can not be scored and is left out.
        """
        background = self.background
        years = calendar_year(self.months)
        present = np.unique(years[background])
        chosen = present[np.isin(present, wanted)]
        if chosen.size == 0:
            chosen = present[1:-1]
        if observed_only:
            chosen = chosen[np.isin(chosen, years[self.observed])]
        if chosen.size == 0:
            raise NoUsableData(
                f"the record has {present.size} complete calendar years before its long gap and none of them can be "
                "masked to test the filling",
                "give a record with at least three complete years before the long gap, or a single long_windows and "
                "long_modes, which need no test",
            )
        return chosen


def _first_long_run(missing: np.ndarray) -> int:
    """Where the first run of `LONG_GAP_MONTHS` missing months after the first observation begins, else the length."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], missing, [False]]).astype(np.int8)))
    begins, ends = edges[::2], edges[1::2]
    long_runs = begins[(ends - begins >= LONG_GAP_MONTHS) & (begins > 0)]
    return int(long_runs[0]) if long_runs.size else missing.size


def check_contiguous(months: np.ndarray, n_months: int) -> np.ndarray:
    """Return the months as datetime64[M] of shape (n_months,), or raise `InvalidMonths`."""
    months = np.asarray(months)
    if (
        months.ndim != 1
        or months.size != n_months
        or months.size == 0
        or not np.issubdtype(months.dtype, np.datetime64)
    ):
        raise InvalidMonths(
            f"the series have {n_months} months and the time axis is {months.dtype} of shape {months.shape}",
            "give one datetime64[M] for each month of the series",
        )
    months = months.astype("datetime64[M]")
    check_increasing(months, "the time axis")
    steps = np.diff(months).astype(int)
    if (steps > 1).any():
        at = int(np.argmax(steps > 1))
        raise InvalidMonths(
            f"the time axis leaves out months ({months[at]} is followed by {months[at + 1]})",
            "give every calendar month and mark missing ones with NaN",
        )
    return months


def check_long_enough(n_months: int, what: str, windows: Sequence[int], modes: int) -> None:
    """Raise `NoUsableData` unless `n_months` hold at least as many windows as modes, for every window length."""
    needed = max(windows) + modes - 1
    if n_months < needed:
        raise NoUsableData(
            f"{what} has {n_months} months, and a window of {max(windows)} months with {modes} modes needs {needed}",
            "give a longer record or a shorter window",
        )

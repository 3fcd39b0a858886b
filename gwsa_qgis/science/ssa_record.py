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


COMPLETE_YEARS = 5
"""Complete calendar years that a stretch between long gaps needs to be preferred for being the first: enough for the
paper's window of 48 months with 12 modes."""


@dataclass(frozen=True)
class Record:
    """The months of series that miss the same months, sorted as the two stages need them.

    Attributes
    ----------
    months : ndarray of datetime64[M], shape (n,)
        The contiguous time axis.
    observed, short, long : ndarray of bool, shape (n,)
        Months with a value, of stage a, of stage b.
    stretch : ndarray of bool, shape (n,)
        Months, observed or not, of the stretch without a long gap on which stage b is tested: for GRACE those before
        the gap between the missions; all where there is no long gap.
    """

    months: np.ndarray
    observed: np.ndarray
    short: np.ndarray
    long: np.ndarray
    stretch: np.ndarray

    @classmethod
    def from_missing(cls, missing: np.ndarray, months: np.ndarray) -> Record:
        """Sort the missing months, shape (n,), of which not all may be missing.

        Runs of `LONG_GAP_MONTHS` missing months after the first observation divide the record into stretches. The
        first stretch of `COMPLETE_YEARS`, or else the longest, is the one that tests are made on; months missing in
        it are short gaps, all others belong to stage b. For GRACE and GRACE-FO that is what Yi & Sneeuw give by date:
        their limit is the middle of 2017. Months before the first observation are not between observations and
        follow no long gap: they belong to the first stretch.
        """
        stretches = _stretches(missing)
        years = [_complete_years(months[begin:end], missing[begin:end]).size for begin, end in stretches]
        enough = [number for number, count in enumerate(years) if count >= COMPLETE_YEARS]
        lengths = [end - begin for begin, end in stretches]
        begin, end = stretches[enough[0] if enough else int(np.argmax(lengths))]
        stretch = np.zeros(missing.size, dtype=bool)
        stretch[begin:end] = True
        return cls(months, ~missing, missing & stretch, missing & ~stretch, stretch)

    @property
    def background(self) -> np.ndarray:
        """Months of the whole calendar years of the stretch, from its first observation on, as a mask.

        For GRACE from April 2002 these are the years 2003 to 2016.
        """
        places = np.flatnonzero(self.stretch)
        complete = _complete_years(self.months[places], ~self.observed[places])
        return self.stretch & np.isin(calendar_year(self.months), complete)

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
                f"the longest stretch of the record without a long gap has {present.size} complete calendar years and "
                "none of them can be masked to test the filling",
                "give a record with at least three complete years without a long gap, or a single long window and "
                "number of modes, which need no test",
            )
        return chosen


def _stretches(missing: np.ndarray) -> list[tuple[int, int]]:
    """Begin and end of the parts of the record between runs of `LONG_GAP_MONTHS` missing months."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], missing, [False]]).astype(np.int8)))
    begins, ends = edges[::2], edges[1::2]
    long_run = (ends - begins >= LONG_GAP_MONTHS) & (begins > 0)
    starts = np.concatenate([[0], ends[long_run]])
    stops = np.concatenate([begins[long_run], [missing.size]])
    return [(int(begin), int(end)) for begin, end in zip(starts, stops, strict=True) if end > begin]


def _complete_years(months: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Calendar years that lie whole in contiguous `months`, from the first that is not missing on."""
    if missing.all():
        return np.zeros(0, dtype=int)
    years, counts = np.unique(calendar_year(months[np.argmin(missing) :]), return_counts=True)
    return years[counts == 12]


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

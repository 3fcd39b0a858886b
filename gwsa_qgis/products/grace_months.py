"""Which calendar month each GRACE solution stands for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from gwsa_qgis.errors import InvalidMonths
from gwsa_qgis.months import month_range
from gwsa_qgis.products.cf_time import calendar_months_of, describe_months, midpoint_months, parse_missing

MONTH_RULES = ("metadata", "midpoint")
DUPLICATE_RULES = ("refuse", "average")
# A solution of a month may use data of the days round it; its mid-epoch stays this near to the month.
MIDPOINT_TOLERANCE_DAYS = 20


class Dated(Protocol):
    """What has solutions with times."""

    path: str

    def times(self) -> np.ndarray | None:
        """Mid-epochs, datetime64[s]."""

    def time_bounds(self) -> np.ndarray | None:
        """First and last instant of each solution's data, (n_times, 2) datetime64[s]."""


@dataclass(frozen=True)
class Solutions:
    """Which month each time of a file stands for.

    Attributes
    ----------
    months : (n_times,) datetime64[M]
    rule : str
        How they were assigned, for the log.
    doubled : (n,) datetime64[M]
        Months with more than one solution, to be averaged.
    moved : (n,) datetime64[M]
        Months whose solution has its mid-point in another calendar month, by the file's own list.
    parted : (n,) datetime64[M]
        Months that got one of two solutions whose mid-points fell into one calendar month.
    """

    months: np.ndarray
    rule: str
    doubled: np.ndarray = field(default_factory=lambda: np.array([], "datetime64[M]"))
    moved: np.ndarray = field(default_factory=lambda: np.array([], "datetime64[M]"))
    parted: np.ndarray = field(default_factory=lambda: np.array([], "datetime64[M]"))

    def of(self, month: np.datetime64) -> np.ndarray:
        """Times (from 0) that stand for a month."""
        return np.flatnonzero(self.months == month)


def assign_months(cube: Dated, attributes: dict[str, object], rule: str, duplicates: str = "refuse") -> Solutions:
    """Find the month of each solution.

    Parameters
    ----------
    rule : {"metadata", "midpoint"}
        ``metadata``: all months of the file's coverage less its ``months_missing``, in order, and for files without
        such a list the calendar month of the mid-epoch; ``midpoint``: by the mid-epoch (`cf_time.midpoint_months`),
        as the paper did, so that two solutions may share a month and are averaged.
    duplicates : {"refuse", "average"}
        What to do under ``metadata`` with two solutions in a month, in files without a list. Where the bounds of their
        data tell them apart (most of the days of one lie in a month that has no other), there is nothing to decide.

    Raises
    ------
    InvalidMonths
        If the metadata contradict the times, or two solutions of a file without such metadata share a month.
    """
    times = cube.times()
    if rule == "midpoint":
        months = midpoint_months(times)
        return Solutions(months, "by their mid-points", doubled=_doubled(months))
    missing, start, end = (attributes.get(k) for k in ("months_missing", "time_coverage_start", "time_coverage_end"))
    if missing is None or start is None or end is None:
        return _by_calendar(cube, times, duplicates)
    return _from_metadata(cube, times, str(missing), str(start), str(end))


def _by_calendar(cube: Dated, times: np.ndarray, duplicates: str) -> Solutions:
    rule = "by their calendar months (the file lists no missing months)"
    months = calendar_months_of(times)
    doubled = _doubled(months)
    if not doubled.size:
        return Solutions(months, rule)
    parted = _part(cube, months, doubled)
    if parted is not None:
        return Solutions(parted, rule, parted=np.sort(parted[parted != months]))
    if duplicates == "refuse":
        raise InvalidMonths(
            f"{cube.path} has two solutions in {describe_months(doubled)} and no list of missing months",
            "choose DUPLICATES = average to average them, or remove one",
        )
    return Solutions(months, rule, doubled=doubled)


def _part(cube: Dated, months: np.ndarray, doubled: np.ndarray) -> np.ndarray | None:
    """Months with the doubled ones given by most of the days of data; None when that leaves any doubled."""
    bounds = cube.time_bounds()
    if bounds is None:
        return None
    parted = months.copy()
    for at in np.flatnonzero(np.isin(months, doubled)):
        near = months[at] + np.arange(-1, 2)
        begin, stop = near.astype("datetime64[s]"), (near + 1).astype("datetime64[s]")
        days = np.minimum(bounds[at, 1], stop) - np.maximum(bounds[at, 0], begin)
        parted[at] = near[np.argmax(days.astype(float))]
    return None if _doubled(parted).size else parted


def _from_metadata(cube: Dated, times: np.ndarray, missing: str, start: str, end: str) -> Solutions:
    absent = parse_missing(missing, cube.path)
    covered = month_range(start[:7], end[:7])
    months = covered[~np.isin(covered, absent)]
    if months.size != times.size:
        raise InvalidMonths(
            f"{cube.path} has {times.size} solutions, but its metadata leave {months.size} months between "
            f"{covered[0]} and {covered[-1]} ({absent.size} missing)",
            "choose MONTHS = midpoint, or fetch the file again",
        )
    order = np.argsort(times, kind="stable")
    assigned = np.empty_like(months)
    assigned[order] = months
    _check_overlap(cube, times, assigned)
    moved = assigned[calendar_months_of(times) != assigned]
    return Solutions(assigned, "by the file's list of missing months", moved=np.sort(moved))


def _check_overlap(cube: Dated, times: np.ndarray, months: np.ndarray) -> None:
    """Raise unless each solution's data touch the month that it is given."""
    bounds = cube.time_bounds()
    if bounds is None:
        tolerance = np.timedelta64(MIDPOINT_TOLERANCE_DAYS * 86400, "s")
        bounds = np.stack([times - tolerance, times + tolerance], axis=1)
    begin, stop = months.astype("datetime64[s]"), (months + 1).astype("datetime64[s]")
    apart = (bounds[:, 0] >= stop) | (bounds[:, 1] < begin)
    if apart.any():
        at = int(np.flatnonzero(apart)[0])
        raise InvalidMonths(
            f"solution {at + 1} of {cube.path} has data of {bounds[at, 0]} to {bounds[at, 1]}, but the file's list of "
            f"missing months makes it {months[at]}",
            "choose MONTHS = midpoint, or fetch the file again",
        )


def _doubled(months: np.ndarray) -> np.ndarray:
    names, counts = np.unique(months, return_counts=True)
    return names[counts > 1]

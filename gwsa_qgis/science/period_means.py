"""Means over months of periods, and the periods that a text names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gwsa_qgis.errors import InvalidMonths, InvalidParameter

NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MONTH = r"(?P<{0}>\d{{4}}(?:-(?:0[1-9]|1[0-2]))?)"
PERIOD = re.compile(rf"\s*{MONTH.format('first')}(?:\s*(?:/|to)\s*{MONTH.format('last')})?\s*")


@dataclass(frozen=True)
class Period:
    """A span of months, both ends included.

    Attributes
    ----------
    first, last : datetime64[M]
    """

    first: np.datetime64
    last: np.datetime64

    def __str__(self) -> str:
        return f"{self.first} to {self.last}"

    def title(self) -> str:
        """With the months' names, as ``Apr 2002 to Dec 2020``: no program takes that for a date of a band."""
        return " to ".join(f"{NAMES[int(str(m)[5:]) - 1]} {str(m)[:4]}" for m in (self.first, self.last))

    def inside(self, months: np.ndarray) -> np.ndarray:
        """Which of the months lie in it, (n_months,) bool."""
        return (months >= self.first) & (months <= self.last)


def parse_periods(text: str) -> list[Period]:
    """Periods from a text such as ``2003/2010, 2011-01/2020-12``; years stand for all of their months.

    Raises
    ------
    InvalidMonths
        If a part is no period, or ends before it begins.
    """
    periods = []
    for part in re.split(r"[,;]", text or ""):
        if not part.strip():
            continue
        found = PERIOD.fullmatch(part)
        if not found:
            raise InvalidMonths(
                f"{part.strip()!r} is no period", "give first and last year or month, as 2003/2010 or 2003-04/2010-12"
            )
        first, last = found["first"], found["last"] or found["first"]
        begin = np.datetime64(first, "M")
        end = np.datetime64(last, "M") + (11 if len(last) == 4 else 0)
        if end < begin:
            raise InvalidMonths(f"the period {part.strip()!r} ends before it begins", "give the earlier month first")
        periods.append(Period(begin, end))
    return periods


def period_means(
    values: np.ndarray, months: np.ndarray, periods: Sequence[Period], minimum_share: float = 0.5
) -> np.ndarray:
    """Mean of each cell over each period.

    Parameters
    ----------
    values : ndarray, shape (n_months, n_cells)
        What is not finite is missing.
    months : ndarray of datetime64[M], shape (n_months,)
    periods : sequence of Period
    minimum_share : float
        A cell has a mean if it has at least this share of the period's months in `months`, and one at least.

    Returns
    -------
    ndarray of float64, shape (n_periods, n_cells)
        NaN where too many months are missing.

    Raises
    ------
    InvalidParameter
        If the share is not 0 to 1.
    """
    if not 0 <= minimum_share <= 1:
        raise InvalidParameter(f"the least share of months is {minimum_share:g}", "give 0 to 1, such as 0.5")
    means = np.full((len(periods), values.shape[1]), np.nan)
    for mean, period in zip(means, periods, strict=True):
        places = np.flatnonzero(period.inside(months))
        total, count = np.zeros(values.shape[1]), np.zeros(values.shape[1], np.int32)
        for place in places:
            valid = np.isfinite(values[place])
            count += valid
            total += np.where(valid, values[place], 0.0)
        enough = count >= max(minimum_share * places.size, 1)
        np.divide(total, count, out=mean, where=enough)
    return means

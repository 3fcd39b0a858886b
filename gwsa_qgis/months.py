"""Calendar months as ``datetime64[M]``: the time axis of everything in this library."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gwsa_qgis.errors import InvalidMonths


def month_range(first: str | np.datetime64, last: str | np.datetime64) -> np.ndarray:
    """All months from `first` to `last`, both included, as ``datetime64[M]``; raises `InvalidMonths` for other texts."""
    try:
        start, stop = np.datetime64(first, "M"), np.datetime64(last, "M")
    except ValueError:
        raise InvalidMonths(f"{first} to {last} is not a pair of months", "give them as YYYY-MM") from None
    return np.arange(start, stop + 1)


def calendar_month(months: np.ndarray) -> np.ndarray:
    """Calendar month, 1 to 12, of each element."""
    return months.astype("datetime64[M]").astype(int) % 12 + 1


def calendar_year(months: np.ndarray) -> np.ndarray:
    """Calendar year of each element."""
    return months.astype("datetime64[Y]").astype(int) + 1970


def days_in_month(months: np.ndarray) -> np.ndarray:
    """Days of each month (28 to 31)."""
    first_days = months.astype("datetime64[D]")
    next_first_days = (months.astype("datetime64[M]") + 1).astype("datetime64[D]")
    return (next_first_days - first_days).astype(int)


def parse_months(names: Iterable[str], what: str) -> np.ndarray:
    """Turn ``YYYY-MM`` texts into months; `what` names the input in errors.

    Raises
    ------
    InvalidMonths
        If a text is not a month, or months are doubled or out of order.
    """
    months = []
    for position, name in enumerate(names, start=1):
        try:
            months.append(np.datetime64(name.strip()[:7], "M"))
        except (ValueError, AttributeError):
            raise InvalidMonths(
                f"{what} has no month on band {position} (its description is {name!r})",
                "describe bands as YYYY-MM, or make a monthly stack with gwsa:monthlystack and a start date",
            ) from None
    result = np.array(months, dtype="datetime64[M]")
    check_increasing(result, what)
    return result


def check_increasing(months: np.ndarray, what: str) -> None:
    """Raise `InvalidMonths` unless the months are strictly increasing."""
    steps = np.diff(months.astype("datetime64[M]")).astype(int)
    if (steps <= 0).any():
        at = int(np.flatnonzero(steps <= 0)[0])
        kind = "doubled" if steps[at] == 0 else "out of order"
        raise InvalidMonths(
            f"{what} has {kind} months ({months[at]} is followed by {months[at + 1]})",
            "give each month once, oldest first",
        )

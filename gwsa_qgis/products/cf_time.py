"""Time axes of NetCDF files: CF units in all the spellings that agencies use, Julian days, decimal years."""

from __future__ import annotations

import re

import numpy as np

from gwsa_qgis.errors import InvalidMonths
from gwsa_qgis.months import parse_months

SECONDS = {"second": 1, "sec": 1, "s": 1, "minute": 60, "min": 60, "hour": 3600, "hr": 3600, "h": 3600, "day": 86400}
SECONDS["d"] = 86400
CF_UNITS = re.compile(
    r"^\s*([a-z]+?)s?\s+since\s+(\d{1,4})-(\d{1,2})-(\d{1,2})(?:[ T]+(\d{1,2}):(\d{1,2})(?::(\d{1,2}))?)?"
)
GREGORIAN = ("", "standard", "gregorian", "proleptic_gregorian", "julian")
MODIFIED_JULIAN_EPOCH = np.datetime64("1858-11-17T00:00:00", "s")


def decode_times(values: np.ndarray, units: str, calendar: str = "", what: str = "the file") -> np.ndarray:
    """Turn the values of a time axis into instants.

    Parameters
    ----------
    values : (n_times,) array
    units : str
        CF units such as ``days since 2002-01-01T00:00:00Z``; without them, values between 1900 and 2100 are
        decimal years and values between 40000 and 80000 modified Julian days.
    calendar : str
        CF calendar; ``noleap`` and ``360_day`` are understood beside the ordinary one.
    what : str
        Names the input in errors.

    Returns
    -------
    (n_times,) datetime64[s]

    Raises
    ------
    InvalidMonths
        If the axis cannot be understood.
    """
    values = np.asarray(values, float)
    found = CF_UNITS.match(units.lower())
    if found:
        return _decode_cf(values, found, calendar.lower(), what)
    if values.size and np.isfinite(values).all():
        if (values > 1900).all() and (values < 2100).all() and not (values == values.astype(int)).all():
            return decimal_years_to_times(values)
        if (values > 40000).all() and (values < 80000).all():
            return MODIFIED_JULIAN_EPOCH + np.round(values * 86400).astype("timedelta64[s]")
    raise InvalidMonths(
        f"the time axis of {what} cannot be understood (units {units!r}, first value {values[:1]})",
        "give a file whose time has CF units (days since ...), or give the start month",
    )


def _decode_cf(values: np.ndarray, found: re.Match, calendar: str, what: str) -> np.ndarray:
    unit, year, month, day, *clock = found.groups()
    hour, minute, second = (int(part or 0) for part in clock)
    start = np.datetime64(f"{int(year):04d}-{int(month):02d}-{int(day):02d}", "s")
    start = start + np.timedelta64(hour * 3600 + minute * 60 + second, "s")
    if unit == "month":
        whole = np.floor(values).astype(int)
        first = start.astype("datetime64[M]") + whole
        return first.astype("datetime64[s]") + (start - start.astype("datetime64[M]").astype("datetime64[s]"))
    if unit not in SECONDS:
        raise InvalidMonths(
            f"{what} counts time in {unit}s", "give a file with time in days, hours or months since a date"
        )
    if calendar in GREGORIAN:
        return start + np.round(values * SECONDS[unit]).astype("timedelta64[s]")
    days_per_year = {"noleap": 365, "365_day": 365, "360_day": 360}.get(calendar)
    if days_per_year is None:
        raise InvalidMonths(f"{what} uses the calendar {calendar!r}", "give a file with the standard calendar")
    # Decimal years keep the month right whatever the calendar's number of days.
    years = values * SECONDS[unit] / 86400 / days_per_year
    return decimal_years_to_times(to_decimal_years(np.array([start]))[0] + years)


def decimal_years_to_times(years: np.ndarray) -> np.ndarray:
    """Instants of decimal years, datetime64[s]."""
    whole = np.floor(years).astype(int)
    start = (whole - 1970).astype("datetime64[Y]")
    length = ((start + 1).astype("datetime64[s]") - start.astype("datetime64[s]")).astype(float)
    return start.astype("datetime64[s]") + np.round((years - whole) * length).astype("timedelta64[s]")


def to_decimal_years(times: np.ndarray) -> np.ndarray:
    """Decimal years of instants."""
    times = times.astype("datetime64[s]")
    year = times.astype("datetime64[Y]")
    start = year.astype("datetime64[s]")
    length = ((year + 1).astype("datetime64[s]") - start).astype(float)
    return year.astype(int) + 1970 + (times - start).astype(float) / length


def midpoint_months(times: np.ndarray) -> np.ndarray:
    """Month to which a mid-epoch e belongs: -1/24 <= e - t < 1/24 with t = year + (month - 0.5)/12.

    Yi & Sneeuw (2021), doi:10.1029/2020JB020922; twelfths of a year, not calendar months.
    """
    years = to_decimal_years(times)
    whole = np.floor(years)
    twelfth = np.minimum(np.floor((years - whole) * 12 + 1e-9), 11).astype(int)
    return ((whole.astype(int) - 1970) * 12 + twelfth).astype("datetime64[M]")


def calendar_months_of(times: np.ndarray) -> np.ndarray:
    """Calendar month in which each instant lies."""
    return times.astype("datetime64[M]")


def parse_missing(text: str, what: str) -> np.ndarray:
    """Months of an attribute ``months_missing``: ";"-separated, items doubled, ranges as ``2018-08-2018-09``."""
    months: set[np.datetime64] = set()
    for item in re.split(r"[;,\s]+", text.strip()):
        found = re.fullmatch(r"(\d{4}-\d{2})(?:-(\d{4}-\d{2}))?", item)
        if not item:
            continue
        if not found:
            raise InvalidMonths(f"{what} names {item!r} among its missing months", "give MONTHS as midpoint")
        first, last = parse_months([found[1]], what)[0], parse_months([found[2] or found[1]], what)[0]
        months.update(np.arange(first, last + 1))
    return np.array(sorted(months), dtype="datetime64[M]")


def describe_months(months: np.ndarray, most: int = 6) -> str:
    """A short list of months for messages."""
    names = [str(month) for month in months[:most]]
    return ", ".join(names) + (f" and {months.size - most} more" if months.size > most else "")

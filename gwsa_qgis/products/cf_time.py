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
# Days before each month of the calendars of climate models, the same in every year.
FIRST_DAYS = {
    "noleap": np.array([0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365]),
    "all_leap": np.array([0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335, 366]),
    "360_day": np.arange(13) * 30,
}
FIRST_DAYS |= {"365_day": FIRST_DAYS["noleap"], "366_day": FIRST_DAYS["all_leap"]}
# Decimal years of four digits behind the point are exact to this share of a month.
TWELFTH_TOLERANCE = 0.02
MODIFIED_JULIAN_EPOCH = np.datetime64("1858-11-17T00:00:00", "s")


def decode_times(values: np.ndarray, units: str, calendar: str = "", what: str = "the file") -> np.ndarray:
    """Turn the values of a time axis into instants.

    Parameters
    ----------
    values : (n_times,) array
    units : str
        CF units such as ``days since 2002-01-01T00:00:00Z``; without them, values between 1900 and 2100 are
        decimal years (those that count twelfths of a year are months), values between 40000 and 80000 modified Julian
        days, and whole numbers that spell YYYYMM or YYYYMMDD are what they spell.
    calendar : str
        CF calendar; ``noleap``, ``all_leap`` and ``360_day`` are understood beside the ordinary one.
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
    if not np.isfinite(values).all() or (np.abs(values) > 1e12).any():
        raise InvalidMonths(f"the time axis of {what} has missing values", "give a file whose times are all there")
    found = CF_UNITS.match(units.lower())
    if found:
        return _decode_cf(values, found, calendar.lower().strip(), what)
    times = _decode_bare(values) if values.size else None
    if times is None:
        raise InvalidMonths(
            f"the time axis of {what} cannot be understood (units {units!r}, first value {values[:1]})",
            "give a file whose time has CF units (days since ...), or give the start month",
        )
    return times


def _decode_bare(values: np.ndarray) -> np.ndarray | None:
    """Instants of values that have no CF units; None when they are of no kind that is known."""
    low, high = values.min(), values.max()
    whole = (values == values.astype(np.int64)).all()
    if low > 1900 and high < 2100 and not whole:
        return _twelfths(values) if values.size > 1 else decimal_years_to_times(values)
    if low > 40000 and high < 80000:
        return MODIFIED_JULIAN_EPOCH + np.round(values * 86400).astype("timedelta64[s]")
    number = np.floor(values).astype(np.int64)
    for digits, days in ((1, False), (100, True)):
        year, month, day = number // (100 * digits), number // digits % 100, number % digits if days else number * 0 + 1
        if low > 190000 * digits and high < 210013 * digits and (month >= 1).all() and (month <= 12).all():
            start = ((year - 1970) * 12 + month - 1).astype("datetime64[M]").astype("datetime64[D]")
            return (start + (np.maximum(day, 1) - 1)).astype("datetime64[s]")
    return None


def _twelfths(years: np.ndarray) -> np.ndarray:
    """Instants of decimal years, of which 2002.0833 may be short for 1 February and 2002.0417 for the middle of January.

    A twelfth of a year is not a calendar month: 2002.0833 is 31 January, and would be a second solution of that month.
    """
    twelfths = years * 12
    for place in (0.0, 0.5):
        count = np.round(twelfths - place)
        if (np.abs(twelfths - place - count) <= TWELFTH_TOLERANCE).all():
            month = (count.astype(int) - 1970 * 12).astype("datetime64[M]")
            start, stop = month.astype("datetime64[s]"), (month + 1).astype("datetime64[s]")
            return start + (stop - start) * place
    return decimal_years_to_times(years)


def _decode_cf(values: np.ndarray, found: re.Match, calendar: str, what: str) -> np.ndarray:
    unit, year, month, day, *clock = found.groups()
    hour, minute, second = (int(part or 0) for part in clock)
    try:
        start = np.datetime64(f"{int(year):04d}-{int(month):02d}-{int(day):02d}", "s")
    except ValueError:
        raise InvalidMonths(
            f"{what} counts time since {year}-{month}-{day}, which is no date", "correct the units of its time axis"
        ) from None
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
    if calendar not in FIRST_DAYS:
        raise InvalidMonths(f"{what} uses the calendar {calendar!r}", "give a file with the standard calendar")
    return _count_days(values, found, FIRST_DAYS[calendar])


def _count_days(values: np.ndarray, found: re.Match, starts: np.ndarray) -> np.ndarray:
    """Instants in a climate model's calendar, whose years have the same days each, by counting them.

    A share of the year would make 1 March of a year without leap day the 29 February of a real leap year. Year and
    month are those of the model's calendar; days that a real month lacks become its last day.
    """
    year, month, day, *clock = (int(part or 0) for part in found.groups()[1:])
    per_year = int(starts[-1])
    origin = year * per_year + starts[month - 1] + day - 1
    total = np.round(values * SECONDS[found[1]]).astype(np.int64) + clock[0] * 3600 + clock[1] * 60 + clock[2]
    days, rest = origin + total // 86400, total % 86400
    within = days % per_year
    place = np.searchsorted(starts, within, side="right") - 1
    first = ((days // per_year - 1970) * 12 + place).astype("datetime64[M]")
    last = (first + 1).astype("datetime64[D]") - 1
    dates = np.minimum(first.astype("datetime64[D]") + (within - starts[place]), last)
    return dates.astype("datetime64[s]") + rest.astype("timedelta64[s]")


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

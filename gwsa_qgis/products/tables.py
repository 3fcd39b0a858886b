"""Delimited text as found in the field: any common delimiter, decimal commas, many words for a missing value."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidMonths, UnreadableInput

MISSING_WORDS = {
    "",
    "na",
    "n/a",
    "nan",
    "null",
    "none",
    "-",
    "--",
    "missing",
    "#n/a",
    "-9999",
    "-9999.0",
    "-999",
    "-99999",
}
_YEAR_FIRST = re.compile(r"^\s*((?:1[89]|20|21)\d\d)(?:[-/.]?(\d{1,2})(?:[-/.]?(\d{1,2}))?)?(?:[T ].*)?\s*$")
_YEAR_LAST = re.compile(r"^\s*(\d{1,2})[-/.](\d{1,2})[-/.]((?:1[89]|20|21)\d\d)(?:[T ].*)?\s*$")


def read_table(path: str | Path) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a delimited text; lines that begin with ``#`` are left out.

    Raises
    ------
    UnreadableInput
        If the file is absent, no text, or has no row.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        text = Path(path).read_text(encoding="latin-1")
    except OSError as error:
        raise UnreadableInput(f"{path} cannot be read ({error.strerror})", "give an existing table") from error
    if "\0" in text[:4096]:
        raise UnreadableInput(f"{path} is no text table", "give delimited text (CSV)")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if len(lines) < 2:
        raise UnreadableInput(f"{path} has no row below its header", "give a table with a header and rows")
    counts = {mark: lines[0].count(mark) for mark in (";", "\t", ",")}
    # With decimal commas the delimiter is another mark, and the header has it; a comma counts only alone.
    delimiter = next((mark for mark in (";", "\t") if counts[mark]), ",")
    rows = list(csv.reader(lines, delimiter=delimiter))
    header = [name.strip() for name in rows[0]]
    width = len(header)
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != width:
            raise UnreadableInput(
                f"row {number} of {path} has {len(row)} values and its header {width}",
                "mend the row, or use a semicolon between values where numbers have decimal commas",
            )
    return header, rows[1:]


def to_number(text: str) -> float:
    """A number with a decimal point or comma; NaN for a missing value.

    Raises
    ------
    ValueError
        If the text is neither.
    """
    try:
        number = float(text)
    except ValueError:
        stripped = text.strip()
        if stripped.lower() in MISSING_WORDS:
            return np.nan
        number = float(stripped.replace(",", "."))
    return np.nan if number in (-9999.0, -999.0, -99999.0) else number


def to_numbers(texts: list[str], what: str) -> np.ndarray:
    """Numbers of a column, NaN where missing; `what` names it in errors.

    Raises
    ------
    UnreadableInput
        If a text is neither a number nor a word for a missing value.
    """
    values = np.empty(len(texts))
    for position, text in enumerate(texts):
        try:
            values[position] = to_number(text)
        except ValueError:
            raise UnreadableInput(
                f"{what} has {text!r} in row {position + 2}, which is no number", "correct it or leave it empty"
            ) from None
    return values


def month_of(text: str, day_first: bool = True) -> tuple[np.datetime64, bool] | None:
    """Month of a date, and whether the text named more than the year; None when it is no date."""
    found = _YEAR_FIRST.match(text)
    if found:
        year, month = int(found[1]), int(found[2] or 1)
        named = found[2] is not None
    else:
        found = _YEAR_LAST.match(text)
        if not found:
            return None
        year, month, named = int(found[3]), int(found[2] if day_first else found[1]), True
    if not 1 <= month <= 12:
        return None
    return np.datetime64(f"{year:04d}-{month:02d}", "M"), named


def months_of(texts: list[str], what: str) -> tuple[np.ndarray, bool]:
    """Months of a column of dates, and whether the dates are years alone.

    Dates such as 03/01/2004 are read day first unless that gives a month above 12 somewhere.

    Raises
    ------
    InvalidMonths
        If a text is no date.
    """
    cache: dict[str, np.datetime64] = {}
    for day_first in (True, False):
        cache.clear()
        yearly, failed = True, None
        for text in dict.fromkeys(texts):
            found = month_of(text, day_first)
            if found is None:
                failed = text
                break
            cache[text], yearly = found[0], yearly and not found[1]
        if failed is None:
            return np.array([cache[text] for text in texts], "datetime64[M]"), yearly
    raise InvalidMonths(
        f"{what} has the date {failed!r}", "write dates as YYYY-MM-DD, YYYY-MM or YYYY, or decimal years as dates"
    )


def find_column(header: list[str], names: tuple[str, ...], wanted: str = "") -> int | None:
    """Position of a column by the name wanted, else by the first of `names` found, letter case aside.

    Raises
    ------
    UnreadableInput
        If the wanted name is not there.
    """
    lowered = [name.lower() for name in header]
    if wanted:
        if wanted.lower() not in lowered:
            raise UnreadableInput(
                f"there is no column {wanted!r}; the columns are {', '.join(header[:12])}", "name one of these"
            )
        return lowered.index(wanted.lower())
    return next((lowered.index(name) for name in names if name in lowered), None)

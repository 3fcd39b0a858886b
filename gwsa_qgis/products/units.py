"""Units of water storage as files spell them, turned into centimetres."""

from __future__ import annotations

import re

from gwsa_qgis.errors import InvalidParameter

CM_PER_UNIT = {
    "cm": 1.0,
    "centimeter": 1.0,
    "centimeters": 1.0,
    "centimetre": 1.0,
    "centimetres": 1.0,
    "mm": 0.1,
    "millimeter": 0.1,
    "millimeters": 0.1,
    "millimetre": 0.1,
    "millimetres": 0.1,
    "kgm-2": 0.1,
    "kg/m2": 0.1,
    "kg/m^2": 0.1,
    "kgm^-2": 0.1,
    "m": 100.0,
    "meter": 100.0,
    "metre": 100.0,
    "meters": 100.0,
    "metres": 100.0,
}


def centimetres_per(unit: str, given: str, what: str) -> float:
    """Factor from a file's unit to cm of equivalent water height.

    Parameters
    ----------
    unit : str
        Unit that the file names; may be empty.
    given : str
        Unit that the user gave, which takes precedence; may be empty.
    what : str
        Names the input in errors.

    Raises
    ------
    InvalidParameter
        If neither says a unit that is known: a unit is never guessed.
    """
    text = given or unit
    # "cm of equivalent water", "mm w.e.": the first word counts, unless the unit itself has blanks (kg m-2)
    for candidate in (text.lower().replace(" ", ""), *text.lower().split()[:1]):
        if candidate in CM_PER_UNIT:
            return CM_PER_UNIT[candidate]
    problem = f"{what} has the unit {text!r}, which is not known" if text else f"{what} does not name its unit"
    raise InvalidParameter(problem, "give UNIT as cm, mm or m")


TIMES_A_YEAR = {"year": 1, "yr": 1, "y": 1, "a": 1, "month": 12, "mon": 12, "mo": 12}
_RATE = re.compile(r"^(?P<unit>.+?)(?:\s*/\s*|\s+per\s+|\s+)(?P<time>[a-z]+?)s?(?P<power>\^?-1)?$")


def centimetres_a_year_per(unit: str, what: str) -> float:
    """Factor from a rate's unit, such as ``cm/month`` or ``mm yr-1``, to cm of equivalent water height per year.

    Parameters
    ----------
    unit : str
        Unit that a file names; may be empty.
    what : str
        Names the file in errors.

    Raises
    ------
    InvalidParameter
        If it is no unit of water height per month or year: a unit is never guessed.
    """
    text = unit.strip().lower()
    found = _RATE.match(text)
    time = found["time"] if found else ""
    written = bool(found) and (("/" in text or " per " in text) != bool(found["power"]))
    if time not in TIMES_A_YEAR or not written or found["unit"].replace(" ", "") not in CM_PER_UNIT:
        problem = (
            f"{what} has the unit {unit!r}, which is no water height per time" if text else f"{what} names no unit"
        )
        raise InvalidParameter(problem, "give a slope made by gwsa:trend, or set its unit to cm/year or cm/month")
    return CM_PER_UNIT[found["unit"].replace(" ", "")] * TIMES_A_YEAR[time]

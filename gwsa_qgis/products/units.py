"""Units of water storage as files spell them, turned into centimetres."""

from __future__ import annotations

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

"""Figures that cannot be: units and scales that contradict the values."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np


@dataclass
class Figures:
    """Count, mean and range of values, gathered window by window."""

    count: int = 0
    total: float = 0.0
    low: float = np.inf
    high: float = -np.inf

    def add(self, values: np.ndarray) -> None:
        """Take the finite ones of `values` into account."""
        finite = np.isfinite(values)
        count = int(np.count_nonzero(finite))  # numpy 2 counts in its own integers, which JSON does not take
        if not count:
            return
        if count < values.size:
            values = values[finite]
        self.count += count
        self.total += float(values.sum(dtype=np.float64))
        self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))

    def merge(self, other: Figures) -> None:
        """Take another's values into account."""
        self.count, self.total = self.count + other.count, self.total + other.total
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)

    @property
    def mean(self) -> float:
        """Mean of all values; NaN if there was none."""
        return self.total / self.count if self.count else float("nan")


# The rainiest places on Earth have 12 m a year, and had 9 m in their wettest month.
HIGHEST_MEAN_PRECIPITATION_MM = 1000
HIGHEST_PRECIPITATION_MM = 15_000
# Not even the driest deserts stay below this in every month of years; metres and mm a second do.
LOWEST_HIGH_PRECIPITATION_MM = 0.5
TEMPERATURE_RANGE = (-100, 100)
# From the Dead Sea to Mount Everest, with room for bare errors of a model.
ELEVATION_RANGE = (-500, 9000)
KINDS = {
    "precipitation": re.compile(r"(?:^|_)(?:pr|pre|ppt|prec|precip|precipitation|rain|rainfall)(?:_|$)"),
    "evapotranspiration": re.compile(r"(?:^|_)(?:et|aet|evap|evapotranspiration)(?:_|$)"),
    "temperature": re.compile(r"(?:^|_)(?:tas|t2m|temp|temperature|lst|tmin|tmax|tmean)(?:_|$)"),
    "ndvi": re.compile(r"ndvi|(?:^|_)evi(?:_|$)"),
    "share": re.compile(r"(?:^|_)(?:clay|sand|silt|cfvo)(?:_|$)"),
    "acidity": re.compile(r"(?:^|_)(?:ph|phh2o)(?:_|$)"),
    "elevation": re.compile(r"(?:^|_)(?:dem|elev|elevation|altitude|gmted|gmted2010|srtm|merit)(?:_|$)"),
    "soil moisture": re.compile(r"(?:^|_)(?:sm|ssm|swvl\d?|soil_?moisture|soilmoi\w*)(?:_|$)"),
}
ACCUMULATED = re.compile(r"(?:^|_)(?:acc|accum|accumulated|cum)|(?:acc|cum)(?:_|$)")
VOLUMETRIC = re.compile(r"m\^?3\W*m\^?-?3|cm\^?3\W*cm\^?-?3|^1$|fraction|^-$")
FEET = re.compile(r"^(?:ft|feet|foot)$")


def kind_of(name: str) -> str:
    """Kind of a quantity by its name, a key of `KINDS`; empty when it is not known, or a sum over months."""
    name = name.lower()
    if ACCUMULATED.search(name):
        return ""
    return next((kind for kind, pattern in KINDS.items() if pattern.search(name)), "")


def odd_figures(name: str, figures: Figures, unit: str = "") -> str:
    """Say what is physically odd about the values of a quantity; empty when nothing is.

    Parameters
    ----------
    name : str
        Name of the quantity or predictor, by which its kind is recognised.
    unit : str
        Unit that its file names.
    """
    name, unit = name.lower(), unit.strip().lower()
    if not figures.count:
        return f"{name} has no value at all"
    if figures.low == figures.high:
        return f"{name} is the same everywhere ({figures.low:g})"
    check = _CHECKS.get(kind_of(name))
    return check(name, figures, unit) if check else ""


def _odd_flux(name: str, figures: Figures, unit: str) -> str:
    if figures.mean > HIGHEST_MEAN_PRECIPITATION_MM or figures.high > HIGHEST_PRECIPITATION_MM:
        return (
            f"{name} has a mean of {figures.mean:.6g} and reaches {figures.high:.6g} a month, more than anywhere on "
            "Earth in mm: its scale tag contradicts the values (some CHELSA files hold 100 x mm); give SCALE 0.01 if "
            "that is so"
        )
    # a single month may well be dry
    if kind_of(name) == "precipitation" and figures.low >= 0 and figures.high < LOWEST_HIGH_PRECIPITATION_MM:
        return f"{name} nowhere exceeds {figures.high:g} mm a month: it is in metres, or in mm a second"
    return ""


def _odd_temperature(name: str, figures: Figures, unit: str) -> str:
    if figures.mean > 150:
        return f"{name} has a mean of {figures.mean:.6g}: it is in kelvin, or scaled, and not in degrees Celsius"
    low, high = TEMPERATURE_RANGE
    if figures.low < low or figures.high > high:
        return (
            f"{name} lies between {figures.low:g} and {figures.high:g}: no land is so cold or so hot in degrees "
            "Celsius, so it is scaled, or holds a fill value"
        )
    return ""


def _odd_index(name: str, figures: Figures, unit: str) -> str:
    low, high = figures.low, figures.high
    if max(abs(low), abs(high)) > 1.2:
        return f"{name} lies between {low:g} and {high:g}: an index lies between -1 and 1, so its scale is missing"
    return ""


def _odd_share(name: str, figures: Figures, unit: str) -> str:
    in_thousandths = unit.replace(" ", "") in ("g/kg", "gkg-1", "cm3/dm3", "cm3dm-3")
    if figures.high > (1005 if in_thousandths else 100.5):
        return f"{name} reaches {figures.high:g}: a share in percent cannot; SoilGrids' own unit is g/kg"
    return f"{name} goes down to {figures.low:g}: a share cannot be negative" if figures.low < 0 else ""


def _odd_acidity(name: str, figures: Figures, unit: str) -> str:
    if figures.high > 14:
        return f"{name} reaches {figures.high:g}: pH cannot; SoilGrids stores pH x 10"
    if figures.low < 0 or figures.high < 2:
        return f"{name} lies between {figures.low:g} and {figures.high:g}: no soil has such a pH"
    return ""


def _odd_elevation(name: str, figures: Figures, unit: str) -> str:
    if FEET.match(unit):
        return f"{name} is in feet, as its file says, and not in metres"
    low, high = ELEVATION_RANGE
    if figures.high > high:
        return f"{name} reaches {figures.high:g}: no land is so high in metres, so it is in feet, or scaled"
    if figures.low < low:
        return f"{name} goes down to {figures.low:g}: no land is so low in metres; sea floor or a fill value"
    return ""


def _odd_moisture(name: str, figures: Figures, unit: str) -> str:
    if VOLUMETRIC.search(unit) and figures.high > 1.2:
        return f"{name} reaches {figures.high:g} {unit}: a volume share cannot; it may be in thousandths or in percent"
    if unit in ("%", "percent") and figures.high > 100.5:
        return f"{name} reaches {figures.high:g} {unit}: a share in percent cannot; it may be in thousandths"
    return ""


_CHECKS = {
    "precipitation": _odd_flux,
    "evapotranspiration": _odd_flux,
    "temperature": _odd_temperature,
    "ndvi": _odd_index,
    "share": _odd_share,
    "acidity": _odd_acidity,
    "elevation": _odd_elevation,
    "soil moisture": _odd_moisture,
}

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
        finite = values[np.isfinite(values)]
        if finite.size:
            self.count += finite.size
            self.total += float(finite.sum(dtype=np.float64))
            self.low, self.high = min(self.low, float(finite.min())), max(self.high, float(finite.max()))

    @property
    def mean(self) -> float:
        """Mean of all values; NaN if there was none."""
        return self.total / self.count if self.count else float("nan")


# The rainiest places on Earth have 12 m a year.
HIGHEST_MEAN_PRECIPITATION_MM = 1000
KINDS = {
    "precipitation": re.compile(r"(?:^|_)(?:pr|pre|ppt|prec|precip|precipitation|rain)(?:_|$)"),
    "evapotranspiration": re.compile(r"(?:^|_)(?:et|aet|evap|evapotranspiration)(?:_|$)"),
    "temperature": re.compile(r"(?:^|_)(?:tas|t2m|temp|temperature|lst|tmin|tmax|tmean)(?:_|$)"),
    "ndvi": re.compile(r"ndvi|evi"),
    "share": re.compile(r"(?:^|_)(?:clay|sand|silt|cfvo)(?:_|$)"),
    "acidity": re.compile(r"(?:^|_)(?:ph|phh2o)(?:_|$)"),
}
ACCUMULATED = re.compile(r"(?:^|_)(?:acc|accum|accumulated|cum)|(?:acc|cum)(?:_|$)")


def odd_figures(name: str, figures: Figures) -> str:
    """Say what is physically odd about the values of a quantity; empty when nothing is.

    Parameters
    ----------
    name : str
        Name of the quantity or predictor, by which its kind is recognised.
    """
    name = name.lower()
    if not figures.count:
        return f"{name} has no value at all"
    if figures.low == figures.high:
        return f"{name} is the same everywhere ({figures.low:g})"
    kind = next((kind for kind, pattern in KINDS.items() if pattern.search(name)), "")
    low, mean, high = figures.low, figures.mean, figures.high
    if ACCUMULATED.search(name):
        return ""
    if kind in ("precipitation", "evapotranspiration") and mean > HIGHEST_MEAN_PRECIPITATION_MM:
        return (
            f"{name} has a mean of {mean:.6g} a month, more than anywhere on Earth in mm: its scale tag contradicts the "
            "values (some CHELSA files hold 100 x mm); give SCALE 0.01 if that is so"
        )
    if kind == "temperature" and mean > 150:
        return f"{name} has a mean of {mean:.6g}: it is in kelvin, or scaled, and not in degrees Celsius"
    if kind == "ndvi" and max(abs(low), abs(high)) > 1.2:
        return f"{name} lies between {low:g} and {high:g}: an index lies between -1 and 1, so its scale is missing"
    if kind == "share" and high > 100.5:
        return f"{name} reaches {high:g}: a share in percent cannot; SoilGrids' own unit is g/kg"
    if kind == "acidity" and high > 14:
        return f"{name} reaches {high:g}: pH cannot; SoilGrids stores pH x 10"
    return ""

"""Days of a product's layers to calendar months: overlaps, duplicates, months that are covered too little."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gwsa_qgis.errors import InvalidMonths
from gwsa_qgis.months import days_in_month, month_range
from gwsa_qgis.products.generic import resolve_periods
from gwsa_qgis.products.product import Layer
from gwsa_qgis.products.selection import tile_of

DUPLICATES = ("refuse", "average")
# A month counts when its files cover this share of its days; a sum is then raised to the whole month.
SMALLEST_COVER = 0.5


@dataclass(frozen=True)
class Part:
    """Layers of the same days and tile (one, or duplicates to be averaged), and their days in a month."""

    layers: tuple[Layer, ...]
    days: int

    @property
    def length(self) -> int:
        """Days of the whole period."""
        return int((self.layers[0].stop - self.layers[0].start).astype(int))


@dataclass(frozen=True)
class MonthlyParts:
    """Parts of each month that is covered well enough.

    Attributes
    ----------
    parts : dict of month to list of Part
    thin : dict of month to int
        Months that are touched but left out, with the days covered.
    averaged : int
        Periods that several layers hold.
    """

    parts: dict[np.datetime64, list[Part]]
    thin: dict[np.datetime64, int]
    averaged: int


def assign_months(layers: Sequence[Layer], duplicates: str = "refuse") -> MonthlyParts:
    """Parts of each month from the layers of one variable.

    Parameters
    ----------
    duplicates : {"refuse", "average"}
        What is done when several layers of a tile hold the same days.

    Raises
    ------
    InvalidMonths
        If two layers hold the same days, or overlap in part, and are not to be averaged.
    """
    by_tile: dict[str, list[Layer]] = {}
    for layer in layers:
        by_tile.setdefault(tile_of(layer.path), []).append(layer)
    by_month: dict[np.datetime64, list[Part]] = {}
    cover: dict[np.datetime64, int] = {}
    averaged = 0
    for members in by_tile.values():
        groups = _same_days(resolve_periods(members), duplicates)
        averaged += sum(len(group) > 1 for group in groups)
        days_here: dict[np.datetime64, int] = {}
        for group in groups:
            for month, days in _days_by_month(group[0]):
                by_month.setdefault(month, []).append(Part(tuple(group), days))
                days_here[month] = days_here.get(month, 0) + days
        for month, days in days_here.items():
            cover[month] = max(cover.get(month, 0), days)
    thin = {month: days for month, days in sorted(cover.items()) if days < SMALLEST_COVER * days_in_month(month)}
    return MonthlyParts({month: parts for month, parts in by_month.items() if month not in thin}, thin, averaged)


def _same_days(layers: list[Layer], duplicates: str) -> list[list[Layer]]:
    groups: list[list[Layer]] = []
    for layer in sorted(layers, key=lambda layer: (layer.start, layer.stop)):
        before = groups[-1][0] if groups else None
        if before is None or layer.start >= before.stop:
            groups.append([layer])
            continue
        same = (layer.start, layer.stop) == (before.start, before.stop)
        if same and duplicates == "average":
            groups[-1].append(layer)
            continue
        remedy = "give each date once, or choose DUPLICATES = average" if same else "give files of one kind of period"
        raise InvalidMonths(
            f"{layer.start} is there twice ({before.path} band {before.band + 1}, {layer.path} band {layer.band + 1})",
            remedy,
        )
    return groups


def _days_by_month(layer: Layer) -> list[tuple[np.datetime64, int]]:
    found = []
    for month in month_range(layer.start, layer.stop - 1):
        first, after = month.astype("datetime64[D]"), (month + 1).astype("datetime64[D]")
        found.append((month, int((min(layer.stop, after) - max(layer.start, first)).astype(int))))
    return found


def covered_months(variables: Sequence[MonthlyParts]) -> np.ndarray:
    """Months from the first to the last that all variables cover.

    Raises
    ------
    InvalidMonths
        If there is none.
    """
    common = set.intersection(*(set(one.parts) for one in variables))
    if not common:
        problem = "the files cover no month by half of its days"
        if len(variables) > 1 and all(one.parts for one in variables):
            problem = "the variables have no month in common"
        raise InvalidMonths(problem, "give more files")
    return month_range(min(common), max(common))

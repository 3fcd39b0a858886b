"""Any dated rasters: one file a date, one band a date, or a NetCDF with a time axis."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidMonths
from gwsa_qgis.products.cube import Cube
from gwsa_qgis.products.product import DAY, Layer, Product, month_layer
from gwsa_qgis.products.source import open_source
from gwsa_qgis.rasters.stack import MONTH_PATTERN

LONGEST_COMPOSITE_DAYS = 16


def dated_layers(path: str, variable: str = "") -> list[Layer]:
    """Layers of any dated file; those dated by a day get their period from `resolve_periods`.

    Raises
    ------
    InvalidMonths
        If a band has no date.
    """
    layers = _layers(path)
    return [replace(layer, variable=variable) for layer in layers] if variable else layers


def _layers(path: str) -> list[Layer]:
    with open_source(path) as source:
        if isinstance(source, Cube) and source.times() is not None:
            days = source.times().astype("datetime64[D]")
            return [Layer(path, band, day, day, source.variable) for band, day in enumerate(days)]
        names = [Path(path).stem] if source.bands == 1 else source.descriptions()
        if source.bands == 1 and not _date(names[0], path, 0, quiet=True):
            names = source.descriptions()
        return [_date(name, path, band) for band, name in enumerate(names)]


def _date(text: str, path: str, band: int, quiet: bool = False) -> Layer | None:
    """Layer of a text's date: a day (its period is found later), or a month."""
    day = DAY.search(text or "")
    if day:
        date = np.datetime64("-".join(day.groups()), "D")
        return Layer(path, band, date, date)
    month = MONTH_PATTERN.search(text or "")
    if month:
        return month_layer(path, band, np.datetime64(f"{month[1]}-{month[2]}"))
    if quiet:
        return None
    raise InvalidMonths(
        f"{path} has no month on band {band + 1} ({text!r})",
        "name files or bands with YYYY-MM, or give the month of the first band as START; a static raster needs no "
        "stack and goes to gwsa:preparepredictors as it is",
    )


def months_from_start(paths: Sequence[str], start: str) -> list[Layer]:
    """Layers of files without dates: bands in order, one a month from `start`."""
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", start):
        raise InvalidMonths(f"START is {start!r}", "give it as YYYY-MM")
    month = np.datetime64(start, "M")
    layers = []
    for path in paths:
        with open_source(path) as source:
            layers += [month_layer(path, band, month + len(layers) + band) for band in range(source.bands)]
    return layers


def resolve_periods(layers: list[Layer]) -> list[Layer]:
    """Give layers dated by a day their period: the month if there is one a month, else until the next date."""
    dated = [layer for layer in layers if layer.start == layer.stop]
    if not dated:
        return layers
    # by distinct date, so that layers of one date keep one period and are found as doubled
    starts, place = np.unique(np.array([layer.start for layer in dated], "datetime64[D]"), return_inverse=True)
    steps = np.diff(starts).astype(int)
    step = int(np.median(steps)) if steps.size else LONGEST_COMPOSITE_DAYS + 1
    if step > LONGEST_COMPOSITE_DAYS:
        dated = [month_layer(layer.path, layer.band, layer.start, layer.variable) for layer in dated]
    else:
        stops = starts + np.minimum(np.append(steps, step), step)
        dated = [replace(layer, stop=stops[at]) for layer, at in zip(dated, place.ravel(), strict=True)]
    return [layer for layer in layers if layer.start != layer.stop] + dated


GENERIC = Product("generic", recognise=lambda path: True, layers=_layers)

"""CHELSA monthly temperature and precipitation: ``CHELSA_tas_MM_YYYY_V.2.1.tif``."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidMonths
from gwsa_qgis.products.cube import Cube
from gwsa_qgis.products.product import Layer, Product, Quantity, is_integer, month_layer, tags_of
from gwsa_qgis.products.sanity import Figures, odd_figures
from gwsa_qgis.rasters.raster import Raster

NAME = re.compile(r"CHELSA_([a-z]+)\d*_([\d_\-]+)_V\.?([\d.]*\d)", re.IGNORECASE)
MONTHLY = re.compile(r"(0[1-9]|1[0-2])_(\d{4})")
# V1.2 puts the year first
OLD_MONTHLY = re.compile(r"(\d{4})_(0[1-9]|1[0-2])")
DAILY = re.compile(r"\d\d_\d\d_\d{4}")
UNITS = {"pr": "mm", "prec": "mm", "pet": "mm"} | dict.fromkeys(("tas", "tasmin", "tasmax", "tmean"), "degC")
WATER = ("pr", "prec")
# Above this mean of unscaled whole numbers, 100 x mm is as likely as mm.
DOUBTFUL_MEAN_MM = 300


def _match(path: str) -> re.Match | None:
    return NAME.search(Path(path).name)


def _layers(path: str) -> list[Layer]:
    variable, date, _ = _match(path).groups()
    found = MONTHLY.fullmatch(date) or OLD_MONTHLY.fullmatch(date)
    if found is None:
        kind = "a daily file (DD_MM_YYYY)" if DAILY.fullmatch(date) else f"no monthly file (its date is {date})"
        raise InvalidMonths(f"{path} is {kind}", "give CHELSA's monthly files (MM_YYYY)")
    year, month = sorted(found.groups(), key=len, reverse=True)
    return [month_layer(path, 0, np.datetime64(f"{year}-{month}"), variable.lower())]


def _odd(variable: str, figures: Figures, source: Raster | Cube) -> str:
    """What is odd; whole numbers of precipitation with a scale of 1 are so from a lower mean on."""
    said = odd_figures(variable, figures)
    unscaled = variable in WATER and is_integer(source) and tags_of(source) == (1.0, 0.0)
    if said or not unscaled or not figures.mean > DOUBTFUL_MEAN_MM:
        return said
    return (
        f"{variable} has a mean of {figures.mean:.6g} a month, from whole numbers whose scale tag says 1: some CHELSA "
        "files hold 100 x mm; give SCALE 0.01 if that is so"
    )


# Scale and offset differ between CHELSA's files and releases: they are read from the tags, never assumed.
CHELSA = Product(
    "chelsa",
    recognise=lambda path: bool(_match(path)),
    layers=_layers,
    quantity=lambda variable: Quantity(UNITS.get(variable, "")),
    version=lambda path: _match(path)[3],
    odd=_odd,
    # its edges are 0.00014 deg off the multiples of 1/120 deg
    cells_per_degree=120,
)

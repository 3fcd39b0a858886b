"""CHELSA V2.1 monthly temperature and precipitation: ``CHELSA_tas_MM_YYYY_V.2.1.tif``."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidMonths
from gwsa_qgis.products.product import Layer, Product, month_layer

NAME = re.compile(r"CHELSA_([a-z]+)_(\d\d)_(?:(\d\d)_)?(\d{4})_V", re.IGNORECASE)
UNITS = {"pr": "mm", "tas": "degC", "tasmin": "degC", "tasmax": "degC", "pet": "mm"}


def _match(path: str) -> re.Match | None:
    return NAME.search(Path(path).name)


def _layers(path: str) -> list[Layer]:
    _, month, third, year = _match(path).groups()
    if third:
        raise InvalidMonths(f"{path} is a daily file (DD_MM_YYYY)", "give CHELSA's monthly files (MM_YYYY)")
    return [month_layer(path, 0, np.datetime64(f"{year}-{month}"))]


def _variable(path: str) -> str:
    return _match(path)[1].lower()


# Scale and offset differ between CHELSA's files and releases: they are read from the tags, never assumed.
CHELSA = Product(
    "chelsa",
    recognise=lambda path: bool(_match(path)),
    layers=_layers,
    variable=_variable,
    unit=lambda path: UNITS.get(_variable(path), ""),
)

"""PML_V2 evapotranspiration: 8-day means in mm a day, to monthly sums by overlap in days."""

from __future__ import annotations

import re
from pathlib import Path

from gwsa_qgis.products.cube import Cube
from gwsa_qgis.products.product import (
    Coding,
    Combination,
    Product,
    Quantity,
    composite_layers,
    has_tags,
    is_integer,
)
from gwsa_qgis.rasters.raster import Raster

PERIOD_DAYS = 8
VERSION = re.compile(r"(?<![a-z])V\.?(\d+(?:\.\d+)*[a-z]?)(?![a-z\d])", re.IGNORECASE)


def _named(text: str) -> re.Pattern:
    return re.compile(rf"(?<![A-Za-z]){text}(?![A-Za-z])", re.IGNORECASE)


# ET_water before ET: the longer name first
VARIABLES = {name: _named(name) for name in ("ET_water", "Ec", "Es", "Ei", "ET", "GPP")}


def _coding(source: Raster | Cube, variable: str) -> Coding | None:
    """0.01 for stored integers without a tag (V2.2a, TPDC); floating point files are mm a day as they are."""
    return (0.01, 0.0) if is_integer(source) and not has_tags(source) else None


PML = Product(
    "pml",
    recognise=lambda path: Path(path).name.upper().startswith("PML"),
    layers=lambda path: composite_layers(path, PERIOD_DAYS, VARIABLES),
    quantity=lambda variable: Quantity("mm", "sum", per_day=True),
    version=lambda path: "-".join(VERSION.findall(Path(path).name)),
    coding=_coding,
    combinations=(Combination("ET", {"Ec": 1.0, "Es": 1.0, "Ei": 1.0}, {"ET_water": 1.0}),),
    ignored=("GPP",),
)

"""Soil moisture at 1 km, daily or monthly, stored as m3 m-3 or as whole thousandths of it."""

from __future__ import annotations

import re
from pathlib import Path

from gwsa_qgis.products.cube import Cube
from gwsa_qgis.products.generic import dated_layers
from gwsa_qgis.products.product import Coding, Product, Quantity, has_tags, is_integer
from gwsa_qgis.products.sanity import Figures, odd_figures
from gwsa_qgis.rasters.raster import Raster

NAME = re.compile(r"(?<![A-Za-z])(?:S?SM|RZSM|soil_?-?moisture)(?![A-Za-z])", re.IGNORECASE)
THOUSANDTHS = 0.001
# A soil holds at most its pores; peat has 0.9 of its volume.
MOST, LEAST_MEAN = 1.0, 0.01


def _coding(source: Raster | Cube, variable: str) -> Coding | None:
    """0.001 for stored integers without a tag; the check of the range tells when that was wrong."""
    return (THOUSANDTHS, 0.0) if is_integer(source) and not has_tags(source) else None


def odd_moisture(variable: str, figures: Figures, source: Raster | Cube) -> str:
    """Say when values cannot be a share of the soil's volume."""
    said = odd_figures(variable, figures)
    if said or not figures.count:
        return said
    low, mean, high = figures.low, figures.mean, figures.high
    if high > MOST:
        scale = "0.001" if high > 100 else "0.01"
        return (
            f"{variable} reaches {high:g}: moisture in m3 m-3 lies between 0 and 1, so its scale is missing or wrong; "
            f"give SCALE {scale} if these are {'thousandths' if scale == '0.001' else 'percent'}"
        )
    if low < 0:
        return f"{variable} goes down to {low:g}: moisture is not negative, so a NoData value or an offset is missing"
    if mean < LEAST_MEAN:
        return (
            f"{variable} has a mean of {mean:.3g} m3 m-3, drier than any region; its stored numbers may be percent: "
            "give SCALE 0.01 if that is so"
        )
    return ""


SOIL_MOISTURE = Product(
    "soilmoisture",
    recognise=lambda path: bool(NAME.search(Path(path).stem)),
    accept=lambda path: True,
    layers=lambda path: dated_layers(path, "soil_moisture"),
    quantity=lambda variable: Quantity("m3 m-3"),
    coding=_coding,
    odd=odd_moisture,
)

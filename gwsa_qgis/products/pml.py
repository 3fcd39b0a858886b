"""PML_V2 evapotranspiration: 8-day means in mm a day, to monthly sums by overlap in days."""

from __future__ import annotations

from pathlib import Path

from gwsa_qgis.products.cube import Cube
from gwsa_qgis.products.product import Coding, Product, composite_layers, has_tags, is_integer
from gwsa_qgis.rasters.raster import Raster

PERIOD_DAYS = 8


def _coding(source: Raster | Cube) -> Coding | None:
    """0.01 for stored integers without a tag (V2.2a, TPDC); floating point files are mm a day as they are."""
    return (0.01, 0.0) if is_integer(source) and not has_tags(source) else None


PML = Product(
    "pml",
    recognise=lambda path: Path(path).name.upper().startswith("PML"),
    layers=lambda path: composite_layers(path, PERIOD_DAYS),
    unit=lambda path: "mm",
    coding=_coding,
    aggregation="sum",
    per_day=True,
)

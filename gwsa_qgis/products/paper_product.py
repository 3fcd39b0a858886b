"""The published 1 km data set of GWSA: a GeoTIFF a year, ``GWSA_2003.tif`` or ``GWSA_200301.tif``, a band a month.

Data set: doi:10.12072/ncdc.hydrology.db7323.2026, cm of equivalent water height, April 2002 to December 2020.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import GridMismatch, InvalidMonths
from gwsa_qgis.products.product import Layer, Quantity, month_layer
from gwsa_qgis.products.storage_product import StorageProduct, to_centimetres
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.raster import Raster
from gwsa_qgis.rasters.stack import MONTH_PATTERN

NAME = re.compile(r"^GWSA_((?:19|20)\d\d)(0[1-9]|1[0-2])?\.tiff?$", re.IGNORECASE)
FIRST_YEAR, FIRST_MONTH = 2002, 4
CELLS_PER_DEGREE = 120
UNIT = "cm"


def _layers(path: str) -> list[Layer]:
    year, month = NAME.search(Path(path).name).groups()
    with Raster(path) as raster:
        _check_grid(raster.grid, path)
        count, names = raster.bands, raster.descriptions()
    months = _first_month(int(year), month, count, path) + np.arange(count)
    _check_names(months, names, path)
    return [month_layer(path, band, one) for band, one in enumerate(months)]


def _first_month(year: int, month: str | None, bands: int, path: str) -> np.datetime64:
    """Month of the first band, by the year and the number of bands; a month in the name must agree."""
    short = 12 - FIRST_MONTH + 1
    if month and bands == 1:
        return np.datetime64(f"{year}-{month}", "M")
    if bands == short and year == FIRST_YEAR:
        first = FIRST_MONTH
    elif bands == 12:
        first = 1
    else:
        expected = f"{short} (from April) or 12" if year == FIRST_YEAR else "12"
        raise InvalidMonths(
            f"{path} has {bands} bands, and {year} has {expected}",
            "fetch the file again; for other bands choose PRODUCT generic with START",
        )
    if month and int(month) != first:
        raise InvalidMonths(
            f"{path} names month {month}, but its {bands} bands begin in {year}-{first:02d}",
            "fetch the file again; for other bands choose PRODUCT generic with START",
        )
    return np.datetime64(f"{year}-{first:02d}", "M")


def _check_names(months: np.ndarray, names: list[str], path: str) -> None:
    """Raise when bands name other months than their place gives."""
    for band, (month, name) in enumerate(zip(months, names, strict=True), start=1):
        found = MONTH_PATTERN.search(name or "")
        if found and np.datetime64(f"{found[1]}-{found[2]}", "M") != month:
            raise InvalidMonths(
                f"band {band} of {path} is {month} by its place and is named {name!r}",
                "choose PRODUCT generic, which goes by the bands' names",
            )


def _check_grid(grid: Grid, path: str) -> None:
    cells = 1 / grid.dx, 1 / grid.dy
    if not grid.is_geographic or max(abs(each - CELLS_PER_DEGREE) for each in cells) > 1e-3 * CELLS_PER_DEGREE:
        raise GridMismatch(
            f"{path} ({grid.describe()}) is not on the published grid of 1/{CELLS_PER_DEGREE} deg (EPSG:4326)",
            "fetch the file again, or choose PRODUCT generic",
        )


GWSA_PRODUCT = StorageProduct(
    "gwsa_product",
    recognise=lambda path: bool(NAME.search(Path(path).name)),
    layers=_layers,
    quantity=lambda variable: Quantity(unit=UNIT),
    # the data set's page says cm, its files no unit
    coding=lambda source, variable: to_centimetres(source, UNIT),
    cells_per_degree=CELLS_PER_DEGREE,
)

"""SoilGrids 2.0: three depths in mapped units to one 0-30 cm mean in conventional units."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from gwsa_qgis.errors import UnreadableInput
from gwsa_qgis.products.cube import Cube
from gwsa_qgis.products.product import Coding, Product, Quantity, has_tags, is_integer
from gwsa_qgis.rasters.raster import Raster

NAME = re.compile(r"(?:^|_)(clay|sand|silt|cfvo|phh2o|soc|nitrogen|cec|bdod)_(\d+)-(\d+)cm", re.IGNORECASE)
# Conventional unit per mapped unit (ISRIC, SoilGrids FAQ), and the conventional unit.
UNITS = {
    "clay": (0.1, "%"),
    "sand": (0.1, "%"),
    "silt": (0.1, "%"),
    "cfvo": (0.1, "%"),
    "phh2o": (0.1, "pH"),
    "soc": (0.1, "g kg-1"),
    "nitrogen": (0.01, "g kg-1"),
    "cec": (0.1, "cmol(c) kg-1"),
    "bdod": (0.01, "kg dm-3"),
}
DEPTHS = ((0, 5), (5, 15), (15, 30))


def _match(path: str) -> re.Match | None:
    return NAME.search(Path(path).name)


def _no_dates(path: str) -> list:
    raise UnreadableInput(f"{path} is static and has no dates", "choose PRODUCT = soilgrids")


def depth_weights(paths: Sequence[str]) -> dict[str, float]:
    """Weight of each depth in the 0-30 cm mean: 5, 10 and 15 of 30.

    Raises
    ------
    UnreadableInput
        If depths are absent or doubled, or properties are mixed.
    """
    found = {}
    properties = {property_of(path): Path(path).name for path in paths}
    if len(properties) > 1:
        listing = ", ".join(f"{name} ({file})" for name, file in sorted(properties.items()))
        raise UnreadableInput(
            f"the files hold not one variable but {listing}", "run the step for each soil property by itself"
        )
    for path in paths:
        match = _match(path)
        depth = int(match[2]), int(match[3])
        if depth in found:
            raise UnreadableInput(
                f"the depth {depth[0]}-{depth[1]} cm is there twice ({found[depth]}, {path})", "give each depth once"
            )
        found[depth] = path
    if set(found) != set(DEPTHS):
        depths = ", ".join(f"{top}-{bottom} cm" for top, bottom in sorted(found))
        raise UnreadableInput(
            f"SoilGrids of 0-30 cm needs the depths 0-5, 5-15 and 15-30 cm, and {depths} were given"
            + (f" ({lacking} cm is missing)" if (lacking := _spell(set(DEPTHS) - set(found))) else ""),
            "give exactly these three files",
        )
    return {path: (bottom - top) / 30 for (top, bottom), path in found.items()}


def _spell(depths: set[tuple[int, int]]) -> str:
    return ", ".join(f"{top}-{bottom}" for top, bottom in sorted(depths))


def _coding(source: Raster | Cube, variable: str) -> Coding | None:
    """From mapped to conventional units for stored integers; floating point files were converted by who made them."""
    return (UNITS[variable][0], 0.0) if is_integer(source) and not has_tags(source) else None


def property_of(path: str) -> str:
    """Soil property by a file's name."""
    return _match(path)[1].lower()


SOILGRIDS = Product(
    "soilgrids",
    recognise=lambda path: bool(_match(path)),
    layers=_no_dates,
    quantity=lambda variable: Quantity(UNITS[variable][1]),
    coding=_coding,
)

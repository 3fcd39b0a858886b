"""TerraClimate monthly water balance and climate: ``TerraClimate_ppt_2004.nc``."""

from __future__ import annotations

import re
from pathlib import Path

from gwsa_qgis.errors import InvalidMonths, UnreadableInput
from gwsa_qgis.products.cube import split_source
from gwsa_qgis.products.product import Combination, Layer, Product, Quantity, monthly_cube_layers
from gwsa_qgis.products.source import open_source

NAME = re.compile(r"TerraClimate_([A-Za-z]+)_((?:19|20)\d\d)?", re.IGNORECASE)
# Sums of a month, states at its end, and means of it: each file has one value a month.
UNITS = {
    **dict.fromkeys(("ppt", "aet", "pet", "def", "q", "soil", "swe"), "mm"),
    **dict.fromkeys(("tmin", "tmax"), "degC"),
    "srad": "W m-2",
    "vap": "kPa",
    "vpd": "kPa",
    "ws": "m s-1",
    "pdsi": "1",
}


def _match(path: str) -> re.Match | None:
    return NAME.search(Path(split_source(path)[0]).name)


def _layers(path: str) -> list[Layer]:
    file, named = split_source(path)
    found = _match(path)
    variable = (named or (found[1] if found else "")).lower()
    if variable not in UNITS:
        raise UnreadableInput(
            f"{path} names no variable of TerraClimate ({', '.join(UNITS)})", "keep the name as downloaded"
        )
    with open_source(file, variable=variable) as cube:
        layers = monthly_cube_layers(cube, f'NETCDF:"{file}":{cube.variable}', variable)
    years = {str(layer.start)[:4] for layer in layers}
    if found and found[2] and found[2] not in years:
        raise InvalidMonths(
            f"{file} is of {found[2]} by its name and of {', '.join(sorted(years))} by its time axis",
            "fetch the file again, or mend its name",
        )
    return layers


def is_netcdf(path: str) -> bool:
    """Whether a path may be a NetCDF file."""
    return split_source(path)[0].lower().endswith((".nc", ".nc4"))


TERRACLIMATE = Product(
    "terraclimate",
    recognise=lambda path: bool(_match(path)) and is_netcdf(path),
    accept=is_netcdf,
    layers=_layers,
    quantity=lambda variable: Quantity((UNITS | {"tmean": "degC"}).get(variable, "")),
    combinations=(Combination("tmean", {"tmin": 0.5, "tmax": 0.5}),),
)

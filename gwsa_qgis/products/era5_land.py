"""ERA5-Land monthly means as the Climate Data Store gives them: ``tp`` in m a day, ``t2m`` in kelvin."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidMonths, UnreadableInput
from gwsa_qgis.products.cube import NetcdfFile, split_source
from gwsa_qgis.products.product import Combination, Layer, Product, Quantity, monthly_cube_layers
from gwsa_qgis.products.sanity import odd_figures
from gwsa_qgis.products.terraclimate import is_netcdf

NAME = re.compile(r"era5|adaptor\.mars|data_(?:stream|\d)", re.IGNORECASE)
MM_PER_M, KELVIN = 1000.0, 273.15
METRES = ("m", "m of water equivalent", "metre", "metres")
MOISTURE = ("m**3 m**-3", "m3 m-3", "m3/m3")
# Unit that a file must name, and what is made of it. Accumulations are means of a day: they become monthly sums.
FLUX = (METRES, Quantity("mm", "sum", per_day=True, conversion=(MM_PER_M, 0.0)))
# evaporation is negative where water leaves the ground
UPWARD = (METRES, Quantity("mm", "sum", per_day=True, conversion=(-MM_PER_M, 0.0)))
VARIABLES = {
    **dict.fromkeys(("tp", "ro", "sro", "ssro", "sf", "smlt"), FLUX),
    **dict.fromkeys(("e", "pev", "evabs", "evatc", "evavt", "evaow"), UPWARD),
    **dict.fromkeys(("t2m", "d2m", "skt", "stl1"), (("K", "kelvin"), Quantity("degC", conversion=(1.0, -KELVIN)))),
    **dict.fromkeys(("swvl1", "swvl2", "swvl3", "swvl4"), (MOISTURE, Quantity("m3 m-3"))),
    "sd": (METRES, Quantity("mm", conversion=(MM_PER_M, 0.0))),
}
# what the check of figures calls them
KINDS = {"tp": "precipitation", "e": "evapotranspiration"}
THICKNESS_CM = {"swvl1": 7, "swvl2": 21, "swvl3": 72, "swvl4": 189}


def _layers(path: str) -> list[Layer]:
    file, named = split_source(path)
    with NetcdfFile(file) as opened:
        known = {opened.find(name): name for name in VARIABLES if opened.find(name)}
        if named:
            known = {held: name for held, name in known.items() if named.lower() in (held.lower(), name)}
        if not known:
            raise UnreadableInput(
                f"{file} has no variable {named or 'of ERA5-Land that is read here'}; it has "
                f"{', '.join(opened.variables()) or 'none'}",
                f"give one of {', '.join(VARIABLES)}, by their short names",
            )
    return [layer for held, name in known.items() for layer in _variable_layers(file, held, name)]


def _variable_layers(file: str, held: str, name: str) -> list[Layer]:
    with NetcdfFile(file).cube(held) as cube:
        units = VARIABLES[name][0]
        if cube.unit not in units:
            raise UnreadableInput(
                f"{held} of {file} is in {cube.unit or 'no unit'}, not in {units[0]} as ERA5-Land's own",
                "give the file as downloaded, or choose PRODUCT generic with SCALE and UNIT",
            )
        times = cube.times()
        if times is not None and times.size > 1 and np.diff(times.astype("datetime64[D]")).min().astype(int) < 1:
            raise InvalidMonths(
                f"{file} has several times a day and is not of monthly means",
                "fetch 'ERA5-Land monthly averaged data', monthly averaged reanalysis",
            )
        return monthly_cube_layers(cube, f'NETCDF:"{file}":{held}', name)


def _weights(names: tuple[str, ...]) -> dict[str, float]:
    total = sum(THICKNESS_CM[name] for name in names)
    return {name: THICKNESS_CM[name] / total for name in names}


ERA5_LAND = Product(
    "era5land",
    recognise=lambda path: bool(NAME.search(Path(split_source(path)[0]).name)) and is_netcdf(path),
    accept=is_netcdf,
    layers=_layers,
    odd=lambda variable, figures, source: odd_figures(KINDS.get(variable, variable), figures),
    quantity=lambda variable: VARIABLES[variable][1] if variable in VARIABLES else Quantity("m3 m-3"),
    combinations=(
        Combination("swvl_0_28cm", _weights(("swvl1", "swvl2"))),
        Combination("swvl_0_100cm", _weights(("swvl1", "swvl2", "swvl3"))),
        Combination("swvl_0_289cm", _weights(("swvl1", "swvl2", "swvl3", "swvl4"))),
    ),
)

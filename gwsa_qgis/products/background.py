"""Storages of global hydrological models: ISIMIP, WaterGAP, PCR-GLOBWB, GLDAS-2.2 CLSM.

The background that natural variability leaves in groundwater. A run with human water use holds the pumping that
`attribution` looks for, so that subtracting it would remove the signal: what a file's name says of it is told.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidMonths, UnreadableInput
from gwsa_qgis.products.cf_time import decode_times
from gwsa_qgis.products.cube import Cube, NetcdfFile, attributes_of, is_cube, split_source
from gwsa_qgis.products.product import Layer, Quantity, first_day, month_layer
from gwsa_qgis.products.sanity import Figures, odd_figures
from gwsa_qgis.products.storage_product import StorageProduct, to_centimetres
from gwsa_qgis.rasters.raster import Raster

# Best first. ISIMIP and WaterGAP: groundwstor; PCR-GLOBWB's own files hold the second to fourth names.
GROUNDWATER = (
    "groundwstor",
    "total_groundwater_storage",
    "groundwater_storage",
    "storGroundwaterTotal",
    "storGroundwater",
    "GWS_tavg",
    "GWS_inst",
    "gws",
    "gwsa",
)
# Holds depletion and nothing else in PCR-GLOBWB.
FOSSIL = ("fossil_groundwater_storage", "storGroundwaterFossil")
OTHER_STORAGES = (
    "tws", "TWS_tavg", "TWS_inst", "soilmoist", "rootmoist", "swe", "canopystor", "riverstor", "reservoirstor",
    "lakestor", "wetlandstor", "locallakestor", "globallakestor", "localwetlandstor", "globalwetlandstor",
    "loclakestor", "glolakestor", "locwetlandstor", "glowetlandstor",
)  # fmt: skip
NAME = re.compile(
    r"groundwstor|stor_?groundwater|groundwater_?stor|(?<![a-z])gws(?![a-z])|GLDAS_CLSM\w*_DA\d|"
    r"watergap.*?(?:stor|_tws|_swe|soilmoist)",
    re.IGNORECASE,
)
ASSIMILATING = re.compile(r"GLDAS_CLSM\w*_DA\d|GLDAS_22_CLSM", re.IGNORECASE)
DATES = re.compile(r"(?<![A-Za-z0-9])[aA]?\d{4,8}(?![A-Za-z0-9])")
NATURAL = re.compile(r"nosoc|1901soc|1850soc|nat(?:ural|uralized|uralised)?|pristine", re.IGNORECASE)
HUMAN = re.compile(r"(?:[a-z]+|\d{4})soc|ant|human|nonnatural", re.IGNORECASE)
# Days from one monthly value to the next, be they dated by the middle or the end.
SHORTEST_MONTH, LONGEST_MONTH = 27, 32


def human_use(path: str) -> str:
    """What a file's name says of human water use in the run: ``natural``, ``human``, ``assimilated`` or ``unknown``."""
    name = Path(split_source(path)[0]).name
    if ASSIMILATING.search(name):
        return "assimilated"
    parts = re.split(r"[_\-.]", name)
    natural = any(NATURAL.fullmatch(part) for part in parts)
    human = any(HUMAN.fullmatch(part) and not NATURAL.fullmatch(part) for part in parts)
    if human:
        return "human"
    return "natural" if natural else "unknown"


def warning_of(path: str, variable: str = "") -> str:
    """What speaks against taking a storage for the natural background; empty when nothing does."""
    name = Path(split_source(path)[0]).name
    why = {
        "human": "is of a run with human water use: pumping is already inside, and subtracting it removes the signal that "
        "is searched for; take the natural run (nosoc or 1901soc in the name)",
        "assimilated": "assimilates GRACE: observed depletion is already inside, and subtracting it removes the signal that "
        "is searched for; take a natural run that assimilates nothing",
        "unknown": "does not say whether human water use is inside (nosoc, 1901soc or histsoc in the name): if it is, "
        "subtracting it removes the signal that is searched for",
        "natural": "",
    }[human_use(path)]
    told = [f"{name} {why}"] if why else []
    if variable in FOSSIL:
        told.append(f"{variable} of PCR-GLOBWB is drawn down by pumping alone")
    elif variable.lower() in {other.lower() for other in OTHER_STORAGES}:
        told.append(f"{variable} is not groundwater")
    if re.match(r"h08[_-]", name, re.IGNORECASE) and variable == "groundwstor":
        told.append(
            "H08's groundwstor published before September 2025 held total storage with depletion, and was withdrawn"
        )
    return "; ".join(told)


def _layers(path: str) -> list[Layer]:
    file, named = split_source(path)
    with NetcdfFile(file) as opened:
        variable = opened.find(named) if named else _storage(opened)
        cube = opened.cube(variable or named)
        source = f'NETCDF:"{file}":{cube.variable}'
        days = _days(opened, cube)
    if days is None:
        day = first_day(Path(file).stem, file)
        return [Layer(source, 0, day, day + 1, cube.variable)]
    if _is_daily(file, days):
        return [Layer(source, band, day, day + 1, cube.variable) for band, day in enumerate(days)]
    return [month_layer(source, band, day, cube.variable) for band, day in enumerate(days)]


def _storage(opened: NetcdfFile) -> str:
    """The file's groundwater, or else its only storage."""
    found = opened.find(*GROUNDWATER) or opened.find(*FOSSIL)
    others = [name for name in (opened.find(other) for other in OTHER_STORAGES) if name]
    if not found and len(others) != 1:
        raise UnreadableInput(
            f"{opened.path} has no groundwater storage ({', '.join(GROUNDWATER[:3])}, GWS_tavg ...); it has "
            f"{', '.join(opened.variables()) or 'no gridded variable'}",
            "give a file of groundwater storage, or name a variable as VARIABLE",
        )
    return found or others[0]


def _days(opened: NetcdfFile, cube: Cube) -> np.ndarray | None:
    """Days of the bands, in the model's own calendar; None without a time axis."""
    axes = [dimension.GetName() for dimension in opened.array(cube.variable).GetDimensions()]
    name = next((axis for axis in axes if axis.lower() in ("time", "t")), "")
    if not name or name not in opened.names():
        times = cube.times()
        return None if times is None else times.astype("datetime64[D]")
    array = opened.array(name)
    # GDAL keeps ``units`` to itself; other spellings are only in its raster interface
    units = array.GetUnit() or opened.classic_tags(cube.variable).get(f"{name}#units".lower(), "")
    calendar = str(attributes_of(array).get("calendar", ""))
    values = np.asarray(array.ReadAsArray(), float).ravel()
    return decode_times(values, units, calendar, opened.path).astype("datetime64[D]")


def _is_daily(file: str, days: np.ndarray) -> bool:
    """Whether each time stands for a day; raises unless it then stands for a month."""
    if days.size == 1:
        return bool(re.search(r"_D[._]|daily", Path(file).name, re.IGNORECASE))
    steps = np.diff(np.unique(days)).astype(int)
    step = int(steps.min()) if steps.size else 0  # the smallest, as months may be missing
    if step <= 1:
        return True
    if not SHORTEST_MONTH <= step <= LONGEST_MONTH:
        raise InvalidMonths(f"{file} has a value every {step} days", "give the model's monthly or daily files")
    return False


def _run(path: str) -> str:
    """Model, forcing and scenario of a file by its name: all but its dates and variable."""
    name = Path(split_source(path)[0]).name
    known = "|".join(sorted((*GROUNDWATER, *FOSSIL, *OTHER_STORAGES), key=len, reverse=True))
    name = re.sub(rf"(?<![a-z])(?:{known})(?![a-z])", "", DATES.sub("", name), flags=re.IGNORECASE)
    return re.sub(r"[_.\-]{2,}", "_", re.sub(r"\.(?:nc4?|SUB)(?![a-z])", "", name, flags=re.IGNORECASE)).strip("_.-")


def _coding(source: Raster | Cube, variable: str) -> tuple[float, float]:
    return to_centimetres(source)


def _odd(variable: str, figures: Figures, source: Raster | Cube) -> str:
    return "; ".join(text for text in (warning_of(source.path, variable), odd_figures(variable, figures)) if text)


BACKGROUND = StorageProduct(
    "background",
    recognise=lambda path: is_cube(path) and bool(NAME.search(Path(split_source(path)[0]).name)),
    accept=is_cube,
    layers=_layers,
    version=_run,
    quantity=lambda variable: Quantity(unit="cm"),
    coding=_coding,
    odd=_odd,
)

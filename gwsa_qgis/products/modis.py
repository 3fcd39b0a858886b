"""MODIS composites: vegetation indices (MOD13) and surface temperature (MOD11A2), as GeoTIFF or native HDF4-EOS."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import UnreadableInput
from gwsa_qgis.products.cube import Cube
from gwsa_qgis.products.product import (
    Coding,
    Layer,
    Product,
    Quantity,
    composite_end,
    composite_layers,
    first_day,
    is_integer,
    month_layer,
    tags_of,
    variable_in,
)
from gwsa_qgis.rasters.gdal_setup import gdal
from gwsa_qgis.rasters.raster import Raster, open_dataset

NDVI_SCALE, NDVI_RANGE = 1e-4, (-2000, 10000)
CLOUDY = 3
LST_SCALE, KELVIN = 0.02, 273.15
# 0 is fill; below 7500 (150 K) nothing is stored
LST_RANGE = (7500, 65535)
VERSION = re.compile(r"\.(00\d|0\d\d)(?=[._])")
NATIVE = ".hdf"


def _spelled(text: str) -> re.Pattern:
    return re.compile(text, re.IGNORECASE)


VEGETATION = {
    "SummaryQA": _spelled("SummaryQA"),
    "pixel_reliability": _spelled("pixel[_ ]reliability"),
    "VI_Quality": _spelled("VI[_ ]Quality"),
    "NDVI": _spelled("NDVI"),
    "EVI": _spelled("(?<![A-Za-z])EVI"),
}
TEMPERATURE = {
    "QC_Day": _spelled("QC_Day"),
    "QC_Night": _spelled("QC_Night"),
    "LST_Day": _spelled("LST_Day|LST(?!_Night)"),
    "LST_Night": _spelled("LST_Night"),
}


def _tagged_scale(source: Raster | Cube, own: float) -> float:
    """Scale of a tag; the native NDVI tag 10000 is a divisor, which GDAL hands on as a factor."""
    scale = tags_of(source)[0]
    if scale == 1.0:
        return own
    return 1 / scale if scale > 1 else scale


def _ndvi_coding(source: Raster | Cube, variable: str) -> Coding | None:
    return (_tagged_scale(source, NDVI_SCALE), 0.0) if is_integer(source) else None


def _lst_coding(source: Raster | Cube, variable: str) -> Coding | None:
    """To degrees Celsius, from the stored integers (0.02 K) or from kelvin by tag."""
    return (_tagged_scale(source, LST_SCALE), -KELVIN) if is_integer(source) else None


def _summary_usable(quality: np.ndarray) -> np.ndarray:
    """SummaryQA, pixel reliability: 0 good, 1 marginal, 2 snow or ice, 3 cloudy; -1 (255) no data."""
    return np.isfinite(quality) & (quality >= 0) & (quality < CLOUDY)


def _vi_quality_usable(quality: np.ndarray) -> np.ndarray:
    """VI Quality: bits 0-1 are 0 (good), 1 (other), 2 (most likely cloudy), 3 (not produced)."""
    flags = np.where(np.isfinite(quality), quality, 65535).astype(np.uint16)
    return (flags & 0b11) < 2


def _lst_usable(quality: np.ndarray) -> np.ndarray:
    """QC_Day: bits 0-1 are 0 (good) or 1 (other), of which only an error of at most 3 K (bits 6-7 below 3) is kept."""
    flags = np.where(np.isfinite(quality), quality, 255).astype(np.uint8)
    mandatory, error = flags & 0b11, flags >> 6
    return (mandatory == 0) | ((mandatory == 1) & (error < 3))


def _vegetation_layers(path: str) -> list[Layer]:
    name = Path(path).name
    if re.search("M[OY]D13[AC]3", name, re.IGNORECASE):
        layers = _composites(path, 31, VEGETATION, 0, "NDVI")
        return [month_layer(one.path, one.band, one.start, one.variable) for one in layers]
    # Aqua's composites begin eight days after Terra's
    return _composites(path, 16, VEGETATION, 8 if re.search("MYD13", name, re.IGNORECASE) else 0, "NDVI")


def _composites(path: str, days: int, variables: dict[str, re.Pattern], year_offset: int, usual: str) -> list[Layer]:
    if Path(path).suffix.lower() == NATIVE:
        return _native_layers(path, days, variables, year_offset)
    layers = composite_layers(path, days, variables, year_offset)
    return [one if one.variable else Layer(path, one.band, one.start, one.stop, usual) for one in layers]


def _native_layers(path: str, days: int, variables: dict[str, re.Pattern], year_offset: int) -> list[Layer]:
    """Layers of a native HDF4-EOS tile: its sub-datasets of the variables that are read here."""
    if gdal.GetDriverByName("HDF4") is None:
        raise UnreadableInput(
            f"{path} is HDF4-EOS, which this GDAL was built without (it has no driver HDF4)",
            "fetch the product as GeoTIFF (AppEEARS and Google Earth Engine give it), or use a QGIS with that driver",
        )
    start = first_day(Path(path).stem, path)
    stop = composite_end(start, days, year_offset)
    found = {}
    for name, _ in open_dataset(path).GetSubDatasets():
        variable = variable_in(name.rsplit(":", 1)[1], variables)
        if variable:
            found.setdefault(variable, Layer(name, 0, start, stop, variable))
    if not found:
        raise UnreadableInput(f"{path} holds none of {', '.join(variables)}", "give the product's own file")
    return list(found.values())


def _beside(path: str, names: dict[str, tuple[str, ...]]) -> list[str]:
    name = Path(path).name
    return [
        str(Path(path).with_name(re.sub(old, new, name)))
        for old, candidates in names.items()
        for new in candidates
        if re.search(old, name)
    ]


def _product(letters: str) -> re.Pattern:
    return re.compile(f"M[OYC]D{letters}", re.IGNORECASE)


def _version(path: str) -> str:
    found = VERSION.search(Path(path).name)
    return found[1] if found else ""


MOD13A1 = Product(
    "mod13a1",
    recognise=lambda path: bool(_product("13[AQC][1-3]").search(Path(path).name)),
    layers=_vegetation_layers,
    quantity=lambda variable: Quantity("1"),
    version=_version,
    coding=_ndvi_coding,
    usual="NDVI",
    valid_range=lambda variable: NDVI_RANGE,
    usable={
        "SummaryQA": _summary_usable,
        "pixel_reliability": _summary_usable,
        "VI_Quality": _vi_quality_usable,
    },
    beside=lambda path: _beside(path, {"NDVI|EVI": ("SummaryQA", "pixel_reliability", "VI_Quality")}),
)
MOD11A2 = Product(
    "mod11a2",
    recognise=lambda path: bool(_product("11A[12]").search(Path(path).name)),
    layers=lambda path: _composites(
        path, 1 if _product("11A1").search(Path(path).name) else 8, TEMPERATURE, 0, "LST_Day"
    ),
    quantity=lambda variable: Quantity("degC"),
    version=_version,
    coding=_lst_coding,
    usual="LST_Day",
    valid_range=lambda variable: LST_RANGE,
    usable={"QC_Day": _lst_usable, "QC_Night": _lst_usable},
    quality_for=lambda variable: (variable.replace("LST", "QC"),),
    beside=lambda path: _beside(path, {r"LST_Day(_1km)?": ("QC_Day",), r"LST_Night(_1km)?": ("QC_Night",)}),
)

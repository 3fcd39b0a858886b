"""MODIS composites: NDVI (MOD13A1, 16 days) and daytime surface temperature (MOD11A2, 8 days) with quality flags."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from gwsa_qgis.products.cube import Cube
from gwsa_qgis.products.product import Coding, Product, composite_layers, has_tags, is_integer
from gwsa_qgis.rasters.raster import Raster

NDVI_SCALE, NDVI_RANGE = 1e-4, (-2000, 10000)
NDVI_CLOUDY = 3
LST_SCALE, KELVIN = 0.02, 273.15
# 0 is fill; below 7500 (150 K) nothing is stored
LST_RANGE = (7500, 65535)


def _named(product: str) -> re.Pattern:
    return re.compile(product.replace("MOD", "M[OY]D"), re.IGNORECASE)


def _ndvi_coding(source: Raster | Cube) -> Coding | None:
    return (NDVI_SCALE, 0.0) if is_integer(source) and not has_tags(source) else None


def _lst_coding(source: Raster | Cube) -> Coding | None:
    """To degrees Celsius, from the stored integers (0.02 K) or from kelvin by tag."""
    if not is_integer(source):
        return None
    scale = source.dataset.GetRasterBand(1).GetScale() if has_tags(source) else LST_SCALE
    return (scale, -KELVIN)


def _ndvi_usable(quality: np.ndarray) -> np.ndarray:
    """SummaryQA: 0 good, 1 marginal, 2 snow or ice, 3 cloudy."""
    return np.isfinite(quality) & (quality < NDVI_CLOUDY)


def _lst_usable(quality: np.ndarray) -> np.ndarray:
    """QC_Day: bits 0-1 are 0 (good) or 1 (other), of which only an error of at most 3 K (bits 6-7 below 3) is kept."""
    flags = np.where(np.isfinite(quality), quality, 255).astype(np.uint8)
    mandatory, error = flags & 0b11, flags >> 6
    return (mandatory == 0) | ((mandatory == 1) & (error < 3))


def _beside(path: str, old: str, new: str) -> str:
    name = Path(path).name
    return str(Path(path).with_name(re.sub(old, new, name))) if re.search(old, name) else ""


MOD13A1 = Product(
    "mod13a1",
    recognise=lambda path: bool(_named("MOD13A[1-3]").search(Path(path).name)),
    layers=lambda path: composite_layers(path, 16),
    variable=lambda path: "quality" if re.search(r"QA|reliability", Path(path).name) else "NDVI",
    unit=lambda path: "1",
    coding=_ndvi_coding,
    valid_range=NDVI_RANGE,
    quality_of=lambda path: _beside(path, "NDVI", "SummaryQA"),
    usable=_ndvi_usable,
)
MOD11A2 = Product(
    "mod11a2",
    recognise=lambda path: bool(_named("MOD11A[12]").search(Path(path).name)),
    layers=lambda path: composite_layers(path, 8),
    variable=lambda path: "quality" if re.search(r"QC_", Path(path).name) else "LST",
    unit=lambda path: "degC",
    coding=_lst_coding,
    valid_range=LST_RANGE,
    quality_of=lambda path: _beside(path, r"LST_Day(_1km)?", "QC_Day"),
    usable=_lst_usable,
)

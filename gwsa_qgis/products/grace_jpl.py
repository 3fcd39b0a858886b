"""JPL RL06.x mascons: 0.5 degree grid of 3 degree caps, with or without coastline resolution improvement (CRI)."""

from __future__ import annotations

import re
from pathlib import Path

from gwsa_qgis.products.cube import NetcdfFile
from gwsa_qgis.products.grace_product import GraceProduct, Remark, density_remarks, describes


def _recognise(file: NetcdfFile) -> bool:
    return describes(file, "jpl", "mas") and bool(file.find("lwe_thickness")) and bool(file.find("mascon_ID"))


def _improved(file: NetcdfFile) -> bool:
    told = f"{Path(file.path).name} {file.attributes.get('title', '')}"
    return bool(re.search(r"(?<![a-z])cri(?![a-z])", told, re.IGNORECASE)) or any(
        key.startswith("cri_") for key in file.attributes
    )


def _remarks(file: NetcdfFile) -> list[Remark]:
    coast = (
        "Coastline resolution improvement (CRI) is applied: land and sea of a mascon hold different values."
        if _improved(file)
        else "No coastline resolution improvement (CRI): a mascon across a coast mixes land and sea."
    )
    return [Remark(coast), *density_remarks(file.attributes)]


JPL = GraceProduct(
    "JPL mascons",
    _recognise,
    storage=("lwe_thickness",),
    uncertainty=("uncertainty",),
    native_cells="mascon and coast",
    uncertainty_level="1 sigma of the mascon",
    remarks=_remarks,
)

"""GSFC RL06 mascons as a half degree NetCDF: land values are interpolated, so that native mascons are not in it."""

from __future__ import annotations

from gwsa_qgis.products.cube import NetcdfFile
from gwsa_qgis.products.grace_product import GraceProduct, Remark, density_remarks, describes, version_remarks


def _recognise(file: NetcdfFile) -> bool:
    return describes(file, "gsfc") and bool(file.find("lwe_thickness"))


def _remarks(file: NetcdfFile) -> list[Remark]:
    interpolated = Remark(
        "Land values of this file are interpolated from the native mascons; the native ones, and their uncertainty, are "
        "in GSFC's .h5 file."
    )
    told = " ".join(str(file.attributes.get(key, "")) for key in ("product_version", "title"))
    return [interpolated, *version_remarks(file.path, told), *density_remarks(file.attributes)]


GSFC = GraceProduct("GSFC mascons on a half degree grid", _recognise, storage=("lwe_thickness",), remarks=_remarks)

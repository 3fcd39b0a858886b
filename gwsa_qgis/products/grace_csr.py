"""CSR RL06.x mascons: 0.25 degree grid that repeats one value over each native mascon of about 1 degree."""

from __future__ import annotations

from gwsa_qgis.products.cube import NetcdfFile
from gwsa_qgis.products.grace_product import GraceProduct, Remark, density_remarks, describes


def _recognise(file: NetcdfFile) -> bool:
    return describes(file, "csr", "mascon") and bool(file.find("lwe_thickness"))


def _remarks(file: NetcdfFile) -> list[Remark]:
    return density_remarks(file.attributes)


CSR = GraceProduct(
    "CSR mascons",
    _recognise,
    storage=("lwe_thickness",),
    native_cells="mascon",
    remarks=_remarks,
)

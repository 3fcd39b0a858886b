"""GRACE and GRACE-FO water storage: one way to open the files of CSR, JPL and GSFC, and plain CF files of TWSA."""

from __future__ import annotations

import re
from pathlib import Path

from gwsa_qgis.errors import GwsaError, UnreadableInput
from gwsa_qgis.products.cube import Cube, NetcdfFile
from gwsa_qgis.products.grace_csr import CSR
from gwsa_qgis.products.grace_gsfc import GSFC
from gwsa_qgis.products.grace_gsfc_table import MasconTable, is_mascon_table
from gwsa_qgis.products.grace_jpl import JPL
from gwsa_qgis.products.grace_plain import PLAIN, find_storage, is_other
from gwsa_qgis.products.grace_product import GraceFile, GraceProduct, Remark

PRODUCTS = (CSR, JPL, GSFC, PLAIN)


def recognise(path: str | Path) -> bool:
    """Whether a file is of GRACE by its variables."""
    try:
        if is_mascon_table(path):
            return True
        with NetcdfFile(path) as file:
            return bool(find_storage(file))
    except UnreadableInput:
        return False


def open_grace(path: str | Path, variable: str = "", cell_size: float = 0.5) -> GraceFile:
    """Open a GRACE file of any product.

    Parameters
    ----------
    variable : str
        Name of the storage variable, for files that do not tell.
    cell_size : float
        Cells in degrees that native mascons (GSFC's .h5) are painted on; other files have their own.

    Raises
    ------
    UnreadableInput
        If the file is damaged or of another quantity, or has no time axis.
    """
    if is_mascon_table(path):
        return MasconTable(path, cell_size)
    file = NetcdfFile(path)
    product = next(product for product in PRODUCTS if product.recognise(file))
    try:
        return GriddedFile(file, product, variable or file.variable)
    except GwsaError:
        file.close()
        raise


class GriddedFile:
    """A GRACE file on a longitude-latitude grid; see `products.grace_product.GraceFile`."""

    def __init__(self, file: NetcdfFile, product: GraceProduct, variable: str) -> None:
        self._file, self._product = file, product
        self.path, self.attributes = file.path, file.attributes
        self.product, self.native_cells = product.name, product.native_cells
        self.uncertainty_level = product.uncertainty_level
        self._chosen = bool(variable)
        self.storage: Cube = file.cube(variable or find_storage(file))
        if self.storage.times() is None:
            raise UnreadableInput(
                f"{self.storage.variable} in {file.path} has no time axis", "give the file of the monthly solutions"
            )

    def __enter__(self) -> GriddedFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.storage.close()

    def uncertainty(self) -> Cube | None:
        """Uncertainty of the storage; None when the file has none."""
        return self._cube(self._product.uncertainty)

    def sheet(self, kind: str) -> Cube | None:
        """Map of a kind (``land``, ``mascons``, ``gain``); None when the file has none."""
        return self._cube(self._product.sheets[kind])

    def _cube(self, names: tuple[str, ...]) -> Cube | None:
        found = self._file.find(*names)
        # Opened by itself: HDF5 keeps blocks of what was read, some of a whole map, until a file is closed.
        return NetcdfFile(self.path).cube(found) if found in self._file.variables() else None

    def remarks(self) -> list[Remark]:
        """What the user should know."""
        found = self._product.remarks(self._file)
        if self._chosen and is_other(self._file, self.storage.variable):
            name = self.storage.variable
            found.append(Remark(f"{name} in {self.path} does not call itself terrestrial water storage", odd=True))
        return found


def baseline_of(attributes: dict[str, object]) -> str:
    """Baseline as ``2004-01..2009-12``; empty when the file does not say."""
    text = str(attributes.get("time_mean_removed", ""))
    years = re.findall(r"\d{4}", re.sub(r"\.\d+", "", text))
    return f"{years[0]}-01..{years[1]}-12" if len(years) == 2 else ""

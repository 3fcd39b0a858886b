"""All products that `monthlystack` reads, and the choice among them by file names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gwsa_qgis.errors import InvalidParameter, UnreadableInput
from gwsa_qgis.products.chelsa import CHELSA
from gwsa_qgis.products.cube import split_source
from gwsa_qgis.products.generic import GENERIC
from gwsa_qgis.products.modis import MOD11A2, MOD13A1
from gwsa_qgis.products.pml import PML
from gwsa_qgis.products.product import Product
from gwsa_qgis.products.soilgrids import SOILGRIDS

PRODUCTS = {product.name: product for product in (CHELSA, PML, SOILGRIDS, MOD13A1, MOD11A2, GENERIC)}
AUTO = "auto"


def choose_product(name: str, paths: Sequence[str]) -> Product:
    """Find the product of files.

    Raises
    ------
    InvalidParameter
        If the name is not one of `PRODUCTS` or ``auto``.
    UnreadableInput
        If files are of several products, or not of the one named.
    """
    if name != AUTO and name not in PRODUCTS:
        raise InvalidParameter(f"PRODUCT is {name!r}", f"give {AUTO} or one of {', '.join(PRODUCTS)}")
    if name != AUTO:
        product = PRODUCTS[name]
        strange = [path for path in paths if not product.recognise(split_source(path)[0])]
        if strange:
            raise UnreadableInput(
                f"{strange[0]} has no name of a file of {name}", "keep the names as downloaded, or choose generic"
            )
        return product
    found = {_recognised(path).name: path for path in paths}
    if len(found) > 1:
        listing = ", ".join(f"{Path(path).name} ({kind})" for kind, path in found.items())
        raise UnreadableInput(f"the files are of several products: {listing}", "give files of one product")
    return PRODUCTS[next(iter(found))]


def _recognised(path: str) -> Product:
    return next(product for product in PRODUCTS.values() if product.recognise(split_source(path)[0]))


def values_only(product: Product, paths: Sequence[str]) -> list[str]:
    """Files that hold values of one variable: quality files are left out.

    Raises
    ------
    UnreadableInput
        If variables are mixed.
    """
    kinds: dict[str, list[str]] = {}
    for path in paths:
        kinds.setdefault(product.variable(path), []).append(path)
    kinds.pop("quality", None)
    if len(kinds) != 1:
        listing = ", ".join(f"{name} ({Path(found[0]).name})" for name, found in sorted(kinds.items())) or "none"
        raise UnreadableInput(f"the files hold not one variable but {listing}", "give files of one variable")
    return next(iter(kinds.values()))

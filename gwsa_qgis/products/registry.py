"""All products that `monthlystack` reads, and the choice among them by file names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from gwsa_qgis.errors import InvalidParameter, UnreadableInput
from gwsa_qgis.products.background import BACKGROUND
from gwsa_qgis.products.chelsa import CHELSA
from gwsa_qgis.products.cube import split_source
from gwsa_qgis.products.era5_land import ERA5_LAND
from gwsa_qgis.products.generic import GENERIC
from gwsa_qgis.products.modis import MOD11A2, MOD13A1
from gwsa_qgis.products.paper_product import GWSA_PRODUCT
from gwsa_qgis.products.pml import PML
from gwsa_qgis.products.product import Product
from gwsa_qgis.products.soil_moisture import SOIL_MOISTURE
from gwsa_qgis.products.soilgrids import SOILGRIDS
from gwsa_qgis.products.terraclimate import TERRACLIMATE
from gwsa_qgis.progress import Reporter

PRODUCTS = {
    product.name: product
    for product in (
        *(CHELSA, PML, SOILGRIDS, MOD13A1, MOD11A2, SOIL_MOISTURE, TERRACLIMATE, ERA5_LAND, BACKGROUND, GWSA_PRODUCT),
        GENERIC,
    )
}
AUTO = "auto"


def choose_product(name: str, paths: Sequence[str]) -> Product:
    """Find the product of files.

    Raises
    ------
    InvalidParameter
        If the name is not one of `PRODUCTS` or ``auto``.
    UnreadableInput
        If files are of several products or versions, or not of the one named.
    """
    if name != AUTO and name not in PRODUCTS:
        raise InvalidParameter(f"PRODUCT is {name!r}", f"give {AUTO} or one of {', '.join(PRODUCTS)}")
    if name != AUTO:
        product = PRODUCTS[name]
        accept = product.accept or product.recognise
        strange = [path for path in paths if not accept(split_source(path)[0])]
        if strange:
            raise UnreadableInput(
                f"{strange[0]} has no name of a file of {name}", "keep the names as downloaded, or choose generic"
            )
    else:
        found = {_recognised(path).name: path for path in paths}
        if len(found) > 1:
            listing = ", ".join(f"{Path(path).name} ({kind})" for kind, path in found.items())
            raise UnreadableInput(f"the files are of several products: {listing}", "give files of one product")
        product = PRODUCTS[next(iter(found))]
    _require_one_version(product, paths)
    return product


def _recognised(path: str) -> Product:
    return next(product for product in PRODUCTS.values() if product.recognise(split_source(path)[0]))


def _require_one_version(product: Product, paths: Sequence[str]) -> None:
    versions: dict[str, str] = {}
    for path in paths:
        versions.setdefault(product.version(path).lower(), path)
    versions.pop("", None)
    if len(versions) > 1:
        listing = ", ".join(f"{version} ({Path(path).name})" for version, path in sorted(versions.items()))
        raise UnreadableInput(f"the files of {product.name} are of several versions: {listing}", "give files of one")


def warn_of_names(paths: Sequence[str], report: Reporter) -> None:
    """Warn when names differ in more than dates: nothing else tells one variable from another in plain rasters."""
    names: dict[str, str] = {}
    for path in paths:
        names.setdefault(re.sub(r"[\d._\-]+", " ", Path(split_source(path)[0]).stem).strip().lower(), path)
    if len(names) > 1:
        first, second, *_ = names.values()
        report.warn(
            f"The names differ in more than their dates ({Path(first).name}, {Path(second).name}): all files must be of "
            "one variable and unit."
        )

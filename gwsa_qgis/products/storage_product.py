"""Products whose values are water storage: any unit of water height becomes cm, fill values must be declared."""

from __future__ import annotations

import numpy as np

from gwsa_qgis.errors import InvalidParameter, UnreadableInput
from gwsa_qgis.products.cube import Cube
from gwsa_qgis.products.product import Coding, Product, tags_of
from gwsa_qgis.products.units import centimetres_per
from gwsa_qgis.rasters.raster import EVERYTHING, Raster

# No water column is deeper; fill values of 1e20 or -3.4e38 that a file does not declare are.
DEEPEST_CM = 1e7


def to_centimetres(source: Raster | Cube, assumed: str = "") -> Coding:
    """Scale and offset from a file's stored numbers to cm, its own tags included.

    Parameters
    ----------
    assumed : str
        Unit of files that name none, where the product's documentation says it.

    Raises
    ------
    UnreadableInput
        If the unit is none of water height, or there is none.
    """
    unit = (source.unit if isinstance(source, Cube) else source.unit()) or assumed
    name = f"{source.variable} in {source.path}" if isinstance(source, Cube) else source.path
    try:
        factor = centimetres_per(unit, "", name)
    except InvalidParameter as error:
        raise UnreadableInput(
            error.problem, "give a storage; where its unit is known, give SCALE (0.1 for mm or kg m-2, 100 for m)"
        ) from error
    scale, offset = tags_of(source)
    return scale * factor, offset * factor


class StorageProduct(Product):
    """A product of water storage, cm."""

    def read(
        self,
        source: Raster | Cube,
        band: int,
        rows: slice = EVERYTHING,
        columns: slice = EVERYTHING,
        coding: Coding | None = None,
        variable: str = "",
    ) -> np.ndarray:
        """Read a window of one band, (rows, columns) float32, cm.

        Raises
        ------
        UnreadableInput
            If a value is no storage but a fill value that the file does not declare.
        """
        values = super().read(source, band, rows, columns, coding, variable)
        strange = np.abs(values) > DEEPEST_CM
        if strange.any():
            raise UnreadableInput(
                f"{source.path} holds {values[strange][0]:g} cm in band {band + 1}: a fill value that it does not declare",
                "set its NoData value with gdal:translate, or fetch the file as published",
            )
        return values

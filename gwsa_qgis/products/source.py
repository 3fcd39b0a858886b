"""One way to open what users have: GDAL rasters and NetCDF variables, read in windows alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gwsa_qgis.products.cube import Cube, NetcdfFile, is_cube
from gwsa_qgis.rasters.raster import Raster


def open_source(path: str | Path, variables: Sequence[str] = (), variable: str = "") -> Raster | Cube:
    """Open a raster for reading.

    Parameters
    ----------
    variables : sequence of str
        Names to look for in a NetCDF file, first found first.
    variable : str
        The one variable wanted.

    Raises
    ------
    UnreadableInput
        If the file is absent or damaged, or the variable is not there.
    """
    if not is_cube(path):
        return Raster(path)
    file = NetcdfFile(path)
    return file.cube(variable or file.variable or file.find(*variables))

"""GLDAS monthly land-surface storages (Noah, CLSM, VIC 2.0 and 2.1): soil moisture, snow and canopy water."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidMonths, UnreadableInput
from gwsa_qgis.products.cube import NetcdfFile
from gwsa_qgis.products.units import centimetres_per
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.warping import read_cut

NAME = re.compile(r"GLDAS_([A-Z]+\d*)_(\w+?)\.A(\d{4})(\d{2})(\d{2})?(?:\.\d{4})?\.(\d{3})\.nc4?$", re.IGNORECASE)
NOAH_LAYERS = ("SoilMoi0_10cm_inst", "SoilMoi10_40cm_inst", "SoilMoi40_100cm_inst", "SoilMoi100_200cm_inst")
SOIL_LAYERS = {
    "NOAH": NOAH_LAYERS,
    # The profile of CLSM holds its root zone and surface layers: one variable is the whole column.
    "CLSM": ("SoilMoist_P_inst",),
    "VIC": ("SoilMoi0_30cm_inst", "SoilMoi_depth2_inst", "SoilMoi_depth3_inst"),
}
SNOW, CANOPY = "SWE_inst", "CanopInt_inst"


@dataclass(frozen=True)
class GldasFile:
    """A monthly file by its name."""

    path: Path
    model: str
    version: str
    month: np.datetime64

    @property
    def storages(self) -> dict[str, tuple[str, ...]]:
        """Variables to be summed for each storage."""
        layers = next(v for name, v in SOIL_LAYERS.items() if self.model.upper().startswith(name))
        return {"SMS": layers, "SWE": (SNOW,), "CWS": (CANOPY,)}


def recognise(path: str | Path) -> bool:
    """Whether a file is one of GLDAS by its name."""
    return bool(NAME.search(Path(path).name))


def list_files(inputs: str | Path | Iterable[str | Path]) -> list[GldasFile]:
    """Monthly files of a folder or a list, in order of their months.

    Raises
    ------
    UnreadableInput
        If there is none, or one is not a monthly GLDAS file, or models or versions are mixed.
    InvalidMonths
        If a month is there twice.
    """
    if isinstance(inputs, (str, Path)) and Path(inputs).is_dir():
        paths = [path for path in sorted(Path(inputs).iterdir()) if recognise(path)]
        where = f"the folder {inputs}"
    else:
        paths = [Path(inputs)] if isinstance(inputs, (str, Path)) else [Path(path) for path in inputs]
        where = "the list of files"
    if not paths:
        raise UnreadableInput(
            f"{where} holds no GLDAS file (GLDAS_NOAH025_M.AYYYYMM.021.nc4)", "give the monthly files as downloaded"
        )
    files = sorted((_parse(path) for path in paths), key=lambda file: file.month)
    kinds = sorted({f"{file.model} {file.version}" for file in files})
    if len(kinds) > 1:
        raise UnreadableInput(
            f"{where} mixes GLDAS products ({', '.join(kinds)})", "give files of one model and version"
        )
    for first, second in zip(files, files[1:], strict=False):
        if first.month == second.month:
            raise InvalidMonths(
                f"{first.month} is there twice ({first.path.name} and {second.path.name})", "remove one of them"
            )
    return files


def _parse(path: Path) -> GldasFile:
    found = NAME.search(path.name)
    if not found:
        raise UnreadableInput(
            f"{path} has no name of a GLDAS file (GLDAS_NOAH025_M.AYYYYMM.021.nc4), so its month is not known",
            "keep the names as downloaded",
        )
    model, interval, year, month, day, version = found.groups()
    if interval.upper() != "M" or day:
        raise UnreadableInput(f"{path} is not monthly ({interval})", "give the monthly files (GLDAS_..._M.AYYYYMM...)")
    if not any(model.upper().startswith(name) for name in SOIL_LAYERS):
        raise UnreadableInput(f"{path} is of the model {model}", f"give files of {', '.join(SOIL_LAYERS)}")
    return GldasFile(path, model.upper(), version, np.datetime64(f"{year}-{month}", "M"))


def grid_of(file: GldasFile) -> Grid:
    """Grid of a file's soil moisture."""
    with NetcdfFile(file.path) as opened:
        return opened.cube(_present(opened, file.storages["SMS"][0])).grid


def read_storages(file: GldasFile, grid: Grid, wanted: Iterable[str] = ("SMS", "SWE", "CWS")) -> dict[str, np.ndarray]:
    """Read storages in cm on `grid`, whose cells must be the file's; NaN outside and where the model has no land.

    Raises
    ------
    UnreadableInput
        If a variable is absent.
    InvalidMonths
        If the file's time is not the month of its name.
    GridMismatch
        If cells differ.
    """
    with NetcdfFile(file.path) as opened:
        result, checked = {}, False
        for storage in wanted:
            total = np.zeros(grid.shape, np.float64)
            for variable in file.storages[storage]:
                cube = opened.cube(_present(opened, variable))
                if not checked:
                    _check_month(file, cube.times())
                    checked = True
                factor = centimetres_per(cube.unit, "", f"{variable} in {file.path}")
                total += read_cut(cube, grid, [0])[0].astype(float) * factor
            result[storage] = total.astype(np.float32)
        return result


def _present(opened: NetcdfFile, variable: str) -> str:
    if not opened.find(variable):
        raise UnreadableInput(
            f"{opened.path} lacks {variable}; it has {', '.join(opened.variables()) or 'no gridded variable'}",
            "download the file with all its soil layers, snow and canopy water",
        )
    return variable


def _check_month(file: GldasFile, times: np.ndarray | None) -> None:
    if times is not None and times.size and times[0].astype("datetime64[M]") != file.month:
        raise InvalidMonths(
            f"{file.path} holds {times[0].astype('datetime64[M]')} although its name says {file.month}",
            "fetch the file again, or give it its own name back",
        )

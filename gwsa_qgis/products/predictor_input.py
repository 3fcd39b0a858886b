"""Inputs of predictor sets: what they are called, whether they have months, how they are brought to the template."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidMonths, InvalidParameter
from gwsa_qgis.months import check_increasing, month_range
from gwsa_qgis.products.cube import Cube, is_cube, split_source
from gwsa_qgis.products.source import open_source
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.journal import describe_file
from gwsa_qgis.rasters.raster import Raster
from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.rasters.warping import Alignment, plan_alignment, require_overlap
from gwsa_qgis.science.model_inputs import CALENDAR

NAME = re.compile(r"[A-Za-z0-9][\w\-.+]*")


@dataclass(frozen=True)
class PredictorInput:
    """One input, opened.

    Attributes
    ----------
    name, path : str
    source : Raster, MonthlyStack or Cube
    months : (n_months,) datetime64[M] or None
        None for a static input.
    unit, quantity : str
    plan : Alignment
    """

    name: str
    path: str
    source: Raster | Cube
    months: np.ndarray | None
    unit: str
    quantity: str
    plan: Alignment

    def bands(self, months: np.ndarray | None) -> np.ndarray:
        """Bands (from 0) of the months wanted; the only one of a static input."""
        if self.months is None:
            return np.array([0])
        return np.searchsorted(self.months, months)

    def fingerprint(self) -> dict[str, object]:
        """All that its values depend on, as far as it can be seen without reading them; without folders."""
        source, known = self.source, {}
        if isinstance(source, Raster):
            band = source.dataset.GetRasterBand(1)
            known = {"nodata": str(band.GetNoDataValue()), "scale": band.GetScale(), "offset": band.GetOffset()}
            listed = source.dataset.GetFileList() or [self.path]
            # statistics and overviews come and go when files are looked at
            files = [file for file in listed if not file.lower().endswith((".aux.xml", ".ovr"))]
        else:
            files, known = [source.path], {"variable": source.variable}
        return {
            "files": sorted((describe_file(file) for file in files), key=lambda found: found["name"]),
            "bands": source.bands,
            "unit": self.unit,
            "alignment": self.plan.describe(),
            **known,
        }

    def crs_name(self) -> str:
        """Name or code of the source's CRS; empty when it names none."""
        return self.source.grid.describe().rsplit(", ", 1)[1] if self.source.grid.crs else ""


def name_inputs(inputs: Mapping[str, str | Path] | Iterable[str | Path], names: Sequence[str] | None) -> dict[str, str]:
    """Path of each predictor by its name: given names, or the files' own.

    Raises
    ------
    InvalidParameter
        If names are doubled, cannot be file names, or do not fit the inputs.
    """
    if isinstance(inputs, Mapping):
        pairs = [(name, str(path)) for name, path in inputs.items()]
    else:
        paths = [str(path) for path in inputs]
        if names and len(names) != len(paths):
            raise InvalidParameter(
                f"{len(names)} names were given for {len(paths)} inputs", "give one name for each input, in their order"
            )
        pairs = list(zip(names or [_own_name(path) for path in paths], paths, strict=True))
    if not pairs:
        raise InvalidParameter("no input was given", "give at least one raster")
    found: dict[str, str] = {}
    for name, path in pairs:
        if not NAME.fullmatch(name) or name in CALENDAR:
            raise InvalidParameter(
                f"{name!r} cannot be the name of a predictor",
                f"give letters, digits, _ and -, and not {' or '.join(CALENDAR)}, which are made by the library",
            )
        twin = next((other for other in found if other.lower() == name.lower()), None)
        if twin:
            raise InvalidParameter(f"two inputs are called {name} ({found[twin]} and {path})", "give NAMES that differ")
        found[name] = path
    return found


def _own_name(path: str) -> str:
    file, variable = split_source(path)
    return variable or Path(file).stem


def open_input(name: str, path: str, template: Grid) -> PredictorInput:
    """Open an input and see how it is brought to the template.

    Raises
    ------
    GwsaError
        If it cannot be read, its months are not contiguous, or it does not meet the template.
    """
    months = None
    quantity = ""
    if is_cube(path):
        source = open_source(path)
        unit = source.unit
        if source.bands > 1:
            months = _months_of(source)
    else:
        source = Raster(path)
        unit = source.unit()
        if source.bands > 1:
            source.close()
            source = MonthlyStack(path)
            months, quantity = source.months, source.quantity
    require_overlap(source, template)
    return PredictorInput(name, str(path), source, months, unit, quantity, plan_alignment(source.grid, template))


def _months_of(cube: Cube) -> np.ndarray:
    months = cube.times().astype("datetime64[M]")
    check_increasing(months, cube.path)
    if (np.diff(months).astype(int) > 1).any():
        raise InvalidMonths(f"{cube.path} leaves out months", "make a monthly stack with gwsa:monthlystack")
    return months


def shared_months(inputs: Sequence[PredictorInput]) -> np.ndarray | None:
    """Months that all dynamic inputs have; None when all are static.

    Raises
    ------
    InvalidMonths
        If there is none.
    """
    dynamic = [one for one in inputs if one.months is not None]
    if not dynamic:
        return None
    first, last = max(one.months[0] for one in dynamic), min(one.months[-1] for one in dynamic)
    if last < first:
        spans = ", ".join(f"{one.name}: {one.months[0]} to {one.months[-1]}" for one in dynamic)
        raise InvalidMonths(f"the inputs have no month in common ({spans})", "give inputs whose months overlap")
    return month_range(first, last)

"""What every GRACE product module gives: which files are its own, and the names of what they hold."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from gwsa_qgis.products.cube import NetcdfFile
from gwsa_qgis.rasters.warping import Source

# Variables that a file, or a file beside it, has of each kind.
LAND_NAMES = ("LO_val", "land_mask", "landmask", "LSMASK", "mask")
MASCON_NAMES = ("mascon_id", "mascon_ID", "mascon")
GAIN_NAMES = ("scale_factor", "gain_factor", "scaling_factor")
DENSITY = re.compile(r"water density.*?(\d{3,4}(?:\.\d+)?)\s*kg", re.IGNORECASE)


@dataclass(frozen=True)
class Remark:
    """Something about a file that its user should know; `odd` if it looks wrong."""

    text: str
    odd: bool = False


@dataclass(frozen=True)
class GraceProduct:
    """A product on a longitude-latitude grid.

    Attributes
    ----------
    name : str
    recognise : callable(NetcdfFile) -> bool
    storage, uncertainty : tuple of str
        Names of the variables, first found first.
    sheets : dict
        Names of the maps in the file by kind: ``land``, ``mascons``, ``gain``.
    native_cells : str
        What repeats one value in all its cells: ``mascon``, ``mascon and coast`` (a mascon's land and sea are apart), or
        nothing.
    uncertainty_level : str
        What the uncertainty is, for the output's metadata.
    remarks : callable(NetcdfFile) -> list of Remark
    """

    name: str
    recognise: Callable[[NetcdfFile], bool]
    storage: tuple[str, ...]
    uncertainty: tuple[str, ...] = ("uncertainty",)
    sheets: dict[str, tuple[str, ...]] = field(
        default_factory=lambda: {"land": LAND_NAMES, "mascons": MASCON_NAMES, "gain": GAIN_NAMES}
    )
    native_cells: str = ""
    uncertainty_level: str = ""
    remarks: Callable[[NetcdfFile], list[Remark]] = field(default=lambda file: [])


class MonthlySource(Source, Protocol):
    """Storage or its uncertainty, one band a solution."""

    variable: str
    unit: str
    whole_bands: bool

    def times(self) -> np.ndarray | None:
        """Mid-epochs, datetime64[s]."""

    def time_bounds(self) -> np.ndarray | None:
        """First and last instant of each solution's data."""


class GraceFile(Protocol):
    """An opened file of any GRACE product."""

    path: str
    product: str
    native_cells: str
    uncertainty_level: str
    attributes: dict[str, object]
    storage: MonthlySource

    def __enter__(self) -> GraceFile: ...

    def __exit__(self, *_: object) -> None: ...

    def uncertainty(self) -> MonthlySource | None:
        """Uncertainty of the storage; None when the file has none."""

    def sheet(self, kind: str) -> Source | None:
        """Map of a kind (``land``, ``mascons``, ``gain``); None when the file has none."""

    def remarks(self) -> list[Remark]:
        """What the user should know."""


def describes(file: NetcdfFile, *words: str) -> bool:
    """Whether the file's name, title or institution holds all of some words, whatever the case."""
    told = [str(file.attributes.get(key, "")) for key in ("title", "institution", "creator_institution", "source")]
    text = " ".join([Path(file.path).name, *told]).lower()
    return all(word in text for word in words)


def density_remarks(attributes: dict[str, object]) -> list[Remark]:
    """Say so when heights are not of fresh water."""
    for key, text in attributes.items():
        found = DENSITY.search(str(text)) if key.startswith("postprocess") else None
        if found and abs(float(found[1]) - 1000) > 1:
            excess = float(found[1]) / 10 - 100
            return [
                Remark(
                    f"The file's heights are of water of {found[1]} kg/m3: of fresh water they would be {excess:.1f} % "
                    "larger; the values are taken as they are, as is usual."
                )
            ]
    return []


def version_remarks(path: str, told: str) -> list[Remark]:
    """Warn when the version in a file's name is not the one that the file tells of itself."""
    named = re.search(r"rl\d+[._]?v(\d+(?:\.\d+)?)", Path(path).name, re.IGNORECASE)
    inside = re.search(r"v\s?(\d+(?:\.\d+)?)", told, re.IGNORECASE)
    if named and inside and float(named[1]) != float(inside[1]):
        return [
            Remark(
                f"{Path(path).name} calls itself version {inside[1]} inside; the name's {named[1]} is trusted "
                "(files of GSFC are known to carry an old version)",
                odd=True,
            )
        ]
    return []

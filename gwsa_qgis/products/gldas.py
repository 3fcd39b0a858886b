"""GLDAS monthly land-surface models (Noah, CLSM, VIC; 2.0 and 2.1): which files are there, of which model and month."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidMonths, UnreadableInput

# Files cut out by the archive's own service end in .nc4.SUB.nc4.
NAME = re.compile(
    r"GLDAS_([A-Z]+\d*)_(\w+?)\.A(\d{4})(\d{2})(\d{2})?(?:\.\d{4})?\.(\d{3})(?:\.\w+)*\.nc4?$", re.IGNORECASE
)
EXAMPLE = "GLDAS_NOAH025_M.AYYYYMM.021.nc4"
MODELS = ("noah", "clsm", "vic")
# Layers without the ending of their time rule: GLDAS-2.0 and -2.1 write _inst at 1 deg and 0.25 deg, CLSM at
# 0.25 deg writes _tavg. RootMoist of Noah and the root zone and surface of CLSM are parts of what is listed.
SOIL_LAYERS = {
    "noah": ("SoilMoi0_10cm", "SoilMoi10_40cm", "SoilMoi40_100cm", "SoilMoi100_200cm"),
    "clsm": ("SoilMoist_P",),
    "vic": ("SoilMoi0_30cm", "SoilMoi_depth2", "SoilMoi_depth3"),
}
SNOW, CANOPY = "SWE", "CanopInt"
STORAGES = ("SMS", "SWE", "CWS")


@dataclass(frozen=True)
class GldasFile:
    """A monthly file by its name.

    Attributes
    ----------
    path : Path
    model : str
        Model and resolution as in the name: NOAH025, CLSM10.
    version : str
        2.0 or 2.1, with ``early`` for files of the early production stream.
    month : datetime64[M]
    """

    path: Path
    model: str
    version: str
    month: np.datetime64

    @property
    def family(self) -> str:
        """Model without its resolution: one of `MODELS`."""
        return self.model.lower().rstrip("0123456789")

    @property
    def layers(self) -> dict[str, tuple[str, ...]]:
        """Variables, without the ending of their time rule, whose sum is each storage."""
        return {"SMS": SOIL_LAYERS[self.family], "SWE": (SNOW,), "CWS": (CANOPY,)}


@dataclass(frozen=True)
class GldasModel:
    """The files of one model, oldest first, each month once."""

    files: tuple[GldasFile, ...]

    @property
    def family(self) -> str:
        """One of `MODELS`."""
        return self.files[0].family

    @property
    def name(self) -> str:
        """Model, resolution and version, as ``NOAH025 2.1``."""
        return f"{self.files[0].model} {self.files[0].version}"

    @property
    def months(self) -> np.ndarray:
        """Months that have a file, datetime64[M]."""
        return np.array([file.month for file in self.files], dtype="datetime64[M]")


def recognise(path: str | Path) -> bool:
    """Whether a file is one of GLDAS by its name."""
    return bool(NAME.search(Path(path).name))


def list_models(inputs: str | Path | Iterable[str | Path]) -> dict[str, GldasModel]:
    """Monthly files of a folder or a list by model, in the order of `MODELS`; files are not opened.

    A folder's own files are taken; if it has none, those of its sub-folders (one for each model).

    Raises
    ------
    UnreadableInput
        If there is none, or one is not a monthly file of these models, or grids or versions are mixed.
    InvalidMonths
        If a model's month is there twice.
    """
    paths, where = _paths(inputs)
    if not paths:
        raise UnreadableInput(f"{where} holds no GLDAS file ({EXAMPLE})", "give the monthly files as downloaded")
    files = sorted((_parse(path) for path in paths), key=lambda file: (file.month, file.path.name))
    by_family = {family: [file for file in files if file.family == family] for family in MODELS}
    models = {family: GldasModel(tuple(found)) for family, found in by_family.items() if found}
    for model in models.values():
        _check_doubled(model.files)
        _check_one_kind(model.files, where, lambda file: f"{file.model} {file.version}")
    _check_one_kind(files, where, lambda file: file.version)
    return models


def _paths(inputs: str | Path | Iterable[str | Path]) -> tuple[list[Path], str]:
    if isinstance(inputs, (str, Path)) and Path(inputs).is_dir():
        paths = [path for path in sorted(Path(inputs).iterdir()) if recognise(path)]
        paths = paths or [path for path in sorted(Path(inputs).glob("*/*")) if recognise(path)]
        return paths, f"the folder {inputs}"
    paths = [Path(inputs)] if isinstance(inputs, (str, Path)) else [Path(path) for path in inputs]
    return paths, "the list of files"


def _parse(path: Path) -> GldasFile:
    found = NAME.search(path.name)
    if not found:
        raise UnreadableInput(
            f"{path} has no name of a GLDAS file ({EXAMPLE}), so its month is not known",
            "keep the names as downloaded",
        )
    model, stream, year, month, day, version = found.groups()
    if version == "022":
        raise UnreadableInput(
            f"{path} is of GLDAS-2.2, which assimilates GRACE: its storages are not independent of TWSA",
            "give GLDAS-2.1; GWS_tavg of GLDAS-2.2 is read by gwsa:monthlystack, PRODUCT background",
        )
    parts = stream.upper().split("_")
    if parts[0] != "M" or parts[1:] not in ([], ["EP"]) or day:
        raise UnreadableInput(f"{path} is not monthly ({stream})", "give the monthly files (GLDAS_..._M.AYYYYMM...)")
    if model.lower().rstrip("0123456789") not in MODELS:
        raise UnreadableInput(f"{path} is of the model {model}", f"give files of {', '.join(MODELS).upper()}")
    if not 1 <= int(month) <= 12:
        raise InvalidMonths(f"{path} is of the month {month}", "keep the names as downloaded")
    number = f"{int(version[:2])}.{version[2]}" + (" early" if parts[1:] else "")
    return GldasFile(path, model.upper(), number, np.datetime64(f"{year}-{month}", "M"))


def _check_doubled(files: Sequence[GldasFile]) -> None:
    for first, second in zip(files, files[1:], strict=False):
        if first.month == second.month:
            raise InvalidMonths(
                f"{first.month} is there twice ({first.path.name} and {second.path.name})", "remove one of them"
            )


def _check_one_kind(files: Sequence[GldasFile], where: str, kind_of: object) -> None:
    kinds: dict[str, GldasFile] = {}
    for file in files:
        kinds.setdefault(kind_of(file), file)
    if len(kinds) > 1:
        listing = ", ".join(f"{kind} as in {file.path.name}" for kind, file in sorted(kinds.items()))
        raise UnreadableInput(
            f"{where} mixes GLDAS products ({listing})", "give files of one resolution and version for each model"
        )

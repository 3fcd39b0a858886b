"""Predictor sets: a folder with one GeoTIFF a predictor, all on one grid."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import MissingPredictor, UnreadableInput
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.raster import EVERYTHING, Raster
from gwsa_qgis.rasters.stack import MonthlyStack

SUFFIXES = (".tif", ".tiff")


class PredictorSet:
    """The predictors of one grid.

    A file with several bands is dynamic (a monthly stack), one with a single band static; the file's name
    without suffix is the predictor's name.

    Attributes
    ----------
    folder : Path
    names : list of str
        Sorted names.
    grid : Grid
    months : (n_months,) datetime64[M] or None
        Months that all dynamic predictors have; None when all are static.

    Raises
    ------
    UnreadableInput
        If the folder is absent or holds no GeoTIFF.
    GridMismatch
        If the files do not lie on one grid.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise UnreadableInput(
                f"{folder} is not a folder", "give the folder of predictors that gwsa:preparepredictors made"
            )
        self._paths = {p.stem: p for p in sorted(self.folder.iterdir()) if _is_predictor(p)}
        if not self._paths:
            raise UnreadableInput(
                f"the folder {folder} holds no GeoTIFF", "make predictors with gwsa:preparepredictors"
            )
        self.names = list(self._paths)
        self._rasters: dict[str, Raster] = {name: _open(path) for name, path in self._paths.items()}
        first = self._rasters[self.names[0]]
        self.grid: Grid = first.grid
        for raster in self._rasters.values():
            self.grid.require_match(raster.grid, first.path, raster.path)
        self.months = self._common_months()

    def __enter__(self) -> PredictorSet:
        return self

    def __exit__(self, *_: object) -> None:
        for raster in self._rasters.values():
            raster.close()

    def _common_months(self) -> np.ndarray | None:
        from gwsa_qgis.rasters.stack import common_months

        dynamic = [raster for raster in self._rasters.values() if isinstance(raster, MonthlyStack)]
        return common_months(dynamic) if dynamic else None

    def is_dynamic(self, name: str) -> bool:
        """Whether a predictor changes from month to month."""
        return isinstance(self._rasters[name], MonthlyStack)

    def path(self, name: str) -> Path:
        """File of a predictor."""
        return self._paths[name]

    def require(self, names: Iterable[str]) -> None:
        """Raise `MissingPredictor` unless the set has all of `names`."""
        missing = [name for name in names if name not in self._paths]
        if missing:
            raise MissingPredictor(
                f"{self.folder} lacks {', '.join(missing)}; it has {', '.join(self.names)}",
                "prepare the predictors that the model was trained with, under the same names",
            )

    def read(self, name: str, months: np.ndarray, rows: slice = EVERYTHING, columns: slice = EVERYTHING) -> np.ndarray:
        """Read a window of one predictor: (n_months, rows, columns) if dynamic, (1, rows, columns) if static."""
        raster = self._rasters[name]
        if isinstance(raster, MonthlyStack):
            return raster.read_months(months, rows, columns)
        return raster.read(rows, columns, [0])

    def forget(self, name: str) -> None:
        """Let go of what is kept of a predictor's file (see `Raster.forget`)."""
        self._rasters[name].forget()


def _is_predictor(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _open(path: Path) -> Raster:
    with Raster(path) as raster:
        single = raster.bands == 1
    return Raster(path) if single else MonthlyStack(path)

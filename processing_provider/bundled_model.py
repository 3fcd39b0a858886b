"""Bundled models: Modeler models with an id that stays when the shown name changes."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsProcessingModelAlgorithm
from qgis.PyQt.QtGui import QIcon


class BundledModel(QgsProcessingModelAlgorithm):
    """A model of the folder ``models``; its id is the file's name, its shown name the model's.

    Attributes
    ----------
    path : Path
        The .model3 file.
    readable : bool
        Whether the file could be read.
    """

    def __init__(self, path: Path, icon_path: str) -> None:
        super().__init__()
        self.path, self._icon_path = path, icon_path
        self.readable = self.fromFile(str(path))
        self.setSourceFilePath(str(path))

    def createInstance(self) -> BundledModel:
        return BundledModel(self.path, self._icon_path)

    def name(self) -> str:
        return self.path.stem.replace("_", "")

    def icon(self) -> QIcon:
        return QIcon(self._icon_path)

    def svgIconPath(self) -> str:
        return self._icon_path

    def tags(self) -> list[str]:
        return ["GWSA", "groundwater", "GRACE", "model", "chain"]

"""Bundled models: Modeler models with an id that stays when the shown name changes."""

from __future__ import annotations

from pathlib import Path

from gwsa_qgis.processing_provider.base import PAPER, page_of, scheme
from gwsa_qgis.processing_provider.translation import tr
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
        self._translate()

    def _translate(self) -> None:
        """Put the model's own texts into the user's language."""
        content = self.helpContent()
        translated = {key: tr(text) if isinstance(text, str) else text for key, text in content.items()}
        if translated != content:
            self.setHelpContent(translated)
        for definition in self.parameterDefinitions():
            if not definition.isDestination() and tr(definition.description()) != definition.description():
                own = definition.clone()
                own.setDescription(tr(own.description()))
                own.setHelp(tr(own.help()))
                self.updateModelParameter(own)

    def createInstance(self) -> BundledModel:
        return BundledModel(self.path, self._icon_path)

    def name(self) -> str:
        return self.path.stem.replace("_", "")

    def displayName(self) -> str:
        return tr(super().displayName())

    def group(self) -> str:
        return tr(super().group())

    def shortHelpString(self) -> str:
        begin, end = "<html><body>", "</body></html>"  # as QGIS frames a model's help
        text = super().shortHelpString().removeprefix(begin).removesuffix(end)
        return f"{begin}{scheme(self.name())}{text}<p><i>{tr(PAPER)}</i></p>{end}"

    def helpUrl(self) -> str:
        return page_of(self.name())

    def icon(self) -> QIcon:
        return QIcon(self._icon_path)

    def svgIconPath(self) -> str:
        return self._icon_path

    def tags(self) -> list[str]:
        return ["GWSA", "groundwater", "GRACE", "model", "chain"]

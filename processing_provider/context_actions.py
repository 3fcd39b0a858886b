"""Entries of the toolbox's context menu: open a bundled model in the Modeler."""

from __future__ import annotations

from gwsa_qgis.processing_provider.translation import tr
from processing.gui.ContextAction import ContextAction
from qgis.core import QgsProcessingModelAlgorithm


class OpenInModeler(ContextAction):
    """Opens a bundled model in the Modeler, from where it can be saved as one's own.

    QGIS's own entry is for models of the user's folder and of the project only.
    """

    def __init__(self) -> None:
        super().__init__()
        self.name = tr("Open in Model Designer")

    def isEnabled(self) -> bool:
        return isinstance(self.itemData, QgsProcessingModelAlgorithm) and self.itemData.id().startswith("gwsa:")

    def execute(self) -> None:
        from processing.modeler.ModelerDialog import ModelerDialog

        dialog = ModelerDialog.create(self.itemData)
        dialog.show()
        dialog.activate()

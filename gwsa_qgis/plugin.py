"""The plugin as QGIS sees it: registers the Processing provider."""

from __future__ import annotations

from qgis.core import QgsApplication


class GwsaPlugin:
    """Adds the provider to Processing while the plugin is enabled."""

    def __init__(self, iface: object) -> None:
        self._iface = iface
        self._provider = None
        self._translator = None
        self._actions: list = []
        self._menu = None

    def initProcessing(self) -> None:  # noqa: N802 - QGIS's name; all that qgis_process calls
        """Register the provider; called with and without a window."""
        from gwsa_qgis.processing_provider.dependencies import append_dependencies
        from gwsa_qgis.processing_provider.provider import GwsaProvider
        from gwsa_qgis.processing_provider.translation import install_translator

        append_dependencies()
        self._translator = install_translator()
        self._provider = GwsaProvider()
        QgsApplication.processingRegistry().addProvider(self._provider)
        # Only now: models name algorithms of this provider, and would have no outputs before it is registered.
        self._provider.refreshAlgorithms()

    def initGui(self) -> None:  # noqa: N802
        """Start with a window."""
        self.initProcessing()
        from processing.gui.ProviderActions import ProviderContextMenuActions

        from gwsa_qgis.processing_provider.context_actions import OpenInModeler
        from gwsa_qgis.processing_provider.menu import Menu

        self._actions = [OpenInModeler()]
        ProviderContextMenuActions.registerProviderContextMenuActions(self._actions)
        self._menu = Menu(self._iface)

    def unload(self) -> None:
        """Take the provider and its menu entries away again."""
        if self._menu is not None:
            self._menu.remove()
            self._menu = None
        if self._actions:
            from processing.gui.ProviderActions import ProviderContextMenuActions

            ProviderContextMenuActions.deregisterProviderContextMenuActions(self._actions)
            self._actions = []
        if self._provider is not None:
            QgsApplication.processingRegistry().removeProvider(self._provider)
            self._provider = None
        if self._translator is not None:
            QgsApplication.removeTranslator(self._translator)
            self._translator = None

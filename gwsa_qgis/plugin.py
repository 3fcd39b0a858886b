"""The plugin as QGIS sees it: registers the Processing provider."""

from __future__ import annotations

from qgis.core import QgsApplication


class GwsaPlugin:
    """Adds the provider to Processing while the plugin is enabled."""

    def __init__(self, iface: object) -> None:
        self._iface = iface
        self._provider = None

    def initProcessing(self) -> None:  # noqa: N802 - QGIS's name; all that qgis_process calls
        """Register the provider; called with and without a window."""
        from gwsa_qgis.processing_provider.dependencies import append_dependencies
        from gwsa_qgis.processing_provider.provider import GwsaProvider

        append_dependencies()
        self._provider = GwsaProvider()
        QgsApplication.processingRegistry().addProvider(self._provider)
        # Models name algorithms of this provider, which are known only now; without this they have no outputs.
        self._provider.refreshAlgorithms()

    def initGui(self) -> None:  # noqa: N802
        """Start with a window."""
        self.initProcessing()

    def unload(self) -> None:
        """Take the provider away again."""
        if self._provider is not None:
            QgsApplication.processingRegistry().removeProvider(self._provider)
            self._provider = None

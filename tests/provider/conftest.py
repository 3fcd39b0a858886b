"""A QGIS with the provider, and small inputs for its algorithms."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def provider(qgis_app, qgis_processing):
    """Register the provider as the plugin does."""
    from qgis.core import QgsApplication

    from gwsa_qgis.plugin import GwsaPlugin

    plugin = GwsaPlugin(None)
    plugin.initProcessing()
    yield QgsApplication.processingRegistry().providerById("gwsa")
    plugin.unload()

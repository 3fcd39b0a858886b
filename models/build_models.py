"""Build the bundled models with PyQGIS; run by ``make models``, checked by a test that rebuilds and compares."""

from __future__ import annotations

import sys
from pathlib import Path

from analysis_models import basin_reports, pumping_fingerprint, trend_and_classes
from chain_model import complete_chain
from qgis.core import QgsApplication
from validation_model import validation

HERE = Path(__file__).parent
MODELS = (complete_chain, trend_and_classes, pumping_fingerprint, basin_reports, validation)


def main() -> None:
    """Build all models into this folder, or into the one given."""
    application = QgsApplication([], False)
    application.initQgis()
    from gwsa_qgis.plugin import GwsaPlugin

    plugin = GwsaPlugin(None)
    plugin.initProcessing()
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    for build in MODELS:
        print(build(target))
    plugin.unload()
    application.exitQgis()


if __name__ == "__main__":
    main()

"""The Processing provider `gwsa`: algorithms in pipeline order, then the bundled models."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from gwsa_qgis.processing_provider.base import ICONS, PACKAGES, install_hint, missing_packages
from gwsa_qgis.processing_provider.bundled_model import BundledModel
from gwsa_qgis.processing_provider.translation import tr
from qgis.core import QgsApplication, QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from gwsa_qgis import __version__

# One module and one class each, in the order of the method.
ALGORITHMS = (
    ("importgrace", "ImportGrace"),
    ("importgldas", "ImportGldas"),
    ("monthlystack", "MakeMonthlyStack"),
    ("accumulate", "Accumulate"),
    ("watermask", "WaterMask"),
    ("glaciermask", "GlacierMask"),
    ("basemask", "BaseMask"),
    ("applymask", "ApplyMask"),
    ("aquiferclasses", "AquiferClasses"),
    ("preparepredictors", "PreparePredictors"),
    ("fillgaps", "FillGaps"),
    ("waterbalance", "WaterBalance"),
    ("trainmodels", "TrainModels"),
    ("predict", "Predict"),
    ("correctresiduals", "CorrectResiduals"),
    ("uncertainty", "Uncertainty"),
    ("consistency", "Consistency"),
    ("validatewells", "ValidateWells"),
    ("projectreport", "ProjectReport"),
    ("trend", "Trend"),
    ("trendbreak", "TrendBreak"),
    ("seasonality", "Seasonality"),
    ("attribution", "Attribution"),
    ("latitudeprofile", "LatitudeProfile"),
    ("droughtindex", "DroughtIndex"),
    ("basinseries", "BasinSeries"),
    ("hotspots", "HotSpots"),
    ("basinreport", "BasinReport"),
    ("sampleregion", "SampleRegion"),
    ("sampleproject", "SampleProject"),
    ("checkenvironment", "CheckEnvironment"),
)
MODELS = Path(__file__).parent.parent / "models"


class GwsaProvider(QgsProcessingProvider):
    """Groundwater storage anomaly algorithms and models."""

    def id(self) -> str:
        return "gwsa"

    def name(self) -> str:
        return tr("Groundwater storage anomaly (GWSA)")

    def longName(self) -> str:
        return tr("GWSA {version}").format(version=__version__)

    def icon(self) -> QIcon:
        return QIcon(self.svgIconPath())

    def svgIconPath(self) -> str:
        return str(ICONS / "gwsa.svg")

    def versionInfo(self) -> str:
        return __version__

    def warningMessage(self) -> str:
        missing = missing_packages(tuple(PACKAGES))
        return install_hint(missing) if missing else ""

    def loadAlgorithms(self) -> None:
        if QgsApplication.processingRegistry().providerById(self.id()) is None:
            return  # models find no algorithm of a provider that is not registered yet; the plugin refreshes then
        for module, name in ALGORITHMS:
            algorithm = getattr(import_module(f"gwsa_qgis.processing_provider.{module}"), name)
            self.addAlgorithm(algorithm())
        for path in sorted(MODELS.glob("*.model3")):
            icon = ICONS / f"{path.stem.replace('_', '')}.svg"
            model = BundledModel(path, str(icon) if icon.exists() else self.svgIconPath())
            if model.readable:
                self.addAlgorithm(model)

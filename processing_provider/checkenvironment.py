"""gwsa:checkenvironment."""

from __future__ import annotations

from typing import Any

from gwsa_qgis.processing_provider.base import PACKAGES, GwsaAlgorithm, install_hint, missing_packages
from gwsa_qgis.processing_provider.dependencies import dependencies_folder
from gwsa_qgis.processing_provider.values import Values


class CheckEnvironment(GwsaAlgorithm):
    """Say what this QGIS has and lacks."""

    ID = "checkenvironment"
    NAME = "Check environment"
    GROUP = "tools"
    TAGS = ("install", "packages", "version", "dependencies")
    REFERENCE = ""
    SUMMARY = "Says which versions and Python packages this QGIS has, what is missing and how to install it."
    HELP = """<p>Import, preparation, gap filling, water balance, correction and trend need nothing but QGIS. Training
    needs xgboost and scikit-learn, prediction xgboost, robust STL statsmodels.</p>"""
    UNITS = "None."

    def declare(self) -> None:
        self.add_report("Page with versions and commands.")
        self.add_figure("MISSING", "Missing packages")

    def run_step(self, values: Values, progress: Any) -> dict[str, Any]:
        from gwsa_qgis.steps.checkenvironment import checkenvironment

        missing = missing_packages(tuple(PACKAGES))
        checkenvironment(
            report=values.output_file("REPORT"),
            missing=[PACKAGES[name] for name in missing],
            remedy=install_hint(missing) if missing else "",
            folder=str(dependencies_folder()),
            progress=progress,
        )
        return {"MISSING": len(missing)}

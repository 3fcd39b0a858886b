"""Say what this Python has and lacks for the steps."""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import metadata
from pathlib import Path

from gwsa_qgis.progress import ProgressFunction, Reporter

DISTRIBUTIONS = ("numpy", "scipy", "matplotlib", "joblib", "statsmodels", "pymannkendall", "optuna", "numba")
# Several distributions carry one package; the first that is installed is named.
ALTERNATIVES = {"xgboost": ("xgboost", "xgboost-cpu"), "scikit-learn": ("scikit-learn",)}
NEEDED_FOR = {
    "xgboost": "train and predict",
    "scikit-learn": "train",
    "optuna": "search networks (dnn)",
    "statsmodels": "robust STL, series with holes",
    "pymannkendall": "comparisons in tests",
    "numba": "faster trends (optional)",
    "joblib": "several workers at once",
}


@dataclass(frozen=True)
class EnvironmentResult:
    """Versions by name; None where absent."""

    versions: dict[str, str | None]
    report: Path | None


def checkenvironment(
    report: str | Path | None = None,
    *,
    missing: Sequence[str] = (),
    remedy: str = "",
    folder: str = "",
    progress: ProgressFunction | None = None,
) -> EnvironmentResult:
    """Collect versions of Python, GDAL and the packages, and write them as a page.

    Parameters
    ----------
    report : path, optional
        HTML page to write.
    missing : sequence of str
        Packages that QGIS does not find, by the names pip knows.
    remedy : str
        Sentence with the command that installs them.
    folder : str
        Folder of the profile in which packages may lie.
    """
    from gwsa_qgis import __version__
    from gwsa_qgis.rasters.gdal_setup import gdal
    from gwsa_qgis.rasters.writing import write_text

    versions: dict[str, str | None] = {
        "gwsa_qgis": __version__,
        "Python": platform.python_version(),
        "GDAL": gdal.VersionInfo("RELEASE_NAME"),
    }
    for name in DISTRIBUTIONS:
        versions[name] = _version((name,))
    for name, distributions in ALTERNATIVES.items():
        versions[name] = _version(distributions)
    progress = Reporter(progress)
    for name, version in versions.items():
        progress.say(f"{name} {version or 'is missing'}")
    if remedy:
        progress.warn(remedy)
    if report is None:
        return EnvironmentResult(versions, None)
    return EnvironmentResult(versions, write_text(report, _page(versions, missing, remedy, folder)))


def _version(distributions: Sequence[str]) -> str | None:
    for name in distributions:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None


def _page(versions: dict[str, str | None], missing: Sequence[str], remedy: str, folder: str) -> str:
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(version or 'missing')}</td><td>{escape(NEEDED_FOR.get(name, ''))}</td></tr>"
        for name, version in versions.items()
    )
    if missing:
        verdict = f"<p><b>Missing: {escape(', '.join(missing))}.</b></p><p><code>{escape(remedy)}</code></p>"
    else:
        verdict = "<p><b>Nothing is missing.</b></p>"
    return (
        '<!DOCTYPE html><html><head><meta charset="utf-8"><title>GWSA environment</title></head>'
        '<body style="font-family: sans-serif"><h1>GWSA environment</h1>'
        f"{verdict}<table><tr><th>Package</th><th>Version</th><th>Needed for</th></tr>{rows}</table>"
        f"<p>Python: {escape(sys.executable)}<br>Packages may also lie in: {escape(folder)}</p></body></html>"
    )

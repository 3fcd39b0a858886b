"""Packages that QGIS lacks: where they may lie in the user's profile, and the command that puts them there."""

from __future__ import annotations

import sys
from pathlib import Path

from qgis.core import QgsApplication


def dependencies_folder() -> Path:
    """Folder in the user's profile for packages of this Python version."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return Path(QgsApplication.qgisSettingsDirPath()) / "python" / "dependencies" / version


def append_dependencies() -> None:
    """Let Python find packages in that folder, after QGIS's own.

    Never in front: pip may have put a numpy there, and GDAL's bindings need the one they were built against.
    """
    folder = str(dependencies_folder())
    if folder not in sys.path:
        sys.path.append(folder)


def install_command(packages: list[str]) -> str:
    """Command for this machine that installs `packages` into the profile's folder."""
    names = " ".join(packages)
    target = dependencies_folder()
    if sys.platform == "win32":
        return f'python -m pip install --target "{target}" {names}   (in the OSGeo4W Shell that came with QGIS)'
    if sys.platform == "darwin":
        python = Path(sys.prefix) / "bin" / "python3"
        return f'"{python}" -m pip install --target "{target}" {names}'
    return f'/usr/bin/python3 -m pip install --target "{target}" {names}'

"""Groundwater storage anomaly from satellite gravity: the plugin, and the library it stands on.

Inside QGIS this package is a plugin with a Processing provider; in scripts and on cluster workers it is an
ordinary library whose public face is `gwsa_qgis.steps`. Importing it needs neither QGIS nor GDAL.
"""

from __future__ import annotations

from pathlib import Path


def _read_version() -> str:
    """Version as `metadata.txt`, the one place where it is written, has it."""
    here = Path(__file__).resolve().parent
    for folder in (here, here.parent):  # installed, and in the source tree
        metadata = folder / "metadata.txt"
        if metadata.is_file():
            for line in metadata.read_text(encoding="utf-8").splitlines():
                if line.startswith("version="):
                    return line.partition("=")[2].strip()
    return "unknown"


__version__ = _read_version()


def classFactory(iface):  # noqa: N802 - the name QGIS calls
    """Return the plugin object; called by QGIS when the plugin is loaded."""
    from gwsa_qgis.plugin import GwsaPlugin

    return GwsaPlugin(iface)

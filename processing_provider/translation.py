"""Texts in the language of the user's QGIS, where a translation is there."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QCoreApplication, QTranslator

CONTEXT = "gwsa"
TRANSLATIONS = Path(__file__).parent / "i18n"


def tr(text: str) -> str:
    """Translate a user's text."""
    return QCoreApplication.translate(CONTEXT, text)


def install_translator(folder: Path = TRANSLATIONS) -> QTranslator | None:
    """Load ``gwsa_<language>.qm`` for QGIS's language; None where there is none.

    The translator must be kept by the caller: Qt does not.
    """
    translator = QTranslator()
    if not translator.load(f"gwsa_{QgsApplication.locale()}", str(folder)):
        return None
    QCoreApplication.installTranslator(translator)
    return translator

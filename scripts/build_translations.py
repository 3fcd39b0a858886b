"""Write build/gwsa.ts: every text that a translator can put into another language.

Texts are found where they are used: all that algorithms and models say of themselves is recorded as it passes through
`tr`, and what is said only while something runs is read from the sources. ``make translations`` runs it. A translator
copies the file to gwsa_<language>.ts, fills it in Qt Linguist, and releases it as gwsa_<language>.qm in
processing_provider/i18n, from where the plugin loads it.
"""

from __future__ import annotations

import ast
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from qgis.core import QgsApplication, QgsProcessingModelAlgorithm
from qgis.PyQt.QtCore import QCoreApplication, QTranslator

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "build" / "gwsa.ts"


class Recorder(QTranslator):
    """A translator that translates nothing and remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: set[str] = set()

    def isEmpty(self) -> bool:  # noqa: N802 - Qt's name
        """Qt skips empty translators."""
        return False

    def translate(self, context: str, text: str, *_others: object) -> str | None:
        """Remember a text of the plugin's."""
        if context == "gwsa":
            self.texts.add(text)
        return None


def texts_of_algorithms() -> set[str]:
    """All that the provider's algorithms and models say of themselves."""
    from gwsa_qgis.plugin import GwsaPlugin

    recorder = Recorder()
    QCoreApplication.installTranslator(recorder)
    plugin = GwsaPlugin(None)
    plugin.initProcessing()
    provider = QgsApplication.processingRegistry().providerById("gwsa")
    for algorithm in provider.algorithms():
        for say in ("displayName", "group", "shortDescription", "shortHelpString"):
            getattr(algorithm, say)()
        if isinstance(algorithm, QgsProcessingModelAlgorithm):
            recorder.texts |= texts_of_model(algorithm)
    plugin.unload()
    QCoreApplication.removeTranslator(recorder)
    return recorder.texts


def texts_of_model(model: QgsProcessingModelAlgorithm) -> set[str]:
    """Help and labels of a model's inputs."""
    inputs = [definition for definition in model.parameterDefinitions() if not definition.isDestination()]
    texts = {text for definition in inputs for text in (definition.description(), definition.help())}
    return texts | {text for text in model.helpContent().values() if isinstance(text, str)}


def texts_of_sources() -> set[str]:
    """Literal texts in calls of `tr`."""
    texts = set()
    for path in sorted((ROOT / "processing_provider").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "tr":
                texts |= {a.value for a in node.args if isinstance(a, ast.Constant)}
    return texts


def write(texts: set[str], path: Path) -> None:
    """Write Qt's translation source, in the order of the alphabet."""
    root = ET.Element("TS", version="2.1", sourcelanguage="en")
    context = ET.SubElement(root, "context")
    ET.SubElement(context, "name").text = "gwsa"
    for text in sorted(text for text in texts if text.strip()):
        message = ET.SubElement(context, "message")
        ET.SubElement(message, "source").text = text
        ET.SubElement(message, "translation", type="unfinished")
    ET.indent(root)
    path.parent.mkdir(exist_ok=True)
    body = ET.tostring(root, encoding="unicode")
    path.write_text(f'<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE TS>\n{body}\n', encoding="utf-8")


def main() -> None:
    """Write build/gwsa.ts, or the file that is named."""
    application = QgsApplication([], False)
    application.initQgis()
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    write(texts_of_algorithms() | texts_of_sources(), target)
    application.exitQgis()


if __name__ == "__main__":
    main()

"""Every text for users can be translated, and the file for translators holds them all."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from qgis.core import QgsProcessingModelAlgorithm
from qgis.PyQt.QtCore import QCoreApplication, QTranslator

ROOT = Path(__file__).resolve().parents[2]
MARK = "§"


class Marker(QTranslator):
    """Puts a mark before each text of the plugin's."""

    def isEmpty(self):
        return False

    def translate(self, context, text, disambiguation=None, n=-1):
        return MARK + text if context == "gwsa" else None


@pytest.fixture
def translated(provider):
    """The algorithms as they are made while a translator is there."""
    marker = Marker()
    QCoreApplication.installTranslator(marker)
    yield [algorithm.create() for algorithm in provider.algorithms()]
    QCoreApplication.removeTranslator(marker)


def test_every_text_of_every_algorithm_is_translatable(translated):
    bare = []
    for algorithm in translated:
        model = isinstance(algorithm, QgsProcessingModelAlgorithm)
        texts = {"name": algorithm.displayName(), "group": algorithm.group()}
        for definition in algorithm.parameterDefinitions():
            if model and definition.isDestination():
                continue  # made by QGIS from the steps
            texts[definition.name()] = definition.description()
            texts[f"{definition.name()} help"] = definition.help()
        if not model:
            texts["summary"] = algorithm.shortDescription()
            texts |= {output.name(): output.description() for output in algorithm.outputDefinitions()}
        bare += [f"{algorithm.id()} {key}: {text}" for key, text in texts.items() if not text.startswith(MARK)]
        assert MARK in algorithm.shortHelpString()
    assert not bare


def test_file_for_translators_holds_every_text(translated, tmp_path):
    path = tmp_path / "gwsa.ts"
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "build_translations.py"), str(path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    texts = {node.text for node in ET.parse(path).iter("source")}
    assert len(texts) > 600
    for text in ("Fill gaps (SSA)", "Memory budget (MB)", "Complete chain", "GRACE mascon file", "Analyse"):
        assert text in texts
    shown = {a.displayName() for a in translated}
    shown |= {d.help() for a in translated for d in a.parameterDefinitions() if d.help().startswith(MARK)}
    assert {text.removeprefix(MARK) for text in shown} - {""} <= texts
    parts = ("NAME", "SUMMARY", "HELP", "FORMULA", "UNITS", "REFERENCE")
    own = [a for a in translated if not isinstance(a, QgsProcessingModelAlgorithm)]
    assert {getattr(a, part) for a in own for part in parts} - {""} <= texts
    assert {"Formula", "Units"} <= texts


def test_without_a_translation_the_texts_stay_english(tmp_path):
    from gwsa_qgis.processing_provider.translation import install_translator

    assert install_translator(tmp_path) is None

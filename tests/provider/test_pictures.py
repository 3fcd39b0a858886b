"""Each algorithm and model has an icon and a scheme of its own, drawn, legible, and true to its parameters."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtGui import QColor, QImage
from qgis.PyQt.QtWidgets import QTextBrowser

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "processing_provider" / "pictures"
WIDEST = 225  # pixels; beside a dialog of common width the help has about 230


@pytest.fixture(scope="module")
def algorithms(provider):
    return {a.name(): a for a in provider.algorithms()}


def inked(image: QImage) -> float:
    """Share of the pixels that are neither transparent nor white."""
    image = image.convertToFormat(QImage.Format.Format_ARGB32)
    white = QColor("#ffffff").rgb()
    pixels = [image.pixel(x, y) for x in range(image.width()) for y in range(image.height())]
    return sum(1 for p in pixels if p >> 24 > 127 and p != white) / len(pixels)


def test_every_algorithm_has_an_icon_of_its_own(algorithms):
    drawings = {}
    for name, algorithm in algorithms.items():
        path = Path(algorithm.svgIconPath())
        assert path.name == f"{name}.svg"
        drawings[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    assert len(set(drawings.values())) == len(drawings)


@pytest.mark.parametrize("size", [16, 24])
def test_icons_show_something_at_the_size_of_the_toolbox(algorithms, size):
    for name, algorithm in algorithms.items():
        drawn = algorithm.icon().pixmap(size, size).toImage()
        assert 0.1 < inked(drawn) < 0.95, name


def test_every_help_begins_with_a_picture_that_the_dialog_shows(algorithms, qgis_app):
    for name, algorithm in algorithms.items():
        (source,) = re.findall(r'<img src="([^"]+)"', algorithm.shortHelpString())
        browser = QTextBrowser()
        browser.resize(250, 420)
        browser.setHtml(algorithm.shortHelpString())
        browser.show()
        image = QImage(QUrl(source).toLocalFile())
        assert 60 < image.width() <= WIDEST, name
        assert inked(image) > 0.05, name
        shown = browser.grab().toImage()
        assert not browser.horizontalScrollBar().isVisible(), f"{name}: the help is wider than its place"
        colours = {shown.pixelColor(x, y).name() for x in range(0, 240, 2) for y in range(0, 250, 2)}
        assert colours - _greys(colours), f"{name}: the help shows text alone"


def _greys(colours: set[str]) -> set[str]:
    """Colours that text and paper have, or nearly."""

    def spread(colour: str) -> int:
        parts = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        return max(parts) - min(parts)

    return {c for c in colours if spread(c) < 40}


def test_schemes_name_parameters_and_outputs_that_exist(algorithms):
    for name, algorithm in algorithms.items():
        named = re.findall(r"<text[^>]*>([^<]+)</text>", (PICTURES / f"{name}.svg").read_text(encoding="utf-8"))
        there = {d.name() for d in algorithm.parameterDefinitions()} | {o.name() for o in algorithm.outputDefinitions()}
        assert named, name
        assert set(named) <= there, (name, sorted(set(named) - there))


def test_schemes_are_what_the_script_draws(tmp_path, algorithms):
    code = f"import build_pictures, pathlib; build_pictures.main(pathlib.Path({str(tmp_path)!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "scripts", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    drawn = {path.name: path.read_bytes() for path in tmp_path.glob("*.svg")}
    assert drawn == {path.name: path.read_bytes() for path in PICTURES.glob("*.svg")}
    assert {name.removesuffix(".svg") for name in drawn} == set(algorithms)


def test_pages_of_the_documentation_show_the_picture(algorithms):
    for page in (ROOT / "docs" / "algorithms").glob("*.md"):
        if page.stem in algorithms:
            assert f"processing_provider/pictures/{page.stem}.svg" in page.read_text(encoding="utf-8"), page.name

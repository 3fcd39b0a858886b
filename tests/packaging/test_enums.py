"""The check of `make lint` that keeps the code ready for Qt 6."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "check_enums.py"


@pytest.fixture(scope="module")
def check():
    spec = importlib.util.spec_from_file_location("check_enums", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "flat",
    [
        "from qgis.PyQt.QtCore import Qt\nQt.Horizontal",
        "from qgis.core import QgsProcessing\nQgsProcessing.TypeRaster",
        "from qgis.core import QgsProcessingParameterNumber as N\nN.Integer",
        "from qgis.PyQt.QtWidgets import QMessageBox\nQMessageBox.Ok",
    ],
)
def test_flat_enums_are_found(check, flat):
    assert len(check.flat_enums(flat)) == 1


@pytest.mark.parametrize(
    "scoped",
    [
        "from qgis.PyQt.QtCore import Qt\nQt.Orientation.Horizontal",
        "from qgis.core import QgsProcessing\nQgsProcessing.SourceType.TypeRaster\nQgsProcessing.TEMPORARY_OUTPUT",
        "from qgis.core import Qgis\nQgis.MessageLevel.Warning\nQgis.version()",
        "from pathlib import Path\nPath.home()",
    ],
)
def test_scoped_ones_pass(check, scoped):
    assert check.flat_enums(scoped) == []

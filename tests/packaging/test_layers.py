"""Layers look down only, and the library stands without QGIS."""

from __future__ import annotations

import ast
import graphlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(importlib.util.find_spec("gwsa_qgis").origin).parent
# What each room may import besides itself; the bottom ones (errors, months, progress, threads) are open to all.
BOTTOM = {"gwsa_qgis", "gwsa_qgis.errors", "gwsa_qgis.months", "gwsa_qgis.progress", "gwsa_qgis.threads"}
MAY_SEE = {
    "science": set(),
    "rasters": set(),
    "products": {"rasters", "science"},
    "report": {"rasters", "science"},
    "steps": {"rasters", "products", "science", "report"},
    "processing_provider": {"rasters", "products", "science", "report", "steps"},
}
SOURCES = sorted(p for p in PACKAGE.rglob("*.py") if "__pycache__" not in p.parts)


def imported(path: Path) -> set[str]:
    """All modules that a file imports, at the top or inside functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import; the plugin's imports are absolute"
            names.add(node.module)
    return names


def room(path: Path) -> str:
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else ""


@pytest.mark.parametrize("path", [p for p in SOURCES if room(p) in MAY_SEE], ids=lambda p: str(p.relative_to(PACKAGE)))
def test_rooms_know_only_those_below(path):
    own = room(path)
    for name in imported(path):
        if not name.startswith("gwsa_qgis") or name in BOTTOM:
            continue
        other = name.split(".")[1]
        assert other == own or other in MAY_SEE[own], f"{own} must not import {name}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_who_knows_qgis_gdal_and_pyqt(path):
    roots = {name.split(".")[0] for name in imported(path)}
    assert not {"PyQt5", "PyQt6", "PySide6"} & roots
    if "qgis" in roots:
        assert room(path) in ("processing_provider", "models") or path.name == "plugin.py"
    if room(path) == "science":
        assert not {"osgeo", "qgis"} & roots


def test_no_modules_know_each_other():
    """There is an order in which every module comes after all that it imports, for types alone included."""
    names = {path: ".".join(("gwsa_qgis", *path.relative_to(PACKAGE).with_suffix("").parts)) for path in SOURCES}
    known = set(names.values())
    order = graphlib.TopologicalSorter({name: imported(path) & known - {name} for path, name in names.items()})
    assert len(list(order.static_order())) == len(known) > 200


def test_steps_import_without_qgis_and_without_heavy_packages():
    """A Python that finds none of them imports every step: what QGIS lacks is needed only when a step runs."""
    heavy = ["qgis", "xgboost", "sklearn", "optuna", "statsmodels", "pymannkendall", "joblib", "matplotlib", "pandas"]
    heavy.append("numba")
    code = (
        "import sys, importlib, pkgutil\n"
        f"for name in {heavy!r}: sys.modules[name] = None\n"
        "import gwsa_qgis.steps as steps\n"
        "names = [m.name for m in pkgutil.iter_modules(steps.__path__)]\n"
        "for name in names: importlib.import_module(f'gwsa_qgis.steps.{name}')\n"
        "print(len(names))\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 20


def test_modules_stay_readable():
    long = {str(p.relative_to(PACKAGE)): n for p in SOURCES if (n := len(p.read_text().splitlines())) > 400}
    assert not {name for name in long if not name.startswith("models")}, long

"""Refuse flat enums of QGIS and Qt, such as ``Qt.AlignLeft``: Qt 6, and so QGIS 4, knows only ``Qt.AlignmentFlag.AlignLeft``.

No list of names: each ``Class.member`` of a class from qgis is looked up, and is flat when it is an enum's value.
"""

from __future__ import annotations

import ast
import enum
import importlib
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACES = ("gwsa_qgis", "processing_provider", "models", "scripts", "tests")


def imported_classes(tree: ast.Module) -> dict[str, type]:
    """Classes that a file imports from qgis, by the names it gives them."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "qgis":
            module = importlib.import_module(node.module)
            for alias in node.names:
                if isinstance(getattr(module, alias.name, None), type):
                    found[alias.asname or alias.name] = getattr(module, alias.name)
    return found


def is_flat(owner: type, member: str) -> bool:
    """Whether ``owner.member`` is the value of an enum that has a scope of its own."""
    value = getattr(owner, member, None)
    if isinstance(owner, enum.EnumMeta) or isinstance(value, (bool, type)):
        return False
    return isinstance(value, int | enum.Enum)


def flat_enums(source: str, name: str = "") -> list[str]:
    """``file:line: Class.member`` of each flat enum in a source text."""
    tree = ast.parse(source)
    classes = imported_classes(tree)
    return [
        f"{name}:{node.lineno}: {node.value.id}.{node.attr} is a flat enum; name its scope"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in classes
        and is_flat(classes[node.value.id], node.attr)
    ]


def main() -> None:
    """Check all sources; list what is flat and fail."""
    findings = []
    for place in PLACES:
        for path in sorted((ROOT / place).rglob("*.py")):
            findings += flat_enums(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))
    if findings:
        sys.exit("\n".join(findings))


if __name__ == "__main__":
    main()

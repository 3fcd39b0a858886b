"""Texts that appear together with a step's other outputs."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from gwsa_qgis.rasters.writing import replacing


def stage_text(outputs: ExitStack, path: str | Path | None, text: str) -> None:
    """Write `text` beside `path`, to be moved into place when `outputs` ends well; nothing when `path` is empty."""
    if path:
        temporary = outputs.enter_context(replacing(path))
        temporary.write_text(text, encoding="utf-8", newline="\n")

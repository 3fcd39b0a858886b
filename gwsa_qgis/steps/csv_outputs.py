"""Tables that open everywhere: commas, decimal points, an empty cell for what is not known."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from gwsa_qgis.rasters.writing import replacing


def stage_table(
    outputs: ExitStack, path: str | Path | None, header: Sequence[str], rows: Iterable[Sequence[object]], plain: bool
) -> None:
    """Write a table beside `path` row by row, to be moved into place when `outputs` ends well.

    Parameters
    ----------
    path : path, optional
        Nothing is written without one.
    plain : bool
        Whether all texts are ASCII; others get the mark by which spreadsheets know UTF-8.
    """
    if not path:
        return
    temporary = outputs.enter_context(replacing(path))
    with temporary.open("w", encoding="utf-8" if plain else "utf-8-sig", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([_cell(value) for value in row] for row in rows)


def _cell(value: object) -> object:
    if not isinstance(value, float):  # numpy's float64 is one
        return value
    return f"{value:.10g}" if math.isfinite(value) else ""

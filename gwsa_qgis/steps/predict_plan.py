"""Plan of a prediction: tiles, months at once, and what is finished together."""

from __future__ import annotations

import os
from dataclasses import dataclass

from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.windows import Window, square_windows
from gwsa_qgis.steps.predict_inputs import FineFiles

# Share of the memory that pieces at work may take, the rest being GDAL's blocks, the boosters and the surroundings.
SHARE = 0.3
FEWEST_PIECES = 3  # that must fit in it: one being read, one predicted, one written
ROWS_IN_PIECE = 2**17  # more would not make the learners quicker
ROWS_IN_PART = 2**21  # some ten seconds of work: what an interruption costs
SMALLEST_TILE = 16
# What averaging takes of a pixel for each monthly predictor: its value in a month, and the sums of its signatures.
AVERAGING_BYTES, SIGNATURE_BYTES = 12, 40
MOST_AVERAGED = 12
# Rows that learners are given at once: enough to keep them busy, and what they make on the way is small. No power of two,
# so that the inputs of a row do not all fall on the same place of the processor's cache.
ROWS_AT_ONCE = 2**14 + 16


@dataclass(frozen=True)
class Part:
    """Windows that are finished together, which is noted in the journal."""

    name: str
    windows: list[Window]


@dataclass(frozen=True)
class PredictPlan:
    """How a prediction is cut into pieces: a window, which is a tile of the output, and some months.

    It depends on the memory and the files alone, so that a run may be taken up with other threads.

    Attributes
    ----------
    tile : int
        Side of the output's tiles.
    parts : list of Part
    chunks : list of slice
        Months of each piece.
    lanes : int
        Pieces that are predicted at the same time.
    threads : int
        Of the learners, for one piece.
    averaging_months : int
        Months that are read at once where predictors are averaged.
    """

    tile: int
    parts: list[Part]
    chunks: list[slice]
    lanes: int
    threads: int
    averaging_months: int

    @property
    def windows(self) -> list[Window]:
        """All windows."""
        return [window for part in self.parts for window in part.windows]

    @property
    def cached_windows(self) -> int:
        """Windows that several pieces at work may share."""
        return -(-(self.lanes + 2) // len(self.chunks)) + 1 if len(self.chunks) > 1 else 1

    def averaging_windows(self, grid: Grid, factor: int) -> list[Window]:
        """Windows of about the same size that are made of whole coarse cells."""
        if self.tile % factor == 0:
            return self.windows
        return square_windows(grid, max(self.tile // factor, 1) * factor)


def plan_prediction(files: FineFiles, n_inputs: int, memory_mb: float, threads: int, workers: int) -> PredictPlan:
    """Cut a prediction into pieces.

    Parameters
    ----------
    threads, workers : int
        As `predict` takes them: with one worker all threads together, otherwise those of each.
    """
    cores = os.cpu_count() or 1
    total = workers * max(threads, 1) if workers > 1 else threads or cores
    n_dynamic = sum(files.dynamic)
    # monthly predictors as read and their deviations; static ones, which are kept; a table by columns, and one by rows
    per_row, per_pixel = 8 * n_dynamic + 48, 8 * (len(files.names) - n_dynamic)
    per_table = 9 * n_inputs * ROWS_AT_ONCE
    budget = SHARE * 1e6 * memory_mb
    rows = min(budget / FEWEST_PIECES / (per_row + per_pixel), ROWS_IN_PIECE)  # tables are smaller where pieces are
    tile = files.tile
    while tile > SMALLEST_TILE and min(tile, files.grid.rows) * min(tile, files.grid.columns) > rows:
        tile = max(tile // 2 // SMALLEST_TILE, 1) * SMALLEST_TILE
    pixels = min(tile, files.grid.rows) * min(tile, files.grid.columns)
    at_once = min(max(int(rows // pixels), 1), files.months.size)
    chunks = [slice(k, min(k + at_once, files.months.size)) for k in range(0, files.months.size, at_once)]
    piece = pixels * (per_pixel + per_row * at_once)
    # beside those that are predicted, one is read and one written
    fitting = max(int((budget - 2 * piece) / (piece + min(per_table, per_table * pixels / ROWS_AT_ONCE))), 1)
    lanes = max(min(total, fitting), 1)
    # as read and as used, by pixel and month, beside the sums of signatures
    averaging = budget / lanes / pixels - SIGNATURE_BYTES * n_dynamic
    months = min(max(int(averaging / max(AVERAGING_BYTES * n_dynamic, 1)), at_once), MOST_AVERAGED, files.months.size)
    return PredictPlan(tile, _parts(files, tile), chunks, lanes, max(total // lanes, 1), months)


def _parts(files: FineFiles, tile: int) -> list[Part]:
    parts, rows = [], ROWS_IN_PART
    for window in square_windows(files.grid, tile):
        if rows >= ROWS_IN_PART:
            parts.append(Part(f"part{len(parts) + 1}", []))
            rows = 0
        parts[-1].windows.append(window)
        rows += window.rows * window.columns * files.months.size
    return parts

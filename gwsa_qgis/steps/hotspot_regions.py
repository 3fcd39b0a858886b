"""Regions of significant trends: found window by window, summed, ranked and numbered in a raster of labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gwsa_qgis.errors import NoUsableData
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.heap import give_back
from gwsa_qgis.rasters.raster import TILE, RasterWriter
from gwsa_qgis.rasters.windows import Window, put_thinned
from gwsa_qgis.report.maps import MOST_PIXELS
from gwsa_qgis.science.regions import PixelTable, RegionFinder, reduce_table
from gwsa_qgis.steps.piece_file import PieceFile
from gwsa_qgis.steps.slope_inputs import SlopeInputs

KM3_PER_CM_KM2 = 1e-5
NAMES = {-1: "depletion", 1: "gain"}
# Rows of the sums over a region.
AREA, SLOPE, LOWER, UPPER, CELLS, SURE, FAIR = range(7)
SURE_P, FAIR_P = 0.01, 0.05
# Figures of so many pieces, or hot spots, are in memory at once; so many of the largest are kept for reports.
AT_ONCE, LARGEST = 20_000, 10_000


@dataclass(frozen=True)
class Rules:
    """What makes a hot spot.

    Attributes
    ----------
    p : float
        p values must be below it.
    least_slope : float
        Slopes must be at least so steep, cm per year.
    kinds : tuple of int
        -1 depletion, 1 gain.
    connectivity : {4, 8}
    minimum_area : float
        km2.
    """

    p: float
    least_slope: float
    kinds: tuple[int, ...]
    connectivity: int
    minimum_area: float


@dataclass(frozen=True)
class HotSpots:
    """Hot spots in the order of their ranks, the largest volume a year first; arrays of shape (count,).

    Attributes
    ----------
    rank : int
        From 1.
    kind : int
        -1 depletion, 1 gain.
    cells : int
    area : float
        km2.
    mean : float
        Slope, weighted by area, cm per year.
    steepest, x, y : float
        Slope of the steepest cell, and its centre.
    rate, lower, upper : float
        Volume, and its limits (NaN if not known), km3 per year.
    p_least : float
        Smallest p value.
    sure, fair : float
        Shares of the area with p below 0.01 and below 0.05.
    """

    rank: np.ndarray
    kind: np.ndarray
    cells: np.ndarray
    area: np.ndarray
    mean: np.ndarray
    steepest: np.ndarray
    x: np.ndarray
    y: np.ndarray
    rate: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    p_least: np.ndarray
    sure: np.ndarray
    fair: np.ndarray

    @property
    def count(self) -> int:
        """How many there are."""
        return self.kind.size

    @property
    def confidence(self) -> np.ndarray:
        """``high`` where at least half of the area has p < 0.01, ``moderate`` where p < 0.05, else ``low``."""
        return np.select([self.sure >= 0.5, self.fair >= 0.5], ["high", "moderate"], "low").astype(object)

    def fields(self) -> dict[str, np.ndarray | list[str]]:
        """Attributes of their layer."""
        return {
            "rank": self.rank,
            "kind": np.array([NAMES[number] for number in self.kind.tolist()], dtype=object),
            "cells": self.cells,
            "area_km2": self.area,
            "slope_cm": self.mean,
            "steepest_cm": self.steepest,
            "steepest_x": self.x,
            "steepest_y": self.y,
            "rate_km3": self.rate,
            "rate_km3_lo": self.lower,
            "rate_km3_hi": self.upper,
            "p_least": self.p_least,
            "sure_pct": 100 * self.sure,
            "confidence": self.confidence,
        }


@dataclass(frozen=True)
class Total:
    """Hot spots of one kind together: their number, area (km2), and volume with its limits (km3 per year)."""

    count: int = 0
    area: float = 0.0
    rate: float = 0.0
    lower: float = 0.0
    upper: float = 0.0


@dataclass
class FoundRegions:
    """What the first pass found.

    Attributes
    ----------
    totals : dict of int to Total
        By kind, -1 depletion and 1 gain; those that were found alone.
    rank_of : (pieces + 1,) int32
        Rank of the hot spot that each piece belongs to, 0 for none.
    thin : int
        Every so many cells are in the maps.
    maps : (2, rows, columns) float32
        Slopes, thinned: all, and (after `number_regions`) those of hot spots, 0 elsewhere.
    valid_area : float
        Area with slopes, km2.
    chance_area : float
        Area that would be significant by chance where nothing happens, km2.
    largest : HotSpots
        Figures of the first `LARGEST`.
    """

    totals: dict[int, Total]
    rank_of: np.ndarray
    thin: int
    maps: np.ndarray
    valid_area: float
    chance_area: float
    largest: HotSpots
    _first_pieces: np.ndarray
    _pieces: PieceFile

    @property
    def count(self) -> int:
        """How many hot spots there are."""
        return self._first_pieces.size

    def parts(self) -> Iterator[HotSpots]:
        """All hot spots by rank, some at a time, from the file beside the labels; at least one part, which may be empty."""
        for start in range(0, max(self.count, 1), AT_ONCE):
            yield _hot_spots(self._pieces, self._first_pieces[start : start + AT_ONCE], start + 1)


def find_regions(inputs: SlopeInputs, rules: Rules, writer: RasterWriter, progress: Reporter) -> FoundRegions:
    """Number the pieces of significant regions in each window, write the numbers, and sum over regions.

    Sums of pieces go into a file beside the labels; held for each are its rank and, while ranks are found, some 20 bytes.

    Raises
    ------
    NoUsableData
        If no cell has a slope and a p value.
    """
    grid = inputs.grid
    finder = RegionFinder(grid.columns, rules.connectivity)
    row_areas, valid_area = grid.row_areas_km2(), 0.0
    sums = PieceFile(writer.path.with_name(f"{writer.path.stem}_pieces.dat"), FAIR + 1, 3)
    thin = max(1, -(-max(grid.shape) // MOST_PIXELS))
    maps = np.full((2, *(-(-side // thin) for side in grid.shape)), np.nan, np.float32)
    for done, window in enumerate(inputs.windows, start=1):
        slope, p_value = inputs.read(window)
        valid_area += float(np.isfinite(slope).sum(1) @ row_areas[window.row_slice])
        kinds = _kinds(slope, p_value, rules)
        before = finder.pieces
        pieces = finder.add(window.row, window.column, kinds)
        table = _table(inputs, window, slope, p_value, pieces, row_areas)
        sums.append(reduce_table(_from_zero(table, before), finder.pieces - before))
        del table
        writer.write(pieces.astype(np.int32), window.row, window.column)
        _forget_row(writer, window, grid)
        put_thinned(maps[:1], slope[None].astype(np.float32), window, thin)
        progress(done / len(inputs.windows), "Regions")
    if not valid_area:
        raise NoUsableData(
            f"no cell has a value in both {inputs.slope} and {inputs.p_value}", "give SLOPE and P_VALUE of one trend"
        )
    totals, order, rank_of = _rank(sums, finder, rules)
    largest, sides = _hot_spots(sums, order[:LARGEST], 1), len(rules.kinds) / 2
    return FoundRegions(totals, rank_of, thin, maps, valid_area, rules.p * sides * valid_area, largest, order, sums)


def number_regions(inputs: SlopeInputs, found: FoundRegions, writer: RasterWriter, progress: Reporter) -> None:
    """Write ranks in place of the numbers of pieces."""
    for done, window in enumerate(inputs.windows, start=1):
        place = (window.row, window.column)
        ranks = found.rank_of[writer.read(*place, window.rows, window.columns)]
        writer.write(ranks, *place)
        _forget_row(writer, window, inputs.grid)
        put_thinned(found.maps[1:], (ranks > 0).astype(np.float32)[None], window, found.thin)
        progress(done / len(inputs.windows))
    found.maps[1] *= found.maps[0]


def _forget_row(writer: RasterWriter, window: Window, grid: Grid) -> None:
    """Let GDAL give back the blocks of a row of tiles once it is whole: none is wanted again in this pass."""
    if window.column + window.columns == grid.columns and (window.row + window.rows) % TILE == 0:
        writer.dataset.FlushCache()
    give_back()


def _kinds(slope: np.ndarray, p_value: np.ndarray, rules: Rules) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        significant = (p_value < rules.p) & (np.abs(slope) >= rules.least_slope)
    kinds = np.where(significant, np.sign(np.nan_to_num(slope)), 0).astype(np.int64)
    return np.where(np.isin(kinds, rules.kinds), kinds, 0)


def _table(
    inputs: SlopeInputs,
    window: Window,
    slope: np.ndarray,
    p_value: np.ndarray,
    pieces: np.ndarray,
    row_areas: np.ndarray,
) -> PixelTable:
    row, column = np.nonzero(pieces)
    area, steep = row_areas[window.row + row], slope[row, column]
    lower, upper = (limit[row, column] for limit in inputs.read_limits(window))
    x = inputs.grid.west + (window.column + column + 0.5) * inputs.grid.dx
    y = inputs.grid.north - (window.row + row + 0.5) * inputs.grid.dy
    p = p_value[row, column]
    sums = [
        area,
        area * steep,
        area * lower,
        area * upper,
        np.ones(area.size),
        area * (p < SURE_P),
        area * (p < FAIR_P),
    ]
    return PixelTable(pieces[row, column], np.stack(sums), np.abs(steep), np.stack([steep, x, y]), p)


def _from_zero(table: PixelTable, before: int) -> PixelTable:
    return PixelTable(table.region - before - 1, table.sums, table.size, table.extra, table.least)


def _rank(sums: PieceFile, finder: RegionFinder, rules: Rules) -> tuple[dict[int, Total], np.ndarray, np.ndarray]:
    """Sum pieces to regions, leave out small ones and rank the others.

    Returns
    -------
    totals : dict of int to Total
    order : (hot spots,) int32
        First piece of each hot spot (from 0), whose row holds the figures of the whole, by rank.
    rank_of : (pieces + 1,) int32
    """
    joined, firsts = finder.joined()
    _put_together(sums, joined - 1, firsts - 1)
    alone = np.ones(finder.pieces, bool)
    alone[joined[joined != firsts] - 1] = False
    totals: dict[int, Total] = {}
    numbers, rates = [np.zeros(0, np.int32)], [np.zeros(0)]
    for start in range(0, alone.size, AT_ONCE):
        here = (start + np.flatnonzero(alone[start : start + AT_ONCE])).astype(np.int32)
        table = sums.read(here)
        # Areas are sums of rounded numbers: a region of exactly the least area stays.
        kept = np.flatnonzero(table.sums[AREA] >= rules.minimum_area * (1 - 1e-12))
        numbers.append(here[kept])
        rates.append(np.abs(table.sums[SLOPE, kept] * KM3_PER_CM_KM2))
        _add_totals(totals, table.sums[:, kept])
    del alone
    rate = np.concatenate(rates)
    del rates
    order = np.concatenate(numbers)[np.argsort(-rate, kind="stable")]
    rank_of = np.zeros(finder.pieces + 1, np.int32)
    rank_of[order + 1] = np.arange(1, order.size + 1, dtype=np.int32)
    rank_of[joined] = rank_of[firsts]
    return totals, order, rank_of


def _put_together(sums: PieceFile, pieces: np.ndarray, firsts: np.ndarray) -> None:
    """Put the figures of each region of several pieces into the row of its first piece."""
    if pieces.size:
        table = sums.read(pieces)
        regions, place = np.unique(firsts, return_inverse=True)
        table = PixelTable(place, table.sums, table.size, table.extra, table.least)
        sums.put(regions, reduce_table(table, regions.size))


def _add_totals(totals: dict[int, Total], sums: np.ndarray) -> None:
    for kind in NAMES:
        own = np.sign(sums[SLOPE]) == kind
        if own.any():
            known = totals.get(kind, Total())
            area, *volumes = sums[AREA : UPPER + 1, own].sum(1).tolist()
            rate, lower, upper = (volume * KM3_PER_CM_KM2 for volume in volumes)
            totals[kind] = Total(
                known.count + int(own.sum()),
                known.area + area,
                known.rate + rate,
                known.lower + lower,
                known.upper + upper,
            )


def _hot_spots(pieces: PieceFile, numbers: np.ndarray, rank: int) -> HotSpots:
    """Figures of the regions whose first pieces these are, of ranks from `rank`."""
    table = pieces.read(numbers)
    sums = table.sums
    return HotSpots(
        np.arange(rank, rank + numbers.size),
        np.sign(sums[SLOPE]).astype(int),
        sums[CELLS].astype(int),
        sums[AREA],
        sums[SLOPE] / sums[AREA],
        *table.extra,
        sums[SLOPE] * KM3_PER_CM_KM2,
        sums[LOWER] * KM3_PER_CM_KM2,
        sums[UPPER] * KM3_PER_CM_KM2,
        table.least,
        sums[SURE] / sums[AREA],
        sums[FAIR] / sums[AREA],
    )

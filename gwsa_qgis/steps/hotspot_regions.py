"""Regions of significant trends: found window by window, summed, ranked and numbered in a raster of labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gwsa_qgis.errors import NoUsableData
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.raster import RasterWriter
from gwsa_qgis.rasters.windows import Window, put_thinned
from gwsa_qgis.report.maps import MOST_PIXELS
from gwsa_qgis.science.regions import PixelTable, RegionFinder, join_tables, reduce_table
from gwsa_qgis.steps.slope_inputs import SlopeInputs

KM3_PER_CM_KM2 = 1e-5
NAMES = {-1: "depletion", 1: "gain"}
# Rows of the sums over a region.
AREA, SLOPE, LOWER, UPPER, CELLS, SURE, FAIR = range(7)
SURE_P, FAIR_P = 0.01, 0.05


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
            "rank": np.arange(1, self.count + 1),
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


@dataclass
class FoundRegions:
    """What the first pass found.

    Attributes
    ----------
    hot_spots : HotSpots
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
    """

    hot_spots: HotSpots
    rank_of: np.ndarray
    thin: int
    maps: np.ndarray
    valid_area: float
    chance_area: float


def find_regions(inputs: SlopeInputs, rules: Rules, writer: RasterWriter, progress: Reporter) -> FoundRegions:
    """Number the pieces of significant regions in each window, write the numbers, and sum over regions.

    Raises
    ------
    NoUsableData
        If no cell has a slope and a p value.
    """
    grid = inputs.grid
    finder = RegionFinder(grid.columns, rules.connectivity)
    row_areas, tables, valid_area = grid.row_areas_km2(), [], 0.0
    thin = max(1, -(-max(grid.shape) // MOST_PIXELS))
    maps = np.full((2, *(-(-side // thin) for side in grid.shape)), np.nan, np.float32)
    for done, window in enumerate(inputs.windows, start=1):
        slope, p_value = inputs.read(window)
        valid_area += float(np.isfinite(slope).sum(1) @ row_areas[window.row_slice])
        kinds = _kinds(slope, p_value, rules)
        before = finder.pieces
        pieces = finder.add(window.row, window.column, kinds)
        table = _table(inputs, window, slope, p_value, pieces, row_areas)
        tables.append(reduce_table(_from_zero(table, before), finder.pieces - before))
        writer.write(pieces.astype(np.int32), window.row, window.column)
        put_thinned(maps[:1], slope[None].astype(np.float32), window, thin)
        progress(done / len(inputs.windows), "Regions")
    if not valid_area:
        raise NoUsableData(
            f"no cell has a value in both {inputs.slope} and {inputs.p_value}", "give SLOPE and P_VALUE of one trend"
        )
    hot_spots, rank_of = _rank(tables, finder, rules)
    sides = len(rules.kinds) / 2
    return FoundRegions(hot_spots, rank_of, thin, maps, valid_area, rules.p * sides * valid_area)


def number_regions(inputs: SlopeInputs, found: FoundRegions, writer: RasterWriter, progress: Reporter) -> None:
    """Write ranks in place of the numbers of pieces."""
    for done, window in enumerate(inputs.windows, start=1):
        place = (window.row, window.column)
        ranks = found.rank_of[writer.read(*place, window.rows, window.columns)]
        writer.write(ranks, *place)
        put_thinned(found.maps[1:], (ranks > 0).astype(np.float32)[None], window, found.thin)
        progress(done / len(inputs.windows))
    found.maps[1] *= found.maps[0]


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


def _rank(tables: list[PixelTable], finder: RegionFinder, rules: Rules) -> tuple[HotSpots, np.ndarray]:
    """Sum pieces to regions, leave out small ones and rank the others."""
    region_of = finder.regions()
    count = int(region_of.max())
    whole = join_tables(tables, region_of[1:] - 1, count)
    rate = whole.sums[SLOPE] * KM3_PER_CM_KM2
    # Areas are sums of rounded numbers: a region of exactly the least area stays.
    kept = np.flatnonzero(whole.sums[AREA] >= rules.minimum_area * (1 - 1e-12))
    order = kept[np.argsort(-np.abs(rate[kept]), kind="stable")]
    ranks = np.zeros(count + 1, np.int32)
    ranks[order + 1] = np.arange(1, order.size + 1)
    sums, extra = whole.sums[:, order], whole.extra[:, order]
    hot_spots = HotSpots(
        np.sign(sums[SLOPE]).astype(int),
        sums[CELLS].astype(int),
        sums[AREA],
        sums[SLOPE] / sums[AREA],
        *extra,
        rate[order],
        sums[LOWER] * KM3_PER_CM_KM2,
        sums[UPPER] * KM3_PER_CM_KM2,
        whole.least[order],
        sums[SURE] / sums[AREA],
        sums[FAIR] / sums[AREA],
    )
    return hot_spots, ranks[region_of]

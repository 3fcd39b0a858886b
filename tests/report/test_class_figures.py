"""Figures of classes: colours of the classes, in the shares they have; dots where they were put."""

import io

import numpy as np
import pytest

from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.report.class_figures import class_map, region_bars, stippled_map, trend_class_bars
from gwsa_qgis.report.figures import TREND_COLOURS

image = pytest.importorskip("matplotlib.image")
NAMES = [f"class {number}" for number in range(1, 8)]


def share_of(png, colour):
    pixels = image.imread(io.BytesIO(png), format="png")[..., :3]
    wanted = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    return (np.abs(pixels - np.array(wanted)).max(-1) < 0.01).mean()


def test_bars_have_the_colours_and_heights_of_their_classes():
    shares = np.array([40.0, 0, 20, 0, 20, 0, 20])
    alone = trend_class_bars(NAMES, shares)
    assert share_of(alone, TREND_COLOURS[0]) == pytest.approx(2 * share_of(alone, TREND_COLOURS[6]), rel=0.1)
    assert share_of(alone, TREND_COLOURS[1]) < 1e-4
    both = trend_class_bars(NAMES, shares, plain=shares[::-1])
    assert share_of(both, TREND_COLOURS[6]) > 0.5 * share_of(both, TREND_COLOURS[0])
    assert trend_class_bars(NAMES, np.zeros(7), plain=np.zeros(7)).startswith(b"\x89PNG")


def test_regions_are_cut_into_their_shares():
    shares = np.array([60.0, 0, 0, 0, 0, 0, 40])
    png = region_bars([("13", shares), ("24", shares)], NAMES)
    assert share_of(png, TREND_COLOURS[0]) == pytest.approx(1.5 * share_of(png, TREND_COLOURS[6]), rel=0.1)
    many = region_bars([(str(number), shares) for number in range(12)], NAMES)
    assert many.startswith(b"\x89PNG") and many == region_bars([(str(n), shares) for n in range(12)], NAMES)


def test_maps_show_dots_classes_and_no_data():
    grid = Grid(70, 30, 0.5, 0.5, 40, 30, geographic_crs())
    values = np.full(grid.shape, -1.0)
    values[:, 20:] = np.nan
    bare = stippled_map(grid, values, "cm/year", np.empty(0), np.empty(0))
    dotted = stippled_map(grid, values, "cm/year", np.repeat(np.arange(71.0, 79), 8), np.tile(np.arange(17.0, 25), 8))
    assert share_of(bare, "#e8e8e8") > 0.1
    assert bare != dotted
    classes = np.zeros(grid.shape, int)
    classes[:, :20] = 7
    assert share_of(class_map(grid, classes, NAMES, TREND_COLOURS), TREND_COLOURS[6]) > 0.1
    empty = stippled_map(grid, np.full(grid.shape, np.nan), "cm", np.empty(0), np.empty(0))
    assert empty.startswith(b"\x89PNG")

"""Warping against the plain formulas of bilinear interpolation and of means over cells."""

import numpy as np
import pytest

from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.warping import Alignment, plan_alignment, source_cells, warp_array

CRS = geographic_crs()
TARGET = Grid(10.0, 60.0, 0.1, 0.1, 20, 10, CRS)


def with_holes(grid, bands, share, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(bands, *grid.shape)).astype(np.float32)
    values[rng.random(values.shape) < share] = np.nan
    return values


def bilinear(values, grid):
    """Means of the four cells round each target cell's centre that are valid, by their weights."""
    y = (grid.north - TARGET.latitudes()) / grid.dy - 0.5
    x = (TARGET.longitudes() - grid.west) / grid.dx - 0.5
    row, column = np.floor(y).astype(int), np.floor(x).astype(int)
    total, weight = 0, 0
    for down, wy in ((0, 1 - (y - row)), (1, y - row)):
        for right, wx in ((0, 1 - (x - column)), (1, x - column)):
            part = values[:, (row + down)[:, None], (column + right)[None]]
            share = wy[:, None] * wx * np.isfinite(part)
            total, weight = total + np.nan_to_num(part) * share, weight + share
    return np.where(weight > 0, total / np.where(weight > 0, weight, 1), np.nan)


@pytest.mark.parametrize("bands", [1, 2, 7])
@pytest.mark.parametrize("share", [0.0, 0.2, 0.6])
def test_bilinear(bands, share):
    grid = Grid(9.13, 60.77, 0.17, 0.17, 30, 20, CRS)
    values = with_holes(grid, bands, share)
    expected = bilinear(values.astype(float), grid)
    assert np.isnan(expected).any() == (share > 0.5)
    found = warp_array(values, grid, TARGET, "bilinear")
    assert np.allclose(found, expected, atol=1e-5, equal_nan=True)


@pytest.mark.parametrize("bands", [1, 2, 7])
def test_average(bands):
    grid = TARGET.refine(4)
    values = with_holes(grid, bands, 0.8)
    blocks = np.moveaxis(values.reshape(bands, 10, 4, 20, 4), 3, 2).reshape(bands, 10, 20, 16)
    known = np.isfinite(blocks).sum(axis=-1)
    expected = np.where(known > 0, np.nansum(blocks, axis=-1) / np.maximum(known, 1), np.nan)
    assert np.isnan(expected).any()
    assert np.allclose(warp_array(values, grid, TARGET, "average"), expected, atol=1e-5, equal_nan=True)


def test_source_cells():
    finer, cut = TARGET.refine(4), Alignment("cut", False, 1.0)
    assert source_cells(TARGET, TARGET, cut) == 200
    inside = TARGET.window(4, 8, 2, 4)
    needed = source_cells(finer, inside, plan_alignment(finer, inside))
    assert 4 * 4 * 8 <= needed <= finer.rows * finer.columns
    assert source_cells(Grid(100.0, 60.0, 0.3, 0.3, 5, 5, CRS), TARGET, Alignment("bilinear", False, 3.0)) == 0


def test_oblique_cells_are_measured_along_their_sides():
    """In the sinusoidal projection far from its meridian a region's frame is much wider than the region."""
    from osgeo import osr

    sinusoidal = osr.SpatialReference()
    sinusoidal.ImportFromProj4("+proj=sinu +R=6371007.181 +units=m")
    template = Grid(80.0, 30.0, 1 / 120, 1 / 120, 1200, 1200, CRS)
    for cell, ratio, method in ((926.625, 1.05, "bilinear"), (463.3127, 0.525, "average"), (5559.75, 6.3, "bilinear")):
        source = Grid(6.5e6, 3.5e6, cell, cell, 4000, 4000, sinusoidal.ExportToWkt())
        plan = plan_alignment(source, template)
        # a cell of 1/120 degree is 927 m by 927 m x cos(25 deg)
        assert plan.ratio == pytest.approx(ratio, rel=0.01) and plan.method == method and plan.reprojected

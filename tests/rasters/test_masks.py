"""Masks read again and again are what one reading of the file gives, held in memory or not."""

from __future__ import annotations

import numpy as np
import pytest

from gwsa_qgis.errors import GridMismatch
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.masks import mask_reader, read_mask, write_mask

GRID = Grid(80.0, 30.0, 0.01, 0.01, 77, 301, geographic_crs())


@pytest.fixture
def mask(tmp_path):
    used = np.random.default_rng(0).random(GRID.shape) < 0.6
    write_mask(tmp_path / "mask.tif", GRID, used)
    return tmp_path / "mask.tif", used


@pytest.mark.parametrize("memory_mb", [512, 0.01])
def test_windows_are_those_of_the_file(mask, memory_mb):
    path, used = mask
    cut = mask_reader(path, GRID, memory_mb)
    for rows, columns in [((0, 301), (0, 77)), ((3, 9), (5, 6)), ((250, 301), (69, 77)), ((10, 20), (8, 16))]:
        part = slice(*rows), slice(*columns)
        found = cut(*part)
        assert found.dtype == bool
        np.testing.assert_array_equal(found, used[part])
        np.testing.assert_array_equal(found, read_mask(path, GRID, *part))


@pytest.mark.parametrize("memory_mb", [512, 0.01])
def test_another_grid_is_refused_at_once(mask, memory_mb):
    other = Grid(80.0, 30.0, 0.01, 0.01, 76, 301, geographic_crs())
    with pytest.raises(GridMismatch, match="the mask"):
        mask_reader(mask[0], other, memory_mb)

import numpy as np
import pytest

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.windows import Window, plan_windows
from gwsa_qgis.steps.stipples import Stipples

GRID = Grid(10.0, 50.0, 0.5, 0.5, 40, 20, geographic_crs())


def put(places, slope, significant, memory_mb=1.0):
    for window in plan_windows(GRID, 1e4, memory_mb=memory_mb):
        places.add(window, slope[window.slices], significant[window.slices])
    return places.dots()


def test_dots_stand_on_a_regular_lattice_where_most_cells_are_significant():
    slope = np.full(GRID.shape, -2.0, np.float32)
    significant = np.zeros(GRID.shape, bool)
    significant[:, :20] = True
    significant[::2, 20:] = True  # exactly half is not most
    dots = put(Stipples(GRID, 4), slope, significant)
    assert dots.x.size == 5 * 5
    assert sorted(set(dots.x)) == pytest.approx([11, 13, 15, 17, 19])
    assert sorted(set(dots.y)) == pytest.approx([41, 43, 45, 47, 49])
    assert (dots.slope == -2).all() and (dots.share == 100).all() and (dots.cells == 16).all()


def test_slope_and_share_are_of_the_square_and_windows_change_nothing():
    random = np.random.default_rng(1)
    slope = random.normal(size=GRID.shape).astype(np.float32)
    slope[random.random(GRID.shape) < 0.2] = np.nan
    significant = (random.random(GRID.shape) < 0.7) & np.isfinite(slope)
    dots, others = (put(Stipples(GRID, 6), slope, significant, memory) for memory in (0.01, 100))
    for name in ("x", "y", "slope", "share", "cells"):
        np.testing.assert_allclose(getattr(dots, name), getattr(others, name), rtol=1e-12)
    square = (slice(6, 12), slice(12, 18))
    valid, marked = np.isfinite(slope[square]), significant[square]
    rows, columns = np.nonzero(valid)
    place = (10 + 0.5 * (12 + columns + 0.5).mean(), 50 - 0.5 * (6 + rows + 0.5).mean())
    found = np.hypot(dots.x - place[0], dots.y - place[1]).argmin()
    assert (dots.x[found], dots.y[found]) == pytest.approx(place)
    assert dots.share[found] == pytest.approx(100 * marked.sum() / valid.sum())
    assert dots.slope[found] == pytest.approx(slope[square][marked].mean())


def test_on_a_coast_dots_stay_on_land():
    slope = np.full(GRID.shape, np.nan, np.float32)
    slope[:, :5] = 1.0  # the second column of squares has one column of cells
    dots = put(Stipples(GRID, 4), slope, np.isfinite(slope))
    assert sorted(set(dots.x)) == pytest.approx([11.0, 12.25])


def test_spacing_by_itself_gives_about_a_hundred_along_the_longer_side():
    assert Stipples(Grid(0, 0, 1, 1, 3000, 900)).spacing == 30
    assert Stipples(GRID).spacing == 1


def test_a_map_without_significant_cells_has_no_dot():
    slope = np.ones(GRID.shape, np.float32)
    assert put(Stipples(GRID, 4), slope, np.zeros(GRID.shape, bool)).x.size == 0


def test_lattices_that_no_map_can_show_are_refused():
    with pytest.raises(InvalidParameter, match=r"dots every 1 cells would be 933120000.*at least 31"):
        Stipples(Grid(-180, 90, 1 / 120, 1 / 120, 43200, 21600), 1)
    with pytest.raises(InvalidParameter, match="spacing of the dots is -1"):
        Stipples(GRID, -1)


def test_windows_of_one_row_are_taken(tmp_path):
    places = Stipples(GRID, 4)
    for row in range(GRID.rows):
        places.add(Window(row, 0, 1, 40), np.ones((1, 40), np.float32), np.ones((1, 40), bool))
    assert places.dots().x.size == 50

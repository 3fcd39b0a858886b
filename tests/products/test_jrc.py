"""JRC yearly classes: union of years, tiles side by side and overlapping, holes, other layers, files without tags."""

import numpy as np
import pytest

from gwsa_qgis.errors import GridMismatch, UnreadableInput
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.raster import Raster, write_single
from gwsa_qgis.steps.watermask import watermask

CELL = 0.01
PIXEL = CELL / 4


@pytest.fixture
def template(tmp_path):
    grid = Grid(10.0, 50.0, CELL, CELL, 8, 4, geographic_crs())
    return write_single(tmp_path / "template.tif", grid, np.ones(grid.shape, np.float32))


def tile(write_tif, year, column, classes, row=0, **options):
    name = f"yearlyClassification{year}-{row:010d}-{column:010d}.tif"
    corner = (10.0 + column * PIXEL, 50.0 - row * PIXEL)
    return write_tif(name, np.asarray(classes, np.uint8), corner, PIXEL, **options)


def run(files, template, output, **options):
    messages = []
    result = watermask(files, template, output, progress=lambda f, m: messages.append(m), **options)
    with Raster(output) as raster:
        return result, np.isfinite(raster.read()[0]), [m for m in messages if m.startswith("Warning")]


def test_neighbours_and_years_by_a_plain_loop(write_tif, template, tmp_path):
    rng = np.random.default_rng(9)
    whole = {year: rng.choice([0, 1, 2, 3], (16, 32), p=[0.3, 0.3, 0.1, 0.3]).astype(np.uint8) for year in (2001, 2002)}
    files = [
        tile(write_tif, year, column, classes[:, column : column + 16])
        for year, classes in whole.items()
        for column in (0, 16)
    ]
    result, used, warnings = run(files, template, tmp_path / "m.tif", threshold=0.7)
    expected = np.zeros((4, 8), bool)
    for row in range(4):
        for column in range(8):
            block = [classes[4 * row : 4 * row + 4, 4 * column : 4 * column + 4] for classes in whole.values()]
            water = sum((block[0][i, j] == 3) or (block[1][i, j] == 3) for i in range(4) for j in range(4))
            known = sum((block[0][i, j] > 0) or (block[1][i, j] > 0) for i in range(4) for j in range(4))
            expected[row, column] = known >= 8 and water < 0.7 * known
    assert np.array_equal(used, expected) and 0 < expected.sum() < 32
    assert result.years == (2001, 2002) and result.hole_share == 0


def test_tiles_of_other_extents_that_overlap_are_united_by_pixel(write_tif, template, tmp_path):
    first, second = np.ones((16, 32), np.uint8), np.ones((16, 20), np.uint8)
    first[:4, :2] = 3  # cell (0, 0): half
    second[:4, 2:4] = 3  # and its other half in another year, from a smaller tile
    files = [tile(write_tif, 2001, 0, first), tile(write_tif, 2002, 0, second)]
    result, used, _ = run(files, template, tmp_path / "m.tif", threshold=0.9)
    assert not used[0, 0] and result.water_share == 1 / 32


def test_a_hole_between_tiles_and_the_outside_are_not_land(write_tif, template, tmp_path):
    land = np.ones((16, 8), np.uint8)
    files = [tile(write_tif, 2001, column, land) for column in (0, 16)]  # columns 2, 3 between, 6, 7 beyond
    result, used, warnings = run(files, template, tmp_path / "m.tif")
    assert used.tolist() == [[True, True, False, False, True, True, False, False]] * 4
    assert (result.unknown_share, result.hole_share) == (0.5, 0.25)
    assert any("8 of these cells lie between the tiles" in m for m in warnings)


def test_years_that_a_place_lacks_or_has_twice(write_tif, template, tmp_path):
    land = np.ones((16, 16), np.uint8)
    files = [tile(write_tif, 2001, 0, land), tile(write_tif, 2002, 0, land), tile(write_tif, 2001, 16, land)]
    _, _, warnings = run(files, template, tmp_path / "m.tif")
    assert len(warnings) == 1 and "has no tile of 2002" in warnings[0]
    _, _, warnings = run([*files, files[0]], template, tmp_path / "m.tif")
    assert any("2001 is there twice" in m for m in warnings)


@pytest.mark.parametrize("nodata", [None, 0, 255])
def test_with_and_without_a_nodata_tag(write_tif, template, tmp_path, nodata):
    classes = np.ones((16, 32), np.uint8)
    classes[:, :4], classes[:, 4:8], classes[:, 8:12] = 0, 255, 3
    _, used, _ = run([tile(write_tif, 2001, 0, classes, nodata=nodata)], template, tmp_path / "m.tif")
    assert used.tolist() == [[False] * 3 + [True] * 5] * 4


def test_other_layers_and_damage_are_refused(write_tif, template, tmp_path):
    occurrence = np.full((16, 32), 57, np.uint8)
    named = write_tif("occurrence_60W_10Nv1_4_2021.tif", occurrence, (10.0, 50.0), PIXEL)
    unnamed = write_tif("water_2001.tif", occurrence, (10.0, 50.0), PIXEL)
    resampled = write_tif("classes_2001.tif", np.full((16, 32), 1.5, np.float32), (10.0, 50.0), PIXEL)
    whole = tile(write_tif, 2005, 0, np.random.default_rng(1).integers(0, 4, (16, 32))).read_bytes()
    cut = tmp_path / "yearlyClassification2005-0000000000-0000000000.tif"
    cut.write_bytes(whole[:-300])
    for path, words in (
        (named, "the occurrence layer by its name"),
        (unnamed, "holds the value 57, which is no yearly class"),
        (resampled, "holds the value 1.5"),
        (cut, "yearlyClassification2005"),
    ):
        with pytest.raises(UnreadableInput, match=words):
            watermask([path], template, tmp_path / "m.tif")
    with pytest.raises(GridMismatch, match="another coordinate reference system"):
        watermask([tile(write_tif, 2001, 0, np.ones((4, 4)), epsg=32633)], template, tmp_path / "m.tif")
    assert not (tmp_path / "m.tif").exists()


def test_without_a_crs_is_told(write_tif, template, tmp_path):
    path = tile(write_tif, 2001, 0, np.ones((16, 32)), epsg=None)
    result, used, warnings = run([path], template, tmp_path / "m.tif")
    assert used.all() and any("no coordinate reference system" in m for m in warnings)


def test_windows_do_not_change_the_mask(write_tif, template, tmp_path):
    classes = np.random.default_rng(3).integers(0, 4, (16, 32)).astype(np.uint8)
    files = [tile(write_tif, 2001, 0, classes[:, :20]), tile(write_tif, 2001, 20, classes[:, 20:])]
    _, whole, _ = run(files, template, tmp_path / "a.tif")
    for workers in (1, 2):
        _, parts, _ = run(files, template, tmp_path / "b.tif", memory_mb=0.004, workers=workers)
        assert np.array_equal(whole, parts)

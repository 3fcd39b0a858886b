"""Scratch arrays: parts are those of an array in memory."""

import numpy as np
import pytest

from gwsa_qgis.errors import UnreadableInput
from gwsa_qgis.rasters.scratch import ScratchArray, ScratchTiles
from gwsa_qgis.rasters.windows import Window

PARTS = [
    (2,),
    (slice(1, 3),),
    (slice(None), slice(2, 5), slice(3, 7)),
    (slice(0, 4, 2), slice(1, 4)),
    (slice(-1, None), slice(0, 2), slice(0, 9)),
    (3, slice(0, 6), slice(8, 9)),
]


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.bool_])
@pytest.mark.parametrize("part", PARTS)
def test_parts_are_those_of_an_array(tmp_path, part, dtype):
    random = np.random.default_rng(3)
    array = (random.normal(size=(4, 6, 9)) * 3).astype(dtype)
    scratch = ScratchArray(tmp_path / "a.raw", array.shape, dtype)
    assert not scratch[:].any()
    scratch[:] = array
    np.testing.assert_array_equal(scratch[part], array[part])
    array[part] = 1
    scratch[part] = 1
    np.testing.assert_array_equal(scratch[:], array)


def test_two_axes_and_another_look_at_the_same_file(tmp_path):
    array = np.arange(35.0).reshape(5, 7)
    ScratchArray(tmp_path / "b.raw", (5, 7))[slice(1, 4), slice(2, 6)] = array[1:4, 2:6]
    again = ScratchArray(tmp_path / "b.raw", (5, 7))
    np.testing.assert_array_equal(again[1:4, 2:6], array[1:4, 2:6])
    assert again[0:1].sum() == 0


def test_a_file_that_was_cut_is_told(tmp_path):
    scratch = ScratchArray(tmp_path / "c.raw", (2, 3, 4))
    (tmp_path / "c.raw").write_bytes(b"12345")
    with pytest.raises(UnreadableInput, match="cut short"):
        scratch[1]


@pytest.mark.parametrize("side", [4, 6, 64])
def test_tiles_give_what_was_written_in_whatever_windows(tmp_path, side):
    array = np.random.default_rng(side).normal(size=(3, 17, 22)).astype(np.float32)
    tiles = ScratchTiles(tmp_path / "t.raw", array.shape, side)
    assert (tiles.read(Window(0, 0, 17, 22)) == 0).all()
    for row in range(0, 17, 5):  # windows that cut the tiles
        for column in range(0, 22, 8):
            window = Window(row, column, min(5, 17 - row), min(8, 22 - column))
            tiles.write(window, array[:, row : row + 5, column : column + 8])
    again = ScratchTiles(tmp_path / "t.raw", array.shape, side)
    for window in (Window(0, 0, 17, 22), Window(4, 8, 4, 4), Window(12, 18, 5, 4), Window(3, 5, 11, 9)):
        np.testing.assert_array_equal(again.read(window), array[(slice(None), *window.slices)])
    assert (tmp_path / "t.raw").stat().st_size == array.nbytes


def test_tiles_of_a_file_that_was_cut_short(tmp_path):
    tiles = ScratchTiles(tmp_path / "t.raw", (2, 8, 8), 4)
    with (tmp_path / "t.raw").open("r+b") as file:
        file.truncate(300)
    with pytest.raises(UnreadableInput, match="cut short"):
        tiles.read(Window(4, 4, 4, 4))

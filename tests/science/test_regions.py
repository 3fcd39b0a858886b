"""Connected regions found window by window, against scipy's labelling of the whole map."""

import numpy as np
import pytest
from scipy import ndimage

from gwsa_qgis.science.regions import PixelTable, RegionFinder, reduce_table


def found_by_windows(kinds, connectivity, height, width):
    """Region of each cell, and windows with their pieces."""
    rows, columns = kinds.shape
    finder, parts = RegionFinder(columns, connectivity), []
    for row in range(0, rows, height):
        for column in range(0, columns, width):
            place = np.s_[row : row + height, column : column + width]
            parts.append((place, finder.add(row, column, kinds[place])))
    first = np.arange(finder.pieces + 1)
    joined, firsts = finder.joined()
    first[joined] = firsts
    assert (first <= np.arange(first.size)).all() and (np.diff(joined) > 0).all()
    region_of = np.unique(first, return_inverse=True)[1]
    regions = np.zeros(kinds.shape, int)
    for place, pieces in parts:
        regions[place] = region_of[pieces]
    return regions, region_of, parts


def labelled(kinds, connectivity):
    """As scipy labels the whole map, kind by kind."""
    structure = ndimage.generate_binary_structure(2, 2 if connectivity == 8 else 1)
    labels, count = np.zeros(kinds.shape, int), 0
    for kind in np.unique(kinds[kinds != 0]):
        own, more = ndimage.label(kinds == kind, structure)
        labels[own > 0] = own[own > 0] + count
        count += more
    return labels, count


def same_partition(first, second) -> bool:
    """Whether two labellings differ by names alone."""
    pairs = np.unique(np.stack([first.ravel(), second.ravel()]), axis=1)
    return all(np.unique(side).size == side.size for side in pairs) and ((first > 0) == (second > 0)).all()


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("size", [(37, 41), (8, 8), (5, 13), (1, 1), (7, 41), (37, 3)])
@pytest.mark.parametrize("density", [0.2, 0.45, 0.8])
def test_regions_do_not_depend_on_windows(connectivity, size, density):
    random = np.random.default_rng(int(100 * density) + connectivity)
    kinds = random.choice([-1, 0, 1], (37, 41), p=[density / 2, 1 - density, density / 2])
    regions, _, _ = found_by_windows(kinds, connectivity, *size)
    expected, count = labelled(kinds, connectivity)
    assert regions.max() == count
    assert same_partition(regions, expected)


def test_a_spiral_over_many_windows_is_one_region():
    kinds = np.zeros((40, 40), int)
    row, column, turn = 20, 20, 0
    for length in range(2, 38, 2):
        for _ in range(2):
            for _ in range(length):
                kinds[row, column] = 1
                row, column = row + (0, 1, 0, -1)[turn], column + (1, 0, -1, 0)[turn]
                if not (0 <= row < 40 and 0 <= column < 40):
                    break
            else:
                turn = (turn + 1) % 4
                continue
            break
    assert labelled(kinds, 4)[1] == 1
    assert found_by_windows(kinds, 4, 3, 4)[0].max() == 1


def test_no_cell_is_no_region():
    regions, region_of, _ = found_by_windows(np.zeros((5, 6), int), 8, 2, 2)
    assert not regions.any() and region_of.tolist() == [0]


def test_sums_over_regions_are_those_of_loops():
    random = np.random.default_rng(5)
    kinds = random.choice([-1, 0, 1], (30, 34), p=[0.25, 0.5, 0.25])
    area, size, p = (
        random.uniform(1, 2, kinds.shape),
        random.uniform(0, 1, kinds.shape),
        random.uniform(0, 1, kinds.shape),
    )
    regions, region_of, parts = found_by_windows(kinds, 8, 7, 9)
    tables, before = [], 0
    for place, pieces in parts:
        inside, last = pieces > 0, int(max(pieces.max(), before))
        flat = [values[place][inside] for values in (area, size, p)]
        table = PixelTable(pieces[inside] - before - 1, flat[0][None], flat[1], flat[1][None] * 3, flat[2])
        tables.append(reduce_table(table, last - before))
        before = last
    columns = [np.concatenate([getattr(t, name) for t in tables], -1) for name in ("sums", "size", "extra", "least")]
    whole = reduce_table(PixelTable(region_of[1:] - 1, *columns), regions.max())
    for number in range(1, regions.max() + 1):
        own = regions == number
        assert whole.sums[0, number - 1] == pytest.approx(area[own].sum(), rel=1e-12)
        assert whole.size[number - 1] == size[own].max() and whole.extra[0, number - 1] == 3 * size[own].max()
        assert whole.least[number - 1] == p[own].min()

import numpy as np
import pytest

from gwsa_qgis.science.streamed_medians import streamed_medians


def in_parts(groups, values, size):
    return lambda: ((groups[k : k + size], values[:, k : k + size]) for k in range(0, groups.size, size))


def test_known_medians():
    values = np.float32([[3, 1, 2, np.nan, 8, 4], [0, -5, 7, 7, -1, -2]])
    groups = np.array([0, 0, 0, 0, 2, 2])
    found = streamed_medians(in_parts(groups, values, 4), 3, 2)
    np.testing.assert_array_equal(found, np.float32([[2, 3.5], [np.nan, np.nan], [6, -1.5]]))
    assert found.dtype == np.float32


@pytest.mark.parametrize("size", [1, 2, 999, 1000])
@pytest.mark.parametrize("scale", [1e-38, 1.0, 1e30])
def test_medians_are_those_of_numpy_to_the_bit(size, scale):
    random = np.random.default_rng(size)
    values = (scale * random.lognormal(0, 3, (3, 1000)) * random.choice([-1, 1], (3, 1000))).astype(np.float32)
    values[1] = np.float32(random.integers(0, 4, 1000))  # ties
    values[2, random.random(1000) < 0.3] = np.nan
    groups = random.integers(0, 5, 1000)
    found = streamed_medians(in_parts(groups, values, size), 5, 3)
    wanted = np.stack([np.nanmedian(values[:, groups == k], axis=1) for k in range(5)])
    np.testing.assert_array_equal(found, wanted)

"""Inverse distance weighting and block means against loops over cells."""

import numpy as np
import pytest

from gwsa_qgis.science import idw
from gwsa_qgis.science.aggregation import block_means
from gwsa_qgis.science.idw import fill_holes


def filled_by_loop(values, wanted, reach, scale):
    result = values.astype(float)
    rows, columns = values.shape[1:]
    for layer in range(len(values)):
        for r, c in zip(*np.nonzero(np.isnan(values[layer]) & wanted), strict=True):
            total = weight = 0.0
            for i in range(max(r - reach, 0), min(r + reach + 1, rows)):
                for j in range(max(c - reach, 0), min(c + reach + 1, columns)):
                    squared = (i - r) ** 2 + ((j - c) * scale[r]) ** 2
                    if np.isfinite(values[layer, i, j]) and squared <= reach**2:
                        total, weight = total + values[layer, i, j] / squared, weight + 1 / squared
            if weight:
                result[layer, r, c] = total / weight
    return result


@pytest.mark.parametrize("few", [True, False])
@pytest.mark.parametrize("alike", [True, False])
def test_filling(monkeypatch, few, alike):
    """With scattered and large holes, the same or others in each layer, looked up at once or in parts."""
    if not few:
        monkeypatch.setattr(idw, "MANY_HOLES", 3)
        monkeypatch.setattr(idw, "DONORS_AT_ONCE", 200)
    rng = np.random.default_rng(1)
    values = rng.normal(size=(3, 24, 31)).astype(np.float32)
    holes = rng.random(values.shape) < 0.1
    holes[0, 5:17, 8:22] = True
    values[np.broadcast_to(holes[0], holes.shape) if alike else holes] = np.nan
    wanted = rng.random(values.shape[1:]) < 0.9
    scale = np.linspace(0.4, 0.9, 24)
    before = values.copy()
    found, filled, left = fill_holes(values, wanted, 4, scale)
    expected = filled_by_loop(values, wanted, 4, scale)
    assert np.allclose(found, expected, rtol=1e-5, equal_nan=True)
    assert np.array_equal(values, before, equal_nan=True)
    n_left = int((np.isnan(expected) & wanted).sum())
    assert (filled, left) == (int((np.isnan(before) & wanted).sum()) - n_left, n_left) and left > 0
    assert found.dtype == np.float32


def test_filling_does_not_depend_on_the_window():
    rng = np.random.default_rng(2)
    values = rng.normal(size=(2, 60, 70)).astype(np.float32)
    values[rng.random(values.shape) < 0.2] = np.nan
    whole, _, _ = fill_holes(values, np.ones((60, 70), bool), 5, np.linspace(0.5, 0.9, 60))
    for top, left in ((0, 0), (11, 7), (30, 41)):
        part = values[:, top : top + 30, left : left + 29]
        found, _, _ = fill_holes(part, np.ones((30, 29), bool), 5, np.linspace(0.5, 0.9, 60)[top : top + 30])
        inner = (slice(None), slice(5, 25), slice(5, 24))
        assert np.array_equal(found[inner], whole[:, top + 5 : top + 25, left + 5 : left + 24])


def test_nothing_to_fill_copies_nothing():
    values = np.ones((2, 5, 5), np.float32)
    values[:, 0, 0] = np.nan
    wanted = np.ones((5, 5), bool)
    wanted[0, 0] = False
    assert fill_holes(values, wanted, 3)[0] is values and fill_holes(values, wanted, 3)[1:] == (0, 0)
    assert fill_holes(np.full((1, 4, 4), np.nan), np.ones((4, 4), bool), 3)[1:] == (0, 16)


def means_by_loop(values, factor, weights):
    layers, rows, columns = values.shape
    result = np.full((layers, rows // factor, columns // factor), np.nan)
    for layer, block, across in np.ndindex(*result.shape):
        down, right = slice(block * factor, (block + 1) * factor), slice(across * factor, (across + 1) * factor)
        part, weight = values[layer, down, right].astype(float), np.repeat(weights[down, None], factor, axis=1)
        known = np.isfinite(part)
        if known.any():
            result[layer, block, across] = np.average(part[known], weights=weight[known])
    return result


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_block_means(share, dtype):
    """Also where valid cells change from layer to layer, and come back."""
    rng = np.random.default_rng(3)
    values = rng.normal(size=(4, 12, 15)).astype(dtype)
    values[:, rng.random((12, 15)) < share] = np.nan
    values[1, rng.random((12, 15)) < share] = np.inf
    weights = np.linspace(0.2, 1, 12)
    expected = means_by_loop(values, 3, weights)
    assert np.isnan(expected).any() == (share > 0.5)
    found = block_means(values, 3, weights)
    assert np.allclose(found, expected, rtol=1e-6, equal_nan=True) and found.dtype == float
    assert np.array_equal(block_means(values[2], 3, weights), found[2], equal_nan=True)
    part = block_means(values[:, 3:9, 6:12], 3, weights[3:9])
    assert np.array_equal(part, found[:, 1:3, 2:4], equal_nan=True)

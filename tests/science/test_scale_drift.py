"""The slope of detail is followed from scale to scale, and nothing is believed that the scales do not bear out."""

from __future__ import annotations

import numpy as np
import pytest

from gwsa_qgis.science.cross_validation import detail_weights
from gwsa_qgis.science.scale_drift import DRIFT_SPREAD, OCTAVES_TO_FINE, scale_drift

OCTAVES = (1.0, 1.5, 2.0)
N, BLOCKS = 6000, 60


def several_scales(slopes, noise=0.2, seed=0):
    """Actual and predicted deviations whose slope is known at each scale."""
    random = np.random.default_rng(seed)
    blocks = np.tile(np.repeat(np.arange(BLOCKS), N // BLOCKS), len(slopes))
    scale = np.repeat(np.arange(len(slopes)), N)
    detail = random.normal(size=scale.size)
    actual = np.asarray(slopes)[scale] * detail + noise * random.normal(size=scale.size)
    return actual, detail, blocks, scale


def test_slopes_of_each_scale_are_those_of_least_squares():
    data = several_scales((0.6, 0.8, 1.0))
    found = scale_drift(*data, OCTAVES)
    for number, slope in enumerate(found.slopes):
        own = data[3] == number
        assert slope == pytest.approx(np.linalg.lstsq(data[1][own, None], data[0][own], rcond=None)[0][0], rel=1e-12)


def test_numbers_of_scales_of_one_byte_hold_many_blocks():
    actual, detail, blocks, scale = several_scales((0.6, 0.8, 1.0))
    blocks = 2 * blocks + np.arange(blocks.size) % 2
    small = scale_drift(actual, detail, blocks, scale.astype(np.int8), OCTAVES)
    assert small == scale_drift(actual, detail, blocks, scale, OCTAVES)
    assert small.slopes[2] > 0.9


def test_a_slope_that_falls_is_followed_down():
    found = scale_drift(*several_scales((0.6, 0.8, 1.0)), OCTAVES)
    assert found.change == pytest.approx(-0.4 * OCTAVES_TO_FINE, abs=0.03)
    assert found.error < 0.1 * DRIFT_SPREAD


def test_slopes_that_stay_change_nothing():
    found = scale_drift(*several_scales((0.9, 0.9, 0.9)), OCTAVES)
    assert abs(found.change) < 0.03


def test_noisy_scales_are_shrunk_and_doubtful():
    few = [part[::40] for part in several_scales((0.2, 0.6, 1.0), noise=6.0)]
    sure, doubtful = scale_drift(*several_scales((0.2, 0.6, 1.0)), OCTAVES), scale_drift(*few, OCTAVES)
    assert doubtful.error > 5 * sure.error
    assert abs(doubtful.change) < abs(sure.change)


def test_one_scale_tells_nothing_of_others():
    found = scale_drift(*several_scales((1.0,)), (1.0,))
    assert (found.change, found.error) == (0.0, OCTAVES_TO_FINE * DRIFT_SPREAD)


def test_the_error_is_that_of_repetitions():
    """The jackknife's error of the drift, before it is shrunk, against the spread over independent data."""
    changes = [scale_drift(*several_scales((0.9, 0.9, 0.9), noise=3.0, seed=seed), OCTAVES) for seed in range(200)]
    kept = np.array([1 - (one.error / (OCTAVES_TO_FINE * DRIFT_SPREAD)) ** 2 for one in changes])
    raw = np.array([one.change for one in changes]) / kept / OCTAVES_TO_FINE
    told = np.sqrt(np.mean(DRIFT_SPREAD**2 * (1 - kept) / kept))
    assert raw.std() == pytest.approx(told, rel=0.15)


def weights_of(slopes, octaves, noise=0.2):
    actual, detail, blocks, scale = several_scales(slopes, noise)
    return detail_weights(actual, detail[:, None], blocks * 0, blocks, scale, octaves)


def test_detail_that_fades_towards_the_fine_scale_gets_no_weight():
    assert weights_of((0.4, 0.8, 1.2), OCTAVES).pooled == 0
    assert weights_of((0.9, 0.9, 0.9), OCTAVES).pooled > 0.85


def test_one_scale_is_believed_less_than_three_that_agree():
    one, three = weights_of((0.9,), (1.0,)), weights_of((0.9, 0.9, 0.9), OCTAVES)
    assert 0 < one.pooled < 0.5 * three.pooled
    assert one.drift.error > three.drift.error


def test_without_scales_weights_are_those_of_the_samples_alone():
    actual, detail, blocks, _ = several_scales((0.9,))
    found = detail_weights(actual, detail[:, None], blocks * 0, blocks)
    assert found.drift.change == 0 and found.drift.error == 0

"""Intervals at wells against a bootstrap that scores every draw anew, and against what repetitions do."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import linregress
from sklearn.metrics import mean_squared_error, r2_score

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.science.fitted_yield import fitted_yields
from gwsa_qgis.science.well_bootstrap import agreement_intervals, degree_squares, mean_interval

BLOCKS = 12


def wells_in_blocks(seed=0, n=240, shared=1.0):
    """Trends of wells and map, with errors that neighbours share."""
    random = np.random.default_rng(seed)
    blocks = np.repeat(np.arange(BLOCKS), n // BLOCKS)
    well = random.normal(size=n)
    return well, 0.6 * well + 0.5 * random.normal(size=n) + shared * random.normal(size=BLOCKS)[blocks], blocks


def test_intervals_are_those_of_scoring_every_draw_anew():
    well, found, blocks = wells_in_blocks()
    well[3], found[50] = np.nan, np.nan
    result = agreement_intervals(well, found, blocks, draws=300, seed=7)
    members = [np.flatnonzero((blocks == name) & np.isfinite(well + found)) for name in range(BLOCKS)]
    scores = []
    for drawn in np.random.default_rng(7).integers(0, BLOCKS, (300, BLOCKS)):
        rows = np.concatenate([members[name] for name in drawn])
        w, m = well[rows], found[rows]
        line = linregress(w, m)
        same = np.mean(np.sign(w) == np.sign(m))
        scores.append((r2_score(w, m), line.rvalue, line.slope, np.mean(m - w), mean_squared_error(w, m) ** 0.5, same))
    expected = np.quantile(scores, (0.025, 0.975), axis=0).T
    ours = (result.r2, result.r, result.slope, result.bias, result.rmse, result.sign)
    np.testing.assert_allclose(ours, expected, rtol=1e-9)
    assert result.blocks == BLOCKS


def test_series_are_drawn_with_their_well():
    random = np.random.default_rng(1)
    well, found = random.normal(size=(2, 60, 30)).cumsum(axis=2)
    blocks = np.arange(60) // 5
    whole = agreement_intervals(well, found, blocks, draws=200)
    flat = agreement_intervals(well.ravel(), found.ravel(), np.repeat(blocks, 30), draws=200)
    np.testing.assert_allclose(whole.rmse, flat.rmse, rtol=1e-12)


def test_blocks_that_share_errors_make_wider_intervals():
    well, found, blocks = wells_in_blocks(seed=3)
    by_block = agreement_intervals(well, found, blocks).bias
    single = agreement_intervals(well, found, np.arange(well.size)).bias
    assert np.ptp(by_block) > 2 * np.ptp(single)


def test_a_bias_of_nothing_lies_in_most_intervals():
    inside = 0
    for seed in range(200):
        well, found, blocks = wells_in_blocks(seed)
        low, high = agreement_intervals(well, found + 0.4 * well, blocks, draws=400, seed=seed).bias
        inside += low <= 0 <= high
    assert 0.85 < inside / 200 < 0.98  # few blocks make percentile intervals a little too narrow


def test_few_blocks_tell_nothing():
    well, found, blocks = wells_in_blocks()
    assert np.isnan(agreement_intervals(well, found, blocks % 4).r2).all()
    assert np.isnan(mean_interval(well, blocks % 4)).all()


def test_interval_of_a_mean_is_that_of_its_draws():
    values, _, blocks = wells_in_blocks()
    values[::7] = np.nan
    draws = np.random.default_rng(0).integers(0, BLOCKS, (1000, BLOCKS))
    means = [np.nanmean(np.concatenate([values[blocks == name] for name in drawn])) for drawn in draws]
    np.testing.assert_allclose(mean_interval(values, blocks), np.quantile(means, (0.025, 0.975)), rtol=1e-12)


def test_squares_of_degrees():
    squares = degree_squares(np.array([0.1, 1.9, 2.1, 0.1]), np.array([0.5, 0.5, 0.5, 2.5]), 2)
    assert squares[0] == squares[1] and len(set(squares)) == 3
    with pytest.raises(InvalidParameter, match="0 degrees"):
        degree_squares(np.zeros(2), np.zeros(2), 0)


def test_the_yield_that_was_put_in_is_found():
    random = np.random.default_rng(5)
    levels = random.normal(size=(80, 60)).cumsum(axis=1)
    groups = ["north"] * 40 + ["south"] * 40
    true = np.repeat([0.08, 0.2], 40)
    storage = true[:, None] * levels + 0.05 * random.normal(size=levels.shape)
    levels[5, 10], storage[60, 3] = np.nan, np.nan
    found = fitted_yields(levels, storage, groups, np.arange(80) // 4)
    for name, value in (("north", 0.08), ("south", 0.2)):
        assert found[name].value == pytest.approx(value, rel=0.02)
        assert found[name].low < found[name].value < found[name].high
        assert found[name].wells == 40
    own = np.isfinite(levels[:40]) & np.isfinite(storage[:40])
    line = np.linalg.lstsq(levels[:40][own][:, None], storage[:40][own], rcond=None)[0][0]
    assert found["north"].value == pytest.approx(line, rel=1e-12)

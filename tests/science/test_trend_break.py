"""Breaks in trend: slopes of both parts, a test that is honest on correlated series, and classes."""

import numpy as np
import pytest

from gwsa_qgis.errors import InvalidParameter, NoUsableData
from gwsa_qgis.science.trend import deseasonalise, theil_sen
from gwsa_qgis.science.trend_break import CHANGE_NAMES, change_classes, check_parts, trend_break

MONTHS, BREAK = 225, 112


def seasonal(n_months, size=4.0):
    return size * np.cos(2 * np.pi * np.arange(n_months) / 12)


def bend(size, n_months=MONTHS, position=BREAK):
    return size * np.maximum(np.arange(n_months) - position, 0)


def test_slopes_are_those_of_theil_and_sen_in_both_parts(red_noise):
    series = red_noise(0.6, 20, MONTHS, 0) + seasonal(MONTHS)
    series[4, 30:50] = np.nan
    found = trend_break(series, BREAK)
    adjusted = deseasonalise(series)
    np.testing.assert_allclose(found.before, theil_sen(adjusted[:, :BREAK]).slope, rtol=1e-12)
    np.testing.assert_allclose(found.after, theil_sen(adjusted[:, BREAK:]).slope, rtol=1e-12)
    np.testing.assert_array_equal(found.change, found.after - found.before)
    raw = trend_break(series, BREAK, without_season=False)
    np.testing.assert_allclose(raw.before, theil_sen(series[:, :BREAK]).slope, rtol=1e-12)


@pytest.mark.parametrize("position", [BREAK, 60, 189])
@pytest.mark.parametrize("phi", [0.0, 0.5, 0.8, 0.9])
def test_series_without_a_change_are_called_changed_as_often_as_promised(red_noise, phi, position):
    trendless = red_noise(phi, 1200, MONTHS, 1) + seasonal(MONTHS)
    constant = trendless - 0.05 * np.arange(MONTHS)
    found = trend_break(trendless, position)
    for p_values in (found.p_change, trend_break(constant, position).p_change, found.p_before, found.p_after):
        assert 0.015 < (p_values < 0.05).mean() < 0.07
        assert (p_values < 0.01).mean() < 0.022


def test_gaps_that_all_series_have_are_allowed_for(red_noise):
    present = np.ones(MONTHS, bool)
    present[[2, 3, 14, 105, 110, 121, 126, 131, 136, 137, *range(183, 194)]] = False
    for phi in (0.0, 0.5, 0.9):
        series = red_noise(phi, 1200, MONTHS, 2) + seasonal(MONTHS)
        series[:, ~present] = np.nan
        assert 0.01 < (trend_break(series, BREAK, present=present).p_change < 0.05).mean() < 0.07
        scattered = np.where(np.random.default_rng(3).random(series.shape) < 0.15, np.nan, series)
        assert 0.01 < (trend_break(scattered, BREAK, present=present).p_change < 0.05).mean() < 0.085


def test_a_part_that_is_half_missing_is_not_taken_for_a_long_one(red_noise):
    series = red_noise(0.3, 1200, MONTHS, 4)
    series[:, 40:BREAK] = np.nan
    found = trend_break(series, BREAK, without_season=False)
    assert 0.002 < (found.p_change < 0.05).mean() < 0.07 and 0.002 < (found.p_before < 0.05).mean() < 0.07


def test_changes_are_found(red_noise):
    for phi, least in ((0.0, 0.99), (0.5, 0.95), (0.8, 0.6)):
        unit = 4 / np.sqrt(1 - phi**2) / (MONTHS - BREAK)
        series = red_noise(phi, 400, MONTHS, 5) + seasonal(MONTHS) + bend(unit) - 0.01 * np.arange(MONTHS)
        found = trend_break(series, BREAK)
        assert (found.p_change < 0.05).mean() > least
        assert found.change.mean() == pytest.approx(unit, rel=0.1)
        assert found.correlation.mean() == pytest.approx(phi, abs=0.08)


def test_a_jump_at_the_break_is_no_change_of_trend(red_noise):
    series = red_noise(0.3, 600, MONTHS, 6) + np.where(np.arange(MONTHS) < BREAK, 0, 30)
    assert (trend_break(series, BREAK, without_season=False).p_change < 0.05).mean() < 0.07


def test_a_straight_line_and_a_constant_have_no_break():
    series = np.stack([0.3 * np.arange(120.0), np.full(120, -2.5)])
    found = trend_break(series, 60, without_season=False)
    np.testing.assert_allclose(found.change, 0, atol=1e-12)
    np.testing.assert_array_equal(found.p_change[1:], 1.0)
    bent = trend_break(series + bend(0.1, 120, 60), 60, without_season=False)
    assert (bent.p_change < 1e-6).all()


def test_series_with_few_months_on_one_side_are_left_out(red_noise):
    series = red_noise(0.5, 4, MONTHS, 7)
    series[0, :105] = np.nan  # 7 are left
    series[1, 50:BREAK] = np.nan
    series[2] = np.nan
    found = trend_break(series, BREAK)
    np.testing.assert_array_equal(np.isfinite(found.p_change), [False, True, False, True])
    assert np.isnan(found.after[0]) and np.isnan(found.p_after[0])
    asked = trend_break(series, BREAK, minimum_share=0.6)
    np.testing.assert_array_equal(np.isfinite(asked.change), [False, False, False, True])


def test_blocks_change_nothing(red_noise):
    series = red_noise(0.7, 900, 100, 8) + seasonal(100)
    series[np.random.default_rng(9).random(series.shape) < 0.03] = np.nan
    whole = trend_break(series, 50)
    parts = [trend_break(series[start : start + 300], 50) for start in (0, 300, 600)]
    for name in ("before", "after", "p_change", "p_before", "correlation"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_allclose(getattr(whole, name), joined, rtol=1e-9, atol=1e-12)


def test_short_parts_are_refused():
    with pytest.raises(
        NoUsableData, match="20 months with values are before the break; give a break that leaves at least 24"
    ):
        trend_break(np.zeros((1, 100)), 20)
    with pytest.raises(NoUsableData, match="0 months with values are after"):
        check_parts(np.ones(30, bool), 40)
    with pytest.raises(InvalidParameter, match="3 dimensions"):
        trend_break(np.zeros((1, 100, 2)), 50)


@pytest.mark.parametrize(
    ("before", "after", "p_before", "p_after", "p_change", "name"),
    [
        (-1, -3, 0.01, 0.01, 0.01, "decline accelerated"),
        (-1, -3, 0.01, 0.20, 0.01, "decline accelerated"),
        (0.1, -3, 0.6, 0.01, 0.01, "decline began"),
        (2, -2, 0.01, 0.01, 0.01, "rise turned into decline"),
        (2, -0.1, 0.01, 0.7, 0.01, "rise stopped"),
        (2, 1, 0.01, 0.01, 0.01, "rise slowed"),
        (1, -1, 0.2, 0.2, 0.01, "downward change, slopes uncertain"),
        (2, -2, 0.01, 0.01, 0.05, "no significant change"),
        (-1, 1, 0.2, 0.2, 0.01, "upward change, slopes uncertain"),
        (-2, -1, 0.01, 0.01, 0.01, "decline slowed"),
        (-2, -0.1, 0.01, 0.7, 0.01, "decline stopped"),
        (-2, 0.1, 0.01, 0.7, 0.01, "decline stopped"),
        (-2, 2, 0.01, 0.01, 0.01, "decline turned into rise"),
        (-0.1, 2, 0.6, 0.01, 0.01, "rise began"),
        (1, 3, 0.01, 0.01, 0.01, "rise accelerated"),
        (1, np.nan, 0.01, np.nan, np.nan, None),
    ],
)
def test_classes(before, after, p_before, p_after, p_change, name):
    arrays = [np.array([value], float) for value in (before, after, p_before, p_after, p_change)]
    number = int(change_classes(*arrays)[0])
    assert CHANGE_NAMES.get(number) == name


def test_every_combination_has_one_class_and_turned_signs_mirror_it():
    slopes, p_values = np.array([-2.0, -1.0, 1.0, 2.0]), np.array([0.01, 0.5])
    grid = np.array(np.meshgrid(slopes, slopes, p_values, p_values, p_values)).reshape(5, -1)
    classes, mirrored = change_classes(*grid), change_classes(-grid[0], -grid[1], *grid[2:])
    assert classes.min() >= 1
    opposite = {1: 13, 2: 12, 3: 11, 4: 10, 5: 9, 6: 8, 7: 7}
    opposite |= {b: a for a, b in opposite.items()}
    np.testing.assert_array_equal(mirrored, [opposite[number] for number in classes])


def test_classes_of_bad_arrays():
    arrays = [np.zeros(3)] * 5
    with pytest.raises(InvalidParameter, match="shapes"):
        change_classes(*arrays[:4], np.zeros(4))
    with pytest.raises(InvalidParameter, match="significance is 1.0"):
        change_classes(*arrays, significance=1.0)

"""Seasonal adjustment: against statsmodels, and against what STL must do with series of known composition."""

import sys

import numpy as np
import pytest

from gwsa_qgis.errors import InvalidParameter, MissingPackage, NoUsableData
from gwsa_qgis.science.stl import StlParameters, deseasonalise, seasonal_operator


def seasonal_series(n_series, n_months, seed=0):
    rng = np.random.default_rng(seed)
    walk = rng.normal(size=(n_series, n_months)).cumsum(axis=1)
    return walk + 5 * np.sin(2 * np.pi * np.arange(n_months) / 12)


@pytest.mark.parametrize("n_months", [24, 25, 37, 83, 84, 85, 225, 348])
@pytest.mark.parametrize("seasonal", [3, 7, 13, 35])
def test_equals_statsmodels(n_months, seasonal):
    reference = pytest.importorskip("statsmodels.tsa.seasonal")
    series = seasonal_series(4, n_months)
    expected = [y - reference.STL(y, period=12, seasonal=seasonal).fit().seasonal for y in series]
    np.testing.assert_allclose(deseasonalise(series, seasonal=seasonal), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "settings",
    [
        {"seasonal_jump": 2},
        {"seasonal_jump": 4, "trend_jump": 2, "low_pass_jump": 2},
        {"trend": 31, "low_pass": 15, "seasonal": 9},
        {"trend_jump": 7, "low_pass_jump": 5},
    ],
)
@pytest.mark.parametrize("degrees", [(0, 0, 0), (1, 0, 1), (0, 1, 0)])
@pytest.mark.parametrize("n_months", [60, 101, 225])
def test_settings_equal_statsmodels(settings, degrees, n_months):
    reference = pytest.importorskip("statsmodels.tsa.seasonal")
    y = seasonal_series(1, n_months)[0]
    theirs = dict(zip(("seasonal_deg", "trend_deg", "low_pass_deg"), degrees, strict=True))
    ours = dict(zip(("seasonal_degree", "trend_degree", "low_pass_degree"), degrees, strict=True))
    expected = reference.STL(y, period=12, **settings, **theirs).fit(inner_iter=3, outer_iter=0).seasonal
    operator = seasonal_operator(n_months, StlParameters(**settings, **ours, inner_iterations=3))
    np.testing.assert_allclose(operator @ y, expected, rtol=0, atol=1e-9)


def test_other_period_equals_statsmodels():
    reference = pytest.importorskip("statsmodels.tsa.seasonal")
    y = seasonal_series(1, 90)[0]
    expected = y - reference.STL(y, period=4).fit().seasonal
    np.testing.assert_allclose(deseasonalise(y[None], period=4)[0], expected, rtol=0, atol=1e-9)


def test_line_is_kept_and_pure_season_removed():
    months = np.arange(225)
    line = 3.0 - 0.02 * months
    season = np.tile(np.random.default_rng(1).normal(size=12), 19)[:225]
    season -= season[:12].mean()
    np.testing.assert_allclose(deseasonalise((line + season)[None])[0], line, atol=1e-10)


def test_holes_do_not_disturb_line_and_season():
    rng = np.random.default_rng(2)
    months = np.arange(225)
    line = 3.0 + 0.1 * months
    season = np.tile(rng.normal(size=12), 19)[:225]
    season -= season[:12].mean()
    series = np.tile(line + season, (30, 1))
    series[rng.random(series.shape) < 0.2] = np.nan
    series[3, 170:181] = np.inf
    result = deseasonalise(series)
    missing = ~np.isfinite(series)
    assert np.isnan(result[missing]).all()
    np.testing.assert_allclose(result[~missing], np.tile(line, (30, 1))[~missing], atol=1e-9)


def test_calendar_month_without_any_value_is_bridged():
    series = seasonal_series(1, 120)
    series[:, 6::12] = np.nan
    result = deseasonalise(series)
    assert np.isnan(result[:, 6::12]).all()
    assert np.isfinite(np.delete(result, np.arange(6, 120, 12), axis=1)).all()


def test_series_without_enough_values_is_nan_and_leaves_the_others_alone():
    series = seasonal_series(3, 60)
    expected = deseasonalise(series)
    series[0] = np.nan
    series[1, 20:] = np.nan
    result = deseasonalise(series)
    assert np.isnan(result[:2]).all()
    np.testing.assert_allclose(result[2], expected[2], rtol=0, atol=1e-12)


def test_robust_equals_statsmodels():
    reference = pytest.importorskip("statsmodels.tsa.seasonal")
    series = seasonal_series(3, 96)
    series[0, 40] += 50.0
    expected = [y - reference.STL(y, period=12, robust=True).fit().seasonal for y in series]
    np.testing.assert_allclose(deseasonalise(series, robust=True), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("robust", [False, True])
def test_holes_equal_statsmodels_on_the_bridged_series(robust):
    reference = pytest.importorskip("statsmodels.tsa.seasonal")
    series = seasonal_series(6, 120, seed=4)
    holed = series.copy()
    holed[np.random.default_rng(3).random(series.shape) < 0.15] = np.nan
    holed[1, 50:61] = np.nan
    holed[2] = series[2]
    months, calendar = np.arange(120), np.eye(12)[np.arange(120) % 12]
    for y, adjusted in zip(holed, deseasonalise(holed, robust=robust), strict=True):
        valid = np.isfinite(y)
        design = np.column_stack([months, calendar])
        fitted = design @ np.linalg.lstsq(design[valid], y[valid], rcond=None)[0]
        bridged = np.where(valid, y, fitted)
        expected = bridged - reference.STL(bridged, period=12, robust=robust).fit().seasonal
        np.testing.assert_allclose(adjusted[valid], expected[valid], rtol=0, atol=1e-9)
        assert np.isnan(adjusted[~valid]).all()


def test_robust_is_less_disturbed_by_an_outlier_than_the_matrix():
    pytest.importorskip("statsmodels.tsa.seasonal")
    months = np.arange(120)
    line, season = 0.02 * months, 4 * np.sin(2 * np.pi * months / 12)
    series = (line + season)[None] + 0
    series[0, 60] += 40.0
    series[0, 30] = np.nan
    others = np.delete(months, [30, 60])
    error = {r: np.abs(deseasonalise(series, robust=r)[0] - line)[others].max() for r in (False, True)}
    assert error[True] < 0.1
    assert error[False] > 5


@pytest.mark.parametrize("n_months", [60, 225, 348])
def test_a_series_does_not_depend_on_the_others_to_the_last_bit(n_months):
    series = seasonal_series(500, n_months, seed=5).astype(np.float32)
    series[::3, 7] = np.nan
    series[5] = np.nan
    together = deseasonalise(series)
    rng = np.random.default_rng(6)
    order = rng.permutation(500)
    np.testing.assert_array_equal(deseasonalise(series[order]), together[order])
    for cut in (1, 60, 97, 333):
        parts = [deseasonalise(part) for part in (series[:cut], series[cut:])]
        np.testing.assert_array_equal(np.concatenate(parts), together)


def test_robust_without_statsmodels_names_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "statsmodels.tsa.seasonal", None)
    with pytest.raises(MissingPackage, match="pip install statsmodels"):
        deseasonalise(seasonal_series(1, 48), robust=True)


def test_matrix_needs_no_statsmodels(monkeypatch):
    monkeypatch.setitem(sys.modules, "statsmodels", None)
    monkeypatch.setitem(sys.modules, "statsmodels.tsa.seasonal", None)
    seasonal_operator.cache_clear()
    assert np.isfinite(deseasonalise(seasonal_series(2, 48))).all()


def test_operator_is_built_once_and_cannot_be_changed():
    first = seasonal_operator(130, StlParameters())
    assert seasonal_operator(130, StlParameters()) is first
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0] = 1.0


def test_bad_input():
    with pytest.raises(NoUsableData, match="23 months"):
        deseasonalise(np.zeros((2, 23)))
    with pytest.raises(InvalidParameter, match="dimensions"):
        deseasonalise(np.zeros(60))
    with pytest.raises(InvalidParameter, match="odd"):
        deseasonalise(np.zeros((2, 60)), seasonal=8)
    with pytest.raises(InvalidParameter, match="trend length"):
        StlParameters(trend=11)

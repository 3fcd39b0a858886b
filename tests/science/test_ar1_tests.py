"""Tests of slopes under AR(1) noise: their moments against simulation, and false positives with the season taken out."""

import numpy as np
import pytest

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.science import ar1_tests
from gwsa_qgis.science.ar1_tests import CORRELATIONS, slope_tests
from gwsa_qgis.science.pixel_trend import TrendSettings, pixel_trends
from gwsa_qgis.science.seasonal_kendall import seasonal_kendall
from gwsa_qgis.science.stl import deseasonalise
from gwsa_qgis.science.trend import mann_kendall, theil_sen

MONTHS = 225


def seasonal(n_months, size=4.0):
    return size * np.cos(2 * np.pi * np.arange(n_months) / 12)


def grace_gaps():
    """Months as GRACE lacks them: scattered ones, and a year between the missions."""
    present = np.ones(MONTHS, bool)
    present[[2, 3, 14, 105, 110, 121, 126, 131, 136, 137, 142, 147, 152, 156, 161, 162, 166, 167]] = False
    present[183:194] = False
    return present


@pytest.mark.parametrize("without_season", [False, True])
@pytest.mark.parametrize("parts", [(MONTHS,), (100, 125)])
@pytest.mark.parametrize("phi", [0.0, 0.81, 0.96])
def test_moments_are_those_of_simulated_series(red_noise, phi, parts, without_season):
    """Expected lag-one correlation, and the variance of slopes over the mean square, of least-squares lines."""
    present = grace_gaps()
    number = int(np.argmin(np.abs(CORRELATIONS - phi)))
    expected, spread, _, variances = ar1_tests._moments(present, parts, without_season)
    series = red_noise(CORRELATIONS[number], 4000, MONTHS, 5)
    series[:, ~present] = np.nan
    if without_season:
        series = deseasonalise(series)
    months = np.arange(MONTHS)
    slopes, rest, edge = [], np.full(series.shape, np.nan), 0
    for length in parts:
        part = np.flatnonzero(present & (months >= edge) & (months < edge + length))
        slope, level = np.polyfit(part, series[:, part].T, 1)
        rest[:, part] = series[:, part] - slope[:, None] * part - level[:, None]
        slopes.append(slope)
        edge += length
    if len(parts) == 2:
        slopes.append(slopes[1] - slopes[0])
    pairs = np.flatnonzero(present[1:] & present[:-1])
    square = np.nanmean(rest**2, axis=1)
    lag_one = (rest[:, pairs] * rest[:, pairs + 1]).mean(axis=1) / square
    tolerance = (
        4 * np.sqrt(spread[number] / len(series)) + 0.006
    )  # the ratio of expectations is not quite that of ratios
    assert lag_one.mean() == pytest.approx(expected[number], abs=tolerance)
    assert lag_one.std() == pytest.approx(np.sqrt(spread[number]), rel=0.2)
    for slope, variance in zip(slopes, variances[:, number], strict=True):
        assert slope.var() / square.mean() == pytest.approx(variance, rel=0.1)


def test_uncorrelated_values_without_a_season_have_the_textbook_variance():
    n = 60
    _, _, freedom, variances = ar1_tests._moments(np.ones(n, bool), (n,), False)
    spread = ((np.arange(n) - (n - 1) / 2) ** 2).sum()
    assert variances[0, 0] == pytest.approx(n / (n - 2) / spread)
    assert freedom[0] == pytest.approx(n - 2)


def test_the_season_remover_is_what_deseasonalising_does(red_noise):
    present = grace_gaps()
    series = red_noise(0.9, 5, MONTHS, 1) + seasonal(MONTHS)
    series[:, ~present] = np.nan
    by_matrix = series[:, present] @ ar1_tests._season_remover(present).T
    np.testing.assert_allclose(by_matrix, deseasonalise(series)[:, present], rtol=0, atol=1e-9)


def false_share(series, present=None, **options):
    return (pixel_trends(series, TrendSettings(**options), present)[1] < 0.05).mean()


@pytest.mark.parametrize("phi", [0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95])
def test_false_positives_stay_near_five_percent_when_the_season_was_taken_out(red_noise, phi):
    series = red_noise(phi, 1500, MONTHS, 7) + seasonal(MONTHS)
    assert 0.02 < false_share(series) < (0.065 if phi < 0.9 else 0.08)
    present = grace_gaps()
    series[:, ~present] = np.nan
    assert 0.02 < false_share(series, present) < (0.065 if phi < 0.9 else 0.1)


def test_without_the_allowance_white_noise_is_called_significant_twice_too_often(red_noise):
    series = red_noise(0.0, 1500, MONTHS, 8)
    assert false_share(series, season_allowance=False) > 0.08
    assert false_share(series) < 0.065


def test_a_trend_is_found_as_often_as_by_the_bare_factor_where_series_are_correlated(red_noise):
    series = red_noise(0.85, 800, MONTHS, 9) - 0.02 * np.arange(MONTHS)
    assert false_share(series) > false_share(series, season_allowance=False) > 0.3


def test_limits_hold_the_slope_and_agree_with_the_p_value(red_noise):
    series = red_noise(0.7, 1500, MONTHS, 10) + seasonal(MONTHS) + 0.01 * np.arange(MONTHS)
    slope, p_value, _, lower, upper = pixel_trends(series, TrendSettings(confidence=0.95))
    assert ((lower <= slope) & (slope <= upper)).all()
    assert 0.93 < ((lower <= 0.01) & (upper >= 0.01)).mean() < 0.975
    outside = (lower > 0) | (upper < 0)
    assert (outside == (p_value < 0.05)).mean() > 0.985


def test_other_corrections_are_the_tests_themselves(red_noise):
    series = red_noise(0.6, 30, 120, 11) + seasonal(120)
    series[3, 40:50] = np.nan
    adjusted = deseasonalise(series)
    for correction in ("none", "ar1", "hamed_rao", "yue_wang", "trend_free_prewhitening", "seasonal"):
        settings = TrendSettings(correction, season_allowance=False)
        slope, p_value, p_plain, lower, upper = pixel_trends(series, settings)
        test = mann_kendall(adjusted, correction)
        # the seasonal test has a slope of its own, that of pairs of the same calendar month
        expected = seasonal_kendall(adjusted).slope if correction == "seasonal" else theil_sen(adjusted).slope
        np.testing.assert_array_equal(slope, expected)
        np.testing.assert_array_equal(p_value, test.p)
        np.testing.assert_array_equal(p_plain, mann_kendall(adjusted, "none").p)
        assert np.isnan(lower).all() and np.isnan(upper).all()
    raw = pixel_trends(series, TrendSettings("ar1", without_season=False))
    np.testing.assert_array_equal(raw[1], mann_kendall(series, "ar1").p)


def test_a_constant_series_has_no_trend():
    layers = pixel_trends(np.ones((2, 60)), TrendSettings(confidence=0.9))
    np.testing.assert_allclose(layers[:3], [[0, 0], [1, 1], [1, 1]], atol=1e-12)


def test_tests_of_slopes_grow_more_cautious_with_correlation():
    tests = slope_tests(np.ones(MONTHS, bool), (MONTHS,), True)
    variance, freedom = tests.of_contrast(0, np.array([0.0, 0.5, 0.8, 0.95]))
    assert (np.diff(variance) > 0).all() and (np.diff(freedom) < 0).all()
    lag_one = tests.expected[[0, 15, 27]]
    by_phi = tests.variance_by_phi(0, lag_one)
    np.testing.assert_allclose(by_phi, tests.at_phi[0, [0, 15, 27]])
    np.testing.assert_allclose(tests.mean_correlation(lag_one)[1:], CORRELATIONS[[15, 27]], atol=0.03)
    # The average over phi is the wider, the more so the less is known of it.
    assert (tests.of_contrast(0, lag_one)[0] > 0.9 * by_phi).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [({"correction": "magic"}, "correction is 'magic'"), ({"confidence": 1.5}, "confidence is 1.5")],
)
def test_settings_that_do_not_exist(options, words):
    with pytest.raises(InvalidParameter, match=words):
        TrendSettings(**options)

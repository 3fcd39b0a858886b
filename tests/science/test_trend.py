"""Slopes, tests, classes and seasonality: against scipy, pymannkendall, plain loops and known answers."""

import tracemalloc

import numpy as np
import pytest

from gwsa_qgis.errors import GwsaError, InvalidParameter, NoUsableData
from gwsa_qgis.months import month_range
from gwsa_qgis.science.seasonality import seasonality, shares_above
from gwsa_qgis.science.trend import area_shares, mann_kendall, theil_sen, trend_classes


def random_series(kind, seed=0):
    """A hundred series of one kind; the five kinds together are the 500 of the parity demand."""
    rng = np.random.default_rng([seed, len(kind)])
    n_months = {"short": 40, "long": 300}.get(kind, 225)
    series = rng.normal(size=(100, n_months))
    if kind != "white":
        series = series.cumsum(axis=1)
    if kind == "ties":
        series = np.round(series, 0)
    if kind in ("holes", "short"):
        series[rng.random(series.shape) < 0.15] = np.nan
        series = np.round(series, 1)
    return series


KINDS = ["white", "ties", "holes", "short", "long"]


@pytest.mark.parametrize("kind", KINDS)
def test_slope_and_limits_equal_scipy(kind):
    theilslopes = pytest.importorskip("scipy.stats").theilslopes
    series = random_series(kind)
    ours = theil_sen(series, confidence=0.95)
    theirs = []
    for y in series:
        months = np.flatnonzero(np.isfinite(y))
        theirs.append(tuple(theilslopes(y[months], months, 0.95)))
    expected = np.array(theirs).T
    np.testing.assert_allclose(
        [ours.slope, ours.intercept, ours.lower, ours.upper], expected[:4], rtol=0, atol=1e-9, equal_nan=False
    )


@pytest.mark.parametrize("kind", KINDS)
def test_plain_test_equals_pymannkendall(kind):
    reference = pytest.importorskip("pymannkendall")
    series = random_series(kind, seed=1)
    ours = mann_kendall(series, correction="none")
    line = theil_sen(series, confidence=None)
    theirs = [reference.original_test(y) for y in series]
    for name, values in {
        "s": ours.s,
        "var_s": ours.var_s,
        "z": ours.z,
        "p": ours.p,
        "Tau": ours.tau,
        "slope": line.slope,
        "intercept": line.intercept,
    }.items():
        np.testing.assert_allclose(
            values, [getattr(each, name) for each in theirs], rtol=0, atol=1e-9, err_msg=name, equal_nan=False
        )


def test_many_equal_slopes_and_extreme_values():
    # Brackets from a sample fail on such series; the result must not.
    months = np.arange(225.0)
    rng = np.random.default_rng(3)
    series = np.stack(
        [
            np.round(0.01 * months),
            np.where(months == 100, 1e12, 0.0),
            1e9 + 1e-3 * months,
            (rng.random(225) < 0.03) * 1.0,
            np.repeat(rng.normal(size=9), 25),
            rng.normal(size=225) * 1e-200,
            -0.25 * months,
        ]
    )
    earlier, later = np.triu_indices(225, 1)
    slopes = np.sort((series[:, later] - series[:, earlier]) / (later - earlier), axis=1)
    np.testing.assert_array_equal(theil_sen(series).slope, np.median(slopes, axis=1))
    # A factor without bounds drives the limits to the extremes of all pair slopes.
    widest = theil_sen(series, variance_factor=1e6)
    np.testing.assert_array_equal(widest.lower, slopes[:, 0])
    np.testing.assert_array_equal(widest.upper, slopes[:, -1])


def test_order_of_series_is_kept_over_blocks_and_holes():
    rng = np.random.default_rng(4)
    slopes = rng.normal(size=700)
    series = slopes[:, None] * np.arange(120)
    series[::3, 50:61] = np.nan
    series[1::3, rng.integers(0, 120, 9)] = np.nan
    np.testing.assert_allclose(theil_sen(series, confidence=None).slope, slopes, rtol=1e-12)
    np.testing.assert_array_equal(np.sign(mann_kendall(series, "ar1", slope=slopes).s), np.sign(slopes))


def plain_ar1(y):
    """The corrected test of one complete series, written out."""
    n = y.size
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    s = sum(np.sign(y[j] - y[i]) for i, j in pairs)
    _, counts = np.unique(y, return_counts=True)
    variance = (n * (n - 1) * (2 * n + 5) - sum(t * (t - 1) * (2 * t + 5) for t in counts)) / 18
    slope = np.median([(y[j] - y[i]) / (j - i) for i, j in pairs])
    rest = y - slope * np.arange(n)
    rest = rest - rest.mean()
    correlation = (rest[1:] * rest[:-1]).sum() / (rest**2).sum()
    correlation = min(max((n * correlation + 2) / (n - 4), 0), 0.98)
    factor = 1 + 2 * sum((1 - lag / n) * correlation**lag for lag in range(1, n))
    return s, factor * variance, (abs(s) - 1) / np.sqrt(factor * variance) * np.sign(s), factor


def test_ar1_correction_equals_the_written_out_sum(red_noise):
    series = np.vstack([np.round(red_noise(0.7, 4, 80, 5), 1), red_noise(0.0, 2, 80, 6).cumsum(axis=1)])
    ours = mann_kendall(series, correction="ar1")
    expected = np.array([plain_ar1(y) for y in series]).T
    np.testing.assert_allclose([ours.s, ours.var_s, ours.z, ours.variance_factor], expected, rtol=1e-10)
    np.testing.assert_allclose(ours.p_plain, mann_kendall(series, correction="none").p, rtol=0, atol=0)


def test_trendless_series_are_rarely_called_significant(red_noise):
    series = red_noise(0.8, 400, 225, seed=7)
    result = mann_kendall(series, correction="ar1")
    assert np.mean(result.p < 0.05) <= 0.08
    assert np.mean(result.p_plain < 0.05) > 0.35  # what the plain test does with the same series


def test_real_trends_are_still_found(red_noise):
    series = red_noise(0.8, 200, 225, seed=8) + 0.03 * np.arange(225)
    assert np.mean(mann_kendall(series, correction="ar1").p < 0.05) > 0.8


def test_limits_cover_the_true_slope_with_the_factor(red_noise):
    series = red_noise(0.7, 300, 120, seed=9) + 0.05 * np.arange(120)
    factor = mann_kendall(series, correction="ar1").variance_factor
    line = theil_sen(series, confidence=0.9, variance_factor=factor)
    covered = np.mean((line.lower <= 0.05) & (line.upper >= 0.05))
    assert 0.84 <= covered <= 0.96


def test_memory_does_not_grow_with_the_number_of_series(red_noise):
    series = np.round(red_noise(0.8, 3000, 225, seed=11), 1)
    tracemalloc.start()
    line = theil_sen(series)
    mann_kendall(series, correction="ar1", slope=line.slope)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 120e6  # all pair slopes of these series take 605 MB


def test_constant_short_and_empty_series():
    series = np.full((4, 60), np.nan)
    series[0] = 2.5
    series[1, [3, 20, 50]] = [1.0, 2.0, 3.0]
    series[2, [3, 20, 40, 50]] = [1.0, 2.0, 3.0, 4.0]
    test, line = mann_kendall(series, correction="none"), theil_sen(series)
    np.testing.assert_array_equal(test.s, [0, np.nan, 6, np.nan])
    np.testing.assert_array_equal(test.p[[0, 1, 3]], [1, np.nan, np.nan])
    assert line.slope[0] == line.lower[0] == line.upper[0] == 0.0
    assert line.intercept[0] == 2.5
    assert np.isnan(line.slope[[1, 3]]).all()
    assert np.isfinite(line.slope[2])
    assert mann_kendall(series[:1], correction="ar1").p[0] == 1.0
    line_but_for_rounding = 1e3 + 0.1 * np.arange(60)[None]
    assert mann_kendall(line_but_for_rounding, correction="ar1").p[0] < 1e-12
    assert theil_sen(np.empty((0, 60))).slope.shape == (0,)


def test_minimum_share_of_valid_months():
    series = np.tile(np.arange(100.0), (3, 1))
    series[1, :50] = np.nan
    series[2, :51] = np.nan
    np.testing.assert_array_equal(theil_sen(series, minimum_share=0.5).slope, [1.0, 1.0, np.nan])
    np.testing.assert_array_equal(np.isnan(mann_kendall(series, "none", minimum_share=0.5).p), [False, False, True])


def test_seven_classes():
    slope = np.array([[-1, -1, -1, 0, 1, 1, 1], [-1, 1, 0, np.nan, 1, -1, 1]], float)
    p_value = np.array([[0.001, 0.03, 0.2, 0.0, 0.2, 0.03, 0.001], [0.01, 0.05, 1.0, 0.001, np.nan, 0.05, 0.01]])
    classes = trend_classes(slope, p_value)
    assert classes.dtype == np.int8
    np.testing.assert_array_equal(classes, [[1, 2, 3, 4, 5, 6, 7], [2, 5, 4, 0, 0, 3, 6]])


def test_area_shares():
    shares = area_shares(np.array([[1, 0, 1], [7, 4, 0]]), np.array([[3.0], [1.0]]))
    assert shares[1] == pytest.approx(75.0)
    assert shares[4] == shares[7] == pytest.approx(12.5)
    assert sum(shares.values()) == pytest.approx(100.0)
    with pytest.raises(NoUsableData):
        area_shares(np.zeros((2, 2), np.int8), np.ones((2, 2)))


def test_bad_input():
    with pytest.raises(InvalidParameter, match="'ar2'"):
        mann_kendall(np.zeros((2, 30)), correction="ar2")
    for broken in (lambda: theil_sen(np.zeros(30)), lambda: theil_sen(np.zeros((2, 30)), confidence=95)):
        with pytest.raises(InvalidParameter):
            broken()
    with pytest.raises(InvalidParameter, match="shape"):
        trend_classes(np.zeros(3), np.zeros(4))


def test_seasonality_of_known_composition():
    months = month_range("2002-01", "2005-12")
    wave = np.sqrt(2) * np.cos(2 * np.pi * np.arange(48) / 12)  # standard deviation 1 in each year
    steps = np.repeat([-1.0, 1.0, -1.0, 1.0], 12)  # standard deviation 1 of the annual means
    series = np.stack([wave, steps, wave + steps, 3 * wave + steps, np.zeros(48)])
    np.testing.assert_allclose(seasonality(series, months), [100, 0, 50, 75, np.nan], atol=1e-9)


def test_seasonality_takes_complete_calendar_years():
    rng = np.random.default_rng(10)
    months = month_range("2002-04", "2006-05")
    series = rng.normal(size=(2, months.size))
    series[1, 20] = np.nan  # 2003-12
    whole = seasonality(series[:, 9:45], month_range("2003-01", "2005-12"))
    result = seasonality(series, months)
    np.testing.assert_allclose(result, whole)
    kept = series[1, 21:45].reshape(2, 12)
    within = kept.std(axis=1).mean()
    assert result[1] == pytest.approx(100 * within / (within + kept.mean(axis=1).std()))
    with pytest.raises(GwsaError):
        seasonality(series, months[1:])


def test_seasonality_shares():
    contribution = np.array([[40.0, 60.0], [70.0, np.nan]])
    assert shares_above(contribution, np.array([[1.0], [2.0]])) == {50.0: 75.0, 66.0: 50.0}

"""Harmonics and autoregression against statsmodels and against the definition of a conditional expectation."""

import warnings

import numpy as np
import pytest

from gwsa_qgis.errors import NoUsableData
from gwsa_qgis.months import month_range
from gwsa_qgis.science.gap_baselines import (
    LARGEST_ORDER,
    expected_missing,
    fill_autoregressive,
    fill_harmonic,
    harmonic_model,
    yule_walker,
)

MONTHS = month_range("2002-04", "2012-03")


def red_noise(b, n, seed, coefficients=(0.7,)):
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(b, n + 100))
    series = np.zeros_like(noise)
    for t in range(len(coefficients), n + 100):
        series[:, t] = noise[:, t] + sum(c * series[:, t - 1 - k] for k, c in enumerate(coefficients))
    return series[:, 100:]


def seasonal(b=4, seed=1):
    rng = np.random.default_rng(seed)
    t = np.arange(MONTHS.size) / 12
    return (
        rng.normal(0, 5, (b, 1))
        + rng.normal(0, 2, (b, 1)) * t
        + 6 * np.sin(2 * np.pi * t + rng.uniform(0, 6, (b, 1)))
        + 2 * np.cos(4 * np.pi * t + rng.uniform(0, 6, (b, 1)))
        + red_noise(b, MONTHS.size, seed)
    )


def gaps(*places):
    observed = np.ones(MONTHS.size, bool)
    observed[list(places)] = False
    return observed


def reflections_to_filter(reflections):
    """Prediction-error filter of an autoregression with these partial correlations: stable when all are below 1."""
    a = np.array([1.0])
    for k in reflections:
        a = np.append(a, 0.0) + k * np.append(a, 0.0)[::-1]
    return a


def test_harmonics_are_the_least_squares_of_statsmodels():
    api = pytest.importorskip("statsmodels.api")
    observed = gaps(0, 1, 30, 31, *range(60, 72), 119)
    series = seasonal()
    years = 2002 + 3 / 12 + np.arange(MONTHS.size) / 12
    columns = [np.ones(years.size), years - 2007]
    for period in (1.0, 0.5):
        columns += [np.sin(2 * np.pi * years / period), np.cos(2 * np.pi * years / period)]
    design = np.column_stack(columns)
    filled = fill_harmonic(np.where(observed, series, np.nan), MONTHS, observed)
    for x, found in zip(series, filled, strict=True):
        fit = api.OLS(x[observed], design[observed]).fit()
        np.testing.assert_allclose(found[~observed], fit.predict(design)[~observed], rtol=0, atol=1e-10)
        again = design @ np.linalg.lstsq(design[observed], x[observed], rcond=None)[0]
        np.testing.assert_allclose(found[~observed], again[~observed], rtol=0, atol=1e-10)
    np.testing.assert_array_equal(filled[:, observed], series[:, observed])


def test_harmonics_recover_a_line_and_two_cycles_across_a_year():
    t = np.arange(MONTHS.size) / 12
    truth = 3 - 2 * t + 5 * np.cos(2 * np.pi * t + 1) + 2 * np.sin(4 * np.pi * t)
    observed = gaps(*range(50, 62), 0, 119)
    np.testing.assert_allclose(fill_harmonic(truth[None], MONTHS, observed)[0], truth, atol=1e-11)
    # What they do not hold, a cycle of four months, is not filled.
    other = np.sin(6 * np.pi * t)
    assert np.abs(fill_harmonic(other[None], MONTHS, observed)[0] - other)[~observed].max() > 0.9


@pytest.mark.parametrize("count", [0, 1, 5])
def test_too_few_observed_months_are_refused(count):
    observed = np.zeros(MONTHS.size, bool)
    observed[:count] = True
    for fill in (fill_harmonic, fill_autoregressive):
        with pytest.raises(NoUsableData, match=f"{count} observed months do not determine"):
            fill(np.zeros((1, MONTHS.size)), MONTHS, observed)
    # Many observations of few calendar months do not determine the cycles either.
    same_months = np.arange(MONTHS.size) % 12 < 4
    with pytest.raises(NoUsableData, match="40 observed months"):
        harmonic_model(MONTHS, same_months)


@pytest.mark.parametrize("coefficients", [(0.7,), (0.5, 0.3), (1.2, -0.6), (0.4, 0.0, 0.0, 0.3), (0.2,) * 4])
def test_yule_walker_has_the_coefficients_of_statsmodels_and_the_order_of_least_aic(coefficients):
    linear_model = pytest.importorskip("statsmodels.regression.linear_model")
    series = red_noise(6, 180, 5, coefficients)
    filters = yule_walker(series, LARGEST_ORDER)
    orders = []
    for x, found in zip(series, filters, strict=True):
        criteria, candidates = [], []
        for order in range(1, LARGEST_ORDER + 1):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # what it returns will be a named tuple
                rho, sigma = linear_model.yule_walker(x, order=order, method="mle", demean=False)[:2]
            criteria.append(x.size * np.log(sigma**2) + 2 * order)
            candidates.append(np.concatenate([[1.0], -rho, np.zeros(LARGEST_ORDER - order)]))
        np.testing.assert_allclose(found, candidates[int(np.argmin(criteria))], rtol=0, atol=1e-10)
        orders.append(int(np.argmin(criteria)) + 1)
    # The data must have put the choice to a test.
    assert max(orders) >= len(coefficients)


def test_yule_walker_of_zeros_predicts_nothing_and_filters_are_stable():
    filters = yule_walker(np.zeros((2, 30)), 6)
    np.testing.assert_array_equal(filters, [[1, 0, 0, 0, 0, 0, 0]] * 2)
    walks = np.cumsum(np.random.default_rng(3).normal(size=(20, 60)), axis=1)
    for a in yule_walker(walks, 6):
        assert np.abs(np.roots(a)).max() < 1


PATTERNS = {
    "inside": [20],
    "first": [0],
    "last": [39],
    "both ends": [0, 1, 2, 38, 39],
    "adjoining": [10, 11, 12, 13, 14, 15, 16, 17, 18],
    "close together": [10, 12, 15, 16, 20],
    "second and last but one": [1, 38],
    "most": list(range(2, 33)),
}


@pytest.mark.parametrize("places", PATTERNS.values(), ids=PATTERNS)
def test_expected_missing_is_the_conditional_expectation_of_the_dense_covariance(places):
    process = pytest.importorskip("statsmodels.tsa.arima_process")
    rng = np.random.default_rng(7)
    filters = np.array([reflections_to_filter(rng.uniform(-0.9, 0.9, 6)) for _ in range(5)])
    filters[0, 2:] = 0.0
    filters[0, 1] = -0.8
    series = rng.normal(size=(5, 40))
    missing = np.zeros(40, bool)
    missing[places] = True
    found = expected_missing(np.where(missing, np.nan, series), missing, filters)
    for x, a, filled in zip(series, filters, found, strict=True):
        acov = process.arma_acovf(a, [1.0], nobs=40)
        covariance = acov[np.abs(np.subtract.outer(np.arange(40), np.arange(40)))]
        m, o = np.flatnonzero(missing), np.flatnonzero(~missing)
        expected = covariance[np.ix_(m, o)] @ np.linalg.solve(covariance[np.ix_(o, o)], x[o])
        np.testing.assert_allclose(filled[m], expected, rtol=0, atol=1e-7 * np.abs(x).max())
        np.testing.assert_array_equal(filled[o], x[o])


@pytest.mark.parametrize("places", [PATTERNS["both ends"], PATTERNS["adjoining"]], ids=["ends", "adjoining"])
def test_expected_missing_is_what_a_kalman_smoother_gives(places):
    sarimax = pytest.importorskip("statsmodels.tsa.statespace.sarimax")
    rng = np.random.default_rng(8)
    x = rng.normal(size=40)
    missing = np.zeros(40, bool)
    missing[places] = True
    for a in (np.array([1.0, -0.8]), reflections_to_filter([-0.7, 0.4, -0.2])):
        gappy = np.where(missing, np.nan, x)
        model = sarimax.SARIMAX(gappy, order=(a.size - 1, 0, 0), trend="n")
        smoothed = model.smooth(np.append(-a[1:], 1.0)).smoothed_state[0]
        found = expected_missing(gappy[None], missing, a[None])[0]
        np.testing.assert_allclose(found[missing], smoothed[missing], rtol=0, atol=1e-8)


def test_a_record_barely_longer_than_the_largest_order_is_still_the_conditional_expectation():
    # The banded inverse holds for orders up to half the length: longer filters must not be estimated.
    process = pytest.importorskip("statsmodels.tsa.arima_process")
    months, observed = MONTHS[:9], np.ones(9, bool)
    observed[4] = False
    series = red_noise(1, 9, 11)
    filled = fill_autoregressive(series, months, observed)
    model = series[:, observed] @ harmonic_model(months, observed).T
    departure = np.where(observed, series - model, 0.0)
    for _ in range(3):
        a = yule_walker(departure, 4)[0]
        acov = process.arma_acovf(a, [1.0], nobs=9)
        covariance = acov[np.abs(np.subtract.outer(np.arange(9), np.arange(9)))]
        m, o = np.flatnonzero(~observed), np.flatnonzero(observed)
        departure[0, m] = covariance[np.ix_(m, o)] @ np.linalg.solve(covariance[np.ix_(o, o)], departure[0, o])
    np.testing.assert_allclose(filled, np.where(observed, series, model + departure), atol=1e-9)


def test_autoregression_of_zeros_and_of_pure_harmonics():
    observed = gaps(0, 40, 41, *range(70, 81), 119)
    np.testing.assert_array_equal(fill_autoregressive(np.zeros((2, MONTHS.size)), MONTHS, observed), 0.0)
    t = np.arange(MONTHS.size) / 12
    truth = (1 + t + np.sin(2 * np.pi * t))[None]
    np.testing.assert_allclose(fill_autoregressive(truth, MONTHS, observed), truth, atol=1e-10)


def test_autoregression_keeps_every_bit_adds_nothing_and_scales():
    series = seasonal()
    everything = np.ones(MONTHS.size, bool)
    np.testing.assert_array_equal(fill_autoregressive(series, MONTHS, everything), series)
    observed = gaps(0, 1, 40, 41, *range(70, 81), 119)
    given = np.where(observed, series, np.nan)
    filled = fill_autoregressive(given, MONTHS, observed)
    np.testing.assert_array_equal(filled[:, observed], series[:, observed])
    assert np.isfinite(filled).all()
    assert np.isnan(given[:, ~observed]).all()
    for factor in (-3.0, 1e-6, 1e5):
        scaled = fill_autoregressive(factor * given, MONTHS, observed)
        np.testing.assert_allclose(scaled / factor, filled, rtol=0, atol=1e-9)
    # Values of missing months are not looked at.
    np.testing.assert_array_equal(fill_autoregressive(series + np.where(observed, 0, 99), MONTHS, observed), filled)


def test_autoregression_beats_harmonics_beside_observations_and_joins_them_far_away():
    series = red_noise(200, MONTHS.size, 21, (0.9,))
    one = gaps(30, 60, 90)
    fills = [fill(series, MONTHS, one) for fill in (fill_harmonic, fill_autoregressive)]
    errors = [np.sqrt(np.mean((filled - series)[:, ~one] ** 2)) for filled in fills]
    # Theory: departure has deviation 1 / sqrt(1 - .81) = 2.3 (less what harmonics take), interpolation 1 / sqrt(1.81).
    assert errors[1] == pytest.approx(1 / np.sqrt(1.81), rel=0.12)
    assert errors[0] > 2 * errors[1]
    long = gaps(*range(40, 80))
    weak = red_noise(20, MONTHS.size, 22, (0.3,))
    difference = fill_autoregressive(weak, MONTHS, long) - fill_harmonic(weak, MONTHS, long)
    middle, beside = (np.sqrt(np.mean(difference[:, columns] ** 2)) for columns in (slice(55, 65), [40, 79]))
    assert middle < 0.1 * beside


def test_refinements_use_the_gaps_of_the_series(monkeypatch):
    """The first estimate takes gaps as zeros and so too weak a correlation; later ones correct that."""
    series = red_noise(100, MONTHS.size, 23, (0.9,))
    observed = np.arange(MONTHS.size) % 10 < 6
    observed |= np.arange(MONTHS.size) % 7 == 0
    errors = []
    for count in (1, 3):
        monkeypatch.setattr("gwsa_qgis.science.gap_baselines.REFINEMENTS", count)
        errors.append(np.mean((fill_autoregressive(series, MONTHS, observed) - series)[:, ~observed] ** 2))
    assert errors[1] < 0.97 * errors[0]

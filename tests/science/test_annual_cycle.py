"""Month of the annual maximum: known courses, loops with scipy, and how often chance is taken for a season."""

import numpy as np
import pytest

from gwsa_qgis.errors import InvalidMonths, InvalidParameter
from gwsa_qgis.months import calendar_month, month_range
from gwsa_qgis.science.annual_cycle import maximum_month
from gwsa_qgis.science.red_noise import autoregressive

MONTHS = month_range("2002-04", "2020-12")


def course(peak, months=MONTHS):
    return np.cos(2 * np.pi * (calendar_month(months) - peak) / 12)


def by_loop(series, months=MONTHS):
    """Month of the maximum and Hotelling's p value of one series, written out with scipy."""
    stats = pytest.importorskip("scipy.stats")
    years = series[9:].reshape(-1, 12).astype(float)  # 2003 to 2020
    years = years[np.isfinite(years).all(axis=1)]
    number = np.flatnonzero(np.isfinite(series[9:].reshape(-1, 12)).all(axis=1))
    slope = stats.linregress(number, years.mean(axis=1)).slope / 12
    cleared = years - years.mean(axis=1, keepdims=True) - slope * (np.arange(12) - 5.5)
    angle = 2 * np.pi * np.arange(12) / 12
    pairs = np.stack([cleared @ np.cos(angle), cleared @ np.sin(angle)], axis=1)
    n, mean, covariance = len(pairs), pairs.mean(axis=0), np.cov(pairs.T)
    t_squared = n * mean @ np.linalg.solve(covariance, mean)
    p = stats.f.sf((n - 2) / (2 * (n - 1)) * t_squared, 2, n - 2)
    return (int(cleared.mean(axis=0).argmax()) + 1, p)


def test_every_month_is_found_and_a_trend_moves_none():
    for slope in (0.0, -0.5, 0.5):
        series = np.stack([course(peak) + slope * np.arange(MONTHS.size) for peak in range(1, 13)])
        np.testing.assert_array_equal(maximum_month(series, MONTHS), np.arange(1, 13))


def test_equals_a_loop_with_scipy():
    random = np.random.default_rng(2)
    series = random.normal(size=(300, MONTHS.size)) + random.uniform(0, 0.6, (300, 1)) * course(8)
    series += random.normal(0, 0.02, (300, 1)) * np.arange(MONTHS.size)
    series[random.random(series.shape) < 0.002] = np.nan
    found = maximum_month(series, MONTHS)
    expected = [by_loop(one) for one in series]
    assert 50 < np.count_nonzero(found) < 290
    for month, (loop_month, p) in zip(found, expected, strict=True):
        assert month == (loop_month if p < 0.05 else 0)


@pytest.mark.parametrize("phi", [0.0, 0.8, 0.95])
def test_chance_is_seldom_taken_for_a_season(phi):
    random = np.random.default_rng(4)
    series = autoregressive(random.normal(size=(4000, MONTHS.size)), phi)
    share = np.count_nonzero(maximum_month(series, MONTHS)) / len(series)
    print(f"phi {phi}: {share:.3f} of series without a season have a month")
    assert share < 0.06


def test_no_season_no_month():
    still, line = np.full(MONTHS.size, 3.0), 0.3 * np.arange(MONTHS.size)
    empty = np.full(MONTHS.size, np.nan)
    few = np.where(np.arange(MONTHS.size) < 9 + 4 * 12, course(5), np.nan)  # four complete years
    assert not maximum_month(np.stack([still, line, empty, few]), MONTHS).any()
    assert maximum_month(np.where(np.arange(MONTHS.size) < 9 + 5 * 12, course(5), np.nan)[None], MONTHS) == [5]
    assert not maximum_month(course(5, MONTHS[:40])[None], MONTHS[:40]).any()


def test_bad_input():
    with pytest.raises(InvalidMonths, match="shape"):
        maximum_month(np.zeros((3, 5)), MONTHS)
    with pytest.raises(InvalidMonths, match="not contiguous"):
        maximum_month(np.zeros((3, 100)), np.delete(MONTHS, 50)[:100])
    with pytest.raises(InvalidParameter, match="level of the test is 2"):
        maximum_month(np.zeros((3, MONTHS.size)), MONTHS, level=2)

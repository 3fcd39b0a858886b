"""How often the tests err, on trendless series and on trends: what the documentation promises of each correction."""

import numpy as np
import pytest

from gwsa_qgis.science.pixel_trend import LAYERS, TrendSettings, pixel_trends
from gwsa_qgis.science.red_noise import autoregressive
from gwsa_qgis.science.trend import mann_kendall

MONTHS = 225


def noise(correlation, n_series=1000, seed=0, n_months=MONTHS):
    rng = np.random.default_rng([seed, int(1000 * correlation)])
    steps = rng.normal(size=(n_series, n_months))
    return autoregressive(steps, correlation, stationary=True) * np.sqrt(1 - correlation**2)


def found(series, correction):
    return np.mean(mann_kendall(series, correction).p < 0.05)


def found_after_stl(series, **settings):
    return np.mean(pixel_trends(series, TrendSettings(**settings))[LAYERS.index("p_value")] < 0.05)


LIMITS = {0.0: 0.07, 0.2: 0.07, 0.4: 0.07, 0.6: 0.07, 0.8: 0.07, 0.95: 0.11}


@pytest.mark.parametrize("correlation", LIMITS)
def test_ar1_rarely_sees_a_trend_where_there_is_none(correlation):
    share = found(noise(correlation), "ar1")
    assert 0.025 <= share <= LIMITS[correlation]


@pytest.mark.parametrize("correlation", LIMITS)
def test_ar1_after_stl_rarely_sees_a_trend_where_there_is_none(correlation):
    season = 2 * np.sin(2 * np.pi * np.arange(MONTHS) / 12)
    share = found_after_stl(noise(correlation, seed=1) + season)
    assert 0.025 <= share <= LIMITS[correlation]


def test_ar1_has_to_know_that_stl_was_there():
    white = noise(0.0, 4000, seed=1)
    assert found_after_stl(white, season_allowance=False) > 0.085
    strong = noise(0.9, seed=1) + 0.02 * np.arange(MONTHS) / 3
    assert found_after_stl(strong) > found_after_stl(strong, season_allowance=False) + 0.02


@pytest.mark.parametrize(
    ("correction", "least"),
    [("none", 0.4), ("hamed_rao", 0.15), ("yue_wang", 0.4), ("trend_free_prewhitening", 0.55), ("seasonal", 0.4)],
)
def test_the_other_corrections_are_unsafe_as_documented(correction, least):
    assert found(noise(0.8), correction) > least


def test_power():
    """Standard deviation 5 cm, correlation 0.8: 1 cm a year is found, half of it mostly."""
    months = np.arange(MONTHS)
    season = 2 * np.sin(2 * np.pi * months / 12)
    for per_year, least in ((1.0, 0.95), (0.5, 0.6)):
        series = 5 * noise(0.8, 400, 2) + per_year / 12 * months + season
        assert found_after_stl(series) > least


def test_holes_do_not_make_trends():
    series = noise(0.8, seed=4)
    series[:, 175:186] = np.nan  # the months between the two missions
    series[:, [14, 30, 55, 90, 131]] = np.nan
    assert found(series, "ar1") <= 0.07
    assert found_after_stl(series) <= 0.08

"""Corrections of the Mann-Kendall test: against pymannkendall on random series with ties and holes, and known answers."""

import numpy as np
import pytest

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.science.red_noise import autoregressive
from gwsa_qgis.science.trend import CORRECTIONS, mann_kendall, theil_sen

PYMANNKENDALL = {
    "none": "original_test",
    "hamed_rao": "hamed_rao_modification_test",
    "yue_wang": "yue_wang_modification_test",
    "trend_free_prewhitening": "trend_free_pre_whitening_modification_test",
    "seasonal": "seasonal_test",
}


def random_series(kind):
    """A hundred series of one kind; the five kinds together are the 500 of the parity demand."""
    rng = np.random.default_rng(len(kind))
    n_months = {"short": 40, "long": 300}.get(kind, 225)
    series = rng.normal(size=(100, n_months))
    if kind != "white":
        series = autoregressive(series, 0.7)
        series += np.linspace(0, 2, n_months) * rng.normal(size=(100, 1))
        series += 2 * np.sin(2 * np.pi * np.arange(n_months) / 12)
    if kind == "ties":
        series = np.round(series, 0)
    if kind in ("holes", "short"):
        series[rng.random(series.shape) < 0.15] = np.nan
        series = np.round(series, 1)
    return series


def of_pymannkendall(correction, series):
    """Slope, S, var S, z, p, tau of each series, and the slope per month."""
    test = getattr(pytest.importorskip("pymannkendall"), PYMANNKENDALL[correction])
    with np.errstate(all="ignore"):
        found = [test(y) for y in series]
    expected = np.array([(r.slope, r.s, r.var_s, r.z, r.p, r.Tau) for r in found], float).T
    if correction == "seasonal":
        expected[0] /= 12  # printed per period of 12 months
    return expected


def assert_parity(correction, series):
    ours = mann_kendall(series, correction)
    expected = of_pymannkendall(correction, series)
    found = [ours.slope, ours.s, ours.var_s, ours.z, ours.p, ours.tau]
    for name, here, there in zip(("slope", "s", "var_s", "z", "p", "tau"), found, expected, strict=True):
        relative = 1e-9 if name == "var_s" else 0
        np.testing.assert_allclose(here, there, rtol=relative, atol=1e-9, err_msg=name)
    return ours


def test_every_correction_but_ar1_has_its_reference():
    assert set(PYMANNKENDALL) | {"ar1"} == set(CORRECTIONS)


@pytest.mark.parametrize("correction", PYMANNKENDALL)
@pytest.mark.parametrize("kind", ["white", "ties", "holes", "short", "long"])
def test_equal_to_pymannkendall(kind, correction):
    ours = assert_parity(correction, random_series(kind))
    assert len(np.unique(ours.s)) > 40


@pytest.mark.parametrize("correction", PYMANNKENDALL)
def test_constant_and_nearly_constant_series_equal_pymannkendall(correction):
    months = np.arange(60.0)
    rng = np.random.default_rng(7)
    series = np.stack(
        [
            np.full(60, 2.5),
            months,
            -0.25 * months,
            np.where(months == 30, 1.0, 0.0),
            np.repeat([0.0, 1.0], 30),
            months % 2,
            (rng.random(60) < 0.2) * 1.0,
            np.repeat(rng.integers(0, 4, 12), 5) * 1.0,
            np.where(months < 30, np.nan, months % 3),
        ]
    )
    assert_parity(correction, series)


@pytest.mark.parametrize("correction", PYMANNKENDALL)
def test_blocks_of_mixed_holes_keep_their_order(correction):
    rng = np.random.default_rng(9)
    series = np.round(rng.normal(size=(300, 48)).cumsum(axis=1), 1)
    series[::3, 10:15] = np.nan
    series[1::7, 40:] = np.inf
    together = mann_kendall(series, correction)
    alone = [mann_kendall(y[None], correction) for y in series]
    for name in ("s", "var_s", "z", "p", "tau", "slope", "p_plain", "variance_factor"):
        np.testing.assert_array_equal(getattr(together, name), [getattr(one, name)[0] for one in alone], err_msg=name)


@pytest.mark.parametrize("correction", CORRECTIONS)
def test_plain_p_and_slope_stand_beside_each_correction(correction):
    series = random_series("ties")[:20]
    ours, plain = mann_kendall(series, correction), mann_kendall(series, "none")
    np.testing.assert_array_equal(ours.p_plain, plain.p)
    slope = theil_sen(series, confidence=None).slope
    np.testing.assert_array_equal(mann_kendall(series, correction, slope=slope).p, ours.p)
    if correction != "seasonal":
        np.testing.assert_array_equal(ours.slope, slope)
    known = np.isfinite(ours.variance_factor)
    assert known.all() == (correction not in ("trend_free_prewhitening", "seasonal"))
    np.testing.assert_allclose(ours.var_s[known], (ours.variance_factor * plain.var_s)[known], rtol=1e-12)


def test_seasonal_slope_is_not_disturbed_by_the_season_and_is_per_month():
    months = np.arange(120)
    series = (0.05 * months + 30 * np.cos(2 * np.pi * months / 12))[None]
    ours = mann_kendall(series, "seasonal")
    assert ours.slope[0] == pytest.approx(0.05, abs=1e-12)
    assert ours.tau[0] == 1.0
    assert mann_kendall(series, "seasonal", period=10).tau[0] < 0.9


def test_seasonal_without_pairs_of_a_calendar_month_is_unknown():
    series = np.full((1, 24), np.nan)
    series[0, [0, 1, 14, 15]] = 1.0, 2.0, 3.0, 4.0
    ours = mann_kendall(series, "seasonal")
    assert np.isnan([ours.s[0], ours.z[0], ours.p[0], ours.tau[0], ours.slope[0]]).all()
    assert np.isfinite(ours.p_plain[0])


def test_minimum_share_holds_for_every_correction():
    series = np.tile(np.arange(48.0), (2, 1)) + np.random.default_rng(1).normal(size=(2, 48))
    series[1, :30] = np.nan
    for correction in CORRECTIONS:
        ours = mann_kendall(series, correction, minimum_share=0.5)
        for name in ("s", "var_s", "z", "p", "tau", "slope", "p_plain"):
            np.testing.assert_array_equal(np.isnan(getattr(ours, name)), [False, True], err_msg=f"{correction} {name}")


def test_bad_input():
    with pytest.raises(InvalidParameter, match="trend_free_prewhitening"):
        mann_kendall(np.zeros((2, 30)), correction="prewhitening")
    with pytest.raises(InvalidParameter, match="period"):
        mann_kendall(np.zeros((2, 30)), correction="seasonal", period=0)


def test_seasonal_maps_its_own_slope_with_its_own_limits():
    """The slope is pymannkendall's; limits are those of a loop over calendar months, by Gilbert's section 17.3."""
    reference = pytest.importorskip("pymannkendall")
    from scipy.stats import norm

    from gwsa_qgis.science.pixel_trend import LAYERS, TrendSettings, pixel_trends

    random = np.random.default_rng(21)
    series = random.normal(size=(6, 130)).cumsum(axis=1) + 3 * np.sin(np.arange(130) * np.pi / 6)
    series[1] = np.round(series[1])
    series[2, random.choice(130, 25, replace=False)] = np.nan
    series[3, :70] = np.nan
    series[4, 3:] = np.nan  # too few months
    settings = TrendSettings(correction="seasonal", without_season=False, confidence=0.9)
    found = dict(zip(LAYERS, pixel_trends(series, settings), strict=True))
    for number in (0, 1, 2, 3, 5):
        one = series[number]
        wanted = reference.seasonal_test(one, period=12)
        assert found["slope"][number] == pytest.approx(wanted.slope / 12, rel=1e-9, abs=1e-12)
        assert found["p_value"][number] == pytest.approx(wanted.p, rel=1e-9, abs=1e-12)
        slopes = sorted(
            (one[later] - one[first]) / (later - first)
            for first in range(130)
            for later in range(first + 12, 130, 12)
            if np.isfinite(one[first] + one[later])
        )
        half_range = norm.ppf(0.95) * np.sqrt(wanted.var_s)
        lower, upper = (round((len(slopes) + sign * half_range) / 2) for sign in (-1, 1))
        assert found["lower"][number] == pytest.approx(slopes[lower - 1], rel=1e-9)
        assert found["upper"][number] == pytest.approx(slopes[upper], rel=1e-9)
    assert all(np.isnan(found[name][4]) for name in LAYERS)
    theil_sen_slopes = pixel_trends(series, TrendSettings(correction="none", without_season=False))[0]
    assert abs(theil_sen_slopes[0] - found["slope"][0]) > 1e-6

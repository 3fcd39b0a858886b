import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import r2_score

from gwsa_qgis.errors import NoUsableData
from gwsa_qgis.science.pair_sums import PairSums
from gwsa_qgis.science.scores import score
from gwsa_qgis.science.well_comparison import CELL, SINGLE, compare
from gwsa_qgis.science.well_scores import agreement, gain, perturb_yield, series_agreement
from gwsa_qgis.science.wells import (
    anomalies,
    count_outliers,
    fit_band,
    group_means,
    long_enough,
    monthly_means,
    quantile_bins,
    specific_yield,
    storage_change,
)


@pytest.mark.parametrize(
    ("longitude", "latitude", "expected", "region"),
    [
        (77, 28, 0.11, "Asia"),
        (5, 50, 0.14, "Europe and Middle East"),
        (-120, 37, 0.16, "North America"),
        (240, 37, 0.16, "North America"),
        (-70, -30, 0.18, "South America"),
        (20, 5, 0.08, "Africa"),
        (140, -25, 0.09, "Australia and Oceania"),
        (172, -43, 0.09, "Australia and Oceania"),
        (0, 80, 0.15, "Other regions"),
        (60, 40, 0.11, "Asia"),  # on the border of two boxes: the first row counts
        (45, 35, 0.14, "Europe and Middle East"),
        (-60, 15, 0.16, "North America"),
    ],
)
def test_specific_yield_is_table_2(longitude, latitude, expected, region):
    values, names = specific_yield(np.array([longitude]), np.array([latitude]))
    assert values[0] == expected
    assert names == [region]


def test_months_are_averaged_and_counted():
    wells, months = np.array([0, 0, 1, 0]), np.array([2, 2, 0, 1])
    means, counts = monthly_means(wells, months, np.array([1.0, 3.0, 5.0, 7.0]), (2, 3))
    np.testing.assert_array_equal(means, [[np.nan, 7, 2], [5, np.nan, np.nan]])
    np.testing.assert_array_equal(counts, [[0, 1, 2], [1, 0, 0]])


def test_cells_average_anomalies_not_levels():
    levels = np.array([[100.0, 101, 102, 103], [10.0, 11, np.nan, np.nan]])
    means, names, sizes = group_means(anomalies(levels, np.array([[True, True, False, False]] * 2)), np.array([7, 7]))
    np.testing.assert_allclose(means, [[-0.5, 0.5, 1.5, 2.5]])
    assert names.tolist() == [7]
    assert sizes.tolist() == [2]


def test_storage_is_level_times_yield():
    np.testing.assert_allclose(storage_change(np.array([[100.0, -50.0]]), np.array([0.16])), [[16.0, -8.0]])


def test_short_and_sparse_records_are_not_long_enough():
    levels = np.full((4, 60), np.nan)
    levels[0] = 1
    levels[1, ::4] = 1
    levels[2, :30] = 1
    assert long_enough(levels, 50, 0.5).tolist() == [True, False, False, False]


def test_outliers_are_counted():
    series = np.random.default_rng(0).normal(size=(2, 200))
    series[1, [3, 50]] = 30
    series[0, 7] = np.nan
    assert count_outliers(series).tolist() == [0, 2]


def test_bins_are_means_of_equal_counts_of_sorted_map_trends():
    random = np.random.default_rng(2)
    x, y = random.normal(size=(2, 300))
    found = quantile_bins(x, y, 15)
    order = np.argsort(x).reshape(15, 20)
    np.testing.assert_allclose(found.x, x[order].mean(axis=1), atol=1e-12)
    np.testing.assert_allclose(found.y, y[order].mean(axis=1), atol=1e-12)
    np.testing.assert_allclose(found.sem, stats.sem(y[order], axis=1), atol=1e-12)
    assert quantile_bins(x[:293], y[:293], 15).count.sum() == 293
    with pytest.raises(NoUsableData, match="bins"):
        quantile_bins(x[:20], y[:20], 15)


def test_confidence_band_is_that_of_statsmodels():
    linear = pytest.importorskip("statsmodels.api")
    random = np.random.default_rng(5)
    x = random.normal(size=15)
    y = 0.5 * x + random.normal(size=15)
    at, line, lower, upper = fit_band(x, y)
    frame = linear.OLS(y, linear.add_constant(x)).fit().get_prediction(linear.add_constant(at)).conf_int(alpha=0.05)
    np.testing.assert_allclose(np.column_stack([lower, upper]), frame, atol=1e-9)
    np.testing.assert_allclose(line, (lower + upper) / 2, atol=1e-12)


def test_agreement_equals_scipy_and_sklearn():
    random = np.random.default_rng(4)
    well = np.round(random.normal(size=400), 1)
    value = 0.4 * well + random.normal(size=400)
    found = agreement(np.r_[well, np.nan, 1.0], np.r_[value, 1.0, np.nan])
    assert found.n == 400
    assert found.r2 == pytest.approx(r2_score(well, value), abs=1e-9)
    assert found.r == pytest.approx(stats.pearsonr(well, value)[0], abs=1e-9)
    assert found.spearman == pytest.approx(stats.spearmanr(well, value)[0], abs=1e-9)
    assert found.slope == pytest.approx(stats.linregress(well, value).slope, abs=1e-9)
    assert found.rmse == pytest.approx(np.sqrt(np.mean((well - value) ** 2)), abs=1e-9)
    assert found.bias == pytest.approx(np.mean(value - well), abs=1e-9)
    assert found.sign == pytest.approx(sum(np.sign(a) == np.sign(b) for a, b in zip(well, value, strict=True)) / 400)


def test_series_agreement_uses_common_months():
    random = np.random.default_rng(9)
    wells, maps = random.normal(size=(2, 3, 80))
    wells[0, :10], maps[0, 40:50] = np.nan, np.nan
    slope, correlation, bias = series_agreement(wells, maps)
    both = np.isfinite(wells[0]) & np.isfinite(maps[0])
    line = stats.linregress(wells[0][both], maps[0][both])
    assert slope[0] == pytest.approx(line.slope, abs=1e-9)
    assert correlation[0] == pytest.approx(line.rvalue, abs=1e-9)
    assert bias[0] == pytest.approx((maps[0] - wells[0])[both].mean(), abs=1e-9)


def test_gain_is_one_for_a_perfect_map_and_changes_sign_when_swapped():
    perfect, poor = (np.array([1.0]), np.array([1.0])), (np.array([0.5]), np.array([0.2]))
    assert gain(poor, perfect)[0] == pytest.approx(1.0)
    assert gain(perfect, poor)[0] == pytest.approx(-1.0)
    assert gain(poor, poor)[0] == 0
    value = gain(poor, (np.array([0.8]), np.array([0.1])), (np.array([2.0]), np.array([-1.0])))[0]
    assert value == pytest.approx((0.3 / 0.7 - 0.1 / 1.7 + 1 / 3) / 3)
    assert np.isnan(gain((np.array([np.nan]), np.array([0.1])), perfect))[0]


def test_perturbation_is_seeded_and_centred_on_the_plain_scores():
    random = np.random.default_rng(1)
    map_trend = random.normal(size=200)
    well_trend = map_trend + random.normal(size=200)
    groups = np.arange(200) % 6
    first, again = (perturb_yield(map_trend, well_trend, groups, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.r, again.r)
    assert first.r[0] < stats.pearsonr(map_trend, well_trend)[0] < first.r[2] + 0.02
    assert first.significant_share == 1.0
    still = perturb_yield(map_trend, well_trend, groups, spread=0.0, draws=5)
    np.testing.assert_allclose(still.r2, r2_score(well_trend, map_trend), atol=1e-9)


def test_wells_without_signal_score_nothing_unbinned():
    random = np.random.default_rng(11)
    storage, fine, coarse = random.normal(size=(3, 300, 120)).cumsum(axis=2)
    maps = {"fine": fine, "coarse": coarse}
    found = compare(storage, maps, np.arange(300) // 2, ["a"] * 300, draws=50)
    assert found.trend[SINGLE, "fine"].r2 < 0.05
    assert abs(found.trend[CELL, "fine"].r) < 0.25
    assert 0.4 < found.share_improved < 0.6
    assert found.trend[CELL, "fine"].n == 150


def test_comparison_finds_the_trend_that_was_put_in():
    years = np.arange(120) / 12
    trends = np.linspace(-2, 2, 40)
    storage = trends[:, None] * years + 5
    storage[:, 60:70] = np.nan
    maps = {"fine": trends[:, None] * years - 3, "coarse": 0.5 * trends[:, None] * years}
    regions, classes = ["a"] * 20 + ["b"] * 20, ["11", "none"] * 20
    found = compare(storage, maps, np.arange(40), regions, classes=classes, bins=5, draws=20)
    np.testing.assert_allclose(found.supports[SINGLE].well_trend, trends, atol=1e-9)
    assert found.trend[CELL, "fine"].r2 == pytest.approx(1, abs=1e-12)
    assert found.trend[CELL, "coarse"].slope == pytest.approx(0.5, abs=1e-9)
    assert found.series[SINGLE, "fine"].rmse == pytest.approx(0, abs=1e-9)
    assert found.share_improved == 1.0
    assert found.groups["region", "b"]["trend", CELL, "coarse"].n == 20
    assert found.groups["class", "11"]["trend", SINGLE, "coarse"].slope == pytest.approx(0.5, abs=1e-9)
    assert len(found.bins["fine"].x) == 5


def test_groups_score_their_own_wells_and_cells():
    random = np.random.default_rng(21)
    storage = random.normal(size=(60, 90)).cumsum(axis=1)
    storage[random.random(storage.shape) < 0.2] = np.nan
    maps = {
        name: storage * share + random.normal(size=storage.shape) for name, share in (("fine", 0.9), ("coarse", 0.4))
    }
    cells, classes = np.arange(60) // 3, [f"{11 + k % 7 // 3}" for k in range(60)]
    found = compare(storage, maps, cells, ["a"] * 60, classes=classes, draws=10)
    labels = np.array(classes)
    single, averaged = found.supports[SINGLE], found.supports[CELL]
    for label in ("11", "12", "13"):
        of_label = found.groups["class", label]
        for support, inside, series in ((SINGLE, labels == label, single), (CELL, labels[::3] == label, averaged)):
            for name in maps:
                well, value = series.well_trend[inside], series.map_trends[name][inside]
                assert of_label["trend", support, name].r2 == pytest.approx(r2_score(well, value), abs=1e-9)
                well, value = series.wells[inside], series.maps[name][inside]
                both = np.isfinite(well) & np.isfinite(value)
                assert of_label["series", support, name].n == both.sum()
                expected = stats.pearsonr(well[both], value[both])[0]
                assert of_label["series", support, name].r == pytest.approx(expected, abs=1e-9)
    assert found.groups["region", "a"]["trend", CELL, "fine"] == found.trend[CELL, "fine"]


def test_pair_sums_equal_direct_scores_however_they_are_cut():
    random = np.random.default_rng(6)
    actual = random.normal(1000, 1, (7, 90))
    estimate = actual + random.normal(0.2, 0.5, actual.shape)
    actual[random.random(actual.shape) < 0.1] = np.nan
    groups = random.integers(-1, 3, 90)
    parts = [PairSums.of_groups(actual[:, s], estimate[:, s], groups[s], 3) for s in (slice(0, 13), slice(13, 90))]
    total = parts[0] + parts[1]
    for index in (0, 2):
        inside = groups == index
        expected, found = score(actual[:, inside], estimate[:, inside]), total.pooled(0).scores(index)
        np.testing.assert_allclose(list(found.as_dict().values()), list(expected.as_dict().values()), rtol=1e-9)
    expected = score(actual[3, groups >= 0], estimate[3, groups >= 0])
    np.testing.assert_allclose(
        list(total.pooled(1).scores(3).as_dict().values()), list(expected.as_dict().values()), rtol=1e-9
    )

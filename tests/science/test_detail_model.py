"""The model of detail and its weight: coefficients that are known, skill that is known, and none."""

import numpy as np
import pytest

from gwsa_qgis.errors import InvalidModelFile, NoUsableData
from gwsa_qgis.science.cross_validation import detail_weights, held_out_estimates, slope_and_error
from gwsa_qgis.science.detail_model import DetailModel
from gwsa_qgis.science.learners import TreeEnsemble
from gwsa_qgis.science.linear_detail import ARRAYS, REACH, LinearDetail


def made_up(n=4000, seed=3):
    """Two deviations, two levels, three calendar terms; class 23 responds to the first deviation in its own way."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, 7)).astype(np.float32)
    classes = np.repeat([13, 23], n // 2)
    standard = (x[:, 2] - x[:, 2].mean(dtype=float)) / x[:, 2].std(dtype=float)
    y = 2 * x[:, 0] - 0.7 * x[:, 1] * x[:, 4] + 0.5 * x[:, 0] * np.tanh(standard) + 0.9 * x[:, 0] * (classes == 23)
    return x, y, classes


def test_linear_detail_finds_the_terms_it_was_given():
    x, y, classes = made_up()
    model = LinearDetail(2, [13, 23], ridge=1e-9).fit(x, y, classes)
    np.testing.assert_allclose(model.predict(x, classes), y, atol=1e-5)
    first, second = model.coefficients  # shared, three calendar terms, level, classes
    assert first[6] - first[5] == pytest.approx(0.9, abs=1e-5)
    assert (first[0] + first[5], first[4]) == pytest.approx((2.0, 0.5), abs=1e-5)
    np.testing.assert_allclose(second[:5], [0, -0.7, 0, 0, 0], atol=1e-5)
    importances = model.importances(x, classes, ["rain", "soil"])
    assert list(importances) == ["rain", "soil"]
    assert sum(importances.values()) == pytest.approx(1)


def test_no_deviation_gives_no_detail_and_far_ones_are_cut():
    x, y, classes = made_up()
    model = LinearDetail(2, [13, 23]).fit(x, y, classes)
    still = x.copy()
    still[:, :2] = 0
    assert (model.predict(still, classes) == 0).all()
    far, limit = x[:1].copy(), x[:1].copy()
    far[0, 0], limit[0, 0] = 1e6, REACH * np.abs(x[:, 0]).max()
    assert model.predict(far, classes[:1]) == pytest.approx(model.predict(limit, classes[:1]), rel=1e-5)


def test_a_row_does_not_depend_on_the_others_and_an_unknown_class_is_shared():
    x, y, classes = made_up()
    model = LinearDetail(2, [13, 23]).fit(x, y, classes)
    whole = model.predict(x, classes)
    for rows in (slice(0, 1), slice(17, 24), slice(1999, 2050)):
        np.testing.assert_array_equal(model.predict(x[rows], classes[rows]), whole[rows])
    shared = model.predict(x, np.full(len(x), 34))
    plain = LinearDetail.from_arrays(model.to_arrays() | {"coefficients": model.coefficients[:, :5]}, 2, [])
    np.testing.assert_allclose(shared, plain.predict(x, classes), rtol=1e-12)


def test_linear_arrays_that_do_not_fit_are_refused():
    x, y, classes = made_up(400)
    arrays = LinearDetail(2, [13, 23]).fit(x, y, classes).to_arrays()
    assert set(arrays) == set(ARRAYS)
    restored = LinearDetail.from_arrays(arrays, 2, [13, 23])
    np.testing.assert_array_equal(
        restored.predict(x, classes), LinearDetail.from_arrays(arrays, 2, [13, 23]).predict(x, classes)
    )
    wrong = [arrays | {"limit": np.full(2, np.nan)}, arrays | {"width": np.ones(3)}, {"centre": np.ones(2)}]
    for one in wrong:
        with pytest.raises(InvalidModelFile):
            LinearDetail.from_arrays(one, 2, [13, 23])
    with pytest.raises(InvalidModelFile):
        LinearDetail.from_arrays(arrays, 2, [13])
    with pytest.raises(NoUsableData):
        LinearDetail(2).fit(x[:5], y[:5], classes[:5])


def test_trees_add_what_is_not_linear():
    pytest.importorskip("xgboost")
    random = np.random.default_rng(8)
    x = random.normal(size=(3000, 7)).astype(np.float32)
    y = (x[:, 0] + 1.5 * np.abs(x[:, 1]) - 1.2).astype(np.float32)
    classes, train = np.zeros(3000, int), np.arange(3000) < 2000
    model = DetailModel(LinearDetail(2), TreeEnsemble(threads=1)).fit(x[train], y[train], classes[train])
    parts = model.parts(x[~train], classes[~train])
    found = detail_weights(y[~train], parts, classes[~train], np.arange(1000) // 25)
    assert found.shares[1] > 0.5
    whole = model.predict(x[~train], classes[~train], found.shares)
    np.testing.assert_allclose(whole, parts @ found.shares, rtol=1e-6)
    alone = model.predict(x[~train], classes[~train], [1.0, 0.0])
    assert ((y[~train] - whole) ** 2).mean() < 0.3 * ((y[~train] - alone) ** 2).mean()


def test_held_out_estimates_have_not_seen_their_fold():
    y, folds = np.array([1.0, 1.0, 4.0, 10.0]), np.array([0, 0, 1, -1])
    told = []
    result = held_out_estimates(lambda train, test: np.full(test.sum(), y[train].mean()), folds, told.append)
    np.testing.assert_allclose(result, [7, 7, 4, np.nan])
    assert told == [0.5, 1.0]


def weights_of(estimate_of, n=4000, groups=40):
    random = np.random.default_rng(0)
    actual = random.normal(size=n)
    classes, group = np.repeat([13, 23], n // 2), np.arange(n) * groups // n
    return detail_weights(actual, estimate_of(actual, random)[:, None], classes, group)


def test_weight_is_the_slope_and_lies_between_0_and_1():
    assert weights_of(lambda actual, _: actual).pooled == pytest.approx(1)
    double = weights_of(lambda actual, _: 4 * actual)
    assert double.shares[0] * double.pooled == pytest.approx(0.25)
    half = weights_of(lambda actual, _: 0.5 * actual)
    assert half.shares[0] * half.of_class[13] == 1  # never above 1


def test_jackknife_error_is_that_of_the_slope():
    random = np.random.default_rng(1)
    errors, slopes = [], []
    for _ in range(200):
        detail, blocks = random.normal(size=600), np.repeat(np.arange(30), 20)
        actual = 0.5 * detail + random.normal(size=600)
        slope, error = slope_and_error(actual, detail, blocks)
        slopes.append(slope)
        errors.append(error)
    assert np.mean(errors) == pytest.approx(np.std(slopes), rel=0.15)
    assert slope_and_error(actual, detail, blocks % 2) == (0.0, np.inf)


def test_no_skill_no_weight():
    against = weights_of(lambda actual, _: -actual)
    assert (against.pooled, against.of_class) == (0.0, {13: 0.0, 23: 0.0})
    # noise that is shared within blocks: without blocks it would pass for skill now and then
    random, dropped = np.random.default_rng(4), 0
    blocks = np.repeat(np.arange(40), 50)
    for _ in range(50):
        common = random.normal(size=(2, 40))[:, blocks]
        dropped += detail_weights(common[0], common[1][:, None], blocks * 0, blocks).pooled == 0
    assert dropped >= 45
    few = detail_weights(common[0], common[0][:, None], blocks * 0, blocks % 2)
    assert few.pooled == 0


def test_a_class_without_skill_gets_nothing_from_the_pool():
    def estimate(actual, random):
        half = actual.size // 2
        return np.concatenate([actual[:half], random.normal(size=half)])

    result = weights_of(estimate)
    assert result.of_class[13] * result.shares[0] > 0.9 * result.shares[0]
    assert result.of_class[23] < 0.05 < result.pooled


def test_a_class_of_a_few_blocks_leans_on_the_pool_with_caution():
    random = np.random.default_rng(5)
    classes = np.where(np.arange(4000) < 3900, 13, 23)
    detail, blocks = random.normal(size=4000), np.arange(4000) // 100
    actual = 0.8 * detail + random.normal(size=4000)
    result = detail_weights(actual, detail[:, None], classes, blocks)
    assert 0.4 < result.of_class[23] < result.of_class[13] - 0.1


def test_shares_choose_the_part_that_helps():
    random = np.random.default_rng(5)
    blocks = np.repeat(np.arange(30), 40)
    parts = random.normal(size=(1200, 2))
    parts[:7] = np.nan
    found = detail_weights(parts[:, 0] + 0.2 * random.normal(size=1200), parts, blocks * 0, blocks)
    assert found.shares[0] > 0.95
    assert found.shares[1] < 0.03

"""The deviation recipe: known answers of its pieces, and a small twin whose fine truth is known."""

import numpy as np
import pytest

from gwsa_qgis.errors import InvalidParameter, NoUsableData
from gwsa_qgis.science.closure import Closure, cell_support
from gwsa_qgis.science.detail_models import DetailModel, detail_weight, held_out_parts
from gwsa_qgis.science.deviations import (
    CoarserScale,
    calendar_terms,
    detail_samples,
    feature_names,
    window_features,
)
from gwsa_qgis.science.linear_detail import LinearDetail
from gwsa_qgis.science.supports import block_groups, blocked_folds, group_labels, support_means

CELLS, FACTOR, MONTHS = 18, 4, 12
SIZE = CELLS * FACTOR


def power_law_field(rng, slope):
    k = np.fft.fftfreq(SIZE)[:, None] ** 2 + np.fft.rfftfreq(SIZE)[None] ** 2
    k[0, 0] = 1
    spectrum = (rng.normal(size=k.shape) + 1j * rng.normal(size=k.shape)) * k ** (-slope / 4)
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum, (SIZE, SIZE))
    return (field - field.mean()) / field.std()


def test_deviation_is_the_mean_of_value_minus_the_groups_spline():
    rng = np.random.default_rng(0)
    support, weights = cell_support(9, 12, 4), rng.uniform(0.5, 1, (36, 48))
    weights[:7, :9] = 0
    groups = block_groups(9, 12, 3)
    scale = CoarserScale(support, weights, groups, knot_spacing=12)
    values = rng.normal(size=(2, 108))
    values[1, 40] = np.nan
    cells, blocks = (
        Closure(support, weights, knot_spacing=4),
        Closure(group_labels(support, groups), weights, knot_spacing=12),
    )
    present = cells.present
    for month in range(2):
        known = np.isfinite(values[month]) & present
        area = np.where(known, cells.total_weight, 0)
        mean = np.bincount(groups - 1, np.nan_to_num(values[month]) * area) / np.bincount(groups - 1, area)
        expected = values[month] - cells.means(blocks.spread(mean))
        found = scale.deviations(values)[month]
        np.testing.assert_allclose(found[known], expected[known], atol=1e-9)
        assert np.isnan(found[~known]).all()


def test_deviations_of_a_constant_are_none_and_of_groups_average_out():
    support, groups = cell_support(9, 9, 2), block_groups(9, 9, 3)
    scale = CoarserScale(support, np.ones((18, 18)), groups)
    assert np.abs(scale.deviations(np.full((1, 81), 5.0))).max() < 1e-9
    deviations = scale.deviations(np.random.default_rng(1).normal(size=(1, 81)))[0]
    assert np.abs(np.bincount(groups - 1, deviations)).max() < 1e-9


def test_samples_are_laid_out_as_their_names_say():
    support, groups = cell_support(6, 6, 2), block_groups(6, 6, 3)
    scale = CoarserScale(support, np.ones((12, 12)), groups)
    rng = np.random.default_rng(2)
    levels, target = rng.normal(size=(2, 3, 36)), rng.normal(size=(3, 36))
    target[1] = np.nan
    target[0, 7] = np.nan
    months = np.arange("2009-12", "2010-03", dtype="datetime64[M]")
    samples = detail_samples([scale, scale], levels, target, months)
    names = feature_names(["rain", "soil"])
    assert names[:4] == ["rain_deviation", "soil_deviation", "rain", "soil"]
    assert samples.x.shape == (2 * (35 + 36), len(names)) and samples.x.dtype == np.float32
    row = np.flatnonzero((samples.month == 2) & (samples.support == 11))
    assert samples.scale[row].tolist() == [0, 1]
    assert samples.chosen(row).y.tolist() == samples.y[row].tolist()
    expected = [*(scale.deviations(level)[2, 11] for level in levels), *levels[:, 2, 11], *calendar_terms(months)[2]]
    np.testing.assert_allclose(samples.x[row[0]], expected, rtol=1e-6)
    assert samples.y[row[1]] == pytest.approx(scale.deviations(target)[2, 11], rel=1e-6)
    np.testing.assert_allclose(calendar_terms(months)[:, 2], [-1 / 120, 0, 1 / 120])
    np.testing.assert_allclose(calendar_terms(months)[0, :2], [0, 1], atol=1e-12)
    fine = window_features(np.full((2, 3, 4), 5.0), np.full((2, 3, 4), 3.0), calendar_terms(months)[1])
    assert fine.shape == (12, len(names))
    np.testing.assert_allclose(fine[0, :4], [2, 2, 5, 5])


def test_linear_detail_finds_the_coefficients_it_was_given():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(4000, 2 * 2 + 3))
    standard = (x[:, 2] - x[:, 2].mean()) / x[:, 2].std()
    y = 2 * x[:, 0] - 0.7 * x[:, 1] * x[:, 4] + 0.5 * x[:, 0] * np.tanh(standard)
    model = LinearDetail(2, ridge=1e-9).fit(x, y)
    np.testing.assert_allclose(model.predict(x), y, atol=1e-5)
    restored = LinearDetail.from_arrays(model.to_arrays())
    np.testing.assert_array_equal(restored.predict(x), model.predict(x))
    still = x.copy()
    still[:, :2] = 0
    assert (model.predict(still) == 0).all()
    still[:, :2] = np.nan
    assert (model.predict(still) == 0).all()


def test_weight_of_good_half_and_no_skill():
    rng = np.random.default_rng(4)
    blocks = np.repeat(np.arange(40), 50)
    detail = rng.normal(size=2000)
    good = detail_weight(detail + 0.1 * rng.normal(size=2000), detail, blocks)
    assert good.weights[0] > 0.98 and good.r2 > 0.98 and good.blocks == 40
    half = detail_weight(0.5 * detail + 0.3 * rng.normal(size=2000), detail, blocks)
    assert 0.45 < half.weights[0] < 0.52 and half.slope == pytest.approx(1, abs=1e-9)
    # noise that is shared within blocks: without blocks it would pass for skill now and then
    dropped = 0
    for _ in range(50):
        common = rng.normal(size=(2, 40))[:, blocks]
        dropped += detail_weight(common[0], common[1], blocks, caution=2.0).weights[0] == 0
    assert dropped >= 40
    against = detail_weight(-detail, detail, blocks)
    assert against.weights[0] == 0 and against.r2 == 0
    assert detail_weight(detail, detail, blocks % 2).weights[0] == 0


def test_weights_choose_the_part_that_helps():
    rng = np.random.default_rng(5)
    blocks = np.repeat(np.arange(30), 40)
    parts = rng.normal(size=(1200, 2))
    parts[:7] = np.nan
    found = detail_weight(parts[:, 0] + 0.2 * rng.normal(size=1200), parts, blocks)
    assert found.weights[0] > 0.95 and found.weights[1] < 0.03


def test_no_support_sees_its_own_fold():
    rng = np.random.default_rng(6)
    groups = block_groups(6, 6, 2)
    support = cell_support(6, 6, 2)
    months = np.arange("2010-01", "2010-04", dtype="datetime64[M]")
    scale = CoarserScale(support, np.ones((12, 12)), groups)
    samples = detail_samples([scale], rng.normal(size=(1, 3, 36)), rng.normal(size=(3, 36)), months)
    folds = blocked_folds(groups, 3)

    def remember(x, y):
        return {tuple(row) for row in x}

    def seen(model, x):
        return np.array([tuple(row) in model for row in x], float)

    told = []
    found = held_out_parts(samples, folds, lambda: DetailModel(1, remember, seen, linear=False), told.append)
    assert found.shape == (108, 1) and (found == 0).all() and told[-1] == 1
    with pytest.raises(NoUsableData):
        held_out_parts(samples, np.zeros(36, int), lambda: DetailModel(1))
    with pytest.raises(InvalidParameter):
        DetailModel(1, linear=False)


def downscale(signal, seed, learner):
    """Fine RMSE of the histospline and of the recipe in a region whose predictors explain `signal` of the truth."""
    rng = np.random.default_rng(seed)
    months = np.arange("2010-01", "2011-01", dtype="datetime64[M]")
    calendar = calendar_terms(months)
    static, rain = power_law_field(rng, 2.2), np.stack([power_law_field(rng, 2.6) for _ in months])
    irrigated = static > 0.8
    own = np.stack([power_law_field(rng, 2.8) for _ in months])
    explained = rain + 0.5 * np.tanh(static) * calendar[:, 0, None, None] - irrigated * 8 * calendar[:, 2, None, None]
    truth = signal * explained + 0.5 * own
    fine = [rain, np.broadcast_to(static, rain.shape)]
    support, area = cell_support(CELLS, CELLS, FACTOR), np.ones((SIZE, SIZE))
    closure = Closure(support, area, knot_spacing=FACTOR)
    target = closure.means(truth)
    levels = np.stack([support_means(p, support, area, closure.n_supports) for p in fine])
    groups = {ratio: block_groups(CELLS, CELLS, ratio) for ratio in (2, 3)}
    scales = [CoarserScale(support, area, g, knot_spacing=r * FACTOR) for r, g in groups.items()]
    samples = detail_samples(scales, levels, target, months)

    def make():
        return DetailModel(2, *learner)

    held_out = held_out_parts(samples, blocked_folds(groups[3], 4, seed), make)
    finest = samples.scale == 0
    trust = detail_weight(samples.y[finest], held_out[finest], groups[3][samples.support[finest]])
    model = make().fit(samples.x, samples.y)
    around = [closure.solve(level) for level in levels]
    detail = np.empty_like(truth)
    for month, terms in enumerate(calendar):
        splines = np.stack([closure.evaluate(a)[month] for a in around])
        inputs = window_features(np.stack([p[month] for p in fine]), splines, terms)
        detail[month] = (model.parts(inputs) @ trust.weights).reshape(SIZE, SIZE)
    estimate = closure.close(detail, target)
    assert np.abs(closure.means(estimate) - target).max() < 1e-10
    error = {name: np.sqrt(((e - truth) ** 2).mean()) for name, e in (("h", closure.spread(target)), ("r", estimate))}
    return error["r"] / error["h"], trust


def boosted():
    xgboost = pytest.importorskip("xgboost")

    def fit(x, y):
        options = {"n_estimators": 60, "max_depth": 4, "learning_rate": 0.15, "n_jobs": 1, "min_child_weight": 8}
        return xgboost.XGBRegressor(**options).fit(x, y)

    return fit, lambda model, x: model.predict(x)


@pytest.mark.parametrize("seed", [0, 1])
def test_recipe_beats_the_histospline_where_predictors_explain_and_does_no_harm_where_not(seed):
    ratio, trust = downscale(1.0, seed, boosted())
    assert ratio < 0.8 and trust.r2 > 0.5
    ratio, trust = downscale(0.0, seed, boosted())
    assert ratio < 1.01 and trust.r2 < 0.05


def test_linear_part_alone_works_without_any_learner():
    ratio, trust = downscale(1.0, 0, (None, None))
    assert ratio < 0.85 and trust.weights.shape == (1,)

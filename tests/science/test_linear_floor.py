"""The linear floor against numpy's least squares and scikit-learn's ridge."""

import numpy as np
import pytest

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.science.learners import LinearFloor
from gwsa_qgis.science.linear_floor import Moments


@pytest.fixture(scope="module")
def samples():
    random = np.random.default_rng(8)
    x = random.normal([0, 1e4, -3, 0], [1, 5, 1e-3, 1], size=(3000, 4)).astype(np.float32)
    y = (3 * x[:, 0] + 0.2 * (x[:, 1] - 1e4) + 500 * (x[:, 2] + 3) + random.normal(size=3000) - 80).astype(np.float32)
    return x, y


def test_without_penalty_it_is_least_squares(samples):
    x, y = samples
    model = LinearFloor({"penalty": 0}).fit(x, y)
    centred = x.astype(np.float64) - x.mean(0, dtype=np.float64)
    table = np.column_stack([centred, np.ones(len(y))])
    solution = np.linalg.lstsq(table, y.astype(np.float64), rcond=None)[0]
    np.testing.assert_allclose(model.predict(x), table @ solution, atol=1e-5)
    np.testing.assert_allclose(model.coefficients / model.scale, solution[:4], rtol=1e-6)


@pytest.mark.parametrize("penalty", [1e-3, 0.5, 30.0])
def test_ridge_is_that_of_scikit_learn(samples, penalty):
    ridge = pytest.importorskip("sklearn.linear_model").Ridge
    x, y = samples
    model = LinearFloor({"penalty": penalty}).fit(x, y)
    table = x.astype(np.float64)
    table = (table - table.mean(0)) / table.std(0)
    other = ridge(alpha=penalty * len(y)).fit(table, y.astype(np.float64))
    np.testing.assert_allclose(model.coefficients, other.coef_, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(model.predict(x), other.predict(table), atol=1e-5)


def test_moments_of_some_are_those_of_all_without_the_others(samples):
    x, y = samples
    whole, part, rest = (Moments.about(x, y) for _ in range(3))
    whole.add(x, y)
    part.add(x[:1000], y[:1000])
    rest.add(x[1000:], y[1000:])
    left = whole.without(part)
    assert left.count == 2000
    for found, expected in zip(left.ridge(0.01), rest.ridge(0.01), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    centre, scale, coefficients = rest.ridge(0.01)
    estimate = centre[-1] + (x[:1000] - centre[:-1]) @ (coefficients / scale)
    expected = 1 - ((y[:1000] - estimate) ** 2).sum() / ((y[:1000] - y[:1000].mean(dtype=np.float64)) ** 2).sum()
    assert part.r2(centre, coefficients / scale) == pytest.approx(expected, abs=1e-7)


def test_importances_and_contributions(samples):
    x, y = samples
    model = LinearFloor().fit(x, y)
    effect = np.abs([3 * 1, 0.2 * 5, 500 * 1e-3, 0])
    shares, contributions = model.importances(list("abcd")), model.contributions(x, list("abcd"))
    assert [shares[n] for n in "abcd"] == pytest.approx((effect**2 / (effect**2).sum()).tolist(), abs=0.01)
    assert [contributions[n] for n in "abcd"] == pytest.approx((effect / effect.sum()).tolist(), abs=0.02)


@pytest.mark.parametrize("penalty", [-1, "much", float("nan"), float("inf")])
def test_wrong_penalties(penalty):
    with pytest.raises(InvalidParameter, match="penalty of the linear learner"):
        LinearFloor({"penalty": penalty})

"""The network: trained as scikit-learn would, estimated by itself, the same wherever a row stands."""

import numpy as np
import pytest

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.science import network_fit
from gwsa_qgis.science.learners import NeuralNetwork
from gwsa_qgis.science.network_fit import Scaling, survey
from gwsa_qgis.science.network_layers import Layers

sklearn = pytest.importorskip("sklearn")
SMALL = {"layers": 3, "units": 40, "learning_rate": 0.003, "epochs": 6}


@pytest.fixture(scope="module")
def samples():
    random = np.random.default_rng(3)
    x = random.gamma(2, [1, 10, 100, 0.1, 5], size=(5000, 5)).astype(np.float32)
    y = (np.log1p(x[:, 1]) * x[:, 0] - 0.02 * x[:, 2] + 40).astype(np.float32)
    return x, y


@pytest.fixture(scope="module")
def machines(samples):
    """The network and the scikit-learn machine that trained it."""
    from sklearn.neural_network import MLPRegressor

    kept = []

    class Kept(MLPRegressor):
        def partial_fit(self, x, y):
            if not kept:
                kept.append(self)
            return super().partial_fit(x, y)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sklearn.neural_network.MLPRegressor", Kept)
        # Patience enough and no look back, so that the last weights are those that are kept.
        patch.setattr(network_fit, "IMPROVEMENT", -np.inf)
        network = NeuralNetwork(SMALL, seed=1).fit(*samples)
    return network, kept[0]


def test_estimates_are_those_of_scikit_learn(samples, machines):
    from sklearn.preprocessing import RobustScaler

    x, y = samples
    network, machine = machines
    inputs, target = RobustScaler().fit(x), RobustScaler().fit(y[:, None])
    expected = target.inverse_transform(machine.predict(inputs.transform(x))[:, None])[:, 0]
    np.testing.assert_allclose(network.predict(x), expected, atol=2e-4 * y.std())
    assert network.epochs == 6
    assert machine.hidden_layer_sizes == [40, 40, 40]
    assert (machine.solver, machine.activation, machine.coefs_[0].dtype) == ("adam", "relu", np.float32)


def test_scaling_is_robust_and_never_divides_by_zero():
    random = np.random.default_rng(0)
    values = random.normal(size=(1001, 5)).astype(np.float32)
    values[:, 1] = 4.0
    values[:, 2] = np.where(np.arange(1001) < 100, values[:, 2], 0)  # more than half zeros: no interquartile range
    values[:3, 3] = 1e6
    scaling = Scaling.of(values, values[:, :4].min(0), values[:, :4].max(0))
    lower, middle, upper = np.quantile(values, [0.25, 0.5, 0.75], axis=0)
    np.testing.assert_allclose(scaling.centre, middle, rtol=1e-6)
    np.testing.assert_allclose(scaling.width[[0, 3, 4]], (upper - lower)[[0, 3, 4]], rtol=1e-6)
    assert scaling.width[1] == 1
    assert scaling.width[2] == pytest.approx(values[:, 2].std(), rel=1e-5)
    y = values[:, 4]
    np.testing.assert_allclose(scaling.unscaled(scaling.target(y)), y, atol=1e-6)


def test_a_tenth_is_held_out_whatever_the_batches(samples, monkeypatch):
    x, y = samples
    found = survey(x, y, 5, lambda share: None)
    assert (found.count, found.held_out) == (5000, 500)
    seen = list(network_fit._shuffled(x, y, found, 5, np.random.default_rng(0), 32))
    rows = np.concatenate([part for part, _ in seen])
    assert 4500 - 32 < len(rows) <= 4500
    held = {row.tobytes() for row in found.x[:500]}
    assert not held & {row.tobytes() for row in found.scaling.inputs(rows)}
    assert len({row.tobytes() for row in rows}) == len(rows)
    monkeypatch.setattr(network_fit, "ROWS_SHUFFLED", 700)
    again = np.concatenate([part for part, _ in network_fit._shuffled(x, y, found, 5, np.random.default_rng(0), 32)])
    assert 4500 - 32 < len(again) <= 4500
    assert {row.tobytes() for row in again} | {row.tobytes() for row in rows} <= {row.tobytes() for row in x}
    assert len({row.tobytes() for row in again}) == len(again)
    assert not held & {row.tobytes() for row in found.scaling.inputs(again)}


def test_training_stops_when_the_held_out_error_no_longer_falls(samples):
    random = np.random.default_rng(0)
    noise = random.normal(size=len(samples[1])).astype(np.float32)
    shares = []
    network = NeuralNetwork({**SMALL, "epochs": 500, "patience": 3}, seed=1).fit(samples[0], noise, shares.append)
    assert network.epochs < 30
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert np.corrcoef(network.predict(samples[0]), noise)[0, 1] < 0.5


def test_inputs_beyond_the_range_are_taken_at_its_edge(samples, machines):
    x, network = samples[0], machines[0]
    far = np.array([x.max(0) * 50, x.min(0) - 1000], np.float32)
    np.testing.assert_array_equal(network.predict(far), network.predict(np.array([x.max(0), x.min(0)])))


def test_rows_that_lack_an_input_have_no_estimate(samples, machines):
    x = samples[0][:100].copy()
    x[7, 2] = np.nan
    values = machines[0].predict(x)
    assert np.isnan(values[7])
    assert np.isfinite(np.delete(values, 7)).all()


@pytest.mark.parametrize("units", [16, 131, 768])
def test_sums_are_exact_in_any_order(units):
    """Each dot product is an exact number: equal to that of whole numbers without end, and so to any order of sums."""
    from fractions import Fraction

    random = np.random.default_rng(units)
    layers = Layers([random.normal(size=(units, 3)).astype(np.float32)], [np.zeros(3, np.float32)])
    x = random.normal(size=(40, units)).astype(np.float32)
    layers.settle(x)
    estimate = layers.estimate(x)
    top, bits = 2.0 ** np.log2(layers.tops[0]), 53 - 21 - int(np.ceil(np.log2(units)))
    rounded = np.rint(x.astype(np.float64) / (top * 2.0**-bits)) * top * 2.0**-bits
    weights = layers.weights[0][:, 0]
    for row in range(3):
        exact = sum(Fraction(float(a)) * Fraction(float(b)) for a, b in zip(rounded[row], weights, strict=True))
        assert Fraction(float(estimate[row])) == exact
    np.testing.assert_allclose(estimate, x.astype(np.float64) @ weights, atol=1e-5 * np.sqrt(units))


def test_importances_are_the_growth_of_the_error(samples, machines):
    x, y = samples
    shares = machines[0].importances(list("abcde"))
    random, growth = np.random.default_rng(9), np.zeros(5)
    for column in range(5):
        changed = x.copy()
        changed[:, column] = random.permutation(x[:, column])
        growth[column] = np.mean((machines[0].predict(changed) - y) ** 2) - np.mean((machines[0].predict(x) - y) ** 2)
    expected = np.maximum(growth, 0) / np.maximum(growth, 0).sum()
    assert [shares[name] for name in "abcde"] == pytest.approx(expected.tolist(), abs=0.03)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"layers": 0}, "layers is 0"),
        ({"layers": 2.5}, "layers is 2.5"),
        ({"units": True}, "units is True"),
        ({"learning_rate": -1}, "learning_rate is -1"),
        ({"alpha": float("nan")}, "alpha is nan"),
    ],
)
def test_wrong_parameters(changes, match):
    with pytest.raises(InvalidParameter, match=match):
        NeuralNetwork(changes)

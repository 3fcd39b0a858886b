"""Training of a network: scaling, held-out samples and epochs over batches; scikit-learn's MLPRegressor does the steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gwsa_qgis.errors import NoUsableData
from gwsa_qgis.science.blas import one_blas_thread
from gwsa_qgis.science.learning import (
    BatchSource,
    Progress,
    batches,
    import_package,
    require_finite,
    require_samples,
)
from gwsa_qgis.science.network_layers import Layers

# Medians, held-out samples and importances are taken from at most so many random samples.
MOST_SURVEYED = 200_000
MOST_HELD_OUT = 50_000
HELD_OUT_SHARE = 0.1
# Samples are shuffled among so many at a time, twice over, since half of them stay for the next round.
ROWS_SHUFFLED = 2**20
STEPS_AT_ONCE = 32
SMALLEST_BATCH, LARGEST_BATCH = 32, 2048
# An epoch counts as better when the held-out error falls by at least this share.
IMPROVEMENT = 1e-4


@dataclass(frozen=True)
class Scaling:
    """Medians and widths of inputs and target (the target last), and the range of the inputs, all float32.

    Widths are interquartile ranges; standard deviations where those are 0, and 1 where there is no variation.
    """

    centre: np.ndarray
    width: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, low: np.ndarray, high: np.ndarray) -> Scaling:
        """Scaling of a table (n_samples, n_inputs + 1) whose last column is the target."""
        lower, centre, upper = np.percentile(values, (25, 50, 75), axis=0)
        spread = values.std(0, dtype=np.float64)
        width = np.where(upper > lower, upper - lower, np.where(spread > 0, spread, 1.0))
        width = np.maximum(width, np.finfo(np.float32).tiny)
        return cls(*(np.asarray(a, np.float32) for a in (centre, width, low, high)))

    def inputs(self, x: np.ndarray) -> np.ndarray:
        """Scaled inputs, held to the range in which they were seen: like trees, a network knows nothing beyond it."""
        return (np.clip(x, self.low, self.high) - self.centre[:-1]) / self.width[:-1]

    def target(self, y: np.ndarray) -> np.ndarray:
        """Scaled target."""
        return (y - self.centre[-1]) / self.width[-1]

    def unscaled(self, estimate: np.ndarray) -> np.ndarray:
        """Estimates in the target's unit."""
        return estimate * self.width[-1] + self.centre[-1]


@dataclass(frozen=True)
class Survey:
    """What a first pass over the samples finds.

    Attributes
    ----------
    count : int
    scaling : Scaling
    x, y : ndarray
        At most `MOST_SURVEYED` random samples, scaled; the first `held_out` of them are not trained on.
    held_out : int
    threshold : float
        Samples whose random key is not above it are held out.
    """

    count: int
    scaling: Scaling
    x: np.ndarray
    y: np.ndarray
    held_out: int
    threshold: float


def _keys(seed: int) -> np.random.Generator:
    """Gives each sample, in their order, the same random key on every pass."""
    return np.random.default_rng([seed, 11])


def survey(x: np.ndarray | BatchSource, y: np.ndarray | None, seed: int, tell: Progress) -> Survey:
    """Pass over the samples once: count, range, and a random choice of them."""
    generator, count = _keys(seed), 0
    low = high = kept = keys = None
    for own_x, own_y in batches(x, y):
        require_finite(own_x, own_y)
        values, own_keys = np.column_stack([own_x, own_y]), generator.random(own_y.size)
        if kept is None:
            low, high, kept, keys = own_x.min(0), own_x.max(0), values, own_keys
        else:
            low, high = np.minimum(low, own_x.min(0)), np.maximum(high, own_x.max(0))
            kept, keys = np.concatenate([kept, values]), np.concatenate([keys, own_keys])
        if keys.size > MOST_SURVEYED:
            chosen = np.argpartition(keys, MOST_SURVEYED)[:MOST_SURVEYED]
            kept, keys = kept[chosen], keys[chosen]
        count += own_y.size
        tell(0.0)
    require_samples(count)
    order = np.argsort(keys)
    kept, keys = kept[order], keys[order]
    scaling = Scaling.of(kept, low, high)
    held_out = int(min(max(2, HELD_OUT_SHARE * count), MOST_HELD_OUT))
    return Survey(
        count, scaling, scaling.inputs(kept[:, :-1]), scaling.target(kept[:, -1]), held_out, float(keys[held_out - 1])
    )


def train(
    x: np.ndarray | BatchSource, y: np.ndarray | None, parameters: dict, seed: int, tell: Progress
) -> tuple[Layers, Survey, int]:
    """Fit the layers by Adam (Kingma & Ba 2015, arXiv 1412.6980) on squared errors, stopping early.

    Returns
    -------
    layers : Layers
        Those with the least error on held-out samples.
    found : Survey
    epochs : int
        Passes after which they were had.
    """
    network = import_package("sklearn.neural_network", "scikit-learn")
    found = survey(x, y, seed, tell)
    trained = found.count - found.held_out
    size = min(2 ** int(np.log2(np.clip(trained / 100, SMALLEST_BATCH, LARGEST_BATCH))), trained)
    machine = network.MLPRegressor(
        hidden_layer_sizes=[parameters["units"]] * parameters["layers"],
        learning_rate_init=parameters["learning_rate"],
        alpha=parameters["alpha"],
        batch_size=size,
        shuffle=False,
        random_state=seed % 2**32,
    )
    # Threads of the linear algebra would round sums in another order.
    with one_blas_thread():
        layers, epochs = _epochs(machine, x, y, parameters, seed, found, tell)
        layers.settle(found.x)
    return layers, found, epochs


def _epochs(
    machine,
    x: np.ndarray | BatchSource,
    y: np.ndarray | None,
    parameters: dict,
    seed: int,
    found: Survey,
    tell: Progress,
) -> tuple[Layers, int]:
    """Pass over the samples until the held-out error has not fallen for `patience` passes."""
    most, best, layers, best_epoch = int(parameters["epochs"]), np.inf, None, 0
    random = np.random.default_rng([seed, 12])
    held_x, held_y = found.x[: found.held_out], found.y[: found.held_out].astype(np.float64)
    for epoch in range(1, most + 1):
        done = 0
        try:
            for part_x, part_y in _shuffled(x, y, found, seed, random, machine.batch_size):
                machine.partial_fit(found.scaling.inputs(part_x), found.scaling.target(part_y))
                done += part_y.size
                tell((epoch - 1 + min(done / found.count, 1.0)) / most)
        except ValueError as error:
            if "non-finite" not in str(error):
                raise
            break
        now = Layers(machine.coefs_, machine.intercepts_)
        error = float(np.mean((now.forward(held_x) - held_y) ** 2))
        if error < best * (1 - IMPROVEMENT):
            best, layers, best_epoch = error, now.copy(), epoch
        elif epoch - best_epoch >= parameters["patience"]:
            break
    if layers is None:
        raise NoUsableData("the network did not settle on these samples", "give a smaller learning rate")
    return layers, best_epoch


def _shuffled(
    x: np.ndarray | BatchSource, y: np.ndarray | None, found: Survey, seed: int, random: np.random.Generator, size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Give the samples that are not held out in random order, in tables of whole batches of `size`."""
    keys, left, rest_x, rest_y = _keys(seed), found.count, None, None
    for own_x, own_y in batches(x, y, ROWS_SHUFFLED):
        left -= own_y.size
        used = keys.random(own_y.size) > found.threshold
        own_x, own_y = own_x[used], own_y[used]
        if rest_x is not None:
            own_x, own_y = np.concatenate([rest_x, own_x]), np.concatenate([rest_y, own_y])
        order = random.permutation(own_y.size)
        ready = order.size if not left else order.size // 2
        ready -= ready % size
        for start in range(0, ready, STEPS_AT_ONCE * size):
            rows = order[start : min(start + STEPS_AT_ONCE * size, ready)]
            yield own_x[rows], own_y[rows]
        rest_x, rest_y = own_x[order[ready:]], own_y[order[ready:]]

"""The penalty chosen on held-out blocks."""

import numpy as np
import pytest

from gwsa_qgis.errors import Cancelled
from gwsa_qgis.science.linear_detail import RIDGE, LinearDetail
from gwsa_qgis.science.ridge_choice import RIDGES, choose_ridge


def made_up(noise, n_blocks=30, in_block=40, n=3, seed=0):
    random = np.random.default_rng(seed)
    size = n_blocks * in_block
    x = random.normal(size=(size, 2 * n + 3)).astype(np.float32)
    y = 2 * x[:, 0] - x[:, 1] + noise * np.repeat(random.normal(size=n_blocks), in_block) * x[:, 2]
    y = (y + noise * random.normal(size=size)).astype(np.float32)
    blocks = np.repeat(np.arange(1, n_blocks + 1), in_block)
    return x, y, np.zeros(size, int), blocks, (blocks - 1) % 5


def test_a_clear_relation_wants_a_small_penalty_and_noise_a_large_one():
    clear, noisy = made_up(0.01), made_up(60.0)
    assert choose_ridge(3, [], *clear, len(clear[1])) == RIDGES[0]
    assert choose_ridge(3, [], *noisy, len(noisy[1])) == RIDGES[-1]


def test_nothing_to_hold_out_gives_the_default():
    x, y, classes, blocks, folds = made_up(1.0)
    assert choose_ridge(3, [], x, y, classes, blocks, folds * 0, len(y)) == RIDGE


def test_a_path_of_penalties_is_the_same_as_separate_fits():
    x, y, classes, *_ = made_up(1.0)
    classes = classes + np.arange(len(y)) % 2 + 1
    for ridge, model in zip(RIDGES, LinearDetail(3, [1, 2]).path(x, y, classes, RIDGES), strict=True):
        alone = LinearDetail(3, [1, 2], ridge).fit(x, y, classes)
        np.testing.assert_allclose(model.coefficients, alone.coefficients, rtol=1e-12)
        np.testing.assert_array_equal(model.predict(x[:9], classes[:9]), alone.predict(x[:9], classes[:9]))


def test_coefficients_solve_the_penalised_least_squares():
    """Against a stacked least-squares problem, solved by another routine."""
    x, y, classes, *_ = made_up(1.0)
    model = LinearDetail(3, [], 0.3).fit(x, y, classes)
    terms = np.concatenate([d * f for d, f in model._terms(x, classes)]).T
    scale = np.sqrt((terms**2).mean(0))
    penalty = np.sqrt(0.3 * len(y)) * np.eye(terms.shape[1])
    level = np.arange(terms.shape[1]) % 5 == 4  # they and classes are held back more
    penalty[level] *= np.sqrt(8.0)
    found = np.linalg.lstsq(np.vstack([terms / scale, penalty]), np.append(y, np.zeros(len(scale))), rcond=None)[0]
    np.testing.assert_allclose(model.coefficients.ravel(), found / scale, rtol=1e-5, atol=1e-7)


def test_the_choice_tells_how_far_it_is_and_is_cancelled():
    x, y, classes, blocks, folds = made_up(1.0)
    told = []
    chosen = choose_ridge(3, [], x, y, classes, blocks, folds, len(y), told.append)
    assert chosen == choose_ridge(3, [], x, y, classes, blocks, folds, len(y))
    assert told == sorted(told) and told[0] >= 0 and told[-1] == 1

    def cancel(share):
        raise Cancelled

    with pytest.raises(Cancelled):
        choose_ridge(3, [], x, y, classes, blocks, folds, len(y), cancel)

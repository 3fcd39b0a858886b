"""Tracked subspaces against full eigendecompositions, and the filling that rests on them against one without."""

import numpy as np
import pytest

from gwsa_qgis.science import leading_subspace
from gwsa_qgis.science.leading_subspace import GUARD, SubspaceTracker, follow, is_tracked
from gwsa_qgis.science.ssa_core import fill

SIZE = 48


def orthogonal(rng, count, size=SIZE):
    return np.linalg.qr(rng.normal(size=(count, size, size)))[0]


def symmetric(vectors, values):
    return (vectors * values[:, None, :]) @ vectors.transpose(0, 2, 1)


def decaying(count, size=SIZE):
    return np.repeat(100 * 0.85 ** np.arange(size)[None], count, axis=0)


def nudged(rng, matrices, amount):
    noise = rng.normal(size=matrices.shape)
    return matrices + amount * (noise + noise.transpose(0, 2, 1))


def projector(basis):
    return basis @ basis.transpose(0, 2, 1)


def leading_projector(matrices, k):
    vectors = np.linalg.eigh(matrices)[1][:, :, ::-1]
    return projector(vectors[:, :, :k])


@pytest.mark.parametrize("k", [1, 2, 5, 12, 16])
def test_followed_subspaces_are_those_of_the_full_decomposition(k):
    rng = np.random.default_rng(k)
    vectors, values = orthogonal(rng, 20), decaying(20)
    matrices = nudged(rng, symmetric(vectors, values), 0.02)
    found, bases, ritz_vectors = follow(vectors, matrices, np.full(len(matrices), k), k)
    assert found.mean() > 0.8
    np.testing.assert_allclose(projector(bases)[found], leading_projector(matrices, k)[found], rtol=0, atol=1e-11)
    identity = np.broadcast_to(np.eye(k + GUARD), (20, k + GUARD, k + GUARD))
    np.testing.assert_allclose(ritz_vectors.transpose(0, 2, 1) @ ritz_vectors, identity, rtol=0, atol=1e-13)


def test_a_pair_that_changes_order_is_followed():
    # The two vectors around the cut swap places: the right subspace is another one than before.
    rng = np.random.default_rng(1)
    vectors, values = orthogonal(rng, 5), decaying(5)
    values[:, [3, 4]] = [50.0, 50.1]
    matrices = nudged(rng, symmetric(vectors, values), 1e-4)
    found, bases, _ = follow(vectors, matrices, np.full(len(matrices), 4), 4)
    assert found.all()
    np.testing.assert_allclose(projector(bases), leading_projector(matrices, 4), rtol=0, atol=1e-10)
    assert (np.linalg.norm(bases.transpose(0, 2, 1) @ vectors[:, :, 3:4], axis=(1, 2)) < 0.1).all()


def test_a_strong_vector_from_outside_the_ritz_block_is_not_missed():
    # The strongest vector was the last before: an iteration alone would converge to a wrong invariant subspace.
    rng = np.random.default_rng(2)
    vectors, values = orthogonal(rng, 4), decaying(4)
    values[:2, -1] = 200
    matrices = symmetric(vectors, values)
    found, bases, _ = follow(vectors, matrices, np.full(len(matrices), 6), 6)
    np.testing.assert_array_equal(found, [False, False, True, True])
    np.testing.assert_allclose(projector(bases[2:]), leading_projector(matrices[2:], 6), rtol=0, atol=1e-12)


def test_matrices_far_from_before_are_left_to_the_full_decomposition():
    rng = np.random.default_rng(3)
    matrices = symmetric(orthogonal(rng, 6), decaying(6))
    assert not follow(orthogonal(rng, 6), matrices, np.full(6, 5), 8)[0].any()
    assert not follow(orthogonal(rng, 2), np.zeros((2, SIZE, SIZE)), np.full(2, 5), 8)[0].any()


def test_the_tracker_agrees_with_full_decompositions_over_many_steps():
    rng = np.random.default_rng(4)
    count = 12
    tracker = SubspaceTracker(count, SIZE, 12)
    matrices = symmetric(orthogonal(rng, count), decaying(count))
    matrices[0] = 0
    wanted = rng.integers(1, 5, count)
    for step in range(30):
        members = np.flatnonzero(rng.random(count) < 0.8)
        bases = tracker(members, matrices[members], wanted[members], np.full(members.size, step > 0))
        assert bases.shape == (members.size, SIZE, 12)
        for member, basis in zip(members[members > 0], bases[members > 0], strict=True):
            k = wanted[member]
            np.testing.assert_allclose(
                projector(basis[None]), leading_projector(matrices[member : member + 1], k), rtol=0, atol=1e-10
            )
            assert not basis[:, k:].any()
        matrices[1:] = nudged(rng, matrices[1:], 0.01)
        wanted = np.minimum(wanted + (rng.random(count) < 0.2), 12)
    assert tracker.tracked > 2 * tracker.decomposed


def test_bits_do_not_depend_on_what_else_is_in_the_batch(monkeypatch):
    rng = np.random.default_rng(5)
    t = np.arange(168)
    series = rng.normal(size=(30, 168)) + 5 * np.sin(2 * np.pi * t / 12 + rng.uniform(0, 6, (30, 1)))
    gaps = np.array([(t >= 60) & (t < 72), (t >= 12) & (t < 24)])
    gap_of = np.arange(30) % 2
    together = fill(series, gaps, 48, 12, gap_of=gap_of)
    monkeypatch.setattr(leading_subspace, "BLOCK", 5)
    for rows in (np.arange(7), np.arange(7, 30), np.array([29]), np.array([11, 3])):
        apart = fill(series[rows], gaps, 48, 12, gap_of=gap_of[rows])
        np.testing.assert_array_equal(apart.gap_values, together.gap_values[rows])
        np.testing.assert_array_equal(apart.passes, together.passes[rows])


def kinds_of_series(rng, count=8):
    t = np.arange(168)
    phase, amplitude = rng.uniform(0, 6, (count, 1)), rng.uniform(0.2, 10, (count, 1))
    noise = rng.normal(size=(count, t.size))
    season = amplitude * np.sin(2 * np.pi * t / 12 + phase)
    return {
        "trend": noise + season + phase * t / 12,
        "pairs": 0.01 * noise + season + 0.9 * amplitude * np.sin(2 * np.pi * t / 6 + phase),
        "level": noise + season + 30,
        "noise": noise,
        "tiny": 1e-12 * (noise + season),
        "modulated": 0.3 * noise + season * (1 + 0.5 * np.sin(2 * np.pi * t / 60)),
        "step": noise + season + np.where(t > 80, 20, 0),
    }


@pytest.mark.parametrize("kind", kinds_of_series(np.random.default_rng(0)))
@pytest.mark.parametrize(("window", "components"), [(48, 12), (72, 14)])
def test_fills_equal_those_of_full_decompositions(kind, window, components, monkeypatch):
    series = kinds_of_series(np.random.default_rng(6))[kind]
    gap = (np.arange(168) >= 84) & (np.arange(168) < 96)
    run = fill(series, gap, window, components)
    monkeypatch.setattr(leading_subspace, "is_tracked", lambda size, wanted: False)
    expected = fill(series, gap, window, components)
    scale = series.std(axis=1)[:, None, None]
    np.testing.assert_allclose(run.gap_values / scale, expected.gap_values / scale, rtol=0, atol=1e-10)
    np.testing.assert_array_equal(run.passes, expected.passes)
    assert (run.gap_values != expected.gap_values).any()  # the two ways do differ


def test_small_matrices_are_decomposed():
    assert not is_tracked(24, 1)
    assert is_tracked(48, 12) and is_tracked(96, 18)


def test_the_filling_calls_its_tick_in_every_pass():
    calls = []
    t = np.arange(168)
    series = np.random.default_rng(7).normal(size=(3, t.size))
    run = fill(series, t // 12 == 6, 24, 4, tick=lambda: calls.append(None))
    assert len(calls) == run.passes.max()

    class Cancelled(Exception):
        pass

    def cancel():
        raise Cancelled

    with pytest.raises(Cancelled):
        fill(series, t // 12 == 6, 24, 4, tick=cancel)


@pytest.mark.parametrize("level", [10.0, 100.0, 1e3, 1e4])
def test_a_level_far_above_the_variations_does_not_drown_them(level):
    rng = np.random.default_rng(31)
    months = np.arange(168)
    series = (
        np.cumsum(rng.normal(0, 0.3, (3, 168)), axis=1) + rng.normal(size=(3, 168)) + 2 * np.sin(months * np.pi / 6)
    )
    series = level + series / series.std(axis=1, keepdims=True)
    gap = (months >= 60) & (months < 72)
    run = fill(series, gap, 48, 6)
    for row, found in zip(series, run.gap_values, strict=True):
        np.testing.assert_allclose(found, filled_by_singular_values(row, gap, 48, 6), rtol=0, atol=1e-9)


def filled_by_singular_values(values, gap, window, most):
    """The iteration as its authors write it: one singular value decomposition in each pass."""
    values, answers = np.where(gap, 0.0, values), []
    while True:
        left, size, right = np.linalg.svd(np.lib.stride_tricks.sliding_window_view(values, window), full_matrices=False)
        kept = len(answers) + 1
        flipped = ((left[:, :kept] * size[:kept]) @ right[:kept])[:, ::-1]
        rebuilt = np.array([flipped.diagonal(window - 1 - month).mean() for month in range(values.size)])
        before, values = values[gap], np.where(gap, rebuilt, values)
        if np.linalg.norm(before - values[gap]) < 0.01 * np.linalg.norm(before):
            answers.append(values[gap])
            if kept == most:
                return np.array(answers)

"""Selected pair slopes are those of the sorted list of all, to the bit, whatever the series look like."""

import numpy as np
import pytest

from gwsa_qgis.science.pair_slopes import select_pair_slopes
from gwsa_qgis.science.ranks import count_inversions, dense_ranks, tie_sums


def awkward_series(kind, n_series=60, n_months=225):
    rng = np.random.default_rng(len(kind))
    months = np.arange(n_months)
    noise = rng.normal(size=(n_series, n_months))
    return {
        "white": noise,
        "walk": noise.cumsum(axis=1),
        "heavy tails": rng.standard_t(1.2, size=noise.shape),
        "one outlier": np.where(months == 17, 1e7, noise),
        "rounded": np.round(noise.cumsum(axis=1), 0),
        "two values": (noise > 1.5) * 1.0,
        "steep": 1e3 * months + noise,
        "line but for rounding": 0.1 * months + np.zeros_like(noise),
        "far from zero": 1e9 + noise,
        "tiny": noise * 1e-250,
        "huge": noise * 1e250,
        "curved": (months / 20.0) ** 3 + noise,
        "step": np.where(months > 100, 50.0, 0.0) + noise,
        "float32": noise.cumsum(axis=1).astype(np.float32).astype(np.float64),
    }[kind]


KINDS = (
    "white", "walk", "heavy tails", "one outlier", "rounded", "two values", "steep", "line but for rounding",
    "far from zero", "tiny", "huge", "curved", "step", "float32",
)  # fmt: skip


def sorted_slopes(values, times):
    earlier, later = np.triu_indices(values.shape[1], 1)
    return np.sort((values[:, later] - values[:, earlier]) / (times[:, later] - times[:, earlier]), axis=1)


def check(values, times):
    n_pairs = values.shape[1] * (values.shape[1] - 1) // 2
    rng = np.random.default_rng(0)
    fixed = [0, n_pairs - 1, n_pairs // 2, n_pairs // 3, 7 * n_pairs // 8]
    ranks = np.column_stack([np.tile(fixed, (len(values), 1)), rng.integers(0, n_pairs - 1, len(values))])
    ranks = np.column_stack([np.full(len(values), (n_pairs - 1) // 2), ranks])
    spans = [1, 0, 0, 1, 0, 0, 1]
    slopes = sorted_slopes(values, times)
    expected = np.take_along_axis(slopes, ranks, axis=1)
    upper = np.take_along_axis(slopes, ranks + spans, axis=1)
    expected = np.where(np.array(spans) > 0, (expected + upper) / 2, expected)
    np.testing.assert_array_equal(select_pair_slopes(values, times, ranks, spans), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_complete_series(kind):
    values = awkward_series(kind)
    check(values, np.broadcast_to(np.arange(225.0), values.shape))


@pytest.mark.parametrize("n_months", [5, 20, 28, 45, 91])
@pytest.mark.parametrize("kind", KINDS)
def test_short_series(kind, n_months):
    """In blocks of many, whose slopes are counted from 28 months on, and of few, whose slopes are all sorted."""
    for n_series in (600, 7):
        values = awkward_series(kind, n_series, n_months)
        check(values, np.broadcast_to(np.arange(float(n_months)), values.shape))


@pytest.mark.parametrize("kind", KINDS)
def test_series_with_holes(kind):
    values = awkward_series(kind)
    rng = np.random.default_rng(1)
    times = np.sort(np.argsort(rng.random((len(values), 300)), axis=1)[:, :225], axis=1).astype(float)
    check(values, times)


@pytest.mark.parametrize("n_months", [4, 12, 90, 92, 257, 600])
def test_other_lengths(n_months):
    values = awkward_series("walk", 9, n_months)
    check(values, np.broadcast_to(np.arange(float(n_months)), values.shape))


def test_months_far_from_the_start():
    values = awkward_series("white", 5)
    check(values, np.broadcast_to(3000.0 + np.arange(225.0), values.shape))


def test_inversions_are_counted_beyond_a_byte():
    falling = np.arange(700)[::-1, None] * np.ones((1, 3), int)
    falling[:, 1] = np.arange(700)
    falling[:, 2] = 0
    np.testing.assert_array_equal(count_inversions(falling), [700 * 699 // 2, 0, 0])


@pytest.mark.parametrize("n_months", [30, 256, 257])
def test_dense_ranks_and_ties(n_months):
    values = np.round(awkward_series("white", 20, n_months), 1)
    ranks, ordered = dense_ranks(values)
    for y, rank, order in zip(values, ranks, ordered, strict=True):
        np.testing.assert_array_equal(rank, np.unique(y, return_inverse=True)[1])
        np.testing.assert_array_equal(order, np.sort(y))
    counts = [np.unique(y, return_counts=True)[1] for y in values]
    pairs, variance_term = tie_sums(ordered)
    np.testing.assert_array_equal(pairs, [(t * (t - 1) / 2).sum() for t in counts])
    np.testing.assert_array_equal(variance_term, [(t * (t - 1) * (2 * t + 5)).sum() for t in counts])

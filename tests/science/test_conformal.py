"""Conformal intervals: coverage of blocks that had no part in them, and the scale of residuals."""

from __future__ import annotations

import numpy as np
import pytest

from gwsa_qgis.errors import NoUsableData
from gwsa_qgis.science.conformal import Residuals, blocked_quantile, calibrate, fit_scale, nested_coverage


def simulate(seed: int, n_blocks: int = 25, size: int = 200, spread: float = 0.3, **factors: float) -> Residuals:
    """Residuals of exchangeable blocks, whose own width varies by `spread` (of its logarithm)."""
    random = np.random.default_rng(seed)
    blocks = np.repeat(np.arange(n_blocks), size) + 7
    detail = random.normal(size=blocks.size) * 1.5
    classes = np.where(blocks % 2, 13, 23)
    calendar = np.tile(np.arange(size) % 12 + 1, n_blocks)
    width = np.exp(spread * random.normal(size=n_blocks))[blocks - 7]
    width = width * np.where(classes == 13, factors.get("of_class", 1.0), 1.0)
    width = width * np.where(calendar == 7, factors.get("of_july", 1.0), 1.0)
    sd = width * np.sqrt(1 + factors.get("slope", 0.0) * detail**2)
    return Residuals(sd * random.standard_t(6, size=blocks.size), detail, classes, calendar, blocks)


@pytest.mark.parametrize("level", [0.68, 0.9])
def test_new_blocks_are_covered_as_often_as_asked(level):
    """The promise: over many draws, blocks that were never seen are covered at the level."""
    inside = []
    for seed in range(40):
        seen, new = simulate(seed, slope=0.5), simulate(1000 + seed, slope=0.5)
        found = calibrate(seen)
        half = found.factor(level) * np.sqrt(found.scale.variance(new.detail**2, new.classes, new.calendar))
        inside.append((np.abs(new.values) <= half).mean())
    assert np.mean(inside) == pytest.approx(level, abs=0.012)


def test_nested_coverage_is_that_of_new_blocks():
    levels = np.array([0.5, 0.8, 0.9, 0.95])
    found = np.mean([nested_coverage(simulate(seed, size=60), levels)[0].mean(1) for seed in range(5)], axis=0)
    np.testing.assert_allclose(found, levels, atol=0.025)


def test_nested_coverage_notices_blocks_that_differ():
    """Residuals of one block ten times as large: intervals of the others do not hold there."""
    residuals = simulate(5, n_blocks=6, spread=0.0)
    odd = residuals.blocks == residuals.blocks[0]
    values = np.where(odd, 10 * residuals.values, residuals.values)
    residuals = Residuals(values, *(getattr(residuals, n) for n in ("detail", "classes", "calendar", "blocks")))
    inside, width = nested_coverage(residuals, np.array([0.9]))
    assert inside[0][odd].mean() < 0.4
    assert inside[0][~odd].mean() > 0.9
    assert (width[0] > 0).all()


def test_few_blocks_that_differ_make_a_wider_interval_than_their_plain_quantile():
    residuals = simulate(3, n_blocks=8, spread=0.8)
    scores = np.abs(residuals.values)
    assert blocked_quantile(scores, residuals.blocks, 0.9) > np.quantile(scores, 0.9)


def test_quantile_of_one_sample_a_block_is_the_textbook_one():
    """Split conformal: of 99 scores 1..99, the 90 % interval ends at number ceil(0.9 x 100)."""
    scores = np.arange(1.0, 100.0)
    found = blocked_quantile(scores, np.arange(99), 0.9)
    assert 90 <= found <= 95  # blocks are left out in twenty folds, which asks for a little more


def test_quantile_with_too_few_blocks_is_cautious():
    scores = np.arange(1.0, 11.0)
    assert blocked_quantile(scores, np.zeros(10, int), 0.9) == 10.0
    assert blocked_quantile(scores, np.repeat([1, 2], 5), 0.5) == 8.0  # 0.5 x 3 / 2 of ten scores


def test_scale_finds_what_residuals_vary_with():
    scale = fit_scale(simulate(2, n_blocks=200, spread=0.0, slope=0.5, of_class=2.0, of_july=3.0))
    assert scale.of_class[13] / scale.of_class[23] == pytest.approx(4, rel=0.15)  # of variances
    assert scale.of_month[6] / scale.of_month[0] == pytest.approx(9, rel=0.25)
    assert scale.slope / scale.base == pytest.approx(0.5, rel=0.25)


def test_factors_of_few_blocks_are_shrunk():
    few = fit_scale(simulate(2, n_blocks=4, spread=0.0, of_class=3.0))
    many = fit_scale(simulate(2, n_blocks=400, spread=0.0, of_class=3.0))
    assert 1 < few.of_class[13] / few.of_class[23] < 0.5 * many.of_class[13] / many.of_class[23]


def test_variance_is_carried_over_where_it_does_not_come_with_the_detail():
    scale = fit_scale(simulate(4, slope=0.5))
    classes, calendar = np.array([99, 99]), np.array([1, 1])
    small, large = (scale.variance(np.array([0.0, 4.0]), classes, calendar, carry) for carry in (1.0, 3.0))
    np.testing.assert_allclose(large - small, 2 * scale.base * scale.of_month[0])
    np.testing.assert_allclose(small[1] - small[0], 4 * scale.slope * scale.of_month[0])


def test_samples_that_were_not_held_out_are_passed_over():
    residuals = simulate(6)
    values = residuals.values.copy()
    values[::3] = np.nan
    part = Residuals(values, *(getattr(residuals, n) for n in ("detail", "classes", "calendar", "blocks")))
    assert calibrate(part).scores.size == np.isfinite(values).sum()
    inside, _ = nested_coverage(part, np.array([0.9]))
    assert not inside[0][::3].any()


def test_nothing_to_calibrate_on():
    nothing = Residuals(np.array([np.nan]), np.zeros(1), np.zeros(1, int), np.ones(1, int), np.ones(1, int))
    with pytest.raises(NoUsableData, match="no held-out residual"):
        calibrate(nothing)
    zeros = Residuals(np.zeros(50), np.zeros(50), np.zeros(50, int), np.ones(50, int), np.arange(50))
    with pytest.raises(NoUsableData, match="residuals are 0"):
        calibrate(zeros)

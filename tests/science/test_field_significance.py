"""Benjamini-Hochberg: against statsmodels, by windows, and what it must do where nothing happens."""

from dataclasses import astuple

import numpy as np
import pytest

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.science.field_significance import PValueTally, adjusted_p_values, field_significance


def p_values(kind, n=5000, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.random(n)
    if kind == "signal":
        p[: n // 4] **= 6
    if kind == "ties":
        p = np.round(p**3, 3)
    if kind == "all":
        p = p * 0.01
    if kind == "edge":  # on the line of Benjamini and Hochberg itself
        p = 0.05 * np.arange(1, n + 1) / n
    return p


KINDS = ["nothing", "signal", "ties", "all", "edge"]


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("kind", KINDS)
def test_equals_statsmodels(kind, alpha):
    multipletests = pytest.importorskip("statsmodels.stats.multitest").multipletests
    p = p_values(kind)
    rejected, adjusted, _, _ = multipletests(p, alpha=alpha, method="fdr_bh")
    ours = field_significance(p, alpha)
    np.testing.assert_array_equal(ours.mask(p), rejected)
    assert ours.significant == rejected.sum()
    assert ours.tested == p.size
    np.testing.assert_allclose(adjusted_p_values(p), adjusted, rtol=1e-13)


def test_nan_is_not_counted():
    p = p_values("signal")
    holed = np.full((100, 100), np.nan)
    holed.reshape(-1)[::2] = p
    ours, whole = field_significance(holed), field_significance(p)
    assert ours == whole
    mask = ours.mask(holed)
    assert mask.shape == holed.shape
    assert not mask.reshape(-1)[1::2].any()
    np.testing.assert_array_equal(adjusted_p_values(holed).reshape(-1)[::2], adjusted_p_values(p))
    assert np.isnan(adjusted_p_values(holed).reshape(-1)[1::2]).all()


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("kind", KINDS)
def test_windows_give_the_same_as_the_whole_map(kind, alpha):
    p = p_values(kind).astype(np.float32)
    p[::7] = np.nan
    windows = np.array_split(p, 13)
    tally = PValueTally()
    for window in windows:
        tally.add(window)
    readings = []

    def again():
        readings.append(1)
        return reversed(windows)

    found, whole = tally.threshold(alpha, again), field_significance(p.astype(np.float64), alpha)
    np.testing.assert_equal(astuple(found), astuple(whole))  # equal to the bit, and NaN to NaN
    assert len(readings) <= 1


def test_windows_hold_for_the_smallest_and_largest_values():
    p = np.array([0.0, -0.0, 1e-45, 1e-40, 1e-30, 0.02, 1.0, 1.0], np.float32)
    tally = PValueTally()
    tally.add(p)
    found = tally.threshold(0.05, lambda: [p])
    assert (found.threshold, found.significant, found.tested) == (np.float32(0.02), 6, 8)


def test_nothing_at_all_and_nothing_valid():
    tally = PValueTally()
    tally.add(np.array([np.nan]))
    for found in (field_significance(np.array([np.nan, np.nan])), tally.threshold(0.05, list)):
        assert np.isnan(found.threshold)
        assert (found.significant, found.tested) == (0, 0)
        assert not found.mask(np.array([0.0, np.nan])).any()
    assert field_significance(np.array([0.9, 0.2])).significant == 0


def test_false_discoveries_are_kept_below_alpha():
    rng = np.random.default_rng(5)
    shares = []
    for _ in range(200):
        p = np.concatenate([rng.random(1800), rng.random(200) ** 12])
        mask = field_significance(p, 0.1).mask(p)
        shares.append(mask[:1800].sum() / max(mask.sum(), 1))
    assert 0.05 < np.mean(shares) <= 0.1  # 0.09 expected: alpha times the share of true nothings


def test_bad_input():
    for broken in (
        lambda: field_significance(np.array([0.5]), 5),
        lambda: field_significance(np.array([0.5, 1.5])),
        lambda: adjusted_p_values(np.array([-0.5])),
        lambda: PValueTally().add(np.array([2.0])),
        lambda: PValueTally().threshold(0, list),
    ):
        with pytest.raises(InvalidParameter):
            broken()

"""Errors in hidden months: nested choices against explicit loops, and against what was really missing."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from gwsa_qgis.months import calendar_year, month_range
from gwsa_qgis.science import hidden_months
from gwsa_qgis.science.gap_baselines import fill_autoregressive, fill_harmonic
from gwsa_qgis.science.hidden_months import (
    LARGEST_SHARE,
    METHODS,
    PRIOR_SHARE,
    PRIOR_STRENGTH,
    combination_share,
    shifted_gaps,
)
from gwsa_qgis.science.red_noise import autoregressive
from gwsa_qgis.science.ssa import fill_gaps
from gwsa_qgis.science.ssa_core import fill as fill_ssa
from gwsa_qgis.science.ssa_record import Record

MONTHS = month_range("2002-04", "2014-12")
SHORT, LONG = [2, 3, 14, 40, 41, 70], list(range(125, 135))
QUICK = {"short_window": 12, "short_modes": 4, "long_windows": (24,), "long_modes": (1, 2, 4, 6)}
KINDS = ("smooth", "season", "red", "walk", "white")


def series_of(kind, seed):
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    n = MONTHS.size
    t = np.arange(n) / 12
    season = rng.uniform(2, 5) * np.sin(2 * np.pi * t + rng.uniform(0, 6))
    white = rng.normal(size=n)
    red = autoregressive(white, 0.85)
    slow = 3 * np.sin(2 * np.pi * t / rng.uniform(3, 6) + rng.uniform(0, 6))
    return {
        "smooth": slow + season * (1 + 0.4 * slow / 3) + 0.3 * white,
        "season": season + rng.normal() * t + 0.7 * white,
        "red": red + rng.normal() * t,
        "walk": np.cumsum(white) + season,
        "white": white,
    }[kind]


@pytest.fixture(scope="module")
def truth():
    """Six series of each kind, each of deviation one."""
    series = np.array([series_of(kind, seed) for kind in KINDS for seed in range(6)])
    return series / series.std(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def gappy(truth):
    series = truth.copy()
    series[:, SHORT + LONG] = np.nan
    return series


@pytest.fixture(scope="module")
def filled(gappy):
    """Results by method."""
    return {method: fill_gaps(gappy, MONTHS, method=method, compare=True, **QUICK) for method in METHODS}


def mean_square(errors):
    return np.mean(errors[np.isfinite(errors)] ** 2)


def plain_share(pairs):
    """Share of SSA over (error of SSA, error of the other) of each group, by its formula, in a loop."""
    over = under = 0.0
    for ssa, other in pairs:
        counts = np.isfinite(ssa) & np.isfinite(other)
        d, y = (ssa - other)[counts], -other[counts]
        if (d**2).sum() + (y**2).sum() > 0:
            over += d @ y / (d @ d + y @ y)
            under += d @ d / (d @ d + y @ y)
    if under == 0:
        return PRIOR_SHARE
    return float(
        np.clip((over + PRIOR_STRENGTH * PRIOR_SHARE * under) / (under * (1 + PRIOR_STRENGTH)), 0, LARGEST_SHARE)
    )


def plain_score(candidates, harmonic, autoregressive):
    """Nested scores of one series by explicit loops: rms by method and the final share."""
    groups, n_candidates = candidates.shape[:2]

    def choose(left_out):
        used = [g for g in range(groups) if g not in left_out]
        return min(range(n_candidates), key=lambda c: sum(mean_square(candidates[g, c]) for g in used))

    ssa, mixed = [], []
    for g in range(groups):
        error = candidates[g, choose([g])]
        pairs = [(candidates[k, choose([g, k])], autoregressive[k]) for k in range(groups) if k != g]
        share = plain_share(pairs)
        ssa.append(error)
        mixed.append(share * error + (1 - share) * autoregressive[g])
    rms = [np.sqrt(np.mean([mean_square(e) for e in errors])) for errors in (ssa, harmonic, autoregressive, mixed)]
    return rms, plain_share(list(zip(ssa, autoregressive, strict=True)))


@pytest.mark.parametrize(("groups", "n_candidates"), [(12, 12), (5, 3), (3, 4), (6, 1)])
def test_nested_scores_are_those_of_explicit_loops(groups, n_candidates):
    rng = np.random.default_rng(groups)
    sizes = rng.uniform(0.8, 1.2, (7, 1, n_candidates, 1)) * rng.uniform(0.2, 3, (7, groups, 1, 1))
    candidates = sizes * rng.normal(size=(7, groups, n_candidates, 12))
    harmonic, autoregressive = rng.normal(size=(2, 7, groups, 12))
    autoregressive = 0.5 * autoregressive + 0.3 * candidates[:, :, 0]
    lost = rng.random((groups, 12)) < 0.2
    lost[:, 0] = False
    for errors in (candidates.swapaxes(1, 2), harmonic, autoregressive):
        errors[..., lost] = np.nan
    found = hidden_months._score(candidates, harmonic, autoregressive)
    for b in range(7):
        rms, share = plain_score(candidates[b], harmonic[b], autoregressive[b])
        np.testing.assert_allclose(found.rms[b], rms, rtol=1e-12)
        assert found.share[b] == pytest.approx(share, rel=1e-12)
    # The choices must have differed between groups for this to say anything.
    if n_candidates > 1:
        squares = np.nanmean(candidates**2, axis=-1)
        others = squares.sum(axis=1, keepdims=True) - squares
        assert (np.ptp(others.argmin(axis=2), axis=1) > 0).any()


def test_without_ssa_only_the_plain_methods_are_scored():
    harmonic, autoregressive = np.random.default_rng(0).normal(size=(2, 3, 4, 12))
    found = hidden_months._score(None, harmonic, autoregressive)
    assert np.isnan(found.rms[:, [0, 3]]).all()
    np.testing.assert_allclose(found.rms[:, 1], np.sqrt((harmonic**2).mean(axis=(1, 2))))
    np.testing.assert_allclose(found.rms[:, 2], np.sqrt((autoregressive**2).mean(axis=(1, 2))))


def test_the_share_minimises_the_squares_where_nothing_is_drawn_to_the_prior(monkeypatch):
    rng = np.random.default_rng(4)
    ssa, other = rng.normal(size=(2, 20, 6, 12))
    other += 0.5 * ssa
    monkeypatch.setattr(hidden_months, "LARGEST_SHARE", 1.0)
    drawn = combination_share(ssa, other)
    monkeypatch.setattr(hidden_months, "PRIOR_STRENGTH", 0.0)
    free = combination_share(ssa, other)
    inside = 0
    for x, y, with_prior, found in zip(ssa, other, drawn, free, strict=True):
        # Every group counts the same: its squares are divided by what both errors could make of them.
        weight = 1 / (((x - y) ** 2).sum(axis=1) + (y**2).sum(axis=1))

        def cost(w, x=x, y=y, weight=weight):
            return (weight[:, None] * (w * x + (1 - w) * y) ** 2).sum()

        expected = minimize_scalar(cost, bounds=(0, 1), method="bounded", options={"xatol": 1e-10}).x
        assert found == pytest.approx(expected, abs=1e-5)
        if 1e-3 < expected < 1 - 1e-3:
            assert with_prior == pytest.approx((expected + PRIOR_STRENGTH * PRIOR_SHARE) / (1 + PRIOR_STRENGTH))
            inside += 1
    assert inside > 10


def test_shares_at_their_limits():
    x = np.random.default_rng(5).normal(size=(1, 4, 12))
    assert combination_share(x, x)[0] == PRIOR_SHARE  # nothing to tell them apart
    assert combination_share(0 * x, 0 * x)[0] == PRIOR_SHARE
    assert combination_share(2 * x, x)[0] == 0
    assert combination_share(0 * x, x)[0] == LARGEST_SHARE
    assert combination_share(x, -2 * x)[0] == LARGEST_SHARE
    assert combination_share(x, -0.5 * x)[0] == pytest.approx(
        (1 / 3 + PRIOR_STRENGTH * PRIOR_SHARE) / (1 + PRIOR_STRENGTH)
    )
    # The share does not depend on the size of the errors, nor on that of a single group.
    y = np.random.default_rng(6).normal(size=(1, 4, 12))
    size = np.array([1e-3, 1, 7, 1e4])[:, None]
    np.testing.assert_allclose(combination_share(x, y), combination_share(size * x, size * y))


def runs_of(mask):
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    return list(zip(edges[::2], edges[1::2], strict=True))


@pytest.mark.parametrize("seed", range(20))
def test_moved_gaps_hide_observed_months_of_the_stretch_alone(seed):
    rng = np.random.default_rng(seed)
    missing = np.zeros(MONTHS.size, bool)
    for start in rng.choice(MONTHS.size, rng.integers(1, 8), replace=False):
        missing[start : start + rng.integers(1, 4)] = True
    if seed % 2:
        missing[110:120] = True
    if seed % 5 == 0:
        missing[:2] = missing[-1] = True
    record = Record.from_missing(missing, MONTHS)
    lengths = [end - begin for begin, end in runs_of(record.short)]
    masks = shifted_gaps(record)
    assert 1 <= len(masks) <= hidden_months.SHIFTS
    for mask in masks:
        assert mask.any()
        assert record.stretch[mask].all()
        assert not missing[mask].any()
        hidden = np.flatnonzero(mask)
        assert not missing[hidden + 1].any() and not missing[hidden - 1].any()
        assert hidden.min() > 0 and hidden.max() < MONTHS.size - 1
        left = lengths.copy()
        for begin, end in runs_of(mask):
            left.remove(end - begin)  # fails where a run is torn apart or two are joined
        # Runs keep their distances: all of them are the gaps moved by one number of months.
        assert any(np.isin(hidden + shift, np.flatnonzero(record.short)).all() for shift in range(-24, 25))
    assert len({mask.tobytes() for mask in masks}) == len(masks)


def test_moved_gaps_are_those_that_hide_most():
    missing = np.zeros(MONTHS.size, bool)
    missing[[10, 20, 21, 60]] = True
    masks = shifted_gaps(Record.from_missing(missing, MONTHS))
    assert len(masks) == hidden_months.SHIFTS
    assert (masks.sum(axis=1) == 4).all()
    assert not len(shifted_gaps(Record.from_missing(np.zeros(MONTHS.size, bool), MONTHS)))
    # Where every other month is missing nothing can be hidden away from a gap.
    assert not len(shifted_gaps(Record.from_missing(np.arange(MONTHS.size) % 2 == 1, MONTHS)))


def test_errors_in_hidden_years_are_those_of_filling_without_them(gappy, filled):
    """One series, every step written out: hide a year in the background, fill by each method, compare."""
    x, found = gappy[1], filled["best"]
    years = calendar_year(MONTHS)
    background = (years >= 2003) & (years <= 2011)
    record = Record.from_missing(np.isnan(x), MONTHS)
    np.testing.assert_array_equal(record.background, background)
    short_filled = filled["ssa"].filled[1, background]
    observed = ~np.isnan(x[background])
    candidates, harmonic, autoregressive = np.full((8, 4, 12), np.nan), *np.full((2, 8, 12), np.nan)
    for g, year in enumerate(range(2004, 2012)):
        hidden = years[background] == year
        seen = observed & ~hidden
        run = fill_ssa(np.where(hidden, np.nan, short_filled)[None], hidden, 24, 6)
        counts = observed[hidden]
        for c, modes in enumerate((1, 2, 4, 6)):
            candidates[g, c, counts] = (run.gap_values[0, modes - 1] - short_filled[hidden])[counts]
        for errors, fill in ((harmonic, fill_harmonic), (autoregressive, fill_autoregressive)):
            values = fill(np.where(seen, short_filled, np.nan)[None], MONTHS[background], seen)[0]
            errors[g, counts] = (values[hidden] - x[background][hidden])[counts]
    rms, share = plain_score(candidates, harmonic, autoregressive)
    np.testing.assert_allclose(found.hidden_long[1], rms, rtol=1e-6)
    assert found.long_share[1] == pytest.approx(share, rel=1e-5)


def test_errors_in_hidden_short_gaps_are_those_of_filling_without_them(gappy, filled):
    x, found = gappy[9], filled["best"]
    record = Record.from_missing(np.isnan(x), MONTHS)
    errors = [[], [], []]
    for mask in shifted_gaps(record):
        hidden = np.where(mask, np.nan, x)
        ssa = fill_gaps(hidden[None], MONTHS, **QUICK | {"long_modes": (1,)}).filled[0]
        seen = ~np.isnan(hidden)
        fills = ssa, fill_harmonic(hidden[None], MONTHS, seen)[0], fill_autoregressive(hidden[None], MONTHS, seen)[0]
        for each, filled_series in zip(errors, fills, strict=True):
            each.append((filled_series - x)[mask])
    most = max(len(e) for e in errors[0])
    errors = [np.array([np.pad(e, (0, most - len(e)), constant_values=np.nan) for e in each]) for each in errors]
    rms, share = plain_score(errors[0][:, None], *errors[1:])
    np.testing.assert_allclose(found.hidden_short[9], rms, rtol=1e-6)
    assert found.short_share[9] == pytest.approx(share, rel=1e-5)


def test_the_combination_is_no_worse_than_each_of_its_rivals(filled):
    for errors in (filled["best"].hidden_long, filled["best"].hidden_short):
        rms = np.sqrt(np.mean(errors**2, axis=0))
        # What the share costs that is chosen on few months: up to 0.2 per cent more than the better rival alone.
        assert (rms[3] <= 1.005 * rms[:3]).all(), rms
    rms = np.sqrt(np.mean(filled["best"].hidden_long ** 2, axis=0))
    assert (rms[3] < 0.99 * rms[:3]).all(), rms
    # Neither rival alone may have been best everywhere, or choosing was no task.
    winners = filled["best"].hidden_long[:, :3].argmin(axis=1)
    assert {0, 2} <= set(winners.tolist())


def test_every_method_sees_the_same_hidden_months_whichever_fills(filled):
    for method in METHODS[1:]:
        np.testing.assert_array_equal(filled[method].hidden_long, filled["ssa"].hidden_long)
        np.testing.assert_array_equal(filled[method].hidden_short, filled["ssa"].hidden_short)
    for column, method in enumerate(METHODS[1:], start=1):
        np.testing.assert_array_equal(filled[method].long_error, filled[method].hidden_long[:, column])
        np.testing.assert_array_equal(filled[method].short_error, filled[method].hidden_short[:, column])
    assert (filled["ssa"].long_error < filled["ssa"].hidden_long[:, 0] + 1e-12).all()


def test_the_combination_fills_between_its_two_methods(gappy, filled):
    ssa, other, best = (filled[method].filled for method in ("ssa", "autoregressive", "best"))
    for months, share in ((SHORT, filled["best"].short_share), (LONG, filled["best"].long_share)):
        expected = share[:, None] * ssa[:, months] + (1 - share[:, None]) * other[:, months]
        np.testing.assert_allclose(best[:, months], expected, rtol=0, atol=1e-12)
        assert (share >= 0).all() and (share <= LARGEST_SHARE).all() and np.ptp(share) > 0.2
    observed = ~np.isnan(gappy)
    np.testing.assert_array_equal(best[observed], gappy[observed])
    np.testing.assert_allclose(other, fill_autoregressive(gappy, MONTHS, observed[0]), atol=1e-12)
    np.testing.assert_allclose(filled["harmonic"].filled, fill_harmonic(gappy, MONTHS, observed[0]), atol=1e-12)


def test_nested_errors_of_white_noise_are_above_the_chosen_scores(filled):
    white = np.random.default_rng(12).normal(size=(24, MONTHS.size))
    white[:, LONG] = np.nan
    choice = QUICK | {"long_windows": (18, 24, 30), "long_modes": (1, 2)}
    found = fill_gaps(white, MONTHS, compare=True, **choice)
    # The smallest of six scores is too good: what other years would choose is never better and often worse.
    assert (found.hidden_long[:, 0] >= found.long_error * (1 - 1e-9)).all()
    assert (found.hidden_long[:, 0] > found.long_error * (1 + 1e-6)).mean() > 0.3
    assert np.mean(found.hidden_long[:, 0]) > 1.005 * np.mean(found.long_error)


def test_hidden_errors_are_those_of_months_that_are_really_missing(truth, filled):
    for column, method in enumerate(METHODS):
        errors = filled[method].filled - truth
        for months, expected in (
            (SHORT, filled[method].hidden_short[:, column]),
            (LONG, filled[method].hidden_long[:, column]),
        ):
            ratio = np.sqrt(np.mean(errors[:, months] ** 2, axis=1)) / expected
            # A single gap is most often better than the mean of years, and now and then far worse.
            assert 0.65 < np.median(ratio) < 1.2, (method, np.median(ratio))
            assert 0.75 < np.sqrt(np.mean(ratio**2)) < 1.4, (method, np.sqrt(np.mean(ratio**2)))

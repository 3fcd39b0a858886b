"""Gap filling by SSA, against a plain reading of the method and against what must hold for any input."""

import numpy as np
import pytest

from gwsa_qgis.errors import InvalidMonths, InvalidParameter, NoUsableData
from gwsa_qgis.months import calendar_year, month_range
from gwsa_qgis.science.ssa import distinct_rows, fill_gaps
from gwsa_qgis.science.ssa_core import MAX_PASSES, fill, lag_matrices, passes_low_frequency_test, reconstruct

MONTHS = month_range("2002-04", "2020-12")
SHORT = ["2002-06", "2002-07", "2003-06", "2011-01", "2011-06", "2013-08", "2013-09", "2016-04", "2017-02"]
LONG = [str(month) for month in month_range("2017-07", "2018-05")] + ["2018-08", "2018-09"]
QUICK = {"short_window": 12, "short_modes": 4, "long_windows": (24,), "long_modes": (1, 2, 4)}


def at(names):
    return np.isin(MONTHS, np.array(names, dtype="datetime64[M]"))


def noisy_series(n, seed=0):
    rng = np.random.default_rng(seed)
    t = np.arange(MONTHS.size) / 12
    amplitude, trend = rng.uniform(2, 10, (n, 1)), rng.normal(0, 1, (n, 1))
    series = trend * t + amplitude * np.sin(2 * np.pi * t + rng.uniform(0, 6, (n, 1)))
    return series + rng.normal(0, 1, series.shape)


def with_gaps(series, *names):
    series = series.copy()
    for each in names:
        series[..., at(each)] = np.nan
    return series


def plain_fill(x, window, components, most=10_000):
    """The method word by word for one series: SVD of the trajectory matrix, mean over the anti-diagonals.

    Returns the filled series, passes, and the reconstruction's (eigenvectors, components) of the last pass.
    """
    x = x.copy()
    gap = np.isnan(x)
    x[gap] = 0
    n_windows = x.size - window + 1
    terms = np.convolve(np.ones(n_windows), np.ones(window))
    in_use = 1 if gap.any() else components
    for count in range(1, most + 1):
        trajectory = np.array([x[i : i + window] for i in range(n_windows)])
        eofs = np.linalg.svd(trajectory, full_matrices=False)[2][:in_use]
        parts = np.array([np.convolve(trajectory @ eof, eof) / terms for eof in eofs])
        if not gap.any():
            return x, count, eofs, parts
        new, old = parts.sum(axis=0)[gap], x[gap]
        x[gap] = new
        if np.sqrt(np.mean((new - old) ** 2)) < 0.01 * np.sqrt(np.mean(old**2)):
            if in_use == components:
                return x, count, eofs, parts
            in_use += 1
    return x, most, eofs, parts


def plain_two_stages(x, preset, short_window, short_modes, long_windows, long_modes):
    """Both stages for one series whose long gap is LONG."""
    years, missing, long = calendar_year(MONTHS), np.isnan(x), at(LONG)
    observed, before = ~missing, np.datetime64("2017-07") > MONTHS
    released = preset == "released"
    joined, _, _, parts = plain_fill(x[~long], short_window, short_modes)
    short_filled = x.copy()
    short_filled[~long] = joined
    residual = np.full(x.size, np.nan)
    residual[~long] = x[~long] - parts.sum(axis=0)
    eps1 = np.std(residual[observed if released else observed & before], ddof=1)

    background = (years >= 2003) & (years <= 2016)
    best = (np.inf, None, None)
    for window in long_windows:
        for modes in long_modes:
            squares = []
            for year in (2004, 2007, 2010, 2013) if released else range(2004, 2016):
                masked = np.where(years == year, np.nan, short_filled)
                filled = np.full(x.size, np.nan)
                filled[background] = plain_fill(masked[background], window, modes)[0]
                scored = (years == year) & (released | observed)
                squares.append(np.mean((filled - short_filled)[scored] ** 2))
            score = np.sqrt(np.mean(squares))
            if score < best[0]:
                best = (score, window, modes)
    return plain_fill(np.where(long, np.nan, short_filled), *best[1:])[0], eps1, best


@pytest.mark.parametrize("preset", ["recommended", "published", "released"])
def test_both_stages_equal_a_plain_reading_of_the_method(preset):
    series = with_gaps(noisy_series(2), SHORT, LONG)
    choice = {"short_window": 12, "short_modes": 4, "long_windows": (24, 18), "long_modes": (1, 3)}
    result = fill_gaps(series, MONTHS, preset=preset, low_frequency_test=False, **choice)
    for i, x in enumerate(series):
        filled, eps1, (eps2, window, modes) = plain_two_stages(x, preset, **choice)
        np.testing.assert_allclose(result.filled[i], filled, rtol=0, atol=1e-9)
        assert result.short_error[i] == pytest.approx(eps1, rel=1e-9)
        assert result.long_error[i] == pytest.approx(eps2, rel=1e-9)
        assert (result.long_window[i], result.long_modes[i]) == (window, modes)


def test_one_run_gives_what_separate_runs_give_for_fewer_components():
    series = with_gaps(noisy_series(3), SHORT, LONG)
    gap = np.isnan(series[0])
    run = fill(series, gap, 24, 6)
    for i, x in enumerate(series):
        for components in (1, 3, 6):
            filled, passes, _, _ = plain_fill(x, 24, components)
            np.testing.assert_allclose(run.gap_values[i, components - 1], filled[gap], rtol=0, atol=1e-9)
            assert run.passes[i, components - 1] == passes


def test_series_of_one_batch_may_have_different_gaps_and_goals():
    series = noisy_series(4)
    gaps = np.array([at(SHORT[:2]), at(SHORT[2:4]), at(["2002-04", "2020-12"])])
    gap_of, goal = np.array([0, 2, 1, 2]), np.array([3, 1, 5, 4])
    run = fill(series, gaps, 24, goal, gap_of=gap_of)
    for i, x in enumerate(series):
        gap = gaps[gap_of[i]]
        filled, passes, _, _ = plain_fill(np.where(gap, np.nan, x), 24, goal[i])
        np.testing.assert_allclose(run.gap_values[i, goal[i] - 1], filled[gap], rtol=0, atol=1e-9)
        assert run.passes[i, goal[i] - 1] == passes
        assert np.isnan(run.gap_values[i, goal[i] :]).all()


def test_a_run_that_reaches_the_cap_keeps_what_it_has(monkeypatch):
    monkeypatch.setattr("gwsa_qgis.science.ssa_core.MAX_PASSES", 7)
    series = with_gaps(noisy_series(2), SHORT, LONG)
    gap = np.isnan(series[0])
    run = fill(series, gap, 24, 12, keep_components=True)
    for i, x in enumerate(series):
        filled, _, eofs, _ = plain_fill(x, 24, 12, most=7)
        np.testing.assert_allclose(run.gap_values[i, -1], filled[gap], rtol=0, atol=1e-9)
        assert run.passes[i, -1] == 7
        assert np.abs(run.eofs[i]).any(axis=0).sum() == len(eofs) < 12


def test_lag_matrices_are_products_of_the_trajectory_matrix():
    series = noisy_series(2)
    trajectory = np.array([[x[i : i + 9] for i in range(x.size - 8)] for x in series])
    expected = trajectory.transpose(0, 2, 1) @ trajectory
    np.testing.assert_allclose(lag_matrices(series, 9), expected, rtol=1e-12)


def test_all_components_together_are_the_series():
    series = noisy_series(2)
    eofs = np.broadcast_to(np.eye(10), (2, 10, 10))
    np.testing.assert_allclose(reconstruct(series, eofs), series, rtol=1e-12)


@pytest.mark.parametrize(("period", "kept"), [(12, True), (5, True), (3.2, False), (2, False)])
def test_low_frequency_test_parts_eigenvectors_at_four_months(period, kept):
    eof = np.cos(2 * np.pi * np.arange(48) / period)
    assert passes_low_frequency_test(eof[None, :, None])[0, 0] == kept


def test_a_pure_sine_is_recovered():
    t = np.arange(MONTHS.size)
    sine = np.array([5 * np.sin(2 * np.pi * t / 12), 3 * np.cos(2 * np.pi * t / 24 + 1)])
    # A pass is accepted at 1 % change, which bounds how near a fill comes.
    short = fill_gaps(with_gaps(sine, SHORT), MONTHS)
    assert np.abs(short.filled - sine).max() < 0.02
    both = fill_gaps(with_gaps(sine, SHORT, LONG), MONTHS)
    assert np.abs(both.filled - sine)[:, at(LONG)].max() < 0.15
    assert (both.long_error < 0.01).all()
    # Stage a joins the two missions, which breaks the sine: only fills within a window of the joint feel it.
    assert np.abs(both.filled - sine)[:, at(SHORT[:-2])].max() < 0.02


def test_observed_months_keep_every_bit_and_flags_name_the_rest():
    series = with_gaps(noisy_series(3) * np.array([[1e-290], [1], [1e290]]), SHORT, LONG)
    result = fill_gaps(series, MONTHS, **QUICK)
    observed = ~np.isnan(series)
    assert (result.filled[observed] == series[observed]).all()
    assert np.isfinite(result.filled).all()
    np.testing.assert_array_equal(result.flags, np.where(at(LONG), 2, np.where(at(SHORT), 1, 0)) + 0 * result.flags)
    assert result.flags.dtype == np.uint8


def test_a_scaled_series_has_scaled_fills_and_errors():
    series = with_gaps(noisy_series(2), SHORT, LONG)
    plain = fill_gaps(series, MONTHS, **QUICK)
    for factor in (-1.0, 3.7e-9, 2.0**400):
        scaled = fill_gaps(factor * series, MONTHS, **QUICK)
        np.testing.assert_allclose(scaled.filled / factor, plain.filled, rtol=0, atol=1e-10)
        np.testing.assert_allclose(scaled.short_error / abs(factor), plain.short_error, rtol=1e-10)
        np.testing.assert_allclose(scaled.long_error / abs(factor), plain.long_error, rtol=1e-10)
        np.testing.assert_array_equal(scaled.long_modes, plain.long_modes)
        np.testing.assert_array_equal(scaled.long_passes, plain.long_passes)


def test_identical_series_are_solved_once():
    few = with_gaps(noisy_series(3), SHORT, LONG)
    order = np.array([2, 0, 0, 1, 2, 2, 0])
    result, expected = fill_gaps(few[order], MONTHS, **QUICK), fill_gaps(few, MONTHS, **QUICK)
    assert result.distinct == 3
    np.testing.assert_allclose(result.filled, expected.filled[order], rtol=0, atol=1e-12)
    np.testing.assert_array_equal(result.long_passes, expected.long_passes[order])


def test_series_that_differ_in_a_gap_or_in_the_last_bit_are_distinct():
    series = np.repeat(with_gaps(noisy_series(1), SHORT), 4, axis=0)
    series[1, 50] = np.nextafter(series[1, 50], np.inf)
    series[2, 60] = np.nan
    first, solution_of = distinct_rows(series)
    assert len(first) == 3
    assert solution_of[0] == solution_of[3]
    np.testing.assert_array_equal(series[first][solution_of], series)


def test_rows_whose_hashes_collide_stay_apart(monkeypatch):
    class Zeros:
        def integers(self, *args, size, **kwargs):
            return np.zeros(size, dtype=np.uint64)

    monkeypatch.setattr(np.random, "default_rng", lambda seed: Zeros())
    series = np.zeros((5, 4))
    # With multipliers of one the hash is a sum: a permutation collides.
    series[:, :] = [[1, 2, 3, 4], [4, 3, 2, 1], [1, 2, 3, 4], [5, 5, 5, 5], [2, 1, 3, 4]]
    first, solution_of = distinct_rows(series)
    np.testing.assert_array_equal(series[first][solution_of], series)


def test_series_may_miss_different_months():
    complete = noisy_series(4)
    series = complete.copy()
    series[0] = with_gaps(complete[0], SHORT, LONG)
    series[1] = with_gaps(complete[1], SHORT[:3])
    series[2] = with_gaps(complete[2], LONG)
    together = fill_gaps(series, MONTHS, **QUICK)
    for i in range(4):
        alone = fill_gaps(series[i : i + 1], MONTHS, **QUICK)
        np.testing.assert_allclose(together.filled[i], alone.filled[0], rtol=0, atol=1e-10)
        np.testing.assert_array_equal(together.flags[i], alone.flags[0])
        np.testing.assert_allclose(together.long_error[i], alone.long_error[0])
    assert (together.flags.max(axis=1) == [2, 1, 2, 0]).all()


def test_a_record_without_a_long_gap_has_stage_a_only():
    result = fill_gaps(with_gaps(noisy_series(2), SHORT), MONTHS, **QUICK)
    assert np.isfinite(result.filled).all()
    assert np.isnan(result.long_error).all()
    assert not result.long_window.any() and not result.long_modes.any() and not result.long_passes.any()


def test_a_series_without_gaps_comes_back_after_one_pass():
    series = noisy_series(2)
    result = fill_gaps(series, MONTHS, low_frequency_test=False, **QUICK)
    np.testing.assert_array_equal(result.filled, series)
    assert (result.short_passes == 1).all()
    for x, error in zip(series, result.short_error, strict=True):
        assert error == pytest.approx(np.std(x - plain_fill(x, 12, 4)[3].sum(axis=0), ddof=1), rel=1e-9)


def test_series_of_nodata_and_of_zeros_cost_nothing():
    series = with_gaps(noisy_series(3), SHORT, LONG)
    series[0] = np.nan
    series[1] *= 0
    result = fill_gaps(series, MONTHS)
    assert np.isnan(result.filled[0]).all() and not result.flags[0].any()
    assert np.isnan(result.short_error[0]) and np.isnan(result.long_error[0]) and result.short_passes[0] == 0
    assert not result.filled[1].any() and result.short_error[1] == result.long_error[1] == 0
    assert result.short_passes[1] + result.long_passes[1] < MAX_PASSES / 100
    assert (result.long_window[1], result.long_modes[1]) == (48, 1)  # equal scores: the first offered
    assert np.isfinite(result.filled[2]).all()


def test_only_nodata_gives_nodata():
    result = fill_gaps(np.full((2, MONTHS.size), np.nan), MONTHS)
    assert np.isnan(result.filled).all() and result.distinct == 1
    assert fill_gaps(np.empty((0, MONTHS.size)), MONTHS).filled.shape == (0, MONTHS.size)


def test_gaps_at_the_ends_are_filled():
    ends = ["2002-04", "2002-05", "2020-11", "2020-12"]
    series = with_gaps(noisy_series(1), ends)
    result = fill_gaps(series, MONTHS, **QUICK)
    np.testing.assert_allclose(result.filled[0], plain_fill(series[0], 12, 4)[0], rtol=0, atol=1e-9)
    assert (result.flags[0, at(ends)] == 1).all()
    with_long = fill_gaps(with_gaps(series, LONG), MONTHS, **QUICK)
    assert (with_long.flags[0, at(ends)] == [1, 1, 2, 2]).all()


def test_a_late_start_is_not_a_long_gap():
    late = [str(month) for month in month_range("2002-04", "2003-03")]
    result = fill_gaps(with_gaps(noisy_series(1), late, LONG), MONTHS, **QUICK)
    assert (result.flags[0, at(late)] == 1).all()
    assert (result.flags[0, at(LONG)] == 2).all()


@pytest.mark.parametrize(("length", "flag"), [(6, 1), (7, 2)])
def test_seven_missing_months_make_a_long_gap(length, flag):
    gap = [str(month) for month in month_range("2014-01", "2014-12")[:length]]
    flags = fill_gaps(with_gaps(noisy_series(1), SHORT, gap), MONTHS, **QUICK).flags[0]
    assert (flags[at(gap)] == flag).all()
    assert (flags[at(["2016-04"])] == flag).all()  # missing after the long gap belongs to it
    assert (flags[at(["2013-08"])] == 1).all()


def test_a_single_window_and_number_of_modes_needs_no_masked_years():
    series = with_gaps(noisy_series(1), SHORT, LONG)
    choice = {"short_window": 12, "short_modes": 4, "long_windows": [24], "long_modes": [3]}
    before = np.datetime64("2017-07") > MONTHS
    for preset, counted in (("released", ~at(LONG)), ("published", before & ~at(SHORT))):
        result = fill_gaps(series, MONTHS, preset=preset, low_frequency_test=False, **choice)
        joined = plain_fill(series[0, ~at(LONG)], 12, 4)[0]
        short_filled = series[0].copy()
        short_filled[~at(LONG)] = joined
        filled, passes, _, parts = plain_fill(short_filled, 24, 3)
        np.testing.assert_allclose(result.filled[0], filled, rtol=0, atol=1e-9)
        error = np.std((short_filled - parts.sum(axis=0))[counted], ddof=1)
        assert result.long_error[0] == pytest.approx(error, rel=1e-9)
        assert result.long_passes[0] == passes


def test_other_records_mask_their_own_inner_years():
    months = month_range("1985-04", "1998-12")
    series = noisy_series(2)[:, : months.size]
    series[:, 100:109] = np.nan  # 1993-08 to 1994-04
    result = fill_gaps(series, months, **QUICK)
    assert np.isfinite(result.long_error).all()


def test_low_frequency_test_changes_the_error_and_not_the_fill():
    series = with_gaps(noisy_series(3), SHORT, LONG)
    with_test, without = (fill_gaps(series, MONTHS, low_frequency_test=each, **QUICK) for each in (True, False))
    np.testing.assert_array_equal(with_test.filled, without.filled)
    assert (with_test.short_error >= without.short_error).all()


def test_threads_do_not_change_results():
    series = with_gaps(noisy_series(9), SHORT, LONG)
    one, four = (fill_gaps(series, MONTHS, threads=n, **QUICK) for n in (1, 4))
    np.testing.assert_allclose(one.filled, four.filled, rtol=0, atol=1e-10)
    np.testing.assert_array_equal(one.long_passes, four.long_passes)


def test_progress_rises_to_one_and_may_cancel():
    series = with_gaps(noisy_series(4), SHORT, LONG)
    seen = []
    fill_gaps(series, MONTHS, threads=2, progress=lambda fraction, message: seen.append((fraction, message)), **QUICK)
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions) and fractions[-1] == 1
    assert "4 of 4" in seen[-1][1]

    class UserCancelled(Exception):
        pass

    def cancel(fraction, message):
        raise UserCancelled

    with pytest.raises(UserCancelled):
        fill_gaps(series, MONTHS, threads=2, progress=cancel, **QUICK)


def test_input_is_left_alone():
    series = with_gaps(noisy_series(2), SHORT, LONG)
    copy = series.copy()
    fill_gaps(series, MONTHS, **QUICK)
    np.testing.assert_array_equal(series, copy)


@pytest.mark.parametrize(
    "months",
    [MONTHS[:-1], MONTHS[::-1], np.repeat(MONTHS[::2], 2)[: MONTHS.size], MONTHS + np.arange(MONTHS.size) // 100],
    ids=["too few", "backwards", "doubled", "left out"],
)
def test_months_must_be_contiguous(months):
    with pytest.raises(InvalidMonths):
        fill_gaps(noisy_series(1), months)


@pytest.mark.parametrize(
    "bad",
    [
        {"preset": "paper"},
        {"short_modes": 25},
        {"short_modes": 0},
        {"long_windows": ()},
        {"long_modes": ()},
        {"long_modes": (1, 49)},
        {"threads": 0},
    ],
)
def test_parameters_are_checked(bad):
    with pytest.raises(InvalidParameter):
        fill_gaps(with_gaps(noisy_series(1), SHORT, LONG), MONTHS, **bad)


def test_records_that_cannot_be_filled_are_refused_with_the_reason():
    series = with_gaps(noisy_series(1), SHORT, LONG)
    with pytest.raises(NoUsableData, match="needs 35"):
        fill_gaps(series[:, :30], MONTHS[:30])
    infinite = series.copy()
    infinite[0, 0] = np.inf
    with pytest.raises(NoUsableData, match="infinite"):
        fill_gaps(infinite, MONTHS)
    late = (np.datetime64("2016-02") <= MONTHS) & (np.datetime64("2019-12") >= MONTHS)
    with pytest.raises(NoUsableData, match="1 complete calendar years and none"):
        fill_gaps(series[:, late], MONTHS[late], short_window=6, short_modes=2, long_windows=(8,), long_modes=(1, 2))

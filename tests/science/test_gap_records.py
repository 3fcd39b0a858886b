"""Gap filling of other records than GRACE's: other starts, other gaps, too short ones."""

import numpy as np
import pytest

from gwsa_qgis.errors import NoUsableData
from gwsa_qgis.months import calendar_year, month_range
from gwsa_qgis.science.gap_baselines import fill_autoregressive, fill_harmonic
from gwsa_qgis.science.hidden_months import METHODS
from gwsa_qgis.science.ssa import LONG_GAP, SHORT_GAP, fill_gaps
from gwsa_qgis.science.ssa_record import Record
from gwsa_qgis.science.ssa_stages import hide_years

QUICK = {"short_window": 12, "short_modes": 3, "long_windows": (24,), "long_modes": (1, 2, 4)}
TOLERANCE = {"rtol": 0, "atol": 1e-7}


def series_on(months, b=3, seed=0):
    """Season, line and a little noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(months.size) / 12
    season = rng.uniform(3, 6, (b, 1)) * np.sin(2 * np.pi * t + rng.uniform(0, 6, (b, 1)))
    return season + rng.normal(0, 0.5, (b, 1)) * t + rng.normal(0, 0.3, (b, months.size))


def months_at(months, *spans):
    """Months named singly or as (first, last)."""
    places = np.zeros(months.size, bool)
    for span in spans:
        first, last = (span, span) if isinstance(span, str) else span
        places |= (months >= np.datetime64(first)) & (months <= np.datetime64(last))
    return places


@pytest.fixture
def tested_years(monkeypatch):
    """Calendar years that were hidden, in each call."""
    seen = []

    def watch(short_filled, record, stages, tick):
        found = hide_years(short_filled, record, stages, tick)
        seen.append(found.years.tolist())
        return found

    monkeypatch.setattr("gwsa_qgis.science.ssa_stages.hide_years", watch)
    return seen


RECORDS = {
    # name: months, short gaps, long gaps, years tested
    "starts in 2010": (("2010-06", "2022-12"), ["2011-01", "2013-05"], [("2019-03", "2019-11")], range(2011, 2016)),
    "before 2002": (("1980-01", "1995-12"), ["1982-02"], [("1991-05", "1992-03")], range(1981, 1990)),
    "no long gap": (("2005-01", "2016-12"), ["2007-01", ("2010-03", "2010-05")], [], None),
    "second gap late": (
        ("2002-04", "2022-12"),
        ["2003-06", "2011-01"],
        [("2013-02", "2013-10"), ("2020-01", "2020-08"), "2015-05"],
        range(2004, 2013),
    ),
    "first gap early": (
        ("2002-04", "2022-12"),
        ["2008-06", ("2011-01", "2011-02")],
        [("2004-02", "2004-10"), ("2016-03", "2016-12"), "2003-01", "2018-08"],
        range(2005, 2016),
    ),
    "gaps at both ends": (
        ("2002-04", "2020-12"),
        [("2002-04", "2002-06"), "2009-01"],
        [("2014-01", "2014-10"), ("2020-11", "2020-12")],
        range(2004, 2014),
    ),
    "a long gap at the end": (("2002-04", "2018-12"), ["2009-01"], [("2018-01", "2018-12")], range(2004, 2016)),
}


@pytest.mark.parametrize("method", ["ssa", "best"])
@pytest.mark.parametrize("name", RECORDS)
def test_other_records_are_filled(name, method, tested_years):
    span, short, long, years = RECORDS[name]
    months = month_range(*span)
    truth = series_on(months)
    short, long = months_at(months, *short), months_at(months, *long)
    series = np.where(short | long, np.nan, truth)
    result = fill_gaps(series, months, method=method, **QUICK)

    assert np.isfinite(result.filled).all()
    np.testing.assert_array_equal(result.filled[:, ~(short | long)], truth[:, ~(short | long)])
    np.testing.assert_array_equal(result.flags, [np.where(long, LONG_GAP, np.where(short, SHORT_GAP, 0))] * 3)
    assert tested_years == ([] if years is None else [list(years)])
    # The season is found: errors are far below the deviation of what was missing.
    for months_filled in (short, long):
        if months_filled.any():
            assert np.sqrt(np.mean((result.filled - truth)[:, months_filled] ** 2)) < 1.3
    assert np.isfinite(result.short_error).all()
    assert np.isfinite(result.long_error).all() == bool(long.any())
    assert np.isnan(result.long_share).all() == (not long.any())
    assert np.isfinite(result.hidden_short).all() == (method == "best")
    assert np.isfinite(result.hidden_long).all() == (method == "best" and bool(long.any()))


def test_what_is_tested_between_two_gaps_is_the_stretch_of_five_years():
    months = month_range("2002-04", "2022-12")
    missing = months_at(months, ("2004-02", "2004-10"), ("2016-03", "2016-12"), "2003-01", "2018-08", "2008-06")
    record = Record.from_missing(missing, months)
    np.testing.assert_array_equal(record.stretch, months_at(months, ("2004-11", "2016-02")))
    np.testing.assert_array_equal(record.background, months_at(months, ("2005-01", "2015-12")))
    np.testing.assert_array_equal(record.short, months_at(months, "2008-06"))
    # Without five complete years anywhere the longest is taken.
    missing = months_at(
        months, ("2006-02", "2006-10"), ("2011-03", "2011-12"), ("2016-01", "2016-08"), ("2020-01", "2020-09")
    )
    record = Record.from_missing(missing, months)
    np.testing.assert_array_equal(record.stretch, months_at(months, ("2006-11", "2011-02")))


def test_the_released_years_are_tested_where_the_record_has_them(tested_years):
    months = month_range("2006-01", "2020-12")
    series = np.where(months_at(months, ("2017-07", "2018-05")), np.nan, series_on(months, 1))
    fill_gaps(series, months, preset="released", **QUICK)
    fill_gaps(series[:, : 12 * 13], months[: 12 * 13] - 300, preset="released", **QUICK)  # 1981 to 1993
    assert tested_years == [[2007, 2010, 2013], list(range(1982, 1991))]


THIRTY = month_range("2010-01", "2012-06")


@pytest.mark.parametrize("method", ["ssa", "best"])
def test_thirty_months_are_refused_by_ssa(method):
    series = np.where(months_at(THIRTY, "2011-03"), np.nan, series_on(THIRTY))
    with pytest.raises(NoUsableData, match="29 months|30 months, and a window of 24 months with 12 modes needs 35"):
        fill_gaps(series, THIRTY, method=method)
    with pytest.raises(NoUsableData, match="needs 35"):
        fill_gaps(series, THIRTY, method="harmonic", compare=True)


@pytest.mark.parametrize(
    ("method", "fill"), [("harmonic", fill_harmonic), ("autoregressive", fill_autoregressive)], ids=METHODS[1:3]
)
def test_plain_methods_fill_what_is_too_short_for_ssa(method, fill):
    months = month_range("2010-01", "2012-09")
    truth = series_on(months)
    gap = months_at(months, "2010-05", "2011-03", ("2011-08", "2012-02"))
    result = fill_gaps(np.where(gap, np.nan, truth), months, method=method)
    np.testing.assert_allclose(result.filled, fill(truth, months, ~gap), rtol=0, atol=1e-12)
    assert not result.too_short.any()
    assert not result.short_passes.any() and not result.long_passes.any()
    assert not result.long_window.any() and not result.long_modes.any()
    assert (result.short_share == 0).all() and (result.long_share == 0).all()
    assert np.isnan(result.long_error).all()  # no year could be hidden


@pytest.mark.parametrize("method", ["harmonic", "autoregressive"])
def test_less_than_two_years_are_refused_by_plain_methods(method):
    gap = months_at(THIRTY, "2010-05", ("2011-08", "2012-02"))
    series = np.where(gap, np.nan, series_on(THIRTY))
    with pytest.raises(NoUsableData, match="22 observed months.*needs 24"):
        fill_gaps(series[:, :30], THIRTY, method=method)


@pytest.mark.parametrize("method", ["harmonic", "autoregressive"])
def test_plain_methods_score_themselves_without_ssa(method, monkeypatch):
    months = month_range("2002-04", "2014-12")
    gap = months_at(months, "2003-05", ("2012-08", "2013-04"))
    series = np.where(gap, np.nan, series_on(months))
    compared = fill_gaps(series, months, method=method, compare=True, **QUICK)

    def never(*args, **options):
        raise AssertionError("SSA ran")

    for module in ("ssa_stages.fill", "hidden_months.fill_ssa"):
        monkeypatch.setattr(f"gwsa_qgis.science.{module}", never)
    alone = fill_gaps(series, months, method=method, **QUICK)
    assert not alone.short_passes.any() and not alone.long_passes.any()
    np.testing.assert_array_equal(alone.filled, compared.filled)
    for found, expected in ((alone.hidden_long, compared.hidden_long), (alone.hidden_short, compared.hidden_short)):
        assert np.isnan(found[:, [0, 3]]).all()
        np.testing.assert_allclose(found[:, 1:3], expected[:, 1:3], rtol=1e-12)
    column = METHODS.index(method)
    np.testing.assert_array_equal(alone.long_error, alone.hidden_long[:, column])
    np.testing.assert_array_equal(alone.short_error, alone.hidden_short[:, column])


@pytest.mark.parametrize("method", ["ssa", "harmonic", "best"])
def test_a_series_too_short_keeps_its_gaps_and_does_not_touch_the_others(method):
    months = month_range("2002-04", "2014-12")
    series = np.where(months_at(months, "2003-05", ("2012-08", "2013-04")), np.nan, series_on(months, 4))
    series[1, 4:] = np.nan  # too short for six unknowns and for SSA
    series[2] = np.nan
    result = fill_gaps(series, months, method=method, **QUICK)
    assert result.too_short.tolist() == [False, True, False, False]
    np.testing.assert_array_equal(result.filled[1], series[1])
    np.testing.assert_array_equal(result.filled[2], series[2])
    assert not result.flags[1:3].any()
    for name in ("short_error", "long_error", "short_share", "long_share", "hidden_short", "hidden_long"):
        assert np.isnan(getattr(result, name)[1]).all(), name
    for row in (0, 3):
        alone = fill_gaps(series[row : row + 1], months, method=method, **QUICK)
        np.testing.assert_allclose(result.filled[row], alone.filled[0], **TOLERANCE)
        np.testing.assert_array_equal(result.flags[row], alone.flags[0])
        np.testing.assert_allclose(result.long_error[row], alone.long_error[0], **TOLERANCE)
        np.testing.assert_allclose(result.hidden_short[row], alone.hidden_short[0], **TOLERANCE)


@pytest.mark.parametrize("method", METHODS)
def test_only_short_series_are_refused_with_the_reason(method):
    months = month_range("2002-04", "2014-12")
    series = series_on(months, 3)
    series[:2, 4:] = np.nan
    series[2] = np.nan
    with pytest.raises(NoUsableData, match="needs 14" if method in ("ssa", "best") else "4 observed months"):
        fill_gaps(series, months, method=method, **QUICK | {"short_window": 12})


@pytest.mark.parametrize("method", ["harmonic", "autoregressive", "best", "ssa"])
def test_years_that_cannot_be_tested_do_not_stop_the_filling(method):
    """Few observations in the stretch: hiding a year of it leaves too few for the harmonics."""
    months = month_range("2002-01", "2012-12")
    truth = series_on(months, 2)
    stretch = months_at(months, ("2002-01", "2004-12"))
    seen = np.zeros(months.size, bool)
    seen[:36:7] = True
    long = months_at(months, ("2005-01", "2005-12"))
    observed = np.where(stretch, seen, ~long)
    observed |= months_at(months, ("2006-01", "2006-02"))
    for start in ("2007-06", "2008-06", "2009-06", "2010-06", "2011-06"):
        observed &= ~months_at(months, (start, str(np.datetime64(start) + 7)))
    series = np.where(observed, truth, np.nan)
    choice = {"short_window": 6, "short_modes": 2, "long_windows": (12,), "long_modes": (1, 2)}
    result = fill_gaps(series, months, method=method, compare=method == "ssa", **choice)
    assert np.isfinite(result.filled).all()
    assert not result.too_short.any()


def test_years_are_tested_in_calendar_years_of_the_first_complete_one():
    months = month_range("1990-07", "2001-06")
    series = np.where(months_at(months, ("1998-02", "1998-09")), np.nan, series_on(months, 1))
    record = Record.from_missing(np.isnan(series[0]), months)
    assert np.unique(calendar_year(months[record.background])).tolist() == list(range(1991, 1998))

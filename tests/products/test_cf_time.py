"""Time axes: every spelling that agencies use, with hand-made answers."""

import numpy as np
import pytest

from gwsa_qgis.errors import InvalidMonths
from gwsa_qgis.products.cf_time import decode_times, midpoint_months, parse_missing, to_decimal_years


@pytest.mark.parametrize(
    ("values", "units", "calendar", "expected"),
    [
        ([107.0, 129.5], "days since 2002-01-01T00:00:00Z", "gregorian", ["2002-04-18T00:00", "2002-05-10T12:00"]),
        ([8415360.0], " minutes since 2000-01-01 03:00:00", "", ["2016-01-01T03:00"]),
        ([0, 28], "days since 2003-02-15 00:00:00", "proleptic_gregorian", ["2003-02-15T00:00", "2003-03-15T00:00"]),
        ([24.0], "hours since 2010-12-31", "", ["2011-01-01T00:00"]),
        ([0, 1, 13], "months since 1901-01-01", "", ["1901-01-01T00:00", "1901-02-01T00:00", "1902-02-01T00:00"]),
        ([52275.5], "", "", ["2002-01-01T12:00"]),  # modified Julian day
        ([2003.5], "", "", ["2003-07-02T12:00"]),  # decimal year: 182.5 of 365 days
        ([365.0 * 3 + 31], "days since 1901-01-01", "noleap", ["1904-02-01T00:00"]),
    ],
)
def test_spellings(values, units, calendar, expected):
    found = decode_times(np.array(values), units, calendar)
    wanted = np.array(expected, dtype="datetime64[s]")
    assert (found == wanted).all()


@pytest.mark.parametrize(("values", "units"), [([0], ""), ([5, 6], "fortnights since 2000-01-01"), ([3.0], "1")])
def test_unknown_axis_is_refused(values, units):
    with pytest.raises(InvalidMonths, match="time|counts"):
        decode_times(np.array(values), units)


def test_missing_months_of_csr_and_jpl():
    csr = parse_missing("2016-10;2017-02;2017-02;2017-07", "csr")
    assert [str(m) for m in csr] == ["2016-10", "2017-02", "2017-07"]
    jpl = parse_missing("2018-05;2018-08-2018-10", "jpl")
    assert [str(m) for m in jpl] == ["2018-05", "2018-08", "2018-09", "2018-10"]
    with pytest.raises(InvalidMonths, match="'x'"):
        parse_missing("2018-05;x", "f")


def test_midpoint_rule_by_its_definition():
    # every six hours of three years against -1/24 <= e - t < 1/24, t = year + (month - 0.5) / 12
    times = np.arange(np.datetime64("2011-01-01T03", "h"), np.datetime64("2014-01-01", "h"), 6).astype("datetime64[s]")
    found = midpoint_months(times)
    epochs = to_decimal_years(times)
    centres = np.array([y + (m - 0.5) / 12 for y in range(2010, 2015) for m in range(1, 13)])
    names = np.array([f"{y}-{m:02d}" for y in range(2010, 2015) for m in range(1, 13)], dtype="datetime64[M]")
    away = epochs[:, None] - centres
    inside = (away >= -1 / 24) & (away < 1 / 24)
    assert (inside.sum(axis=1) == 1).all()
    assert (found == names[inside.argmax(axis=1)]).all()
    # the two solutions that the paper averaged
    assert str(midpoint_months(np.array(["2011-10-31T12:00"], "datetime64[s]"))[0]) == "2011-10"
    assert str(midpoint_months(np.array(["2015-04-27T12:00"], "datetime64[s]"))[0]) == "2015-04"


@pytest.mark.parametrize(
    ("values", "units", "expected"),
    [
        ([2002.0, 2002.0833, 2002.1667], "", ["2002-01", "2002-02", "2002-03"]),  # twelfths, cut to four digits
        ([2002.0417, 2002.125, 2002.2083], "decimal year", ["2002-01", "2002-02", "2002-03"]),
        ([2002.296, 2002.359, 2002.627], "", ["2002-04", "2002-05", "2002-08"]),  # centres, as GSFC's tables have them
        ([200212, 200301], "month as %Y%m.%f", ["2002-12", "2003-01"]),
        ([20021216, 20030116.5], "day as %Y%m%d.%f", ["2002-12", "2003-01"]),
        ([52381.5, 52411.0], "Modified Julian Date", ["2002-04", "2002-05"]),
        ([0.5, 1.5], "months since 2002-04-15", ["2002-04", "2002-05"]),
    ],
)
def test_months_of_axes_without_dates(values, units, expected):
    assert [str(month) for month in decode_times(np.array(values), units).astype("datetime64[M]")] == expected


@pytest.mark.parametrize(
    ("values", "units", "calendar", "match"),
    [
        ([1.0, np.nan], "days since 2002-01-01", "", "missing values"),
        ([1.0, 9.96921e36], "days since 2002-01-01", "", "missing values"),
        ([1.0], "days since 2002-01-01", "lunar", "uses the calendar 'lunar'"),
        ([200213, 200214], "", "", "cannot be understood"),
        ([2002, 2003], "year", "", "cannot be understood"),
        ([], "", "", "cannot be understood"),
    ],
)
def test_axes_that_cannot_be_known(values, units, calendar, match):
    with pytest.raises(InvalidMonths, match=match):
        decode_times(np.array(values), units, calendar)

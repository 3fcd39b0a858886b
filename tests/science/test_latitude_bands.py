"""Weighted figures of bands against sorting everything at once; periods and their means against pandas."""

import numpy as np
import pytest

from gwsa_qgis.errors import InvalidMonths, InvalidParameter
from gwsa_qgis.months import month_range
from gwsa_qgis.science.latitude_bands import BandSums, band_numbers
from gwsa_qgis.science.period_means import Period, parse_periods, period_means


def by_sorting(values, weights, shares):
    """Quantiles by the weights of the sorted values: the smallest one with which the weight reaches the share."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    return [values[order][np.flatnonzero(reached >= share * reached[-1])[0]] for share in shares]


@pytest.mark.parametrize("count", [1, 2, 3, 10, 1000, 20_001])
@pytest.mark.parametrize("kind", ["continuous", "ties", "equal weights", "far apart", "zeros"])
def test_figures_equal_sorting_everything(count, kind):
    random = np.random.default_rng(count)
    values = random.normal(0, 4, count).astype(np.float32)
    weights = np.rint(random.uniform(2e5, 9e5, count))
    if kind == "ties":
        values = np.round(values)
    elif kind == "equal weights":
        weights[:] = 7e5
    elif kind == "far apart":
        values = (np.sign(values) * 10.0 ** random.integers(-30, 30, count)).astype(np.float32)
    elif kind == "zeros":
        values = np.where(random.random(count) < 0.5, -0.0, 0.0).astype(np.float32)
    shares = (0.001, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
    sums = BandSums(shares)
    with_holes = np.concatenate([values, [np.nan, np.inf]]).astype(np.float32)
    heavy = np.concatenate([weights, [1e9, 1e9]])
    for k in range(3):
        sums.first(with_holes[k::3], heavy[k::3])
    for k in range(5):
        sums.second(with_holes[k::5], heavy[k::5])
    found = sums.figures()
    np.testing.assert_array_equal(found.quantiles, by_sorting(values, weights, shares))
    exact = values.astype(np.float64)
    scale = np.abs(exact).max()
    mean = np.average(exact, weights=weights)
    assert found.mean == pytest.approx(mean, rel=1e-12, abs=1e-12 * scale)
    assert found.deviation == pytest.approx(
        np.sqrt(np.average((exact - mean) ** 2, weights=weights)), rel=1e-9, abs=1e-12
    )
    assert (found.count, found.weight) == (count, weights.sum())


def test_weights_of_rows_broadcast_and_nothing_gives_nan():
    sums = BandSums((0.5,))
    for take in (sums.first, sums.second):
        take(np.array([[1, 1], [4, np.nan]], np.float32), np.array([[1.0], [3.0]]))
    assert (sums.figures().mean, sums.figures().weight, sums.figures().count) == (14 / 5, 5, 3)
    empty = BandSums()
    for take in (empty.first, empty.second):
        take(np.full((3, 3), np.nan, np.float32), 1.0)
    assert empty.figures().count == 0 and np.isnan(empty.figures().mean) and np.isnan(empty.figures().quantiles).all()
    with pytest.raises(InvalidParameter, match="shares of the quantiles"):
        BandSums((0.0, 0.5))


def test_bands_begin_at_the_equator_whatever_rounding():
    latitudes = 10.0 - (np.arange(2400) + 0.5) / 120
    bands = band_numbers(latitudes, 1.0)
    assert (np.unique(bands, return_counts=True)[1] == 120).all()
    assert bands[0] == 9 and bands[1199] == 0 and bands[1200] == -1 and bands[-1] == -10
    np.testing.assert_array_equal(band_numbers([0.3 - 1e-12, 0.3 + 1e-12], 0.1), [3, 3])
    for height in (0, -1, 181):
        with pytest.raises(InvalidParameter, match="height of a latitude band"):
            band_numbers(latitudes, height)


def test_periods_of_a_text():
    texts = "2003/2010, 2011-04/2012-03; 2015, 2016-02 to 2017"
    assert [str(period) for period in parse_periods(texts)] == [
        "2003-01 to 2010-12", "2011-04 to 2012-03", "2015-01 to 2015-12", "2016-02 to 2017-12",
    ]  # fmt: skip
    assert parse_periods("") == [] == parse_periods(" , ")
    assert Period(np.datetime64("2002-04"), np.datetime64("2020-12")).title() == "Apr 2002 to Dec 2020"
    for wrong in ("soon", "2003-13/2004-01", "2003/", "03/04", "2003 2004", "2003-1/2004-1"):
        with pytest.raises(InvalidMonths, match="is no period"):
            parse_periods(wrong)
    with pytest.raises(InvalidMonths, match="ends before it begins"):
        parse_periods("2010/2003")


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9, 1.0])
def test_means_equal_pandas(share):
    pandas = pytest.importorskip("pandas")
    months = month_range("2002-04", "2012-03")
    random = np.random.default_rng(3)
    values = random.normal(5, 3, (months.size, 50)).astype(np.float32)
    values[random.random(values.shape) < random.uniform(0, 1, 50)] = np.nan
    values[:, 0], values[2, 1] = np.nan, -np.inf
    periods = parse_periods("2002-04/2012-03, 2005/2006")
    found = period_means(values, months, periods, share)
    clean = np.where(np.isfinite(values), values, np.nan).astype(float)
    table = pandas.DataFrame(clean, index=pandas.PeriodIndex(months.astype(str), freq="M"))
    for mean, part in zip(found, (table, table["2005":"2006"]), strict=True):
        enough = part.count() >= max(share * len(part), 1)
        np.testing.assert_allclose(mean, part.mean().where(enough), rtol=1e-12)
    with pytest.raises(InvalidParameter, match="least share of months is 2"):
        period_means(values, months, periods, 2)

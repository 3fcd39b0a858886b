"""Drought index, classes and spells: against pandas, known answers and plain loops."""

import itertools

import numpy as np
import pytest

from gwsa_qgis.errors import InvalidMonths, InvalidParameter, NoUsableData
from gwsa_qgis.months import calendar_month, month_range
from gwsa_qgis.science.drought import drought_classes, drought_index, drought_spells
from gwsa_qgis.science.red_noise import autoregressive

MONTHS = month_range("2002-04", "2020-12")


@pytest.fixture
def storage():
    random = np.random.default_rng(6)
    values = autoregressive(random.normal(size=(MONTHS.size, 60)), 0.8, axis=0)
    calendar = calendar_month(MONTHS)[:, None]
    values = values * (1 + 0.5 * np.sin(calendar)) + random.uniform(0, 5, 60) * np.cos(2 * np.pi * calendar / 12)
    values += random.normal(0, 0.05, 60) * np.arange(MONTHS.size)[:, None] + random.normal(0, 20, 60)
    values[random.random(values.shape) < 0.05] = np.nan
    values[:, 7] = np.nan
    values[120:, 8] = np.nan
    values[3, 9] = np.inf
    return values.astype(np.float32)


def by_pandas(series, method, minimum, used, detrend):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"value": series.astype(float), "month": calendar_month(MONTHS), "used": used})
    table["value"] = table["value"].where(np.isfinite(table["value"]))
    if detrend:  # a line common to all calendar months, each with its own level, by least squares
        known = table["value"].notna().to_numpy()
        if known.sum() < 30:
            return np.full(len(table), np.nan)
        design = np.column_stack([np.arange(len(table)), pandas.get_dummies(table["month"]).to_numpy(float)])
        slope = np.linalg.lstsq(design[known], table["value"].to_numpy()[known], rcond=None)[0][0]
        table["value"] -= slope * np.arange(len(table))
    reference = table[table["used"]].groupby("month")["value"]
    enough = reference.count() >= minimum
    mean = reference.mean().where(enough).reindex(range(1, 13))
    deviation = table["value"] - table["month"].map(mean)
    if method == "grace_dsi":
        return (deviation / table["month"].map(reference.std().reindex(range(1, 13)))).to_numpy()
    inside = deviation[table["used"]]
    return ((deviation - inside.mean()) / inside.std()).to_numpy()


@pytest.mark.parametrize("method", ["grace_dsi", "ggdi"])
@pytest.mark.parametrize("detrend", [False, True])
@pytest.mark.parametrize("period", [None, ("2004-01", "2014-06")])
@pytest.mark.parametrize("minimum", [3, 10])
def test_every_series_equals_pandas(storage, method, detrend, period, minimum):
    used = np.ones(MONTHS.size, bool)
    if period:
        used = (np.datetime64(period[0]) <= MONTHS) & (np.datetime64(period[1]) >= MONTHS)
    found = drought_index(storage, MONTHS, method, reference=used, minimum_years=minimum, detrend=detrend)
    expected = np.stack([by_pandas(one, method, minimum, used, detrend) for one in storage.T], axis=1)
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)
    assert np.isnan(found[:, 7]).all()
    assert np.isfinite(found).mean() > 0.6


def test_standardised_means_mean_zero_and_deviation_one(storage):
    index = drought_index(np.nan_to_num(storage, posinf=0), MONTHS, minimum_years=15).astype(float)
    for month in range(1, 13):
        part = index[calendar_month(MONTHS) == month][:, :7]
        np.testing.assert_allclose(part.mean(axis=0), 0, atol=1e-6)
        np.testing.assert_allclose(part.std(axis=0, ddof=1), 1, atol=1e-6)


def test_unit_and_level_do_not_matter(storage):
    first = drought_index(storage, MONTHS)
    second = drought_index(storage.astype(float) * 10 + 300, MONTHS)
    np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-5)


def test_detrending_takes_a_line_away_and_nothing_else(storage):
    line = 0.7 * np.arange(MONTHS.size)[:, None]
    first = drought_index(storage.astype(float), MONTHS, detrend=True)
    second = drought_index(storage + line, MONTHS, detrend=True)
    np.testing.assert_allclose(first, second, atol=1e-5)
    assert np.abs(drought_index(storage + line, MONTHS) - first)[np.isfinite(first)].max() > 0.5


def test_what_does_not_vary_has_no_index():
    still = np.full((MONTHS.size, 3), 12.3, np.float32)
    still[:, 1] += np.cos(calendar_month(MONTHS))  # the same year over and over
    still[:, 2] += np.float32(0.1) * np.arange(MONTHS.size)
    for method in ("grace_dsi", "ggdi"):
        assert np.isnan(drought_index(still[:, :2], MONTHS, method)).all()
        assert np.isnan(drought_index(still, MONTHS, method, detrend=True)).all()
        assert np.isfinite(drought_index(still[:, 2:], MONTHS, method)).all()


def test_index_of_few_years_cannot_reach_two(storage):
    index = drought_index(storage[:60], MONTHS[:60], minimum_years=5)
    assert np.nanmax(np.abs(index)) <= 4 / 5**0.5 + 1e-6


def test_classes_at_and_beside_the_published_limits():
    limits = np.array([0.5, 0.8, 1.3, 1.6, 2.0], np.float32)
    below, above = np.nextafter(limits, np.float32(0)), limits
    np.testing.assert_array_equal(drought_classes(above), [7, 8, 9, 10, 11])
    np.testing.assert_array_equal(drought_classes(below), [6, 7, 8, 9, 10])
    np.testing.assert_array_equal(drought_classes(-above), [5, 4, 3, 2, 1])
    np.testing.assert_array_equal(drought_classes(-below), [6, 5, 4, 3, 2])
    np.testing.assert_array_equal(drought_classes(np.array([0.0, np.nan, -9.0, 9.0])), [6, 0, 1, 11])
    assert drought_classes(np.zeros((2, 3), np.float32)).dtype == np.uint8


def test_spells_equal_a_loop():
    random = np.random.default_rng(1)
    classes = random.integers(0, 12, (90, 40)).astype(np.uint8)
    classes[20:45, 3] = 2
    classes[:, 4], classes[:, 5], classes[:, 6] = 0, 5, 4
    share, longest = drought_spells(classes)
    for number, series in enumerate(classes.T):
        known, dry = series > 0, (series >= 1) & (series <= 4)
        runs = [len(list(run)) for value, run in itertools.groupby(dry) if value]
        if not known.any():
            assert np.isnan(share[number]) and np.isnan(longest[number])
            continue
        assert share[number] == pytest.approx(100 * dry.sum() / known.sum())
        assert longest[number] == max(runs, default=0)
    assert longest[3] >= 25 and longest[5] == 0 and longest[6] == 90


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"method": "spi"}, InvalidParameter, "method is 'spi'"),
        ({"minimum_years": 2}, InvalidParameter, "least number of years is 2"),
        ({"minimum_years": 20}, NoUsableData, "more than 19 years .*, and 20 are wanted"),
        ({"months": MONTHS[1:]}, InvalidMonths, "224 months"),
        ({"months": np.concatenate([MONTHS[:50], MONTHS[50:] + 2])}, InvalidMonths, "not contiguous"),
        ({"reference": np.zeros(MONTHS.size, bool)}, NoUsableData, "more than 0 years"),
    ],
)
def test_bad_input(storage, change, error, words):
    months = change.pop("months", MONTHS)
    with pytest.raises(error, match=words):
        drought_index(storage, months, **change)

"""Signatures of places: mean and annual cycle of predictors."""

import numpy as np
import pytest

from gwsa_qgis.months import calendar_month, month_range
from gwsa_qgis.science.signatures import SignatureSums, signature_months, signature_names, signatures


def made_up(n=40, shape=(3, 4), seed=1):
    months = month_range("2002-04", "2012-12")[:n]
    random = np.random.default_rng(seed)
    return months, random.normal(size=(len(months), *shape)) + 5


def lstsq(values, months):
    angle = 2 * np.pi * calendar_month(months) / 12
    design = np.stack([np.ones(len(months)), np.cos(angle), np.sin(angle)], 1)
    return np.linalg.lstsq(design, values, rcond=None)[0]


def test_signatures_are_least_squares():
    months, values = made_up()
    expected = lstsq(values.reshape(len(months), -1), months).reshape(3, 3, 4)
    np.testing.assert_allclose(signatures(values, months), expected, rtol=1e-5, atol=1e-6)


def test_missing_months_are_left_out_place_by_place():
    months, values = made_up()
    values[5:9, 0, 0] = np.nan
    kept = np.isfinite(values[:, 0, 0])
    expected = lstsq(values[kept, 0, :1], months[kept])[:, 0]
    np.testing.assert_allclose(signatures(values, months)[:, 0, 0], expected, rtol=1e-5, atol=1e-6)


def test_a_cycle_needs_all_months_of_the_year():
    months, values = made_up(30)
    march = calendar_month(months) == 3
    values[march, 1, 1] = np.nan
    values[:, 2, 2] = np.nan
    found = signatures(values, months)
    np.testing.assert_allclose(found[:, 1, 1], [np.nanmean(values[:, 1, 1]), 0, 0], rtol=1e-6)
    assert np.isnan(found[:, 2, 2]).all()
    assert found[1, 0, 0] != 0


def test_parts_of_the_months_add_up_to_the_whole():
    months, values = made_up()
    other = values * 2 - 1
    valid = np.ones(values.shape, bool)
    sums = SignatureSums(2, values.shape[1:])
    for start in range(0, len(months), 7):
        part = slice(start, start + 7)
        sums.add([values[part], other[part]], valid[part], months[part])
    found = sums.finish()
    np.testing.assert_allclose(found[0], signatures(values, months), rtol=1e-6)
    np.testing.assert_allclose(found[1, 1:], 2 * found[0, 1:], rtol=1e-5, atol=1e-6)
    assert found[1, 0] == pytest.approx(2 * found[0, 0] - 1, rel=1e-5)


def test_months_of_the_training_are_used_where_they_make_a_year():
    months = month_range("2010-01", "2014-12")
    chosen = signature_months(months, "2012-01", "2012-12")
    assert [str(month) for month in months[chosen][[0, -1]]] == ["2012-01", "2012-12"]
    assert signature_months(months, "2014-02", "2020-01").all()


def test_names():
    assert signature_names(["NDVI"]) == ["NDVI mean", "NDVI annual cosine", "NDVI annual sine"]


def test_a_mean_that_is_not_there_is_0_and_no_rounding_error():
    months = month_range("2003-01", "2006-12")
    angle = 2 * np.pi * calendar_month(months) / 12
    values = (300 * np.cos(angle))[:, None].astype(np.float32)
    mean, cosine, sine = signatures(values, months)[:, 0]
    assert (mean, sine) == (0, 0)
    assert cosine == pytest.approx(300)

import numpy as np
import pytest

from gwsa_qgis.errors import InvalidMonths, InvalidParameter
from gwsa_qgis.months import month_range
from gwsa_qgis.science.water_balance import baseline_mask, groundwater_anomaly, propagated_error

MONTHS = month_range("2003-07", "2010-06")
BASELINE = ("2004-01", "2009-12")


def components(cells=5, seed=3):
    random = np.random.default_rng(seed)
    total = random.normal(20, 6, (MONTHS.size, cells))
    return total, [random.normal(level, 2, (MONTHS.size, cells)) for level in (40, 5, 0.1)]


def balance_of_one_cell(total, storages, observed):
    """Month by month, in plain Python."""
    usable = [
        i
        for i, month in enumerate(MONTHS)
        if "2004-01" <= str(month) <= "2009-12"
        and all(np.isfinite(series[i]) for series in [observed, total, *storages])
    ]
    mean = {id(s): sum(s[i] for i in usable) / len(usable) for s in [total, observed, *storages]}
    values = []
    for i in range(MONTHS.size):
        source = observed if np.isfinite(observed[i]) else total
        values.append(source[i] - mean[id(source)] - sum(s[i] - mean[id(s)] for s in storages))
    return values


def test_levels_of_the_storages_do_not_matter():
    total, storages = components()
    plain = groundwater_anomaly(total, storages, MONTHS).groundwater
    shifted = groundwater_anomaly(total + 11, [part - 7 for part in storages], MONTHS).groundwater
    np.testing.assert_allclose(shifted, plain, atol=1e-10)
    inside = baseline_mask(MONTHS, BASELINE)
    assert inside.sum() == 72
    np.testing.assert_allclose(plain[inside].mean(axis=0), 0, atol=1e-12)


def test_observed_months_stay_and_only_missing_ones_are_filled():
    total, storages = components()
    observed = total + np.random.default_rng(1).normal(0, 0.5, total.shape) + 3.0
    observed[[4, 30, 31]] = np.nan
    observed[50, 2] = np.nan
    storages[1][20, 0] = np.nan
    result = groundwater_anomaly(total, storages, MONTHS, observed=observed, baseline=BASELINE)
    for cell in range(total.shape[1]):
        expected = balance_of_one_cell(total[:, cell], [part[:, cell] for part in storages], observed[:, cell])
        np.testing.assert_allclose(result.groundwater[:, cell], expected, atol=1e-10)
    assert result.baseline_months.tolist() == [69, 70, 69, 70, 70]


def test_baseline_is_over_the_same_months_in_every_component():
    # A storage with a strong season that lacks the summers of the baseline must not shift the others.
    season = 10 * np.sin(2 * np.pi * np.arange(MONTHS.size) / 12)[:, None]
    total = season + 4.0
    storage = season.copy()
    storage[(MONTHS.astype(int) % 12 < 6) & (np.datetime64("2006-01") > MONTHS)] = np.nan
    groundwater = groundwater_anomaly(total, [storage], MONTHS).groundwater
    np.testing.assert_allclose(groundwater[np.isfinite(groundwater)], 0, atol=1e-12)


def test_filled_months_do_not_define_the_baseline():
    total, storages = components(1)
    filled = np.zeros(MONTHS.size, bool)
    filled[10:20] = True
    first = groundwater_anomaly(total, storages, MONTHS, filled=filled).groundwater
    total[10:20] += 100
    second = groundwater_anomaly(total, storages, MONTHS, filled=filled).groundwater
    np.testing.assert_allclose(first[~filled], second[~filled], atol=1e-12)
    np.testing.assert_allclose(second[filled] - first[filled], 100, atol=1e-12)


def test_cells_without_baseline_are_missing():
    total, storages = components(2)
    total[baseline_mask(MONTHS, BASELINE), 1] = np.nan
    result = groundwater_anomaly(total, storages, MONTHS)
    assert np.isfinite(result.groundwater[:, 0]).all()
    assert np.isnan(result.groundwater[:, 1]).all()


@pytest.mark.parametrize("baseline", [("1990-01", "1995-12"), ("2009-12", "2004-01"), ("soon", "2009-12")])
def test_impossible_baselines_are_named(baseline):
    with pytest.raises(InvalidMonths, match=baseline[0]):
        groundwater_anomaly(*components(1), MONTHS, baseline=baseline)


def test_differing_shapes_are_named():
    total, storages = components(3)
    with pytest.raises(InvalidParameter, match="shape"):
        groundwater_anomaly(total, [storages[0][:, :2]], MONTHS)


def test_errors_add_in_quadrature():
    assert propagated_error(np.array([3.0]), np.array([4.0]), np.array([12.0])) == pytest.approx(13.0)

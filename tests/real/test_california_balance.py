"""Water balance against the California series of the Jet Propulsion Laboratory, to the file's own rounding."""

import csv

import numpy as np
import pytest

from gwsa_qgis.science.water_balance import groundwater_anomaly, propagated_error

pytestmark = pytest.mark.real
NAMES = ("total water storage", "snow water equivalent", "soil moisture", "reservoirs", "groundwater estimate")


@pytest.fixture(scope="module")
def california(shared_data):
    pattern = "*california_2004-01_to_2026-01*overlap_only_monthly_unsmoothed.csv"
    found = sorted((shared_data / "california_jpl").glob(pattern))
    if not found:
        pytest.skip("the California series is not there")
    with found[0].open(encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    months = np.array([row["date"][:7] for row in rows], "datetime64[M]")
    values = {name: np.array([float(row[name]) for row in rows]) for name in NAMES}
    errors = {name: np.array([float(row[f"{name} error"]) for row in rows]) for name in NAMES}
    return months, values, errors


def test_first_month_is_the_published_one(california):
    months, values, _ = california
    assert str(months[0]) == "2004-01"
    total, *storages = (values[name][:1] for name in NAMES[:4])
    assert (total - sum(storages))[0] == pytest.approx(14.429 - 4.688 - 8.276 - 1.011)
    assert (total - sum(storages))[0] == pytest.approx(values["groundwater estimate"][0], abs=0.0015)


def test_every_month_equals_the_file(california):
    months, values, _ = california
    storages = [values[name] for name in NAMES[1:4]]
    groundwater = groundwater_anomaly(values["total water storage"], storages, months).groundwater
    difference = np.abs(values["groundwater estimate"] - groundwater)
    assert difference.max() < 0.01
    print(f"California: largest difference {difference.max():.4f} km3 over {months.size} months")


def test_errors_add_as_published(california):
    _, _, errors = california
    combined = propagated_error(*(errors[name] for name in NAMES[:4]))
    np.testing.assert_allclose(combined, errors["groundwater estimate"], atol=0.01)
    assert combined[0] == pytest.approx(5.657, abs=0.001)

"""Gap filling against the results of the released program of Yi & Sneeuw on 17 series."""

import csv

import numpy as np
import pytest

from gwsa_qgis.science.ssa import fill_gaps
from gwsa_qgis.science.ssa_core import fill

pytestmark = pytest.mark.real

TOLERANCE = 1e-9
"""In standard deviations of the series; correct double-precision programs differ by less than 1e-12."""

READINGS = {
    # preset: name in the summary, eps1 with and without the low-frequency test, fill, masked years
    "released": ("released", "eps1_code", "eps1_all_rc", "filled_b_released_cv", (2004, 2007, 2010, 2013)),
    "published": (
        "years12_observed",
        "eps1_grace_code",
        "eps1_grace_all_rc",
        "filled_b_12years_observed",
        range(2004, 2016),
    ),
}
READINGS["recommended"] = READINGS["published"]


@pytest.fixture(scope="module")
def folder(shared_data):
    folder = shared_data / "ssa_reference"
    if not folder.is_dir():
        pytest.skip(f"the reference results {folder} are not there")
    return folder


@pytest.fixture(scope="module")
def summary(folder):
    with open(folder / "summary.csv", newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert len(rows) == 17
    return rows


@pytest.fixture(scope="module")
def records(folder, summary):
    """The series by time axis: (months, names, their tables of columns)."""
    by_axis = {}
    for name in summary:
        with open(folder / f"series_{name}.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        columns = {
            key: np.array([float(row[key] or "nan") for row in rows])
            for key in ("id", "input", "filled_a", "filled_b_released_cv", "filled_b_12years_observed")
        }
        axis = tuple(row["month"] for row in rows)
        by_axis.setdefault(axis, []).append((name, columns))
    return [(np.array(axis, dtype="datetime64[M]"), dict(series)) for axis, series in by_axis.items()]


@pytest.fixture(scope="module")
def details(folder, summary):
    return {name: dict(np.load(folder / f"details_{name}.npz")) for name in summary}


@pytest.mark.parametrize("preset", READINGS)
def test_fills_errors_choices_and_passes_equal_the_reference(preset, records, summary, details):
    reading, eps1, _, fill_column, test_years = READINGS[preset]
    for months, series in records:
        result = fill_gaps(np.array([columns["input"] for columns in series.values()]), months, preset=preset)
        for i, (name, columns) in enumerate(series.items()):
            row, detail, scale = summary[name], details[name], np.nanstd(columns["input"])
            np.testing.assert_allclose(result.filled[i], columns[fill_column], rtol=0, atol=TOLERANCE * scale)
            assert result.short_error[i] == pytest.approx(float(row[eps1]), abs=TOLERANCE * scale)
            assert result.long_error[i] == pytest.approx(float(row[f"{reading}_eps2"]), abs=TOLERANCE * scale)
            modes = int(row[f"{reading}_K"])
            assert (result.long_window[i], result.long_modes[i]) == (48, modes), name
            assert result.short_passes[i] == int(row["decompositions_a"]), name
            masked = np.isin(detail["cv_years"], test_years)
            passes = detail["cv_decompositions"][masked, -1].sum() + detail["final_decompositions"][modes - 1]
            assert result.long_passes[i] == passes, name
            np.testing.assert_array_equal(result.flags[i], np.maximum(columns["id"], 2) - 2)


def test_short_fills_and_errors_without_the_low_frequency_test_equal_the_reference(records, summary):
    for months, series in records:
        values = np.array([columns["input"] for columns in series.values()])
        for preset in ("released", "published"):
            result = fill_gaps(
                values, months, preset=preset, low_frequency_test=False, long_windows=[48], long_modes=[1]
            )
            for i, (name, columns) in enumerate(series.items()):
                scale = np.nanstd(columns["input"])
                not_long = columns["id"] != 4
                np.testing.assert_allclose(
                    result.filled[i, not_long], columns["filled_a"][not_long], rtol=0, atol=TOLERANCE * scale
                )
                expected = float(summary[name][READINGS[preset][2]])
                assert result.short_error[i] == pytest.approx(expected, abs=TOLERANCE * scale)


def test_every_masked_year_with_every_number_of_modes_equals_the_reference(details):
    for name, detail in details.items():
        scale = np.nanstd(detail["input"])
        year = np.floor(detail["decimal_year"]).astype(int)
        background = (year >= 2003) & (year <= 2016)
        masks = year[background] == detail["cv_years"][:, None]
        series = np.tile(detail["filled_a"][background], (len(masks), 1))
        run = fill(series / scale, masks, 48, 12, gap_of=np.arange(len(masks)))
        expected = detail["cv_fill"].transpose(1, 2, 0) / scale
        np.testing.assert_allclose(run.gap_values, expected, rtol=0, atol=TOLERANCE, err_msg=name)
        np.testing.assert_array_equal(run.passes, detail["cv_decompositions"], err_msg=name)


def test_final_fill_with_every_number_of_modes_equals_the_reference(details):
    for name, detail in details.items():
        scale = np.nanstd(detail["input"])
        run = fill(detail["filled_a"][None] / scale, detail["id"] == 4, 48, 12)
        expected = detail["final_fill_by_k"].T / scale
        np.testing.assert_allclose(run.gap_values[0], expected, rtol=0, atol=TOLERANCE, err_msg=name)
        np.testing.assert_array_equal(run.passes[0], detail["final_decompositions"], err_msg=name)


@pytest.mark.parametrize("name", ["real_C30", "real_GRL", "syn03_amazon"])
def test_search_over_windows_and_modes_equals_the_reference(name, folder):
    reference = np.load(folder / f"mksearch_{name}.npz")
    series = reference["X"].ravel()
    scale = np.nanstd(series)
    months = np.datetime64("2002-04") + np.arange(series.size)
    result = fill_gaps(
        series[None],
        months,
        preset="released",
        short_window=int(reference["MMa"]),
        short_modes=int(reference["KKa"]),
        long_windows=reference["Mlist"].astype(int),
        long_modes=reference["Klist"].astype(int),
    )
    np.testing.assert_allclose(result.filled[0], reference["Xb"].ravel(), rtol=0, atol=TOLERANCE * scale)
    assert result.short_error[0] == pytest.approx(float(reference["eps1"]), abs=TOLERANCE * scale)
    assert result.long_error[0] == pytest.approx(float(reference["eps2"]), abs=TOLERANCE * scale)
    assert [result.long_window[0], result.long_modes[0]] == reference["mk"].astype(int).tolist()

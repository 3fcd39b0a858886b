"""PML_V2: monthly sums by days, components that make ET, scales of its versions; months that are covered too little."""

import numpy as np
import pytest

from gwsa_qgis.errors import InvalidMonths, UnreadableInput
from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.steps.monthlystack import monthlystack


def starts(year):
    return np.arange(np.datetime64(f"{year}-01-01"), np.datetime64(f"{year + 1}-01-01"), 8)


def run(files, output, **options):
    messages = []
    result = monthlystack(files, output, progress=lambda f, m: messages.append(m), **options)
    with MonthlyStack(output) as stack:
        return result, stack.read(), messages


def monthly_sums(rates, year):
    """By repeating each period's rate for its days, cut at the year's end."""
    days = np.arange(np.datetime64(f"{year}-01-01"), np.datetime64(f"{year + 1}-01-01"))
    daily = np.repeat(rates, 8, axis=0)[: days.size]
    months = days.astype("datetime64[M]")
    return np.stack([daily[months == month].sum(axis=0) for month in np.unique(months)])


@pytest.mark.parametrize("year", [2003, 2004])
def test_components_in_files_of_their_own(write_tif, tmp_path, year):
    rng = np.random.default_rng(year)
    names = [str(day) for day in starts(year)]
    rates = {part: rng.uniform(0, 4, (46, 3, 4)).astype(np.float32) for part in ("Ec", "Es", "Ei", "ET_water", "GPP")}
    files = [write_tif(f"PML_V2_{part}_{year}.tif", values, names=names) for part, values in rates.items()]
    result, data, messages = run(files, tmp_path / "o.tif")
    expected = monthly_sums(sum(rates[part] for part in ("Ec", "Es", "Ei", "ET_water")).astype(float), year)
    assert (result.variable, result.unit, result.first, result.last) == ("ET", "mm", f"{year}-01", f"{year}-12")
    assert np.allclose(data, expected, rtol=3e-6)
    assert any("ET = Ec + Es + Ei + ET_water" in m for m in messages) and any("Passed over: GPP" in m for m in messages)
    result, data, _ = run(files, tmp_path / "o.tif", variable="Es")
    assert np.allclose(data, monthly_sums(rates["Es"].astype(float), year), rtol=3e-6)


def test_components_as_bands_of_dated_images(write_tif, tmp_path):
    """One image a date with the bands of Google Earth Engine."""
    parts = ("GPP", "Ec", "Es", "Ei", "ET_water")
    values = np.arange(1, 6, dtype=np.float32)[:, None, None] * np.ones((3, 4), np.float32)
    files = [write_tif(f"PML_V2_8day_{day}.tif".replace("-", "_"), values, names=parts) for day in starts(2003)[:4]]
    result, data, messages = run(files, tmp_path / "o.tif")
    assert result.variable == "ET" and (result.first, result.last) == ("2003-01", "2003-01")
    assert np.allclose(data, (2 + 3 + 4 + 5) * 31)
    assert any("2003-02 (1 of 28 days)" in m and m.startswith("Warning") for m in messages)


def test_a_component_that_has_no_value_makes_no_sum(write_tif, tmp_path):
    names = [str(day) for day in starts(2003)[:4]]
    values = np.ones((4, 2, 2), np.float32)
    hollow = values.copy()
    hollow[:, 0, 0] = -9999
    files = [write_tif(f"PML_{part}_2003.tif", values, names=names) for part in ("Ec", "Es")]
    files += [write_tif("PML_Ei_2003.tif", hollow, names=names, nodata=-9999)]
    _, data, _ = run(files, tmp_path / "o.tif")
    assert np.isnan(data[0, 0, 0]) and data[0, 1, 1] == pytest.approx(93)


def test_v22a_is_a_hundredth_and_has_its_own_sum(write_tif, tmp_path):
    names = [str(day) for day in starts(2003)]
    values = np.full((46, 2, 2), 250, np.int16)
    result, data, _ = run([write_tif("PML_V2.2a_ET_2003.tif", values, names=names)], tmp_path / "o.tif")
    assert np.allclose(data[:, 0, 0], 2.5 * np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]), rtol=1e-6)
    left_out = write_tif("PML_V2.2a_ET_2003.tif", values.astype(np.float32), names=names)
    assert "scale tag contradicts" in run([left_out], tmp_path / "o.tif")[0].warnings[0]


def test_a_gap_is_told_and_edges_too(write_tif, tmp_path):
    days = [day for day in starts(2003) if str(day)[:7] not in ("2003-01", "2003-04", "2003-05")][:-5]
    values = np.ones((len(days), 2, 2), np.float32)
    result, data, messages = run(
        [write_tif("PML_ET_2003.tif", values, names=[str(d) for d in days])], tmp_path / "o.tif"
    )
    assert result.first == "2003-02" and result.missing == ("2003-04", "2003-05") and np.isnan(data[2:4]).all()
    assert any("become NoData: 2003-04, 2003-05" in m for m in messages)
    # days of November after the last period; the last month is covered by less than half
    edge = [m for m in messages if m.startswith("Warning: Left out")]
    covered = min(days[-1] + 8, np.datetime64("2003-12-01")) - np.datetime64("2003-11-01")
    assert (f"2003-11 ({covered.astype(int)} of 30 days)" in "".join(edge)) == (0 < covered.astype(int) < 15)


def test_refused(write_tif, tmp_path):
    names = [str(day) for day in starts(2003)[:5]]
    values = np.ones((5, 2, 2), np.float32)
    ec, es = (write_tif(f"PML_V2_{part}_2003.tif", values, names=names) for part in ("Ec", "Es"))
    newer = write_tif("PML_V2.2a_Ec_2004.tif", values, names=names)
    undated = write_tif("PML_V2_Ei.tif", values, names=["a", "b", "c", "d", "e"])
    overlapping = write_tif("PML_V2_Ec_late.tif", values, names=[str(day + 3) for day in starts(2003)[:5]])
    for files, options, error, words in (
        ([ec, es], {}, UnreadableInput, "ET needs Ec, Es, Ei, and Ei is missing"),
        ([ec, newer], {}, UnreadableInput, "several versions: 2 .*, 2.2a"),
        ([undated], {}, InvalidMonths, "no date"),
        ([ec, overlapping], {"duplicates": "average"}, InvalidMonths, "is there twice .* one kind of period"),
        ([ec, es], {"variable": "GPP"}, UnreadableInput, "no variable 'GPP' but Ec"),
    ):
        with pytest.raises(error, match=words):
            monthlystack(files, tmp_path / "o.tif", **options)
    assert not (tmp_path / "o.tif").exists()

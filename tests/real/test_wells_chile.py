"""Real well tables: 1,137 wells of Chile, and five of Europe and the United States with decimal commas."""

import time

import numpy as np
import pytest

from gwsa_qgis.months import month_range
from gwsa_qgis.products.wells import read_well_levels, read_well_points
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.stack import write_stack
from gwsa_qgis.science.well_comparison import CELL, SINGLE
from gwsa_qgis.steps.validatewells import validatewells

pytestmark = pytest.mark.real
WORLD = Grid(-180.0, 90.0, 1.0, 1.0, 360, 180, geographic_crs())


@pytest.fixture(scope="module")
def chile(shared_data):
    folder = shared_data / "wells"
    if not (folder / "cr2sub_v1.1_attributes.csv").is_file():
        pytest.skip("the wells of Chile are not there")
    return folder / "cr2sub_v1.1_attributes.csv", folder / "cr2sub_v1.1_gwl_mon_clean.csv"


FIELDS = {"id_field": "cr2sub_id", "x_field": "cr2sub_lon", "y_field": "cr2sub_lat"}


def test_all_wells_of_chile_are_read_and_agree_with_their_own_means(chile):
    import csv

    points, levels = chile
    begin = time.process_time()
    wells = read_well_points(points, WORLD, **FIELDS)
    found = read_well_levels(levels, wells.names, kind="head")
    seconds = time.process_time() - begin
    assert len(wells.names) == 1137
    assert str(found.months[0]) >= "1957-04"
    assert found.positive_share < 0.05  # metres, negative down
    assert np.isfinite(found.levels).any(axis=1).sum() == 530  # the others have attributes and no reading
    with points.open(encoding="utf-8") as file:
        means = np.array([float(row["cr2sub_clean_mean_gwl"] or "nan") if row["cr2sub_clean_mean_gwl"] != "NA" else np.nan
                          for row in csv.DictReader(file)])  # fmt: skip
    with np.errstate(all="ignore"):
        ours = np.nansum(found.levels, axis=1) / np.isfinite(found.levels).sum(axis=1) / 100
    both = np.isfinite(ours) & np.isfinite(means)
    assert both.sum() == 530
    assert np.median(np.abs(ours - means)[both]) < 0.006  # the file rounds to 0.01
    print(f"Chile: {found.readings} readings of {len(wells.names)} wells in {seconds:.1f} s")
    assert seconds < 30


def test_a_map_without_signal_scores_nothing_at_chiles_wells(chile, tmp_path):
    """The whole step on 1,137 wells and a random map: unbinned figures near 0, in under 30 s."""
    points, levels = chile
    months = month_range("2004-01", "2015-12")
    grid = Grid(-76.0, -17.0, 0.1, 0.1, 100, 400, geographic_crs())
    random = np.random.default_rng(3)
    values = random.normal(size=(months.size, *grid.shape)).cumsum(axis=0)
    gwsa = write_stack(tmp_path / "gwsa.tif", grid, months, values)
    begin = time.process_time()
    result = validatewells(
        gwsa,
        points,
        levels,
        level_kind="head",
        report=tmp_path / "report.html",
        metrics=tmp_path / "metrics.csv",
        output=tmp_path / "wells.gpkg",
        **FIELDS,
    )
    seconds = time.process_time() - begin
    found = result.comparison
    plain = found.trend[CELL, "fine map"]
    print(f"Chile: {result.wells} wells in {result.cells} cells, {seconds:.1f} s, r {plain.r:.3f}, R2 {plain.r2:.3f}")
    assert seconds < 30
    assert 350 < result.wells < 530
    assert result.cells < result.wells
    assert set(found.groups) == {("region", "South America")}
    assert abs(found.trend[SINGLE, "fine map"].r) < 0.15
    assert plain.r2 < 0.1
    assert result.report.stat().st_size < 10e6


def test_wells_with_decimal_commas_and_a_table_each(shared_data):
    folder = shared_data / "wells" / "gw_challenge"
    if not (folder / "locations.csv").is_file():
        pytest.skip("the European and US wells are not there")
    wells = read_well_points(folder / "locations.csv", WORLD)
    assert wells.names == ["Netherlands", "Germany", "Sweden_1", "Sweden_2", "USA"]
    np.testing.assert_allclose([wells.x[4], wells.y[0]], [-72.292105628, 52.995632])
    found = read_well_levels(folder, wells.names, kind="head")
    assert np.isfinite(found.levels).sum(axis=1).min() > 100
    place = int((np.datetime64("2002-05") - found.months[0]).astype(int))
    lines = (folder / "Germany_heads_full.csv").read_text().splitlines()
    days = [float(line.split(",")[1]) for line in lines if line.startswith("2002-05") and line.split(",")[1]]
    assert found.levels[1, place] == pytest.approx(100 * np.mean(days))


def test_the_five_wells_are_compared_and_charted(shared_data, tmp_path):
    """Points with decimal commas and a table each, against a map whose trend at each well is known."""
    folder = shared_data / "wells" / "gw_challenge"
    if not (folder / "locations.csv").is_file():
        pytest.skip("the European and US wells are not there")
    months = month_range("2002-04", "2016-12")
    grid = Grid(-180.0, 90.0, 2.5, 2.5, 144, 72, geographic_crs())
    values = np.random.default_rng(4).normal(size=(months.size, 1, 1)) + np.zeros(grid.shape)
    values += np.arange(months.size)[:, None, None] / 12 * np.linspace(-2, 2, grid.columns)
    gwsa = write_stack(tmp_path / "gwsa.tif", grid, months, values)
    outputs = {"metrics": tmp_path / "m.csv", "report": tmp_path / "r.html", "output": tmp_path / "w.gpkg"}
    begin = time.process_time()
    result = validatewells(gwsa, folder / "locations.csv", folder, level_kind="head", draws=100, **outputs)
    seconds = time.process_time() - begin
    print(f"five wells: {seconds:.1f} s")
    assert result.wells == 5 and seconds < 30
    single = result.comparison.supports[SINGLE]
    column = np.floor((np.array([-72.292105628]) + 180) / 2.5).astype(int)[0]
    assert single.map_trends["fine map"][4] == pytest.approx(np.linspace(-2, 2, grid.columns)[column], abs=0.15)
    assert dict(result.comparison.groups)["region", "Europe and Middle East"]["trend", SINGLE, "fine map"].n == 4
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "All wells, cm/yr, largest disagreement first" in page and "Sweden_2" in page

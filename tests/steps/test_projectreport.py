"""The report of a project holds what the files say, and refuses files that are something else."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from gwsa_qgis.errors import Cancelled, GwsaError, InvalidModelFile, InvalidParameter, NoUsableData, UnreadableInput
from gwsa_qgis.months import month_range
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.raster import read_single
from gwsa_qgis.rasters.stack import MonthlyStack, write_stack
from gwsa_qgis.steps.consistency import consistency
from gwsa_qgis.steps.correctresiduals import correctresiduals
from gwsa_qgis.steps.project_figures import clean, summarise
from gwsa_qgis.steps.projectreport import projectreport
from gwsa_qgis.steps.trend import trend


@pytest.fixture(scope="module")
def project(small_inputs, tmp_path_factory):
    """A small project: model, closed map, its tables and trend."""
    pytest.importorskip("xgboost")
    from gwsa_qgis.steps.trainmodels import trainmodels

    folder = tmp_path_factory.mktemp("project")
    files = {
        name: folder / name for name in ("model.gwsa", "closed.tif", "closure.csv", "consistency.csv", "s.tif", "p.tif")
    }
    trainmodels(small_inputs["gwsa"], small_inputs["coarse"], files["model.gwsa"], search_iterations=0, seed=11)
    correctresiduals(small_inputs["corrected"], small_inputs["gwsa"], files["closed.tif"], closure=files["closure.csv"])
    consistency(files["closed.tif"], small_inputs["gwsa"], metrics=files["consistency.csv"])
    trend(files["closed.tif"], files["s.tif"], files["p.tif"], unit="year")
    return {
        "gwsa": files["closed.tif"], "coarse": small_inputs["gwsa"], "model": files["model.gwsa"],
        "closure": files["closure.csv"], "consistency": files["consistency.csv"],
        "slope": files["s.tif"], "p_value": files["p.tif"],
    }  # fmt: skip


def test_figures_are_those_of_the_files(project, tmp_path):
    result = projectreport(**project, report=tmp_path / "r.html", json_file=tmp_path / "f.json")
    figures = json.loads((tmp_path / "f.json").read_text(encoding="utf-8"))
    assert figures == result.figures
    with MonthlyStack(project["gwsa"]) as stack:
        values, weights = stack.read().astype(float), stack.grid.row_weights()
    area = np.isfinite(values) * weights[None, :, None]
    expected = np.nansum(values * area, axis=(1, 2)) / area.sum(axis=(1, 2))
    np.testing.assert_allclose(list(figures["map"]["area_mean_cm"].values()), expected, rtol=1e-6, atol=1e-6)
    assert (figures["map"]["first_month"], figures["map"]["months"]) == ("2004-01", 72)
    assert {one["what"] for one in figures["inputs"]} == {
        "fine map", "field before downscaling", "model", "closure", "consistency", "trend", "significance"
    }  # fmt: skip
    assert figures["inputs"][0]["months_not_in_it"] == []
    assert figures["model"]["seed"] == 11 and figures["model"]["preset"] == "recommended"
    slope, p_value = read_single(project["slope"])[0], read_single(project["p_value"])[0]
    assert figures["trend"]["median"] == pytest.approx(float(np.median(slope)), rel=1e-6)
    falling = float(((slope < 0) & (p_value < 0.05)).mean())
    assert figures["trend"]["significantly_falling_share"] == pytest.approx(falling)
    assert max(row["max_after_cm"] for row in figures["closure"]) < 1e-4
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    for text in ("In short", "Table 3", "Closure", "Consistency", "Limits", "Methods, to paste", "Seed 11"):
        assert text in page
    assert "The map was not compared with wells." in page and "No uncertainty was given" in page


def test_the_page_needs_no_network_and_is_small(project, tmp_path):
    projectreport(**project, report=tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert not re.search(r"(?:src|href)=[\"'](?!data:)", page)
    assert "@media print" in page and "prefers-color-scheme" in page
    assert len(page) < 10e6


def test_windows_change_nothing(tmp_path):
    grid, months = Grid(10.0, 46.0, 0.01, 0.01, 700, 300, geographic_crs()), month_range("2004-01", "2004-06")
    values = np.random.default_rng(1).normal(size=(months.size, *grid.shape)).astype(np.float32)
    values[2] = np.nan
    values[:, :40] = np.nan
    path = write_stack(tmp_path / "s.tif", grid, months, values)
    whole, small = (summarise(path, memory, Reporter(None))[0] for memory in (512, 16))
    np.testing.assert_allclose(whole.mean, small.mean, rtol=1e-12)
    np.testing.assert_array_equal(whole.mean_map, small.mean_map)
    assert whole.thin == 2 and whole.mean_map.shape == (150, 350)
    np.testing.assert_allclose(
        whole.mean_map[20:], np.nanmean(values[:, 40::2, ::2].astype(float), axis=0), rtol=1e-6, atol=1e-6
    )
    assert np.isnan(whole.mean[2]) and whole.valid_share[2] == 0 and whole.valid_share[0] == pytest.approx(1)


def test_metres_are_told_in_centimetres(tmp_path):
    grid, months = Grid(10.0, 46.0, 1.0, 1.0, 3, 3, geographic_crs()), month_range("2004-01", "2004-06")
    path = write_stack(tmp_path / "s.tif", grid, months, np.full((6, 3, 3), 25, np.float32), unit="mm")
    figures = projectreport(path, json_file=tmp_path / "f.json").figures
    assert set(figures["map"]["area_mean_cm"].values()) == {2.5}


def test_other_files_are_refused(project, small_inputs, tmp_path):
    out = {"report": tmp_path / "r.html"}
    with pytest.raises(UnreadableInput, match="is not the table that gwsa:consistency writes"):
        projectreport(project["gwsa"], consistency=project["closure"], **out)
    with pytest.raises(InvalidModelFile):
        projectreport(project["gwsa"], model=project["closure"], **out)
    with pytest.raises(NoUsableData, match="has no valid value"):
        projectreport(small_inputs["empty"], **out)
    with pytest.raises(GwsaError):
        projectreport(project["gwsa"], slope=project["closure"], **out)
    with pytest.raises(InvalidParameter, match="neither REPORT nor JSON"):
        projectreport(project["gwsa"])
    assert not list(tmp_path.iterdir())


def test_cancelling_leaves_nothing(project, tmp_path):
    def cancel(fraction, message):
        if fraction > 0.2:
            raise Cancelled

    with pytest.raises(Cancelled):
        projectreport(**project, report=tmp_path / "r.html", progress=cancel)
    assert not list(tmp_path.iterdir())


def test_what_json_does_not_know_becomes_null():
    dirty = {"a": np.float32(1.5), "b": float("nan"), "c": (np.int8(2), np.array([np.inf, 1.0])), 4: "x"}
    assert clean(dirty) == {"a": 1.5, "b": None, "c": [2, [None, 1.0]], "4": "x"}

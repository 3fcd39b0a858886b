"""The models "Pumping fingerprint" and "Basin reports", run as users run them: in QGIS, in batch, with qgis_process."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from qgis.core import QgsVectorLayer


@pytest.fixture(scope="module")
def trending(small_inputs, tmp_path_factory) -> str:
    """The small fine stack with a decline in its west that no season hides."""
    from gwsa_qgis.rasters.stack import MonthlyStack, write_stack

    with MonthlyStack(small_inputs["corrected"]) as stack:
        time = np.arange(stack.bands)[:, None, None] / 12
        decline = np.where(np.arange(stack.grid.columns) < 5, -4.0, 0.0)
        values = stack.read() + decline * time
        path = tmp_path_factory.mktemp("trending") / "gwsa.tif"
        write_stack(path, stack.grid, stack.months, values)
    return str(path)


def basins_of(table: str) -> dict[str, dict[str, str]]:
    with Path(table).open(encoding="utf-8-sig", newline="") as file:
        return {row["basin"]: row for row in csv.DictReader(file)}


def test_pumping_fingerprint(provider, small_inputs, trending, tmp_path):
    import processing

    outputs = {
        "residual_gwsa": "r.tif",
        "trend_of_the_residual": "s.tif",
        "significance_of_the_residuals_trend_p": "p.tif",
        "trend_classes_of_the_residual": "c.tif",
        "hot_spots_of_the_residual": "h.gpkg",
        "hot_spot_report": "h.html",
        "significant_residual_trends": "d.gpkg",
        "latitude_profile": "l.csv",
    }
    paths = {name: str(tmp_path / file) for name, file in outputs.items()}
    given = {"GWSA": trending, "BACKGROUND": small_inputs["sms"], "BAND_HEIGHT": 2}
    found = processing.run("gwsa:pumpingfingerprint", given | paths)
    assert all(Path(found[name]).exists() for name in outputs)
    layer = QgsVectorLayer(found["hot_spots_of_the_residual"], "h")
    spots = {f["rank"]: f for f in layer.getFeatures()}
    # The west declines by 4 cm a year on 5 of 12 columns: the first hot spot, with limits that hold its volume.
    first = spots[1]
    assert layer.isValid() and first["kind"] == "depletion" and first["cells"] >= 55
    assert -5 < first["slope_cm"] < -3
    assert first["rate_km3_lo"] < first["rate_km3"] < first["rate_km3_hi"] < 0
    assert "Limits of a volume" in Path(found["hot_spot_report"]).read_text(encoding="utf-8")
    assert len(Path(found["latitude_profile"]).read_text().splitlines()) == 4


def test_basin_reports_of_all_basins_with_qgis_process(run_qgis_process, small_inputs, trending, tmp_path):
    paths = {
        "hot_spots": str(tmp_path / "h.gpkg"),
        "basins_with_trends": str(tmp_path / "b.gpkg"),
        "monthly_table": str(tmp_path / "m.csv"),
        "basin_report": str(tmp_path / "overview.html"),
        "folder_of_pages": str(tmp_path / "pages"),
        "table_of_basins": str(tmp_path / "t.csv"),
    }
    temporary = dict.fromkeys(("trend", "significance_p"), "TEMPORARY_OUTPUT")
    given = {"INPUT": trending, "BASINS": small_inputs["aquifers"], "FIELD": "HYGEO2", **temporary, **paths}
    done = run_qgis_process("basinreports", given)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert sorted(path.name for path in (tmp_path / "pages").iterdir()) == ["13.html", "23.html"]
    overview = (tmp_path / "overview.html").read_text(encoding="utf-8")
    assert 'href="pages/13.html"' in overview and 'href="pages/23.html"' in overview
    table, layer = basins_of(paths["table_of_basins"]), QgsVectorLayer(paths["basins_with_trends"], "b")
    trends = {f["basin"]: f["slope_cm"] for f in layer.getFeatures()}
    assert {name: pytest.approx(float(row["slope_cm"]), abs=1e-6) for name, row in table.items()} == trends
    # 13 reaches over 6 columns, 5 of which decline
    assert float(table["13"]["slope_cm"]) == pytest.approx(-4 * 5 / 6, abs=0.6)
    assert float(table["13"]["depletion_km3"]) < 0 and abs(float(table["23"]["slope_cm"])) < 0.6


def test_basin_reports_one_run_a_basin_in_batch(provider, small_inputs, trending, tmp_path, run_in_batch):
    """Two rows of the batch dialog, by its own machinery."""
    files = {"trend": "s.tif", "significance_p": "p.tif", "hot_spots": "h.gpkg", "basins_with_trends": "b.gpkg"}
    files |= {"monthly_table": "m.csv", "basin_report": "page.html"}
    runs = [
        {"INPUT": trending, "BASINS": small_inputs["aquifers"], "FIELD": "HYGEO2", "BASIN": name, "BREAK": "2007"}
        | {output: str(tmp_path / f"{name}_{file}") for output, file in files.items()}
        for name in ("13", "23")
    ]
    run_in_batch("basinreports", runs)
    for name in ("13", "23"):
        page = (tmp_path / f"{name}_page.html").read_text(encoding="utf-8")
        assert f"<h1>{name}</h1>" in page and "Before and after 2007-01" in page

"""Cancelled from QGIS, by another thread as its Cancel button does, a long step leaves no output, and goes on later."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from qgis.core import QgsProcessingContext, QgsProcessingFeedback

MONTHS = np.arange("2002-01", "2012-01", dtype="datetime64[M]")
# Rasters that each step writes, the main one first.
OUTPUTS = {
    "trend": ("SLOPE", "P_VALUE", "CLASSES"),
    "trendbreak": ("CHANGE", "P_VALUE"),
    "droughtindex": ("OUTPUT", "CLASSES"),
    "seasonality": ("OUTPUT",),
}
MEMORY = 16


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """A stack whose trend takes some seconds."""
    from gwsa_qgis.rasters.grid import Grid, geographic_crs
    from gwsa_qgis.rasters.stack import write_stack

    grid = Grid(10.0, 50.0, 0.05, 0.05, 200, 120, geographic_crs())
    values = np.random.default_rng(1).normal(size=(MONTHS.size, *grid.shape)).astype(np.float32)
    return str(write_stack(tmp_path_factory.mktemp("stack") / "gwsa.tif", grid, MONTHS, values))


def run(provider, name, stack, folder, feedback):
    folder.mkdir(exist_ok=True)
    options = {"BREAK": "2007-01"} if name == "trendbreak" else {}
    outputs = {output: str(folder / f"{output.lower()}.tif") for output in OUTPUTS[name]}
    given = {"INPUT": stack, "MEMORY": MEMORY, **options, **outputs}
    return provider.algorithm(name).create().run(given, QgsProcessingContext(), feedback)[1]


@pytest.mark.parametrize("name", OUTPUTS)
def test_cancelled_by_another_thread_it_goes_on(provider, stack, tmp_path, name):
    assert run(provider, name, stack, tmp_path / "undisturbed", QgsProcessingFeedback())
    expected = {path.name: path.read_bytes() for path in (tmp_path / "undisturbed").iterdir()}
    assert len(expected) == len(OUTPUTS[name])
    feedback, begun = QgsProcessingFeedback(), threading.Event()
    feedback.progressChanged.connect(lambda percent: begun.set() if percent > 40 else None)
    button = threading.Thread(target=lambda: begun.wait(60) and feedback.cancel())
    button.start()
    done = run(provider, name, stack, tmp_path / "out", feedback)
    button.join()
    left = {path.name for path in (tmp_path / "out").iterdir()}
    if not done:
        assert left <= {f".{OUTPUTS[name][0].lower()}.tif.gwsa-part"}
    assert run(provider, name, stack, tmp_path / "out", QgsProcessingFeedback())
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == expected

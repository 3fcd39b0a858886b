"""The ready project of the sample region, and the menu that makes it."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def made(provider, tmp_path_factory) -> Path:
    import processing

    folder = tmp_path_factory.mktemp("project") / "sample"
    values = {"SIZE": 2, "FACTOR": 2, "FOLDER": str(folder)}
    results = processing.run("gwsa:sampleproject", values)
    assert Path(results["PROJECT"]) == folder / "sample_region.qgz"
    return folder


@pytest.fixture
def project(made):
    from qgis.core import QgsProject

    project = QgsProject()
    assert project.read(str(made / "sample_region.qgz"))
    yield project
    project.clear()


def test_layers_are_named_grouped_and_readable(project):
    groups = [group.name() for group in project.layerTreeRoot().findGroups()]
    assert groups == ["Wells and borders", "The truth to be found", "What satellites saw", "The land"]
    layers = list(project.mapLayers().values())
    assert len(layers) == 8
    assert all(layer.isValid() for layer in layers)
    assert not [layer.name() for layer in layers if "_" in layer.name()]


def test_layers_carry_styles_with_white_at_zero(project):
    (truth,) = project.mapLayersByName("True GWSA (cm)")
    items = truth.renderer().shader().rasterShaderFunction().colorRampItemList()
    middle = items[len(items) // 2]
    assert middle.value == pytest.approx(0, abs=1e-9)
    assert middle.color.name() == "#ffffff"
    (mascons,) = project.mapLayersByName("Native mascons")
    assert len({c.value for c in mascons.renderer().classes()}) > 1
    (aquifers,) = project.mapLayersByName("Aquifers (WHYMAP classes)")
    assert aquifers.renderer().classAttribute() == "HYGEO2"


def test_months_step_in_the_temporal_controller(project):
    from qgis.core import Qgis, QgsDateTimeRange
    from qgis.PyQt.QtCore import QDate

    settings = project.timeSettings()
    assert settings.temporalRange().begin().date() == QDate(2002, 4, 1)
    assert settings.temporalRange().end().date() == QDate(2021, 1, 1)
    assert (settings.timeStep(), settings.timeStepUnit()) == (1, Qgis.TemporalUnit.Months)
    mode, found = project.readNumEntry("TemporalControllerWidget", "/NavigationMode")
    assert found and mode == Qgis.TemporalNavigationMode.Animated.value
    (truth,) = project.mapLayersByName("True GWSA (cm)")
    temporal = truth.temporalProperties()
    assert temporal.isActive()
    begin = settings.temporalRange().begin().addMonths(100)
    band = temporal.bandForTemporalRange(truth, QgsDateTimeRange(begin, begin.addMonths(1), True, False))
    assert "2010-08" in truth.bandName(band)


def test_crs_extent_title_and_relative_paths(project, made):
    assert project.crs().authid() == "EPSG:4326"
    assert project.title() == "GWSA sample region"
    assert project.viewSettings().defaultViewExtent().width() == pytest.approx(2.1)
    moved = made.with_name("moved")
    made.rename(moved)
    try:
        from qgis.core import QgsProject

        again = QgsProject()
        assert again.read(str(moved / "sample_region.qgz"))
        assert all(layer.isValid() for layer in again.mapLayers().values())
        again.clear()
    finally:
        moved.rename(made)


def test_made_again_keeps_results(made, provider):
    import processing

    (made / "results" / "mine.txt").write_text("mine")
    processing.run("gwsa:sampleproject", {"SIZE": 2, "FACTOR": 2, "SEED": 1, "FOLDER": str(made)})
    assert (made / "results" / "mine.txt").read_text() == "mine"


def test_menu_makes_the_sample_in_the_background_and_opens_it(provider, qgis_iface, tmp_path, wait_for):
    from gwsa_qgis.processing_provider.menu import Menu

    opened, told = [], []
    qgis_iface.addPluginToMenu = lambda title, action: None
    qgis_iface.removePluginMenu = lambda title, action: None
    qgis_iface.addProject = lambda path: opened.append(path) or True
    menu = Menu(qgis_iface)
    menu._say = lambda text, *level: told.append(text)
    menu.make_sample({"FOLDER": str(tmp_path / "sample"), "SIZE": 2, "FACTOR": 2})
    menu.make_sample({"FOLDER": str(tmp_path / "other"), "SIZE": 2, "FACTOR": 2})
    assert "already" in told[-1]
    assert wait_for(lambda: opened, 120)
    assert opened == [str(tmp_path / "sample" / "sample_region.qgz")]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "region").write_text("a file")
    menu.make_sample({"FOLDER": str(tmp_path / "full"), "SIZE": 2, "FACTOR": 2})
    told.clear()
    assert wait_for(lambda: told, 120)
    assert "is a file" in told[-1]
    menu.remove()


@pytest.fixture
def wait_for():
    """Wait for something while Qt's events run."""
    import time

    from qgis.PyQt.QtCore import QCoreApplication

    def wait(ready, seconds: float):
        until = time.monotonic() + seconds
        while not ready() and time.monotonic() < until:
            QCoreApplication.processEvents()
            time.sleep(0.02)
        return ready()

    return wait

"""Basin algorithms in QGIS: what is selected, filtered or only in memory is what is averaged."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from qgis.core import (
    QgsFeature,
    QgsGeometry,
    QgsProcessingContext,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingFeedback,
    QgsProject,
    QgsVectorLayer,
)


@pytest.fixture
def basins():
    """Three basins in memory; the names of two are not ASCII."""
    layer = QgsVectorLayer("Polygon?crs=EPSG:4326&field=name:string", "basins", "memory")
    features = []
    for place, name in enumerate(("Tèmes", "Oder", "Ōhre")):
        feature = QgsFeature(layer.fields())
        feature.setAttribute("name", name)
        west = 10 + 2 * place
        feature.setGeometry(
            QgsGeometry.fromWkt(f"POLYGON (({west} 41, {west + 2} 41, {west + 2} 45, {west} 45, {west} 41))")
        )
        features.append(feature)
    layer.dataProvider().addFeatures(features)
    QgsProject.instance().addMapLayer(layer)
    yield layer
    QgsProject.instance().removeMapLayer(layer.id())


def series(path: str) -> dict[str, int]:
    """Rows of each basin."""
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        names = [row["basin"] for row in csv.DictReader(file)]
    return {name: names.count(name) for name in dict.fromkeys(names)}


def test_layers_in_memory_with_selected_and_filtered_features(provider, small_inputs, basins, tmp_path):
    import processing

    def run(source) -> dict[str, int]:
        given = {"INPUT": small_inputs["corrected"], "BASINS": source, "FIELD": "name"}
        return series(processing.run("gwsa:basinseries", given | {"OUTPUT": str(tmp_path / "o.csv")})["OUTPUT"])

    assert run(basins) == {"Tèmes": 72, "Oder": 72, "Ōhre": 72}
    basins.selectByExpression("name = 'Oder'")
    assert run(QgsProcessingFeatureSourceDefinition(basins.id(), selectedFeaturesOnly=True)) == {"Oder": 72}
    basins.removeSelection()
    basins.setSubsetString("name <> 'Oder'")
    assert run(basins) == {"Tèmes": 72, "Ōhre": 72}
    basins.setSubsetString("")


def test_basins_come_coloured_by_their_trend(provider, small_inputs, basins, tmp_path):
    path = str(tmp_path / "basins.gpkg")
    context = QgsProcessingContext()
    context.setProject(QgsProject())
    context.addLayerToLoadOnCompletion(path, QgsProcessingContext.LayerDetails("", context.project(), "LAYER"))
    given = {"INPUT": small_inputs["corrected"], "BASINS": basins, "FIELD": "name"}
    outputs = {"OUTPUT": str(tmp_path / "o.csv"), "LAYER": path}
    algorithm = provider.algorithm("basinseries").create()
    results, done = algorithm.run(given | outputs, context, QgsProcessingFeedback(False))
    assert done and results["BASINS_READ"] == 3 and results["BASINS_WITHOUT_VALUES"] == 0
    details = context.layerToLoadOnCompletionDetails(path)
    layer = QgsVectorLayer(path, "basins")
    details.postProcessor().postProcessLayer(layer, context, QgsProcessingFeedback())
    renderer = layer.renderer()
    assert renderer.type() == "graduatedSymbol" and renderer.classAttribute() == "slope_cm"
    colours = {r.upperValue(): r.symbol().color().name() for r in renderer.ranges()}
    assert colours[-2] == "#67001f" and colours[0.1] == "#ffffff" and colours[1e6] == "#053061"
    assert {feature["basin"] for feature in layer.getFeatures()} == {"Tèmes", "Oder", "Ōhre"}

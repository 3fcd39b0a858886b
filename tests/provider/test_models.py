"""The bundled models: in the toolbox, true to the script that builds them, and they run."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from qgis.core import Qgis, QgsProcessingContext, QgsProcessingFeedback, QgsProcessingModelAlgorithm, QgsRasterLayer

ROOT = Path(__file__).resolve().parents[2]
MODELS = {
    "basinreports": "basin_reports",
    "completechain": "complete_chain",
    "pumpingfingerprint": "pumping_fingerprint",
    "trendandclasses": "trend_and_classes",
    "validation": "validation",
}


def canonical(path: Path) -> str:
    """The model's XML with attributes in one order."""
    return ET.canonicalize(path.read_text(encoding="utf-8"), strip_text=True)


def test_models_are_in_the_toolbox_with_outputs(provider):
    for name in MODELS:
        algorithm = provider.algorithm(name)
        assert isinstance(algorithm, QgsProcessingModelAlgorithm)
        assert algorithm.outputDefinitions()
        assert algorithm.shortHelpString()
        instance = algorithm.create()
        assert instance.id() == f"gwsa:{name}"
        assert instance.outputDefinitions()


def test_models_are_what_the_script_builds(tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / "models" / "build_models.py"), str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for file in MODELS.values():
        assert canonical(tmp_path / f"{file}.model3") == canonical(ROOT / "models" / f"{file}.model3"), file


def test_defaults_of_models_are_those_of_their_steps(provider):
    """A model run without a value takes the step's default, whatever the model's own says: so both must agree."""
    compared = 0
    for name in MODELS:
        model = provider.algorithm(name)
        for child in model.childAlgorithms().values():
            for parameter, sources in child.parameterSources().items():
                if len(sources) != 1 or not sources[0].parameterName():
                    continue
                own = model.parameterDefinition(sources[0].parameterName()).defaultValue()
                if own is not None:
                    assert own == child.algorithm().parameterDefinition(parameter).defaultValue(), (name, parameter)
                    compared += 1
    assert compared > 8


def test_outputs_that_other_steps_take_are_always_made(provider):
    """QGIS leaves out a model's optional output where the user does not ask for it, and steps behind it get nothing."""
    feeding = 0
    for name in MODELS:
        model = provider.algorithm(name)
        children = model.childAlgorithms()
        taken = {
            (source.outputChildId(), source.outputName())
            for child in children.values()
            for sources in child.parameterSources().values()
            for source in sources
        }
        for step, child in children.items():
            for output in child.modelOutputs().values():
                if (step, output.childOutputName()) in taken:
                    names = (output.name(), output.description())
                    shown = [p for p in model.destinationParameterDefinitions() if p.description() in names]
                    assert output.isMandatory(), (name, output.name())
                    assert shown, (name, output.name())
                    optional = Qgis.ProcessingParameterFlag.Optional
                    assert not any(p.flags() & optional for p in shown), (name, output.name())
                    feeding += 1
    assert feeding > 10


def test_models_hold_no_code(provider):
    """A model is data: no expressions and no scripts inside."""
    for file in MODELS.values():
        text = (ROOT / "models" / f"{file}.model3").read_text(encoding="utf-8")
        assert 'name="source" value="5"' not in text  # an expression as source
        assert "script:" not in text


@pytest.mark.parametrize("name", MODELS)
def test_models_open_in_the_designer(provider, name, qgis_app):
    """The model's own file loads as the Modeler loads it."""
    model = QgsProcessingModelAlgorithm()
    assert model.fromFile(provider.algorithm(name).sourceFilePath())
    assert all(child.algorithm() is not None for child in model.childAlgorithms().values())
    assert model.validate()[0], model.validate()


def test_the_toolbox_opens_bundled_models_in_the_designer(provider, qgis_app, monkeypatch):
    """The context menu's entry is for our models, and the designer shows all their steps."""
    monkeypatch.setattr("processing.modeler.ModelerDialog.iface", None)  # there is no main window here
    from gwsa_qgis.processing_provider.context_actions import OpenInModeler
    from processing.modeler.ModelerDialog import ModelerDialog

    action = OpenInModeler()
    action.setData(provider.algorithm("trend"), None)
    assert not action.isEnabled()
    action.setData(provider.algorithm("completechain"), None)
    assert action.isEnabled()
    dialog = ModelerDialog.create(action.itemData)
    assert len(dialog.model().childAlgorithms()) == len(action.itemData.childAlgorithms()) > 20
    dialog.close()


@pytest.fixture(scope="module")
def chain(run_qgis_process, chain_inputs, tmp_path_factory) -> dict:
    """The complete model, run with qgis_process as a user would."""
    folder = tmp_path_factory.mktemp("complete")
    outputs = {
        **{
            name: str(folder / f"{name}.tif")
            for name in ("gwsa_fine", "gwsa_coarse", "native_mascons", "baseline_mask")
        },
        "aquifer_classes_coarse": str(folder / "classes_coarse.tif"),
    }
    others = ("twsa_filled", "aquifer_classes", "fine_predictors", "coarse_predictors")
    others += ("trend", "significance_p", "uncertainty_of_gwsa_fine")
    reports = {
        "project_report": str(folder / "project.html"), "project_figures": str(folder / "project.json"),
        "closure_table": str(folder / "closure.csv"), "trained_models": str(folder / "models.gwsa"),
    }  # fmt: skip
    temporary = dict.fromkeys(others, "TEMPORARY_OUTPUT")
    done = run_qgis_process("completechain", {**chain_inputs, **outputs, **reports, **temporary})
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return outputs | reports


def test_complete_chain_ends_with_a_report(chain):
    page = Path(chain["project_report"]).read_text(encoding="utf-8")
    for section in (
        "In short",
        "Table 3",
        "Closure on the coarse data",
        "Consistency across scales",
        "Theil-Sen slope",
        "Half-width of the interval",
        "Methods, to paste",
    ):
        assert section in page
    assert "The map was not compared with wells." in page
    figures = json.loads(Path(chain["project_figures"]).read_text(encoding="utf-8"))
    assert 0.5 < figures["uncertainty"]["mean_half_width_cm"] < 20
    assert figures["trend"]["unit"] == "cm/year"
    assert len(page) < 10e6


def test_complete_chain_closes_on_the_mascons(chain):
    """The demand itself: means over native mascons of the written float32 file equal the data to 1e-4 cm."""
    from gwsa_qgis.rasters.raster import read_single
    from gwsa_qgis.rasters.stack import MonthlyStack

    fine, coarse = MonthlyStack(chain["gwsa_fine"]), MonthlyStack(chain["gwsa_coarse"])
    mascons = np.kron(np.nan_to_num(read_single(chain["native_mascons"])[0]).astype(int), np.ones((3, 3), int))
    values = fine.read().astype(float)
    targets = np.kron(coarse.read_months(fine.months).astype(float), np.ones((1, 3, 3)))
    area = np.broadcast_to(fine.grid.row_weights()[:, None], fine.grid.shape)
    worst, compared = 0.0, 0
    for number in np.unique(mascons[mascons > 0]):
        for month in range(fine.months.size):
            mapped = (mascons == number) & np.isfinite(values[month])
            known = mapped & np.isfinite(targets[month])
            if not known.any():
                continue
            # The mascon's value: mean of its coarse values, weighted by the area that is mapped.
            value = np.average(targets[month][known], weights=area[known])
            difference = np.average(values[month][mapped], weights=area[mapped]) - value
            worst, compared = max(worst, abs(difference)), compared + 1
    assert compared > 1000
    assert worst <= 1e-4


def test_trend_and_validation_models_run(provider, chain, region, tmp_path):
    import processing

    trend = processing.run(
        "gwsa:trendandclasses",
        {
            "INPUT": chain["gwsa_fine"],
            "MASK": chain["baseline_mask"],
            "trend": str(tmp_path / "trend.tif"),
            "trend_classes": str(tmp_path / "classes.tif"),
            "significance_p": str(tmp_path / "p.tif"),
            "trend_report": str(tmp_path / "trend.html"),
        },
    )
    layer = QgsRasterLayer(trend["trend_classes"], "classes")
    assert layer.isValid() and layer.bandCount() == 1
    validation = processing.run(
        "gwsa:validation",
        {
            "FINE": chain["gwsa_fine"],
            "COARSE": chain["gwsa_coarse"],
            "CLASSES_COARSE": chain["aquifer_classes_coarse"],
            "MASCONS": chain["native_mascons"],
            "WELLS": str(region / "wells" / "wells.gpkg"),
            "LEVELS": str(region / "wells" / "levels.csv"),
            "MODEL": chain["trained_models"],
            "project_report": str(tmp_path / "project.html"),
            "project_figures": str(tmp_path / "project.json"),
            "consistency_figures": str(tmp_path / "consistency.csv"),
            "consistency_report": str(tmp_path / "consistency.html"),
            "well_figures": str(tmp_path / "wells.csv"),
            "well_report": str(tmp_path / "wells.html"),
            "wells_with_figures": str(tmp_path / "wells.gpkg"),
        },
    )
    assert "R2" in Path(validation["consistency_figures"]).read_text().upper()
    assert "By aquifer class" in Path(validation["well_report"]).read_text()
    page = Path(validation["project_report"]).read_text()
    assert "The map was not compared with wells." not in page and "Unbinned; each map at the same wells" in page


def test_models_run_in_batch(work, tmp_path, run_in_batch):
    """Two inputs through the batch dialog's own machinery."""
    outputs = ("trend", "significance_p", "trend_classes")
    runs = [
        {"INPUT": work[name], "MASK": work["mask"], **{o: str(tmp_path / f"{name}_{o}.tif") for o in outputs}}
        for name in ("corrected", "pre")
    ]
    run_in_batch("trendandclasses", runs)
    for run in runs:
        assert all(QgsRasterLayer(run[o], o).isValid() for o in outputs)


def test_layers_come_styled_with_months_in_time(provider, work, qgis_app):
    """A loaded output has its name, style and a calendar month for each band."""
    from gwsa_qgis.processing_provider.layers import LayerStyler

    layer = QgsRasterLayer(work["corrected"], "GWSA")
    LayerStyler("anomaly").postProcessLayer(layer, QgsProcessingContext(), QgsProcessingFeedback())
    temporal = layer.temporalProperties()
    assert temporal.isActive()
    assert temporal.mode() == Qgis.RasterTemporalMode.FixedRangePerBand
    ranges = temporal.fixedRangePerBand()
    assert len(ranges) == layer.bandCount()
    assert ranges[1].begin().toString("yyyy-MM-dd") == "2002-04-01"
    assert ranges[1].end().toString("yyyy-MM-dd") == "2002-05-01"
    items = layer.renderer().shader().rasterShaderFunction().colorRampItemList()
    middle = items[len(items) // 2]
    assert middle.value == pytest.approx(0) and middle.color.name() == "#ffffff"
    assert items[0].value == pytest.approx(-items[-1].value)


def test_running_an_algorithm_prepares_its_layers(provider, work, tmp_path):
    """As the dialog runs it: outputs are loaded on completion, named, grouped and post-processed."""
    from qgis.core import QgsProject

    context = QgsProcessingContext()
    context.setProject(QgsProject())
    path = str(tmp_path / "slope.tif")
    details = QgsProcessingContext.LayerDetails("", context.project(), "SLOPE")
    context.addLayerToLoadOnCompletion(path, details)
    algorithm = provider.algorithm("trend").create()
    outputs = {"SLOPE": path, "P_VALUE": str(tmp_path / "p.tif"), "CLASSES": str(tmp_path / "c.tif")}
    _, done = algorithm.run({"INPUT": work["corrected"], **outputs}, context, QgsProcessingFeedback())
    assert done
    details = context.layerToLoadOnCompletionDetails(path)
    assert details.name == "Trend" and "GWSA" in details.groupName
    assert details.postProcessor() is not None


def test_each_loaded_layer_is_styled_and_none_twice_deleted(provider, work, tmp_path, qgis_app):
    """Several runs one after the other, as in a long day at the desk: QGIS's context deletes what styles its layers."""
    import gc

    from gwsa_qgis.processing_provider import layers
    from qgis.core import QgsProject
    from qgis.PyQt import sip

    project = QgsProject()
    for _ in range(3):
        context = QgsProcessingContext()
        context.setProject(project)
        paths = [str(tmp_path / f"{name}.tif") for name in ("slope", "upper")]  # of one style
        for path in paths:
            context.addLayerToLoadOnCompletion(path, QgsProcessingContext.LayerDetails("", project, "SLOPE"))
            layers.prepare_loaded_layer(context, path, "anomaly", "Trend", "Analyse")
        results = QgsProcessingContext()  # what the main thread is handed by the one that worked
        results.takeResultsFrom(context)
        del context
        gc.collect()
        stylers = [results.layerToLoadOnCompletionDetails(path).postProcessor() for path in paths]
        assert stylers[0] is not stylers[1]
        for styler in stylers:
            layer = QgsRasterLayer(work["corrected"], "GWSA")
            styler.postProcessLayer(layer, results, QgsProcessingFeedback())
            assert layer.temporalProperties().isActive()
        del results
        gc.collect()
        assert all(sip.isdeleted(styler) for styler in stylers)

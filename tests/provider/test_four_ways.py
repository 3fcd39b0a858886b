"""Every algorithm runs through processing.run, in a model, in batch, and with qgis_process."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterVectorDestination,
    QgsRasterLayer,
)

NAMES = (
    *("importgrace", "importgldas", "monthlystack", "accumulate", "watermask", "glaciermask", "basemask", "applymask"),
    *("aquiferclasses", "preparepredictors", "fillgaps", "waterbalance", "trainmodels", "predict", "correctresiduals"),
    *("uncertainty", "consistency", "validatewells", "projectreport", "trend", "sampleregion", "checkenvironment"),
    *("seasonality", "attribution", "latitudeprofile", "droughtindex"),
    *("basinseries", "hotspots", "basinreport"),
    "trendbreak",
)


# Outputs that the sample's files cannot give: CSR publishes no uncertainty, one land model has no spread.
NOT_IN_THE_SAMPLE = {("importgrace", "UNCERTAINTY"), ("importgldas", "SPREAD")}
AT_ONCE = ("checkenvironment", "sampleregion")  # these have little to tell on the way


def destinations(algorithm, folder: Path) -> dict[str, str]:
    """A path for every output of an algorithm that its inputs can give, optional ones too."""
    found = {}
    for parameter in algorithm.destinationParameterDefinitions():
        if (algorithm.name(), parameter.name()) in NOT_IN_THE_SAMPLE:
            continue
        if isinstance(parameter, QgsProcessingParameterFolderDestination):
            suffix = ""
        elif isinstance(parameter, QgsProcessingParameterVectorDestination):
            suffix = ".gpkg"
        elif isinstance(parameter, QgsProcessingParameterFileDestination):
            suffix = "." + parameter.defaultFileExtension()
        else:
            suffix = ".tif"
        found[parameter.name()] = str(folder / f"{parameter.name().lower()}{suffix}")
    return found


def check(algorithm, outputs: dict[str, str]) -> None:
    """Everything asked for is there, and rasters are rasters with a CRS."""
    for name, path in outputs.items():
        if name == "LAND_MASK":
            continue  # without a land mask file there may be none
        assert os.path.exists(path), f"{algorithm.id()} made no {name}"
        if path.endswith(".tif"):
            layer = QgsRasterLayer(path, name)
            assert layer.isValid() and layer.crs().authid() == "EPSG:4326", path
    for path in outputs.values():
        leftovers = [p.name for p in Path(path).parent.iterdir() if p.name.startswith(".")]
        assert not leftovers, leftovers


def check_telling(feedback: QgsProcessingFeedback, fractions: list[float]) -> None:
    """It told what it found, and moved on to the end."""
    assert feedback.textLog().strip()
    assert fractions and fractions[-1] == pytest.approx(100)
    assert fractions == sorted(fractions)


@pytest.mark.parametrize("name", NAMES)
def test_processing_run(provider, cases, tmp_path, name):
    import processing

    algorithm = provider.algorithm(name)
    outputs = destinations(algorithm, tmp_path)
    feedback, fractions = QgsProcessingFeedback(False), []
    feedback.progressChanged.connect(fractions.append)
    results = processing.run(f"gwsa:{name}", {**cases[name], **outputs}, feedback=feedback)
    check(algorithm, outputs)
    for output in algorithm.outputDefinitions():
        assert output.name() in results or (name, output.name()) in NOT_IN_THE_SAMPLE
    if name not in AT_ONCE:
        check_telling(feedback, fractions)


@pytest.mark.parametrize("name", NAMES)
def test_in_a_model(provider, cases, tmp_path, name):
    """A model of one step whose outputs are the model's, with values set as in the Modeler."""
    import processing

    algorithm = provider.algorithm(name)
    model = QgsProcessingModelAlgorithm(f"one {name}", "test")
    child = QgsProcessingModelChildAlgorithm(f"gwsa:{name}")
    child.setChildId("step")
    for parameter, value in cases[name].items():
        source = QgsProcessingModelChildParameterSource.fromStaticValue
        child.addParameterSources(parameter, [source(v) for v in value] if isinstance(value, list) else [source(value)])
    outputs = {}
    for parameter, path in destinations(algorithm, tmp_path).items():
        output = QgsProcessingModelOutput(parameter, parameter)
        output.setDescription(parameter)
        output.setChildId("step")
        output.setChildOutputName(parameter)
        outputs[parameter] = (output, path)
    child.setModelOutputs({key: output for key, (output, _) in outputs.items()})
    model.addChildAlgorithm(child)
    model.updateDestinationParameters()
    names = {p.description(): p.name() for p in model.destinationParameterDefinitions()}
    paths = {key: path for key, (_, path) in outputs.items()}
    assert set(names) == set(paths)
    processing.run(model, {names[key]: path for key, path in paths.items()})
    check(algorithm, paths)


@pytest.mark.parametrize("name", NAMES)
def test_in_batch(provider, cases, tmp_path, name, run_in_batch):
    """Two runs through the batch dialog's own machinery."""
    algorithm = provider.algorithm(name)
    runs = []
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        runs.append({**cases[name], **destinations(algorithm, folder)})
    run_in_batch(name, runs)
    for number in (1, 2):
        check(algorithm, destinations(algorithm, tmp_path / str(number)))


@pytest.mark.parametrize("name", NAMES)
def test_qgis_process(cases, provider, run_qgis_process, tmp_path, name):
    algorithm = provider.algorithm(name)
    outputs = destinations(algorithm, tmp_path)
    done = run_qgis_process(name, {**cases[name], **outputs})
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(done.stdout)["results"]
    check(algorithm, outputs)
    assert set(outputs) <= set(results)


def test_cancelling_leaves_nothing(provider, cases, tmp_path):
    algorithm = provider.algorithm("trend").create()
    outputs = destinations(algorithm, tmp_path)
    feedback = QgsProcessingFeedback()
    feedback.cancel()
    _, done = algorithm.run({**cases["trend"], **outputs}, QgsProcessingContext(), feedback)
    assert not done
    assert not list(tmp_path.iterdir())

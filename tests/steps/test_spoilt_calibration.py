"""Model files whose calibration is missing or makes no sense are refused."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("xgboost")

from gwsa_qgis.errors import InvalidModelFile
from gwsa_qgis.steps.calibration import ENTRY, POINTS, SCORES, read_calibration
from gwsa_qgis.steps.model_file import read_model, write_archive
from gwsa_qgis.steps.uncertainty import uncertainty


@pytest.fixture
def spoilt(trained_models, tmp_path):
    """Write a model file after something was done to it."""

    def write(spoil) -> Path:
        model = copy.deepcopy(read_model(trained_models["recommended"]))
        model.manifest = {k: v for k, v in model.manifest.items() if k not in ("format", "format_version", "version")}
        spoil(model)
        write_archive(tmp_path / "spoilt.gwsa", model)
        return tmp_path / "spoilt.gwsa"

    return write


def test_models_without_calibration_say_train_again(downscaling_region, spoilt, tmp_path):
    path, region = spoilt(lambda model: model.manifest.pop(ENTRY)), downscaling_region
    with pytest.raises(InvalidModelFile, match="no calibration.*train the model again"):
        uncertainty(region.target, path, region.fine, tmp_path / "out" / "o.tif")
    assert not (tmp_path / "out").exists()


def change(*keys: str, to: object):
    def spoil(model) -> None:
        place = model.manifest[ENTRY]
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = to

    return spoil


@pytest.mark.parametrize(
    "spoil",
    [
        change("scale", to=None),
        change("scale", "base", to=-1.0),
        change("scale", "base", to="much"),
        change("scale", "of_month", to=[1.0] * 11),
        change("scale", "of_class", to={"thirteen": 1.0}),
        change("applicability", "width", to=[0.0, 1.0, 1.0, 1.0]),
        change("applicability", "mean_distance", to=0.0),
        change("importances", to=[1.0]),
        change("coverage", to=[0.9]),
        change("spread", to=[1.0, 1.0, 1.0, None]),
        lambda model: model.arrays.pop(POINTS),
        lambda model: model.arrays.update({POINTS: np.zeros((5, 2), np.float32)}),
        lambda model: model.arrays.update({SCORES: np.array(["x"])}),
        lambda model: model.arrays.update({SCORES: np.zeros(3, np.float32)}),
    ],
)
def test_nonsense_in_a_calibration_is_refused(spoilt, spoil):
    with pytest.raises(InvalidModelFile, match="calibration"):
        read_calibration(read_model(spoilt(spoil)))

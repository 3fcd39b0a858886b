"""Prediction: the chain beats interpolation, does no harm without signal, and does not depend on windows."""

import json
import shutil
import zipfile

import numpy as np
import pytest

from gwsa_qgis.errors import GridMismatch, InvalidModelFile, MissingPredictor, NoUsableData
from gwsa_qgis.rasters.raster import read_single, write_single
from gwsa_qgis.rasters.stack import MonthlyStack, write_stack
from gwsa_qgis.science.closure import Closure
from gwsa_qgis.science.interpolation import spread
from gwsa_qgis.steps.correctresiduals import correctresiduals
from gwsa_qgis.steps.model_file import read_model
from gwsa_qgis.steps.predict import predict
from gwsa_qgis.steps.support_map import solve_closing
from gwsa_qgis.steps.trained_model import TrainedModel
from gwsa_qgis.steps.trainmodels import trainmodels

pytest.importorskip("xgboost")


@pytest.fixture(scope="module")
def predictions(downscaling_region, trained_models, tmp_path_factory):
    folder, region = tmp_path_factory.mktemp("predictions"), downscaling_region
    for preset, model in trained_models.items():
        predict(model, region.fine, folder / f"{preset}.tif", aquifers=region.classes, mask=region.mask, threads=1)
    return {preset: folder / f"{preset}.tif" for preset in trained_models}


def values_of(path):
    with MonthlyStack(path) as stack:
        return stack.read()


def rmse(estimate, region):
    return np.sqrt(np.nanmean((estimate - region.truth)[np.arange(18) != 5] ** 2))


def histospline(region, folder):
    with MonthlyStack(region.fine / "rain.tif") as stack:
        write_stack(folder / "zero.tif", stack.grid, stack.months, stack.read() * 0)
    correctresiduals(folder / "zero.tif", region.target, folder / "spread.tif", mascons=region.mascons)
    return values_of(folder / "spread.tif")


def test_recommended_chain_beats_interpolation_and_the_published_one(predictions, downscaling_region, tmp_path):
    region = downscaling_region
    error = {}
    for preset, path in predictions.items():
        correctresiduals(path, region.target, tmp_path / "out.tif", mascons=region.mascons)
        error[preset] = rmse(values_of(tmp_path / "out.tif"), region)
    error["histospline"] = rmse(histospline(region, tmp_path), region)
    on_mascons = np.repeat(np.repeat(values_of(region.target)[:, 1::3, 1::3], 3, 1), 3, 2)
    error["bilinear"] = rmse(spread(on_mascons, region.factor), region)
    assert error["recommended"] < 0.8 * error["histospline"]
    assert error["recommended"] < error["published"]
    assert error["recommended"] < error["bilinear"]


def test_no_harm_where_predictors_know_nothing(unexplained_region, tmp_path):
    region = unexplained_region
    trainmodels(
        region.target, region.coarse, tmp_path / "m.gwsa", mascons=region.mascons, search_iterations=0, threads=1
    )
    predict(tmp_path / "m.gwsa", region.fine, tmp_path / "p.tif", threads=1)
    correctresiduals(tmp_path / "p.tif", region.target, tmp_path / "out.tif", mascons=region.mascons)
    assert rmse(values_of(tmp_path / "out.tif"), region) < 1.02 * rmse(histospline(region, tmp_path), region)


def test_detail_has_metadata_and_keeps_the_mask(predictions, downscaling_region):
    with MonthlyStack(predictions["recommended"]) as stack:
        assert "detail" in stack.quantity
        assert stack.metadata()["GWSA_PRESET"] == "recommended"
        assert stack.unit() == "cm"
        valid = np.isfinite(stack.read())
    np.testing.assert_array_equal(valid, np.isfinite(downscaling_region.truth))
    with MonthlyStack(predictions["published"]) as stack:
        assert "levels" in stack.quantity


@pytest.mark.parametrize("preset", ["recommended", "published"])
@pytest.mark.parametrize("options", [{"memory_mb": 1.0}, {"memory_mb": 0.6, "workers": 3}, {"threads": 2}])
def test_same_bits_for_any_windows_and_workers(
    predictions, trained_models, downscaling_region, tmp_path, preset, options
):
    region = downscaling_region
    files = {"aquifers": region.classes, "mask": region.mask}
    predict(trained_models[preset], region.fine, tmp_path / "p.tif", **files, **options)
    np.testing.assert_array_equal(values_of(tmp_path / "p.tif"), values_of(predictions[preset]))


def test_detail_is_what_whole_arrays_give(predictions, trained_models, downscaling_region):
    """Deviations and signatures computed at once, on whole arrays, in double precision."""
    region = downscaling_region
    with zipfile.ZipFile(trained_models["recommended"]) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    assert manifest["signatures"] == ["green", "rain"]
    mask, classes = (read_single(path)[0] for path in (region.mask, region.classes))
    labels = np.repeat(np.repeat(read_single(region.mascons)[0], region.factor, 0), region.factor, 1).astype(int)
    labels = np.unique(labels, return_inverse=True)[1].reshape(labels.shape) + 1
    with MonthlyStack(predictions["recommended"]) as stack:
        grid, months, written = stack.grid, stack.months, stack.read()
    weights, factor = (mask > 0) * grid.row_weights()[:, None], region.factor
    rain = np.nan_to_num(values_of(region.fine / "rain.tif"))
    means = Closure(labels, weights, knot_spacing=factor).means(rain)
    closure, _ = solve_closing(lambda spacing: Closure(labels, weights, knot_spacing=spacing), 1.5 * factor, means)

    def deviation(field):
        return field - closure.spread(closure.means(field))

    angle = 2 * np.pi * (months.astype(int) % 12 + 1) / 12
    design = np.stack([np.ones(months.size), np.cos(angle), np.sin(angle)], 1)
    raw = {name: np.atleast_3d(values_of(region.fine / f"{name}.tif")) for name in ("green", "rain")}
    raw |= {name: read_single(region.fine / f"{name}.tif")[0][None] for name in ("slope", "soil")}
    layers = [raw[name] for name in manifest["predictors"]]
    for name in manifest["signatures"]:
        fitted = np.linalg.lstsq(design, np.nan_to_num(raw[name]).reshape(months.size, -1), rcond=None)[0]
        layers += list(fitted.reshape(3, 1, *mask.shape))
    layers = [np.where(mask > 0, np.nan_to_num(layer), np.nan) for layer in layers]
    decades = (months - np.datetime64("2010-01", "M")).astype(int) / 120
    terms = [np.broadcast_to(t[:, None, None], written.shape) for t in (np.sin(angle), np.cos(angle), decades)]
    columns = [np.broadcast_to(part, written.shape) for part in [*map(deviation, layers), *layers]] + terms
    used = np.isfinite(written)
    table = np.stack([column[used] for column in columns], 1).astype(np.float32)
    model = TrainedModel.from_file(read_model(trained_models["recommended"]), 1)
    expected = model.predict(table, np.broadcast_to(classes, written.shape)[used].astype(int))
    assert np.std(expected) > 0.1
    assert used.sum() == (mask > 0).sum() * months.size
    np.testing.assert_allclose(written[used], expected, atol=2e-3)


def test_a_lacking_predictor_is_named(trained_models, downscaling_region, tmp_path):
    shutil.copytree(downscaling_region.fine, tmp_path / "fine")
    (tmp_path / "fine" / "rain.tif").unlink()
    with pytest.raises(MissingPredictor, match="lacks rain"):
        predict(trained_models["published"], tmp_path / "fine", tmp_path / "p.tif", aquifers=downscaling_region.classes)
    assert not (tmp_path / "p.tif").exists()


def test_a_class_raster_is_asked_for(trained_models, downscaling_region, tmp_path):
    with pytest.raises(NoUsableData, match="no class raster was given"):
        predict(trained_models["published"], downscaling_region.fine, tmp_path / "p.tif")


def test_a_mask_on_another_grid(trained_models, downscaling_region, tmp_path):
    region = downscaling_region
    with pytest.raises(GridMismatch, match="the mask"):
        predict(
            trained_models["published"], region.fine, tmp_path / "p.tif", aquifers=region.classes, mask=region.mascons
        )


def test_not_a_model(downscaling_region, tmp_path):
    with pytest.raises(InvalidModelFile, match="not a model file"):
        predict(downscaling_region.target, downscaling_region.fine, tmp_path / "p.tif")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "change",
    [
        {"classes": [{"class": 13, "model": "none", "weight": 1}]},
        {"classes": [{"class": 13, "model": "pooled", "weight": 7}]},
        {"classes": 3},
        {"support": None},
        {"inputs": ["a"]},
        {"preset": "other"},
        {"pooled_weight": None},
        {"shares": {"linear": 3, "trees": 0}},
        {"shares": None},
        {"linear": {"classes": [13]}},
        {"linear": None},
    ],
)
def test_manifests_that_do_not_hold_together(trained_models, downscaling_region, tmp_path, change):
    with zipfile.ZipFile(trained_models["recommended"]) as source, zipfile.ZipFile(tmp_path / "m.gwsa", "w") as file:
        for name in source.namelist():
            data = source.read(name)
            if name == "manifest.json":
                data = json.dumps(json.loads(data) | change)
            file.writestr(name, data)
    with pytest.raises(InvalidModelFile):
        predict(tmp_path / "m.gwsa", downscaling_region.fine, tmp_path / "p.tif", aquifers=downscaling_region.classes)


def test_unknown_classes(trained_models, downscaling_region, tmp_path):
    region, said = downscaling_region, []
    classes, grid = read_single(region.classes)
    classes[:8, :8] = 15
    write_single(tmp_path / "classes.tif", grid, classes.astype(np.uint8), dtype="uint8", nodata=0)
    for preset, finite in (("published", False), ("recommended", True)):
        result = predict(
            trained_models[preset],
            region.fine,
            tmp_path / "p.tif",
            aquifers=tmp_path / "classes.tif",
            progress=lambda f, m: said.append(m),
        )
        assert result.unknown_class_pixels == 64
        assert np.isfinite(values_of(tmp_path / "p.tif")[:, :8, :8]).all() == finite
    assert any("64 pixels of classes that the model does not know are NoData" in message for message in said)


def test_the_models_mascons_are_cut_to_a_part_of_the_region(trained_models, downscaling_region, tmp_path):
    region, part = downscaling_region, slice(24, 72)
    for path in sorted(region.fine.iterdir()):
        values, grid = read_single(path)
        small = grid.window(24, 24, 48, 48)
        if path.stem in ("rain", "green"):
            write_stack(tmp_path / "fine" / path.name, small, region.months, values_of(path)[:, part, part], unit="")
        else:
            write_single(tmp_path / "fine" / path.name, small, values[part, part])
    classes, grid = read_single(region.classes)
    small = grid.window(24, 24, 48, 48)
    write_single(tmp_path / "c.tif", small, classes[part, part].astype(np.uint8), dtype="uint8", nodata=0)
    result = predict(
        trained_models["recommended"], tmp_path / "fine", tmp_path / "p.tif", aquifers=tmp_path / "c.tif", threads=1
    )
    assert result.predicted_pixels == 48 * 48

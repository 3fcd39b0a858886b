"""Prediction by worker processes: the map of one worker, byte for byte; it goes on where such a run was interrupted."""

import os
import shutil
import signal

import pytest

from gwsa_qgis.errors import InvalidModelFile
from gwsa_qgis.rasters.windows import map_on_cluster
from gwsa_qgis.steps import predict_plan, predict_writing
from gwsa_qgis.steps.predict import predict

pytest.importorskip("xgboost")
pytest.importorskip("joblib")
PRESETS = ("recommended", "published")


class Stopped(Exception):
    pass


def run(model, region, out, **options):
    out.mkdir(exist_ok=True)
    common = {"aquifers": region.classes, "mask": region.mask, "threads": 1, "memory_mb": 6.0}
    return predict(model, region.fine, out / "p.tif", **common, **options)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(predict_plan, "ROWS_IN_PART", 20_000)
    monkeypatch.setattr(predict_writing, "ROWS_AT_ONCE", 7_000)


@pytest.fixture(scope="module")
def by_one(downscaling_region, trained_models, tmp_path_factory):
    folder, found = tmp_path_factory.mktemp("one"), {}
    for preset in PRESETS:
        run(trained_models[preset], downscaling_region, folder)
        found[preset] = (folder / "p.tif").read_bytes()
    return found


@pytest.mark.parametrize("preset", PRESETS)
def test_the_same_bytes(trained_models, downscaling_region, by_one, tmp_path, cluster, monkeypatch, preset):
    """None of it is predicted here."""
    monkeypatch.setattr("gwsa_qgis.steps.predict_pieces.Prediction.piece", lambda *_: pytest.fail("predicted here"))
    monkeypatch.chdir(tmp_path)
    run(trained_models[preset], downscaling_region, tmp_path.relative_to(tmp_path), workers=2)
    assert (tmp_path / "p.tif").read_bytes() == by_one[preset]
    assert [path.name for path in tmp_path.iterdir()] == ["p.tif"]


def test_workers_that_stay_see_that_the_model_is_another_one(
    trained_models, downscaling_region, by_one, tmp_path, cluster
):
    for preset in PRESETS:
        shutil.copyfile(trained_models[preset], tmp_path / "model.gwsa")
        run(tmp_path / "model.gwsa", downscaling_region, tmp_path / "out", workers=2)
        assert (tmp_path / "out" / "p.tif").read_bytes() == by_one[preset]


def test_it_goes_on_after_an_interrupted_run(trained_models, downscaling_region, by_one, tmp_path, cluster):
    def progress(fraction, message):
        if fraction > 0.6:
            raise Stopped

    model = trained_models["recommended"]
    for workers, others in ((2, 1), (1, 2)):  # by processes and then by threads, and the other way round
        with pytest.raises(Stopped):
            run(model, downscaling_region, tmp_path, workers=workers, progress=progress)
        assert run(model, downscaling_region, tmp_path, workers=others).resumed_parts > 0
        assert (tmp_path / "p.tif").read_bytes() == by_one["recommended"]
        assert [path.name for path in tmp_path.iterdir()] == ["p.tif"]


def test_a_lost_worker(trained_models, downscaling_region, by_one, tmp_path, cluster):
    killed, workers = [], cluster()
    assert len(workers) == 2 and os.getpid() not in workers

    def progress(fraction, message):
        if fraction > 0.1 and not killed:
            killed.append(min(workers))
            os.kill(killed[0], signal.SIGKILL)

    run(trained_models["published"], downscaling_region, tmp_path, workers=2, progress=progress)
    assert killed
    assert (tmp_path / "p.tif").read_bytes() == by_one["published"]
    assert [path.name for path in tmp_path.iterdir()] == ["p.tif"]


def test_what_a_worker_refuses_is_told(cluster):
    def refuse(_):
        raise InvalidModelFile("no model", "train it")

    with pytest.raises(InvalidModelFile, match="no model; train it"):
        list(map_on_cluster(refuse, range(2), 2))

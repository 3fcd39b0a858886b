"""Training whose held-out folds are fitted by worker processes: the files of one process, byte for byte."""

import os
import signal

import numpy as np
import pytest

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.steps import training_folds
from gwsa_qgis.steps.sample_table import Samples
from gwsa_qgis.steps.trainmodels import trainmodels

pytest.importorskip("xgboost")
pytest.importorskip("joblib")
PRESETS = ("recommended", "published")


class Stopped(Exception):
    pass


def run(region, out, preset, **options):
    """As `trained_models` does it."""
    out.mkdir(exist_ok=True)
    common = {"aquifers": region.classes_coarse, "mascons": region.mascons, "search_iterations": 0, "threads": 1}
    places = {"metrics": out / f"{preset}.csv", "report": out / f"{preset}.html"}
    model = out / f"{preset}.gwsa"
    return trainmodels(region.target, region.coarse, model, preset=preset, **common | places | options)


def check_same(out, trained_models, preset):
    whole = trained_models[preset].parent
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in whole.glob(f"{preset}*"))
    for path in out.iterdir():
        assert path.read_bytes() == (whole / path.name).read_bytes(), path.name


@pytest.mark.parametrize("preset", PRESETS)
def test_the_same_bytes(trained_models, downscaling_region, tmp_path, cluster, monkeypatch, preset):
    """Folds of several are estimated elsewhere: only the random split has one."""
    here = []
    for kind in (training_folds.DetailOfFold, training_folds.LevelsOfFold):
        call = kind.__call__

        def watched(self, data, folds, fold, out, report, call=call):
            here.append(out.sum())
            return call(self, data, folds, fold, out, report)

        monkeypatch.setattr(kind, "__call__", watched)
    monkeypatch.chdir(tmp_path)
    run(downscaling_region, (tmp_path / "out").relative_to(tmp_path), preset, workers=2)
    check_same(tmp_path / "out", trained_models, preset)
    assert len(here) == {"recommended": 1, "published": 2}[preset]


def test_it_goes_on_after_an_interrupted_run(trained_models, downscaling_region, tmp_path, cluster):
    def progress(fraction, message):
        if fraction > 0.4:
            raise Stopped

    said = []
    for workers, others in ((2, 1), (1, 2)):  # by processes and then by threads, and the other way round
        out = tmp_path / str(workers)
        with pytest.raises(Stopped):
            run(downscaling_region, out, "recommended", workers=workers, progress=progress)
        assert not list(out.rglob("samples.*"))
        run(downscaling_region, out, "recommended", workers=others, progress=lambda _, message: said.append(message))
        check_same(out, trained_models, "recommended")
    assert sum("Going on after an interrupted run" in message for message in said) == 2


def test_a_lost_worker(trained_models, downscaling_region, tmp_path, cluster):
    killed, workers = [], cluster()
    assert len(workers) == 2 and os.getpid() not in workers

    def progress(fraction, message):
        if fraction > 0.25 and not killed:
            killed.append(min(workers))
            os.kill(killed[0], signal.SIGKILL)

    run(downscaling_region, tmp_path, "recommended", workers=2, progress=progress)
    assert killed
    check_same(tmp_path, trained_models, "recommended")


def test_a_number_of_workers_that_is_none(downscaling_region, tmp_path):
    with pytest.raises(InvalidParameter, match="WORKERS is 0"):
        run(downscaling_region, tmp_path, "recommended", workers=0)


def test_what_is_stored_comes_back(tmp_path):
    """Of an array as of chosen rows of it, in more than one part."""
    random = np.random.default_rng(2)
    data = Samples.empty(250_000, 3)
    data.x[:], data.y[:] = random.random(data.x.shape), random.random(data.size)
    for part in ("around", "classes", "blocks", "places", "months"):
        getattr(data, part)[:] = random.integers(0, 1000, data.size)
    for number, rows in enumerate((slice(0, 250_000), np.sort(random.integers(0, 250_000, 120_001)))):
        some = data.take(rows)
        arrays = {name: getattr(some, name) for name in ("x", "y", "around", "classes", "blocks", "places", "months")}
        stored = training_folds._Stored.of(tmp_path / str(number), arrays).arrays()
        for name, values in arrays.items():
            np.testing.assert_array_equal(stored[name], np.asarray(values))
            assert stored[name].dtype == values.dtype
            assert not stored[name].flags.writeable

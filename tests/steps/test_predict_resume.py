"""An interrupted prediction goes on and ends as an undisturbed one; threads and memory do not show in the file."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from gwsa_qgis.errors import InvalidParameter, NoUsableData, OutputNotWritable, UnreadableInput
from gwsa_qgis.rasters.raster import read_single, write_single
from gwsa_qgis.rasters.stack import MonthlyStack, write_stack
from gwsa_qgis.steps import predict_plan, predict_writing
from gwsa_qgis.steps.predict import predict

pytest.importorskip("xgboost")

PRESETS = ("recommended", "published")
MEMORY = 6.0  # small enough for several windows and runs of months


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(predict_plan, "ROWS_IN_PART", 20_000)


def run(model, region, out, fine=None, **options):
    arguments = {"aquifers": region.classes, "mask": region.mask, "threads": 1, "memory_mb": MEMORY} | options
    return predict(model, fine or region.fine, out / "p.tif", **arguments)


@pytest.fixture(scope="module")
def undisturbed(downscaling_region, trained_models, tmp_path_factory):
    found = {}
    for preset in PRESETS:
        out = tmp_path_factory.mktemp("undisturbed")
        run(trained_models[preset], downscaling_region, out)
        assert [p.name for p in out.iterdir()] == ["p.tif"]
        found[preset] = (out / "p.tif").read_bytes()
    return found


class Stopped(Exception):
    pass


def stop_at(count):
    """A progress callback that raises the count-th time, and counts."""
    calls = 0

    def progress(fraction, message):
        nonlocal calls
        calls += 1
        if calls == count:
            raise Stopped

    progress.calls = lambda: calls
    return progress


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("options", [{"workers": 3}, {"threads": 2}, {"threads": 0}, {"workers": 2, "threads": 2}])
def test_threads_do_not_show_in_the_file(trained_models, downscaling_region, undisturbed, tmp_path, preset, options):
    run(trained_models[preset], downscaling_region, tmp_path, **options)
    assert (tmp_path / "p.tif").read_bytes() == undisturbed[preset]


@pytest.mark.parametrize("preset", PRESETS)
def test_memory_does_not_show_in_the_values(trained_models, downscaling_region, tmp_path, preset):
    values = []
    for memory in (0.2, MEMORY, 25.0, 512.0):
        run(trained_models[preset], downscaling_region, tmp_path, memory_mb=memory)
        with MonthlyStack(tmp_path / "p.tif") as stack:
            values.append(stack.read())
    assert np.isfinite(values[0]).any()
    for other in values[1:]:
        np.testing.assert_array_equal(values[0], other)


@pytest.mark.parametrize("preset", PRESETS)
def test_cancelled_anywhere_it_goes_on(trained_models, downscaling_region, undisturbed, tmp_path, preset):
    counting, model, region = stop_at(0), trained_models[preset], downscaling_region
    (tmp_path / "count").mkdir()
    run(model, region, tmp_path / "count", progress=counting)
    taken_over = 0
    for count in range(1, counting.calls() - 1, counting.calls() // 7):
        out = tmp_path / f"at{count}"
        out.mkdir()
        with pytest.raises(Stopped):
            run(model, region, out, progress=stop_at(count), workers=1 + count % 2)
        assert {p.name for p in out.iterdir()} <= {".p.tif.gwsa-part"}, count
        result = run(model, region, out)
        taken_over += result.resumed_parts
        assert (out / "p.tif").read_bytes() == undisturbed[preset], count
        assert [p.name for p in out.iterdir()] == ["p.tif"]
    assert taken_over > 4


KILLED = """
import os, signal, sys
from gwsa_qgis.steps import predict_plan
from gwsa_qgis.steps.predict import predict
predict_plan.ROWS_IN_PART = 20_000
model, fine, out, classes, mask, memory, count = sys.argv[1:]
calls = 0
def progress(fraction, message):
    global calls
    calls += 1
    if calls == int(count):
        os.kill(os.getpid(), signal.SIGKILL) if hasattr(signal, "SIGKILL") else os._exit(9)
predict(model, fine, out, aquifers=classes, mask=mask, threads=1, memory_mb=float(memory), progress=progress)
"""


@pytest.mark.parametrize("preset", PRESETS)
def test_killed_it_goes_on(trained_models, downscaling_region, undisturbed, tmp_path, preset):
    counting, model, region = stop_at(0), trained_models[preset], downscaling_region
    run(model, region, tmp_path, progress=counting)
    (tmp_path / "p.tif").unlink()
    command = [model, region.fine, tmp_path / "p.tif", region.classes, region.mask, MEMORY, counting.calls() * 2 // 3]
    done = subprocess.run([sys.executable, "-c", KILLED, *map(str, command)], check=False)
    assert done.returncode in (9, -9)
    assert not (tmp_path / "p.tif").exists()
    messages = []
    result = run(model, region, tmp_path, progress=lambda f, m: messages.append(m))
    assert result.resumed_parts > 0 and any("Going on after an interrupted run" in m for m in messages)
    assert (tmp_path / "p.tif").read_bytes() == undisturbed[preset]


def interrupt(model, region, out, **options):
    """A run that stops at three quarters."""

    def progress(fraction, message):
        if fraction > 0.75:
            raise Stopped

    with pytest.raises(Stopped):
        run(model, region, out, progress=progress, **options)
    assert (out / ".p.tif.gwsa-part" / "part1.raw").exists()


@pytest.mark.parametrize("change", ["mask", "memory", "model", "predictor"])
def test_a_change_starts_afresh(trained_models, downscaling_region, tmp_path, change):
    region = downscaling_region
    fine, model = shutil.copytree(region.fine, tmp_path / "fine"), tmp_path / "m.gwsa"
    shutil.copy(trained_models["published"], model)
    out = tmp_path / "out"
    out.mkdir()
    interrupt(model, region, out, fine=fine)
    options = {"mask": {"mask": None}, "memory": {"memory_mb": 1.0}}.get(change, {})
    if change in ("model", "predictor"):
        os.utime(model if change == "model" else fine / "soil.tif", ns=(1, 1))
    messages = []
    result = run(model, region, out, fine, progress=lambda f, m: messages.append(m), **options)
    assert result.resumed_parts == 0 and any("changed since: starting afresh" in m for m in messages)
    (tmp_path / "fresh").mkdir()
    run(model, region, tmp_path / "fresh", fine, **options)
    assert (out / "p.tif").read_bytes() == (tmp_path / "fresh" / "p.tif").read_bytes()


def test_finished_parts_are_not_predicted_again(trained_models, downscaling_region, undisturbed, tmp_path, monkeypatch):
    interrupt(trained_models["recommended"], downscaling_region, tmp_path)
    usual, seen = predict_writing.Prediction.piece, []
    monkeypatch.setattr(
        predict_writing.Prediction, "piece", lambda self, *task: (seen.append(task), usual(self, *task))[1]
    )
    result = run(trained_models["recommended"], downscaling_region, tmp_path)
    assert result.resumed_parts > 1 and seen
    assert all(window.row or window.column for window, _ in seen)  # the first is finished
    assert (tmp_path / "p.tif").read_bytes() == undisturbed["recommended"]


def test_a_damaged_part_is_made_again(trained_models, downscaling_region, undisturbed, tmp_path):
    interrupt(trained_models["published"], downscaling_region, tmp_path)
    part = tmp_path / ".p.tif.gwsa-part" / "part2.raw"
    data = bytearray(part.read_bytes())
    data[100] ^= 1
    part.write_bytes(data)
    messages = []
    run(trained_models["published"], downscaling_region, tmp_path, progress=lambda f, m: messages.append(m))
    assert any("part2 of an interrupted run is damaged" in m for m in messages)
    assert (tmp_path / "p.tif").read_bytes() == undisturbed["published"]


def test_an_existing_map_stays_until_the_new_one_is_whole(trained_models, downscaling_region, undisturbed, tmp_path):
    (tmp_path / "p.tif").write_text("old")
    interrupt(trained_models["published"], downscaling_region, tmp_path)
    assert (tmp_path / "p.tif").read_text() == "old"
    run(trained_models["published"], downscaling_region, tmp_path)
    assert (tmp_path / "p.tif").read_bytes() == undisturbed["published"]


def test_the_second_of_two_runs_is_refused(trained_models, downscaling_region, tmp_path):
    refused = []

    def progress(fraction, message):
        if message == "Predicting":
            with pytest.raises(OutputNotWritable, match="another run"):
                run(trained_models["published"], downscaling_region, tmp_path)
            refused.append(message)

    run(trained_models["published"], downscaling_region, tmp_path, progress=progress)
    assert refused


def test_an_input_that_changes_while_it_is_read(trained_models, downscaling_region, tmp_path):
    region = downscaling_region
    fine = shutil.copytree(region.fine, tmp_path / "fine")

    def progress(fraction, message):
        if message == "Predicting":
            os.utime(fine / "soil.tif", ns=(1, 1))

    with pytest.raises(UnreadableInput, match="changed while it was read"):
        predict(trained_models["published"], fine, tmp_path / "p.tif", aquifers=region.classes, progress=progress)
    assert not (tmp_path / "p.tif").exists()


def test_nothing_to_predict_leaves_nothing(trained_models, downscaling_region, tmp_path):
    values, grid = read_single(downscaling_region.mask)
    write_single(tmp_path / "none.tif", grid, np.zeros(values.shape, np.uint8), dtype="uint8", nodata=0)
    for preset in PRESETS:
        with pytest.raises(NoUsableData):
            run(trained_models[preset], downscaling_region, tmp_path, mask=tmp_path / "none.tif")
    assert [p.name for p in tmp_path.iterdir()] == ["none.tif"]


@pytest.mark.parametrize("options", [{"threads": -1}, {"workers": 0}])
def test_options_that_are_refused(trained_models, downscaling_region, tmp_path, options):
    with pytest.raises(InvalidParameter):
        run(trained_models["published"], downscaling_region, tmp_path, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("preset", PRESETS)
def test_holes_that_move_stay_holes(trained_models, downscaling_region, tmp_path, preset):
    """A pixel without a monthly predictor is NoData in that month alone, and a first month without any does no harm."""
    region = downscaling_region
    fine = shutil.copytree(region.fine, tmp_path / "fine")
    with MonthlyStack(fine / "rain.tif") as stack:
        values, grid, months = stack.read(), stack.grid, stack.months
    values[0] = np.nan
    values[4, 10:20, 30:50] = np.nan
    write_stack(fine / "rain.tif", grid, months, values, unit="")
    given = {"aquifers": region.classes, "mask": region.mask, "threads": 1}
    predict(trained_models[preset], fine, tmp_path / "p.tif", **given)
    predict(trained_models[preset], region.fine, tmp_path / "whole.tif", **given)
    with MonthlyStack(tmp_path / "p.tif") as stack, MonthlyStack(tmp_path / "whole.tif") as other:
        found, whole = stack.read(), other.read()
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(whole) & np.isfinite(values))
    unharmed = np.isfinite(found) & (np.arange(18) != 4)[:, None, None]
    if preset == "published":
        np.testing.assert_array_equal(found[unharmed], whole[unharmed])
    else:  # means and cycles of places are made of other months
        assert np.corrcoef(found[unharmed], whole[unharmed])[0, 1] > 0.9

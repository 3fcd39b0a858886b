"""Training: scores that mean something, files that hold together, bad input in one sentence."""

import csv

import numpy as np
import pytest

from gwsa_qgis.errors import Cancelled, GridMismatch, InvalidMonths, InvalidParameter, NoUsableData
from gwsa_qgis.rasters.raster import read_single, write_single
from gwsa_qgis.rasters.stack import MonthlyStack, write_stack
from gwsa_qgis.science.learners import DEFAULTS
from gwsa_qgis.steps.model_file import read_model
from gwsa_qgis.steps.trainmodels import trainmodels

pytest.importorskip("xgboost")
QUICK = {"search_iterations": 0, "threads": 1}


def rows_of(path):
    with open(path, newline="") as file:
        return {(r["class"], r["split"], r["quantity"]): r for r in csv.DictReader(file)}


def test_manifest_says_what_the_model_is(trained_models, downscaling_region):
    manifest = read_model(trained_models["recommended"]).manifest
    assert manifest["predictors"] == ["green", "rain", "slope", "soil"]
    assert manifest["inputs"][:2] == ["green deviation", "rain deviation"]
    assert manifest["support"]["kind"] == "mascons"
    assert manifest["support"]["count"] == 64
    assert [entry["class"] for entry in manifest["classes"]] == [13, 23]
    assert (manifest["unit"], manifest["baseline"]) == ("cm", "2004-01 to 2004-12")
    assert manifest["months_used"] == 17  # one month was not observed
    assert manifest["filled_months_used"] == 1
    assert {"python", "numpy", "xgboost"} <= set(manifest["versions"])
    assert manifest["linear"]["classes"] == [13, 23]
    assert sum(manifest["linear"]["importances"].values()) == pytest.approx(1)
    assert set(manifest["shares"]) == {"linear", "trees"}
    assert set(read_model(trained_models["published"]).boosters) == {"class_13", "class_23"}
    labels = read_model(trained_models["recommended"]).arrays["support_labels"]
    mascons, _ = read_single(downscaling_region.mascons)
    np.testing.assert_array_equal(labels, mascons - 500)


def test_scores_of_both_splits_stand_beside_interpolation(trained_models):
    recommended = rows_of(trained_models["recommended"].with_suffix(".csv"))
    for name in ("13", "23", "all"):
        random = float(recommended[name, "random 70/30", "deviation"]["r2"])
        blocks = float(recommended[name, "spatial blocks", "deviation"]["r2"])
        assert random > blocks
        assert 0 < float(recommended[name, "spatial blocks", "deviation"]["weight"]) <= 1
    model = float(recommended["all", "spatial blocks", "GWSA"]["rmse_cm"])
    assert model < float(recommended["all", "interpolation", "GWSA"]["rmse_cm"])
    published = rows_of(trained_models["published"].with_suffix(".csv"))
    assert {split for _, split, _ in published} == {"random 70/30", "spatial blocks", "interpolation"}
    sizes = [int(published[name, "random 70/30", "GWSA"]["n"]) for name in ("13", "23", "all")]
    assert sizes[0] + sizes[1] == sizes[2]
    page = trained_models["recommended"].with_suffix(".html").read_text(encoding="utf-8")
    assert "explain" in page
    assert "random 70/30" in page


def test_weight_without_signal_is_small(unexplained_region, tmp_path):
    region = unexplained_region
    result = trainmodels(region.target, region.coarse, tmp_path / "m.gwsa", mascons=region.mascons, **QUICK)
    assert result.blocked_r2 < 0.1
    assert result.weight < 0.1


@pytest.mark.parametrize("preset", ["recommended", "published"])
def test_same_seed_same_bytes_for_any_number_of_threads(downscaling_region, tmp_path, preset, monkeypatch):
    monkeypatch.setitem(DEFAULTS["xgboost"], "n_estimators", 6)  # threads wait on each other in every round
    region, files = downscaling_region, []
    with MonthlyStack(region.target) as stack:
        write_stack(tmp_path / "short.tif", stack.grid, stack.months[:3], stack.read(bands=[0, 1, 2]))
    for threads in (1, 2):
        path = tmp_path / f"{threads}.gwsa"
        options = {"preset": preset, "mascons": region.mascons, "search_iterations": 0, "samples": 400, "seed": 7}
        trainmodels(tmp_path / "short.tif", region.coarse, path, threads=threads, **options)
        files.append(path.read_bytes())
    assert files[0] == files[1]


def test_cells_are_the_support_without_a_map(downscaling_region, tmp_path):
    region = downscaling_region
    result = trainmodels(region.target, region.coarse, tmp_path / "m.gwsa", **QUICK)
    assert (result.support, result.supports) == ("cells", 24 * 24)
    assert "support_labels" not in read_model(tmp_path / "m.gwsa").arrays
    assert result.blocked_r2 > 0.3


def test_repeated_cells_are_warned_of(downscaling_region, tmp_path):
    region, said = downscaling_region, []
    with MonthlyStack(region.target) as stack:
        values = np.repeat(np.repeat(stack.read()[:, 1::3, 1::3], 3, 1), 3, 2)
        write_stack(tmp_path / "repeated.tif", stack.grid, stack.months, values)
    trainmodels(
        tmp_path / "repeated.tif", region.coarse, tmp_path / "m.gwsa", progress=lambda f, m: said.append(m), **QUICK
    )
    assert any("give the mascon map as MASCONS" in message for message in said)


def test_a_class_without_samples(downscaling_region, tmp_path):
    region = downscaling_region
    classes, grid = read_single(region.classes_coarse)
    classes[:4, -2:] = 34
    target = tmp_path / "target.tif"
    with MonthlyStack(region.target) as stack:
        values = stack.read()
        values[:, :4, -2:] = np.nan
        write_stack(target, grid, stack.months, values)
    write_single(tmp_path / "classes.tif", grid, classes.astype(np.uint8), dtype="uint8", nodata=0)
    for preset in ("recommended", "published"):
        with pytest.raises(NoUsableData, match="class 34 has no samples"):
            trainmodels(
                target, region.coarse, tmp_path / "m.gwsa", aquifers=tmp_path / "classes.tif", preset=preset, **QUICK
            )
    assert not (tmp_path / "m.gwsa").exists()


def test_ice_is_no_class(downscaling_region, tmp_path):
    region = downscaling_region
    classes, grid = read_single(region.classes_coarse)
    classes[:5] = 88
    write_single(tmp_path / "classes.tif", grid, classes.astype(np.uint8), dtype="uint8", nodata=0)
    trainmodels(region.target, region.coarse, tmp_path / "m.gwsa", aquifers=tmp_path / "classes.tif", **QUICK)
    assert [entry["class"] for entry in read_model(tmp_path / "m.gwsa").manifest["classes"]] == [13, 23]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"preset": "best"}, "preset 'best'"),
        ({"learner": "dnn"}, "not built yet"),
        ({"samples": 3}, "SAMPLES is 3"),
        ({"seed": -1}, "SEED is -1"),
        ({"threads": -2}, "THREADS is -2"),
    ],
)
def test_wrong_options(downscaling_region, tmp_path, options, match):
    with pytest.raises(InvalidParameter, match=match):
        trainmodels(downscaling_region.target, downscaling_region.coarse, tmp_path / "m.gwsa", **options)


def test_grids_that_differ(downscaling_region, tmp_path):
    region = downscaling_region
    with pytest.raises(GridMismatch, match="not on one grid"):
        trainmodels(region.target, region.fine, tmp_path / "m.gwsa", **QUICK)


def test_months_that_do_not_meet(downscaling_region, tmp_path):
    region = downscaling_region
    with MonthlyStack(region.target) as stack:
        write_stack(tmp_path / "late.tif", stack.grid, stack.months + 120, stack.read())
    with pytest.raises(InvalidMonths, match="no month in common"):
        trainmodels(tmp_path / "late.tif", region.coarse, tmp_path / "m.gwsa", **QUICK)


def test_a_target_of_nodata(downscaling_region, tmp_path):
    region = downscaling_region
    with MonthlyStack(region.target) as stack:
        write_stack(tmp_path / "empty.tif", stack.grid, stack.months, stack.read() * np.nan)
    with pytest.raises(NoUsableData, match="no value in the months"):
        trainmodels(tmp_path / "empty.tif", region.coarse, tmp_path / "m.gwsa", **QUICK)


def test_cancelling_leaves_nothing(downscaling_region, tmp_path):
    def cancel(fraction, message):
        if fraction > 0.5:
            raise Cancelled

    region = downscaling_region
    with pytest.raises(Cancelled):
        trainmodels(region.target, region.coarse, tmp_path / "m.gwsa", progress=cancel, **QUICK)
    assert not list(tmp_path.iterdir())


def test_outputs_appear_together_or_not_at_all(downscaling_region, tmp_path):
    from gwsa_qgis.errors import OutputNotWritable

    region = downscaling_region
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputNotWritable):
        trainmodels(region.target, region.coarse, tmp_path / "m.gwsa", metrics=tmp_path / "file" / "m.csv", **QUICK)
    assert not (tmp_path / "m.gwsa").exists()


def test_the_search_is_judged_on_groups(downscaling_region, tmp_path):
    pytest.importorskip("sklearn")
    region = downscaling_region
    path, options = tmp_path / "m.gwsa", {"search_iterations": 1, "samples": 300, "threads": 1}
    trainmodels(region.target, region.coarse, path, mascons=region.mascons, **options)
    parameters = read_model(path).manifest["models"]["pooled"]["learner"]["parameters"]
    assert parameters != DEFAULTS["xgboost"]

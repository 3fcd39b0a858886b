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
    blocked = recommended["all", "spatial blocks", "GWSA"]
    assert float(blocked["rmse_cm"]) < float(blocked["interpolation_rmse_cm"])
    published = rows_of(trained_models["published"].with_suffix(".csv"))
    splits = {"random 70/30", "spatial blocks", "year blocks", "leave class out"}
    assert {split for _, split, _ in published} == {split for _, split, _ in recommended} == splits
    sizes = [int(published[name, "random 70/30", "GWSA"]["n"]) for name in ("13", "23", "all")]
    assert sizes[0] + sizes[1] == sizes[2]
    page = trained_models["recommended"].with_suffix(".html").read_text(encoding="utf-8")
    assert "explain" in page
    assert "random 70/30" in page


def test_the_report_of_the_published_preset_says_when_it_does_worse_than_interpolation(trained_models):
    row = rows_of(trained_models["published"].with_suffix(".csv"))["all", "spatial blocks", "GWSA"]
    assert float(row["rmse_cm"]) > float(row["interpolation_rmse_cm"])  # as it always was where it was tried
    page = trained_models["published"].with_suffix(".html").read_text(encoding="utf-8")
    assert "This model does worse than plain interpolation of the coarser scale" in page
    assert "This model does worse" not in trained_models["recommended"].with_suffix(".html").read_text(encoding="utf-8")


def test_references_are_what_they_say(trained_models, downscaling_region):
    """Climatology by hand: class means by calendar month over the years that are not held out."""
    region = downscaling_region
    with MonthlyStack(region.target) as stack:
        values, months = stack.read().astype(float), stack.months
    classes = read_single(region.classes_coarse)[0]
    year, calendar = months.astype(int) // 12, months.astype(int) % 12
    for name in (13, 23):
        own = values[:, classes == name]
        own = own[:, ~np.isnan(own).all(0)]
        errors, sst = [], []
        for month in np.flatnonzero(~np.isnan(own).all(1)):
            train = (year != year[month]) & ~np.isnan(own).all(1)
            same = train & (calendar == calendar[month])
            # June 2004 was not observed, and the months after May 2005 are not there: all classes speak then
            pool = own[same] if same.any() else values[train][:, np.isin(classes, (13, 23))]
            errors.append(own[month] - np.nanmean(pool))
            sst.append(own[month])
        row = rows_of(trained_models["published"].with_suffix(".csv"))[str(name), "year blocks", "GWSA"]
        assert int(row["n"]) == np.concatenate(errors).size
        assert float(row["climatology_rmse_cm"]) == pytest.approx(
            np.sqrt((np.concatenate(errors) ** 2).mean()), rel=1e-4
        )


def test_contributions_stand_beside_importances(trained_models):
    for path in trained_models.values():
        for entry in read_model(path).manifest["models"].values():
            assert set(entry["contributions"]) == set(entry["importances"])
            assert sum(entry["contributions"].values()) == pytest.approx(1)


def test_the_map_of_detail(downscaling_region, unexplained_region, tmp_path):
    shares = []
    for region in (downscaling_region, unexplained_region):
        options = {"mascons": region.mascons, "splits": [], "detail": tmp_path / "d.tif"}
        result = trainmodels(region.target, region.coarse, tmp_path / "m.gwsa", **options, **QUICK)
        assert {row.split for row in result.rows} == {"spatial blocks"}
        share, grid = read_single(result.detail)
        assert (np.nanmin(share) >= -1) and (np.nanmax(share) <= 1)
        mascons = read_single(region.mascons)[0]
        assert all(np.unique(share[mascons == name]).size == 1 for name in (501, 530))
        shares.append(np.nanmean(share))
    assert shares[0] > 0.4
    assert abs(shares[1]) < 0.1


def test_blocks_of_degrees_keep_groups_whole_and_are_harder(downscaling_region, tmp_path):
    from gwsa_qgis.progress import Reporter
    from gwsa_qgis.steps.support_map import read_support
    from gwsa_qgis.steps.training_files import open_training
    from gwsa_qgis.steps.training_samples import support_samples

    region = downscaling_region
    files = open_training(region.target, region.coarse, None, Reporter())
    support = read_support(region.mascons, files.grid)
    groups = support_samples(files, support, Reporter()).samples
    blocks = support_samples(files, support, Reporter(), 3.0).samples
    assert np.unique(blocks.blocks).size == 4  # the region is 6 degrees wide
    pairs = np.unique(np.stack([groups.blocks, blocks.blocks]), axis=1)
    assert pairs.shape[1] == np.unique(groups.blocks).size  # a group is in one block
    for degrees in (-1.0, np.nan, 181):
        with pytest.raises(InvalidParameter, match="BLOCK_DEGREES"):
            trainmodels(region.target, region.coarse, tmp_path / "m.gwsa", block_degrees=degrees, **QUICK)


@pytest.mark.parametrize("preset", ["recommended", "published"])
def test_a_stopped_training_goes_on_and_gives_the_same_bytes(downscaling_region, tmp_path, preset, monkeypatch):
    pytest.importorskip("sklearn")
    from gwsa_qgis.science.boosters import TreeEnsemble

    monkeypatch.setitem(DEFAULTS["xgboost"], "n_estimators", 6)
    region, said, fits, fit = downscaling_region, [], [], TreeEnsemble.fit
    options = {"preset": preset, "aquifers": region.classes_coarse, "samples": 400, "search_iterations": 1}
    options |= {"mascons": region.mascons, "threads": 1, "splits": ["blocks", "years"]}
    trainmodels(region.target, region.coarse, tmp_path / "whole.gwsa", **options)
    monkeypatch.setattr(TreeEnsemble, "fit", lambda *given: fits.append(1) or fit(*given))
    made = []
    for stop in (0.45, 0.8, 2):

        def progress(fraction, message, stop=stop):
            said.append(message)
            if fraction > stop:
                raise Cancelled

        fits.clear()
        if stop < 1:
            with pytest.raises(Cancelled):
                trainmodels(region.target, region.coarse, tmp_path / "m.gwsa", progress=progress, **options)
        else:
            trainmodels(region.target, region.coarse, tmp_path / "m.gwsa", progress=progress, **options)
        made.append(len(fits))
    assert sum("Going on after an interrupted run" in message for message in said) == 2
    assert made[2] < made[0] + made[1]
    assert (tmp_path / "m.gwsa").read_bytes() == (tmp_path / "whole.gwsa").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"m.gwsa", "whole.gwsa"}


def test_with_many_samples_models_that_judge_are_fitted_on_some_and_the_last_on_all(
    downscaling_region, tmp_path, monkeypatch
):
    from gwsa_qgis.science.detail_model import DetailModel
    from gwsa_qgis.steps import training_folds

    monkeypatch.setitem(DEFAULTS["xgboost"], "n_estimators", 3)
    region, sizes, fit = downscaling_region, [], DetailModel.fit
    options = {"aquifers": region.classes_coarse, "mascons": region.mascons, "splits": ["blocks"], **QUICK}
    whole = trainmodels(region.target, region.coarse, tmp_path / "whole.gwsa", **options)
    monkeypatch.setattr(DetailModel, "fit", lambda model, x, *given: sizes.append(len(x)) or fit(model, x, *given))
    monkeypatch.setattr(training_folds, "MOST_CROSS_VALIDATED", 500)
    monkeypatch.setattr(training_folds, "JUDGED_AT_ONCE", 64)
    result = trainmodels(region.target, region.coarse, tmp_path / "some.gwsa", **options)
    assert set(sizes[:-1]) == {500}
    assert sizes[-1] >= result.samples == whole.samples > 500
    judged = {row.split: row.scores.n for row in result.rows if row.class_name == "all"}
    assert judged == {row.split: row.scores.n for row in whole.rows if row.class_name == "all"}  # all are judged
    assert result.blocked_r2 == pytest.approx(whole.blocked_r2, abs=0.15)


def test_other_options_start_afresh(downscaling_region, tmp_path, monkeypatch):
    monkeypatch.setitem(DEFAULTS["xgboost"], "n_estimators", 3)
    region, said = downscaling_region, []
    options = {"mascons": region.mascons, "splits": ["blocks"], **QUICK}

    def progress(fraction, message):
        if fraction > 0.65:
            raise Cancelled

    with pytest.raises(Cancelled):
        trainmodels(region.target, region.coarse, tmp_path / "m.gwsa", seed=1, progress=progress, **options)
    assert (tmp_path / ".m.gwsa.gwsa-part").is_dir()
    trainmodels(
        region.target, region.coarse, tmp_path / "m.gwsa", seed=2, progress=lambda f, m: said.append(m), **options
    )
    assert any("options seed changed since: starting afresh" in message for message in said)


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
    result = trainmodels(region.target, region.coarse, tmp_path / "m.gwsa", splits=[], **QUICK)
    assert (result.support, result.supports) == ("cells", 24 * 24)
    assert "support_labels" not in read_model(tmp_path / "m.gwsa").arrays
    assert result.blocked_r2 > 0.3


def test_repeated_cells_are_warned_of(downscaling_region, tmp_path):
    region, said = downscaling_region, []
    with MonthlyStack(region.target) as stack:
        values = np.repeat(np.repeat(stack.read()[:, 1::3, 1::3], 3, 1), 3, 2)
        write_stack(tmp_path / "repeated.tif", stack.grid, stack.months, values)
    trainmodels(
        tmp_path / "repeated.tif",
        region.coarse,
        tmp_path / "m.gwsa",
        splits=[],
        progress=lambda f, m: said.append(m),
        **QUICK,
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
    options = {"aquifers": tmp_path / "classes.tif", "mascons": region.mascons, "splits": [], **QUICK}
    trainmodels(region.target, region.coarse, tmp_path / "m.gwsa", **options)
    assert [entry["class"] for entry in read_model(tmp_path / "m.gwsa").manifest["classes"]] == [13, 23]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"preset": "best"}, "preset 'best'"),
        ({"learner": "oracle"}, "learner 'oracle'"),
        ({"splits": ["weeks"]}, "split 'weeks'"),
        ({"splits": "random"}, "split 'random'"),
        ({"device": "tpu"}, "device 'tpu'"),
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


def test_cancelling_leaves_nothing_before_anything_is_finished(downscaling_region, tmp_path):
    def cancel(fraction, message):
        if fraction > 0.05:
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

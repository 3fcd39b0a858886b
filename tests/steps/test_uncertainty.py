"""Uncertainty of a fine map whose truth is known: budget by hand, coverage, applicability, refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("xgboost")

from gwsa_qgis.errors import GridMismatch, InvalidMonths, InvalidParameter, NoUsableData
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.raster import Raster, read_single, write_single
from gwsa_qgis.rasters.stack import MonthlyStack, write_stack
from gwsa_qgis.steps.calibration import read_calibration
from gwsa_qgis.steps.correctresiduals import correctresiduals
from gwsa_qgis.steps.likeness import spread_months
from gwsa_qgis.steps.model_file import read_model
from gwsa_qgis.steps.predict import predict
from gwsa_qgis.steps.trainmodels import trainmodels
from gwsa_qgis.steps.uncertainty import uncertainty

Z = 1.6448536269514722  # of a 90 % interval
FINE = ("output", "within", "lower", "upper")


def read(path: Path) -> np.ndarray:
    with MonthlyStack(path) as stack:
        return stack.read().astype(float)


@pytest.fixture(scope="module")
def maps(downscaling_region, trained_models, tmp_path_factory) -> dict[str, Path]:
    """Prediction and corrected map of both presets."""
    folder, region = tmp_path_factory.mktemp("maps"), downscaling_region
    found = {}
    for preset, model in trained_models.items():
        found[f"{preset} detail"] = folder / f"{preset}_detail.tif"
        predict(model, region.fine, found[f"{preset} detail"], aquifers=region.classes, mask=region.mask, threads=1)
        found[preset] = folder / f"{preset}.tif"
        mascons = region.mascons if preset == "recommended" else None
        correctresiduals(found[f"{preset} detail"], region.target, found[preset], mascons=mascons)
    return found


@pytest.fixture
def run(downscaling_region, trained_models, maps, tmp_path):
    """Run the step with all outputs; what is given replaces the usual inputs."""

    def call(folder: str = "out", **changes: object):
        region, preset = downscaling_region, changes.pop("preset", "recommended")
        inputs = {"gwsa": maps[preset], "model": trained_models[preset], "predictors": region.fine}
        inputs |= {"aquifers": region.classes, "mask": region.mask, "prediction": maps[f"{preset} detail"]}
        outputs = {name: tmp_path / folder / f"{name}.tif" for name in (*FINE, "cell", "applicability")}
        return uncertainty(**{**inputs, **outputs, "compared_months": 2, **changes})

    return call


@pytest.fixture
def errors(downscaling_region, tmp_path) -> dict[str, Path]:
    """Coarse errors that vary from cell to cell and month to month."""
    with MonthlyStack(downscaling_region.target) as stack:
        grid, months = stack.grid, stack.months
    random = np.random.default_rng(2)
    shape = (months.size, *grid.shape)
    grace = random.uniform(0.5, 2, shape)
    grace[7] = np.nan  # the filled month has no solution
    flags = np.zeros(shape)
    flags[7], flags[9] = 1, 2
    paths = {name: tmp_path / f"{name}.tif" for name in ("grace_uncertainty", "land_spread", "flags")}
    write_stack(paths["grace_uncertainty"], grid, months, grace)
    write_stack(paths["land_spread"], grid, months, random.uniform(0.2, 1, shape))
    write_stack(paths["flags"], grid, months, flags, unit="")
    for name, value in (("error_short", 3.0), ("error_long", 5.0)):
        paths[name] = write_single(tmp_path / f"{name}.tif", grid, np.full(grid.shape, value, np.float32), unit="cm")
    return paths


def of_mascons(values: np.ndarray, region, grid: Grid) -> np.ndarray:
    """Means over mascons, put back on cells: plain loops."""
    ids, weights = read_single(region.mascons)[0], np.repeat(grid.row_weights()[:, None], grid.columns, 1)
    result = np.full(values.shape, np.nan)
    for name in np.unique(ids):
        own = ids == name
        result[:, own] = np.average(values[:, own], axis=1, weights=weights[own])[:, None]
    return result


def test_errors_of_the_coarse_field_add_up_in_quadrature(run, errors, downscaling_region, tmp_path):
    run(**errors)
    with MonthlyStack(downscaling_region.target) as stack:
        grid = stack.grid
    grace, land = (
        of_mascons(read(errors[name]), downscaling_region, grid) for name in ("grace_uncertainty", "land_spread")
    )
    usual = np.sqrt(np.nanmean(grace**2, axis=0))
    gap = np.zeros(18)
    gap[7], gap[9] = 3, 5
    grace[7] = usual
    wanted = np.sqrt(grace**2 + land**2 + gap[:, None, None] ** 2)
    np.testing.assert_allclose(read(tmp_path / "out" / "cell.tif"), wanted, rtol=1e-5)


def test_a_pixel_has_both_parts_in_quadrature(run, errors, maps, tmp_path, downscaling_region):
    run(**errors)
    out = {name: read(tmp_path / "out" / f"{name}.tif") for name in (*FINE, "cell")}
    cell = np.kron(out["cell"], np.ones((1, downscaling_region.factor, downscaling_region.factor)))
    wanted = np.sqrt((Z * cell) ** 2 + out["within"] ** 2)
    values = read(maps["recommended"])
    np.testing.assert_array_equal(np.isfinite(out["output"]), np.isfinite(values))
    known = np.isfinite(values)
    np.testing.assert_allclose(out["output"][known], wanted[known], rtol=1e-5)
    np.testing.assert_allclose(out["upper"][known] - out["lower"][known], 2 * out["output"][known], atol=1e-4)
    np.testing.assert_allclose((out["upper"] + out["lower"])[known] / 2, values[known], atol=1e-4)


def test_one_number_for_grace_and_nothing_else(run, tmp_path):
    run(grace_error=1.5)
    cell = read(tmp_path / "out" / "cell.tif")
    np.testing.assert_allclose(cell, 1.5, rtol=1e-6)


def test_the_truth_lies_within_the_intervals_of_departures(unexplained_region, tmp_path):
    """The truth's departures from its mascons' means, which nothing in the calibration has seen.

    This truth is smooth, so that the histospline knows much of what varies within a mascon: intervals are too wide.
    """
    region, detail, fine = unexplained_region, tmp_path / "detail.tif", tmp_path / "fine.tif"
    model, inputs = tmp_path / "model.gwsa", {"aquifers": region.classes, "mask": region.mask}
    trainmodels(
        region.target, region.coarse, model, aquifers=region.classes_coarse, mascons=region.mascons,
        search_iterations=0, threads=1, splits=("blocks",),
    )  # fmt: skip
    predict(model, region.fine, detail, threads=1, **inputs)
    correctresiduals(detail, region.target, fine, mascons=region.mascons)
    within = tmp_path / "within.tif"
    result = uncertainty(fine, model, region.fine, tmp_path / "out.tif", within=within, prediction=detail, **inputs)
    assert 0.85 <= result.held_out_coverage <= 0.95
    with MonthlyStack(fine) as stack:
        weights = np.repeat(stack.grid.row_weights()[:, None], stack.grid.columns, 1)
    ids = np.kron(read_single(region.mascons)[0], np.ones((region.factor, region.factor)))
    error = region.truth - read(fine)
    for month in error:
        for name in np.unique(ids):
            own = (ids == name) & np.isfinite(month)
            if own.any():
                month[own] -= np.average(month[own], weights=weights[own])
    known = np.isfinite(error)
    inside = np.abs(error[known]) <= read(within)[known]
    assert 0.88 < inside.mean() < 0.999


def test_more_detail_makes_wider_intervals(run, maps, trained_models, tmp_path):
    result = run("with")
    run("without", prediction=None)
    calibration = read_calibration(read_model(trained_models["recommended"]))
    scale, detail = calibration.conformal.scale, read(maps["recommended detail"])
    wide, plain = (read(tmp_path / folder / "within.tif") for folder in ("with", "without"))
    month, row, column = np.argwhere(np.isfinite(wide) & (np.abs(detail) > 1))[0]
    # Same class and month: the squares differ by the detail's part alone.
    ratio = (wide[month, row, column] / plain[month, row, column]) ** 2
    top = result.carry * scale.base + scale.slope * detail[month, row, column] ** 2
    bottom = result.carry * (scale.base + scale.slope * calibration.detail_variance)
    assert ratio == pytest.approx(top / bottom, rel=1e-4)


def test_carry_over_is_the_ratio_of_the_predictors_variances(run, downscaling_region, trained_models):
    region, result = downscaling_region, run(compared_months=1)
    calibration = read_calibration(read_model(trained_models["recommended"]))
    month = spread_months(region.months, 1)
    ids = np.kron(read_single(region.mascons)[0], np.ones((region.factor, region.factor)))
    names = read_model(trained_models["recommended"]).manifest["predictors"]
    layers = []
    for name in names:
        with Raster(region.fine / f"{name}.tif") as raster:
            band = 0 if raster.bands == 1 else int((month[0] - region.months[0]).astype(int))
            layers.append(raster.read(bands=[band])[0].astype(float))
            grid = raster.grid
    known = np.isfinite(layers).all(0)
    weights = np.repeat(grid.row_weights()[:, None], grid.columns, 1)
    variance = np.zeros(len(names))
    for place, layer in enumerate(layers):
        for mascon in np.unique(ids):
            own = (ids == mascon) & known
            if own.any():
                mean = np.average(layer[own], weights=weights[own])
                variance[place] += (weights[own] * (layer[own] - mean) ** 2).sum()
    ratio = variance / weights[known].sum() / calibration.spread
    assert result.carry == pytest.approx(np.exp((calibration.importances * np.log(ratio)).sum()), rel=1e-4)


def test_dissimilarity_of_pixels_is_that_of_their_predictors(run, downscaling_region, trained_models, tmp_path):
    region = downscaling_region
    result = run(compared_months=2)
    model = read_model(trained_models["recommended"])
    calibration, months = read_calibration(model), spread_months(region.months, 2)
    area = calibration.area
    points = area.points.astype(float)
    total = 0.0
    for month in months:
        columns = []
        for name in model.manifest["predictors"]:
            with Raster(region.fine / f"{name}.tif") as raster:
                band = 0 if raster.bands == 1 else int((month - region.months[0]).astype(int))
                columns.append(raster.read(bands=[band])[0, 40, 10:40].astype(float))
        place = (np.stack(columns, 1) - area.centre) / area.width * area.weights
        total = total + np.sqrt(((place[:, None] - points) ** 2).sum(-1)).min(1) / area.mean_distance
    with Raster(tmp_path / "out" / "applicability.tif") as raster:
        index, inside, share = raster.read()
    np.testing.assert_allclose(index[40, 10:40], total / 2, rtol=1e-4, atol=1e-5)
    known = np.isfinite(index)
    np.testing.assert_array_equal(inside[known], index[known] <= np.float32(area.threshold))
    assert set(np.unique(share[known])) <= {0.0, 0.5, 1.0}
    weights = np.repeat(raster.grid.row_weights()[:, None], raster.grid.columns, 1)
    assert result.outside_share == pytest.approx((weights[known] * (inside[known] == 0)).sum() / weights[known].sum())


def test_predictors_unlike_the_training_are_outside(run, downscaling_region, tmp_path):
    """A corner whose slope is like nothing seen before."""
    folder = tmp_path / "odd"
    folder.mkdir()
    for path in downscaling_region.fine.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    values, grid = read_single(downscaling_region.fine / "slope.tif")
    usual = run("usual")
    values[:20, :20] += 40 * np.nanstd(values)
    write_single(folder / "slope.tif", grid, values)
    result = run("odd_out", predictors=folder)
    with Raster(tmp_path / "odd_out" / "applicability.tif") as raster:
        inside = raster.read()[1]
    assert (inside[:20, :20] == 0).all()
    assert result.outside_share > usual.outside_share


def test_same_bytes_for_any_workers_and_same_values_for_any_memory(run, errors, tmp_path):
    run("one", report=tmp_path / "one.html", **errors)
    run("two", report=tmp_path / "two.html", workers=2, **errors)
    run("small", memory_mb=1, **errors)
    for name in (*FINE, "cell"):
        np.testing.assert_array_equal(read(tmp_path / "one" / f"{name}.tif"), read(tmp_path / "two" / f"{name}.tif"))
        np.testing.assert_allclose(
            read(tmp_path / "one" / f"{name}.tif"), read(tmp_path / "small" / f"{name}.tif"), rtol=1e-6
        )
    assert (tmp_path / "one.html").read_text() == (tmp_path / "two.html").read_text()


def test_published_models_have_intervals_too(run, tmp_path):
    result = run(preset="published")
    assert 0.85 <= result.held_out_coverage <= 0.95
    assert np.nanmin(read(tmp_path / "out" / "within.tif")) > 0


def test_what_outputs_say_of_themselves(run, tmp_path):
    run()
    with MonthlyStack(tmp_path / "out" / "output.tif") as stack:
        assert stack.unit() == "cm"
        assert "90 % interval" in stack.quantity
        assert stack.baseline == "2004-01 to 2004-12"
        assert [str(month) for month in stack.months[stack.filled]] == ["2004-08"]
    with Raster(tmp_path / "out" / "applicability.tif") as raster:
        assert raster.descriptions()[0] == "dissimilarity index"


def test_report_tells_coverage_budget_and_how_to_average(run, errors, tmp_path):
    result = run(report=tmp_path / "r.html", **errors)
    text = (tmp_path / "r.html").read_text()
    for words in (
        "Coverage on held-out blocks",
        "gap filling",
        "land-surface models",
        "Do not average pixel half-widths",
    ):
        assert words in text
    assert f"{100 * result.held_out_coverage:.1f} %" in text
    assert text.count("<img") == 6


def test_missing_sources_are_told(run):
    messages = []
    run(progress=lambda _, message: messages.append(message))
    told = " ".join(messages)
    for words in ("GRACE_UNCERTAINTY is not given", "1 months of the map are gap-filled", "LAND_SPREAD is not given"):
        assert words in told


def test_months_are_those_that_all_have(run, errors, downscaling_region, tmp_path):
    with MonthlyStack(errors["land_spread"]) as stack:
        grid, values, months = stack.grid, stack.read(), stack.months
    short = write_stack(tmp_path / "short.tif", grid, months[3:9], values[3:9])
    result = run(**(errors | {"land_spread": short}))
    assert result.months.size == 6
    with MonthlyStack(tmp_path / "out" / "output.tif") as stack:
        assert (stack.months == months[3:9]).all()
    later = write_stack(tmp_path / "later.tif", grid, months + 240, values)
    with pytest.raises(InvalidMonths, match="no month in common"):
        run("no", **(errors | {"land_spread": later}))
    assert not (tmp_path / "no").exists()


def test_errors_on_another_grid_are_refused(run, errors, downscaling_region):
    with pytest.raises(GridMismatch, match="LAND_SPREAD"):
        run(land_spread=downscaling_region.fine / "rain.tif")
    with pytest.raises(GridMismatch, match="the predictors"):
        run(predictors=downscaling_region.coarse)
    with pytest.raises(GridMismatch):
        run(**(errors | {"error_short": downscaling_region.mask}))


def test_numbers_out_of_bounds_are_refused(run, errors):
    for changes, words in (
        ({"level": 0.3}, "LEVEL"),
        ({"level": 90}, "LEVEL"),
        ({"grace_error": -1}, "GRACE_ERROR"),
        ({"compared_months": -2}, "COMPARED_MONTHS"),
        ({"error_short": errors["error_short"]}, "without FLAGS"),
        ({"flags": errors["flags"]}, "without errors"),
    ):
        with pytest.raises(InvalidParameter, match=words):
            run(**changes)


def test_an_empty_map_is_refused_and_leaves_nothing(run, maps, tmp_path):
    with MonthlyStack(maps["recommended"]) as stack:
        grid, months = stack.grid, stack.months
    empty = write_stack(tmp_path / "empty.tif", grid, months, np.full((months.size, *grid.shape), np.nan))
    with pytest.raises(NoUsableData, match="no value"):
        run(gwsa=empty)
    assert not any((tmp_path / "out").iterdir())


def test_cancelling_leaves_nothing(run, tmp_path):
    def progress(fraction: float, _: str) -> None:
        if fraction > 0.4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(progress=progress)
    assert not any((tmp_path / "out").iterdir())


def test_compared_months_are_spread_over_record_and_calendar():
    months = np.arange("2002-04", "2021-01", dtype="datetime64[M]")
    chosen = spread_months(months, 12)
    assert np.unique(chosen.astype(int) % 12).size == 12
    assert (np.diff(chosen).astype(int) > 4).all()
    assert (spread_months(months, 0) == months).all()
    assert spread_months(months[:5], 12).size == 5

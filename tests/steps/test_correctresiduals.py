"""Residual correction: support means are met in the file as written, computed here a second time and otherwise."""

import csv

import numpy as np
import pytest

from gwsa_qgis.errors import Cancelled, GridMismatch, InvalidMonths, InvalidParameter, NoUsableData
from gwsa_qgis.rasters.raster import read_single, write_single
from gwsa_qgis.rasters.stack import MonthlyStack, write_stack
from gwsa_qgis.steps.correctresiduals import correctresiduals


@pytest.fixture(scope="module")
def prediction(downscaling_region, tmp_path_factory):
    """A fine stack that has nothing to do with the target."""
    path = tmp_path_factory.mktemp("prediction") / "p.tif"
    with MonthlyStack(downscaling_region.fine / "rain.tif") as stack:
        noise = np.random.default_rng(0).normal(size=(stack.bands, *stack.grid.shape))
        write_stack(path, stack.grid, stack.months, 5 * stack.read() + noise + 40)
    return path


def values_of(path):
    with MonthlyStack(path) as stack:
        return stack.read().astype(np.float64)


def independent_means(fine, grid, labels):
    """Area-weighted means by a loop over supports, of float64 values, without the library."""
    weights = np.cos(np.deg2rad(grid.north - (np.arange(grid.rows) + 0.5) * grid.dy))[:, None] * np.isfinite(fine[0])
    filled = np.nan_to_num(fine)
    return np.stack(
        [(filled * weights)[:, labels == k].sum(1) / max(weights[labels == k].sum(), 1e-12) for k in np.unique(labels)]
    ).T


@pytest.mark.parametrize("on_mascons", [False, True])
def test_means_are_exact_in_the_written_file(prediction, downscaling_region, tmp_path, on_mascons):
    region = downscaling_region
    result = correctresiduals(
        prediction,
        region.target,
        tmp_path / "out.tif",
        tmp_path / "closure.csv",
        mascons=region.mascons if on_mascons else None,
    )
    out, target = values_of(result.output), values_of(region.target)
    with MonthlyStack(result.output) as stack:
        grid = stack.grid
    cells = np.arange(24 * 24).reshape(24, 24)
    labels = read_single(region.mascons)[0] if on_mascons else cells
    fine_labels = np.kron(labels, np.ones((4, 4)))
    # the coarse value of a support: its cells, weighted by their valid fine area
    spread_target = np.where(np.isfinite(out[0]), np.repeat(np.repeat(target, 4, 1), 4, 2), np.nan)
    wanted = independent_means(spread_target, grid, fine_labels)
    reached = independent_means(out, grid, fine_labels)
    observed = np.arange(18) != 5
    inside = np.array([np.isfinite(out[0])[fine_labels == k].any() for k in np.unique(fine_labels)])
    difference = np.abs(wanted - reached)[observed][:, inside]
    assert difference.max() <= 1e-4
    assert result.closure_max_after <= 1e-4
    assert result.closure_max_after == pytest.approx(difference.max(), rel=0.3, abs=1e-7)
    assert result.closure_rmse_before > 30  # the prediction was 40 cm off
    assert result.support == ("mascons" if on_mascons else "cells")


def test_an_unobserved_month_stays_nodata_and_metadata_travel(prediction, downscaling_region, tmp_path):
    result = correctresiduals(prediction, downscaling_region.target, tmp_path / "out.tif")
    assert list(result.empty_months.astype(str)) == ["2004-06"]
    with MonthlyStack(result.output) as stack:
        assert np.isnan(stack.read()[5]).all()
        assert stack.quantity == "groundwater storage anomaly"
        assert stack.baseline == "2004-01 to 2004-12"
        assert np.flatnonzero(stack.filled).tolist() == [7]
        assert stack.metadata()["GWSA_CORRECTION"] == "exact"


def test_closure_table(prediction, downscaling_region, tmp_path):
    result = correctresiduals(
        prediction,
        downscaling_region.target,
        tmp_path / "o.tif",
        tmp_path / "c.csv",
        mascons=downscaling_region.mascons,
    )
    with open(tmp_path / "c.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    months = [row for row in rows if row["by"] == "month"]
    mascons = [row for row in rows if row["by"] == "mascon"]
    assert len(months) == 17
    assert [int(row["name"]) for row in mascons] == list(range(501, 565))
    for group in (months, mascons):
        n = np.array([int(row["n"]) for row in group])
        before = np.array([float(row["rmse_before_cm"]) for row in group])
        assert np.sqrt((n * before**2).sum() / n.sum()) == pytest.approx(result.closure_rmse_before, rel=1e-4)
        assert max(float(row["max_after_cm"]) for row in group) == pytest.approx(result.closure_max_after, rel=1e-3)


def test_the_published_spline_leaves_means_off(prediction, downscaling_region, tmp_path):
    result = correctresiduals(prediction, downscaling_region.target, tmp_path / "out.tif", method="spline")
    assert 0.01 < result.closure_rmse_after < 0.5 * result.closure_rmse_before


@pytest.mark.parametrize("method", ["exact", "spline"])
@pytest.mark.parametrize("options", [{"memory_mb": 1.0}, {"memory_mb": 0.4, "workers": 2}])
def test_same_bits_for_any_windows(prediction, downscaling_region, tmp_path, method, options):
    region = downscaling_region
    results = [
        correctresiduals(prediction, region.target, tmp_path / f"{k}.tif", method=method, mascons=region.mascons, **o)
        for k, o in enumerate(({}, options))
    ]
    np.testing.assert_array_equal(values_of(results[0].output), values_of(results[1].output))
    assert results[0].closure_max_after == results[1].closure_max_after


def test_exact_where_valid_pixels_change_from_month_to_month(prediction, downscaling_region, tmp_path):
    region = downscaling_region
    with MonthlyStack(prediction) as stack:
        grid, values = stack.grid, stack.read()
    values[3, :7, :9] = np.nan
    values[9, 50:, 3:60] = np.nan
    values[11] = np.nan
    write_stack(tmp_path / "holes.tif", grid, region.months, values)
    result = correctresiduals(tmp_path / "holes.tif", region.target, tmp_path / "out.tif")
    assert result.closure_max_after <= 1e-4
    assert result.empty_months.size == 2
    out = values_of(result.output)
    np.testing.assert_array_equal(np.isfinite(out[9]), np.isfinite(values[9]))
    cell = out[9, 48:52, 0:4]
    rows = np.cos(np.deg2rad(grid.latitudes()[48:52]))[:, None] * np.isfinite(cell)
    assert (np.nan_to_num(cell) * rows).sum() / rows.sum() == pytest.approx(
        values_of(region.target)[9, 12, 0], abs=1e-4
    )


def test_coarse_cells_without_a_value_take_the_continuation(prediction, downscaling_region, tmp_path):
    region = downscaling_region
    with MonthlyStack(region.target) as stack:
        values = stack.read()
        values[:, 10:12, 10:12] = np.nan
        write_stack(tmp_path / "target.tif", stack.grid, stack.months, values)
    result = correctresiduals(prediction, tmp_path / "target.tif", tmp_path / "out.tif")
    assert result.closure_max_after <= 1e-4
    assert np.isfinite(values_of(result.output)[0, 40:48, 40:48]).all()


def test_masked_pixels_are_left_out_and_empty_supports_counted(prediction, downscaling_region, tmp_path):
    region = downscaling_region
    mask, grid = read_single(region.mask)
    mask[:12, :12] = 0  # one mascon
    write_single(tmp_path / "mask.tif", grid, np.nan_to_num(mask).astype(np.uint8), dtype="uint8", nodata=0)
    result = correctresiduals(
        prediction, region.target, tmp_path / "out.tif", mascons=region.mascons, mask=tmp_path / "mask.tif"
    )
    assert result.skipped_supports == 1
    assert result.supports == 63
    assert np.isnan(values_of(result.output)[:, :12, :12]).all()


def test_method_none_writes_the_prediction_and_its_table(prediction, downscaling_region, tmp_path):
    result = correctresiduals(prediction, downscaling_region.target, tmp_path / "o.tif", method="none")
    expected = values_of(prediction)
    expected[5] = np.nan
    np.testing.assert_array_equal(values_of(result.output), expected)
    assert result.closure_rmse_after == result.closure_rmse_before > 30


@pytest.mark.parametrize("on_mascons", [False, True])
def test_tolerance_bounds_what_is_left_and_gives_a_smoother_correction(
    prediction, downscaling_region, tmp_path, on_mascons
):
    region, left = downscaling_region, 0.4
    mascons = region.mascons if on_mascons else None
    results = [
        correctresiduals(prediction, region.target, tmp_path / f"{t}.tif", tolerance=t, mascons=mascons)
        for t in (0.0, left)
    ]
    assert results[0].closure_max_after <= 1e-4
    assert 0.5 * left < results[1].closure_max_after <= left + 1e-4
    roughness = [np.nanmean(np.diff(values_of(r.output) - values_of(prediction), 2, axis=2) ** 2) for r in results]
    assert roughness[1] < 0.9 * roughness[0]


def test_bounded_coast_is_exact_and_differs_at_small_supports_only(prediction, downscaling_region, tmp_path):
    region = downscaling_region
    mask, grid = read_single(region.mask)
    mask = np.nan_to_num(mask)
    mask[40:44, 40:43] = 0  # a cell of a quarter of its pixels
    write_single(tmp_path / "mask.tif", grid, mask.astype(np.uint8), dtype="uint8", nodata=0)
    results = [
        correctresiduals(prediction, region.target, tmp_path / f"{c}.tif", coast=c, mask=tmp_path / "mask.tif", **o)
        for c, o in (("smooth", {}), ("bounded", {}), ("bounded", {"memory_mb": 0.5, "workers": 2}))
    ]
    smooth, bounded, again = (values_of(r.output) for r in results)
    assert all(r.closure_max_after <= 1e-4 for r in results)
    np.testing.assert_array_equal(bounded, again)
    assert np.nanmax(np.abs(smooth - bounded)[:, 36:48, 36:48]) > 0.01
    assert np.nanmax(np.abs(smooth - bounded)[:, :20, :20]) < 1e-4


@pytest.mark.parametrize("memory_mb", [512, 4, 0.6])
def test_same_bytes_for_any_number_of_workers(prediction, downscaling_region, tmp_path, memory_mb):
    files = []
    for workers in (1, 2, 5):
        path = tmp_path / f"{workers}.tif"
        correctresiduals(prediction, downscaling_region.target, path, memory_mb=memory_mb, workers=workers)
        files.append(path.read_bytes())
    assert files[0] == files[1] == files[2]


@pytest.mark.parametrize(
    "options", [{}, {"coast": "bounded"}, {"method": "spline"}, {"method": "none"}, {"tolerance": 0.5}]
)
def test_same_bytes_by_processes(prediction, downscaling_region, tmp_path, monkeypatch, options):
    """Processes read and correct; nothing is corrected here."""
    joblib, region = pytest.importorskip("joblib"), downscaling_region
    options = options | {"mascons": region.mascons, "mask": region.mask, "memory_mb": 0.6}
    correctresiduals(prediction, region.target, tmp_path / "1.tif", tmp_path / "1.csv", **options)
    monkeypatch.setattr("gwsa_qgis.rasters.windows.map_ordered", lambda *_: pytest.fail("worked here"))
    with joblib.parallel_config("loky", n_jobs=2):
        correctresiduals(prediction, region.target, tmp_path / "2.tif", tmp_path / "2.csv", workers=2, **options)
    for kind in ("tif", "csv"):
        assert (tmp_path / f"1.{kind}").read_bytes() == (tmp_path / f"2.{kind}").read_bytes()


def test_months_are_corrected_in_parts(prediction, downscaling_region, tmp_path):
    """A small budget gives parts of the months, and one closure for all of them; figures are those of the whole."""
    messages, region = [], downscaling_region
    results = [
        correctresiduals(
            prediction,
            region.target,
            tmp_path / f"{memory}.tif",
            tmp_path / f"{memory}.csv",
            memory_mb=memory,
            progress=lambda fraction, message: messages.append(message),
        )
        for memory in (512, 0.4)
    ]
    assert messages.count("Averaging the prediction") > 5
    assert (tmp_path / "512.csv").read_text() == (tmp_path / "0.4.csv").read_text()
    assert results[0].closure_rmse_after == pytest.approx(results[1].closure_rmse_after, rel=1e-12)
    np.testing.assert_array_equal(results[0].empty_months, results[1].empty_months)


def test_wrong_input(prediction, downscaling_region, tmp_path):
    region = downscaling_region
    with pytest.raises(InvalidParameter, match="'kriging'"):
        correctresiduals(prediction, region.target, tmp_path / "o.tif", method="kriging")
    with pytest.raises(InvalidParameter, match="the coast is 'rough'"):
        correctresiduals(prediction, region.target, tmp_path / "o.tif", coast="rough")
    with pytest.raises(InvalidParameter, match="the tolerance is -1"):
        correctresiduals(prediction, region.target, tmp_path / "o.tif", tolerance=-1)
    with pytest.raises(InvalidParameter, match="of the method 'spline'"):
        correctresiduals(prediction, region.target, tmp_path / "o.tif", method="spline", tolerance=0.1)
    with MonthlyStack(region.target) as stack:
        grid, values = stack.grid, stack.read()
    write_stack(tmp_path / "late.tif", grid, region.months + 60, values)
    with pytest.raises(InvalidMonths, match="no month in common"):
        correctresiduals(prediction, tmp_path / "late.tif", tmp_path / "o.tif")
    write_stack(tmp_path / "part.tif", grid.window(0, 0, 20, 20), region.months, values[:, :20, :20])
    with pytest.raises(GridMismatch, match="does not divide"):
        correctresiduals(prediction, tmp_path / "part.tif", tmp_path / "o.tif")
    write_stack(tmp_path / "empty.tif", grid, region.months, values * np.nan)
    with pytest.raises(NoUsableData, match="no coarse value"):
        correctresiduals(prediction, tmp_path / "empty.tif", tmp_path / "o.tif")
    with pytest.raises(GridMismatch, match="the mascon map"):
        correctresiduals(prediction, region.target, tmp_path / "o.tif", mascons=region.mask)
    assert not (tmp_path / "o.tif").exists()


def test_cancelling_leaves_nothing(prediction, downscaling_region, tmp_path):
    def cancel(fraction, message):
        if fraction > 0.6:
            raise Cancelled

    with pytest.raises(Cancelled):
        correctresiduals(
            prediction,
            downscaling_region.target,
            tmp_path / "o.tif",
            tmp_path / "c.csv",
            progress=cancel,
            memory_mb=0.5,
        )
    assert [item.name for item in tmp_path.iterdir()] == [".o.tif.gwsa-part"]

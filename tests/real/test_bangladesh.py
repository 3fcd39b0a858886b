"""The Bangladesh grids through the steps: groundwater with a known 0.25 deg structure, and TWSA with its real gaps."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("xgboost", reason="training needs the package xgboost")
pytestmark = pytest.mark.real
BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
PROMISED_CM = 1e-4
SCALES = ("1 deg", "0.5 deg")


def load(name):
    """A module of the benchmarks, by its file: tests do not see the folder above them as a package."""
    path = BENCHMARKS / f"{name}.py"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    specification = importlib.util.spec_from_file_location(f"loaded_{name}", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def measured(shared_data, tmp_path_factory):
    if not (shared_data / "bangladesh").is_dir():
        pytest.skip("the Bangladesh grids are not there")
    result = load("bangladesh").measure(shared_data, tmp_path_factory.mktemp("bangladesh"), search_iterations=0)
    print("\n" + load("_bangladesh_tables").table(result))
    return result


def rmse(measured, scale, field):
    return measured["groundwater"][scale]["scores"][field]["rmse"]


@pytest.mark.parametrize("scale", SCALES)
def test_all_fields_are_scored_on_the_same_pixels_and_months(measured, scale):
    part = measured["groundwater"][scale]
    assert set(part["scores"]) >= {"bilinear", "cubic", "histospline", "recommended", "published, exact"}
    assert {scores["n"] for scores in part["scores"].values()} == {part["pixels"] * part["months"]}
    assert (part["pixels"], part["months"]) == (386, 172)


def test_interpolations_score_as_found_independently(measured):
    # Measured with other code on the same cells; there all rows weigh the same, here by cos(latitude).
    assert rmse(measured, "1 deg", "bilinear") == pytest.approx(2.087, abs=0.002)
    assert rmse(measured, "1 deg", "cubic") == pytest.approx(1.974, abs=0.002)
    assert rmse(measured, "1 deg", "histospline") == pytest.approx(1.876, abs=0.002)
    assert rmse(measured, "0.5 deg", "histospline") == pytest.approx(1.292, abs=0.002)


@pytest.mark.parametrize("scale", SCALES)
def test_written_maps_close_on_every_cell_and_month(measured, scale):
    part = measured["groundwater"][scale]
    for name in ("recommended", "published, exact"):
        closed = part["closure"][name]
        assert closed["cells"] == part["cells"]
        assert closed["largest_after"] <= PROMISED_CM
    assert part["consistency_rmse"] <= PROMISED_CM
    # The published spline leaves means off, which is what the exact method is for.
    assert part["closure"]["published, spline"]["largest_after"] > 0.1


@pytest.mark.parametrize("scale", SCALES)
def test_recommended_beats_bilinear(measured, scale):
    assert rmse(measured, scale, "recommended") <= rmse(measured, scale, "bilinear")


@pytest.mark.parametrize("scale", SCALES)
def test_recommended_is_not_worse_than_the_histospline(measured, scale):
    # The predictors explain next to nothing within these cells: the weight has to keep the map as good as interpolation.
    assert rmse(measured, scale, "recommended") <= rmse(measured, scale, "histospline") + 1e-6


@pytest.mark.parametrize("scale", SCALES)
def test_recommended_beats_the_published_recipe(measured, scale):
    for name in ("published, spline", "published, exact"):
        assert rmse(measured, scale, "recommended") < rmse(measured, scale, name)


@pytest.mark.parametrize("scale", SCALES)
def test_trends_follow_the_truth(measured, scale):
    trends = measured["groundwater"][scale]["trend"]
    assert trends["truth"]["mean"] < 0  # the basin loses groundwater
    assert trends["recommended"]["same_sign"] > 0.95
    assert trends["recommended"]["rmse"] < trends["truth"]["spread"]


def test_gaps_of_twsa_are_filled_and_nothing_else_changes(measured):
    twsa = measured["twsa"]
    assert (twsa["months"], twsa["missing"]) == (182, 20)
    assert twsa["observed_months_changed_by"] == 0
    assert twsa["cells"] == 24 * 24 - 72
    assert np.isfinite(twsa["fill_rms_difference_to_linear"])
    assert twsa["held_out_rmse_ssa"] < twsa["held_out_rmse_linear"]


def test_twsa_closes_on_native_mascons(measured):
    twsa = measured["twsa"]
    assert 50 <= twsa["mascons"] <= 70  # about 61 distinct values a month in this box
    assert twsa["largest_mascon_difference"] <= PROMISED_CM
    assert 0 <= twsa["weight"] <= 1

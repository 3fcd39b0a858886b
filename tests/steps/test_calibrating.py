"""What a model file keeps of held-out residuals, on samples whose residuals are known."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from gwsa_qgis.steps.calibrating import HeldOut, add_calibration, calibration_of
from gwsa_qgis.steps.calibration import BLOCKS, ENTRY, POINTS, SCORES, read_calibration
from gwsa_qgis.steps.model_file import ModelFile

PREDICTORS = ["rain", "soil"]
INPUTS = {
    "recommended": ["rain deviation", "soil deviation", "rain", "soil", "month_sin", "month_cos", "decades"],
    "published": ["rain", "soil", "month_sin", "month_cos"],
}
PLACES, MONTHS, FIRST = 60, 24, 400


def held_out(preset: str, seed: int = 1) -> HeldOut:
    """Residuals of standard deviation 2; levels have in each block and month an error of their own as well."""
    random = np.random.default_rng(seed)
    place, month = (part.ravel() for part in np.meshgrid(np.arange(PLACES), np.arange(MONTHS), indexing="ij"))
    block = place // 5
    deviations = random.normal(size=(place.size, 2)) * [1.0, 3.0]
    levels = random.normal(size=(place.size, 2)) + [10, 20]
    calendar = random.normal(size=(place.size, 3))
    residual = 2 * random.normal(size=place.size)
    shared = 30 * random.normal(size=(PLACES // 5, MONTHS))[block, month]
    estimate = random.normal(size=place.size)
    recommended = preset == "recommended"
    x = np.column_stack([deviations, levels, calendar] if recommended else [levels, calendar[:, :2]])
    y = estimate + residual + (0 if recommended else shared)
    return HeldOut(x, y, estimate, np.full(place.size, 13), block + 1, block + 1, month + FIRST)


def model_of(preset: str, entry: dict, arrays: dict) -> ModelFile:
    return ModelFile({"preset": preset, "predictors": PREDICTORS, ENTRY: entry}, {}, arrays)


def test_deviations_are_taken_as_they_are():
    held = held_out("recommended")
    found = read_calibration(
        model_of(
            "recommended",
            *calibration_of("recommended", PREDICTORS, INPUTS["recommended"], held, {"rain": 3, "soil": 1}),
        )
    )
    assert found.residual_variance == pytest.approx(((held.y - held.estimate) ** 2).mean())
    assert found.detail_variance == pytest.approx((held.estimate**2).mean())
    np.testing.assert_allclose(found.spread, (held.x[:, :2] ** 2).mean(0))
    np.testing.assert_allclose(found.area.centre, held.x[:, 2:4].mean(0))
    np.testing.assert_allclose(found.importances, [0.75, 0.25])
    assert (found.blocks, found.samples) == (12, PLACES * MONTHS)
    # Residuals are normal: 90 % within 1.645 standard deviations.
    assert found.half_width[3] == pytest.approx(1.645 * 2, rel=0.06)
    np.testing.assert_allclose(found.coverage, found.levels, atol=0.03)


def test_levels_are_compared_within_their_group_and_month():
    """The shared error of 30 cm is what the correction takes away: 2 cm are left."""
    held = held_out("published")
    found = read_calibration(
        model_of("published", *calibration_of("published", PREDICTORS, INPUTS["published"], held, {}))
    )
    assert found.residual_variance == pytest.approx(4, rel=0.1)
    np.testing.assert_allclose(found.spread, [1, 1], rtol=0.1)
    np.testing.assert_allclose(found.importances, [0.5, 0.5])


def test_importances_of_what_is_made_of_a_predictor_add_up():
    importances = {
        "rain deviation": 2.0,
        "rain": 0.5,
        "rain mean": 0.5,
        "soil": 1.0,
        "month_sin": 50.0,
        "soil mean": None,
    }
    entry, _ = calibration_of("recommended", PREDICTORS, INPUTS["recommended"], held_out("recommended"), importances)
    assert entry["importances"] == [0.75, 0.25]


def test_inputs_are_found_by_place_and_month():
    """Held-out samples are a part of all, in another order."""
    held, random = held_out("recommended"), np.random.default_rng(9)
    order = random.permutation(held.y.size)
    around = random.normal(size=order.size).astype(np.float32)
    place = np.repeat(np.arange(PLACES), MONTHS)
    samples = SimpleNamespace(x=held.x[order], places=place[order], months=held.months[order])
    samples.take = lambda rows: samples
    table = SimpleNamespace(samples=samples, first=order.size, neighbours=np.arange(PLACES) // 5 + 1)
    chosen = random.permutation(order.size)[:700]
    judged = SimpleNamespace(
        actual=held.y[chosen] + around[chosen],
        estimate=held.estimate[chosen] + around[chosen],
        around=around[chosen],
        classes=held.classes[chosen],
        blocks=held.blocks[chosen],
        places=place[chosen],
        months=held.months[chosen],
    )
    model = ModelFile(
        {
            "preset": "recommended",
            "predictors": PREDICTORS,
            "inputs": INPUTS["recommended"],
            "linear": {"importances": {"rain": 1.0}},
            "models": {},
        }
    )
    add_calibration(model, judged, table, 0)
    found = read_calibration(model)
    np.testing.assert_allclose(found.area.centre, held.x[chosen, 2:4].mean(0))
    np.testing.assert_allclose(found.spread, (held.x[chosen, :2] ** 2).mean(0))
    assert found.residual_variance == pytest.approx(((held.y - held.estimate)[chosen] ** 2).mean(), rel=1e-5)
    assert set(model.arrays) == {SCORES, BLOCKS, POINTS}


def test_nothing_held_out_leaves_no_calibration():
    model = ModelFile({"preset": "recommended", "predictors": PREDICTORS})
    add_calibration(model, None, None, 0)
    assert ENTRY not in model.manifest and not model.arrays


def test_few_blocks_give_intervals_without_a_test_of_them():
    held = held_out("recommended")
    few = held.take(held.blocks <= 3)
    found = read_calibration(
        model_of("recommended", *calibration_of("recommended", PREDICTORS, INPUTS["recommended"], few, {}))
    )
    assert np.isnan(found.coverage).all() and np.isnan(found.block_spread)
    assert found.conformal.factor(0.9) > 1.645

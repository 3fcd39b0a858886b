"""Bars: cut off where they would hide the others, and drawn without a share that is not known."""

import numpy as np
import pytest

from gwsa_qgis.report.bars import paired_bars, share_bars

image = pytest.importorskip("matplotlib.image")


def pixels(png):
    import io

    return image.imread(io.BytesIO(png), format="png")[..., :3]


def share_of(png, colour):
    return (np.abs(pixels(png) - np.array(colour)).max(-1) < 0.02).mean()


BLUE, RED = (0x21 / 255, 0x66 / 255, 0xAC / 255), (0xB2 / 255, 0x18 / 255, 0x2B / 255)


def test_shares_above_zero_are_blue_and_those_below_red():
    both = share_bars(["a", "b"], np.array([0.5, -0.5]), np.zeros(2), "share")
    assert share_of(both, BLUE) == pytest.approx(share_of(both, RED), rel=0.05)
    good = share_bars(["a", "b"], np.array([0.5, np.nan]), np.array([0.1, np.nan]), "share")
    assert share_of(good, BLUE) > 0.1
    assert share_of(good, RED) == 0


def test_a_bar_far_below_zero_leaves_room_for_the_others():
    cut = share_bars(["a", "b"], np.array([0.5, -40.0]), np.array([0.0, 30.0]), "share")
    assert share_of(cut, BLUE) > 0.3 * share_of(cut, RED)


def test_every_model_has_a_panel():
    shares = [np.array([60.0, 40.0])] * 2
    one = paired_bars([("m", ["x", "y"], shares)], ["gain", "SHAP"])
    three = paired_bars([(name, ["x", "y"], shares) for name in "mno"], ["gain", "SHAP"])
    assert pixels(three).shape[0] > 1.9 * pixels(one).shape[0]
    assert paired_bars([("m", ["x", "y"], shares[:1])], ["gain", "SHAP"]) != one

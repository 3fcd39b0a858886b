"""What looks odd: each rule on a true case and on one that comes near it."""

import numpy as np
import pytest

from gwsa_qgis.products.plausibility import LAPSE, Profile, odd_profiles
from gwsa_qgis.products.sanity import Figures, kind_of, odd_figures

MONTHS = np.arange(12)


def figures(low, mean, high):
    return Figures(10, 10 * mean, low, high)


@pytest.mark.parametrize(
    ("name", "unit", "odd", "fine", "word"),
    [
        ("pre", "mm", (0, 8000, 90_000), (0, 900, 9000), "SCALE 0.01"),
        ("pre", "mm", (0, 400, 30_000), (0, 400, 9300), "SCALE 0.01"),
        ("pr", "m", (0, 0.08, 0.4), (0, 5, 60), "metres"),
        ("et", "", (0, 5000, 9000), (0, 0.1, 0.4), "SCALE"),
        ("tas", "K", (250, 285, 310), (-40, 12, 45), "kelvin"),
        ("lst", "", (-20, 90, 400), (-60, 12, 80), "scaled"),
        ("tas", "", (-9999, 10, 30), (-70, 10, 30), "fill value"),
        ("NDVI", "", (-2000, 4000, 9000), (-0.2, 0.4, 1.0), "index"),
        ("clay", "", (0, 250, 600), (0, 25, 90), "percent"),
        ("clay", "g/kg", (0, 250, 1200), (0, 250, 900), "percent"),
        ("sand", "%", (-3, 40, 80), (0, 40, 100), "negative"),
        ("phh2o", "", (40, 65, 90), (4, 6.5, 9), "pH"),
        ("ph", "", (0.3, 0.6, 0.9), (3.1, 4, 5), "pH"),
        ("dem", "m", (0, 3000, 29_000), (-430, 3000, 8800), "feet"),
        ("elevation", "ft", (0, 300, 900), None, "feet"),
        ("dem", "m", (-9999, 300, 900), (-430, 300, 900), "low"),
        ("sm", "m3 m-3", (20, 250, 600), (0.02, 0.25, 0.6), "thousandths"),
        ("soil_moisture", "%", (20, 250, 600), (2, 25, 60), "thousandths"),
    ],
)
def test_figures(name, unit, odd, fine, word):
    assert word in odd_figures(name, figures(*odd), unit)
    if fine:
        assert odd_figures(name, figures(*fine), unit) == ""


def test_what_is_not_judged():
    assert odd_figures("pre_acc", figures(0, 9000, 40_000)) == ""
    assert odd_figures("sm", figures(20, 250, 600), "mm") == "" and odd_figures("sm", figures(20, 250, 600)) == ""
    assert odd_figures("sm", figures(-2, 0, 2)) == ""
    assert odd_figures("deviation", figures(-20, 0, 20)) == ""
    assert "same everywhere" in odd_figures("x", figures(3, 3, 3)) and "no value" in odd_figures("x", Figures())


def test_kinds():
    names = {"CHELSA_tas": "temperature", "MERIT_dem": "elevation", "swvl1": "soil moisture", "evi": "ndvi"}
    names |= {"elevation": "elevation", "deviation": "", "PRE_ACC": "", "clay": "share", "spread": "", "tasmanian": ""}
    assert {name: kind_of(name) for name in names} == names


def test_figures_by_parts_are_those_of_the_whole():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(50, 40)).astype(np.float32)
    values[rng.random(values.shape) < 0.3] = np.nan
    values[0, 0] = np.inf
    whole, parts = Figures(), Figures()
    whole.add(values)
    for part in (values[:20], values[20:], np.full((2, 2), np.nan)):
        one = Figures()
        one.add(part)
        parts.merge(one)
    known = values[np.isfinite(values)]
    for found in (whole, parts):
        assert (found.count, found.low, found.high) == (known.size, known.min(), known.max())
        assert found.mean == pytest.approx(known.mean(dtype=float))


def profile(name, north, south, *, warmest=6, amplitude=8.0, per_degree=-0.7, relief=None, rows=40, columns=30):
    """A field that falls by `per_degree` from the equator, with the season of its hemisphere (warmest: July, 6)."""
    latitudes = np.linspace(north, south, rows)
    rng = np.random.default_rng(4)
    mean = 28 + per_degree * np.abs(latitudes)[:, None] + rng.normal(scale=0.3, size=(rows, columns))
    if relief is not None:
        mean = mean - LAPSE * relief
    season = amplitude * np.cos(2 * np.pi * (MONTHS - warmest) / 12)
    cycle = mean.mean(axis=1) + season[:, None] * np.where(latitudes >= 0, 1, -1)
    return Profile(name, mean, cycle, latitudes)


def turned(one):
    return Profile(one.name, one.mean[::-1], one.cycle[:, ::-1], one.latitudes)


def test_warmest_month():
    assert not odd_profiles([profile("tas", 50, 30)]) and not odd_profiles([profile("tas", -25, -40)])
    for north, south in ((50, 30), (-25, -40), (30, 10)):
        found = odd_profiles([profile("tas", north, south, warmest=0)])
        assert "six months out" in " ".join(found["tas"]), (north, south)
    # a monsoon's spring, a weak season, and the tropics, where rain decides
    for name, options in (("tas", {"warmest": 3}), ("tas", {"warmest": 0, "amplitude": 1.0}), ("pre", {"warmest": 0})):
        assert not odd_profiles([profile(name, 30, 24, **options)]), options
    assert not odd_profiles([profile("tas", 20, 0, warmest=0)])
    assert not odd_profiles([profile("tas", 22.9, -22.9, warmest=0)])


def test_both_hemispheres_upside_down():
    one = profile("tas", 45, -30)
    assert not odd_profiles([one])
    assert "upside down" in " ".join(odd_profiles([turned(one)])["tas"])


def test_two_inputs_six_months_apart():
    first, later = profile("pre", 20, 0, warmest=6), profile("rain", 20, 0, warmest=0)
    found = odd_profiles([first, later])
    assert list(found) == ["rain"] and "six months apart" in found["rain"][0]
    # three months are nature's; other kinds may oppose each other; a season without a shape says nothing
    assert not odd_profiles([first, profile("rain", 20, 0, warmest=3)])
    assert not odd_profiles([first, profile("ndvi", 20, 0, warmest=0)])
    assert not odd_profiles([profile("pre_acc", 20, 0), profile("rain_acc", 20, 0, warmest=0)])
    rainy_twice = profile("rain", 20, 0)
    rainy_twice = Profile(
        "rain", rainy_twice.mean, np.cos(4 * np.pi * MONTHS / 12)[:, None] + np.zeros(40), first.latitudes
    )
    assert not odd_profiles([first, rainy_twice])


def test_two_inputs_one_upside_down():
    rng = np.random.default_rng(1)
    relief = np.cumsum(np.cumsum(rng.normal(size=(40, 30)), axis=0), axis=1) * 20
    latitudes = np.linspace(20, 10, 40)
    first = Profile("dem", relief, None, latitudes)
    second = Profile("srtm", relief + rng.normal(scale=20, size=relief.shape), None, latitudes)
    assert not odd_profiles([first, second])
    found = odd_profiles([first, Profile("srtm", second.mean[::-1], None, latitudes)])
    assert "upside down" in found["srtm"][0]
    # a map that is like its mirror image, and one that has nothing to do with the other
    ridge = np.exp(-(np.linspace(-2, 2, 40)[:, None] ** 2)) * 1000 + rng.normal(scale=50, size=(40, 30))
    assert not odd_profiles([Profile("dem", ridge, None, latitudes), Profile("srtm", ridge[::-1], None, latitudes)])
    assert not odd_profiles([first, Profile("srtm", rng.normal(size=relief.shape), None, latitudes)])


def test_temperature_towards_the_pole():
    one = profile("tas", 50, 25, amplitude=0.0)
    assert not odd_profiles([one])
    assert "towards the north pole" in odd_profiles([turned(one)])["tas"][0]
    assert "towards the south pole" in odd_profiles([turned(profile("tas", -22, -48, amplitude=0.0))])["tas"][0]
    # too short a span, and the belt between equator and desert
    assert not odd_profiles([turned(profile("tas", 39, 25, amplitude=0.0))])
    assert not odd_profiles([profile("tas", 21, 0, amplitude=0.0, per_degree=0.5)])


def test_height_explains_a_plateau():
    """A plateau in the south of a region makes its temperature rise northwards."""
    relief = np.linspace(0, 5000, 40)[:, None] + np.zeros((40, 30))
    plateau = profile("tas", 43, 28, amplitude=0.0, relief=relief)
    height = Profile("dem", relief, None, plateau.latitudes)
    assert plateau.mean[0].mean() > plateau.mean[-1].mean() + 5
    assert not odd_profiles([plateau, height]) and not odd_profiles([plateau])
    hills = Profile("dem", relief / 20, None, plateau.latitudes)
    upside_down = turned(profile("tas", 43, 28, amplitude=0.0, relief=hills.mean))
    # 15 degrees of latitude are enough where the elevation is known
    assert "tas" in odd_profiles([upside_down, hills]) and not odd_profiles([upside_down])


def test_holes_and_missing_latitudes():
    one = profile("tas", 50, 25)
    mean, cycle = one.mean.copy(), one.cycle.copy()
    mean[:, ::2], mean[7], cycle[:, 7] = np.nan, np.nan, np.nan
    assert not odd_profiles([Profile("tas", mean, cycle, one.latitudes)])
    assert "tas" in odd_profiles([turned(Profile("tas", mean, cycle, one.latitudes))])
    empty = Profile("tas", np.full_like(mean, np.nan), np.full_like(cycle, np.nan), one.latitudes)
    assert not odd_profiles([empty, Profile("lst", mean, None, np.full(40, np.nan))])

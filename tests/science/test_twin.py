"""The sample region's truth: known statistics, sums that must close, and the traits that make it hard."""

import numpy as np
import pytest

from gwsa_qgis.errors import InvalidMonths, InvalidParameter
from gwsa_qgis.science.twin import make_twin
from gwsa_qgis.science.twin_fields import PowerLawFields, RedField, block_mean, blur, refine_linear
from gwsa_qgis.science.twin_land import MASCON_AREA_KM2, RegionGrid, make_land
from gwsa_qgis.science.twin_wells import make_wells


@pytest.fixture(scope="module")
def twin():
    return make_twin(seed=3, size=5, factor=4, start="2004-01", end="2009-12")


@pytest.fixture(scope="module")
def land():
    return make_land(RegionGrid(12, 5), 42)


def test_power_law_fields_have_unit_variance_and_the_asked_slope():
    fields = PowerLawFields(128, 16, 1)
    drawn = np.stack([fields.draw(3.0, 100.0) for _ in range(200)])
    assert drawn.var() == pytest.approx(1, abs=0.15)
    whole = PowerLawFields(128, 16, 2)
    whole.pixels = whole.padded  # the whole periodic field, so that no edge leaks into the spectrum
    waves = np.fft.fftfreq(whole.padded)
    wave = np.hypot(waves[:, None], waves[None])
    power = np.mean([np.abs(np.fft.fft2(whole.draw(3.0, 100.0))) ** 2 for _ in range(60)], axis=0)
    used = (wave > 0.04) & (wave < 0.4) & (np.abs(waves[None]) > 0.01)
    slope = np.polyfit(np.log(wave[used]), np.log(power[used]), 1)[0]
    assert slope == pytest.approx(-3.0, abs=0.1)


def test_red_field_keeps_its_lag_one_correlation():
    field = RedField(PowerLawFields(40, 16, 1), 1.5, 0.8)
    steps = np.stack([field.step().ravel() for _ in range(400)])
    correlation = (steps[1:] * steps[:-1]).mean() / (steps**2).mean()
    assert correlation == pytest.approx(0.8, abs=0.03)


def test_block_mean_weighted_and_empty():
    stack = np.array([[1.0, 3.0, 5.0, 5.0], [1.0, 3.0, 5.0, 5.0]])
    weight = np.array([[3.0, 1.0, 0.0, 0.0], [3.0, 1.0, 0.0, 0.0]])
    result = block_mean(stack, 2, weight)
    assert result[0, 0] == pytest.approx(1.5)
    assert np.isnan(result[0, 1])


def test_refining_keeps_a_plane_and_blur_a_constant():
    rows, columns = np.mgrid[:6, :5].astype(np.float32)
    fine = refine_linear(2 * rows + columns, 4)
    centre = (np.arange(24) + 0.5) / 4 - 0.5
    inner = slice(2, -2)
    assert np.allclose(np.diff(fine[:, 8])[2:-3], 0.5, atol=1e-6)
    assert np.allclose(fine[inner, 8], 2 * centre[inner] + fine[2, 8] - 2 * centre[2], atol=1e-5)
    assert np.allclose(blur(np.full((9, 9), 7.0), 1.5), 7)


def test_default_region_has_about_a_hundred_land_mascons_of_the_native_size(land):
    ids, counts = np.unique(land.mascon, return_counts=True)
    on_land = np.unique(land.mascon[land.land_cell])
    assert 90 <= on_land.size <= 130
    latitude = np.broadcast_to(land.grid.cell_latitudes[:, None], land.mascon.shape)
    inner = np.zeros(land.mascon.shape, bool)
    inner[8:-8, 8:-8] = True
    areas = []
    for one in on_land:
        cells = land.mascon == one
        if (cells & inner).sum() == cells.sum() and counts[ids == one][0] > 14:
            areas.append((111.2 * 0.25) ** 2 * np.cos(np.radians(latitude[cells])).sum())
    assert np.mean(areas) == pytest.approx(MASCON_AREA_KM2, rel=0.1)


def test_no_mascon_crosses_the_coast(land):
    for one in np.unique(land.mascon):
        assert np.unique(land.land_cell[land.mascon == one]).size == 1


def test_the_land_has_a_coast_lakes_ice_relief_and_classes(land):
    assert 0.03 < (~land.land).mean() < 0.25
    assert 0.003 < (land.lake_level > 0).mean() < 0.05
    assert 0.001 < land.glacier.mean() < 0.03
    assert land.elevation[land.glacier].mean() > 2 * land.elevation[land.land].mean()
    assert {13, 14, 23, 33, 88} == set(np.unique(land.aquifer))
    assert np.allclose(land.soils["clay"] + land.soils["silt"] + land.soils["sand"], 100, atol=1e-3)
    assert all((values >= 0).all() for values in land.soils.values())


def test_pumping_has_sharp_edges_and_is_seen_only_in_part(land):
    pumped = land.pumping > 0
    assert (land.pumping[land.pumping_zone == 0] == 0).all()
    assert not (pumped & ~land.land).any()
    steps = np.abs(np.diff(land.pumping, axis=1))
    assert (steps > 0.5).sum() > 0.05 * pumped.sum()
    assert 0.6 < (land.greening[pumped] > 0).mean() < 0.97
    assert (land.greening[~pumped] > 0).sum() > 100  # canals


def test_same_seed_same_twin_and_another_seed_another():
    arguments = {"size": 2, "factor": 3, "start": "2005-01", "end": "2005-03"}
    one, same, other = (make_twin(seed=s, **arguments) for s in (5, 5, 6))
    assert np.array_equal(one.groundwater, same.groundwater, equal_nan=True)
    assert np.array_equal(one.mascon_twsa, same.mascon_twsa)
    assert not np.array_equal(one.groundwater, other.groundwater, equal_nan=True)


def test_groundwater_is_an_anomaly_and_the_sum_of_its_parts(twin):
    inside = twin.land.land
    assert np.isnan(twin.groundwater[:, ~inside]).all()
    assert np.isfinite(twin.groundwater[:, inside]).all()
    assert np.abs(twin.groundwater[:, inside].mean(0, dtype=float)).max() < 2e-3
    total = sum(twin.parts.values())
    assert np.nanmax(np.abs(total - twin.groundwater[:, ::5, ::5])) < 5e-3


def test_gravity_sees_the_storages_per_mascon_with_about_a_centimetre_of_error(twin):
    """Truth and land model, averaged over each mascon by a loop of its own, against what gravity reports."""
    land, factor = twin.land, twin.land.grid.factor
    storage = (twin.land_model["soil"].sum(1) + twin.land_model["snow"] + twin.land_model["canopy"]) / 10
    storage = storage - storage.mean(0)
    weight = np.cos(np.radians(land.grid.pixel_latitudes))[:, None] * land.land
    errors = []
    for one in np.unique(land.mascon[land.land_cell]):
        pixels = np.repeat(np.repeat(land.mascon == one, factor, 0), factor, 1)
        w = (weight * pixels)[land.land]
        groundwater = twin.groundwater[:, land.land] @ w / w.sum()
        spread = np.repeat(np.repeat(storage, factor, 1), factor, 2)[:, land.land]
        expected = groundwater + np.where(w > 0, spread, 0) @ w / w.sum()
        errors.append(twin.mascon_twsa[:, np.flatnonzero(twin.mascon_ids == one)[0]] - expected)
    assert 0.5 < np.std(errors) < 1.8


def test_pumped_pixels_fall_and_no_predictor_is_blind_or_perfect(twin):
    years = np.arange(len(twin.months)) / 12
    slope = np.polyfit(years, twin.groundwater[:, twin.land.land], 1)[0]
    pumped = twin.land.pumping[twin.land.land] > 0.5
    assert slope[pumped].mean() < slope[~pumped].mean() - 0.4
    greenness = twin.products["ndvi"][:, twin.land.land].mean(0)
    correlation = np.corrcoef(greenness, twin.land.pumping[twin.land.land])[0, 1]
    assert 0.15 < correlation < 0.9


def test_products_are_within_physical_bounds(twin):
    inside = twin.land.land
    bounds = {"tas": (-40, 45), "pr": (0, 1000), "et": (0, 400), "sm": (0, 0.6), "ndvi": (-0.2, 1), "lst": (-45, 70)}
    for name, (low, high) in bounds.items():
        assert twin.products[name][:, inside].min() >= low
        assert twin.products[name][:, inside].max() <= high
    summer, winter = twin.products["tas"][6::12].mean(), twin.products["tas"][0::12].mean()
    assert summer > winter + 10


def test_wells_follow_storage_divided_by_specific_yield(twin):
    wells = make_wells(twin, 3, count=120)
    table = np.full((len(wells.months), 120), np.nan)
    for well, month, depth in wells.readings:
        table[month, well] = depth
    grid = twin.land.grid
    row = ((42 - wells.latitudes) * grid.pixels_per_degree).astype(int)
    column = ((wells.longitudes + 106) * grid.pixels_per_degree).astype(int)
    inside = column < grid.pixels
    assert 2 <= (~inside).sum() <= 6
    slopes = []
    for well in np.flatnonzero(inside):
        good = np.isfinite(table[:, well])
        storage = twin.groundwater[good, row[well], column[well]]
        slopes.append(np.polyfit(storage, -16 * table[good, well], 1)[0])  # cm of water per m of head at Sy 0.16
    assert np.median(slopes) == pytest.approx(1, abs=0.25)
    keys = [(well, month) for well, month, _ in wells.readings]
    assert len(keys) > len(set(keys))  # doubled rows occur


@pytest.mark.parametrize("size", [1.5, 3.1, 60])
def test_a_size_that_cannot_be_is_refused(size):
    with pytest.raises(InvalidParameter, match="size of the sample region"):
        RegionGrid(size, 5)


def test_a_factor_that_cannot_be_is_refused():
    with pytest.raises(InvalidParameter, match="factor"):
        RegionGrid(4, 1)


def test_months_without_the_baseline_are_refused():
    with pytest.raises(InvalidMonths, match="2004-2009"):
        make_twin(size=2, factor=2, start="2012-01", end="2013-01")

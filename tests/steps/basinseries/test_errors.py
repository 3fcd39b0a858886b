"""Uncertainty of the means of basins, against the error of known errors and against simulated ones."""

import numpy as np
import pytest

from gwsa_qgis.errors import GridMismatch, InvalidMonths, InvalidParameter
from gwsa_qgis.rasters.raster import write_single
from gwsa_qgis.rasters.stack import write_stack
from gwsa_qgis.science.error_budget import error_sums, mean_error, normal_factor
from gwsa_qgis.steps.basinseries import basinseries

# Of the 5 x 6 cells of 1 degree: three and two rows of two columns each.
MASCONS = (np.arange(5)[:, None] // 3 * 3 + np.arange(6) // 2 + 1).astype(np.int32)
SPREAD = 0.5 + 0.1 * MASCONS  # cm


@pytest.fixture
def error_files(region, tmp_path):
    """Errors as the step `uncertainty` writes them: of mascons, of departures, and of pixels."""
    coarse, grid, months = region.coarse, region.grid, region.months
    every = np.ones((months.size, 1, 1), np.float32)
    tags = {"GWSA_LEVEL": "0.9"}
    return {
        "cell": write_stack(
            tmp_path / "cell.tif", coarse, months, SPREAD * every, metadata={"GWSA_SUPPORT": "mascons"}
        ),
        "cells": write_stack(
            tmp_path / "cells.tif", coarse, months, SPREAD * every, metadata={"GWSA_SUPPORT": "cells"}
        ),
        "within": write_stack(tmp_path / "w.tif", grid, months, np.full(grid.shape, 3.0) * every, metadata=tags),
        "pixels": write_stack(tmp_path / "half.tif", grid, months, np.full(grid.shape, 4.0) * every, metadata=tags),
        "mascons": write_single(tmp_path / "mascons.tif", coarse, MASCONS, dtype="int32", nodata=0),
    }


@pytest.fixture
def mascon_errors(error_files):
    """Arguments of the step for errors of mascons and departures from their means."""
    return {"uncertainty": error_files["cell"], "within": error_files["within"], "mascons": error_files["mascons"]}


@pytest.fixture
def whole_files(files, region):
    """Arguments of the step with a stack that has a value everywhere."""
    write_stack(files["input"], region.grid, region.months, np.ones((region.months.size, *region.grid.shape)))
    return files


def test_a_basin_of_whole_mascons_has_the_error_of_their_means(whole_files, region, mascon_errors):
    """Nothing of the departures is left, and the two rules are those of `mean_error`."""
    whole_files["basins"] = region.write_basins({"two": [region.box(10, 47, 14, 50)]})  # mascons 1 and 2
    for memory in (512, 0.4):
        figures = basinseries(**whole_files, **mascon_errors, field="name", memory_mb=memory).figures
        independent, together = mean_error(error_sums(np.array([0.6, 0.7]), np.array([1.0, 1.0])))
        factor = normal_factor(0.95)
        np.testing.assert_allclose(figures.together, factor * together, rtol=1e-5)
        np.testing.assert_allclose(figures.independent, factor * independent, rtol=1e-5)


def test_a_part_of_a_mascon_keeps_its_departures(whole_files, region, error_files):
    # all rows are halved along a meridian: a quarter and three quarters of mascon 1
    shapes = {"quarter": [region.box(10, 47, 10.5, 50)], "most": [region.box(10.5, 47, 12, 50)]}
    whole_files["basins"] = region.write_basins(shapes)
    options = {"uncertainty": error_files["cell"], "mascons": error_files["mascons"], "field": "name"}
    told = []
    bare = basinseries(**whole_files, **options, progress=lambda f, m: told.append(m)).figures
    factor = normal_factor(0.95)
    np.testing.assert_allclose(bare.together, factor * 0.6, rtol=1e-5)
    assert any("WITHIN was not given" in text for text in told)
    figures = basinseries(**whole_files, **options, within=error_files["within"]).figures
    within = 3.0 / normal_factor(0.9)
    for place, left in enumerate((1.0, 1 / 3)):
        expected = factor * np.hypot(0.6, left * within)
        np.testing.assert_allclose(figures.together[place], expected, rtol=1e-5)
        np.testing.assert_allclose(figures.independent[place], expected, rtol=1e-5)


def test_mapped_area_outside_all_basins_counts_for_the_share_of_a_mascon(whole_files, region, mascon_errors):
    """Also where it lies in windows that no basin meets."""
    whole_files["basins"] = region.write_basins({"north": [region.box(10, 49, 12, 50)]})  # a row of cells of three
    one = basinseries(**whole_files, **mascon_errors, field="name").figures.together
    many = basinseries(**whole_files, **mascon_errors, field="name", memory_mb=0.4).figures.together
    np.testing.assert_allclose(many, one, rtol=1e-9)
    assert one[0, 0] == pytest.approx(normal_factor(0.95) * np.hypot(0.6, 3 / normal_factor(0.9)), rel=1e-5)


def test_errors_of_cells_need_no_mascons(whole_files, region, error_files):
    whole_files["basins"] = region.write_basins(
        {"four": [region.box(10, 48, 12, 50)], "bit": [region.box(10, 49.5, 11, 50)]}
    )
    figures = basinseries(
        **whole_files, field="name", uncertainty=error_files["cells"], within=error_files["within"], memory_mb=0.4
    ).figures
    rows = region.grid.row_areas_km2()
    areas = np.array([rows[:4].sum(), rows[:4].sum(), rows[4:8].sum(), rows[4:8].sum()])
    independent, together = mean_error(error_sums(np.full(4, 0.6), areas))
    factor = normal_factor(0.95)
    np.testing.assert_allclose(figures.together[0], factor * together, rtol=1e-5)
    np.testing.assert_allclose(figures.independent[0], factor * independent, rtol=1e-5)
    share = rows[:2].sum() / rows[:4].sum()
    left = min(1, (1 - share) / share)
    np.testing.assert_allclose(figures.together[1], factor * np.hypot(0.6, left * 3 / normal_factor(0.9)), rtol=1e-5)


def test_errors_of_pixels_are_one_error_throughout(files, error_files, tmp_path):
    result = basinseries(**files, field="name", uncertainty=error_files["pixels"], report=tmp_path / "r.html")
    figures = result.figures
    known = np.isfinite(figures.means)
    expected = 4.0 * normal_factor(0.95) / normal_factor(0.9)
    np.testing.assert_allclose(figures.together[known], expected, rtol=1e-5)
    assert np.isnan(figures.together[~known]).all() and np.isnan(figures.independent).all()
    assert "one error throughout a basin: that of the mean is the mean of theirs" in (tmp_path / "r.html").read_text()


def test_the_band_holds_simulated_errors(whole_files, region, mascon_errors):
    """Errors of mascons that are independent, alike or in between, and departures that add up to nothing over them."""
    shapes = {
        "three": [region.star(12.5, 48, 2.2, 11)],
        "small": [region.star(11, 48.4, 0.6, 12)],
        "strip": [region.box(10, 48.2, 16, 48.7)],
    }
    whole_files["basins"] = region.write_basins(shapes)
    figures = basinseries(**whole_files, **mascon_errors, field="name").figures
    fine = np.kron(MASCONS, np.ones((4, 4), int))
    area = np.broadcast_to(region.grid.row_areas_km2()[:, None], region.grid.shape)
    weights = [region.pixel_areas(rings) for rings in shapes.values()]
    random = np.random.default_rng(3)
    for correlation in (0.0, 0.5, 1.0):
        errors = np.zeros((3, 3000))
        for draw in range(3000):
            common, own = random.normal(), random.normal(size=MASCONS.max() + 1)
            means = (np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own) * (0.5 + 0.1 * np.arange(own.size))
            coarse = random.normal(size=(5, 6)).repeat(4, 0).repeat(4, 1)  # departures alike in patches of 4 x 4 pixels
            for mascon in np.unique(fine):
                inside = fine == mascon
                coarse[inside] -= np.average(coarse[inside], weights=area[inside])
            field = means[fine] + 3 / normal_factor(0.9) * coarse
            errors[:, draw] = [(w * field).sum() / w.sum() for w in weights]
        actual = errors.std(1)
        bound = figures.together[:, 0] / normal_factor(0.95)
        assert (actual <= 1.04 * bound).all(), (correlation, actual, bound)
        assert (actual > 0.2 * bound).all()


def test_unknown_errors_and_other_months(whole_files, region, error_files, tmp_path):
    whole_files["basins"] = region.write_basins({"four": [region.box(10, 47, 14, 50)]})
    spread = np.ones((region.months.size, 1, 1), np.float32) * SPREAD.astype(np.float32)
    spread[3, MASCONS == 1] = np.nan  # half of the basin
    spread[4, :] = np.nan
    tags = {"GWSA_SUPPORT": "mascons"}
    cell = write_stack(tmp_path / "part.tif", region.coarse, region.months[:10], spread[:10], metadata=tags)
    figures = basinseries(**whole_files, field="name", uncertainty=cell, mascons=error_files["mascons"]).figures
    known = np.isfinite(figures.together[0])
    assert np.flatnonzero(known).tolist() == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert figures.together[0, 3] == pytest.approx(normal_factor(0.95) * 0.7, rel=1e-5)
    later = write_stack(tmp_path / "later.tif", region.coarse, region.months + 600, spread, metadata=tags)
    with pytest.raises(InvalidMonths, match="no month in common"):
        basinseries(**whole_files, field="name", uncertainty=later, mascons=error_files["mascons"])


@pytest.mark.parametrize(
    ("names", "error", "match"),
    [
        ({"uncertainty": "cell"}, InvalidParameter, "holds errors of mascons and MASCONS was not given"),
        ({"uncertainty": "pixels", "within": "within"}, InvalidParameter, "errors of pixels, which go without WITHIN"),
        ({"uncertainty": "cells", "within": "cells"}, GridMismatch, "are not on one grid"),
        ({"uncertainty": "cells", "within": "input"}, InvalidParameter, "does not say the level of its half-widths"),
        ({"uncertainty": "bare"}, GridMismatch, "does not say whose errors it holds"),
        ({"mascons": "mascons"}, InvalidParameter, "without UNCERTAINTY"),
    ],
)
def test_errors_that_do_not_go_together(files, region, error_files, tmp_path, names, error, match):
    error_files["bare"] = write_stack(
        tmp_path / "bare.tif", region.coarse, region.months, np.ones((region.months.size, *region.coarse.shape))
    )
    given = {argument: (files | error_files)[name] for argument, name in names.items()}
    with pytest.raises(error, match=match):
        basinseries(**files, field="name", **given)
    assert not files["output"].exists()

import csv

import numpy as np
import pytest

from gwsa_qgis.errors import GridMismatch, InvalidMonths, NoUsableData
from gwsa_qgis.months import month_range
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.raster import read_single, write_single
from gwsa_qgis.rasters.stack import MonthlyStack, write_stack
from gwsa_qgis.steps.consistency import consistency

MONTHS = month_range("2004-01", "2005-12")
FACTOR, ROWS, COLUMNS = 4, 6, 9


@pytest.fixture
def coarse_grid():
    return Grid(-100.0, 60.0, 0.25, 0.25, COLUMNS, ROWS, geographic_crs())


@pytest.fixture
def maps(tmp_path, coarse_grid):
    """Coarse field, and a fine map with holes; returns paths, and coarse values beside direct cell means."""
    random = np.random.default_rng(5)
    grid = coarse_grid.refine(FACTOR)
    fine = random.normal(3, 2, (MONTHS.size, *grid.shape))
    fine[:, random.random(grid.shape) < 0.15] = np.nan
    fine[:, :FACTOR, :FACTOR] = np.nan
    fine[7] = np.nan
    fine = fine.astype(np.float32)
    weights = np.cos(np.deg2rad(grid.latitudes()))
    means = np.full((MONTHS.size, ROWS, COLUMNS), np.nan)
    for month in range(MONTHS.size):
        for row in range(ROWS):
            for column in range(COLUMNS):
                block = fine[month, row * 4 : row * 4 + 4, column * 4 : column * 4 + 4].astype(float)
                weight = np.repeat(weights[row * 4 : row * 4 + 4, None], 4, axis=1)[np.isfinite(block)]
                if weight.size:
                    means[month, row, column] = np.average(block[np.isfinite(block)], weights=weight)
    coarse = (np.nan_to_num(means) + random.normal(0, 0.3, means.shape)).astype(np.float32)
    coarse[:, 5, 8] = np.nan
    paths = (
        write_stack(tmp_path / "fine.tif", grid, MONTHS, fine),
        write_stack(tmp_path / "coarse.tif", coarse_grid, MONTHS, coarse),
    )
    return paths, coarse.astype(float), means


def direct_scores(actual, estimate):
    both = np.isfinite(actual) & np.isfinite(estimate)
    o, y = actual[both], estimate[both]
    return (
        both.sum(),
        1 - ((y - o) ** 2).sum() / ((o - o.mean()) ** 2).sum(),
        np.corrcoef(y, o)[0, 1],
        np.sqrt(((y - o) ** 2).mean()),
    )


def test_scores_equal_a_direct_computation(maps, tmp_path, coarse_grid):
    (fine, coarse), actual, estimate = maps
    classes = np.array([[11, 11, 11, 13, 13, 22, 22, 34, 34]] * ROWS)
    classes[5] = 0
    aquifers = write_single(tmp_path / "classes.tif", coarse_grid, classes.astype(np.uint8), dtype="uint8", nodata=0)
    result = consistency(
        fine, coarse, aquifers=aquifers, metrics=tmp_path / "m.csv", report=tmp_path / "r.html",
        difference=tmp_path / "d.tif", memory_mb=0.2,
    )  # fmt: skip
    found = list(result.monthly.as_dict().values())
    np.testing.assert_allclose(found, direct_scores(actual, estimate), rtol=1e-9)
    for number, scores in result.by_class.items():
        expected = direct_scores(actual[:, classes == number], estimate[:, classes == number])
        np.testing.assert_allclose(list(scores.as_dict().values()), expected, rtol=1e-9)
    assert set(result.by_class) == {11, 13, 22, 34}
    both = np.isfinite(actual) & np.isfinite(estimate)
    with np.errstate(invalid="ignore"):
        means = [np.where(both, v, 0).sum(0) / both.sum(0) for v in (actual, estimate)]
    np.testing.assert_allclose(list(result.mean.as_dict().values()), direct_scores(*means), rtol=1e-9)
    np.testing.assert_allclose(read_single(result.difference)[0], means[1] - means[0], atol=1e-6)
    with result.metrics.open() as file:
        rows = {(row["support"], row["class"], row["period"]): row for row in csv.DictReader(file)}
    month = direct_scores(actual[3], estimate[3])
    assert float(rows["cell", "all", "2004-04"]["rmse_cm"]) == pytest.approx(month[3], rel=1e-8)
    assert rows["cell", "all", "2004-08"]["n"] == "0"
    inside = classes == 13
    month = direct_scores(actual[3][inside], estimate[3][inside])
    np.testing.assert_allclose(
        [float(rows["cell", "13", "2004-04"][k]) for k in ("n", "r2", "cc", "rmse_cm")], month, rtol=1e-8
    )
    page = result.report.read_text(encoding="utf-8")
    assert "any map with the right cell means scores 1" in page


def test_fine_classes_are_taken_by_majority_and_mascons_are_a_support(maps, tmp_path, coarse_grid):
    (fine, coarse), actual, estimate = maps
    grid = coarse_grid.refine(FACTOR)
    classes = np.full(grid.shape, 14, np.uint8)
    classes[:, : 4 * FACTOR] = 23
    classes[:, 4 * FACTOR] = 23  # a quarter of the next column of cells
    aquifers = write_single(tmp_path / "classes.tif", grid, classes, dtype="uint8", nodata=0)
    labels = np.arange(ROWS)[:, None] // 3 * 3 + np.arange(COLUMNS) // 3 + 500
    mascons = write_single(tmp_path / "mascons.tif", coarse_grid, labels.astype(np.int32), dtype="int32", nodata=0)
    result = consistency(fine, coarse, aquifers=aquifers, mascons=mascons)
    expected = direct_scores(actual[:, :, :4], estimate[:, :, :4])
    np.testing.assert_allclose(list(result.by_class[23].as_dict().values()), expected, rtol=1e-9)
    both = np.isfinite(actual) & np.isfinite(estimate)
    with MonthlyStack(fine) as stack:
        used = np.isfinite(stack.read()).any(axis=0) * np.cos(np.deg2rad(grid.latitudes()))[:, None]
    area = used.reshape(ROWS, FACTOR, COLUMNS, FACTOR).sum(axis=(1, 3))
    by_mascon = [
        np.array([[np.average(v[m][here], weights=area[here])
                   for k in np.unique(labels) if (here := known[m] & (labels == k)).any()]
                  for m in range(MONTHS.size) if both[m].any()])
        for v, known in ((actual, both), (estimate, np.isfinite(estimate)))
    ]  # fmt: skip
    np.testing.assert_allclose(list(result.mascon_monthly.as_dict().values()), direct_scores(*by_mascon), rtol=1e-9)


def test_inputs_that_cannot_be_compared_are_named(maps, tmp_path, coarse_grid):
    (fine, coarse), _, _ = maps
    shifted = Grid(-100.1, 60.0, 0.25, 0.25, COLUMNS, ROWS, geographic_crs())
    zeros = np.zeros((MONTHS.size, ROWS, COLUMNS))
    out = tmp_path / "out"
    other = write_stack(tmp_path / "shifted.tif", shifted, MONTHS, zeros)
    with pytest.raises(GridMismatch, match="the coarse field"):
        consistency(fine, other, metrics=out / "m.csv")
    late = write_stack(tmp_path / "late.tif", coarse_grid, MONTHS + 100, zeros)
    with pytest.raises(InvalidMonths, match="no month in common"):
        consistency(fine, late, metrics=out / "m.csv")
    empty = write_stack(tmp_path / "empty.tif", coarse_grid, MONTHS, zeros * np.nan)
    with pytest.raises(NoUsableData, match="no cell with values in both"):
        consistency(fine, empty, metrics=out / "m.csv", report=out / "r.html")
    assert not out.exists()

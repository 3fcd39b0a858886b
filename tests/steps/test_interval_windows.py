"""Intervals and their sums, window by window and months by months, beside loops over single pixels."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from gwsa_qgis.months import month_range
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.stack import write_stack
from gwsa_qgis.rasters.windows import MonthsOfWindow
from gwsa_qgis.science.conformal import ResidualScale
from gwsa_qgis.steps.error_sums import CELL, TOTAL, WITHIN, ErrorSums
from gwsa_qgis.steps.interval_windows import IntervalWindows, plan_intervals

FACTOR, MONTHS, THIN, CARRY, LEVEL, WIDTH = 4, 14, 3, 1.7, 0.9, 2.1
Z = 1.6448536269514722  # of a 90 % interval
GRID = Grid(10.0, 60.0, 0.25, 0.25, 24, 16, geographic_crs())
SCALE = ResidualScale(1.5, 0.4, {13: 0.6, 23: 2.0}, np.linspace(0.5, 1.6, 12))


class Errors:
    """Errors of two sources on coarse cells, of which one is not known everywhere."""

    def __init__(self) -> None:
        rng = np.random.default_rng(3)
        shape = (MONTHS, GRID.rows // FACTOR, GRID.columns // FACTOR)
        self.all = {name: rng.uniform(0.5, 2, shape).astype(np.float32) for name in ("GRACE", "land")}
        self.all["land"][5, 1, 2] = np.nan
        self.all["land"][9:] = np.nan

    def window(self, window):
        return {name: values[(slice(None), *window.slices)] for name, values in self.all.items()}


@pytest.fixture(params=[True, False], ids=["detail", "no detail"])
def case(request, tmp_path):
    """A job on random maps with holes."""
    rng, months = np.random.default_rng(1), month_range("2004-11", "2005-12")
    values, detail = (rng.normal(scale=4, size=(MONTHS, *GRID.shape)).astype(np.float32) for _ in range(2))
    values[rng.random(values.shape) < 0.2] = np.nan
    values[:, 3, 5] = np.nan
    detail[2, 7, 7] = np.nan
    classes = rng.choice([0, 13, 23, 34], GRID.shape)
    paths = [
        write_stack(tmp_path / f"{name}.tif", GRID, months, layers)
        for name, layers in (("gwsa", values), ("detail", detail))
    ]
    conformal = SimpleNamespace(scale=SCALE, factor=lambda level: WIDTH)
    job = SimpleNamespace(
        gwsa=paths[0], detail=paths[1] if request.param else None, to_cm=2.0, months=months, grid=GRID, level=LEVEL,
        factor=FACTOR, tile=8, classes=lambda window: classes[window.slices],
        calibration=SimpleNamespace(conformal=conformal, detail_variance=3.0),
    )  # fmt: skip
    return job, values, detail if request.param else None, classes


def by_loops(values, detail, classes, errors) -> tuple[dict[str, np.ndarray], dict[str, list[float]]]:
    """Half-widths, and root mean squares of each month by area."""
    out = {name: np.full(values.shape, np.nan) for name in ("output", "within", "lower", "upper")}
    sums = {name: np.zeros((2, MONTHS)) for name in ("GRACE", "land", CELL, WITHIN, TOTAL)}
    weights = np.cos(np.radians(GRID.latitudes()))
    for month, row, column in np.argwhere(np.isfinite(values)):
        calendar = (10 + month) % 12
        if detail is None:
            square = CARRY * 3.0
        else:
            square = 0.0 if np.isnan(detail[month, row, column]) else float(detail[month, row, column]) ** 2
        variance = (CARRY * 1.5 + 0.4 * square) * {13: 0.6, 23: 2.0}.get(classes[row, column], 1.0)
        within = WIDTH * np.sqrt(variance * SCALE.of_month[calendar])
        own = {name: float(e[month, row // FACTOR, column // FACTOR]) for name, e in errors.items()}
        cell = np.sqrt(own["GRACE"] ** 2 + own["land"] ** 2)
        total = np.sqrt((Z * cell) ** 2 + within**2)
        centre = 2.0 * values[month, row, column]
        for name, value in zip(out, (total, within, centre - total, centre + total), strict=True):
            out[name][month, row, column] = value
        for name, value in {**own, CELL: cell, WITHIN: within, TOTAL: total}.items():
            if np.isfinite(value):
                sums[name][:, month] += value**2 * weights[row], weights[row]
    with np.errstate(invalid="ignore"):
        return out, {name: np.sqrt(squares / area) for name, (squares, area) in sums.items()}


@pytest.mark.parametrize("memory", [0.2, 0.02, 100])
def test_intervals_and_sums_are_those_of_single_pixels(case, memory):
    job, values, detail, classes = case
    errors, names = Errors(), ("output", "within", "lower", "upper")
    wanted, squares = by_loops(values, detail, classes, errors.all)
    make, sums = IntervalWindows(job, errors, names, CARRY, THIN), ErrorSums(job.months, GRID, THIN, ["GRACE", "land"])
    found = {name: np.full(values.shape, 99.0) for name in names}
    windows = plan_intervals(job, memory)
    for window in windows:
        stacks, figures = make(window)
        sums.add(window, figures)
        for name, layers in stacks.items():
            found[name][(window.months, *window.slices)] = layers
    for name in names:
        np.testing.assert_allclose(found[name], wanted[name], rtol=3e-6, atol=2e-5)
    for name, expected in squares.items():
        np.testing.assert_allclose(sums.monthly(name), expected, rtol=1e-6)
    with np.errstate(invalid="ignore"):
        for place, name in enumerate(("output", "within")):
            known = np.isfinite(wanted[name]).sum(0)
            means = np.where(known, np.nansum(wanted[name], 0) / known, np.nan)[::THIN, ::THIN]
            np.testing.assert_allclose(sums.maps[place], means, rtol=1e-5)
    lost = np.isfinite(wanted["within"]) & ~np.isfinite(wanted["output"])
    weights = np.cos(np.radians(GRID.latitudes()))[:, None]
    assert sums.unknown_share == pytest.approx((lost * weights).sum() / (np.isfinite(values) * weights).sum())


def test_windows_are_tiles_and_hold_as_many_months_as_fit(case):
    job = case[0]
    windows = plan_intervals(job, 0.1)  # 25 kB each: 12 months of 8 x 8 pixels
    assert windows[:2] == [MonthsOfWindow(0, 0, 8, 8, 0, 12), MonthsOfWindow(0, 0, 8, 8, 12, 14)]
    assert len(windows) == 2 * 6
    assert {(one.rows, one.columns) for one in plan_intervals(job, 0.004)} == {(4, 4)}  # not even a month of a tile


def test_what_is_not_wanted_is_not_made(case):
    make = IntervalWindows(case[0], Errors(), ("output",), CARRY, THIN)
    stacks, _ = make(MonthsOfWindow(8, 8, 8, 8, 0, 3))
    assert list(stacks) == ["output"]

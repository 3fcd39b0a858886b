import numpy as np
import pytest

from gwsa_qgis.errors import GridMismatch, InvalidParameter, NoUsableData
from gwsa_qgis.months import month_range
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.raster import read_single, write_single
from gwsa_qgis.rasters.stack import MonthlyStack, write_stack
from gwsa_qgis.science.ssa import fill_gaps
from gwsa_qgis.steps.fillgaps import fillgaps

MONTHS = month_range("2002-04", "2011-12")
SHORT, LONG = [3, 20, 50], list(range(100, 108))
QUICK = {"short_window": 12, "short_modes": 3, "long_window": 24, "long_modes": 2}


@pytest.fixture
def grid():
    return Grid(10.0, 50.0, 0.25, 0.25, 6, 4, geographic_crs())


@pytest.fixture
def record(tmp_path, grid):
    """Five mascons printed on 0.25 degree cells, with short gaps and a long one; one cell is sea."""
    random = np.random.default_rng(8)
    time = np.arange(MONTHS.size)
    labels = np.array([[1, 1, 1, 2, 2, 2], [1, 1, 3, 3, 2, 2], [4, 4, 3, 3, 5, 5], [4, 4, 4, 5, 5, 5]])
    native = [
        5 * np.sin(2 * np.pi * (time + k) / 12) + 0.03 * k * time + random.normal(0, 0.5, time.size) for k in range(5)
    ]
    values = np.array(native)[labels - 1].transpose(2, 0, 1)
    truth = values.copy()
    values[[*SHORT, *LONG]] = np.nan
    values[:, 0, 0] = np.nan
    path = write_stack(tmp_path / "twsa.tif", grid, MONTHS, values, quantity="TWSA", baseline="2004-01 to 2009-12")
    mascons = write_single(tmp_path / "mascons.tif", grid, labels.astype(np.int32), dtype="int32", nodata=0)
    return path, mascons, values.astype(np.float32), truth


def test_gaps_are_those_of_the_science_and_observed_months_stay(record, tmp_path):
    path, _, values, truth = record
    result = fillgaps(
        path,
        tmp_path / "filled.tif",
        error_short=tmp_path / "eps1.tif",
        error_long=tmp_path / "eps2.tif",
        flags=tmp_path / "flags.tif",
        **QUICK,
    )
    series = values.reshape(MONTHS.size, -1).T.astype(float)
    expected = fill_gaps(series, MONTHS, short_window=12, short_modes=3, long_windows=(24,), long_modes=(1, 2))
    with MonthlyStack(result.output) as stack:
        filled = stack.read()
        assert stack.quantity == "TWSA"
        assert stack.baseline == "2004-01 to 2009-12"
        assert np.flatnonzero(stack.filled).tolist() == [*SHORT, *LONG]
        assert stack.dataset.GetRasterBand(SHORT[0] + 1).GetMetadataItem("GWSA_MONTH") == "filled"
    observed = np.isfinite(values)
    np.testing.assert_array_equal(filled[observed], values[observed])
    np.testing.assert_allclose(filled.reshape(MONTHS.size, -1).T, expected.filled, rtol=1e-6)
    assert np.isnan(filled[:, 0, 0]).all()
    assert np.isfinite(filled[:, 0, 1]).all()
    error = (filled - truth)[LONG][:, 1:]
    assert np.sqrt(np.mean(error**2)) < np.std(truth[LONG][:, 1:])
    with MonthlyStack(result.flags) as stack:
        flags = stack.read()
        assert np.unique(flags[SHORT, 1:]).tolist() == [1]
        assert np.unique(flags[LONG, 1:]).tolist() == [2]
        assert np.isnan(flags[:, 0, 0]).all()
        assert (np.nan_to_num(flags).sum(axis=(1, 2)) > 0).sum() == len(SHORT) + len(LONG)
    np.testing.assert_allclose(read_single(result.error_short)[0].ravel(), expected.short_error, rtol=1e-6)
    np.testing.assert_allclose(read_single(result.error_long)[0].ravel(), expected.long_error, rtol=1e-6)
    assert (result.short_months, result.long_months, result.cells, result.distinct) == (3, 8, 23, 5)


def test_mascons_and_windows_give_the_same(record, tmp_path):
    path, mascons, _, _ = record
    stacks = []
    for name, options in {
        "cells": {},
        "mascons": {"mascons": mascons},
        "windows": {"memory_mb": 0.06},
        "threads": {"workers": 2},
    }.items():
        result = fillgaps(path, tmp_path / f"{name}.tif", **QUICK, **options)
        with MonthlyStack(result.output) as stack:
            stacks.append(stack.read())
    for other in stacks[1:]:
        np.testing.assert_allclose(other, stacks[0], rtol=1e-5)


def test_wrong_mascons_preset_and_windows_are_named(record, tmp_path, grid):
    path, _, _, _ = record
    other = write_single(tmp_path / "m.tif", grid.refine(2), np.ones((8, 12), np.int32), dtype="int32", nodata=0)
    out = tmp_path / "out"
    with pytest.raises(GridMismatch, match="not on one grid"):
        fillgaps(path, out / "f.tif", mascons=other, **QUICK)
    with pytest.raises(InvalidParameter, match="preset is 'best'"):
        fillgaps(path, out / "f.tif", preset="best")
    with pytest.raises(InvalidParameter, match="modes"):
        fillgaps(path, out / "f.tif", short_window=6, short_modes=12)
    with pytest.raises(NoUsableData, match="needs"):
        fillgaps(path, out / "f.tif", short_window=100, long_window=100)
    assert not out.exists() or not list(out.iterdir())


def test_a_record_of_nodata_is_refused(tmp_path, grid):
    empty = write_stack(tmp_path / "empty.tif", grid, MONTHS, np.full((MONTHS.size, 4, 6), np.nan))
    with pytest.raises(NoUsableData, match="no value in any month"):
        fillgaps(empty, tmp_path / "out" / "f.tif", flags=tmp_path / "out" / "g.tif")
    assert not (tmp_path / "out").exists()


def test_cancelling_leaves_no_file(record, tmp_path):
    def cancel(fraction, message):
        if "Gap filling" in message:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fillgaps(record[0], tmp_path / "out" / "f.tif", flags=tmp_path / "out" / "g.tif", progress=cancel, **QUICK)
    assert not list((tmp_path / "out").iterdir())


def test_same_bytes_by_processes(tmp_path, monkeypatch):
    """Series of several batches and patterns of gaps are filled by processes; none is filled here."""
    joblib = pytest.importorskip("joblib")
    random = np.random.default_rng(3)
    values = 5 * np.sin(2 * np.pi * np.arange(MONTHS.size) / 12)[:, None, None] + random.normal(
        size=(MONTHS.size, 9, 9)
    )
    values[[*SHORT, *LONG]] = np.nan
    values[60, :, :4] = np.nan
    values[3:, 0, 0] = np.nan  # too short
    path = write_stack(
        tmp_path / "twsa.tif", Grid(10.0, 50.0, 0.5, 0.5, 9, 9, geographic_crs()), MONTHS, values, unit="cm"
    )
    outputs = ("error_short", "error_long", "flags", "choice", "hidden_errors")

    def run(workers):
        places = {name: tmp_path / f"{name}{workers}.tif" for name in outputs}
        fillgaps(path, tmp_path / f"output{workers}.tif", workers=workers, memory_mb=0.3, **places, **QUICK)

    run(1)
    monkeypatch.setattr("gwsa_qgis.science.ssa.fill_record", lambda *_: pytest.fail("filled here"))
    with joblib.parallel_config("loky", n_jobs=2):
        run(2)
    for name in ("output", *outputs):
        assert (tmp_path / f"{name}1.tif").read_bytes() == (tmp_path / f"{name}2.tif").read_bytes()

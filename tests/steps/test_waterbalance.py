import numpy as np
import pytest

from gwsa_qgis.errors import GridMismatch, GwsaError, InvalidMonths, InvalidParameter, NoUsableData, OutputNotWritable
from gwsa_qgis.months import month_range
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.raster import write_single
from gwsa_qgis.rasters.stack import MonthlyStack, write_stack
from gwsa_qgis.steps.waterbalance import waterbalance

MONTHS = month_range("2003-10", "2010-03")
SHAPE = (5, 7)
STORAGES = ("sms", "swe", "cws")


@pytest.fixture
def grid():
    return Grid(80.0, 30.0, 0.25, 0.25, SHAPE[1], SHAPE[0], geographic_crs())


@pytest.fixture
def inputs(tmp_path, grid):
    """TWSA observed and filled, and three storages; returns paths and arrays."""
    random = np.random.default_rng(2)
    values = {
        name: random.normal(level, 3, (MONTHS.size, *SHAPE)) for name, level in zip(STORAGES, (40, 4, 0.2), strict=True)
    }
    values["twsa"] = random.normal(0, 8, (MONTHS.size, *SHAPE))
    values["observed"] = values["twsa"] + 0.0
    values["observed"][[5, 40]] = np.nan
    values["twsa"][:, 4, 6] = values["observed"][:, 4, 6] = np.nan
    paths = {}
    for name, data in values.items():
        filled = np.isin(np.arange(MONTHS.size), (5, 40)) & (name == "twsa")
        paths[name] = write_stack(tmp_path / f"{name}.tif", grid, MONTHS, data, filled=filled, quantity=name)
    return paths, {name: data.astype(np.float32).astype(float) for name, data in values.items()}


def run(paths, output, **changes):
    options = {name: paths[name] for name in (*STORAGES, "observed")} | changes
    return waterbalance(options.pop("twsa", paths["twsa"]), output, **options)


def test_groundwater_is_what_the_others_leave(inputs, tmp_path, grid):
    paths, values = inputs
    result = run(paths, tmp_path / "gwsa.tif")
    inside = np.isin(MONTHS, month_range("2004-01", "2009-12"))
    inside[[5, 40]] = False
    expected = values["twsa"] - values["twsa"][inside].mean(axis=0)
    for name in STORAGES:
        expected -= values[name] - values[name][inside].mean(axis=0)
    with MonthlyStack(result.output) as stack:
        np.testing.assert_allclose(stack.read(), expected, atol=2e-5)
        assert stack.grid.matches(grid)
        assert stack.unit() == "cm"
        assert stack.baseline == "2004-01 to 2009-12"
        assert [str(month) for month in stack.months[stack.filled]] == ["2004-03", "2007-02"]
    assert result.valid_cells == 34
    assert result.filled.sum() == 2


def test_flags_travel_without_the_observed_stack(inputs, tmp_path):
    paths, _ = inputs
    with_observed = run(paths, tmp_path / "a.tif")
    alone = run(paths, tmp_path / "b.tif", observed=None)
    assert (alone.filled == with_observed.filled).all()
    with MonthlyStack(alone.output) as first, MonthlyStack(with_observed.output) as second:
        np.testing.assert_allclose(first.read(), second.read(), atol=1e-5)


def test_windows_and_workers_change_nothing(inputs, tmp_path):
    paths, _ = inputs
    run(paths, tmp_path / "whole.tif")
    run(paths, tmp_path / "parts.tif", memory_mb=0.1, workers=2)
    with MonthlyStack(tmp_path / "whole.tif") as first, MonthlyStack(tmp_path / "parts.tif") as second:
        np.testing.assert_array_equal(first.read(), second.read())


def test_months_are_those_of_all_and_said(inputs, tmp_path, grid):
    paths, values = inputs
    paths["sms"] = write_stack(tmp_path / "later.tif", grid, MONTHS[4:], values["sms"][4:])
    messages = []
    result = run(paths, tmp_path / "gwsa.tif", progress=lambda _, message: messages.append(message))
    assert str(result.months[0]) == "2004-02"
    assert any("cut to the months" in message for message in messages)
    assert any("71 of the 72 months of the baseline" in message for message in messages)


def test_millimetres_are_converted_with_a_warning(inputs, tmp_path, grid):
    paths, values = inputs
    run(paths, tmp_path / "cm.tif")
    paths["sms"] = write_stack(tmp_path / "mm.tif", grid, MONTHS, 10 * values["sms"], unit="kg m-2")
    messages = []
    run(paths, tmp_path / "mixed.tif", progress=lambda _, message: messages.append(message))
    assert any(message.startswith("Warning") and "converted to cm" in message for message in messages)
    with MonthlyStack(tmp_path / "cm.tif") as first, MonthlyStack(tmp_path / "mixed.tif") as second:
        np.testing.assert_allclose(first.read(), second.read(), atol=1e-4)


def other_grid(paths, tmp_path, grid):
    write_stack(tmp_path / "bad.tif", grid.refine(2), MONTHS, np.zeros((MONTHS.size, 10, 14)))


def other_crs(paths, tmp_path, grid):
    from osgeo import osr

    reference = osr.SpatialReference()
    reference.ImportFromEPSG(32645)
    moved = Grid(grid.west, grid.north, grid.dx, grid.dy, grid.columns, grid.rows, reference.ExportToWkt())
    write_stack(tmp_path / "bad.tif", moved, MONTHS, np.zeros((MONTHS.size, *SHAPE)))


def no_dates(paths, tmp_path, grid):
    write_single(tmp_path / "bad.tif", grid, np.zeros((3, *SHAPE), np.float32))


def doubled_months(paths, tmp_path, grid):
    names = [str(month) for month in MONTHS]
    names[3] = names[2]
    write_single(tmp_path / "bad.tif", grid, np.zeros((len(names), *SHAPE), np.float32), descriptions=names)


def months_out_of_order(paths, tmp_path, grid):
    names = [str(month) for month in MONTHS[::-1]]
    write_single(tmp_path / "bad.tif", grid, np.zeros((len(names), *SHAPE), np.float32), descriptions=names)


def other_period(paths, tmp_path, grid):
    write_stack(tmp_path / "bad.tif", grid, MONTHS + 600, np.zeros((MONTHS.size, *SHAPE)))


def temperature(paths, tmp_path, grid):
    write_stack(tmp_path / "bad.tif", grid, MONTHS, np.zeros((MONTHS.size, *SHAPE)), unit="K")


def all_nodata(paths, tmp_path, grid):
    write_stack(tmp_path / "bad.tif", grid, MONTHS, np.full((MONTHS.size, *SHAPE), np.nan))


def no_raster(paths, tmp_path, grid):
    (tmp_path / "bad.tif").write_text("not a raster")


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (other_grid, GridMismatch, r"0\.125 x 0\.125.*not on one grid"),
        (other_crs, GridMismatch, "coordinate reference systems"),
        (no_dates, InvalidMonths, "no month on band 1"),
        (doubled_months, InvalidMonths, "doubled"),
        (months_out_of_order, InvalidMonths, "out of order"),
        (other_period, InvalidMonths, "no month in common"),
        (temperature, InvalidParameter, "unit 'K'"),
        (all_nodata, NoUsableData, "no cell has"),
        (no_raster, GwsaError, "not a raster"),
    ],
)
def test_bad_inputs_are_one_sentence_and_leave_no_file(inputs, tmp_path, grid, spoil, error, words):
    paths, _ = inputs
    spoil(paths, tmp_path, grid)
    (tmp_path / "out").mkdir()
    with pytest.raises(error, match=words) as raised:
        run(paths, tmp_path / "out" / "gwsa.tif", sms=tmp_path / "bad.tif")
    assert "\n" not in str(raised.value)
    assert not list((tmp_path / "out").iterdir())


def test_a_folder_that_is_a_file_cannot_be_written(inputs, tmp_path):
    paths, _ = inputs
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputNotWritable, match="cannot be written"):
        run(paths, tmp_path / "file" / "gwsa.tif")


def test_cancelling_leaves_no_file(inputs, tmp_path):
    paths, _ = inputs

    def cancel(fraction, message):
        if message == "Water balance":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(paths, tmp_path / "out" / "gwsa.tif", progress=cancel)
    assert not list((tmp_path / "out").iterdir())

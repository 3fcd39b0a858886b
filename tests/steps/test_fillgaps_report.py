"""Methods, their comparison and the report of the gap filling; records that are hard to fill."""

import re
import sys

import numpy as np
import pytest

from gwsa_qgis.errors import GridMismatch, NoUsableData
from gwsa_qgis.months import month_range
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.raster import Raster, read_single, write_single
from gwsa_qgis.rasters.stack import MonthlyStack, write_stack
from gwsa_qgis.rasters.windows import Window, plan_windows
from gwsa_qgis.science.hidden_months import METHODS
from gwsa_qgis.science.red_noise import autoregressive
from gwsa_qgis.science.ssa import fill_gaps
from gwsa_qgis.science.supports import compact_labels
from gwsa_qgis.steps.fillgaps import CHOICE_NAMES, HIDDEN_NAMES, fillgaps
from gwsa_qgis.steps.gap_maps import GapMaps
from gwsa_qgis.steps.gap_solver import COLUMNS
from gwsa_qgis.steps.mascon_labels import MasconLabels

MONTHS = month_range("2002-04", "2011-12")
SHORT, LONG = [3, 20, 50], list(range(100, 108))
QUICK = {"short_window": 12, "short_modes": 3, "long_window": 24, "long_modes": 2}
SCIENCE = {"short_window": 12, "short_modes": 3, "long_windows": (24,), "long_modes": (1, 2)}
GRID = Grid(10.0, 50.0, 0.5, 0.5, 4, 3, geographic_crs())
CLASSES = np.array([[13, 13, 13, 13], [23, 23, 23, 23], [23, 23, 0, 0]], np.uint8)


def red_noise(n, seed=3):
    random = np.random.default_rng(seed)
    return autoregressive(random.normal(size=(n, MONTHS.size)), 0.9)


@pytest.fixture
def values():
    """Twelve cells of season and red noise with gaps (months, rows, columns); cell (1, 1) is sea."""
    season = 3 * np.sin(2 * np.pi * np.arange(MONTHS.size) / 12)
    values = (season + red_noise(12)).T.reshape(MONTHS.size, 3, 4)
    values[[*SHORT, *LONG]] = np.nan
    values[:, 0, 0] = np.nan
    return values.astype(np.float32)


@pytest.fixture
def write(tmp_path):
    def write(values, name="twsa"):
        return write_stack(tmp_path / f"{name}.tif", GRID, MONTHS, values, quantity="TWSA", unit="cm")

    return write


@pytest.fixture
def classes(tmp_path):
    return write_single(tmp_path / "classes.tif", GRID, CLASSES, dtype="uint8", nodata=0)


@pytest.fixture
def points(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("well_id,lon,lat\nOasis & <wells>,11.2,49.2\nFar away,50,10\nSea,10.2,49.8\n")
    return path


def cells(values):
    return values.reshape(len(values), -1).T.astype(float)


def messages():
    told = []
    return told, lambda fraction, message: told.append(message) if message else None


@pytest.mark.parametrize("method", ["harmonic", "best"])
def test_values_errors_and_choices_are_those_of_the_science(method, values, write, tmp_path):
    options = {name: tmp_path / f"{name}.tif" for name in ("error_short", "error_long", "choice", "hidden_errors")}
    result = fillgaps(write(values), tmp_path / "filled.tif", method=method, **options, **QUICK)
    expected = fill_gaps(cells(values), MONTHS, method=method, compare=True, **SCIENCE)
    with MonthlyStack(result.output) as stack:
        np.testing.assert_allclose(cells(stack.read()), expected.filled, rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(np.flatnonzero(stack.filled), [*SHORT, *LONG])
    for path, wanted in (
        (result.choice, [expected.long_window, expected.long_modes, expected.long_share, expected.short_share]),
        (result.hidden_errors, [*expected.hidden_short.T, *expected.hidden_long.T]),
        (result.error_short, [expected.short_error]),
        (result.error_long, [expected.long_error]),
    ):
        wanted = np.array(wanted, float)
        wanted[:, 0] = np.nan  # sea
        with Raster(path) as raster:
            found = raster.read().reshape(raster.bands, -1)
            names = raster.descriptions()
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
        if path == result.choice:
            assert tuple(names) == CHOICE_NAMES and "share of SSA in the long gap" in names
        if path == result.hidden_errors:
            assert tuple(names) == HIDDEN_NAMES and names[0] == "hidden short gaps, ssa"
            assert names[7] == "hidden years, best"
            assert np.isfinite(found[:, 1:]).all()
    assert result.median_error_long == pytest.approx(np.nanmedian(expected.long_error), rel=1e-5)


def rows_of(text, caption):
    """First cell of each row and its numbers, of the table with this caption."""
    table = re.search(rf"<caption>{re.escape(caption)}.*?</table>", text, re.S).group()
    found = {}
    for row in re.findall(r"<tr>(.*?)</tr>", table.split("<tbody>")[1], re.S):
        name, *numbers = re.findall(r"<td[^>]*>(.*?)</td>", row)
        found[name] = [float(number) for number in numbers]
    return found


def test_the_report_tells_errors_by_map_and_class_and_shows_series(values, write, classes, points, tmp_path):
    told, progress = messages()
    result = fillgaps(
        write(values),
        tmp_path / "filled.tif",
        method="harmonic",
        report=tmp_path / "report.html",
        classes=classes,
        points=points,
        progress=progress,
        **QUICK,
    )
    text = result.report.read_text(encoding="utf-8")
    expected = fill_gaps(cells(values), MONTHS, compare=True, **SCIENCE)
    label = CLASSES.ravel()
    valid = np.isfinite(expected.hidden_long).all(axis=1)
    assert valid.sum() == 11
    for caption, errors in (("short gaps", expected.hidden_short), ("long gap", expected.hidden_long)):
        rows = rows_of(text, f"Error in hidden months, {caption}")
        assert list(rows) == ["all cells", "without a class", "class 13", "class 23"]
        for name, inside in (
            ("all cells", valid),
            ("without a class", valid & (label == 0)),
            ("class 13", valid & (label == 13)),
            ("class 23", valid & (label == 23)),
        ):
            np.testing.assert_allclose(rows[name], np.median(errors[inside], axis=0), rtol=6e-4)
    # The noise has memory: harmonics lose, and the page says so and with what.
    notes = re.findall(r'<p class="note">(.*?)</p>', text)
    assert len(notes) == 2
    assert all("does better in hidden months than harmonics" in note and "METHOD" in note for note in notes)
    share = [
        float(x) / 100
        for x in re.search(r"error, long gap: SSA (\d+)%, harmonics (\d+)%, auto\w+ (\d+)%", text).groups()
    ]
    weight = np.repeat(np.cos(np.radians([49.75, 49.25, 48.75])), 4)
    winner = expected.hidden_long[:, :3].argmin(axis=1)
    np.testing.assert_allclose(
        share, [weight[valid & (winner == k)].sum() / weight[valid].sum() for k in range(3)], atol=0.006
    )
    assert text.count("<img") == 4 and "Not drawn" not in text
    assert "Oasis &amp; &lt;wells&gt; (chosen)" in text
    assert "Far away" not in text and "Sea (chosen)" not in text
    assert sum("1 of 3 points" in message for message in told) == 1
    worst = np.argsort(-np.where(valid, expected.hidden_long[:, 1], -1))[0]
    assert f"row {worst // 4 + 1}, column {worst % 4 + 1}, error" in text


@pytest.mark.parametrize("native", [False, True])
def test_the_report_is_the_same_whatever_the_memory(native, values, write, classes, points, tmp_path):
    labels = np.array([[7, 7, 7, 7], [40, 40, 0, 0], [3, 3, 3, 3]], np.int32)
    mascons = write_single(tmp_path / "mascons.tif", GRID, labels, dtype="int32", nodata=0) if native else None
    record, pages = write(values), []
    for memory_mb in (512, 0.05):
        options = {"classes": classes, "points": points, "mascons": mascons, "memory_mb": memory_mb}
        result = fillgaps(record, tmp_path / "f.tif", report=tmp_path / "r.html", **options, **QUICK)
        pages.append((result.report.read_text(encoding="utf-8"), result.median_error_short, result.median_error_long))
    assert pages[0] == pages[1]


def test_figures_of_strips_are_those_of_the_whole_map(tmp_path):
    grid = Grid(10.0, 50.0, 0.01, 0.01, 1300, 7, geographic_crs())
    random = np.random.default_rng(4)
    table = random.integers(1, 9, (grid.rows * grid.columns, len(COLUMNS))).astype(float)
    valid = random.random(len(table)) < 0.8
    kinds = random.integers(0, 3, grid.shape).astype(np.uint8)
    path = write_single(tmp_path / "kinds.tif", grid, kinds, dtype="uint8", nodata=0)
    maps = GapMaps(tmp_path / "maps.dat", grid, COLUMNS, memory_mb=1)
    assert len(list(maps.strips(["too_short"]))) > 2
    maps.put(Window(0, 0, grid.rows, grid.columns), table[valid], valid)
    whole = np.where(valid[:, None], table, np.nan).T.reshape(-1, *grid.shape)
    errors = whole[[COLUMNS.index(f"hidden_long {method}") for method in METHODS]]
    known = valid.reshape(grid.shape)
    with Raster(path) as classes:
        found = maps.kind("hidden_long", classes)
    assert (found.any, found.known) == (True, valid.sum())
    for name, inside in [(None, known), *((k, known & (kinds == k)) for k in range(3))]:
        np.testing.assert_array_equal(found.medians[name], np.median(errors[:, inside], axis=1))
    winner, area = np.where(known, errors[:3].argmin(0), -1), np.repeat(grid.row_weights(), grid.columns)
    shares = [area[(winner == k).ravel()].sum() / area[valid].sum() for k in range(3)]
    np.testing.assert_allclose(found.best, shares)
    modes = whole[COLUMNS.index("long_modes")]
    assert maps.choices("long_modes") == {k: (modes == k).sum() for k in range(1, 9)}
    assert maps.count("long_modes") == (valid.sum(), np.nansum(modes))
    wanted = [(value, *divmod(int(np.flatnonzero(modes == value)[0]), grid.columns)) for value in (8, 7, 6)]
    assert maps.worst("long_modes") == wanted
    small, thinned = maps.thinned(["long_modes", "short_error"])
    assert (small.columns, small.rows, small.dx) == (434, 3, 0.03)
    np.testing.assert_array_equal(thinned, whole[[COLUMNS.index("long_modes"), 0], ::3, ::3].astype(np.float32))
    np.testing.assert_array_equal(maps.medians(["short_error"]), [np.nanmedian(whole[0])])


def test_labels_of_windows_are_those_of_the_whole_mascon_map(tmp_path):
    grid = Grid(10.0, 50.0, 0.01, 0.01, 300, 270, geographic_crs())
    ids = np.random.default_rng(1).integers(-3, 400, grid.shape).astype(np.int32)
    path = write_single(tmp_path / "mascons.tif", grid, ids, dtype="int32", nodata=0)
    with Raster(path) as raster:
        found = MasconLabels(raster, memory_mb=1)
        labels, names = compact_labels(ids)
        assert found.count == names.size
        for window in plan_windows(grid, 100, memory_mb=0.5):
            np.testing.assert_array_equal(found.read(window), labels[window.slices])


def test_no_note_where_the_chosen_method_is_the_best(values, write, tmp_path):
    expected = fill_gaps(cells(values), MONTHS, compare=True, **SCIENCE)
    medians = [np.nanmedian(errors, axis=0) for errors in (expected.hidden_short, expected.hidden_long)]
    result = fillgaps(write(values), tmp_path / "f.tif", method="autoregressive", report=tmp_path / "r.html", **QUICK)
    beaten = sum(m[2] > 1.02 * m.min() for m in medians)
    assert result.report.read_text(encoding="utf-8").count('class="note"') == beaten < 2


def test_without_matplotlib_the_report_keeps_its_tables(values, write, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    result = fillgaps(write(values), tmp_path / "f.tif", report=tmp_path / "r.html", **QUICK)
    text = result.report.read_text(encoding="utf-8")
    assert "<img" not in text
    assert text.count("pip install matplotlib") == 4
    assert list(rows_of(text, "Error in hidden months, long gap")) == ["all cells"]


def test_a_map_without_a_long_gap_has_a_report(values, write, tmp_path):
    values[LONG] = 1.0
    result = fillgaps(write(values), tmp_path / "f.tif", report=tmp_path / "r.html", **QUICK)
    text = result.report.read_text(encoding="utf-8")
    assert "No test of the long gap" in text
    assert "Error in hidden months, short gaps" in text
    assert result.long_months == 0 and np.isnan(result.median_error_long)


def test_classes_on_another_grid_are_refused_and_leave_no_files(values, write, tmp_path):
    fine = GRID.refine(2)
    other = write_single(tmp_path / "fine.tif", fine, np.ones(fine.shape, np.uint8), dtype="uint8", nodata=0)
    out = tmp_path / "out"
    with pytest.raises(GridMismatch):
        fillgaps(write(values), out / "f.tif", report=out / "r.html", classes=other, **QUICK)
    assert not out.exists() or not list(out.iterdir())


def test_months_missing_at_the_ends_are_said_to_be_extrapolated(values, write, tmp_path):
    told, progress = messages()
    fillgaps(write(values), tmp_path / "a.tif", progress=progress, **QUICK)
    assert not any("extrapolated" in message for message in told)
    values[[0, 1, -1]] = np.nan
    result = fillgaps(write(values, "ends"), tmp_path / "b.tif", progress=progress, **QUICK)
    warning = [message for message in told if "extrapolated" in message]
    assert len(warning) == 1 and "2002-04, 2002-05, 2011-12" in warning[0]
    with MonthlyStack(result.output) as stack:
        assert np.isfinite(stack.read()[[0, 1, -1], 1, 1]).all()


@pytest.mark.parametrize("memory_mb", [512, 0.05], ids=["one window", "windows"])
@pytest.mark.parametrize("method", ["ssa", "best", "harmonic"])
def test_a_cell_with_too_few_months_keeps_its_gaps(method, memory_mb, values, write, tmp_path):
    values[5:, 1, 2] = np.nan
    told, progress = messages()
    out = {name: tmp_path / f"{name}.tif" for name in ("flags", "choice", "error_short")}
    result = fillgaps(
        write(values), tmp_path / "f.tif", method=method, memory_mb=memory_mb, progress=progress, **out, **QUICK
    )
    assert (result.cells, result.too_short) == (11, 1)
    with MonthlyStack(result.output) as stack:
        filled = stack.read()
    np.testing.assert_array_equal(filled[:, 1, 2], values[:, 1, 2])
    others = np.ones((3, 4), bool)
    others[1, 2] = others[0, 0] = False
    assert np.isfinite(filled[:, others]).all()
    with MonthlyStack(result.flags) as stack:
        flags = stack.read()
    assert not flags[:, 1, 2].any()
    assert (flags[SHORT][:, others] == 1).all() and (flags[LONG][:, others] == 2).all()
    assert np.isnan(read_single(result.error_short)[0][1, 2])
    assert any(re.match(".*1 cells have too few observed months", message) for message in told)
    assert any("10 cells filled from 1" in message for message in told)


@pytest.mark.parametrize("method", METHODS)
def test_a_map_of_cells_too_short_is_refused_and_leaves_nothing(method, values, write, tmp_path):
    values[5:] = np.nan
    out = tmp_path / "out"
    names = {name: out / f"{name}.tif" for name in ("flags", "choice", "error_short", "hidden_errors")}
    for memory_mb in (512, 0.05):
        with pytest.raises(NoUsableData, match="needs|do not determine"):
            fillgaps(
                write(values),
                out / "f.tif",
                method=method,
                memory_mb=memory_mb,
                report=out / "r.html",
                **names,
                **QUICK,
            )
        assert not out.exists() or not list(out.iterdir())


def test_a_chosen_cell_poorer_than_its_mascon_does_not_stop_the_report(values, write, points, tmp_path):
    values[5:, 1, 2] = np.nan  # the point's cell; its mascon has all months
    labels = np.array([[1, 1, 1, 1], [2, 2, 3, 3], [4, 4, 4, 4]], np.int32)
    mascons = write_single(tmp_path / "mascons.tif", GRID, labels, dtype="int32", nodata=0)
    result = fillgaps(
        write(values), tmp_path / "f.tif", mascons=mascons, points=points, report=tmp_path / "r.html", **QUICK
    )
    assert "Error in hidden months" in result.report.read_text(encoding="utf-8")
    with MonthlyStack(result.output) as stack:
        assert np.isfinite(stack.read()[:, 1, 2]).all()


def test_a_report_is_written_where_all_shown_cells_are_too_short(values, write, points, tmp_path):
    values[5:, 1:] = np.nan
    values[:, 2] = np.nan
    values[:, 0] = np.nan
    values[:5, 1] = 1 + np.arange(4)
    labels = np.array([[1, 1, 1, 1], [2, 2, 2, 2], [3, 3, 3, 3]], np.int32)
    full = values.copy()
    full[20:70, 1, 0] = red_noise(1)[0, 20:70]
    full[70:, 1, 1] = red_noise(1)[0, 70:]
    full[5:20, 1, 2] = red_noise(1)[0, 5:20]
    full[[*SHORT, *LONG]] = np.nan
    mascons = write_single(tmp_path / "mascons.tif", GRID, labels, dtype="int32", nodata=0)
    result = fillgaps(
        write(full),
        tmp_path / "f.tif",
        mascons=mascons,
        points=points,
        report=tmp_path / "r.html",
        method="best",
        **QUICK | {"short_window": 60},
    )
    text = result.report.read_text(encoding="utf-8")
    assert "Error in hidden months" in text
    assert re.search(r"No series are shown: .* needs 62", text)

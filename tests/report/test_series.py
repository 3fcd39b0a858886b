"""Figures of monthly series and maps: filled months are dashed, and the same data give the same bytes."""

import sys

import numpy as np
import pytest

from gwsa_qgis.months import month_range
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.report import figures, maps, series
from gwsa_qgis.report.maps import map_panels
from gwsa_qgis.report.series import SERIES_COLOURS, SeriesLine, SeriesPanel, draw_series, monthly_series

PNG = b"\x89PNG\r\n\x1a\n"
MONTHS = month_range("2002-04", "2003-11")
GRID = Grid(10.0, 50.0, 0.5, 0.5, 6, 4, geographic_crs())


@pytest.fixture
def axes():
    pytest.importorskip("matplotlib")
    return figures.new_figure(4, 3).subplots()


def drawn(line):
    """Whether it is dashed, and the places of the months that it covers."""
    values = np.asarray(line.get_ydata(), float)
    return line.get_linestyle() == "--", np.flatnonzero(np.isfinite(values)).tolist()


def test_strokes_that_touch_a_filled_month_are_dashed(axes):
    values = np.arange(20.0)
    filled = np.isin(np.arange(20), [0, 6, 7, 12, 19])
    draw_series(axes, MONTHS, SeriesLine("TWSA", values, filled), "#0072b2")
    solid, dashed = axes.get_lines()
    assert drawn(solid) == (False, np.flatnonzero(~filled).tolist())
    assert drawn(dashed) == (True, [0, 1, 5, 6, 7, 8, 11, 12, 13, 18, 19])
    assert solid.is_dashed() is False and dashed.is_dashed() is True
    for line in (solid, dashed):
        assert line.get_color() == "#0072b2"
        shown = np.isfinite(line.get_ydata())
        np.testing.assert_array_equal(np.asarray(line.get_ydata())[shown], values[shown])
        dates = np.array(line.get_xdata()).astype("datetime64[M]")
        np.testing.assert_array_equal(dates, MONTHS)
    assert [line.get_label() for line in (solid, dashed)][0] == "TWSA"
    assert len(axes.get_legend_handles_labels()[1]) == 1


def test_a_series_without_filled_months_has_no_dashes_and_one_without_others_no_solid_line(axes):
    draw_series(axes, MONTHS, SeriesLine("observed", np.arange(20.0), np.zeros(20, bool)), "k")
    assert [drawn(line) for line in axes.get_lines()] == [(False, list(range(20)))]
    draw_series(axes, MONTHS, SeriesLine("filled", np.arange(20.0), np.ones(20, bool)), "k")
    assert [drawn(line) for line in axes.get_lines()[1:]] == [(True, list(range(20)))]
    assert axes.get_legend_handles_labels()[1] == ["observed", "filled"]


def test_missing_months_that_were_not_filled_stay_open(axes):
    values = np.where(np.isin(np.arange(20), [3, 4, 10]), np.nan, 1.0)
    draw_series(axes, MONTHS, SeriesLine("", values, np.arange(20) == 11), "k")
    solid, dashed = axes.get_lines()
    assert not {3, 4, 10, 11} & set(drawn(solid)[1])
    assert drawn(dashed) == (True, [11, 12])


def panels():
    random = np.random.default_rng(0)
    filled = np.isin(np.arange(20), [6, 7])
    lines = [SeriesLine(f"s{k}", random.normal(size=20), filled) for k in range(3)]
    return [SeriesPanel("one", MONTHS, lines), SeriesPanel("two", MONTHS, lines[:1])]


def test_every_panel_has_its_lines_in_colours_of_their_own(monkeypatch):
    pytest.importorskip("matplotlib")
    made = []
    monkeypatch.setattr(series, "to_png", lambda figure: made.append(figure) or PNG)
    assert monthly_series(panels(), "TWSA (cm)") == PNG
    first, second = made[0].get_axes()
    assert [axes.get_title(loc="left") for axes in (first, second)] == ["one", "two"]
    assert [text.get_text() for text in first.get_legend().get_texts()] == ["s0", "s1", "s2"]
    assert {axes.get_ylabel() for axes in (first, second)} == {"TWSA (cm)"}
    lines = first.get_lines()[:-1]  # the last is the zero line
    assert [line.get_color() for line in lines] == [colour for colour in SERIES_COLOURS[:3] for _ in range(2)]
    assert [line.get_linestyle() for line in lines] == ["-", "--"] * 3


def test_figures_are_png_and_the_same_each_time():
    pytest.importorskip("matplotlib")
    values = np.random.default_rng(1).normal(size=(3, 4, 6))
    values[0, 0, 0] = np.nan
    three = [(f"map {k}", layer) for k, layer in enumerate(values)]

    def draw():
        return [
            monthly_series(panels(), "cm"),
            monthly_series(panels()[:1], "cm"),
            map_panels(GRID, three, "cm"),
            map_panels(GRID, three[:1], "cm", diverging=True),
            map_panels(GRID, [("empty", np.full((4, 6), np.nan))], "cm"),
            map_panels(GRID, [("constant", np.zeros((4, 6)))], "cm", diverging=True),
        ]

    first, second = draw(), draw()
    assert all(data.startswith(PNG) for data in first)
    assert first == second
    assert len(set(first)) == len(first)


def figure_of_maps(monkeypatch, *args, **options):
    made = []
    monkeypatch.setattr(maps, "to_png", lambda figure: made.append(figure) or PNG)
    assert map_panels(*args, **options) == PNG
    return [axes for axes in made[0].get_axes() if axes.get_images()]


def test_maps_share_one_scale_and_lie_on_their_grid(monkeypatch):
    pytest.importorskip("matplotlib")
    values = np.arange(48.0).reshape(2, 4, 6)
    values[0, 0, 0] = np.nan
    for diverging in (False, True):
        axes = figure_of_maps(monkeypatch, GRID, [("a", values[0]), ("b", values[1])], "cm", diverging=diverging)
        low, high = np.nanquantile(values, [0.02, 0.98])
        for each, layer in zip(axes, values, strict=True):
            image = each.get_images()[0]
            assert image.get_clim() == pytest.approx((-high, high) if diverging else (low, high))
            assert image.get_extent() == pytest.approx([10.0, 13.0, 48.0, 50.0])
            np.testing.assert_array_equal(np.ma.filled(image.get_array().astype(float), np.nan), layer)
        assert [each.get_title(loc="left") for each in axes] == ["a", "b"]


def test_large_maps_are_thinned(monkeypatch):
    pytest.importorskip("matplotlib")
    grid = Grid(0.0, 50.0, 0.01, 0.01, 1801, 700, geographic_crs())
    values = np.add.outer(np.arange(700.0), np.arange(1801.0))
    (axes,) = figure_of_maps(monkeypatch, grid, [("large", values)], "cm")
    image = axes.get_images()[0]
    assert image.get_array().shape == (175, 451)
    np.testing.assert_array_equal(image.get_array(), values[::4, ::4])
    assert image.get_extent() == pytest.approx([0.0, 18.01, 43.0, 50.0])


def test_without_matplotlib_there_is_no_figure(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert monthly_series(panels(), "cm") is None
    assert map_panels(GRID, [("a", np.ones((4, 6)))], "cm") is None

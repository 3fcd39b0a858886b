"""Chart of a basin: its months with their uncertainty, filled ones dashed, annual means and the line of its trend."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gwsa_qgis.report.figures import FIT, INK, ONE_TO_ONE, POINT, new_figure, optional_figure, tidy, to_png
from gwsa_qgis.report.series import SeriesLine, draw_series

# Left, bottom, width and height of the axes, as shares of the figure.
FRAME = (0.075, 0.14, 0.915, 0.72)


class BasinChart(NamedTuple):
    """What is drawn of a basin.

    Attributes
    ----------
    title, text : str
        Above the chart, one below the other.
    months : (n_months,) datetime64[M]
    mean, half_width : (n_months,) float
        cm; NaN where not known.
    filled : (n_months,) bool
    years, annual, complete : (n_years,)
        Calendar years, their means, and whether they have all months.
    intercept, slope : float
        Line of the trend: value in the first month, and change per year.
    significant : bool
        Whether the line is drawn as a finding, or dotted.
    level : float
        Of the band.
    """

    title: str
    text: str
    months: np.ndarray
    mean: np.ndarray
    half_width: np.ndarray
    filled: np.ndarray
    years: np.ndarray
    annual: np.ndarray
    complete: np.ndarray
    intercept: float
    slope: float
    significant: bool
    level: float


@optional_figure
def basin_chart(chart: BasinChart) -> bytes:
    """One chart, months to the right."""
    figure = new_figure(9.0, 3.1)
    # Every chart has the same frame: fitting it anew each time takes most of the drawing.
    figure.set_layout_engine("none")
    axes = figure.add_axes(FRAME)
    dates = _dates(chart.months)
    if np.isfinite(chart.half_width).any():
        low, high = chart.mean - chart.half_width, chart.mean + chart.half_width
        label = f"{100 * chart.level:g} % uncertainty"
        axes.fill_between(dates, low, high, color=POINT, alpha=0.18, linewidth=0, label=label)
    draw_series(axes, chart.months, SeriesLine("monthly mean, filled months dashed", chart.mean, chart.filled), POINT)
    middles = _dates((chart.years - 1970).astype("datetime64[Y]").astype("datetime64[M]") + 6)
    for whole, style, label in ((True, "s", "annual mean"), (False, "D", "mean of an incomplete year")):
        shown = np.isfinite(chart.annual) & (chart.complete == whole)
        face = INK if whole else "white"
        if shown.any():
            axes.plot(
                middles[shown],
                chart.annual[shown],
                style,
                color=INK,
                markerfacecolor=face,
                markersize=4,
                linewidth=0,
                label=label,
            )
    if np.isfinite(chart.slope):
        ends = np.array([0, chart.months.size - 1])
        line = chart.intercept + chart.slope * ends / 12
        style, label = ("-", "Sen line") if chart.significant else (":", "Sen line, not significant")
        axes.plot(dates[ends], line, style, color=FIT, linewidth=1.6, label=label)
    axes.axhline(0, color=ONE_TO_ONE, linewidth=0.6)
    axes.legend(fontsize=7, frameon=False, ncol=5, loc="upper left", bbox_to_anchor=(-0.01, -0.07))
    axes.text(0, 1.03, chart.text, transform=axes.transAxes, fontsize=8.5)
    tidy(axes, "", "storage anomaly (cm)", f"{chart.title}\n")
    return to_png(figure)


def _dates(months: np.ndarray) -> np.ndarray:
    return np.asarray(months, "datetime64[M]").astype("datetime64[D]").astype("datetime64[us]").astype(object)

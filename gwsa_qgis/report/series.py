"""Figures of monthly series; filled months are drawn dashed, in every one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gwsa_qgis.report.figures import INK, new_figure, optional_figure, tidy, to_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito: safe for the colour-blind, apart in grey as well.
SERIES_COLOURS = ("#222222", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")


class SeriesLine(NamedTuple):
    """One series: its name, values (n_months,), and which of them are filled and not observed (n_months,)."""

    name: str
    values: np.ndarray
    filled: np.ndarray


class SeriesPanel(NamedTuple):
    """One panel: its title and the series in it, on common months."""

    title: str
    months: np.ndarray
    lines: Sequence[SeriesLine]


@optional_figure
def monthly_series(panels: Sequence[SeriesPanel], y_label: str) -> bytes:
    """Panels below each other, months to the right; observed months as solid lines, filled ones dashed.

    Parameters
    ----------
    panels : sequence of SeriesPanel
    y_label : str
        Quantity and unit.
    """
    figure = new_figure(9.0, 2.5 * len(panels) + 0.3)
    for axes, panel in zip(np.atleast_1d(figure.subplots(len(panels), 1)), panels, strict=True):
        for line, colour in zip(panel.lines, SERIES_COLOURS, strict=False):
            draw_series(axes, panel.months, line, colour)
        axes.axhline(0, color=INK, linewidth=0.5)
        axes.legend(fontsize=7, frameon=False, ncol=len(panel.lines), loc="upper right")
        tidy(axes, "", y_label, panel.title)
    return to_png(figure)


def draw_series(axes: Axes, months: np.ndarray, line: SeriesLine, colour: str) -> None:
    """Draw one series; a stroke that begins or ends in a filled month is dashed."""
    dates = np.asarray(months, "datetime64[M]").astype("datetime64[D]").astype("datetime64[us]").astype(object)
    values, filled = np.asarray(line.values, float), np.asarray(line.filled, bool)
    label = line.name
    if np.isfinite(values[~filled]).any():
        axes.plot(dates, np.where(filled, np.nan, values), "-", color=colour, linewidth=1.2, label=label)
        label = None
    if filled.any():
        beside = filled.copy()
        beside[:-1] |= filled[1:]
        beside[1:] |= filled[:-1]
        shown = np.where(beside, values, np.nan)
        axes.plot(dates, shown, "--", color=colour, linewidth=1.2, dashes=(3, 1.5), label=label)

"""Figure of the area in each drought class through time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gwsa_qgis.report.figures import INK, new_figure, optional_figure, tidy, to_png
from gwsa_qgis.report.series import SERIES_COLOURS, SeriesLine, draw_series

# From exceptional drought to exceptional wetness: drought as drought monitors colour it, wetness in blues.
DROUGHT_COLOURS = (
    *("#730000", "#e60000", "#ffaa00", "#fcd37f", "#ffff00"),
    "#f7f7f7",
    *("#d1e5f0", "#92c5de", "#4393c3", "#2166ac", "#053061"),
)
DRY = 5


@optional_figure
def class_areas(
    months: np.ndarray, shares: np.ndarray, index: np.ndarray, filled: np.ndarray, names: Sequence[str]
) -> bytes:
    """Dry classes stacked upwards and wet ones downwards, worst next to the axis, and the mean index below.

    Parameters
    ----------
    months : (n_months,) datetime64[M]
    shares : (n_months, 11) float
        Percent of the area, D4 to W4; NaN in months without an index, which stay white.
    index : (n_months,) float
        Mean index.
    filled : (n_months,) bool
    names : sequence of str
        Of the classes.
    """
    figure = new_figure(9.0, 5.2)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1))
    edges = np.append(months, months[-1:] + 1).astype("datetime64[D]").astype("datetime64[us]").astype(object)
    known = np.nan_to_num(shares)
    for numbers, sign in ((range(DRY), 1), (range(len(names) - 1, DRY, -1), -1)):
        base = np.zeros(months.size)
        for number in numbers:
            top = base + sign * known[:, number]
            upper.fill_between(
                edges,
                np.append(base, base[-1]),
                np.append(top, top[-1]),
                step="post",
                color=DROUGHT_COLOURS[number],
                linewidth=0,
                label=names[number].split()[0],
            )
            base = top
    upper.axhline(0, color=INK, linewidth=0.6)
    upper.set_ylim(-100, 100)
    upper.set_yticks([-100, -50, 0, 50, 100])
    upper.set_yticklabels(["100", "50", "0", "50", "100"])
    upper.legend(fontsize=7, frameon=False, ncol=10, loc="lower left", bbox_to_anchor=(0, 1), columnspacing=1.2)
    tidy(upper, "", "wet | share of the area (%) | dry")
    draw_series(lower, months, SeriesLine("mean index", index, filled), SERIES_COLOURS[1])
    lower.axhline(0, color=INK, linewidth=0.5)
    tidy(lower, "", "mean index")
    return to_png(figure)

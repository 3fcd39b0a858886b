"""Charts of a basin beside its series: the course of the year, and the drought index month by month."""

from __future__ import annotations

import numpy as np

from gwsa_qgis.report.drought import DROUGHT_COLOURS
from gwsa_qgis.report.figures import INK, ONE_TO_ONE, POINT, new_figure, optional_figure, tidy, to_png

MONTHS = "JFMAMJJASOND"


@optional_figure
def annual_course(course: np.ndarray) -> bytes:
    """Median of each calendar month, and the range of the middle 80 %.

    Parameters
    ----------
    course : (3, 12) float
        10th, 50th and 90th percentile, cm.
    """
    figure = new_figure(5.2, 2.7)
    axes = figure.subplots()
    place = np.arange(12)
    axes.fill_between(
        place, course[0], course[2], color=POINT, alpha=0.18, linewidth=0, label="10 to 90 % of the years"
    )
    axes.plot(place, course[1], "o-", color=POINT, markersize=4, linewidth=1.4, label="median")
    axes.axhline(0, color=ONE_TO_ONE, linewidth=0.6)
    axes.set_xticks(place)
    axes.set_xticklabels(list(MONTHS))
    axes.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(0, -0.1), ncol=2)
    tidy(axes, "", "departure (cm)")
    return to_png(figure)


@optional_figure
def drought_bars(months: np.ndarray, index: np.ndarray, classes: np.ndarray, filled: np.ndarray) -> bytes:
    """The index month by month, in the colours of its classes; filled months are pale.

    Parameters
    ----------
    months : (n_months,) datetime64[M]
    index : (n_months,) float
        NaN is not drawn.
    classes : (n_months,) int
        D4 (1) to W4 (11).
    filled : (n_months,) bool
    """
    figure = new_figure(9.0, 2.6)
    axes = figure.subplots()
    dates = np.asarray(months, "datetime64[M]").astype("datetime64[D]").astype("datetime64[us]").astype(object)
    normal = "#bdbdbd"  # the map's near-white would not be seen
    shown = np.flatnonzero(np.isfinite(index))
    colours = [normal if k == 6 else DROUGHT_COLOURS[k - 1] for k in classes[shown].tolist()]
    # Lines as wide as a month: bars are drawn one by one, and take a second.
    width = 72 * 8.0 / months.size
    axes.vlines(
        dates[shown], 0, index[shown], colors=colours, linewidth=width, alpha=np.where(filled[shown], 0.45, 1.0)
    )
    for limit in (-0.8, 0.8):
        axes.axhline(limit, color=ONE_TO_ONE, linewidth=0.6, linestyle=":")
    axes.axhline(0, color=INK, linewidth=0.6)
    tidy(axes, "", "drought index")
    return to_png(figure)

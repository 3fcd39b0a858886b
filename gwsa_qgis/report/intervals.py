"""Figures of intervals: how often they held what they promised, and what makes their width."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gwsa_qgis.report.figures import INK, ONE_TO_ONE, POINT, new_figure, optional_figure, tidy, to_png
from gwsa_qgis.report.series import SERIES_COLOURS


@optional_figure
def coverage_panels(levels: np.ndarray, coverage: np.ndarray, of_class: Mapping[str, float], level: float) -> bytes:
    """Coverage against level, and coverage at one level by class.

    Parameters
    ----------
    levels, coverage : (n,) float
        Shares between 0 and 1.
    of_class : mapping of str to float
        Coverage of each class at `level`.
    """
    figure = new_figure(8.4, 3.4)
    left, right = figure.subplots(1, 2)
    left.plot([0, 100], [0, 100], "--", color=ONE_TO_ONE, linewidth=1, label="as promised")
    left.plot(100 * levels, 100 * coverage, "o-", color=POINT, markersize=5, linewidth=1.2, label="held-out blocks")
    low = 100 * max(min(levels.min(), coverage.min()) - 0.1, 0)
    left.set_xlim(low, 100)
    left.set_ylim(low, 100)
    left.legend(fontsize=8, frameon=False, loc="upper left")
    tidy(left, "level of the interval (%)", "values inside (%)", "All classes")
    names = list(of_class)
    right.barh(np.arange(len(names)), [100 * of_class[name] for name in names], color=POINT, height=0.6)
    right.axvline(100 * level, color=ONE_TO_ONE, linestyle="--", linewidth=1)
    right.set_yticks(np.arange(len(names)))
    right.set_yticklabels(names)
    right.set_xlim(0, 100)
    right.invert_yaxis()
    tidy(right, "values inside (%)", "", f"{100 * level:g} % intervals by class")
    return to_png(figure)


@optional_figure
def stacked_squares(months: np.ndarray, parts: Mapping[str, np.ndarray], whole: np.ndarray) -> bytes:
    """Squares of half-widths by source one upon the other, month by month, and their root on a second axis.

    Parameters
    ----------
    months : (n_months,) datetime64[M]
    parts : mapping of str to (n_months,) float
        Half-widths, cm, which add up in quadrature.
    whole : (n_months,) float
        Half-width of all, cm.
    """
    figure = new_figure(9.0, 3.4)
    axes = figure.subplots()
    dates = np.asarray(months, "datetime64[M]").astype("datetime64[D]").astype("datetime64[us]").astype(object)
    squares = [np.nan_to_num(values) ** 2 for values in parts.values()]
    axes.stackplot(dates, squares, labels=list(parts), colors=SERIES_COLOURS[1:], step="mid", alpha=0.8, linewidth=0)
    axes.plot(dates, whole**2, color=INK, linewidth=1, label="all", drawstyle="steps-mid")
    top = 1.1 * float(np.nanmax(whole, initial=0.0)) ** 2 or 1.0
    axes.set_ylim(0, top)
    tidy(axes, "", "square of the half-width (cm²)")
    second = axes.secondary_yaxis("right", functions=(_root, np.square))
    second.set_ylabel("half-width (cm)", fontsize=9)
    second.tick_params(colors=INK, labelsize=8)
    axes.legend(fontsize=8, frameon=False, ncol=min(len(parts) + 1, 5), loc="lower left", bbox_to_anchor=(0, 1))
    return to_png(figure)


def _root(values: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(values, 0))

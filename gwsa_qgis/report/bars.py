"""Bars for reports: shares with their errors, and inputs in the order of their importance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gwsa_qgis.report.figures import FIT, INK, ONE_TO_ONE, POINT, new_figure, optional_figure, tidy, to_png

SECOND = "#92c5de"


@optional_figure
def share_bars(names: Sequence[str], shares: np.ndarray, errors: np.ndarray, label: str, lowest: float = -1.0) -> bytes:
    """Horizontal bars of signed shares with error bars; blue above zero, red below.

    Parameters
    ----------
    shares, errors : (n,) float
        Bars below `lowest` are cut off there, and say how far they go.
    """
    shares, errors = np.asarray(shares, float), np.nan_to_num(np.asarray(errors, float))
    figure = new_figure(7.0, 0.9 + 0.33 * len(names))
    axes = figure.subplots()
    positions = np.arange(len(names))
    shown = np.maximum(shares, lowest)
    cut = shares < lowest
    axes.barh(
        positions,
        shown,
        xerr=np.where(cut, 0, errors),
        color=[POINT if value > 0 else FIT for value in shares],
        ecolor=INK,
        capsize=2,
        height=0.65,
    )
    for position, value in zip(positions[cut], shares[cut], strict=True):
        axes.text(lowest * 0.98, position, f"{value:.2f}", va="center", fontsize=8, color="white")
    axes.axvline(0, color=INK, linewidth=0.8)
    high = float(np.nanmax(np.append(shares + errors, 0.1)))
    low = float(np.nanmin(np.append(np.where(cut, lowest, shares - errors), 0.0)))
    axes.set_xlim(max(low * 1.05, lowest * 1.05), high * 1.05)
    axes.set_yticks(positions)
    axes.set_yticklabels(names)
    axes.invert_yaxis()
    axes.grid(axis="x", color=ONE_TO_ONE, linewidth=0.4, alpha=0.5)
    axes.set_axisbelow(True)
    tidy(axes, label, "")
    return to_png(figure)


@optional_figure
def paired_bars(panels: Sequence[tuple[str, Sequence[str], Sequence[np.ndarray]]], labels: Sequence[str]) -> bytes:
    """Horizontal bars of inputs, one panel a model, each input with a bar for each of `labels`.

    Parameters
    ----------
    panels : sequence of (title, names, shares)
        For each of `labels` the shares (n_names,), in percent.
    """
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    most = max(len(names) for _, names, _ in panels)
    figure = new_figure(4.6 * columns, (0.8 + 0.26 * most) * rows)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (title, names, shares) in zip(grid, panels, strict=False):
        positions, width = np.arange(len(names)), 0.8 / len(shares)
        for number, (values, label) in enumerate(zip(shares, labels, strict=False)):
            offset = (number - (len(shares) - 1) / 2) * width
            axes.barh(positions + offset, values, height=width, color=(POINT, SECOND)[number % 2], label=label)
        axes.set_yticks(positions)
        axes.set_yticklabels(names)
        axes.invert_yaxis()
        axes.legend(fontsize=7, frameon=False, loc="lower right")
        tidy(axes, "share (%)", "", title)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    return to_png(figure)

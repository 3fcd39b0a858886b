"""Figure of a map and its latitudinal profile side by side, as the paper's Fig. 6."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.report.figures import INK, ONE_TO_ONE, new_figure, optional_figure, tidy, to_png
from gwsa_qgis.report.series import SERIES_COLOURS

LOSS, GAIN, SPREAD = "#d6604d", "#4393c3", "#bdbdbd"
MAP_WIDTH, LOWEST, HIGHEST = 5.6, 2.8, 8.0


class ProfileLine(NamedTuple):
    """Bands of one period from south to north.

    Attributes
    ----------
    edges : (n_bands + 1,) float
        Degrees.
    mean, low, high : (n_bands,) float
        Mean, and the ends of the shade.
    """

    name: str
    edges: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


@optional_figure
def map_and_profile(
    grid: Grid, values: np.ndarray, line: ProfileLine, label: str, others: Sequence[ProfileLine] = ()
) -> bytes:
    """Profile on the left, map on the right, on one axis of latitude.

    Parameters
    ----------
    values : (rows, columns) float
        Map on `grid`; NaN is not drawn. Colours are centred on zero where any value is negative.
    line : ProfileLine
        Of the map.
    label : str
        Quantity and unit.
    others : sequence of ProfileLine
        Drawn as thin lines beside it.
    """
    west, south, east, north = grid.extent
    aspect = 1 / max(np.cos(np.radians((south + north) / 2)), 0.2)
    height = float(np.clip(MAP_WIDTH * aspect * (north - south) / (east - west), LOWEST, HIGHEST))
    figure = new_figure(MAP_WIDTH + 3.6, height + 0.6)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1, 2.1))
    known = values[np.isfinite(values)]
    low, high = np.quantile(known, [0.02, 0.98])
    diverging = bool((known < 0).any())
    if diverging:
        high = max(abs(low), abs(high)) or 1.0
        low = -high
    image = right.imshow(
        values,
        extent=(west, east, south, north),
        cmap="RdBu" if diverging else "viridis",
        vmin=low,
        vmax=high if high > low else low + 1,
        interpolation="nearest",
        aspect="auto",
    )
    figure.colorbar(image, ax=right, label=label, shrink=0.85, extend="both")
    tidy(right, "longitude", "", line.name)
    _draw(left, line)
    for other, colour in zip(others, SERIES_COLOURS[2:], strict=False):
        left.stairs(other.mean, other.edges, orientation="horizontal", baseline=None, color=colour, linewidth=1,
                    label=other.name)  # fmt: skip
    left.set_ylim(south, north)
    left.legend(fontsize=7, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)
    tidy(left, label, "latitude (\N{DEGREE SIGN})")
    return to_png(figure)


def _draw(axes: object, line: ProfileLine) -> None:
    """The mean as a line over its signed area, and the spread of the pixels behind it."""
    edges = line.edges
    steps = [np.append(values, values[-1:]) for values in (line.mean, line.low, line.high)]
    mean, low, high = steps
    axes.fill_betweenx(
        edges, low, high, step="post", color=SPREAD, alpha=0.5, linewidth=0, label="10th to 90th percentile"
    )
    for colour, signed in ((LOSS, np.minimum(mean, 0)), (GAIN, np.maximum(mean, 0))):
        axes.fill_betweenx(edges, 0, signed, step="post", color=colour, alpha=0.75, linewidth=0)
    axes.stairs(line.mean, edges, orientation="horizontal", baseline=None, color=INK, linewidth=1.2, label="mean")
    axes.axvline(0, color=ONE_TO_ONE, linewidth=0.8)

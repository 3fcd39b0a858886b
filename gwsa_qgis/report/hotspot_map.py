"""Map of slopes beside that of hot spots, with the ranks of the largest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.report.figures import INK, optional_figure, to_png
from gwsa_qgis.report.maps import map_panels_figure


@optional_figure
def hotspot_map(grid: Grid, slope: np.ndarray, hot: np.ndarray, places: Sequence[tuple[int, float, float]]) -> bytes:
    """Slopes of all cells, and of those in hot spots alone.

    Parameters
    ----------
    slope, hot : (rows, columns) float
        cm per year; may be thinned; NaN is drawn grey, 0 outside of hot spots white.
    places : sequence of (rank, x, y)
        Where ranks are written.
    """
    panels = [("Slope", slope), ("Hot spots", hot)]
    figure, axes = map_panels_figure(grid, panels, "slope (cm per year)", diverging=True)
    box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.75}
    for rank, x, y in places:
        axes[1].text(x, y, str(rank), fontsize=7, color=INK, ha="center", va="center", bbox=box)
    return to_png(figure)

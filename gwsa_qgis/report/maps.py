"""Small maps for reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.report.figures import new_figure, optional_figure, tidy, to_png
from gwsa_qgis.report.map_frame import frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_PIXELS = 600  # along a side; larger maps are thinned


@optional_figure
def map_panels(
    grid: Grid,
    panels: Sequence[tuple[str, np.ndarray]],
    label: str,
    *,
    diverging: bool = False,
    columns: int = 2,
    limits: tuple[float, float] | None = None,
    palette: str = "",
) -> bytes:
    """Maps on one colour scale, as `map_panels_figure` draws them."""
    options = {"diverging": diverging, "columns": columns, "limits": limits, "palette": palette}
    return to_png(map_panels_figure(grid, panels, label, **options)[0])


def map_panels_figure(
    grid: Grid,
    panels: Sequence[tuple[str, np.ndarray]],
    label: str,
    *,
    diverging: bool = False,
    columns: int = 2,
    limits: tuple[float, float] | None = None,
    palette: str = "",
    width: float = 4.4,
) -> tuple[Figure, list[Axes]]:
    """Maps on one colour scale, cut off at the 2nd and 98th percentile.

    Parameters
    ----------
    panels : sequence of (title, values)
        Values of shape (rows, columns), NaN not drawn: grey ground shows, since white is zero on diverging maps.
    label : str
        Quantity and unit.
    diverging : bool
        Whether zero has a meaning: red below, white at zero, blue above.
    limits : (float, float), optional
        Ends of the colour scale, in place of the percentiles.
    palette : str
        Name of matplotlib's, in place of the usual one.
    width : float
        Of a panel, in inches.

    Returns
    -------
    figure, axes
        So that a caller can add to the panels.
    """
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    west, south, east, north = grid.extent
    aspect = 1 / max(np.cos(np.radians((south + north) / 2)), 0.2) if grid.is_geographic else 1.0
    height = np.clip((width - 0.4) * aspect * (north - south) / (east - west), 1.6, 1.2 * width - 0.28)
    figure = new_figure(width * columns + 0.8, (height + 0.5) * rows)
    all_axes = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
    known = np.concatenate([values[np.isfinite(values)] for _, values in panels])
    low, high = np.quantile(known, [0.02, 0.98]) if known.size else (0.0, 1.0)
    if limits is not None:
        low, high = limits
    elif diverging:
        low, high = diverging_limits(known)
    step = max(1, -(-max(grid.shape) // MOST_PIXELS))
    for axes, (title, values) in zip(all_axes, panels, strict=False):
        image = axes.imshow(
            values[::step, ::step],
            extent=(west, east, south, north),
            cmap=palette or ("RdBu" if diverging else "viridis"),
            vmin=low,
            vmax=high if high > low else low + 1,
            interpolation="nearest",
            aspect=aspect,
        )
        tidy(axes, "", "", title)
        frame(axes, grid)
    for axes in all_axes[len(panels) :]:
        axes.set_visible(False)
    ends = _ends(known, low, high)
    figure.colorbar(image, ax=list(all_axes[: len(panels)]), label=label, shrink=0.8, extend=ends)
    return figure, list(all_axes[: len(panels)])


def _ends(known: np.ndarray, low: float, high: float) -> str:
    """Whether values lie beyond the colour scale."""
    below, above = bool((known < low).any()), bool((known > high).any())
    return "both" if below and above else "min" if below else "max" if above else "neither"


def diverging_limits(values: np.ndarray) -> tuple[float, float]:
    """Ends of a scale about zero that holds the 2nd to the 98th percentile: one scale for several maps."""
    known = values[np.isfinite(values)]
    high = float(np.abs(np.quantile(known, [0.02, 0.98])).max()) if known.size else 0.0
    return -(high or 1.0), high or 1.0

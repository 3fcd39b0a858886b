"""Figures of the reports, drawn by matplotlib without its state machine (it is shared with the host program).

Every function gives the bytes of a PNG, or None where matplotlib is not installed: reports then have tables alone.
"""

from __future__ import annotations

import functools
import gc
import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gwsa_qgis.rasters.heap import give_back

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FIT, ONE_TO_ONE, POINT = "#222222", "#b2182b", "#7f7f7f", "#2166ac"
# ColorBrewer RdBu: depletion red, gain blue, no trend white; safe for the colour-blind.
TREND_COLOURS = ("#b2182b", "#ef8a62", "#fddbc7", "#f7f7f7", "#d1e5f0", "#67a9cf", "#2166ac")
SCATTER_BINS = 80
POINTS_DRAWN_SINGLY = 2000
DPI = 130


def optional_figure(draw: Callable[..., bytes]) -> Callable[..., bytes | None]:
    """Turn a missing matplotlib into None."""

    @functools.wraps(draw)
    def wrapped(*args: object, **options: object) -> bytes | None:
        try:
            import matplotlib.figure  # noqa: F401
        except ImportError:
            return None
        return draw(*args, **options)

    return wrapped


def new_figure(width: float, height: float) -> Figure:
    """A figure of a size in inches, tied to no window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white", constrained_layout=True)
    FigureCanvasAgg(figure)
    return figure


def to_png(figure: Figure) -> bytes:
    """The figure as PNG; what it was drawn from is let go of."""
    buffer = io.BytesIO()
    # No software tag and no date: same data, same bytes.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    # A figure's parts refer to each other, so that its maps and canvas would stay until Python looks for such rings by
    # itself: of a page's figures several would be held at once.
    figure.clear()
    gc.collect()
    give_back()
    return buffer.getvalue()


def tidy(axes: Axes, x_label: str, y_label: str, title: str = "") -> None:
    """The common look of all axes."""
    axes.set_xlabel(x_label, fontsize=9)
    axes.set_ylabel(y_label, fontsize=9)
    axes.set_title(title, fontsize=10, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK, labelsize=8)


@optional_figure
def scatter_panels(
    panels: Sequence[tuple[str, np.ndarray, np.ndarray, str]], x_label: str, y_label: str, columns: int = 2
) -> bytes:
    """Scatter panels with density, 1:1 line and fitted line, as the paper's Fig. 3.

    Parameters
    ----------
    panels : sequence of (title, x, y, text)
        `x` and `y` of shape (n,); `text` stands in the upper left corner.
    """
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    figure = new_figure(4.2 * columns, 3.9 * rows)
    grid = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for axes, (title, x, y, text) in zip(grid, panels, strict=False):
        _scatter(axes, np.asarray(x, float), np.asarray(y, float))
        axes.text(0.03, 0.97, text, transform=axes.transAxes, va="top", fontsize=8, linespacing=1.4)
        tidy(axes, x_label, y_label, title)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    return to_png(figure)


def _scatter(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    valid = np.isfinite(x) & np.isfinite(y)
    x, y = x[valid], y[valid]
    if not x.size:
        return
    low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
    margin = 0.04 * (high - low) or 1.0
    low, high = low - margin, high + margin
    if x.size <= POINTS_DRAWN_SINGLY:
        axes.plot(x, y, ".", color=POINT, markersize=4, alpha=0.6, markeredgewidth=0)
    else:
        counts, x_edges, y_edges = np.histogram2d(x, y, bins=SCATTER_BINS, range=[[low, high]] * 2)
        shown = np.ma.masked_less(np.log10(np.maximum(counts.T, 0.1)), 0)
        image = axes.pcolormesh(x_edges, y_edges, shown, cmap="viridis", rasterized=True)
        axes.figure.colorbar(image, ax=axes, label="log10 of the number of points", shrink=0.8)
    axes.plot([low, high], [low, high], "--", color=ONE_TO_ONE, linewidth=1, label="1:1")
    if x.size > 2 and np.ptp(x) > 0:
        slope, intercept = np.polyfit(x, y, 1)
        ends = np.array([x.min(), x.max()])
        axes.plot(ends, intercept + slope * ends, color=FIT, linewidth=1.3, label=f"fit, slope {slope:.3g}")
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    axes.set_aspect("equal")
    axes.legend(loc="lower right", fontsize=7, frameon=False)


@optional_figure
def binned_wells(
    x: np.ndarray,
    y: np.ndarray,
    sem: np.ndarray,
    band: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None,
    text: str,
    unit: str = "cm/yr",
) -> bytes:
    """Means of quantile bins with their standard errors, 1:1 line, fit and 95 % band: the paper's Fig. 4.

    Parameters
    ----------
    x, y, sem : (n_bins,) float
        Bin means of the map's trends and of the wells', and the standard errors of the latter.
    band : (x, fit, lower, upper), optional
        The fitted line and its confidence band.
    text : str
        What stands in the upper left corner.
    """
    figure = new_figure(5.2, 4.6)
    axes = figure.subplots()
    if band is not None:
        axes.fill_between(
            band[0], band[2], band[3], color="#d95f02", alpha=0.2, linewidth=0, label="95 % band of the fit"
        )
        axes.plot(band[0], band[1], color="#d95f02", linewidth=1.4, label="linear fit of the bin means")
    axes.errorbar(x, y, yerr=sem, fmt="o", color=POINT, capsize=2, markersize=5, label="bin means and their SEM")
    limits = [float(np.nanmin(x)), float(np.nanmax(x))]
    axes.plot(limits, limits, "--", color=ONE_TO_ONE, linewidth=1, label="1:1")
    axes.text(0.03, 0.97, text, transform=axes.transAxes, va="top", fontsize=8, linespacing=1.4)
    axes.legend(loc="lower right", fontsize=7, frameon=False)
    tidy(axes, f"trend of the map, bin mean ({unit})", f"trend of the wells, bin mean ({unit})", "Bin means, not wells")
    return to_png(figure)


@optional_figure
def well_map(longitudes: np.ndarray, latitudes: np.ndarray, values: np.ndarray, label: str) -> bytes:
    """Wells as points coloured by a signed value, zero white."""
    figure = new_figure(6.2, 4.6)
    axes = figure.subplots()
    known = np.isfinite(values)
    longitudes, latitudes, values = (np.asarray(part)[known] for part in (longitudes, latitudes, values))
    limit = float(np.quantile(np.abs(values), 0.95)) if values.size else 1.0
    points = axes.scatter(
        longitudes,
        latitudes,
        c=values,
        cmap="RdBu",
        vmin=-(limit or 1),
        vmax=limit or 1,
        s=16,
        edgecolors=INK,
        linewidths=0.3,
    )
    figure.colorbar(points, ax=axes, label=label, shrink=0.85, extend="both")
    axes.set_aspect("equal", adjustable="datalim")
    tidy(axes, "x", "y")
    return to_png(figure)

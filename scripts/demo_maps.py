"""Maps of the demonstration, as PNG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure

from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.raster import read_single
from gwsa_qgis.rasters.stack import MonthlyStack

MONTH = np.datetime64("2015-08", "M")
CLASS_COLOURS = ["#b2182b", "#ef8a62", "#fddbc7", "#f7f7f7", "#d1e5f0", "#67a9cf", "#2166ac"]
CLASS_NAMES = ["--", "-", "(-)", "0", "(+)", "+", "++"]


def draw_maps(region: Path, chain: dict, trend: dict, folder: Path) -> None:
    """Draw mean_gwsa.png, one_month.png and trend.png."""
    fine, coarse = MonthlyStack(chain["gwsa_fine"]), MonthlyStack(chain["gwsa_coarse"])
    truth = MonthlyStack(region / "truth" / "truth_gwsa.tif")
    mask = np.isfinite(read_single(chain["baseline_mask"])[0])
    mean = {name: stack_mean(stack) for name, stack in (("coarse input", coarse), ("fine map", fine), ("truth", truth))}
    mean["truth"] = np.where(mask, mean["truth"], np.nan)
    three_maps(folder / "mean_gwsa.png", mean, coarse.grid, f"Mean GWSA {fine.months[0]} to {fine.months[-1]}, cm")
    month = np.array([MONTH if MONTH in fine.months else fine.months[fine.months.size // 2]])
    panels = {
        "coarse input": coarse.read_months(month)[0],
        "fine map": fine.read_months(month)[0],
        "truth": np.where(mask, truth.read_months(month)[0], np.nan),
    }
    three_maps(folder / "one_month.png", panels, coarse.grid, f"GWSA {month[0]}, cm")
    trend_map(folder / "trend.png", trend)


def stack_mean(stack: MonthlyStack) -> np.ndarray:
    """Mean over months, band by band."""
    total, count = 0.0, 0.0
    for band in range(stack.bands):
        values = stack.read(bands=[band])[0]
        total = total + np.nan_to_num(values)
        count = count + np.isfinite(values)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def three_maps(path: Path, panels: dict[str, np.ndarray], grid: Grid, title: str) -> None:
    """Coarse, fine and truth side by side, with one scale about zero."""
    limit = float(np.nanpercentile(np.abs(np.concatenate([p.ravel() for p in panels.values()])), 98))
    figure = Figure(figsize=(13, 4.6), dpi=110, layout="constrained")
    axes = figure.subplots(1, len(panels), sharex=True, sharey=True)
    west, south, east, north = grid.extent
    for ax, (name, values) in zip(axes, panels.items(), strict=True):
        image = ax.imshow(
            values, cmap="RdBu", vmin=-limit, vmax=limit, extent=(west, east, south, north), interpolation="nearest"
        )
        label_axes(ax, name)
    figure.colorbar(image, ax=axes, shrink=0.85, label="cm of water", extend="both")
    figure.suptitle(title)
    FigureCanvasAgg(figure).print_png(str(path))


def trend_map(path: Path, trend: dict) -> None:
    """Slope with dots where it is significant, and the classes."""
    slope, grid = read_single(trend["trend"])
    p_value = read_single(trend["significance_p"])[0]
    classes = read_single(trend["trend_classes"])[0]
    west, south, east, north = grid.extent
    box = (west, east, south, north)
    limit = float(np.nanpercentile(np.abs(slope), 98))
    figure = Figure(figsize=(11, 4.8), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    image = left.imshow(slope, cmap="RdBu", vmin=-limit, vmax=limit, extent=box, interpolation="nearest")
    step = max(1, grid.columns // 55)
    rows, columns = np.nonzero(p_value[::step, ::step] < 0.05)
    left.plot(
        grid.longitudes()[::step][columns],
        grid.latitudes()[::step][rows],
        ".",
        color="black",
        markersize=1.2,
        alpha=0.7,
    )
    label_axes(left, "Theil-Sen trend; dots: p < 0.05, corrected for autocorrelation")
    figure.colorbar(image, ax=left, shrink=0.85, label="cm per year", extend="both")
    norm = BoundaryNorm(np.arange(0.5, 8.5), 7)
    classes = np.where(classes > 0, classes, np.nan)
    image = right.imshow(classes, cmap=ListedColormap(CLASS_COLOURS), norm=norm, extent=box, interpolation="nearest")
    label_axes(right, "Trend classes")
    bar = figure.colorbar(image, ax=right, shrink=0.85, ticks=range(1, 8))
    bar.ax.set_yticklabels(CLASS_NAMES)
    FigureCanvasAgg(figure).print_png(str(path))


def label_axes(ax: object, title: str) -> None:
    """Title, and longitudes and latitudes with their unit."""
    ax.set_title(title, fontsize=10)
    ax.set_facecolor("#e8e8e8")
    ax.xaxis.set_major_formatter("{x:g}°")
    ax.yaxis.set_major_formatter("{x:g}°")

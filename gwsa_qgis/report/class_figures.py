"""Figures of classes: their area shares, in the whole map and by region, and maps with dots or with classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.report.figures import INK, TREND_COLOURS, new_figure, optional_figure, tidy, to_png
from gwsa_qgis.report.map_frame import frame
from gwsa_qgis.report.maps import map_panels_figure

# Shares below this are not written into their part of a bar.
SMALLEST_LABEL = 6.0


@optional_figure
def trend_class_bars(
    names: Sequence[str],
    shares: np.ndarray,
    colours: Sequence[str] = TREND_COLOURS,
    *,
    plain: np.ndarray | None = None,
    labels: tuple[str, str] = ("corrected", "plain test"),
) -> bytes:
    """Area shares of the trend classes, as the lower part of the paper's Fig. 9, with those of another test beside.

    Parameters
    ----------
    names : sequence of str
        Classes, from highly significant decrease to highly significant increase.
    shares, plain : (n_classes,) float
        Shares of the valid area in percent, by the test that the classes go by and by another one, which is hatched.
    """
    from matplotlib.patches import Patch

    figure = new_figure(8.4, 3.9)
    axes = figure.subplots()
    sets = [np.asarray(shares, float)] + ([] if plain is None else [np.asarray(plain, float)])
    positions, width = np.arange(len(sets[0])), 0.84 / len(sets)
    for number, percent in enumerate(sets):
        places = positions + (number - (len(sets) - 1) / 2) * width
        hatch = "////" if number else None
        bars = axes.bar(
            places,
            percent,
            width * 0.94,
            color=list(colours)[: len(percent)],
            edgecolor=INK,
            linewidth=0.6,
            hatch=hatch,
        )
        for bar, value in zip(bars, percent, strict=True):
            text = f"{value:.1f}" if value >= 0.05 or value == 0 else "< 0.1"
            axes.text(bar.get_x() + bar.get_width() / 2, value, text, ha="center", va="bottom", fontsize=7.5)
    axes.set_xticks(positions)
    axes.set_xticklabels([name.replace(" ", "\n") for name in names])
    highest = max(float(np.nanmax(percent, initial=0.0)) for percent in sets)
    axes.set_ylim(0, max(1.15 * highest, 1.0))
    tidy(axes, "", "share of the valid area (%)")
    if plain is not None:
        kinds = [Patch(facecolor="#cccccc", edgecolor=INK, hatch=hatch) for hatch in (None, "////")]
        axes.legend(kinds, labels, fontsize=8, frameon=False, ncol=2, loc="lower right", bbox_to_anchor=(1, 1))
    return to_png(figure)


@optional_figure
def share_bars_of_classes(names: Sequence[str], shares: np.ndarray, colours: Sequence[str]) -> bytes:
    """Area shares of classes with long names, as horizontal bars in the order given.

    Parameters
    ----------
    names : sequence of str
    shares : (n_classes,) float
        Percent.
    """
    figure = new_figure(8.4, 0.9 + 0.28 * len(names))
    axes = figure.subplots()
    percent, positions = np.asarray(shares, float), np.arange(len(names))
    axes.barh(positions, percent, color=list(colours), edgecolor=INK, linewidth=0.6, height=0.78)
    for place, value in zip(positions, percent, strict=True):
        text = f" {value:.1f}" if value >= 0.05 or value == 0 else " < 0.1"
        axes.text(value, place, text, va="center", fontsize=7.5)
    axes.set_yticks(positions)
    axes.set_yticklabels(names)
    axes.invert_yaxis()
    axes.set_xlim(0, max(1.1 * float(np.nanmax(percent, initial=0.0)), 1.0))
    tidy(axes, "share of the valid area (%)", "")
    return to_png(figure)


@optional_figure
def region_bars(
    regions: Sequence[tuple[str, np.ndarray]],
    names: Sequence[str],
    colours: Sequence[str] = TREND_COLOURS,
    title: str = "",
) -> bytes:
    """One bar of 100 % for each region, cut into its classes, the first on the left.

    Parameters
    ----------
    regions : sequence of (name, shares)
        Shares (n_classes,) in percent.
    names : sequence of str
        Classes.
    """
    figure = new_figure(8.4, 1.3 + 0.3 * len(regions))
    axes = figure.subplots()
    shares = np.array([values for _, values in regions], float)
    positions, left = np.arange(len(regions)), np.zeros(len(regions))
    for number, (name, colour) in enumerate(zip(names, colours, strict=False)):
        width = shares[:, number]
        axes.barh(positions, width, left=left, height=0.78, color=colour, edgecolor=INK, linewidth=0.4, label=name)
        for place in np.flatnonzero(width >= SMALLEST_LABEL):
            dark = _luminance(colour) < 0.45
            axes.text(
                left[place] + width[place] / 2, positions[place], f"{width[place]:.0f}", ha="center", va="center",
                fontsize=7.5, color="white" if dark else INK,
            )  # fmt: skip
        left += width
    axes.set_yticks(positions)
    axes.set_yticklabels([name for name, _ in regions])
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    tidy(axes, "share of the region's valid area (%)", "", title)
    axes.legend(
        fontsize=7.5, frameon=False, ncol=4, loc="upper center", bbox_to_anchor=(0.42, -0.65 / figure.get_figheight())
    )
    return to_png(figure)


@optional_figure
def stippled_map(grid: Grid, values: np.ndarray, label: str, x: np.ndarray, y: np.ndarray) -> bytes:
    """A map about zero (red below, white at zero, blue above) with small dots, as the paper's Fig. 8.

    Parameters
    ----------
    values : (rows, columns) float
        May be thinned; NaN is drawn grey.
    x, y : (n,) float
        Places of the dots.
    """
    figure, axes = map_panels_figure(grid, [("", values)], label, diverging=True, width=7.4)
    # Dots of neighbours must not touch, however many they are.
    size = float(np.clip(110.0 / np.sqrt(max(x.size, 1)), 0.6, 2.2))
    axes[0].plot(x, y, "o", color="black", markersize=size, markeredgewidth=0, alpha=0.75)
    return to_png(figure)


@optional_figure
def class_map(grid: Grid, classes: np.ndarray, names: Sequence[str], colours: Sequence[str]) -> bytes:
    """A map of classes 1 to n, 0 drawn grey, with a legend.

    Parameters
    ----------
    classes : (rows, columns) int
        May be thinned.
    """
    from matplotlib.colors import BoundaryNorm, ListedColormap
    from matplotlib.patches import Patch

    west, south, east, north = grid.extent
    aspect = 1 / max(np.cos(np.radians((south + north) / 2)), 0.2) if grid.is_geographic else 1.0
    height = float(np.clip(5.6 * aspect * (north - south) / (east - west), 2.2, 6.5))
    figure = new_figure(8.4, height)
    axes = figure.subplots()
    axes.imshow(
        np.ma.masked_equal(classes, 0), extent=(west, east, south, north), cmap=ListedColormap(list(colours)),
        norm=BoundaryNorm(np.arange(0.5, len(colours) + 1), len(colours)), interpolation="nearest", aspect=aspect,
    )  # fmt: skip
    tidy(axes, "", "")
    frame(axes, grid)
    kinds = [Patch(facecolor=colour, edgecolor=INK, linewidth=0.4) for colour in colours]
    axes.legend(kinds, list(names), fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return to_png(figure)


def _luminance(colour: str) -> float:
    red, green, blue = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue

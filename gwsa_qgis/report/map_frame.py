"""What surrounds the data of a small map: ground where there is none, degrees on the axes, a scale bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gwsa_qgis.rasters.grid import EARTH_RADIUS_KM, Grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Where there are no data: neither white, which is zero on diverging maps, nor any of their colours.
NO_DATA_GROUND = "#e8e8e8"
INK = "#222222"
# The scale of a map of degrees differs too much between its south and its north for one bar.
MOST_STRETCH = 1.25
BAR_SHARE = 0.3  # of the map's width, at most


def frame(axes: Axes, grid: Grid) -> None:
    """Set ground, degree labels and, where one length holds for the whole map, a scale bar."""
    axes.set_facecolor(NO_DATA_GROUND)
    if grid.is_geographic:
        axes.xaxis.set_major_formatter(lambda value, _: degrees((value + 180) % 360 - 180, "E", "W"))
        axes.yaxis.set_major_formatter(lambda value, _: degrees(value, "N", "S"))
    length = scale_bar_km(grid)
    if length:
        _draw_bar(axes, grid, length)


def degrees(value: float, positive: str, negative: str) -> str:
    """A coordinate as readers write it: 12.5 becomes 12.5°E, -12.5 becomes 12.5°W."""
    side = positive if value > 0 else negative if value < 0 else ""
    return f"{abs(round(value, 6)):g}\N{DEGREE SIGN}{side}"


def km_per_unit(grid: Grid) -> float:
    """Kilometres to one unit of x in the middle of the map."""
    if not grid.is_geographic:
        return float(np.sqrt(grid.unit_area_km2))
    middle = np.radians(np.clip((grid.south + grid.north) / 2, -90, 90))
    return float(np.radians(1) * EARTH_RADIUS_KM * np.cos(middle))


def scale_bar_km(grid: Grid) -> float:
    """Round length (1, 2 or 5 times a power of ten) of the scale bar, km; 0 where no length holds for the whole map."""
    if grid.is_geographic:
        widths = np.cos(np.radians(np.clip([grid.south, grid.north], -90, 90)))
        widest = 1.0 if grid.south < 0 < grid.north else widths.max()
        if widths.min() <= 0 or widest / widths.min() > MOST_STRETCH:
            return 0.0
    longest = BAR_SHARE * (grid.east - grid.west) * km_per_unit(grid)
    power = 10.0 ** np.floor(np.log10(longest))
    return float(max(step for step in (1, 2, 5) if step * power <= longest * (1 + 1e-9)) * power)


def _draw_bar(axes: Axes, grid: Grid, length: float) -> None:
    """Bar and length in the lower left corner, on a light ground of their own."""
    share = length / km_per_unit(grid) / (grid.east - grid.west)
    left, low = 0.03, 0.05
    axes.plot(
        [left, left + share], [low, low], transform=axes.transAxes, color=INK, linewidth=2.2, solid_capstyle="butt"
    )
    axes.text(
        left,
        low + 0.015,
        f"{length:g} km",
        transform=axes.transAxes,
        fontsize=7.5,
        va="bottom",
        color=INK,
        bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 1.2},
    )

"""Slopes with their significance and limits, read window by window in cm per year."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidParameter, UnreadableInput
from gwsa_qgis.products.units import centimetres_a_year_per
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.raster import Raster
from gwsa_qgis.rasters.windows import Window, plan_windows

# Rasters as read, kinds, pieces, and the columns of the table of significant cells.
BYTES_PER_CELL = 160


@dataclass(frozen=True)
class SlopeInputs:
    """Rasters of a trend on one grid.

    Attributes
    ----------
    grid : Grid
    windows : list of Window
    unit : str
        Of the slope, as its file says.
    tags : dict of str to str
        Metadata of the slope.
    limits : str
        What the limits are, by the lower one's description; empty without limits.
    """

    grid: Grid
    windows: list[Window]
    unit: str
    tags: dict[str, str]
    limits: str
    slope: Path
    p_value: Path
    lower: Path | None
    upper: Path | None
    to_cm_a_year: float
    lower_to_cm: float
    upper_to_cm: float

    @property
    def has_limits(self) -> bool:
        """Whether the slope's limits are given."""
        return self.lower is not None

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Slope in cm per year, and p value, (rows, columns); NaN where either is missing.

        Raises
        ------
        UnreadableInput
            If a p value is not between 0 and 1.
        """
        slope = _read(self.slope, window) * self.to_cm_a_year
        p_value = _read(self.p_value, window)
        strange = p_value[(p_value < 0) | (p_value > 1)]
        if strange.size:
            raise UnreadableInput(
                f"{self.p_value} holds {strange[0]:g}, which is no p value", "give P_VALUE of gwsa:trend"
            )
        missing = ~(np.isfinite(slope) & np.isfinite(p_value))
        slope[missing] = np.nan
        p_value[missing] = np.nan
        return slope, p_value

    def read_limits(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper limit in cm per year, (rows, columns); NaN without limits."""
        if not self.has_limits:
            nothing = np.full((window.rows, window.columns), np.nan)
            return nothing, nothing
        return _read(self.lower, window) * self.lower_to_cm, _read(self.upper, window) * self.upper_to_cm


def open_slopes(
    slope: str | Path, p_value: str | Path, lower: str | Path | None, upper: str | Path | None, memory_mb: float
) -> SlopeInputs:
    """Check that the rasters belong together.

    Raises
    ------
    InvalidParameter
        If a unit is not known, or one limit is given alone.
    GridMismatch
        If they are not on one grid.
    """
    if bool(lower) != bool(upper):
        raise InvalidParameter("one limit of the slope was given without the other", "give LOWER and UPPER, or neither")
    with Raster(slope) as raster:
        grid, unit, tags = raster.grid, raster.unit(), raster.metadata()
    factor = centimetres_a_year_per(unit, f"the slope {slope}")
    with Raster(p_value) as raster:
        grid.require_match(raster.grid, f"the slope {slope}", f"the p values {p_value}")
    factors, limits = [1.0, 1.0], ""
    for number, (path, name) in enumerate(((lower, "lower"), (upper, "upper"))):
        if path:
            with Raster(path) as raster:
                grid.require_match(raster.grid, f"the slope {slope}", f"the {name} limit {path}")
                factors[number] = centimetres_a_year_per(raster.unit(), f"the {name} limit {path}")
                limits = limits or raster.descriptions()[0]
    windows = plan_windows(grid, BYTES_PER_CELL, memory_mb=memory_mb)
    windows.sort(key=lambda window: (window.row, window.column))  # as `RegionFinder` wants them
    paths = (Path(slope), Path(p_value), Path(lower) if lower else None, Path(upper) if upper else None)
    return SlopeInputs(grid, windows, unit, tags, limits, *paths, factor, *factors)


def _read(path: Path, window: Window) -> np.ndarray:
    with Raster(path) as raster:
        return raster.read(*window.slices, bands=[0])[0].astype(np.float64)

"""Raster grids: where cells lie, how fine and coarse ones nest, how much area a cell has."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gwsa_qgis.errors import GridMismatch, InvalidParameter
from gwsa_qgis.rasters.gdal_setup import gdal, osr

# Origins and cell sizes agree when they differ by less than this share of a cell. Products of one grid
# are found shifted by rounding in their headers (CHELSA: 0.00014 deg of 0.00833).
ALIGNMENT_TOLERANCE = 0.02
# IUGG mean radius of the Earth (GRS 80), km.
EARTH_RADIUS_KM = 6371.0088


@dataclass(frozen=True)
class Grid:
    """A north-up grid of rectangular cells.

    Attributes
    ----------
    west, north : float
        Outer edges of the first column and of the first row, in units of the CRS.
    dx, dy : float
        Cell width and height, both positive.
    columns, rows : int
        Numbers of cells.
    crs : str
        Coordinate reference system as WKT; empty when unknown.
    """

    west: float
    north: float
    dx: float
    dy: float
    columns: int
    rows: int
    crs: str = ""

    @classmethod
    def from_dataset(cls, dataset: gdal.Dataset) -> Grid:
        """Grid of an open GDAL dataset; a south-up file gives the grid of its flipped rows."""
        west, dx, row_skew, north, column_skew, dy = dataset.GetGeoTransform()
        if row_skew or column_skew:
            raise GridMismatch(
                f"{dataset.GetDescription()} is rotated (geotransform {dataset.GetGeoTransform()})",
                "warp it to a north-up grid with gdal:warpreproject",
            )
        if dy > 0:  # south-up: the first row is the southernmost
            north = north + dy * dataset.RasterYSize
        return cls(west, north, dx, abs(dy), dataset.RasterXSize, dataset.RasterYSize, dataset.GetProjection() or "")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, as numpy orders them."""
        return self.rows, self.columns

    @property
    def transform(self) -> tuple[float, float, float, float, float, float]:
        """GDAL's geotransform."""
        return self.west, self.dx, 0.0, self.north, 0.0, -self.dy

    @property
    def east(self) -> float:
        """Outer edge of the last column."""
        return self.west + self.dx * self.columns

    @property
    def south(self) -> float:
        """Outer edge of the last row."""
        return self.north - self.dy * self.rows

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """West, south, east, north."""
        return self.west, self.south, self.east, self.north

    @property
    def is_geographic(self) -> bool:
        """Whether coordinates are degrees; a grid without a CRS is taken as such when its extent allows it."""
        if self.crs:
            return bool(osr.SpatialReference(self.crs).IsGeographic())
        return abs(self.north) <= 91 and abs(self.south) <= 91 and self.west >= -181 and self.east <= 361

    def describe(self) -> str:
        """One line that a user can compare with another grid's."""
        name = "no CRS"
        if self.crs:
            reference = osr.SpatialReference(self.crs)
            code = reference.GetAuthorityCode(None)
            name = f"{reference.GetAuthorityName(None)}:{code}" if code else reference.GetName()
        return (
            f"{self.columns} x {self.rows} cells of {self.dx:.8g} x {self.dy:.8g}, "
            f"west {self.west:.8g}, north {self.north:.8g}, {name}"
        )

    def latitudes(self) -> np.ndarray:
        """Cell centres of the rows, north to south."""
        return self.north - (np.arange(self.rows) + 0.5) * self.dy

    def longitudes(self) -> np.ndarray:
        """Cell centres of the columns, west to east."""
        return self.west + (np.arange(self.columns) + 0.5) * self.dx

    def row_weights(self) -> np.ndarray:
        """Relative cell area of each row: cos(latitude) on geographic grids, 1 otherwise."""
        if not self.is_geographic:
            return np.ones(self.rows)
        return np.cos(np.deg2rad(np.clip(self.latitudes(), -90, 90)))

    def row_areas_km2(self) -> np.ndarray:
        """Cell area of each row in km2: on the sphere for geographic grids, from the CRS's unit otherwise."""
        if self.is_geographic:
            edges = np.deg2rad(np.clip(self.north - np.arange(self.rows + 1) * self.dy, -90, 90))
            return self.unit_area_km2 * np.deg2rad(self.dx) * -np.diff(np.sin(edges))
        return np.full(self.rows, self.dx * self.dy * self.unit_area_km2)

    @property
    def unit_area_km2(self) -> float:
        """What a unit of area is in km2: a steradian on geographic grids, the CRS's own unit squared otherwise."""
        if self.is_geographic:
            return EARTH_RADIUS_KM**2
        metres = osr.SpatialReference(self.crs).GetLinearUnits() if self.crs else 1.0
        return metres**2 / 1e6

    def refine(self, factor: int) -> Grid:
        """Grid of the same extent with cells `factor` times smaller."""
        return replace(
            self, dx=self.dx / factor, dy=self.dy / factor, columns=self.columns * factor, rows=self.rows * factor
        )

    def coarsen(self, factor: int) -> Grid:
        """Grid of the same extent with cells `factor` times larger; `factor` must divide rows and columns."""
        if factor < 1:
            raise InvalidParameter(f"FACTOR is {factor}", "give a whole number of fine cells of at least 1")
        if self.columns % factor or self.rows % factor:
            raise GridMismatch(
                f"a grid of {self.describe()} cannot be grouped by {factor} x {factor} cells",
                f"clip it to a multiple of {factor} rows and columns, or change FACTOR",
            )
        return replace(
            self, dx=self.dx * factor, dy=self.dy * factor, columns=self.columns // factor, rows=self.rows // factor
        )

    def window(self, row: int, column: int, rows: int, columns: int) -> Grid:
        """Sub-grid that starts at a row and column of this one."""
        return replace(
            self, west=self.west + column * self.dx, north=self.north - row * self.dy, columns=columns, rows=rows
        )

    def matches(self, other: Grid) -> bool:
        """Whether both describe the same cells, within rounding of headers."""
        return (
            self.shape == other.shape
            and same_crs(self.crs, other.crs)
            and abs(self.west - other.west) <= ALIGNMENT_TOLERANCE * self.dx
            and abs(self.north - other.north) <= ALIGNMENT_TOLERANCE * self.dy
            and abs(self.east - other.east) <= ALIGNMENT_TOLERANCE * self.dx
            and abs(self.south - other.south) <= ALIGNMENT_TOLERANCE * self.dy
        )

    def require_match(self, other: Grid, mine: str, others: str) -> None:
        """Raise `GridMismatch`, naming both grids, unless they match."""
        if not same_crs(self.crs, other.crs):
            raise GridMismatch(
                f"{mine} and {others} have different coordinate reference systems "
                f"({self.describe()} against {other.describe()})",
                "reproject one with gdal:warpreproject to the other's grid",
            )
        if not self.matches(other):
            raise GridMismatch(
                f"{mine} ({self.describe()}) and {others} ({other.describe()}) are not on one grid",
                "bring both to one template with gwsa:preparepredictors or gdal:warpreproject",
            )

    def factor_to(self, coarse: Grid, fine_name: str = "the fine grid", coarse_name: str = "the coarse grid") -> int:
        """Whole number of fine cells along a coarse cell's side; edges and extents must coincide.

        Raises
        ------
        GridMismatch
            If the CRS differs, the ratio is not a whole number, or the extents differ.
        """
        if not same_crs(self.crs, coarse.crs):
            self.require_match(coarse, fine_name, coarse_name)
        ratio = coarse.dx / self.dx
        factor = int(round(ratio))
        if factor < 1 or abs(ratio - factor) > 1e-3 * max(factor, 1) or not self.matches(coarse.refine(max(factor, 1))):
            raise GridMismatch(
                f"{fine_name} ({self.describe()}) does not divide {coarse_name} ({coarse.describe()}) "
                "into whole cells with common edges",
                "clip or warp one of them so that edges coincide, for example with gdal:warpreproject",
            )
        return factor


def same_crs(first: str, second: str) -> bool:
    """Whether two WKT texts mean the same CRS; an unknown one agrees with any."""
    if not first or not second or first == second:
        return True
    options = ["IGNORE_DATA_AXIS_TO_SRS_AXIS_MAPPING=YES", "CRITERION=EQUIVALENT"]
    return bool(osr.SpatialReference(first).IsSame(osr.SpatialReference(second), options))


def grid_from_centres(longitudes: np.ndarray, latitudes: np.ndarray, crs: str = "") -> Grid:
    """Grid whose cell centres are given, west to east; latitudes in either direction.

    Raises
    ------
    GridMismatch
        If centres are not evenly spaced.
    """
    for name, values in (("longitudes", longitudes), ("latitudes", latitudes)):
        steps = np.diff(np.asarray(values, float))
        if values.size < 2 or np.ptp(steps) > 1e-3 * abs(steps.mean()):
            raise GridMismatch(f"the {name} are not evenly spaced", "give a file on a regular grid")
    # The span over all cells: rounding of single float32 centres does not add up.
    dx = float(longitudes[-1] - longitudes[0]) / (longitudes.size - 1)
    dy = abs(float(latitudes[-1] - latitudes[0])) / (latitudes.size - 1)
    dx, dy = round(dx, 9), round(dy, 9)
    north = float(max(latitudes[0], latitudes[-1])) + dy / 2
    west = float(longitudes[0]) - dx / 2
    return Grid(round(west, 7), round(north, 7), dx, dy, longitudes.size, latitudes.size, crs or geographic_crs())


def geographic_crs() -> str:
    """WKT of WGS 84 (EPSG:4326)."""
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(4326)
    return reference.ExportToWkt()

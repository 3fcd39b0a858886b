"""A stack of known values, ragged basins in it, and the area of each pixel inside a basin by GEOS."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal, ogr

from gwsa_qgis.months import month_range
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.stack import write_stack

gdal.UseExceptions()
Ring = list[list[float]]


@dataclass(frozen=True)
class BasinRegion:
    """Grid and months of a stack, rings of basins by name, and where files of others go."""

    folder: Path
    grid: Grid = field(default_factory=lambda: Grid(10.0, 50.0, 0.25, 0.25, 24, 20, geographic_crs()))
    months: np.ndarray = field(default_factory=lambda: month_range("2003-01", "2007-12"))

    @property
    def coarse(self) -> Grid:
        """Grid of cells of 1 degree."""
        return self.grid.coarsen(4)

    @property
    def stars(self) -> dict[str, list[Ring]]:
        return {
            "Indus": [self.star(12, 48, 1.5, 1), self.star(12, 48, 0.3, 2)],
            "Oder": [self.star(13.5, 47.2, 1.7, 3)],  # overlaps the first
            "Edge": [self.star(10.1, 49.8, 1.2, 4)],
            "Speck": [self.box(14.01, 48.01, 14.02, 48.02)],
        }

    @staticmethod
    def star(x: float, y: float, radius: float, seed: int, vertices: int = 30) -> Ring:
        random = np.random.default_rng(seed)
        angle = np.sort(random.uniform(0, 2 * np.pi, vertices))
        reach = radius * random.uniform(0.4, 1, vertices)
        ring = np.c_[x + 1.3 * reach * np.cos(angle), y + reach * np.sin(angle)].tolist()
        return [*ring, ring[0]]

    @staticmethod
    def box(west: float, south: float, east: float, north: float) -> Ring:
        return [[west, south], [east, south], [east, north], [west, north], [west, south]]

    def values(self) -> np.ndarray:
        """A season, a trend and noise, (months, rows, columns) float32; with a lake and months that lack values."""
        random = np.random.default_rng(0)
        time = np.arange(self.months.size)[:, None, None]
        noise = random.normal(size=(self.months.size, *self.grid.shape))
        values = 3 * np.sin(2 * np.pi * time / 12) - 0.05 * time + noise
        values[:, :4, 6:9] = np.nan  # a lake
        values[7] = np.nan  # a month without values
        values[20, :, :12] = np.nan  # half a month
        return values.astype(np.float32)

    def write_basins(self, rings_of: dict[str, list[Ring]], file_name: str = "b.geojson") -> Path:
        features = [
            {"type": "Feature", "properties": {"name": name}, "geometry": {"type": "Polygon", "coordinates": rings}}
            for name, rings in rings_of.items()
        ]
        path = self.folder / file_name
        path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
        return path

    def pixel_areas(self, rings: list[Ring]) -> np.ndarray:
        """Area of each pixel inside a polygon, km2, one pixel after the other with GEOS."""
        polygon = ogr.CreateGeometryFromJson(json.dumps({"type": "Polygon", "coordinates": rings}))
        if not polygon.IsValid():
            polygon = polygon.MakeValid(["METHOD=STRUCTURE"])
        grid, areas = self.grid, np.zeros(self.grid.shape)
        for row in range(grid.rows):
            for column in range(grid.columns):
                west, north = grid.west + column * grid.dx, grid.north - row * grid.dy
                corners = [self.box(west, north - grid.dy, west + grid.dx, north)]
                cell = ogr.CreateGeometryFromJson(json.dumps({"type": "Polygon", "coordinates": corners}))
                inside = polygon.Intersection(cell)
                inside.Segmentize(grid.dx / 300)
                areas[row, column] = 6371.0088**2 * spherical_area(inside)
        return areas

    @staticmethod
    def whole_area(rings: list[Ring]) -> float:
        """Area of a polygon, km2, inside the grid or not."""
        polygon = ogr.CreateGeometryFromJson(json.dumps({"type": "Polygon", "coordinates": rings}))
        polygon.Segmentize(0.001)
        return 6371.0088**2 * spherical_area(polygon)


def spherical_area(geometry: ogr.Geometry) -> float:
    """Area on the unit sphere, by rings cut so short that they stay straight on an equal-area cylinder."""
    if geometry.IsEmpty():
        return 0.0
    if geometry.GetGeometryName() == "POLYGON":
        areas = []
        for number in range(geometry.GetGeometryCount()):
            x, y = np.array(geometry.GetGeometryRef(number).GetPoints())[:, :2].T
            x, y = np.deg2rad(x - x[0]), np.sin(np.deg2rad(y))
            y = y - y[0]
            areas.append(abs((x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2))
        return areas[0] - sum(areas[1:])
    parts = [geometry.GetGeometryRef(number) for number in range(geometry.GetGeometryCount())]
    return sum(spherical_area(part) for part in parts)


@pytest.fixture
def region(tmp_path: Path) -> BasinRegion:
    return BasinRegion(tmp_path)


@pytest.fixture
def files(region: BasinRegion) -> dict[str, Path]:
    """Arguments of the step: the region's stack and its basins."""
    folder, months = region.folder, region.months
    filled = np.isin(months, np.array(["2004-06", "2005-01"], "datetime64[M]"))
    baseline = "2003-01 to 2007-12"
    stack = write_stack(folder / "gwsa.tif", region.grid, months, region.values(), baseline=baseline, filled=filled)
    basins = region.write_basins(region.stars, "basins.geojson")
    return {"input": stack, "basins": basins, "output": folder / "o.csv"}

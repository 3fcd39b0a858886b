"""The land of the sample region: relief, coast, lakes, glaciers, soils, aquifers, irrigated fields, mascons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.science.twin_fields import PowerLawFields, block_mean, blur

COARSE_DEGREES = 0.25
WEST, NORTH = -106.0, 42.0
MASCON_AREA_KM2 = 12_113.0  # the sphere's area divided by CSR's 42,107 mascons
KM_PER_DEGREE = 111.2
FIRST_MASCON_ID = 11_801
ICE_CLASS = 88
PUMPED_ZONES = 8


@dataclass(frozen=True)
class RegionGrid:
    """A square geographic region whose edges lie on the 0.25 degree grid, north up."""

    size: float
    factor: int

    def __post_init__(self) -> None:
        cells = self.size / COARSE_DEGREES
        if not 2 <= self.size <= 30 or abs(cells - round(cells)) > 1e-9:
            raise InvalidParameter(
                f"the size of the sample region is {self.size} degrees", "give 2 to 30, a multiple of 0.25"
            )
        if not 2 <= self.factor <= 30:
            raise InvalidParameter(f"the factor of the sample region is {self.factor}", "give 2 to 30")

    @property
    def cells(self) -> int:
        """Rows and columns of the coarse grid."""
        return round(self.size / COARSE_DEGREES)

    @property
    def pixels(self) -> int:
        """Rows and columns of the fine grid."""
        return self.cells * self.factor

    @property
    def pixels_per_degree(self) -> int:
        """Fine pixels in a degree."""
        return round(self.factor / COARSE_DEGREES)

    @property
    def cell_longitudes(self) -> np.ndarray:
        """Centres of coarse columns, degrees east."""
        return WEST + COARSE_DEGREES * (np.arange(self.cells) + 0.5)

    @property
    def cell_latitudes(self) -> np.ndarray:
        """Centres of coarse rows, degrees north, first row north."""
        return NORTH - COARSE_DEGREES * (np.arange(self.cells) + 0.5)

    @property
    def pixel_longitudes(self) -> np.ndarray:
        """Centres of fine columns, degrees east."""
        return WEST + (np.arange(self.pixels) + 0.5) / self.pixels_per_degree

    @property
    def pixel_latitudes(self) -> np.ndarray:
        """Centres of fine rows, degrees north, first row north."""
        return NORTH - (np.arange(self.pixels) + 0.5) / self.pixels_per_degree

    @property
    def pixel_area(self) -> np.ndarray:
        """Relative area of fine pixels, (pixels, pixels)."""
        return np.repeat(np.cos(np.radians(self.pixel_latitudes))[:, None], self.pixels, 1)


@dataclass(frozen=True)
class Land:
    """What does not change with time; all arrays (pixels, pixels) unless said otherwise."""

    grid: RegionGrid
    elevation: np.ndarray  # m, below 0 in the sea
    land: np.ndarray  # bool, lakes and glaciers included
    lake_level: np.ndarray  # above 0 in permanent water, -0.35 to 0 on the seasonal fringe
    glacier: np.ndarray  # bool
    glacier_rings: list[np.ndarray]  # (n, 2) longitudes and latitudes
    valley: np.ndarray  # topographic position, positive in valleys, about unit variance
    ruggedness: np.ndarray  # 0 in plains to about 1 on steep relief
    soils: dict[str, np.ndarray]  # conventional units, see SOIL_UNITS
    aquifer: np.ndarray  # HYGEO2 class
    pumping: np.ndarray  # share of a pixel whose irrigation pumps groundwater, 0 to 1
    greening: np.ndarray  # share of a pixel irrigated from any source, what satellites see
    pumping_zone: np.ndarray  # 0 none, 1.. number of the depletion zone
    mascon: np.ndarray  # (cells, cells) int32 native mascon ids
    land_cell: np.ndarray  # (cells, cells) bool


SOIL_UNITS = {
    "clay": "%", "silt": "%", "sand": "%", "cfvo": "%", "cec": "cmol(c)/kg", "phh2o": "pH", "soc": "g/kg", "nitrogen": "g/kg",
}  # fmt: skip


def make_land(grid: RegionGrid, seed: int) -> Land:
    """Draw the land of the sample region.

    Parameters
    ----------
    grid : RegionGrid
    seed : int
        Same seed, same land.
    """
    fields = PowerLawFields(grid.pixels, grid.pixels_per_degree, [seed, 1])
    east, south = _unit_coordinates(grid)
    elevation, mountains = _relief(grid, fields, east, south)
    lake_level = _lakes(grid, fields, elevation)
    glacier, rings = _glaciers(grid, elevation, seed)
    land = elevation > 0
    smooth = blur(elevation, 0.3 * grid.pixels_per_degree)
    valley = np.tanh((smooth - elevation) / (60 + 0.12 * np.abs(smooth))).astype(np.float32)
    slope = np.hypot(*np.gradient(elevation)) * grid.pixels_per_degree
    ruggedness = np.clip(blur(slope, 0.06 * grid.pixels_per_degree) / 3500, 0, 1)
    aquifer = _aquifers(grid, fields, glacier)
    pumping, greening, zone = _irrigation(grid, land & (lake_level < -0.4) & (mountains < 0.25), seed)
    land_cell = block_mean(land.astype(float), grid.factor) >= 0.5
    return Land(
        grid=grid, elevation=elevation, land=land, lake_level=lake_level, glacier=glacier, glacier_rings=rings,
        valley=valley, ruggedness=ruggedness, soils=_soils(fields, east, elevation, ruggedness, valley),
        aquifer=aquifer, pumping=pumping, greening=greening, pumping_zone=zone,
        mascon=_mascons(grid, land_cell, seed), land_cell=land_cell,
    )  # fmt: skip


def _unit_coordinates(grid: RegionGrid) -> tuple[np.ndarray, np.ndarray]:
    unit = ((np.arange(grid.pixels) + 0.5) / grid.pixels).astype(np.float32)
    return np.meshgrid(unit, unit)


def _relief(grid, fields, east, south) -> tuple[np.ndarray, np.ndarray]:
    """Elevation (m) of a plain that falls to a coast in the south-east, with a mountain range in the west."""
    ridge = 0.22 + 0.07 * np.sin(4 * south) + 0.02 * fields.draw(3.5)
    mountains = np.exp(-0.5 * ((east - ridge) / 0.075) ** 2)
    crest = mountains * np.maximum(1900 + 500 * fields.draw(2.8) + 260 * fields.draw(2.2, 1.0), 100)
    plain = 1000 * (1.55 - east - south) + 55 * fields.draw(3.0)
    texture = (35 + 160 * np.clip(plain / 900, 0, 1) * (0.3 + mountains)) * fields.draw(2.6, 2.0)
    elevation = plain + crest + 0.5 * texture
    inland = east + south < 1.3
    elevation = np.where(inland, np.maximum(elevation, 6 + 0.02 * np.abs(elevation)), elevation)
    return elevation.astype(np.float32), mountains


def _lakes(grid, fields, elevation) -> np.ndarray:
    """How deep inside the nearest lake a pixel is, in lake radii, negative outside."""
    places = [(0.48, 0.2, 0.38), (0.72, 0.36, 0.3), (0.36, 0.66, 0.26), (0.58, 0.74, 0.34), (0.86, 0.1, 0.22)]
    noise = fields.draw(3.0, 1.0)
    longitude, latitude = np.meshgrid(np.arange(grid.pixels) + 0.5, np.arange(grid.pixels) + 0.5)
    level = np.full((grid.pixels,) * 2, -9.0)
    for x, y, degrees in places:
        radius = min(degrees, 0.06 * grid.size) * grid.pixels_per_degree
        distance = np.hypot((longitude - x * grid.pixels) * 0.8, (latitude - y * grid.pixels) * 1.15)
        level = np.maximum(level, 1 - distance / radius + 0.22 * noise)
    return np.where(elevation > 0, level, -9).astype(np.float32)


def _glaciers(grid, elevation, seed) -> tuple[np.ndarray, list[np.ndarray]]:
    """Ice round the highest peaks: rough rings, and the pixels whose centre they cover."""
    generator = np.random.default_rng([seed, 2])
    free = elevation.astype(float).copy()
    row_index, column_index = np.indices(free.shape)
    covered, rings = np.zeros(free.shape, bool), []
    for k in range(max(4, round(1.5 * grid.size))):
        row, column = np.unravel_index(np.argmax(free), free.shape)
        radius = (0.17 if k < 3 else generator.uniform(0.03, 0.1)) * grid.pixels_per_degree * min(1, grid.size / 6)
        angle = np.linspace(0, 2 * np.pi, 25)[:-1]
        reach = radius * (1 + 0.18 * np.sin(3 * angle + generator.uniform(0, 6)) + 0.06 * generator.standard_normal(24))
        east, south = column + 0.5 + reach * np.cos(angle), row + 0.5 + reach * np.sin(angle)
        rings.append(np.c_[WEST + east / grid.pixels_per_degree, NORTH - south / grid.pixels_per_degree])
        distance = np.hypot(row_index - row, column_index - column)
        bearing = np.arctan2(row_index - row, column_index - column) % (2 * np.pi)
        covered |= distance < np.interp(bearing, np.r_[angle, 2 * np.pi], np.r_[reach, reach[0]])
        free[distance < 2.2 * radius + 1] = -np.inf
    return covered, rings


def _soils(fields, east, elevation, ruggedness, valley) -> dict[str, np.ndarray]:
    clay = np.clip(24 + 8 * fields.draw(2.6, 4) + 5 * valley, 4, 65)
    sand = np.clip(44 + 13 * fields.draw(2.6, 4) - 0.5 * (clay - 24) + 8 * ruggedness, 5, 92 - clay)
    soc = np.clip(9 + 4 * fields.draw(2.8, 4) + 8 * np.clip(elevation / 2500, 0, 1.5) + 5 * east, 1, 80)
    soils = {
        "clay": clay,
        "silt": 100 - clay - sand,
        "sand": sand,
        "cfvo": np.clip(7 + 22 * ruggedness + 3 * fields.draw(2.4, 3), 0, 70),
        "cec": np.clip(5 + 0.5 * clay + 0.3 * soc + 2 * fields.draw(2.4, 3), 2, 70),
        "phh2o": np.clip(7.7 - 1.3 * east + 0.4 * fields.draw(2.8, 4), 4, 9.5),
        "soc": soc,
        "nitrogen": np.clip(soc / 11 + 0.12 * fields.draw(2.4, 3), 0.1, 8),
    }
    return {name: values.astype(np.float32) for name, values in soils.items()}


def _aquifers(grid, fields, glacier) -> np.ndarray:
    """Patches of four HYGEO2 classes with wavy edges; ice where the large glaciers lie."""
    seeds = np.array([(0.12, 0.2, 33), (0.2, 0.55, 33), (0.25, 0.9, 23), (0.42, 0.12, 23), (0.5, 0.42, 13),
                      (0.46, 0.72, 13), (0.72, 0.18, 14), (0.78, 0.5, 14), (0.7, 0.85, 23), (0.95, 0.3, 13)])  # fmt: skip
    east, south = _unit_coordinates(grid)
    east = east + 0.03 * fields.draw(3.0, 3)
    south = south + 0.03 * fields.draw(3.0, 3)
    distance = np.stack([(east - x) ** 2 + (south - y) ** 2 for x, y, _ in seeds])
    classes = seeds[:, 2].astype(np.int16)[distance.argmin(0)]
    return np.where(blur(glacier, 0.04 * grid.pixels_per_degree) > 0.4, ICE_CLASS, classes).astype(np.int16)


def _irrigation(grid, arable, seed) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Field blocks inside ten zones: eight pump groundwater, the last two are fed by canals.

    Some pumping districts are not green (industry, or crops grown in the rain season), so what satellites see
    explains most of the pumping, not all of it.
    """
    generator = np.random.default_rng([seed, 3])
    zones = [(0.56, 0.33, 0.15, 0.10), (0.84, 0.45, 0.09, 0.12), (0.42, 0.85, 0.11, 0.08), (0.68, 0.11, 0.09, 0.06),
             (0.06, 0.38, 0.05, 0.10), (0.47, 0.57, 0.07, 0.06), (0.93, 0.20, 0.05, 0.07), (0.07, 0.78, 0.06, 0.07),
             (0.68, 0.62, 0.08, 0.06), (0.40, 0.13, 0.05, 0.06)]  # fmt: skip
    east, south = _unit_coordinates(grid)
    block = max(1, round(0.15 * grid.pixels_per_degree))
    blocks = -(-grid.pixels // block)
    pumping, greening = np.zeros((2, grid.pixels, grid.pixels), np.float32)
    number = np.zeros((grid.pixels,) * 2, np.uint8)
    for k, (x, y, width, height) in enumerate(zones, start=1):
        tilt = generator.uniform(-0.5, 0.5)
        across, along = (east - x) + tilt * (south - y), (south - y) - tilt * (east - x)
        across, along = np.abs(across) / width, np.abs(along) / height
        inside = (across < 1) & (along < 1) & (across + along < 1.6)
        active = generator.random((blocks, blocks)) < 0.68
        share = np.kron(active * generator.uniform(0.55, 1, (blocks, blocks)), np.ones((block, block)))
        share = share[: grid.pixels, : grid.pixels] * (inside & arable)
        seen = np.kron(generator.random((blocks, blocks)) < 0.85, np.ones((block, block)))[: grid.pixels, : grid.pixels]
        number[inside & arable] = k
        if k <= PUMPED_ZONES:
            pumping = np.maximum(pumping, share)
            greening = np.maximum(greening, share * seen)
        else:
            greening = np.maximum(greening, share)
    number[number > PUMPED_ZONES] = 0
    return pumping.astype(np.float32), greening.astype(np.float32), number


def _mascons(grid: RegionGrid, land_cell: np.ndarray, seed: int) -> np.ndarray:
    """Native mascon ids on the coarse grid: equal-area hexagons, irregular on the cells, parted along the coast."""
    generator = np.random.default_rng([seed, 4])
    pitch = np.sqrt(MASCON_AREA_KM2 * 2 / np.sqrt(3)) / KM_PER_DEGREE
    latitude, longitude = np.meshgrid(grid.cell_latitudes, grid.cell_longitudes, indexing="ij")
    centres = []
    rows = int(grid.size / (pitch * np.sqrt(0.75))) + 2
    for row in range(-1, rows + 1):
        centre_latitude = NORTH - (row + 0.5) * pitch * np.sqrt(0.75)
        step = pitch / np.cos(np.radians(centre_latitude))
        columns = np.arange(-1, int(grid.size / step) + 2) + (0.5 if row % 2 else 0.0)
        centres += [(centre_latitude, WEST + step * (column + 0.4)) for column in columns]
    centres = np.array(centres) + 0.04 * generator.standard_normal((len(centres), 2))
    shrink = np.cos(np.radians(latitude))[..., None]
    distance = (latitude[..., None] - centres[:, 0]) ** 2 + (shrink * (longitude[..., None] - centres[:, 1])) ** 2
    label = distance.argmin(-1)
    for surface in (True, False):
        cells = land_cell == surface
        counts = np.bincount(label[cells], minlength=len(centres))
        kept = np.flatnonzero(counts >= 6)
        if kept.size:
            label[cells] = kept[distance[cells][:, kept].argmin(-1)]
    label = 2 * label + ~land_cell
    return (FIRST_MASCON_ID + np.unique(label, return_inverse=True)[1].reshape(label.shape)).astype(np.int32)

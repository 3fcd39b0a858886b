"""The climate of the sample region, month by month: precipitation, temperature, snow, soil water, evaporation, plants."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gwsa_qgis.months import calendar_month
from gwsa_qgis.science.red_noise import red_series
from gwsa_qgis.science.twin_fields import PowerLawFields, RedField
from gwsa_qgis.science.twin_land import Land


@dataclass
class Weather:
    """One month of the truth; arrays (pixels, pixels) float32."""

    month: np.datetime64
    season: float  # phase of the calendar month, radians
    precipitation: np.ndarray  # mm per month
    temperature: np.ndarray  # degrees C
    evaporation: np.ndarray  # mm per month
    soil_water: np.ndarray  # cm
    wetness: np.ndarray  # soil water as a share of what the soil can hold
    drainage: np.ndarray  # cm per month, out of the soil downwards
    snow: np.ndarray  # cm
    canopy: np.ndarray  # cm
    greenness: np.ndarray  # NDVI
    surface_temperature: np.ndarray  # degrees C, by day


class Climate:
    """Steps the region's surface water balance from month to month.

    A bucket of soil water, a degree-month snow pack and demand-limited evaporation: enough for storages, fluxes and
    greenness to hang together as they do in nature (soil dries where it rains less, fields stay green and cool where
    they are irrigated). Nothing is meant to forecast.

    Parameters
    ----------
    land : Land
    months : ndarray of datetime64[M]
        Months that will be stepped through, spin-up included.
    seed : int
    """

    def __init__(self, land: Land, months: np.ndarray, seed: int) -> None:
        grid = land.grid
        self._land, self._months, self._at = land, months, 0
        self._fields = PowerLawFields(grid.pixels, grid.pixels_per_degree, [seed, 10])
        generator = np.random.default_rng([seed, 11])
        self._storms = RedField(self._fields, 2.7, 0.35, longest=6)
        self._warmth = RedField(self._fields, 3.4, 0.3, longest=8)
        self._vegetation = self._fields.draw(2.4, 3)
        self._dryness = red_series(generator, (months.size, 3), 0.9)
        self._patterns = np.stack([self._fields.draw(4.0, 12) for _ in range(3)])
        kilometres = np.clip(land.elevation, 0, None) / 1000
        east = np.linspace(0, 1, grid.pixels, dtype=np.float32)[None]
        self._mean_rain = 42 + 30 * east + 19 * kilometres + 4 * self._fields.draw(2.8, 3)
        self._mean_warmth = 16.5 - 5.6 * kilometres + np.linspace(-2.5, 2.5, grid.pixels, dtype=np.float32)[:, None]
        self._capacity = 12 + 0.28 * land.soils["clay"] - 0.06 * land.soils["cfvo"]
        self._conductivity = 0.25 + 0.011 * land.soils["sand"]
        self._water = 0.5 * self._capacity
        self._snow = np.zeros_like(self._water)
        self._lagged_wetness = np.full_like(self._water, 0.5)

    def step(self) -> Weather:
        """Weather and storages of the next month."""
        month, land = self._months[self._at], self._land
        calendar = int(calendar_month(month[None])[0])
        season = 2 * np.pi * (calendar - 0.5) / 12
        rain, warmth = self._rain_and_warmth(season)
        self._at += 1
        growing = np.clip((warmth - 4) / 14, 0, 1)
        dry_season = 0.5 + 0.5 * np.clip(-np.cos(season - 0.9), 0, 1)
        watering = land.greening * (0.35 + 0.65 * growing) * dry_season
        snowfall = rain / (1 + np.exp(np.clip((warmth - 0.5) / 1.3, -30, 30)))
        melt = np.minimum(self._snow, 1.7 * np.clip(warmth + 1.5, 0, None))
        # above 45 cm new snow turns to ice and flows away, which keeps the pack of high peaks from growing for ever
        self._snow = np.minimum(self._snow + snowfall / 10 - melt, 45)
        demand = 8 + 5.2 * np.clip(warmth, 0, None)
        evaporation = demand * np.clip(self._water / self._capacity, 0, 1) ** 0.8 + 32 * watering
        evaporation = np.minimum(evaporation, 10 * self._water)
        self._water = self._water + (rain - snowfall - evaporation) / 10 + melt + 3.4 * watering
        excess = np.clip(self._water / self._capacity - 0.42, 0, None)
        drainage = np.minimum(self._conductivity * 11 * excess**1.6, 0.9 * excess * self._capacity)
        self._water = np.minimum(self._water, self._capacity + drainage)  # the rest runs off
        self._water = np.clip(self._water - drainage, 0.6, self._capacity)
        wetness = self._water / self._capacity
        self._lagged_wetness = 0.5 * self._lagged_wetness + 0.5 * wetness
        plants = 1 / (1 + np.exp(-7 * (self._lagged_wetness - 0.42))) * (0.35 + 0.65 * growing)
        greenness = 0.13 + 0.035 * self._vegetation * growing + 0.5 * plants * (1 - 0.6 * land.ruggedness)
        greenness = greenness + 0.48 * watering * (1 - 0.4 * plants) - 0.12 * np.clip(self._snow, 0, 1)
        surface = warmth + 2 + 9 * growing * (1 - wetness) - 8 * watering - 3 * np.clip(self._snow / 3, 0, 1)
        return Weather(
            month=month, season=season, precipitation=rain, temperature=warmth, evaporation=evaporation,
            soil_water=self._water, wetness=wetness, drainage=drainage, snow=self._snow,
            canopy=0.035 * np.clip(greenness, 0, 1) * np.clip(rain / 100, 0, 1), greenness=greenness,
            surface_temperature=surface,
        )  # fmt: skip

    def _rain_and_warmth(self, season: float) -> tuple[np.ndarray, np.ndarray]:
        spell = np.tensordot(self._dryness[self._at], self._patterns, 1).astype(np.float32)
        fine = 0.5 * self._storms.step() + 0.13 * spell + 0.12 * self._dryness[self._at, 0]
        cycle = 1 - 0.55 * np.cos(season + 0.25)
        rain = self._mean_rain * cycle * np.exp(fine - 0.13)
        warmth = self._mean_warmth - 11.5 * np.cos(season - 0.35) + 0.9 * self._warmth.step() - 0.35 * spell
        return np.clip(rain, 0, 600).astype(np.float32), warmth.astype(np.float32)

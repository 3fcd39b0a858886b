"""Observation wells of the sample region: point readings of the true groundwater, good, poor and misplaced."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gwsa_qgis.science.red_noise import red_series
from gwsa_qgis.science.twin import SPECIFIC_YIELD, Twin


@dataclass(frozen=True)
class Wells:
    """Stations and readings."""

    stations: list[str]
    longitudes: np.ndarray
    latitudes: np.ndarray
    months: np.ndarray
    readings: list[tuple[int, int, float]]  # station number, month number, depth to water in m, positive down


def make_wells(twin: Twin, seed: int, count: int = 250) -> Wells:
    """Draw wells and their monthly depths from 2004 (or the first month) to the last.

    Head follows the true storage divided by the specific yield; each well adds a response of its own, noise, a drift
    for every seventh, gaps, and every tenth is unreliable (its head has little to do with the storage). A few lie
    outside the region, and some readings occur twice, as in real tables.
    """
    generator = np.random.default_rng([seed, 40])
    grid, land = twin.land.grid, twin.land
    months = twin.months[twin.months >= np.datetime64("2004-01")]
    storage = twin.groundwater[twin.months.size - months.size :]
    usable = land.land & ~land.glacier & (land.lake_level < 0) & (land.ruggedness < 0.6)
    chance = np.where(usable, 1 + 5 * land.pumping, 0).ravel().astype(float)
    outside = max(2, count // 30)
    inside = count - outside
    pixel = generator.choice(chance.size, inside, p=chance / chance.sum())
    row, column = np.unravel_index(pixel, usable.shape)
    offset = generator.uniform(0.05, 0.95, (2, inside)) / grid.pixels_per_degree
    step = 1 / grid.pixels_per_degree
    longitudes = grid.pixel_longitudes[column] - step / 2 + offset[0]
    latitudes = grid.pixel_latitudes[row] - step / 2 + offset[1]
    longitudes = np.r_[longitudes, grid.cell_longitudes[-1] + generator.uniform(1, 4, outside)]
    latitudes = np.r_[latitudes, generator.uniform(grid.cell_latitudes[-1], grid.cell_latitudes[0], outside)]

    head = np.zeros((months.size, count))
    head[:, :inside] = storage[:, row, column] / 100 / SPECIFIC_YIELD
    head[:, :inside] *= generator.uniform(0.6, 1.4, inside)
    unreliable = np.arange(count) % 10 == 3
    head[:, unreliable] *= 0.1
    drifting = np.arange(count) % 7 == 5
    years = np.arange(months.size)[:, None] / 12
    head += red_series(generator, head.shape, 0.9) * np.where(unreliable, 0.9, 0.12)
    head += generator.standard_normal(head.shape) * 0.05 + drifting * generator.normal(0, 0.04, count) * years
    depth = generator.uniform(4, 35, count) - head
    present = generator.random(depth.shape) > 0.06
    for well in np.flatnonzero(generator.random(count) < 0.4):
        first = generator.integers(0, months.size)
        present[first : first + generator.integers(6, 30), well] = False
    readings = [(int(w), int(m), round(float(depth[m, w]), 3)) for w, m in np.argwhere(present.T)]
    readings = [reading for k, reading in enumerate(readings) for _ in range(2 if k % 4001 == 4000 else 1)]
    return Wells([f"SB-{k + 1:04d}" for k in range(count)], longitudes, latitudes, months, readings)

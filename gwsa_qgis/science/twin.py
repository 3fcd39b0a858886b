"""The sample region: a basin that never was, whose fine groundwater is known, and what instruments see of it.

The truth holds what makes downscaling hard: pumped fields with sharp edges that satellites see in part, texture that
follows relief, a climate-driven part that predictors explain, a part that none explains, broad swings between years,
and a gravity product that knows one value per native mascon of about 1 degree, with noise and missing months.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gwsa_qgis.errors import InvalidMonths
from gwsa_qgis.months import month_range
from gwsa_qgis.science.red_noise import red_series
from gwsa_qgis.science.twin_climate import Climate, Weather
from gwsa_qgis.science.twin_fields import PowerLawFields, RedField, block_mean
from gwsa_qgis.science.twin_land import PUMPED_ZONES, Land, RegionGrid, make_land

SPIN_UP = 60
BASELINE = (np.datetime64("2004-01"), np.datetime64("2009-12"))
NOISE_CM = 0.85
LEAKAGE = 0.04
SPECIFIC_YIELD = 0.16  # of the place the region is put, METHOD table 2
PART_STEP = 5  # parts of the truth are kept on every fifth pixel
LAYER_SHARE = np.array([0.09, 0.24, 0.36, 0.31])
LAYER_BASE_MM = np.array([8.0, 25.0, 60.0, 130.0])


@dataclass(frozen=True)
class Twin:
    """The truth and its observations before they are written as files.

    Fine stacks are (months, pixels, pixels) float32, coarse ones (months, cells, cells), mascon series
    (months, mascons) in the order of `mascon_ids`.
    """

    land: Land
    months: np.ndarray
    groundwater: np.ndarray  # cm, anomaly to the baseline, NaN in the sea
    parts: dict[str, np.ndarray]  # groundwater by cause, cm, anomaly, on every fifth pixel
    products: dict[str, np.ndarray]  # what satellites and models say of the fine grid: tas, pr, et, sm, ndvi, lst
    land_model: dict[str, np.ndarray]  # soil (layers apart), snow, canopy in mm; rain, evaporation in mm per month
    mascon_ids: np.ndarray
    mascon_twsa: np.ndarray  # cm, anomaly to the baseline, with noise and leakage


def make_twin(
    seed: int = 42,
    size: float = 12.0,
    factor: int = 5,
    start: str = "2002-04",
    end: str = "2020-12",
    progress: Callable[[float, str], None] | None = None,
) -> Twin:
    """Make the sample region.

    Parameters
    ----------
    seed : int
        Same seed, same region.
    size : float
        Degrees across, a multiple of 0.25.
    factor : int
        Fine pixels along a coarse cell.
    start, end : str
        First and last month, ``YYYY-MM``.
    progress : callable, optional
        Called with a share and a message; may raise to stop.

    Raises
    ------
    InvalidParameter, InvalidMonths
        If the size or factor is out of bounds, or no month lies in 2004 to 2009.
    """
    months = month_range(start, end)
    in_baseline = (months >= BASELINE[0]) & (months <= BASELINE[1])
    if not in_baseline.any():
        raise InvalidMonths(
            f"the sample region would span {start} to {end}", "include at least one month of 2004-2009, the baseline"
        )
    land = make_land(RegionGrid(size, factor), seed)
    spun = np.arange(months[0] - SPIN_UP, months[-1] + 1)
    climate, aquifer = Climate(land, spun, seed), Groundwater(land, spun, seed)
    view = Instruments(land, months, seed)
    for t, month in enumerate(spun):
        weather = climate.step()
        parts = aquifer.step(weather)
        if month >= months[0]:
            view.record(t - SPIN_UP, weather, parts)
        if progress and t % 6 == 0:
            progress(t / spun.size, f"sample region: {month}")
    return view.finish(in_baseline)


class Groundwater:
    """Groundwater storage by cause, month by month."""

    def __init__(self, land: Land, months: np.ndarray, seed: int) -> None:
        grid = land.grid
        fields = PowerLawFields(grid.pixels, grid.pixels_per_degree, [seed, 20])
        generator = np.random.default_rng([seed, 21])
        self._land = land
        gain = {13: 1.0, 14: 1.25, 23: 0.8, 33: 0.6, 88: 0.3}
        self._gain = np.select([land.aquifer == c for c in gain], list(gain.values()), 1.0).astype(np.float32)
        self._quick = np.zeros((grid.pixels,) * 2, np.float32)
        self._slow = np.full((grid.pixels,) * 2, 3.0, np.float32)
        self._delay = (22 + 8 * land.valley - 8 * land.ruggedness).astype(np.float32)
        self._own = RedField(fields, 2.5, 0.93, longest=2.5)
        self._own_season = fields.draw(2.5, 2)
        self._own_trend = fields.draw(2.8, 2.5)
        self._broad_patterns = np.stack([fields.draw(4.5, 14) for _ in range(4)])
        self._broad_series = red_series(generator, (months.size, 4), 0.97)
        self._lag = 0.35 * fields.draw(4.5, 14)
        self._years = (months.astype(int) / 12 + 1970).astype(float)
        self._pumping = _pumping_rates(land)
        self._depletion = np.zeros((grid.pixels,) * 2, np.float32)
        self._at = 0

    def step(self, weather: Weather) -> dict[str, np.ndarray]:
        """Storage (cm) of the next month by cause; the level is arbitrary, only changes matter."""
        land, t = self._land, self._at
        year = self._years[t]
        recharge = 3 * np.tanh(weather.drainage / 3) * (0.25 + 0.006 * land.soils["sand"]) * self._gain
        recharge = recharge * (1 - 0.75 * land.ruggedness)
        self._quick = self._quick * 0.75 + 0.65 * recharge
        self._slow = self._slow * (1 - 1 / self._delay) + 0.15 * recharge
        table = 15.0 * self._gain * (0.6 + 0.01 * land.soils["sand"]) * weather.wetness * (1 - 0.5 * land.ruggedness)
        for begin, acceleration, rate in self._pumping:
            stress = max(0.0, min(2.2, 0.45 + acceleration * (year - begin))) if year >= begin else 0.0
            if stress:
                dry = np.clip(1.7 - 1.6 * weather.wetness, 0.3, 1.7)
                season = 1 + 0.8 * np.cos(weather.season - 3.9)
                self._depletion = self._depletion - rate * np.float32(stress * season / 12) * dry
        cycle = np.cos(weather.season - 1.9 + self._lag)
        relief = land.valley * (2.2 * cycle + 7.0 * (weather.wetness - 0.5)) * (0.5 + land.ruggedness)
        own = 0.85 * self._own.step() + 0.5 * self._own_season * np.cos(weather.season - 0.7)
        own = own + self._own_trend * np.float32(0.07 * (year - 2012))
        broad = 1.1 * np.tensordot(self._broad_series[t], self._broad_patterns, 1) + 2.2 * cycle
        self._at += 1
        return {
            "pumping": self._depletion,
            "climate": (self._quick + self._slow + table).astype(np.float32),
            "relief": relief.astype(np.float32),
            "unexplained": own.astype(np.float32),
            "broad": broad.astype(np.float32),
        }


def _pumping_rates(land: Land) -> list[tuple[float, float, np.ndarray]]:
    """First year, growth a year and rate (cm/yr at stress 1) of each depletion zone."""
    starts = (1999.0, 2003.5, 2006.0, 2000.5, 2004.0, 2001.0, 2002.0, 2005.0)
    rates = (1.9, 1.7, 2.0, 1.5, 1.8, 1.6, 1.9, 1.4)
    zones = [k for k in range(1, PUMPED_ZONES + 1) if (land.pumping_zone == k).any()]
    return [(starts[k - 1], 0.06, rates[k - 1] * land.pumping * (land.pumping_zone == k)) for k in zones]


class Instruments:
    """What satellites and the land model report of the truth, gathered month by month."""

    def __init__(self, land: Land, months: np.ndarray, seed: int) -> None:
        grid = land.grid
        self._land, self._months = land, months
        fields = PowerLawFields(grid.pixels, grid.pixels_per_degree, [seed, 30])
        self._fields = fields
        self._generator = np.random.default_rng([seed, 31])
        self._error = {name: RedField(fields, 2.3, 0.6, longest=2) for name in ("pr", "et", "sm", "ndvi")}
        self._bias = {name: fields.draw(2.6, 3) for name in ("et", "sm", "ndvi", "lst")}
        cells = PowerLawFields(grid.cells, 4, [seed, 32])
        self._model_error, self._model_gain = RedField(cells, 2.6, 0.85, longest=4), 1 + 0.05 * cells.draw(3.5, 8)
        self._model_error_snow = 1 + 0.08 * cells.draw(3.0, 6)
        shape = (months.size, grid.pixels, grid.pixels)
        self._groundwater = np.empty(shape, np.float32)
        self._products = {name: np.empty(shape, np.float32) for name in ("tas", "pr", "et", "sm", "ndvi", "lst")}
        self._parts: dict[str, list] = {}
        self._model: dict[str, list] = {}
        self._weights = land.land * grid.pixel_area
        cell_of_pixel = np.kron(land.mascon, np.ones((grid.factor, grid.factor), np.int32))
        self._ids, index = np.unique(land.mascon, return_inverse=True)
        self._pixel_mascon = np.searchsorted(self._ids, cell_of_pixel).ravel()
        self._cell_mascon = index.reshape(land.mascon.shape)
        sea_too = np.where(land.land.ravel(), 1.0, 1e-6) * grid.pixel_area.ravel()  # sea mascons average sea
        self._mascon_weight = sea_too
        self._mascon_total = np.bincount(self._pixel_mascon, sea_too, self._ids.size)
        self._mascon_storage = np.empty((months.size, self._ids.size))
        self._ocean = fields.draw(4.5, 10)

    def record(self, t: int, weather: Weather, parts: dict[str, np.ndarray]) -> None:
        """Take one month into the observations."""
        groundwater = sum(parts.values())
        self._groundwater[t] = groundwater
        for name, part in parts.items():
            self._parts.setdefault(name, []).append(part[::PART_STEP, ::PART_STEP].copy())
        ocean = (2.5 * np.cos(weather.season - 4.4) + 1.2 * self._ocean * np.cos(weather.season)).astype(np.float32)
        storage = groundwater + weather.soil_water + weather.snow + weather.canopy
        storage = np.where(self._land.land, storage, ocean)
        weighted = np.bincount(self._pixel_mascon, storage.ravel() * self._mascon_weight, self._ids.size)
        self._mascon_storage[t] = weighted / self._mascon_total
        self._record_products(t, weather)
        self._record_land_model(weather)

    def _record_products(self, t: int, weather: Weather) -> None:
        error = {name: field.step() for name, field in self._error.items()}
        product = self._products
        product["tas"][t] = weather.temperature
        product["pr"][t] = weather.precipitation * np.exp(0.10 * error["pr"])
        product["et"][t] = np.clip(weather.evaporation * (1 + 0.1 * self._bias["et"] + 0.08 * error["et"]), 0, None)
        wetness = weather.wetness + 0.03 * self._bias["sm"] + 0.035 * error["sm"]
        product["sm"][t] = np.clip(0.04 + 0.4 * wetness, 0.01, 0.6)
        product["ndvi"][t] = np.clip(weather.greenness + 0.02 * self._bias["ndvi"] + 0.02 * error["ndvi"], -0.15, 0.95)
        product["lst"][t] = weather.surface_temperature + 0.8 * self._bias["lst"]

    def _record_land_model(self, weather: Weather) -> None:
        """The land model on 0.25 degree cells: cell means of the truth with errors of its own."""
        factor = self._land.grid.factor

        def cell(values: np.ndarray) -> np.ndarray:
            return block_mean(values, factor, self._weights).astype(np.float32)

        soil = 10 * (cell(weather.soil_water) * self._model_gain + 0.6 * self._model_error.step())
        soil = np.clip(soil, 5, None)
        layers = soil[None] * LAYER_SHARE[:, None, None] + LAYER_BASE_MM[:, None, None]
        values = {
            "soil": layers,
            "snow": 10 * cell(weather.snow) * np.clip(self._model_error_snow, 0.5, 1.5),
            "canopy": 10 * cell(weather.canopy),
            "rain": cell(weather.precipitation),
            "evaporation": cell(weather.evaporation),
        }
        for name, value in values.items():
            self._model.setdefault(name, []).append(value.astype(np.float32))

    def finish(self, in_baseline: np.ndarray) -> Twin:
        """Turn storages into anomalies and add the errors of gravity."""
        gw = self._groundwater
        gw -= gw[in_baseline].mean(0, dtype=np.float64).astype(np.float32)
        np.round(gw * 1024, out=gw)
        gw /= 1024  # a truth of few digits, so that its file packs well
        gw[:, ~self._land.land] = np.nan
        parts, land = {}, self._land.land[::PART_STEP, ::PART_STEP]
        for name, layers in self._parts.items():
            stack = np.stack(layers)
            parts[name] = np.where(land, stack - stack[in_baseline].mean(0), np.nan)
        return Twin(
            land=self._land, months=self._months, groundwater=gw, parts=parts, products=self._products,
            land_model={name: np.stack(layers) for name, layers in self._model.items()},
            mascon_ids=self._ids, mascon_twsa=self._gravity(in_baseline),
        )  # fmt: skip

    def _gravity(self, in_baseline: np.ndarray) -> np.ndarray:
        twsa = self._mascon_storage - self._mascon_storage[in_baseline].mean(0)
        twsa = twsa @ _neighbour_mixing(self._cell_mascon, self._ids.size, LEAKAGE).T
        white = self._generator.standard_normal(twsa.shape)
        red = red_series(self._generator, twsa.shape, 0.7)
        twsa = twsa + NOISE_CM * (np.sqrt(0.8) * white + np.sqrt(0.2) * red)
        return twsa - twsa[in_baseline].mean(0)


def _neighbour_mixing(label: np.ndarray, count: int, share: float) -> np.ndarray:
    """Row-stochastic matrix that gives each mascon `share` of the mean of its neighbours."""
    border = np.zeros((count, count))
    for one, other in ((label[:, 1:], label[:, :-1]), (label[1:], label[:-1])):
        np.add.at(border, (one.ravel(), other.ravel()), 1)
    border = border + border.T
    np.fill_diagonal(border, 0)
    total = border.sum(1, keepdims=True)
    mixing = share * border / np.maximum(total, 1)
    return mixing + np.diag(1 - mixing.sum(1))

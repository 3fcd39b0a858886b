"""Raster files of the sample region, in the names, integer codes, tags and periods of the products' own files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import OutputNotWritable
from gwsa_qgis.months import calendar_year, days_in_month
from gwsa_qgis.products.sample_vectors import wgs84
from gwsa_qgis.rasters.gdal_setup import gdal
from gwsa_qgis.science.twin import Twin
from gwsa_qgis.science.twin_fields import PowerLawFields, refine_linear
from gwsa_qgis.science.twin_land import NORTH, WEST, RegionGrid

CHELSA_SHIFT = -0.000139  # degrees by which CHELSA's origin misses the round figure
JRC_REFINEMENT = 4
NO_DATA = -32768
SOIL_DEPTHS = ("0-5cm", "5-15cm", "15-30cm")
# native units per conventional unit, and the change of the property with each depth
SOILGRIDS_CODES = {
    "clay": (10, 1.06), "silt": (10, 1.0), "sand": (10, 0.97), "cfvo": (10, 1.12), "cec": (10, 0.93),
    "phh2o": (10, 1.01), "soc": (10, 0.62), "nitrogen": (100, 0.66),
}  # fmt: skip


def write_template(path: Path, grid: RegionGrid, factor: int) -> Path:
    """A raster of ones on the region with `factor` pixels to a coarse cell."""
    size = grid.cells * factor
    return write_raster(path, np.ones((1, size, size), np.uint8), grid, grid.pixels_per_degree * factor / grid.factor)


def write_truth(path: Path, twin: Twin) -> Path:
    """The true groundwater storage anomaly as a monthly stack: a band a month, NaN in the sea."""
    names = [str(month) for month in twin.months]
    metadata = {"quantity": "GWSA", "unit": "cm", "baseline": "2004-01/2009-12", "filled_months": ""}
    return write_raster(
        path, twin.groundwater, twin.land.grid, names=names, no_data=np.nan, unit="cm", metadata=metadata,
        options=["TILED=YES", "BLOCKXSIZE=256", "BLOCKYSIZE=256", "PREDICTOR=3"],
    )  # fmt: skip


def write_truth_zones(path: Path, twin: Twin) -> Path:
    """Depletion zones of the truth: 0 none, 1 to 3 zones, with the pumped share (percent) in band 2."""
    layers = np.stack([twin.land.pumping_zone, np.rint(100 * twin.land.pumping).astype(np.uint8)])
    return write_raster(path, layers, twin.land.grid, names=["depletion zone", "pumped share, percent"])


def write_chelsa(twin: Twin, folder: Path) -> dict[str, list[Path]]:
    """``CHELSA_tas_MM_YYYY_V.2.1.tif`` (K x 10) and ``CHELSA_pr_...`` (mm x 100), right scale and offset tags."""
    paths: dict[str, list[Path]] = {"tas": [], "pr": []}
    sea = ~twin.land.land
    codes = {"tas": (0.1, -273.15), "pr": (0.01, 0.0)}
    for t, month in enumerate(twin.months):
        year, calendar = str(month).split("-")
        for name, (scale, offset) in codes.items():
            coded = np.clip(np.rint((twin.products[name][t] - offset) / scale), 0, 65534).astype(np.uint16)
            coded[sea] = 65535
            path = folder / f"CHELSA_{name}_{calendar}_{year}_V.2.1.tif"
            write_raster(
                path, coded[None], twin.land.grid, no_data=65535, scale=scale, offset=offset, names=[path.stem],
                shift=CHELSA_SHIFT, options=["PREDICTOR=2"],
            )  # fmt: skip
            paths[name].append(path)
    return paths


def write_soil_moisture(twin: Twin, folder: Path, seed: int) -> list[Path]:
    """``SM_YYYYMM.tif``: monthly soil moisture, m3 m-3 x 1000, with holes."""
    paths, holes = [], _Clouds(twin, [seed, 50], share=0.02)
    for t, month in enumerate(twin.months):
        coded = np.rint(1000 * twin.products["sm"][t]).astype(np.int16)
        coded[~twin.land.land | holes.draw()] = -9999
        path = folder / f"SM_{str(month).replace('-', '')}.tif"
        paths.append(
            write_raster(path, coded[None], twin.land.grid, no_data=-9999, scale=0.001, names=["SM"], unit="m3 m-3")
        )
    return paths


def write_pml(twin: Twin, folder: Path, seed: int) -> list[Path]:
    """``PML_V2_ET_YYYY.tif``: 8-day means of evapotranspiration, mm a day x 100, a band a period."""
    rate = twin.products["et"] / days_in_month(twin.months)[:, None, None]
    generator = np.random.default_rng([seed, 51])
    sea = ~twin.land.land

    def layer(period: np.ndarray) -> tuple[np.ndarray]:
        mean = _period_mean(rate, twin.months, period)
        noise = 1 + 0.05 * generator.standard_normal(mean.shape, dtype=np.float32)
        coded = np.rint(100 * mean * noise).astype(np.int16)
        coded[sea] = NO_DATA
        return (coded,)

    return _write_years(twin, 8, layer, [(folder, "PML_V2_ET_{}.tif", np.int16, NO_DATA)])[0]


def write_ndvi(twin: Twin, folder: Path, seed: int) -> tuple[list[Path], list[Path]]:
    """``MOD13A1_NDVI_YYYY.tif`` (x 10000, fill -3000) and ``MOD13A1_SummaryQA_YYYY.tif``, 16-day periods.

    Marginal pixels are a little too brown, cloudy ones much too brown, and some have no value at all.
    """
    clouds, generator = _Clouds(twin, [seed, 52], share=0.10), np.random.default_rng([seed, 53])
    sea = ~twin.land.land

    def layer(period: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        value = _period_mean(twin.products["ndvi"], twin.months, period)
        value = value + 0.012 * generator.standard_normal(value.shape, dtype=np.float32)
        haze, cloud = clouds.draw(), clouds.draw()
        cold = _period_mean(twin.products["tas"], twin.months, period) < -4
        quality = np.select([sea, cloud, cold, haze], [255, 3, 2, 1], 0).astype(np.uint8)
        value = value - 0.03 * (quality == 1) - 0.25 * (quality == 3)
        coded = np.clip(np.rint(10000 * value), -2000, 10000).astype(np.int16)
        lost = sea | (cloud & (generator.random(value.shape, dtype=np.float32) < 0.3))
        coded[lost] = -3000
        quality[lost] = 255
        return coded, quality

    files = [(folder, "MOD13A1_NDVI_{}.tif", np.int16, -3000), (folder, "MOD13A1_SummaryQA_{}.tif", np.uint8, 255)]
    return tuple(_write_years(twin, 16, layer, files))


def write_lst(twin: Twin, folder: Path, seed: int) -> tuple[list[Path], list[Path]]:
    """``MOD11A2_LST_Day_1km_YYYY.tif`` (K x 50, 0 = none, untagged) and ``MOD11A2_QC_Day_YYYY.tif``, 8-day periods."""
    clouds, generator = _Clouds(twin, [seed, 54], share=0.12), np.random.default_rng([seed, 55])
    sea = ~twin.land.land

    def layer(period: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        value = _period_mean(twin.products["lst"], twin.months, period)
        value = value + 0.5 * generator.standard_normal(value.shape, dtype=np.float32)
        doubtful, cloud = clouds.draw(), clouds.draw()
        value = value - 5.0 * doubtful  # undetected cloud is cold
        coded = np.rint((value + 273.15) * 50).astype(np.uint16)
        coded[sea | cloud] = 0
        # bits 0-1: 0 good, 1 other, 2 no value for cloud; bits 6-7: error <=1, <=2, <=3, >3 K
        quality = np.select([sea | cloud, doubtful], [0b10, 0b11000001], 0).astype(np.uint8)
        return coded, quality

    files = [(folder, "MOD11A2_LST_Day_1km_{}.tif", np.uint16, None), (folder, "MOD11A2_QC_Day_{}.tif", np.uint8, None)]
    return tuple(_write_years(twin, 8, layer, files))


def write_soilgrids(twin: Twin, folder: Path, seed: int) -> list[Path]:
    """``<property>_<depth>_mean.tif`` for eight properties and three depths, integers in SoilGrids' mapped units."""
    generator, paths = np.random.default_rng([seed, 56]), []
    holes = _Clouds(twin, [seed, 57], share=0.01)
    for name, (code, change) in SOILGRIDS_CODES.items():
        hole = holes.draw() & (generator.random(twin.land.land.shape) < 0.7)
        for k, depth in enumerate(SOIL_DEPTHS):
            coded = np.rint(twin.land.soils[name] * code * change ** (k - 1)).astype(np.int16)
            coded[~twin.land.land | hole | (twin.land.lake_level > 0)] = NO_DATA
            paths.append(
                write_raster(folder / f"{name}_{depth}_mean.tif", coded[None], twin.land.grid, no_data=NO_DATA)
            )
    return paths


def write_elevation(twin: Twin, folder: Path) -> Path:
    """``GMTED2010_mean.tif``: metres, 0 in the sea."""
    coded = np.rint(np.where(twin.land.land, np.maximum(twin.land.elevation, 1), 0)).astype(np.int16)
    return write_raster(
        folder / "GMTED2010_mean.tif", coded[None], twin.land.grid, no_data=NO_DATA, options=["PREDICTOR=2"]
    )


def write_surface_water(twin: Twin, folder: Path, seed: int) -> list[Path]:
    """JRC yearly classes in two tiles a year: 0 no data, 1 land, 2 seasonal, 3 permanent, without a NoData tag."""
    grid, paths = twin.land.grid, []
    generator = np.random.default_rng([seed, 58])
    texture = refine_linear(
        PowerLawFields(grid.pixels, grid.pixels_per_degree, [seed, 59]).draw(2.2, 0.6), JRC_REFINEMENT
    )
    lake = refine_linear(twin.land.lake_level, JRC_REFINEMENT)
    height = refine_linear(twin.land.elevation, JRC_REFINEMENT)
    half = lake.shape[1] // 2
    for year in np.unique(calendar_year(twin.months)):
        stand = float(np.clip(0.06 * generator.standard_normal(), -0.12, 0.12))
        classes = np.ones(lake.shape, np.uint8)
        classes[(lake > -0.2 + stand) & (lake + 0.12 * texture > -0.15 + stand)] = 2
        classes[lake > stand * 0.3] = 3
        classes[height <= 6 + 60 * stand] = np.uint8(2)
        classes[height <= 0] = 3
        classes[height < -130] = 0  # far from the coast the product has no data
        for column in (0, half):
            path = folder / f"yearlyClassification{year}-0000000000-{column:010d}.tif"
            tile = classes[:, column : column + half] if column == 0 else classes[:, column:]
            paths.append(write_raster(
                path, np.ascontiguousarray(tile)[None], grid, grid.pixels_per_degree * JRC_REFINEMENT,
                west=WEST + column / (grid.pixels_per_degree * JRC_REFINEMENT)))  # fmt: skip
    return paths


def write_raster(
    path: Path,
    layers: np.ndarray,
    grid: RegionGrid,
    pixels_per_degree: float | None = None,
    *,
    names: list[str] | None = None,
    no_data: float | None = None,
    scale: float | None = None,
    offset: float | None = None,
    unit: str | None = None,
    west: float = WEST,
    shift: float = 0.0,
    metadata: dict[str, str] | None = None,
    options: list[str] | None = None,
) -> Path:
    """Write a (bands, rows, columns) array as a compressed GeoTIFF in EPSG:4326 whose north edge is the region's."""
    kinds = {"uint8": gdal.GDT_Byte, "int16": gdal.GDT_Int16, "uint16": gdal.GDT_UInt16, "float32": gdal.GDT_Float32}
    bands, rows, columns = layers.shape
    create = ["COMPRESS=DEFLATE", "ZLEVEL=1", "INTERLEAVE=BAND", *(options or [])]
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), columns, rows, bands, kinds[layers.dtype.name], create)
    if dataset is None:
        raise OutputNotWritable(f"{path} cannot be made", "choose a folder you may write to, with free space")
    step = 1 / (pixels_per_degree or grid.pixels_per_degree)
    dataset.SetGeoTransform((west + shift, step, 0, NORTH + shift, 0, -step))
    dataset.SetProjection(wgs84().ExportToWkt())
    if metadata:
        dataset.SetMetadata(metadata)
    for k in range(bands):
        band = dataset.GetRasterBand(k + 1)
        if no_data is not None:
            band.SetNoDataValue(float(no_data))
        if scale is not None:
            band.SetScale(scale)
            band.SetOffset(offset or 0.0)
        if unit:
            band.SetUnitType(unit)
        if names:
            band.SetDescription(names[k])
    if dataset.WriteArray(layers if bands > 1 else layers[0]) != gdal.CE_None:
        raise OutputNotWritable(f"{path} could not be written", "check the free space")
    dataset.FlushCache()  # a full disk is told here; closing would keep it to itself
    band = None
    dataset = None
    return path


class _Clouds:
    """Patches that cover about `share` of the region, new each time, cut from a store of fields."""

    def __init__(self, twin: Twin, seed: list[int], share: float) -> None:
        grid = twin.land.grid
        fields = PowerLawFields(grid.pixels, grid.pixels_per_degree, seed)
        self._store = np.stack([fields.draw(2.4, 3) for _ in range(12)])
        self._generator = fields.generator
        self._limit = float(np.quantile(self._store, 1 - share))

    def draw(self) -> np.ndarray:
        """Where the clouds are."""
        field = self._store[self._generator.integers(len(self._store))]
        shift = self._generator.integers(0, field.shape[0], 2)
        if self._generator.random() < 0.5:
            field = field[::-1]
        limit = self._limit + 0.25 * self._generator.standard_normal()
        return np.roll(field, tuple(shift), (0, 1)) > limit


def _periods(year: int, days: int) -> list[np.ndarray]:
    """Composite periods of a year, which start anew on 1 January: [first day, day after the last]."""
    first, following = np.datetime64(f"{year}-01-01"), np.datetime64(f"{year + 1}-01-01")
    starts = np.arange(first, following, days)
    return [np.array([start, min(start + days, following)]) for start in starts]


def _period_mean(rates: np.ndarray, months: np.ndarray, period: np.ndarray) -> np.ndarray:
    """Mean over a period of a quantity known as monthly means; days before the first month take the first month's."""
    days = np.arange(period[0], period[1]).astype("datetime64[M]")
    index = np.clip((days - months[0]).astype(int), 0, len(months) - 1)
    numbers, counts = np.unique(index, return_counts=True)
    return sum(rates[n] * np.float32(c / len(days)) for n, c in zip(numbers, counts, strict=True))


def _write_years(
    twin: Twin, days: int, layer: Callable[[np.ndarray], tuple[np.ndarray, ...]], files: list[tuple]
) -> list[list[Path]]:
    """Write one file a year and kind, a band for each period that touches a month of the region."""
    first = twin.months[0].astype("datetime64[D]")
    last = (twin.months[-1] + 1).astype("datetime64[D]")
    years = calendar_year(np.array([first - days + 1, last - 1]))
    paths: list[list[Path]] = [[] for _ in files]
    for year in range(int(years[0]), int(years[1]) + 1):
        periods = [p for p in _periods(year, days) if p[1] > first and p[0] < last]
        if not periods:
            continue
        made = [layer(period) for period in periods]
        for k, (folder, pattern, kind, no_data) in enumerate(files):
            stack = np.stack([layers[k] for layers in made]).astype(kind)
            names = [str(period[0]) for period in periods]
            predictor = [] if kind == np.uint8 else ["PREDICTOR=2"]
            path = folder / pattern.format(year)
            paths[k].append(write_raster(path, stack, twin.land.grid, names=names, no_data=no_data, options=predictor))
    return paths

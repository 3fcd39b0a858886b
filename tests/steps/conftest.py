"""A small region whose fine groundwater is known, written as the files that training and prediction take."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

CELLS, FACTOR, MONTHS, MASCON = 24, 4, 18, 3
DOWNSCALING_MONTHS = np.arange("2004-01", "2005-07", dtype="datetime64[M]")


@dataclass(frozen=True)
class DownscalingRegion:
    """Paths of the region's files, and its truth (months, rows, columns), cm."""

    folder: Path
    truth: np.ndarray
    months: np.ndarray
    factor: int

    def __getattr__(self, name: str) -> Path:
        return self.folder / (name if name in ("fine", "coarse") else f"{name}.tif")


def smooth_field(random: np.random.Generator, size: int, slope: float) -> np.ndarray:
    wave = np.fft.fftfreq(size)[:, None] ** 2 + np.fft.rfftfreq(size)[None] ** 2
    wave[0, 0] = 1
    spectrum = (random.normal(size=wave.shape) + 1j * random.normal(size=wave.shape)) * wave ** (-slope / 4)
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum, (size, size))
    return field / field.std()


def make_region(folder: Path, seed: int, signal: float) -> DownscalingRegion:
    """Write the region: predictors explain `signal` of the fine detail."""
    from gwsa_qgis.rasters.grid import Grid, geographic_crs
    from gwsa_qgis.rasters.raster import write_single
    from gwsa_qgis.rasters.stack import write_stack

    random = np.random.default_rng(seed)
    size = CELLS * FACTOR
    coarse = Grid(10.0, 46.0, 0.25, 0.25, CELLS, CELLS, geographic_crs())
    fine = coarse.refine(FACTOR)
    phase = 2 * np.pi * np.arange(MONTHS) / 12
    soil, slope = smooth_field(random, size, 2.4), smooth_field(random, size, 2.6)
    patterns = [smooth_field(random, size, 2.6) for _ in range(4)]
    rain = np.stack([patterns[0] * np.cos(p) + patterns[1] * np.sin(p) for p in phase])
    green = np.stack([patterns[2] + 0.6 * patterns[3] * np.cos(p - 1) for p in phase])
    explained = 1.5 * rain + np.tanh(green + slope) + 0.5 * slope
    noise = [smooth_field(random, size, 2.6) for _ in range(2)]
    other = np.stack([noise[0] * np.cos(p) + noise[1] for p in phase])
    broad = 3 * smooth_field(random, size, 4.5) * np.cos(phase)[:, None, None]
    truth = signal * explained + (1 - signal) * 1.5 * other + 0.2 * other + broad
    used = np.ones((size, size), bool)
    used[:, -6:] = smooth_field(random, size, 3)[:, -6:] > 0  # a ragged coast
    weights = used * fine.row_weights()[:, None]

    def cells(values: np.ndarray) -> np.ndarray:
        blocks = (*values.shape[:-2], CELLS, FACTOR, CELLS, FACTOR)
        share = weights.reshape(CELLS, FACTOR, CELLS, FACTOR).sum((1, 3))
        with np.errstate(invalid="ignore", divide="ignore"):
            return (np.where(used, values, 0) * weights).reshape(blocks).sum((-3, -1)) / share

    index = np.arange(CELLS) // MASCON
    mascons = (index[:, None] * (CELLS // MASCON) + index + 501).astype(np.int32)
    classes = np.where(smooth_field(random, size, 4) > 0, 13, 23).astype(np.uint8)
    target = cells(truth)
    target[5] = np.nan  # a month that was not observed
    write_stack(
        folder / "target.tif",
        coarse,
        DOWNSCALING_MONTHS,
        target,
        quantity="groundwater storage anomaly",
        baseline="2004-01 to 2004-12",
        filled=np.arange(MONTHS) == 7,
    )
    write_single(folder / "mascons.tif", coarse, mascons, dtype="int32", nodata=0)
    write_single(folder / "mask.tif", fine, used.astype(np.uint8), dtype="uint8", nodata=0)
    write_single(folder / "classes.tif", fine, classes, dtype="uint8", nodata=0)
    write_single(folder / "classes_coarse.tif", coarse, classes[2::FACTOR, 2::FACTOR], dtype="uint8", nodata=0)
    for name, values in {"rain": rain, "green": green, "soil": soil, "slope": slope}.items():
        masked = np.where(used, values, np.nan).astype(np.float32)
        for where, grid, layer in (("fine", fine, masked), ("coarse", coarse, cells(values).astype(np.float32))):
            path = folder / where / f"{name}.tif"
            if values.ndim == 3:
                write_stack(path, grid, DOWNSCALING_MONTHS, layer, unit="")
            else:
                write_single(path, grid, layer)
    truth = np.where(used, truth, np.nan)
    return DownscalingRegion(folder, truth, DOWNSCALING_MONTHS, FACTOR)


@pytest.fixture(scope="session")
def downscaling_region(tmp_path_factory) -> DownscalingRegion:
    """Predictors explain most of the fine detail."""
    return make_region(tmp_path_factory.mktemp("region"), 3, 1.0)


@pytest.fixture(scope="session")
def unexplained_region(tmp_path_factory) -> DownscalingRegion:
    """Predictors know nothing of the fine detail."""
    return make_region(tmp_path_factory.mktemp("unexplained"), 4, 0.0)


@pytest.fixture(scope="session")
def trained_models(downscaling_region, tmp_path_factory) -> dict[str, Path]:
    """Model files of both presets, with classes and on mascons."""
    pytest.importorskip("xgboost")
    from gwsa_qgis.steps.trainmodels import trainmodels

    folder = tmp_path_factory.mktemp("models")
    region = downscaling_region
    for preset in ("recommended", "published"):
        trainmodels(
            region.target,
            region.coarse,
            folder / f"{preset}.gwsa",
            aquifers=region.classes_coarse,
            metrics=folder / f"{preset}.csv",
            report=folder / f"{preset}.html",
            preset=preset,
            mascons=region.mascons,
            search_iterations=0,
            threads=1,
        )
    return {preset: folder / f"{preset}.gwsa" for preset in ("recommended", "published")}


@pytest.fixture(scope="module", params=["loky", "dask"])
def cluster(request):
    """A backend of two worker processes; gives a function with their numbers."""
    from gwsa_qgis.rasters.windows import map_on_cluster

    joblib = pytest.importorskip("joblib")
    if request.param == "loky":

        def slow_pid(_):  # workers do not know this module
            time.sleep(0.1)  # long enough for both to have some
            return os.getpid()

        with joblib.parallel_config(backend="loky", n_jobs=2):
            yield lambda: set(map_on_cluster(slow_pid, range(8), 2))
        joblib.externals.loky.get_reusable_executor().shutdown(wait=True)
        return
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "memory_limit": 0}
    local = distributed.LocalCluster(processes=True, **options)
    with local, distributed.Client(local) as client, joblib.parallel_config(backend="dask"):
        yield lambda: set(client.run(os.getpid).values())

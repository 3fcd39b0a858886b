"""Predictors made by worker processes: the files of one process, byte for byte; such a run can be interrupted too."""

import os
import signal

import numpy as np
import pytest

from gwsa_qgis.errors import UnreadableInput
from gwsa_qgis.months import month_range
from gwsa_qgis.rasters.gdal_setup import gdal
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.raster import write_single
from gwsa_qgis.rasters.stack import write_stack
from gwsa_qgis.steps import predictor_pieces
from gwsa_qgis.steps.preparepredictors import preparepredictors

pytest.importorskip("joblib")
FINE = Grid(10.0, 50.0, 0.05, 0.05, 160, 120, geographic_crs())
COARSER = Grid(9.0, 51.0, 0.2, 0.2, 60, 50, geographic_crs())
FINER = Grid(9.99, 50.01, 0.01, 0.01, 820, 620, geographic_crs())
NAMES = ("dem.tif", "pre.tif", "tas.tif", 'NETCDF:"soil.nc":moisture')


class Stopped(Exception):
    pass


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(predictor_pieces, "VALUES_AT_ONCE", 30_000)
    monkeypatch.setattr(predictor_pieces, "WAITING_MB", 1.0)


def make_inputs(folder):
    rng = np.random.default_rng(5)
    months = month_range("2004-01", "2005-06")
    write_single(folder / "template.tif", FINE, np.ones(FINE.shape, np.float32))
    write_single(folder / "mask.tif", FINE, (rng.random(FINE.shape) < 0.9).astype(np.uint8), dtype="uint8", nodata=0)
    for name, grid in (("pre", COARSER), ("tas", FINE)):
        values = rng.random((months.size, *grid.shape), dtype=np.float32)
        values[rng.random(values.shape) < 0.05] = np.nan
        write_stack(folder / f"{name}.tif", grid, months, values, unit="mm")
    write_single(folder / "dem.tif", FINER, 100 * rng.random(FINER.shape).astype(np.float32), unit="m")
    write_netcdf(folder / "soil.nc", rng.random((months.size, *COARSER.shape), dtype=np.float32), months)


def write_netcdf(path, values, months):
    """A variable with time, latitude and longitude."""
    root = (dataset := gdal.GetDriverByName("netCDF").CreateMultiDimensional(str(path))).GetRootGroup()
    centres = {
        "time": (months.astype("datetime64[D]") - np.datetime64("2000-01-01")).astype(float),
        "lat": COARSER.north - COARSER.dy * (np.arange(COARSER.rows) + 0.5),
        "lon": COARSER.west + COARSER.dx * (np.arange(COARSER.columns) + 0.5),
    }
    units = {"time": "days since 2000-01-01", "lat": "degrees_north", "lon": "degrees_east"}
    axes = []
    for name, numbers in centres.items():
        axes.append(root.CreateDimension(name, None, None, numbers.size))
        array = root.CreateMDArray(name, [axes[-1]], gdal.ExtendedDataType.Create(gdal.GDT_Float64))
        array.Write(np.ascontiguousarray(numbers, float))
        write_attribute(array, "units", units[name])
    array = root.CreateMDArray("moisture", axes, gdal.ExtendedDataType.Create(gdal.GDT_Float32))
    array.Write(values)
    write_attribute(array, "units", "kg m-2")
    del array, axes, root, dataset


def write_attribute(array, name, text):
    array.CreateAttribute(name, [], gdal.ExtendedDataType.CreateString()).Write(text)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    make_inputs(folder)
    return folder


def run(inputs, out, **options):
    """From the inputs' folder, by names alone."""
    before = os.getcwd()
    os.chdir(inputs)
    try:
        common = {"mask": "mask.tif", "memory_mb": 5.0, "max_hole_distance": 3, "table": out / "table.csv"}
        return preparepredictors(NAMES, "template.tif", 5, out / "fine", out / "coarse", **common | options)
    finally:
        os.chdir(before)


def content(out):
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def by_one(inputs, tmp_path_factory):
    out = tmp_path_factory.mktemp("one")
    run(inputs, out)
    assert len(content(out)) == 2 * len(NAMES) + 1
    return content(out)


@pytest.fixture
def elsewhere(monkeypatch):
    """Nothing is made in this process."""
    monkeypatch.setattr("gwsa_qgis.steps.predictor_writing.make_piece", lambda *_: pytest.fail("made here"))


@pytest.mark.parametrize("threads", [2, 4])
def test_the_same_bytes_by_threads(inputs, by_one, tmp_path, threads):
    run(inputs, tmp_path, workers=threads)
    assert content(tmp_path) == by_one


@pytest.mark.parametrize("waiting_mb", [0.0, 1.0, 4096.0])
def test_the_same_bytes(inputs, by_one, tmp_path, cluster, elsewhere, monkeypatch, waiting_mb):
    monkeypatch.setattr(predictor_pieces, "WAITING_MB", waiting_mb)
    run(inputs, tmp_path, workers=2)
    assert content(tmp_path) == by_one


def test_it_goes_on_after_an_interrupted_run(inputs, by_one, tmp_path, cluster):
    def progress(fraction, message):
        if fraction > 0.5:
            raise Stopped

    for workers, others in ((2, 1), (1, 2)):  # by processes and then by threads, and the other way round
        out = tmp_path / str(workers)
        with pytest.raises(Stopped):
            run(inputs, out, workers=workers, progress=progress)
        assert not list(out.rglob("pieces.*"))
        assert run(inputs, out, workers=others).resumed
        assert content(out) == by_one


def test_a_lost_worker(inputs, by_one, tmp_path, cluster):
    killed, workers = [], cluster()
    assert len(workers) == 2 and os.getpid() not in workers

    def progress(fraction, message):
        if fraction > 0.1 and not killed:
            killed.append(min(workers))
            os.kill(killed[0], signal.SIGKILL)

    run(inputs, tmp_path, workers=2, progress=progress)
    assert killed
    assert content(tmp_path) == by_one


def test_workers_that_stay_see_that_the_mask_is_another_one(inputs, tmp_path, cluster):
    """It has the same name, and cells of the same number."""
    make_inputs(tmp_path)
    run(tmp_path, tmp_path / "before", workers=2)
    rng = np.random.default_rng(6)
    used = (rng.random(FINE.shape) < 0.9).astype(np.uint8)
    write_single(tmp_path / "mask.tif", FINE, used, dtype="uint8", nodata=0)
    run(tmp_path, tmp_path / "workers", workers=2)
    run(tmp_path, tmp_path / "here")
    assert content(tmp_path / "workers") == content(tmp_path / "here") != content(tmp_path / "before")


def test_what_a_worker_cannot_read_is_told(tmp_path, cluster):
    make_inputs(tmp_path)
    whole = (tmp_path / "pre.tif").read_bytes()
    third = len(whole) // 3
    (tmp_path / "pre.tif").write_bytes(whole[:third] + b"\xa5" * third + whole[2 * third :])
    with pytest.raises(UnreadableInput, match=r"pre\.tif"):
        run(tmp_path, tmp_path / "out", workers=2)
    assert not [path for path in (tmp_path / "out").iterdir() if not path.name.startswith(".")]


def test_work_is_handed_out_in_rounds(inputs):
    from gwsa_qgis.rasters.windows import Window

    window = Window(0, 0, 100, 100)  # 40 kB a month
    tasks = [(name, slice(month, month + 2), window) for name in "ab" for month in range(0, 100, 2)]
    runs = list(predictor_pieces._runs(tasks))
    assert [task for run in runs for task in run] == tasks
    assert all(len({name for name, _, _ in run}) == 1 and len(run) <= 2 for run in runs) and len(runs) == 50
    rounds = list(predictor_pieces._rounds(runs, 3))
    assert [run for these in rounds for run in these] == runs
    assert {len(these) for these in rounds[:-1]} == {6}  # 0.16 MB a run, 1 MB
    assert {len(these) for these in list(predictor_pieces._rounds(runs, 9))[:-1]} == {9}

"""The whole chain gives the same bytes by one worker, by threads, by processes and by a Dask cluster of two processes."""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import pytest

# Less than the stacks of the region, so that every step has several windows.
MEMORY_MB = 3


def run(step, *arguments, workers, **options):
    """Call a step with as many workers and as little memory as it takes."""
    function = getattr(import_module(f"gwsa_qgis.steps.{step}"), step)
    known = inspect.signature(function).parameters
    common = {"workers": workers, "memory_mb": MEMORY_MB}
    return function(*arguments, **options, **{name: value for name, value in common.items() if name in known})


def run_chain(region: Path, folder: Path, workers: int) -> None:
    """The complete chain, trend and analyses, into a folder."""
    folder.mkdir()

    def at(name):
        return str(folder / name)

    grace, fine = region / "grace", str(region / "templates" / "template_fine.tif")
    options = {"workers": workers}
    companions = {
        "mascon_map": next(grace.glob("*mapping_file.nc")),
        "land_mask_file": next(grace.glob("*LandMask.nc")),
    }
    grids = {"mascons": at("mascons.tif"), "land_mask": at("land.tif")}
    run("importgrace", next(grace.glob("*all-corrections.nc")), at("twsa.tif"), **grids, **companions, **options)
    storages = {name: at(f"{name}.tif") for name in ("sms", "swe", "cws")}
    run("importgldas", None, *storages.values(), folder=region / "gldas", template=at("twsa.tif"), **options)
    run("fillgaps", at("twsa.tif"), at("filled.tif"), mascons=grids["mascons"], error_short=at("short.tif"), **options)
    run("waterbalance", at("filled.tif"), at("gwsa.tif"), observed=at("twsa.tif"), **storages, **options)
    run("watermask", sorted((region / "jrc_gsw").glob("*.tif")), fine, at("water.tif"), **options)
    run("glaciermask", next((region / "rgi").glob("*.shp")), fine, at("ice.tif"), **options)
    run("basemask", [at("water.tif"), at("ice.tif")], at("mask.tif"), **options)
    classes = at("classes.tif"), at("classes_coarse.tif")
    run("aquiferclasses", next((region / "whymap").glob("*.shp")), fine, 3, *classes, **options)
    run("monthlystack", None, at("pre.tif"), folder=region / "chelsa", pattern="CHELSA_pr_*.tif", **options)
    run("accumulate", at("pre.tif"), at("acc.tif"), **options)
    inputs = {"PRE": at("pre.tif"), "ACC": at("acc.tif"), "DEM": next((region / "gmted").glob("*.tif"))}
    run("preparepredictors", inputs, fine, 3, at("fine"), at("coarse"), mask=at("mask.tif"), **options)
    training = {"aquifers": classes[1], "mascons": grids["mascons"], "search_iterations": 0, "threads": 1}
    run("trainmodels", at("gwsa.tif"), at("coarse"), at("model.gwsa"), **training, **options)
    places = {"aquifers": classes[0], "mask": at("mask.tif")}
    run("predict", at("model.gwsa"), at("fine"), at("prediction.tif"), **places, **options)
    maps = at("prediction.tif"), at("gwsa.tif"), at("corrected.tif")
    run("correctresiduals", *maps, mascons=grids["mascons"], closure=at("closure.csv"), **options)
    half = at("corrected.tif"), at("model.gwsa"), at("fine"), at("half.tif")
    run("uncertainty", *half, **places, cell=at("cell.tif"), **options)
    run("consistency", at("corrected.tif"), at("gwsa.tif"), metrics=at("consistency.csv"), **options)
    run("trend", at("corrected.tif"), at("slope.tif"), at("p.tif"), classes=at("trend.tif"), **options)
    run("seasonality", at("corrected.tif"), at("seasonal.tif"), **options)
    run("droughtindex", at("corrected.tif"), at("drought.tif"), minimum_years=5, **options)
    run("latitudeprofile", at("corrected.tif"), mean=at("mean.tif"), profile=at("profile.csv"), **options)


@contextmanager
def workers_of(kind: str):
    """Whom joblib asks."""
    if kind in ("one", "threads"):
        yield
        return
    import joblib

    if kind == "processes":
        with joblib.parallel_config(backend="loky", n_jobs=2):
            yield
        joblib.externals.loky.get_reusable_executor().shutdown(wait=True)
        return
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=0
    )
    tasks = distributed.get_task_stream
    with cluster, distributed.Client(cluster) as client, tasks(client) as done, joblib.parallel_config(backend="dask"):
        yield
    print(f"{len(done.data)} tasks by {len({task['worker'] for task in done.data})} worker processes")
    assert len(done.data) > 20 and len({task["worker"] for task in done.data}) == 2


@pytest.fixture(scope="module")
def region(tmp_path_factory):
    """A small sample region."""
    from gwsa_qgis.steps.sampleregion import sampleregion

    folder = tmp_path_factory.mktemp("bytes") / "region"
    sampleregion(folder, size=3, factor=3, start="2009-01", end="2018-12")
    return folder


@pytest.fixture(scope="module")
def by_one(region, tmp_path_factory):
    """Outputs of one worker."""
    pytest.importorskip("xgboost")
    folder = tmp_path_factory.mktemp("one") / "out"
    run_chain(region, folder, 1)
    return folder


@pytest.mark.parametrize("kind", ["threads", "processes", "dask"])
def test_outputs_do_not_depend_on_who_works(region, by_one, tmp_path, kind):
    with workers_of(kind):
        run_chain(region, tmp_path / "out", 2)
    names = sorted(path.relative_to(by_one) for path in by_one.rglob("*") if path.is_file())
    assert len(names) > 35
    assert names == sorted(p.relative_to(tmp_path / "out") for p in (tmp_path / "out").rglob("*") if p.is_file())
    different = [str(name) for name in names if (by_one / name).read_bytes() != (tmp_path / "out" / name).read_bytes()]
    assert not different

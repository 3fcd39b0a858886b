"""What is fuzzed: for each target, good files to start from, and what reads them."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fuzz_mutations import mutate

from gwsa_qgis.months import month_range
from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.rasters.raster import write_single
from gwsa_qgis.rasters.stack import MonthlyStack, write_stack

GRID = Grid(10.0, 46.0, 0.5, 0.5, 6, 4, geographic_crs())


@dataclass(frozen=True)
class Target:
    """One reader.

    Attributes
    ----------
    seeds : list of bytes
        Good files.
    suffix : str
        Of the file that is written for it.
    read : callable
        Reads the file at a path.
    damage : callable
        Makes a bad file of (seed, dice, seeds).
    share : float
        Of all cases.
    """

    seeds: list[bytes]
    suffix: str
    read: Callable[[Path], object]
    damage: Callable[[bytes, random.Random, list[bytes]], bytes]
    share: float


def targets(folder: Path) -> dict[str, Target]:
    """All targets; `folder` is for the good files."""
    models = _model_seeds(folder)
    boosters = [archive.read(name) for data in models for archive in [zipfile.ZipFile(io.BytesIO(data))]
                for name in archive.namelist() if name.endswith(".ubj")]  # fmt: skip
    tables = _tables()
    rasters = _rasters(folder)
    return {
        "model file": Target(models, ".gwsa", _load_model, mutate, 0.25),
        "members of a model file": Target(models, ".gwsa", _load_model, _damage_member, 0.2),
        "booster": Target(boosters, ".ubj", _check_booster, mutate, 0.15),
        "levels of wells": Target(tables["levels"], ".csv", _read_levels, mutate, 0.14),
        "points of wells": Target(tables["points"], ".csv", _read_points, mutate, 0.08),
        "specific yields": Target(tables["yields"], ".csv", _read_yields, mutate, 0.05),
        "tables of figures": Target(tables["figures"], ".csv", _read_figures, mutate, 0.05),
        "names and times": Target(tables["names"], ".txt", _read_names, mutate, 0.06),
        "raster": Target(rasters, ".tif", _read_stack, mutate, 0.02),
    }


def _model_seeds(folder: Path) -> list[bytes]:
    """Small models of both presets and of several learners, as training writes them."""
    from gwsa_qgis.steps.trainmodels import trainmodels

    rng = np.random.default_rng(1)
    months = month_range("2004-01", "2006-12")
    values = rng.normal(size=(months.size, *GRID.shape)).astype(np.float32)
    target = write_stack(folder / "target.tif", GRID, months, values)
    predictors = folder / "predictors"
    predictors.mkdir()
    rain = write_stack(predictors / "rain.tif", GRID, months, values + rng.normal(size=values.shape))
    write_single(predictors / "dem.tif", GRID, rng.normal(size=GRID.shape).astype(np.float32))
    classes = folder / "classes.tif"
    write_single(classes, GRID, np.where(np.arange(6) < 3, 11, 13) * np.ones((4, 1)), dtype="uint8", nodata=0)
    assert rain
    found = []
    for preset, learner in (("recommended", "xgboost"), ("published", "xgboost"), ("published", "linear")):
        path = folder / f"{preset}_{learner}.gwsa"
        trainmodels(
            target, predictors, path, aquifers=classes, preset=preset, learner=learner, search_iterations=0, threads=1,
            splits=("random",),
        )  # fmt: skip
        found.append(path.read_bytes())
    return found


def _load_model(path: Path) -> None:
    from gwsa_qgis.steps.calibration import read_calibration
    from gwsa_qgis.steps.model_file import read_model
    from gwsa_qgis.steps.project_figures import model_facts
    from gwsa_qgis.steps.trained_model import TrainedModel

    contents = read_model(path)
    model_facts(path)
    trained = TrainedModel.from_file(contents, 1)
    read_calibration(contents)
    # What passes all checks must predict, or say that it cannot.
    rows = np.zeros((3, len(trained.inputs)), np.float32)
    known = trained.classes or [0]
    trained.predict(rows, np.full(3, known[0]))


def _damage_member(data: bytes, dice: random.Random, seeds: list[bytes]) -> bytes:
    """Damage one member and pack it again, so that the check sums of the zip are right."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = "manifest.json" if dice.random() < 0.5 else dice.choice(list(members))
    if name == "manifest.json" and dice.random() < 0.7:
        members[name] = _damage_json(members[name], dice)
    else:
        # the beginning of an array or booster says what it is
        head = members[name][:256] if dice.random() < 0.6 else members[name]
        members[name] = mutate(head, dice, list(members.values())) + members[name][len(head) :]
    if dice.random() < 0.05:
        members[dice.choice(("../x", "/etc/x", "arrays/../x.npy", "boosters/a.pkl", "arrays/a b.npy"))] = b"x"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return buffer.getvalue()


ODD = (None, True, -1, 0, 1.5, 1e308, 2**70, "", "x", [], {}, [[]], {"a": 1}, "NaN", -(2**63))


def _damage_json(data: bytes, dice: random.Random) -> bytes:
    """Change a value somewhere in the document, or take a key away."""
    document = json.loads(data)
    here = document
    while True:
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        if not keys:
            break
        key = dice.choice(keys)
        if isinstance(here[key], (dict, list)) and here[key] and dice.random() < 0.7:
            here = here[key]
            continue
        if dice.random() < 0.2:
            del here[key]
        else:
            here[key] = dice.choice(ODD)
        break
    return json.dumps(document).encode()


def _check_booster(path: Path) -> None:
    from gwsa_qgis.science.booster_check import check_booster

    check_booster(path.read_bytes())


def _tables() -> dict[str, list[bytes]]:
    long = "station,date,depth_to_water_m\n" + "".join(
        f"W{k},{2004 + m // 12}-{m % 12 + 1:02d}-15,{5 + k + m / 10:.2f}\n" for k in range(3) for m in range(30)
    )
    wide = "Datum;W0;W1\n" + "".join(f"{m % 12 + 1:02d}.{2004 + m // 12};4,5{m};NA\n" for m in range(24))
    wide_dates = "Date;W0;W1\n" + "".join(f"15.{m % 12 + 1:02d}.{2004 + m // 12};4,5{m};NA\n" for m in range(24))
    by_well = "well," + ",".join(f"{2004 + m // 12}-{m % 12 + 1:02d}" for m in range(14)) + "\nW0" + ",1.5" * 14 + "\n"
    yearly = "StnID,IntegerYear,DepthToWater_m\n" + "".join(f"W0,{2000 + y},{y}\n" for y in range(9))
    points = "station,lon,lat,sy\n" + "".join(f"W{k},{10 + k},{45},0.1\n" for k in range(4))
    decimal = "location;lat;lon\nW0;52,995632;6,415311\nW1;48,923542;11,354495\n"
    yields = "region,south,north,west,east,specific_yield\nPlains,30,50,-110,-90,0.32\nRest,-90,90,-180,180,0.1\n"
    closure = "by,name,n,rmse_before_cm,rmse_after_cm,max_after_cm\nmonth,2004-01,12,1.5,1e-7,\nall,all,3,,nan,2\n"
    consistency = "support,class,period,n,r2,cc,rmse_cm,bias_cm\ncell,all,all months,5,0.5,0.7,1.2,0\n"
    names = (
        "CHELSA_pr_01_2004_V.2.1.tif|MOD13A1.A2004001.h09v05.061.2020.hdf|GLDAS_NOAH025_M.A200401.021.nc4|x_200402.tif",
        "days since 2002-01-01T00:00:00Z|hours since 1900-01-01 00:00:0.0|noleap|2004.0417|200401|53000.5",
        "PML_V2_2004-01-01.tif|et_2004_09.tif|tas_2004-06-30.tif|soil_0-5cm_mean.tif|JRC_GSW_2004_0-0.tif",
    )
    encode = lambda texts: [text.encode() for text in texts]  # noqa: E731
    return {
        "levels": encode((long, wide, wide_dates, by_well, yearly)) + [wide.encode("utf-16"), long.encode("latin-1")],
        "points": encode((points, decimal)),
        "yields": encode((yields,)),
        "figures": encode((closure, consistency)),
        "names": encode(names),
    }


def _read_levels(path: Path) -> None:
    from gwsa_qgis.products.wells import read_well_levels

    read_well_levels(path, ["W0", "W1", "W2"], kind="depth")


def _read_points(path: Path) -> None:
    from gwsa_qgis.products.wells import read_well_points

    read_well_points(path, GRID)


def _read_yields(path: Path) -> None:
    from gwsa_qgis.steps.wells_input import read_yield_table

    read_yield_table(path)


def _read_figures(path: Path) -> None:
    from gwsa_qgis.steps.project_figures import read_figures

    read_figures("closure" if path.stat().st_size % 2 else "consistency", path)


def _read_names(path: Path) -> None:
    """Names of files and texts of time axes: months, products, CF units."""
    from gwsa_qgis.errors import GwsaError
    from gwsa_qgis.months import parse_months
    from gwsa_qgis.products.cf_time import decode_times
    from gwsa_qgis.products.product import first_day
    from gwsa_qgis.products.tables import months_of, to_numbers

    refusal = None
    for text in path.read_bytes().decode("utf-8", "replace").split("|"):
        for read in (
            lambda text: first_day(text, text),
            lambda text: decode_times(np.array([0.0, 31.0, 59.5]), text, "", "the file"),
            lambda text: decode_times(np.array([0.0, 31.0, 59.5]), "days since 2002-01-01", text, "the file"),
            lambda text: parse_months([text], "the file"),
            lambda text: months_of([text], "the column"),
            lambda text: to_numbers([text], "the column"),
        ):
            try:
                read(text)
            except GwsaError as error:
                refusal = error
    if refusal is not None:
        raise refusal


def _rasters(folder: Path) -> list[bytes]:
    months = month_range("2004-01", "2004-06")
    values = np.random.default_rng(2).normal(size=(months.size, *GRID.shape)).astype(np.float32)
    return [write_stack(folder / "seed.tif", GRID, months, values).read_bytes()]


def _read_stack(path: Path) -> None:
    with MonthlyStack(path) as stack:
        # what a damaged header promises may be beyond any memory
        stack.read(slice(0, min(stack.grid.rows, 64)), slice(0, min(stack.grid.columns, 64)))

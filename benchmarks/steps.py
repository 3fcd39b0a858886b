"""Every step on the sample region by one worker: processor time, rate, and what reading and writing alone take.

``python -m benchmarks steps``, or ``python benchmarks/steps.py [factor]``: the sample region with `factor` x `factor` fine
pixels in a coarse cell. The bare minimum is GDAL reading the step's rasters and writing its results again as the step does,
with nothing done to them, in the same run. Fine steps are told in pixel-months, one value of one pixel in one month.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._neighbours import timed
from benchmarks._sample_chain import Prepared, prepare
from gwsa_qgis.rasters.raster import Raster, create_raster


@dataclass(frozen=True)
class Run:
    """One step.

    Attributes
    ----------
    name : str
    call : callable
    reads, writes : list of str
        Rasters, and folders of rasters.
    """

    name: str
    call: Callable[[], object]
    reads: list[str]
    writes: list[str]


def runs(p: Prepared, at: Callable[[str], str]) -> list[Run]:
    """The fine steps in the order of the chain."""
    from gwsa_qgis.steps.accumulate import accumulate
    from gwsa_qgis.steps.applymask import applymask
    from gwsa_qgis.steps.attribution import attribution
    from gwsa_qgis.steps.consistency import consistency
    from gwsa_qgis.steps.correctresiduals import correctresiduals
    from gwsa_qgis.steps.droughtindex import droughtindex
    from gwsa_qgis.steps.latitudeprofile import latitudeprofile
    from gwsa_qgis.steps.predict import predict
    from gwsa_qgis.steps.seasonality import seasonality
    from gwsa_qgis.steps.trainmodels import trainmodels
    from gwsa_qgis.steps.trend import trend
    from gwsa_qgis.steps.trendbreak import trendbreak
    from gwsa_qgis.steps.uncertainty import uncertainty

    rain, gwsa = str(Path(p.fine) / "PRE.tif"), at("closed.tif")
    fine = [str(path) for path in sorted(Path(p.fine).glob("*.tif"))]
    places = {"aquifers": p.classes, "mask": p.mask}
    trained = {"aquifers": p.coarse_classes, "mascons": p.mascons, "search_iterations": 0, "threads": 1}
    found = [Run("accumulate", lambda: accumulate(rain, at("acc.tif")), [rain], [at("acc.tif")])]
    for preset in ("recommended", "published"):
        model, out = at(f"{preset}.gwsa"), at(f"{preset}.tif")
        options = trained | {"preset": preset}
        found.append(
            Run(f"trainmodels {preset}", lambda m=model, o=options: trainmodels(p.target, p.coarse, m, **o), [], [])
        )
        found.append(
            Run(
                f"predict {preset}",
                lambda m=model, o=out: predict(m, p.fine, o, threads=1, **places),
                fine,
                [out],
            )
        )
    prediction = at("recommended.tif")
    return [
        *found,
        Run(
            "correctresiduals exact",
            lambda: correctresiduals(prediction, p.target, gwsa, mascons=p.mascons),
            [prediction],
            [gwsa],
        ),
        Run(
            "uncertainty",
            lambda: uncertainty(gwsa, at("recommended.gwsa"), p.fine, at("half.tif"), **places),
            [gwsa],
            [at("half.tif")],
        ),
        Run("consistency", lambda: consistency(gwsa, p.target, metrics=at("c.csv")), [gwsa], []),
        Run("applymask", lambda: applymask(gwsa, p.mask, at("masked.tif")), [gwsa], [at("masked.tif")]),
        Run(
            "trend",
            lambda: trend(gwsa, at("s.tif"), at("p.tif"), classes=at("k.tif")),
            [gwsa],
            [at("s.tif"), at("p.tif")],
        ),
        Run(
            "trendbreak",
            lambda: trendbreak(gwsa, "2012", at("b.tif"), at("pb.tif")),
            [gwsa],
            [at("b.tif"), at("pb.tif")],
        ),
        Run("seasonality", lambda: seasonality(gwsa, at("season.tif")), [gwsa], [at("season.tif")]),
        Run("droughtindex", lambda: droughtindex(gwsa, at("drought.tif")), [gwsa], [at("drought.tif")]),
        Run(
            "attribution",
            lambda: attribution(gwsa, p.target, at("r.tif"), at("rs.tif"), at("rp.tif")),
            [gwsa],
            [at("r.tif"), at("rs.tif"), at("rp.tif")],
        ),
        Run("latitudeprofile", lambda: latitudeprofile(gwsa, at("m.tif")), [gwsa], [at("m.tif")]),
    ]


def bare(run: Run, folder: Path) -> float:
    """Processor time of reading what the step reads and writing what it wrote."""

    def copy() -> None:
        for path in run.reads:
            with Raster(path) as raster:
                raster.read()
        for number, path in enumerate(run.writes):
            with Raster(path) as raster:
                values, grid = raster.read(), raster.grid
            with create_raster(folder / f"bare_{number}.tif", grid, len(values), threads=1) as writer:
                writer.write(values)

    return timed(copy).cpu


def main(factor: int = 5) -> None:
    """Print the table."""
    folder = Path(tempfile.mkdtemp(prefix="steps"))
    try:
        prepared = prepare(folder, 42, factor=factor) if factor != 5 else prepare(folder, 42)
        with Raster(prepared.truth) as raster:
            values = raster.bands * raster.grid.rows * raster.grid.columns
            print(f"{raster.grid.columns} x {raster.grid.rows} pixels, {raster.bands} months, numpy {np.__version__}")
        head = f"{'step':26}{'CPU s':>8}{'wall s':>8}{'bare CPU s':>12}{'bare / step':>13}{'pixel-months/s':>16}"
        print(head, flush=True)
        for run in runs(prepared, lambda name: str(folder / name)):
            wall, cpu, _ = timed(run.call)
            rate = "" if run.name.startswith("train") else f"{values / cpu:16.3g}"
            least = bare(run, folder) if run.reads else np.nan
            print(
                f"{run.name:26}{cpu:8.2f}{wall:8.2f}{least:12.2f}{least / cpu:13.1%}{rate}".replace("nan%", "-"),
                flush=True,
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))

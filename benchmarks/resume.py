"""What it costs to keep finished windows: processor time of steps with and without, by turns, and the bytes that are kept.

``python -m benchmarks resume``. The map has several windows, all pixels have values.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._neighbours import in_turns

SIDE, TURNS, BUDGET_MB = 256, 3, 32
MONTHS = np.arange("2003-01", "2014-01", dtype="datetime64[M]")


def steps(gwsa: Path, coarse: Path, out: Path) -> dict[str, Callable[[], object]]:
    """Steps whose windows are many, from the one that computes most to the ones that compute least."""
    from gwsa_qgis.steps.correctresiduals import correctresiduals
    from gwsa_qgis.steps.droughtindex import droughtindex
    from gwsa_qgis.steps.seasonality import seasonality
    from gwsa_qgis.steps.trend import trend

    budget = {"memory_mb": BUDGET_MB}
    return {
        "trend": lambda: trend(gwsa, out / "s.tif", out / "p.tif", **budget),
        "correctresiduals": lambda: correctresiduals(gwsa, coarse, out / "o.tif", **budget),
        "droughtindex": lambda: droughtindex(gwsa, out / "o.tif", **budget),
        "seasonality": lambda: seasonality(gwsa, out / "o.tif", **budget),
    }


def main() -> None:
    """Print the table."""
    from gwsa_qgis.rasters.grid import Grid, geographic_crs
    from gwsa_qgis.rasters.long_run import LongRun
    from gwsa_qgis.rasters.stack import write_stack

    folder = Path(tempfile.mkdtemp(prefix="resume"))
    usual, kept = LongRun._keep, [0, 0]

    def counting(self: LongRun, name: str, *rest: object) -> None:
        usual(self, name, *rest)
        kept[0], kept[1] = kept[0] + 1, kept[1] + self._path(name).stat().st_size

    def run(call: Callable[[], object], keep: Callable[..., None]) -> None:
        LongRun._keep = keep
        if keep is counting:
            kept[:] = 0, 0
        call()

    try:
        random = np.random.default_rng(2)
        fine = Grid(10.0, 50.0, 0.01, 0.01, SIDE, SIDE, geographic_crs())
        coarse = fine.coarsen(16)
        options = {"unit": "cm", "quantity": "groundwater storage anomaly"}
        for name, grid in (("gwsa", fine), ("coarse", coarse)):
            values = random.normal(size=(MONTHS.size, *grid.shape)).astype(np.float32)
            write_stack(folder / f"{name}.tif", grid, MONTHS, values, **options)
        print(f"{SIDE} x {SIDE} pixels, {MONTHS.size} months, budget {BUDGET_MB} MB, least of {TURNS} turns")
        print(f"{'step':18}{'without, CPU s':>15}{'with':>8}{'cost':>8}{'parts':>7}{'MB kept':>9}", flush=True)
        for name, call in steps(folder / "gwsa.tif", folder / "coarse.tif", folder).items():
            call()
            works = {"without": partial(run, call, lambda self, *rest: None), "with": partial(run, call, counting)}
            times = in_turns(works, TURNS)
            without, with_it = (times[name][:, 1].min() for name in works)
            cost = with_it / without - 1
            print(f"{name:18}{without:15.2f}{with_it:8.2f}{cost:8.1%}{kept[0]:7}{kept[1] / 1e6:9.0f}", flush=True)
    finally:
        LongRun._keep = usual
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

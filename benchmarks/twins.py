"""The synthetic twins of the method's design, downscaled by the library's steps.

The twins are made by the scripts of the design (`../shared/prototypes`), which print the figures of their own recipe.
"""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

from gwsa_qgis.months import month_range
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.raster import write_single
from gwsa_qgis.rasters.stack import MonthlyStack, write_stack
from gwsa_qgis.steps.correctresiduals import correctresiduals
from gwsa_qgis.steps.predict import predict
from gwsa_qgis.steps.trainmodels import trainmodels

PROTOTYPES = Path(__file__).resolve().parents[2] / "shared" / "prototypes"
CASES = {"mascon_twin": ((0, 1.0), (1, 1.0), (0, 0.5), (0, 0.0)), "deviation_twin": ((0, 1.0), (0, 0.5), (0, 0.0))}
METRES = "EPSG:3857"  # the twins' pixels have one size


def make(name: str, seed: int, signal: float) -> tuple[dict, str]:
    """Run a script of the design; its variables, and what it printed."""
    kept, path, printed = sys.argv, list(sys.path), io.StringIO()
    sys.argv, sys.path[:0] = [name, str(seed), str(signal)], [str(PROTOTYPES)]
    try:
        with contextlib.redirect_stdout(printed):
            return runpy.run_path(str(PROTOTYPES / f"{name}.py")), printed.getvalue()
    finally:
        sys.argv, sys.path[:] = kept, path


def downscale(name: str, twin: dict, folder: Path) -> dict[str, float]:
    """RMSE (cm) of the recommended preset, and of the exact histospline of the same supports."""
    cells, factor, months = twin["CELLS"], twin["FACTOR"], month_range("2004-01", "2005-12")
    coarse = Grid(0.0, 1000.0 * cells, 1000.0, 1000.0, cells, cells, METRES)
    fine = coarse.refine(factor)
    on_mascons = name == "mascon_twin"
    truth = twin["groundwater"] if on_mascons else twin["truth"]
    target = twin["gwsa_mascons"][:, twin["mascon"]] if on_mascons else twin["target"]
    mascons = folder / "mascons.tif" if on_mascons else None
    if on_mascons:
        write_single(mascons, coarse, (twin["mascon"] + 1).astype(np.int32), dtype="int32", nodata=0)
    write_stack(folder / "target.tif", coarse, months, target, quantity="groundwater storage anomaly", unit="cm")
    write_stack(folder / "nothing.tif", fine, months, np.zeros(truth.shape, np.float32), unit="cm")
    layers = {f"dynamic_{k}": values for k, values in enumerate(twin["dynamic"])}
    layers |= {f"static_{k}": values[None] for k, values in enumerate(twin["static"])}
    for layer, values in layers.items():
        means = values.reshape(len(values), cells, factor, cells, factor).mean((2, 4))
        for place, grid, stack in (("fine", fine, values), ("coarse", coarse, means)):
            path = folder / place / f"{layer}.tif"
            write_stack(path, grid, months, stack, unit="1") if len(values) > 1 else write_single(path, grid, stack[0])
    model, predicted = folder / "model.gwsa", folder / "predicted.tif"
    trained = trainmodels(
        folder / "target.tif", folder / "coarse", model, mascons=mascons, search_iterations=0, splits=("blocks",)
    )
    predict(model, folder / "fine", predicted)
    found = {"weight": trained.weight, "blocked R2": trained.blocked_r2}
    for label, prediction in (("recommended", predicted), ("histospline", folder / "nothing.tif")):
        corrected = folder / f"{label}.tif"
        correctresiduals(prediction, folder / "target.tif", corrected, mascons=mascons)
        with MonthlyStack(corrected) as stack:
            found[label] = float(np.sqrt(np.mean((stack.read() - truth) ** 2)))
    return found


def main() -> None:
    """Downscale all cases and print the figures beside those of the design."""
    if not PROTOTYPES.is_dir():
        print("The scripts of the design (../shared/prototypes) are not there: skipped.")
        return
    print(
        f"{'twin':<15}{'seed':>5}{'signal':>7}{'histospline':>12}{'recommended':>12}{'design':>8}   weight  R2 in blocks"
    )
    for name, cases in CASES.items():
        for seed, signal in cases:
            twin, printed = make(name, seed, signal)
            design = float(re.findall(r"deviation.*weight [\d.]+ +([\d.]+)", printed)[-1])
            folder = Path(tempfile.mkdtemp(prefix="gwsa-twin-"))
            try:
                found = downscale(name, twin, folder)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            print(
                f"{name:<15}{seed:>5}{signal:>7.1f}{found['histospline']:>12.3f}{found['recommended']:>12.3f}{design:>8.3f}"
                f"{found['weight']:>9.2f}{found['blocked R2']:>14.3f}",
                flush=True,
            )

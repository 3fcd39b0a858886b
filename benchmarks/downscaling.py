"""Does the fine map beat interpolation? The recommended preset against the histospline and an oracle, on sample regions.

The oracle is the same learner with the same inputs, trained on the fine truth of other blocks: what these predictors can
tell at most. Where predictors are another region's, turned over, there is nothing to tell, and nothing may be lost.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from benchmarks._fine_samples import NAMES, FineSamples
from benchmarks._sample_chain import Prepared, prepare
from gwsa_qgis.rasters.predictor_set import PredictorSet
from gwsa_qgis.rasters.raster import write_single
from gwsa_qgis.rasters.stack import MonthlyStack, write_stack
from gwsa_qgis.science.detail_model import DetailModel
from gwsa_qgis.science.learners import make_learner
from gwsa_qgis.science.linear_detail import LinearDetail
from gwsa_qgis.science.splits import group_folds
from gwsa_qgis.steps.correctresiduals import correctresiduals
from gwsa_qgis.steps.model_file import read_model
from gwsa_qgis.steps.predict import predict
from gwsa_qgis.steps.preparepredictors import preparepredictors
from gwsa_qgis.steps.trainmodels import trainmodels

RECORD = Path(__file__).resolve().parents[1] / "build" / "bench" / "downscaling.json"
ORACLE_FOLDS, ORACLE_SHARE = 5, 0.25  # of the rows it is trained on


def downscale(
    region: Prepared, fine: str, coarse: str, folder: Path, search_iterations: int
) -> tuple[Path, Path, dict]:
    """Train, predict and correct as recommended; gives the model, the map and the training's figures."""
    folder.mkdir(parents=True, exist_ok=True)
    model, predicted, corrected = (folder / name for name in ("model.gwsa", "predicted.tif", "corrected.tif"))
    begin = time.perf_counter()
    trained = trainmodels(
        region.target, coarse, model, aquifers=region.coarse_classes, mascons=region.mascons,
        search_iterations=search_iterations, splits=("blocks",),
    )  # fmt: skip
    after = time.perf_counter()
    predict(model, fine, predicted, aquifers=region.classes, mask=region.mask)
    correctresiduals(predicted, region.target, corrected, mascons=region.mascons, mask=region.mask)
    seconds = {"train": after - begin, "predict and correct": time.perf_counter() - after}
    return model, corrected, {"weight": trained.weight, "blocked_r2": trained.blocked_r2, "seconds": seconds}


def measure(folder: Path, seed: int, size: float, search_iterations: int, other: Prepared | None) -> dict:
    """Figures of one region; with `other`, also those with the other's predictors turned over."""
    region = prepare(folder / f"seed{seed}", seed, size)
    model, corrected, found = downscale(region, region.fine, region.coarse, folder / f"map{seed}", search_iterations)
    samples = FineSamples(region, corrected)
    maps = {
        "histospline": samples.histospline,
        "recommended": _read(corrected, samples),
        "oracle": oracle(samples, model),
    }
    found |= {name: samples.scores(values) for name, values in maps.items()}
    plain, ours, best = (found[name] for name in ("histospline", "recommended", "oracle"))
    found["share of the oracle's gain"] = {
        name: (plain[name] - ours[name]) / (plain[name] - best[name]) for name in NAMES
    }
    if other is not None:
        fine, coarse = foreign_predictors(region, other, folder / f"foreign{seed}")
        _, corrected, trained = downscale(region, fine, coarse, folder / f"foreign{seed}" / "map", search_iterations)
        samples = FineSamples(region, corrected)
        plain, ours = samples.scores(samples.histospline), samples.scores(_read(corrected, samples))
        loss = {name: ours[name] / plain[name] - 1 for name in NAMES}
        found["foreign predictors"] = {"weight": trained["weight"], "loss": loss}
    return found


def _read(path: Path, samples: FineSamples) -> np.ndarray:
    with MonthlyStack(path) as stack:
        return stack.read_months(samples.months)


def oracle(samples: FineSamples, model: Path) -> np.ndarray:
    """Map of the same learner, trained on the fine truth of other blocks."""
    manifest = read_model(model).manifest
    x = samples.inputs(manifest["predictors"])
    y = samples.deviation(samples.truth)[samples.valid].astype(np.float32)
    groups = samples.support.groups()[-1][0]
    place = np.broadcast_to(samples.labels, samples.truth.shape)[samples.valid]
    folds = group_folds(groups, ORACLE_FOLDS, 0)[place - 1]
    classes = np.broadcast_to(samples.classes, samples.truth.shape)[samples.valid]
    chosen = np.random.default_rng(0).random(y.size) < ORACLE_SHARE
    linear, learner = manifest["linear"], manifest["models"]["pooled"]["learner"]
    n_predictors = len(linear["importances"])
    parts = np.zeros((y.size, 2))
    for fold in range(ORACLE_FOLDS):
        trees = make_learner(learner["kind"], learner["parameters"], 0, 0)
        fitted = DetailModel(LinearDetail(n_predictors, linear["classes"], linear["ridge"]), trees)
        train, test = chosen & (folds != fold), folds == fold
        parts[test] = fitted.fit(x[train], y[train], classes[train]).parts(x[test], classes[test])
    shares = nnls(
        np.linalg.qr(np.column_stack([parts, y]), mode="r")[:, :2],
        np.linalg.qr(np.column_stack([parts, y]), mode="r")[:, 2],
    )[0]
    return samples.close(parts @ shares)


def foreign_predictors(region: Prepared, other: Prepared, folder: Path) -> tuple[str, str]:
    """The other region's predictors with rows and columns exchanged, so that nothing lies where it does here."""
    raw = folder / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    inputs = {}
    with PredictorSet(other.fine) as predictors:
        for name in predictors.names:
            inputs[name] = str(raw / f"{name}.tif")
            values = np.swapaxes(predictors.read(name, predictors.months), 1, 2)
            if predictors.is_dynamic(name):
                write_stack(inputs[name], predictors.grid, predictors.months, values)
            else:
                write_single(inputs[name], predictors.grid, values[0])
    fine, coarse = folder / "fine", folder / "coarse"
    preparepredictors(inputs, region.mask, region.factor, fine, coarse, mask=region.mask)
    shutil.rmtree(raw)
    return str(fine), str(coarse)


def table(results: dict[int, dict]) -> str:
    """The figures as text."""
    lines = [f"{'seed':>5}{'':14}{'months cm':>11}{'mean cm':>11}{'trend cm/yr':>13}   weight  R2 in blocks"]
    for seed, found in results.items():
        for name in ("histospline", "recommended", "oracle"):
            figures = "".join(
                f"{found[name][each]:>{width}.3f}" for each, width in zip(NAMES, (11, 11, 13), strict=True)
            )
            more = f"   {found['weight']:.2f}    {found['blocked_r2']:.3f}" if name == "recommended" else ""
            lines.append(f"{seed:>5} {name:<13}{figures}{more}")
        share = found["share of the oracle's gain"]
        lines.append(
            f"{seed:>5} share of gain"
            + "".join(f"{100 * share[each]:>{w}.0f} %" for each, w in zip(NAMES, (9, 9, 11), strict=True))
        )
        if "foreign predictors" in found:
            loss = found["foreign predictors"]["loss"]
            lines.append(
                f"{seed:>5} foreign loss "
                + "".join(f"{100 * loss[each]:>{w}.2f} %" for each, w in zip(NAMES, (9, 9, 11), strict=True))
                + f"   {found['foreign predictors']['weight']:.2f}"
            )
    worst = {name: min(found["share of the oracle's gain"][name] for found in results.values()) for name in NAMES}
    lines.append(
        "worst share of the oracle's gain: " + ", ".join(f"{name} {100 * share:.0f} %" for name, share in worst.items())
    )
    return "\n".join(lines)


def main(
    seeds: Sequence[int] = (1, 2, 3, 4, 5), size: float = 12.0, search_iterations: int = 0, folder: str = ""
) -> None:
    """Measure on regions of several seeds, print the table and keep the record.

    Parameters
    ----------
    folder : str
        Keeps the regions for another run; by default they are made anew and removed.
    """
    work = Path(folder or tempfile.mkdtemp(prefix="gwsa-downscaling-"))
    results = {}
    try:
        for number, seed in enumerate(seeds):
            other = prepare(work / f"seed{seeds[number - 1]}", seeds[number - 1], size)
            results[seed] = measure(work, seed, size, search_iterations, other)
            print(table({seed: results[seed]}), flush=True)
        print(table(results))
        RECORD.parent.mkdir(parents=True, exist_ok=True)
        RECORD.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    finally:
        if not folder:
            shutil.rmtree(work, ignore_errors=True)

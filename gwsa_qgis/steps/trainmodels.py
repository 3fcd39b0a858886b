"""Training: coarse predictors, coarse GWSA and classes give the models of a preset (section 2.4.1)."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.writing import replacing, together
from gwsa_qgis.science.detail_model import PARTS
from gwsa_qgis.science.learners import check_learner, import_xgboost
from gwsa_qgis.science.model_inputs import PRESETS, input_names
from gwsa_qgis.steps.model_file import ModelFile, write_archive
from gwsa_qgis.steps.support_map import SupportMap, read_support
from gwsa_qgis.steps.trained_model import LABELS, LINEAR, grid_entry
from gwsa_qgis.steps.training import BLOCKS, RANDOM, Settings, Training, train_published, train_recommended
from gwsa_qgis.steps.training_report import find_row, metrics_table, training_page
from gwsa_qgis.steps.training_samples import TrainingFiles, cell_samples, open_training, support_samples


@dataclass(frozen=True)
class TrainModelsResult:
    """What `trainmodels` wrote.

    Attributes
    ----------
    model : Path
    metrics, report : Path or None
    preset : str
    support : str
        "mascons" or "cells".
    supports : int
        Supports on the coarse grid.
    samples : int
        Samples that the models were fitted on.
    months : (n_months,) datetime64[M]
    weight : float
        Pooled weight of the predicted detail (recommended); NaN with the published preset.
    blocked_r2, random_r2 : float
        R2 over all classes on held-out groups of supports and on a random 30 %: of deviations with the recommended
        preset, where the first is the share of detail that the predictors are known to explain; of levels with the
        published one.
    """

    model: Path
    metrics: Path | None
    report: Path | None
    preset: str
    support: str
    supports: int
    samples: int
    months: np.ndarray
    weight: float
    blocked_r2: float
    random_r2: float


def trainmodels(
    target: str | Path,
    predictors: str | Path,
    model: str | Path,
    *,
    aquifers: str | Path | None = None,
    metrics: str | Path | None = None,
    report: str | Path | None = None,
    preset: str = "recommended",
    mascons: str | Path | None = None,
    learner: str = "xgboost",
    samples: int = 200_000,
    search_iterations: int = 20,
    seed: int = 0,
    threads: int = 0,
    progress: ProgressFunction | None = None,
) -> TrainModelsResult:
    """Train the models that `predict` applies to fine predictors.

    Parameters
    ----------
    target : path
        Coarse GWSA stack. Months without values are left out; gap-filled ones are used like the others.
    predictors : path
        Folder of coarse predictors on the target's grid.
    model : path
        Model file to write.
    aquifers : path, optional
        Coarse class raster. Cells without a class, and of class 88 (ice sheet), are left out.
    metrics : path, optional
        CSV of scores, by class and split.
    report : path, optional
        The same as a page to read, with importances.
    preset : {"recommended", "published"}
        "recommended": deviations of supports from the coarser scale around them are learned for all classes together,
        and weighted class by class by what they achieve on held-out groups of supports.
        "published": one model of cells' levels a class.
    mascons : path, optional
        Map of mascon ids on the target's grid, the supports of the recommended preset; cells when not given.
    learner : {"xgboost", "random_forest"}
    samples : int
        Random samples (a class) for search and scores.
    search_iterations : int
        Candidates of the randomised search; 0 for default parameters.
    seed : int
        Same seed, same bytes, for any number of threads.
    threads : int
        0 for all cores.

    Raises
    ------
    InvalidParameter
        If an option has no such value.
    GridMismatch
        If the inputs are not on one grid.
    InvalidMonths
        If target and predictors share no month.
    NoUsableData
        If a class has no samples, or there are too few.
    MissingPackage
        If xgboost, or scikit-learn for the search, is not installed.
    """
    tell = Reporter(progress)
    _check_options(preset, learner, samples, search_iterations, seed, threads)
    files = open_training(target, predictors, aquifers, tell)
    support = read_support(mascons, files.grid)
    settings = Settings(learner, int(samples), int(search_iterations), int(seed), int(threads))
    if preset == "published":
        data, names = cell_samples(files, support, tell.part(0.0, 0.1))
        size, training = data.size, train_published(data, names, settings, tell.part(0.1, 0.98))
    else:
        parts, names = support_samples(files, support, tell.part(0.0, 0.1))
        training = train_recommended(parts, names, files.names, settings, tell.part(0.1, 0.98))
        size = parts[0].size
    contents = _model_file(files, support, training, preset, settings)
    quantity = "deviation" if preset == "recommended" else "GWSA"
    blocked, random = (find_row(training.rows, "all", split, quantity).scores.r2 for split in (BLOCKS, RANDOM))
    with together() as outputs:
        write_archive(outputs.enter_context(replacing(model)), contents)
        if metrics is not None:
            text = metrics_table(training.rows)
            outputs.enter_context(replacing(metrics)).write_text(text, encoding="utf-8", newline="\n")
        if report is not None:
            page = training_page(contents.manifest, training).render()
            outputs.enter_context(replacing(report)).write_text(page, encoding="utf-8", newline="\n")
    what = "of detail on held-out groups" if preset == "recommended" else "of levels on held-out groups"
    tell(1.0, f"R2 {what} {blocked:.3f}, on a random 30 % {random:.3f}")
    if preset == "recommended":
        tell.say(f"The predicted detail has weight {training.pooled_weight:.2f}")
    return TrainModelsResult(
        Path(model),
        None if metrics is None else Path(metrics),
        None if report is None else Path(report),
        preset,
        support.kind,
        support.count,
        size,
        files.months,
        training.pooled_weight,
        blocked,
        random,
    )


def _check_options(preset: str, learner: str, samples: int, iterations: int, seed: int, threads: int) -> None:
    if preset not in PRESETS:
        raise InvalidParameter(f"the preset {preset!r} is unknown", f"choose {' or '.join(PRESETS)}")
    check_learner(learner)
    for name, value, least in (("SAMPLES", samples, 100), ("SEARCH_ITERATIONS", iterations, 0), ("SEED", seed, 0)):
        if value < least:
            raise InvalidParameter(f"{name} is {value}", f"give a whole number of at least {least}")
    if threads < 0:
        raise InvalidParameter(f"THREADS is {threads}", "give 0 for all cores, or a number")
    import_xgboost()


def _model_file(
    files: TrainingFiles, support: SupportMap, training: Training, preset: str, settings: Settings
) -> ModelFile:
    inputs = input_names(preset, files.names)
    manifest = {
        "preset": preset,
        "predictors": files.names,
        "inputs": inputs,
        "classes": training.entries,
        "pooled_weight": training.pooled_weight,
        "models": {
            name: {"learner": learner.describe(), "importances": learner.importances(inputs)}
            for name, learner in training.learners.items()
        },
        "quantity": "groundwater storage anomaly",
        "unit": "cm",
        "baseline": files.baseline,
        "months": [str(files.months[0]), str(files.months[-1])],
        "months_used": files.months.size,
        "filled_months_used": files.filled_months,
        "support": {"kind": support.kind, "count": support.count, "grid": grid_entry(files.grid)},
        "metrics": [
            {"class": r.class_name, "split": r.split, "quantity": r.quantity, "weight": r.weight, **r.scores.as_dict()}
            for r in training.rows
        ],
        "seed": settings.seed,
        "samples": settings.samples,
        "search_iterations": settings.search_iterations,
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "xgboost": import_xgboost().__version__,
        },
    }
    boosters = {name: learner.to_bytes() for name, learner in training.learners.items()}
    arrays = {LABELS: support.labels} if preset == "recommended" and support.kind == "mascons" else {}
    if training.linear is not None:
        arrays |= {LINEAR + name: array for name, array in training.linear.to_arrays().items()}
        manifest["linear"] = {"classes": training.linear.classes, "importances": training.importances}
        manifest["shares"] = dict(zip(PARTS, training.weights.shares.tolist(), strict=True))
        manifest["slope"] = {"slope": training.weights.slope, "standard_error": training.weights.error}
    return ModelFile(manifest, boosters, arrays)

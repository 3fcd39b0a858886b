"""Training: coarse predictors, coarse GWSA and classes give the models of a preset (section 2.4.1)."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.raster import write_single
from gwsa_qgis.rasters.writing import make_folder, replacing, together
from gwsa_qgis.science.detail_model import PARTS
from gwsa_qgis.science.learners import check_learner, package_versions, require_packages
from gwsa_qgis.science.model_inputs import PRESETS, detail_names, input_names
from gwsa_qgis.steps.calibrating import add_calibration
from gwsa_qgis.steps.model_file import ModelFile, write_archive
from gwsa_qgis.steps.sample_table import TrainingTable
from gwsa_qgis.steps.support_map import SupportMap, read_support
from gwsa_qgis.steps.trained_model import LABELS, LINEAR, grid_entry
from gwsa_qgis.steps.training import Training, train_published, train_recommended
from gwsa_qgis.steps.training_files import TrainingFiles, open_training
from gwsa_qgis.steps.training_journal import kept_beside
from gwsa_qgis.steps.training_memory import DEFAULT_MEMORY_MB, TrainingMemory
from gwsa_qgis.steps.training_report import metrics_table, training_page
from gwsa_qgis.steps.training_samples import cell_samples, support_samples
from gwsa_qgis.steps.training_scores import BLOCKS, DEVIATION, LEVEL, RANDOM, SPLITS, ScoreRow, detail_map
from gwsa_qgis.steps.training_settings import Settings

DETAIL = "share of detail explained in held-out blocks"


@dataclass(frozen=True)
class TrainModelsResult:
    """What `trainmodels` wrote.

    Attributes
    ----------
    model : Path
    metrics, report, detail : Path or None
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
        published one. NaN where that split was not asked for.
    rows : tuple of ScoreRow
        All scores.
    """

    model: Path
    metrics: Path | None
    report: Path | None
    detail: Path | None
    preset: str
    support: str
    supports: int
    samples: int
    months: np.ndarray
    weight: float
    blocked_r2: float
    random_r2: float
    rows: tuple[ScoreRow, ...]


def trainmodels(
    target: str | Path,
    predictors: str | Path,
    model: str | Path,
    *,
    aquifers: str | Path | None = None,
    metrics: str | Path | None = None,
    report: str | Path | None = None,
    detail: str | Path | None = None,
    preset: str = "recommended",
    mascons: str | Path | None = None,
    learner: str = "xgboost",
    splits: Sequence[str] = tuple(SPLITS),
    block_degrees: float = 0.0,
    samples: int = 200_000,
    search_iterations: int = 20,
    seed: int = 0,
    threads: int = 0,
    device: str = "auto",
    memory_mb: float = DEFAULT_MEMORY_MB,
    workers: int = 1,
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
        The same as a page to read, with figures and importances.
    detail : path, optional
        Map of the share of detail that held-out estimates explain: 1 less the sum of their squared errors over months,
        divided by that of the coarser scale's interpolation, in [-1, 1]. Each place counts together with the means of its
        neighbours and of its class. Estimates are weighted detail (recommended) or levels (published) of spatial blocks.
    preset : {"recommended", "published"}
        "recommended": deviations of supports from the coarser scale around them are learned for all classes together,
        and weighted class by class by what they achieve on held-out groups of supports.
        "published": one model of cells' levels a class.
    mascons : path, optional
        Map of mascon ids on the target's grid, the supports of the recommended preset; cells when not given.
    learner : str
        One of `learners.LEARNERS`.
    splits : sequence of {"random", "blocks", "years", "classes"}
        Ways in which samples are held out to be scored: a random 30 %, as published; spatial blocks (always with the
        recommended preset, whose weights come from them); runs of calendar years; whole classes.
    block_degrees : float
        Side of the spatial blocks; 0 takes groups of neighbouring supports as they are.
    samples : int
        Random samples (a class) for search and scores. The recommended preset's spatial blocks judge all, by models of at
        most a million others; its last model is fitted on all that `memory_mb` holds.
    search_iterations : int
        Candidates of the randomised search; 0 for default parameters.
    seed : int
        Same seed, same bytes, for any number of threads.
    threads : int
        0 for all cores.
    device : {"auto", "cpu", "cuda"}
        Where trees are fitted; "auto" takes a GPU where there is one. All else runs on the CPU.
    memory_mb : float
        Budget in MB, beside the program itself. It bounds how many months are read at once, the factors of the coarser
        scales' interpolations, and the samples with all that is held of them; some 1 kB for each coarse cell is beside
        it. Where it does not hold all samples, random ones are taken, and the log, the report and the model file say how
        many: with the recommended preset fewer of the larger scales, then of the smallest, with the published one fewer
        of the largest classes. It changes the model in no other way.
    workers : int
        Of a ``joblib.parallel_config`` of processes or a cluster: they fit the models that are scored, several at once.
        Each takes the budget, and `threads` threads (one for 0). The bytes are the same.

    Notes
    -----
    What is finished of a training that is interrupted waits in a hidden folder beside MODEL; the next run with the same
    inputs and options goes on after it, and writes the same bytes as one that was not interrupted.

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
        If what the learner or its search needs is not installed: xgboost, scikit-learn or Optuna.
    """
    tell = Reporter(progress)
    settings = Settings(learner, int(samples), int(search_iterations), int(seed), int(threads), device)
    _check_options(preset, settings, workers)
    memory = TrainingMemory(float(memory_mb))
    wanted = _wanted_splits(splits, preset, block_degrees, detail)
    files = open_training(target, predictors, aquifers, tell)
    support = read_support(mascons, files.grid)
    inputs = input_names(preset, files.names, files.monthly)
    for path in (model, metrics, report, detail):
        if path is not None:
            make_folder(Path(path).parent)
    paths = {"target": target, "predictors": predictors, "aquifers": aquifers, "mascons": mascons}
    options = {"preset": preset, "learner": learner, "splits": wanted, "blocks": float(block_degrees)}
    options |= {name: getattr(settings, name) for name in ("samples", "search_iterations", "seed", "device")}
    options["memory"] = memory.memory_mb
    gather = cell_samples if preset == "published" else support_samples
    with kept_beside(model, paths, options, tell) as kept:
        table = gather(files, support, tell.part(0.0, 0.1), float(block_degrees), memory, settings.seed)
        part = tell.part(0.1, 0.98)
        how = (inputs, wanted, settings, kept, part, workers)
        if preset == "published":
            training = train_published(table, *how)
        else:
            training = train_recommended(table, detail_names(files.names, files.monthly), *how)
        kept.require_unchanged()
        contents = _model_file(files, support, training, preset, settings)
        contents.manifest |= {"splits": wanted, "block_degrees": float(block_degrees)}
        if table.thinned:
            contents.manifest["thinned"] = dict(zip(("samples", "of"), table.thinned, strict=True))
        add_calibration(contents, training.judged.get(BLOCKS), table, settings.seed)
        _write(contents, training, table, model, metrics, report, detail)
    found = _headline(training, preset)
    what = {BLOCKS: "in blocks that were left out", RANDOM: "on a random 30 %"}
    known = [f"{what[split]} {value:.3f}" for split, value in found.items() if np.isfinite(value)]
    tell(1.0, f"R2 of {'detail' if preset == 'recommended' else 'levels'} {', '.join(known)}" if known else "")
    if preset == "recommended":
        tell.say(f"The predicted detail has weight {training.pooled_weight:.2f}")
    return TrainModelsResult(
        Path(model),
        *(None if path is None else Path(path) for path in (metrics, report, detail)),
        preset,
        support.kind,
        support.count,
        table.first,
        files.months,
        training.pooled_weight,
        found[BLOCKS],
        found[RANDOM],
        tuple(training.rows),
    )


def _wanted_splits(splits: Sequence[str], preset: str, degrees: float, detail: str | Path | None) -> list[str]:
    """Names of the splits to be scored, in their order."""
    unknown = [name for name in splits if name not in SPLITS]
    if unknown or isinstance(splits, str):
        name = splits if isinstance(splits, str) else unknown[0]
        raise InvalidParameter(f"the split {name!r} is unknown", f"choose some of {', '.join(SPLITS)}")
    if not (np.isfinite(degrees) and 0 <= degrees <= 180):
        raise InvalidParameter(f"BLOCK_DEGREES is {degrees}", "give 0 for groups of supports, or a number of degrees")
    needed = preset == "recommended" or detail is not None
    return [full for name, full in SPLITS.items() if name in splits or (needed and full == BLOCKS)]


def _headline(training: Training, preset: str) -> dict[str, float]:
    """R2 over all classes of the splits that everyone looks at."""
    quantity = DEVIATION if preset == "recommended" else LEVEL
    rows = {split: training.find_row("all", split, quantity) for split in (BLOCKS, RANDOM)}
    return {split: np.nan if row is None else row.scores.r2 for split, row in rows.items()}


def _write(
    contents: ModelFile,
    training: Training,
    table: TrainingTable,
    model: str | Path,
    metrics: str | Path | None,
    report: str | Path | None,
    detail: str | Path | None,
) -> None:
    """Write all outputs, or none."""
    share = detail_map(training.judged[BLOCKS], table) if BLOCKS in training.judged else None
    with together() as outputs:
        write_archive(outputs.enter_context(replacing(model)), contents)
        if metrics is not None:
            text = metrics_table(training.rows)
            outputs.enter_context(replacing(metrics)).write_text(text, encoding="utf-8", newline="\n")
        if report is not None:
            page = training_page(contents.manifest, training, table.places.grid, share).render()
            outputs.enter_context(replacing(report)).write_text(page, encoding="utf-8", newline="\n")
        if detail is not None:
            tags = {"GWSA_QUANTITY": DETAIL, "GWSA_STEP": "trainmodels"}
            write_single(detail, table.places.grid, share, descriptions=[DETAIL], unit="1", metadata=tags)


def _check_options(preset: str, settings: Settings, workers: int) -> None:
    if preset not in PRESETS:
        raise InvalidParameter(f"the preset {preset!r} is unknown", f"choose {' or '.join(PRESETS)}")
    check_learner(settings.learner, settings.device)
    for name, least in (("samples", 100), ("search_iterations", 0), ("seed", 0)):
        value = getattr(settings, name)
        if value < least:
            raise InvalidParameter(f"{name.upper()} is {value}", f"give a whole number of at least {least}")
    if settings.threads < 0:
        raise InvalidParameter(f"THREADS is {settings.threads}", "give 0 for all cores, or a number")
    if workers < 1:
        raise InvalidParameter(f"WORKERS is {workers}", "give at least 1")
    require_packages(settings.learner, search=settings.search_iterations > 0)


def _model_file(
    files: TrainingFiles, support: SupportMap, training: Training, preset: str, settings: Settings
) -> ModelFile:
    inputs = input_names(preset, files.names, files.monthly)
    manifest = {
        "preset": preset,
        "predictors": files.names,
        "signatures": files.monthly if preset == "recommended" else [],
        "inputs": inputs,
        "classes": training.entries,
        "pooled_weight": training.pooled_weight,
        "models": {
            name: {"learner": learner.describe(), "importances": learner.importances(inputs)}
            | ({"contributions": training.contributions[name]} if name in training.contributions else {})
            for name, learner in training.learners.items()
        },
        "quantity": "groundwater storage anomaly",
        "unit": "cm",
        "baseline": files.baseline,
        "months": [str(files.months[0]), str(files.months[-1])],
        "months_used": files.months.size,
        "filled_months_used": files.filled_months,
        "support": {"kind": support.kind, "count": support.count, "grid": grid_entry(files.grid)},
        "metrics": [row.as_dict() for row in training.rows],
        "seed": settings.seed,
        "samples": settings.samples,
        "search_iterations": settings.search_iterations,
        "device": settings.device,
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            **package_versions(settings.learner),
        },
    }
    arrays = {LABELS: support.labels} if preset == "recommended" and support.kind == "mascons" else {}
    if training.linear is not None:
        arrays |= {LINEAR + name: array for name, array in training.linear.to_arrays().items()}
        manifest["linear"] = {
            "classes": training.linear.classes,
            "importances": training.importances,
            "ridge": training.linear.ridge,
        }
        manifest["shares"] = dict(zip(PARTS, training.weights.shares.tolist(), strict=True))
        manifest["slope"] = {"slope": training.weights.slope, "standard_error": training.weights.error}
    contents = ModelFile(manifest, {}, arrays)
    for name, learner in training.learners.items():
        contents.store(name, learner.save())
    return contents

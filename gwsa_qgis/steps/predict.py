"""Prediction: models, fine predictors and classes give the fine map, monthly (section 2.4, step 3)."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidMonths, InvalidParameter, NoUsableData, UnreadableInput
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.gdal_setup import gdal
from gwsa_qgis.rasters.inspection import describe_months
from gwsa_qgis.rasters.journal import describe_file, journalled
from gwsa_qgis.rasters.predictor_set import PredictorSet
from gwsa_qgis.rasters.raster import Raster
from gwsa_qgis.rasters.stack import create_stack
from gwsa_qgis.rasters.windows import DEFAULT_MEMORY_MB, on_cluster
from gwsa_qgis.rasters.writing import replacing, require_space
from gwsa_qgis.steps.model_file import read_model
from gwsa_qgis.steps.predict_inputs import FineFiles, Readers, tile_of
from gwsa_qgis.steps.predict_pieces import Prediction
from gwsa_qgis.steps.predict_plan import PredictPlan, plan_prediction
from gwsa_qgis.steps.predict_writing import PartJob, PixelCounts, write_prediction
from gwsa_qgis.steps.surrounding import Surrounding, support_of
from gwsa_qgis.steps.trained_model import TrainedModel

STEP = "predict"
QUANTITIES = {"recommended": "groundwater storage anomaly, detail", "published": "groundwater storage anomaly, levels"}


@dataclass(frozen=True)
class PredictResult:
    """What `predict` wrote.

    Attributes
    ----------
    output : Path
        Fine stack, cm: weighted detail (recommended) or levels (published), to be given to `correctresiduals`.
    preset : str
    months : (n_months,) datetime64[M]
    predicted_pixels : int
        Pixels with a value in some month.
    unknown_class_pixels : int
        Pixels of classes that the model does not know: NoData with the published preset, predicted by the pooled model
        with the recommended one.
    resumed_parts : int
        Parts of the map that an interrupted run had finished.
    """

    output: Path
    preset: str
    months: np.ndarray
    predicted_pixels: int
    unknown_class_pixels: int
    resumed_parts: int = 0


def predict(
    model: str | Path,
    predictors: str | Path,
    output: str | Path,
    *,
    aquifers: str | Path | None = None,
    mask: str | Path | None = None,
    mascons: str | Path | None = None,
    threads: int = 0,
    memory_mb: float = DEFAULT_MEMORY_MB,
    workers: int = 1,
    progress: ProgressFunction | None = None,
) -> PredictResult:
    """Predict the fine map.

    Parameters
    ----------
    model : path
        Model file of `trainmodels`; it says which preset is followed.
    predictors : path
        Folder of fine predictors, with the names that the model was trained with.
    output : path
        Fine stack, cm, of the months that all dynamic predictors have.
    aquifers : path, optional
        Fine class raster; needed when the model has classes. Pixels without a class are NoData.
    mask : path, optional
        Fine mask, 1 = use.
    mascons : path, optional
        Mascon map on the coarse grid, when it is another than the one kept in the model.
    threads : int
        Of the booster; 0 for all cores (one each with several workers). The result does not depend on it.
    memory_mb : float
        Budget. On a machine with many cores more of it lets more of them work on pieces of their own.
    workers : int
        Pieces that are predicted at the same time, each with its threads. The result does not depend on it. Where a
        ``joblib.parallel_config`` of processes or a cluster is active, its workers take pieces of the map (some million
        values); each needs the memory of `memory_mb`, and all must see the files under the same paths.

    Raises
    ------
    InvalidModelFile
        If the model file is not one.
    MissingPredictor
        If the folder lacks a predictor of the model.
    GridMismatch
        If rasters are not on one grid, or the supports of the model do not fit the fine grid.
    NoUsableData
        If no pixel can be predicted.
    UnreadableInput
        If an input changed while it was read.

    Notes
    -----
    What is finished waits in a hidden folder beside the output, uncompressed: after a cancelled or broken run the same
    call goes on after it, and ends with the same bytes. A changed input or option starts afresh.
    """
    report = Reporter(progress)
    _check_options(threads, workers)
    contents = read_model(model)
    files = _open_files(predictors, contents.manifest["predictors"], aquifers, mask)
    inputs = contents.manifest["inputs"]
    if contents.manifest["preset"] == "recommended":
        files = files.with_signatures(contents.manifest.get("signatures") or [])
    plan = plan_prediction(files, len(inputs), memory_mb, int(threads), int(workers))
    trained = TrainedModel.from_file(contents, plan.threads)
    files = _only_needed_classes(files, trained)
    report.say(f"Preset {trained.preset}, {len(trained.predictors)} predictors, {describe_months(files.months)}")
    support, factor = None, 1
    if trained.preset == "recommended":
        support, factor = support_of(trained, mascons, files.grid)
        report.say(f"Detail is predicted on {support.kind}: {support.count}, factor {factor}")
    prints = _fingerprint(model, files, mascons, plan)
    # the values of all parts wait beside the map until it is whole
    require_space(output, 4.0 * files.months.size * files.grid.rows * files.grid.columns)
    with ExitStack() as stack:
        journal = stack.enter_context(journalled(output, prints, report))
        files = files.with_place(journal.folder, plan.tile)
        readers = stack.enter_context(Readers(files))
        resumed = len([part for part in plan.parts if part.name in journal.finished])
        surrounding, begin = None, 0.0
        if support is not None:
            surrounding, begin = Surrounding(files, support, factor, journal.folder, trained.manifest["months"]), 0.15
            windows = plan.averaging_windows(files.grid, factor)
            months = plan.averaging_months
            surrounding.prepare(readers, windows, months, plan.lanes, memory_mb, journal, report.part(0.0, begin))
        prediction = Prediction(trained, readers, surrounding, plan)
        work = journal.folder / "map.tif"
        with _create(work, files, trained, plan) as writer:
            spread = workers > 1 and on_cluster()
            job = PartJob.of(model, threads, prediction, journal.folder) if spread else None
            counts = write_prediction(prediction, plan, writer, journal, report.part(begin, 1.0), job, workers)
        if _fingerprint(model, files, mascons, plan) != prints:
            raise UnreadableInput("an input changed while it was read", "run the step again when it is whole")
        if counts.predicted:
            with replacing(output) as temporary:
                os.replace(work, temporary)
    return _result(Path(output), trained, files, counts, resumed, report)


def _check_options(threads: int, workers: int) -> None:
    if threads < 0:
        raise InvalidParameter(f"THREADS is {threads}", "give 0 for all cores, or a number")
    if workers < 1:
        raise InvalidParameter(f"WORKERS is {workers}", "give at least 1")


def _open_files(
    predictors: str | Path, names: list[str], aquifers: str | Path | None, mask: str | Path | None
) -> FineFiles:
    """Check the files of the fine grid."""
    with PredictorSet(predictors) as fine:
        fine.require(names)
        if fine.months is None:
            raise InvalidMonths(f"{predictors} has no monthly predictor", "give predictors of which some have months")
        for path, name in ((aquifers, "the class raster"), (mask, "the mask")):
            if path is not None:
                with Raster(path) as raster:
                    fine.grid.require_match(raster.grid, f"the predictors {predictors}", f"{name} {path}")
        return FineFiles(
            Path(predictors),
            names,
            [fine.is_dynamic(name) for name in names],
            fine.grid,
            fine.months,
            None if aquifers is None else Path(aquifers),
            None if mask is None else Path(mask),
            tile_of(fine, names),
        )


def _only_needed_classes(files: FineFiles, trained: TrainedModel) -> FineFiles:
    """The files without the class raster where the model knows no classes, but not the other way round."""
    if trained.classes and files.aquifers is None:
        raise NoUsableData(
            f"the model has classes ({', '.join(map(str, trained.classes))}) and no class raster was given",
            "give the fine class raster of gwsa:aquiferclasses as AQUIFERS",
        )
    return files if trained.classes else replace(files, aquifers=None)


def _fingerprint(
    model: str | Path, files: FineFiles, mascons: str | Path | None, plan: PredictPlan
) -> dict[str, object]:
    """All that the bytes written depend on."""
    from gwsa_qgis import __version__

    return {
        "step": STEP,
        "version": __version__,
        "GDAL": gdal.__version__,
        "numpy": np.__version__,
        "MODEL": describe_file(model),
        **files.fingerprint(),
        "MASCONS": None if mascons is None else describe_file(mascons),
        "months": [str(files.months[0]), str(files.months[-1])],
        # they decide on the order of what is written
        "MEMORY": [plan.tile, plan.chunks[0].stop, len(plan.parts)],
    }


def _create(path: Path, files: FineFiles, trained: TrainedModel, plan: PredictPlan) -> AbstractContextManager:
    return create_stack(
        path,
        files.grid,
        files.months,
        quantity=QUANTITIES[trained.preset],
        baseline=str(trained.manifest.get("baseline") or ""),
        step=STEP,
        metadata={"GWSA_PRESET": trained.preset},
        tile=plan.tile,
        quick=True,
        threads=1,  # tiles are packed one by one, beside the threads that predict
    )


def _result(
    output: Path, trained: TrainedModel, files: FineFiles, counts: PixelCounts, resumed: int, report: Reporter
) -> PredictResult:
    if not counts.predicted:
        raise NoUsableData(
            "no pixel can be predicted: each lacks a predictor, a class of the model, or is masked",
            "check that predictors, classes and mask cover the same area",
        )
    if counts.unknown:
        what = "are NoData" if trained.preset == "published" else "are predicted by the pooled model"
        report.warn(f"{counts.unknown} pixels of classes that the model does not know {what}")
    report.say(f"{counts.predicted} pixels predicted")
    return PredictResult(output, trained.preset, files.months, counts.predicted, counts.unknown, resumed)

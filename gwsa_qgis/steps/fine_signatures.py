"""Signatures of the fine predictors, made in one pass over them and kept beside the work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.inspection import describe_months
from gwsa_qgis.rasters.journal import Journal
from gwsa_qgis.rasters.scratch import ScratchArray
from gwsa_qgis.rasters.windows import Window, map_ordered
from gwsa_qgis.science.signatures import PARTS, SignatureSums, signature_months
from gwsa_qgis.steps.predict_inputs import FineFiles, Readers
from gwsa_qgis.steps.predict_plan import PredictPlan

DONE, FILE = "signatures", "signatures.raw"


def make_signatures(
    files: FineFiles, span: Sequence[str], plan: PredictPlan, journal: Journal, report: Reporter
) -> FineFiles:
    """Make the signatures that `files` names, and give files that have them.

    Parameters
    ----------
    span : (first, last) of str
        Months of the training, which the signatures are made of where the predictors have a year of these.
    """
    if not files.monthly:
        return files
    path = Path(journal.folder) / FILE
    shape = (len(files.monthly) * len(PARTS), *files.grid.shape)
    scratch = ScratchArray(path, shape, np.float32)
    if DONE not in journal.finished:
        chosen = signature_months(files.months, *span)
        if chosen.all() and not _within(files.months, span):
            report.say(
                f"Signatures are made of {describe_months(files.months)}: the training was on {' to '.join(span)}"
            )
        with Readers(replace(files, signatures=None)) as readers:
            _write(files, np.flatnonzero(chosen), scratch, readers, plan, report)
        journal.finish(DONE, [path], {})
    return replace(files, signatures=scratch)


def _within(months: np.ndarray, span: Sequence[str]) -> bool:
    return bool(months[0] >= np.datetime64(span[0], "M") and months[-1] <= np.datetime64(span[1], "M"))


def _write(
    files: FineFiles, chosen: np.ndarray, scratch: ScratchArray, readers: Readers, plan: PredictPlan, report: Reporter
) -> None:
    step = plan.chunks[0].stop
    moving = [name for name, moves in zip(files.names, files.dynamic, strict=True) if moves]
    order = [moving.index(name) for name in files.monthly]

    def make(window: Window) -> tuple[Window, np.ndarray]:
        sums = SignatureSums(len(files.monthly), (window.rows, window.columns))
        with readers.borrow() as opened:
            used = opened.static(window).used
            for first in range(int(chosen[0]), int(chosen[-1]) + 1 if used.any() else 0, step):
                chunk = slice(first, min(first + step, int(chosen[-1]) + 1))
                layers, valid = opened.dynamic(window, chunk)
                sums.add([layers[number] for number in order], valid & used, files.months[chunk])
        return window, sums.finish()

    report(0.0, "Signatures of the predictors")
    for done, (window, found) in enumerate(map_ordered(make, plan.windows, plan.lanes), start=1):
        scratch[(slice(None), *window.slices)] = found.reshape(-1, window.rows, window.columns)
        report(done / len(plan.windows))

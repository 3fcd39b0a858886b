"""Calibration of a model's uncertainty, as the model file keeps it; `calibrating` makes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gwsa_qgis.errors import InvalidModelFile
from gwsa_qgis.science.applicability import Applicability
from gwsa_qgis.science.conformal import Conformal, ResidualScale
from gwsa_qgis.steps.model_file import ModelFile

ENTRY = "uncertainty"
SCORES, BLOCKS, POINTS = "calibration_scores", "calibration_blocks", "applicability_points"
REMEDY = "train the model again with this version of gwsa:trainmodels"


@dataclass(frozen=True)
class Calibration:
    """What `uncertainty` needs of a model.

    Attributes
    ----------
    conformal : Conformal
    area : Applicability
        Of the predictors' levels, in the model's order.
    importances : (n_predictors,) float64
        Share of each predictor.
    spread : (n_predictors,) float64
        Variance of each predictor's deviations on supports.
    detail_variance, residual_variance : float
        Of the held-out detail and residual of supports, cm^2.
    levels, coverage, half_width : (n,) float64
        Levels, and what intervals made without a block covered in it, and their mean half-width there, cm; NaN where
        there were too few blocks to tell.
    of_class : dict of int to float
        Coverage of the 90 % intervals of each class.
    blocks, samples : int
    block_spread : float
        Standard deviation of the coverage of the 90 % intervals between blocks.
    """

    conformal: Conformal
    area: Applicability
    importances: np.ndarray
    spread: np.ndarray
    detail_variance: float
    residual_variance: float
    levels: np.ndarray
    coverage: np.ndarray
    half_width: np.ndarray
    of_class: dict[int, float]
    blocks: int
    samples: int
    block_spread: float


def read_calibration(model: ModelFile) -> Calibration:
    """Calibration of a model file.

    Raises
    ------
    InvalidModelFile
        If the file has none, or what it has makes no sense.
    """
    entry, n = model.manifest.get(ENTRY), len(model.manifest["predictors"])
    if not entry:
        raise InvalidModelFile("the model file holds no calibration of its uncertainty", REMEDY)
    try:
        scale, area = entry["scale"], entry["applicability"]
        numbers = {name: _numbers(area[name], (n,)) for name in ("centre", "width", "weights")}
        points = _numbers(model.arrays[POINTS], (None, n)).astype(np.float32)
        found = Calibration(
            Conformal(
                ResidualScale(
                    _number(scale["base"]),
                    _number(scale["slope"]),
                    {int(name): _number(value) for name, value in scale["of_class"].items()},
                    _numbers(scale["of_month"], (12,)),
                ),
                _numbers(model.arrays[SCORES], (None,)).astype(np.float32),
                _numbers(model.arrays[BLOCKS], (len(model.arrays[SCORES]),)).astype(np.int32),
            ),
            Applicability(
                **numbers,
                points=points,
                mean_distance=_number(area["mean_distance"]),
                threshold=_number(area["threshold"]),
            ),
            _numbers(entry["importances"], (n,)),
            _numbers(entry["spread"], (n,)),
            _number(entry["detail_variance"]),
            _number(entry["residual_variance"]),
            _numbers(entry["levels"], (None,)),
            _perhaps(entry["coverage"]),
            _perhaps(entry["half_width"]),
            {int(name): _number(value) for name, value in entry["of_class"].items()},
            int(entry["blocks"]),
            int(entry["samples"]),
            float(_perhaps([entry["block_spread"]])[0]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InvalidModelFile(f"the calibration in the model file makes no sense ({error!r})", REMEDY) from error
    _check(found)
    return found


def _check(found: Calibration) -> None:
    scale, area = found.conformal.scale, found.area
    positive = (scale.base, area.mean_distance, area.width, scale.of_month, np.array([*scale.of_class.values(), 1.0]))
    not_negative = (scale.slope, area.threshold, area.weights, found.importances, found.spread, found.conformal.scores)
    sensible = (
        all(np.all(np.asarray(value) > 0) for value in positive)
        and all(np.all(np.asarray(value) >= 0) for value in not_negative)
        and found.conformal.scores.size
        and len(area.points)
        and found.levels.shape == found.coverage.shape == found.half_width.shape
    )
    if not sensible:
        raise InvalidModelFile("the calibration in the model file has numbers outside what they may be", REMEDY)


def _number(value: object) -> float:
    number = float(value)  # type: ignore[arg-type]
    if not np.isfinite(number):
        raise ValueError(f"{value!r} is no number")
    return number


def _numbers(values: object, shape: tuple[int | None, ...]) -> np.ndarray:
    array = np.asarray(values)
    fits = array.ndim == len(shape) and all(
        want in (None, have) for want, have in zip(shape, array.shape, strict=False)
    )
    if not fits or array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise ValueError(f"{array.shape} numbers of kind {array.dtype} instead of {shape}")
    return array.astype(np.float64)


def _perhaps(values: Sequence[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else float(value) for value in values])

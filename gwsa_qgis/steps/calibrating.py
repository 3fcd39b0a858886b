"""Calibrating a model's uncertainty when it is trained, on the samples that spatial blocks held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from gwsa_qgis.errors import NoUsableData
from gwsa_qgis.science.applicability import Applicability, find_applicability
from gwsa_qgis.science.conformal import FEWEST_BLOCKS, Residuals, ResidualScale, calibrate, nested_coverage
from gwsa_qgis.science.model_inputs import DEVIATION
from gwsa_qgis.science.supports import blocked_folds
from gwsa_qgis.steps.calibration import BLOCKS, ENTRY, POINTS, SCORES
from gwsa_qgis.steps.model_file import ModelFile
from gwsa_qgis.steps.sample_table import TrainingTable
from gwsa_qgis.steps.training_scores import Judged

LEVELS = (0.5, 0.68, 0.8, 0.9, 0.95)
JUDGED_LEVEL = 0.9
MOST_RESIDUALS = 60_000
SCORE_FOLDS = 5


@dataclass(frozen=True)
class HeldOut:
    """Samples that were held out with their blocks; all of n rows.

    Attributes
    ----------
    x : (n, n_inputs)
    y, estimate : (n,)
        Deviation and weighted detail (recommended), or levels (published), cm. The estimate is by a model that was
        fitted without the sample's block.
    classes, blocks, groups : (n,) int
        Groups are neighbours among which levels of the published preset are compared.
    months : (n,) int
        Since 1970-01.
    """

    x: np.ndarray
    y: np.ndarray
    estimate: np.ndarray
    classes: np.ndarray
    blocks: np.ndarray
    groups: np.ndarray
    months: np.ndarray

    def take(self, rows: np.ndarray) -> HeldOut:
        """Chosen rows."""
        return HeldOut(*(getattr(self, part.name)[rows] for part in fields(self)))


def add_calibration(model: ModelFile, judged: Judged | None, table: TrainingTable, seed: int) -> None:
    """Put the calibration into a model file that is about to be written.

    Without samples held out in spatial blocks there is none, and `uncertainty` says so.

    Parameters
    ----------
    judged : Judged or None
        Samples held out in spatial blocks.
    table : TrainingTable
        That they are from.
    """
    if judged is None or not judged.actual.size:
        return
    manifest = model.manifest
    held = _joined(judged, table, manifest["preset"] == "recommended", seed)
    importances = manifest.get("linear", {}).get("importances") or _mean_importances(manifest["models"])
    entry, arrays = calibration_of(
        manifest["preset"], manifest["predictors"], manifest["inputs"], held, importances, seed
    )
    if entry:
        manifest[ENTRY] = entry
        model.arrays.update(arrays)


def _mean_importances(models: Mapping[str, dict]) -> dict[str, float]:
    found: dict[str, float] = {}
    for entry in models.values():
        for name, value in (entry.get("importances") or {}).items():
            found[name] = found.get(name, 0.0) + float(value or 0.0)
    return found


def _joined(judged: Judged, table: TrainingTable, deviations: bool, seed: int) -> HeldOut:
    """Held-out samples with their inputs, which are found by place and month; at most `MOST_RESIDUALS`."""
    samples = table.samples.take(slice(0, table.first))
    groups = table.neighbours[judged.places]
    rows = _drawn(judged, groups, deviations, seed)
    keys = _key(samples.places, samples.months)
    order = np.argsort(keys, kind="stable")
    at = order[np.searchsorted(keys, _key(judged.places[rows], judged.months[rows]), sorter=order)]
    base = judged.around[rows] if deviations else np.float32(0)
    return HeldOut(
        samples.x[at],
        judged.actual[rows] - base,
        judged.estimate[rows] - base,
        judged.classes[rows],
        judged.blocks[rows],
        groups[rows],
        judged.months[rows].astype(np.int64),
    )


def _drawn(judged: Judged, groups: np.ndarray, deviations: bool, seed: int) -> np.ndarray:
    """Rows to calibrate on: at random, and with the published preset whole groups of a month, to be compared."""
    usable = np.isfinite(judged.actual) & np.isfinite(judged.estimate) & np.isfinite(judged.around if deviations else 0)
    rows = np.flatnonzero(usable)
    if rows.size <= MOST_RESIDUALS:
        return rows
    generator = np.random.default_rng([seed, 8])
    if deviations:
        return np.sort(generator.choice(rows, MOST_RESIDUALS, replace=False))
    key = _codes(groups[rows], judged.months[rows])
    wanted = generator.random(key.max() + 1) < MOST_RESIDUALS / rows.size
    return rows[wanted[key]]


def _codes(groups: np.ndarray, months: np.ndarray) -> np.ndarray:
    """A number from 0 for each group in a month."""
    return np.unique(_key(groups, months), return_inverse=True)[1].ravel()


def _key(places: np.ndarray, months: np.ndarray) -> np.ndarray:
    """One number for a place (or group) in a month."""
    return places.astype(np.int64) * 2**17 + months.astype(np.int64) + 2**16


def calibration_of(
    preset: str,
    predictors: Sequence[str],
    inputs: Sequence[str],
    held: HeldOut,
    importances: Mapping[str, float],
    seed: int = 0,
) -> tuple[dict, dict[str, np.ndarray]]:
    """Calibrate intervals and the area of applicability.

    Residuals of the published preset's levels are compared within groups of neighbours in a month, because the
    correction takes away what they have in common.

    Parameters
    ----------
    preset : {"recommended", "published"}
    predictors, inputs : sequence of str
        Inputs are the columns of `held.x`.
    held : HeldOut
    importances : mapping of str to float
        By predictor, or by input: those of a predictor's deviation, level and signatures are added up.
    seed : int

    Returns
    -------
    entry : dict
        For the manifest; empty when there is nothing to calibrate on.
    arrays : dict of str to ndarray
        For the model file.
    """
    column = {name: number for number, name in enumerate(inputs)}
    detail, residual = (np.asarray(part, np.float64) for part in (held.estimate, held.y - held.estimate))
    levels = held.x[:, [column[name] for name in predictors]]
    deviations = levels.astype(np.float64)
    if preset == "recommended":
        deviations = held.x[:, [column[name + DEVIATION] for name in predictors]].astype(np.float64)
    else:
        table = np.column_stack([detail, residual, deviations])
        table, several = _within(table, _codes(held.groups, held.months))
        if not several.any():
            return {}, {}
        held, levels = held.take(several), levels[several]
        detail, residual, deviations = table[several, 0], table[several, 1], table[several, 2:]
    residuals = Residuals(residual, detail, held.classes, held.months % 12 + 1, held.blocks)
    shares = _shares(importances, predictors)
    try:
        conformal = calibrate(residuals)
        area = find_applicability(levels, shares, _folds(held.blocks, seed), seed=seed)
    except NoUsableData:
        return {}, {}
    entry = _judged(residuals) | {
        "scale": _scale_entry(conformal.scale),
        "detail_variance": float(np.mean(detail**2)),
        "residual_variance": float(np.mean(residual**2)),
        "spread": np.mean(deviations**2, axis=0).tolist(),
        "importances": shares.tolist(),
        "applicability": _area_entry(area),
    }
    return entry, {SCORES: conformal.scores, BLOCKS: conformal.blocks, POINTS: area.points}


def _within(values: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values (n, k) less their group's mean, widened for its being their own, and which groups have several members."""
    count = np.bincount(group)
    means = np.stack([np.bincount(group, column) / count for column in values.T], axis=1)
    n = count[group]
    return (values - means[group]) * np.sqrt(n / np.maximum(n - 1, 1))[:, None], n > 1


def _shares(importances: Mapping[str, float], predictors: Sequence[str]) -> np.ndarray:
    """Share of each predictor; all alike where nothing is known.

    What is made of a predictor has its name, a space and more.
    """
    total = np.zeros(len(predictors))
    for name, value in importances.items():
        owners = [owner for owner in predictors if name == owner or name.startswith(owner + " ")]
        if owners:
            total[predictors.index(max(owners, key=len))] += max(float(value or 0.0), 0.0)
    return total / total.sum() if total.sum() > 0 else np.full(total.shape, 1 / max(total.size, 1))


def _folds(blocks: np.ndarray, seed: int) -> np.ndarray:
    names, index = np.unique(blocks, return_inverse=True)
    if names.size < 2:
        return np.full(blocks.shape, -1)
    return blocked_folds(np.arange(1, names.size + 1), SCORE_FOLDS, seed)[index.ravel()]


def _scale_entry(scale: ResidualScale) -> dict:
    return {
        "base": scale.base,
        "slope": scale.slope,
        "of_class": {str(name): value for name, value in scale.of_class.items()},
        "of_month": scale.of_month.tolist(),
    }


def _area_entry(area: Applicability) -> dict:
    lists = {name: getattr(area, name).tolist() for name in ("centre", "width", "weights")}
    return lists | {"threshold": area.threshold, "mean_distance": area.mean_distance}


def _judged(residuals: Residuals) -> dict:
    """Coverage of blocks that had no part in the calibration."""
    names = np.unique(residuals.blocks)
    entry = {"samples": residuals.values.size, "blocks": names.size, "levels": list(LEVELS)}
    if names.size < FEWEST_BLOCKS:
        nothing = [None] * len(LEVELS)
        return entry | {"coverage": nothing, "half_width": nothing, "of_class": {}, "block_spread": None}
    inside, width = nested_coverage(residuals, np.array(LEVELS))
    judged = inside[LEVELS.index(JUDGED_LEVEL)]
    of_class = {str(name): float(judged[residuals.classes == name].mean()) for name in np.unique(residuals.classes)}
    return entry | {
        "coverage": inside.mean(1).tolist(),
        "half_width": width.mean(1, dtype=np.float64).tolist(),
        "of_class": of_class,
        "block_spread": float(np.std([judged[residuals.blocks == name].mean() for name in names])),
    }

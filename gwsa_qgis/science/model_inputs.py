"""Inputs of the models: names, their order, and the table of samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

PRESETS = ("recommended", "published")
CALENDAR = ("month_sin", "month_cos")
DEVIATION = " deviation"


def input_names(preset: str, predictors: Sequence[str]) -> list[str]:
    """Names of a model's inputs, in their order.

    The published preset has levels and the calendar; the recommended one has each predictor's deviation before them.
    """
    deviations = [name + DEVIATION for name in predictors] if preset == "recommended" else []
    return [*deviations, *predictors, *CALENDAR]


def input_table(layers: Sequence[np.ndarray], calendar: np.ndarray, chosen: np.ndarray | None = None) -> np.ndarray:
    """Table of samples.

    Parameters
    ----------
    layers : sequence of (n_months, ...) arrays
        Deviations and levels in the order of `input_names`; an array with a single month is static.
    calendar : (2, n_months) array
        Sine and cosine of the calendar month.
    chosen : (n_months, ...) bool, optional
        Samples to take; all when not given.

    Returns
    -------
    (n_samples, n_inputs) float32
    """
    months = calendar.shape[1]
    shape = (months, *layers[0].shape[1:])
    chosen = np.ones(shape, bool) if chosen is None else chosen
    table = np.empty((int(chosen.sum()), len(layers) + 2), np.float32)
    for column, layer in enumerate(layers):
        table[:, column] = np.broadcast_to(layer, shape)[chosen]
    for column, term in enumerate(calendar, start=len(layers)):
        table[:, column] = np.broadcast_to(term.reshape(-1, *[1] * (len(shape) - 1)), shape)[chosen]
    return table

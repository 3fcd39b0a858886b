"""Inputs of the models: names, their order, and the table of samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gwsa_qgis.months import calendar_month

PRESETS = ("recommended", "published")
CALENDAR = ("month_sin", "month_cos")
# Lets detail that stays in place, such as irrigated land, change with the years.
DECADES = "decades_since_2010"
DEVIATION = " deviation"


def input_names(preset: str, predictors: Sequence[str]) -> list[str]:
    """Names of a model's inputs, in their order.

    The published preset has levels and the calendar; the recommended one has each predictor's deviation before them and
    the years after them.
    """
    if preset == "published":
        return [*predictors, *CALENDAR]
    return [*(name + DEVIATION for name in predictors), *predictors, *CALENDAR, DECADES]


def time_inputs(preset: str, months: np.ndarray) -> np.ndarray:
    """Inputs that depend on the month alone, (n_terms, n_months) float32: the last ones of `input_names`."""
    angle = 2 * np.pi * calendar_month(months) / 12
    terms = [np.sin(angle), np.cos(angle)]
    if preset != "published":
        terms.append((months.astype("datetime64[M]") - np.datetime64("2010-01", "M")).astype(int) / 120)
    return np.stack(terms).astype(np.float32)


def input_table(layers: Sequence[np.ndarray], terms: np.ndarray, chosen: np.ndarray | None = None) -> np.ndarray:
    """Table of samples.

    Parameters
    ----------
    layers : sequence of (n_months, ...) arrays
        Deviations and levels in the order of `input_names`; an array with a single month is static.
    terms : (n_terms, n_months) array
        As `time_inputs` gives them.
    chosen : (n_months, ...) bool, optional
        Samples to take; all when not given.

    Returns
    -------
    (n_samples, n_inputs) float32
    """
    months = terms.shape[1]
    shape = (months, *layers[0].shape[1:])
    chosen = np.ones(shape, bool) if chosen is None else chosen
    table = np.empty((int(chosen.sum()), len(layers) + len(terms)), np.float32)
    for column, layer in enumerate(layers):
        table[:, column] = np.broadcast_to(layer, shape)[chosen]
    for column, term in enumerate(terms, start=len(layers)):
        table[:, column] = np.broadcast_to(term.reshape(-1, *[1] * (len(shape) - 1)), shape)[chosen]
    return table

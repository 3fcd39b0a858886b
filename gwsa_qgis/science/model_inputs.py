"""Inputs of the models: names, their order, and the table of samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gwsa_qgis.months import calendar_month
from gwsa_qgis.science.signatures import signature_names

PRESETS = ("recommended", "published")
CALENDAR = ("month_sin", "month_cos")
# Lets detail that stays in place, such as irrigated land, change with the years.
DECADES = "decades_since_2010"
DEVIATION = " deviation"


def detail_names(predictors: Sequence[str], monthly: Sequence[str]) -> list[str]:
    """Names of what the detail is learned from: the predictors, and the signatures of the monthly ones."""
    return [*predictors, *signature_names(monthly)]


def input_names(preset: str, predictors: Sequence[str], monthly: Sequence[str] = ()) -> list[str]:
    """Names of a model's inputs, in their order.

    The published preset has levels and the calendar; the recommended one has the signatures of monthly predictors beside
    these, the deviations of all before them, and the years after them.

    Parameters
    ----------
    monthly : sequence of str
        Predictors that have signatures.
    """
    if preset == "published":
        return [*predictors, *CALENDAR]
    names = detail_names(predictors, monthly)
    return [*(name + DEVIATION for name in names), *names, *CALENDAR, DECADES]


def time_inputs(preset: str, months: np.ndarray) -> np.ndarray:
    """Inputs that depend on the month alone, (n_terms, n_months) float32: the last ones of `input_names`."""
    angle = 2 * np.pi * calendar_month(months) / 12
    terms = [np.sin(angle), np.cos(angle)]
    if preset != "published":
        terms.append((months.astype("datetime64[M]") - np.datetime64("2010-01", "M")).astype(int) / 120)
    return np.stack(terms).astype(np.float32)

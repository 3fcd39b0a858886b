"""A prepared sample region as arrays: the fine truth, the exact histospline, and the inputs of fine pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks._sample_chain import Prepared
from gwsa_qgis.rasters.predictor_set import PredictorSet
from gwsa_qgis.rasters.raster import read_single
from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.science.closure import Closure
from gwsa_qgis.science.model_inputs import time_inputs
from gwsa_qgis.science.signatures import signatures
from gwsa_qgis.science.supports import support_means
from gwsa_qgis.steps.support_map import read_support, solve_closing

NAMES = ("months", "mean", "trend")


class FineSamples:
    """Truth and inputs on the pixels and months that are scored.

    Parameters
    ----------
    region : Prepared
    corrected : path
        Fine map of the region, whose months and pixels are those scored.
    every : int
        Months that are scored: one in so many.
    """

    def __init__(self, region: Prepared, corrected: Path, every: int = 6) -> None:
        self.region = region
        with MonthlyStack(region.target) as coarse, MonthlyStack(region.truth) as fine, MonthlyStack(corrected) as made:
            shared = np.intersect1d(coarse.months, np.intersect1d(fine.months, made.months))
            shared = shared[np.isfinite(coarse.read_months(shared)).any((1, 2))]
            self.all_months, self.months = shared, shared[::every]
            self.grid, target = fine.grid, coarse.read_months(self.months)
            self.truth, estimate = fine.read_months(self.months), made.read_months(self.months)
            self.support = read_support(region.mascons, coarse.grid)
        self.used = np.isfinite(self.truth).all(0) & np.isfinite(estimate).all(0)
        self.labels = self.support.fine_labels(region.factor)
        self.used &= self.labels > 0
        self.weights = self.used * self.grid.row_weights()[:, None]
        area = self.weights.reshape(target.shape[1], region.factor, target.shape[2], region.factor).sum((1, 3))
        self.wanted = support_means(target, self.support.labels, area, self.support.count)
        self._closure, field = solve_closing(self._make, self.support.knot_spacing(region.factor), self.wanted)
        self.histospline = self._closure.evaluate(field)
        self.valid = np.broadcast_to(self.used, self.truth.shape)
        self.classes = np.nan_to_num(read_single(region.classes)[0]).astype(np.int32)

    def _make(self, spacing: float) -> Closure:
        return Closure(self.labels, self.weights, knot_spacing=spacing, n_supports=self.support.count)

    def deviation(self, fields: np.ndarray) -> np.ndarray:
        """Fields less the histospline of their own support means."""
        return fields - self._closure.spread(self.means(fields))

    def means(self, fields: np.ndarray) -> np.ndarray:
        """Means over supports."""
        return support_means(fields, self.labels, self.weights, self.support.count)

    def close(self, detail: np.ndarray) -> np.ndarray:
        """The map of a detail given on the samples, closed on the coarse field."""
        field = np.zeros(self.truth.shape)
        field[self.valid] = detail
        return self.histospline + self.deviation(field)

    def inputs(self, names: list[str]) -> np.ndarray:
        """Table of all samples (n, n_inputs) float32, as the recommended preset has it."""
        deviations, levels, added = [], [], ([], [])
        with PredictorSet(self.region.fine) as predictors:
            for name in names:
                whole = predictors.read(name, self.all_months).astype(np.float32)
                chosen = np.isin(self.all_months, self.months) if len(whole) > 1 else slice(None)
                self._put(whole[chosen], deviations, levels)
                if len(whole) > 1:
                    for part in signatures(whole, self.all_months):
                        self._put(part[None], *added)
        terms = time_inputs("recommended", self.months)
        columns = [*deviations, *added[0], *levels, *added[1]]
        table = np.empty((int(self.valid.sum()), len(columns) + len(terms)), np.float32)
        for number, layer in enumerate(columns):
            table[:, number] = np.broadcast_to(layer, self.truth.shape)[self.valid]
        for number, term in enumerate(terms, start=len(columns)):
            table[:, number] = np.broadcast_to(term[:, None, None], self.truth.shape)[self.valid]
        return table

    def _put(self, layer: np.ndarray, deviations: list, levels: list) -> None:
        deviations.append(self.deviation(layer).astype(np.float32))
        levels.append(layer)

    def scores(self, estimate: np.ndarray) -> dict[str, float]:
        """RMSE against the truth of the monthly maps, of their mean and of their trend (cm, cm/yr)."""
        difference = (estimate - self.truth)[:, self.used]
        year = self.months.astype(int) / 12
        year = year - year.mean()
        slope = year @ difference / (year**2).sum()
        return dict(
            zip(
                NAMES,
                (float(np.sqrt((part**2).mean())) for part in (difference, difference.mean(0), slope)),
                strict=True,
            )
        )

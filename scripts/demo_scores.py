"""Scores of the demonstration: fine maps against the sample region's truth, and the steps' own figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.raster import read_single
from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.science.closure import Closure, cell_support, mascon_knot_spacing
from gwsa_qgis.science.interpolation import spread
from gwsa_qgis.science.supports import compact_labels


class Score:
    """Collects squared errors of one map, month by month."""

    def __init__(self) -> None:
        self.squares = self.total = self.total_squares = 0.0
        self.count = 0

    def add(self, estimate: np.ndarray, truth: np.ndarray, used: np.ndarray) -> None:
        """Add one month on the pixels used."""
        estimate, truth = estimate[used].astype(float), truth[used].astype(float)
        self.squares += float(((estimate - truth) ** 2).sum())
        self.total += float(truth.sum())
        self.total_squares += float((truth**2).sum())
        self.count += truth.size

    @property
    def rmse(self) -> float:
        """Root mean square error, cm."""
        return float(np.sqrt(self.squares / self.count))

    @property
    def r2(self) -> float:
        """1 - SSE / SST over all pixels and months."""
        return 1 - self.squares / (self.total_squares - self.total**2 / self.count)


def score_maps(region: Path, chain: dict, published: dict[str, str]) -> dict:
    """Score the chain's map, the published recipe and interpolations of the coarse field on the same pixels and months.

    Parameters
    ----------
    published : dict
        Published map corrected by ``spline`` and by ``exact``.
    """
    truth = MonthlyStack(region / "truth" / "truth_gwsa.tif")
    maps = {
        "recommended": MonthlyStack(chain["gwsa_fine"]),
        "published": MonthlyStack(published["spline"]),
        "published, closed exactly": MonthlyStack(published["exact"]),
    }
    coarse = MonthlyStack(chain["gwsa_coarse"])
    months = maps["recommended"].months
    mask = np.isfinite(read_single(chain["baseline_mask"])[0])
    interpolations = spreads(coarse, truth.grid, mask, chain["native_mascons"])
    fields = coarse.read_months(months)
    scores = {name: Score() for name in [*maps, *interpolations]}
    spread_fields = {name: spread(fields) for name, spread in interpolations.items()}
    for number, month in enumerate(months):
        actual = truth.read_months(months[[number]])[0]
        estimates = {name: stack.read_months(np.array([month]))[0] for name, stack in maps.items()}
        estimates |= {name: field[number] for name, field in spread_fields.items()}
        used = mask & np.isfinite(actual)
        for estimate in estimates.values():
            used &= np.isfinite(estimate)
        for name, estimate in estimates.items():
            scores[name].add(estimate, actual, used)
    return {
        "fine_rmse_cm": {name: score.rmse for name, score in scores.items()},
        "fine_r2": {name: score.r2 for name, score in scores.items()},
        "pixels_and_months": next(iter(scores.values())).count,
    }


def spreads(coarse: MonthlyStack, fine: Grid, mask: np.ndarray, mascons: str) -> dict[str, Callable]:
    """Ways to spread the coarse field alone, each a function (n_months, coarse) -> (n_months, fine)."""
    factor = fine.factor_to(coarse.grid)
    weights = mask * fine.row_weights()[:, None]
    cells = cell_support(*coarse.grid.shape, factor)
    ids, _ = compact_labels(np.nan_to_num(read_single(mascons)[0]).astype(int))
    native = np.repeat(np.repeat(ids, factor, axis=0), factor, axis=1)
    on_cells = Closure(cells, weights, knot_spacing=factor)
    on_mascons = Closure(native, weights, knot_spacing=mascon_knot_spacing(native))

    def to_mascons(fields: np.ndarray) -> np.ndarray:
        repeated = np.repeat(np.repeat(fields, factor, axis=1), factor, axis=2)
        return on_mascons.spread(on_mascons.means(repeated)).astype(np.float32)

    return {
        "bilinear": lambda fields: spread(fields, factor, "bilinear").astype(np.float32),
        "cubic": lambda fields: spread(fields, factor, "cubic").astype(np.float32),
        "histospline": lambda fields: on_cells.spread(fields.reshape(len(fields), -1)).astype(np.float32),
        "histospline of mascons": to_mascons,
    }

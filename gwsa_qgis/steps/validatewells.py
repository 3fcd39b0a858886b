"""Validate a groundwater map at observation wells (section 2.5.2, Fig. 4), beside the coarse field."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidMonths, InvalidParameter, NoUsableData
from gwsa_qgis.months import calendar_year
from gwsa_qgis.products.point_layer import write_points
from gwsa_qgis.products.wells import WellLevels, WellPoints, read_well_levels, read_well_points
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.inspection import describe_months
from gwsa_qgis.rasters.points import cells_of_points, read_points, read_points_bilinear
from gwsa_qgis.rasters.stack import MonthlyStack, common_months
from gwsa_qgis.rasters.writing import write_text
from gwsa_qgis.science.trend import theil_sen
from gwsa_qgis.science.well_scores import Agreement, Perturbation, agreement, gain, perturb_yield, series_agreement
from gwsa_qgis.science.wells import (
    SPECIFIC_YIELD_TABLE,
    Bins,
    YieldRegion,
    anomalies,
    count_outliers,
    group_means,
    long_enough,
    quantile_bins,
    specific_yield,
    storage_change,
)
from gwsa_qgis.steps.storage_units import to_centimetres
from gwsa_qgis.steps.wells_report import metrics_csv, wells_page
from gwsa_qgis.steps.yield_table import read_yield_table

CELL_DEGREES = 0.25
MONTHS_OF_A_YEAR = 10  # a year with fewer months in the map has no annual mean
FINE, COARSE, BILINEAR = "fine map", "coarse field", "coarse field, bilinear"


@dataclass(frozen=True)
class ValidateWellsResult:
    """What `validatewells` found.

    Attributes
    ----------
    metrics, report, output : Path or None
    wells : int
        Wells compared.
    dropped : dict of str to int
        Wells left out, by reason.
    cells : int
        Coarse cells that hold them.
    trend, monthly : dict of (str, str) to Agreement
        By support ("cell" or "well") and map. `monthly` is empty for yearly tables.
    regions : dict of str to Agreement
        Trends of the fine map at cells by region of the specific yield table.
    bins : dict of str to Bins
        Bin means of the trends at cells by map; empty with too few cells.
    binned_r2, binned_r : dict of str to float
        R2 (1 - SSE/SST) and correlation of the bin means.
    gain : (n_wells,) float
        Gain of the fine map over the coarse field; NaN without one.
    share_improved : float
        Share of wells with a positive gain.
    perturbation : dict of str to Perturbation
        Random specific yields, by region and by cell.
    """

    metrics: Path | None
    report: Path | None
    output: Path | None
    wells: int
    dropped: dict[str, int]
    cells: int
    trend: dict[tuple[str, str], Agreement]
    monthly: dict[tuple[str, str], Agreement]
    regions: dict[str, Agreement]
    bins: dict[str, Bins]
    binned_r2: dict[str, float]
    binned_r: dict[str, float]
    gain: np.ndarray
    share_improved: float
    perturbation: dict[str, Perturbation]


def validatewells(
    gwsa: str | Path,
    wells: str | Path,
    levels: str | Path,
    *,
    specific_yield: str | Path | Sequence[Sequence] | None = None,
    start: str | None = None,
    end: str | None = None,
    bins: int = 15,
    coarse: str | Path | None = None,
    metrics: str | Path | None = None,
    report: str | Path | None = None,
    output: str | Path | None = None,
    level_kind: str = "depth",
    level_unit: str = "m",
    id_field: str = "",
    x_field: str = "",
    y_field: str = "",
    yield_field: str = "",
    levels_id_field: str = "",
    date_field: str = "",
    value_field: str = "",
    minimum_years: float = 5.0,
    minimum_share: float = 0.5,
    yield_spread: float = 0.2,
    draws: int = 1000,
    seed: int = 0,
    progress: ProgressFunction | None = None,
) -> ValidateWellsResult:
    """Compare trends and monthly anomalies of a map with those of wells, singly and averaged per coarse cell.

    Parameters
    ----------
    gwsa : path
        Monthly stack of groundwater storage anomaly.
    wells, levels : path
        Points (layer or CSV) and their levels, see `products.wells`.
    specific_yield : path or rows, optional
        CSV or rows of region, south, north, west, east, specific yield; Table 2 of the paper where not given.
    start, end : str, optional
        First and last month compared; all common months where not given.
    bins : int
        Quantile bins of the published figure.
    coarse : path, optional
        Coarse stack: its cells average the wells, and its scores stand beside the fine map's.
    metrics, report, output : path, optional
        Scores (CSV), page (HTML), and the wells with their figures (GeoPackage).
    level_kind : {"depth", "head", "anomaly"}
        Depth to water (positive down), head or level (positive up), or anomaly (positive up).
    level_unit : {"m", "cm", "mm", "ft"}
    id_field, x_field, y_field, yield_field : str
        Columns of `wells`; found by their usual names where empty. A well's own specific yield comes before the table.
    levels_id_field, date_field, value_field : str
        Columns of a long table of levels.
    minimum_years, minimum_share : float
        Wells need readings over this span, and in this share of its months.
    yield_spread, draws, seed
        Random specific yields: factors of 1 +- `yield_spread`.

    Raises
    ------
    NoUsableData
        If no well lies on the map, or none has enough readings.
    GwsaError
        If an input cannot be read.
    """
    say = Reporter(progress)
    table = read_yield_table(specific_yield) if specific_yield else SPECIFIC_YIELD_TABLE
    if bins < 2:
        raise InvalidParameter(f"{bins} bins were asked for", "give at least 2")
    with ExitStack() as files:
        stack = files.enter_context(MonthlyStack(gwsa))
        coarse_stack = files.enter_context(MonthlyStack(coarse)) if coarse else None
        points = read_well_points(
            wells, stack.grid, id_field=id_field, x_field=x_field, y_field=y_field, yield_field=yield_field
        )
        named = {"id_field": levels_id_field, "date_field": date_field, "value_field": value_field}
        on_map = _on_map(points, stack.grid, str(wells), str(gwsa), say)
        readings = read_well_levels(levels, points.names, kind=level_kind, unit=level_unit, **named)
        _tell_levels(say, readings, level_kind)
        months = _months_compared([s for s in (stack, coarse_stack) if s is not None], readings, start, end)
        say.say(f"Compared over {describe_months(months)}")
        site = _Sites(points, readings, months, on_map, minimum_years, minimum_share)
        maps = site.read_maps(stack, coarse_stack, say)
        cells = site.cells(coarse_stack.grid if coarse_stack is not None else None)
    result = _compare(site, maps, cells, table, bins, yield_spread, draws, seed)
    result = _with_paths(result, metrics, report, output)
    for reason, count in result.dropped.items():
        if count:
            say.warn(f"{count} wells left out: {reason}")
    with ExitStack():
        if output:
            write_points(output, *site.table_of_points(maps, result))
        if report:
            wells_page(result, site, f"{gwsa} at {result.wells} wells, {describe_months(months)}").save(report)
        if metrics:
            write_text(metrics, metrics_csv(result))
    best = result.trend["cell", FINE]
    say.say(f"Trends at {best.n} cells: R2 {best.r2:.3f}, r {best.r:.3f}, Spearman {best.spearman:.3f}")
    return result

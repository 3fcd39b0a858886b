"""Validate a groundwater map at observation wells (section 2.5.2, Fig. 4), beside the coarse field."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.products.point_layer import require_geopackage, write_points
from gwsa_qgis.products.wells import WellLevels, WellPoints, read_well_levels, read_well_points
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.inspection import describe_months
from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.rasters.writing import together
from gwsa_qgis.science.fitted_yield import FittedYield, fitted_yields
from gwsa_qgis.science.well_bootstrap import degree_squares
from gwsa_qgis.science.well_comparison import CELL, SINGLE, WellComparison, compare
from gwsa_qgis.science.wells import SPECIFIC_YIELD_TABLE
from gwsa_qgis.steps.text_outputs import stage_text
from gwsa_qgis.steps.wells_input import COARSE, FINE, WellData, prepare_wells, read_yield_table
from gwsa_qgis.steps.wells_report import metrics_csv, wells_page

# Shares of positive readings that contradict the kind of level said.
MOSTLY, HARDLY = 0.9, 0.1


@dataclass(frozen=True)
class ValidateWellsResult:
    """What `validatewells` found.

    Attributes
    ----------
    metrics, report, output : Path or None
    wells, cells : int
        Wells compared, and coarse cells that hold them.
    dropped : dict of str to int
        Wells left out, by reason.
    comparison : WellComparison
        All figures.
    fitted : dict of str to FittedYield
        Specific yield that would suit the map best, by region.
    """

    metrics: Path | None
    report: Path | None
    output: Path | None
    wells: int
    cells: int
    dropped: dict[str, int]
    comparison: WellComparison
    fitted: dict[str, FittedYield]


def validatewells(
    gwsa: str | Path,
    wells: str | Path,
    levels: str | Path,
    *,
    specific_yield: str | Path | Sequence[object] | None = None,
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
    yield_raster: str | Path | None = None,
    aquifers: str | Path | None = None,
    levels_id_field: str = "",
    date_field: str = "",
    value_field: str = "",
    minimum_years: float = 5.0,
    minimum_share: float = 0.25,
    yield_spread: float = 0.2,
    draws: int = 1000,
    block_degrees: float = 2.0,
    seed: int = 0,
    progress: ProgressFunction | None = None,
) -> ValidateWellsResult:
    """Compare trends and monthly anomalies of a map with those of wells, singly and averaged per coarse cell.

    Trends are Theil-Sen slopes over the months that a well and all maps have, so gaps touch both sides alike.

    Parameters
    ----------
    gwsa : path
        Monthly stack of groundwater storage anomaly.
    wells, levels : path
        Points (layer or CSV) and their levels (a table, or a folder of tables), see `products.wells`.
    specific_yield : path or rows, optional
        CSV or rows of region, south, north, west, east, specific yield; Table 2 of the paper where not given.
    start, end : str, optional
        First and last month compared; all common months where not given.
    bins : int
        Quantile bins of the published figure.
    coarse : path, optional
        Coarse stack: wells are averaged over its cells (else over 0.25 degrees), and its scores stand beside the map's.
    metrics, report, output : path, optional
        Scores (CSV), page (HTML), and the wells with their figures (GeoPackage).
    level_kind : {"depth", "head", "anomaly"}
        Depth to water (positive down), head or level (positive up), or anomaly (positive up).
    level_unit : {"m", "cm", "mm", "ft"}
    id_field, x_field, y_field, yield_field : str
        Columns of `wells`, found by their usual names where empty.
    yield_raster : path, optional
        Raster of specific yield, shares of 0 to 1. A well's own specific yield comes first, then the raster, then the
        table.
    aquifers : path, optional
        Raster of aquifer classes on any grid: all figures are also given by class.
    levels_id_field, date_field, value_field : str
        Columns of a long table of levels.
    minimum_years, minimum_share : float
        Wells need readings over this span, and in this share of its months (many networks measure every other month).
    yield_spread, draws, seed
        Random specific yields: factors of 1 +- `yield_spread`.
    block_degrees : float
        Wells in one square of so many degrees are drawn together for the intervals.

    Raises
    ------
    NoUsableData
        If no well lies on the map, or none has enough readings.
    GwsaError
        If an input cannot be read.
    """
    say = Reporter(progress)
    if bins < 2:
        raise InvalidParameter(f"{bins} bins were asked for", "give at least 2")
    if output:
        require_geopackage(output)
    if not block_degrees > 0:
        raise InvalidParameter(f"BLOCK_DEGREES is {block_degrees:g}", "give a positive size, such as 2")
    table = read_yield_table(specific_yield) if specific_yield else SPECIFIC_YIELD_TABLE
    with ExitStack() as files:
        stack = files.enter_context(MonthlyStack(gwsa))
        coarse_stack = files.enter_context(MonthlyStack(coarse)) if coarse else None
        fields = {"id_field": id_field, "x_field": x_field, "y_field": y_field, "yield_field": yield_field}
        points = read_well_points(wells, stack.grid, **fields)
        fields = {"id_field": levels_id_field, "date_field": date_field, "value_field": value_field}
        readings = read_well_levels(levels, points.names, kind=level_kind, unit=level_unit, **fields)
        _tell_levels(say, points, readings, level_kind)
        data = prepare_wells(
            points,
            readings,
            stack,
            coarse_stack,
            table,
            yield_raster=yield_raster,
            aquifers=aquifers,
            start=start,
            end=end,
            minimum_years=minimum_years,
            minimum_share=minimum_share,
            report=say,
        )
        crs = stack.grid.crs
    blocks = degree_squares(data.points.longitude, data.points.latitude, block_degrees)
    options = {"bins": bins, "spread": yield_spread, "draws": draws, "seed": seed}
    comparison = compare(
        data.storage,
        data.maps,
        data.cells,
        data.regions,
        classes=data.classes,
        blocks=blocks,
        steps_per_year=data.steps_per_year,
        **options,
    )
    fitted = fitted_yields(data.levels, data.maps[FINE], data.regions, blocks, draws=draws, seed=seed)
    _tell_result(say, data, comparison, bins)
    with together() as outputs:
        stage_text(outputs, metrics, metrics_csv(comparison, fitted))
        if report:
            stage_text(outputs, report, wells_page(data, comparison, fitted, str(gwsa)).render())
        if output:
            write_points(output, data.points.x, data.points.y, crs, _attributes(data, comparison))
    say(1.0)
    return ValidateWellsResult(
        *(Path(path) if path else None for path in (metrics, report, output)),
        len(data.points.names),
        len(comparison.supports[CELL].well_trend),
        data.dropped,
        comparison,
        fitted,
    )


def _tell_levels(say: Reporter, points: WellPoints, readings: WellLevels, kind: str) -> None:
    step = "yearly" if readings.yearly else "monthly"
    say.say(
        f"{len(points.names)} wells, {readings.readings} readings of them, {describe_months(readings.months)}, {step}"
    )
    if readings.duplicates:
        say.say(f"{readings.duplicates} readings share their month with another of the same well and are averaged")
    if kind == "depth" and readings.positive_share < HARDLY:
        say.warn(f"only {readings.positive_share:.0%} of the depths are positive: they look like levels, positive up")
    if kind == "head" and readings.positive_share > MOSTLY:
        say.say("the levels are positive, and taken as positive up as said")


def _tell_result(say: Reporter, data: WellData, comparison: WellComparison, bins: int) -> None:
    for reason, count in data.dropped.items():
        if count:
            say.warn(f"{count} wells are left out: {reason}")
    if data.outliers.any():
        say.warn(f"{data.outliers.sum()} readings lie far from their well's median; they are flagged and used")
    if not comparison.bins:
        say.warn(f"too few cells for {bins} bins of two: no bin means")
    for support in (CELL, SINGLE):
        found = comparison.trend[support, FINE]
        say.say(
            f"trends by {support}: n {found.n}, R2 {found.r2:.3f}, r {found.r:.3f}, Spearman {found.spearman:.3f}, "
            f"RMSE {found.rmse:.3f} cm/yr"
        )


def _attributes(data: WellData, comparison: WellComparison) -> dict[str, Sequence]:
    """Fields of the well layer."""
    single = comparison.supports[SINGLE]
    fields = {
        "well": data.points.names,
        "region": data.regions,
        **({"class": data.classes} if data.classes else {}),
        "sy": data.yields,
        "readings": np.isfinite(single.wells).sum(axis=1),
        "outliers": data.outliers,
        "trend_well": single.well_trend,
        "trend_map": single.map_trends[FINE],
        "difference": single.map_trends[FINE] - single.well_trend,
        "cell": data.cells,
    }
    if COARSE in single.map_trends:
        fields |= {"trend_coarse": single.map_trends[COARSE], "gain": comparison.gain}
    return fields

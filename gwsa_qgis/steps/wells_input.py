"""What `validatewells` compares: wells on the map, their storage anomalies, and the maps at their places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidMonths, InvalidParameter, NoUsableData
from gwsa_qgis.months import calendar_year
from gwsa_qgis.products.tables import find_column, read_table, to_number
from gwsa_qgis.products.wells import WellLevels, WellPoints, to_crs
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.grid import geographic_crs
from gwsa_qgis.rasters.inspection import describe_months
from gwsa_qgis.rasters.points import cells_of_points, read_cells, read_points, read_points_bilinear
from gwsa_qgis.rasters.raster import Raster
from gwsa_qgis.rasters.stack import MonthlyStack, common_months
from gwsa_qgis.science.wells import (
    YieldRegion,
    anomalies,
    count_outliers,
    long_enough,
    specific_yield,
    storage_change,
)
from gwsa_qgis.steps.storage_units import to_centimetres

CELL_DEGREES = 0.25
MONTHS_OF_A_YEAR = 10  # a year with fewer months in the map has no annual mean
FINE, COARSE, BILINEAR = "fine map", "coarse field", "coarse field, bilinear"
NO_CLASS = "none"
YIELD_COLUMNS = ("region", "south", "north", "west", "east", "specific_yield")


@dataclass(frozen=True)
class WellData:
    """Wells that are compared; arrays of shape (n_wells,) or (n_wells, n_steps).

    Attributes
    ----------
    points : WellPoints
    months : (n_steps,) datetime64[M]
        Months, or July of each year for yearly levels.
    steps_per_year : int
    levels : ndarray
        Level anomaly, cm, positive up.
    storage : ndarray
        Storage anomaly, cm: levels times specific yield.
    maps : dict of str to ndarray
        Maps at the wells, the fine one first, cm.
    cells : ndarray of int
        Coarse cell of each well.
    yields : ndarray
    regions : list of str
    classes : list of str or None
        Aquifer class of each well, where a raster of classes was given.
    outliers : ndarray of int
        Readings far from the well's median: flagged, not left out.
    dropped : dict of str to int
        Wells left out, by reason.
    """

    points: WellPoints
    months: np.ndarray
    steps_per_year: int
    levels: np.ndarray
    storage: np.ndarray
    maps: dict[str, np.ndarray]
    cells: np.ndarray
    yields: np.ndarray
    regions: list[str]
    classes: list[str] | None
    outliers: np.ndarray
    dropped: dict[str, int]


def prepare_wells(
    points: WellPoints,
    levels: WellLevels,
    stack: MonthlyStack,
    coarse: MonthlyStack | None,
    table: Sequence[YieldRegion],
    *,
    yield_raster: str | Path | None = None,
    aquifers: str | Path | None = None,
    start: str | None,
    end: str | None,
    minimum_years: float,
    minimum_share: float,
    report: Reporter,
) -> WellData:
    """Choose the wells to compare and read the maps at their places.

    Raises
    ------
    NoUsableData
        If no well lies on the map, or none has enough readings there.
    InvalidMonths
        If wells and maps have no month in common.
    """
    row, column, inside = cells_of_points(stack.grid, points.x, points.y)
    inside &= np.isfinite(points.x) & np.isfinite(points.y)
    if not inside.any():
        raise NoUsableData(
            f"none of the {inside.size} wells lies on the map {stack.path} ({_extent(points.x, points.y)} against "
            f"{stack.grid.describe()})",
            "give wells of this region, and check which column is longitude",
        )
    months = _months_compared([stack, coarse] if coarse else [stack], levels, start, end)
    report.say(f"Compared over {describe_months(months)}")
    series = levels.levels[:, (months - levels.months[0]).astype(int)]
    steps_per_year, years = 12, None
    if levels.yearly:
        years, series = _yearly_levels(series, months)
        steps_per_year = 1
    enough = long_enough(series, round(minimum_years * steps_per_year), minimum_share)
    chosen = np.flatnonzero(inside & enough)
    dropped = {"outside the map": int((~inside).sum()), "too few readings": int((inside & ~enough).sum())}
    _require(chosen, dropped, minimum_years, minimum_share)

    def read(values: np.ndarray) -> np.ndarray:
        return values if years is None else _yearly_means(values, months, years)

    fine = read_points(stack, months, row[chosen], column[chosen], report.part(0.1, 0.6))
    present = np.isfinite(fine).any(axis=1)
    dropped["on masked pixels"] = int((~present).sum())
    chosen, fine = chosen[present], fine[present]
    _require(chosen, dropped, minimum_years, minimum_share)
    maps = {FINE: read(fine * to_centimetres(stack, report))}
    kept = _subset(points, chosen)
    if coarse is None:
        cells = _cells_of_degrees(kept.longitude, kept.latitude)
    else:
        cells, series_of = _read_coarse(coarse, months, kept, report)
        maps |= {name: read(values) for name, values in series_of.items()}
    yields, regions = specific_yield(kept.longitude, kept.latitude, table)
    if yield_raster:
        mapped = _yields_of_raster(yield_raster, kept)
        report.say(f"{np.isfinite(mapped).sum()} of {mapped.size} wells take their specific yield from {yield_raster}")
        yields = np.where(np.isfinite(mapped), mapped, yields)
    yields = np.where(np.isfinite(kept.specific_yield), kept.specific_yield, yields)
    anomaly = anomalies(series[chosen])
    return WellData(
        kept,
        months if years is None else years,
        steps_per_year,
        anomaly,
        storage_change(anomaly, yields),
        maps,
        cells,
        yields,
        regions,
        _classes_at(aquifers, kept) if aquifers else None,
        count_outliers(anomaly),
        dropped,
    )


def _at_wells(path: str | Path, points: WellPoints) -> np.ndarray:
    """Value of the raster's cell at each well, (n_wells,); NaN outside and on NoData."""
    with Raster(path) as raster:
        crs = raster.grid.crs or geographic_crs()
        row, column, inside = cells_of_points(raster.grid, *to_crs(points.longitude, points.latitude, crs))
        values = np.full(row.size, np.nan)
        values[inside] = read_cells(raster, row[inside], column[inside])
    return values


def _yields_of_raster(path: str | Path, points: WellPoints) -> np.ndarray:
    """Specific yield at each well, (n_wells,); NaN outside and on NoData.

    Raises
    ------
    InvalidParameter
        If a value is no share of 0 to 1.
    """
    values = _at_wells(path, points)
    wrong = values[(values <= 0) | (values >= 1)]
    if wrong.size:
        raise InvalidParameter(
            f"the specific yield raster {path} has {wrong[0]:g} at a well", "give shares between 0 and 1, not percent"
        )
    return values


def _classes_at(path: str | Path, points: WellPoints) -> list[str]:
    """Aquifer class at each well, as text.

    Raises
    ------
    InvalidParameter
        If no well has one, or one is no class number.
    """
    values = _at_wells(path, points)
    known = np.isfinite(values) & (values > 0)
    if not known.any():
        raise InvalidParameter(
            f"the aquifer classes {path} have no class at any of the {values.size} wells",
            "give the raster that gwsa:aquiferclasses wrote for this region",
        )
    if (values[known] % 1).any():
        raise InvalidParameter(
            f"the aquifer classes {path} have the value {values[known][values[known] % 1 > 0][0]:g} at a well",
            "give a raster of class numbers, as gwsa:aquiferclasses writes",
        )
    return [f"{value:.0f}" if there else NO_CLASS for value, there in zip(values, known, strict=True)]


def read_yield_table(table: str | Path | Sequence[object]) -> list[YieldRegion]:
    """Rows of region, south, north, west, east and specific yield, from a CSV or as rows (or one flat list of cells).

    Raises
    ------
    InvalidParameter
        If a row has not these six cells, or a specific yield is not between 0 and 1.
    """
    if isinstance(table, (str, Path)):
        header, lines = read_table(table)
        columns = [find_column(header, (name,)) for name in YIELD_COLUMNS]
        if None in columns:
            raise InvalidParameter(
                f"{table} has the columns {', '.join(header)}", f"give a table with {', '.join(YIELD_COLUMNS)}"
            )
        rows = [[line[column] for column in columns] for line in lines]
    else:
        rows = list(table)
        if rows and not isinstance(rows[0], (list, tuple)):
            rows = [rows[k : k + len(YIELD_COLUMNS)] for k in range(0, len(rows), len(YIELD_COLUMNS))]
    regions = []
    for row in rows:
        try:
            region = YieldRegion(str(row[0]), *(to_number(str(cell)) for cell in row[1:6]))
            good = len(row) == len(YIELD_COLUMNS) and 0 < region.specific_yield < 1
        except (TypeError, ValueError):
            good = False
        if not good:
            raise InvalidParameter(
                f"the specific yield table has the row {list(row)}",
                "give region, south, north, west, east, and a specific yield between 0 and 1",
            )
        regions.append(region)
    return regions


def _require(chosen: np.ndarray, dropped: dict[str, int], minimum_years: float, minimum_share: float) -> None:
    if not chosen.size:
        reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.items() if count)
        raise NoUsableData(
            f"no well is left to compare ({reasons}; wanted are {minimum_years:g} years with {minimum_share:.0%} of "
            "their months)",
            "give longer records, or ask for fewer years",
        )


def _months_compared(stacks: list[MonthlyStack], levels: WellLevels, start: str | None, end: str | None) -> np.ndarray:
    months = common_months(stacks)
    months = months[(months >= levels.months[0]) & (months <= levels.months[-1])]
    try:
        if start:
            months = months[months >= np.datetime64(start, "M")]
        if end:
            months = months[months <= np.datetime64(end, "M")]
    except ValueError:
        raise InvalidMonths(f"the period {start} to {end} is not a pair of months", "give them as YYYY-MM") from None
    if not months.size:
        maps = ", ".join(f"{s.path}: {s.months[0]} to {s.months[-1]}" for s in stacks)
        raise InvalidMonths(
            f"wells ({levels.months[0]} to {levels.months[-1]}) and maps ({maps}) share no month from "
            f"{start or 'the first'} to {end or 'the last'}",
            "give another period, or wells with readings in it",
        )
    return months


def _yearly_levels(series: np.ndarray, months: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Julys of the years, and the levels that stand on them."""
    july = months.astype(int) % 12 == 6
    if not july.any():
        raise InvalidMonths("the levels are yearly and the map has no whole year", "give a longer map")
    return months[july], series[:, july]


def _yearly_means(values: np.ndarray, months: np.ndarray, julys: np.ndarray) -> np.ndarray:
    """Means of calendar years, (n_wells, n_years); NaN with fewer than ten months."""
    means = np.full((len(values), julys.size), np.nan)
    years = calendar_year(months)
    for place, year in enumerate(calendar_year(julys)):
        inside = values[:, years == year]
        count = np.isfinite(inside).sum(axis=1)
        total = np.nansum(inside, axis=1)
        means[:, place] = np.where(count >= MONTHS_OF_A_YEAR, total / np.maximum(count, 1), np.nan)
    return means


def _read_coarse(
    coarse: MonthlyStack, months: np.ndarray, points: WellPoints, report: Reporter
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Coarse cell of each well, and the coarse field there: of the cell, and interpolated."""
    factor = to_centimetres(coarse, report)
    row, column, inside = cells_of_points(coarse.grid, points.x, points.y)
    of_cell = np.where(inside[:, None], read_points(coarse, months, row, column), np.nan)
    interpolated = read_points_bilinear(coarse, months, points.x, points.y)
    return row * coarse.grid.columns + column, {COARSE: of_cell * factor, BILINEAR: interpolated * factor}


def _cells_of_degrees(longitude: np.ndarray, latitude: np.ndarray) -> np.ndarray:
    per_row = round(360 / CELL_DEGREES)
    return (np.floor(latitude / CELL_DEGREES) * per_row + np.floor(longitude / CELL_DEGREES)).astype(int)


def _subset(points: WellPoints, chosen: np.ndarray) -> WellPoints:
    arrays = (points.x, points.y, points.longitude, points.latitude, points.specific_yield)
    return WellPoints([points.names[k] for k in chosen], *(values[chosen] for values in arrays))


def _extent(x: np.ndarray, y: np.ndarray) -> str:
    known = np.isfinite(x) & np.isfinite(y)
    if not known.any():
        return "none has coordinates"
    return f"x {x[known].min():.6g} to {x[known].max():.6g}, y {y[known].min():.6g} to {y[known].max():.6g}"

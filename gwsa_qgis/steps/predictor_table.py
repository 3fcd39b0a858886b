"""The table of what came into a predictor set and what went out, and the page that shows it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from gwsa_qgis.months import calendar_month
from gwsa_qgis.products.plausibility import Profile
from gwsa_qgis.rasters.gdal_setup import osr
from gwsa_qgis.rasters.grid import Grid
from gwsa_qgis.rasters.raster import Raster
from gwsa_qgis.rasters.warping import spatial_reference
from gwsa_qgis.report.html import Page

LEAST_MONTHS_FOR_A_SEASON = 12


@dataclass(frozen=True)
class PredictorRow:
    """One predictor in the table of what came in and what went out.

    Attributes
    ----------
    name, unit_in, unit_out : str
        Units as the input names it and as it is written: they are the same, units are never changed silently.
    months : int
        0 for a static one.
    empty_months : str
        Months without any value on the used cells, which stay NoData.
    source_cells, source_resolution, source_crs : str
        Grid of the input.
    alignment : str
        How it was brought to the template.
    filled_share, left_share : float
        Shares of the used cells (over all months) that were holes and got filled, and that stay holes.
    low, mean, high : float
        Figures on the fine grid.
    odd : str
        What looks physically odd; empty when nothing does.
    """

    name: str
    unit_in: str
    unit_out: str
    months: int
    empty_months: str
    source_cells: str
    source_resolution: str
    source_crs: str
    alignment: str
    filled_share: float
    left_share: float
    low: float
    mean: float
    high: float
    odd: str


def as_csv(rows: Sequence[PredictorRow]) -> str:
    """The table as CSV."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([field.name for field in fields(PredictorRow)])
    table.writerows(astuple(row) for row in rows)
    return text.getvalue()


def read_profile(name: str, path: Path, months: np.ndarray | None, latitudes: np.ndarray) -> Profile:
    """Mean map and mean season of a predictor on the coarse grid, read month by month."""
    with Raster(path) as raster:
        total, counts = np.zeros(raster.grid.shape), np.zeros(raster.grid.shape, np.int64)
        seasons, known = np.zeros((12, raster.grid.rows)), np.zeros((12, raster.grid.rows), np.int64)
        calendar = calendar_month(months) - 1 if months is not None and raster.bands == months.size else None
        for band in range(raster.bands):
            values = raster.read(bands=[band])[0].astype(float)
            valid = np.isfinite(values)
            values[~valid] = 0
            total += values
            counts += valid
            if calendar is not None:
                seasons[calendar[band]] += values.sum(axis=1)
                known[calendar[band]] += valid.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, cycle = total / counts, seasons / known
    whole = calendar is not None and calendar.size >= LEAST_MONTHS_FOR_A_SEASON
    return Profile(name, mean, cycle if whole else None, latitudes)


def row_latitudes(grid: Grid) -> np.ndarray:
    """Latitude of the middle of each row, degrees."""
    if grid.is_geographic:
        return grid.latitudes()
    degrees = spatial_reference(osr.SpatialReference(grid.crs).CloneGeogCS().ExportToWkt())
    transform = osr.CoordinateTransformation(spatial_reference(grid.crs), degrees)
    middle = (grid.west + grid.east) / 2
    return np.array([transform.TransformPoint(middle, north)[1] for north in grid.latitudes().tolist()])


def make_page(
    rows: Sequence[PredictorRow],
    profiles: Mapping[str, Profile],
    grids: tuple[Grid, Grid],
    span: tuple[str, str],
    hole_distance: int,
) -> str:
    """The table and a small map of each predictor's mean, as HTML."""
    from gwsa_qgis.report.maps import map_panels

    fine, coarse = grids
    page = Page("Predictors", f"{len(rows)} predictors, {' to '.join(span) if span[0] else 'all static'}")
    page.facts(
        {
            "Fine grid": fine.describe(),
            "Coarse grid": coarse.describe(),
            "Largest distance of a filled hole": f"{hole_distance} fine cells",
        }
    )
    odd = [row for row in rows if row.odd]
    if odd:
        page.section("What looks odd")
        for row in odd:
            page.note(row.odd)
    page.section("What came in")
    header = ("name", "unit", "months", "empty months", "cells", "resolution", "CRS", "brought to the template")
    page.table(
        header,
        [
            (
                r.name,
                r.unit_in,
                r.months,
                r.empty_months,
                r.source_cells,
                r.source_resolution,
                r.source_crs,
                r.alignment,
            )
            for r in rows
        ],
    )
    page.section("What went out")
    page.table(
        ("name", "unit", "holes filled (%)", "holes left (%)", "least", "mean", "greatest"),
        [(r.name, r.unit_out, 100 * r.filled_share, 100 * r.left_share, r.low, r.mean, r.high) for r in rows],
    )
    page.section("Means")
    for row in rows:
        if row.name in profiles:
            drawn = map_panels(coarse, [(row.name, profiles[row.name].mean)], f"{row.name} {row.unit_out}".strip())
            page.figure(drawn, f"{row.name}: mean over the months, on the coarse grid.")
    return page.render()

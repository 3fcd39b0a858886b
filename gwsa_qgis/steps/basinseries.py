"""Monthly series of basins: area-weighted means and volumes with exact border cover, uncertainty, trends."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.products.vector_layer import require_geopackage, write_features
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.gdal_setup import ogr
from gwsa_qgis.rasters.windows import DEFAULT_MEMORY_MB
from gwsa_qgis.rasters.writing import together
from gwsa_qgis.steps.basin_figures import (
    ANNUAL_HEADER,
    FOUND,
    MONTHLY_HEADER,
    BasinFigures,
    annual_rows,
    monthly_rows,
)
from gwsa_qgis.steps.basin_reading import BasinSources, read_figures
from gwsa_qgis.steps.basin_report import SIGNIFICANT, BasinFacts, basin_page
from gwsa_qgis.steps.csv_outputs import stage_table
from gwsa_qgis.steps.text_outputs import stage_text

LITTLE = 0.5  # of a basin's area
SEEN_OVERLAP = 1e-6  # of the basins' area
SEEN_CHANGE = 0.01  # of the area with values, from month to month


@dataclass(frozen=True)
class BasinSeriesResult:
    """What `basinseries` wrote.

    Attributes
    ----------
    output, report, annual, summary, layer : Path or None
    figures : BasinFigures
        Series and trends.
    basins, without_values : int
        Basins read, and those of them without any value.
    """

    output: Path
    report: Path | None
    annual: Path | None
    summary: Path | None
    layer: Path | None
    figures: BasinFigures
    basins: int
    without_values: int


def basinseries(
    input: str | Path,
    basins: str | Path,
    output: str | Path,
    *,
    field: str = "",
    basin: str = "",
    same_name: str = "apart",
    uncertainty: str | Path | None = None,
    within: str | Path | None = None,
    mascons: str | Path | None = None,
    flags: str | Path | None = None,
    report: str | Path | None = None,
    annual: str | Path | None = None,
    summary: str | Path | None = None,
    layer: str | Path | None = None,
    level: float = 0.95,
    minimum_share: float = 0.5,
    charts: int = 30,
    memory_mb: float = DEFAULT_MEMORY_MB,
    workers: int = 1,
    progress: ProgressFunction | None = None,
) -> BasinSeriesResult:
    """Average a monthly stack over basins.

    Parameters
    ----------
    input : path
        Monthly stack of water storage.
    basins : path
        Polygons, in any CRS: they are reprojected to the stack's, as the log says.
    output : path
        Table (CSV), a row for each basin and month.
    field : str
        Field of the basins' names; features are numbered where empty.
    basin : str
        Name of the one basin that is wanted; all where empty.
    same_name : {"apart", "join"}
        What to do with features of one name.
    uncertainty : path, optional
        Stack of `uncertainty`: `cell` (standard errors of supports), or `output` (half-widths of pixels).
    within : path, optional
        Stack `within` of `uncertainty`, beside `cell`.
    mascons : path, optional
        Mascon map; needed with errors of mascons.
    flags : path, optional
        Stack of `fillgaps` that says which months are filled; what the stack says itself counts too.
    report, annual, summary, layer : path, optional
        Page with charts; means of calendar years; a row for each basin; the basins with their figures (GeoPackage).
    level : float
        Of half-widths and of the limits of trends, 0.5 to 0.99.
    minimum_share : float
        A month counts when this share of the area that ever has values has them.
    charts : int
        Basins drawn in the report at most, those with the largest change of volume.

    Raises
    ------
    InvalidParameter
        If a number is out of bounds, or the errors do not go together.
    UnreadableInput, GridMismatch, InvalidMonths
        For inputs that cannot be read or do not fit.
    NoUsableData
        If no basin has a value.

    Notes
    -----
    A pixel counts by its share of area inside the basin, which is exact (`science.coverage`). Volume is the mean times the
    area that has values: nothing is extrapolated to masked parts or to what lies outside the raster.
    """
    say = Reporter(progress)
    _check(level, minimum_share, charts, layer)
    with TemporaryDirectory(prefix="gwsa_") as folder:
        sources = BasinSources(input, basins, field, basin, same_name, uncertainty, within, mascons, flags)
        figures, facts = read_figures(
            sources, Path(folder) / "outlines", level, minimum_share, memory_mb, workers, say.part(0.0, 0.9)
        )
        facts = replace(facts, charts=charts)
        _tell(figures, say)
        paths = [None if path is None else Path(path) for path in (output, report, annual, summary, layer)]
        _write(figures, facts, *paths, say.part(0.92, 1.0))
        say(1.0)
    without = sum(status != FOUND for status in figures.status)
    return BasinSeriesResult(*paths, figures, len(figures.basins), without)


def _write(
    figures: BasinFigures,
    facts: BasinFacts,
    output: Path,
    report: Path | None,
    annual: Path | None,
    summary: Path | None,
    layer: Path | None,
    progress: Reporter,
) -> None:
    found, fields = figures.basins, figures.fields()
    plain = all(name.isascii() for name in found.names)
    with together() as outputs:
        stage_table(outputs, output, MONTHLY_HEADER, monthly_rows(figures), plain)
        stage_table(outputs, annual, ANNUAL_HEADER, annual_rows(figures), plain)
        stage_table(outputs, summary, list(fields), zip(*map(_listed, fields.values()), strict=True), plain)
        if layer:
            outlines = (ogr.CreateGeometryFromWkb(found.outline(number)) for number in range(len(found)))
            several = (ogr.ForceToMultiPolygon(outline) for outline in outlines)
            write_features(layer, several, ogr.wkbMultiPolygon, found.grid.crs, fields, "basins")
        if report:
            stage_text(outputs, report, basin_page(figures, facts, progress).render())


def _check(level: float, minimum_share: float, charts: int, layer: str | Path | None) -> None:
    if not 0.5 <= level <= 0.99:
        raise InvalidParameter(f"LEVEL is {level}", "give 0.5 to 0.99, such as 0.95")
    if not 0 <= minimum_share <= 1:
        raise InvalidParameter(f"MINIMUM_SHARE is {minimum_share}", "give a share of 0 to 1")
    if charts < 0:
        raise InvalidParameter(f"CHARTS is {charts}", "give 0 for none, or a number")
    if layer:
        require_geopackage(layer)


def _listed(values: np.ndarray | list) -> list:
    return values.tolist() if isinstance(values, np.ndarray) else values


def _tell(figures: BasinFigures, say: Reporter) -> None:
    """Say which basins have no values or few, and what must not be added up."""
    status, names = figures.status, figures.basins.names
    for kind in sorted(set(status) - {FOUND}):
        listed = [name for name, own in zip(names, status, strict=True) if own == kind]
        say.warn(f"{len(listed)} of {len(names)} basins have no series ({kind}): {_short(listed)}.")
    share = figures.sums.mapped / figures.areas
    little = [name for name, part in zip(names, share, strict=True) if 0 < part < LITTLE]
    if little:
        say.warn(f"{len(little)} basins have values on less than half of their area: {_short(little)}.")
    if figures.sums.overlap > SEEN_OVERLAP * figures.sums.covered.sum():
        say.warn(f"basins overlap on {figures.sums.overlap:.6g} km2: their volumes must not be added up.")
    area = np.where(np.isfinite(figures.means), figures.sums.area, np.nan)
    known = figures.has_values
    if known.any():
        changes = np.nanmin(area[known], axis=1) < (1 - SEEN_CHANGE) * np.nanmax(area[known], axis=1)
        if changes.any():
            say.warn(
                f"the area with values changes from month to month in {changes.sum()} basins, and their volumes with it: "
                "compare their means."
            )
    falling = (figures.trends.p < SIGNIFICANT) & (figures.trends.slope < 0)
    say.say(f"{known.sum()} basins with a series, {falling.sum()} of them with a significant decrease")


def _short(names: list[str], most: int = 8) -> str:
    return ", ".join(names if len(names) <= most else [*names[:most], "..."])

"""Reports of basins: one page each with series, trend, break, season, droughts and hot spots, and a table of all."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import numpy as np

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.raster import Raster
from gwsa_qgis.rasters.windows import DEFAULT_MEMORY_MB
from gwsa_qgis.rasters.writing import apart, replacing_folder, together
from gwsa_qgis.science.drought import FEWEST_YEARS
from gwsa_qgis.steps.basin_analysis import BasinAnalysis, analyse
from gwsa_qgis.steps.basin_figures import FOUND, BasinFigures
from gwsa_qgis.steps.basin_maps import MAPS, BasinMap, MapSources, map_basin
from gwsa_qgis.steps.basin_page import BasinBook, basin_page_of, overview_page
from gwsa_qgis.steps.basin_reading import BasinSources, read_figures
from gwsa_qgis.steps.csv_outputs import stage_table
from gwsa_qgis.steps.hotspot_regions import Total
from gwsa_qgis.steps.text_outputs import stage_text

LONGEST_NAME = 60
# Names that Windows keeps for devices.
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{k}" for port in ("com", "lpt") for k in range(1, 10))}


@dataclass(frozen=True)
class BasinReportResult:
    """What `basinreport` wrote.

    Attributes
    ----------
    report, folder, summary : Path or None
    figures : BasinFigures
    analysis : BasinAnalysis
    pages : list of Path
        Page of each basin, in the order of the layer; empty without `folder`.
    """

    report: Path | None
    folder: Path | None
    summary: Path | None
    figures: BasinFigures
    analysis: BasinAnalysis
    pages: list[Path]

    @property
    def without_values(self) -> int:
        """How many basins have no value."""
        return sum(status != FOUND for status in self.figures.status)


def basinreport(
    input: str | Path,
    basins: str | Path,
    report: str | Path | None = None,
    *,
    folder: str | Path | None = None,
    summary: str | Path | None = None,
    field: str = "",
    basin: str = "",
    same_name: str = "apart",
    slope: str | Path | None = None,
    p_value: str | Path | None = None,
    lower: str | Path | None = None,
    upper: str | Path | None = None,
    uncertainty: str | Path | None = None,
    within: str | Path | None = None,
    mascons: str | Path | None = None,
    flags: str | Path | None = None,
    break_month: str = "",
    level: float = 0.95,
    minimum_years: int = 10,
    memory_mb: float = DEFAULT_MEMORY_MB,
    workers: int = 1,
    progress: ProgressFunction | None = None,
) -> BasinReportResult:
    """Write a page for each basin.

    Parameters
    ----------
    input : path
        Monthly stack of water storage.
    basins, field, basin, same_name, uncertainty, within, mascons, flags
        As in `basinseries`.
    report : path, optional
        The page of the basin where there is one, an overview with links where there are several.
    folder : path, optional
        Folder of one self-contained page (HTML) a basin; needed for several.
    summary : path, optional
        Table (CSV), a row a basin.
    slope, p_value, lower, upper : path, optional
        Maps of the stack's trend, on its grid. Where they are not given, the trend of each basin's own cells is computed.
    break_month : str
        First month of the later part, YYYY-MM, or a year; the middle of the record where empty.
    level : float
        Of limits and uncertainty, 0.5 to 0.99.
    minimum_years : int
        A calendar month has a drought index where it has so many years.
    memory_mb, workers, progress
        As in all steps.

    Raises
    ------
    InvalidParameter
        If a number is out of bounds, maps or errors do not go together, or several basins have no folder.
    UnreadableInput, GridMismatch, InvalidMonths
        For inputs that cannot be read or do not fit.
    NoUsableData
        If no basin has a value.
    """
    say = Reporter(progress)
    _check(level, minimum_years, report, folder)
    maps = _maps(slope, p_value, lower, upper)
    sources = BasinSources(input, basins, field, basin, same_name, uncertainty, within, mascons, flags)
    with TemporaryDirectory(prefix="gwsa_") as scratch:
        figures, facts = read_figures(
            sources, Path(scratch) / "outlines", level, 0.5, memory_mb, workers, say.part(0.0, 0.2)
        )
        _require_grid(maps, figures, str(input))
        count = len(figures.basins)
        if count > 1 and not folder:
            raise InvalidParameter(
                f"{basins} has {count} basins and FOLDER is not given", "give FOLDER, or the name of one basin as BASIN"
            )
        book = BasinBook(figures, analyse(figures, break_month, minimum_years, say), facts)
        found = MapSources(Path(input), facts.to_cm, maps, level, memory_mb, workers)
        paths = [Path(path) if path else None for path in (report, folder, summary)]
        names = _write(book, found, *paths, Path(scratch), say.part(0.2, 1.0))
        say(1.0)
    pages = [Path(folder) / name for name in names] if folder else []
    result = BasinReportResult(*paths, figures, book.analysis, pages)
    if result.without_values:
        say.warn(f"{result.without_values} of {count} basins have no series, as their pages say.")
    return result


def _write(
    book: BasinBook,
    sources: MapSources,
    report: Path | None,
    folder: Path | None,
    summary: Path | None,
    scratch: Path,
    say: Reporter,
) -> list[str]:
    """Write the pages one by one, the overview and the table; returns the pages' file names."""
    figures = book.figures
    names, count, hot = page_names(figures.basins.names), len(figures.basins), []
    with together() as outputs:
        place = outputs.enter_context(replacing_folder(folder)) if folder else None
        for number, name in enumerate(names):
            part = say.part(number / count, (number + 1) / count)
            part(0.0, figures.basins.names[number])
            with apart():
                drawn = map_basin(figures.basins, number, sources, scratch, part)
            hot.append(_hot_figures(drawn))
            page = basin_page_of(book, number, drawn)
            if place is not None:
                (place / name).write_text(page.render(), encoding="utf-8", newline="\n")
        if report:
            if count > 1:
                page = overview_page(book, [_address(folder / name, report) for name in names])
            stage_text(outputs, report, page.render())
        fields = figures.fields() | book.analysis.fields(figures.months) | _columns(hot) | {"page": names}
        plain = all(name.isascii() for name in figures.basins.names)
        stage_table(outputs, summary, list(fields), zip(*map(_listed, fields.values()), strict=True), plain)
    return names


def _check(level: float, minimum_years: int, report: str | Path | None, folder: str | Path | None) -> None:
    if not 0.5 <= level <= 0.99:
        raise InvalidParameter(f"LEVEL is {level}", "give 0.5 to 0.99, such as 0.95")
    if minimum_years < FEWEST_YEARS:
        raise InvalidParameter(f"MINIMUM_YEARS is {minimum_years}", f"give {FEWEST_YEARS} or more, such as 10")
    if not report and not folder:
        raise InvalidParameter("neither REPORT nor FOLDER was given", "give at least one of them")


def _maps(
    slope: str | Path | None, p_value: str | Path | None, lower: str | Path | None, upper: str | Path | None
) -> dict[str, Path]:
    """The maps that were given."""
    given = {name: Path(path) for name, path in zip(MAPS, (slope, p_value, lower, upper), strict=True) if path}
    if given and not {"slope", "p_value"} <= set(given):
        raise InvalidParameter("SLOPE and P_VALUE were not given together", "give both, or no map")
    if ("lower" in given) != ("upper" in given):
        raise InvalidParameter("one limit of the slope was given without the other", "give LOWER and UPPER, or neither")
    return given


def _require_grid(maps: dict[str, Path], figures: BasinFigures, stack: str) -> None:
    for name, path in maps.items():
        with Raster(path) as raster:
            figures.basins.grid.require_match(raster.grid, f"the stack {stack}", f"the {name} {path}")


def page_names(names: list[str]) -> list[str]:
    """A file name for each basin's page, unlike any other also where upper and lower case are one."""
    found: list[str] = []
    taken: set[str] = set()
    for name in names:
        stem = re.sub(r"[^\w.-]+", "_", name).strip("._")[:LONGEST_NAME] or "basin"
        stem = f"{stem}_" if stem.lower() in RESERVED else stem
        wanted, count = stem, 1
        while wanted.casefold() in taken:
            count += 1
            wanted = f"{stem}_{count}"
        taken.add(wanted.casefold())
        found.append(f"{wanted}.html")
    return found


def _address(page: Path, report: Path) -> str:
    """Where a page is, seen from the overview, as a URL."""
    try:
        return quote(Path(os.path.relpath(page.resolve(), report.resolve().parent)).as_posix())
    except ValueError:  # another drive
        return page.resolve().as_uri()


def _hot_figures(drawn: BasinMap | str) -> tuple[float, ...]:
    """Number, area and volume a year of the hot spots of depletion, and of gain; NaN without a map."""
    if isinstance(drawn, str):
        return (np.nan,) * 6
    totals = [drawn.found.totals.get(kind, Total()) for kind in (-1, 1)]
    return tuple(figure for total in totals for figure in (float(total.count), total.area, total.rate))


def _columns(hot: list[tuple[float, ...]]) -> dict[str, np.ndarray]:
    names = [f"{kind}_{what}" for kind in ("depletion", "gain") for what in ("spots", "km2", "km3")]
    return dict(zip(names, np.array(hot).T, strict=True))


def _listed(values: np.ndarray | list) -> list:
    return values.tolist() if isinstance(values, np.ndarray) else values

"""Bring predictors onto the fine and the coarse grid (step ``preparepredictors``)."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import InvalidMonths, InvalidParameter, UnreadableInput
from gwsa_qgis.products.plausibility import odd_profiles
from gwsa_qgis.products.predictor_input import PredictorInput, name_inputs, open_input, shared_months
from gwsa_qgis.products.sanity import Figures, odd_figures
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.gdal_setup import gdal
from gwsa_qgis.rasters.inspection import list_months
from gwsa_qgis.rasters.journal import Journal, describe_file, journalled
from gwsa_qgis.rasters.predictor_set import SUFFIXES
from gwsa_qgis.rasters.warping import read_template
from gwsa_qgis.rasters.windows import DEFAULT_MEMORY_MB
from gwsa_qgis.rasters.writing import make_folder, place_folder, replacing_folder, together
from gwsa_qgis.steps.predictor_table import PredictorRow, as_csv, make_page, read_profile, row_latitudes
from gwsa_qgis.steps.predictor_windows import Target
from gwsa_qgis.steps.predictor_writing import COARSE, FINE, STEP, make_predictors
from gwsa_qgis.steps.text_outputs import stage_text


@dataclass(frozen=True)
class PreparePredictorsResult:
    """What was written.

    Attributes
    ----------
    fine, coarse : Path
    first, last : str
        First and last month; empty when all predictors are static.
    rows : tuple of PredictorRow
    resumed : tuple of str
        Predictors that an interrupted run had finished.
    """

    fine: Path
    coarse: Path
    first: str
    last: str
    rows: tuple[PredictorRow, ...]
    resumed: tuple[str, ...] = ()


def preparepredictors(
    inputs: Mapping[str, str | Path] | Iterable[str | Path],
    template: str | Path,
    factor: int,
    fine: str | Path,
    coarse: str | Path,
    *,
    mask: str | Path | None = None,
    names: Sequence[str] | None = None,
    max_hole_distance: int = 10,
    start: str | None = None,
    end: str | None = None,
    table: str | Path | None = None,
    report: str | Path | None = None,
    memory_mb: float = DEFAULT_MEMORY_MB,
    workers: int = 1,
    progress: ProgressFunction | None = None,
) -> PreparePredictorsResult:
    """Align rasters to the template, mask them, fill scattered holes, and average them to the coarse grid.

    Parameters
    ----------
    inputs : list of paths, or dict of name to path
        Monthly stacks (dynamic) and single-band rasters (static); variables of NetCDF files as
        ``NETCDF:"file":variable``.
    template : path
        Raster on the fine grid.
    factor : int
        Fine cells along a coarse cell's side.
    fine, coarse : path
        Folders to write, one GeoTIFF a predictor.
    mask : path, optional
        Cells to use, on the fine grid.
    names : list of str, optional
        Names of the predictors in the order of the inputs; the files' names otherwise.
    max_hole_distance : int
        Holes are filled by inverse distance weighting from used cells that are at most this many fine cells away;
        larger holes keep their inside empty. 0 fills nothing.
    start, end : str, optional
        First and last month; by default all months that all dynamic inputs have.
    table : path, optional
        CSV of `PredictorRow` to write.
    report : path, optional
        Page with the table and a map of each predictor's mean.
    memory_mb : float
        Budget for all threads together; no more of them run than it holds.
    workers : int
        Threads, or the workers of a ``joblib.parallel_config``, which leave the pieces that they make in the hidden folder
        until they are written; the files are the same for any of them.

    Notes
    -----
    Inputs whose cells are the template's are cut out; coarser ones are interpolated bilinearly, finer ones averaged, by
    GDAL's warper, which also reprojects those of another CRS. Which of these was done is said in the log.

    Finished predictors wait in a hidden folder beside FINE. When a run is interrupted, the next one with the same
    inputs and settings goes on after them, and writes the same bytes as one that was not.

    Months that are in an input's list of bands but have no value stay NoData, and are told; a month that is not in the
    list is refused.

    Raises
    ------
    GwsaError
        For unreadable inputs, names that collide, months that do not overlap, a template that the factor does not
        divide, a mask on another grid; when another run is writing the same outputs.
    """
    say = Reporter(progress)
    if max_hole_distance < 0:
        raise InvalidParameter(f"HOLE_DISTANCE is {max_hole_distance}", "give 0 or more fine cells")
    if Path(fine).resolve() == Path(coarse).resolve():
        raise InvalidParameter(f"FINE and COARSE are both {fine}", "give two folders")
    grid = read_template(template)
    target = Target(grid, grid.coarsen(int(factor)), int(factor), mask and str(mask), int(max_hole_distance), memory_mb)
    target.used(slice(0, 1), slice(0, 1))  # a mask on another grid is found before any work
    with ExitStack() as files:
        opened = []
        for name, path in name_inputs(inputs, names).items():
            opened.append(open_input(name, path, grid))
            files.callback(opened[-1].source.close)
        months = _crop(shared_months(opened), start, end)
        _tell(say, opened, months, target)
        for folder in (fine, coarse):
            _warn_of_others(Path(folder), {one.name for one in opened}, say)
        for path in (coarse, table, report):
            if path:
                make_folder(Path(path).parent)
        fingerprint = _fingerprint(opened, months, target)
        with journalled(fine, fingerprint, say) as journal:
            resumed = tuple(journal.finished)
            make_predictors(opened, months, target, journal, max(int(workers), 1), say)
            if _fingerprint(opened, months, target) != fingerprint:
                raise UnreadableInput("an input changed while it was read", "run the step again when it is whole")
            rows, page = _look_back(opened, months, target, journal, bool(report), say)
            files.close()  # an input may lie in the folder that is replaced
            _place(journal, rows, page, fine, coarse, table, report)
    span = (str(months[0]), str(months[-1])) if months is not None else ("", "")
    say(1.0, f"Written {len(rows)} predictors to {fine} and {coarse}.")
    return PreparePredictorsResult(Path(fine), Path(coarse), *span, tuple(rows), resumed)


def _fingerprint(opened: list[PredictorInput], months: np.ndarray | None, target: Target) -> dict[str, object]:
    """All that the files written depend on."""
    from gwsa_qgis import __version__

    return {
        "step": STEP,
        "version": __version__,
        "GDAL": gdal.__version__,
        "input": {one.name: one.fingerprint() for one in opened},
        "MASK": describe_file(target.mask) if target.mask else None,
        "TEMPLATE": asdict(target.grid),
        "FACTOR": target.factor,
        "HOLE_DISTANCE": target.reach,
        "months": [str(months[0]), str(months[-1])] if months is not None else None,
        # windows decide on the order of tiles in the files
        "MEMORY": float(target.memory_mb),
    }


def _look_back(
    opened: list[PredictorInput],
    months: np.ndarray | None,
    target: Target,
    journal: Journal,
    wants_page: bool,
    report: Reporter,
) -> tuple[list[PredictorRow], str]:
    """The table, with all that looks odd told, and the page if it is wanted."""
    latitudes = row_latitudes(target.coarse)
    profiles = {
        one.name: read_profile(
            one.name, journal.folder / COARSE / f"{one.name}.tif", months if one.months is not None else None, latitudes
        )
        for one in opened
    }
    found = odd_profiles(list(profiles.values()))
    rows = [_row(one, months, journal.facts(one.name), found.get(one.name, []), report) for one in opened]
    if not wants_page:
        return rows, ""
    span = (str(months[0]), str(months[-1])) if months is not None else ("", "")
    return rows, make_page(rows, profiles, (target.grid, target.coarse), span, target.reach)


def _row(
    one: PredictorInput, months: np.ndarray | None, facts: dict, found: list[str], report: Reporter
) -> PredictorRow:
    figures = Figures(facts["count"], facts["total"], facts["low"], facts["high"])
    odd = [text for text in (odd_figures(one.name, figures, one.unit), *found) if text]
    for text in odd:
        report.warn(f"{text}.")
    empty = ""
    if one.months is not None:
        missing = months[np.array(facts["valid"]) == 0]
        if missing.size:
            empty = " ".join(str(month) for month in missing)
            report.warn(
                f"{one.name} has no value in {missing.size} of {months.size} months ({list_months(missing)}): they "
                "stay NoData."
            )
    shares = (facts["filled"] / max(facts["used"], 1), facts["left"] / max(facts["used"], 1))
    report.say(
        f"{one.name}: {figures.low:.4g} to {figures.high:.4g}, mean {figures.mean:.4g} {one.unit}; "
        f"holes filled {shares[0]:.2%}, left {shares[1]:.2%} of the used cells."
    )
    grid = one.source.grid
    return PredictorRow(
        one.name, one.unit, one.unit, months.size if one.months is not None else 0, empty,
        f"{grid.columns} x {grid.rows}", f"{grid.dx:.8g} x {grid.dy:.8g}", one.crs_name(), one.plan.describe(), *shares,
        figures.low, figures.mean, figures.high, "; ".join(odd),
    )  # fmt: skip


def _place(
    journal: Journal,
    rows: list[PredictorRow],
    page: str,
    fine: str | Path,
    coarse: str | Path,
    table: str | Path | None,
    report: str | Path | None,
) -> None:
    """Let the outputs appear, the largest last: until then a failure costs little."""
    with together() as outputs:
        outputs.callback(place_folder, journal.folder / FINE, fine)
        stage_text(outputs, table, as_csv(rows))
        stage_text(outputs, report, page)
        folder = outputs.enter_context(replacing_folder(coarse))
        for row in rows:
            shutil.copyfile(journal.folder / COARSE / f"{row.name}.tif", folder / f"{row.name}.tif")


def _crop(months: np.ndarray | None, start: str | None, end: str | None) -> np.ndarray | None:
    if months is None:
        return None
    try:
        first = np.datetime64(start, "M") if start else months[0]
        last = np.datetime64(end, "M") if end else months[-1]
    except ValueError:
        raise InvalidMonths(f"START {start!r} or END {end!r} is not a month", "give them as YYYY-MM") from None
    chosen = months[(months >= first) & (months <= last)]
    if not chosen.size:
        raise InvalidMonths(
            f"the inputs' common months ({months[0]} to {months[-1]}) have none between {first} and {last}",
            "give other months",
        )
    return chosen


def _tell(report: Reporter, opened: list[PredictorInput], months: np.ndarray | None, target: Target) -> None:
    report.say(f"Fine grid {target.grid.describe()}; coarse grid {target.coarse.describe()}.")
    for one in opened:
        kind = "static" if one.months is None else f"{one.months[0]} to {one.months[-1]}"
        report.say(f"{one.name} ({kind}, unit {one.unit or 'not named'}): {one.plan.describe()}.")
        if not one.source.grid.crs:
            report.warn(f"{one.source.path} names no coordinate reference system: the template's is taken.")
    if months is not None:
        report.say(f"Months that all dynamic predictors have: {months[0]} to {months[-1]} ({months.size}).")


def _warn_of_others(folder: Path, names: set[str], report: Reporter) -> None:
    if folder.is_dir():
        others = sorted(p.stem for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.stem not in names)
        if others:
            report.warn(
                f"{folder} already holds {', '.join(others)}, which stay in the set: remove what is not wanted."
            )

"""What basin steps read: a stack, basins and errors, in one pass, to the figures of each basin."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.products.basins import read_basins
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.inspection import describe_months
from gwsa_qgis.rasters.stack import MonthlyStack
from gwsa_qgis.steps.basin_errors import open_errors
from gwsa_qgis.steps.basin_figures import BasinFigures, make_figures
from gwsa_qgis.steps.basin_report import BasinFacts
from gwsa_qgis.steps.basin_sums import SumsJob, open_flags, sum_basins
from gwsa_qgis.steps.storage_units import to_centimetres


@dataclass(frozen=True)
class BasinSources:
    """Inputs of basin steps, as `basinseries` describes them."""

    input: str | Path
    basins: str | Path
    field: str = ""
    basin: str = ""
    same_name: str = "apart"
    uncertainty: str | Path | None = None
    within: str | Path | None = None
    mascons: str | Path | None = None
    flags: str | Path | None = None


def read_figures(
    sources: BasinSources,
    outlines: Path,
    level: float,
    minimum_share: float,
    memory_mb: float,
    workers: int,
    say: Reporter,
) -> tuple[BasinFigures, BasinFacts]:
    """Series and trends of all basins, and what a page says of their inputs.

    Parameters
    ----------
    outlines : path
        Where the outlines are kept as long as the figures are used.

    Raises
    ------
    InvalidParameter
        If the errors do not go together.
    UnreadableInput, GridMismatch, InvalidMonths
        For inputs that cannot be read or do not fit.
    NoUsableData
        If no basin has a value.
    """
    with MonthlyStack(sources.input) as stack:
        grid, months, filled, baseline = stack.grid, stack.months, stack.filled, stack.baseline
        say.say(describe_months(months))
        to_cm = to_centimetres(stack, say)
        flag_layer = open_flags(sources.flags, grid, stack) if sources.flags else None
    errors = None
    if sources.uncertainty:
        errors = open_errors(sources.uncertainty, sources.within, sources.mascons, grid, months, say)
    elif sources.within or sources.mascons:
        raise InvalidParameter("WITHIN or MASCONS were given without UNCERTAINTY", "give UNCERTAINTY, or neither")
    found = read_basins(
        sources.basins, grid, outlines, say, field=sources.field, only=sources.basin, same_name=sources.same_name
    )
    job = SumsJob(Path(sources.input), grid, months, to_cm, found, errors, flag_layer)
    sums, basin_errors = sum_basins(job, memory_mb, workers, say)
    figures = make_figures(found, months, filled, sums, basin_errors, level, minimum_share)
    return figures, BasinFacts(str(sources.input), str(sources.basins), baseline, errors, to_cm=to_cm)

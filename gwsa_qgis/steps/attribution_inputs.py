"""What attribution starts from: both stacks, their common months, and what is known of the background."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsa_qgis.errors import GridMismatch, InvalidParameter, NoUsableData
from gwsa_qgis.products.background import human_use, warning_of
from gwsa_qgis.progress import Reporter
from gwsa_qgis.rasters.grid import Grid, same_crs
from gwsa_qgis.rasters.inspection import describe_months
from gwsa_qgis.rasters.stack import MonthlyStack, common_months
from gwsa_qgis.rasters.warping import Alignment, plan_alignment, read_window_aligned, require_overlap
from gwsa_qgis.rasters.windows import Window
from gwsa_qgis.science.mann_kendall import CORRECTIONS
from gwsa_qgis.science.water_balance import baseline_mask
from gwsa_qgis.steps.storage_units import to_centimetres

PERIOD = 12
UNITS = ("month", "year")


@dataclass(frozen=True)
class AttributionJob:
    """Both stacks and how they are brought together.

    Attributes
    ----------
    gwsa, background : str
        Paths.
    background_name : str
        File of the model run that the background was made from, where the stack says it; its own otherwise.
    human_use : str
        ``natural``, ``human``, ``assimilated`` or ``unknown``.
    warning : str
        What speaks against the background; empty when nothing does.
    grid : Grid
        Of GWSA.
    tile : int
        Side of its file's tiles.
    plan : Alignment
        How the background is brought to it.
    months : (n_months,) datetime64[M]
        Common months.
    filled : (n_months,) bool
        Those of GWSA that come from gap filling.
    factors : (float, float)
        From the stacks' units to cm.
    baseline : (str, str)
    """

    gwsa: str
    background: str
    background_name: str
    human_use: str
    warning: str
    grid: Grid
    tile: int
    plan: Alignment
    months: np.ndarray
    filled: np.ndarray
    factors: tuple[float, float]
    baseline: tuple[str, str]

    def how(self) -> str:
        """How the background is brought to GWSA's cells, in words."""
        ratio = self.plan.ratio
        return {
            "cut": "on the same cells",
            "bilinear": f"interpolated bilinearly from cells {ratio:.3g} times as wide",
            "average": f"averaged from cells {ratio:.2g} times as wide",
        }[self.plan.method]

    def read_background(self, window: Window) -> np.ndarray:
        """Background of a window on GWSA's cells, (n_months, rows, columns) float32, in its own unit."""
        with MonthlyStack(self.background) as stack:
            return read_window_aligned(stack, self.grid, window, self.plan, stack.positions(self.months))


def open_attribution(
    gwsa: str | Path,
    background: str | Path,
    baseline: tuple[str, str],
    unit: str,
    correction: str,
    minimum_share: float,
    deseasonalise: bool,
    say: Reporter,
) -> AttributionJob:
    """Look at both stacks and tell what was found; raises what `attribution` says."""
    if unit not in UNITS:
        raise InvalidParameter(f"the unit is {unit!r}", f"give one of {', '.join(UNITS)}")
    if correction not in CORRECTIONS:
        raise InvalidParameter(f"the correction is {correction!r}", f"give one of {', '.join(CORRECTIONS)}")
    if not 0 <= minimum_share <= 1:
        raise InvalidParameter(f"the minimum share of months is {minimum_share}", "give a share of 0 to 1")
    with MonthlyStack(gwsa) as total, MonthlyStack(background) as natural:
        if not same_crs(total.grid.crs, natural.grid.crs):
            raise GridMismatch(
                f"GWSA {gwsa} and the background {background} have different coordinate reference systems "
                f"({total.grid.describe()} against {natural.grid.describe()})",
                "reproject the background with gdal:warpreproject to the CRS of GWSA",
            )
        require_overlap(natural, total.grid)
        plan = plan_alignment(natural.grid, total.grid)
        factors = to_centimetres(total, say), to_centimetres(natural, say)
        months = _common(total, natural, baseline, deseasonalise, say)
        filled = total.filled[total.positions(months)]
        name, use, warning = _provenance(natural)
        say.say(f"GWSA: {total.grid.describe()}")
        job = AttributionJob(
            str(gwsa),
            str(background),
            name,
            use,
            warning,
            total.grid,
            total.tile,
            plan,
            months,
            filled,
            factors,
            baseline,
        )
    say.say(f"Background {name}: {job.how()}")
    if warning:
        say.warn(f"background: {warning}")
    return job


def _common(
    total: MonthlyStack, natural: MonthlyStack, baseline: tuple[str, str], deseasonalise: bool, say: Reporter
) -> np.ndarray:
    """Months that both have, told; raises where they are too few."""
    months = common_months([total, natural])
    for name, stack in (("GWSA", total), ("background", natural)):
        say.say(f"{name}: {describe_months(stack.months)}")
    if months.size < total.months.size:
        say.warn(f"GWSA is cut to the months that the background has too, {describe_months(months)}")
    inside = int(baseline_mask(months, baseline).sum())
    wanted = int((np.datetime64(baseline[1], "M") - np.datetime64(baseline[0], "M")).astype(int)) + 1
    if inside < wanted:
        say.warn(f"the common months cover {inside} of the {wanted} months of the baseline")
    if deseasonalise and months.size < 2 * PERIOD:
        raise NoUsableData(
            f"the stacks have {months.size} common months, {describe_months(months)}, and removing the season needs "
            f"{2 * PERIOD}",
            "give stacks that overlap for longer, or do not deseasonalise",
        )
    return months


def _provenance(stack: MonthlyStack) -> tuple[str, str, str]:
    """Name of the model run, what it says of human water use, and what speaks against it."""
    source = stack.metadata().get("GWSA_SOURCE") or stack.path
    return Path(source).name, human_use(source), warning_of(source, stack.quantity)

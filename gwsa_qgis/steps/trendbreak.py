"""Trends before and after a month, whether they differ, and what became of each (step ``trendbreak``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gwsa_qgis.errors import InvalidMonths, InvalidParameter, NoUsableData
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.long_run import long_run
from gwsa_qgis.rasters.windows import DEFAULT_MEMORY_MB
from gwsa_qgis.science.trend import FieldSignificance
from gwsa_qgis.science.trend_break import BETTER, WORSE, check_parts
from gwsa_qgis.steps.text_outputs import stage_text
from gwsa_qgis.steps.trend_grading import RegionShares
from gwsa_qgis.steps.trend_inputs import TrendInput, check_aquifers, check_unit, open_input, read_month
from gwsa_qgis.steps.trendbreak_layers import LAYERS, BreakJob, compute_layers, create_layers
from gwsa_qgis.steps.trendbreak_report import BreakFacts, break_page, changes_csv


@dataclass(frozen=True)
class TrendBreakResult:
    """What `trendbreak` wrote.

    Attributes
    ----------
    slope_before, slope_after, change, p_before, p_after, p_value, classes, table, report : Path or None
    area_shares : dict of int to float
        Percent of the area in each class of `science.trend_break.CHANGE_NAMES`.
    regions : list of RegionShares
        Areas of the classes by aquifer class and by latitude band.
    mean_before, mean_after : float
        Area-weighted mean slopes.
    pixels : int
        Pixels with both slopes.
    field : FieldSignificance
        Of the changes, by Benjamini and Hochberg at the significance asked for.
    field_share : float
        Percent of the area whose change passes it.
    """

    slope_before: Path | None
    slope_after: Path | None
    change: Path
    p_before: Path | None
    p_after: Path | None
    p_value: Path
    classes: Path | None
    table: Path | None
    report: Path | None
    area_shares: dict[int, float]
    regions: list[RegionShares]
    mean_before: float
    mean_after: float
    pixels: int
    field: FieldSignificance
    field_share: float


def trendbreak(
    input: str | Path,
    break_month: str,
    change: str | Path,
    p_value: str | Path,
    *,
    slope_before: str | Path | None = None,
    slope_after: str | Path | None = None,
    p_before: str | Path | None = None,
    p_after: str | Path | None = None,
    classes: str | Path | None = None,
    table: str | Path | None = None,
    report: str | Path | None = None,
    unit: str = "month",
    significance: float = 0.05,
    deseasonalise: bool = True,
    robust: bool = False,
    start: str | None = None,
    end: str | None = None,
    use_filled: bool = True,
    minimum_share: float = 0.5,
    aquifers: str | Path | None = None,
    memory_mb: float = DEFAULT_MEMORY_MB,
    workers: int = 1,
    progress: ProgressFunction | None = None,
) -> TrendBreakResult:
    """Trend of every pixel before and after a month, and a test of their difference.

    Parameters
    ----------
    input : path
        Monthly stack.
    break_month : str
        First month of the later part, YYYY-MM; a year is its January.
    change, p_value : path
        Slope after the break less that before it, and its p value.
    slope_before, slope_after, p_before, p_after : path, optional
        Theil-Sen slopes of both parts, and their p values.
    classes : path, optional
        What became of the trend, in the classes of `science.trend_break.CHANGE_NAMES`.
    table, report : path, optional
        Areas of the classes (CSV), and a page with them, maps and what they mean.
    unit : {"month", "year"}
        Time unit of slopes and change.
    significance : float
        p value below which slopes and changes are significant for the classes.
    deseasonalise, robust : bool
        Subtract the seasonal component of STL of the whole period first; with robust weights.
    start, end, use_filled, minimum_share, aquifers
        As in `trend`; the share is asked of both parts.
    memory_mb, workers, progress
        As in all steps.

    Raises
    ------
    InvalidParameter
        If the unit, a share or the significance is out of range.
    InvalidMonths
        If the break is no month of the period.
    NoUsableData
        If a part has fewer than 24 months, or no pixel has enough of them.
    GridMismatch
        If the aquifer classes lie on another grid.
    """
    say = Reporter(progress)
    check_unit(unit)
    if not 0 <= minimum_share <= 1:
        raise InvalidParameter(f"the minimum share of months is {minimum_share}", "give a share of 0 to 1")
    if not 0 < significance < 1:
        raise InvalidParameter(f"the significance is {significance}", "give a number between 0 and 1, such as 0.05")
    data = open_input(input, start, end, use_filled, deseasonalise, say)
    position = _position(data, break_month)
    check_parts(data.used, position)
    check_aquifers(aquifers, data)
    job = BreakJob(data, position, unit, significance, deseasonalise, robust, minimum_share, aquifers)
    rasters = dict(zip(LAYERS, (slope_before, slope_after, change, p_before, p_after, p_value), strict=True))
    others = {"classes": classes, "table": table, "report": report}
    values = {"START": start, "END": end, "use_filled": use_filled, "break": position, "unit": unit}
    values |= {"season": deseasonalise, "robust": robust, "minimum_share": minimum_share, "MEMORY": memory_mb}
    with long_run("trendbreak", change, {"INPUT": input, "AQUIFERS": aquifers}, values, say) as run:
        writers = create_layers(run.outputs, rasters, classes, job, memory_mb)
        found = compute_layers(job, run, writers, memory_mb, workers, say)
        if not found.after.pixels:
            raise NoUsableData(
                f"no pixel of {input} has both trends: none has {minimum_share:.0%} of the months on both sides of "
                f"{data.months[position]}",
                "check the stack's mask and the break, or lower the minimum share",
            )
        whole, regions = found.areas.whole(), [*found.areas.aquifers(), *found.areas.latitudes()]
        result = TrendBreakResult(
            **{name: Path(path) if path else None for name, path in (rasters | others).items()},
            area_shares=whole.shares(0),
            regions=regions,
            mean_before=found.before.mean_slope(),
            mean_after=found.after.mean_slope(),
            pixels=found.after.pixels,
            field=found.field,
            field_share=found.after.field_share(),
        )
        stage_text(run.outputs, table, changes_csv([whole, *regions]))
        if report:
            facts = BreakFacts(job, whole, regions, found)
            stage_text(run.outputs, report, break_page(facts).render())
    _tell(say, result)
    return result


def _position(data: TrendInput, break_month: str) -> int:
    """Months before the break."""
    month = read_month(break_month, "BREAK")
    position = int((month - data.months[0]).astype(int))
    if not 0 < position < data.months.size:
        raise InvalidMonths(
            f"BREAK is {break_month} and the months are {data.months[0]} to {data.months[-1]}",
            "give a month within them",
        )
    return position


def _tell(say: Reporter, result: TrendBreakResult) -> None:
    worse, better = (sum(result.area_shares[k] for k in numbers) for numbers in (WORSE, BETTER))
    say.say(
        f"{result.pixels} pixels: on {worse:.1f} % of the area the trend turned down and on {better:.1f} % up, significantly"
    )
    passed = f"p <= {result.field.threshold:.3g}" if result.field.significant else "no p value"
    say.say(f"field significance of the change: {passed} passes, {result.field_share:.1f} % of the area")

"""Long-term trend: STL, Theil-Sen slope, Mann-Kendall p values, seven classes, their area shares, and dots."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from gwsa_qgis.errors import InvalidParameter, NoUsableData
from gwsa_qgis.products.point_layer import require_geopackage, write_points
from gwsa_qgis.progress import ProgressFunction, Reporter
from gwsa_qgis.rasters.long_run import LongRun, long_run
from gwsa_qgis.rasters.windows import DEFAULT_MEMORY_MB
from gwsa_qgis.science.mann_kendall import SAFE_CORRECTIONS
from gwsa_qgis.science.pixel_trend import LAYERS, TrendSettings
from gwsa_qgis.science.trend import FieldSignificance
from gwsa_qgis.steps.stipples import Stipples
from gwsa_qgis.steps.text_outputs import stage_text
from gwsa_qgis.steps.trend_grading import CORRECTED, PLAIN, SIGNIFICANT, RegionShares
from gwsa_qgis.steps.trend_inputs import check_aquifers, check_unit, open_input
from gwsa_qgis.steps.trend_passes import TrendJob, compute_layers, create_layers, grade
from gwsa_qgis.steps.trend_report import TrendFacts, shares_csv, trend_page

SECOND_PASS = 0.97


@dataclass(frozen=True)
class TrendResult:
    """What `trend` wrote.

    Attributes
    ----------
    slope, p_value, p_plain, lower, upper, classes, stipples, table, report : Path or None
    area_shares : dict of int to float
        Percent of the classified area in each of the classes 1 to 7.
    area_shares_plain : dict of int to float
        The same by the p value without correction.
    regions : list of RegionShares
        Areas of the classes by aquifer class and by latitude band.
    mean_slope : float
        Area-weighted mean slope.
    pixels : int
        Pixels with a trend.
    field : FieldSignificance
        Result of Benjamini and Hochberg's procedure at 5 %; its threshold is NaN where no p value passes.
    field_share : float
        Percent of the area that is significant by it.
    dots : int
        Dots of the stippling.
    """

    slope: Path
    p_value: Path
    p_plain: Path | None
    lower: Path | None
    upper: Path | None
    classes: Path | None
    stipples: Path | None
    table: Path | None
    report: Path | None
    area_shares: dict[int, float]
    area_shares_plain: dict[int, float]
    regions: list[RegionShares]
    mean_slope: float
    pixels: int
    field: FieldSignificance
    field_share: float
    dots: int


def trend(
    input: str | Path,
    slope: str | Path,
    p_value: str | Path,
    *,
    p_plain: str | Path | None = None,
    lower: str | Path | None = None,
    upper: str | Path | None = None,
    classes: str | Path | None = None,
    stipples: str | Path | None = None,
    table: str | Path | None = None,
    report: str | Path | None = None,
    unit: str = "month",
    correction: str = "ar1",
    deseasonalise: bool = True,
    robust: bool = False,
    season_allowance: bool = True,
    start: str | None = None,
    end: str | None = None,
    use_filled: bool = True,
    minimum_share: float = 0.5,
    confidence: float = 0.95,
    field_significance: bool = False,
    aquifers: str | Path | None = None,
    stipple_spacing: int = 0,
    stipple_p: float = SIGNIFICANT,
    stipple_field: bool = False,
    memory_mb: float = DEFAULT_MEMORY_MB,
    workers: int = 1,
    progress: ProgressFunction | None = None,
) -> TrendResult:
    """Trend of every pixel of a monthly stack.

    Parameters
    ----------
    input : path
        Monthly stack.
    slope, p_value : path
        Theil-Sen slope, and the Mann-Kendall p value with the correction asked for.
    p_plain, lower, upper : path, optional
        p value without correction; confidence limits of the slope, with the correction's factor on the variance.
    classes : path, optional
        Seven classes by `p_value`, or by its field significance.
    stipples : path, optional
        Dots (GeoPackage) on a regular lattice where most cells around have a significant trend.
    table, report : path, optional
        Areas of the classes (CSV), and a page with them, a map and what they mean.
    unit : {"month", "year"}
        Time unit of slope and limits.
    correction : str
        One of `science.mann_kendall.CORRECTIONS`; only ``ar1`` is safe, ``none`` is the test as published.
    deseasonalise, robust : bool
        Subtract the seasonal component of STL first; with robust weights.
    season_allowance : bool
        With ``ar1``: allow for what STL takes out of the noise, see `science.ar1_tests`.
    start, end : str, optional
        First and last month, YYYY-MM; the stack's where not given.
    use_filled : bool
        Whether months that gap filling made are used, or count as missing.
    minimum_share : float
        Pixels with a smaller share of valid months have no trend.
    confidence : float
        Of the limits, two-sided.
    field_significance : bool
        Class trends as significant only where they pass Benjamini and Hochberg's procedure for the whole map, at a false
        discovery rate of 5 % (highly significant: 1 %).
    aquifers : path, optional
        Class raster on the same grid: areas are given for each class.
    stipple_spacing, stipple_p, stipple_field
        Cells between dots (0: by itself), p value below which cells count as significant for them, and whether it is
        the false discovery rate of the map instead.
    memory_mb, workers, progress
        As in all steps.

    Raises
    ------
    InvalidParameter
        If the unit, the correction, a share or a probability is out of range.
    InvalidMonths
        If the stack has none of the period's months.
    NoUsableData
        If no pixel has enough months.
    GridMismatch
        If the aquifer classes lie on another grid.
    """
    say = Reporter(progress)
    check_unit(unit)
    limits = confidence if lower or upper else None
    settings = TrendSettings(correction, deseasonalise, robust, season_allowance, limits)
    _check_numbers(minimum_share, confidence, stipple_p)
    if stipples:
        require_geopackage(stipples)
    data = open_input(input, start, end, use_filled, deseasonalise, say)
    check_aquifers(aquifers, data)
    job = TrendJob(
        data, settings, unit, minimum_share, aquifers, field_significance, stipple_p, stipple_field, memory_mb, workers
    )
    places = Stipples(data.grid, stipple_spacing) if stipples or report else None
    rasters = dict(zip(LAYERS, (slope, p_value, p_plain, lower, upper), strict=True))
    others = {"classes": classes, "stipples": stipples, "table": table, "report": report}
    values = {"START": start, "END": end, "use_filled": use_filled, "unit": unit, "minimum_share": minimum_share}
    values |= {"MEMORY": memory_mb, **asdict(settings)}
    with long_run("trend", slope, {"INPUT": input, "AQUIFERS": aquifers}, values, say) as run:
        result = write_trend(run, run.outputs, job, rasters, others, places, say)
    _tell(say, result, correction, field_significance)
    return result


def write_trend(
    run: LongRun,
    outputs: ExitStack,
    job: TrendJob,
    rasters: Mapping[str, str | Path | None],
    others: Mapping[str, str | Path | None],
    places: Stipples | None,
    say: Reporter,
) -> TrendResult:
    """Compute the trend as part of a long run.

    Parameters
    ----------
    rasters, others : mapping
        Paths of the layers (`LAYERS`), and of ``classes``, ``stipples``, ``table`` and ``report``.
    places : Stipples or None
        Gathers the dots.
    """
    if job.settings.correction not in SAFE_CORRECTIONS:
        say.warn(
            f"correction {job.settings.correction} calls far more than 5 % of trendless, autocorrelated series significant"
        )
    stipples, report = others["stipples"], others["report"]
    writers = create_layers(outputs, rasters, job)
    computed = compute_layers(job, run, writers, say.part(0.0, SECOND_PASS))
    sums = grade(outputs, job, writers, computed, others["classes"], places, say.part(SECOND_PASS, 1.0))
    if not sums.pixels:
        raise NoUsableData(
            f"no pixel of {job.data.path} has a trend: none has {job.minimum_share:.0%} of its months",
            "check the stack's mask and the period, or lower the minimum share",
        )
    dots = places.dots() if places is not None else None
    whole, regions = computed.areas.whole(), [*computed.areas.aquifers(), *computed.areas.latitudes()]
    result = TrendResult(
        **{name: Path(path) if path else None for name, path in {**rasters, **others}.items()},
        area_shares=whole.shares(CORRECTED),
        area_shares_plain=whole.shares(PLAIN),
        regions=regions,
        mean_slope=sums.mean_slope(),
        pixels=sums.pixels,
        field=computed.field[SIGNIFICANT],
        field_share=sums.field_share(),
        dots=dots.x.size if dots is not None else 0,
    )
    if stipples:
        fields = {"slope": dots.slope, "share": dots.share, "cells": dots.cells}
        write_points(stipples, dots.x, dots.y, job.data.grid.crs, fields, "stipples")
    stage_text(outputs, others["table"], shares_csv([whole, *regions]))
    if report:
        facts = TrendFacts(job, places.spacing, whole, regions, result.field, sums, dots)
        stage_text(outputs, report, trend_page(facts).render())
    return result


def _check_numbers(minimum_share: float, confidence: float, stipple_p: float) -> None:
    if not 0 <= minimum_share <= 1:
        raise InvalidParameter(f"the minimum share of months is {minimum_share}", "give a share of 0 to 1")
    for value, name, example in ((confidence, "confidence", "0.95"), (stipple_p, "p value of the dots", "0.05")):
        if not 0 < value < 1:
            raise InvalidParameter(f"the {name} is {value}", f"give a number between 0 and 1, such as {example}")


def _tell(say: Reporter, result: TrendResult, correction: str, by_field: bool) -> None:
    for shares, name in ((result.area_shares, correction), (result.area_shares_plain, "none")):
        falling, rising = shares[1] + shares[2], shares[6] + shares[7]
        say.say(f"{name}: {falling:.1f} % of the area falls and {rising:.1f} % rises significantly")
    field = result.field
    passed = f"p <= {field.threshold:.3g}" if field.significant else "no p value"
    used = "and is what the classes go by" if by_field else "(the classes go by the p values themselves)"
    say.say(f"field significance (5 %): {passed} passes, {result.field_share:.1f} % of the area {used}")

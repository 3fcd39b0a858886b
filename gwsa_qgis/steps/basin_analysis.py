"""What the mean series of basins say beside their trend: a break in it, the season, droughts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gwsa_qgis.errors import InvalidMonths, NoUsableData
from gwsa_qgis.months import calendar_month
from gwsa_qgis.progress import Reporter
from gwsa_qgis.science.annual_cycle import maximum_month
from gwsa_qgis.science.drought import CLASS_NAMES, drought_classes, drought_index, drought_spells
from gwsa_qgis.science.seasonality import SeasonalParts, seasonal_parts
from gwsa_qgis.science.trend_break import CHANGE_NAMES, TrendBreak, change_classes, trend_break
from gwsa_qgis.steps.basin_figures import BasinFigures
from gwsa_qgis.steps.trend_inputs import read_month

YEAR = 12
# Calendar months by the number that `maximum_month` gives.
MONTH_NAMES = (
    *("", "January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class BasinAnalysis:
    """Of all basins.

    Attributes
    ----------
    break_month : datetime64[M]
        First month of the later part.
    parts : TrendBreak or None
        Slopes per month before and after it; None where the record is too short.
    change : (n_basins,) uint8
        Numbers of `science.trend_break.CHANGE_NAMES`.
    seasonal : SeasonalParts
        As `science.seasonality` gives them.
    peak : (n_basins,) uint8
        Month of the maximum; 0 where no course returns.
    course : (n_basins, 3, 12) float
        10th, 50th and 90th percentile of what each calendar month departs from the Sen line, cm.
    index, classes : (n_basins, n_months)
        Drought index (GRACE-DSI), NaN where not known, and its classes, 0 where not known.
    """

    break_month: np.datetime64
    parts: TrendBreak | None
    change: np.ndarray
    seasonal: SeasonalParts
    peak: np.ndarray
    course: np.ndarray
    index: np.ndarray
    classes: np.ndarray

    def fields(self, months: np.ndarray) -> dict[str, np.ndarray | list]:
        """Figures of each basin by name, slopes per year."""
        nothing = np.full(self.peak.size, np.nan)
        parts = self.parts
        share, longest = drought_spells(self.classes.T)
        driest = driest_month(self.index)
        return {
            "break": [str(self.break_month) if parts else ""] * self.peak.size,
            "slope_before": parts.before * YEAR if parts else nothing,
            "slope_after": parts.after * YEAR if parts else nothing,
            "p_change": parts.p_change if parts else nothing,
            "change": [CHANGE_NAMES.get(number, "") for number in self.change.tolist()],
            "seasonal_pct": self.seasonal.contribution,
            "maximum": [MONTH_NAMES[number] for number in self.peak.tolist()],
            "drought_pct": share,
            "drought_spell": longest,
            "driest": [str(months[at]) if at >= 0 else "" for at in driest.tolist()],
            "driest_index": np.array(
                [row[at] if at >= 0 else np.nan for row, at in zip(self.index, driest, strict=True)]
            ),
        }


def driest_month(index: np.ndarray) -> np.ndarray:
    """Position of the lowest index of each basin, (n_basins,); -1 where none has one."""
    known = np.isfinite(index)
    return np.where(known.any(1), np.where(known, index, np.inf).argmin(1), -1)


def analyse(figures: BasinFigures, break_month: str, minimum_years: int, say: Reporter) -> BasinAnalysis:
    """Analyse the mean series of all basins.

    Parameters
    ----------
    break_month : str
        YYYY-MM, a year for its January, or nothing for the middle of the record.
    minimum_years : int
        A calendar month has a drought index where it has so many years.

    Raises
    ------
    InvalidMonths
        If the break that was asked for is outside of the record.
    NoUsableData
        If it leaves too few months on a side.
    """
    months, means = figures.months, figures.means
    month = read_month(break_month, "BREAK") if break_month else months[months.size // 2]
    position = int((month - months[0]).astype(int))
    if not 0 < position < months.size:
        raise InvalidMonths(
            f"BREAK is {break_month} and the months are {months[0]} to {months[-1]}", "give a month within them"
        )
    parts, change = None, np.zeros(len(means), np.uint8)
    try:
        parts = trend_break(means, position, minimum_share=0.5, present=np.isfinite(means).any(0))
        slopes = (parts.before, parts.after, parts.p_before, parts.p_after, parts.p_change)
        change = change_classes(*slopes)
    except NoUsableData as error:
        if break_month:
            raise
        say.say(f"No break in trend is sought: {error.problem}")
    try:
        index = drought_index(means.T, months, minimum_years=minimum_years).T
    except NoUsableData as error:
        say.say(f"No drought index: {error.problem}")
        index = np.full(means.shape, np.nan, np.float32)
    return BasinAnalysis(
        month,
        parts,
        change,
        seasonal_parts(means, months),
        maximum_month(means, months),
        _course(figures),
        index,
        drought_classes(index),
    )


def _course(figures: BasinFigures) -> np.ndarray:
    """Quantiles of the departures from the Sen line, calendar month by calendar month, (n_basins, 3, 12)."""
    trends, months = figures.trends, figures.months
    slope, start = np.nan_to_num(trends.slope), np.nan_to_num(trends.intercept)
    rest = figures.means - start[:, None] - slope[:, None] * np.arange(months.size) / YEAR
    found = np.full((len(rest), len(QUANTILES), YEAR), np.nan)
    for month in range(YEAR):
        own = rest[:, calendar_month(months) == month + 1]
        known = np.isfinite(own).any(1)
        found[known, :, month] = np.nanquantile(own[known], QUANTILES, axis=1).T
    return found


def worst_spells(classes: np.ndarray, index: np.ndarray, months: np.ndarray, most: int = 5) -> list[tuple]:
    """The longest spells of moderate drought or worse in one series: first and last month, months, lowest index, class."""
    dry = np.concatenate([[False], (classes >= 1) & (classes <= 4), [False]])
    edges = np.flatnonzero(np.diff(dry.astype(np.int8))).reshape(-1, 2)
    spells = []
    for first, last in edges.tolist():
        lowest = float(index[first:last].min())
        worst = CLASS_NAMES[int(classes[first:last].min())]
        spells.append((str(months[first]), str(months[last - 1]), last - first, lowest, worst))
    return sorted(spells, key=lambda spell: (-spell[2], spell[3]))[:most]
